"""From a stored status to a state: the records are read, and every index over them is rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from zenflow_core.facts import reason_of
from zenflow_core.observation import FlowSeen
from zenflow_core.plan import Plan
from zenflow_core.reasons import FlowEnded, Instant, StatusTooLarge
from zenflow_core.rows import Rows
from zenflow_core.state import FlowState, StepPhase, StepRecord, Tally
from zenflow_core.status import StoredStatus, read_status
from zenflow_core.transitions import enter
from zenflow_core.wave import begins_failure, latest

FLOW: Final = -1
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
    records = Rows(_counted(stored.rows.get(step.name, missing)) for step in plan.steps)
    fatal = None
    last_end: Instant | None = None
    alarms = [(h.until, FLOW) for h in stored.flow.holds if h.until is not None]
    for rank, (step, record) in enumerate(zip(plan.steps, records, strict=True)):
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
        tally=_tally(tuple(records), plan.main),
        fatal=fatal,
        last_end=last_end,
        alarms=tuple(sorted(alarms)),
        misfit=not isinstance(ended, StatusTooLarge) and not _fit(plan, tuple(stored.rows)),
    )


def _counted(record: StepRecord) -> StepRecord:
    """What runs has had its first attempt, though a controller that counts none has written the row."""
    return record if record.attempt or record.phase is not StepPhase.RUNNING else evolve(record, attempt=1)


def _tally(records: tuple[StepRecord, ...], main: int) -> Tally:
    """The counts over records whose Jobs are not known yet: what `wave.retally` comes to, one by one."""
    phases = [record.phase for record in records]
    over = [record.finished_at is not None for record in records]
    return Tally(
        settled=sum(over),
        main_settled=sum(over[:main]),
        succeeded=phases.count(StepPhase.SUCCEEDED),
        failed=phases.count(StepPhase.FAILED),
        skipped=phases.count(StepPhase.SKIPPED),
        approvals=phases.count(StepPhase.PENDING_APPROVAL),
        retries=sum(record.retries_claimed for record in records),
        live=phases.count(StepPhase.RUNNING),
    )


def _fit(plan: Plan, names: tuple[str, ...]) -> bool:
    """Whether these are the names of the plan's steps, in the order of their rows."""
    return len(names) == len(plan.steps) and all(names[step.row] == step.name for step in plan.steps)
