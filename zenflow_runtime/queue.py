"""Which flows have to be looked at, and when: each at most once, and by one worker at a time.

A key has one entry with a not-before time. Asking for a key that is waiting
moves it forward, never back; asking for one that is being worked on lets it
come again when that is done. A *rest* (after a failure) is a floor under both.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Final, TypeAlias

import anyio
from attrs import frozen

Key: TypeAlias = str

FOREVER: Final = float("inf")


@frozen
class Job:
    """A key whose turn it is."""

    key: Key
    since: float
    """When the first of what is now to be looked at was asked for (loop time)."""
    due: float
    """From when on it could have been taken (loop time)."""


class WorkQueue:
    """Times are the event loop's, which no change of the wall clock touches. Cost of each call: O(log keys)."""

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        """Not before when, of keys that wait."""
        self._since: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        """May hold entries that are void: only the one that equals `_at` counts."""
        self._rests: dict[Key, float] = {}
        self._busy: dict[Key, float] = {}
        """Keys being worked on, with when that began."""
        self._again: dict[Key, float] = {}
        self._numbers = count()
        self._closed = False
        self._changed = anyio.Event()

    def add(self, key: Key, *, delay: float = 0.0) -> None:
        """Ask for a key, not before `delay` seconds from now."""
        now = anyio.current_time()
        self._since.setdefault(key, now)
        at = max(now + delay, self._rests.get(key, 0.0))
        if key in self._busy:
            self._again[key] = min(at, self._again.get(key, FOREVER))
        elif at < self._at.get(key, FOREVER):
            self._put(key, at)

    def rest(self, key: Key, seconds: float) -> None:
        """Do not hand this key out for so long, whoever asks."""
        until = anyio.current_time() + seconds
        self._rests[key] = until
        if key in self._at and self._at[key] < until:
            self._put(key, until)

    async def get(self) -> Job | None:
        """Wait for the next key whose time has come; None once the queue is closed."""
        while not self._closed:
            now = anyio.current_time()
            while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            if self._heap and self._heap[0][0] <= now:
                at, _, key = heapq.heappop(self._heap)
                del self._at[key]
                self._rests.pop(key, None)
                self._busy[key] = now
                return Job(key, self._since.pop(key, now), at)
            self._changed = anyio.Event()
            with anyio.move_on_at(self._heap[0][0] if self._heap else FOREVER):
                await self._changed.wait()
        return None

    def done(self, key: Key, *, alarm: float | None = None) -> None:
        """The key has been worked on; it wants to be looked at unasked `alarm` seconds from now."""
        del self._busy[key]
        again = self._again.pop(key, FOREVER)
        if alarm is not None:
            again = min(again, anyio.current_time() + alarm)
        if again < FOREVER:
            self._put(key, max(again, self._rests.get(key, 0.0)))

    def forget(self, key: Key) -> None:
        """The key is not wanted any more, unless it is being worked on."""
        for known in (self._at, self._since, self._rests, self._again):
            known.pop(key, None)

    def close(self) -> None:
        """Hand nothing out any more."""
        self._closed = True
        self._changed.set()

    def reopen(self) -> None:
        """Hand out again what waits."""
        self._closed = False

    @property
    def depth(self) -> int:
        """Keys whose time has come and which nobody works on."""
        now = anyio.current_time()
        return sum(at <= now for at in self._at.values())

    @property
    def busy(self) -> int:
        """Keys being worked on."""
        return len(self._busy)

    def longest_turn(self) -> tuple[Key, float] | None:
        """The key that has been worked on for the longest time, and for how many seconds."""
        if not self._busy:
            return None
        key, began = min(self._busy.items(), key=lambda item: item[1])
        return key, anyio.current_time() - began

    def longest_wait(self) -> float:
        """For how many seconds the first key has been waiting for a worker."""
        first = min(self._at.values(), default=FOREVER)
        return max(anyio.current_time() - first, 0.0)

    def _put(self, key: Key, at: float) -> None:
        self._at[key] = at
        heapq.heappush(self._heap, (at, next(self._numbers), key))
        self._changed.set()
