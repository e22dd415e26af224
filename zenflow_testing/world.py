"""The rest of the world in a simulation: the Job controller, the kubelet, and the people who approve.

`Outcomes` say what happens, and the `World` lets it happen on the cluster when its time has come. It listens
to the cluster's events and keeps a heap of what is due; it never looks at all objects. It writes only in
`run_due`, never from within an event, so that every watcher sees events in the order of their versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from zenflow_core.instants import rfc3339
from zenflow_core.names import OUTPUTS_CONTAINER
from zenflow_core.reading import main_container, parse_attempt
from zenflow_core.spec import StepName
from zenflow_testing import job_controller as controller
from zenflow_testing.agenda import Agenda, whole
from zenflow_testing.approvers import Approvers
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND
from zenflow_testing.demands import Demand
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.job_controller import JOB_TRACKING, SIGTERM_EXIT_CODE, End, JobReason, PodEnd
from zenflow_testing.kinds import Object
from zenflow_testing.kubelet import Kubelet
from zenflow_testing.lives import DyingPod, JobStage, Life
from zenflow_testing.outcomes import (
    CalmOutcomes,
    JobEnding,
    Outcomes,
)

GRACE: Final = timedelta(seconds=1)
"""How long a Pod that is told to end takes for it."""

AT_ONCE: Final = timedelta(0)

IGNORED_PODS: Final = 100
"""Failures of one Job's Pods that a podFailurePolicy may ignore. The next one counts: every Job has to end."""


class PodDetail(Enum):
    """Which Jobs get a Pod object. Without one a Job behaves the same, at a third of the cost."""

    ALWAYS = "always"
    WHEN_READ = "when read"
    """Only Jobs of steps from whose result something is read, and Jobs that are deleted while they run."""


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
        self._grace = whole(grace)
        self._sync_delay = whole(sync_delay)
        self._kubelet = Kubelet(cluster, self._demands)
        self._agenda = Agenda(cluster)
        self._approvers = Approvers(cluster, self._outcomes, self._agenda)
        self._lives: dict[str, Life] = {}
        self._dying: dict[str, DyingPod] = {}
        self._ignored: dict[tuple[str, str], int] = {}
        self._detach = cluster.subscribe(self._saw)

    def close(self) -> None:
        """Stop listening; what is due already stays due."""
        self._detach()

    # What is due

    def next_due(self) -> datetime | None:
        """When the world next wants to do something; None if nothing is in sight. May be in the past."""
        return self._agenda.next_due()

    def run_due(self) -> int:
        """Do all that is due now, and what becomes due at once by that, in the order it became due.

        Returns how many things happened. A write that the server refuses (an object too large, a namespace
        that is going, an admission policy) does not happen, and what would have followed does not either.
        """
        return self._agenda.run_due()

    # What the world is asked

    def approval_asked(self, flow: Object, step: str, *, at: datetime) -> None:
        """Tell the world that a stored flow waits for the approval of a step since `at`. Once is enough.

        When its time has come the annotation is set that approves or rejects it.
        """
        self._approvers.asked(flow, step, at=at)

    def config_map_value(self, name: str, key: str, *, namespace: str = "default") -> str | None:
        """The value of a key: that of the object in the cluster, else what the outcomes say; None: no such key."""
        with self._cluster.without_hooks():
            try:
                value = (self._cluster.get("ConfigMap", namespace, name).get("data") or {}).get(key)
            except ApiError:
                value = None
        return value if isinstance(value, str) else self._outcomes.config_map(name, key)

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
            self._approvers.flow_is_gone(event.uid)

    def _job_added(self, event: Event) -> None:
        identity = parse_attempt(event.object)
        if identity is None:
            return
        life = Life(event.object, identity.step, flow_uid=identity.flow_uid, attempt=identity.attempt)
        self._lives[life.uid] = life
        self._plan(life, event.at, self._begin)

    def _job_modified(self, life: Life, event: Event) -> None:
        job = event.object
        if life.stage is JobStage.OVER:
            return
        if "deletionTimestamp" in job["metadata"] and not life.deleting:
            # In the background a Job's Pods go on until it is gone; in the foreground they go first.
            if FOREGROUND in (job["metadata"].get("finalizers") or ()):
                life.deleting = True
                if life.stage is JobStage.RUNNING and life.pods and not life.pod:
                    self._plan(life, event.at, self._linger)
                else:
                    life.due = 0
            return
        if life.deleting or job["spec"] is life.spec:
            return
        life.spec = job["spec"]
        suspend = life.spec.get("suspend") is True
        match life.stage:
            case JobStage.SUSPENDED if not suspend:
                self._plan(life, event.at, self._begin)
            case JobStage.RUNNING if suspend:
                self._plan(life, event.at, self._suspend)
            case JobStage.UNCOUNTED:
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
            dying = self._dying[uid] = DyingPod(metadata["namespace"], metadata["name"], uid)
            self._agenda.schedule(dying, event.at + self._grace, self._release)

    def _pod_gone(self, event: Event) -> None:
        metadata = event.object["metadata"]
        dying = self._dying.pop(metadata["uid"], None)
        if dying is not None:
            dying.due = 0
        for owner in metadata.get("ownerReferences") or ():
            life = self._lives.get(owner["uid"])
            if life is not None and life.pod == metadata["name"]:
                life.pod = ""
                if life.stage is JobStage.RUNNING and not life.deleting:
                    self._plan(life, event.at, self._killed)

    # A Job's life

    def _plan(self, life: Life, at: datetime, act: Callable[[Life, Object], None]) -> None:
        """Let this happen next to a Job."""
        life.next = act
        self._agenda.schedule(life, at, self._play)

    def _play(self, life: Life) -> None:
        job = self._cluster.get("Job", life.namespace, life.name)
        if controller.is_over(job["status"]):
            # Somebody else has written its end.
            life.stage = JobStage.OVER
        else:
            life.next(life, job)

    def _write(self, life: Life, status: Mapping[str, Any]) -> None:
        # A merge patch costs more, and cannot take a field away without naming it.
        operation = {"op": "replace", "path": "/status", "value": status}
        self._cluster.patch_json("Job", life.namespace, life.name, [operation], subresource="status")

    def _begin(self, life: Life, job: Object) -> None:
        """Start the Job's Pods, unless it is suspended."""
        spec = life.spec = job["spec"]
        if spec.get("suspend") is True:
            self._suspend(life, job)
            return
        now = self._cluster.clock.now
        life.stage, life.started_at = JobStage.RUNNING, now
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
            self._kubelet.start(life, job)
        self._write(life, controller.started(job["status"], spec, at=rfc3339(now), ready=pods))
        life.pods += 1
        self._run(life)

    def _has_pod(self, life: Life) -> bool:
        return self._pods is PodDetail.ALWAYS or life.step in self._demands or life.moves_artifacts

    def _next_ending(self, life: Life) -> JobEnding:
        return self._outcomes.job(life.step, life.attempt + self._ignored.get((life.flow_uid, life.step), 0))

    def _run(self, life: Life) -> None:
        """Wait for the end of the Pod that has just started, or for the Job's own deadline if that is sooner."""
        now = self._cluster.clock.now
        end = now + whole(life.ending.after)
        seconds = life.spec.get("activeDeadlineSeconds")
        # In seconds: a deadline may lie beyond the last date there is.
        if seconds is not None and (end - life.started_at).total_seconds() > seconds:
            life.goal = max(life.started_at + timedelta(seconds=seconds), now), self._past_deadline
        else:
            life.goal = end, self._finish
        self._plan(life, *life.goal)

    def _finish(self, life: Life, job: Object) -> None:
        """The Pod ends as its outcome says."""
        end = self._kubelet.ending(life, job)
        if life.pod:
            self._kubelet.end(life.namespace, life.pod, end)
        self._pod_ended(life, job, end=end)

    def _pod_ended(self, life: Life, job: Object, *, end: PodEnd) -> None:
        life.stage, life.end = JobStage.UNCOUNTED, end
        if self._sync_delay:
            self._plan(life, self._cluster.clock.now + self._sync_delay, self._sync)
        else:
            self._sync(life, job)

    def _sync(self, life: Life, job: Object) -> None:
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

    def _replace_pod(self, life: Life, job: Object) -> None:
        """Another Pod in place of one whose failure is ignored; it is the step's next run."""
        life.ignored += 1
        runs = life.flow_uid, life.step
        self._ignored[runs] = self._ignored.get(runs, 0) + 1
        if job["spec"].get("suspend") is True:
            self._suspend(life, job)
            return
        life.ending, life.stage = self._next_ending(life), JobStage.RUNNING
        if self._has_pod(life):
            self._write(life, {**job["status"], "ready": 0})
            self._kubelet.start(life, job)
            self._write(life, job["status"])
        life.pods += 1
        self._run(life)

    def _conclude(self, life: Life, end: End, status: Mapping[str, Any]) -> None:
        """Write the Job's end, and before it that it is near where this version says so."""
        at = rfc3339(self._cluster.clock.now)
        if controller.announces(self._cluster.version, end):
            status = controller.announced(status, end, at=at)
            self._write(life, status)
        self._write(life, controller.ended(status, end, at=at))
        life.stage = JobStage.OVER

    def _past_deadline(self, life: Life, job: Object) -> None:
        """The Job has outlived its activeDeadlineSeconds: its Pods are told to end."""
        end = controller.failure_of(JobReason.DEADLINE_EXCEEDED)
        status = controller.stopped(job["status"], terminating=controller.pods_at_once(job["spec"]))
        at = rfc3339(self._cluster.clock.now)
        if controller.announces(self._cluster.version, end):
            life.stage = JobStage.STOPPING
            self._write(life, controller.announced(status, end, at=at))
            self._delete_pod(life)
            self._plan(life, self._cluster.clock.now + self._grace, self._stopped)
        else:
            # Versions before 1.31 did not wait for the Pods.
            life.stage = JobStage.OVER
            status["failed"] = status.get("failed", 0) + 1
            self._write(life, controller.ended(status, end, at=at))
            self._delete_pod(life)

    def _stopped(self, life: Life, job: Object) -> None:
        """The last Pod of a Job past its deadline has ended."""
        status = controller.counted(job["status"], job["spec"], PodEnd(SIGTERM_EXIT_CODE))
        end = controller.failure_of(JobReason.DEADLINE_EXCEEDED)
        self._write(life, controller.ended(status, end, at=rfc3339(self._cluster.clock.now)))
        life.stage = JobStage.OVER

    def _suspend(self, life: Life, job: Object) -> None:
        """The Job has no Pods while it is suspended; who suspended it may resume it."""
        if job["spec"].get("suspend") is not True:
            # It was resumed before anybody looked: nothing has happened.
            if life.goal is not None:
                self._plan(life, *life.goal)
            return
        now = self._cluster.clock.now
        life.stage = JobStage.SUSPENDED
        self._write(life, controller.suspended(job["status"], at=rfc3339(now)))
        self._delete_pod(life)
        delay = self._outcomes.suspended(life.step)
        if delay is not None:
            self._plan(life, now + whole(delay), self._resume)

    def _resume(self, life: Life, _: Object) -> None:
        operation = {"op": "replace", "path": "/spec/suspend", "value": False}
        self._cluster.patch_json("Job", life.namespace, life.name, [operation])

    # Pods that are told to end

    def _delete_pod(self, life: Life) -> None:
        name, life.pod = life.pod, ""
        if name:
            self._cluster.delete("Pod", life.namespace, name)

    def _release(self, pod: DyingPod) -> None:
        """The grace period of a deleted Pod is over."""
        self._kubelet.end(pod.namespace, pod.name, PodEnd(SIGTERM_EXIT_CODE))

    def _killed(self, life: Life, job: Object) -> None:
        """Somebody has deleted the Pod of a Job that was not done."""
        self._pod_ended(life, job, end=PodEnd(SIGTERM_EXIT_CODE))

    def _linger(self, life: Life, job: Object) -> None:
        """A Job that is deleted in the foreground while it runs has a Pod to wait for."""
        life.pods -= 1
        self._kubelet.start(life, job)
        life.pods += 1
