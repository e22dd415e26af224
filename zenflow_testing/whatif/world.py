"""What a changed life takes from the record, and the news that it is told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from zenflow_core.dump import Step
from zenflow_core.names import approval_key, approver_key, legacy_approval_key, rejection_key
from zenflow_core.observation import (
    FlowSeen,
    Lookup,
    Observed,
    OriginLookup,
    ResourceSighting,
    Sibling,
    Sighting,
    Unread,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceRef
from zenflow_core.reasons import Instant
from zenflow_core.spec import StepName
from zenflow_testing.whatif.changes import JobEnds, KeyHolds, PersonDecides
from zenflow_testing.whatif.record import Key, Run

_AT_ONCE: Final = timedelta(0)


@frozen
class World:
    """Everything that is taken from the record, with what was changed about it."""

    steps: Sequence[Step]
    """The decisions, with the flow and the plan as they are changed."""
    runs: Mapping[Key, Run]
    asked: frozenset[StepName]
    """Approvals that the record shows to have been asked for."""
    jobs: tuple[JobEnds, ...] = ()
    people: tuple[PersonDecides, ...] = ()
    keys: tuple[KeyHolds, ...] = ()
    clock: timedelta = _AT_ONCE
    lost: frozenset[int] = frozenset()
    """Decisions (from 0) whose news of Jobs never arrived."""

    def ending(self, key: Key) -> JobEnds | None:
        """How the Job of an attempt is to end; None: as in the record."""
        return next((c for c in self.jobs if c.step == key[0] and c.attempt in (None, key[1])), None)

    def with_people(self, seen: FlowSeen, decided: Mapping[StepName, Instant], now: Instant) -> FlowSeen:
        """The flow with the annotations of those who decide otherwise."""
        notes = dict(seen.annotations)
        for each in self.people:
            for key in (approval_key, rejection_key, approver_key, legacy_approval_key):
                notes.pop(key(each.step), None)
            at = decided.get(each.step)
            if each.approved is not None and at is not None and at <= now:
                notes |= noted(each.step, approved=each.approved)
        return seen if notes == seen.annotations else evolve(seen, annotations=notes)


def noted(step: StepName, *, approved: bool) -> dict[str, str]:
    return {approval_key(step): "true"} if approved else {rejection_key(step): "rejected in a what-if"}


@define
class News:
    """What comes to be known at one instant, gathered."""

    jobs: set[StepName] = field(factory=set)
    inputs: dict[ConfigMapKey, Lookup] = field(factory=dict)
    resources: dict[ResourceRef, ResourceSighting] = field(factory=dict)
    siblings: tuple[Sibling, ...] | None = None
    origin: OriginLookup = Unread()
    status_refused_at: Instant | None = None
    flow: bool = False


@frozen
class JobSeen:
    """A Job is seen otherwise."""

    key: Key
    sighting: Sighting
    life: int
    """Which creation of it is meant: what a Job would have done ends with its deletion."""
    assumed: tuple[str, ...] = ()
    """What is said once this has come about: the record does not show it."""


@frozen
class Told:
    """Something else becomes known."""

    observed: Observed
    plan: Plan | None = None
    """The flow was changed into this one."""
