"""What has become of a running attempt's Job. The terminal conditions decide, and nothing else does.

Not counters, not `FailureTarget` or `SuccessCriteriaMet` (they come while Pods
still run, KEP-3998), not Pods. A thing that happened before a deadline counts
even if we look later; at the deadline itself the deadline wins, so `outcome`
compares instants and leaves the rest to `expiry` and `timeout`.
"""

from __future__ import annotations

from zenflow_core.observation import Complete, Failed, Gone, Refused, Seen
from zenflow_core.reasons import (
    AttemptFailure,
    Cause,
    Hold,
    Instant,
    JobFailed,
    JobIsSuspended,
    JobLost,
    JobResumed,
    JobSuspended,
)
from zenflow_core.rules.outputs import capture
from zenflow_core.rules.refused import refusal
from zenflow_core.rules.retry import after_failure
from zenflow_core.rules.timeout import deadline
from zenflow_core.views import StepView


def outcome(view: StepView) -> Cause | Hold | None:
    """The end of the attempt, if there is one; a suspended Job only stops the clock."""
    match view.attempt(view.record.attempt):
        case None:
            return None
        case Refused() as answer:
            started = view.record.started_at
            return None if started is not None and answer.at < started else refusal(view, answer)
        case Gone(at=at):
            return _failed(view, JobLost(at))
        case Seen(outcome=Complete() as complete) as seen:
            return None if _too_late(view, complete.at) else capture(view, seen, complete)
        case Seen(outcome=Failed(at, reason, message)):
            return _failed(view, JobFailed(at, reason, message))
        case Seen() as seen:
            return _suspended(view, seen)


def _failed(view: StepView, failure: AttemptFailure) -> Cause | None:
    return None if _too_late(view, failure.at) else after_failure(view, failure)


def _too_late(view: StepView, at: Instant) -> bool:
    """Whether a deadline came first: the step's own, or the flow's."""
    own, flow = deadline(view), view.flow_deadline
    return (own is not None and at >= own and view.now >= own) or (flow is not None and at >= flow and view.now >= flow)


def _suspended(view: StepView, seen: Seen) -> JobSuspended | JobResumed | JobIsSuspended | None:
    assert view.record.watch is not None, "a running step has a watch"
    runs = view.record.watch.since is not None
    since = seen.suspended_since
    if since is not None and runs:
        return None if _too_late(view, since) else JobSuspended(since)
    if since is not None:
        return JobIsSuspended(since)
    return None if runs else JobResumed(seen.resumed_at or view.now)
