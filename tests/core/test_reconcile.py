"""Whole decisions about small flows: what moves, what is asked of the cluster, and when to look again.

Every look is decided twice, from memory and from the stored status, and both have to agree (see `Life`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import (
    Life,
    asks,
    at,
    claim,
    compiled,
    gone,
    job,
    manual,
    moves,
    pod_failed,
    refused,
    retry,
    step,
)
from zenflow_core import reasons as r
from zenflow_core.actions import CreateJob, DeleteJob, RecordStatus
from zenflow_core.decision import ReadInput, ReadOrigin, ReadResult
from zenflow_core.observation import Absent, Gone, Made, Observed, Origin, Present, Seen, Sibling, Takeover
from zenflow_core.plan import ConfigMapKey, refused_plan
from zenflow_core.reconcile import advance
from zenflow_core.spec import StepName
from zenflow_core.state import FlowPhase, JobRef

DONE = job(complete="10:00:40")
FAILED = job(failed="10:00:40")


def done(when: str, attempt: int = 1) -> Seen:
    return job(attempt, complete=when)


def bad(when: str, attempt: int = 1) -> Seen:
    return job(attempt, failed=when)


def flow_phase(life: Life) -> FlowPhase:
    assert life.state is not None
    return life.state.record.phase


def ended(life: Life) -> tuple[str, str]:
    """Phase of the flow and reason of its condition Ready."""
    assert life.state is not None
    ready = next(c for c in life.state.record.conditions if c.type == "Ready")
    return life.state.record.phase.value, ready.reason


# --- the plain course ------------------------------------------------------------------------------------------------


def test_a_chain_runs_one_step_after_the_other() -> None:
    life = Life(compiled(step("build"), step("test", "build")))
    first = life.look("10:00:00")
    assert asks(first) == ["record", "create build 1"]
    assert moves(first) == ["build Pending→Running Admitted"]
    assert life.holds("test") == (r.WaitsFor((StepName("build"),), of=1),)
    assert asks(life.look("10:00:01", build=job())) == []
    second = life.look("10:00:41", build=DONE)
    assert moves(second) == ["build Running→Succeeded JobComplete", "test Pending→Running Admitted"]
    assert asks(second) == ["record", "create test 1"]
    assert flow_phase(life) is FlowPhase.RUNNING
    third = life.look("10:01:10", test=job(1, "10:00:42", complete="10:01:00"))
    assert asks(third) == ["record"]
    assert ended(life) == ("Succeeded", "FlowSucceeded")
    assert life.state is not None
    assert life.state.record.completed_at == at("10:01:00"), "when the last Job ended, not when we looked"
    assert third.wake_at == at("+1d 10:01:00"), "a finished flow wakes for its TTL"


def test_the_first_look_writes_the_whole_status() -> None:
    decision = Life(compiled(step("build"))).look("10:00:00")
    record = decision.actions[0]
    assert isinstance(record, RecordStatus)
    assert [(o.op, o.path) for o in record.operations] == [("add", "/status")]
    assert record.operations[0].value == decision.status
    patch = record.patch("7")
    assert patch[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_later_looks_write_what_changed() -> None:
    life = Life(compiled(step("build"), step("test")))
    life.look("10:00:00")
    life.look("10:00:01", build=job(), test=job())
    record = life.look("10:00:41", build=DONE).actions[0]
    assert isinstance(record, RecordStatus)
    assert [(o.op, o.path) for o in record.operations] == [
        ("add", "/status/decidedBy"),
        ("add", "/status/progress"),
        ("replace", "/status/steps/0"),
        ("replace", "/status/steps/1"),
    ], "the uid of test's Job travels with the write of build"


def test_a_row_stands_at_its_place_in_the_spec() -> None:
    life = Life(compiled(step("test", "build"), step("build")))
    decision = life.look("10:00:00")
    assert [row["name"] for row in decision.status["steps"]] == ["test", "build"]
    record = life.look("10:00:41", build=DONE).actions[0]
    assert isinstance(record, RecordStatus)
    rows = {o.path: o.value["name"] for o in record.operations if o.path.startswith("/status/steps")}
    assert rows == {"/status/steps/0": "test", "/status/steps/1": "build"}


def test_learning_a_uid_is_no_reason_to_write() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    assert asks(life.look("10:00:01", build=job())) == []
    assert life.record("build").job is not None


def test_a_job_that_was_seen_gives_the_true_start() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    assert life.look("10:00:00").wake_at == at("10:01:00")
    assert life.look("10:00:03", build=job(1, "10:00:02")).wake_at == at("10:01:02")
    assert life.record("build").started_at == at("10:00:02")


def test_a_skipped_dependency_is_met() -> None:
    life = Life(compiled(step("a", when="never"), step("b", "a"), step("c", "b", when="steps.a.phase == 'Succeeded'")))
    decision = life.look("10:00:00")
    assert moves(decision) == ["a Pending→Skipped ConditionFalse", "b Pending→Running Admitted"]
    life.look("10:00:41", b=DONE)
    assert life.phases() == "a Skipped, b Succeeded, c Skipped"


def test_a_chain_of_skips_ends_at_one_look() -> None:
    life = Life(compiled(*(step(n, *after, when="never") for n, after in (("a", ()), ("b", ("a",)), ("c", ("b",))))))
    life.look("10:00:00")
    assert life.phases() == "a Skipped, b Skipped, c Skipped"
    assert ended(life) == ("Succeeded", "FlowSucceeded")
    assert life.state is not None
    assert life.state.record.completed_at == at("10:00:00")


# --- outputs and inputs ----------------------------------------------------------------------------------------------

OUT: dict[str, Any] = {"outputs": {"parameters": [{"name": "v", "valueFrom": {"jsonPath": "$.v"}}]}}


def gets(name: str, **source: Any) -> dict[str, Any]:
    template: dict[str, Any] = {
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox", "args": [f"{{{{.parameters.{name}}}}}"]}],
                }
            }
        }
    }
    return {"inputs": {"parameters": [{"name": name, "valueFrom": source}]}, "template": template}


def args_of(life_decision: Any) -> list[str]:
    create = next(a for a in life_decision.actions if isinstance(a, CreateJob))
    found: list[str] = create.body["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_outputs_are_read_before_the_step_is_over() -> None:
    life = Life(compiled(step("build", **OUT), step("test", "build", **gets("v", jsonPath="build:$.v"))))
    life.look("10:00:00")
    waits = life.look("10:00:41", build=DONE)
    assert waits.reads == (ReadResult(StepName("build"), 1),)
    assert life.phases() == "build Running, test Pending"
    assert life.holds("build") == (r.NeedsOutput(1),)
    then = life.look("10:00:41", build=job(complete="10:00:40", result=Present('{"v": "x y"}')))
    assert life.phases() == "build Succeeded, test Running"
    assert args_of(then) == ["x y"]
    assert life.record("build").outputs == {"v": r.OutputValue("x y")}


def test_an_output_that_cannot_be_read_fails_the_step_without_a_retry() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(), **OUT)))
    life.look("10:00:00")
    life.look("10:00:41", build=job(complete="10:00:40", result=Present("{}")))
    assert life.record("build").cause == r.OutputMissing(at("10:00:40"), "v", "nothing at $.v")
    assert ended(life) == ("Failed", "FlowFailed")


def test_an_output_of_a_skipped_step_skips_its_readers() -> None:
    life = Life(compiled(step("build", when="never", **OUT), step("test", "build", **gets("v", jsonPath="build:$.v"))))
    life.look("10:00:00")
    assert life.phases() == "build Skipped, test Skipped"
    assert life.record("test").cause == r.OutputUnavailable(at("10:00:00"), "v", StepName("build"))


def test_a_when_can_ask_for_an_output() -> None:
    wanted = "steps.build.outputs.parameters.v == 'go'"
    life = Life(
        compiled(step("build", **OUT), step("yes", "build", when=wanted), step("no", "build", when=f"!({wanted})"))
    )
    life.look("10:00:00")
    life.look("10:00:41", build=job(complete="10:00:40", result=Present('{"v": "go"}')))
    assert life.phases() == "build Succeeded, yes Running, no Skipped"


REF = ConfigMapKey("settings", "level")


def test_a_key_is_asked_for_and_awaited() -> None:
    life = Life(compiled(step("build", **gets("level", configMapKeyRef={"name": "settings", "key": "level"}))))
    decision = life.look("10:00:00")
    assert decision.reads == (ReadInput(REF),)
    assert asks(decision) == ["record"]
    assert life.holds("build") == (r.NeedsInput((REF,)),)
    then = life.look("10:00:00", inputs={REF: Present("high")})
    assert asks(then) == ["record", "create build 1"]
    assert args_of(then) == ["high"]


def test_a_key_that_is_missing_fails_the_step() -> None:
    life = Life(compiled(step("build", **gets("level", configMapKeyRef={"name": "settings", "key": "level"}))))
    life.look("10:00:00")
    life.look("10:00:02", inputs={REF: Absent("ConfigMap settings does not exist")})
    assert life.record("build").cause == r.InputMissing(at("10:00:02"), "level", "ConfigMap settings does not exist")
    assert ended(life) == ("Failed", "FlowFailed")


# --- failure ---------------------------------------------------------------------------------------------------------


def test_a_failure_drains() -> None:
    """Nothing new starts, what runs may finish, a waiting retry is abandoned, all others are skipped."""
    life = Life(
        compiled(
            step("bad"),
            step("slow"),
            step("again", retryPolicy=retry(3, 3600)),
            step("after", "bad"),
            step("later", "slow"),
            manual("gate"),
        )
    )
    life.look("10:00:00")
    life.look("10:00:30", bad=job(), slow=job(), again=bad("10:00:20"))
    assert life.phases() == (
        "bad Running, slow Running, again Pending, after Pending, later Pending, gate PendingApproval"
    )
    drains = life.look("10:00:41", bad=FAILED)
    assert asks(drains) == ["record"], "the running Job is let be"
    assert life.phases() == "bad Failed, slow Running, again Failed, after Skipped, later Skipped, gate Skipped"
    failing = r.FlowFailing(at("10:00:40"), StepName("bad"))
    assert life.record("after").cause == r.UpstreamUnmet(at("10:00:40"), StepName("bad"))
    assert life.record("later").cause == failing
    assert life.record("gate").cause == failing
    assert life.record("again").cause == r.RetryAbandoned(at("10:00:40"), pod_failed("10:00:20"), "FlowFailing")
    assert flow_phase(life) is FlowPhase.RUNNING
    life.look("10:05:01", slow=done("10:05:00"))
    assert ended(life) == ("Failed", "FlowFailed")


def test_a_retry_of_what_runs_is_new_too() -> None:
    life = Life(compiled(step("bad"), step("slow", retryPolicy=retry())))
    life.look("10:00:00")
    life.look("10:00:41", bad=FAILED, slow=job())
    decision = life.look("10:01:01", slow=bad("10:01:00"))
    assert moves(decision) == ["slow Running→Failed RetryAbandoned"]
    assert life.record("slow").cause == r.RetryAbandoned(at("10:01:00"), pod_failed("10:01:00"), "FlowFailing")
    assert ended(life) == ("Failed", "FlowFailed")


def test_fail_fast_stops_what_runs() -> None:
    life = Life(compiled(step("bad"), step("slow"), policy={"failFast": True}))
    life.look("10:00:00")
    life.look("10:00:01", bad=job(), slow=job(name="nightly-slow"))
    decision = life.look("10:00:41", bad=FAILED)
    assert asks(decision) == ["record", "delete slow 1"]
    assert life.record("slow").cause == r.FlowFailing(at("10:00:40"), StepName("bad"))
    assert life.phases() == "bad Failed, slow Failed"


@pytest.mark.parametrize("first", ["a", "b"])
def test_the_step_that_failed_first_is_named(first: str) -> None:
    """Those that it swept along have failed at the same instant; whatever their order, it was not they."""
    life = Life(compiled(step("a"), step("b"), policy={"failFast": True}))
    life.look("10:00:00")
    life.look("10:00:01", a=job(), b=job())
    decision = life.look("10:00:41", a=FAILED) if first == "a" else life.look("10:00:41", b=FAILED)
    assert decision.status["conditions"][0]["message"] == f"step {first} failed"


def test_a_tolerated_failure_is_met_and_succeeds() -> None:
    life = Life(compiled(step("flaky", continueOnFailure=True), step("test", "flaky")))
    life.look("10:00:00")
    life.look("10:00:41", flaky=FAILED)
    assert life.phases() == "flaky Failed, test Running"
    decision = life.look("10:05:01", test=done("10:05:00"))
    assert ended(life) == ("Succeeded", "FlowSucceeded")
    complete = next(c for c in decision.status["conditions"] if c["type"] == "Complete")
    assert "continueOnFailure" in complete["message"]


def test_a_dependency_that_failed_for_good_skips_its_dependents() -> None:
    life = Life(compiled(step("bad"), step("after", "bad")))
    life.look("10:00:00")
    life.look("10:00:41", bad=FAILED)
    assert life.phases() == "bad Failed, after Skipped"


# --- retry -----------------------------------------------------------------------------------------------------------


def test_a_retry_waits_then_runs_under_its_own_number() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    waits = life.look("10:00:41", build=FAILED)
    assert moves(waits) == ["build Running→Pending AttemptFailed"]
    assert waits.wake_at == at("10:00:50")
    assert asks(life.look("10:00:49")) == []
    again = life.look("10:00:50")
    assert asks(again) == ["record", "create build 2"]
    assert life.record("build").attempt == 2
    create = again.actions[-1]
    assert isinstance(create, CreateJob)
    assert create.name == "nightly-build-0a0a0a0a-r1"
    assert create.body["metadata"]["labels"]["workflow.kube-zen.io/attempt"] == "2"
    life.look("10:01:31", build=(FAILED, job(2, "10:00:50", failed="10:01:30")))
    assert life.record("build").cause == r.RetriesExhausted(2, pod_failed("10:01:30"))


def test_a_retry_waits_until_the_failed_job_is_gone() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60, retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    over = life.look("10:01:00")
    assert moves(over) == ["build Running→Pending AttemptFailed"]
    assert asks(over) == ["record", "delete build 1"]
    assert asks(life.look("10:01:01", build=job(deleting=True))) == []
    assert life.holds("build") == (r.BacksOff(at("10:01:10")), r.PreviousAttemptEnds(1))
    assert asks(life.look("10:01:10")) == ["record"], "the pause is over, the Job is not"
    assert life.holds("build") == (r.PreviousAttemptEnds(1),)
    assert asks(life.look("10:01:30", build=gone(1, "10:01:29"))) == ["record", "create build 2"]


def test_a_lost_job_is_a_failed_attempt() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.write()
    life.look("10:00:20", build=gone(1, "10:00:20"))
    assert life.record("build").failure == r.JobLost(at("10:00:20"))
    assert asks(life.look("10:00:30")) == ["record", "create build 2"]


def test_a_job_that_was_never_seen_is_created_again() -> None:
    """A crash between record and create: the record calls for it, so it is owed."""
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.state = None
    assert asks(life.look("10:00:05")) == ["create build 1"]


def test_a_lost_job_whose_uid_was_not_stored_yet_is_lost_all_the_same() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:03", build=job(1, "10:00:02"))
    life.look("10:00:20", build=Gone(1, at("10:00:20"), last=job(1, "10:00:02")))
    record = life.record("build")
    assert record.cause == r.JobLost(at("10:00:20"))
    assert (record.started_at, record.job) == (at("10:00:02"), JobRef("nightly-build", "uid-1"))


def test_a_lost_job_at_its_deadline_has_timed_out() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.write()
    life.look("10:01:00", build=gone(1, "10:01:00"))
    assert life.record("build").cause == r.StepTimedOut(at("10:01:00"))


# --- budget ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        pytest.param(2, "FlowRunning", id="two retries within two"),
        pytest.param(1, "BackoffLimitExceeded", id="two retries are beyond one"),
    ],
)
def test_the_retries_of_all_steps_have_one_budget(limit: int, reason: str) -> None:
    life = Life(
        compiled(step("a", retryPolicy=retry()), step("b", retryPolicy=retry()), policy={"backoffLimit": limit})
    )
    life.look("10:00:00")
    life.look("10:00:21", a=bad("10:00:20"), b=job())
    assert ended(life)[1] == "FlowRunning"
    life.look("10:00:41", b=FAILED)
    assert ended(life)[1] == reason


def test_a_spent_budget_ends_everything() -> None:
    life = Life(compiled(step("a", retryPolicy=retry()), step("slow"), step("c", "slow"), policy={"backoffLimit": 0}))
    life.look("10:00:00")
    life.look("10:00:01", a=job(), slow=job())
    decision = life.look("10:00:41", a=FAILED)
    assert asks(decision) == ["record", "delete slow 1"]
    assert life.phases() == "a Failed, slow Failed, c Skipped"
    abandoned = life.record("a").cause
    assert isinstance(abandoned, r.RetryAbandoned)
    assert abandoned.because == "BackoffLimitExceeded"


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_refused_create_is_sent_again_later_and_later() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    first = life.look("10:00:00", build=refused(1, "10:00:00", code=403, message="exceeded quota: q"))
    assert moves(first) == ["build Running→Pending JobRefused"]
    assert first.wake_at == at("10:00:01")
    assert life.holds("build") == (r.RefusedUntil(at("10:00:01")),)
    again = life.look("10:00:01")
    assert asks(again) == ["record", "create build 1"], "the same attempt"
    second = life.look("10:00:01", build=refused(1, "10:00:01", code=403, message="exceeded quota: q"))
    assert second.wake_at == at("10:00:03")
    assert asks(life.look("10:00:03")) == ["record", "create build 1"]
    life.look("10:00:04", build=job(1, "10:00:03"))
    assert life.record("build").attempt == 1
    assert life.record("build").phase.value == "Running"


def test_retry_after_is_heard() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    decision = life.look("10:00:00", build=refused(1, "10:00:00", code=429, retry_after=30))
    assert decision.wake_at == at("10:00:30")
    assert asks(life.look("10:00:29")) == []
    assert asks(life.look("10:00:30")) == ["record", "create build 1"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(
            refused(1, code=422, message="bad"), r.JobRejected(at("10:00:00"), 422, "bad"), id="422 is for good"
        ),
        pytest.param(
            refused(1, code=403, message="p denied the request"),
            r.JobRejected(at("10:00:00"), 403, "p denied the request"),
            id="a denial is for good",
        ),
        pytest.param(
            refused(1, code=409, taken_by="j"), r.JobNameTaken(at("10:00:00"), "j"), id="a name that is taken"
        ),
    ],
)
def test_a_refusal_for_good_fails_the_step_without_a_retry(answer: Any, cause: r.Cause) -> None:
    life = Life(compiled(step("build", retryPolicy=retry())))
    life.look("10:00:00")
    decision = life.look("10:00:00", build=answer)
    assert asks(decision) == ["record"], "what is not ours is never touched"
    assert life.record("build").cause == cause
    assert ended(life) == ("Failed", "FlowFailed")


def test_nothing_is_created_in_a_namespace_that_goes() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    decision = life.look("10:00:00", build=refused(1, "10:00:00", code=403, causes=("NamespaceTerminating",)))
    assert decision.wake_at is None
    assert life.holds("build") == (r.NamespaceGoing(),)
    assert asks(life.look("23:00:00")) == []


def test_a_create_that_was_answered_with_an_error_but_was_done_is_adopted() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:00", build=refused(1, "10:00:00", code=500))
    adopts = life.look("10:00:00", build=job(1, "10:00:00"))
    assert moves(adopts) == ["build Pending→Running Adopted"]
    assert asks(adopts) == ["record"], "and not created again"
    assert life.record("build").job is not None, "its uid is known from the first"


def test_a_job_that_was_made_against_the_answer_and_vanished_is_a_lost_one() -> None:
    """It may have done its work, so the attempt is not made a second time; and whoever waits for it hears of it."""
    life = Life(compiled(step("build"), step("test", "build"), last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:00", build=refused(1, "10:00:00", code=500))
    life.look("10:00:00", build=gone(1, "10:00:00"))
    decision = life.look("10:00:01")
    assert asks(decision) == ["record", "create report 1"]
    assert life.phases() == "build Failed, test Skipped, report Running"


def test_a_retry_of_such_a_job_is_a_retry() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    life.look("10:00:00", build=refused(1, "10:00:00", code=500))
    life.look("10:00:00", build=gone(1, "10:00:00"))
    assert life.look("10:00:01").wake_at == at("10:00:10")
    assert asks(life.look("10:00:10")) == ["record", "create build 2"]


# --- the clock of a step ---------------------------------------------------------------------------------------------


def test_a_timeout_wakes_and_deletes() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    assert life.look("10:00:01", build=job()).wake_at == at("10:01:00")
    assert asks(life.look("10:00:59")) == []
    over = life.look("10:01:00")
    assert asks(over) == ["record", "delete build 1"]
    assert life.record("build").cause == r.StepTimedOut(at("10:01:00"))


def test_a_suspended_job_has_time() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    stands = life.look("10:00:41", build=job(suspended="10:00:40"))
    assert moves(stands) == ["build Running→Running JobSuspended"]
    assert stands.wake_at is None, "its clock stands still"
    assert life.holds("build") == (r.JobIsSuspended(at("10:00:40")),)
    goes_on = life.look("11:00:01", build=job(resumed="11:00:00"))
    assert goes_on.wake_at == at("11:00:20"), "20 of its 60 seconds are left"
    life.look("11:00:20")
    assert life.record("build").cause == r.StepTimedOut(at("11:00:20"))


def test_a_job_that_is_born_suspended_has_used_no_time() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    life.look("10:00:05", build=job(1, "10:00:00", suspended="10:00:00"))
    assert life.look("12:00:00", build=job(1, "10:00:00", resumed="12:00:00")).wake_at == at("12:01:00")


def test_outputs_may_be_read_after_the_deadline() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60, **OUT)))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    late = life.look("10:01:05", build=done("10:00:59"))
    assert late.reads == (ReadResult(StepName("build"), 1),)
    life.look("10:01:06", build=job(complete="10:00:59", result=Present('{"v": 1}')))
    assert life.phases() == "build Succeeded"


# --- the clock of a flow ---------------------------------------------------------------------------------------------


def test_the_deadline_ends_everything() -> None:
    life = Life(
        compiled(
            step("slow"),
            step("again", retryPolicy=retry(3, 3600)),
            step("after", "slow"),
            manual("gate"),
            policy={"activeDeadlineSeconds": 60},
        )
    )
    assert life.look("10:00:00").wake_at == at("10:01:00")
    life.look("10:00:41", slow=job(), again=FAILED)
    over = life.look("10:01:00")
    assert asks(over) == ["record", "delete slow 1"]
    assert life.phases() == "slow Failed, again Failed, after Skipped, gate Skipped"
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")
    assert life.state is not None
    assert life.state.record.completed_at == at("10:01:00")


def test_the_last_results_may_be_read_after_the_deadline() -> None:
    """All that is left was Complete in time, so the flow has not missed its deadline."""
    life = Life(compiled(step("build", **OUT), policy={"activeDeadlineSeconds": 60}))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    late = life.look("10:01:05", build=done("10:00:59"))
    assert late.wake_at is None
    assert life.phases() == "build Running"
    life.look("10:01:06", build=job(complete="10:00:59", result=Present('{"v": 1}')))
    assert ended(life) == ("Succeeded", "FlowSucceeded")


def test_other_steps_do_not_profit_from_that() -> None:
    life = Life(compiled(step("build", **OUT), step("slow"), policy={"activeDeadlineSeconds": 60}))
    life.look("10:00:00")
    life.look("10:00:01", build=job(), slow=job())
    late = life.look("10:01:05", build=done("10:00:59"))
    assert asks(late) == ["record", "delete slow 1"]
    assert life.phases() == "build Running, slow Failed"
    life.look("10:01:06", build=job(complete="10:00:59", result=Present('{"v": 1}')))
    assert life.phases() == "build Succeeded, slow Failed"
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_a_suspended_flow_starts_nothing_but_its_clock_runs() -> None:
    life = Life(compiled(step("build"), policy={"activeDeadlineSeconds": 60}, suspend=True))
    decision = life.look("10:00:00")
    assert asks(decision) == ["record"]
    assert life.holds("build") == (r.Suspended(),)
    assert flow_phase(life) is FlowPhase.SUSPENDED
    life.look("10:00:30", plan=compiled(step("build"), policy={"activeDeadlineSeconds": 60}))
    assert life.phases() == "build Running"
    life.look("10:01:00", build=job(1, "10:00:30"))
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_suspending_lets_running_jobs_go_on() -> None:
    life = Life(compiled(step("a"), step("b", "a")))
    life.look("10:00:00")
    life.look("10:00:01", a=job())
    assert asks(life.look("10:00:10", plan=compiled(step("a"), step("b", "a"), suspend=True))) == ["record"]
    life.look("10:00:41", a=DONE)
    assert life.phases() == "a Succeeded, b Pending"
    assert life.holds("b") == (r.Suspended(),)


# --- meetings --------------------------------------------------------------------------------------------------------

QUICK = {"activeDeadlineSeconds": 60}


def test_an_outcome_before_the_deadline_beats_it_however_late_we_look() -> None:
    life = Life(compiled(step("build"), policy=QUICK))
    life.look("10:00:00")
    life.look("12:00:00", build=done("10:00:59"))
    assert ended(life) == ("Succeeded", "FlowSucceeded")


def test_the_deadline_beats_an_outcome_at_the_same_instant() -> None:
    life = Life(compiled(step("build"), policy=QUICK))
    life.look("10:00:00")
    life.look("10:01:00", build=done("10:01:00"))
    assert life.record("build").cause == r.FlowEnded(at("10:01:00"), "ActiveDeadlineExceeded")
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_the_timeout_of_a_step_beats_an_outcome_at_the_same_instant() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    life.look("10:01:00", build=done("10:01:00"))
    assert life.record("build").cause == r.StepTimedOut(at("10:01:00"))


def test_the_deadline_beats_a_retry_that_is_due_at_the_same_instant() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 20)), policy=QUICK))
    life.look("10:00:00")
    assert life.look("10:00:41", build=FAILED).wake_at == at("10:01:00")
    decision = life.look("10:01:00")
    assert moves(decision) == ["build Pending→Failed RetryAbandoned"]
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_the_deadline_ends_a_backoff_that_goes_beyond_it() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 3600)), policy=QUICK))
    life.look("10:00:00")
    life.look("10:00:41", build=FAILED)
    life.look("10:01:00")
    assert life.record("build").cause == r.RetryAbandoned(
        at("10:01:00"), pod_failed("10:00:40"), "ActiveDeadlineExceeded"
    )


def test_the_deadline_beats_the_budget() -> None:
    life = Life(compiled(step("build", retryPolicy=retry()), policy=QUICK | {"backoffLimit": 0}))
    life.look("10:00:00")
    life.look("10:01:00", build=bad("10:00:59"))
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_the_budget_beats_a_retry() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(3, 1)), policy={"backoffLimit": 0}))
    life.look("10:00:00")
    life.look("12:00:00", build=FAILED)
    assert life.phases() == "build Failed", "though its pause is over by now"
    assert ended(life) == ("Failed", "BackoffLimitExceeded")


def test_a_failure_of_another_step_beats_a_retry_that_is_due() -> None:
    life = Life(compiled(step("a", retryPolicy=retry(3, 10)), step("b")))
    life.look("10:00:00")
    life.look("10:00:41", a=FAILED, b=job())
    life.look("10:00:50", b=bad("10:00:49"))
    assert life.phases() == "a Failed, b Failed"
    assert life.record("a").attempt == 1


def test_the_deadline_beats_a_skip() -> None:
    life = Life(compiled(step("a"), step("b", "a", when="never"), policy=QUICK))
    life.look("10:00:00")
    life.look("10:01:00", a=done("10:01:00"))
    assert life.record("b").cause == r.FlowEnded(at("10:01:00"), "ActiveDeadlineExceeded")


def test_the_deadline_beats_what_would_fail_a_step_after_it() -> None:
    """The input was missing all the time, but before the deadline nobody had asked for it."""
    wants = gets("level", configMapKeyRef={"name": "settings", "key": "level"})
    life = Life(compiled(step("build"), step("test", "build", **wants), policy=QUICK))
    life.look("10:00:00", inputs={REF: Absent()})
    life.look("10:01:05", build=done("10:00:59"))
    assert life.record("test").cause == r.FlowEnded(at("10:01:00"), "ActiveDeadlineExceeded")
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


def test_a_job_that_is_adopted_after_the_deadline_is_deleted() -> None:
    life = Life(compiled(step("build"), policy=QUICK))
    life.look("10:00:00")
    life.look("10:00:00", build=refused(1, "10:00:00", code=500, retry_after=3600))
    decision = life.look("10:01:05", build=job(1, "10:01:00"))
    assert asks(decision) == ["record", "delete build 1"]
    assert life.phases() == "build Failed"


def test_a_skip_before_the_deadline_counts_however_late_we_look() -> None:
    life = Life(compiled(step("a"), step("b", "a", when="never"), policy=QUICK))
    life.look("10:00:00")
    life.look("12:00:00", a=done("10:00:59"))
    assert life.record("b").cause == r.ConditionFalse(at("10:00:59"))
    assert ended(life) == ("Succeeded", "FlowSucceeded")


@pytest.mark.parametrize(
    ("shutdown", "reason"),
    [pytest.param("Terminate", "Terminated", id="terminated"), pytest.param("Stop", "Stopped", id="stopped")],
)
def test_a_shutdown_beats_an_outcome(shutdown: str, reason: str) -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.jobs[StepName("build")] = (DONE,)
    life.look("10:00:41", plan=compiled(step("build"), shutdown=shutdown))
    assert life.record("build").cause == r.FlowEnded(at("10:00:41"), reason)
    assert ended(life) == ("Failed", reason)


def test_a_deletion_beats_a_shutdown() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    decision = life.look("10:00:41", plan=compiled(step("build"), shutdown="Terminate"), deleting="10:00:40")
    assert ended(life) == ("Failed", "Deleted")
    assert decision.wake_at is None, "there is no TTL to wait for"
    assert "delete build 1" in asks(decision)


def test_a_flow_that_is_over_cannot_be_terminated() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    life.look("10:00:50", plan=compiled(step("build"), shutdown="Terminate"))
    assert ended(life) == ("Succeeded", "FlowSucceeded")


# --- finally ---------------------------------------------------------------------------------------------------------


def test_finally_runs_after_a_failure() -> None:
    life = Life(compiled(step("build"), step("test", "build"), last=[step("report"), step("mail", "report")]))
    life.look("10:00:00")
    assert life.holds("report") == (r.WaitsForMain(),)
    decision = life.look("10:00:41", build=FAILED)
    assert asks(decision) == ["record", "create report 1"]
    assert flow_phase(life) is FlowPhase.RUNNING
    life.look("10:02:00", report=done("10:01:40"))
    life.look("10:03:00", mail=done("10:02:40"))
    assert life.phases() == "build Failed, test Skipped, report Succeeded, mail Succeeded"
    assert ended(life) == ("Failed", "FlowFailed")
    assert life.state is not None
    assert life.state.record.completed_at == at("10:02:40")


def test_finally_waits_for_what_drains() -> None:
    life = Life(compiled(step("bad"), step("slow"), last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:41", bad=FAILED, slow=job())
    assert life.holds("report") == (r.WaitsForMain(),)
    assert "create report 1" in asks(life.look("10:05:01", slow=done("10:05:00")))


@pytest.mark.parametrize("reason", ["deadline", "Stop"])
def test_finally_runs_after_an_end(reason: str) -> None:
    policy = QUICK if reason == "deadline" else {}
    life = Life(compiled(step("build"), last=[step("report")], policy=policy))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    stop = compiled(step("build"), last=[step("report")], shutdown="Stop")
    decision = life.look("10:01:00", plan=None if reason == "deadline" else stop)
    assert asks(decision) == ["record", "create report 1", "delete build 1"]
    life.look("10:02:00", report=done("10:01:40"))
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded" if reason == "deadline" else "Stopped")


def test_finally_does_not_run_after_a_terminate() -> None:
    life = Life(compiled(step("build"), last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    life.look("10:00:30", plan=compiled(step("build"), last=[step("report")], shutdown="Terminate"))
    assert life.phases() == "build Failed, report Skipped"
    assert ended(life) == ("Failed", "Terminated")


def test_a_stop_while_finally_runs_lets_it_and_a_terminate_ends_it() -> None:
    steps: tuple[Any, ...] = (step("build"),)
    life = Life(compiled(*steps, last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    life.look("10:00:42", report=job(1, "10:00:41"))
    life.look("10:00:50", plan=compiled(*steps, last=[step("report")], shutdown="Stop"))
    assert life.phases() == "build Succeeded, report Running"
    ends = life.look("10:00:55", plan=compiled(*steps, last=[step("report")], shutdown="Terminate"))
    assert life.phases() == "build Succeeded, report Failed"
    assert "delete report 1" in asks(ends)


def test_a_flow_that_is_stopped_before_it_starts_ends_at_once() -> None:
    life = Life(compiled(step("build"), last=[step("report")], shutdown="Stop"))
    life.look("10:00:00")
    assert life.phases() == "build Skipped, report Skipped"
    assert ended(life) == ("Failed", "Stopped")


def test_a_failure_in_finally_fails_the_flow() -> None:
    life = Life(compiled(step("build"), last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    decision = life.look("10:02:00", report=bad("10:01:40"))
    assert ended(life) == ("Failed", "FlowFailed")
    assert decision.status["conditions"][0]["message"] == "step report failed"


def test_finally_has_a_time_of_its_own() -> None:
    life = Life(compiled(step("build"), last=[step("report")], policy={"finallyDeadlineSeconds": 60}))
    life.look("10:00:00")
    assert life.look("10:00:41", build=DONE).wake_at == at("10:01:40"), "from the end of the last main step"
    life.look("10:00:42", report=job(1, "10:00:41"))
    over = life.look("10:01:40")
    assert asks(over) == ["record", "delete report 1"]
    assert life.record("report").cause == r.FlowEnded(at("10:01:40"), "FinallyDeadlineExceeded")
    assert flow_phase(life) is FlowPhase.FAILED


def test_a_when_of_finally_can_ask_how_it_went() -> None:
    last = [step("good", when="flow.phase == 'Succeeded'"), step("bad", when="flow.phase == 'Failed'")]
    life = Life(compiled(step("build"), last=last))
    life.look("10:00:00")
    life.look("10:00:41", build=FAILED)
    assert life.phases() == "build Failed, good Skipped, bad Running"
    assert life.record("good").finished_at == at("10:00:40"), "when the main steps were over, not when the flow started"


# --- approval --------------------------------------------------------------------------------------------------------

APPROVED = "approved.workflow.kube-zen.io/gate"
REJECTED = "rejected.workflow.kube-zen.io/gate"


def test_an_approval_is_asked_for_and_given() -> None:
    life = Life(compiled(manual("gate"), step("deploy", "gate"), step("other")))
    decision = life.look("10:00:00")
    assert moves(decision) == ["gate Pending→PendingApproval ApprovalRequested", "other Pending→Running Admitted"]
    assert life.holds("gate") == (r.AwaitsApproval(at("10:00:00")),)
    assert ended(life) == ("Paused", "AwaitsApproval")
    given = life.look("10:30:00", notes={APPROVED: "true"})
    assert moves(given) == ["gate PendingApproval→Succeeded Approved", "deploy Pending→Running Admitted"]
    assert flow_phase(life) is FlowPhase.RUNNING


def test_an_approval_before_it_is_asked_for_counts() -> None:
    life = Life(compiled(step("build"), manual("gate", "build"), step("deploy", "gate")))
    life.look("10:00:00", notes={APPROVED: "true"})
    assert life.phases() == "build Running, gate Pending, deploy Pending"
    life.look("10:00:41", build=DONE)
    assert life.phases() == "build Succeeded, gate Succeeded, deploy Running"


def test_a_rejection_fails_the_flow() -> None:
    life = Life(compiled(manual("gate"), step("deploy", "gate")))
    life.look("10:00:00")
    life.look("10:30:00", notes={REJECTED: "not today"})
    assert life.phases() == "gate Failed, deploy Skipped"
    assert life.record("gate").cause == r.Rejected(at("10:30:00"), why="not today")
    assert ended(life) == ("Failed", "FlowFailed")


def test_a_timeout_beats_an_approval_at_the_same_instant() -> None:
    life = Life(compiled(manual("gate", timeoutSeconds=60)))
    assert life.look("10:00:00").wake_at == at("10:01:00")
    life.look("10:01:00", notes={APPROVED: "true"})
    assert life.record("gate").cause == r.StepTimedOut(at("10:01:00"))


# --- slots -----------------------------------------------------------------------------------------------------------


def test_slots_are_handed_out_in_the_order_of_the_spec() -> None:
    life = Life(compiled(*(step(name) for name in "abc"), policy={"parallelism": 1}))
    assert asks(life.look("10:00:00")) == ["record", "create a 1"]
    assert life.holds("b") == (r.NeedsSlot(1),)
    assert asks(life.look("10:00:41", a=DONE)) == ["record", "create b 1"]
    assert asks(life.look("10:05:01", b=done("10:05:00"))) == ["record", "create c 1"]


def test_a_slot_is_freed_by_what_is_seen() -> None:
    """A step that timed out still has its Job: only when that is gone is there room for another."""
    life = Life(compiled(step("a", timeoutSeconds=60, continueOnFailure=True), step("b"), policy={"parallelism": 1}))
    life.look("10:00:00")
    life.look("10:00:01", a=job())
    assert asks(life.look("10:01:00")) == ["record", "delete a 1"]
    assert life.phases() == "a Failed, b Pending"
    assert asks(life.look("10:01:30", a=gone(1, "10:01:29"))) == ["record", "create b 1"]


def test_a_retry_queues_again() -> None:
    life = Life(compiled(step("a", retryPolicy=retry(1, 10)), step("b"), policy={"parallelism": 1}))
    life.look("10:00:00")
    assert asks(life.look("10:00:41", a=FAILED)) == ["record", "create b 1"]
    life.look("10:00:42", b=job())
    life.look("10:00:50")
    assert life.holds("a") == (r.NeedsSlot(1),)
    assert asks(life.look("10:05:01", b=done("10:05:00"))) == ["record", "create a 2"]


def test_an_approval_needs_no_slot() -> None:
    life = Life(compiled(step("a"), manual("gate"), policy={"parallelism": 1}))
    life.look("10:00:00")
    assert life.phases() == "a Running, gate PendingApproval"


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_done_job_whose_controller_is_slow_is_nudged_once() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    assert asks(life.look("10:00:30", build=job(nudge=True))) == ["nudge build 1"]
    assert asks(life.look("10:00:30", build=job())) == []


def test_a_finished_flow_is_deleted_when_its_time_is_over() -> None:
    life = Life(compiled(step("build"), policy={"ttlSecondsAfterFinished": 60}))
    life.look("10:00:00")
    assert life.look("10:00:41", build=DONE).wake_at == at("10:01:40")
    assert asks(life.look("10:01:39")) == []
    assert "delete flow" in asks(life.look("10:01:40"))


def test_a_finished_job_is_deleted_when_its_own_time_is_over() -> None:
    life = Life(compiled(step("build"), step("slow")))
    life.look("10:00:00")
    kept = job(complete="10:00:40", kept="10:01:40")
    assert life.look("10:00:41", build=kept, slow=job()).wake_at == at("10:01:40")
    assert asks(life.look("10:01:39")) == []
    assert "delete build 1" in asks(life.look("10:01:40"))


def test_a_job_that_nothing_calls_for_is_deleted() -> None:
    life = Life(compiled(step("build", retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    life.look("10:00:41", build=FAILED)
    life.look("10:00:50")
    decision = life.look("10:00:51", build=(job(1), job(2, "10:00:50")))
    assert asks(decision) == ["delete build 1"]


def test_a_job_that_poses_as_one_of_a_manual_step_is_deleted() -> None:
    life = Life(compiled(manual("gate")))
    life.look("10:00:00")
    assert asks(life.look("10:00:01", gate=job())) == ["delete gate 1"]
    assert life.phases() == "gate PendingApproval"


def test_a_spec_that_cannot_be_run_ends_at_once() -> None:
    life = Life(refused_plan(["spec.steps: there are none"]))
    decision = life.look("10:00:00")
    assert ended(life) == ("Failed", "ValidationFailed")
    assert decision.status["conditions"][0]["message"] == "spec.steps: there are none"
    assert decision.status["steps"] == []


def test_a_new_generation_is_noted() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00:00")
    decision = life.look("10:00:10", plan=compiled(step("build")))
    assert asks(decision) == ["record"] or "record" in asks(decision)
    assert decision.status["observedGeneration"] == 2


def test_a_delete_names_the_job_it_means() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    assert life.look("10:01:00").actions[-1] == DeleteJob(StepName("build"), 1, "nightly-build", "uid-1")


def test_requeue_after_is_how_long_until_the_wake() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60)))
    decision = life.look("10:00:00")
    wait = decision.requeue_after(at("10:00:20"))
    assert wait is not None
    assert wait.total_seconds() == 40
    overdue = decision.requeue_after(at("12:00:00"))
    assert overdue is not None
    assert overdue.total_seconds() == 0
    assert Life(compiled(step("build"))).look("10:00:00").requeue_after(at("10:00:00")) is None


def test_names_of_unseen_jobs_do_not_depend_on_the_look() -> None:
    create = Life(compiled(step("build"))).look("10:00:00").actions[-1]
    assert isinstance(create, CreateJob)
    assert create.name == "nightly-build-0a0a0a0a"
    assert create.body["metadata"]["name"] == create.name


# --- before the first step -------------------------------------------------------------------------------------------

CLAIM: dict[str, Any] = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
VOLUMES: dict[str, Any] = {"resourceTemplates": {"volumeClaimTemplates": [CLAIM]}}
DATA = claim("data")


def test_volumes_are_made_before_the_first_step() -> None:
    life = Life(compiled(step("build"), manual("gate"), **VOLUMES))
    assert asks(life.look("10:00:00")) == ["record", "create claim"]
    assert life.phases() == "build Pending, gate Pending"
    assert asks(life.look("10:00:01", resources={DATA: Made("u")})) == ["record", "create build 1"]


def test_a_volume_that_is_refused_for_good_ends_the_flow() -> None:
    life = Life(compiled(step("build"), last=[step("report")], **VOLUMES))
    life.look("10:00:00")
    life.look("10:00:00", resources={DATA: refused(1, "10:00:00", code=422, message="bad")})
    assert life.phases() == "build Skipped, report Skipped", "nothing has begun, so there is nothing to clean up"
    assert ended(life) == ("Failed", "ResourceRejected")


def test_a_volume_that_is_refused_for_now_is_sent_again() -> None:
    life = Life(compiled(step("build"), **VOLUMES))
    life.look("10:00:00")
    waits = life.look("10:00:00", resources={DATA: refused(1, "10:00:00", code=403, message="exceeded quota: q")})
    assert waits.wake_at is not None
    assert asks(life.look(waits.wake_at.strftime("%H:%M:%S"))) == ["record", "create claim"]


def test_a_deadline_before_the_volumes_are_there_ends_finally_too() -> None:
    life = Life(compiled(step("build"), last=[step("report")], policy=QUICK, **VOLUMES))
    life.look("10:00:00")
    life.look("10:01:00")
    assert life.phases() == "build Skipped, report Skipped"
    assert ended(life) == ("Failed", "ActiveDeadlineExceeded")


OLDER = Sibling("older", "5", at("00:00") - timedelta(hours=1), started_at=at("00:00"))


def test_a_flow_waits_for_its_group() -> None:
    life = Life(compiled(step("build"), policy=QUICK))
    decision = life.look("10:00:00", siblings=(OLDER,))
    assert asks(decision) == ["record"]
    assert decision.wake_at is None, "its clock has not started"
    assert ended(life) == ("Pending", "SiblingActive")
    assert r.FlowNotStarted() in life.holds("build")
    starts = life.look("10:30:00", siblings=())
    assert asks(starts) == ["record", "create build 1"]
    assert starts.wake_at == at("10:31:00")


def test_a_flow_that_is_replaced_ends_and_cleans_up() -> None:
    life = Life(compiled(step("build"), last=[step("report")]))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    newer = Sibling("newer", "9", at("10:00:05"), replaces=True)
    decision = life.look("10:00:05", siblings=(newer,))
    assert asks(decision) == ["record", "create report 1", "delete build 1"]
    assert life.record("build").cause == r.FlowEnded(at("10:00:05"), "Replaced")


def test_a_flow_that_is_replaced_before_its_turn_ends_at_once() -> None:
    life = Life(compiled(step("build"), last=[step("report")]))
    life.look("10:00:00", siblings=(OLDER,))
    life.look("10:00:05", siblings=(OLDER, Sibling("newer", "9", at("10:00:05"), replaces=True)))
    assert life.phases() == "build Skipped, report Skipped"
    assert ended(life) == ("Failed", "Replaced")


RETRY = {"retryOf": {"name": "older", "uid": "u"}}


def test_a_retried_flow_starts_with_what_had_succeeded() -> None:
    steps = (step("build", **OUT), step("test", "build", **gets("v", jsonPath="build:$.v")))
    life = Life(compiled(*steps, **RETRY))
    asks_for_it = life.look("10:00:00")
    assert asks_for_it.reads == (ReadOrigin("older", "u"),)
    assert flow_phase(life) is FlowPhase.PENDING
    values = {"v": r.OutputValue("x")}
    found = Origin({StepName("build"): Takeover(values, {"$.v": r.OutputValue("x")})})
    then = life.look("10:00:01", origin=found)
    assert life.phases() == "build Succeeded, test Running"
    assert args_of(then) == ["x"]
    assert life.record("build").outputs == values
    assert life.record("build").cause == r.RetriedFrom(at("10:00:01"), "older")


def test_a_flow_without_its_source_ends_with_finally() -> None:
    life = Life(compiled(step("build"), last=[step("report")], **RETRY))
    life.look("10:00:00")
    life.look("10:00:01", origin=Absent("it is gone"))
    assert life.phases() == "build Skipped, report Skipped"
    assert ended(life) == ("Failed", "RetrySourceMissing")


def test_a_status_that_is_too_large_is_written_without_its_rows() -> None:
    life = Life(compiled(step("build"), step("test", "build")))
    life.look("10:00:00")
    life.look("10:00:01", build=job())
    decision = life.look("10:00:05", status_refused="10:00:05")
    assert asks(decision) == ["record", "delete build 1"]
    record = decision.actions[0]
    assert isinstance(record, RecordStatus)
    assert [o.path for o in record.operations] == ["/status"]
    assert "steps" not in record.operations[0].value
    assert ended(life) == ("Failed", "StatusTooLarge")
    life.state = None
    again = life.look("10:00:06")
    assert "record" not in asks(again), "it is not sent again"
    assert flow_phase(life) is FlowPhase.FAILED


# --- counts and places -----------------------------------------------------------------------------------------------


def test_progress_counts_every_kind_of_end() -> None:
    life = Life(
        compiled(
            step("a"), step("b", continueOnFailure=True), step("c", when="never"), step("d", when="never"), step("e")
        )
    )
    life.look("10:00:00")
    decision = life.look("10:00:41", a=DONE, b=FAILED, e=job())
    assert decision.status["progress"] == {
        "completedSteps": 4,
        "totalSteps": 5,
        "successfulSteps": 1,
        "failedSteps": 1,
    }
    assert life.state is not None
    assert life.state.tally.skipped == 2


@pytest.mark.parametrize(("a", "b", "first"), [("10:00:20", "10:00:30", "a"), ("10:00:30", "10:00:20", "b")])
def test_of_two_failures_the_earlier_is_named(a: str, b: str, first: str) -> None:
    life = Life(compiled(step("a"), step("b"), step("c")))
    life.look("10:00:00")
    life.look("10:00:41", a=bad(a), b=bad(b), c=job())
    decision = life.look("10:01:41", c=done("10:01:40"))
    assert decision.status["conditions"][0]["message"] == f"step {first} failed"


def test_a_step_that_is_ready_later_has_its_place_in_the_line() -> None:
    life = Life(compiled(step("a"), step("b", "a"), step("c"), policy={"parallelism": 1}))
    life.look("10:00:00")
    assert life.holds("c") == (r.NeedsSlot(1),)
    assert asks(life.look("10:00:41", a=DONE)) == ["record", "create b 1"]
    assert life.holds("c") == (r.NeedsSlot(1),)
    assert asks(life.look("10:01:41", b=done("10:01:40"))) == ["record", "create c 1"]


def test_a_retry_does_not_take_the_job_of_the_attempt_before_it() -> None:
    life = Life(compiled(step("build", timeoutSeconds=60, retryPolicy=retry(1, 10))))
    life.look("10:00:00")
    life.look("10:00:41", build=FAILED)
    life.look("10:00:50")
    assert life.record("build").job is None
    assert life.record("build").started_at == at("10:00:50")
    life.look("10:00:52", build=(FAILED, job(2, "10:00:51")))
    assert life.record("build").job == JobRef("nightly-build", "uid-2")


def test_the_time_of_finally_counts_from_the_last_end_of_a_main_step() -> None:
    life = Life(compiled(step("a"), step("b"), last=[step("f"), step("g", "f")], policy={"finallyDeadlineSeconds": 60}))
    life.look("10:00:00")
    assert life.look("10:00:41", a=DONE, b=done("10:00:20")).wake_at == at("10:01:40")
    after = life.look("10:01:01", f=job(1, "10:00:41", complete="10:01:00"))
    assert after.wake_at == at("10:01:40"), "not from the end of a step of finally"
    life.look("10:01:40", g=job(1, "10:01:01"))
    assert life.record("g").cause == r.FlowEnded(at("10:01:40"), "FinallyDeadlineExceeded")


def test_a_failure_in_finally_ends_no_other_step_of_it() -> None:
    life = Life(compiled(step("a"), last=[step("f"), step("g")]))
    life.look("10:00:00")
    life.look("10:00:41", a=DONE)
    life.look("10:01:41", f=bad("10:01:40"), g=job(1, "10:00:41"))
    assert life.phases() == "a Succeeded, f Failed, g Running"


def test_finally_is_not_bound_by_the_deadline_of_the_main_steps() -> None:
    """The main steps were in time; what happens after the deadline is none of its business."""
    wants = gets("level", configMapKeyRef={"name": "settings", "key": "level"})
    life = Life(compiled(step("a"), last=[step("f", **wants)], policy=QUICK))
    life.look("10:00:00")
    life.look("10:00:41", a=DONE)
    life.look("10:01:30", inputs={REF: Absent("gone")})
    assert life.record("f").cause == r.InputMissing(at("10:01:30"), "level", "gone")
    assert ended(life) == ("Failed", "FlowFailed")


def test_at_the_deadline_itself_it_wins_over_what_would_fail_a_step() -> None:
    wants = gets("level", configMapKeyRef={"name": "settings", "key": "level"})
    life = Life(compiled(step("build"), step("test", "build", **wants), policy=QUICK))
    life.look("10:00:00", inputs={REF: Absent()})
    life.look("10:01:00", build=done("10:00:59"))
    assert life.record("test").cause == r.FlowEnded(at("10:01:00"), "ActiveDeadlineExceeded")


# --- said once -------------------------------------------------------------------------------------------------------


def test_the_spec_that_was_started_is_known_by_its_hash() -> None:
    plan = compiled(step("build"))
    life = Life(plan)
    assert life.look("10:00:00").status["specHash"] == plan.fingerprint
    edited = compiled(step("build"), step("more"))
    assert edited.fingerprint != plan.fingerprint
    assert life.look("10:00:41", plan=edited).status["specHash"] == plan.fingerprint


def test_a_flow_that_was_ended_is_over_when_it_was_ended() -> None:
    """Not when the last of its steps that were over by then had ended."""
    life = Life(compiled(step("a"), step("b", "a"), step("c", "b"), policy=QUICK))
    life.look("10:00:00")
    life.look("10:00:21", a=done("10:00:20"))
    life.look("10:01:05", b=job(1, "10:00:21"))
    assert life.state is not None
    assert life.state.record.completed_at == at("10:01:00")


def test_a_flow_is_deleted_once() -> None:
    life = Life(compiled(step("build"), policy={"ttlSecondsAfterFinished": 60}))
    life.look("10:00:00")
    life.look("10:00:41", build=DONE)
    expired = life.look("10:01:40")
    assert "delete flow" in asks(expired)
    assert advance(expired.state, Observed(), at("10:01:41")).actions == ()
    assert (
        advance(expired.state, Observed(jobs={StepName("build"): (gone(1, "10:01:41"),)}), at("10:01:41")).actions == ()
    )


def test_a_volume_is_asked_for_once() -> None:
    life = Life(compiled(step("build"), step("gate", "build"), **VOLUMES))
    first = life.look("10:00:00")
    assert asks(first) == ["record", "create claim"]
    assert advance(first.state, Observed(), at("10:00:01")).actions == ()
    made = life.look("10:00:01", resources={DATA: Made("u")})
    assert made.state.record.resources == (DATA,)
    life.resources.clear()
    life.state = None
    assert "create claim" not in asks(life.look("10:00:02", build=job(1, "10:00:01"))), "it was made once"
