"""What flows of the JobFlow API have always decided, one row a fact.

Corrected facts: the conditions of a Job decide, not its counters; of two flows the group decides, not the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import Life, at, compiled, gone, job, manual, retries, retry, step
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import RetryRule
from zenflow_core.rules.retry import delay
from zenflow_core.spec import BackoffType, JobFlow

# --- the graph -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "order"),
    [
        pytest.param({"step1": (), "step2": ("step1",), "step3": ("step2",)}, "step1 step2 step3", id="a chain of 3"),
        pytest.param({"3": ("1", "2"), "1": (), "2": ()}, "1 2 3", id="two roots, and 3 last"),
        pytest.param(
            {
                "load": ("merge",),
                "merge": ("transform-a", "transform-b"),
                "transform-a": ("extract-a",),
                "transform-b": ("extract-b",),
                "extract-a": (),
                "extract-b": (),
            },
            "extract-a transform-a extract-b transform-b merge load",
            id="two branches that meet",
        ),
    ],
)
def test_order(steps: Mapping[str, tuple[str, ...]], order: str) -> None:
    plan = compiled(*(step(name, *after) for name, after in steps.items()))
    names = [str(planned.name) for planned in plan.steps]
    assert sorted(names) == sorted(order.split())
    assert all(names.index(before) < names.index(name) for name, after in steps.items() for before in after)
    assert names[-1] == order.split()[-1]


def test_a_cycle_has_no_plan() -> None:
    flow = read_flow(
        {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": "flow"},
            "spec": {"steps": [step("a", "b"), step("b", "a")]},
        }
    )
    assert isinstance(flow, JobFlow)
    assert isinstance(compile_plan(flow), tuple)


SECOND = step("second", "first")


# --- what may start --------------------------------------------------------------------------------------------------


def begun(life: Life) -> set[str]:
    assert life.state is not None
    return {s.name for s, r in zip(life.plan.steps, life.state.records, strict=True) if r.attempt > 0}


@pytest.mark.parametrize(
    ("steps", "first", "ready"),
    [
        pytest.param((step("first"), SECOND), None, {"first"}, id="the first Pending"),
        pytest.param(
            (step("first"), SECOND),
            job(complete="10:00:05"),
            {"first", "second"},
            id="the first Succeeded",
        ),
        pytest.param((step("first"), step("second")), None, {"first", "second"}, id="two roots"),
        pytest.param(
            (step("first", continueOnFailure=True), SECOND),
            job(failed="10:00:05"),
            {"first", "second"},
            id="the first Failed with continueOnFailure",
        ),
        pytest.param((step("first"), SECOND), job(failed="10:00:05"), {"first"}, id="the first Failed without"),
        pytest.param((step("first", when="always"),), None, {"first"}, id="when always"),
        pytest.param((step("first"), SECOND), job(), {"first"}, id="the first Running"),
        pytest.param((manual("first"), SECOND), None, set(), id="the first PendingApproval"),
    ],
)
def test_ready(steps: tuple[dict[str, Any], ...], first: Any, ready: set[str]) -> None:
    life = Life(compiled(*steps))
    life.look("10:00:00")
    if first is not None:
        life.look("10:00:10", first=first)
    assert begun(life) == ready


def test_a_new_flow_is_recorded_with_a_row_for_each_step() -> None:
    life = Life(compiled(step("a"), step("b", "a")))
    life.look("10:00:00")
    assert life.status is not None
    assert life.status["startTime"].endswith("T10:00:00Z")
    assert life.status["progress"]["totalSteps"] == 2
    assert [row["name"] for row in life.status["steps"]] == ["a", "b"]


# --- retry -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "retries_so_far", "seconds"),
    [
        pytest.param(retries(kind=BackoffType.EXPONENTIAL, pause=1, factor=2.0), 0, 1, id="none given, 0"),
        pytest.param(retries(kind=BackoffType.EXPONENTIAL, pause=1, factor=2.0), 2, 4, id="none given, 2"),
        pytest.param(retries(kind=BackoffType.FIXED, pause=10), 3, 10, id="Fixed 10s, 3"),
        pytest.param(retries(kind=BackoffType.FIXED, pause=5), 0, 5, id="Fixed 5s, 0"),
        pytest.param(retries(kind=BackoffType.LINEAR, pause=5), 2, 15, id="Linear 5s, 2"),
        pytest.param(retries(kind=BackoffType.EXPONENTIAL, pause=2, factor=3.0), 2, 18, id="Exponential 2s by 3, 2"),
    ],
)
def test_backoff(rule: RetryRule, retries_so_far: int, seconds: int) -> None:
    assert delay(rule, retries_so_far + 1) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("fields", "looked_at", "phase", "attempt"),
    [
        pytest.param({}, "10:00:40", "Failed", 1, id="no policy"),
        pytest.param({"retryPolicy": retry(3, 10)}, "10:00:35", "Pending", 1, id="failed 5 s ago, Fixed 10 s"),
        pytest.param({"retryPolicy": retry(3, 10)}, "10:00:45", "Running", 2, id="failed 15 s ago, Fixed 10 s"),
        pytest.param({"retryPolicy": retry(0, 10)}, "10:00:45", "Failed", 1, id="no retry left"),
    ],
)
def test_a_failed_attempt(fields: dict[str, Any], looked_at: str, phase: str, attempt: int) -> None:
    life = Life(compiled(step("a", **fields)))
    life.look("10:00:00")
    life.look("10:00:30", a=job(failed="10:00:30"))
    life.look(looked_at)
    record = life.record("a")
    assert (record.phase, record.attempt) == (phase, attempt)


# --- deadline, budget, TTL -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        pytest.param({}, False, id="no deadline"),
        pytest.param({"activeDeadlineSeconds": 3600}, False, id="3600 s, now"),
        pytest.param({"activeDeadlineSeconds": 1}, True, id="the first s, 2 s ago"),
    ],
)
def test_deadline(policy: dict[str, Any], ended: bool) -> None:
    life = Life(compiled(step("a"), policy=policy))
    life.look("10:00:00")
    life.look("10:00:02", a=job())
    assert life.state is not None
    assert (life.state.record.ended is not None) is ended


@pytest.mark.parametrize(
    ("limit", "ended"),
    [
        pytest.param(2, True, id="3 retries of 2"),
        pytest.param(3, False, id="3 retries of 3 are within it"),
        pytest.param(6, False, id="3 retries of 6"),
    ],
)
def test_budget(limit: int, ended: bool) -> None:
    life = Life(compiled(*(step(n, retryPolicy=retry(1, 10)) for n in "abc"), policy={"backoffLimit": limit}))
    life.look("10:00:00")
    over = job(failed="10:00:20")
    life.look("10:00:30", a=over, b=over, c=over)
    assert life.state is not None
    assert (life.state.record.ended is not None) is ended


@pytest.mark.parametrize(
    ("ttl", "looked_at", "deleted"),
    [
        pytest.param(1, "10:00:12", True, id="the first s, 2 s ago"),
        pytest.param(3600, "10:00:10", False, id="3600 s, now"),
        pytest.param(0, "10:00:10", True, id="0"),
        pytest.param(60, "10:00:09", False, id="Running"),
    ],
)
def test_ttl(ttl: int, looked_at: str, deleted: bool) -> None:
    life = Life(compiled(step("a"), policy={"ttlSecondsAfterFinished": ttl}))
    life.look("10:00:00")
    actions = [*life.look("10:00:09", a=job()).actions]
    if looked_at >= "10:00:10":
        actions += life.look("10:00:10", a=job(complete="10:00:10")).actions
    if looked_at > "10:00:10":
        actions += life.look(looked_at).actions
    assert ("DeleteFlow" in [type(action).__name__ for action in actions]) is deleted


# --- Jobs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "phase"),
    [
        pytest.param(job(complete="10:00:05"), "Succeeded", id="Complete"),
        pytest.param(job(failed="10:00:05"), "Failed", id="Failed"),
        pytest.param(job(), "Running", id="neither"),
        pytest.param(job(status={"failed": 1}), "Running", id="corrected: one Pod failed"),
        pytest.param(job(status={"succeeded": 1}), "Running", id="corrected: one Pod succeeded"),
        pytest.param(gone(1, "10:00:05"), "Failed", id="the Job is missing"),
    ],
)
def test_what_a_job_makes_of_its_step(seen: Any, phase: str) -> None:
    life = Life(compiled(step("a")))
    life.look("10:00:00")
    life.look("10:00:10", a=seen)
    assert life.record("a").phase == phase
    assert life.now == at("10:00:10")


def test_a_finished_step_stays_so_when_its_job_goes() -> None:
    """A corrected fact."""
    life = Life(compiled(step("a"), step("b", "a")))
    life.look("10:00:00")
    life.look("10:00:10", a=job(complete="10:00:05"))
    life.look("10:00:20", a=gone(1, "10:00:15"), b=job(1, "10:00:10"))
    assert life.record("a").phase == "Succeeded"
