"""What time it is, for a process that runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The process' own idea of the time of day. Timers run on the event loop, never on this."""

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second as the API stores instants."""

    @property
    def exact(self) -> datetime:
        """The present instant with its fraction of a second."""


class WallClock:
    """The machine's clock."""

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second."""
        return datetime.now(UTC).replace(microsecond=0)

    @property
    def exact(self) -> datetime:
        """The present instant with its fraction of a second."""
        return datetime.now(UTC)
