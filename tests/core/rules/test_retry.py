"""What follows a failed attempt, and how long a retry waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.builders import Around, at, gone, job, pending, pod_failed, refused, retries, running
from zenflow_core.plan import RetryRule, Segment
from zenflow_core.reasons import (
    AttemptFailed,
    BacksOff,
    Cause,
    Hold,
    JobLost,
    PreviousAttemptEnds,
    RetriesExhausted,
    RetryAbandoned,
)
from zenflow_core.rules.retry import after_failure, delay, previous_attempt, retry_backoff
from zenflow_core.spec import BackoffType
from zenflow_core.views import StepView

FIXED, LINEAR, EXPONENTIAL = BackoffType.FIXED, BackoffType.LINEAR, BackoffType.EXPONENTIAL
MONTH = 2_592_000


@pytest.mark.parametrize(
    ("rule", "n", "seconds"),
    [
        pytest.param(retries(kind=FIXED, pause=10), 1, 10, id="fixed first"),
        pytest.param(retries(kind=FIXED, pause=10), 4, 10, id="fixed stays"),
        pytest.param(retries(kind=LINEAR, pause=5), 1, 5, id="linear first is d"),
        pytest.param(retries(kind=LINEAR, pause=5), 3, 15, id="linear third is 3d"),
        pytest.param(retries(kind=EXPONENTIAL, pause=2, factor=3), 1, 2, id="exponential first is d"),
        pytest.param(retries(kind=EXPONENTIAL, pause=2, factor=3), 2, 6, id="exponential second is d*factor"),
        pytest.param(retries(kind=EXPONENTIAL, pause=2, factor=3), 3, 18, id="exponential third is d*factor^2"),
        pytest.param(retries(kind=EXPONENTIAL, pause=1, factor=1.0), 9, 1, id="factor 1 stays"),
        pytest.param(retries(kind=FIXED, pause=9, ceiling=10), 1, 9, id="a second below the ceiling"),
        pytest.param(retries(kind=FIXED, pause=10, ceiling=10), 1, 10, id="the ceiling itself"),
        pytest.param(retries(kind=FIXED, pause=11, ceiling=10), 1, 10, id="a second above is the ceiling"),
        pytest.param(retries(kind=LINEAR, pause=4, ceiling=10), 3, 10, id="linear is cut at the ceiling"),
        pytest.param(retries(kind=EXPONENTIAL, pause=1), 2000, MONTH, id="what a float cannot hold is the ceiling"),
        pytest.param(retries(kind=EXPONENTIAL, pause=1), 500, MONTH, id="what a timedelta cannot hold, too"),
        pytest.param(retries(kind=LINEAR, pause=MONTH), 2**40, MONTH, id="linear beyond a timedelta, too"),
        pytest.param(retries(kind=FIXED, pause=0.001), 1, 1, id="parts of a second are rounded up"),
        pytest.param(retries(kind=EXPONENTIAL, pause=1, factor=1.5), 2, 2, id="half a second is rounded up"),
    ],
)
def test_delay(rule: RetryRule, n: int, seconds: int) -> None:
    assert delay(rule, n) == timedelta(seconds=seconds)


LATE = pod_failed("10:00:40")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(running("10:00:00", now="10:00:41"), LATE, id="without a retryPolicy the failure is the end"),
        pytest.param(running("10:00:00", now="10:00:41", retry=retries(0)), LATE, id="limit 0 is the same"),
        pytest.param(
            running("10:00:00", now="10:00:41", retry=retries(1)),
            AttemptFailed(1, LATE, at("10:00:50")),
            id="limit 1 gives the first attempt a second one",
        ),
        pytest.param(
            running("10:00:00", now="10:00:41", attempt=2, retry=retries(1)),
            RetriesExhausted(2, LATE),
            id="limit 1 gives the second attempt none",
        ),
        pytest.param(
            running("10:00:00", now="10:00:41", attempt=3, retry=retries(3, LINEAR, pause=10)),
            AttemptFailed(3, LATE, at("10:01:10")),
            id="attempt 3 of limit 3 waits for retry 3",
        ),
        pytest.param(
            running("10:00:00", now="10:00:41", attempt=4, retry=retries(3)),
            RetriesExhausted(4, LATE),
            id="attempt 4 of limit 3 was the last",
        ),
        pytest.param(
            running("10:00:00", now="12:00:00", retry=retries(1)),
            AttemptFailed(1, LATE, at("10:00:50")),
            id="the pause counts from the failure, not from the look",
        ),
    ],
)
def test_after_failure(given: StepView, then: Cause) -> None:
    assert after_failure(given, LATE) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            running("10:00:00", now="10:00:41", retry=retries(1), around=Around(fatal=("10:00:30", "x"))),
            RetryAbandoned(at("10:00:40"), LATE, "FlowFailing"),
            id="a retry is new, too, so a flow that drains starts none",
        ),
        pytest.param(
            running("10:00:00", now="10:00:41", attempt=2, retry=retries(1), around=Around(fatal=("10:00:30", "x"))),
            RetriesExhausted(2, LATE),
            id="the last attempt has no retry to abandon",
        ),
        pytest.param(
            running("10:00:00", now="10:00:41", around=Around(fatal=("10:00:30", "x"))), LATE, id="nor has an only one"
        ),
        pytest.param(
            running(
                "10:00:00",
                now="10:00:41",
                retry=retries(1),
                around=Around(fatal=("10:00:30", "x")),
                segment=Segment.FINALLY,
            ),
            AttemptFailed(1, LATE, at("10:00:50")),
            id="finally is tried again all the same",
        ),
    ],
)
def test_a_retry_in_a_flow_that_fails(given: StepView, then: Cause) -> None:
    assert after_failure(given, LATE) == then


def test_a_loss_is_a_failure_like_any_other() -> None:
    given = running("10:00:00", now="10:00:41", retry=retries(1))
    assert after_failure(given, JobLost(at("10:00:41"))) == AttemptFailed(1, JobLost(at("10:00:41")), at("10:00:51"))


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(now="10:00:00"), None, id="a step that has not failed does not wait"),
        pytest.param(pending(now="10:00:49", retry_at="10:00:50"), BacksOff(at("10:00:50")), id="before it waits"),
        pytest.param(pending(now="10:00:50", retry_at="10:00:50"), None, id="at it goes on"),
        pytest.param(pending(now="10:00:51", retry_at="10:00:50"), None, id="after it goes on"),
        pytest.param(
            pending(now="09:50:00", retry_at="10:00:50", holds=(PreviousAttemptEnds(1),)),
            None,
            id="a clock that was put back does not begin again a pause that was seen to end",
        ),
        pytest.param(
            pending(now="09:50:00", retry_at="10:00:50", holds=(BacksOff(at("10:00:50")), PreviousAttemptEnds(1))),
            BacksOff(at("10:00:50")),
            id="nor does it end one that goes on",
        ),
    ],
)
def test_retry_backoff(given: StepView, then: Hold | None) -> None:
    assert retry_backoff(given) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(attempt=1), None, id="nothing is seen"),
        pytest.param(pending(attempt=1, seen=job(1)), PreviousAttemptEnds(1), id="the failed attempt's Job still runs"),
        pytest.param(
            pending(attempt=1, seen=job(1, deleting=True)), PreviousAttemptEnds(1), id="it is being deleted, not gone"
        ),
        pytest.param(pending(attempt=1, seen=job(1, failed="10:00:01")), None, id="it is over"),
        pytest.param(pending(attempt=1, seen=gone(1, "10:00:01")), None, id="it is gone"),
        pytest.param(pending(attempt=1, seen=refused(1)), None, id="it was refused"),
        pytest.param(
            pending(attempt=2, seen=(job(1), job(2, failed="10:00:01"))),
            PreviousAttemptEnds(1),
            id="an earlier attempt's Job still runs",
        ),
        pytest.param(
            pending(attempt=1, seen=(job(1, failed="10:00:01"), job(2))), None, id="a Job to be adopted is no obstacle"
        ),
    ],
)
def test_previous_attempt(given: StepView, then: Hold | None) -> None:
    assert previous_attempt(given) == then
