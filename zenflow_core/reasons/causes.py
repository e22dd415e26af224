"""What moves a step. A new cause needs a row in `transitions.TRANSITIONS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from zenflow_core.artifact_report import StoredArtifact
from zenflow_core.reasons.attempts import AttemptFailure, Instant, JobFailed, JobLost, StepTimedOut
from zenflow_core.spec import StepName


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
    """Everything before the Manual step is over: a person has to decide."""

    at: Instant


@frozen
class Approved:
    """Somebody with the right to approve did; `by` where admission could stamp it."""

    at: Instant
    by: str = ""


@frozen
class Rejected:
    """Somebody with the right to approve said no, and `why`."""

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
    artifacts: Mapping[str, StoredArtifact] | None = None


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
    """Whoever suspended the Job let it go on: the step's clock runs again."""

    at: Instant


@frozen
class ConditionFalse:
    """`when` was false."""

    at: Instant


@frozen
class ConditionInvalid:
    """`when` could not be evaluated; a guard never fails open."""

    at: Instant
    message: str


@frozen
class InputMissing:
    """A value or artifact that the step needs is not there (ConfigMap, key, or an output of a failed step)."""

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
    """The step needs an output or artifact of a step that was Skipped, and has no default."""

    at: Instant
    parameter: str
    step: StepName


@frozen
class OutputMissing:
    """The Job is Complete, but a declared output cannot be read from its document, or an artifact was not stored."""

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
    """An attempt failed, and the retry that would follow will not come; `because` says why."""

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
    artifacts: Mapping[str, StoredArtifact] | None = None


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
