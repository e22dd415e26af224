"""Steps that a drawing shows as one: a fan-out of 300 shards is one box "× 300", and so is a chain of as many.

Only steps that nothing tells apart but a number in their names are put together: a fan-out shares what it waits for and
what waits for it, a chain is one step after the other. Every step is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from attrs import frozen

from zenflow_core.families import pattern
from zenflow_core.plan import Plan, PlannedStep

CROWD: Final = 12
"""Fewer equal steps than this are drawn one by one."""


@frozen
class Group:
    """Steps drawn as one box, by rank; most often one."""

    ranks: tuple[int, ...]
    label: str

    @property
    def count(self) -> int:
        """How many steps it stands for."""
        return len(self.ranks)


def groups(plan: Plan, *, crowd: int = CROWD) -> tuple[Group, ...]:
    """All steps in groups, in the order of their first steps."""
    together: dict[Hashable, list[int]] = {}
    for step in plan.steps:
        together.setdefault(_like(step), []).append(step.rank)
    taken: dict[int, tuple[int, ...]] = {}
    for ranks in (*together.values(), *_chains(plan)):
        if len(ranks) >= crowd and not any(rank in taken for rank in ranks):
            taken.update(dict.fromkeys(ranks, tuple(ranks)))
    found: list[Group] = []
    for step in plan.steps:
        members = taken.get(step.rank, (step.rank,))
        if members[0] == step.rank:
            found.append(Group(members, step.name if len(members) == 1 else pattern(step.name)))
    return tuple(found)


def _like(step: PlannedStep) -> Hashable:
    return pattern(step.name), step.upstream, step.downstream, step.manual, step.segment


def _chains(plan: Plan) -> list[Sequence[int]]:
    """Runs of steps of one pattern, each after the one before and after nothing else."""
    found: list[Sequence[int]] = []
    seen: set[int] = set()
    for step in plan.steps:
        if step.rank in seen:
            continue
        run = [step.rank]
        while (after := _only_next(plan, run[-1])) is not None:
            run.append(after)
        seen.update(run)
        found.append(run)
    return found


def _only_next(plan: Plan, rank: int) -> int | None:
    step = plan.steps[rank]
    if len(step.downstream) != 1:
        return None
    after = plan.steps[step.downstream[0]]
    same = after.upstream == (rank,) and _alike(step, after)
    return after.rank if same else None


def _alike(step: PlannedStep, other: PlannedStep) -> bool:
    return pattern(step.name) == pattern(other.name) and step.manual == other.manual and step.segment is other.segment
