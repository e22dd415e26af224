"""The Job that removes what a deleted flow has stored, and only that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zenflow_core.artifact_gc import removal_job

S3 = {
    "bucket": "models",
    "key": "nightly/",
    "endpoint": "https://s3.example.com",
    "accessKeyIDSecretRef": {"name": "s3", "key": "id"},
    "secretAccessKeySecretRef": {"name": "s3", "key": "key"},
}
MADE = {"name": "model", "path": "/out/model", "s3": S3, "artifactGC": "OnFlowDeletion"}
TEMPLATE = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}}}}


def flow(*artifacts: dict[str, Any], at: str = "steps", status: dict[str, Any] | None = None) -> dict[str, Any]:
    step = {"name": "train", "outputs": {"artifacts": list(artifacts)}, "template": TEMPLATE}
    other = {"name": "other", "template": TEMPLATE}
    return {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {
            "name": "nightly",
            "namespace": "ci",
            "uid": "0a0a0a0a-1111",
            "creationTimestamp": "2030-01-01T00:00:00Z",
            "deletionTimestamp": "2030-01-02T00:00:00Z",
        },
        "spec": {"steps": [other], "finally": []} | {at: [step, *([other] if at == "steps" else [])]},
        "status": {"startTime": "2030-01-01T00:00:00Z"} if status is None else status,
    }


def orders(job: dict[str, Any]) -> list[dict[str, Any]]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found: list[dict[str, Any]] = json.loads(container["env"][0]["value"])
    return found


@pytest.mark.parametrize("at", ["steps", "finally"])
def test_what_a_flow_has_stored_in_its_own_directory_is_removed(at: str) -> None:
    job = removal_job(flow(MADE, at=at), image="zenflow:1")
    assert job is not None
    (order,) = orders(job)
    assert order["name"] == "train/model"
    assert (order["s3"]["bucket"], order["s3"]["key"]) == ("models", "nightly/0a0a0a0a-1111/")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("zenflow:1", ["removal"])
    assert [each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"][1:]] == ["id", "key"]


STORE = {"s3": S3, "artifactGC": "OnFlowDeletion"}
WITHOUT = {"name": "model", "path": "/out/model"}


def begun(**store: Any) -> dict[str, Any]:
    return {"startTime": "2030-01-01T00:00:00Z", "artifactStore": store}


def test_what_lies_in_the_default_store_is_removed_once_for_all_artifacts() -> None:
    other = {**WITHOUT, "name": "log"}
    job = removal_job(flow(WITHOUT, other, status=begun(**STORE)), image="zenflow:1")
    assert job is not None
    (order,) = orders(job)
    assert (order["s3"]["bucket"], order["s3"]["key"]) == ("models", "nightly/0a0a0a0a-1111/")


def test_nothing_waits_for_the_job_and_it_removes_itself() -> None:
    job = removal_job(flow(MADE), image="zenflow:1")
    assert job is not None
    assert job["metadata"] == {
        "name": "nightly-zenflow-removal-0a0a0a0a",
        "namespace": "ci",
        "labels": {"workflow.kube-zen.io/flow": "nightly"},
    }
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    pod = job["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert "volumes" not in pod
    assert pod["containers"][0]["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(flow({**MADE, "artifactGC": None}), id="nobody asked for it"),
        pytest.param(flow({**MADE, "s3": {**S3, "key": "nightly/model"}}), id="others may store at that key"),
        pytest.param(flow({**MADE, "s3": None}), id="the claim goes by itself"),
        pytest.param(flow(MADE, status={}), id="the flow never began"),
        pytest.param(flow({**MADE, "nonsense": 1}), id="it cannot be read, so that it never ran"),
        pytest.param(flow(), id="no artifacts"),
        pytest.param(flow(WITHOUT, status=begun(s3=S3)), id="the default store keeps what it has"),
    ],
)
def test_nothing_is_removed(given: dict[str, Any]) -> None:
    assert removal_job(given, image="zenflow:1") is None
