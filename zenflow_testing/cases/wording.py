"""What does not hold, and its words."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from zenflow_testing.cases.expectations import (
    Attempt,
    JobField,
    TimedAttempt,
)


@frozen
class Failing:
    """An assertion that does not hold."""

    path: str
    expected: str
    found: str
    step: str = ""


def either(words: tuple[str, ...]) -> str:
    """Words for one of several values."""
    return " or ".join(words)


def which(each: Attempt | JobField) -> str:
    """Words for a Job of a step."""
    return f"step {each.step}" if each.attempt is None else f"attempt {each.attempt} of step {each.step}"


def span(timed: TimedAttempt) -> str:
    """Words for a span of time."""
    match timed.from_, timed.to:
        case None, None:
            return "at some time"
        case None, to:
            return f"by {to:g} s"
        case since, None:
            return f"from {since:g} s on"
        case since, to:
            return f"between {since:g} and {to:g} s"


def within(at: float, timed: TimedAttempt, tolerance: float, *, early: float, late: float) -> bool:
    """Whether an instant lies in a span, give or take; so many seconds before and after it are as good."""
    if timed.tol is not None:
        tolerance = timed.tol
    too_early = timed.from_ is not None and at < timed.from_ - tolerance - early
    return not too_early and (timed.to is None or at <= timed.to + tolerance + late)


def shown(value: Any) -> str:
    """A value as JSON, cut to what is readable."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:199]}…"
