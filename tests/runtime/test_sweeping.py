"""The operator and what is to go with a deleted flow, but belongs to no owner: objects in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import httpx2
import pytest
from attrs import evolve

from tests.defects.lives import flow, step
from tests.runtime.stage import ALONE, NAMESPACE, Stage, going_on, play
from zenflow_core.settings import Settings, Unmoved
from zenflow_runtime.settings import ElectionMode

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
MOVES = evolve(ALONE, flows=Settings("zenflow:1", unmoved=Unmoved.REFUSED))
S3 = {"bucket": "models", "key": "nightly/"}


def stores(**fields: Any) -> Any:
    made = {"name": "model", "path": "/out/model", "s3": S3, "artifactGC": "OnFlowDeletion"} | fields
    return flow(step("train", outputs={"artifacts": [{k: v for k, v in made.items() if v is not None}]}))


def removals(on: Stage) -> Sequence[str]:
    return [job["metadata"]["name"] for job in on.all("Job") if "-zenflow-removal-" in job["metadata"]["name"]]


@BACKENDS
def test_a_deleted_flow_takes_its_objects_along(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(stores())) as on, on.operator(MOVES):
            await on.until(on.over)
            assert removals(on) == []
            on.cluster.delete("JobFlow", NAMESPACE, "flow")
            await on.until(lambda: removals(on))
            assert not on.all("JobFlow")
            (job,) = (job for job in on.all("Job") if job["metadata"]["name"] in removals(on))
            assert "ownerReferences" not in job["metadata"]

    play(scene, backend)


@BACKENDS
def test_so_does_one_whose_ttl_is_over(backend: str) -> None:
    async def scene() -> None:
        manifest = stores()
        manifest["spec"]["executionPolicy"] = {"ttlSecondsAfterFinished": 60}
        async with going_on(Stage(manifest)) as on, on.operator(MOVES):
            await on.until(lambda: removals(on))
            assert not on.all("JobFlow")

    play(scene, backend)


@BACKENDS
def test_a_create_that_fails_is_tried_again(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(stores())) as on, on.operator(MOVES):
            await on.until(on.over)
            refused: list[httpx2.Request] = []

            async def away(request: httpx2.Request) -> httpx2.Response | None:
                if request.method == "POST" and request.url.path.endswith("/jobs") and len(refused) < 2:
                    refused.append(request)
                    return httpx2.Response(500)
                return None

            on.fault = away
            on.cluster.delete("JobFlow", NAMESPACE, "flow")
            await on.until(lambda: removals(on))
            assert len(refused) == 2

    play(scene, backend)


@BACKENDS
@pytest.mark.parametrize(
    ("manifest", "settings"),
    [
        pytest.param(stores(artifactGC=None), MOVES, id="nobody asked for it"),
        pytest.param(flow(step("train")), MOVES, id="a flow without artifacts"),
    ],
)
def test_nothing_is_removed(backend: str, manifest: dict[str, Any], settings: Any) -> None:
    async def scene() -> None:
        async with going_on(Stage(manifest)) as on, on.operator(settings):
            await on.until(on.over)
            on.cluster.delete("JobFlow", NAMESPACE, "flow")
            await anyio.sleep(60)
            assert removals(on) == []

    play(scene, backend)


@BACKENDS
def test_two_replicas_make_one_job(backend: str) -> None:
    async def scene() -> None:
        elected = evolve(MOVES, election=ElectionMode.BUILTIN)
        async with going_on(Stage(stores())) as on, on.operator(elected, name="a"), on.operator(elected, name="b"):
            await on.until(on.over)
            on.cluster.delete("JobFlow", NAMESPACE, "flow")
            await on.until(lambda: removals(on))
            await anyio.sleep(60)
            assert len(removals(on)) == 1
            created = [ask for ask in on.asked if (ask.verb, ask.resource) == ("create", "jobs")]
            assert len(created) == 2, "the step's, and the leader's removal"

    play(scene, backend)
