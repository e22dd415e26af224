"""Ended from outside: deleted, terminated, stopped, replaced. Beats even an outcome that is there already."""

from __future__ import annotations

from zenflow_core.reasons import (
    Deleted,
    FlowEnded,
    Replaced,
    RetryAbandoned,
    StatusTooLarge,
    Stopped,
    Terminated,
    ValidationFailed,
)
from zenflow_core.rules.expiry import end_with
from zenflow_core.rules.resources import missing
from zenflow_core.spec import Shutdown
from zenflow_core.views import FlowView, StepView

FROM_OUTSIDE = (Deleted, Terminated, Stopped, Replaced, StatusTooLarge, ValidationFailed)
"""Ends that do not wait for what the step's Job has to say."""

SPARES_FINALLY = (Stopped, Replaced)
"""Of these, the ends after which `finally` still runs."""


def cancellation(view: StepView) -> FlowEnded | RetryAbandoned | None:
    """End every unsettled step once the flow has been ended from outside.

    `finally` steps live on after every end but the rest of these, until a
    Terminate or the deletion; without anything to clean up they end, too.
    """
    ended = view.flow.record.ended
    if ended is None:
        return None
    outside = isinstance(ended, FROM_OUTSIDE)
    if view.main:
        return end_with(view, ended) if outside else None
    spared = not outside or isinstance(ended, SPARES_FINALLY)
    return None if spared and _may_clean_up(view.flow) else end_with(view, ended)


def _may_clean_up(flow: FlowView) -> bool:
    """Whether `finally` of a flow that was ended may run: main steps could start, and nobody forbids it."""
    begun = flow.record.started_at is not None and not missing(flow)
    return begun and flow.plan.shutdown is not Shutdown.TERMINATE and flow.seen.deleting_since is None


def validity(flow: FlowView) -> ValidationFailed | None:
    """A spec that cannot be run ends its flow with every problem it has."""
    return ValidationFailed(flow.now, flow.plan.refused) if flow.plan.refused else None


def deletion(flow: FlowView) -> Deleted | None:
    """The flow object is going; whatever still runs is not waited for."""
    since = flow.seen.deleting_since
    return None if since is None else Deleted(since)


def shutdown(flow: FlowView) -> Terminated | Stopped | None:
    """`spec.shutdown` was set."""
    match flow.plan.shutdown:
        case Shutdown.TERMINATE:
            return Terminated(flow.now)
        case Shutdown.STOP:
            return Stopped(flow.now)
        case None:
            return None
