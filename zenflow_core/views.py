"""What a rule is shown: one step and what concerns it, or the flow; nothing else, and nothing mutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import field, frozen

from zenflow_core.observation import (
    UNREAD,
    FlowSeen,
    Lookup,
    OriginLookup,
    ResourceSighting,
    Sibling,
    Sighting,
    Sightings,
)
from zenflow_core.plan import ConfigMapKey, Plan, PlannedStep, ResourceRef, Segment
from zenflow_core.reasons import Cause, FlowCause, FlowHold, Hold, Instant
from zenflow_core.spec import StepName
from zenflow_core.state import FlowRecord, StepRecord, Tally


@frozen
class FlowView:
    """The flow as a whole, at one instant. `fatal` is the first main step that failed for good."""

    plan: Plan
    seen: FlowSeen
    record: FlowRecord
    tally: Tally
    fatal: tuple[Instant, StepName] | None
    resources: Mapping[ResourceRef, ResourceSighting]
    last_end: Instant | None
    """When the last main step that is over ended."""
    now: Instant
    siblings: tuple[Sibling, ...] = ()
    origin: OriginLookup = UNREAD
    status_refused_at: Instant | None = None
    inputs: Mapping[ConfigMapKey, Lookup] = field(factory=dict)

    @property
    def settled(self) -> bool:
        """Whether every step, `finally` included, is over."""
        return self.tally.settled == len(self.plan.steps)

    @property
    def main_settled(self) -> bool:
        """Whether every main step is over, so that `finally` may begin."""
        return self.tally.main_settled == self.plan.main

    @property
    def deadline(self) -> Instant | None:
        """When `activeDeadlineSeconds` ends the main steps; None without one, or before the start."""
        if self.plan.deadline is None or self.record.started_at is None:
            return None
        return self.record.started_at + self.plan.deadline

    @property
    def finally_deadline(self) -> Instant | None:
        """When `finallyDeadlineSeconds` ends the `finally` steps; None before they may begin."""
        if self.plan.finally_deadline is None or not self.main_settled or self.last_end is None:
            return None
        return self.last_end + self.plan.finally_deadline


@frozen
class StepView:
    """One step at one instant: its plan, its record, its Jobs, the records it depends on, and the flow."""

    step: PlannedStep
    record: StepRecord
    sightings: Sightings
    upstream: tuple[StepRecord, ...]
    """Records of `step.upstream`, in that order."""
    flow: FlowView
    reader: Callable[[int], StepRecord]
    """The record of any step upstream, by rank; settled ones are final."""
    inputs: Mapping[ConfigMapKey, Lookup]

    @property
    def now(self) -> Instant:
        return self.flow.now

    @property
    def main(self) -> bool:
        return self.step.segment is Segment.MAIN

    @property
    def flow_deadline(self) -> Instant | None:
        """The flow's deadline for this step's segment."""
        return self.flow.deadline if self.main else self.flow.finally_deadline

    def attempt(self, number: int) -> Sighting | None:
        """What is known of that attempt's Job; None is Unseen."""
        for sighting in reversed(self.sightings):
            if sighting.attempt == number:
                return sighting
        return None

    def ready_at(self) -> Instant:
        """When the last dependency settled; without any, when the step's part of the flow began."""
        begun = self.flow.record.started_at if self.main else self.flow.last_end
        return max((r.finished_at for r in self.upstream if r.finished_at is not None), default=begun or self.now)


Rule: TypeAlias = Callable[[StepView], Cause | Hold | None]
FlowRule: TypeAlias = Callable[[FlowView], FlowCause | FlowHold | None]
