"""Work that has to end soon, whatever it is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

FAR_TOO_LONG_SECONDS: Final = 10.0
"""Of CPU. All that is held to it takes hundredths or tenths of a second; where a bound is missed it takes minutes, or
does not end. A machine that is slow or busy comes to a second or two."""


def bounded(work: Callable[[], T]) -> T:
    """The answer of `work`, which must not take far too long."""
    began = time.process_time()
    answer = work()
    took = time.process_time() - began
    assert took < FAR_TOO_LONG_SECONDS, f"took {took:.1f} seconds of CPU"
    return answer
