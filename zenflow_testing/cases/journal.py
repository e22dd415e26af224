"""What happened in a case, in order: events, decisions, requests with their answers, and the Jobs that came of them.

Entries are cheap values, put into words only when a case has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from attrs import define, field

from zenflow_core.facts import reason_of
from zenflow_core.reading import parse_attempt
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.wave import Move
from zenflow_testing.cases.history import Happening, JobEvent, StepEvent
from zenflow_testing.clock import EPOCH
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.job_controller import is_over
from zenflow_testing.kinds import Object
from zenflow_testing.watch import WATCHED

_MOVES_SHOWN: Final = 3
_MESSAGE_SHOWN: Final = 70


class Happened(NamedTuple):
    """An event of the history took place."""

    at: float
    event: Happening
    note: str = ""

    def concerns(self, step: str) -> bool:
        mine = getattr(self.event, "step", None)
        return mine is None or mine == step

    def words(self) -> tuple[str, str]:
        event = self.event
        parts = [type(event).__name__]
        if isinstance(event, StepEvent):
            parts += [each for each in (event.step or event.steps,) if each]
        if isinstance(event, JobEvent) and event.attempt is not None:
            parts.append(f"attempt {event.attempt}")
        if event.flow is not None:
            parts.append(f"of {event.flow}")
        for name in ("reason", "verb", "kind", "kinds", "code", "instance", "seconds"):
            value = getattr(event, name, None)
            if value not in (None, ""):
                shown = ", ".join(value) if isinstance(value, tuple) else value
                parts.append(f"{name} {shown}")
        return "event", " ".join(str(part) for part in parts) + (f" ({self.note})" if self.note else "")


class Decided(NamedTuple):
    """The core was asked about a flow, and something followed."""

    at: float
    instance: str
    flow: str
    moves: tuple[Move, ...]
    phase: str
    wakes: float | None
    """When it wants to be called again, in the case's seconds."""

    def concerns(self, step: str) -> bool:
        return any(move.step == step for move in self.moves)

    def words(self) -> tuple[str, str]:
        told = [f"{m.step} {m.origin}→{m.phase} {reason_of(m.cause)}" for m in self.moves[:_MOVES_SHOWN]]
        if len(self.moves) > _MOVES_SHOWN:
            told.append(f"and {len(self.moves) - _MOVES_SHOWN} more")
        wake = "" if self.wakes is None else f"; wakes at {self.wakes:g} s"
        return self.instance, f"decides {self.flow} ({self.phase}): {', '.join(told) or 'no step moves'}{wake}"


class Request(NamedTuple):
    """A request of the engine, and its answer."""

    at: float
    instance: str
    verb: str
    kind: str
    name: str
    flow: str
    step: str
    attempt: int
    code: int
    """0: carried out, and said so."""
    answer: str
    performed: bool

    def concerns(self, step: str) -> bool:
        return self.step == step or (not self.step and self.verb != "get")

    def words(self) -> tuple[str, str]:
        which = f" ({self.step} attempt {self.attempt})" if self.step else ""
        answer = "ok" if not self.code else f"{self.code} {self.answer}"
        done = " (carried out all the same)" if self.code and self.performed else ""
        return self.instance, f"{self.verb} {self.kind} {self.name}{which} → {answer}{done}"


class Died(NamedTuple):
    """A process ended: a crash of the history, or an error that nobody caught."""

    at: float
    instance: str
    why: str

    def concerns(self, step: str) -> bool:
        return True

    def words(self) -> tuple[str, str]:
        return self.instance, f"dies {self.why}"


class Changed(NamedTuple):
    """A flow, a Job or a Pod changed, in the order in which `after: {events: n}` counts."""

    at: float
    event: Event
    entries: int
    """How many entries there were before."""


Entry: TypeAlias = Happened | Decided | Request | Died


@define
class CreatedJob:
    """A Job that the server took from the engine."""

    flow: str
    step: str
    attempt: int
    """1 for the first Job of this flow's name and step."""
    at: float
    job: Object
    """As it was accepted."""
    deleted_at: list[float] = field(factory=list)
    """When the engine asked for its deletion."""
    spec_changed_by: str = ""
    """The request of the engine that changed its spec, in words."""

    @property
    def name(self) -> str:
        name: str = self.job["metadata"]["name"]
        return name

    @property
    def uid(self) -> str:
        uid: str = self.job["metadata"]["uid"]
        return uid


class ExactClock(Protocol):
    """A clock with fractions of seconds."""

    @property
    def exact(self) -> datetime: ...


class Observable(Protocol):
    """What is seen of a cluster: a `Cluster`, or a real API server and its watches."""

    def get(self, kind: str, namespace: str, name: str) -> Object: ...

    def subscribe(self, listener: Callable[[Event], None]) -> object: ...


class Journal:
    """Everything that assertions ask about and that the cluster itself does not remember."""

    def __init__(self, cluster: Observable, *, clock: ExactClock, watched_steps: frozenset[str]) -> None:
        self._cluster = cluster
        self._clock = clock
        self.begins = EPOCH
        """When the flow of the case is created, on the API server's clock."""
        self._watched = watched_steps
        self.entries: list[Entry] = []
        self.requests: list[Request] = []
        self.changes: list[Changed] = []
        self.jobs: dict[tuple[str, str], list[CreatedJob]] = {}
        """By flow name and step, in the order of their creation."""
        self.by_name: dict[str, CreatedJob] = {}
        self.foreign: dict[tuple[str, str, int], Object] = {}
        """Jobs that were in the way of a create, by flow, step and attempt."""
        self.making_foreign = False
        self.last_seen: dict[str, Object] = {}
        """The last version of each flow, by name."""
        self.flow_phases: dict[str, dict[str, float]] = {}
        """When each flow first had each phase."""
        self.step_phases: dict[tuple[str, str], dict[str, float]] = {}
        self._active: set[str] = set()
        self.most_active: list[tuple[int, float]] = [(0, 0.0)]
        """Each new greatest number of active Jobs, and when."""
        cluster.subscribe(self._saw)

    @property
    def now(self) -> float:
        """Seconds since the flow's creation on the API server's clock."""
        return (self._clock.exact - self.begins).total_seconds()

    def seconds(self, instant: Instant) -> float:
        """An instant of the API server's clock in the case's seconds."""
        return (instant - self.begins).total_seconds()

    # What is written down

    def happened(self, event: Happening, note: str = "") -> None:
        self.entries.append(Happened(self.now, event, note))

    def decided(self, instance: str, flow: str, decision: Decision) -> None:
        phase = decision.state.record.phase.value
        wakes = None if decision.wake_at is None else self.seconds(decision.wake_at)
        self.entries.append(Decided(self.now, instance, flow, decision.moves, phase, wakes))

    def died(self, instance: str, why: str) -> None:
        self.entries.append(Died(self.now, instance, why))

    def requested(self, request: Request) -> None:
        self.entries.append(request)
        self.requests.append(request)

    def created(self, flow: str, step: str, job: Object) -> CreatedJob:
        """The server took a Job of the engine's."""
        known = self.jobs.setdefault((flow, step), [])
        made = CreatedJob(flow, step, len(known) + 1, self.now, job)
        known.append(made)
        self.by_name[made.name] = made
        return made

    # What is seen of the cluster

    def _saw(self, event: Event) -> None:
        if event.kind in WATCHED:
            self.changes.append(Changed(self.now, event, len(self.entries)))
        if event.kind == "JobFlow":
            self._saw_flow(event)
        elif event.kind == "Job" and not self.making_foreign:
            self._saw_job(event)

    def _saw_flow(self, event: Event) -> None:
        self.last_seen[event.name] = event.object
        status: Mapping[str, Any] = event.object.get("status") or {}
        self.flow_phases.setdefault(event.name, {}).setdefault(status.get("phase", "Pending"), self.now)
        if self._watched:
            for row in status.get("steps") or ():
                if row["name"] in self._watched:
                    self.step_phases.setdefault((event.name, row["name"]), {}).setdefault(row["phase"], self.now)

    def _saw_job(self, event: Event) -> None:
        uid = event.uid
        if event.type is EventType.ADDED:
            if parse_attempt(event.object) is None:
                return
            self._active.add(uid)
            if len(self._active) > self.most_active[-1][0]:
                self.most_active.append((len(self._active), self.now))
        elif uid in self._active:
            gone = event.type is EventType.DELETED or "deletionTimestamp" in event.object["metadata"]
            if gone or is_over(event.object["status"]):
                self._active.discard(uid)

    # What is asked

    def attempts(self, flow: str, step: str) -> list[CreatedJob]:
        """The Jobs that were created for a step, in order."""
        return self.jobs.get((flow, step), [])

    def attempt(self, flow: str, step: str, attempt: int | None) -> CreatedJob | None:
        """One of them: by its number, else the latest."""
        known = self.attempts(flow, step)
        if attempt is None:
            return known[-1] if known else None
        return known[attempt - 1] if 0 < attempt <= len(known) else None

    def of_flow(self, flow: str) -> Iterator[CreatedJob]:
        """All Jobs that were created for flows of that name."""
        for (name, _), jobs in self.jobs.items():
            if name == flow:
                yield from jobs

    def present(self, made: CreatedJob) -> Object | None:
        """That very Job as it is now; None once it is gone."""
        try:
            job = self._cluster.get("Job", made.job["metadata"]["namespace"], made.name)
        except ApiError:
            return None
        return job if job["metadata"]["uid"] == made.uid else None

    def is_present(self, made: CreatedJob) -> bool:
        """Whether it is there and not marked deleted."""
        job = self.present(made)
        return job is not None and "deletionTimestamp" not in job["metadata"]

    def is_active(self, made: CreatedJob) -> bool:
        """Whether it is there, not marked deleted, and not over."""
        return made.uid in self._active


def cut(text: str) -> str:
    """`text` on one line, as long as an answer is shown."""
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_SHOWN else f"{line[: _MESSAGE_SHOWN - 1]}…"
