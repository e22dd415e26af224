"""Events that come after so many requests, changes or decisions, and what follows an event some seconds later."""

from __future__ import annotations

import heapq
import math
from enum import StrEnum

from attrs import define, evolve

from zenflow_testing.cases import history as h


class Counted(StrEnum):
    """What an event may come after."""

    REQUESTS = "requests"
    EVENTS = "events"
    DECISIONS = "decisions"


@define
class _Armed:
    event: h.Happening
    path: str
    left: int


class Triggers:
    """What waits for a count, and what waits for a time."""

    def __init__(self) -> None:
        self._armed: dict[Counted, list[_Armed]] = {each: [] for each in Counted}
        self._later: list[tuple[float, int, h.Happening, str]] = []
        self._number = 0

    def arm(self, event: h.Happening, path: str) -> bool:
        """Let it wait for its count from now on. False: its count is 0, so it is to happen now."""
        after = event.after
        assert after is not None, "it waits for something"
        for kind in Counted:
            count: int | None = getattr(after, kind.value)
            if count:
                self._armed[kind].append(_Armed(evolve(event, after=None), path, count))
                return True
        return False

    def count(self, kind: Counted) -> list[tuple[h.Happening, str]]:
        """One more; answers with the events that come now."""
        armed = self._armed[kind]
        if not armed:
            return []
        for each in armed:
            each.left -= 1
        due = [(each.event, each.path) for each in armed if not each.left]
        if due:
            self._armed[kind] = [each for each in armed if each.left]
        return due

    def follow(self, at: float, event: h.Happening, path: str) -> None:
        """Let this event come by itself, at that second."""
        self._number += 1
        heapq.heappush(self._later, (at, self._number, event, path))

    def next_due(self) -> float:
        """When the next one comes by itself."""
        return self._later[0][0] if self._later else math.inf

    def due(self, now: float) -> list[tuple[h.Happening, str]]:
        """Those that come now."""
        found: list[tuple[h.Happening, str]] = []
        while self._later and self._later[0][0] <= now:
            _, _, event, path = heapq.heappop(self._later)
            found.append((event, path))
        return found


def aftermath(event: h.Happening, now: float) -> tuple[float, h.Happening] | None:
    """What an event brings about by itself some seconds later."""
    match event:
        case h.CacheFreeze(seconds=float() as seconds, kinds=kinds, lost=lost):
            at = now + seconds
            return at, (h.WatchExpired(at=at, kinds=kinds) if lost else h.CacheThaw(at=at, kinds=kinds))
        case h.CacheRewind(seconds=float() as seconds, kind=kinds):
            return now + seconds, h.CacheThaw(at=now + seconds, kinds=kinds)
        case h.OperatorCrash(restart=float() as seconds, instance=name):
            return now + seconds, h.OperatorStart(at=now + seconds, instance=name)
        case h.OperatorCrashOn(restart=float() as seconds, instance=name):
            return now + seconds, h.OperatorStart(at=now + seconds, instance=name)
        case _:
            return None
