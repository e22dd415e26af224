package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// What a Pod's annotations say about how it plays; README.md describes them.
const (
	secondsAnnotation     = "testing.kube-zen.io/seconds"
	exitCodeAnnotation    = "testing.kube-zen.io/exit-code"
	messageAnnotation     = "testing.kube-zen.io/message"
	seriesAnnotation      = "testing.kube-zen.io/series"
	stopSecondsAnnotation = "testing.kube-zen.io/stop-seconds"

	forever      = "forever"
	messageBytes = 4096 // a kubelet keeps no more of a termination message
	terminated   = 143  // 128 + SIGTERM
	killed       = 137  // 128 + SIGKILL

	again = 100 * time.Millisecond // until a request is made again that nobody could answer
)

// A kubelet is the fake of one node. Each Pod is a goroutine that sleeps and writes statuses.
type kubelet struct {
	client  kubernetes.Interface
	seconds float64
	diary   diary

	mutex sync.Mutex
	stops map[types.UID]chan struct{} // of the Pods that have begun; closed when the Pod is to end
	taken map[string]int              // how many runs each series has had
}

func fakeKubelet(args []string) error {
	flags := flag.NewFlagSet("fakekubelet", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server (required)")
	name := flags.String("node", "fake-node", "name of the node")
	seconds := flags.Float64("seconds", 0.2, "how long a Pod runs that has no annotation "+secondsAnnotation)
	ready := flags.String("ready", "", "file to write when the node takes Pods")
	report := flags.String("report", "", "file to write at the end: own CPU time and memory, and how fast writes were answered")
	endWithStdin := flags.Bool("until-stdin-ends", false, "end when standard input is closed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *kubeconfig == "" {
		return errors.New("--kubeconfig is required")
	}
	ctx, cancel := untilTold(*endWithStdin)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit: what is slow must not be the fake
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	k := &kubelet{client: client, seconds: *seconds, stops: map[types.UID]chan struct{}{}, taken: map[string]int{}}
	if err := k.register(ctx, *name); err != nil {
		return err
	}
	ours := cache.NewListWatchFromClient(
		client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.OneTermEqualSelector("spec.nodeName", *name))
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: ours,
		ObjectType:    &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(pod any) { k.saw(ctx, pod.(*corev1.Pod)) },
			UpdateFunc: func(_, pod any) { k.saw(ctx, pod.(*corev1.Pod)) },
			DeleteFunc: k.forget,
		},
	})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the list of Pods did not come")
	}
	fmt.Printf("ready: node %s\n", *name)
	if *ready != "" {
		if err := os.WriteFile(*ready, []byte(*name+"\n"), 0o644); err != nil {
			return err
		}
	}
	<-ctx.Done()
	text, err := json.MarshalIndent(k.diary.report(), "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if *report == "" {
		return nil
	}
	return os.WriteFile(*report, append(text, '\n'), 0o644)
}

// register makes the node, ready and large. Its lease is never renewed, so no controller may watch over nodes.
func (k *kubelet) register(ctx context.Context, name string) error {
	room := corev1.ResourceList{
		corev1.ResourcePods:             resource.MustParse("1000000"),
		corev1.ResourceCPU:              resource.MustParse("1000000"),
		corev1.ResourceMemory:           resource.MustParse("1Pi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Pi"),
	}
	now := metav1.Now()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "FakeKubelet",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
	if _, err := k.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	// Admission taints each new node as not ready; what takes the taint away otherwise is off.
	patch := []byte(`{"spec":{"taints":null}}`)
	_, err := k.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// saw starts a Pod that is new, and stops one that is being deleted.
func (k *kubelet) saw(ctx context.Context, pod *corev1.Pod) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	stop, begun := k.stops[pod.UID]
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case begun && pod.DeletionTimestamp != nil:
		select {
		case <-stop:
		default:
			close(stop)
		}
	case !begun && (!over || pod.DeletionTimestamp != nil):
		stop = make(chan struct{})
		k.stops[pod.UID] = stop
		if pod.DeletionTimestamp != nil {
			close(stop)
		}
		go func() {
			if err := k.play(ctx, pod, stop); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "fakekubelet: Pod %s/%s: %v\n", pod.Namespace, pod.Name, err)
			}
		}()
	}
}

func (k *kubelet) forget(gone any) {
	if last, unknown := gone.(cache.DeletedFinalStateUnknown); unknown {
		gone = last.Obj
	}
	if pod, is := gone.(*corev1.Pod); is {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		delete(k.stops, pod.UID)
	}
}

// play is the life of a Pod: it runs, again as often as its restartPolicy says, and ends or is stopped.
func (k *kubelet) play(ctx context.Context, pod *corev1.Pod, stop <-chan struct{}) error {
	k.diary.begun()
	began := metav1.Now()
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		<-stop
		return k.remove(ctx, pod)
	}
	for restarts := int32(0); ; restarts++ {
		run, err := k.plan(pod, restarts, began)
		if err != nil {
			return err
		}
		if err := k.write(ctx, pod, run.running()); err != nil {
			return err
		}
		due := time.Now().Add(run.lasts)
		var ended <-chan time.Time
		if run.ends {
			ended = time.After(run.lasts)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return k.stop(ctx, pod, run)
		case <-ended:
		}
		if run.failed() && pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
			continue
		}
		if err := k.write(ctx, pod, run.over()); err != nil {
			return err
		}
		k.diary.ended(time.Since(due))
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return k.remove(ctx, pod)
		}
	}
}

// stop ends a Pod that is being deleted: in its time, or after the grace period by force.
func (k *kubelet) stop(ctx context.Context, pod *corev1.Pod, run run) error {
	code := int32(terminated)
	takes, err := number(pod, stopSecondsAnnotation, 0)
	if err != nil {
		return err
	}
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace != nil && takes > float64(*grace) {
		takes, code = float64(*grace), killed
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(inSeconds(takes)):
	}
	if err := k.write(ctx, pod, run.stopped(code)); err != nil {
		return err
	}
	return k.remove(ctx, pod)
}

// remove says that nothing of the Pod is left on the node: only then may it go from the API.
func (k *kubelet) remove(ctx context.Context, pod *corev1.Pod) error {
	none := int64(0)
	return k.asked(ctx, func() error {
		err := k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
}

func (k *kubelet) write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	// The uid makes the patch fail for another Pod of that name.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	return k.asked(ctx, func() error {
		_, err := k.client.CoreV1().Pods(pod.Namespace).Patch(
			ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
}

// asked makes a request until it is answered by more than trouble that passes: a kubelet outlives its API server.
func (k *kubelet) asked(ctx context.Context, request func() error) error {
	for {
		began := time.Now()
		err := request()
		k.diary.answered(time.Since(began))
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}

// passes says whether an error is that of a server that is away, or not ready yet.
func passes(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return true
	}
	return answer.Status().Code >= 500 || apierrors.IsTooManyRequests(err)
}

// plan reads from the annotations how the next run of a Pod goes, and takes its number in the series.
func (k *kubelet) plan(pod *corev1.Pod, restarts int32, began metav1.Time) (run, error) {
	series := pod.Annotations[seriesAnnotation]
	if series == "" {
		series = string(pod.UID)
		if owner := metav1.GetControllerOf(pod); owner != nil {
			series = string(owner.UID)
		}
	}
	k.mutex.Lock()
	key := pod.Namespace + "/" + series
	nth := k.taken[key]
	k.taken[key]++
	k.mutex.Unlock()
	r := run{pod: pod, restarts: restarts, began: began, ends: pod.Annotations[secondsAnnotation] != forever, codes: map[string]int32{}}
	if r.ends {
		seconds, err := number(pod, secondsAnnotation, k.seconds)
		if err != nil {
			return r, err
		}
		r.lasts = inSeconds(seconds)
	}
	for _, each := range pod.Spec.InitContainers {
		code, err := exitCode(pod, exitCodeAnnotation+"."+each.Name, nth)
		if err != nil {
			return r, err
		}
		r.codes[each.Name] = code
	}
	for _, each := range pod.Spec.Containers {
		from := exitCodeAnnotation + "." + each.Name
		if _, own := pod.Annotations[from]; !own {
			from = exitCodeAnnotation
		}
		code, err := exitCode(pod, from, nth)
		if err != nil {
			return r, err
		}
		r.codes[each.Name] = code
	}
	return r, nil
}

// exitCode is the nth of the codes in an annotation; the last goes on for ever, and without any it is 0.
func exitCode(pod *corev1.Pod, annotation string, nth int) (int32, error) {
	text, given := pod.Annotations[annotation]
	if !given {
		return 0, nil
	}
	codes := strings.Split(text, ",")
	code, err := strconv.ParseUint(strings.TrimSpace(codes[min(nth, len(codes)-1)]), 10, 8)
	if err != nil {
		return 0, fmt.Errorf("annotation %s: %q is not a list of exit codes", annotation, text)
	}
	return int32(code), nil
}

func number(pod *corev1.Pod, annotation string, otherwise float64) (float64, error) {
	text, given := pod.Annotations[annotation]
	if !given {
		return otherwise, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value < 0 {
		return 0, fmt.Errorf("annotation %s: %q is not a number of seconds", annotation, text)
	}
	return value, nil
}

func inSeconds(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
