"""Names that differ in their numbers only: a fan-out of 300 shards is one thing to a reader."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, TypeVar

from zenflow_core.styled import cells

FAMILY: Final = 4
"""How many names of one pattern make a family; fewer are told one by one."""

_NUMBER: Final = re.compile(r"\d+")

Item = TypeVar("Item")


def pattern(name: str) -> str:
    """What the members of a family share: `shard-017` is `shard-*`."""
    return _NUMBER.sub("*", name)


def families(items: Iterable[tuple[Hashable, str, Item]]) -> list[list[Item]]:
    """Items (key, name, item) grouped where key and pattern agree and there are `FAMILY` of them; order is kept.

    A group stands where its first member stood.
    """
    listed = list(items)
    grouped: dict[Hashable, list[Item]] = {}
    for key, name, item in listed:
        grouped.setdefault((key, pattern(name)), []).append(item)
    found: list[list[Item]] = []
    for key, name, item in listed:
        members = grouped[key, pattern(name)]
        if len(members) < FAMILY:
            found.append([item])
        elif members[0] is item:
            found.append(members)
    return found


def told(names: Sequence[str], *, width: int = 40) -> str:
    """Some names in at most about `width` columns: all of them, or first, last and how many."""
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names)
    if cells(listed) <= width:
        return listed
    return f"{names[0]} … {names[-1]} ({len(names)} steps)"
