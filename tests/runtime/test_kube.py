"""What the API server's answers are made of, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio
import httpx2

from tests.defects.lives import flow, step, succeeds
from tests.runtime.stage import Stage, going_on, play
from zenflow_runtime.kube import CONFIG_MAP, FLOW, Kube
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.transport import ClusterTransport, Fault, config


def test_every_answer_is_as_plain_as_its_json() -> None:
    """`read_flow` takes a dict, and no class that is like one."""
    cluster = Cluster(VirtualClock())
    cluster.create("JobFlow", flow(step("a")), namespace="ci")

    async def ask() -> list[Mapping[str, Any]]:
        kube = Kube(config(), ClusterTransport(cluster))
        made = await kube.create(CONFIG_MAP, "ci", {"metadata": {"name": "c"}, "data": {"k": "v"}})
        found: list[Mapping[str, Any]] = [
            made,
            await kube.replace(CONFIG_MAP, "ci", {**made, "data": {"k": "w"}}),
            await kube.patch(CONFIG_MAP, "ci", "c", merge={"data": {"k": "x"}}),
            await kube.get(FLOW, "ci", "flow"),
            await kube.patch_status(
                FLOW, "ci", "flow", operations=b'[{"op": "add", "path": "/status", "value": {"phase": "Pending"}}]'
            ),
            *await kube.list_all(FLOW, "ci"),
        ]
        await kube.close()
        return found

    for each in anyio.run(ask):
        assert type(each) is dict
        assert all(type(value) in (dict, str) for value in each.values())


def test_a_flow_edited_before_an_old_list_is_read_by_name_and_goes_on() -> None:
    """The only way on which an operator compiles what a read by name gave."""

    async def scene() -> None:
        stage = Stage(flow(step("a"), step("b", "a")), runs={"a": [succeeds(5)], "b": [succeeds(5)]})

        async def no_jobs(request: httpx2.Request) -> Fault | None:
            if request.method == "POST" and request.url.path.endswith("/jobs"):
                raise httpx2.ConnectError("down")
            return None

        async with going_on(stage) as on:
            stage.fault = no_jobs
            async with on.operator(name="first"):
                await on.until(lambda: on.status().get("steps"))
            stage.fault = None
            assert not on.all("Job")
            old = on.flow()
            past = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "items": [old]}
            # The edit is younger than what the next operator's first list shows.
            policy = {"spec": {"executionPolicy": {"backoffLimit": 5}}}
            on.cluster.patch_merge("JobFlow", "default", "flow", policy)
            lists = 0

            async def from_the_past(request: httpx2.Request) -> Fault | None:
                nonlocal lists
                if not request.url.path.endswith("/jobflows"):
                    return None
                if "watch=true" in str(request.url):
                    await anyio.sleep(3)  # nor does the watch tell of it at once
                    return None
                lists += 1
                return httpx2.Response(200, content=json.dumps(past)) if lists == 1 else None

            stage.fault = from_the_past
            async with on.operator(name="second"):
                await on.until(on.over)
            assert on.count("get", "jobflows") > 0
            assert on.phase() == "Succeeded"

    play(scene)
