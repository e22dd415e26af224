"""Whole lives of flows: the real operator, a real API server with its controllers, and a node that only pretends.

How each life ends is what the simulation says, too; here it is real Jobs, conditions, deletes and collections that
bring it about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.types import CascadeType, PatchType

from tests.cluster.accounts import EVERYWHERE, Request, audited, requests_of, user_of
from tests.cluster.controlplane import ControlPlane, Job, JobFlow, PersistentVolume, Pod, eventually
from tests.cluster.operators import (
    Operating,
    a_flow,
    a_step,
    ended,
    example,
    jobs_of,
    operator,
    phases,
    reached,
    rows,
    status_of,
)

FOREVER = {"seconds": "forever"}


@pytest.fixture(scope="module", autouse=True)
def operating(plane: ControlPlane) -> Iterator[Operating]:
    """One operator for all tests of this file. The server refused it nothing but what is meant to be refused."""
    # What operators of other tests have asked for is not looked at: some were killed in the middle of a request, which
    # the audit log has as one that was not answered in time (504).
    before = audited(plane)
    with operator(plane) as running:
        yield running
        asked = requests_of(plane, user_of(EVERYWHERE), since=before)
        refused = {(each.use.verb, each.use.resource, each.code) for each in asked if _was_refused(each)}
    assert refused <= LEGITIMATE


def _was_refused(request: Request) -> bool:
    """Gone (404) and changed meanwhile (409) are what any client must expect of a cluster that others work on."""
    return request.code >= 400 and request.code not in (404, 409)


LEGITIMATE = {
    ("create", "jobs", 422),  # a template that is meant to be refused
    ("create", "events", 403),  # the namespace of a test that is over is being deleted
}


def condition(status: Any, kind: str) -> Any:
    return next((each for each in status["conditions"] if each["type"] == kind), None)


def is_there(client: lightkube.Client, kind: Any, name: str) -> bool:
    try:
        client.get(kind, name)
    except ApiError as refusal:
        if refusal.status.code == 404:
            return False
        raise
    return True


def test_hello_linear(client: lightkube.Client, namespace: str) -> None:
    client.create(example("hello-linear", namespace))
    status = ended(client, "hello-linear")
    assert status["phase"] == "Succeeded"
    assert phases(status) == {"greet": "Succeeded", "work": "Succeeded", "say-goodbye": "Succeeded"}
    assert condition(status, "Complete")["status"] == "True"
    jobs = {job["metadata"]["labels"]["workflow.kube-zen.io/step"]: job for job in jobs_of(client, "hello-linear")}
    assert list(jobs) == ["greet", "say-goodbye", "work"]
    for name, row in rows(status).items():
        assert row["jobRef"]["uid"] == jobs[name]["metadata"]["uid"]
    # Each begins when the one before is Complete, by the API server's own clock.
    done = {name: job["status"]["completionTime"] for name, job in jobs.items()}
    begun = {name: job["metadata"]["creationTimestamp"] for name, job in jobs.items()}
    assert done["greet"] <= begun["work"]
    assert done["work"] <= begun["say-goodbye"]


def test_etl_diamond(client: lightkube.Client, namespace: str) -> None:
    client.create(example("etl-diamond", namespace))
    status = ended(client, "etl-diamond")
    assert status["phase"] == "Succeeded"
    assert set(phases(status).values()) == {"Succeeded"}
    jobs = jobs_of(client, "etl-diamond")
    assert len(jobs) == 6
    assert all(job["metadata"]["ownerReferences"][0]["kind"] == "JobFlow" for job in jobs)


@pytest.fixture
def volume(plane: ControlPlane, namespace: str) -> Iterator[str]:
    """What the claim of release-train can be bound to."""
    name = f"volume-of-{namespace}"
    spec = {
        "capacity": {"storage": "5Gi"},
        "accessModes": ["ReadWriteMany"],
        "hostPath": {"path": "/nonexistent"},
        "claimRef": {"namespace": namespace, "name": "release-train-src"},
    }
    with closing(plane.client()) as client:
        client.create(PersistentVolume.from_dict({"metadata": {"name": name}, "spec": spec}))
        yield name
        client.delete(PersistentVolume, name)


@pytest.mark.usefixtures("volume")
def test_release_train_waits_for_its_approval(client: lightkube.Client, namespace: str) -> None:
    digest = "sha256:0123456789abcdef"
    client.create(example("release-train", namespace, {"image": {"message": f'{{"digest": "{digest}"}}'}}))
    status = reached(client, "release-train", "Paused", "Failed")
    assert phases(status)["approve-production"] == "PendingApproval"
    assert phases(status)["deploy"] == "Pending"
    annotation = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/approve-production": "true"}}}
    client.patch(JobFlow, "release-train", annotation, patch_type=PatchType.MERGE)
    status = ended(client, "release-train")
    assert status["phase"] == "Succeeded"
    assert set(phases(status).values()) == {"Succeeded"}
    deploy = client.get(Job, rows(status)["deploy"]["jobRef"]["name"])
    assert deploy["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "DIGEST", "value": digest}]


def test_a_failed_attempt_is_tried_again(client: lightkube.Client) -> None:
    plays = {"exit-code": "3,0", "series": "flaky", "seconds": "0"}
    retry = {"limit": 2, "backoff": {"type": "Fixed", "duration": "1s"}}
    client.create(a_flow("again", a_step("flaky", plays=plays, retryPolicy=retry), a_step("after", "flaky")))
    status = ended(client, "again")
    assert (status["phase"], phases(status)) == ("Succeeded", {"flaky": "Succeeded", "after": "Succeeded"})
    assert rows(status)["flaky"]["retryCount"] == 1
    names = [job["metadata"]["name"] for job in jobs_of(client, "again")]
    assert sum(name.startswith("again-flaky-") for name in names) == 2
    assert sum(name.endswith("-r1") for name in names) == 1


def test_a_step_out_of_retries_fails_its_flow(client: lightkube.Client) -> None:
    retry = {"limit": 1, "backoff": {"type": "Fixed", "duration": "1s"}}
    broken = a_step("broken", plays={"exit-code": "1", "seconds": "0"}, retryPolicy=retry)
    client.create(a_flow("broken", broken, a_step("after", "broken")))
    status = ended(client, "broken")
    assert (status["phase"], phases(status)) == ("Failed", {"broken": "Failed", "after": "Skipped"})
    assert rows(status)["broken"]["reason"] == "RetriesExhausted"
    assert condition(status, "Failed")["status"] == "True"
    assert len(jobs_of(client, "broken")) == 2


def test_a_step_that_outlives_its_time_is_ended_with_its_pods(client: lightkube.Client) -> None:
    client.create(a_flow("slow", a_step("slow", plays=FOREVER, timeoutSeconds=2)))
    status = ended(client, "slow")
    assert (status["phase"], rows(status)["slow"]["reason"]) == ("Failed", "StepTimedOut")
    eventually(lambda: not jobs_of(client, "slow"), "the Job to go")
    eventually(lambda: not list(client.list(Pod)), "its Pod to go")


def test_a_condition_decides(client: lightkube.Client) -> None:
    first = a_step(
        "first",
        outputs={"parameters": [{"name": "n", "valueFrom": {"jsonPath": "$.n"}}]},
        plays={"message": '{"n": 3}'},
    )
    many = a_step("many", "first", when="int(steps.first.outputs.parameters.n) > 2")
    few = a_step("few", "first", when="int(steps.first.outputs.parameters.n) <= 2")
    client.create(a_flow("which", first, many, few))
    status = ended(client, "which")
    assert status["phase"] == "Succeeded"
    assert phases(status) == {"first": "Succeeded", "many": "Succeeded", "few": "Skipped"}


def test_no_more_steps_run_than_parallelism_allows(client: lightkube.Client) -> None:
    steps = [a_step(f"s{number}") for number in range(6)]
    client.create(a_flow("narrow", *steps, executionPolicy={"parallelism": 2}))
    assert ended(client, "narrow")["phase"] == "Succeeded"
    jobs = jobs_of(client, "narrow")
    assert len(jobs) == 6
    for job in jobs:
        begun = job["metadata"]["creationTimestamp"]
        beside = [o for o in jobs if o["metadata"]["creationTimestamp"] < begun < o["status"]["completionTime"]]
        assert len(beside) <= 1


def test_a_suspended_flow_starts_when_it_is_resumed(client: lightkube.Client) -> None:
    client.create(a_flow("held", a_step("one"), suspend=True))
    assert phases(reached(client, "held", "Suspended")) == {"one": "Pending"}
    assert jobs_of(client, "held") == []
    client.patch(JobFlow, "held", {"spec": {"suspend": False}}, patch_type=PatchType.MERGE)
    assert ended(client, "held")["phase"] == "Succeeded"


def test_a_flow_told_to_terminate_takes_its_jobs_along(client: lightkube.Client) -> None:
    client.create(a_flow("doomed", a_step("one", plays=FOREVER), a_step("two", "one")))
    eventually(lambda: jobs_of(client, "doomed"), "a Job")
    client.patch(JobFlow, "doomed", {"spec": {"shutdown": "Terminate"}}, patch_type=PatchType.MERGE)
    status = ended(client, "doomed")
    assert (status["phase"], phases(status)) == ("Failed", {"one": "Failed", "two": "Skipped"})
    eventually(lambda: not jobs_of(client, "doomed") and not list(client.list(Pod)), "Job and Pod to go")


def test_a_finished_flow_goes_when_its_time_is_up(client: lightkube.Client) -> None:
    client.create(a_flow("brief", a_step("one"), executionPolicy={"ttlSecondsAfterFinished": 1}))
    eventually(lambda: not is_there(client, JobFlow, "brief"), "the flow to go")
    eventually(lambda: not jobs_of(client, "brief") and not list(client.list(Pod)), "what it owned to go")


def test_a_deleted_flow_leaves_nothing_behind(client: lightkube.Client) -> None:
    client.create(a_flow("gone", a_step("one", plays=FOREVER)))
    eventually(lambda: list(client.list(Pod)), "a Pod")
    client.delete(JobFlow, "gone", cascade=CascadeType.BACKGROUND)
    eventually(lambda: not jobs_of(client, "gone") and not list(client.list(Pod)), "Job and Pod to go", within=20)


def test_a_job_that_somebody_deletes_is_lost(client: lightkube.Client) -> None:
    client.create(a_flow("robbed", a_step("one", plays=FOREVER)))
    (job,) = eventually(lambda: jobs_of(client, "robbed"), "a Job")
    # Known by its uid: before that, a Job that is not there may be one that was never made.
    eventually(lambda: status_of(client, "robbed").get("phase") == "Running", "the flow to run")
    client.delete(Job, job["metadata"]["name"], cascade=CascadeType.BACKGROUND)
    status = ended(client, "robbed")
    assert (status["phase"], rows(status)["one"]["reason"]) == ("Failed", "JobLost")


def test_a_job_that_the_server_refuses_fails_its_step(client: lightkube.Client) -> None:
    step = a_step("one")
    step["template"]["spec"]["template"]["spec"]["nodeSelector"] = {"a/b/c": "d"}
    client.create(a_flow("refused", step, a_step("other")))
    status = ended(client, "refused")
    assert (status["phase"], rows(status)["one"]["reason"]) == ("Failed", "JobRejected")
    assert "nodeSelector" in rows(status)["one"]["message"]
