"""The flow's time or patience is over: its deadline, its retry budget, or a step that failed for good.

Asked after a step's own outcome: what has happened counts, even if we look later.
"""

from __future__ import annotations

from zenflow_core.reasons import FlowCause, FlowEnded, FlowFailing, RetryAbandoned
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


def expiry(view: StepView) -> FlowEnded | FlowFailing | RetryAbandoned | None:
    """End what may not go on; `finally` steps have their own time and are let through.

    A first fatal failure *drains*: nothing new starts, what runs may finish. With
    `failFast` the running steps end too. The flow's own ends stop everything.
    """
    if not view.main:
        return None
    if view.flow.record.ended is not None:
        return end_with(view, view.flow.record.ended)
    if view.flow.fatal is None:
        return None
    if view.record.phase is StepPhase.RUNNING and not view.flow.plan.fail_fast:
        return None
    at, step = view.flow.fatal
    if view.record.failure is not None and view.record.phase is StepPhase.PENDING:
        return RetryAbandoned(at, view.record.failure, because=FlowFailing.__name__)
    return FlowFailing(at, step)


def end_with(view: StepView, ended: FlowCause) -> FlowEnded | RetryAbandoned:
    """How a step ends with its flow: a failure that waited for its retry stays a failure."""
    reason = type(ended).__name__
    if view.record.failure is not None and view.record.phase is StepPhase.PENDING:
        return RetryAbandoned(ended.at, view.record.failure, because=reason)
    return FlowEnded(ended.at, reason)
