"""The flow's time or patience is over."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, asked, at, job, pending, pod_failed, running
from zenflow_core.plan import PlannedOutput, Segment
from zenflow_core.reasons import (
    ActiveDeadlineExceeded,
    BackoffLimitExceeded,
    Cause,
    FlowEnded,
    FlowFailing,
    RetryAbandoned,
    UnknownCause,
)
from zenflow_core.rules.expiry import expiry
from zenflow_core.spec import StepName
from zenflow_core.views import StepView

FAILURE = pod_failed("09:59:30")
DRAINS = Around(fatal=("10:00:20", "other"))
FAST = Around(fatal=("10:00:20", "other"), fail_fast=True)
FAILING = FlowFailing(at("10:00:20"), StepName("other"))
OVER = Around(ended=ActiveDeadlineExceeded(at("10:00:20")))
ENDED = FlowEnded(at("10:00:20"), "ActiveDeadlineExceeded")
BUDGET = Around(ended=BackoffLimitExceeded(at("10:00:20"), 6))


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="a sound flow lets it be"),
        pytest.param(running("10:00:00", now="10:00:30"), None, id="and what runs in it"),
        pytest.param(pending(around=DRAINS), FAILING, id="draining skips what has not begun"),
        pytest.param(
            pending(attempt=1, failure=FAILURE, around=DRAINS),
            RetryAbandoned(at("10:00:20"), FAILURE, "FlowFailing"),
            id="draining abandons a retry",
        ),
        pytest.param(
            pending(attempt=1, failure=pod_failed("10:00:25"), around=DRAINS),
            RetryAbandoned(at("10:00:25"), pod_failed("10:00:25"), "FlowFailing"),
            id="not before it has failed itself",
        ),
        pytest.param(running("10:00:00", now="10:00:30", around=DRAINS), None, id="draining lets what runs finish"),
        pytest.param(
            asked("10:00:00", now="10:00:30", around=DRAINS), FAILING, id="draining ends the wait for approval"
        ),
        pytest.param(running("10:00:00", now="10:00:30", around=FAST), FAILING, id="failFast ends what runs"),
        pytest.param(pending(around=FAST), FAILING, id="failFast skips what has not begun"),
        pytest.param(pending(around=OVER), ENDED, id="an end skips what has not begun"),
        pytest.param(running("10:00:00", now="10:00:30", around=OVER), ENDED, id="an end ends what runs"),
        pytest.param(
            running("10:00:00", now="10:00:30", attempt=2, failure=FAILURE, around=OVER),
            ENDED,
            id="a retry that runs is ended, not abandoned",
        ),
        pytest.param(asked("10:00:00", now="10:00:30", around=OVER), ENDED, id="an end ends the wait for approval"),
        pytest.param(
            pending(attempt=1, failure=FAILURE, around=OVER),
            RetryAbandoned(at("10:00:20"), FAILURE, "ActiveDeadlineExceeded"),
            id="an end abandons a retry",
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", around=BUDGET),
            FlowEnded(at("10:00:20"), "BackoffLimitExceeded"),
            id="a spent budget ends what runs",
        ),
        pytest.param(
            pending(around=Around(ended=UnknownCause("Quarantined", at("10:00:20")))),
            FlowEnded(at("10:00:20"), "Quarantined"),
            id="an end of another version has its own name",
        ),
        pytest.param(
            pending(around=Around(fatal=("10:00:10", "other"), ended=ActiveDeadlineExceeded(at("10:00:20")))),
            ENDED,
            id="an end is said before a failure",
        ),
        pytest.param(pending(around=OVER, segment=Segment.FINALLY), None, id="finally lives on after an end"),
        pytest.param(
            running("10:00:00", now="10:00:30", around=FAST, segment=Segment.FINALLY), None, id="and after a failure"
        ),
    ],
)
def test_expiry(given: StepView, then: Cause | None) -> None:
    assert expiry(given) == then


@pytest.mark.parametrize(
    ("complete", "then"),
    [
        pytest.param("10:00:19", None, id="a second before the end counts, though its result is still to be read"),
        pytest.param("10:00:20", ENDED, id="at the end is too late"),
        pytest.param("10:00:21", ENDED, id="a second after the end is too late"),
    ],
)
def test_a_job_that_was_complete_before_the_flows_deadline(complete: str, then: Cause | None) -> None:
    given = running(
        "10:00:00",
        now="10:00:30",
        seen=job(complete=complete),
        outputs=(PlannedOutput("v", "$.v"),),
        around=Around(deadline=20, ended=ActiveDeadlineExceeded(at("10:00:20"))),
    )
    assert expiry(given) == then


def test_a_job_that_is_complete_is_not_stopped_by_the_failure_of_another_step() -> None:
    """`outcome` would have answered first, were there no result to read."""
    given = running("10:00:00", now="10:00:30", seen=job(complete="10:00:25"), around=FAST)
    assert expiry(given) is None
