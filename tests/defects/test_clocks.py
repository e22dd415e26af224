"""Retries, timeouts and budgets: that they happen at all, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.defects.lives import HANGS, Life, fails, flow, manual, retried, seconds, step, succeeds
from zenflow_testing.outcomes import ScriptedApproval


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        pytest.param(retried(3, 10), (10, 10, 10), id="Fixed"),
        pytest.param(retried(3, 10, "Linear"), (10, 20, 30), id="Linear"),
        pytest.param(retried(3, 10, "Exponential"), (10, 20, 40), id="Exponential"),
        pytest.param(retried(3, 10, "Exponential", factor=3.0), (10, 30, 90), id="Exponential by 3"),
        pytest.param({"limit": 3}, (1, 2, 4), id="no backoff given"),
        pytest.param({}, (1, 2, 4), id="no limit given"),
    ],
)
def test_no_retry_is_forgotten(policy: dict[str, Any], pauses: tuple[int, ...]) -> None:
    """Each comes by itself, after its pause and with a Job of its own name; no event is needed to wake it."""
    life = Life(flow(step("a", retryPolicy=policy)), a=[fails(5)] * 3 + [succeeds(5)])
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert life.row("a")["retryCount"] == 3
    assert len(set(life.created())) == 4
    assert life.ended_after() == 4 * 5 + sum(pauses)


def test_no_retry_follows_where_the_limit_is_zero() -> None:
    """`limit: 0` means none, and not the default of 3."""
    life = Life(flow(step("a", retryPolicy=retried(0))), a=[fails()] * 9).to_the_end()
    assert life.phases() == {"a": "Failed"}
    assert len(life.created()) == 1


def test_no_flow_is_failed_while_a_retry_is_due() -> None:
    """Between two attempts the step is Pending and the flow Running; what else can run runs."""
    life = Life(flow(step("a", retryPolicy=retried(1, 600)), step("b")), a=[fails()], b=[succeeds(60)])
    life.after(300)
    assert life.phase() == "Running"
    assert life.phases() == {"a": "Pending", "b": "Succeeded"}
    assert life.to_the_end().phase() == "Succeeded"


def test_no_pause_before_a_retry_is_negative_or_grows_for_ever() -> None:
    """Forty doublings of a minute do not wrap around: the pause stops growing at its ceiling."""
    policy = retried(40, 60, "Exponential", maxDuration="1h")
    life = Life(
        flow(step("a", retryPolicy=policy), policy={"backoffLimit": 100}),
        a=[fails(5)] * 40 + [succeeds(5)],
    )
    life.to_the_end()
    doubled = [60 * 2**n for n in range(40)]
    assert life.ended_after() == 41 * 5 + sum(min(pause, 3600) for pause in doubled)
    assert life.row("a")["retryCount"] == 40


def test_no_retry_starts_beside_the_attempt_before_it() -> None:
    """An attempt that has timed out is gone, with its Pods, before the next one begins."""
    life = Life(
        flow(step("a", timeoutSeconds=20, retryPolicy=retried(1, 1))),
        a=[HANGS, succeeds(5)],
    )
    most = 0

    def count(_: object) -> None:
        nonlocal most
        most = max(most, len(life.pods()))

    life.cluster.subscribe(count)
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert most == 1


def test_no_silent_job_outlives_its_timeout() -> None:
    """Nothing happens and nobody asks: the attempt ends at its second, and the steps behind it go on or are skipped."""
    tolerant = step("b", timeoutSeconds=90, continueOnFailure=True)
    life = Life(flow(step("a", timeoutSeconds=86_000), tolerant, step("c", "b")), a=[HANGS], b=[HANGS])
    life.after(89)
    assert life.phases() == {"a": "Running", "b": "Running", "c": "Pending"}
    life.after(200)
    assert life.phases() == {"a": "Running", "b": "Failed", "c": "Succeeded"}
    life.to_the_end()
    assert life.ended_after() == 86_000
    assert "timeoutSeconds" in life.row("a")["message"] or "StepTimedOut" in life.row("a")["reason"]


@pytest.mark.parametrize(
    ("limit", "attempts", "phase"),
    [
        pytest.param(3, 4, "Succeeded", id="as many retries as the budget are within it"),
        pytest.param(2, 3, "Failed", id="one more is not"),
        pytest.param(0, 1, "Failed", id="no retry at all"),
    ],
)
def test_no_budget_of_retries_is_without_effect(limit: int, attempts: int, phase: str) -> None:
    """`executionPolicy.backoffLimit` counts the retries of all steps together, and ends the flow."""
    life = Life(flow(step("a", retryPolicy=retried(9)), policy={"backoffLimit": limit}), a=[fails()] * 3 + [succeeds()])
    life.to_the_end()
    assert life.phase() == phase
    assert len(life.created()) == attempts
    if phase == "Failed":
        assert life.reason() == "BackoffLimitExceeded"


def test_no_approval_waits_longer_than_its_timeout() -> None:
    """`timeoutSeconds` of a Manual step counts from the request; after it the answer comes too late."""
    life = Life(
        flow(manual("ask", timeoutSeconds=600), step("b", "ask")), approvals={"ask": ScriptedApproval(seconds(601))}
    )
    life.to_the_end()
    assert life.phases() == {"ask": "Failed", "b": "Skipped"}
    assert life.reasons()["ask"] == "StepTimedOut"
    assert life.ended_after() == 600


def test_no_clock_needs_the_operator_that_set_it() -> None:
    """Retry, timeout and deadline come at their instants although each time another process is there to see it."""
    life = Life(
        flow(
            step("a", retryPolicy=retried(1, 100), timeoutSeconds=50),
            step("b"),
            policy={"activeDeadlineSeconds": 1000},
        ),
        a=[HANGS, succeeds(10)],
        b=[HANGS],
    )
    for second in (1, 30, 51, 149, 152, 999):
        life.after(second).restart()
    life.to_the_end()
    assert life.phases() == {"a": "Succeeded", "b": "Failed"}
    assert life.row("a")["completionTime"] == "2026-01-01T00:02:40Z"
    assert life.ended_after() == 1000
