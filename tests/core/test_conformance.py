"""Facts that existing JobFlows rely on, as far as they concern deciding: what ran before decides the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import (
    UID,
    Before,
    Life,
    asks,
    at,
    compiled,
    ended,
    flow,
    gone,
    job,
    manual,
    pending,
    pod_failed,
    retries,
    retry,
    running,
    step,
)
from zenflow_core import reasons as r
from zenflow_core.observation import Made
from zenflow_core.plan import ResourceKind, ResourceRef
from zenflow_core.reading import read_job
from zenflow_core.rules.budget import retry_budget
from zenflow_core.rules.deadline import active_deadline
from zenflow_core.rules.dependencies import dependencies
from zenflow_core.rules.outcome import outcome
from zenflow_core.rules.retry import after_failure, delay
from zenflow_core.rules.ttl import ttl
from zenflow_core.spec import BackoffType
from zenflow_core.state import FlowPhase, StepPhase, StepRecord

FIXED, LINEAR, EXPONENTIAL = BackoffType.FIXED, BackoffType.LINEAR, BackoffType.EXPONENTIAL


# --- the order of steps ----------------------------------------------------------------------------------------------


def order(*steps: dict[str, Any]) -> list[str]:
    return [each.name for each in compiled(*steps).steps]


def test_a_chain_of_three_is_in_order() -> None:
    assert order(step("step3", "step2"), step("step2", "step1"), step("step1")) == ["step1", "step2", "step3"]


def test_what_two_lead_to_is_last() -> None:
    assert order(step("step3", "step1", "step2"), step("step1"), step("step2"))[-1] == "step3"


def test_extract_transform_load_is_in_order() -> None:
    found = order(
        step("extract-a"),
        step("extract-b"),
        step("transform-a", "extract-a"),
        step("transform-b", "extract-b"),
        step("merge", "transform-a", "transform-b"),
        step("load", "merge"),
    )
    assert found == ["extract-a", "extract-b", "transform-a", "transform-b", "merge", "load"]


# --- what is ready ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "tolerated", "ready"),
    [
        pytest.param(StepRecord(), False, False, id="Pending: not ready"),
        pytest.param(ended(StepPhase.SUCCEEDED), False, True, id="Succeeded: ready"),
        pytest.param(ended(StepPhase.FAILED), True, True, id="Failed with continueOnFailure: ready"),
        pytest.param(StepRecord(phase=StepPhase.RUNNING), False, False, id="Running: not ready"),
        pytest.param(StepRecord(phase=StepPhase.PENDING_APPROVAL), False, False, id="PendingApproval: not ready"),
    ],
)
def test_the_second_step_is_ready_when_the_first_is_over(record: StepRecord, tolerated: bool, ready: bool) -> None:
    assert (dependencies(pending(before=(Before("step1", record, tolerated=tolerated),))) is None) == ready


def test_two_roots_are_both_ready() -> None:
    assert asks(Life(compiled(step("a"), step("b"))).look("10:00")) == ["record", "create a 1", "create b 1"]


def test_a_when_that_always_holds_is_ready() -> None:
    assert asks(Life(compiled(step("a", when="always"))).look("10:00")) == ["record", "create a 1"]


# --- backoff and retry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "retry_count", "seconds"),
    [
        pytest.param({}, 0, 1, id="no backoff, first"),
        pytest.param({}, 2, 4, id="no backoff, third"),
        pytest.param({"backoff": {"type": "Fixed", "duration": "10s"}}, 3, 10, id="Fixed 10s, fourth"),
        pytest.param({"backoff": {"type": "Fixed", "duration": "5s"}}, 0, 5, id="Fixed 5s, first"),
        pytest.param({"backoff": {"type": "Linear", "duration": "5s"}}, 2, 15, id="Linear 5s, third"),
        pytest.param(
            {"backoff": {"type": "Exponential", "duration": "2s", "factor": 3.0}},
            2,
            18,
            id="Exponential 2s by 3, third",
        ),
    ],
)
def test_backoff(policy: dict[str, Any], retry_count: int, seconds: int) -> None:
    """`retryCount` was counted before the pause, so the pause before retry n has the count n - 1."""
    rule = compiled(step("build", retryPolicy=policy)).steps[0].retry
    assert rule is not None
    assert delay(rule, retry_count + 1) == timedelta(seconds=seconds)


def test_a_limit_that_is_not_given_is_three() -> None:
    rule = compiled(step("build", retryPolicy={})).steps[0].retry
    assert rule is not None
    assert rule.limit == 3


FAILURE = pod_failed("10:00:40")


@pytest.mark.parametrize(
    ("attempt", "rule", "then"),
    [
        pytest.param(1, None, FAILURE, id="no policy: it stays failed"),
        pytest.param(4, retries(3), r.RetriesExhausted(4, FAILURE), id="three of three are used: it stays failed"),
        pytest.param(3, retries(3), r.AttemptFailed(3, FAILURE, at("10:00:50")), id="the third of three is left"),
    ],
)
def test_retry(attempt: int, rule: Any, then: r.Cause) -> None:
    assert after_failure(running("10:00:00", now="10:00:41", attempt=attempt, retry=rule), FAILURE) == then


@pytest.mark.parametrize(
    ("now", "phase", "count"),
    [
        pytest.param("10:00:45", "Pending", 0, id="5 s after the failure it waits"),
        pytest.param("10:00:55", "Running", 1, id="15 s after the failure it runs again"),
    ],
)
def test_a_pause_of_ten_seconds(now: str, phase: str, count: int) -> None:
    life = Life(compiled(step("build", retryPolicy=retry(3, 10))))
    life.look("10:00:00")
    life.look("10:00:41", build=job(failed="10:00:40"))
    life.look(now)
    assert (life.record("build").phase.value, life.record("build").retries_started) == (phase, count)


# --- deadline, budget, TTL -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "started", "exceeded"),
    [
        pytest.param(None, "10:00:00", False, id="unset"),
        pytest.param(3600, "10:00:02", False, id="3600 s, started now"),
        pytest.param(1, "10:00:00", True, id="1 s, started 2 s ago"),
        pytest.param(1, None, False, id="no startTime"),
    ],
)
def test_deadline(seconds: int | None, started: str | None, exceeded: bool) -> None:
    answer = active_deadline(flow("10:00:02", deadline=seconds, started=started))
    assert isinstance(answer, r.ActiveDeadlineExceeded) == exceeded


@pytest.mark.parametrize(
    ("total", "exceeded"),
    [
        pytest.param(0, False, id="none"),
        pytest.param(5, False, id="five of six"),
        pytest.param(6, False, id="equal is not exceeded"),
        pytest.param(7, True, id="seven of six"),
    ],
)
def test_backoff_limit(total: int, exceeded: bool) -> None:
    assert (retry_budget(flow("10:00:00", retries=total, backoff_limit=6)) is not None) == exceeded


def test_defaults_of_the_flow() -> None:
    plan = compiled(step("build"))
    assert (plan.backoff_limit, plan.ttl, plan.concurrency_policy.value) == (6, timedelta(days=1), "Forbid")


@pytest.mark.parametrize(
    ("completed", "seconds", "expired"),
    [
        pytest.param(None, 1, False, id="no completionTime"),
        pytest.param("10:00:00", 1, True, id="1 s, over for 2 s"),
        pytest.param("10:00:02", 3600, False, id="3600 s, over now"),
        pytest.param("10:00:02", 0, True, id="0 is at once"),
    ],
)
def test_ttl(completed: str | None, seconds: int, expired: bool) -> None:
    assert isinstance(ttl(flow("10:00:02", completed=completed, ttl=seconds)), r.TtlExpired) == expired


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        pytest.param("always", True, id="always"),
        pytest.param("true", True, id="true"),
        pytest.param("", True, id="empty"),
        pytest.param("never", False, id="never"),
        pytest.param("false", False, id="false"),
        pytest.param("steps.step1.phase == 'Succeeded'", True, id="is Succeeded, single quotes"),
        pytest.param('steps.step1.phase == "Succeeded"', True, id="is Succeeded, double quotes"),
        pytest.param("steps.step1.phase != 'Succeeded'", False, id="is not Succeeded"),
        pytest.param("steps.step1.phase == 'Failed'", False, id="is Failed"),
        pytest.param("steps.step1.phase != 'Failed'", True, id="is not Failed"),
        pytest.param("'{{.JobFlow.Name}}' == 'nightly'", True, id="the flow's name as a template"),
        pytest.param("'{{.StepStatus.step1.Phase}}' == 'Succeeded'", True, id="a phase as a template"),
    ],
)
def test_when(when: str, runs: bool) -> None:
    life = Life(compiled(step("step1"), step("step2", "step1", when=when)))
    life.look("10:00:00")
    life.look("10:00:41", step1=job(complete="10:00:40"))
    assert life.record("step2").phase is (StepPhase.RUNNING if runs else StepPhase.SKIPPED)


# --- what a Job's status means ---------------------------------------------------------------------------------------


def raw_job(**status: Any) -> dict[str, Any]:
    group = "workflow.kube-zen.io"
    owner = {"apiVersion": f"{group}/v1alpha1", "kind": "JobFlow", "name": "nightly", "uid": UID, "controller": True}
    return {
        "metadata": {
            "name": "nightly-build-0a0a0a0a",
            "uid": "u",
            "creationTimestamp": "2030-01-01T10:00:00Z",
            "ownerReferences": [owner],
            "labels": {f"{group}/step": "build", f"{group}/attempt": "1"},
        },
        "spec": {},
        "status": status,
    }


def condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "True", "lastTransitionTime": "2030-01-01T10:00:40Z"}


@pytest.mark.parametrize(
    ("status", "then"),
    [
        pytest.param({}, None, id="no status: running"),
        pytest.param({"active": 1}, None, id="active: running"),
        pytest.param({"succeeded": 1}, None, id="a count alone decides nothing"),
        pytest.param({"failed": 1}, None, id="nor does a failed Pod"),
        pytest.param(
            {"succeeded": 1, "conditions": [condition("SuccessCriteriaMet")]}, None, id="nor what comes before"
        ),
        pytest.param({"failed": 1, "conditions": [condition("FailureTarget")]}, None, id="nor its counterpart"),
        pytest.param(
            {"succeeded": 1, "conditions": [condition("Complete")]},
            r.JobComplete(at("10:00:40")),
            id="Complete: succeeded",
        ),
        pytest.param(
            {"failed": 1, "conditions": [condition("Failed")]}, r.JobFailed(at("10:00:40")), id="Failed: failed"
        ),
    ],
)
def test_job_status(status: dict[str, Any], then: r.Cause | None) -> None:
    seen = read_job(raw_job(**status))
    assert seen is not None
    assert outcome(running("10:00:00", now="10:01:00", seen=seen)) == then


def test_a_missing_job_is_a_failure() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.write()
    life.look("10:00:30", build=gone(1, "10:00:30"))
    assert life.record("build").phase is StepPhase.FAILED


# --- the beginning ---------------------------------------------------------------------------------------------------


def test_the_beginning() -> None:
    """Every step has its row from the first write on, and the flow its startTime."""
    decision = Life(compiled(step("a"), step("b", "a"), manual("c", "b"))).look("10:00:00")
    status = decision.status
    assert status["startTime"] == "2030-01-01T10:00:00Z"
    assert status["progress"] == {"completedSteps": 0, "totalSteps": 3, "successfulSteps": 0, "failedSteps": 0}
    assert [(row["name"], row["phase"]) for row in status["steps"]] == [
        ("a", "Running"),
        ("b", "Pending"),
        ("c", "Pending"),
    ]


def test_objects_of_resource_templates_are_named_after_the_flow() -> None:
    plan = compiled(
        step("build"),
        resourceTemplates={
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data-pvc"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            ],
            "configMapTemplates": [{"metadata": {"name": "config-cm"}, "data": {"a": "b"}}],
        },
    )
    life = Life(plan)
    first = life.look("10:00:00")
    names = [getattr(action, "name", "") for action in first.actions]
    assert names == ["", "nightly-data-pvc", "nightly-config-cm"]
    made = {
        ResourceRef(ResourceKind.CLAIM, "data-pvc"): Made("1"),
        ResourceRef(ResourceKind.CONFIG_MAP, "config-cm"): Made("2"),
    }
    assert asks(life.look("10:00:01", resources=made)) == ["record", "create build 1"]


def test_an_approval_pauses_the_flow() -> None:
    life = Life(compiled(manual("gate")))
    life.look("10:00:00")
    assert life.state is not None
    assert life.state.record.phase is FlowPhase.PAUSED


def test_the_first_job_is_named_as_it_always_was() -> None:
    create = Life(compiled(step("build"))).look("10:00:00").actions[1]
    assert getattr(create, "name", "") == f"nightly-build-{UID[:8]}"
