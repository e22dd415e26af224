"""What is known of the cluster, as values; and how raw Jobs become them.

Absence is two facts, never one: `Gone` if the record has a Job uid or this
process has seen the Job and a fresh list no longer has it, no sighting at all
(`Unseen`) otherwise. An answer to our own create is an observation like any
other: `Refused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from zenflow_core.plan import ConfigMapKey, ResourceRef
from zenflow_core.reasons import Instant, OutputValue, StoredArtifact
from zenflow_core.spec import ArtifactStore, StepName


@frozen
class Unread:
    """Nobody has looked yet."""


@frozen
class Absent:
    """A fresh read found nothing; `why` says what was missing."""

    why: str = ""


@frozen
class Present:
    value: str


Lookup: TypeAlias = Unread | Absent | Present

UNREAD = Unread()


@frozen
class Active:
    """The Job has no terminal condition."""


@frozen
class Complete:
    at: Instant


@frozen
class Failed:
    at: Instant
    reason: str = ""
    message: str = ""


JobOutcome: TypeAlias = Active | Complete | Failed

ACTIVE = Active()


@frozen
class Seen:
    """A Job of ours, as the API server has it."""

    attempt: int
    name: str
    uid: str
    created_at: Instant
    outcome: JobOutcome = ACTIVE
    suspended_since: Instant | None = None
    """When somebody else suspended it; None while it is not suspended."""
    resumed_at: Instant | None = None
    """When it was last released again, if it ever was suspended."""
    deleting: bool = False
    kept_until: Instant | None = None
    """When its template's own TTL is over; None while it runs, or without one."""
    nudge: bool = False
    """Its Pods say that it is done and its controller has not said so yet (eager completion)."""
    document: Mapping[str, Any] = field(factory=dict, repr=False)
    """`status` and `metadata` of the Job; filled once it is Complete."""
    result: Lookup = UNREAD
    """Termination message of the latest Succeeded Pod; read only if the step has outputs."""
    transfer: Lookup = UNREAD
    """What the artifact containers left: the report on what was stored once it is Complete, once it has Failed why they
    failed. Read only if the step has artifacts."""

    @property
    def live(self) -> bool:
        """Whether it may still have running Pods."""
        return isinstance(self.outcome, Active)


@frozen
class Gone:
    """The attempt's Job was there and a fresh list does not have it."""

    attempt: int
    at: Instant
    live: bool = False
    last: Seen | None = field(default=None, repr=False)
    """As it was last seen, if this process has: its name, uid and start may not be stored yet."""


@frozen
class Refused:
    """The API server's answer to our create of this attempt."""

    attempt: int
    at: Instant
    code: int
    reason: str = ""
    message: str = ""
    causes: tuple[str, ...] = ()
    retry_after: int | None = None
    """Seconds, from the Retry-After header or details."""
    taken_by: str = ""
    """Name of the Job in the way, if the name is taken by one that is not ours."""
    live: bool = False


Sighting: TypeAlias = Seen | Gone | Refused
Sightings: TypeAlias = tuple[Sighting, ...]
"""All that is known of one step's Jobs, one entry an attempt, ascending; () is Unseen."""


@frozen
class Made:
    """An object of resourceTemplates that is there and ours."""

    uid: str


ResourceSighting: TypeAlias = Made | Refused


@frozen
class Sibling:
    """Another flow of the same concurrency group, as far as it matters to this one."""

    name: str
    uid: str
    created_at: Instant
    started_at: Instant | None = None
    over: bool = False
    """Whether it is Succeeded or Failed."""
    live_jobs: bool = False
    """Whether a Job of it may still have Pods."""
    replaces: bool = False
    """Whether its concurrencyPolicy is Replace."""

    @property
    def unfinished(self) -> bool:
        return not self.over


@frozen
class Origin:
    """The flow that `retryOf` names: its Succeeded rows, by step, with their outputs."""

    succeeded: Mapping[StepName, Takeover]
    artifact_store: ArtifactStore | None = None
    """Where they have stored what names no store of its own."""


@frozen
class Takeover:
    """What a Succeeded step of an earlier flow hands over."""

    outputs: Mapping[str, OutputValue] | None = None
    reads: Mapping[str, OutputValue] | None = None
    artifacts: Mapping[str, StoredArtifact] | None = None


OriginLookup: TypeAlias = Unread | Absent | Origin


@frozen
class FlowSeen:
    """The flow object's own facts that may change without its plan."""

    name: str
    namespace: str
    uid: str
    created_at: Instant
    labels: Mapping[str, str] = field(factory=dict)
    annotations: Mapping[str, str] = field(factory=dict)
    deleting_since: Instant | None = None
    generation: int = 1
    group: str = ""
    """Flows of one namespace with equal groups compete (concurrencyPolicy)."""
    orphans_jobs: bool = False
    """It is being deleted, and its Jobs are to live on (`kubectl delete --cascade=orphan`)."""


@frozen
class Observed:
    """What a look at the cluster showed.

    For `reconcile` it is everything; for `advance` what is new. `jobs` gives, for
    each step named, all its sightings, replacing what was known of that step.
    """

    jobs: Mapping[StepName, Sightings] = field(factory=dict)
    inputs: Mapping[ConfigMapKey, Lookup] = field(factory=dict)
    resources: Mapping[ResourceRef, ResourceSighting] = field(factory=dict)
    """Objects of resourceTemplates, by what the plan calls them."""
    siblings: tuple[Sibling, ...] | None = None
    """All other flows of the group that are unfinished or still have Jobs; None: unchanged."""
    origin: OriginLookup = UNREAD
    """The flow that `retryOf` names; Unread: unchanged."""
    status_refused_at: Instant | None = None
    """The API server refused our status as too large then."""
    flow: FlowSeen | None = None
    """None: unchanged."""


NOTHING = Observed()
