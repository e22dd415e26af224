"""What a dump shows of each Job, told relative to its creation, so that it can happen again at another time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

from attrs import evolve, frozen

from zenflow_core.dump import Step
from zenflow_core.observation import Active, Complete, Gone, Refused, Seen, Sighting
from zenflow_core.reasons import Instant
from zenflow_core.spec import StepName

Key: TypeAlias = tuple[StepName, int]
"""A step and an attempt."""

_NO_TIME: Final = timedelta(0)


@frozen
class Sight:
    """A Job as the operator was told of it, and at which decision (from 0)."""

    index: int
    at: Instant
    sighting: Sighting


@frozen
class Run:
    """All that a dump shows of the Job of one attempt, up to where the operator itself asked for its end."""

    begun: int
    """The decision that created it, or that first knew it."""
    base: Instant
    """When that was: what follows is told from here."""
    sights: tuple[Sight, ...]
    deleted_at: Instant | None = None
    deleted: int | None = None
    """The decision that asked for its end."""
    going: tuple[Sight, ...] = ()
    """What was seen of it after that."""

    @property
    def gone_after(self) -> timedelta | None:
        """How long after we asked for its end it was gone; None: the dump does not show it."""
        if self.deleted_at is None:
            return None
        gone = (each.at for each in self.going if isinstance(each.sighting, Gone))
        return next((max(at - self.deleted_at, _NO_TIME) for at in gone), None)

    @property
    def end(self) -> Sight | None:
        """How it ended by itself; None if the dump does not show it."""
        return next((each for each in self.sights if is_over(each.sighting)), None)

    def moved(self, by: timedelta) -> Iterator[Sight]:
        """The same so much later."""
        for each in self.sights:
            yield evolve(each, at=each.at + by, sighting=moved(each.sighting, by))


def is_over(sighting: Sighting) -> bool:
    """Whether the attempt has an outcome with it: an end, or a loss."""
    match sighting:
        case Seen(outcome=outcome):
            return not isinstance(outcome, Active)
        case Gone():
            return True
        case Refused():
            return False


def moved(sighting: Sighting, by: timedelta) -> Sighting:
    """A sighting with every instant of it so much later; what the Job's own document says stays as it is."""
    match sighting:
        case Seen():
            return _seen_later(sighting, by)
        case Gone():
            last = sighting.last
            return evolve(sighting, at=sighting.at + by, last=None if last is None else _seen_later(last, by))
        case Refused():
            return evolve(sighting, at=sighting.at + by)


def _seen_later(seen: Seen, by: timedelta) -> Seen:
    outcome = seen.outcome
    return evolve(
        seen,
        created_at=seen.created_at + by,
        outcome=outcome if isinstance(outcome, Active) else evolve(outcome, at=outcome.at + by),
        suspended_since=_later(seen.suspended_since, by),
        resumed_at=_later(seen.resumed_at, by),
        kept_until=_later(seen.kept_until, by),
    )


def _later(at: Instant | None, by: timedelta) -> Instant | None:
    return None if at is None else at + by


def runs_of(steps: Sequence[Step]) -> Mapping[Key, Run]:
    """Every attempt that a dump tells of. Cost: one pass."""
    created: dict[Key, int] = {}
    deleted: dict[Key, int] = {}
    sights: dict[Key, list[Sight]] = {}
    last: dict[Key, Sighting] = {}
    going: dict[Key, list[Sight]] = {}
    for index, step in enumerate(steps):
        for name, each in step.observed.jobs.items():
            for sighting in each:
                key = (name, sighting.attempt)
                if last.get(key) == sighting:
                    continue
                last[key] = sighting
                mine = going if key in deleted else sights
                mine.setdefault(key, []).append(Sight(index, step.at, sighting))
        for action in _actions(step.decided):
            key = (StepName(str(action.get("step"))), action.get("attempt", 0))
            if action.get("action") == "CreateJob":
                created.setdefault(key, index)
            elif action.get("action") == "DeleteJob":
                deleted.setdefault(key, index)
    found: dict[Key, Run] = {}
    for key in {*created, *sights}:
        seen = tuple(sights.get(key, ()))
        begun = created[key] if key in created else seen[0].index
        asked = deleted.get(key)
        at = None if asked is None else steps[asked].at
        found[key] = Run(begun, steps[begun].at, seen, at, deleted=asked, going=tuple(going.get(key, ())))
    return found


def _actions(decided: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    actions = decided.get("actions")
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, dict):
            yield each


def result_of(runs: Mapping[Key, Run], step: StepName) -> Seen | None:
    """A Job of the step that the record shows Complete, the latest one: what it left is what the step leaves."""
    found: Seen | None = None
    for (name, _), run in sorted(runs.items()):
        for sight in run.sights if name == step else ():
            if isinstance(sight.sighting, Seen) and isinstance(sight.sighting.outcome, Complete):
                found = sight.sighting
    return found
