"""Stored statuses read once: rows that did not change between two versions are the same objects, and are read once.

What is stored is never changed (`zenflow_testing.frozen` finds who does), so a row that is the same object is the same
row. The laws then cost what has changed, and not the size of the flow, at each decision.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from operator import is_
from typing import Any, Final

from attrs import evolve

from zenflow_core.observation import FlowSeen
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.reconcile import restore
from zenflow_core.recording import rows_are_kept
from zenflow_core.state import FlowRecord, FlowState, StepRecord
from zenflow_core.status import StoredStatus, read_row, read_status, write_flow, write_progress, write_row
from zenflow_testing.jsonpatch import same

_MOST: Final = 20_000
_RECENT: Final = 4
"""What is stored, what was just written, and both once more: an old view may come between."""
_BESIDES: Final = frozenset({"steps", "progress"})
"""What a status has besides the flow's own record: its rows, and counts that nobody reads back."""


class Reads:
    """Reads statuses. Cost: the rows that are new to it, and a pass over the others.

    What is equal as JSON is read once: the status that a law has written and the one that was stored of the same
    state differ as objects, not in what they say.
    """

    def __init__(self) -> None:
        self._statuses: deque[tuple[Mapping[str, Any], StoredStatus]] = deque(maxlen=_RECENT)
        self._rows: dict[int, tuple[Mapping[str, Any], StepRecord]] = {}
        """By the identity of the row, which is kept alive by being here."""
        self._latest: dict[str, tuple[Mapping[str, Any], StepRecord]] = {}
        """The row that was read last, by the step's name."""
        self._head: tuple[dict[str, Any], StoredStatus] = {}, StoredStatus()
        """What was read last of a flow as a whole."""
        self._recent: deque[StoredStatus] = deque(maxlen=_RECENT)
        self._restored: deque[tuple[StoredStatus, FlowState]] = deque(maxlen=_RECENT)
        self._equal: dict[int, tuple[object, object]] = {}
        """What has been found equal, by the identity of the first of the two."""

    def __call__(self, status: Mapping[str, Any] | None) -> StoredStatus:
        """What a status says, as `read_status` reads it; the same object again if it says the same."""
        if not status:
            return StoredStatus()
        for known, stored in self._statuses:
            if known is status:
                return stored
        if len(self._rows) > _MOST:
            self._rows.clear()
        stored = self._read(status)
        self._statuses.append((status, stored))
        return stored

    def _read(self, status: Mapping[str, Any]) -> StoredStatus:
        head = {key: value for key, value in status.items() if key not in _BESIDES}
        if not same(head, self._head[0]):
            self._head = head, read_status(head)
        flow = self._head[1].flow
        rows = {row["name"]: self._row(row) for row in status.get("steps", ())} if "phase" in status else {}
        for known in self._recent:
            if known.flow is flow and [*known.rows] == [*rows] and all(map(is_, known.rows.values(), rows.values())):
                return known
        self._recent.append(StoredStatus(flow, rows))
        return self._recent[-1]

    def _row(self, row: Mapping[str, Any]) -> StepRecord:
        known = self._rows.get(id(row))
        if known is None:
            name = row["name"]
            latest = self._latest.get(name)
            record = latest[1] if latest is not None and same(latest[0], row) else read_row(row)
            known = self._rows[id(row)] = self._latest[name] = (row, record)
        return known[1]

    def restored(self, plan: Plan, seen: FlowSeen, status: Mapping[str, Any] | None) -> FlowState:
        """The state that a status stands for, as `decode` gives it."""
        stored = self(status)
        for known, state in self._restored:
            if known is stored and state.plan is plan:
                return state if state.flow is seen else evolve(state, flow=seen)
        state = restore(plan, seen, stored)
        self._restored.append((stored, state))
        return state

    def equal(self, mine: object, read: object) -> bool:
        """Whether two values are equal. Cost: none for a pair that was found equal before."""
        if mine is read:
            return True
        known = self._equal.get(id(mine))
        if known is not None and known[0] is mine and known[1] is read:
            return True
        if mine != read:
            return False
        if len(self._equal) > _MOST:
            self._equal.clear()
        self._equal[id(mine)] = mine, read
        return True


class Writes:
    """Writes statuses as `recording.full_status` does, each record once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], tuple[StepRecord, PlannedStep, dict[str, Any]]] = {}
        """By the identities of record and step, which are kept alive by being here."""
        self._flow: tuple[FlowRecord, dict[str, Any]] = FlowRecord(), write_flow(FlowRecord())
        self._last: dict[str, Any] = {}

    def __call__(self, state: FlowState) -> dict[str, Any]:
        """The whole status; the same object again if nothing of it has changed."""
        if state.record is not self._flow[0]:
            self._flow = state.record, write_flow(state.record)
        flow = self._flow[1]
        if not rows_are_kept(state):
            return flow
        if len(self._rows) > _MOST:
            self._rows.clear()
        rows: list[dict[str, Any]] = [{}] * len(state.plan.steps)
        for step, record in zip(state.plan.steps, state.records, strict=True):
            key = (id(record), id(step))
            known = self._rows.get(key)
            if known is None:
                known = self._rows[key] = (record, step, write_row(step, record))
            rows[step.row] = known[2]
        status = flow | {"progress": write_progress(state.tally, state.plan), "steps": rows}
        if status != self._last:
            self._last = status
        return self._last
