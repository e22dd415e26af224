"""Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_parts = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d{1,4}))?")

_FACTORS = {
    **{suffix: Fraction(1024) ** (power + 1) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{suffix: Fraction(1000) ** (power + 1) for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{suffix: Fraction(1, 1000) ** (power + 1) for power, suffix in enumerate(("m", "u", "n"))},
}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Fraction | None:
    parts = _parts.fullmatch(text)
    if parts is None:
        return None
    number, suffix, exponent = parts.groups()
    value = Fraction(number)
    if suffix:
        return value * _FACTORS[suffix]
    if exponent:
        return value * Fraction(10) ** int(exponent)
    return value


def quantity(value: str | int | float) -> Fraction | None:
    """The exact value of a quantity, which JSON may hold as a string or a number; None if it is none."""
    return _parsed(str(value))
