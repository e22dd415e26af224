"""Pod failures, concurrency, edits: what flows promise about each other and about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.defects.lives import HANGS, Life, fails, flow, retried, step, succeeds, template


def codes(action: str, *values: int, operator: str = "In", **rest: Any) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **rest}}


def patient(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A step whose Job tries three Pods."""
    return step(name, *after, **{"template": template(job={"backoffLimit": 2}), **fields})


def failing(*rules: Mapping[str, Any]) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": list(rules)}}


# --- pod failure policy ----------------------------------------------------------------------------------------------


def test_no_ignored_failure_is_taken_for_success() -> None:
    """An ignored Pod failure means that another Pod runs; the step succeeds when that one has."""
    life = Life(flow(patient("a"), step("b", "a"), policy=failing(codes("Ignore", 42))), a=[fails(5, 42), succeeds(30)])
    life.after(20)
    assert life.phases() == {"a": "Running", "b": "Pending"}
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert life.ran_for("a") == 35
    assert len(life.created()) == 2


def test_no_counted_failure_is_taken_for_success() -> None:
    """Count is what happens without any rule: the step fails when its Job has given up."""
    life = Life(flow(step("a"), step("b", "a"), policy=failing(codes("Count", 137))), a=[fails(5, 137)]).to_the_end()
    assert life.phases() == {"a": "Failed", "b": "Skipped"}


def test_no_hopeless_job_is_tried_to_its_last_pod() -> None:
    """FailJob ends the Job at the first such Pod, and the step says that it was the policy."""
    life = Life(flow(patient("a"), policy=failing(codes("FailJob", 3))), a=[fails(5, 3)]).to_the_end()
    assert life.phases() == {"a": "Failed"}
    assert "PodFailurePolicy" in life.row("a")["message"]
    assert life.ended_after() == 5


@pytest.mark.parametrize(
    ("container", "given", "found"),
    [
        pytest.param("main", {}, None, id="none named"),
        pytest.param("worker", {}, None, id="a container of another name, none named"),
        pytest.param("worker", {"containerName": "worker"}, "worker", id="it is named"),
        pytest.param("worker", {"containerName": "main"}, None, id="main is named where there is none"),
    ],
)
def test_no_policy_depends_on_a_container_being_called_main(
    container: str, given: dict[str, Any], found: str | None
) -> None:
    """The rule works for whatever the one container is called."""
    named = template(job={"backoffLimit": 2}, name=container)
    life = Life(flow(step("a", template=named), policy=failing(codes("FailJob", 3, **given))), a=[fails(5, 3)])
    life.to_the_end()
    (rule,) = life.job("a")["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"].get("containerName") == found
    assert life.phases() == {"a": "Failed"}
    assert life.ended_after() == 5


# --- concurrency -----------------------------------------------------------------------------------------------------


def run(name: str, policy: str, **fields: Any) -> dict[str, Any]:
    policies = {"concurrencyPolicy": policy, "concurrencyGroup": "nightly", **fields}
    return dict(flow(step("a"), name=name, policy=policies))


def test_no_two_runs_of_a_group_run_at_once_under_forbid() -> None:
    """The second waits, saying for whom, and runs when the first is over; nobody has to wake it."""
    life = Life(run("one", "Forbid"))
    life.after(1).submit(run("two", "Forbid"))
    life.after(2).submit(run("three", "Forbid"))
    life.submit(run("other", "Forbid", concurrencyGroup="x"))
    life.after(5)
    assert life.flows() == {"one": "Running", "two": "Pending", "three": "Pending", "other": "Running"}
    assert life.reason("two") == "SiblingActive"
    life.to_the_end()
    assert [life.ended_after(name) for name in ("one", "two", "three", "other")] == [10, 20, 30, 12]


def test_no_generated_name_escapes_its_group() -> None:
    """Runs made from one `generateName` are runs of one thing."""
    made = {**run("x", "Forbid"), "metadata": {"generateName": "report-"}}
    del made["spec"]["executionPolicy"]["concurrencyGroup"]
    life = Life(made, made)
    life.after(5)
    assert sorted(life.flows().values()) == ["Pending", "Running"]
    life.to_the_end()
    assert sorted(life.ended_after(name) for name in life.flows()) == [10, 20]


def test_no_old_run_goes_on_beside_the_one_that_replaces_it() -> None:
    """Replace ends the older run, waits until its Pods are gone, and then begins."""
    life = Life(run("old", "Allow"), a=[HANGS, succeeds(10)])
    life.after(5)
    life.submit(run("new", "Replace"))
    most = 0

    def count(_: object) -> None:
        nonlocal most
        most = max(most, len(life.pods()))

    life.cluster.subscribe(count)
    life.after(60)
    assert life.flows()["old"] == "Failed"
    assert life.reason("old") == "Replaced"
    assert life.flows()["new"] == "Running"
    assert most == 1


def test_no_flow_waits_where_all_may_run() -> None:
    life = Life(run("one", "Allow"), run("two", "Allow")).to_the_end()
    assert [life.ended_after(name) for name in ("one", "two")] == [10, 10]


# --- edits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "phases"),
    [
        pytest.param(
            lambda first, second: [first, second, step("late", "b")],
            {"a": "Succeeded", "b": "Succeeded", "late": "Succeeded"},
            id="a step more",
        ),
        pytest.param(lambda first, _: [first], {"a": "Succeeded"}, id="a step less"),
        pytest.param(
            lambda first, second: [{**first, "template": template(image="other")}, second],
            {"a": "Succeeded", "b": "Succeeded"},
            id="another image",
        ),
        pytest.param(lambda first, second: [second, first], {"a": "Succeeded", "b": "Succeeded"}, id="another order"),
    ],
)
def test_no_edit_of_the_steps_breaks_a_flow_that_runs(edit: Any, phases: dict[str, str]) -> None:
    """Where such an edit gets past the API server, what has started is left alone, and the flow ends all the same."""
    before = flow(step("a"), step("b", "a"))
    life = Life(before)
    life.after(5)
    steps = edit(*before["spec"]["steps"])
    life.by_hand(lambda c: c.patch_merge("JobFlow", "default", "flow", {"spec": {"steps": steps}}))
    life.to_the_end()
    assert life.phases() == phases
    assert life.phase() == "Succeeded"
    assert life.job("a")["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox:1.36"
    assert len(set(life.created())) == len(life.created())
    assert life.ran_for("a") == 10


def test_no_edit_that_may_be_made_waits_for_the_next_flow() -> None:
    """A deadline that is added while the flow runs counts from its start, at once."""
    life = Life(flow(step("a", retryPolicy=retried(3))), a=[HANGS])
    life.after(100)
    policy = {"spec": {"executionPolicy": {"activeDeadlineSeconds": 200}}}
    life.by_hand(lambda c: c.patch_merge("JobFlow", "default", "flow", policy))
    life.to_the_end()
    assert life.reason() == "ActiveDeadlineExceeded"
    assert life.ended_after() == 200
