"""Causes move a step, holds keep it; both are facts with data, and their names are API.

The class name is the CamelCase `reason` in status, in Events and in metrics.
`say` is the one place that turns a fact into text, and texts name instants,
never "in 12 s". A new cause needs a row in `transitions.TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from attrs import field, frozen

from zenflow_core.plan import ConfigMapKey
from zenflow_core.spec import StepName

Instant: TypeAlias = datetime
"""An aware UTC datetime cut to the second, as metav1.Time stores it."""


# --- what ended an attempt -------------------------------------------------------------------------------------------


@frozen
class JobFailed:
    """The attempt's Job has the condition Failed; `reason` and `message` are the condition's."""

    at: Instant
    reason: str = ""
    message: str = ""


@frozen
class JobLost:
    """The attempt's Job vanished before its end was seen: somebody deleted it."""

    at: Instant


@frozen
class StepTimedOut:
    """The attempt was still running at its deadline (`timeoutSeconds`)."""

    at: Instant


AttemptFailure: TypeAlias = JobFailed | JobLost | StepTimedOut


# --- causes ----------------------------------------------------------------------------------------------------------


@frozen
class ConditionMet:
    """`when` was true; it is not asked again."""

    at: Instant


@frozen
class Admitted:
    """The step got a slot: attempt `attempt` is to run."""

    attempt: int
    at: Instant


@frozen
class Adopted:
    """A Job of ours for the next attempt was already there (the operator was restarted in between)."""

    attempt: int
    at: Instant


@frozen
class ApprovalRequested:
    at: Instant


@frozen
class Approved:
    """Somebody with the right to approve did; `by` where admission could stamp it."""

    at: Instant
    by: str = ""


@frozen
class Rejected:
    at: Instant
    why: str = ""
    by: str = ""


@frozen
class OutputValue:
    """A recorded value: text as it is, or JSON text for anything but a string, so that no digit is lost."""

    text: str
    json: bool = False


@frozen
class JobComplete:
    """The attempt's Job has the condition Complete and every declared output could be read.

    What was read moves into the record; the stored cause has only the instant.
    """

    at: Instant
    outputs: Mapping[str, OutputValue] | None = None
    reads: Mapping[str, OutputValue] | None = None


@frozen
class AttemptFailed:
    """An attempt failed and there will be another one, from `retry_at` on."""

    attempt: int
    failure: AttemptFailure
    retry_at: Instant

    @property
    def at(self) -> Instant:
        return self.failure.at


@frozen
class RetriesExhausted:
    """The last attempt that the retryPolicy allows has failed."""

    attempts: int
    failure: AttemptFailure

    @property
    def at(self) -> Instant:
        return self.failure.at


@frozen
class JobRefused:
    """The API server refused the create for now (quota, rights, load); no attempt is used up."""

    at: Instant
    until: Instant
    code: int
    message: str = ""


@frozen
class NamespaceTerminating:
    """The namespace is being deleted: nothing is created in it any more."""

    at: Instant


@frozen
class JobRejected:
    """The API server refused the Job for good (invalid, denied by admission, too large)."""

    at: Instant
    code: int
    message: str = ""


@frozen
class JobNameTaken:
    """A Job of that name exists and is not ours; it is never touched."""

    at: Instant
    job: str


@frozen
class JobSuspended:
    """Somebody else suspended the Job (Kueue, an admin): the step's clock stands still."""

    at: Instant


@frozen
class JobResumed:
    at: Instant


@frozen
class ConditionFalse:
    at: Instant


@frozen
class ConditionInvalid:
    """`when` could not be evaluated; a guard never fails open."""

    at: Instant
    message: str


@frozen
class InputMissing:
    """A value that the step needs is not there (ConfigMap, key, or an output of a failed step)."""

    at: Instant
    parameter: str
    message: str


@frozen
class InputInvalid:
    """A value is there but does not fit its field of the template (a text in a number field, say)."""

    at: Instant
    message: str


@frozen
class OutputUnavailable:
    """The step needs an output of a step that was Skipped, and has no default."""

    at: Instant
    parameter: str
    step: StepName


@frozen
class OutputMissing:
    """The Job is Complete, but a declared output cannot be read from its document."""

    at: Instant
    output: str
    message: str


@frozen
class UpstreamUnmet:
    """A dependency failed for good, so this step cannot run."""

    at: Instant
    step: StepName


@frozen
class RetryAbandoned:
    """The step waited for a retry that will not come; `because` is the reason that ended the waiting."""

    at: Instant
    failure: AttemptFailure
    because: str


@frozen
class FlowFailing:
    """Another step failed for good: nothing new starts (or, with failFast, everything stops)."""

    at: Instant
    step: StepName


@frozen
class FlowEnded:
    """The flow itself was ended: `reason` is the flow's (deadline, retry budget, Replaced, shutdown)."""

    at: Instant
    reason: str


@frozen
class RetriedFrom:
    """The step Succeeded in the flow that `retryOf` names; its outputs move into the record."""

    at: Instant
    flow: str
    outputs: Mapping[str, OutputValue] | None = None
    reads: Mapping[str, OutputValue] | None = None


@frozen
class UnknownCause:
    """A cause of another zenflow version: an opaque fact, carried along."""

    name: str
    at: Instant
    data: Mapping[str, Any] = field(factory=dict)


Cause: TypeAlias = (
    ConditionMet
    | Admitted
    | Adopted
    | ApprovalRequested
    | Approved
    | Rejected
    | JobComplete
    | AttemptFailed
    | RetriesExhausted
    | JobFailed
    | JobLost
    | StepTimedOut
    | JobRefused
    | NamespaceTerminating
    | JobRejected
    | JobNameTaken
    | JobSuspended
    | JobResumed
    | ConditionFalse
    | ConditionInvalid
    | InputMissing
    | InputInvalid
    | OutputUnavailable
    | OutputMissing
    | UpstreamUnmet
    | RetryAbandoned
    | FlowFailing
    | FlowEnded
    | RetriedFrom
    | UnknownCause
)


# --- holds -----------------------------------------------------------------------------------------------------------


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
    """The Job is Complete; its termination message has to be read first."""

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


# --- the flow --------------------------------------------------------------------------------------------------------


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
class KeptUntil:
    """The flow is over; it is deleted then."""

    until: Instant


FlowHold: TypeAlias = (
    FlowRunsUntil | SiblingActive | ResourceRefusedUntil | NeedsOrigin | KeptUntil | Suspended | UnknownHold
)


@frozen
class TtlExpired:
    """The flow was kept as long as `ttlSecondsAfterFinished` asks for."""

    at: Instant
