"""A default store from end to end: what the core decides, carried out by the programs, on a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import evolve

from tests.artifacts.conftest import Bucket
from tests.artifacts.pods import SECRET, environment, mounted, ran
from tests.core.builders import UID, Life, compiled, job, step
from zenflow_core.actions import CreateClaim, CreateJob
from zenflow_core.artifact_gc import removal_job
from zenflow_core.artifact_store import STORE
from zenflow_core.decision import Decision, ReadInput
from zenflow_core.observation import Present
from zenflow_core.settings import Settings

FLOW = (
    step("build", outputs={"artifacts": [{"name": "app", "path": "/out/app"}]}),
    step("test", "build", inputs={"artifacts": [{"name": "app", "path": "/in/app", "from": "build/app"}]}),
)


def store_in(bucket: Bucket, **fields: Any) -> str:
    """What the namespace's ConfigMap says."""
    s3 = {"bucket": bucket.name, "key": "flows/", "endpoint": f"http://127.0.0.1:{bucket.port}"}
    s3["accessKeyIDSecretRef"], s3["secretAccessKeySecretRef"] = (
        {"name": "s3", "key": "id"},  # type: ignore[assignment] # JSON
        {"name": "s3", "key": "key"},  # type: ignore[assignment] # JSON
    )
    return json.dumps({"s3": s3} | fields)


def pod_of(decision: Decision) -> dict[str, Any]:
    """The Pod of the Job that is to be created."""
    (create,) = (action for action in decision.actions if isinstance(action, CreateJob))
    spec: dict[str, Any] = create.body["spec"]["template"]["spec"]
    return spec


def test_what_names_no_store_is_stored_found_and_removed_in_the_one_that_the_flow_started_with(
    bucket: Bucket, tmp_path: Path
) -> None:
    plan = evolve(compiled(*FLOW), settings=Settings("zenflow:1", namespace_stores=True))
    life = Life(plan)
    assert life.look("10:00").reads == (ReadInput(STORE),)

    begun = life.look("10:00", inputs={STORE: Present(store_in(bucket, artifactGC="OnFlowDeletion"))})
    assert not any(isinstance(action, CreateClaim) for action in begun.actions)
    (outputs,) = pod_of(begun)["containers"]
    mounted(outputs, tmp_path)
    (tmp_path / "zenflow/outputs/0/app").write_bytes(b"weights")
    stored = ran("outputs", environment(outputs, tmp_path), tmp_path)
    assert stored.code == 0, stored
    (key,) = bucket.listed()
    assert key.startswith(f"flows/{UID}/build/1/")

    # Another default by now: it is none of this flow's business.
    another = {STORE: Present('{"s3": {"bucket": "elsewhere", "key": "flows/"}}')}
    seen = evolve(job(complete="10:00:40"), transfer=Present(stored.message))
    found = life.look("10:00:41", inputs=another, build=seen)
    assert life.status is not None
    assert SECRET not in json.dumps(life.status)
    assert life.status["artifactStore"]["s3"]["bucket"] == bucket.name
    (row, _) = life.status["steps"]
    assert row["outputs"]["artifacts"][0]["location"] == f"s3://{bucket.name}/{key}"

    (inputs,) = pod_of(found)["initContainers"]
    mounted(inputs, tmp_path)
    fetched = ran("inputs", environment(inputs, tmp_path), tmp_path)
    assert fetched.code == 0, fetched
    assert (tmp_path / "zenflow/inputs/app").read_bytes() == b"weights"

    metadata = {"name": "nightly", "namespace": "ci", "uid": UID, "creationTimestamp": "2030-01-01T00:00:00Z"}
    spec = {"steps": list(FLOW)}
    head = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow"}
    removal = removal_job(head | {"metadata": metadata, "spec": spec, "status": life.status}, image="zenflow:1")
    assert removal is not None
    (container,) = removal["spec"]["template"]["spec"]["containers"]
    bucket.put("flows/another-flow/build/1/0/app", b"1")
    assert ran("removal", environment(container, tmp_path), tmp_path).code == 0
    assert bucket.listed() == ["flows/another-flow/build/1/0/app"]
