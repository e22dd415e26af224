"""Durations as Go writes them: "300ms", "1h15m30s".

The grammar is that of Go's `time.ParseDuration`, because `backoff.duration` has
always been read by it: a sign, then numbers with a unit each. "d" is no unit,
as a day is not always 24 hours. Cut to microseconds, upwards, so that what is
above zero stays above zero.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from attrs import frozen

from zenflow_core.limits import INT64_MAX

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter: Go reads both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds of a unit."""

_CHARACTERS: Final = 128
"""Longest text that is looked at: Go prints no duration longer than 25 characters."""

_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")


@frozen
class MalformedDuration:
    """Text that is no duration: `what` is the finding, `fix` what to write instead."""

    what: str
    fix: str


def parse_duration(text: str) -> timedelta | MalformedDuration:
    """The duration that `text` stands for, signs included; the empty string is none.

    Bounds (above zero, at most 720 h) are the caller's: they differ from field
    to field. Beyond int64 nanoseconds (about 292 years) Go refuses, and so do we.
    """
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return timedelta(0)
    if not body or len(text) > _CHARACTERS:
        return MalformedDuration(f"{text[:_CHARACTERS]!r} is not a duration", _FIX)
    nanoseconds = 0
    position = 0
    while position < len(body):
        part = _PART.match(body, position)
        if part is None:
            missing = f"{body[position:]!r} has no unit"
            return MalformedDuration(f"{text!r} is not a duration: {missing}", _FIX)
        whole, fraction, unit = part.group(1), part.group(2) or "", part.group(3)
        if not whole and not fraction:
            return MalformedDuration(f"{text!r} is not a duration: no number before {unit!r}", _FIX)
        if unit not in UNITS:
            return MalformedDuration(f"{text!r} is not a duration: {unit!r} is not a unit of time", _fix_unit(unit))
        nanoseconds += int(whole or "0") * UNITS[unit]
        if fraction:
            nanoseconds += int(fraction) * UNITS[unit] // 10 ** len(fraction)
        if nanoseconds > INT64_MAX:
            return MalformedDuration(f"{text!r} is longer than 292 years", "write a shorter duration")
        position = part.end()
    microseconds = -(-nanoseconds // 1_000)
    return timedelta(microseconds=-microseconds if text[0] == "-" else microseconds)


def format_duration(value: timedelta) -> str:
    """The text of a duration as Go prints it: "1h30m0s", "1.5s", "0s"."""
    microseconds = value // timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    if not seconds and rest:
        unit, size = ("ms", 1_000) if rest >= 1_000 else ("µs", 1)
        whole, part = divmod(rest, size)
        return f"{sign}{whole}{_decimals(part, 3)}{unit}"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds}{_decimals(rest, 6)}s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return sign + text


_FIX: Final = 'write numbers with the units h, m, s or ms, for instance "30s" or "1h30m"'


def _fix_unit(unit: str) -> str:
    if unit.strip().lower() in ("d", "day", "days"):
        return 'write hours, for instance "48h" for two days'
    return _FIX


def _decimals(part: int, digits: int) -> str:
    text = f"{part:0{digits}d}".rstrip("0")
    return f".{text}" if text else ""
