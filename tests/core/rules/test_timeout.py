"""`timeoutSeconds`: for a running attempt, and for the wait for an approval."""

from __future__ import annotations

import pytest

from tests.core.builders import asked, at, gone, job, refused, retries, running
from zenflow_core.reasons import AttemptFailed, Cause, Hold, RetriesExhausted, RunsUntil, StepTimedOut
from zenflow_core.rules.timeout import timeout
from zenflow_core.views import StepView

DEADLINE = at("10:01:00")
OVER = StepTimedOut(DEADLINE)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(running("10:00:00", timeout=None, now="23:00:00"), None, id="no timeout never ends it"),
        pytest.param(running("10:00:00", timeout=60, now="10:00:00"), RunsUntil(DEADLINE), id="at the start it wakes"),
        pytest.param(running("10:00:00", timeout=60, now="10:00:59"), RunsUntil(DEADLINE), id="before it wakes at it"),
        pytest.param(running("10:00:00", timeout=60, now="10:01:00"), OVER, id="at it has timed out"),
        pytest.param(running("10:00:00", timeout=60, now="10:01:01"), OVER, id="after it has timed out at it"),
        pytest.param(running("10:00:00", timeout=60, now="11:30:00"), OVER, id="seen late same deadline"),
        pytest.param(
            running("10:00:00", timeout=60, now="10:05:00", stopped_after=59), None, id="a stopped clock never ends it"
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=()),
            None,
            id="a Job that was never created is not late",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=refused()), None, id="nor is one that was refused"
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=gone(1, "10:01:00")),
            OVER,
            id="a Job that is gone at the deadline has timed out",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=job(2, "10:00:00")),
            None,
            id="the Job of another attempt does not count",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=job(complete="10:00:59")),
            None,
            id="a Job that was complete before the deadline is in time, though its result has to be read",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", seen=job(complete="10:01:00")),
            OVER,
            id="complete at the deadline itself is too late",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", retry=retries(3, pause=10)),
            AttemptFailed(1, OVER, at("10:01:10")),
            id="a retry follows from the deadline on",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:07:00", retry=retries(3, pause=10)),
            AttemptFailed(1, OVER, at("10:01:10")),
            id="a retry counts from the deadline, not from the look",
        ),
        pytest.param(
            running("10:00:00", timeout=60, now="10:01:00", attempt=2, retry=retries(1)),
            RetriesExhausted(2, OVER),
            id="the last attempt ends the step",
        ),
        pytest.param(running("10:00:00", timeout=60, now="10:01:00", retry=retries(0)), OVER, id="limit 0 is no retry"),
        pytest.param(asked("10:00:00", now="23:00:00"), None, id="an approval may wait for ever"),
        pytest.param(asked("10:00:00", timeout=60, now="10:00:59"), RunsUntil(DEADLINE), id="an approval wakes at it"),
        pytest.param(asked("10:00:00", timeout=60, now="10:01:00"), OVER, id="at it an approval has timed out"),
        pytest.param(
            asked("10:00:00", timeout=60, now="10:01:01"), OVER, id="after it an approval has timed out at it"
        ),
    ],
)
def test_timeout(given: StepView, then: Cause | Hold | None) -> None:
    assert timeout(given) == then
