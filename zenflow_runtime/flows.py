"""What an operator knows of one JobFlow: the object, its Jobs as sightings, and what the core has not been told yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import define, field

from zenflow_core.observation import (
    UNREAD,
    FlowSeen,
    Lookup,
    Observed,
    OriginLookup,
    ResourceSighting,
    Sibling,
    Sighting,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceRef
from zenflow_core.reasons import Instant
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState, JobRef
from zenflow_core.termination import Messages


class Basis(StrEnum):
    """What a decision was made from."""

    STATUS = "status"
    """The stored status, and everything that is observed."""
    MEMORY = "memory"
    """The state that the decision before left."""
    NOTED = "noted"
    """The same, after what was learnt by the way had been written by a record of its own."""


@define(eq=False)
class Flow:
    """What the operator knows of one JobFlow object."""

    uid: str
    obj: Mapping[str, Any]
    seen: FlowSeen
    plan: Plan | None = None
    state: FlowState | None = None
    """None: it has to be read anew from the stored status."""
    wake_at: Instant | None = None
    """When the core wants to be asked again, by the operator's own clock."""
    rings_at: datetime | None = None
    """The same by the true clock, as it was reckoned then: a timer runs on, whatever happens to a wall clock."""
    rests_until: datetime | None = None
    """After a request failed nothing is sent before this (true clock)."""
    failures: int = 0
    """Decisions in a row that could not be carried out."""
    jobs: dict[StepName, dict[int, Sighting]] = field(factory=dict)
    doubts: dict[tuple[StepName, int], JobRef] = field(factory=dict)
    """Jobs that are known of and that a list did not have: to be asked for by name before the next decision.

    Under no step, attempt 0: the flow itself.
    """
    inputs: dict[ConfigMapKey, Lookup] = field(factory=dict)
    results: dict[str, Messages] = field(factory=dict)
    """Termination messages already read, by Job uid."""
    changed_jobs: set[StepName] = field(factory=set)
    changed_inputs: set[ConfigMapKey] = field(factory=set)
    changed_flow: bool = True
    resources: dict[ResourceRef, ResourceSighting] = field(factory=dict)
    changed_resources: set[ResourceRef] = field(factory=set)
    siblings: tuple[Sibling, ...] = ()
    changed_siblings: bool = True
    sibling: Sibling | None = None
    """As the others of its group see it."""
    origin: OriginLookup = UNREAD
    changed_origin: bool = False
    status_refused_at: Instant | None = None
    unnoted_since: Instant | None = None
    """Since when something is known that the stored status does not say, and that is no reason to write by itself."""
    confirmed: bool = False
    """The server has confirmed the version that `obj` is of: by taking a write based on it, or by a read by name."""
    recording: bool = False
    """A status write of ours is under way: what the watch shows meanwhile may be its echo."""
    held: tuple[str, Callable[[], Mapping[str, Any]]] | None = None
    """The newest object that the watch has shown meanwhile: its version, and how to read it."""
    basis: Basis = Basis.STATUS
    """What its last decision was made from."""
    noted: bool = False
    """Something learnt by the way was written since that decision."""
    due: bool = True
    """Something happened, or its alarm rang."""
    decisions: int = 0

    @property
    def key(self) -> str:
        return f"{self.seen.namespace}/{self.seen.name}"

    @property
    def resource_version(self) -> str:
        version: str = self.obj["metadata"]["resourceVersion"]
        return version

    def observed(self, *, everything: bool) -> Observed:
        """What to hand to the core: everything, or what changed since its last decision."""
        steps: Iterable[StepName] = self.jobs if everything else self.changed_jobs
        refs: Iterable[ConfigMapKey] = self.inputs if everything else self.changed_inputs
        known = self.plan.by_name if self.plan is not None else {}
        return Observed(
            jobs={s: tuple(self.jobs[s][n] for n in sorted(self.jobs[s])) for s in steps if s in known},
            inputs={ref: self.inputs[ref] for ref in refs},
            flow=self.seen if everything or self.changed_flow else None,
            resources={ref: self.resources[ref] for ref in (self.resources if everything else self.changed_resources)},
            siblings=self.siblings if everything or self.changed_siblings else None,
            origin=self.origin if everything or self.changed_origin else UNREAD,
            status_refused_at=self.status_refused_at,
        )

    def handed_over(self) -> None:
        """The core has been told."""
        self.changed_jobs.clear()
        self.changed_inputs.clear()
        self.changed_resources.clear()
        self.changed_flow = self.changed_siblings = self.changed_origin = False
        self.due = False

    def call_at(self) -> datetime | None:
        """When it is to be looked at unasked (true clock)."""
        if self.rests_until is not None:
            return self.rests_until
        return self.rings_at


def newer(version: str, than: str) -> bool:
    """Whether one resourceVersion is later than another of the same kind.

    API servers on etcd give whole numbers; of anything else only equality can be told, and what differs counts as news.
    """
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
