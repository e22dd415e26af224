"""What ends a flow, and what keeps it."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from attrs import frozen

from zenflow_core.reasons.attempts import Instant
from zenflow_core.reasons.causes import UnknownCause
from zenflow_core.reasons.holds import Suspended, UnknownHold


@frozen
class Deleted:
    """The flow object is being deleted; the garbage collector takes its Jobs."""

    at: Instant


@frozen
class Terminated:
    """`spec.shutdown: Terminate`."""

    at: Instant


@frozen
class Stopped:
    """`spec.shutdown: Stop`; `finally` still runs."""

    at: Instant


@frozen
class Replaced:
    """A newer flow of the group has concurrencyPolicy Replace."""

    at: Instant
    by: str


@frozen
class ActiveDeadlineExceeded:
    """Main steps were not over at the flow's deadline (`executionPolicy.activeDeadlineSeconds`)."""

    at: Instant


@frozen
class BackoffLimitExceeded:
    """A retry beyond `executionPolicy.backoffLimit` would have been due."""

    at: Instant
    limit: int


@frozen
class ResourceNameTaken:
    """An object of that name exists and is not ours; it is never touched."""

    at: Instant
    resource: str


@frozen
class ResourceRejected:
    """The API server refused an object of resourceTemplates for good."""

    at: Instant
    resource: str
    code: int
    message: str = ""


@frozen
class RetrySourceMissing:
    """The flow that `retryOf` names is not there any more (or is another one of that name)."""

    at: Instant
    flow: str
    message: str = ""


@frozen
class ArtifactStoreInvalid:
    """The default store for the flow's artifacts cannot be used; nothing was started."""

    at: Instant
    source: str
    message: str


@frozen
class StatusTooLarge:
    """The API server refused the status as too large."""

    at: Instant


@frozen
class ValidationFailed:
    """The spec cannot be run; `message` names every problem."""

    at: Instant
    message: str


FlowCause: TypeAlias = (
    Deleted
    | Terminated
    | Stopped
    | Replaced
    | ActiveDeadlineExceeded
    | BackoffLimitExceeded
    | ResourceNameTaken
    | ResourceRejected
    | RetrySourceMissing
    | ArtifactStoreInvalid
    | StatusTooLarge
    | ValidationFailed
    | UnknownCause
)


@frozen
class FlowRunsUntil:
    """The flow, or its `finally` segment, runs and has a deadline to wake for."""

    until: Instant


@frozen
class SiblingActive:
    """Another flow of the group is unfinished."""

    flow: str
    until: ClassVar[None] = None


@frozen
class ResourceRefusedUntil:
    """The API server refused an object of resourceTemplates for now; its create is sent again then."""

    until: Instant
    resource: str


@frozen
class NeedsOrigin:
    """The flow that `retryOf` names has to be read first."""

    flow: str
    until: ClassVar[None] = None


@frozen
class NeedsArtifactStore:
    """Whether the namespace has a store of its own for artifacts has to be read first."""

    config_map: str
    until: ClassVar[None] = None


@frozen
class KeptUntil:
    """The flow is over; it is deleted then."""

    until: Instant


FlowHold: TypeAlias = (
    FlowRunsUntil
    | SiblingActive
    | ResourceRefusedUntil
    | NeedsOrigin
    | NeedsArtifactStore
    | KeptUntil
    | Suspended
    | UnknownHold
)


@frozen
class TtlExpired:
    """The flow was kept as long as `ttlSecondsAfterFinished` asks for."""

    at: Instant
