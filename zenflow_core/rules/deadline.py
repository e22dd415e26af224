"""`activeDeadlineSeconds`, the limit on all steps but `finally`; and `finallyDeadlineSeconds`, theirs."""

from __future__ import annotations

from zenflow_core.reasons import ActiveDeadlineExceeded, FlowEnded, FlowRunsUntil, RetryAbandoned
from zenflow_core.rules.expiry import give_up
from zenflow_core.rules.timeout import completed
from zenflow_core.views import FlowView, StepView

FINALLY_DEADLINE_EXCEEDED = "FinallyDeadlineExceeded"


def active_deadline(flow: FlowView) -> ActiveDeadlineExceeded | FlowRunsUntil | None:
    """End the flow at its deadline unless its main steps are over by then; no suspension stops this clock."""
    at = flow.deadline
    if at is None or flow.main_settled:
        return None
    return ActiveDeadlineExceeded(at) if flow.now >= at else FlowRunsUntil(at)


def finally_time(flow: FlowView) -> FlowRunsUntil | None:
    """Wake when the time of `finally` is over."""
    at = flow.finally_deadline
    return FlowRunsUntil(at) if at is not None and flow.now < at and not flow.settled else None


def finally_deadline(view: StepView) -> FlowEnded | RetryAbandoned | None:
    """End what is left of `finally` at its own deadline, which counts from the end of the last main step."""
    at = view.flow.finally_deadline
    if view.main or at is None or view.now < at or completed(view):
        return None
    return give_up(view, at, FINALLY_DEADLINE_EXCEEDED)
