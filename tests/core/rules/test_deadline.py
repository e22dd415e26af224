"""`activeDeadlineSeconds` and `finallyDeadlineSeconds`."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, asked, at, flow, job, pending, pod_failed, running
from zenflow_core.plan import Segment
from zenflow_core.reasons import (
    ActiveDeadlineExceeded,
    Cause,
    FlowCause,
    FlowEnded,
    FlowHold,
    FlowRunsUntil,
    RetryAbandoned,
)
from zenflow_core.rules.deadline import active_deadline, finally_deadline, finally_time
from zenflow_core.views import FlowView, StepView

DEADLINE = at("10:01:00")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(flow("23:00:00"), None, id="no deadline"),
        pytest.param(flow("10:00:59", deadline=60), FlowRunsUntil(DEADLINE), id="before it wakes at it"),
        pytest.param(flow("10:01:00", deadline=60), ActiveDeadlineExceeded(DEADLINE), id="at it is exceeded"),
        pytest.param(flow("10:01:01", deadline=60), ActiveDeadlineExceeded(DEADLINE), id="after it was exceeded at it"),
        pytest.param(
            flow("10:05:00", deadline=60, started=None), None, id="it counts from the start, and there is none"
        ),
        pytest.param(
            flow("10:01:00", deadline=60, started="10:00:01"),
            FlowRunsUntil(at("10:01:01")),
            id="it counts from the start",
        ),
        pytest.param(
            flow("10:01:00", deadline=60, suspend=True), ActiveDeadlineExceeded(DEADLINE), id="no suspension stops it"
        ),
        pytest.param(
            flow("10:01:00", deadline=60, main_over="10:00:59"), None, id="main steps that are over are in time"
        ),
    ],
)
def test_active_deadline(given: FlowView, then: FlowCause | FlowHold | None) -> None:
    assert active_deadline(given) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(Around(main_over="10:00:00"), None, id="no deadline"),
        pytest.param(Around(finally_deadline=60), None, id="main steps are not over"),
        pytest.param(Around(finally_deadline=60, main_over="09:59:59"), None, id="it is over"),
        pytest.param(Around(finally_deadline=60, main_over="10:00:00"), None, id="it is now"),
        pytest.param(
            Around(finally_deadline=60, main_over="10:00:01"), FlowRunsUntil(at("10:01:01")), id="wakes at it"
        ),
    ],
)
def test_finally_time(given: Around, then: FlowHold | None) -> None:
    # Behind one main step there is one of `finally`, so the flow as a whole is not over.
    given_view = pending(now="10:01:00", around=given, segment=Segment.FINALLY).flow
    assert finally_time(given_view) == then


def test_a_flow_that_is_over_has_no_finally_time() -> None:
    assert finally_time(flow("10:00:30", finally_deadline=60, main_over="10:00:00")) is None


AROUND = Around(finally_deadline=60, main_over="10:00:00")
EXCEEDED = FlowEnded(DEADLINE, "FinallyDeadlineExceeded")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            running("10:00:00", now="10:01:00", around=AROUND), None, id="a main step has nothing to do with it"
        ),
        pytest.param(
            running("10:00:00", now="10:00:59", around=AROUND, segment=Segment.FINALLY), None, id="before it goes on"
        ),
        pytest.param(
            running("10:00:00", now="10:01:00", around=AROUND, segment=Segment.FINALLY), EXCEEDED, id="at it ends"
        ),
        pytest.param(
            running("10:00:00", now="10:01:01", around=AROUND, segment=Segment.FINALLY),
            EXCEEDED,
            id="after it ended at it",
        ),
        pytest.param(
            running("10:00:00", now="10:01:00", seen=job(complete="10:00:59"), around=AROUND, segment=Segment.FINALLY),
            None,
            id="what was complete in time only waits for its result to be read",
        ),
        pytest.param(
            running("10:00:00", now="10:05:00", around=Around(main_over="10:00:00"), segment=Segment.FINALLY),
            None,
            id="without one it goes on",
        ),
        pytest.param(
            asked("10:00:00", now="10:01:00", around=AROUND, segment=Segment.FINALLY),
            EXCEEDED,
            id="an approval ends, too",
        ),
        pytest.param(
            pending(now="10:01:00", around=AROUND, segment=Segment.FINALLY), EXCEEDED, id="what has not begun ends, too"
        ),
        pytest.param(
            pending(now="10:01:00", attempt=1, failure=pod_failed("10:00:30"), around=AROUND, segment=Segment.FINALLY),
            RetryAbandoned(DEADLINE, pod_failed("10:00:30"), "FinallyDeadlineExceeded"),
            id="a retry is abandoned",
        ),
    ],
)
def test_finally_deadline(given: StepView, then: Cause | None) -> None:
    assert finally_deadline(given) == then
