"""How requests are treated: at random from a seed, by their number, or as the script of a case says."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Final

from tests.cluster.faults_real.treatments import (
    PASS,
    Asked,
    Ending,
    HoldBack,
    Late,
    Pass,
    Refuse,
    Sever,
    Strike,
    Treatment,
    Watch,
)

NEVER: Final = 1 << 30


class Unruly:
    """Treats so large a share of the requests badly, as a seed says; watches never last long."""

    def __init__(self, seed: int, share: float = 0.15) -> None:
        self._random = random.Random(seed)
        self._share = share

    def treat(self, asked: Asked) -> Treatment:
        draw = self._random
        if asked.verb == "watch":
            return Watch(draw.choice((0.0, 0.2, 1.0)), draw.uniform(0.5, 8.0), draw.choice(list(Ending)))
        if asked.resource == "leases" or draw.random() >= self._share:
            return PASS
        seconds = draw.uniform(0.1, 2.0)
        anywhere: list[Treatment] = [
            Pass(seconds),
            HoldBack(seconds),
            Sever(performed=False),
            Sever(performed=True),
            Refuse(429, "TooManyRequests", retry_after=1),
            Refuse(500, "InternalError"),
            Refuse(503, "ServiceUnavailable", retry_after=draw.choice((None, 1))),
            Refuse(504, "Timeout", performed=True),
        ]
        return draw.choice(anywhere)


class Killing:
    """Kills a process with its n-th request, on a side of it that is drawn, too."""

    def __init__(self, seed: int, *, highest: int) -> None:
        self._random = random.Random(seed)
        self._highest = highest
        self._left = NEVER
        self._performed = False
        self._kill: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def aim(self, pid: int) -> None:
        """The next victim; never two at a time."""
        with self._lock:
            self._left = self._random.randint(1, self._highest)
            self._performed = self._random.random() < 0.5
            self._kill = lambda: os.kill(pid, signal.SIGKILL)

    def rest(self) -> None:
        """Kill nobody any more."""
        with self._lock:
            self._left = NEVER

    def treat(self, _asked: Asked) -> Treatment:
        with self._lock:
            self._left -= 1
            if self._left:
                return PASS
            self._left = NEVER
            return Strike(self._kill, self._performed)


class PausedAt:
    """Pauses a process with a write: the server gets it only when somebody else has long taken over."""

    def __init__(self, wanted: Callable[[Asked], bool], deed: Callable[[], None]) -> None:
        self._wanted = wanted
        self._deed = deed
        self.paused = threading.Event()
        self.go_on = threading.Event()

    def treat(self, asked: Asked) -> Treatment:
        if self.paused.is_set() or not self._wanted(asked):
            return PASS
        self.paused.set()
        return Late(self._deed, self.go_on)


class SlowToWatch:
    """Watches begin so many seconds later than they are asked for: what they ask from may be forgotten by then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def treat(self, asked: Asked) -> Treatment:
        return Pass(self.seconds) if asked.verb == "watch" and self.seconds else PASS
