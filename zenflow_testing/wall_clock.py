"""The time on the wall, as simulations read time."""

from __future__ import annotations

from datetime import UTC, datetime


class WallClock:
    """The real time, cut to the second as the API stores instants; it never goes back, whatever the machine's does."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    @property
    def exact(self) -> datetime:
        """The present instant with its fraction of a second."""
        return max(datetime.now(UTC), self._last)

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second."""
        self._last = self.exact.replace(microsecond=0)
        return self._last
