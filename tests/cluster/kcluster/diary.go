package main

import (
	"slices"
	"sync"
	"syscall"
	"time"
)

// A diary keeps what the fake did and how long it took, so that a benchmark can say that the fake was not what was slow.
type diary struct {
	mutex    sync.Mutex
	pods     int
	requests []time.Duration // until each write was answered
	late     []time.Duration // from a Pod's due end until the answer to the write that says so
}

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type report struct {
	Pods         int     `json:"pods"`
	Requests     int     `json:"requests"`
	RequestMs    spread  `json:"requestMs"`
	LateMs       spread  `json:"lateMs"`
	CPUSeconds   float64 `json:"cpuSeconds"`
	PeakRSSBytes int64   `json:"peakRssBytes"`
}

func (d *diary) begun() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.pods++
}

func (d *diary) answered(after time.Duration) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.requests = append(d.requests, after)
}

func (d *diary) ended(late time.Duration) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.late = append(d.late, late)
}

func (d *diary) report() report {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for one's own process
	return report{
		Pods: d.pods, Requests: len(d.requests), RequestMs: spreadOf(d.requests), LateMs: spreadOf(d.late),
		CPUSeconds:   time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(),
		PeakRSSBytes: usage.Maxrss * 1024, // kilobytes on Linux
	}
}

func spreadOf(values []time.Duration) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	at := func(share float64) float64 {
		return float64(values[int(share*float64(len(values)-1)+0.5)]) / float64(time.Millisecond)
	}
	return spread{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
