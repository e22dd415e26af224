"""Text with meanings instead of colours: what renders says what a piece is, what prints decides how that looks.

A piece may hold what a user or a cluster wrote. `plain` and every printer make
control characters visible, so that a message can never steer a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple, TypeAlias


class Style(Enum):
    """What a piece of text is; a printer without colours ignores it."""

    PLAIN = "plain"
    HEAD = "head"
    DIM = "dim"
    GOOD = "good"
    BAD = "bad"
    BUSY = "busy"
    WAIT = "wait"


class Span(NamedTuple):
    """A piece of one line."""

    text: str
    style: Style = Style.PLAIN


Line: TypeAlias = tuple[Span, ...]

_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]")


def line(*parts: str | Span) -> Line:
    """A line of pieces; a bare text is plain."""
    return tuple(part if isinstance(part, Span) else Span(part) for part in parts)


def visible(text: str) -> str:
    """`text` on one line, with control characters and changes of direction written as escapes."""
    return _UNSEEN.sub(_escape, text)


def plain(lines: Iterable[Line]) -> str:
    """The lines without colours, each ended by a line feed and without blanks at its end."""
    return "".join("".join(visible(span.text) for span in each).rstrip() + "\n" for each in lines)


def cells(text: str) -> int:
    """Columns that `text` takes in a terminal: two for wide characters, none for combining ones."""
    if _NOT_ASCII.search(text) is None:
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, its end replaced by `…` if it is longer."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for char in text:
        used += cells(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def padded(text: str, width: int) -> str:
    """`text` with blanks up to `width` columns."""
    return text + " " * (width - cells(text))


def brief(duration: timedelta) -> str:
    """A duration for a reader, in hours, minutes and seconds without zeros behind: `1h02m10s`, `48h`, `5m`."""
    seconds = round(duration.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    while len(parts) > 1 and not parts[-1][0]:
        parts.pop()
    (number, unit), *rest = parts
    return f"{sign}{number}{unit}" + "".join(f"{number:02d}{unit}" for number, unit in rest)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    named = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
