"""Scripts of faults in users' own tests: said or drawn, they strike at their points and are over by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, find, given, settings

from tests.defects.lives import flow, retried, step
from zenflow_testing.cases.history import (
    ClockJump,
    FlowDeleted,
    JobDeleted,
    JobUpdated,
    OperatorCrash,
    OperatorCrashOn,
)
from zenflow_testing.faults import AfterDecision, AfterEvent, AfterRequest, AtSecond, Injection, Point
from zenflow_testing.plugin.loading import InvalidFlow
from zenflow_testing.plugin.subject import FlowUnderTest
from zenflow_testing.strategies import faults

STEPS = ("build", "test")


def manifest() -> dict[str, Any]:
    made: dict[str, Any] = flow(step("build"), step("test", "build", retryPolicy=retried(2, 5)))
    return made


@pytest.mark.parametrize(
    ("point", "line"),
    [
        pytest.param(AtSecond(3.0), "3 s", id="at a second"),
        pytest.param(AfterRequest(0), "0 s", id="before the first request"),
        pytest.param(AfterRequest(3), "10 s", id="after a request"),
        pytest.param(AfterEvent(5), "10 s", id="after a change"),
        pytest.param(AfterDecision(2), "0 s", id="after a decision"),
    ],
)
def test_a_fault_strikes_at_its_point(point: Point, line: str) -> None:
    life = FlowUnderTest.load(manifest()).faults(Injection(point, OperatorCrash(at=0, restart=5.0))).run()
    struck = [each for each in life.timeline().splitlines() if "OperatorCrash" in each]
    assert [each.split("  ")[0].strip() for each in map(str.strip, struck)] == [line]
    life.expect(flow="Succeeded", creates={"build": 1, "test": 1})


def test_faults_are_said_before_the_flow_runs() -> None:
    life = FlowUnderTest.load(manifest()).run()
    with pytest.raises(InvalidFlow, match="fix: say what goes wrong before run, advance and expect"):
        life.faults(Injection(AtSecond(3.0), OperatorCrash(at=0)))


@settings(max_examples=60)
@given(faults(STEPS, keep_outcome=True))
def test_what_may_not_change_the_outcome_does_not(script: tuple[Injection, ...]) -> None:
    life = FlowUnderTest.load(manifest()).script("test", {"exitCode": 1}, {}).faults(*script).run()
    life.expect(flow="Succeeded", creates={"build": 1, "test": 2})


@settings(max_examples=60)
@given(faults(STEPS, most=5))
def test_whatever_is_drawn_the_flow_ends_or_is_gone(script: tuple[Injection, ...]) -> None:
    life = FlowUnderTest.load(manifest()).faults(*script).run(until="1h")
    assert life.phase in ("Succeeded", "Failed") or "FlowDeleted" in life.timeline()


@settings(max_examples=100)
@given(faults(STEPS, keep_outcome=True))
def test_what_may_change_the_outcome_is_not_drawn_unless_asked_for(script: tuple[Injection, ...]) -> None:
    assert not [each for each in script if isinstance(each.fault, ClockJump | FlowDeleted | JobDeleted | JobUpdated)]


@pytest.mark.parametrize("wanted", [ClockJump, FlowDeleted, JobDeleted, JobUpdated, OperatorCrashOn])
def test_what_may_change_the_outcome_is_drawn(wanted: type[object]) -> None:
    drawn = settings(max_examples=2_000, phases=[Phase.generate], database=None)
    assert find(faults(STEPS), lambda script: any(isinstance(each.fault, wanted) for each in script), settings=drawn)
