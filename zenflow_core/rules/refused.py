"""Creates that the API server refused: for good, for now, or because the namespace is going.

Source: product rule "Retry"; API conventions on status codes; `NamespaceTerminating`
is a cause in the details of a 403 (admission plugin NamespaceLifecycle).
"""

from __future__ import annotations

from datetime import timedelta

from zenflow_core import reasons
from zenflow_core.limits import MESSAGE_CHARACTERS, REFUSAL_DELAY_MAX, RETRY_AFTER_MAX
from zenflow_core.observation import Refused
from zenflow_core.reasons import JobNameTaken, JobRefused, JobRejected, NamespaceGoing, RefusedUntil
from zenflow_core.views import StepView

_PERMANENT = frozenset({400, 413, 422})


def refused(view: StepView) -> RefusedUntil | NamespaceGoing | None:
    """Wait until a refused create may be sent again."""
    match view.record.cause:
        case JobRefused(until=until) if view.now < until:
            return RefusedUntil(until)
        case reasons.NamespaceTerminating():
            return NamespaceGoing()
        case _:
            return None


def refusal(view: StepView, answer: Refused) -> JobRejected | JobNameTaken | JobRefused | reasons.NamespaceTerminating:
    """What an answer to our create means for the step."""
    message = answer.message[:MESSAGE_CHARACTERS]
    if answer.taken_by:
        return JobNameTaken(answer.at, answer.taken_by)
    if reasons.NamespaceTerminating.__name__ in answer.causes:
        return reasons.NamespaceTerminating(answer.at)
    if permanent(answer):
        return JobRejected(answer.at, answer.code, message)
    pause = min(timedelta(seconds=2 ** min(view.record.refusals, 16)), REFUSAL_DELAY_MAX)
    if answer.retry_after is not None:
        pause = max(pause, min(timedelta(seconds=answer.retry_after), RETRY_AFTER_MAX))
    return JobRefused(answer.at, answer.at + pause, answer.code, message)


def permanent(answer: Refused) -> bool:
    """Refusals that no waiting changes."""
    if answer.code in _PERMANENT:
        return True
    if answer.code == 500:
        return "request is too large" in answer.message
    return answer.code == 403 and "denied the request" in answer.message
