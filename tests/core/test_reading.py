"""Raw objects become sightings: by conditions alone, whatever else they hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.names import ANNOTATION_STEP, LABEL_ATTEMPT, LABEL_STEP, label_value
from zenflow_core.observation import ACTIVE, Absent, Complete, Failed, FlowSeen, JobOutcome, Present, Seen
from zenflow_core.reading import (
    JobIdentity,
    main_container,
    owes_nudge,
    parse_attempt,
    read_flow_seen,
    read_job,
    termination_result,
)
from zenflow_core.spec import StepName

FLOW_UID = "0a0a0a0a-0000-4000-8000-000000000001"
JOB_UID = "11111111-2222-4333-8444-555555555555"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2030-01-01T{clock}Z").astimezone(UTC)


def stamp(clock: str) -> str:
    return f"2030-01-01T{clock}Z"


OWNER = {
    "apiVersion": "workflow.kube-zen.io/v1alpha1",
    "kind": "JobFlow",
    "name": "nightly",
    "uid": FLOW_UID,
    "controller": True,
    "blockOwnerDeletion": True,
}


def job(*, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A Job of ours, created at ten o'clock, for attempt 1 of step build."""
    return {
        "metadata": {
            "name": "nightly-build-0a0a0a0a",
            "uid": JOB_UID,
            "creationTimestamp": stamp("10:00:00"),
            "labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "1"},
            "annotations": {ANNOTATION_STEP: "build"},
            "ownerReferences": [OWNER],
            **metadata,
        },
        "spec": spec or {},
        "status": status or {},
    }


def condition(kind: str, clock: str | None = "10:05:00", *, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **({"lastTransitionTime": stamp(clock)} if clock else {}), **more}


LONG = "s" * 70


@pytest.mark.parametrize(
    ("metadata", "identity"),
    [
        pytest.param({}, JobIdentity(FLOW_UID, "nightly", StepName("build"), 1), id="ours"),
        pytest.param(
            {"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "12"}},
            JobIdentity(FLOW_UID, "nightly", StepName("build"), 12),
            id="attempt 12",
        ),
        pytest.param(
            {"annotations": {}},
            JobIdentity(FLOW_UID, "nightly", StepName("build"), 1),
            id="a label is enough if it fits",
        ),
        pytest.param(
            {
                "labels": {LABEL_STEP: label_value(LONG), LABEL_ATTEMPT: "1"},
                "annotations": {ANNOTATION_STEP: LONG},
            },
            JobIdentity(FLOW_UID, "nightly", StepName(LONG), 1),
            id="the annotation has the full name",
        ),
        pytest.param({"annotations": {ANNOTATION_STEP: "deploy"}}, None, id="annotation and label disagree"),
        pytest.param({"ownerReferences": []}, None, id="no owner"),
        pytest.param({"ownerReferences": [{**OWNER, "controller": False}]}, None, id="an owner that does not control"),
        pytest.param({"ownerReferences": [{**OWNER, "kind": "CronJob"}]}, None, id="a controller of another kind"),
        pytest.param(
            {"ownerReferences": [{**OWNER, "apiVersion": "flow.volcano.sh/v1alpha1"}]},
            None,
            id="a JobFlow of another group",
        ),
        pytest.param(
            {"ownerReferences": [{**OWNER, "controller": None, "kind": "Pipeline"}, OWNER]},
            JobIdentity(FLOW_UID, "nightly", StepName("build"), 1),
            id="a second owner stands before",
        ),
        pytest.param({"labels": None}, None, id="no labels"),
        pytest.param({"labels": {LABEL_STEP: "build"}}, None, id="no attempt"),
        pytest.param({"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "0"}}, None, id="attempt 0"),
        pytest.param({"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "01"}}, None, id="attempt 01"),
        pytest.param({"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "-1"}}, None, id="attempt -1"),
        pytest.param({"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "१"}}, None, id="attempt in another script"),
        pytest.param({"labels": {LABEL_STEP: "build", LABEL_ATTEMPT: "1" * 5000}}, None, id="an endless attempt"),
        pytest.param({"labels": {LABEL_ATTEMPT: "1"}}, None, id="no step"),
    ],
)
def test_a_job_says_what_it_is(metadata: dict[str, Any], identity: JobIdentity | None) -> None:
    assert parse_attempt(job(**metadata)) == identity
    assert (read_job(job(**metadata)) is None) is (identity is None)


COMPLETE = condition("Complete")
FAILED = condition("Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
THEN_FAILED = Failed(at("10:05:00"), "BackoffLimitExceeded", "Job has reached the specified backoff limit")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param({}, ACTIVE, id="a Job without status"),
        pytest.param({"succeeded": 1}, ACTIVE, id="counters decide nothing"),
        pytest.param({"conditions": None}, ACTIVE, id="no conditions"),
        pytest.param({"conditions": [condition("SuccessCriteriaMet")]}, ACTIVE, id="Pods may still terminate"),
        pytest.param(
            {"conditions": [condition("FailureTarget")]}, ACTIVE, id="Pods may still terminate after a failure"
        ),
        pytest.param({"conditions": [condition("Complete", status="False")]}, ACTIVE, id="Complete is False"),
        pytest.param(
            {"conditions": [condition("Complete", status="true")]}, ACTIVE, id="status is spelt as the API does"
        ),
        pytest.param({"conditions": [COMPLETE]}, Complete(at("10:05:00")), id="Complete"),
        pytest.param(
            {"conditions": [COMPLETE], "completionTime": stamp("10:04:59")},
            Complete(at("10:04:59")),
            id="completionTime is when it completed",
        ),
        pytest.param(
            {"conditions": [condition("Complete", None)]},
            Complete(at("10:00:00")),
            id="no instant anywhere is the creation",
        ),
        pytest.param(
            {"conditions": [condition("SuccessCriteriaMet"), condition("NewInKubernetes"), COMPLETE]},
            Complete(at("10:05:00")),
            id="Complete stands last",
        ),
        pytest.param({"conditions": [FAILED]}, THEN_FAILED, id="Failed"),
        pytest.param(
            {"conditions": [FAILED], "completionTime": stamp("11:00:00")},
            THEN_FAILED,
            id="a failure's instant is its own",
        ),
        pytest.param(
            {"conditions": [condition("Failed", None)]}, Failed(at("10:00:00")), id="a failure without an instant"
        ),
        pytest.param(
            {"conditions": [condition("Complete", status="False"), FAILED]}, THEN_FAILED, id="not Complete, Failed"
        ),
        pytest.param({"conditions": [COMPLETE, FAILED]}, THEN_FAILED, id="both at once is a failure"),
        pytest.param(
            {"conditions": [condition("Complete", None) | {"lastTransitionTime": "2030-01-01T10:05:00.9Z"}]},
            Complete(at("10:05:00")),
            id="parts of a second are cut off",
        ),
    ],
)
def test_a_job_ends_by_its_conditions(status: dict[str, Any], outcome: JobOutcome) -> None:
    seen = read_job(job(status=status))
    assert seen is not None
    assert seen.outcome == outcome
    assert seen.live is (outcome == ACTIVE)


@given(st.permutations([condition("SuccessCriteriaMet"), condition("Suspended", status="False"), COMPLETE]))
def test_the_order_of_conditions_means_nothing(conditions: list[dict[str, str]]) -> None:
    assert read_job(job(status={"conditions": conditions})) == Seen(
        attempt=1,
        name="nightly-build-0a0a0a0a",
        uid=JOB_UID,
        created_at=at("10:00:00"),
        outcome=Complete(at("10:05:00")),
        document={"status": {"conditions": conditions}, "metadata": job()["metadata"]},
    )


@pytest.mark.parametrize(
    ("spec", "conditions", "since"),
    [
        pytest.param({}, [], None, id="runs"),
        pytest.param({"suspend": True}, [], "10:00:00", id="created suspended"),
        pytest.param({"suspend": True}, [condition("Suspended")], "10:05:00", id="the condition says since when"),
        pytest.param(
            {"suspend": False}, [condition("Suspended")], "10:05:00", id="resumed but its controller is behind"
        ),
        pytest.param({"suspend": False}, [condition("Suspended", status="False")], None, id="resumed"),
        pytest.param(
            {"suspend": True},
            [condition("Suspended", status="False")],
            None,
            id="suspended again, controller is behind",
        ),
        pytest.param(
            {"suspend": True}, [condition("Suspended", None)], "10:00:00", id="a condition without an instant"
        ),
        pytest.param({"suspend": True}, [condition("Suspended"), FAILED], None, id="over is not suspended"),
    ],
)
def test_a_job_is_suspended(spec: dict[str, Any], conditions: list[dict[str, str]], since: str | None) -> None:
    seen = read_job(job(spec=spec, status={"conditions": conditions}))
    assert seen is not None
    assert seen.suspended_since == (since and at(since))


def test_the_document_is_shared_and_only_that_of_a_complete_job() -> None:
    complete = job(status={"conditions": [COMPLETE], "succeeded": 1})
    seen = read_job(complete)
    assert seen is not None
    assert seen.document["status"] is complete["status"]
    assert seen.document["metadata"] is complete["metadata"]
    running = read_job(job(status={"active": 1}))
    assert running is not None
    assert running.document == {}


def test_a_job_that_is_being_deleted_says_so() -> None:
    seen = read_job(job(deletionTimestamp=stamp("10:01:00"), finalizers=["foregroundDeletion"]))
    assert seen is not None
    assert seen.deleting


def test_an_unreadable_instant_is_told() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        read_job(job(creationTimestamp="yesterday"))


def test_a_flow_is_seen() -> None:
    flow = {
        "metadata": {
            "name": "nightly",
            "namespace": "ci",
            "uid": FLOW_UID,
            "creationTimestamp": stamp("09:00:00"),
            "deletionTimestamp": stamp("09:30:00"),
            "generation": 3,
            "labels": {"team": "data"},
            "annotations": {"a": "b"},
        }
    }
    assert read_flow_seen(flow) == FlowSeen(
        "nightly", "ci", FLOW_UID, at("09:00:00"), {"team": "data"}, {"a": "b"}, at("09:30:00"), 3, "nightly"
    )


@pytest.mark.parametrize(
    ("finalizers", "then"),
    [
        pytest.param(["orphan"], True, id="its Jobs are to live on"),
        pytest.param(["foregroundDeletion"], False, id="its Jobs go first"),
        pytest.param(["example.com/audit"], False, id="somebody else holds it"),
        pytest.param([], False, id="nobody holds it"),
    ],
)
@pytest.mark.parametrize("going", [True, False])
def test_a_flow_that_is_deleted_may_leave_its_jobs(finalizers: list[str], then: bool, going: bool) -> None:
    metadata: dict[str, Any] = {"name": "a", "namespace": "b", "uid": "c", "creationTimestamp": stamp("09:00:00")}
    metadata |= {"finalizers": finalizers} | ({"deletionTimestamp": stamp("09:30:00")} if going else {})
    assert read_flow_seen({"metadata": metadata}).orphans_jobs is (then and going)


def test_a_flow_that_was_never_stored_is_told() -> None:
    with pytest.raises(ValueError, match=r"metadata\.uid: is missing"):
        read_flow_seen({"metadata": {"name": "nightly", "namespace": "ci"}})


def pods(*phases: str | None) -> list[dict[str, Any]]:
    return [{"status": {"phase": phase} if phase else {}} for phase in phases]


@pytest.mark.parametrize(
    ("given_job", "given_pods", "owed"),
    [
        pytest.param(job(), pods("Succeeded"), True, id="one Pod of one"),
        pytest.param(job(), pods(), False, id="no Pod yet"),
        pytest.param(job(), pods("Running"), False, id="it runs"),
        pytest.param(job(), pods("Failed"), False, id="it failed"),
        pytest.param(job(), pods("Failed", "Succeeded"), True, id="a Pod failed before"),
        pytest.param(job(), pods("Succeeded", "Running"), False, id="another one is active"),
        pytest.param(job(), pods("Succeeded", "Unknown"), False, id="another one's node is lost"),
        pytest.param(job(), pods("Succeeded", None), False, id="another one has no status yet"),
        pytest.param(job(spec={"completions": 3}), pods("Succeeded", "Succeeded"), False, id="2 of 3"),
        pytest.param(job(spec={"completions": 3}), pods(*["Succeeded"] * 3), True, id="3 of 3"),
        pytest.param(job(spec={"completions": 0}), pods(), False, id="no Pod is asked for"),
        pytest.param(job(spec={"parallelism": 2}), pods("Succeeded"), False, id="a work queue"),
        pytest.param(job(spec={"parallelism": 1}), pods("Succeeded"), True, id="parallelism 1 is no work queue"),
        pytest.param(
            job(spec={"parallelism": 2, "completions": 2}), pods("Succeeded", "Succeeded"), True, id="2 of 2 at once"
        ),
        pytest.param(job(spec={"successPolicy": {"rules": []}}), pods("Succeeded"), False, id="a successPolicy"),
        pytest.param(job(spec={"suspend": True}), pods("Succeeded"), False, id="suspended"),
        pytest.param(job(spec={"managedBy": "kueue.x-k8s.io/multikueue"}), pods("Succeeded"), False, id="managedBy"),
        pytest.param(job(spec={"ttlSecondsAfterFinished": 2**31 - 1}), pods("Succeeded"), False, id="nudged already"),
        pytest.param(job(spec={"ttlSecondsAfterFinished": 60}), pods("Succeeded"), True, id="another TTL"),
        pytest.param(job(status={"conditions": [COMPLETE]}), pods("Succeeded"), False, id="Complete"),
        pytest.param(job(status={"conditions": [FAILED]}), pods("Succeeded"), False, id="Failed"),
        pytest.param(
            job(status={"conditions": [condition("SuccessCriteriaMet")]}),
            pods("Succeeded"),
            True,
            id="not yet Complete",
        ),
        pytest.param(job(deletionTimestamp=stamp("10:01:00")), pods("Succeeded"), False, id="being deleted"),
    ],
)
def test_a_nudge_is_owed(given_job: dict[str, Any], given_pods: list[dict[str, Any]], owed: bool) -> None:
    assert owes_nudge(given_job, given_pods) is owed
    seen = read_job(given_job, pods=given_pods)
    assert seen is not None
    assert seen.nudge is owed


@pytest.mark.parametrize(
    ("pod_spec", "name"),
    [
        pytest.param({"containers": [{"name": "log"}, {"name": "main"}]}, "main", id="main, wherever it stands"),
        pytest.param({"containers": [{"name": "train"}, {"name": "log"}]}, "train", id="else the first one"),
        pytest.param(
            {"initContainers": [{"name": "main"}], "containers": [{"name": "x"}]}, "x", id="not an init container"
        ),
        pytest.param(
            {
                "initContainers": [
                    {"name": "zenflow-inputs"},
                    {"name": "train"},
                    {"name": "proxy", "restartPolicy": "Always"},
                ],
                "containers": [{"name": "zenflow-outputs"}],
            },
            "train",
            id="moved for its output artifacts",
        ),
        pytest.param({}, "", id="none at all"),
    ],
)
def test_the_main_container(pod_spec: dict[str, Any], name: str) -> None:
    assert main_container(pod_spec) == name


def pod(
    message: str | None,
    *,
    name: str = "p0",
    container: str = "main",
    phase: str = "Succeeded",
    finished: str = "10:04:00",
    field: str = "containerStatuses",
    beside: int = 1,
) -> dict[str, Any]:
    terminated = {"exitCode": 0, "finishedAt": stamp(finished)} | ({} if message is None else {"message": message})
    return {
        "metadata": {"name": name, "creationTimestamp": stamp("10:00:00")},
        "spec": {"containers": [{"name": container}], "initContainers": [{"name": f"i{i}"} for i in range(beside)]},
        "status": {
            "phase": phase,
            field: [
                {"name": "log", "state": {"running": {}}},
                {"name": container, "state": {"terminated": terminated}},
            ],
        },
    }


def sized(size: int, *, text: str = "x") -> str:
    return text * size


@pytest.mark.parametrize(
    ("given_pods", "result"),
    [
        pytest.param([pod('{"rows": 7}')], '{"rows": 7}', id="the message as it is"),
        pytest.param([pod("in", field="initContainerStatuses")], "in", id="main is an init container"),
        pytest.param([pod("b", finished="10:04:01"), pod("a", name="p1")], "b", id="the Pod that ended last"),
        pytest.param([pod("a"), pod("b", name="p1")], "b", id="of two that ended at once the same one each time"),
        pytest.param([pod("b", name="p1"), pod("a")], "b", id="whatever their order"),
        pytest.param([pod("a", phase="Failed", finished="10:09:00"), pod("b")], "b", id="a failed Pod has no result"),
        pytest.param([pod(sized(4095))], sized(4095), id="4095 bytes are whole"),
        pytest.param([pod(json.dumps(sized(4094)))], json.dumps(sized(4094)), id="4096 bytes of JSON are whole"),
        pytest.param([pod(sized(4095), beside=2)], sized(4095), id="three containers have the whole length each"),
        pytest.param([pod(sized(3071), beside=3)], sized(3071), id="four containers have 3072 bytes each"),
    ],
)
def test_a_result_is_found(given_pods: list[dict[str, Any]], result: str) -> None:
    assert termination_result(given_pods, "main") == Present(result)


@pytest.mark.parametrize(
    ("given_pods", "why"),
    [
        pytest.param([], "no Succeeded Pod", id="no Pods"),
        pytest.param([pod("a", phase="Running")], "no Succeeded Pod", id="a Pod that runs"),
        pytest.param([pod("a", container="train")], "p0 has no terminated container main", id="no such container"),
        pytest.param([pod(None)], "container main of Pod p0 left no termination message", id="no message"),
        pytest.param([pod("")], "left no termination message", id="an empty message"),
        pytest.param([pod(sized(4096))], "4096 bytes at which it is cut off", id="4096 bytes of text"),
        pytest.param([pod("1" * 4096)], "cut off", id="a number may have had more digits"),
        pytest.param([pod("{" + sized(4095))], "cut off", id="an object without an end"),
        pytest.param([pod(json.dumps(sized(4095)))], "cut off", id="4097 bytes, which no kubelet sends"),
        pytest.param([pod(sized(2048, text="é"))], "cut off", id="bytes are counted, not characters"),
        pytest.param([pod(sized(4094) + "\ufffd\ufffd")], "cut off", id="cut off within a character"),
        pytest.param([pod("[" * 4096)], "cut off", id="nesting without an end"),
        pytest.param(
            [pod(sized(3072), beside=3)], "3072 bytes at which it is cut off, its share of", id="one of four containers"
        ),
    ],
)
def test_a_result_is_absent(given_pods: list[dict[str, Any]], why: str) -> None:
    result = termination_result(given_pods, "main")
    assert isinstance(result, Absent)
    assert why in result.why
