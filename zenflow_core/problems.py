"""What is wrong with a manifest, as a value: where, what, how to put it right.

Everything that reads (`source`, `codec`, `validation`) answers with these and
never raises for what a user wrote. A path names a place in the document in
the way Kubernetes' own messages do: `spec.steps[2].dependencies[0]`, and a
key that is no plain word in quotes: `metadata.labels["team.io/name"]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from attrs import field, frozen

RULE_TITLES: Final[Mapping[str, str]] = {
    "ZF001": "yaml-syntax",
    "ZF002": "duplicate-key",
    "ZF003": "not-utf8-text",
    "ZF004": "too-large",
    "ZF005": "yaml-tag",
    "ZF006": "key-is-not-text",
    "ZF007": "yaml-alias",
    "ZF008": "not-a-manifest",
    "ZF101": "wrong-type",
    "ZF102": "unknown-field",
    "ZF103": "missing-field",
    "ZF104": "unknown-value",
    "ZF105": "out-of-range",
    "ZF106": "not-json",
    "ZF107": "not-a-jobflow",
}
"""Rules of reading, ZF0xx for the text and ZF1xx for the shape of the data. An id never changes its meaning."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_$-]+")
_SEGMENT: Final = re.compile(r"""\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.?([A-Za-z0-9_$-]+)""")
_KEY_CHARACTERS: Final = 120
"""A longer key is cut in a path: a message has to stay readable, and labels' keys are shorter than this in practice."""


_SHOWN: Final = 60


class Severity(StrEnum):
    """ERROR: the flow cannot run as it is. WARNING: it can, but probably not as meant."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Position:
    """A place in a file; line and column count from 1, the column in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Problem:
    """One thing wrong with a manifest: where it is, what it is, how to put it right.

    `path` is empty if the text could not be read far enough to have one.
    """

    path: str
    what: str
    fix: str
    rule: str = field(default="", kw_only=True)
    severity: Severity = field(default=Severity.ERROR, kw_only=True)
    position: Position | None = field(default=None, kw_only=True)

    @property
    def title(self) -> str:
        """The rule in words, for instance `unknown-field`; empty for a rule without an entry."""
        return RULE_TITLES.get(self.rule, "")

    def __str__(self) -> str:
        where = f"{self.position}: " if self.position else ""
        return f"{where}{self._found}\n  fix: {self.fix}"

    @property
    def line(self) -> str:
        """The same in one line and without a position, for a message that stands in a status or after an option."""
        return f"{self._found}; fix: {self.fix}"

    @property
    def _found(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def below(path: str, key: str | int) -> str:
    """The path of an entry (`key` a name) or an item (`key` an index) of what `path` names."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if len(key) > _KEY_CHARACTERS:
        key = key[: _KEY_CHARACTERS - 1] + "…"
    if _PLAIN_KEY.fullmatch(key) is None:
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def segments(path: str) -> tuple[str | int, ...] | None:
    """The keys and indexes of a path made by `below`; None if it is not one."""
    found: list[str | int] = []
    end = 0
    while end < len(path):
        match = _SEGMENT.match(path, end)
        if match is None:
            return None
        index, quoted, plain = match.groups()
        if index is not None:
            found.append(int(index))
        elif quoted is not None:
            try:
                found.append(str(json.loads(quoted)))
            except ValueError:
                return None
        else:
            found.append(plain)
        end = match.end()
    return tuple(found)


def quoted(text: str) -> str:
    """`text` in quotes on one line, cut to what fits into a message."""
    line = " ".join(text.split())
    return f"'{line[:_SHOWN]}…'" if len(line) > _SHOWN else f"'{line}'"
