"""`reconcile` is the definition; `advance` is the same decision from what changed.

    reconcile(flow, observed, now) -> Decision      pure, total, O(steps)
    advance(state, observed, now)  -> Decision      O(changed + their dependents + due alarms), and a pointer copy

There is no second algorithm: `reconcile` decodes the state from plan and status
and advances it over everything observed. The law "twins" says that both agree.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from zenflow_core.actions import Action, DeleteFlow, Operation, RecordStatus
from zenflow_core.conditions import conditions_of, phase_of
from zenflow_core.observation import NOTHING, FlowSeen, Observed
from zenflow_core.owed import ensured, released
from zenflow_core.plan import ConfigMapKey, Plan
from zenflow_core.reasons import ActiveDeadlineExceeded, Instant, NeedsInput, NeedsOutput, TtlExpired
from zenflow_core.rows import Rows
from zenflow_core.rules import ENDED_FROM_OUTSIDE, ENDED_FROM_WITHIN, ask_flow
from zenflow_core.rules.timeout import completed
from zenflow_core.rules.ttl import ttl
from zenflow_core.spec import StepName
from zenflow_core.state import FlowPhase, FlowRecord, FlowState, StepPhase, StepRecord, Tally
from zenflow_core.status import StoredStatus, read_status, write_flow, write_progress, write_row
from zenflow_core.views import FlowView
from zenflow_core.wave import Move, Wave, begins_failure, is_fatal, latest, retally

FLOW = -1
"""The flow's own place among the alarms."""


@frozen
class ReadInput:
    """Read this key of a ConfigMap; hand it in as `Observed.inputs`."""

    ref: ConfigMapKey


@frozen
class ReadResult:
    """Read the termination message of this attempt's latest Succeeded Pod; hand it in as `Seen.result`."""

    step: StepName
    attempt: int


Read: TypeAlias = ReadInput | ReadResult


@frozen
class Decision:
    """What was decided: the state after it, what to ask of the cluster, and when to look again unasked.

    `actions` stand in the order in which they are to be carried out: record, ensure, release.
    """

    state: FlowState
    actions: tuple[Action, ...]
    wake_at: Instant | None
    reads: tuple[Read, ...] = ()
    """What to read and hand in as observed, because a hold names it."""
    moves: tuple[Move, ...] = field(default=(), repr=False)
    """What moved, for Events, metrics and timelines; best effort by nature."""

    @property
    def status(self) -> dict[str, Any]:
        """The whole status, as the API would store it. Cost: O(steps)."""
        return full_status(self.state)

    def requeue_after(self, now: Instant) -> timedelta | None:
        """How long until `wake_at`; None: only a change of the cluster can move this flow."""
        return None if self.wake_at is None else max(self.wake_at - now, timedelta(0))


def decode(plan: Plan, seen: FlowSeen, status: Mapping[str, Any] | None) -> FlowState:
    """The state that a stored status stands for, with its indexes rebuilt and nothing observed yet."""
    stored = read_status(status)
    return restore(plan, seen, stored)


def restore(plan: Plan, seen: FlowSeen, stored: StoredStatus) -> FlowState:
    """A state from records; rows of steps that the plan does not have are left out."""
    records = Rows(stored.rows.get(step.name, StepRecord()) for step in plan.steps)
    tally = Tally()
    fatal = None
    last_end: Instant | None = None
    alarms = [(h.until, FLOW) for h in stored.flow.holds if h.until is not None]
    for rank, (step, record) in enumerate(zip(plan.steps, records, strict=True)):
        tally = retally(tally, +1, record, (), main=rank < plan.main)
        alarms += [(h.until, rank) for h in record.holds if h.until is not None]
        if rank < plan.main and record.finished_at is not None:
            last_end = latest(last_end, record.finished_at)
            if begins_failure(record, tolerated=step.continue_on_failure):
                mark = (record.finished_at, rank)
                fatal = mark if fatal is None else min(fatal, mark)
    return FlowState(
        plan=plan,
        flow=seen,
        record=stored.flow,
        records=records,
        sightings=Rows(((),) * len(records)),
        tally=tally,
        fatal=fatal,
        last_end=last_end,
        alarms=tuple(sorted(alarms)),
    )


def reconcile(plan: Plan, status: Mapping[str, Any] | None, observed: Observed, *, now: Instant) -> Decision:
    """Decide about a flow from what is stored and everything that is observed.

    `observed.flow` has to be given. Raises nothing for any plan that
    `compile_plan` made and any status that zenflow wrote. Cost: O(steps).
    """
    assert observed.flow is not None, "a flow is decided about as it is seen"
    state = decode(plan, observed.flow, status)
    return _decide(state, observed, now, everything=True)


def advance(state: FlowState, observed: Observed, now: Instant) -> Decision:
    """Decide from what changed since `state` was decided.

    The view handed in must never be older than our own last write: the caller
    lays acknowledged writes over its cache until the watch has caught up. After
    any failed or uncertain action it drops the state and reconciles anew.
    """
    return _decide(state, observed, now, everything=False)


def _decide(state: FlowState, observed: Observed, now: Instant, *, everything: bool) -> Decision:
    seen = observed.flow or state.flow
    inputs = {**state.inputs, **observed.inputs} if observed.inputs else state.inputs
    resources = {**state.resources, **observed.resources} if observed.resources else state.resources
    if seen is not state.flow or inputs is not state.inputs or resources is not state.resources:
        state = evolve(state, flow=seen, inputs=inputs, resources=resources)
    wave = Wave(state)
    by_name = state.plan.by_name
    dirty: set[int] = set()
    for name, sightings in observed.jobs.items():
        rank = by_name[name]
        wave.see(rank, sightings)
        dirty.add(rank)
    due = wave.ring(now)
    dirty.update(rank for rank in due if rank != FLOW)
    record = _begin(_view(wave, state, state.record, now))
    if everything:
        dirty.update(range(len(wave.records)))
    elif observed.flow is not None or FLOW in due or _opens_or_ends(state.record, record):
        dirty.update(wave.unsettled())
    elif observed.inputs:
        dirty.update(_readers(wave, observed))
    record = _settle(wave, state, record, dirty, now)
    asked = everything or observed.flow is not None or FLOW in due
    return _conclude(wave, state, record, now, flow_asked=asked)


def _view(wave: Wave, state: FlowState, record: FlowRecord, now: Instant) -> FlowView:
    fatal = None if wave.fatal is None else (wave.fatal[0], state.plan.steps[wave.fatal[1]].name)
    return FlowView(
        plan=state.plan,
        seen=state.flow,
        record=record,
        tally=wave.tally,
        fatal=fatal,
        resources=state.resources,
        last_end=wave.last_end,
        now=now,
    )


def _readers(wave: Wave, observed: Observed) -> list[int]:
    """Steps that wait for one of these inputs. Cost: O(steps), but inputs are read rarely."""
    return [
        rank
        for rank, record in enumerate(wave.records)
        if any(
            isinstance(hold, NeedsInput) and any(ref in observed.inputs for ref in hold.refs) for hold in record.holds
        )
    ]


def _opens_or_ends(old: FlowRecord, new: FlowRecord) -> bool:
    return new.started_at is not old.started_at or new.ended is not old.ended


def _begin(view: FlowView) -> FlowRecord:
    """What comes from outside is asked first; then a flow that nothing holds starts."""
    record = view.record
    if record.completed_at is not None:
        return record
    if record.ended is None:
        answer = ask_flow(ENDED_FROM_OUTSIDE, view)
        if not isinstance(answer, tuple):
            return evolve(record, ended=answer)
        if record.started_at is None and not answer:
            record = evolve(record, started_at=view.now)
        if record.started_at is None:
            record = evolve(record, holds=answer)
    return record if record.fingerprint else evolve(record, fingerprint=view.plan.fingerprint)


def _settle(wave: Wave, state: FlowState, record: FlowRecord, dirty: set[int], now: Instant) -> FlowRecord:
    """Waves until nothing follows: what the steps did may end the flow, or open `finally`. At most four."""
    holds = record.holds
    while True:
        before = (record.ended, wave.fatal is not None, _main_settled(wave))
        wave.begin(_view(wave, state, record, now))
        wave.run(dirty)
        if record.ended is None and record.completed_at is None and record.started_at is not None:
            answer = ask_flow(ENDED_FROM_WITHIN, _view(wave, state, record, now))
            if isinstance(answer, tuple):
                holds = answer
            elif isinstance(answer, ActiveDeadlineExceeded) and _in_time(wave):
                holds = ()
            else:
                record, holds = evolve(record, ended=answer), ()
        if (record.ended, wave.fatal is not None, _main_settled(wave)) == before:
            break
        dirty = set(wave.unsettled())
    if record.ended is not None:
        holds = ()
    wave.begin(_view(wave, state, record, now))
    wave.admit()
    return record if holds == record.holds else evolve(record, holds=holds)


def _main_settled(wave: Wave) -> bool:
    return wave.tally.main_settled == wave.plan.main


def _in_time(wave: Wave) -> bool:
    """Whether every main step that is left was Complete in time and only waits for its result to be read.

    Cost: O(steps), but only asked at a deadline.
    """
    left = (rank for rank in range(wave.plan.main) if not wave.records[rank].settled)
    return all(completed(wave.view(rank)) for rank in left)


def _conclude(wave: Wave, state: FlowState, record: FlowRecord, now: Instant, *, flow_asked: bool) -> Decision:
    """Close the flow if it is over, then read off what the cluster is owed."""
    plan = state.plan
    view = wave.flow
    if record is not view.record or wave.tally is not view.tally:
        view = _view(wave, state, record, now)
    if record.completed_at is None and view.settled:
        ends = [r.finished_at for r in wave.records if r.finished_at is not None]
        over = max(ends, default=now) if record.ended is None else max([*ends, record.ended.at])
        record = evolve(record, completed_at=over, holds=())
        view = _view(wave, state, record, now)
    expired = False
    if record.completed_at is not None:
        record, expired = _keep(view)
        view = _view(wave, state, record, now)
    failed = _failed_step(wave)
    phase = phase_of(view, failed=failed != "")
    if phase is not record.phase or not record.conditions or record.holds != state.record.holds:
        tolerated = wave.tally.failed if phase is FlowPhase.SUCCEEDED else 0
        conditions = conditions_of(view, phase=phase, failed_step=failed, tolerated=tolerated)
        record = evolve(record, phase=phase, conditions=conditions)
    if record.observed_generation != state.flow.generation:
        record = evolve(record, observed_generation=state.flow.generation)
    _rearm(wave, state.record, record)
    wave.begin(view)
    create: list[Action] = []
    release: list[Action] = []
    reads: list[Read] = []
    for rank in sorted(wave.touched):
        for hold in wave.records[rank].holds:
            match hold:
                case NeedsInput(refs):
                    reads += [ReadInput(ref) for ref in refs]
                case NeedsOutput(attempt):
                    reads.append(ReadResult(plan.steps[rank].name, attempt))
                case _:
                    pass
        if wave.sightings[rank] or wave.records[rank].phase is StepPhase.RUNNING:
            step = wave.view(rank)
            create += ensured(step)
            release += released(step)
    if expired and (flow_asked or state.record.completed_at is None):
        release.append(DeleteFlow(state.flow.name, state.flow.uid))
    record = state.record if record == state.record else record
    write = record is not state.record or bool(wave.material)
    after = FlowState(
        plan=plan,
        flow=state.flow,
        inputs=state.inputs,
        resources=state.resources,
        record=record,
        records=wave.records.freeze(),
        sightings=wave.sightings.freeze(),
        tally=wave.tally,
        fatal=wave.fatal,
        last_end=wave.last_end,
        alarms=tuple(wave.alarms),
        queue=tuple(wave.queue),
        unwritten=frozenset() if write else frozenset(wave.unwritten),
    )
    first = [_record(wave, state, after)] if write else []
    wake = wave.alarms[0][0] if wave.alarms else None
    return Decision(after, (*first, *create, *release), wake, tuple(dict.fromkeys(reads)), tuple(wave.moves))


def _keep(view: FlowView) -> tuple[FlowRecord, bool]:
    """The hold of a finished flow, and whether its time is over."""
    answer = None if view.seen.deleting_since is not None else ttl(view)
    if answer is None:
        return view.record, False
    if isinstance(answer, TtlExpired):
        return view.record if not view.record.holds else evolve(view.record, holds=()), True
    return view.record if view.record.holds == (answer,) else evolve(view.record, holds=(answer,)), False


def _failed_step(wave: Wave) -> str:
    """The step that failed the flow: the first fatal one, else the first failed one of `finally`."""
    if wave.fatal is not None:
        return wave.plan.steps[wave.fatal[1]].name
    for rank in range(wave.plan.main, len(wave.plan.steps)):
        if is_fatal(wave.records[rank], tolerated=wave.plan.steps[rank].continue_on_failure):
            return wave.plan.steps[rank].name
    return ""


def _rearm(wave: Wave, old: FlowRecord, new: FlowRecord) -> None:
    """Replace the flow's own alarms."""
    if old.holds == new.holds:
        return
    for hold in old.holds:
        if hold.until is not None:
            wave.alarms.remove((hold.until, FLOW))
    for hold in new.holds:
        if hold.until is not None:
            insort(wave.alarms, (hold.until, FLOW))


def _record(wave: Wave, before: FlowState, after: FlowState) -> RecordStatus:
    """The patch of what changed: rows in place, and the flow's own fields."""
    plan = after.plan
    if before.record.observed_generation == 0:
        return RecordStatus((Operation("add", "/status", full_status(after)),))
    operations: list[Operation] = []
    if before.record is not after.record or before.plan is not plan:
        old, new = write_flow(before.record), write_flow(after.record)
        operations += [Operation("add", f"/status/{key}", value) for key, value in new.items() if old.get(key) != value]
        operations += [Operation("remove", f"/status/{key}") for key in old if key not in new]
    progress = write_progress(after.tally, plan)
    if progress != write_progress(before.tally, before.plan):
        operations.append(Operation("add", "/status/progress", progress))
    for rank in sorted(wave.material | wave.unwritten):
        step = plan.steps[rank]
        row = write_row(step, after.records[rank])
        operations.append(Operation("replace", f"/status/steps/{step.row}", row))
    return RecordStatus(tuple(operations))


def full_status(state: FlowState) -> dict[str, Any]:
    """The whole status. Cost: O(steps)."""
    status = write_flow(state.record) | {"progress": write_progress(state.tally, state.plan)}
    rows: list[dict[str, Any]] = [{}] * len(state.plan.steps)
    for step, record in zip(state.plan.steps, state.records, strict=True):
        rows[step.row] = write_row(step, record)
    return status | {"steps": rows}


__all__ = ["NOTHING", "Decision", "Move", "advance", "decode", "full_status", "reconcile", "restore"]
