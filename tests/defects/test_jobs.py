"""How Jobs are created, and how what they say is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.defects.lives import HANGS, Life, fails, flow, retried, step, succeeds, template
from zenflow_core.actions import Action, CreateJob, RecordStatus
from zenflow_testing.errors import ApiError

ONE = flow(step("a"), step("b", "a"), step("c", "b"))


def nth(number: int, kind: type[Action]) -> Callable[[Action], bool]:
    """True for the n-th action of that kind."""
    seen = [0]

    def dies_before(action: Action) -> bool:
        seen[0] += isinstance(action, kind)
        return isinstance(action, kind) and seen[0] == number

    return dies_before


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(pytest.param(CreateJob, n, id=f"before create {n}") for n in (1, 2, 3)),
        *(pytest.param(RecordStatus, n, id=f"before status {n}") for n in (1, 2, 3, 4)),
    ],
)
def test_no_crash_between_creating_a_job_and_noting_it_fails_the_flow(kind: type[Action], number: int) -> None:
    """Whenever the operator dies, the next one finds the Job and goes on; no Job is made twice."""
    life = Life(ONE)
    life.operator.dies_before = nth(number, kind)
    life.to_the_end()
    assert life.crashes == 1
    assert life.phase() == "Succeeded"
    assert len(life.jobs()) == 3
    assert len(set(life.created())) == 3


@pytest.mark.parametrize("lost", ["create Job", "patch JobFlow/status"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_lost_answer_fails_the_flow(lost: str, number: int) -> None:
    """The request was carried out, and nobody was told: the Job that exists is taken as what it is."""
    life = Life(ONE)
    sent: list[str] = []

    def swallow(verb: str, kind: str, name: str, _body: Any) -> ApiError | None:
        if f"{verb} {kind}" != lost:
            return None
        sent.append(name)
        return ApiError(504, "Timeout", message="the answer was lost") if len(sent) == number else None

    life.swallows = swallow
    life.to_the_end()
    assert len(sent) >= number
    assert life.phase() == "Succeeded"
    assert len(life.jobs()) == 3


def test_no_annotation_written_at_the_wrong_moment_fails_the_flow() -> None:
    """A user who edits the flow between our read and our write costs a second look, and nothing else."""
    life = Life(ONE)
    edits = [0]

    def meanwhile(verb: str, kind: str, _name: str, _body: Any) -> None:
        if (verb, kind) == ("patch", "JobFlow/status") and edits[0] < 5:
            edits[0] += 1
            life.annotate("somebody/was-here", str(edits[0]))

    life.answers = meanwhile
    life.to_the_end()
    assert edits[0] == 5
    assert life.phase() == "Succeeded"
    assert len(life.created()) == len(life.jobs()) == 3


def test_no_other_steps_trouble_makes_a_job_be_created_twice() -> None:
    """One create of several at one instant is refused for now: those before it stay as they are."""
    life = Life(flow(step("a"), step("b"), step("c")))
    refused: list[str] = []

    def overloaded(verb: str, kind: str, name: str, _body: Any) -> ApiError | None:
        if (verb, kind) == ("create", "Job") and "-c-" in name and len(refused) < 3:
            refused.append(name)
            return ApiError(503, "ServiceUnavailable", message="the server is currently unable to handle the request")
        return None

    life.answers = overloaded
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert [name.split("-")[1] for name in life.created()] == ["a", "b", "c", "c", "c", "c"]
    assert life.row("c").get("retryCount", 0) == 0
    assert life.ended_after() == 1 + 2 + 4 + 10


def test_no_old_view_of_the_jobs_reports_a_failure_that_never_was() -> None:
    """With a watch on Jobs that is behind, the flow waits for the news; no step fails meanwhile."""
    life = Life(ONE)
    life.operator.freeze("Job")
    life.after(300)
    assert "Failed" not in life.phases().values()
    life.operator.thaw("Job")
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert len(life.created()) == 3


@pytest.mark.parametrize(
    ("job", "counters"),
    [
        pytest.param({"backoffLimit": 3}, {"failed": 1, "active": 1, "ready": 1}, id="a Pod that the Job replaces"),
        pytest.param({"completions": 3, "parallelism": 1}, {"succeeded": 1, "active": 1}, id="the first of three Pods"),
        pytest.param({"completions": 3, "parallelism": 3}, {"succeeded": 2, "failed": 1, "active": 1}, id="both"),
    ],
)
def test_no_counter_of_a_job_decides_its_step(job: dict[str, Any], counters: dict[str, int]) -> None:
    """Neither the first failed Pod fails the step, nor does the first one that succeeds start the next step."""
    life = Life(flow(step("a", template=template(job=job)), step("b", "a")), a=[succeeds(20)])
    life.after(5)
    report(life, "a", **counters)
    life.after(6)
    assert life.phases() == {"a": "Running", "b": "Pending"}
    life.to_the_end()
    assert life.phases() == {"a": "Succeeded", "b": "Succeeded"}
    assert life.ran_for("a") == 20


def report(life: Life, name: str, **fields: Any) -> None:
    """The step's Job says this in its status, too."""
    job = life.job(name)
    whole = [{"op": "add", "path": "/status", "value": {**job.get("status", {}), **fields}}]
    name = job["metadata"]["name"]
    life.by_hand(lambda c: c.patch_json("Job", "default", name, whole, subresource="status"))


def test_no_announcement_of_a_failure_is_taken_for_the_failure() -> None:
    """`FailureTarget` comes while Pods still run; the step is over, and its retry due, when `Failed` comes."""
    life = Life(flow(step("a", retryPolicy=retried(1))), a=[HANGS, succeeds()])
    life.after(5)
    at = "2026-01-01T00:00:05Z"
    told = {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy", "lastTransitionTime": at}
    report(life, "a", conditions=[told])
    life.after(60)
    assert life.phases() == {"a": "Running"}
    assert len(life.created()) == 1


def test_no_pod_survives_the_timeout_of_its_step() -> None:
    """The Job of an attempt that has timed out is deleted with its Pods, not orphaned from them."""
    life = Life(flow(step("a", timeoutSeconds=30)), a=[HANGS])
    life.after(29)
    assert len(life.pods()) == 1
    life.to_the_end().after(120)
    assert life.reasons() == {"a": "StepTimedOut"}
    assert life.pods() == []
    assert life.jobs() == []


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        pytest.param(ApiError(422, "Invalid", message="Job is invalid: timeout"), "Failed", id="an invalid Job"),
        pytest.param(ApiError(400, "BadRequest", message="connection reset"), "Failed", id="a bad request"),
        pytest.param(
            ApiError(403, "Forbidden", message='admission webhook "x" denied the request: timeout'),
            "Failed",
            id="denied",
        ),
        pytest.param(ApiError(403, "Forbidden", message="exceeded quota: compute"), "Succeeded", id="quota"),
        pytest.param(ApiError(429, "TooManyRequests", message="slow down", retry_after=5), "Succeeded", id="429"),
        pytest.param(ApiError(500, "InternalError", message="etcd is not well"), "Succeeded", id="500"),
        pytest.param(ApiError(503, "ServiceUnavailable", message="no"), "Succeeded", id="503"),
        pytest.param(ApiError(504, "Timeout", message="context deadline exceeded"), "Succeeded", id="504"),
    ],
)
def test_no_word_in_a_message_decides_whether_a_refused_job_is_tried_again(error: ApiError, phase: str) -> None:
    """A step called `timeout` whose Job is invalid fails at once; trouble that passes fails nothing."""
    life = Life(flow(step("timeout")))
    refusals: list[str] = []

    def refuse(verb: str, kind: str, name: str, _body: Any) -> ApiError | None:
        if (verb, kind) == ("create", "Job") and len(refusals) < 4:
            refusals.append(name)
            return error
        return None

    life.answers = refuse
    life.to_the_end()
    assert life.phase() == phase
    assert len(refusals) == (1 if phase == "Failed" else 4)


def test_no_retry_is_burnt_on_a_job_that_the_server_does_not_take() -> None:
    """A create that is refused again and again is spaced out, and is no attempt: the retries are there afterwards."""
    life = Life(flow(step("a", retryPolicy=retried(1))), a=[fails(), succeeds()])
    opens = life.clock.now.replace(minute=10)

    def full(verb: str, kind: str, _name: str, _body: Any) -> ApiError | None:
        if (verb, kind) == ("create", "Job") and life.clock.now < opens:
            return ApiError(403, "Forbidden", message="exceeded quota: compute")
        return None

    life.answers = full
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert life.row("a")["retryCount"] == 1
    assert len(life.created()) <= 6 + 10 + 2


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a" * 63, id="63 characters"),
        pytest.param("a" * 253, id="253 characters"),
        pytest.param("build.image.v1", id="dots"),
        pytest.param("x." * 60 + "y", id="many dots"),
    ],
)
def test_no_step_name_is_too_long_for_its_job(name: str) -> None:
    """Names that the API takes run, whatever the length of Job names and label values; no two of them collide."""
    twin = name[:-1] + "z"
    life = Life(flow(step(name), step(twin, name), name="f" * 50)).to_the_end()
    assert life.phases("f" * 50) == {name: "Succeeded", twin: "Succeeded"}
    assert len({job["metadata"]["name"] for job in life.jobs()}) == 2
    assert all(len(job["metadata"]["name"]) <= 63 for job in life.jobs())


def test_no_job_of_somebody_else_is_taken_over() -> None:
    """A Job that has our name but not our owner is left alone, and the step says what is in its way."""
    life = Life(flow(step("a")))
    with life.cluster.without_hooks():
        uid = life.cluster.get("JobFlow", "default", "flow")["metadata"]["uid"]
    foreign = {"metadata": {"name": f"flow-a-{uid[:8]}"}, "spec": template()["spec"]}
    life.by_hand(lambda c: c.create("Job", foreign, namespace="default"))
    life.to_the_end()
    assert life.reasons() == {"a": "JobNameTaken"}
    assert f"flow-a-{uid[:8]}" in life.row("a")["message"]
    life.after(2 * 86_400)
    assert [job["metadata"]["name"] for job in life.jobs()] == [f"flow-a-{uid[:8]}"]


@pytest.mark.parametrize(
    ("kind", "part", "body"),
    [
        pytest.param(
            "ConfigMap", "configMapTemplates", {"metadata": {"name": "data"}, "data": {"a": "b"}}, id="ConfigMap"
        ),
        pytest.param(
            "PersistentVolumeClaim",
            "volumeClaimTemplates",
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
            id="claim",
        ),
    ],
)
def test_no_object_of_somebody_else_is_used_as_the_flows_own(kind: str, part: str, body: dict[str, Any]) -> None:
    """A claim or ConfigMap that is there already and belongs to nobody of us stops the flow before its first step."""
    life = Life(flow(step("a"), resourceTemplates={part: [body]}))
    foreign = {**body, "metadata": {"name": "flow-data", "labels": {"of": "somebody"}}}
    life.by_hand(lambda c: c.create(kind, foreign, namespace="default"))
    life.to_the_end()
    assert life.phase() == "Failed"
    assert life.reason() == "ResourceNameTaken"
    assert life.created() == []
    left = life.cluster.get(kind, "default", "flow-data")["metadata"]
    assert left["labels"] == {"of": "somebody"}
    assert "ownerReferences" not in left


def test_no_step_runs_without_the_objects_that_its_flow_makes() -> None:
    """Resource templates become objects named after the flow, owned by it, before the first Job, and made once."""
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}  # type: ignore[index]  # a nested literal is an object
    life = Life(flow(step("a"), step("b", "a"), resourceTemplates={"volumeClaimTemplates": [claim]}))
    life.to_the_end()
    made = [f"{kind} {name}" for verb, kind, name in life.requests if verb == "create"]
    assert made[0] == "PersistentVolumeClaim flow-data"
    assert made.count("PersistentVolumeClaim flow-data") == 1
    owner = life.cluster.get("PersistentVolumeClaim", "default", "flow-data")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("JobFlow", "flow", True)
