"""`reconcile` is the definition; `advance` is the same decision from what changed.

    reconcile(flow, observed, now) -> Decision      pure, total, O(steps)
    advance(state, observed, now)  -> Decision      O(changed + their dependents + due alarms), and a pointer copy

There is no second algorithm: `reconcile` decodes the state from plan and status
and advances it over everything observed. The law "twins" says that both agree.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from zenflow_core.actions import Action, DeleteFlow
from zenflow_core.conditions import conditions_of, edited, phase_of, says_edited
from zenflow_core.decision import Decision, Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.facts import reason_of
from zenflow_core.observation import NOTHING, FlowSeen, Made, Observed, Unread
from zenflow_core.owed import ensured, ensured_resources, owes_nothing, released
from zenflow_core.plan import Plan
from zenflow_core.reasons import (
    ActiveDeadlineExceeded,
    FlowEnded,
    Instant,
    NeedsInput,
    NeedsOrigin,
    NeedsOutput,
    StatusTooLarge,
    TtlExpired,
)
from zenflow_core.recording import record_status
from zenflow_core.rows import Rows
from zenflow_core.rules import ENDED_FROM_OUTSIDE, ENDED_FROM_WITHIN, ask_flow
from zenflow_core.rules.timeout import completed
from zenflow_core.rules.ttl import ttl
from zenflow_core.state import FlowPhase, FlowRecord, FlowState, StepRecord, Tally
from zenflow_core.status import StoredStatus, read_status
from zenflow_core.transitions import enter
from zenflow_core.views import FlowView
from zenflow_core.wave import Move, Wave, begins_failure, is_fatal, latest, retally

FLOW = -1
"""The flow's own place among the alarms."""


def decode(plan: Plan, seen: FlowSeen, status: Mapping[str, Any] | None) -> FlowState:
    """The state that a stored status stands for, with its indexes rebuilt and nothing observed yet."""
    stored = read_status(status)
    return restore(plan, seen, stored)


def restore(plan: Plan, seen: FlowSeen, stored: StoredStatus) -> FlowState:
    """A state from records; rows of steps that the plan does not have are left out."""
    ended = stored.flow.ended
    # Rows that were too large to be stored are over, and how they ended is not known any more.
    missing = StepRecord()
    if isinstance(ended, StatusTooLarge):
        missing = enter(missing, FlowEnded(ended.at, reason_of(ended)))
    records = Rows(stored.rows.get(step.name, missing) for step in plan.steps)
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
        misfit=not isinstance(ended, StatusTooLarge) and _names(plan) != tuple(stored.rows),
    )


def _names(plan: Plan) -> tuple[str, ...]:
    """The names of the steps in the order of the rows."""
    return tuple(step.name for step in sorted(plan.steps, key=lambda step: step.row))


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
    if inputs is not state.inputs or _concerns_flow(observed):
        state = evolve(
            state,
            flow=seen,
            inputs=inputs,
            resources={**state.resources, **observed.resources} if observed.resources else state.resources,
            siblings=state.siblings if observed.siblings is None else observed.siblings,
            origin=state.origin if isinstance(observed.origin, Unread) else observed.origin,
            status_refused_at=observed.status_refused_at or state.status_refused_at,
        )
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
    elif _concerns_flow(observed) or FLOW in due or _opens_or_ends(state.record, record):
        dirty.update(wave.unsettled())
    elif observed.inputs:
        dirty.update(_readers(wave, observed))
    record = _settle(wave, state, record, dirty, now)
    asked = everything or _concerns_flow(observed) or FLOW in due
    return _conclude(wave, state, record, now, flow_asked=asked)


def _view(wave: Wave, state: FlowState, record: FlowRecord, now: Instant) -> FlowView:
    """The flow as it now is; the last view again, if nothing has changed since."""
    last = wave.last_view
    if last is not None and last.record is record and last.tally is wave.tally and last.last_end is wave.last_end:
        return last
    fatal = None if wave.fatal is None else (wave.fatal[0], state.plan.steps[wave.fatal[1]].name)
    wave.last_view = FlowView(
        plan=state.plan,
        seen=state.flow,
        record=record,
        tally=wave.tally,
        fatal=fatal,
        resources=state.resources,
        last_end=wave.last_end,
        now=now,
        siblings=state.siblings,
        origin=state.origin,
        status_refused_at=state.status_refused_at,
    )
    return wave.last_view


def _readers(wave: Wave, observed: Observed) -> list[int]:
    """Steps that wait for one of these inputs. Cost: O(steps), but inputs are read rarely."""
    return [
        rank
        for rank, record in enumerate(wave.records)
        if any(
            isinstance(hold, NeedsInput) and any(ref in observed.inputs for ref in hold.refs) for hold in record.holds
        )
    ]


def _concerns_flow(observed: Observed) -> bool:
    """Whether something is new about the flow as a whole, and not only about its Jobs and inputs."""
    return not (
        observed.flow is None
        and observed.siblings is None
        and not observed.resources
        and isinstance(observed.origin, Unread)
        and observed.status_refused_at is None
    )


def _opens_or_ends(old: FlowRecord, new: FlowRecord) -> bool:
    return new.started_at is not old.started_at or new.ended is not old.ended


def _begin(view: FlowView) -> FlowRecord:
    """What comes from outside is asked first; then a flow that nothing holds starts."""
    record = view.record
    if record.completed_at is not None:
        return record
    unsendable = view.status_refused_at is not None and not isinstance(record.ended, StatusTooLarge)
    if record.ended is None or unsendable:
        answer = ask_flow(ENDED_FROM_OUTSIDE, view)
        if not isinstance(answer, tuple):
            return evolve(record, ended=answer)
        if record.started_at is None and not answer:
            record = evolve(record, started_at=view.now)
        if record.started_at is None:
            record = evolve(record, holds=answer)
    return record if record.fingerprint else evolve(record, fingerprint=view.plan.fingerprint)


def _settle(wave: Wave, state: FlowState, record: FlowRecord, dirty: set[int], now: Instant) -> FlowRecord:
    """Waves until nothing follows: what the steps did may end the flow, open `finally`, or ask for an approval."""
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
        if (record.ended, wave.fatal is not None, _main_settled(wave)) != before:
            dirty = set(wave.unsettled())
            continue
        dirty = set(wave.ask_approvals())
        if dirty:
            continue
        wave.begin(_view(wave, state, record, now))
        if not wave.admit():
            break
        dirty = set(wave.unsettled())
    if record.ended is not None:
        holds = ()
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
    told = edited(view) is says_edited(record)
    if phase is not record.phase or not record.conditions or record.holds != state.record.holds or not told:
        tolerated = wave.tally.failed if phase is FlowPhase.SUCCEEDED else 0
        conditions = conditions_of(view, phase=phase, failed_step=failed, tolerated=tolerated)
        record = evolve(record, phase=phase, conditions=conditions)
    if record.observed_generation != state.flow.generation:
        record = evolve(record, observed_generation=state.flow.generation)
    if len(record.resources) < len(plan.resources):
        made = tuple(
            ref for ref in plan.resources if isinstance(state.resources.get(ref), Made) or ref in record.resources
        )
        record = evolve(record, resources=made) if made != record.resources else record
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
        if not owes_nothing(wave.records[rank], wave.sightings[rank]):
            step = wave.view(rank)
            create += ensured(step)
            release += released(step)
    if flow_asked or record.started_at is not state.record.started_at:
        create = [*ensured_resources(view), *create]
    for flow_hold in record.holds:
        if isinstance(flow_hold, NeedsOrigin) and plan.retry_of is not None:
            reads.append(ReadOrigin(plan.retry_of.name, plan.retry_of.uid))
    if expired and (flow_asked or state.record.completed_at is None):
        release.append(DeleteFlow(state.flow.name, state.flow.uid))
    record = state.record if record == state.record else record
    rowless = isinstance(record.ended, StatusTooLarge)
    write = record is not state.record or (bool(wave.material) and not rowless)
    if state.record.completed_at is not None and state.status_refused_at is not None and not rowless:
        write = False  # the end is stored, and what was refused is not sent again
    after = FlowState(
        plan=plan,
        flow=state.flow,
        inputs=state.inputs,
        resources=state.resources,
        siblings=state.siblings,
        origin=state.origin,
        status_refused_at=state.status_refused_at,
        record=record,
        records=wave.records.freeze(),
        sightings=wave.sightings.freeze(),
        tally=wave.tally,
        fatal=wave.fatal,
        last_end=wave.last_end,
        alarms=tuple(wave.alarms),
        queue=tuple(wave.queue),
        unwritten=frozenset() if write else frozenset(wave.unwritten),
        misfit=state.misfit and not write,
    )
    first = [record_status(state, after, wave.material | wave.unwritten)] if write else []
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


__all__ = [
    "NOTHING",
    "Decision",
    "Move",
    "Read",
    "ReadInput",
    "ReadOrigin",
    "ReadResult",
    "advance",
    "decode",
    "reconcile",
    "restore",
]
