"""The one place that puts causes and holds into words. Texts name instants, never "in 12 s"."""

from __future__ import annotations

from typing import assert_never

from zenflow_core import reasons as r
from zenflow_core.instants import rfc3339
from zenflow_core.reasons import AttemptFailure, Cause, FlowCause, FlowHold, Hold


def say(fact: Cause | Hold | FlowCause | FlowHold | r.TtlExpired) -> str:
    """A fact as a person would say it, without the step's name and without a full stop."""
    match fact:
        # causes
        case r.ConditionMet():
            return "its condition (`when`) was true"
        case r.Admitted(attempt):
            return f"attempt {attempt} was started"
        case r.Adopted(attempt):
            return f"the Job of attempt {attempt} was there already"
        case r.ApprovalRequested(at):
            return f"approval was asked for at {rfc3339(at)}"
        case r.Approved(by=by):
            return f"approved by {by}" if by else "approved"
        case r.Rejected(why=why, by=by):
            return f"rejected{f' by {by}' if by else ''}{f': {why}' if why else ''}"
        case r.JobComplete():
            return "its Job is complete"
        case r.AttemptFailed(attempt, failure, retry_at):
            return f"attempt {attempt} failed ({say(failure)}); the next one starts at {rfc3339(retry_at)}"
        case r.RetriesExhausted(attempts, failure):
            return f"all {attempts} attempts failed; the last one: {say(failure)}"
        case r.JobFailed(reason=reason, message=message):
            return f"its Job failed{f' ({reason})' if reason else ''}{f': {message}' if message else ''}"
        case r.JobLost():
            return "its Job vanished before its end was seen: deleted, or its owner or labels were changed"
        case r.StepTimedOut(at):
            return f"timed out at {rfc3339(at)}: it exceeded timeoutSeconds"
        case r.JobRefused(until=until, code=code, message=message):
            return (
                f"the API server refused its Job for now ({code}{f': {message}' if message else ''}); "
                f"sent again at {rfc3339(until)}"
            )
        case r.NamespaceTerminating():
            return "the namespace is being deleted, so its Job was refused"
        case r.JobRejected(code=code, message=message):
            return f"the API server refused its Job for good ({code}{f': {message}' if message else ''})"
        case r.JobNameTaken(job=job):
            return f"a Job named {job} exists and does not belong to this flow; it was left alone"
        case r.JobSuspended(at):
            return f"somebody else suspended its Job at {rfc3339(at)}; its clock stands still"
        case r.JobResumed(at):
            return f"its Job was resumed at {rfc3339(at)}"
        case r.ConditionFalse():
            return "its condition (`when`) was false"
        case r.ConditionInvalid(message=message):
            return f"its condition (`when`) could not be evaluated: {message}"
        case r.InputMissing(parameter=parameter, message=message):
            return f"input {parameter} has no value: {message}"
        case r.InputInvalid(message=message):
            return f"its template does not take the values: {message}"
        case r.OutputUnavailable(parameter=parameter, step=step):
            return f"input {parameter} needs an output of step {step}, which was skipped"
        case r.OutputMissing(output=output, message=message):
            return f"output {output} could not be read: {message}"
        case r.UpstreamUnmet(step=step):
            return f"step {step}, which it depends on, failed"
        case r.RetryAbandoned(failure=failure, because=because):
            return f"its last attempt failed ({say(failure)}) and no retry starts any more ({because})"
        case r.FlowFailing(step=step):
            return f"step {step} failed for good, so nothing new starts"
        case r.FlowEnded(reason=reason):
            return f"the flow was ended ({reason})"
        case r.RetriedFrom(flow=flow):
            return f"it had succeeded in flow {flow}"
        case r.UnknownCause(name=name):
            return f"{name} (written by another version of zenflow)"
        # holds
        case r.WaitsFor(steps, of):
            return f"waits for {', '.join(steps)}{f' (of its {of} dependencies)' if of > len(steps) else ''}"
        case r.WaitsForMain():
            return "waits until every step before `finally` is over"
        case r.BacksOff(until):
            return f"pauses before its retry until {rfc3339(until)}"
        case r.PreviousAttemptEnds(attempt):
            return f"the Job of attempt {attempt} still ends"
        case r.RefusedUntil(until):
            return f"its Job is sent again at {rfc3339(until)}"
        case r.NamespaceGoing():
            return "the namespace is being deleted: nothing is created in it any more"
        case r.NeedsInput(refs):
            return "needs " + ", ".join(f"key {ref.key} of ConfigMap {ref.name}" for ref in refs)
        case r.NeedsOutput(attempt):
            return f"the termination message of attempt {attempt} has to be read"
        case r.NeedsSlot(limit):
            return f"waits for a slot: parallelism {limit} is reached"
        case r.NeedsResource(names):
            return f"needs {', '.join(names)} of resourceTemplates"
        case r.RunsUntil(until):
            return f"may run until {rfc3339(until)}"
        case r.JobIsSuspended(since):
            return f"its Job is suspended by somebody else since {rfc3339(since)}"
        case r.AwaitsApproval(since):
            return f"waits for an approval since {rfc3339(since)}"
        case r.Suspended():
            return "the flow is suspended (spec.suspend)"
        case r.FlowNotStarted():
            return "the flow has not started"
        case r.UnknownHold(name=name):
            return f"{name} (written by another version of zenflow)"
        # the flow
        case r.Deleted(at):
            return f"deleted at {rfc3339(at)}"
        case r.Terminated(at):
            return f"terminated at {rfc3339(at)} (spec.shutdown)"
        case r.Stopped(at):
            return f"stopped at {rfc3339(at)} (spec.shutdown)"
        case r.Replaced(by=by):
            return f"replaced by flow {by}"
        case r.ActiveDeadlineExceeded(at):
            return f"activeDeadlineSeconds were over at {rfc3339(at)}"
        case r.BackoffLimitExceeded(limit=limit):
            return f"a retry beyond backoffLimit {limit} would have been due"
        case r.ResourceNameTaken(resource=resource):
            return f"{resource} exists and does not belong to this flow; it was left alone"
        case r.ResourceRejected(resource=resource, code=code, message=message):
            return f"the API server refused {resource} for good ({code}{f': {message}' if message else ''})"
        case r.RetrySourceMissing(flow=flow, message=message):
            return f"flow {flow}, which it retries, cannot be read{f': {message}' if message else ''}"
        case r.ResourceRefusedUntil(until, resource):
            return f"the API server refused {resource} for now; sent again at {rfc3339(until)}"
        case r.NeedsOrigin(flow):
            return f"flow {flow}, which it retries, has to be read"
        case r.ArtifactStoreInvalid(source=source, message=message):
            return f"artifacts cannot be stored as {source} says: {message}"
        case r.NeedsArtifactStore(config_map):
            return f"ConfigMap {config_map}, which may name a store for artifacts, has to be read"
        case r.StatusTooLarge():
            return "the API server refused the status as too large"
        case r.ValidationFailed(message=message):
            return message
        case r.FlowRunsUntil(until):
            return f"may run until {rfc3339(until)}"
        case r.SiblingActive(flow):
            return f"flow {flow} of the same group is unfinished"
        case r.JobKeptUntil(until):
            return f"its Job is kept until {rfc3339(until)}"
        case r.KeptUntil(until):
            return f"kept until {rfc3339(until)}"
        case r.TtlExpired(at):
            return f"ttlSecondsAfterFinished were over at {rfc3339(at)}"
        case never:
            assert_never(never)


_OBVIOUS = (r.Admitted, r.JobComplete, r.ConditionMet, r.ApprovalRequested)


def tells(cause: Cause) -> str:
    """The `message` of a row: empty where reason and times say it all, so that rows stay small."""
    return "" if isinstance(cause, _OBVIOUS) else say(cause)


def name_failure(failure: AttemptFailure) -> str:
    """The reason of a failed attempt."""
    return type(failure).__name__
