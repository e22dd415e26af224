"""Lets the events of a case happen: the users, the Job controller and the kubelet, as far as the history has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, assert_never

from attrs import define, evolve

from zenflow_core.names import approval_key, is_qualified_name
from zenflow_core.problems import Problem
from zenflow_core.reading import group_of
from zenflow_core.source import load_documents
from zenflow_testing.cases import history as h
from zenflow_testing.cases.client import Faults, Foreign
from zenflow_testing.cases.journal import CreatedJob, Journal
from zenflow_testing.cases.pods import ended_status, new_pod, pod_name, running_status, told_status, with_sidecars
from zenflow_testing.clock import timestamp
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.job_controller import completions_of, is_over
from zenflow_testing.kinds import Object

NAMESPACE: Final = "default"

FIRST_UID: Final = "0a0a0a0a-0000-4000-8000-000000000001"
"""metadata.uid of the flow of the file."""

_DYING: Final = "zenflow.testing/dying"
"""Finalizer of a Pod that is told to end and has not ended yet."""


class Impossible(Exception):  # noqa: N818 - a fact about a case, carried to whoever reports it
    """The event cannot happen: what it is about is not there, or the server refuses it."""


@define
class Refusal:
    """A flow that the API server did not take."""

    message: str


class Stage:
    """The cluster as the history moves it."""

    def __init__(self, cluster: Cluster, garbage: GarbageCollector, journal: Journal, *, faults: Faults) -> None:
        self._cluster = cluster
        self._garbage = garbage
        self._journal = journal
        self._faults = faults
        self.main = ""
        """Name of the flow of the file."""
        self.refused: dict[str, Refusal] = {}
        """Flows that were not admitted, by name."""
        self._outputs: dict[str, str] = {}
        """Termination messages that were told, by Job uid."""
        cluster.subscribe(self._saw)

    # Flows

    def name_main(self, manifest: Mapping[str, Any] | None, text: str | None) -> None:
        """Know the name of the flow of the file before it exists: events may be about it already."""
        if text is not None:
            documents = load_documents(text, file="flowText")
            manifest = documents[0].data if not isinstance(documents[0], Problem) else {}
        self.main = _name_in(manifest or {})

    def create_main(self, manifest: Mapping[str, Any] | None, text: str | None) -> None:
        """The flow of the file is created."""
        self._cluster.preset_uid("JobFlow", FIRST_UID)
        self.main = self._create(manifest, text, same_as=None)

    def _create(self, manifest: Mapping[str, Any] | None, text: str | None, *, same_as: str | None) -> str:
        if text is not None:
            documents = load_documents(text, file="flowText")
            problems = [each for each in documents if isinstance(each, Problem)]
            if problems:
                self.refused[""] = Refusal("\n".join(map(str, problems)))
                return ""
            document = documents[0]
            assert not isinstance(document, Problem), "problems were told above"
            manifest = document.data
        assert manifest is not None, "the format wants one or the other"
        if same_as is not None:
            manifest = self._in_group_of(same_as, manifest)
        named = _name_in(manifest)
        try:
            flow = self._cluster.create("JobFlow", manifest, namespace=NAMESPACE)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                raise Impossible(f"flow {named} exists already: it has not been deleted, or is not gone yet") from error
            self.refused[named] = Refusal(error.message)
            return named
        self.refused.pop(named, None)
        return str(flow["metadata"]["name"])

    def _in_group_of(self, name: str, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The flow as another run of a flow that is there: zenflow marks that by `concurrencyGroup`."""
        other = self._journal.last_seen.get(name)
        if other is None:
            raise Impossible(f"there has never been a flow {name}")
        spec = manifest.get("spec")
        spec = dict(spec) if isinstance(spec, dict) else {}
        policy = {**(spec.get("executionPolicy") or {}), "concurrencyGroup": group_of(other)}
        return {**manifest, "spec": {**spec, "executionPolicy": policy}}

    def name_of(self, event: h.Event) -> str:
        """The flow that an event is about."""
        return event.flow if event.flow is not None else self.main

    def _patch_flow(self, name: str, patch: Mapping[str, Any]) -> None:
        self._cluster.patch_merge("JobFlow", NAMESPACE, name, patch)

    def _annotate(self, name: str, changes: Mapping[str, str | None]) -> None:
        self._patch_flow(name, {"metadata": {"annotations": changes}})

    def steps_of(self, flow: str) -> list[str]:
        """The steps of a flow, in the order of its spec."""
        spec = self._journal.last_seen.get(flow, {}).get("spec") or {}
        return [each["name"] for part in ("steps", "finally") for each in spec.get(part) or ()]

    def spread(self, event: h.Happening) -> Iterator[h.Happening]:
        """One event for each step that it is about, in the order of the spec."""
        if not isinstance(event, h.StepEvent) or event.steps is None:
            yield event
            return
        steps = [step for step in self.steps_of(self.name_of(event)) if fnmatchcase(step, event.steps)]
        if not steps and not event.if_exists:
            raise Impossible(f"no step of flow {self.name_of(event)} matches {event.steps}")
        for step in steps:
            yield evolve(event, step=step, steps=None)

    # Jobs

    def _job(self, event: h.JobEvent) -> tuple[CreatedJob, Object] | None:
        """The Job that an event is about; None if it may be passed over. Raises Impossible if it may not."""
        flow, step = self.name_of(event), event.step or ""
        made = self._journal.attempt(flow, step, event.attempt)
        which = f"attempt {event.attempt} of step {step}" if event.attempt is not None else f"a Job of step {step}"
        if made is None:
            if event.if_exists:
                return None
            refusal = self.refused.get(flow) or self.refused.get("")
            because = f": the flow itself was refused: {refusal.message}" if refusal is not None else ""
            raise Impossible(f"never created: {which} (flow {flow}){because}")
        job = self._journal.present(made)
        if job is None:
            if event.if_exists:
                return None
            raise Impossible(f"gone: {which} (flow {flow}) was created at {made.at:g} s and is not there any more")
        passes = isinstance(event, h.JobComplete | h.JobFailed)
        return None if passes and event.if_exists and is_over(job["status"]) else (made, job)

    def _write(self, job: Object, status: Mapping[str, Any]) -> None:
        self._cluster.patch_merge("Job", NAMESPACE, job["metadata"]["name"], {"status": status}, subresource="status")

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

    def _delete_job(self, job: Object) -> None:
        self._cluster.delete("Job", NAMESPACE, job["metadata"]["name"], propagation=Propagation.BACKGROUND)

    def _mark_deleting(self, job: Object, finalizer: str) -> None:
        """Somebody deletes the Job, and it stays, however empty it is, until the history takes the finalizer off."""
        name = job["metadata"]["name"]
        if finalizer == FOREGROUND:
            self._garbage.pin(job["metadata"]["uid"])
            self._cluster.delete("Job", NAMESPACE, name, propagation=Propagation.FOREGROUND)
            return
        finalizers = [*(job["metadata"].get("finalizers") or ()), finalizer]
        self._cluster.patch_merge("Job", NAMESPACE, name, {"metadata": {"finalizers": finalizers}})
        self._cluster.delete("Job", NAMESPACE, name, propagation=Propagation.BACKGROUND)

    def _take_finalizer(self, kind: str, obj: Object, finalizer: str) -> None:
        left = [each for each in obj["metadata"].get("finalizers") or () if each != finalizer]
        name = obj["metadata"]["name"]
        self._cluster.patch_merge(kind, NAMESPACE, name, {"metadata": {"finalizers": left or None}})

    # Pods

    def _pods(self, job: Object) -> tuple[Object, ...]:
        return self._cluster.list(
            "Pod", NAMESPACE, labels={"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
        ).items

    def _find_pod(self, job: Object, pod: str) -> Object | None:
        return next((each for each in self._pods(job) if each["metadata"]["name"] == pod_name(job, pod)), None)

    def _put_pod(self, job: Object, pod: str, status: Mapping[str, Any], spec: Mapping[str, Any] | None = None) -> None:
        there = self._find_pod(job, pod)
        if there is None:
            made = new_pod(job, pod)
            self._cluster.create("Pod", made | {"spec": spec or made["spec"], "status": status}, namespace=NAMESPACE)
        else:
            self._set_status(there, status)

    def _set_status(self, pod: Object, status: Mapping[str, Any]) -> None:
        operation = {"op": "replace", "path": "/status", "value": status}
        self._cluster.patch_json("Pod", NAMESPACE, pod["metadata"]["name"], [operation])

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
                self._cluster.patch_merge("Pod", NAMESPACE, name, {"metadata": {"finalizers": [_DYING]}})
                self._cluster.delete("Pod", NAMESPACE, name)

    def _drop_pod(self, job: Object, pod: str) -> None:
        there = self._find_pod(job, pod)
        if there is None:
            raise Impossible(f"Job {job['metadata']['name']} has no Pod {pod}")
        self._let_go(there)
        if self._find_pod(job, pod) is not None:
            self._cluster.delete("Pod", NAMESPACE, there["metadata"]["name"])

    def _let_go(self, pod: Object) -> None:
        if pod["metadata"].get("finalizers"):
            patch = {"metadata": {"finalizers": None}}
            self._cluster.patch_merge("Pod", NAMESPACE, pod["metadata"]["name"], patch)

    def _put_output(self, job: Object, event: h.StepOutput) -> None:
        text = _filler(event.bytes) if event.bytes is not None else json.dumps(event.json, ensure_ascii=False)
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

    # The events

    def play(self, event: h.Happening) -> str:
        """Let it happen; answers with what is to be noted beside it. Raises Impossible if it cannot."""
        try:
            return self._play(event)
        except ApiError as error:
            raise Impossible(f"the API server refuses it: {error.code} {error.message}") from error

    def _play(self, event: h.Happening) -> str:
        match event:
            case h.FlowCreated():
                name = self._create(event.manifest, event.manifest_text, same_as=event.same_flow_as)
                return f"{name}: refused" if name in self.refused else name
            case h.FlowEdited():
                return self._edit(event)
            case h.FlowAnnotated():
                self._annotate(self.name_of(event), {**dict.fromkeys(event.remove), **event.set})
            case h.Approve() | h.Unapprove():
                key = approval_key(event.step or "")
                if not is_qualified_name(key):
                    raise Impossible(f"{key} is no annotation key that an API server takes")
                self._annotate(self.name_of(event), {key: "true" if isinstance(event, h.Approve) else None})
            case h.FlowDeleted():
                self._cluster.delete("JobFlow", NAMESPACE, self.name_of(event), propagation=event.propagation)
            case h.FinalizerRemoved(object=h.Owned.JOB_FLOW):
                flow = self._cluster.get("JobFlow", NAMESPACE, self.name_of(event))
                self._take_finalizer("JobFlow", flow, event.finalizer)
            case h.HoldDeletes():
                self._cluster.hold_deletes(event.kind, event.seconds)
            case h.NameTaken():
                self._faults.foreign.append(Foreign(event, self.name_of(event)))
            case h.ApiError():
                self._faults.add(event, self.name_of(event))
            case h.NamespaceTerminating():
                self._cluster.terminate_namespace(NAMESPACE)
            case h.JobEvent():
                return self._play_job(event)
            case (h.CacheFreeze() | h.CacheThaw() | h.CacheRewind() | h.WatchExpired()) | (
                h.OperatorCrash() | h.OperatorCrashOn() | h.OperatorStart() | h.ClockJump() | h.Poke()
            ):
                raise AssertionError(f"{type(event).__name__} happens to the operator, not to the cluster")
            case never:
                assert_never(never)
        return ""

    def _edit(self, event: h.FlowEdited) -> str:
        try:
            self._cluster.patch_json("JobFlow", NAMESPACE, self.name_of(event), list(event.json_patch))
        except ApiError as error:
            if error.code == 404:
                raise
            return f"refused: {error.message}"
        return ""

    def _play_job(self, event: h.JobEvent) -> str:
        found = self._job(event)
        if found is None:
            return "nothing there, passed over"
        made, job = found
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
                self._cluster.patch_json("Job", NAMESPACE, made.name, list(event.json_patch))
            case h.JobDeleted():
                self._delete_job(job)
            case h.JobDeleting():
                self._mark_deleting(job, event.finalizer)
            case h.FinalizerRemoved():
                self._take_finalizer("Job", job, event.finalizer)
            case h.PodPhase():
                self._tell_pod(job, event)
            case h.PodGone():
                self._drop_pod(job, event.pod)
            case h.StepOutput():
                self._put_output(job, event)
            case _:
                raise AssertionError(f"an event about a Job that nobody plays: {type(event).__name__}")
        return ""


def _name_in(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _filler(size: int) -> str:
    """A JSON object of exactly that many bytes, if it has room for one."""
    empty = '{"v": ""}'
    return f'{{"v": "{"x" * max(size - len(empty), 0)}"}}'
