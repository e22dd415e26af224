"""Uids of a simulation, the same in every run."""

from __future__ import annotations

import random


class UidSource:
    """Uids that look random, are the same for the same seed, and all differ in their first 8 characters."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._offset = self._random.getrandbits(32)
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        # An odd factor makes this a permutation of the 32-bit numbers: no two uids begin alike.
        head = (self._count * 0x9E3779B1 + self._offset) & 0xFFFFFFFF
        tail = self._random.getrandbits(96)
        digits = f"{head:08x}{tail:024x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{8 + tail % 4:x}{digits[17:20]}-{digits[20:]}"
