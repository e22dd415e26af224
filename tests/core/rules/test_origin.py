"""`retryOf`: a flow that starts with the Succeeded steps of an earlier one."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, at, flow, pending
from zenflow_core.observation import UNREAD, Absent, Origin, OriginLookup, Takeover
from zenflow_core.plan import Segment
from zenflow_core.reasons import FlowCause, FlowHold, NeedsOrigin, OutputValue, RetriedFrom, RetrySourceMissing
from zenflow_core.rules.origin import origin, retried
from zenflow_core.spec import StepName
from zenflow_core.views import StepView

VALUES = {"v": OutputValue("1")}
FOUND = Origin({StepName("build"): Takeover(VALUES, {"$.v": OutputValue("1")})})


@pytest.mark.parametrize(
    ("source", "found", "then"),
    [
        pytest.param(None, UNREAD, None, id="a flow that retries none"),
        pytest.param("older", UNREAD, NeedsOrigin("older"), id="it has to be read"),
        pytest.param(
            "older",
            Absent("it is another one of that name"),
            RetrySourceMissing(at("10:00:00"), "older", message="it is another one of that name"),
            id="it is not there",
        ),
        pytest.param("older", FOUND, None, id="it was read"),
    ],
)
def test_origin(source: str | None, found: OriginLookup, then: FlowCause | FlowHold | None) -> None:
    assert origin(flow("10:00:00", started=None, retry_of=source, origin=found)) == then


def test_a_flow_that_has_started_does_not_need_it_any_more() -> None:
    assert origin(flow("10:00:00", retry_of="older")) is None


TAKEN = RetriedFrom(at("10:00:00"), "older", outputs=VALUES, reads={"$.v": OutputValue("1")})


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(around=Around(retry_of="older", origin=FOUND)), TAKEN, id="a step that had Succeeded"),
        pytest.param(pending(around=Around(retry_of="older", origin=Origin({}))), None, id="a step that had not"),
        pytest.param(pending(around=Around(origin=FOUND)), None, id="a flow that retries none"),
        pytest.param(pending(around=Around(retry_of="older")), None, id="nothing was read"),
        pytest.param(pending(around=Around(retry_of="older", origin=Absent())), None, id="nothing is there"),
        pytest.param(
            pending(around=Around(retry_of="older", origin=FOUND, started=None)), None, id="the flow has not started"
        ),
        pytest.param(
            pending(around=Around(retry_of="older", origin=FOUND), segment=Segment.FINALLY),
            None,
            id="finally runs again",
        ),
        pytest.param(
            pending(attempt=1, around=Around(retry_of="older", origin=FOUND)), None, id="a step that was tried goes on"
        ),
    ],
)
def test_retried(given: StepView, then: RetriedFrom | None) -> None:
    assert retried(given) == then
