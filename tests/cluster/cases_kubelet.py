"""Jobs and Pods of a case on a real cluster: we are the kubelet, and what follows for a Job its controller says.

No node runs here, so every Pod waits unscheduled until the history moves it. What the history tells of a Job's
status is brought about by its Pods, or by what a user may change of a Job; then the controller is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from tests.cluster.cases_cluster import LiveNamespace
from zenflow_testing.cases import history as h
from zenflow_testing.cases.history import Impossible
from zenflow_testing.cases.playing import without_finalizer
from zenflow_testing.cases.pods import ended_status, output_text, running_status, told_status
from zenflow_testing.clock import timestamp
from zenflow_testing.deletion import FOREGROUND, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.job_controller import completions_of
from zenflow_testing.kinds import Object

PATIENCE_SECONDS: Final = 12.0
"""How long a real controller is waited for: it makes a new Pod 10 s after one that failed."""

_DYING: Final = "testing.kube-zen.io/dying"
"""Finalizer of a Pod that is slow to end."""

_POLL_SECONDS: Final = 0.05

_T = TypeVar("_T")


class LiveJobs:
    """Plays what the history tells of Jobs and Pods on a real cluster."""

    def __init__(self, live: LiveNamespace) -> None:
        self._live = live
        self._outputs: dict[str, str] = {}
        """Termination messages that were told, by Job uid."""

    def play(self, event: h.JobEvent, job: Object) -> None:
        """Let it happen to that Job. Raises Impossible if it cannot."""
        match event:
            case h.JobStarted():
                self._start(job, event.active)
            case h.JobStatus():
                self._reach(job, event.status)
            case h.JobComplete():
                self._complete(job)
            case h.JobFailed():
                self._fail(job, event)
            case h.JobUpdated():
                name = job["metadata"]["name"]
                self._live.patch_json("Job", self._live.namespace, name, event.json_patch)
            case h.JobDeleted():
                self._delete(job, Propagation.BACKGROUND)
            case h.JobDeleting():
                self._mark_deleting(job, event.finalizer)
            case h.FinalizerRemoved():
                self._take_finalizer(job, event.finalizer)
            case h.PodPhase():
                self._tell_pod(job, event)
            case h.PodGone():
                pod = self._pod(job, event.pod)
                self._live.delete("Pod", self._live.namespace, pod["metadata"]["name"], propagation=None)
            case h.StepOutput():
                self._outputs[job["metadata"]["uid"]] = output_text(event)
            case _:
                raise Impossible(f"only a Job's controller can say it: {type(event).__name__}")

    # Waiting for controllers

    def _eventually(self, look: Callable[[], _T | None], what: str) -> _T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Impossible(f"the controllers did not bring it about within {PATIENCE_SECONDS:g} s: {what}")
            time.sleep(_POLL_SECONDS)

    def _now(self, job: Object) -> Object | None:
        try:
            found = self._live.get("Job", self._live.namespace, job["metadata"]["name"])
        except ApiError:
            return None
        return found if found["metadata"]["uid"] == job["metadata"]["uid"] else None

    def _waits_for(self, job: Object, condition: str) -> None:
        """Wait until the controller says so; a Job that is gone by then has said it to whoever deleted it."""

        def said() -> bool:
            now = self._now(job)
            conditions = () if now is None else now["status"].get("conditions") or ()
            return now is None or any((c["type"], c["status"]) == (condition, "True") for c in conditions)

        self._eventually(said, f"Job {job['metadata']['name']} to be {condition}")

    # Jobs

    def _start(self, job: Object, active: int) -> None:
        for pod in self._pods(job, active)[:active]:
            self._set(pod, running_status(job, at=_at()))

    def _pods(self, job: Object, count: int) -> list[Object]:
        """At least so many Pods of a Job that have not ended."""

        def look() -> list[Object] | None:
            pods = [pod for pod in self._live.pods_of(job) if not _ended(pod)]
            return pods if len(pods) >= count else None

        return self._eventually(look, f"Job {job['metadata']['name']} to have {count} Pods")

    def _reach(self, job: Object, status: Mapping[str, Any]) -> None:
        """Let as many Pods end as that status counts; all else in it the controller says by itself."""
        for member, exit_code in (("succeeded", 0), ("failed", 1)):
            wanted = status.get(member, 0)
            while wanted > _counted(self._live.pods_of(job), exit_code):
                self._end(job, self._pods(job, 1)[0], exit_code)

    def _end(self, job: Object, pod: Object, exit_code: int) -> None:
        message = None if exit_code else self._outputs.get(job["metadata"]["uid"])
        began = pod["status"] if pod["status"].get("phase") == "Running" else running_status(job, at=_at())
        if pod["status"].get("phase") != "Running":
            self._set(pod, began)
        self._set(pod, ended_status(job, began, exit_code=exit_code, at=_at(), message=message))

    def _complete(self, job: Object) -> None:
        wanted = completions_of(job["spec"])
        while wanted > _counted(self._live.pods_of(job), 0):
            self._end(job, self._pods(job, 1)[0], 0)
        self._waits_for(job, "Complete")

    def _fail(self, job: Object, event: h.JobFailed) -> None:
        spec: dict[str, Any] = {}
        match event.reason:
            case "BackoffLimitExceeded":
                # The history says that the limit is reached, and not how often Pods failed for that.
                spec = {"backoffLimit": 0}
            case "DeadlineExceeded":
                spec = {"activeDeadlineSeconds": 1}
        if spec:
            self._live.patch_merge("Job", self._live.namespace, job["metadata"]["name"], {"spec": spec})
        if event.reason != "DeadlineExceeded":
            self._end(job, self._pods(job, 1)[0], event.exit_code)
        self._waits_for(job, "Failed")

    def _delete(self, job: Object, propagation: Propagation) -> None:
        self._live.delete("Job", self._live.namespace, job["metadata"]["name"], propagation=propagation)

    def _mark_deleting(self, job: Object, finalizer: str) -> None:
        """Somebody deletes the Job, and it stays until the history takes the finalizer off."""
        if finalizer == FOREGROUND:
            for pod in self._pods(job, 1):
                self._add_finalizer("Pod", pod, _DYING)
            self._delete(job, Propagation.FOREGROUND)
            return
        self._add_finalizer("Job", job, finalizer)
        self._delete(job, Propagation.BACKGROUND)

    def _add_finalizer(self, kind: str, obj: Object, finalizer: str) -> None:
        finalizers = [*(obj["metadata"].get("finalizers") or ()), finalizer]
        patch = {"metadata": {"finalizers": finalizers}}
        self._live.patch_merge(kind, self._live.namespace, obj["metadata"]["name"], patch)

    def _take_finalizer(self, job: Object, finalizer: str) -> None:
        if finalizer == FOREGROUND:
            # The garbage collector takes it off once the Pods are gone.
            for pod in self._live.pods_of(job):
                patch = without_finalizer(pod, _DYING)
                self._live.patch_merge("Pod", self._live.namespace, pod["metadata"]["name"], patch)
            return
        name = job["metadata"]["name"]
        self._live.patch_merge("Job", self._live.namespace, name, without_finalizer(job, finalizer))

    # Pods

    def _pod(self, job: Object, pod: str) -> Object:
        """The Pod that a case calls `p0`, `p1` and so on: in the order of their creation."""
        index = int(pod.removeprefix("p"))

        def look() -> Object | None:
            pods = self._live.pods_of(job)
            return pods[index] if len(pods) > index else None

        return self._eventually(look, f"Job {job['metadata']['name']} to have a Pod {pod}")

    def _tell_pod(self, job: Object, event: h.PodPhase) -> None:
        pod = self._pod(job, event.pod)
        self._set(pod, told_status(job, event, at=_at(), message=self._outputs.get(job["metadata"]["uid"])))
        if event.deleting:
            self._live.delete("Pod", self._live.namespace, pod["metadata"]["name"], propagation=None)

    def _set(self, pod: Object, status: Mapping[str, Any]) -> None:
        name = pod["metadata"]["name"]
        self._live.patch_merge("Pod", self._live.namespace, name, {"status": status}, subresource="status")


def _at() -> str:
    return timestamp(datetime.now(UTC).replace(microsecond=0))


def _ended(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]


def _counted(pods: list[Object], exit_code: int) -> int:
    phase = "Failed" if exit_code else "Succeeded"
    return sum(pod["status"].get("phase") == phase for pod in pods)
