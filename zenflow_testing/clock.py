"""Time for simulations: it moves only when somebody moves it.

A simulation has one true clock, the API server's. A process whose own clock is wrong reads it
through a `SkewedClock`, so that a jump of one process never moves the time of the others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where simulated time begins unless a test says otherwise."""


class Clock(Protocol):
    """Whatever can say what time it is."""

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second."""


def timestamp(instant: datetime) -> str:
    """The instant as the API stores it (metav1.Time): RFC 3339, UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_of(text: str) -> datetime:
    """The instant that an API timestamp names, fractions of a second cut off.

    Raises ValueError for text that is not RFC 3339 or names no time zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write it like 2026-01-01T00:00:00Z")
    return instant.astimezone(UTC).replace(microsecond=0)


class VirtualClock:
    """The API server's clock of a simulation; it stands still until it is advanced, and never goes back."""

    __slots__ = ("_exact", "_now")

    def __init__(self, start: datetime = EPOCH) -> None:
        if start.tzinfo is None:
            raise ValueError(f"the clock needs an aware start, not {start!r}; pass tzinfo=UTC")
        self._exact = start.astimezone(UTC)
        self._now = self._exact.replace(microsecond=0)

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second as the API stores instants."""
        return self._now

    @property
    def exact(self) -> datetime:
        """The present instant with its fraction of a second, which histories with `at: 0.5` need."""
        return self._exact

    def advance_to(self, instant: datetime) -> None:
        """Move to `instant`; the present instant is allowed. Raises ValueError for an earlier one."""
        if instant < self._exact:
            raise ValueError(f"time does not go back: now {self._exact.isoformat()}, asked for {instant.isoformat()}")
        self._exact = instant.astimezone(UTC)
        self._now = self._exact.replace(microsecond=0)

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds, which may be a fraction but not negative."""
        self.advance_to(self._exact + timedelta(seconds=seconds))

    def __repr__(self) -> str:
        return f"VirtualClock({timestamp(self._now)})"


class SkewedClock:
    """One process' own clock: `behind` another clock by a shift that may jump either way.

    `jump` changes what this process believes; the true time, and every other process, stays as it is.
    """

    __slots__ = ("shift", "true_clock")

    def __init__(self, true_clock: Clock, shift: timedelta = timedelta(0)) -> None:
        self.true_clock = true_clock
        self.shift = shift

    @property
    def now(self) -> datetime:
        """What this process takes for the present instant: aware, UTC, cut to the second."""
        return (self.true_clock.now + self.shift).replace(microsecond=0)

    def jump(self, seconds: float) -> None:
        """Let this process' clock jump by so many seconds; negative is back."""
        self.shift += timedelta(seconds=seconds)

    def true_instant(self, own: datetime) -> datetime:
        """The true instant at which this clock will show `own`: when a wake asked for in its terms is due."""
        return own - self.shift

    def __repr__(self) -> str:
        return f"SkewedClock({timestamp(self.now)}, shift {self.shift.total_seconds():+g} s)"
