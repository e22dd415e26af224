"""How an attempt fails."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from attrs import frozen

Instant: TypeAlias = datetime
"""An aware UTC datetime cut to the second, as metav1.Time stores it."""


@frozen
class JobFailed:
    """The attempt's Job has the condition Failed; `reason` and `message` are the condition's."""

    at: Instant
    reason: str = ""
    message: str = ""


@frozen
class JobLost:
    """The attempt's Job vanished before its end was seen: somebody deleted it."""

    at: Instant


@frozen
class StepTimedOut:
    """The attempt still ran, or the approval was still waited for, at its deadline (`timeoutSeconds`)."""

    at: Instant


AttemptFailure: TypeAlias = JobFailed | JobLost | StepTimedOut
