"""Jobs and Pods of a case on the cluster in memory: no controller and no kubelet, they are what the history says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from zenflow_testing.cases import history as h
from zenflow_testing.cases.playing import without_finalizer
from zenflow_testing.cases.pods import (
    ended_status,
    new_pod,
    output_text,
    pod_name,
    running_status,
    told_status,
    with_sidecars,
)
from zenflow_testing.clock import timestamp
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND, Propagation
from zenflow_testing.events import Event, EventType
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.job_controller import completions_of, is_over
from zenflow_testing.kinds import Object

_DYING: Final = "zenflow.testing/dying"
"""Finalizer of a Pod that is told to end and has not ended yet."""


class ToldJobs:
    """Writes what the history tells of Jobs and their Pods, in the place of their controller and the kubelet."""

    def __init__(self, cluster: Cluster, garbage: GarbageCollector, *, namespace: str) -> None:
        self._cluster = cluster
        self._garbage = garbage
        self._namespace = namespace
        self._outputs: dict[str, str] = {}
        """Termination messages that were told, by Job uid."""
        cluster.subscribe(self._saw)

    def play(self, event: h.JobEvent, job: Object) -> None:
        """Let it happen to that Job. Raises Impossible if it cannot."""
        match event:
            case h.JobStarted():
                self._start(job, event)
            case h.JobStatus():
                self._write(job, event.status)
            case h.JobCondition():
                told = (event.type, event.status, event.reason, event.message)
                self._write(job, {"conditions": self._with_condition(job, told)})
            case h.JobComplete():
                self._complete(job)
            case h.JobFailed():
                self._fail(job, event)
            case h.JobUpdated():
                self._cluster.patch_json("Job", self._namespace, job["metadata"]["name"], list(event.json_patch))
            case h.JobDeleted():
                self._delete_job(job)
            case h.JobDeleting():
                self._mark_deleting(job, event.finalizer)
            case h.FinalizerRemoved():
                self._patch("Job", job, without_finalizer(job, event.finalizer))
            case h.PodPhase():
                self._tell_pod(job, event)
            case h.PodGone():
                self._drop_pod(job, event.pod)
            case h.StepOutput():
                self._put_output(job, event)
            case _:
                raise AssertionError(f"an event about a Job that nobody plays: {type(event).__name__}")

    def _write(self, job: Object, status: Mapping[str, Any]) -> None:
        self._cluster.patch_merge(
            "Job", self._namespace, job["metadata"]["name"], {"status": status}, subresource="status"
        )

    @property
    def _at(self) -> str:
        return timestamp(self._cluster.clock.now)

    def _with_condition(self, job: Object, *told: tuple[str, str, str | None, str | None]) -> list[Any]:
        conditions = list(job["status"].get("conditions") or ())
        for type_, status, reason, message in told:
            entry = {"type": type_, "status": status, "lastProbeTime": self._at, "lastTransitionTime": self._at}
            entry |= {} if reason is None else {"reason": reason}
            entry |= {} if message is None else {"message": message}
            conditions = [*(each for each in conditions if each["type"] != type_), entry]
        return conditions

    def _start(self, job: Object, event: h.JobStarted) -> None:
        status: dict[str, Any] = {"active": event.active, "ready": event.active}
        if "startTime" not in job["status"]:
            status["startTime"] = self._at
        self._write(job, status)
        if event.active == 1:
            self._put_pod(job, "p0", running_status(job, at=self._at))

    def _complete(self, job: Object) -> None:
        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        self._end_pods(job, 0)
        status: dict[str, Any] = {
            "succeeded": completions_of(job["spec"]),
            "active": 0,
            "ready": 0,
            "terminating": 0,
            "completionTime": self._at,
            "conditions": self._with_condition(
                job, ("SuccessCriteriaMet", "True", reason, message), ("Complete", "True", reason, message)
            ),
        }
        if "startTime" not in job["status"]:
            status["startTime"] = self._at
        self._write(job, status)

    def _fail(self, job: Object, event: h.JobFailed) -> None:
        self._end_pods(job, event.exit_code)
        message = event.message
        if message is None and event.reason == "BackoffLimitExceeded":
            message = "Job has reached the specified backoff limit"
        told = [(kind, "True", event.reason, message) for kind in ("FailureTarget", "Failed")]
        status: dict[str, Any] = {
            "active": 0,
            "ready": 0,
            "terminating": 0,
            "failed": job["status"].get("failed", 0) + 1,
            "conditions": self._with_condition(job, *told),
        }
        if "startTime" not in job["status"]:
            status["startTime"] = self._at
        self._write(job, status)

    def _patch(self, kind: str, obj: Object, patch: Mapping[str, Any]) -> None:
        self._cluster.patch_merge(kind, self._namespace, obj["metadata"]["name"], patch)

    def _delete_job(self, job: Object) -> None:
        self._cluster.delete("Job", self._namespace, job["metadata"]["name"], propagation=Propagation.BACKGROUND)

    def _mark_deleting(self, job: Object, finalizer: str) -> None:
        """Somebody deletes the Job, and it stays, however empty it is, until the history takes the finalizer off."""
        name = job["metadata"]["name"]
        if finalizer == FOREGROUND:
            self._garbage.pin(job["metadata"]["uid"])
            self._cluster.delete("Job", self._namespace, name, propagation=Propagation.FOREGROUND)
            return
        finalizers = [*(job["metadata"].get("finalizers") or ()), finalizer]
        self._cluster.patch_merge("Job", self._namespace, name, {"metadata": {"finalizers": finalizers}})
        self._cluster.delete("Job", self._namespace, name, propagation=Propagation.BACKGROUND)

    # Pods

    def _pods(self, job: Object) -> tuple[Object, ...]:
        return self._cluster.list(
            "Pod", self._namespace, labels={"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
        ).items

    def _find_pod(self, job: Object, pod: str) -> Object | None:
        return next((each for each in self._pods(job) if each["metadata"]["name"] == pod_name(job, pod)), None)

    def _put_pod(self, job: Object, pod: str, status: Mapping[str, Any], spec: Mapping[str, Any] | None = None) -> None:
        there = self._find_pod(job, pod)
        if there is None:
            made = new_pod(job, pod)
            self._cluster.create(
                "Pod", made | {"spec": spec or made["spec"], "status": status}, namespace=self._namespace
            )
        else:
            self._set_status(there, status)

    def _set_status(self, pod: Object, status: Mapping[str, Any]) -> None:
        operation = {"op": "replace", "path": "/status", "value": status}
        self._cluster.patch_json("Pod", self._namespace, pod["metadata"]["name"], [operation])

    def _end_pods(self, job: Object, exit_code: int) -> None:
        message = self._outputs.get(job["metadata"]["uid"])
        for pod in self._pods(job):
            if pod["status"].get("phase") == "Running":
                ended = ended_status(
                    job, pod["status"], exit_code=exit_code, at=self._at, message=None if exit_code else message
                )
                self._set_status(pod, ended)

    def _tell_pod(self, job: Object, event: h.PodPhase) -> None:
        status = told_status(job, event, at=self._at, message=self._outputs.get(job["metadata"]["uid"]))
        spec = with_sidecars(job["spec"]["template"]["spec"], event)
        self._put_pod(job, event.pod, status, spec)
        if event.deleting:
            pod = self._find_pod(job, event.pod)
            assert pod is not None, "it has just been put there"
            if "deletionTimestamp" not in pod["metadata"]:
                name = pod["metadata"]["name"]
                self._cluster.patch_merge("Pod", self._namespace, name, {"metadata": {"finalizers": [_DYING]}})
                self._cluster.delete("Pod", self._namespace, name)

    def _drop_pod(self, job: Object, pod: str) -> None:
        there = self._find_pod(job, pod)
        if there is None:
            raise h.Impossible(f"Job {job['metadata']['name']} has no Pod {pod}")
        self._let_go(there)
        if self._find_pod(job, pod) is not None:
            self._cluster.delete("Pod", self._namespace, there["metadata"]["name"])

    def _let_go(self, pod: Object) -> None:
        if pod["metadata"].get("finalizers"):
            patch = {"metadata": {"finalizers": None}}
            self._cluster.patch_merge("Pod", self._namespace, pod["metadata"]["name"], patch)

    def _put_output(self, job: Object, event: h.StepOutput) -> None:
        text = output_text(event)
        self._outputs[job["metadata"]["uid"]] = text
        pod = self._find_pod(job, event.pod)
        if pod is not None and pod["status"].get("phase") != "Succeeded":
            return  # it is left behind when the Pod ends
        if pod is None and not is_over(job["status"]):
            self._put_pod(job, event.pod, running_status(job, at=self._at))
            return
        status = pod["status"] if pod is not None else running_status(job, at=self._at)
        self._put_pod(job, event.pod, ended_status(job, status, exit_code=0, at=self._at, message=text))

    def _saw(self, event: Event) -> None:
        """Deleting a Job deletes its Pods, also those that are slow to end: only `HoldDeletes` makes them slow."""
        if event.kind != "Job":
            return
        gone = event.type is EventType.DELETED
        if gone or "deletionTimestamp" in event.object["metadata"]:
            for pod in self._pods(event.object):
                if _DYING in (pod["metadata"].get("finalizers") or ()):
                    self._let_go(pod)
        if gone:
            self._outputs.pop(event.uid, None)
