"""A graph as a tree on a terminal: each step once, below the last of those it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from zenflow_core.families import told
from zenflow_core.plan import PlannedStep

DEPTH: Final = 14
"""Levels of the tree that are indented; deeper ones stay at this column."""


@frozen
class Unit:
    """A step, or a family of steps of one wave that a reader sees as one."""

    steps: tuple[PlannedStep, ...]
    wave: int

    @property
    def label(self) -> str:
        return told([step.name for step in self.steps], width=0)


@frozen
class Place:
    """Where a unit stands in the tree."""

    unit: Unit
    lead: str
    """What is drawn before it."""
    others: tuple[Unit, ...]
    """What it waits for besides the one it stands below."""


def placed(units: Sequence[Unit]) -> Iterator[Place]:
    """The units from top to bottom; they come in an order in which nothing stands before what it waits for."""
    place = {step.rank: index for index, unit in enumerate(units) for step in unit.steps}
    children: dict[int, list[int]] = {}
    others: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        before = sorted({place[rank] for step in unit.steps for rank in step.upstream})
        parent = before[-1] if before else -1
        children.setdefault(parent, []).append(index)
        others[index] = before[:-1]
    # An explicit stack: a chain may be 10,000 steps long.
    stack = [(index, "", not later) for index, later in _backwards(children.get(-1, []))]
    while stack:
        index, indent, is_last = stack.pop()
        yield Place(
            units[index], f"{indent}{'└─ ' if is_last else '├─ '}", tuple(units[other] for other in others[index])
        )
        deeper = indent + ("   " if is_last else "│  ") if len(indent) < 3 * DEPTH else indent
        stack += [(child, deeper, not later) for child, later in _backwards(children.get(index, []))]


def _backwards(indexes: list[int]) -> list[tuple[int, bool]]:
    """From the last to the first, with whether another one follows it."""
    return [(index, at < len(indexes) - 1) for at, index in reversed(list(enumerate(indexes)))]
