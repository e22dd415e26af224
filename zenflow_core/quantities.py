"""Kubernetes quantities: "100m", "1.5Gi", "2e3".

Only as much as validation needs: whether a text is one, its sign, and which of
two is larger. Values are exact (`Fraction`): a limit equal to its request must
not become smaller by rounding. Grammar: `k8s.io/apimachinery` resource.Quantity.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_SUFFIXES: Final = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}

_CHARACTERS: Final = 64
"""Longest text that is looked at; a quantity that a person writes has about ten."""

_EXPONENT: Final = 100
"""Beyond this power of ten all quantities are the same to us: the API server caps them at 2^63-1."""

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)


def parse_quantity(value: object) -> Fraction | None:
    """The amount that a quantity stands for; None if it is none.

    JSON numbers are accepted, as the API server does: `cpu: 2` is "2".
    """
    match value:
        case str():
            text = value
        case bool():
            return None
        case int():
            return Fraction(value)
        case float():
            text = repr(value)
        case _:
            return None
    return _read(text) if len(text) <= _CHARACTERS else None


@lru_cache(maxsize=4_096)
def _read(text: str) -> Fraction | None:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number = Fraction(found["number"].removesuffix("."))
    if found["exponent"] is not None:
        exponent = max(-_EXPONENT, min(_EXPONENT, int(found["exponent"])))
        return number * Fraction(10) ** exponent
    return number * _SUFFIXES[found["suffix"] or ""]
