"""What is remembered: one flat record a step, one of the flow, and indexes that can be rebuilt from them.

A `StepRecord` is the entry of `status.steps[]`; a `FlowRecord` is the rest of
the status. Everything else in `FlowState` is derived: `decode` rebuilds it, and
the law "twins" says that it always could.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from operator import attrgetter

from attrs import evolve, field, fields, frozen

from zenflow_core.observation import UNREAD, FlowSeen, Lookup, OriginLookup, ResourceSighting, Sibling, Sightings
from zenflow_core.plan import ConfigMapKey, Plan, ResourceRef
from zenflow_core.reasons import AttemptFailure, Cause, FlowCause, FlowHold, Hold, Instant, OutputValue, StoredArtifact
from zenflow_core.rows import Rows
from zenflow_core.spec import ArtifactStore


class StepPhase(StrEnum):
    """Where a step is; Succeeded, Failed and Skipped absorb."""

    PENDING = "Pending"
    PENDING_APPROVAL = "PendingApproval"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class FlowPhase(StrEnum):
    """Where a flow is: a function of its steps and of what ended it, stored for people."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@frozen
class Stopwatch:
    """Time that counts: what has run, and since when it runs now (None: it stands still)."""

    ran: timedelta = timedelta(0)
    since: Instant | None = None

    def stop(self, at: Instant) -> Stopwatch:
        """The watch standing still from `at` on; standing already, it stays as it is."""
        if self.since is None:
            return self
        return Stopwatch(self.ran + max(at - self.since, timedelta(0)))

    def resume(self, at: Instant) -> Stopwatch:
        """The watch running from `at` on; running already, it stays as it is."""
        return self if self.since is not None else evolve(self, since=at)

    def expires_at(self, limit: timedelta) -> Instant | None:
        """When `limit` will have run; None while it stands still."""
        return None if self.since is None else self.since + (limit - self.ran)


@frozen
class JobRef:
    """A Job by name and uid."""

    name: str
    uid: str


@frozen
class StepRecord:
    """Everything zenflow remembers of a step; the entry of `status.steps[]`."""

    phase: StepPhase = StepPhase.PENDING
    attempt: int = 0
    """Attempts admitted so far; the one that runs, if it runs."""
    started_at: Instant | None = None
    finished_at: Instant | None = None
    """Set exactly in the terminal phases."""
    watch: Stopwatch | None = None
    retry_at: Instant | None = None
    refusals: int = 0
    """Creates of this attempt that the API server refused, in a row."""
    condition_met: bool = False
    job: JobRef | None = None
    """The running attempt's Job (the last one's, at the end), once it has been seen."""
    failure: AttemptFailure | None = None
    """How the last failed attempt failed; kept while a retry may come."""
    outputs: Mapping[str, OutputValue] | None = None
    """Values read at the step's end, by output name."""
    reads: Mapping[str, OutputValue] | None = None
    """Values that inputs of other steps name, by path."""
    artifacts: Mapping[str, StoredArtifact] | None = None
    """Where its output artifacts were stored at the step's end, by name."""
    approver: str = ""
    cause: Cause | None = None
    holds: tuple[Hold, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether the step is over: Succeeded, Failed or Skipped."""
        return self.finished_at is not None

    @property
    def retries_claimed(self) -> int:
        """Retries started or waiting to start: what the flow's budget counts."""
        return self.attempt if self.phase is StepPhase.PENDING else self.retries_started

    @property
    def retries_started(self) -> int:
        """The API's `retryCount`."""
        return self.attempt - 1 if self.attempt > 1 else 0


_FIELDS = tuple(f.name for f in fields(StepRecord))
_PLACE = {name: place for place, name in enumerate(_FIELDS)}
_VALUES = attrgetter(*_FIELDS)


def changed(record: StepRecord, **changes: object) -> StepRecord:
    """The record with these fields replaced: what `attrs.evolve` does, in a third of its time.

    Every move of every step makes two or three records. An unknown field is our bug (KeyError).
    """
    values = list(_VALUES(record))
    for name, value in changes.items():
        values[_PLACE[name]] = value
    return StepRecord(*values)


@frozen
class Condition:
    """A condition of the flow, as `kubectl wait --for=condition=...` reads it."""

    type: str
    status: bool
    reason: str
    since: Instant
    """When `status` last changed (`lastTransitionTime`)."""
    message: str = ""


@frozen
class FlowRecord:
    """What is remembered of the flow as a whole: its status without the rows."""

    started_at: Instant | None = None
    completed_at: Instant | None = None
    ended: FlowCause | None = None
    """What ended the flow other than its steps; absorbing."""
    phase: FlowPhase = FlowPhase.PENDING
    conditions: tuple[Condition, ...] = ()
    holds: tuple[FlowHold, ...] = ()
    resources: tuple[ResourceRef, ...] = ()
    """Objects of resourceTemplates that were made."""
    artifact_store: ArtifactStore | None = None
    """The flow's default store, chosen at its start. None: artifacts that name no store go to its own claim."""
    fingerprint: str = ""
    observed_generation: int = 0


@frozen
class Tally:
    """Counts over the records, kept up to date move by move."""

    settled: int = 0
    main_settled: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    approvals: int = 0
    retries: int = 0
    """Retries started or waiting, over the whole flow."""
    live: int = 0
    """Steps that occupy a slot: running, or with a Job that may still have Pods."""


@frozen
class FlowState:
    """A flow in memory between two decisions."""

    plan: Plan
    flow: FlowSeen
    record: FlowRecord
    records: Rows[StepRecord]
    """By rank."""
    sightings: Rows[Sightings]
    inputs: Mapping[ConfigMapKey, Lookup] = field(factory=dict)
    resources: Mapping[ResourceRef, ResourceSighting] = field(factory=dict)
    siblings: tuple[Sibling, ...] = ()
    origin: OriginLookup = UNREAD
    status_refused_at: Instant | None = None
    tally: Tally = Tally()
    fatal: tuple[Instant, int] | None = None
    """The first main step (instant, rank) that failed without continueOnFailure."""
    last_end: Instant | None = None
    """When the last main step that is over ended."""
    alarms: tuple[tuple[Instant, int], ...] = ()
    """When which step has to be asked again, ascending; rank -1 is the flow."""
    queue: tuple[int, ...] = ()
    """Ranks that only lack a slot, ascending."""
    unwritten: frozenset[int] = frozenset()
    """Ranks whose row will differ from the stored one without a move (a Job's uid was learnt)."""
    misfit: bool = False
    """The stored rows are not those of the plan's steps (they were edited): the next write is the whole status."""
