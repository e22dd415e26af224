"""The end of a decision: when a flow is over, what is said of it, what is written, read and remembered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from tests.core.builders import Life, asks, at, claim, compiled, job, manual, refused, step
from zenflow_core import reasons as r
from zenflow_core.actions import DeleteFlow, RecordStatus
from zenflow_core.artifact_store import STORE
from zenflow_core.decision import Decision, ReadInput
from zenflow_core.observation import Observed, Origin, Present, Seen, Sibling
from zenflow_core.plan import ConfigMapKey, refused_plan
from zenflow_core.reconcile import advance, decode, reconcile
from zenflow_core.settings import Settings
from zenflow_core.spec import StepName
from zenflow_core.state import Condition, FlowPhase, FlowRecord

DONE = job(complete="10:00:40")
TTL = {"ttlSecondsAfterFinished": 60}
OLDER = Sibling("older", "5", at("00:00") - timedelta(hours=1), started_at=at("00:00"))
OLDEST = Sibling("oldest", "4", at("00:00") - timedelta(hours=2), started_at=at("00:00"))
CLAIM: dict[str, Any] = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
VOLUMES: dict[str, Any] = {"resourceTemplates": {"volumeClaimTemplates": [CLAIM]}}


def record_of(life: Life) -> FlowRecord:
    assert life.state is not None, "looked at before"
    return life.state.record


def says(life: Life, kind: str = "Ready") -> Condition:
    return next(c for c in record_of(life).conditions if c.type == kind)


def seen_anew(life: Life, now: str, **facts: Any) -> Decision:
    """What follows when only the flow object is seen again, with these facts."""
    assert life.state is not None, "looked at before"
    return advance(life.state, Observed(flow=evolve(life.seen, **facts)), at(now))


def written(decision: Decision) -> list[str]:
    """The paths of the status that are written."""
    return [o.path for a in decision.actions if isinstance(a, RecordStatus) for o in a.operations]


def reads(name: str, key: str) -> dict[str, Any]:
    source = {"configMapKeyRef": {"name": "settings", "key": key}}
    return {"inputs": {"parameters": [{"name": name, "valueFrom": source}]}}


HIGH, LOW = ConfigMapKey("settings", "high"), ConfigMapKey("settings", "low")


# --- when it is over, and how long it is kept ------------------------------------------------------------------------


def test_a_flow_without_steps_is_over_when_it_was_ended() -> None:
    life = Life(refused_plan(["spec.steps: there are none"]))
    life.look("10:00:00", deleting="09:59:50")
    assert record_of(life).completed_at == at("09:59:50"), "not when we looked"


def test_what_held_the_flow_holds_it_no_more_once_it_is_over() -> None:
    life = Life(compiled(step("build", when="never"), policy=TTL, **VOLUMES))
    life.look("10:00:00", resources={claim("data"): refused(1, "10:00:00")})
    assert record_of(life).holds == (r.KeptUntil(at("10:01:00")),)


def test_a_flow_that_is_deleted_holds_nothing() -> None:
    life = Life(compiled(step("build"), policy=TTL))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    gone = life.look("10:00:50", deleting="10:00:50")
    assert record_of(life).holds == ()
    assert gone.wake_at is None
    assert "delete flow" not in asks(gone), "somebody has deleted it already"


def test_a_flow_is_deleted_by_its_uid_and_again_if_it_is_still_seen() -> None:
    life = Life(compiled(step("build"), policy=TTL))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    deletes = DeleteFlow("nightly", life.seen.uid)
    assert deletes in life.look("10:01:40").actions
    assert record_of(life).holds == ()
    assert deletes in seen_anew(life, "10:01:50", labels={"a": "b"}).actions


# --- what is over stays as it ended ---------------------------------------------------------------------------------


REFUSED = refused_plan(["spec.steps[0].outputs.artifacts[0]: this operator moves no artifacts"])


@pytest.mark.parametrize(
    ("done", "phase"),
    [
        pytest.param(job(complete="10:00:40"), FlowPhase.SUCCEEDED, id="one that succeeded"),
        pytest.param(job(failed="10:00:40"), FlowPhase.FAILED, id="one that failed by a step"),
    ],
)
def test_a_flow_that_is_over_stays_so_when_its_spec_is_refused_later(done: Seen, phase: FlowPhase) -> None:
    """Another version, or other settings of the operator, may refuse what has run."""
    life = Life(compiled(step("build"), policy=TTL))
    life.look("10:00:00")
    life.look("10:00:41", build=done)
    before = record_of(life)
    assert (before.phase, before.holds) == (phase, (r.KeptUntil(at("10:01:40")),))
    later = reconcile(REFUSED, life.status, Observed(flow=life.seen), now=at("10:00:50"))
    assert (later.state.record, later.actions) == (before, ())
    gone = reconcile(REFUSED, life.status, Observed(flow=life.seen), now=at("10:01:40"))
    assert DeleteFlow("nightly", life.seen.uid) in gone.actions, "after its own TTL, not a day"


def test_a_flow_that_failed_under_another_controller_stays_failed_for_its_reason() -> None:
    """Rows without causes, and an end that only the condition tells, as the Go project writes them."""
    life = Life(compiled(step("build"), step("deploy", "build")))
    ready = {"type": "Ready", "status": "False", "reason": "ActiveDeadlineExceeded", "message": "too late"}
    life.status = {
        "phase": "Failed",
        "startTime": "2030-01-01T09:00:00Z",
        "completionTime": "2030-01-01T10:00:00Z",
        "conditions": [ready | {"lastTransitionTime": "2030-01-01T10:00:00Z"}],
        "steps": [{"name": "build", "phase": "Failed"}, {"name": "deploy", "phase": "Pending"}],
    }
    decision = life.look("10:00:10")
    assert record_of(life).phase is FlowPhase.FAILED
    assert [(c.reason, c.message) for c in record_of(life).conditions if c.type in ("Ready", "Failed")] == [
        ("ActiveDeadlineExceeded", "too late"),
        ("ActiveDeadlineExceeded", "too late"),
    ]
    assert [each for each in decision.actions if not isinstance(each, RecordStatus)] == [], "nothing is started"


def test_what_runs_under_a_controller_that_counts_no_attempts_is_the_first_one() -> None:
    """Its Job has our name and none of our labels: the create meets it, and it is left alone."""
    life = Life(compiled(step("build")))
    row = {"name": "build", "phase": "Running", "startTime": "2030-01-01T09:00:00Z", "jobRef": {}}
    life.status = {"phase": "Running", "startTime": "2030-01-01T09:00:00Z", "steps": [row]}
    assert "create build 1" in asks(life.look("10:00:00"))


# --- what is said of it ----------------------------------------------------------------------------------------------


def test_waiting_for_another_flow_is_said_anew() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00", siblings=(OLDER, OLDEST))
    assert "oldest" in says(life).message
    life.look("10:00:10", siblings=(OLDER,))
    assert "older" in says(life).message


def test_a_status_without_conditions_gets_them_with_the_next_write() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    assert life.status is not None
    life.status["conditions"], life.state = [], None
    life.look("10:00:01", build=job())
    assert says(life).reason == "FlowRunning"


def test_a_spec_that_was_edited_is_said_and_taken_back() -> None:
    plan = compiled(step("build"))
    life = Life(plan)
    life.look("10:00:00")
    life.look("10:00:10", plan=compiled(step("build"), step("more")))
    assert says(life, "SpecChanged").status
    assert says(life, "SpecChanged").message.startswith("steps, finally, templates, parameters or resourceTemplates")
    life.look("10:00:20", plan=plan)
    assert not says(life, "SpecChanged").status


def test_a_tolerated_failure_in_finally_fails_nothing() -> None:
    life = Life(compiled(step("build"), last=[step("report", continueOnFailure=True)]))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    life.look("10:00:52", report=job(1, "10:00:41", failed="10:00:51"))
    assert (says(life).reason, says(life).message) == (
        "FlowSucceeded",
        "failed steps with continueOnFailure: 1",
    )


# --- what is written -------------------------------------------------------------------------------------------------


def over(*, refused_at: str | None = None) -> Life:
    """A flow that has succeeded, and whose status was refused then."""
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    if refused_at is not None:
        life.look("10:00:42", status_refused=refused_at)
    return life


def test_a_finished_flow_notes_a_new_generation() -> None:
    noted = written(seen_anew(over(), "10:00:50", generation=2))
    assert noted == ["/status/decidedBy", "/status/observedGeneration"], "and nothing that has not changed"


def test_a_finished_flow_whose_status_was_refused_writes_nothing_more() -> None:
    life = over(refused_at="10:00:42")
    later = seen_anew(life, "10:00:50", generation=2)
    assert written(later) == []
    assert written(advance(later.state, Observed(flow=evolve(life.seen, generation=3)), at("10:00:51"))) == []


def too_large() -> Life:
    """A flow that was ended because its status is too large; the short one is written."""
    life = Life(compiled(step("build"), step("test", "build"), policy=TTL))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.look("10:00:05", status_refused="10:00:05")
    return life


def test_a_status_without_rows_can_still_be_written() -> None:
    assert "/status/observedGeneration" in written(seen_anew(too_large(), "10:00:10", generation=2))


def test_the_steps_of_a_status_without_rows_ended_with_the_flow() -> None:
    life = too_large()
    state = decode(life.plan, life.seen, life.status)
    assert state.flow == life.seen
    assert [(record.finished_at, record.cause) for record in state.records] == [
        (at("10:00:05"), r.FlowEnded(at("10:00:05"), "StatusTooLarge"))
    ] * 2


def test_a_row_is_no_reason_to_write_a_status_without_rows() -> None:
    life = too_large()
    assert life.state is not None
    kept = Observed(jobs={StepName("build"): (job(complete="10:00:06", kept="10:00:30"),)})
    held = advance(life.state, kept, at("10:00:07"))
    assert held.state.records[0].holds == (r.JobKeptUntil(at("10:00:30")),)
    assert written(held) == []


@pytest.mark.parametrize("shutdown", ["Stop", None], ids=["after another end", "while it runs"])
def test_a_status_that_is_too_large_ends_the_flow(shutdown: str | None) -> None:
    steps, last = (step("build"),), [step("report")]
    life = Life(compiled(*steps, last=last))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    if shutdown is not None:
        life.look("10:00:05", plan=compiled(*steps, last=last, shutdown=shutdown))
        assert record_of(life).ended == r.Stopped(at("10:00:05"))
    life.look("10:00:06", status_refused="10:00:06")
    assert record_of(life).ended == r.StatusTooLarge(at("10:00:06"))


def test_rows_that_do_not_fit_are_written_anew_with_the_next_write() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    assert life.status is not None
    life.status["steps"].append({"name": "gone", "phase": "Pending"})
    looked = reconcile(life.plan, life.status, Observed(flow=life.seen), now=at("10:00:01"))
    assert written(looked) == [], "it is no reason to write by itself"
    then = advance(looked.state, Observed(jobs={StepName("build"): (DONE,)}), at("10:00:41"))
    assert written(then) == ["/status"]
    assert written(seen_anew(life, "10:00:50", generation=2)) != ["/status"]


# --- what is read, and remembered ------------------------------------------------------------------------------------


def test_a_flow_that_starts_once_its_store_was_read_makes_its_objects() -> None:
    plan = compiled(step("build", outputs={"artifacts": [{"name": "app", "path": "/out/app"}]}), **VOLUMES)
    life = Life(evolve(plan, settings=Settings("zenflow:1", namespace_stores=True)))
    assert life.look("10:00:00").reads == (ReadInput(STORE),)
    starts = life.look("10:00:01", inputs={STORE: Present("s3: {bucket: b, key: flows/}")})
    assert asks(starts) == ["record", "create claim"]


def test_every_step_asks_for_its_own_inputs() -> None:
    life = Life(compiled(step("a", **reads("level", "high")), step("b", **reads("level", "low"))))
    assert life.look("10:00:00").reads == (ReadInput(HIGH), ReadInput(LOW))


def test_an_input_is_heard_by_whom_it_concerns() -> None:
    life = Life(compiled(step("a", **reads("level", "high")), manual("gate"), step("b", "gate")))
    life.look("10:00:00")
    assert asks(life.look("10:00:01", inputs={HIGH: Present("x")})) == ["record", "create a 1"]


def test_an_input_that_was_read_is_not_asked_for_again() -> None:
    two = {
        "inputs": {
            "parameters": [
                {"name": key, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}
                for key in ("high", "low")
            ]
        }
    }
    life = Life(compiled(step("build", **two)))
    assert life.look("10:00:00").reads == (ReadInput(HIGH), ReadInput(LOW))
    assert life.look("10:00:01", inputs={HIGH: Present("x")}).reads == (ReadInput(LOW),)
    assert asks(life.look("10:00:02", inputs={LOW: Present("y")})) == ["record", "create build 1"]


def test_a_step_that_is_over_is_asked_again_after_a_restart() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:41", build=job(complete="10:00:40", kept="10:02:00"))
    assert life.holds("build") == (r.JobKeptUntil(at("10:02:00")),)
    life.write()
    again = reconcile(life.plan, life.status, Observed(flow=life.seen), now=at("10:01:00"))
    assert again.state.records[0].holds == (), "somebody has deleted its Job"
    assert again.wake_at != at("10:02:00")


def test_the_flow_that_is_retried_is_read_once() -> None:
    life = Life(compiled(step("build"), retryOf={"name": "earlier", "uid": "u"}))
    life.look("10:00:00", siblings=(OLDER,))
    assert life.look("10:00:01", origin=Origin({})).reads == ()
    assert life.look("10:00:02", notes={"a": "b"}).reads == ()
    assert asks(life.look("10:00:03", siblings=())) == ["record", "create build 1"]


def test_a_job_that_went_while_nobody_looked_is_kept_no_more() -> None:
    life = Life(compiled(step("build"), step("slow")))
    life.look("10:00:00")
    life.look("10:00:41", build=job(complete="10:00:40", kept="10:01:40"), slow=job())
    slow = {StepName("slow"): life.jobs[StepName("slow")]}
    decision = reconcile(life.plan, life.status, Observed(flow=life.seen, jobs=slow), now=at("10:00:50"))
    assert decision.wake_at is None
    assert decision.state.records[life.plan.by_name[StepName("build")]].holds == ()


def test_finally_of_a_stopped_flow_goes_on_step_by_step() -> None:
    steps, last = (step("build"),), [step("report"), step("mail", "report")]
    life = Life(compiled(*steps, last=last))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.look("10:00:05", plan=compiled(*steps, last=last, shutdown="Stop"))
    life.look("10:00:20", report=job(1, "10:00:05", complete="10:00:15"))
    assert life.record("mail").started_at == at("10:00:20")
