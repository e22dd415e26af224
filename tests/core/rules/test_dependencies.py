"""Whether the steps before this one are settled, and settled well enough."""

from __future__ import annotations

from itertools import product

import pytest

from tests.core.builders import WAITING, Around, Before, at, ended, pending
from zenflow_core.plan import Segment
from zenflow_core.reasons import Cause, FlowNotStarted, Hold, UpstreamUnmet, WaitsFor, WaitsForMain
from zenflow_core.rules.dependencies import dependencies, settled_upstream, start
from zenflow_core.spec import StepName
from zenflow_core.state import StepPhase, StepRecord
from zenflow_core.views import StepView

SUCCEEDED, FAILED, SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED
DONE = Before("done", ended(SUCCEEDED))
BAD = Before("bad", ended(FAILED, "09:58:00"))
TOLERATED = Before("flaky", ended(FAILED), tolerated=True)
OPEN = Before("open", WAITING)


def named(*names: str, of: int) -> WaitsFor:
    return WaitsFor(tuple(StepName(name) for name in names), of=of)


@pytest.mark.parametrize(
    ("before", "then"),
    [
        pytest.param((), None, id="no dependency"),
        pytest.param((DONE,), None, id="Succeeded is met"),
        pytest.param((Before("skipped", ended(SKIPPED)),), None, id="Skipped is met"),
        pytest.param((TOLERATED,), None, id="Failed with continueOnFailure is met"),
        pytest.param((BAD,), UpstreamUnmet(at("09:58:00"), StepName("bad")), id="Failed is unmet, since it failed"),
        pytest.param((OPEN,), named("open", of=1), id="Pending is open"),
        pytest.param((Before("runs", StepRecord(phase=StepPhase.RUNNING)),), named("runs", of=1), id="Running is open"),
        pytest.param(
            (Before("asks", StepRecord(phase=StepPhase.PENDING_APPROVAL)),),
            named("asks", of=1),
            id="PendingApproval is open",
        ),
        pytest.param((DONE, OPEN), named("open", of=2), id="one open of two holds"),
        pytest.param(
            (OPEN, BAD), UpstreamUnmet(at("09:58:00"), StepName("bad")), id="unmet does not wait for the open"
        ),
        pytest.param((BAD, OPEN), UpstreamUnmet(at("09:58:00"), StepName("bad")), id="in whatever order"),
        pytest.param(
            tuple(Before(name, WAITING) for name in "abc"), named("a", "b", "c", of=3), id="three open are named"
        ),
        pytest.param(
            tuple(Before(name, WAITING) for name in "abcd"), named("b", "c", "d", of=4), id="of four the last three are"
        ),
        pytest.param(
            (DONE, *(Before(name, WAITING) for name in "abcd")),
            named("b", "c", "d", of=5),
            id="the total stays the total",
        ),
    ],
)
def test_dependencies(before: tuple[Before, ...], then: Cause | Hold | None) -> None:
    assert dependencies(pending(before=before)) == then


@pytest.mark.parametrize(("phase", "tolerated"), list(product(StepPhase, (False, True))))
def test_every_phase_is_met_unmet_or_open(phase: StepPhase, tolerated: bool) -> None:
    record = ended(phase) if phase in (SUCCEEDED, FAILED, SKIPPED) else StepRecord(phase=phase)
    answer = dependencies(pending(before=(Before("x", record, tolerated=tolerated),)))
    kinds = {
        SUCCEEDED: type(None),
        SKIPPED: type(None),
        FAILED: type(None) if tolerated else UpstreamUnmet,
    }
    assert type(answer) is kinds.get(phase, WaitsFor)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            pending(segment=Segment.FINALLY, around=Around(others=1)), WaitsForMain(), id="main steps are not over"
        ),
        pytest.param(pending(segment=Segment.FINALLY, around=Around(main_over="09:59:00")), None, id="they are over"),
        pytest.param(
            pending(segment=Segment.FINALLY, around=Around(others=1), before=(BAD,)),
            WaitsForMain(),
            id="it waits for main even if it cannot run",
        ),
        pytest.param(
            pending(segment=Segment.FINALLY, around=Around(main_over="09:59:00"), before=(OPEN,)),
            named("open", of=1),
            id="then for its own dependencies",
        ),
    ],
)
def test_finally_waits_for_main(given: StepView, then: Hold | None) -> None:
    # One main step besides, so that there is something to wait for.
    assert dependencies(given) == then


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        pytest.param(pending(), True, id="nothing upstream"),
        pytest.param(pending(before=(DONE, BAD)), True, id="all over, however"),
        pytest.param(pending(before=(DONE, OPEN)), False, id="one open"),
        pytest.param(
            pending(segment=Segment.FINALLY, around=Around(others=1)), False, id="finally before main is over"
        ),
        pytest.param(
            pending(segment=Segment.FINALLY, around=Around(others=1, main_over="09:59:00")), True, id="finally after it"
        ),
    ],
)
def test_settled_upstream(given: StepView, settled: bool) -> None:
    assert settled_upstream(given) is settled


def test_nothing_happens_before_the_flow_has_started() -> None:
    assert start(pending(around=Around(started=None))) == FlowNotStarted()
    assert start(pending()) is None
