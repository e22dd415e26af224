"""The operator asks a namespace for its store where a flow needs one, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.defects.lives import flow, step
from tests.runtime.stage import ALONE, NAMESPACE, Stage, going_on, play
from zenflow_core.settings import Settings, Unmoved
from zenflow_core.spec import ArtifactStore, S3Location

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
OPERATORS = ArtifactStore(S3Location("operator", "flows/"))
MOVES = evolve(
    ALONE, flows=Settings("zenflow:1", unmoved=Unmoved.REFUSED, artifact_store=OPERATORS, namespace_stores=True)
)
APP = {"name": "app", "path": "/out/app"}


def leaves(*artifacts: dict[str, Any]) -> Any:
    return flow(step("build", outputs={"artifacts": list(artifacts)}))


def says(stage: Stage, text: str) -> None:
    body = {"metadata": {"name": "zenflow-artifact-store"}, "data": {"store": text}}
    stage.cluster.create("ConfigMap", body, namespace=NAMESPACE)


@BACKENDS
@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        pytest.param("s3: {bucket: namespace, key: flows/}", "namespace", id="its own store"),
        pytest.param(None, "operator", id="nothing: the operator's"),
        pytest.param("", None, id="no store: the claim"),
    ],
)
def test_a_flow_stores_where_its_namespace_says(backend: str, text: str | None, bucket: str | None) -> None:
    async def scene() -> None:
        stage = Stage(leaves(APP))
        if text is not None:
            says(stage, text)
        async with going_on(stage) as on, on.operator(MOVES):
            await on.until(on.over)
            assert on.phase() == "Succeeded"
            store = on.status().get("artifactStore")
            assert (store and store["s3"]["bucket"]) == bucket
            assert len(on.all("PersistentVolumeClaim")) == (bucket is None)
            assert on.count("get", "configmaps") == 1

    play(scene, backend)


@BACKENDS
def test_a_store_that_cannot_be_meant_ends_the_flow_with_what_to_mend(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(leaves(APP))
        says(stage, "s3: {bucket: b}")
        async with going_on(stage) as on, on.operator(MOVES):
            await on.until(on.over)
            (failed,) = (each for each in on.status()["conditions"] if each["type"] == "Failed")
            assert failed["reason"] == "ArtifactStoreInvalid"
            assert "ConfigMap zenflow-artifact-store says: s3.key: missing; fix: add 'key' to s3" in failed["message"]
            assert not on.all("Job")

    play(scene, backend)


@BACKENDS
@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(leaves({**APP, "s3": {"bucket": "own", "key": "k"}}), id="a flow whose artifacts have a store"),
        pytest.param(flow(step("build")), id="a flow without artifacts"),
    ],
)
def test_a_flow_that_needs_no_store_asks_for_none(backend: str, manifest: Any) -> None:
    async def scene() -> None:
        async with going_on(Stage(manifest)) as on, on.operator(MOVES):
            await on.until(on.over)
            assert on.count("get", "configmaps") == 0
            assert "artifactStore" not in on.status()

    play(scene, backend)
