"""What can happen in a case: one class an event, its fields as the file has them.

Whoever adds an event adds a class here, a branch in `playing.play`, and a row to
`docs/cases.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.problems import below
from zenflow_testing.cases.reading import Reader, words
from zenflow_testing.cluster import Propagation


class Impossible(Exception):  # noqa: N818 - a fact about a case, carried to whoever reports it
    """The event cannot happen: what it is about is not there, or the server refuses it."""


class When(StrEnum):
    """On which side of a request a process dies."""

    BEFORE = "before"
    AFTER = "after"


class Owned(StrEnum):
    """The kinds whose finalizers can be taken off."""

    JOB = "Job"
    JOB_FLOW = "JobFlow"


@frozen(kw_only=True)
class After:
    """Right after so many things, counted from the event's `at`: exactly one of the three is given."""

    requests: int | None = None
    """Requests of the engine, answered or not, all its processes together."""
    events: int | None = None
    """Changes of flows, Jobs and Pods, before any process has been shown them."""
    decisions: int | None = None
    """Decisions of the engine, before anything of them is carried out."""


@frozen(kw_only=True)
class Event:
    """Something that happens at `at` seconds on the API server's clock, or from then on `after` something."""

    at: float
    flow: str | None = None
    """Another flow of the case, by name; None: the flow of the file."""
    after: After | None = None


@frozen(kw_only=True)
class StepEvent(Event):
    """An event about a step, or about every step that `steps` matches."""

    step: str | None = None
    steps: str | None = None
    if_exists: bool = False
    """Whether it is passed over where there is nothing that it could happen to."""


@frozen(kw_only=True)
class JobEvent(StepEvent):
    """An event about the Job of a step: the `attempt`-th that was created for it, else the latest."""

    attempt: int | None = None


# --- flows -----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class FlowCreated(Event):
    manifest: Mapping[str, Any] | None = None
    manifest_text: str | None = None
    same_flow_as: str | None = None


@frozen(kw_only=True)
class FlowEdited(Event):
    json_patch: tuple[Mapping[str, Any], ...]


@frozen(kw_only=True)
class FlowAnnotated(Event):
    set: Mapping[str, str] = field(factory=dict)
    remove: tuple[str, ...] = ()


@frozen(kw_only=True)
class Approve(StepEvent):
    pass


@frozen(kw_only=True)
class Unapprove(StepEvent):
    pass


@frozen(kw_only=True)
class FlowDeleted(Event):
    propagation: Propagation = Propagation.BACKGROUND
    if_exists: bool = False


# --- Jobs and Pods ---------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class JobStarted(JobEvent):
    active: int = 1


@frozen(kw_only=True)
class JobStatus(JobEvent):
    status: Mapping[str, Any]


@frozen(kw_only=True)
class JobCondition(JobEvent):
    type: str
    status: str = "True"
    reason: str | None = None
    message: str | None = None


@frozen(kw_only=True)
class JobComplete(JobEvent):
    pass


@frozen(kw_only=True)
class JobFailed(JobEvent):
    reason: str = "BackoffLimitExceeded"
    message: str | None = None
    exit_code: int = 1


@frozen(kw_only=True)
class JobUpdated(JobEvent):
    json_patch: tuple[Mapping[str, Any], ...]


@frozen(kw_only=True)
class JobDeleted(JobEvent):
    by: str = "user"


@frozen(kw_only=True)
class JobDeleting(JobEvent):
    finalizer: str = "foregroundDeletion"


@frozen(kw_only=True)
class FinalizerRemoved(JobEvent):
    object: Owned
    finalizer: str


@frozen(kw_only=True)
class HoldDeletes(Event):
    kind: str
    seconds: float


@frozen(kw_only=True)
class Owner:
    """Whom a foreign object belongs to."""

    kind: str
    name: str
    uid: str
    api_version: str | None = None


def _owner(reader: Reader, value: Any, path: str) -> Any:
    return None if value == "none" else reader.object(Owner, value, path)


@frozen(kw_only=True)
class NameTaken(StepEvent):
    attempt: int = 1
    owner: Owner | None = field(default=None, metadata={"read": _owner})
    status: Mapping[str, Any] | None = None
    labels: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Container:
    """A container of a Pod; without `exit_code` it has not terminated."""

    name: str
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    init: bool = False
    sidecar: bool = False
    restarts: int = 0


@frozen(kw_only=True)
class PodPhase(JobEvent):
    phase: str
    pod: str = "p0"
    reason: str | None = None
    containers: tuple[Container, ...] = ()
    conditions: tuple[Mapping[str, Any], ...] = ()
    deleting: bool = False


@frozen(kw_only=True)
class PodGone(JobEvent):
    pod: str = "p0"


@frozen(kw_only=True)
class StepOutput(JobEvent):
    json: Any = None
    bytes: int | None = None
    pod: str = "p0"


# --- the API ---------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class ApiError(StepEvent):
    verb: str
    kind: str
    code: int
    reason: str = ""
    message: str = ""
    cause: str | None = None
    retry_after: int | None = None
    times: int | None = None
    seconds: float | None = None
    applied: bool = False


def _kinds(reader: Reader, value: Any, path: str) -> Any:
    return words(reader, value, path)


@frozen(kw_only=True)
class CacheFreeze(Event):
    kinds: tuple[str, ...] = field(default=("Job", "Pod", "JobFlow"), metadata={"read": _kinds})
    seconds: float | None = None
    """For so long; None: until CacheThaw or WatchExpired."""
    lost: bool = False
    """Whether what was held back is lost then (the watch has expired), and not merely late."""


@frozen(kw_only=True)
class CacheThaw(Event):
    kinds: tuple[str, ...] = field(default=("Job", "Pod", "JobFlow"), metadata={"read": _kinds})


@frozen(kw_only=True)
class CacheRewind(Event):
    kind: tuple[str, ...] = field(metadata={"read": _kinds})
    to: float | None = None
    back: float | None = None
    """In place of `to`: so many seconds ago."""
    seconds: float | None = None
    """For so long; None: until CacheThaw."""


@frozen(kw_only=True)
class WatchExpired(Event):
    kinds: tuple[str, ...] = field(default=("Job", "Pod", "JobFlow"), metadata={"read": _kinds})


# --- the operator ----------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class OperatorCrash(Event):
    instance: str = "a"
    restart: float | None = None
    """It is started again after so many seconds."""


@frozen(kw_only=True)
class OperatorCrashOn(Event):
    verb: str
    kind: str
    nth: int = 1
    when: When = When.AFTER
    instance: str = "a"
    restart: float | None = None
    """It is started again so many seconds after its death."""


@frozen(kw_only=True)
class OperatorStart(Event):
    instance: str = "a"


@frozen(kw_only=True)
class ClockJump(Event):
    seconds: float
    instance: str = "a"


@frozen(kw_only=True)
class NamespaceTerminating(Event):
    pass


@frozen(kw_only=True)
class Poke(Event):
    pass


Happening: TypeAlias = (
    (FlowCreated | FlowEdited | FlowAnnotated | Approve | Unapprove | FlowDeleted)
    | (JobStarted | JobStatus | JobCondition | JobComplete | JobFailed | JobUpdated | JobDeleted | JobDeleting)
    | (FinalizerRemoved | HoldDeletes | NameTaken | PodPhase | PodGone | StepOutput)
    | (ApiError | CacheFreeze | CacheThaw | CacheRewind | WatchExpired)
    | (OperatorCrash | OperatorCrashOn | OperatorStart | ClockJump | NamespaceTerminating | Poke)
)

EVENTS: Final[Mapping[str, type[Happening]]] = {
    kind.__name__: kind
    for kind in (
        *(FlowCreated, FlowEdited, FlowAnnotated, Approve, Unapprove, FlowDeleted),
        *(JobStarted, JobStatus, JobCondition, JobComplete, JobFailed, JobUpdated, JobDeleted, JobDeleting),
        *(FinalizerRemoved, HoldDeletes, NameTaken, PodPhase, PodGone, StepOutput),
        *(ApiError, CacheFreeze, CacheThaw, CacheRewind, WatchExpired),
        *(OperatorCrash, OperatorCrashOn, OperatorStart, ClockJump, NamespaceTerminating, Poke),
    )
}
"""Every event by its name in a case file."""


def read_event(reader: Reader, value: Any, path: str) -> Happening | None:
    """An entry of `history`; None once what is wrong with it has been noted."""
    data = reader.mapping(value, path)
    if data is None:
        return None
    name = data.get("event")
    kind = EVENTS.get(name) if isinstance(name, str) else None
    if kind is None:
        _unknown_event(reader, data, path)
        return None
    event = reader.object(kind, data, path, skip=("event",))
    if event is None:
        return None
    _check(reader, event, path)
    return event


def _unknown_event(reader: Reader, data: Mapping[str, Any], path: str) -> None:
    from zenflow_core.codec_problems import shown
    from zenflow_core.nearest import nearest

    name = data.get("event")
    if name is None:
        reader.add(below(path, "event"), "missing", f"add 'event: NAME'; events are {', '.join(EVENTS)}", "ZF103")
        return
    close = nearest(name, EVENTS) if isinstance(name, str) else None
    fix = f"did you mean {close!r}?" if close else f"events are {', '.join(EVENTS)}"
    reader.add(below(path, "event"), f"found {shown(name)}, which is no event", fix, "ZF104")


_NEEDS_STEP: Final = (Approve, Unapprove, NameTaken)


def _check(reader: Reader, event: Happening, path: str) -> None:
    """What the fields of an event mean together."""
    if isinstance(event, StepEvent):
        wants = isinstance(event, (JobEvent, *_NEEDS_STEP))
        if isinstance(event, FinalizerRemoved):
            wants = event.object is Owned.JOB
        if wants and event.step is None and event.steps is None:
            reader.add(path, "names no step", "add 'step: NAME', or 'steps: PATTERN' for several", "ZF103")
        if event.step is not None and event.steps is not None:
            reader.add(below(path, "steps"), "found step and steps", "remove one of them", "ZF101")
    if event.after is not None:
        counts = [event.after.requests, event.after.events, event.after.decisions]
        if sum(each is not None for each in counts) != 1 or any(each is not None and each < 0 for each in counts):
            fix = "give one of them, from 0: 'after: {requests: 7}'"
            reader.add(below(path, "after"), "needs one of requests, events and decisions", fix, "ZF103")
    match event:
        case CacheRewind(to=None, back=None):
            reader.add(below(path, "to"), "missing", f"add 'to' to {path}", "ZF103")
        case FlowCreated(manifest=None, manifest_text=None):
            reader.add(path, "has no flow", "add 'manifest:' (or 'manifestText: |' for raw text)", "ZF103")
        case StepOutput(json=None, bytes=None):
            reader.add(path, "has no output", "add 'json:', or 'bytes: N' for one of that size", "ZF103")
        case _:
            pass
