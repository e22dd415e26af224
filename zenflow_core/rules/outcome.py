"""What has become of a running attempt's Job. The terminal conditions decide, and nothing else does.

Not counters, not `FailureTarget` or `SuccessCriteriaMet` (they come while Pods
still run, KEP-3998), not Pods. A thing that happened before a deadline counts
even if we look later; at the deadline itself the deadline wins, so `outcome`
compares instants and leaves the rest to `expiry` and `timeout`.
"""

from __future__ import annotations

from typing import TypeAlias

from zenflow_core.limits import LABEL_CHARACTERS, MESSAGE_CHARACTERS
from zenflow_core.observation import Complete, Failed, Gone, Present, Refused, Seen, Unread
from zenflow_core.reasons import (
    AttemptFailure,
    JobComplete,
    JobFailed,
    JobIsSuspended,
    JobLost,
    JobNameTaken,
    JobRefused,
    JobRejected,
    JobResumed,
    JobSuspended,
    NamespaceTerminating,
    NeedsOutput,
    OutputMissing,
)
from zenflow_core.rules.outputs import capture
from zenflow_core.rules.refused import refusal
from zenflow_core.rules.retry import Aftermath, after_failure
from zenflow_core.rules.timeout import in_time
from zenflow_core.views import StepView

Outcome: TypeAlias = (
    (JobComplete | OutputMissing | NeedsOutput)
    | Aftermath
    | (JobRejected | JobNameTaken | JobRefused | NamespaceTerminating)
    | (JobSuspended | JobIsSuspended | JobResumed)
)


def outcome(view: StepView) -> Outcome | None:
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
            return capture(view, seen, complete) if in_time(view, complete.at) else None
        case Seen(outcome=Failed() as failed) as seen:
            return _job_failed(view, seen, failed)
        case Seen() as seen:
            return _suspended(view, seen)


def _job_failed(view: StepView, seen: Seen, failed: Failed) -> Aftermath | NeedsOutput | None:
    """The failure, with what the artifact containers say about it: the Job only knows that a Pod failed."""
    message = failed.message[:MESSAGE_CHARACTERS]
    if view.step.carries_artifacts and view.flow.plan.settings.artifact_image is not None:
        if isinstance(seen.transfer, Unread):
            return NeedsOutput(seen.attempt) if in_time(view, failed.at) else None
        if isinstance(seen.transfer, Present):
            message = f"{seen.transfer.value[:MESSAGE_CHARACTERS]}; {message}"
    return _failed(view, JobFailed(failed.at, failed.reason[:LABEL_CHARACTERS], message))


def _failed(view: StepView, failure: AttemptFailure) -> Aftermath | None:
    return after_failure(view, failure) if in_time(view, failure.at) else None


def _suspended(view: StepView, seen: Seen) -> JobSuspended | JobResumed | JobIsSuspended | None:
    assert view.record.watch is not None, "a running step has a watch"
    runs = view.record.watch.since is not None
    since = seen.suspended_since
    if since is not None and runs:
        return JobSuspended(since) if in_time(view, since) else None
    if since is not None:
        return JobIsSuspended(since)
    return None if runs else JobResumed(seen.resumed_at or view.now)
