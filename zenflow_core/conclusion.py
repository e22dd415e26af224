"""The end of a decision: is the flow over, what is said of it, what is the cluster owed, is anything to be written."""

from __future__ import annotations

from bisect import insort

from attrs import evolve, frozen

from zenflow_core.actions import Action, DeleteFlow, RecordStatus
from zenflow_core.artifact_store import STORE
from zenflow_core.conditions import conditions_of, edited, phase_of, says_edited
from zenflow_core.decision import Decision, Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.observation import Made
from zenflow_core.owed import ensured, ensured_resources, owes_nothing, released
from zenflow_core.reasons import (
    Instant,
    KeptUntil,
    NeedsArtifactStore,
    NeedsInput,
    NeedsOrigin,
    NeedsOutput,
    StatusTooLarge,
    TtlExpired,
)
from zenflow_core.recording import record_status
from zenflow_core.restoring import FLOW
from zenflow_core.rules.ttl import ttl
from zenflow_core.state import FlowRecord, FlowState
from zenflow_core.views import FlowView
from zenflow_core.wave import Wave, is_fatal


def conclude(wave: Wave, state: FlowState, record: FlowRecord, now: Instant, *, flow_asked: bool) -> Decision:
    """The decision that the waves have come to.

    `flow_asked`: something is new about the flow as a whole, so what it is owed
    (its objects, its own deletion) is looked at again.
    """
    record, expired = _close(wave, state, record, now)
    record = _tell(wave, state, record, now)
    record = state.record if record == state.record else record
    _rearm(wave, state.record, record)
    view = flow_view(wave, state, record, now)
    wave.begin(view)
    owed = _owed(wave, view)
    starts = record.started_at is not state.record.started_at
    made = ensured_resources(view) if flow_asked or starts else ()
    goes = expired and (flow_asked or state.record.completed_at is None)
    gone = (DeleteFlow(state.flow.name, state.flow.uid),) if goes else ()
    write = _is_written(wave, state, record)
    after = _after(wave, state, record, write=write)
    recorded = (_recorded(wave, state, after),) if write else ()
    return Decision(
        state=after,
        actions=(*recorded, *made, *owed.ensure, *owed.release, *gone),
        wake_at=wave.alarms[0][0] if wave.alarms else None,
        reads=tuple(dict.fromkeys((*owed.reads, *_reads_of_flow(view)))),
        moves=tuple(wave.moves),
    )


def flow_view(wave: Wave, state: FlowState, record: FlowRecord, now: Instant) -> FlowView:
    """The flow as it now is; the last view again, if nothing has changed since."""
    last = wave.last_view
    if last is not None and last.record is record and last.tally is wave.tally:
        return last  # no step ends without another tally
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
        inputs=state.inputs,
    )
    return wave.last_view


def _close(wave: Wave, state: FlowState, record: FlowRecord, now: Instant) -> tuple[FlowRecord, bool]:
    """The record of a flow whose steps are all over, and whether it has been kept long enough."""
    view = flow_view(wave, state, record, now)
    if record.completed_at is None and view.settled:
        ends = [r.finished_at for r in wave.records if r.finished_at is not None]
        if record.ended is not None:
            ends.append(record.ended.at)
        record = evolve(record, completed_at=max(ends))  # a flow without steps cannot be run, so it was ended
    if record.completed_at is None:
        return record, False
    return _keep(flow_view(wave, state, record, now))


def _keep(view: FlowView) -> tuple[FlowRecord, bool]:
    """The hold of a finished flow, and whether its time is over. One that is being deleted is not kept any more."""
    answer = ttl(view) if view.seen.deleting_since is None else None
    holds = (answer,) if isinstance(answer, KeptUntil) else ()
    return evolve(view.record, holds=holds), isinstance(answer, TtlExpired)


def _tell(wave: Wave, state: FlowState, record: FlowRecord, now: Instant) -> FlowRecord:
    """The record with what people read of it: phase, conditions, the generation seen, the objects made."""
    view = flow_view(wave, state, record, now)
    failed = _failed_step(wave)
    phase = phase_of(view, failed=failed != "")
    told = edited(view) is says_edited(record)
    if phase is not record.phase or not record.conditions or record.holds != state.record.holds or not told:
        conditions = conditions_of(view, phase=phase, failed_step=failed, tolerated=wave.tally.failed)
        record = evolve(record, phase=phase, conditions=conditions)
    if record.observed_generation != state.flow.generation:
        record = evolve(record, observed_generation=state.flow.generation)
    planned = state.plan.resources
    if len(record.resources) < len(planned):
        made = tuple(r for r in planned if isinstance(state.resources.get(r), Made) or r in record.resources)
        record = evolve(record, resources=made)
    return record


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


@frozen
class _Owed:
    """What the touched steps are owed, and what has to be read for them."""

    ensure: tuple[Action, ...]
    release: tuple[Action, ...]
    reads: tuple[Read, ...]


def _owed(wave: Wave, view: FlowView) -> _Owed:
    """Read off levels, for every step that was touched. A step that was not owes what it owed before: nothing new."""
    ensure: list[Action] = []
    release: list[Action] = []
    reads: list[Read] = []
    for rank in sorted(wave.touched):
        record = wave.records[rank]
        for hold in record.holds:
            match hold:
                case NeedsInput(refs):
                    reads += [ReadInput(ref) for ref in refs]
                case NeedsOutput(attempt):
                    reads.append(ReadResult(view.plan.steps[rank].name, attempt))
                case _:
                    pass
        if not owes_nothing(record, wave.sightings[rank]):
            step = wave.view(rank)
            ensure += ensured(step)
            release += released(step)
    return _Owed(tuple(ensure), tuple(release), tuple(reads))


def _reads_of_flow(view: FlowView) -> tuple[Read, ...]:
    """What the flow's own holds ask for."""
    source = view.plan.retry_of
    reads: list[Read] = []
    for hold in view.record.holds:
        match hold:
            case NeedsOrigin() if source is not None:
                reads.append(ReadOrigin(source.name, source.uid))
            case NeedsArtifactStore():
                reads.append(ReadInput(STORE))
            case _:
                pass
    return tuple(reads)


def _is_written(wave: Wave, state: FlowState, record: FlowRecord) -> bool:
    """Whether anything is worth a write: a move, a hold, or the flow's own record."""
    rowless = isinstance(record.ended, StatusTooLarge)
    if state.record.completed_at is not None and state.status_refused_at is not None and not rowless:
        return False  # the end is stored, and what was refused is not sent again
    return record is not state.record or (bool(wave.material) and not rowless)


def _after(wave: Wave, state: FlowState, record: FlowRecord, *, write: bool) -> FlowState:
    return FlowState(
        plan=state.plan,
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


def _recorded(wave: Wave, state: FlowState, after: FlowState) -> RecordStatus:
    return record_status(state, after, wave.material | wave.unwritten)
