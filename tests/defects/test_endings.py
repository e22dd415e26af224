"""How flows end: at all, once, and with everything that belongs to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.defects.lives import HANGS, Life, fails, flow, retried, step, succeeds, template

DAY = 86_400


def test_no_flow_runs_for_ever_after_a_step_has_failed() -> None:
    """Neither the flow nor the steps behind the failed one stay open; nobody has to clean up by hand."""
    life = Life(flow(step("build"), step("test", "build"), step("deploy", "test")), build=[fails()])
    life.to_the_end()
    assert life.phase() == "Failed"
    assert life.phases() == {"build": "Failed", "test": "Skipped", "deploy": "Skipped"}
    assert life.condition("Failed")["message"] == "step build failed"
    assert life.ended_after() == 10


def test_no_failed_flow_goes_on_starting_steps() -> None:
    """What runs may finish, but nothing behind it begins any more."""
    life = Life(
        flow(step("a"), step("b"), step("b2", "b")),
        a=[fails(after=5)],
        b=[succeeds(after=30)],
    )
    life.to_the_end()
    assert life.phases() == {"a": "Failed", "b": "Succeeded", "b2": "Skipped"}
    assert [name.split("-")[1] for name in life.created()] == ["a", "b"]
    life.after(DAY - 1).restart()
    life.after(DAY - 1)
    assert len(life.created()) == 2


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(flow(step("a", "b"), step("b", "a")), "ValidationFailed", id="a cycle"),
        pytest.param(flow(step("a", "nobody")), "ValidationFailed", id="an unknown dependency"),
        pytest.param(flow(step("a", "")), "ValidationFailed", id="an empty dependency"),
        pytest.param(flow(), "ValidationFailed", id="no steps"),
        pytest.param(flow(step("a"), policy={"activeDeadlineSeconds": 5}), "ActiveDeadlineExceeded", id="its deadline"),
        pytest.param(
            flow(step("a", retryPolicy=retried(3)), policy={"backoffLimit": 0}),
            "BackoffLimitExceeded",
            id="its retry budget",
        ),
    ],
)
def test_no_flow_that_cannot_go_on_is_written_again_and_again(spec: dict[str, Any], reason: str) -> None:
    """Its status says why, in one condition of a kind, and then nobody writes it any more, restarts included."""
    life = Life(spec, a=[fails(after=10)])
    life.to_the_end()
    assert life.phase() == "Failed"
    assert life.reason() == reason
    told, writes = life.status(), life.writes()
    for day in range(1, 20):
        life.restart()
        life.annotate("somebody/was-here", str(day))
        life.after(day * 600)
    assert life.writes() == writes <= 4
    assert life.status() == told
    assert len({c["type"] for c in told["conditions"]}) == len(told["conditions"])


def test_no_number_in_one_flow_stops_the_flows_of_everybody_else() -> None:
    """A value that does not fit into 32 bits is the trouble of its own flow; a restarted operator serves all others."""
    huge = flow(step("a"), name="huge", policy={"ttlSecondsAfterFinished": 3_000_000_000})
    life = Life(huge, flow(step("a"), name="before"))
    life.after(5).restart()
    life.submit(flow(step("a"), name="behind"))
    life.to_the_end()
    assert life.phase("before") == life.phase("behind") == "Succeeded"
    assert life.phase("huge") == "Failed"
    assert "spec.executionPolicy.ttlSecondsAfterFinished" in life.condition("Failed", "huge")["message"]


def test_no_finished_flow_fails_at_its_deadline() -> None:
    """The deadline of a flow that has long succeeded passes without a trace, also for a fresh operator."""
    life = Life(flow(step("a"), policy={"activeDeadlineSeconds": 60}))
    life.to_the_end()
    told, writes = life.status(), life.writes()
    life.after(59).restart()
    life.annotate("somebody/was-here", "yes")
    life.after(3600).restart()
    life.after(7200)
    assert life.status() == told
    assert told["phase"] == "Succeeded"
    assert life.writes() == writes


@pytest.mark.parametrize("still_runs", [pytest.param(True, id="while the flow runs"), pytest.param(False, id="later")])
def test_no_success_is_taken_back_when_the_finished_job_is_removed(still_runs: bool) -> None:
    """Clearing away Jobs, by hand or by somebody's TTL, changes nothing that has happened."""
    life = Life(flow(step("a"), step("b", "a")), a=[succeeds(10)], b=[succeeds(60)])
    life.after(30 if still_runs else 90)
    name = life.job("a")["metadata"]["name"]
    life.by_hand(lambda cluster: cluster.delete("Job", "default", name))
    life.after(100).restart()
    life.after(200)
    assert life.phase() == "Succeeded"
    assert life.phases() == {"a": "Succeeded", "b": "Succeeded"}
    assert len(life.created()) == 2


def test_no_result_is_lost_to_the_ttl_of_a_template() -> None:
    """A template with `ttlSecondsAfterFinished: 0` has its Job deleted at once, but not before its end is recorded."""
    life = Life(flow(step("a", template=template(job={"ttlSecondsAfterFinished": 0})), step("b", "a")))
    life.to_the_end()
    assert life.phases() == {"a": "Succeeded", "b": "Succeeded"}
    assert [j["metadata"]["labels"]["workflow.kube-zen.io/step"] for j in life.jobs()] == ["b"]


@pytest.mark.parametrize(
    ("policy", "reason", "runs"),
    [
        pytest.param({"activeDeadlineSeconds": 60}, "ActiveDeadlineExceeded", [succeeds()], id="at the deadline"),
        pytest.param({"backoffLimit": 1}, "BackoffLimitExceeded", [fails()] * 9, id="when the retries are used up"),
        pytest.param({"failFast": True}, "FlowFailed", [fails()] * 9, id="when a step fails and failFast is set"),
    ],
)
def test_no_job_runs_on_after_its_flow_has_ended(policy: dict[str, Any], reason: str, runs: list[Any]) -> None:
    """The Jobs of an ended flow are deleted, their Pods with them, and their steps are not left Running."""
    life = Life(
        flow(step("a", retryPolicy=retried(2)), step("b"), step("c"), policy=policy), a=runs, b=[HANGS], c=[HANGS]
    )
    life.to_the_end()
    assert life.reason() == reason
    life.after(600)
    assert {life.phases()["b"], life.phases()["c"]} == {"Failed"}
    assert life.pods() == []
    assert {j["metadata"]["labels"]["workflow.kube-zen.io/step"] for j in life.jobs()} <= {"a"}


def test_no_deadline_is_missed_because_nothing_happens() -> None:
    """A silent flow is ended at its deadline to the second, without an event and without a resync."""
    life = Life(flow(step("a"), policy={"activeDeadlineSeconds": 3_000}), a=[HANGS])
    life.to_the_end()
    assert life.ended_after() == 3_000
    assert life.phases() == {"a": "Failed"}


@pytest.mark.parametrize(
    "ttl", [pytest.param(0, id="none"), pytest.param(60, id="a minute"), pytest.param(None, id="")]
)
def test_no_finished_flow_is_kept_for_ever(ttl: int | None) -> None:
    """It goes when its time is over (a day unless it says otherwise), with its Jobs and Pods, by itself."""
    life = Life(flow(step("a"), policy={} if ttl is None else {"ttlSecondsAfterFinished": ttl}))
    life.after(10)
    kept = DAY if ttl is None else ttl
    life.after(10 + kept - 1)
    assert life.flows() == ({"flow": "Succeeded"} if kept else {})
    life.after(10 + kept + 5)
    assert life.flows() == {}
    assert life.jobs() == []
    assert life.pods() == []


def test_no_failed_flow_is_kept_for_ever() -> None:
    """The same for a flow that has failed, also if the operator was not there when its time was over."""
    life = Life(flow(step("a"), policy={"ttlSecondsAfterFinished": 300}), a=[fails()])
    life.to_the_end().after(100)
    life.clock.advance_to(life.clock.now.replace(hour=5))
    life.restart()
    life.after(6 * 3600)
    assert life.flows() == {}
    assert life.jobs() == []


def test_no_end_moves_after_it_has_come() -> None:
    """When steps and flow ended, and since when each condition holds, stays as it is while other things happen."""
    life = Life(flow(step("a"), step("b", "a"), step("c", "b")), a=[succeeds(10)], b=[succeeds(20)], c=[succeeds(40)])
    life.after(15)
    first = life.row("a")
    ready = life.condition("Ready")
    life.after(45).restart()
    life.after(60)
    assert life.row("a") == first
    assert life.condition("Ready") == ready
    life.after(80)
    assert [life.ran_for(name) for name in ("a", "b", "c")] == [10, 20, 40]
    told = life.status()
    life.after(3600).restart()
    life.after(7200)
    assert life.status() == told
    assert life.ended_after() == 70


def test_no_phase_or_condition_is_a_promise_that_nothing_keeps() -> None:
    """Skipped and Suspended, Complete and Failed are really reported, and `kubectl wait` can wait for them."""
    life = Life(flow(step("a", when="false"), step("b"), suspend=True))
    life.after(30)
    assert life.phase() == "Suspended"
    life.by_hand(lambda c: c.patch_merge("JobFlow", "default", "flow", {"spec": {"suspend": False}}))
    life.to_the_end()
    assert life.phases() == {"a": "Skipped", "b": "Succeeded"}
    assert life.condition("Complete")["status"] == "True"
    failed = Life(flow(step("a")), a=[fails()]).to_the_end()
    assert failed.condition("Failed")["status"] == "True"
