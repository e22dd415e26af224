"""`reconcile` is the definition; `advance` is the same decision from what changed.

    reconcile(flow, observed, now) -> Decision      pure, total, O(steps)
    advance(state, observed, now)  -> Decision      O(changed + their dependents + due alarms), and a pointer copy

There is no second algorithm: `reconcile` decodes the state from plan and status
and advances it over everything observed. The law "twins" says that both agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from zenflow_core.conclusion import conclude, flow_view
from zenflow_core.decision import Decision, Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.observation import NOTHING, Observed, Unread
from zenflow_core.plan import Plan
from zenflow_core.reasons import ActiveDeadlineExceeded, Instant, NeedsInput, StatusTooLarge
from zenflow_core.restoring import FLOW, decode, restore
from zenflow_core.rules import BEFORE_START, ENDED_FROM_OUTSIDE, ENDED_FROM_WITHIN, ask_flow
from zenflow_core.rules.store import chosen_store
from zenflow_core.rules.timeout import completed
from zenflow_core.spec import ArtifactStore
from zenflow_core.state import FlowRecord, FlowState
from zenflow_core.views import FlowView
from zenflow_core.wave import Move, Wave


def reconcile(plan: Plan, status: Mapping[str, Any] | None, observed: Observed, *, now: Instant) -> Decision:
    """Decide about a flow from what is stored and everything that is observed.

    `observed.flow` has to be given. Raises nothing for any plan that
    `compile_plan` made and any status that zenflow wrote. Cost: O(steps).
    """
    assert observed.flow is not None, "a flow is decided about as it is seen"
    return resume(decode(plan, observed.flow, status), observed, now)


def resume(decoded: FlowState, observed: Observed, now: Instant) -> Decision:
    """The second half of `reconcile`: decide from a state that was decoded from a stored status. Cost: O(steps)."""
    return _decide(decoded, observed, now, everything=True)


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
    record = _begin(flow_view(wave, state, state.record, now))
    if everything:
        dirty = {rank for rank in range(len(wave.records)) if not wave.rests(rank)}
    elif _concerns_flow(observed) or FLOW in due or _opens_or_ends(state.record, record):
        dirty.update(wave.unsettled())
    elif observed.inputs:
        dirty.update(_readers(wave, observed))
    record = _settle(wave, state, record, dirty, now)
    asked = everything or _concerns_flow(observed) or FLOW in due
    return conclude(wave, state, record, now, flow_asked=asked)


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
        if answer == () and record.started_at is None:
            answer = ask_flow(BEFORE_START, view)
        if not isinstance(answer, tuple):
            return evolve(record, ended=answer)
        if record.started_at is None:
            record = evolve(record, holds=answer) if answer else _start(view)
    return record if record.fingerprint else evolve(record, fingerprint=view.plan.fingerprint)


def _start(view: FlowView) -> FlowRecord:
    store = chosen_store(view)
    assert store is None or isinstance(store, ArtifactStore), "the rule `artifact_store` has asked the same"
    return evolve(view.record, started_at=view.now, artifact_store=store)


def _settle(wave: Wave, state: FlowState, record: FlowRecord, dirty: set[int], now: Instant) -> FlowRecord:
    """Waves until nothing follows: what the steps did may end the flow, open `finally`, or ask for an approval."""
    holds = record.holds
    while True:
        before = (record.ended, wave.fatal is not None, _main_settled(wave))
        wave.begin(flow_view(wave, state, record, now))
        wave.run(dirty)
        if record.ended is None and record.completed_at is None and record.started_at is not None:
            answer = ask_flow(ENDED_FROM_WITHIN, flow_view(wave, state, record, now))
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
        wave.begin(flow_view(wave, state, record, now))
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
    "resume",
]
