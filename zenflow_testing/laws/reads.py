"""Stored statuses read once: rows that did not change between two versions are the same objects, and are read once.

What is stored is never changed (`zenflow_testing.frozen` finds who does), so a row that is the same object is the same
row. The laws then cost what has changed, and not the size of the flow, at each decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from zenflow_core.plan import PlannedStep
from zenflow_core.recording import rows_are_kept
from zenflow_core.state import FlowState, StepRecord
from zenflow_core.status import StoredStatus, read_row, read_status, write_flow, write_progress, write_row

_MOST: Final = 20_000


class Reads:
    """Reads statuses. Cost: the rows that are new to it, and a pass over the others."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Mapping[str, Any], StepRecord]] = {}
        """By the identity of the row, which is kept alive by being here."""

    def __call__(self, status: Mapping[str, Any] | None) -> StoredStatus:
        """What a status says, as `read_status` reads it."""
        if not status:
            return StoredStatus()
        if len(self._rows) > _MOST:
            self._rows.clear()
        flow = read_status({key: value for key, value in status.items() if key != "steps"})
        rows = {row["name"]: self._row(row) for row in status.get("steps", ())}
        return evolve(flow, rows=rows) if "phase" in status else flow

    def _row(self, row: Mapping[str, Any]) -> StepRecord:
        known = self._rows.get(id(row))
        if known is None:
            known = self._rows[id(row)] = (row, read_row(row))
        return known[1]


class Writes:
    """Writes statuses as `recording.full_status` does, each record once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], tuple[StepRecord, PlannedStep, dict[str, Any]]] = {}
        """By the identities of record and step, which are kept alive by being here."""

    def __call__(self, state: FlowState) -> dict[str, Any]:
        """The whole status."""
        status = write_flow(state.record)
        if not rows_are_kept(state):
            return status
        if len(self._rows) > _MOST:
            self._rows.clear()
        status["progress"] = write_progress(state.tally, state.plan)
        rows: list[dict[str, Any]] = [{}] * len(state.plan.steps)
        for step, record in zip(state.plan.steps, state.records, strict=True):
            key = (id(record), id(step))
            known = self._rows.get(key)
            if known is None:
                known = self._rows[key] = (record, step, write_row(step, record))
            rows[step.row] = known[2]
        return status | {"steps": rows}
