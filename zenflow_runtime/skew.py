"""How far this machine's clock is from the API server's, by the dates of its answers.

Instants come from both: a Job's end is the server's, when a retry is due is compared with our clock. A clock that is
minutes off makes retries, timeouts and clean-up early or late by as much, and nothing else shows why.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from zenflow_runtime.clock import Clock

log: FilteringBoundLogger = structlog.get_logger("zenflow.clock")

TOLERATED: Final = timedelta(seconds=5)
"""A date has whole seconds, and an answer may be old by what it took: less than this says nothing."""
_EACH_SECONDS: Final = 10.0
"""Answers are looked at so often."""


class ClockSkew:
    """Watches the dates of answers; `seconds` is how far our clock is ahead (below zero: behind)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = -_EACH_SECONDS
        self._told = timedelta(0)
        self.seconds = 0.0

    def saw(self, date: str) -> None:
        """An answer came with this `Date`; empty or unreadable ones say nothing. Warns when the skew has changed."""
        now = anyio.current_time()
        if not date or now - self._looked_at < _EACH_SECONDS:
            return
        try:
            server = parsedate_to_datetime(date)
        except ValueError:
            return
        self._looked_at = now
        skew = self._clock.now - (server if server.tzinfo else server.replace(tzinfo=UTC))
        if abs(skew) <= TOLERATED:
            skew = timedelta(0)
        self.seconds = skew.total_seconds()
        if abs(skew - self._told) > TOLERATED:
            self._told = skew
            self._tell(skew, server)

    def _tell(self, skew: timedelta, server: datetime) -> None:
        if not skew:
            log.info("this machine's clock agrees with the API server's again")
            return
        late = "early" if skew > timedelta(0) else "late"
        log.warning(
            "this machine's clock is not the API server's",
            seconds_ahead=skew.total_seconds(),
            server=server.isoformat(),
            effect=f"retries, timeouts and clean-up come {late} by as much",
            fix="synchronise the clocks of the nodes (NTP)",
        )
