"""Every fact in words. Texts name instants, never how long from now, and no fact is without a text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.core.builders import at, pod_failed
from tests.core.drawn import causes, flow_causes, flow_holds, holds
from zenflow_core import reasons as r
from zenflow_core.plan import ConfigMapKey
from zenflow_core.say import name_failure, say, tells
from zenflow_core.spec import StepName

TEN = at("10:00:00")
X = StepName("x")


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (r.ConditionMet(TEN), "its condition (`when`) was true"),
        (r.Admitted(2, TEN), "attempt 2 was started"),
        (r.Adopted(2, TEN), "the Job of attempt 2 was there already"),
        (r.ApprovalRequested(TEN), "approval was asked for at 2030-01-01T10:00:00Z"),
        (r.Approved(TEN), "approved"),
        (r.Approved(TEN, by="ann"), "approved by ann"),
        (r.Rejected(TEN), "rejected"),
        (r.Rejected(TEN, why="no"), "rejected: no"),
        (r.Rejected(TEN, why="no", by="bob"), "rejected by bob: no"),
        (r.JobComplete(TEN), "its Job is complete"),
        (
            r.AttemptFailed(1, r.JobLost(TEN), at("10:00:10")),
            (
                "attempt 1 failed (its Job vanished before its end was seen: deleted, or its owner "
                "or labels were changed); "
                "the next one starts at 2030-01-01T10:00:10Z"
            ),
        ),
        (
            r.RetriesExhausted(4, pod_failed("10:00:00")),
            "all 4 attempts failed; the last one: its Job failed (BackoffLimitExceeded): one Pod failed",
        ),
        (r.JobFailed(TEN), "its Job failed"),
        (r.JobFailed(TEN, "DeadlineExceeded"), "its Job failed (DeadlineExceeded)"),
        (r.JobFailed(TEN, "", "odd"), "its Job failed: odd"),
        (
            r.JobLost(TEN),
            "its Job vanished before its end was seen: deleted, or its owner or labels were changed",
        ),
        (r.StepTimedOut(TEN), "timed out at 2030-01-01T10:00:00Z: it exceeded timeoutSeconds"),
        (
            r.JobRefused(TEN, at("10:00:01"), 429),
            "the API server refused its Job for now (429); sent again at 2030-01-01T10:00:01Z",
        ),
        (
            r.JobRefused(TEN, at("10:00:01"), 403, "quota"),
            "the API server refused its Job for now (403: quota); sent again at 2030-01-01T10:00:01Z",
        ),
        (r.NamespaceTerminating(TEN), "the namespace is being deleted, so its Job was refused"),
        (r.JobRejected(TEN, 422), "the API server refused its Job for good (422)"),
        (r.JobRejected(TEN, 422, "bad"), "the API server refused its Job for good (422: bad)"),
        (r.JobNameTaken(TEN, "j"), "a Job named j exists and does not belong to this flow; it was left alone"),
        (
            r.JobSuspended(TEN),
            "somebody else suspended its Job at 2030-01-01T10:00:00Z; its clock stands still",
        ),
        (r.JobResumed(TEN), "its Job was resumed at 2030-01-01T10:00:00Z"),
        (r.ConditionFalse(TEN), "its condition (`when`) was false"),
        (r.ConditionInvalid(TEN, "m"), "its condition (`when`) could not be evaluated: m"),
        (r.InputMissing(TEN, "p", "m"), "input p has no value: m"),
        (r.InputInvalid(TEN, "m"), "its template does not take the values: m"),
        (r.OutputUnavailable(TEN, "p", X), "input p needs an output of step x, which was skipped"),
        (r.OutputMissing(TEN, "o", "m"), "output o could not be read: m"),
        (r.UpstreamUnmet(TEN, X), "step x, which it depends on, failed"),
        (
            r.RetryAbandoned(TEN, r.StepTimedOut(TEN), "Stopped"),
            (
                "its last attempt failed (timed out at 2030-01-01T10:00:00Z: it exceeded timeoutSeconds) "
                "and no retry starts any more (Stopped)"
            ),
        ),
        (r.FlowFailing(TEN, X), "step x failed for good, so nothing new starts"),
        (r.FlowEnded(TEN, "Stopped"), "the flow was ended (Stopped)"),
        (r.RetriedFrom(TEN, "f"), "it had succeeded in flow f"),
        (r.UnknownCause("Q", TEN), "Q (written by another version of zenflow)"),
        (r.WaitsFor((X,), of=1), "waits for x"),
        (r.WaitsFor((X, StepName("y")), of=5), "waits for x, y (of its 5 dependencies)"),
        (r.WaitsForMain(), "waits until every step before `finally` is over"),
        (r.BacksOff(TEN), "pauses before its retry until 2030-01-01T10:00:00Z"),
        (r.PreviousAttemptEnds(1), "the Job of attempt 1 still ends"),
        (r.RefusedUntil(TEN), "its Job is sent again at 2030-01-01T10:00:00Z"),
        (r.NamespaceGoing(), "the namespace is being deleted: nothing is created in it any more"),
        (
            r.NeedsInput((ConfigMapKey("c", "k"), ConfigMapKey("d", "l"))),
            "needs key k of ConfigMap c, key l of ConfigMap d",
        ),
        (r.NeedsOutput(2), "the termination message of attempt 2 has to be read"),
        (r.NeedsSlot(2), "waits for a slot: parallelism 2 is reached"),
        (r.NeedsResource(("data", "config")), "needs data, config of resourceTemplates"),
        (r.RunsUntil(TEN), "may run until 2030-01-01T10:00:00Z"),
        (r.JobIsSuspended(TEN), "its Job is suspended by somebody else since 2030-01-01T10:00:00Z"),
        (r.AwaitsApproval(TEN), "waits for an approval since 2030-01-01T10:00:00Z"),
        (r.Suspended(), "the flow is suspended (spec.suspend)"),
        (r.FlowNotStarted(), "the flow has not started"),
        (r.UnknownHold("Q"), "Q (written by another version of zenflow)"),
        (r.Deleted(TEN), "deleted at 2030-01-01T10:00:00Z"),
        (r.Terminated(TEN), "terminated at 2030-01-01T10:00:00Z (spec.shutdown)"),
        (r.Stopped(TEN), "stopped at 2030-01-01T10:00:00Z (spec.shutdown)"),
        (r.Replaced(TEN, "g"), "replaced by flow g"),
        (r.ActiveDeadlineExceeded(TEN), "activeDeadlineSeconds were over at 2030-01-01T10:00:00Z"),
        (r.BackoffLimitExceeded(TEN, 6), "a retry beyond backoffLimit 6 would have been due"),
        (r.StatusTooLarge(TEN), "the API server refused the status as too large"),
        (r.ValidationFailed(TEN, "m"), "m"),
        (
            r.ResourceNameTaken(TEN, "ConfigMap c"),
            "ConfigMap c exists and does not belong to this flow; it was left alone",
        ),
        (r.ResourceRejected(TEN, "ConfigMap c", code=422), "the API server refused ConfigMap c for good (422)"),
        (
            r.ResourceRejected(TEN, "ConfigMap c", code=422, message="bad"),
            "the API server refused ConfigMap c for good (422: bad)",
        ),
        (r.RetrySourceMissing(TEN, "f"), "flow f, which it retries, cannot be read"),
        (r.RetrySourceMissing(TEN, "f", message="m"), "flow f, which it retries, cannot be read: m"),
        (
            r.ResourceRefusedUntil(TEN, "ConfigMap c"),
            "the API server refused ConfigMap c for now; sent again at 2030-01-01T10:00:00Z",
        ),
        (r.NeedsOrigin("f"), "flow f, which it retries, has to be read"),
        (r.NeedsArtifactStore("c"), "ConfigMap c, which may name a store for artifacts, has to be read"),
        (r.ArtifactStoreInvalid(TEN, "ConfigMap c", "m"), "artifacts cannot be stored as ConfigMap c says: m"),
        (r.FlowRunsUntil(TEN), "may run until 2030-01-01T10:00:00Z"),
        (r.SiblingActive("g"), "flow g of the same group is unfinished"),
        (r.KeptUntil(TEN), "kept until 2030-01-01T10:00:00Z"),
        (r.TtlExpired(TEN), "ttlSecondsAfterFinished were over at 2030-01-01T10:00:00Z"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_words(fact: Any, text: str) -> None:
    assert say(fact) == text


@given(causes | holds | flow_causes | flow_holds)
def test_every_fact_can_be_said(fact: Any) -> None:
    assert say(fact) or isinstance(fact, r.ValidationFailed)


@given(causes)
def test_a_row_is_silent_only_where_reason_and_times_say_it_all(cause: r.Cause) -> None:
    obvious = (r.Admitted, r.JobComplete, r.ConditionMet, r.ApprovalRequested)
    assert (tells(cause) == "") == isinstance(cause, obvious)
    assert tells(cause) in ("", say(cause))


def test_the_name_of_a_failure() -> None:
    assert name_failure(r.JobLost(TEN)) == "JobLost"
