package main

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A run is one time through the containers of a Pod, and knows the statuses that a kubelet would write in it. Init
// containers take no time of their own; one that is to fail does so when the run ends, and no other container starts.
type run struct {
	pod      *corev1.Pod
	restarts int32
	began    metav1.Time
	lasts    time.Duration
	ends     bool
	codes    map[string]int32 // exit codes by container
}

func isSidecar(container corev1.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// failingInit is the init container that this run does not get past, or nothing.
func (r run) failingInit() string {
	for _, each := range r.pod.Spec.InitContainers {
		if !isSidecar(each) && r.codes[each.Name] != 0 {
			return each.Name
		}
	}
	return ""
}

func (r run) failed() bool {
	if r.failingInit() != "" {
		return true
	}
	for _, each := range r.pod.Spec.Containers {
		if r.codes[each.Name] != 0 {
			return true
		}
	}
	return false
}

func (r run) running() corev1.PodStatus {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	if r.failingInit() != "" {
		status := r.status(corev1.PodPending, running, r.waiting())
		return withConditions(status, map[corev1.PodConditionType]bool{
			corev1.PodInitialized: false, corev1.ContainersReady: false, corev1.PodReady: false})
	}
	return withConditions(r.status(corev1.PodRunning, r.done(0, ""), running), map[corev1.PodConditionType]bool{
		corev1.PodInitialized: true, corev1.ContainersReady: true, corev1.PodReady: true})
}

func (r run) over() corev1.PodStatus {
	phase := corev1.PodSucceeded
	if r.failed() {
		phase = corev1.PodFailed
	}
	initialized := r.failingInit() == ""
	regular := r.waiting()
	if initialized {
		regular = corev1.ContainerState{} // each has its own end
	}
	return withConditions(r.status(phase, corev1.ContainerState{}, regular), map[corev1.PodConditionType]bool{
		corev1.PodInitialized: initialized, corev1.ContainersReady: false, corev1.PodReady: false})
}

func (r run) stopped(code int32) corev1.PodStatus {
	codes := map[string]int32{}
	for _, each := range r.pod.Spec.Containers {
		codes[each.Name] = code
	}
	r.codes = codes
	status := r.status(corev1.PodFailed, r.done(0, ""), corev1.ContainerState{})
	return withConditions(status, map[corev1.PodConditionType]bool{
		corev1.PodInitialized: true, corev1.ContainersReady: false, corev1.PodReady: false})
}

// status has the given states for init and for regular containers; an empty state stands for each one's own end.
func (r run) status(phase corev1.PodPhase, init, regular corev1.ContainerState) corev1.PodStatus {
	began := r.began
	status := corev1.PodStatus{Phase: phase, StartTime: &began}
	stuck := r.failingInit()
	past := false // whether the init container that fails has been passed
	for _, each := range r.pod.Spec.InitContainers {
		state := init
		switch {
		case past:
			state = r.waiting()
		case each.Name == stuck:
			past = true
			if init.Running == nil {
				state = r.end(each.Name)
			}
		case isSidecar(each) && regular.Running != nil:
			state = regular
		default:
			state = r.done(0, "")
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, r.container(each, state))
	}
	for _, each := range r.pod.Spec.Containers {
		state := regular
		if state == (corev1.ContainerState{}) {
			state = r.end(each.Name)
		}
		status.ContainerStatuses = append(status.ContainerStatuses, r.container(each, state))
	}
	return status
}

func (r run) end(container string) corev1.ContainerState {
	message, own := r.pod.Annotations[messageAnnotation+"."+container]
	if !own {
		message = r.pod.Annotations[messageAnnotation]
	}
	if len(message) > messageBytes {
		message = strings.ToValidUTF8(message[:messageBytes], "")
	}
	return r.done(r.codes[container], message)
}

func (r run) done(code int32, message string) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, StartedAt: r.began, FinishedAt: metav1.Now(),
		ContainerID: "fake://" + string(r.pod.UID),
	}}
}

func (r run) waiting() corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}
}

func (r run) container(of corev1.Container, state corev1.ContainerState) corev1.ContainerStatus {
	started := state.Running != nil
	status := corev1.ContainerStatus{
		Name: of.Name, Image: of.Image, ImageID: "fake://" + of.Image, ContainerID: "fake://" + string(r.pod.UID),
		State: state, Started: &started, Ready: started, RestartCount: r.restarts,
	}
	if r.restarts > 0 {
		status.LastTerminationState = r.done(1, "")
	}
	return status
}

func withConditions(status corev1.PodStatus, holds map[corev1.PodConditionType]bool) corev1.PodStatus {
	for kind, is := range holds {
		condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}
		if is {
			condition.Status = corev1.ConditionTrue
		} else if status.Phase == corev1.PodSucceeded {
			condition.Reason = "PodCompleted"
		}
		status.Conditions = append(status.Conditions, condition)
	}
	return status
}
