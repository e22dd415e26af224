"""Lets the events of a case happen: what users do to flows, and through `Jobs` what becomes of Jobs and Pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol, assert_never

from attrs import define, evolve

from zenflow_core.names import approval_key, is_qualified_name
from zenflow_core.problems import Problem
from zenflow_core.reading import group_of
from zenflow_core.source import load_documents
from zenflow_testing.cases import history as h
from zenflow_testing.cases.faults import Faults, Foreign
from zenflow_testing.cases.history import Impossible
from zenflow_testing.cases.journal import Journal
from zenflow_testing.deletion import Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.job_controller import is_over
from zenflow_testing.kinds import Object

NAMESPACE: Final = "default"
"""Of the flows of a case, on the cluster in memory."""

FIRST_UID: Final = "0a0a0a0a-0000-4000-8000-000000000001"
"""metadata.uid of the flow of the file."""


class Requests(Protocol):
    """The requests that users of a case send: to a `Cluster`, or to a real API server."""

    def create(self, kind: str, body: Object, *, namespace: str = "") -> Object: ...

    def get(self, kind: str, namespace: str, name: str) -> Object: ...

    def patch_json(self, kind: str, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]) -> Object: ...

    def patch_merge(self, kind: str, namespace: str, name: str, patch: Object) -> Object: ...

    def delete(self, kind: str, namespace: str, name: str, *, propagation: Propagation | str | None) -> Object: ...


class Jobs(Protocol):
    """Who lets things happen to Jobs and Pods: `ToldJobs`, or on a real cluster a kubelet."""

    def play(self, event: h.JobEvent, job: Object) -> None:
        """Let it happen to that Job. Raises Impossible if it cannot, ApiError if the server refuses it."""


@define
class Refusal:
    """A flow that the API server did not take."""

    message: str


class Stage:
    """The cluster as the history moves it."""

    def __init__(self, requests: Requests, jobs: Jobs, journal: Journal, *, faults: Faults, namespace: str) -> None:
        self._requests = requests
        self._jobs = jobs
        self._journal = journal
        self._faults = faults
        self.namespace = namespace
        self.main = ""
        """Name of the flow of the file."""
        self.refused: dict[str, Refusal] = {}
        """Flows that were not admitted, by name."""

    # Flows

    def name_main(self, manifest: Mapping[str, Any] | None, text: str | None) -> None:
        """Know the name of the flow of the file before it exists: events may be about it already."""
        if text is not None:
            documents = load_documents(text, file="flowText")
            manifest = documents[0].data if not isinstance(documents[0], Problem) else {}
        self.main = _name_in(manifest or {})

    def create_main(self, manifest: Mapping[str, Any] | None, text: str | None) -> None:
        """The flow of the file is created."""
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
            flow = self._requests.create("JobFlow", manifest, namespace=self.namespace)
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
        self._requests.patch_merge("JobFlow", self.namespace, name, patch)

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

    def _job(self, event: h.JobEvent) -> Object | None:
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
        return None if passes and event.if_exists and is_over(job["status"]) else job

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
                return self._delete_flow(event)
            case h.FinalizerRemoved(object=h.Owned.JOB_FLOW):
                flow = self._requests.get("JobFlow", self.namespace, self.name_of(event))
                self._patch_flow(self.name_of(event), without_finalizer(flow, event.finalizer))
            case h.NameTaken():
                self._faults.foreign.append(Foreign(event, self.name_of(event)))
            case h.ApiError():
                self._faults.add(event, self.name_of(event))
            case h.JobEvent():
                return self._play_job(event)
            case (h.CacheFreeze() | h.CacheThaw() | h.CacheRewind() | h.WatchExpired()) | (
                h.OperatorCrash() | h.OperatorCrashOn() | h.OperatorStart() | h.ClockJump() | h.Poke()
            ):
                raise AssertionError(f"{type(event).__name__} happens to the operator, not to the cluster")
            case h.HoldDeletes() | h.NamespaceTerminating():
                raise AssertionError(f"{type(event).__name__} happens to the cluster as a whole, not to an object")
            case never:
                assert_never(never)
        return ""

    def _delete_flow(self, event: h.FlowDeleted) -> str:
        try:
            self._requests.delete("JobFlow", self.namespace, self.name_of(event), propagation=event.propagation)
        except ApiError as error:
            if error.code != 404 or not event.if_exists:
                raise
            return "nothing there, passed over"
        return ""

    def _edit(self, event: h.FlowEdited) -> str:
        try:
            self._requests.patch_json("JobFlow", self.namespace, self.name_of(event), list(event.json_patch))
        except ApiError as error:
            if error.code == 404:
                raise
            return f"refused: {error.message}"
        return ""

    def _play_job(self, event: h.JobEvent) -> str:
        found = self._job(event)
        if found is None:
            return "nothing there, passed over"
        self._jobs.play(event, found)
        return ""


def without_finalizer(obj: Object, finalizer: str) -> dict[str, Any]:
    """The merge patch that takes a finalizer off."""
    left = [each for each in obj["metadata"].get("finalizers") or () if each != finalizer]
    return {"metadata": {"finalizers": left or None}}


def _name_in(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
