"""The rest of the world in a simulation: the Job controller, the kubelet, and the people who approve.

`Outcomes` say what happens, and the `World` lets it happen on the cluster when its time has come. It listens
to the cluster's events and keeps a heap of what is due; it never looks at all objects. It writes only in
`run_due`, never from within an event, so that every watcher sees events in the order of their versions.

Each Job, request and Pod waits for one thing at a time, whose number it knows: what has become pointless
(the Job was deleted, suspended, ...) is passed over, and `next_due` does not name it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, TypeAlias, assert_never

from attrs import evolve

from zenflow_core.instants import rfc3339
from zenflow_core.names import OUTPUTS_CONTAINER, approval_key, approver_key, rejection_key
from zenflow_core.reading import main_container, parse_attempt
from zenflow_core.spec import StepName
from zenflow_runtime.answers import too_large
from zenflow_testing import job_controller as controller
from zenflow_testing.artifacts import UPLOAD_EXIT_CODE, moves_artifacts, report_of
from zenflow_testing.clock import EPOCH
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND
from zenflow_testing.demands import NOTHING_ASKED, Demand, message_of
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.job_controller import JOB_TRACKING, SIGTERM_EXIT_CODE, End, JobReason, PodEnd
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import (
    ApprovalGiven,
    ApprovalRefused,
    CalmOutcomes,
    JobEnding,
    NeverDecided,
    Outcomes,
)

GRACE: Final = timedelta(seconds=1)
"""How long a Pod that is told to end takes for it."""

AT_ONCE: Final = timedelta(0)

IGNORED_PODS: Final = 100
"""Failures of one Job's Pods that a podFailurePolicy may ignore. The next one counts: every Job has to end."""

_REFUSALS: Final = frozenset({403})
"""Answers that may come to a write which is right. Any other is our own bug."""


class PodDetail(Enum):
    """Which Jobs get a Pod object. Without one a Job behaves the same, at a third of the cost."""

    ALWAYS = "always"
    WHEN_READ = "when read"
    """Only Jobs of steps from whose result something is read, and Jobs that are deleted while they run."""


class _Stage(Enum):
    """Where a Job is in its life."""

    NEW = "new"
    SUSPENDED = "suspended"
    RUNNING = "running"
    STOPPING = "stopping"
    """Its end is decided, and its Pods are on their way out."""
    UNCOUNTED = "uncounted"
    """Its Pods have ended, and its controller has yet to say what follows from that."""
    OVER = "over"


class _Plot:
    """Something that waits for what the happening number `due` will bring; 0: for nothing."""

    __slots__ = ("due",)

    def __init__(self) -> None:
        self.due = 0


class _Life(_Plot):
    """A Job of ours."""

    __slots__ = (
        "attempt",
        "deleting",
        "end",
        "ending",
        "flow_uid",
        "goal",
        "ignored",
        "moves_artifacts",
        "name",
        "namespace",
        "next",
        "pod",
        "pods",
        "spec",
        "stage",
        "started_at",
        "step",
        "uid",
    )

    def __init__(self, job: Object, step: StepName, *, flow_uid: str, attempt: int) -> None:
        super().__init__()
        metadata = job["metadata"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.uid: str = metadata["uid"]
        self.step = step
        self.flow_uid = flow_uid
        self.attempt = attempt
        self.spec: Mapping[str, Any] = job["spec"]
        self.moves_artifacts = moves_artifacts(job["spec"]["template"]["spec"])
        self.stage = _Stage.NEW
        self.started_at = EPOCH
        self.deleting = False
        self.ending = JobEnding()
        self.next: Callable[[_Life, Object], None]
        """What happens when it is time, if anything is due."""
        self.goal: tuple[datetime, Callable[[_Life, Object], None]] | None = None
        """When and how the present run ends, if nothing comes between."""
        self.end = PodEnd(0)
        """While UNCOUNTED, how its Pod has ended."""
        self.pod = ""
        """Name of the Pod object; empty if there is none now."""
        self.pods = 0
        """How many Pods the Job has had, with or without an object."""
        self.ignored = 0


class _DyingPod(_Plot):
    """A Pod that has been told to end."""

    __slots__ = ("name", "namespace", "uid")

    def __init__(self, namespace: str, name: str, uid: str) -> None:
        super().__init__()
        self.namespace = namespace
        self.name = name
        self.uid = uid


class _Request(_Plot):
    """A step that somebody has been asked to approve."""

    __slots__ = ("decision", "name", "namespace", "step")

    def __init__(self, flow: Object, step: str, decision: ApprovalGiven | ApprovalRefused) -> None:
        super().__init__()
        metadata = flow["metadata"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.step = step
        self.decision = decision


_Happening: TypeAlias = "tuple[datetime, int, _Plot, Callable[[Any], None]]"


class World:
    """Plays outcomes on a cluster. Attach it before any Job is created; then `run_due` at every `next_due`.

    Jobs go the way of a real cluster of the version `cluster.version`: conditions in the same order, with
    the same reasons. Every Job of a JobFlow is played; other Jobs are not touched.

    `demands` (`demands.demands_of`) say what results the flow needs, `pods` which Jobs get a Pod object.
    A deleted Pod takes `grace` to end. `sync_delay` is how long after its Pods' end a Job says so: a real
    controller takes a second, or looks at once if the Job's spec is changed meanwhile.

    At one instant call `run_due` before the garbage collector's: a Job without Pod object that is deleted in
    the foreground gets one then, to wait for. Two worlds that are told the same do the same, byte for byte.
    A Job costs about 80 us for its whole life, with a Pod 270 us, most of it the writes.
    """

    def __init__(
        self,
        cluster: Cluster,
        outcomes: Outcomes | None = None,
        *,
        demands: Mapping[StepName, Demand] | None = None,
        pods: PodDetail = PodDetail.WHEN_READ,
        grace: timedelta = GRACE,
        sync_delay: timedelta = AT_ONCE,
    ) -> None:
        self._cluster = cluster
        self._outcomes: Outcomes = CalmOutcomes() if outcomes is None else outcomes
        self._demands: Mapping[StepName, Demand] = demands or {}
        self._pods = pods
        self._grace = _whole(grace)
        self._sync_delay = _whole(sync_delay)
        self._happenings: list[_Happening] = []
        self._count = 0
        self._lives: dict[str, _Life] = {}
        self._dying: dict[str, _DyingPod] = {}
        self._requests: dict[str, dict[str, _Request | None]] = {}
        self._ignored: dict[tuple[str, str], int] = {}
        self._detach = cluster.subscribe(self._saw)

    def close(self) -> None:
        """Stop listening; what is due already stays due."""
        self._detach()

    # What is due

    def next_due(self) -> datetime | None:
        """When the world next wants to do something; None if nothing is in sight. May be in the past."""
        happenings = self._happenings
        while happenings and happenings[0][2].due != happenings[0][1]:
            heapq.heappop(happenings)
        return happenings[0][0] if happenings else None

    def run_due(self) -> int:
        """Do all that is due now, and what becomes due at once by that, in the order it became due.

        Returns how many things happened. A write that the server refuses (an object too large, a namespace
        that is going, an admission policy) does not happen, and what would have followed does not either.
        """
        happenings, done = self._happenings, 0
        if not happenings or happenings[0][0] > self._cluster.clock.now:
            return 0
        with self._cluster.without_hooks():
            while happenings and happenings[0][0] <= self._cluster.clock.now:
                _, number, plot, act = heapq.heappop(happenings)
                if plot.due != number:
                    continue
                plot.due = 0
                done += 1
                try:
                    act(plot)
                except ApiError as refusal:
                    if refusal.code not in _REFUSALS and not too_large(refusal):
                        raise
        return done

    def _schedule(self, plot: _Plot, at: datetime, act: Callable[[Any], None]) -> None:
        """Let `plot` wait for this and for nothing else."""
        self._count += 1
        plot.due = self._count
        # The number keeps the order of what happens at one instant, and keeps the heap from comparing plots.
        heapq.heappush(self._happenings, (at, self._count, plot, act))

    # What the world is asked

    def approval_asked(self, flow: Object, step: str, *, at: datetime) -> None:
        """Tell the world that a stored flow waits for the approval of a step since `at`. Once is enough.

        When its time has come the annotation is set that approves or rejects it.
        """
        requests = self._requests.setdefault(flow["metadata"]["uid"], {})
        if step in requests:
            return
        match self._outcomes.approval(step):
            case NeverDecided():
                requests[step] = None
            case ApprovalGiven() | ApprovalRefused() as decision:
                request = requests[step] = _Request(flow, step, decision)
                self._schedule(request, at + _whole(decision.after), self._decide)
            case never:
                assert_never(never)

    def config_map_value(self, name: str, key: str, *, namespace: str = "default") -> str | None:
        """The value of a key: that of the object in the cluster, else what the outcomes say; None: no such key."""
        with self._cluster.without_hooks():
            try:
                value = (self._cluster.get("ConfigMap", namespace, name).get("data") or {}).get(key)
            except ApiError:
                value = None
        return value if isinstance(value, str) else self._outcomes.config_map(name, key)

    def _decide(self, request: _Request) -> None:
        metadata = self._cluster.get("JobFlow", request.namespace, request.name)["metadata"]
        given = metadata.get("annotations") or {}
        approved, rejected = approval_key(request.step), rejection_key(request.step)
        if approved in given or rejected in given:
            return
        match request.decision:
            case ApprovalGiven(by=by):
                annotations = {approved: "true"}
            case ApprovalRefused(why=why, by=by):
                annotations = {rejected: why}
            case never:
                assert_never(never)
        if by:
            annotations[approver_key(request.step)] = by
        self._cluster.patch_merge(
            "JobFlow", request.namespace, request.name, {"metadata": {"annotations": annotations}}
        )

    # What events make due

    def _saw(self, event: Event) -> None:
        if event.kind == "Job":
            if event.type is EventType.ADDED:
                self._job_added(event)
                return
            life = self._lives.get(event.object["metadata"]["uid"])
            if life is None:
                return
            if event.type is EventType.DELETED:
                life.due = 0
                del self._lives[life.uid]
            else:
                self._job_modified(life, event)
        elif event.kind == "Pod":
            if event.type is EventType.DELETED:
                self._pod_gone(event)
            elif event.type is EventType.MODIFIED:
                self._pod_modified(event)
        elif event.kind == "JobFlow" and event.type is EventType.DELETED:
            for request in self._requests.pop(event.uid, {}).values():
                if request is not None:
                    request.due = 0

    def _job_added(self, event: Event) -> None:
        identity = parse_attempt(event.object)
        if identity is None:
            return
        life = _Life(event.object, identity.step, flow_uid=identity.flow_uid, attempt=identity.attempt)
        self._lives[life.uid] = life
        self._plan(life, event.at, self._begin)

    def _job_modified(self, life: _Life, event: Event) -> None:
        job = event.object
        if life.stage is _Stage.OVER:
            return
        if "deletionTimestamp" in job["metadata"] and not life.deleting:
            # In the background a Job's Pods go on until it is gone; in the foreground they go first.
            if FOREGROUND in (job["metadata"].get("finalizers") or ()):
                life.deleting = True
                if life.stage is _Stage.RUNNING and life.pods and not life.pod:
                    self._plan(life, event.at, self._linger)
                else:
                    life.due = 0
            return
        if life.deleting or job["spec"] is life.spec:
            return
        life.spec = job["spec"]
        suspend = life.spec.get("suspend") is True
        match life.stage:
            case _Stage.SUSPENDED if not suspend:
                self._plan(life, event.at, self._begin)
            case _Stage.RUNNING if suspend:
                self._plan(life, event.at, self._suspend)
            case _Stage.UNCOUNTED:
                # A new generation makes the controller look at once.
                self._plan(life, event.at, self._sync)
            case _:
                pass

    def _pod_modified(self, event: Event) -> None:
        metadata = event.object["metadata"]
        uid = metadata["uid"]
        if "deletionTimestamp" not in metadata or JOB_TRACKING not in (metadata.get("finalizers") or ()):
            return
        if uid not in self._dying:
            dying = self._dying[uid] = _DyingPod(metadata["namespace"], metadata["name"], uid)
            self._schedule(dying, event.at + self._grace, self._release)

    def _pod_gone(self, event: Event) -> None:
        metadata = event.object["metadata"]
        dying = self._dying.pop(metadata["uid"], None)
        if dying is not None:
            dying.due = 0
        for owner in metadata.get("ownerReferences") or ():
            life = self._lives.get(owner["uid"])
            if life is not None and life.pod == metadata["name"]:
                life.pod = ""
                if life.stage is _Stage.RUNNING and not life.deleting:
                    self._plan(life, event.at, self._killed)

    # A Job's life

    def _plan(self, life: _Life, at: datetime, act: Callable[[_Life, Object], None]) -> None:
        """Let this happen next to a Job."""
        life.next = act
        self._schedule(life, at, self._play)

    def _play(self, life: _Life) -> None:
        job = self._cluster.get("Job", life.namespace, life.name)
        if controller.is_over(job["status"]):
            # Somebody else has written its end.
            life.stage = _Stage.OVER
        else:
            life.next(life, job)

    def _write(self, life: _Life, status: Mapping[str, Any]) -> None:
        # A merge patch costs more, and cannot take a field away without naming it.
        operation = {"op": "replace", "path": "/status", "value": status}
        self._cluster.patch_json("Job", life.namespace, life.name, [operation], subresource="status")

    def _begin(self, life: _Life, job: Object) -> None:
        """Start the Job's Pods, unless it is suspended."""
        spec = life.spec = job["spec"]
        if spec.get("suspend") is True:
            self._suspend(life, job)
            return
        now = self._cluster.clock.now
        life.stage, life.started_at = _Stage.RUNNING, now
        pods = controller.pods_at_once(spec)
        if not pods:
            status = controller.started(job["status"], spec, at=rfc3339(now), ready=0)
            self._write(life, status)
            # No completions are reached already; without parallelism nothing ever runs.
            if spec.get("completions") == 0:
                self._conclude(life, controller.success_of(spec, self._cluster.version), status)
            return
        life.ending = self._next_ending(life)
        if self._has_pod(life):
            self._write(life, controller.started(job["status"], spec, at=rfc3339(now), ready=0))
            self._create_pod(life, job)
        self._write(life, controller.started(job["status"], spec, at=rfc3339(now), ready=pods))
        life.pods += 1
        self._run(life)

    def _has_pod(self, life: _Life) -> bool:
        return self._pods is PodDetail.ALWAYS or life.step in self._demands or life.moves_artifacts

    def _next_ending(self, life: _Life) -> JobEnding:
        return self._outcomes.job(life.step, life.attempt + self._ignored.get((life.flow_uid, life.step), 0))

    def _create_pod(self, life: _Life, job: Object) -> None:
        """Let the Job's next Pod appear and run."""
        pod = controller.new_pod(job, life.pods)
        name = pod["metadata"]["name"]
        self._cluster.create("Pod", pod, namespace=life.namespace)
        life.pod = name
        status = controller.running(pod["spec"], at=rfc3339(self._cluster.clock.now))
        self._cluster.patch_json("Pod", life.namespace, name, [{"op": "replace", "path": "/status", "value": status}])

    def _run(self, life: _Life) -> None:
        """Wait for the end of the Pod that has just started, or for the Job's own deadline if that is sooner."""
        now = self._cluster.clock.now
        end = now + _whole(life.ending.after)
        seconds = life.spec.get("activeDeadlineSeconds")
        # In seconds: a deadline may lie beyond the last date there is.
        if seconds is not None and (end - life.started_at).total_seconds() > seconds:
            life.goal = max(life.started_at + timedelta(seconds=seconds), now), self._past_deadline
        else:
            life.goal = end, self._finish
        self._plan(life, *life.goal)

    def _finish(self, life: _Life, job: Object) -> None:
        """The Pod ends as its outcome says."""
        ending = life.ending
        end = PodEnd(ending.exit_code, self._message(life), reason=ending.reason, disruption=ending.disruption)
        if life.moves_artifacts and not ending.exit_code:
            end = self._stored(life, job, end)
        if life.pod:
            self._end_pod(life.namespace, life.pod, end)
        self._pod_ended(life, job, end=end)

    def _stored(self, life: _Life, job: Object, end: PodEnd) -> PodEnd:
        """The end of a Pod whose main container has succeeded, so that its artifacts are stored."""
        report = report_of(
            job["spec"]["template"]["spec"],
            flow_uid=life.flow_uid,
            step=life.step,
            attempt=life.attempt,
            said=life.ending.artifacts,
        )
        if report is None:
            return end
        if life.ending.upload_failure:
            report = UPLOAD_EXIT_CODE, life.ending.upload_failure
        return evolve(end, exit_code=report[0], transfer=report[1])

    def _message(self, life: _Life) -> str:
        """The termination message of a run."""
        ending = life.ending
        if ending.message is not None:
            return ending.message
        demand = self._demands.get(life.step)
        if ending.outputs is None and (demand is None or ending.exit_code):
            return ""
        result = (demand or NOTHING_ASKED).result(ending.outputs or {})
        return "" if result == {} else message_of(result)

    def _end_pod(self, namespace: str, name: str, end: PodEnd) -> None:
        """Write a Pod's end, and let the Job count it. One that was deleted is gone by that."""
        pod = self._cluster.get("Pod", namespace, name)
        at = rfc3339(self._cluster.clock.now)
        status = controller.terminated(pod["spec"], pod["status"], end, at=at)
        operations: list[dict[str, Any]] = [{"op": "replace", "path": "/status", "value": status}]
        finalizers = pod["metadata"].get("finalizers") or ()
        if JOB_TRACKING in finalizers:
            others = [each for each in finalizers if each != JOB_TRACKING]
            operations.append({"op": "replace", "path": "/metadata/finalizers", "value": others})
        self._cluster.patch_json("Pod", namespace, name, operations)

    def _pod_ended(self, life: _Life, job: Object, *, end: PodEnd) -> None:
        life.stage, life.end = _Stage.UNCOUNTED, end
        if self._sync_delay:
            self._plan(life, self._cluster.clock.now + self._sync_delay, self._sync)
        else:
            self._sync(life, job)

    def _sync(self, life: _Life, job: Object) -> None:
        """The controller sees that the Pod has ended, and what follows for the Job."""
        spec, end = job["spec"], life.end
        if not end.exit_code:
            success = controller.success_of(spec, self._cluster.version)
            self._conclude(life, success, controller.counted(job["status"], spec, end))
            return
        verdict = controller.verdict(
            spec,
            end,
            container=main_container(spec["template"]["spec"]) if end.transfer is None else OUTPUTS_CONTAINER,
            pod=f"{life.namespace}/{controller.pod_name(life.name, life.pods - 1)}",
        )
        if verdict is None:
            if life.ignored < IGNORED_PODS:
                self._replace_pod(life, job)
                return
            verdict = controller.failure_of(JobReason.BACKOFF_LIMIT_EXCEEDED)
        self._conclude(life, verdict, controller.counted(job["status"], spec, end))

    def _replace_pod(self, life: _Life, job: Object) -> None:
        """Another Pod in place of one whose failure is ignored; it is the step's next run."""
        life.ignored += 1
        runs = life.flow_uid, life.step
        self._ignored[runs] = self._ignored.get(runs, 0) + 1
        if job["spec"].get("suspend") is True:
            self._suspend(life, job)
            return
        life.ending, life.stage = self._next_ending(life), _Stage.RUNNING
        if self._has_pod(life):
            self._write(life, {**job["status"], "ready": 0})
            self._create_pod(life, job)
            self._write(life, job["status"])
        life.pods += 1
        self._run(life)

    def _conclude(self, life: _Life, end: End, status: Mapping[str, Any]) -> None:
        """Write the Job's end, and before it that it is near where this version says so."""
        at = rfc3339(self._cluster.clock.now)
        if controller.announces(self._cluster.version, end):
            status = controller.announced(status, end, at=at)
            self._write(life, status)
        self._write(life, controller.ended(status, end, at=at))
        life.stage = _Stage.OVER

    def _past_deadline(self, life: _Life, job: Object) -> None:
        """The Job has outlived its activeDeadlineSeconds: its Pods are told to end."""
        end = controller.failure_of(JobReason.DEADLINE_EXCEEDED)
        status = controller.stopped(job["status"], terminating=controller.pods_at_once(job["spec"]))
        at = rfc3339(self._cluster.clock.now)
        if controller.announces(self._cluster.version, end):
            life.stage = _Stage.STOPPING
            self._write(life, controller.announced(status, end, at=at))
            self._delete_pod(life)
            self._plan(life, self._cluster.clock.now + self._grace, self._stopped)
        else:
            # Versions before 1.31 did not wait for the Pods.
            life.stage = _Stage.OVER
            status["failed"] = status.get("failed", 0) + 1
            self._write(life, controller.ended(status, end, at=at))
            self._delete_pod(life)

    def _stopped(self, life: _Life, job: Object) -> None:
        """The last Pod of a Job past its deadline has ended."""
        status = controller.counted(job["status"], job["spec"], PodEnd(SIGTERM_EXIT_CODE))
        end = controller.failure_of(JobReason.DEADLINE_EXCEEDED)
        self._write(life, controller.ended(status, end, at=rfc3339(self._cluster.clock.now)))
        life.stage = _Stage.OVER

    def _suspend(self, life: _Life, job: Object) -> None:
        """The Job has no Pods while it is suspended; who suspended it may resume it."""
        if job["spec"].get("suspend") is not True:
            # It was resumed before anybody looked: nothing has happened.
            if life.goal is not None:
                self._plan(life, *life.goal)
            return
        now = self._cluster.clock.now
        life.stage = _Stage.SUSPENDED
        self._write(life, controller.suspended(job["status"], at=rfc3339(now)))
        self._delete_pod(life)
        delay = self._outcomes.suspended(life.step)
        if delay is not None:
            self._plan(life, now + _whole(delay), self._resume)

    def _resume(self, life: _Life, _: Object) -> None:
        operation = {"op": "replace", "path": "/spec/suspend", "value": False}
        self._cluster.patch_json("Job", life.namespace, life.name, [operation])

    # Pods that are told to end

    def _delete_pod(self, life: _Life) -> None:
        name, life.pod = life.pod, ""
        if name:
            self._cluster.delete("Pod", life.namespace, name)

    def _release(self, pod: _DyingPod) -> None:
        """The grace period of a deleted Pod is over."""
        self._end_pod(pod.namespace, pod.name, PodEnd(SIGTERM_EXIT_CODE))

    def _killed(self, life: _Life, job: Object) -> None:
        """Somebody has deleted the Pod of a Job that was not done."""
        self._pod_ended(life, job, end=PodEnd(SIGTERM_EXIT_CODE))

    def _linger(self, life: _Life, job: Object) -> None:
        """A Job that is deleted in the foreground while it runs has a Pod to wait for."""
        life.pods -= 1
        self._create_pod(life, job)
        life.pods += 1


def _whole(duration: timedelta) -> timedelta:
    """Rounded up to whole seconds, as the API knows no others."""
    return duration if not duration.microseconds else timedelta(duration.days, duration.seconds + 1)
