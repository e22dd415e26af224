"""Two decisions side by side: where they differ, as paths with both values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from zenflow_core.problems import below
from zenflow_core.styled import Line, Span, Style, cells, cut, padded

NOT_THERE: Final = "–"
"""In place of a value that only the other side has."""

SHOWN: Final = 24
"""Differences that are shown; the others are counted."""


@frozen
class Difference:
    """A place where two JSON values differ, with what each of them has there as one line of JSON."""

    path: str
    left: str
    right: str


def differences(left: Any, right: Any) -> Iterator[Difference]:
    """Every leaf that differs, in order; a part that only one of them has is one difference."""
    yield from _below("", left, right)


_MISSING: Final = object()


def _below(path: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            yield from _below(below(path, key), left.get(key, _MISSING), right.get(key, _MISSING))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        for index in range(max(len(left), len(right))):
            here = [each[index] if index < len(each) else _MISSING for each in (left, right)]
            yield from _below(below(path, index), here[0], here[1])
    elif left != right or type(left) is not type(right):
        yield Difference(path, _shown(left), _shown(right))


def _shown(value: Any) -> str:
    return NOT_THERE if value is _MISSING else json.dumps(value, sort_keys=True, ensure_ascii=False)


def side_by_side(
    found: Iterator[Difference], *, left: str, right: str, columns: int | None, indent: str = "  "
) -> Iterator[Line]:
    """Differences as a table of three columns; cut to `columns`, or as long as they are (None)."""
    shown: list[Difference] = []
    more = 0
    for each in found:
        if len(shown) < SHOWN:
            shown.append(each)
        else:
            more += 1
    rows = [Difference("", left, right), *shown]
    first = max(cells(each.path) for each in rows)
    second = max(cells(each.left) for each in rows)
    third: int | None = None
    if columns is not None:
        first = min(first, columns // 3)
        third = max((columns - len(indent) - first - 4) // 2, 8)
        second = min(second, third)
        third = max(columns - len(indent) - first - second - 4, 8)
    for number, each in enumerate(rows):
        path = each.path if columns is None else cut(each.path, first)
        old = each.left if columns is None else cut(each.left, second)
        new = each.right if third is None else cut(each.right, third)
        styles = (Style.DIM, Style.DIM) if not number else (Style.BAD, Style.GOOD)
        yield (
            Span(f"{indent}{padded(path, first)}", Style.DIM),
            Span(f"  {padded(old, second)}", styles[0]),
            Span(f"  {new}", styles[1]),
        )
    if more:
        yield (Span(f"{indent}and {more} more", Style.DIM),)
