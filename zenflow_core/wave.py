"""One visit to every step that something touched, upstream before downstream.

A record is a function of (its record, its sightings, its upstream records, the
flow, now). Ranks are topological, so when a step is visited its upstream is
final for this instant, and it is visited at most once a wave. An alarm that is
due touches its step. `Wave` is the only mutable thing in the core; it lives for
one decision. Copying the tuples of pointers is what remains O(steps).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from attrs import frozen

from zenflow_core.limits import MOVES_PER_WAVE
from zenflow_core.observation import Gone, Seen, Sightings
from zenflow_core.owed import holds_slot, owes_nothing
from zenflow_core.reasons import (
    Admitted,
    ApprovalRequested,
    Cause,
    FlowEnded,
    FlowFailing,
    Hold,
    Instant,
    NeedsSlot,
    RetryAbandoned,
    RunsUntil,
    WaitsFor,
)
from zenflow_core.rules import RULES, ask
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState, JobRef, StepPhase, StepRecord, Stopwatch, Tally, changed
from zenflow_core.transitions import enter
from zenflow_core.views import FlowView, StepView


@frozen
class Move:
    """A step went from one phase to another (or stayed, with a new cause)."""

    step: StepName
    origin: StepPhase
    phase: StepPhase
    cause: Cause


class Wave:
    """The working copy of a state while one decision is made."""

    def __init__(self, state: FlowState) -> None:
        self.plan = state.plan
        self.records = state.records.edit()
        self.sightings = state.sightings.edit()
        self.inputs = state.inputs
        self.alarms = list(state.alarms)
        self.queue = list(state.queue)
        self.unwritten = set(state.unwritten)
        self.fatal = state.fatal
        self.tally = state.tally
        self.last_end = state.last_end
        self.moves: list[Move] = []
        self.material: set[int] = set()
        """Ranks whose row has to be written."""
        self.touched: set[int] = set()
        self.opening: set[int] = set()
        """Manual steps that nothing holds: their approval is asked for once the wave is over."""
        self._flow: FlowView | None = None
        self.last_view: FlowView | None = None
        """The flow as it was last looked at, to be looked at again."""

    @property
    def flow(self) -> FlowView:
        assert self._flow is not None, "begin() comes before any visit"
        return self._flow

    def begin(self, flow: FlowView) -> None:
        """Show the flow as it now is to the visits that follow."""
        self._flow = flow

    def view(self, rank: int) -> StepView:
        step = self.plan.steps[rank]
        records = self.records
        return StepView(
            step=step,
            record=records[rank],
            sightings=self.sightings[rank],
            upstream=records.many(step.upstream),
            flow=self.flow,
            reader=records.__getitem__,
            inputs=self.inputs,
        )

    def see(self, rank: int, sightings: Sightings) -> None:
        """Replace what is known of a step's Jobs."""
        record = self.records[rank]
        was, now = holds_slot(record, self.sightings[rank]), holds_slot(record, sightings)
        if was is not now:
            self.tally = retally(self.tally, -1, record, self.sightings[rank], main=rank < self.plan.main)
            self.tally = retally(self.tally, +1, record, sightings, main=rank < self.plan.main)
        self.sightings[rank] = sightings

    def rests(self, rank: int) -> bool:
        """Whether the step is over and its Job with it: no rule has anything to say, and nothing is owed."""
        record = self.records[rank]
        return record.finished_at is not None and not record.holds and owes_nothing(record, self.sightings[rank])

    def run(self, dirty: Iterable[int]) -> None:
        """Visit the dirty steps and whatever their moves make dirty."""
        known = set(dirty)
        wave = list(known)
        heapify(wave)
        steps, records = self.plan.steps, self.records
        while wave:
            rank = heappop(wave)
            before = records[rank]
            self._visit(rank)
            after = records[rank]
            if after.finished_at is None or before.finished_at is not None:
                continue  # only the end of a step matters to its readers
            settled = steps[rank]
            fails = is_fatal(after, tolerated=settled.continue_on_failure)
            for reader in settled.downstream:
                if reader not in known and (fails or _notices(records[reader], settled.name)):
                    known.add(reader)  # it comes later: ranks are topological
                    heappush(wave, reader)

    def _visit(self, rank: int) -> None:
        """Ask the step until it stays; what keeps it becomes its holds."""
        self.touched.add(rank)
        for _ in range(MOVES_PER_WAVE):
            self._learn(rank)
            record = self.records[rank]
            answer = ask(RULES[record.phase], self.view(rank))
            if not isinstance(answer, tuple):
                if self._comes_too_late(rank, answer):
                    return
                self._move(rank, answer)
                continue
            if record.phase is StepPhase.PENDING and not answer:
                if self.plan.steps[rank].manual:
                    self.opening.add(rank)
                else:
                    self._queue(rank)
                return
            self._unqueue(rank)
            self._hold(rank, answer)
            return
        raise AssertionError(f"step {self.plan.steps[rank].name} moved more often than its table allows")

    def _comes_too_late(self, rank: int, cause: Cause) -> bool:
        """Whether the flow's deadline comes before what would end a step that has not begun.

        Then this same decision ends the flow, and the flow ends the step.
        """
        flow = self.flow
        if flow.plan.deadline is None or flow.record.ended is not None or rank >= self.plan.main:
            return False
        limit = flow.deadline
        waits = self.records[rank].phase is StepPhase.PENDING
        return waits and limit is not None and flow.now >= limit and cause.at >= limit

    def _learn(self, rank: int) -> None:
        """Take the uid and the true start from the running attempt's Job; no reason to write by itself."""
        record = self.records[rank]
        if record.phase is not StepPhase.RUNNING or record.job is not None:
            return
        for sighting in self.sightings[rank]:
            seen = sighting.last if isinstance(sighting, Gone) else sighting
            if isinstance(seen, Seen) and seen.attempt == record.attempt:
                assert record.watch is not None, "a running step has a watch"
                since = record.watch.since and seen.created_at
                watch = Stopwatch(record.watch.ran, since)
                self._put(
                    rank, changed(record, job=JobRef(seen.name, seen.uid), started_at=seen.created_at, watch=watch)
                )
                self.unwritten.add(rank)

    def _move(self, rank: int, cause: Cause) -> None:
        record = self.records[rank]
        after = enter(record, cause)
        self._unqueue(rank)
        self._put(rank, after)
        self.material.add(rank)
        self.moves.append(Move(self.plan.steps[rank].name, record.phase, after.phase, cause))

    def _hold(self, rank: int, holds: tuple[Hold, ...]) -> None:
        record = self.records[rank]
        if holds == record.holds:
            return
        if _lasting(holds) != _lasting(record.holds):
            self.material.add(rank)
        else:
            self.unwritten.add(rank)
        self._put(rank, changed(record, holds=holds))

    def _put(self, rank: int, record: StepRecord) -> None:
        """Replace a record and keep the indexes in step."""
        old = self.records[rank]
        if old.holds is not record.holds:
            for hold in old.holds:
                if hold.until is not None:
                    del self.alarms[bisect_left(self.alarms, (hold.until, rank))]
            for hold in record.holds:
                if hold.until is not None:
                    insort(self.alarms, (hold.until, rank))
        self.records[rank] = record
        if old.phase is not record.phase:  # an attempt begins and ends with a phase
            self.tally = retally(self.tally, -1, old, self.sightings[rank], main=rank < self.plan.main)
            self.tally = retally(self.tally, +1, record, self.sightings[rank], main=rank < self.plan.main)
            if rank < self.plan.main and record.finished_at is not None:
                self.last_end = latest(self.last_end, record.finished_at)
                if begins_failure(record, tolerated=self.plan.steps[rank].continue_on_failure):
                    mark = (record.finished_at, rank)
                    self.fatal = mark if self.fatal is None else min(self.fatal, mark)

    def _queue(self, rank: int) -> None:
        at = bisect_left(self.queue, rank)
        if at == len(self.queue) or self.queue[at] != rank:
            self.queue.insert(at, rank)

    def _unqueue(self, rank: int) -> None:
        at = self._place(rank)
        if at is not None:
            del self.queue[at]

    def _place(self, rank: int) -> int | None:
        """Where a step stands in the queue; None if it does not."""
        at = bisect_left(self.queue, rank)
        return at if at < len(self.queue) and self.queue[at] == rank else None

    def ask_approvals(self) -> list[int]:
        """Ask for the approvals that nothing holds, unless the flow has ended meanwhile; they are to be visited."""
        opened = sorted(rank for rank in self.opening if self.records[rank].phase is StepPhase.PENDING)
        self.opening.clear()
        for rank in opened:
            self._move(rank, ApprovalRequested(self.flow.now))
        return opened

    def admit(self) -> bool:
        """Hand the free slots to the queue, in rank order: the one place where steps compete.

        True: a step was over as soon as it began (its Job is known to be gone), which others have to hear.
        """
        limit = self.plan.parallelism
        over = False
        while self.queue and (limit is None or self.tally.live < limit):
            rank = self.queue[0]
            self._move(rank, Admitted(self.records[rank].attempt + 1, self.flow.now))
            self._visit(rank)
            over = over or self.records[rank].phase is not StepPhase.RUNNING
        if limit is not None:
            for rank in self.touched:
                if self._place(rank) is not None:
                    self._hold(rank, (NeedsSlot(limit),))
        return over

    def ring(self, now: Instant) -> list[int]:
        """Ranks whose alarm is due; -1 is the flow. The alarms go when their holds do."""
        return [rank for at, rank in self.alarms[: bisect_left(self.alarms, (now, len(self.records)))]]

    def unsettled(self) -> list[int]:
        return [rank for rank, record in enumerate(self.records) if record.finished_at is None]


def _notices(reader: StepRecord, settled: StepName) -> bool:
    """Whether the end of a dependency changes anything for a reader that may wait for others, too.

    Its `WaitsFor` names the last few open dependencies: the end of one that it
    does not name leaves it as it is.
    """
    if reader.finished_at is not None:
        return False
    return not any(isinstance(hold, WaitsFor) and settled not in hold.steps for hold in reader.holds)


def _lasting(holds: tuple[Hold, ...]) -> tuple[Hold, ...]:
    """The holds whose change is worth a write: a deadline corrected by a second is not."""
    return tuple(hold for hold in holds if not isinstance(hold, RunsUntil))


def latest(known: Instant | None, at: Instant) -> Instant:
    """The later of two instants."""
    return at if known is None or at > known else known


_CONSEQUENCES = (FlowFailing, FlowEnded, RetryAbandoned)
"""Failures that another step's failure, or the end of the flow, has brought about."""


def is_fatal(record: StepRecord, *, tolerated: bool) -> bool:
    """Whether a step with this end counts as the flow's failure."""
    return record.phase is StepPhase.FAILED and not tolerated


def begins_failure(record: StepRecord, *, tolerated: bool) -> bool:
    """Whether the flow fails because of this step: its failure is not itself the consequence of another."""
    return is_fatal(record, tolerated=tolerated) and not isinstance(record.cause, _CONSEQUENCES)


def retally(tally: Tally, sign: int, record: StepRecord, sightings: Sightings, *, main: bool) -> Tally:
    """The counts with one record added (`sign` 1) or taken away (-1)."""
    settled = sign if record.finished_at is not None else 0
    phase = record.phase
    return Tally(
        settled=tally.settled + settled,
        main_settled=tally.main_settled + (settled if main else 0),
        succeeded=tally.succeeded + (sign if phase is StepPhase.SUCCEEDED else 0),
        failed=tally.failed + (sign if phase is StepPhase.FAILED else 0),
        skipped=tally.skipped + (sign if phase is StepPhase.SKIPPED else 0),
        approvals=tally.approvals + (sign if phase is StepPhase.PENDING_APPROVAL else 0),
        retries=tally.retries + sign * record.retries_claimed,
        live=tally.live + (sign if holds_slot(record, sightings) else 0),
    )
