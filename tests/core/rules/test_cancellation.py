"""Ended from outside: deleted, terminated, stopped, replaced."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, asked, at, flow, job, pending, pod_failed, running
from zenflow_core.plan import Segment
from zenflow_core.reasons import (
    ActiveDeadlineExceeded,
    BackoffLimitExceeded,
    Cause,
    Deleted,
    FlowCause,
    FlowEnded,
    Replaced,
    RetryAbandoned,
    RetrySourceMissing,
    StatusTooLarge,
    Stopped,
    Terminated,
    ValidationFailed,
)
from zenflow_core.rules.cancellation import cancellation, deletion, shutdown, validity
from zenflow_core.spec import Shutdown
from zenflow_core.views import FlowView, StepView

AT = at("10:00:20")
FROM_OUTSIDE: list[FlowCause] = [
    Deleted(AT),
    Terminated(AT),
    Stopped(AT),
    Replaced(AT, "nightly-2"),
    StatusTooLarge(AT),
    ValidationFailed(AT, "no"),
]
FROM_WITHIN: list[FlowCause] = [ActiveDeadlineExceeded(AT), BackoffLimitExceeded(AT, 6)]


@pytest.mark.parametrize("cause", FROM_OUTSIDE, ids=lambda cause: type(cause).__name__)
def test_an_end_from_outside_ends_every_main_step(cause: FlowCause) -> None:
    then = FlowEnded(AT, type(cause).__name__)
    around = Around(ended=cause)
    assert cancellation(pending(around=around)) == then
    assert cancellation(asked("10:00:00", now="10:00:30", around=around)) == then
    assert cancellation(running("10:00:00", now="10:00:30", around=around)) == then
    done = job(complete="10:00:10")
    assert cancellation(running("10:00:00", now="10:00:30", seen=done, around=around)) == then


@pytest.mark.parametrize("cause", FROM_WITHIN, ids=lambda cause: type(cause).__name__)
def test_an_end_from_within_is_left_to_expiry(cause: FlowCause) -> None:
    assert cancellation(running("10:00:00", now="10:00:30", around=Around(ended=cause))) is None


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="a flow that goes on"),
        pytest.param(
            pending(attempt=1, failure=pod_failed("10:00:10"), around=Around(ended=Stopped(AT))),
            RetryAbandoned(AT, pod_failed("10:00:10"), "Stopped"),
            id="a failure that waited for its retry stays a failure",
        ),
        pytest.param(
            running("10:00:30", now="10:00:30", attempt=2, around=Around(ended=Stopped(AT))),
            FlowEnded(AT, "Stopped"),
            id="a retry that runs is ended",
        ),
    ],
)
def test_cancellation(given: StepView, then: Cause | None) -> None:
    assert cancellation(given) == then


def last(around: Around) -> StepView:
    return running("10:00:30", now="10:00:40", around=around, segment=Segment.FINALLY)


@pytest.mark.parametrize(
    ("around", "then"),
    [
        pytest.param(Around(ended=Stopped(AT)), None, id="Stopped spares finally"),
        pytest.param(Around(ended=Replaced(AT, "n")), None, id="Replaced spares finally"),
        pytest.param(Around(ended=Terminated(AT)), FlowEnded(AT, "Terminated"), id="Terminated does not"),
        pytest.param(Around(ended=Deleted(AT)), FlowEnded(AT, "Deleted"), id="Deleted does not"),
        pytest.param(Around(ended=StatusTooLarge(AT)), FlowEnded(AT, "StatusTooLarge"), id="StatusTooLarge does not"),
        pytest.param(
            Around(ended=Stopped(AT), shutdown=Shutdown.STOP),
            None,
            id="Stopped spares it as long as it is only stopped",
        ),
        pytest.param(
            Around(ended=Stopped(AT), shutdown=Shutdown.TERMINATE),
            FlowEnded(AT, "Stopped"),
            id="a Terminate after the Stop ends it",
        ),
        pytest.param(
            Around(ended=Replaced(AT, "n"), deleting="10:00:35"),
            FlowEnded(AT, "Replaced"),
            id="a deletion after the Replace ends it",
        ),
        pytest.param(
            Around(ended=Stopped(AT), started=None),
            FlowEnded(AT, "Stopped"),
            id="a flow that never started has nothing to clean up",
        ),
        pytest.param(
            Around(ended=RetrySourceMissing(AT, "n"), started=None),
            FlowEnded(AT, "RetrySourceMissing"),
            id="nor has one that could not start",
        ),
        pytest.param(Around(ended=ActiveDeadlineExceeded(AT)), None, id="an end from within spares it"),
        pytest.param(
            Around(ended=ActiveDeadlineExceeded(AT), shutdown=Shutdown.TERMINATE),
            FlowEnded(AT, "ActiveDeadlineExceeded"),
            id="a Terminate after such an end does not",
        ),
        pytest.param(
            Around(ended=ActiveDeadlineExceeded(AT), deleting="10:00:35"),
            FlowEnded(AT, "ActiveDeadlineExceeded"),
            id="nor does a deletion",
        ),
        pytest.param(
            Around(ended=ActiveDeadlineExceeded(AT), resources=("data",)),
            FlowEnded(AT, "ActiveDeadlineExceeded"),
            id="a flow whose volumes were never made has started nothing",
        ),
        pytest.param(
            Around(ended=ActiveDeadlineExceeded(AT), resources=("data",), made=("data",)),
            None,
            id="one whose volumes were made may have",
        ),
        pytest.param(Around(), None, id="a flow that goes on"),
    ],
)
def test_what_becomes_of_finally(around: Around, then: Cause | None) -> None:
    assert cancellation(last(around)) == then


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(flow("10:05:00"), None, id="neither"),
        pytest.param(flow("10:05:00", shutdown=Shutdown.STOP), Stopped(at("10:05:00")), id="Stop"),
        pytest.param(flow("10:05:00", shutdown=Shutdown.TERMINATE), Terminated(at("10:05:00")), id="Terminate"),
    ],
)
def test_shutdown(given: FlowView, then: FlowCause | None) -> None:
    assert shutdown(given) == then


def test_a_deletion_counts_from_when_it_was() -> None:
    assert deletion(flow("10:05:00", deleting="10:04:59")) == Deleted(at("10:04:59"))
    assert deletion(flow("10:05:00")) is None


def test_a_spec_that_cannot_be_run_ends_its_flow() -> None:
    assert validity(flow("10:05:00", refused="spec.steps: none")) == ValidationFailed(
        at("10:05:00"), "spec.steps: none"
    )
    assert validity(flow("10:05:00")) is None
