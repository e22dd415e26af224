"""The flow's time or patience is over: its deadline, its retry budget, or a step that failed for good.

Asked after a step's own outcome: what has happened counts, even if we look later.
"""

from __future__ import annotations

from zenflow_core.facts import reason_of
from zenflow_core.reasons import FlowCause, FlowEnded, FlowFailing, Instant, RetryAbandoned
from zenflow_core.rules.timeout import completed
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


def expiry(view: StepView) -> FlowEnded | FlowFailing | RetryAbandoned | None:
    """End what may not go on; `finally` steps have their own time and are let through.

    A first fatal failure *drains*: nothing new starts, what runs may finish. With
    `failFast` the running steps end too. The flow's own ends stop everything.
    """
    if not view.main or completed(view):
        return None
    if view.flow.record.ended is not None:
        return end_with(view, view.flow.record.ended)
    if view.flow.fatal is None:
        return None
    if view.record.phase is StepPhase.RUNNING and not view.flow.plan.fail_fast:
        return None
    at, step = view.flow.fatal
    if waits_for_retry(view):
        return give_up(view, at, FlowFailing.__name__)
    return FlowFailing(at, step)


def end_with(view: StepView, ended: FlowCause) -> FlowEnded | RetryAbandoned:
    """How a step ends with its flow."""
    return give_up(view, ended.at, reason_of(ended))


def give_up(view: StepView, at: Instant, reason: str) -> FlowEnded | RetryAbandoned:
    """The end of a step that something else ended: a failure that waited for its retry stays a failure."""
    if waits_for_retry(view):
        assert view.record.failure is not None, "it has failed"
        return RetryAbandoned(max(at, view.record.failure.at), view.record.failure, because=reason)
    return FlowEnded(at, reason)


def waits_for_retry(view: StepView) -> bool:
    """Whether the step has failed and a retry would follow."""
    return view.record.failure is not None and view.record.phase is StepPhase.PENDING
