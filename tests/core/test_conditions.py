"""The flow's phase and conditions: total functions of its steps and of what ended it."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.core.builders import at, flow
from zenflow_core import reasons as r
from zenflow_core.conditions import conditions_of, phase_of
from zenflow_core.state import Condition, FlowPhase
from zenflow_core.views import FlowView

TEN = at("10:00:00")
OVER = {"completed": "10:05:00"}


def asking(view: FlowView) -> FlowView:
    """The same with an approval that is waited for."""
    return evolve(view, tally=evolve(view.tally, approvals=1))


@pytest.mark.parametrize(
    ("view", "failed", "phase"),
    [
        pytest.param(flow("10:06:00", started=None), False, FlowPhase.PENDING, id="not started"),
        pytest.param(
            flow("10:06:00", started=None, suspend=True), False, FlowPhase.SUSPENDED, id="not started, suspended"
        ),
        pytest.param(flow("10:06:00"), False, FlowPhase.RUNNING, id="running"),
        pytest.param(flow("10:06:00"), True, FlowPhase.RUNNING, id="draining still runs"),
        pytest.param(
            flow("10:06:00", ended=r.Stopped(TEN)), False, FlowPhase.RUNNING, id="ended, but steps are still open"
        ),
        pytest.param(flow("10:06:00", suspend=True), False, FlowPhase.SUSPENDED, id="suspended"),
        pytest.param(asking(flow("10:06:00")), False, FlowPhase.PAUSED, id="a person is needed"),
        pytest.param(
            asking(flow("10:06:00", suspend=True)), False, FlowPhase.PAUSED, id="a person is needed first of all"
        ),
        pytest.param(flow("10:06:00", **OVER), False, FlowPhase.SUCCEEDED, id="over"),
        pytest.param(flow("10:06:00", suspend=True, **OVER), False, FlowPhase.SUCCEEDED, id="over, suspended or not"),
        pytest.param(flow("10:06:00", **OVER), True, FlowPhase.FAILED, id="over, a step failed"),
        pytest.param(flow("10:06:00", ended=r.Stopped(TEN), **OVER), False, FlowPhase.FAILED, id="over, it was ended"),
    ],
)
def test_phase(view: FlowView, failed: bool, phase: FlowPhase) -> None:
    assert phase_of(view, failed=failed) is phase


def said(view: FlowView, phase: FlowPhase, *, failed_step: str = "", tolerated: int = 0) -> list[str]:
    """The conditions in short: `Ready=True FlowRunning`, with the message behind a dash."""
    found = conditions_of(view, phase=phase, failed_step=failed_step, tolerated=tolerated)
    return [f"{c.type}={c.status} {c.reason}{f' - {c.message}' if c.message else ''}" for c in found]


WAITS = evolve(flow("10:06:00"), record=evolve(flow("10:06:00").record, holds=(r.SiblingActive("older"),)))


@pytest.mark.parametrize(
    ("view", "phase", "then"),
    [
        pytest.param(
            flow("10:06:00"),
            FlowPhase.RUNNING,
            ["Ready=True FlowRunning", "Reconciling=True FlowRunning"],
            id="running",
        ),
        pytest.param(
            flow("10:06:00"),
            FlowPhase.PENDING,
            ["Ready=False FlowPending", "Reconciling=True FlowPending"],
            id="pending",
        ),
        pytest.param(
            WAITS,
            FlowPhase.PENDING,
            [
                "Ready=False SiblingActive - flow older of the same group is unfinished",
                "Reconciling=True SiblingActive",
            ],
            id="pending says for what it waits",
        ),
        pytest.param(
            flow("10:06:00"),
            FlowPhase.PAUSED,
            ["Ready=False AwaitsApproval", "Reconciling=True AwaitsApproval"],
            id="paused",
        ),
        pytest.param(
            flow("10:06:00"),
            FlowPhase.SUSPENDED,
            ["Ready=False Suspended", "Reconciling=True Suspended"],
            id="suspended",
        ),
        pytest.param(
            flow("10:06:00"),
            FlowPhase.SUCCEEDED,
            ["Complete=True FlowSucceeded", "Ready=True FlowSucceeded"],
            id="succeeded",
        ),
    ],
)
def test_conditions(view: FlowView, phase: FlowPhase, then: list[str]) -> None:
    assert said(view, phase) == then


def test_a_flow_that_failed_names_the_step() -> None:
    assert said(flow("10:06:00"), FlowPhase.FAILED, failed_step="build") == [
        "Failed=True FlowFailed - step build failed",
        "Ready=False FlowFailed - step build failed",
    ]


def test_a_flow_that_was_ended_says_by_what() -> None:
    view = flow("10:06:00", ended=r.ActiveDeadlineExceeded(TEN))
    message = "activeDeadlineSeconds were over at 2030-01-01T10:00:00Z"
    assert said(view, FlowPhase.FAILED, failed_step="build") == [
        f"Failed=True ActiveDeadlineExceeded - {message}",
        f"Ready=False ActiveDeadlineExceeded - {message}",
    ]


STORED = Condition("Ready", False, reason="Stopped", since=TEN, message="spec.shutdown is Stop")


@pytest.mark.parametrize(
    ("stored", "reason", "message"),
    [
        pytest.param((STORED,), "Stopped", "spec.shutdown is Stop", id="what was said"),
        pytest.param(
            (evolve(STORED, type="Complete", message=""), STORED),
            "Stopped",
            "spec.shutdown is Stop",
            id="what was said of it",
        ),
        pytest.param((evolve(STORED, status=True),), "FlowFailed", "", id="it was ready"),
        pytest.param((evolve(STORED, type="Stalled"),), "FlowFailed", "", id="of something else"),
        pytest.param((), "FlowFailed", "", id="nothing was said"),
    ],
)
def test_a_flow_that_failed_by_a_step_that_is_not_known_any_more(
    stored: tuple[Condition, ...], reason: str, message: str
) -> None:
    view = flow("10:06:00")
    view = evolve(view, record=evolve(view.record, conditions=stored))
    found = conditions_of(view, phase=FlowPhase.FAILED, failed_step="", tolerated=0)
    told = {c.type: (c.status, c.reason, c.message) for c in found}
    assert (told["Ready"], told["Failed"]) == ((False, reason, message), (True, reason, message))


@pytest.mark.parametrize("tolerated", [1, 2])
def test_a_flow_that_succeeded_in_spite_of_failures_says_so(tolerated: int) -> None:
    first = said(flow("10:06:00"), FlowPhase.SUCCEEDED, tolerated=tolerated)[0]
    assert first.startswith("Complete=True FlowSucceeded - ")
    assert str(tolerated) in first
    assert "continueOnFailure" in first


def known(view: FlowView, *conditions: Condition) -> FlowView:
    return evolve(view, record=evolve(view.record, conditions=conditions))


def test_a_condition_keeps_its_instant_as_long_as_its_status_stays() -> None:
    old = Condition("Ready", False, reason="FlowPending", since=TEN, message="m")
    paused = conditions_of(known(flow("10:06:00"), old), phase=FlowPhase.PAUSED, failed_step="", tolerated=0)
    assert paused[0] == Condition("Ready", False, reason="AwaitsApproval", since=TEN)
    running = conditions_of(known(flow("10:06:00"), old), phase=FlowPhase.RUNNING, failed_step="", tolerated=0)
    assert running[0] == Condition("Ready", True, reason="FlowRunning", since=at("10:06:00"))


@pytest.mark.parametrize("kind", ["Reconciling", "Stalled"])
def test_what_was_once_said_is_taken_back_at_the_end(kind: str) -> None:
    old = Condition(kind, True, reason="FlowRunning", since=TEN)
    found = conditions_of(known(flow("10:06:00"), old), phase=FlowPhase.SUCCEEDED, failed_step="", tolerated=0)
    taken_back = Condition(kind, False, reason="FlowSucceeded", since=at("10:06:00"))
    assert taken_back in found
    assert [c.type for c in found] == sorted(["Complete", "Ready", kind])


@pytest.mark.parametrize(
    ("started_with", "now", "says"),
    [
        pytest.param("", "a", False, id="a flow that has not started"),
        pytest.param("a", "a", False, id="the spec it started with"),
        pytest.param("a", "b", True, id="another spec"),
    ],
)
def test_a_flow_says_that_its_spec_was_edited(started_with: str, now: str, *, says: bool) -> None:
    view = flow("10:06:00")
    view = evolve(view, plan=evolve(view.plan, fingerprint=now), record=evolve(view.record, fingerprint=started_with))
    conditions = conditions_of(view, phase=FlowPhase.RUNNING, failed_step="", tolerated=0)
    told = [(c.type, c.status, c.reason) for c in conditions if c.type == "SpecChanged"]
    assert told == ([("SpecChanged", True, "ImmutableFieldsEdited")] if says else [])
