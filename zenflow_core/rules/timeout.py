"""`timeoutSeconds`: the limit on one attempt, or on the wait for an approval."""

from __future__ import annotations

from typing import assert_never

from zenflow_core.observation import Complete, Gone, Refused, Seen
from zenflow_core.reasons import AttemptFailed, AttemptFailure, Instant, RetriesExhausted, RunsUntil, StepTimedOut
from zenflow_core.rules.retry import after_failure
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


def deadline(view: StepView) -> Instant | None:
    """When this attempt will have run too long; None without a limit or while its clock stands still."""
    if view.step.timeout is None or view.record.watch is None:
        return None
    return view.record.watch.expires_at(view.step.timeout)


def timeout(view: StepView) -> StepTimedOut | AttemptFailed | RetriesExhausted | AttemptFailure | RunsUntil | None:
    """End an attempt that outlives `timeoutSeconds`; wake at its deadline.

    The deadline counts from the attempt's Job, so a retry gets the whole time
    again, and a Job that was never created cannot time out. At the deadline
    itself the attempt has timed out: a wake set for an instant must find
    something to do at that instant. A Job that is gone by then has timed out, too;
    one that was Complete before it has not, however late we look.
    """
    at = deadline(view)
    if at is None:
        return None
    if view.now < at:
        return RunsUntil(at)
    if view.record.phase is StepPhase.PENDING_APPROVAL:
        return StepTimedOut(at)
    match view.attempt(view.record.attempt):
        case Seen(outcome=Complete(at=end)) if end < at:
            return None  # in time; `outcome` holds it until its result has been read
        case Seen() | Gone():
            return after_failure(view, StepTimedOut(at))
        case Refused() | None:
            return None
        case never:
            assert_never(never)
