"""The state machine: one table, and the one function that reads it.

Succeeded, Failed and Skipped have no row, so they absorb. A retry goes Running
-> Pending in one move. No transition lives outside this file; the diagram in
`docs/` is drawn from `TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from zenflow_core.reasons import (
    Admitted,
    Adopted,
    ApprovalRequested,
    Approved,
    AttemptFailed,
    Cause,
    ConditionFalse,
    ConditionInvalid,
    ConditionMet,
    FlowEnded,
    FlowFailing,
    InputInvalid,
    InputMissing,
    JobComplete,
    JobFailed,
    JobLost,
    JobNameTaken,
    JobRefused,
    JobRejected,
    JobResumed,
    JobSuspended,
    NamespaceTerminating,
    OutputMissing,
    OutputUnavailable,
    Rejected,
    RetriedFrom,
    RetriesExhausted,
    RetryAbandoned,
    StepTimedOut,
    UnknownCause,
    UpstreamUnmet,
)
from zenflow_core.state import StepPhase, StepRecord, Stopwatch, changed

_PENDING = StepPhase.PENDING
_ASKED = StepPhase.PENDING_APPROVAL
_RUNNING = StepPhase.RUNNING
_SUCCEEDED = StepPhase.SUCCEEDED
_FAILED = StepPhase.FAILED
_SKIPPED = StepPhase.SKIPPED

TERMINAL = frozenset({_SUCCEEDED, _FAILED, _SKIPPED})

TRANSITIONS: Mapping[tuple[StepPhase, type[Cause]], StepPhase] = MappingProxyType(
    {
        (_PENDING, ConditionMet): _PENDING,
        (_PENDING, ConditionFalse): _SKIPPED,
        (_PENDING, ConditionInvalid): _FAILED,
        (_PENDING, UpstreamUnmet): _SKIPPED,
        (_PENDING, OutputUnavailable): _SKIPPED,
        (_PENDING, InputMissing): _FAILED,
        (_PENDING, InputInvalid): _FAILED,
        (_PENDING, RetriedFrom): _SUCCEEDED,
        (_PENDING, Admitted): _RUNNING,
        (_PENDING, Adopted): _RUNNING,
        (_PENDING, ApprovalRequested): _ASKED,
        (_PENDING, FlowFailing): _SKIPPED,
        (_PENDING, FlowEnded): _SKIPPED,
        (_PENDING, RetryAbandoned): _FAILED,
        (_ASKED, Approved): _SUCCEEDED,
        (_ASKED, Rejected): _FAILED,
        (_ASKED, StepTimedOut): _FAILED,
        (_ASKED, FlowFailing): _SKIPPED,
        (_ASKED, FlowEnded): _SKIPPED,
        (_RUNNING, JobComplete): _SUCCEEDED,
        (_RUNNING, OutputMissing): _FAILED,
        (_RUNNING, AttemptFailed): _PENDING,
        (_RUNNING, RetriesExhausted): _FAILED,
        (_RUNNING, RetryAbandoned): _FAILED,
        (_RUNNING, JobFailed): _FAILED,
        (_RUNNING, JobLost): _FAILED,
        (_RUNNING, StepTimedOut): _FAILED,
        (_RUNNING, JobRefused): _PENDING,
        (_RUNNING, NamespaceTerminating): _PENDING,
        (_RUNNING, JobRejected): _FAILED,
        (_RUNNING, JobNameTaken): _FAILED,
        (_RUNNING, InputMissing): _FAILED,
        (_RUNNING, InputInvalid): _FAILED,
        # Asked again if the Job was never seen: as before it was admitted.
        (_RUNNING, OutputUnavailable): _SKIPPED,
        (_RUNNING, JobSuspended): _RUNNING,
        (_RUNNING, JobResumed): _RUNNING,
        (_RUNNING, FlowFailing): _FAILED,
        (_RUNNING, FlowEnded): _FAILED,
    }
)

FAILING = frozenset(cause for (_, cause), phase in TRANSITIONS.items() if phase is _FAILED)
"""Causes that can fail a step."""


def enter(record: StepRecord, cause: Cause) -> StepRecord:
    """The record after `cause`; a pair missing from the table is our bug (KeyError)."""
    phase = TRANSITIONS[record.phase, type(cause)]
    match cause:
        case ConditionMet():
            return changed(record, condition_met=True, cause=cause, holds=())
        case Admitted(attempt, at) | Adopted(attempt, at):
            return changed(
                record,
                phase=phase,
                attempt=attempt,
                started_at=at,
                watch=Stopwatch(since=at),
                retry_at=None,
                job=None,
                cause=cause,
                holds=(),
            )
        case ApprovalRequested(at):
            return changed(record, phase=phase, started_at=at, watch=Stopwatch(since=at), cause=cause, holds=())
        case AttemptFailed(failure=failure, retry_at=retry_at):
            return changed(
                record, phase=phase, watch=None, retry_at=retry_at, refusals=0, failure=failure, cause=cause, holds=()
            )
        case JobRefused() | NamespaceTerminating():
            # Nothing was started, so the next admission is this same attempt again.
            return changed(
                record,
                phase=phase,
                attempt=record.attempt - 1,
                started_at=None,
                watch=None,
                refusals=record.refusals + 1,
                cause=cause,
                holds=(),
            )
        case JobSuspended(at):
            assert record.watch is not None, "a running step has a watch"
            return changed(record, watch=record.watch.stop(at), cause=cause, holds=())
        case JobResumed(at):
            assert record.watch is not None, "a running step has a watch"
            return changed(record, watch=record.watch.resume(at), cause=cause, holds=())
        case JobComplete(at):
            return _with_outputs(_end(record, phase, JobComplete(at)), cause)
        case RetriedFrom(at, flow):
            return _with_outputs(_end(record, phase, RetriedFrom(at, flow)), cause)
        case Approved(by=by) | Rejected(by=by):
            return changed(_end(record, phase, cause), approver=by)
        case (
            OutputMissing()
            | RetriesExhausted()
            | JobFailed()
            | JobLost()
            | StepTimedOut()
            | JobRejected()
            | JobNameTaken()
            | InputMissing()
            | InputInvalid()
            | ConditionFalse()
            | ConditionInvalid()
            | UpstreamUnmet()
            | OutputUnavailable()
            | RetryAbandoned()
            | FlowFailing()
            | FlowEnded()
        ):
            return _end(record, phase, cause)
        case UnknownCause():
            raise AssertionError("a cause of another version is read, never answered by a rule")
        case never:
            assert_never(never)


def _with_outputs(record: StepRecord, cause: JobComplete | RetriedFrom) -> StepRecord:
    """The record with what was read; the stored cause has only the instant."""
    outputs, reads, artifacts = cause.outputs or None, cause.reads or None, cause.artifacts or None
    if outputs or reads or artifacts:
        return changed(record, outputs=outputs, reads=reads, artifacts=artifacts)
    return record


def _end(record: StepRecord, phase: StepPhase, cause: Cause) -> StepRecord:
    """The record of a step that is over. What ended it may have been seen late; no step ends before it began."""
    return changed(
        record,
        phase=phase,
        finished_at=cause.at if record.started_at is None else max(cause.at, record.started_at),
        watch=None,
        retry_at=None,
        refusals=0,
        failure=None,
        cause=cause,
        holds=(),
    )
