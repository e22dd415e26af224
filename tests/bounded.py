"""Work that has to end soon, whatever it is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

_MADE: Final = 100_000
_SHARE: Final = 60
"""So many times the yardstick fit into a second on a machine that is not slow."""


def bounded(work: Callable[[], T], *, seconds: float = 1.0) -> T:
    """The answer of `work`, which takes under so many seconds of CPU.

    More is allowed on a machine that is slow or busy just now, as a fixed piece
    of work beside it shows, and the best of three runs counts: what a bound
    misses costs minutes, not a few more tenths. The piece of work keeps what it
    makes: where memory is slow, a loop over numbers is as fast as ever.
    """
    took = []
    for _ in range(3):
        began = time.process_time()
        made = [str(number) for number in range(_MADE)]
        allowed = seconds * max(1.0, _SHARE * (time.process_time() - began))
        del made
        began = time.process_time()
        answer = work()
        took.append(time.process_time() - began)
        if took[-1] < allowed:
            return answer
    pytest.fail(f"took {took} seconds of CPU")
