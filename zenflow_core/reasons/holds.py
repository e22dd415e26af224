"""What keeps a step where it is. A hold with `until` is also a wake-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from attrs import field, frozen

from zenflow_core.plan import ConfigMapKey
from zenflow_core.reasons.attempts import Instant
from zenflow_core.spec import StepName


@frozen
class WaitsFor:
    """Dependencies that are not settled: the last few by name, of `of` in all.

    Names from the end and a fixed total, so that a wide fan-in is not rewritten
    each time one of its many dependencies settles.
    """

    steps: tuple[StepName, ...]
    of: int
    until: ClassVar[None] = None


@frozen
class WaitsForMain:
    """A `finally` step waits until every main step is settled."""

    until: ClassVar[None] = None


@frozen
class BacksOff:
    """The pause before a retry."""

    until: Instant


@frozen
class PreviousAttemptEnds:
    """The failed attempt's Job is still there; a retry never overlaps it."""

    attempt: int
    until: ClassVar[None] = None


@frozen
class RefusedUntil:
    """The create is sent again then."""

    until: Instant


@frozen
class NamespaceGoing:
    """The namespace is being deleted; nothing more will be created."""

    until: ClassVar[None] = None


@frozen
class NeedsInput:
    """Inputs that the runtime has to read first."""

    refs: tuple[ConfigMapKey, ...]
    until: ClassVar[None] = None


@frozen
class NeedsOutput:
    """The Job is Complete (or Failed, with artifacts to move); what its Pod left has to be read first."""

    attempt: int
    until: ClassVar[None] = None


@frozen
class NeedsSlot:
    """`parallelism` Jobs run already."""

    limit: int
    until: ClassVar[None] = None


@frozen
class NeedsResource:
    """Objects of `resourceTemplates` that are not there yet."""

    names: tuple[str, ...]
    until: ClassVar[None] = None


@frozen
class RunsUntil:
    """The attempt runs and has a deadline to wake for."""

    until: Instant


@frozen
class JobIsSuspended:
    """Somebody else keeps the Job suspended; its clock stands still."""

    since: Instant
    until: ClassVar[None] = None


@frozen
class AwaitsApproval:
    """A person has to approve or reject; asked for `since` then."""

    since: Instant
    until: ClassVar[None] = None


@frozen
class JobKeptUntil:
    """The step is over; its Job is deleted then (the template's `ttlSecondsAfterFinished`)."""

    until: Instant


@frozen
class Suspended:
    """`spec.suspend` is true: nothing new starts."""

    until: ClassVar[None] = None


@frozen
class FlowNotStarted:
    """The flow itself waits (see its own hold)."""

    until: ClassVar[None] = None


@frozen
class UnknownHold:
    """A hold of another zenflow version."""

    name: str
    data: Mapping[str, Any] = field(factory=dict)
    until: ClassVar[None] = None


Hold: TypeAlias = (
    WaitsFor
    | WaitsForMain
    | BacksOff
    | PreviousAttemptEnds
    | RefusedUntil
    | NamespaceGoing
    | NeedsInput
    | NeedsOutput
    | NeedsSlot
    | NeedsResource
    | RunsUntil
    | JobIsSuspended
    | AwaitsApproval
    | JobKeptUntil
    | Suspended
    | FlowNotStarted
    | UnknownHold
)
