"""`activeDeadlineSeconds`: the limit on all steps but `finally`."""

from __future__ import annotations

from zenflow_core.reasons import ActiveDeadlineExceeded, FlowRunsUntil
from zenflow_core.views import FlowView


def active_deadline(flow: FlowView) -> ActiveDeadlineExceeded | FlowRunsUntil | None:
    """End the flow at its deadline unless its main steps are over by then; no suspension stops this clock."""
    at = flow.deadline
    if at is None or flow.main_settled:
        return None
    return ActiveDeadlineExceeded(at) if flow.now >= at else FlowRunsUntil(at)
