"""`timeoutSeconds`: the limit on one attempt, or on the wait for an approval."""

from __future__ import annotations

from typing import assert_never

from zenflow_core.observation import Complete, Failed, Gone, Refused, Seen
from zenflow_core.reasons import Instant, RunsUntil, StepTimedOut
from zenflow_core.rules.retry import Aftermath, after_failure
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


def deadline(view: StepView) -> Instant | None:
    """When this attempt will have run too long; None without a limit or while its clock stands still."""
    if view.step.timeout is None or view.record.watch is None:
        return None
    return view.record.watch.expires_at(view.step.timeout)


def in_time(view: StepView, at: Instant) -> bool:
    """Whether what happened at `at` came before the deadlines: the step's own, and that of its part of the flow.

    A deadline that is still to come bounds nothing: an instant of another machine's clock may lie ahead of ours.
    """
    return all(limit is None or at < limit or view.now < limit for limit in (deadline(view), view.flow_deadline))


def completed(view: StepView) -> bool:
    """Whether the attempt's Job was over in time, so that only what its Pod left is still to be read.

    Such a step has its outcome: no deadline and no failure of another step may end it.
    (A Job that Failed is only read where artifacts are moved; else it has had its outcome by now.)
    """
    seen = view.attempt(view.record.attempt) if view.record.phase is StepPhase.RUNNING else None
    return isinstance(seen, Seen) and isinstance(seen.outcome, Complete | Failed) and in_time(view, seen.outcome.at)


def timeout(view: StepView) -> Aftermath | RunsUntil | None:
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
    if completed(view):
        return None
    match view.attempt(view.record.attempt):
        case Seen() | Gone():
            return after_failure(view, StepTimedOut(at))
        case Refused() | None:
            return None
        case never:
            assert_never(never)
