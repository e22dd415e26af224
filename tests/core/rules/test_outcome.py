"""What has become of a running attempt's Job."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.builders import Around, at, gone, job, pod_failed, refused, retries, running
from zenflow_core.plan import PlannedOutput
from zenflow_core.reasons import (
    AttemptFailed,
    Cause,
    Hold,
    JobComplete,
    JobIsSuspended,
    JobLost,
    JobRefused,
    JobResumed,
    JobSuspended,
    NeedsOutput,
)
from zenflow_core.rules.outcome import outcome
from zenflow_core.views import StepView

FLOW_DEADLINE = Around(deadline=60)
FINALLY_DEADLINE = Around(finally_deadline=60, main_over="10:00:00")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(running("10:00:00", now="10:00:10", seen=()), None, id="a Job that is not seen says nothing"),
        pytest.param(running("10:00:00", now="10:00:10"), None, id="a Job that runs says nothing"),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=job(deleting=True)),
            None,
            id="a Job that is being deleted still runs",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", attempt=2, seen=job(1, failed="10:00:01")),
            None,
            id="the end of an earlier attempt does not count",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=job(complete="10:00:09")),
            JobComplete(at("10:00:09")),
            id="complete when it was, not when we looked",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=job(failed="10:00:09")),
            pod_failed("10:00:09"),
            id="failed when it was, not when we looked",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=job(failed="10:00:09"), retry=retries(pause=10)),
            AttemptFailed(1, pod_failed("10:00:09"), at("10:00:19")),
            id="a failure is retried",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=gone(1, "10:00:09")), JobLost(at("10:00:09")), id="gone is lost"
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=gone(1, "10:00:09"), retry=retries(pause=10)),
            AttemptFailed(1, JobLost(at("10:00:09")), at("10:00:19")),
            id="a loss is retried",
        ),
        pytest.param(
            running("10:00:00", now="10:00:10", seen=job(complete="10:00:09"), outputs=(PlannedOutput("v", "$.v"),)),
            NeedsOutput(1),
            id="outputs have to be read before it is complete",
        ),
    ],
)
def test_outcome(given: StepView, then: Cause | Hold | None) -> None:
    assert outcome(given) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", seen=job(complete="10:00:59")),
            JobComplete(at("10:00:59")),
            id="complete a second before its deadline counts, however late we look",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", seen=job(complete="10:01:00")),
            None,
            id="complete at its deadline is left to the timeout",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", seen=job(complete="10:01:01")),
            None,
            id="complete a second after its deadline is left to the timeout",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:00:59", seen=job(complete="10:01:00")),
            JobComplete(at("10:01:00")),
            id="a Job controller whose clock is ahead of ours is believed before the deadline",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", seen=job(failed="10:00:59")),
            pod_failed("10:00:59"),
            id="failed a second before its deadline is a failure",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", seen=job(failed="10:01:00")),
            None,
            id="failed at its deadline is left to the timeout",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=gone(1, "10:01:00")),
            None,
            id="lost at its deadline is left to the timeout",
        ),
        pytest.param(
            running("10:00:00", now="10:05:00", seen=job(complete="10:00:59"), around=FLOW_DEADLINE),
            JobComplete(at("10:00:59")),
            id="complete a second before the flow's deadline counts",
        ),
        pytest.param(
            running("10:00:00", now="10:05:00", seen=job(complete="10:01:00"), around=FLOW_DEADLINE),
            None,
            id="complete at the flow's deadline is left to expiry",
        ),
        pytest.param(
            running("10:00:00", now="10:00:59", seen=job(complete="10:01:00"), around=FLOW_DEADLINE),
            JobComplete(at("10:01:00")),
            id="the flow's deadline has not come yet",
        ),
        pytest.param(
            running("10:00:00", now="10:05:00", seen=job(complete="10:00:59"), around=FINALLY_DEADLINE),
            JobComplete(at("10:00:59")),
            id="the deadline of finally is none of a main step",
        ),
    ],
)
def test_what_happened_before_a_deadline_counts(given: StepView, then: Cause | None) -> None:
    assert outcome(given) == then


SUSPENDED = job(suspended="10:00:20")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            running("10:00:00", now="10:00:30", seen=SUSPENDED),
            JobSuspended(at("10:00:20")),
            id="suspended stops its clock when it was",
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", seen=SUSPENDED, stopped_after=20),
            JobIsSuspended(at("10:00:20")),
            id="a clock that stands is held",
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", seen=job(resumed="10:00:25"), stopped_after=20),
            JobResumed(at("10:00:25")),
            id="resumed starts its clock when it was",
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", seen=job(), stopped_after=20),
            JobResumed(at("10:00:30")),
            id="resumed nobody knows when starts its clock now",
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", seen=job(resumed="10:00:25")), None, id="a clock that runs goes on"
        ),
        pytest.param(
            running("10:00:00", now="10:00:30", seen=job(complete="10:00:29"), stopped_after=20),
            JobComplete(at("10:00:29")),
            id="an end beats a suspension",
        ),
        pytest.param(
            running("10:00:00", timeout=20, now="10:00:30", seen=job(suspended="10:00:19")),
            JobSuspended(at("10:00:19")),
            id="suspended a second before its deadline saves it",
        ),
        pytest.param(
            running("10:00:00", timeout=20, now="10:00:30", seen=SUSPENDED),
            None,
            id="suspended at its deadline comes too late",
        ),
    ],
)
def test_a_suspended_job_only_stops_the_clock(given: StepView, then: Cause | Hold | None) -> None:
    assert outcome(given) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            running("10:00:00", now="10:00:00", seen=refused(1, "10:00:00", code=429)),
            JobRefused(at("10:00:00"), at("10:00:00") + timedelta(seconds=1), 429),
            id="a refusal of this create counts",
        ),
        pytest.param(
            running("10:00:01", now="10:00:01", seen=refused(1, "10:00:00", code=429)),
            None,
            id="a refusal from before this admission is old",
        ),
        pytest.param(
            running("10:00:01", now="10:00:02", seen=refused(1, "10:00:02", code=429)),
            JobRefused(at("10:00:02"), at("10:00:03"), 429),
            id="a refusal after it is new",
        ),
    ],
)
def test_an_answer_to_our_create_is_an_observation(given: StepView, then: Cause | None) -> None:
    assert outcome(given) == then
