"""The one write of status: a JSON Patch of what changed, or the whole for a flow that has none yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from zenflow_core.actions import Operation, RecordStatus
from zenflow_core.reasons import StatusTooLarge
from zenflow_core.state import FlowState
from zenflow_core.status import write_flow, write_progress, write_row
from zenflow_core.version import DECIDED_BY


def rows_are_kept(state: FlowState) -> bool:
    """Whether the status has rows: not any more once it was refused as too large."""
    return not isinstance(state.record.ended, StatusTooLarge)


def record_status(before: FlowState, after: FlowState, rows: Collection[int]) -> RecordStatus:
    """The patch from one state to the next; `rows` are the ranks whose rows differ from the stored ones."""
    plan = after.plan
    unstored = before.record.observed_generation == 0
    if unstored or before.misfit or rows_are_kept(before) is not rows_are_kept(after):
        return RecordStatus((Operation("add", "/status", full_status(after)),))
    # Not compared: the stored one may be an older version's.
    operations = [Operation("add", "/status/decidedBy", DECIDED_BY)]
    if before.record is not after.record:
        old, new = write_flow(before.record), write_flow(after.record)
        operations += [Operation("add", f"/status/{key}", value) for key, value in new.items() if old.get(key) != value]
        operations += [Operation("remove", f"/status/{key}") for key in old if key not in new]
    if rows_are_kept(after):
        progress = write_progress(after.tally, plan)
        if progress != write_progress(before.tally, before.plan):
            operations.append(Operation("add", "/status/progress", progress))
        for rank in sorted(rows):
            row = write_row(plan.steps[rank], after.records[rank])
            operations.append(Operation("replace", f"/status/steps/{plan.steps[rank].row}", row))
    return RecordStatus(tuple(operations))


def full_status(state: FlowState) -> dict[str, Any]:
    """The whole status. Cost: O(steps)."""
    status = write_flow(state.record)
    if not rows_are_kept(state):
        return status
    status["progress"] = write_progress(state.tally, state.plan)
    rows: list[dict[str, Any]] = [{}] * len(state.plan.steps)
    for step, record in zip(state.plan.steps, state.records, strict=True):
        rows[step.row] = write_row(step, record)
    return status | {"steps": rows}
