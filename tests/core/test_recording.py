"""The one write of status: what the patch makes of the stored object is what is remembered, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import UID, at, compiled, job, step
from tests.laws.runs import Run
from zenflow_core.actions import Operation, RecordStatus
from zenflow_core.observation import FlowSeen, Observed
from zenflow_core.plan import Plan
from zenflow_core.reasons import StatusTooLarge
from zenflow_core.reconcile import Decision, advance, reconcile
from zenflow_core.recording import full_status, record_status, rows_are_kept
from zenflow_core.spec import Shutdown, StepName
from zenflow_core.version import DECIDED_BY
from zenflow_testing import jsonpatch
from zenflow_testing.strategies import DrawnOutcomes, manifests, outcomes


def applied(status: dict[str, Any] | None, record: RecordStatus) -> Any:
    """The status of the stored object after the patch, fence and all."""
    stored: dict[str, Any] = {"metadata": {"resourceVersion": "7"}}
    if status is not None:
        stored["status"] = status
    new = jsonpatch.apply(stored, record.patch("7")).document
    assert new["metadata"] == {"resourceVersion": "7"}
    return new["status"]


def recorded(decision: Decision) -> RecordStatus:
    first = decision.actions[0]
    assert isinstance(first, RecordStatus), decision.actions
    return first


@settings(max_examples=100)
@given(manifests(), outcomes())
def test_a_patch_makes_of_the_stored_status_the_one_that_is_remembered(
    manifest: dict[str, Any], drawn: DrawnOutcomes
) -> None:
    """Every write of every run, whatever was stored by an older version of zenflow; and it reads as JSON."""
    writes = 0

    def check(flow: Any, _observed: Observed, _now: Any, decision: Decision) -> None:
        nonlocal writes
        if not decision.actions or not isinstance(decision.actions[0], RecordStatus):
            return
        writes += 1
        stored = flow.obj.get("status")
        older = None if stored is None else {**stored, "decidedBy": "zenflow/0.0.1"}
        for before in (stored, older):
            after = applied(before, decision.actions[0])
            assert after == decision.status
            assert json.loads(json.dumps(after)) == after

    Run(manifest, drawn, watcher=check).play()
    assert writes >= 1


@settings(max_examples=40)
@given(manifests(), outcomes(), st.data())
def test_any_state_of_a_run_can_be_patched_into_any_other(
    manifest: dict[str, Any], drawn: DrawnOutcomes, data: st.DataObject
) -> None:
    """Not only neighbours: a write may bring what several decisions have left unwritten."""
    run = Run(manifest, drawn)
    run.play()
    states = [decision.state for decision in run.decisions]
    before, after = data.draw(st.sampled_from(states)), data.draw(st.sampled_from(states))
    patch = record_status(before, after, range(len(after.plan.steps)))
    assert applied(full_status(before), patch) == full_status(after)


# --- small ones, by hand ---------------------------------------------------------------------------------------------

SEEN = FlowSeen("nightly", "ci", UID, at("09:59:59"))
PLAN = compiled(step("build"), step("test", "build"), step("lint"), policy={"ttlSecondsAfterFinished": 60})
BUILD, LINT = StepName("build"), StepName("lint")


def started(plan: Plan = PLAN) -> Decision:
    return reconcile(plan, None, Observed(flow=SEEN), now=at("10:00:00"))


def test_a_flow_without_status_gets_the_whole() -> None:
    decision = started()
    assert recorded(decision).operations == (Operation("add", "/status", decision.status),)
    assert applied(None, recorded(decision)) == decision.status


def test_of_a_step_that_moved_only_its_own_row_is_written() -> None:
    """At its place in the spec, not at its rank."""
    first = started()
    decision = advance(
        first.state, Observed(jobs={LINT: (job(complete="10:00:30", name="nightly-lint"),)}), at("10:00:30")
    )
    paths = [operation.path for operation in recorded(decision).operations]
    assert paths == ["/status/decidedBy", "/status/progress", "/status/steps/2"]
    assert applied(first.status, recorded(decision)) == decision.status


def test_what_is_not_said_any_more_is_taken_out() -> None:
    """The hold of a finished flow goes with its time."""
    now = at("10:00:30")
    done = {s: (job(complete="10:00:30", name=f"nightly-{s}"),) for s in (BUILD, LINT)}
    second = advance(started().state, Observed(jobs=done), now)
    third = advance(second.state, Observed(jobs={StepName("test"): (job(complete="10:00:30", name="t"),)}), now)
    assert "holds" in third.status
    last = advance(third.state, Observed(), at("10:01:30"))
    assert Operation("remove", "/status/holds") in recorded(last).operations
    assert applied(third.status, recorded(last)) == last.status


def test_the_version_that_decides_is_written_with_every_patch() -> None:
    first = started()
    decision = advance(first.state, Observed(jobs={LINT: (job(complete="10:00:30", name="l"),)}), at("10:00:30"))
    after = applied({**first.status, "decidedBy": "zenflow/0.0.1"}, recorded(decision))
    assert after["decidedBy"] == DECIDED_BY


def test_what_others_wrote_beside_it_stays() -> None:
    first = started()
    decision = advance(first.state, Observed(jobs={LINT: (job(complete="10:00:30", name="l"),)}), at("10:00:30"))
    assert applied({**first.status, "x": 1}, recorded(decision)) == {**decision.status, "x": 1}


# --- a status that the API server refuses as too large ---------------------------------------------------------------


def too_large(*jobs: tuple[StepName, Any], now: str = "10:00:20", status: Any = None) -> Decision:
    """What is decided once a write was refused: from the status that is stored."""
    stored = started().status if status is None else status
    observed = Observed(jobs={s: (seen,) for s, seen in jobs}, flow=SEEN, status_refused_at=at("10:00:20"))
    return reconcile(PLAN, stored, observed, now=at(now))


def test_a_status_too_large_is_left_without_its_rows() -> None:
    """Phase, times and conditions stay; rows and progress go."""
    decision = too_large((BUILD, job(name="b")), (LINT, job(complete="10:00:10", name="l")))
    assert not rows_are_kept(decision.state)
    status = applied(started().status, recorded(decision))
    assert status == decision.status
    assert "steps" not in status
    assert "progress" not in status
    assert (status["phase"], status["startTime"], status["completionTime"]) == (
        "Failed",
        "2030-01-01T10:00:00Z",
        "2030-01-01T10:00:20Z",
    )
    said = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert said["Failed"] == ("True", "StatusTooLarge")
    assert said["Ready"] == ("False", "StatusTooLarge")


def test_its_jobs_are_deleted_after_that_is_recorded() -> None:
    decision = too_large((BUILD, job(name="b")), (LINT, job(name="l")))
    assert [type(a).__name__ for a in decision.actions] == ["RecordStatus", "DeleteJob", "DeleteJob"]


@pytest.mark.parametrize(
    ("shutdown", "deadline", "reason"),
    [
        pytest.param(Shutdown.STOP, None, "Stopped", id="stopped"),
        pytest.param(None, 5, "ActiveDeadlineExceeded", id="past its deadline"),
    ],
)
def test_a_flow_that_was_ended_before_ends_all_the_same(
    shutdown: Shutdown | None, deadline: int | None, reason: str
) -> None:
    """`finally` still ran, and its rows made the status too large: else it would be refused again, for ever."""
    policy = {} if deadline is None else {"activeDeadlineSeconds": deadline}
    plan = compiled(step("build"), last=[step("clean")], policy=policy)
    first = reconcile(plan, None, Observed(flow=SEEN), now=at("10:00:00"))
    plan = evolve(plan, shutdown=shutdown)
    second = reconcile(plan, first.status, Observed(flow=SEEN), now=at("10:00:10"))
    assert second.status["ended"]["reason"] == reason
    observed = Observed(flow=SEEN, status_refused_at=at("10:00:20"))
    last = reconcile(plan, second.status, observed, now=at("10:00:20"))
    assert isinstance(last.state.record.ended, StatusTooLarge)
    assert "steps" not in applied(second.status, recorded(last))


def test_a_flow_that_is_over_is_not_written_again() -> None:
    """Terminal phases never change: what cannot be written about such a flow is left unsaid, and it still goes."""
    now = at("10:00:30")
    done = {s: (job(complete="10:00:30", name=f"nightly-{s}"),) for s in (BUILD, LINT, StepName("test"))}
    over = advance(advance(started().state, Observed(jobs=done), now).state, Observed(jobs=done), now)
    assert over.status["phase"] == "Succeeded"
    observed = Observed(jobs=done, flow=SEEN, status_refused_at=at("10:01:30"))
    late = reconcile(PLAN, over.status, observed, now=at("10:01:30"))
    assert [type(a).__name__ for a in late.actions] == ["DeleteFlow"]


def test_what_was_refused_is_not_sent_again() -> None:
    """From memory, after a restart that reads what is stored, and after one that has seen no refusal."""
    decision = too_large((BUILD, job(name="b")))
    gone = Observed(jobs={BUILD: (job(name="b", deleting=True),)})
    assert advance(decision.state, gone, at("10:00:21")).actions == ()
    for refused_at in (None, at("10:00:20")):
        observed = Observed(jobs=gone.jobs, flow=SEEN, status_refused_at=refused_at)
        assert reconcile(PLAN, decision.status, observed, now=at("10:00:21")).actions == ()
