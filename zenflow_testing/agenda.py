"""What is due in a simulated world, and when: a heap of happenings.

Whoever waits (a Job, a Pod, a request) waits for one thing at a time, whose number it knows: what has become
pointless (the Job was deleted, suspended, ...) is passed over, and `next_due` does not name it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from zenflow_runtime.answers import too_large
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError

_REFUSALS: Final = frozenset({403})
"""Answers that may come to a write which is right. Any other is our own bug."""


class Plot:
    """Something that waits for what the happening number `due` will bring; 0: for nothing."""

    __slots__ = ("due",)

    def __init__(self) -> None:
        self.due = 0


_Happening: TypeAlias = "tuple[datetime, int, Plot, Callable[[Any], None]]"


class Agenda:
    """What is to happen on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._happenings: list[_Happening] = []
        self._count = 0

    def next_due(self) -> datetime | None:
        """When the world next wants to do something; None if nothing is in sight. May be in the past."""
        happenings = self._happenings
        while happenings and happenings[0][2].due != happenings[0][1]:
            heapq.heappop(happenings)
        return happenings[0][0] if happenings else None

    def run_due(self) -> int:
        """Do all that is due now, and what becomes due at once by that, in the order it became due.

        Returns how many things happened. A write that the server refuses (an object too large, a namespace
        that is going, an admission policy) does not happen, and what would have followed does not either.
        """
        happenings, done = self._happenings, 0
        if not happenings or happenings[0][0] > self._cluster.clock.now:
            return 0
        with self._cluster.without_hooks():
            while happenings and happenings[0][0] <= self._cluster.clock.now:
                _, number, plot, act = heapq.heappop(happenings)
                if plot.due != number:
                    continue
                plot.due = 0
                done += 1
                try:
                    act(plot)
                except ApiError as refusal:
                    if refusal.code not in _REFUSALS and not too_large(refusal):
                        raise
        return done

    def schedule(self, plot: Plot, at: datetime, act: Callable[[Any], None]) -> None:
        """Let `plot` wait for this and for nothing else."""
        self._count += 1
        plot.due = self._count
        # The number keeps the order of what happens at one instant, and keeps the heap from comparing plots.
        heapq.heappush(self._happenings, (at, self._count, plot, act))


def whole(duration: timedelta) -> timedelta:
    """Rounded up to whole seconds, as the API knows no others."""
    return duration if not duration.microseconds else timedelta(duration.days, duration.seconds + 1)
