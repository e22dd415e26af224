"""Every single fault at every point of a life: at each request and decision of the operator, at each change to hear of.

| fault | where | in the words of a case |
|---|---|---|
| crash before acting | each decision, before anything of it is carried out | `OperatorCrash` |
| crash | each write, right after it | `OperatorCrash` |
| answer lost | each write: carried out, answered 504 | `ApiError`, `applied` |
| refused: conflict | each patch and delete: 409 | `ApiError` |
| refused: throttled | each write: 429, Retry-After 5 | `ApiError` |
| refused: server error | each write: 500 | `ApiError` |
| refused: quota | each create: 403, exceeded quota | `ApiError` |
| refused: for good | each create of a Job: 403, denied by admission | `ApiError` |
| refused read | each get and list: 500 | `ApiError` |
| event late | each change: its kind's watch stands still for 20 s | `CacheFreeze` |
| event lost | each change: the same, and what it held is never delivered | `CacheFreeze`, `lost` |
| event again | each change: all objects of its kind are delivered anew | `WatchExpired` |
| stale read | each change: for 20 s a new process lists its kind as it was | `CacheRewind`, `OperatorCrash` |

A point is known by what the flow was like then: the phase of every step, the
attempts of those that are not over, and what was asked or told. Two points of
one likeness, in lives that differ in what is over only, are one point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_core.names import ANNOTATION_STEP, LABEL_STEP
from zenflow_core.plan import Plan
from zenflow_core.reasons import Admitted, Adopted
from zenflow_core.state import StepPhase
from zenflow_testing.cases import history as h
from zenflow_testing.cases.journal import Changed, Decided, Entry, Journal, Request
from zenflow_testing.events import Event
from zenflow_testing.explore.coverage import FLOW
from zenflow_testing.faults.script import AfterDecision, AfterEvent, AfterRequest, Injection, Point
from zenflow_testing.job_controller import is_over

HELD_SECONDS: Final = 20.0
"""How long a view stands still, or shows the past."""

RESTART_SECONDS: Final = 1.0
"""How long a process that died is away."""

BURST: Final = 4
"""Of requests, or changes, of one kind at one instant, which differ in the step's name only, so many are tried."""

_WRITES: Final = frozenset({"create", "patch", "delete"})
_SETTLED: Final = frozenset({StepPhase.SUCCEEDED.value, StepPhase.FAILED.value, StepPhase.SKIPPED.value})
_CRASH: Final = h.OperatorCrash(at=0, restart=RESTART_SECONDS)
_BURSTS: Final = f"beyond {BURST} of one kind at one instant"

Likeness: TypeAlias = tuple[object, ...]


@frozen
class SingleFault:
    """One fault at one point: what it is called, and the script that makes it."""

    kind: str
    where: str
    """The point in words: `create Job of build, attempt 1, at 0 s`."""
    script: tuple[Injection, ...]
    phases: tuple[str, ...]
    """The phases of the steps that it meets, or `flow`."""
    likeness: Likeness
    changes_outcome: bool = False
    """Whether the flow may end otherwise for it."""


class _Phases:
    """The flow as a journal tells it, entry by entry."""

    def __init__(self, plan: Plan, entries: list[Entry]) -> None:
        self._entries = entries
        self._next = 0
        self._phases: dict[str, str] = {step.name: StepPhase.PENDING.value for step in plan.steps}
        self._attempts: Counter[str] = Counter()

    def before(self, entry: int) -> None:
        """Move on to the state before this entry; never back."""
        for each in self._entries[self._next : entry]:
            if isinstance(each, Decided):
                for move in each.moves:
                    self._phases[move.step] = move.phase.value
                    if isinstance(move.cause, Admitted | Adopted):
                        self._attempts[move.step] = move.cause.attempt
        self._next = max(self._next, entry)

    def of(self, *steps: str) -> tuple[str, ...]:
        """The phases of these steps; `flow` without any."""
        return tuple(dict.fromkeys(self._phases.get(step, FLOW) for step in steps)) or (FLOW,)

    @property
    def likeness(self) -> Likeness:
        """All phases, and the attempts of the steps that are not over."""
        return tuple(
            (step, phase, 0 if phase in _SETTLED else self._attempts[step]) for step, phase in self._phases.items()
        )


def faults_of(plan: Plan, journal: Journal, ends: float, left_out: Counter[str]) -> Iterator[SingleFault]:
    """Every fault of one life up to its end at second `ends`, in the order of its points.

    `left_out` counts the points that are passed over because so many others are like them.
    """
    yield from _at_entries(plan, journal, ends, left_out)
    yield from _at_changes(plan, journal, ends, left_out)


# --- decisions and requests ------------------------------------------------------------------------------------------


def _at_entries(plan: Plan, journal: Journal, ends: float, left_out: Counter[str]) -> Iterator[SingleFault]:
    phases = _Phases(plan, journal.entries)
    requests = decisions = 0
    bursts: Counter[tuple[float, str, str]] = Counter()
    for place, entry in enumerate(journal.entries):
        if entry.at > ends or not isinstance(entry, Request | Decided):
            continue
        phases.before(place)
        if isinstance(entry, Decided):
            decisions += 1
            if entry.moves:
                yield from _at_decision(entry, phases, decisions)
            continue
        requests += 1
        burst = (entry.at, entry.verb, entry.kind)
        bursts[burst] += 1
        if bursts[burst] > BURST:
            left_out[_BURSTS] += 1
        else:
            yield from _at_request(entry, phases, requests)


def _at_decision(decision: Decided, phases: _Phases, number: int) -> Iterator[SingleFault]:
    moves = decision.moves
    told = ", ".join(f"{move.step} {move.phase.value}" for move in moves[:2])
    more = f" and {len(moves) - 2} more" if len(moves) > 2 else ""
    met = phases.of(*(move.step for move in moves))
    likeness = ("crash before acting", phases.likeness, tuple((move.step, move.phase) for move in moves))
    where = f"the decision {told}{more}, at {decision.at:g} s"
    yield SingleFault("crash before acting", where, (Injection(AfterDecision(number), _CRASH),), met, likeness)


def _at_request(request: Request, phases: _Phases, number: int) -> Iterator[SingleFault]:
    whose = f" of {request.step}, attempt {request.attempt}" if request.step else ""
    where = f"{request.verb} {request.kind}{whose}, at {request.at:g} s"
    met = phases.of(*([request.step] if request.step else []))
    likeness = (phases.likeness, request.verb, request.kind, request.step)
    before, after = AfterRequest(number - 1), AfterRequest(number)

    def fault(kind: str, point: Point, event: h.Happening, *, changes_outcome: bool = False) -> SingleFault:
        return SingleFault(kind, where, (Injection(point, event),), met, (kind, *likeness), changes_outcome)

    def refused(
        code: int, reason: str, message: str, *, applied: bool = False, retry_after: int | None = None
    ) -> h.ApiError:
        return h.ApiError(
            at=0,
            verb=request.verb,
            kind=request.kind,
            code=code,
            reason=reason,
            message=message,
            times=1,
            applied=applied,
            retry_after=retry_after,
        )

    broken = refused(500, "InternalError", "the server is out of order")
    if request.verb not in _WRITES:
        yield fault("refused read", before, broken)
        return
    yield fault("crash", after, _CRASH)
    yield fault("answer lost", before, refused(504, "Timeout", "the answer was lost", applied=True))
    throttled = refused(429, "TooManyRequests", "too many requests", retry_after=5)
    yield fault("refused: throttled", before, throttled)
    yield fault("refused: server error", before, broken)
    if request.verb == "create":
        yield fault("refused: quota", before, refused(403, "Forbidden", "exceeded quota: pods"))
        if request.kind == "Job":
            denied = refused(403, "Forbidden", 'admission webhook "policy" denied the request: not allowed')
            yield fault("refused: for good", before, denied, changes_outcome=True)
    else:
        yield fault("refused: conflict", before, refused(409, "Conflict", "the object has been modified"))


# --- what the operator is to hear of ---------------------------------------------------------------------------------


def _at_changes(plan: Plan, journal: Journal, ends: float, left_out: Counter[str]) -> Iterator[SingleFault]:
    phases = _Phases(plan, journal.entries)
    bursts: Counter[tuple[float, str, str]] = Counter()
    for number, change in enumerate(journal.changes, start=1):
        if change.at > ends:
            continue
        phases.before(change.entries)
        burst = (change.at, change.event.kind, _what(change.event))
        bursts[burst] += 1
        if bursts[burst] > BURST:
            left_out[_BURSTS] += 1
        else:
            yield from _at_change(change, phases, number)


def _at_change(change: Changed, phases: _Phases, number: int) -> Iterator[SingleFault]:
    event = change.event
    step, what = _step_of(event), _what(event)
    where = f"{event.kind}{f' of {step}' if step else ''} {what}, at {change.at:g} s"
    met = phases.of(*([step] if step else []))
    kinds, point = (event.kind,), AfterEvent(number)
    late = h.CacheFreeze(at=0, kinds=kinds, seconds=HELD_SECONDS)
    lost = h.CacheFreeze(at=0, kinds=kinds, seconds=HELD_SECONDS, lost=True)
    rewind = h.CacheRewind(at=0, kind=kinds, back=1.0, seconds=HELD_SECONDS)
    faults: Mapping[str, tuple[h.Happening, ...]] = {
        "event late": (late,),
        "event lost": (lost,),
        "event again": (h.WatchExpired(at=0, kinds=kinds),),
        "stale read": (rewind, _CRASH),
    }
    for kind, events in faults.items():
        script = tuple(Injection(point, each) for each in events)
        yield SingleFault(kind, where, script, met, (kind, phases.likeness, event.kind, step, what))


def _step_of(event: Event) -> str:
    """The step that a Job or Pod belongs to; empty for the flow."""
    metadata = event.object["metadata"]
    step = (metadata.get("annotations") or {}).get(ANNOTATION_STEP)
    return str(step or (metadata.get("labels") or {}).get(LABEL_STEP, ""))


def _what(event: Event) -> str:
    """What became of it, in a word."""
    if event.type != "MODIFIED":
        return event.type.value.lower()
    status: Any = event.object.get("status") or {}
    if "deletionTimestamp" in event.object["metadata"]:
        return "deleting"
    if event.kind == "Job":
        return "over" if is_over(status) else "started" if "startTime" in status else "modified"
    return f"modified ({status.get('phase', 'new')})"
