"""What follows a failed attempt: another one after a pause, or the end of the step."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

from zenflow_core.observation import Seen
from zenflow_core.plan import RetryRule
from zenflow_core.reasons import (
    AttemptFailed,
    AttemptFailure,
    BacksOff,
    FlowFailing,
    PreviousAttemptEnds,
    RetriesExhausted,
    RetryAbandoned,
)
from zenflow_core.spec import BackoffType
from zenflow_core.views import StepView

Aftermath: TypeAlias = AttemptFailed | RetriesExhausted | RetryAbandoned | AttemptFailure
"""What a failed attempt can become."""

_SECOND = timedelta(seconds=1)


def delay(rule: RetryRule, n: int) -> timedelta:
    """The pause before retry `n` (from 1): d, d*n or d*factor^(n-1), at most the ceiling, in whole seconds.

    Never shrinks from one retry to the next, whatever the factor: what a float
    cannot hold is the ceiling. Parts of a second are rounded up.
    """
    seconds = rule.duration.total_seconds()
    try:
        match rule.type:
            case BackoffType.FIXED:
                pass
            case BackoffType.LINEAR:
                seconds *= n
            case BackoffType.EXPONENTIAL:
                seconds *= rule.factor ** (n - 1)
        pause = timedelta(seconds=seconds)
    except OverflowError:
        return rule.ceiling
    pause = min(pause, rule.ceiling)
    whole = pause // _SECOND * _SECOND
    return whole if whole == pause else whole + _SECOND


def after_failure(view: StepView, failure: AttemptFailure) -> Aftermath:
    """The cause that a failed attempt becomes: exhausted is asked before any waiting is."""
    rule, attempt = view.step.retry, view.record.attempt
    if rule is None or rule.limit == 0:
        return failure
    if attempt > rule.limit:
        return RetriesExhausted(attempt, failure)
    if view.main and view.flow.fatal is not None:
        return RetryAbandoned(failure.at, failure, because=FlowFailing.__name__)  # a retry is new, too
    return AttemptFailed(attempt, failure, retry_at=failure.at + delay(rule, attempt))


def retry_backoff(view: StepView) -> BacksOff | None:
    """Keep the pause before a retry."""
    holds = view.record.holds
    if holds and not any(isinstance(hold, BacksOff) for hold in holds):
        return None  # somebody has seen it end: a clock that is behind does not undo that
    at = view.record.retry_at
    return BacksOff(at) if at is not None and view.now < at else None


def previous_attempt(view: StepView) -> PreviousAttemptEnds | None:
    """Never two Jobs of one step at once: the failed attempt's Job has to be over or gone."""
    for sighting in view.sightings:
        if isinstance(sighting, Seen) and sighting.live and sighting.attempt <= view.record.attempt:
            return PreviousAttemptEnds(sighting.attempt)
    return None
