"""Watches through an unmodified lightkube client: what comes, when it ends, how it fails, and how fast time passes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from lightkube.core.exceptions import ApiError as ClientError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from tests.bounded import bounded
from zenflow_testing.clock import EPOCH
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.transport import SERVER, ClusterTransport, LostAnswer, TooOld, client, resource_class
from zenflow_testing.transport_time import LoopClock, ManualClock, drive, run_virtually, virtual_options
from zenflow_testing.transport_watch import CutEnd, CutWatch, SilentWatch

NS = "default"
Flow: Any = create_namespaced_resource("workflow.kube-zen.io", "v1alpha1", "JobFlow", "jobflows")
Job = resource_class(next(info for info in KNOWN_KINDS if info.kind == "Job"))
FLOWS = f"/apis/workflow.kube-zen.io/v1alpha1/namespaces/{NS}/jobflows"
JOBS = f"/apis/batch/v1/namespaces/{NS}/jobs"

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def flow(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {}}


def job(name: str, **metadata: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.35"}]}
    return {"metadata": {"name": name, **metadata}, "spec": {"template": {"spec": pod}}}


@frozen
class Stage:
    """A cluster, a lightkube client of it, and a bare HTTP client on the same transport."""

    cluster: Cluster
    transport: ClusterTransport
    kube: Any
    http: httpx2.AsyncClient

    async def lines(self, path: str = FLOWS, **query: str) -> list[dict[str, Any]]:
        """Every line of a watch until the server ends it."""
        async with self.http.stream("GET", path, params={"watch": "true", **query}) as answer:
            assert answer.status_code == 200, await answer.aread()
            return [json.loads(line) async for line in answer.aiter_lines()]

    async def names(self, seen: list[str] | None = None, **options: Any) -> list[str]:
        """The names that a lightkube watch of flows gives until it fails; `seen` has them then."""
        seen = [] if seen is None else seen
        async with aclosing(self.kube.watch(Flow, **options)) as events:
            async for _, obj in events:
                seen.append(obj["metadata"]["name"])
        return seen


@asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[Stage]:
    cluster = Cluster(LoopClock())
    transport = ClusterTransport(cluster, **options)
    async with (
        client(cluster, transport=transport) as kube,
        httpx2.AsyncClient(transport=transport, base_url=SERVER, trust_env=False, timeout=None) as http,
    ):
        yield Stage(cluster, transport, kube=kube, http=http)


def told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["type"], line["object"]["metadata"].get("name", "")) for line in lines]


def played(scene: Callable[[], Coroutine[Any, Any, None]], backend: str) -> None:
    run_virtually(scene, backend=backend)


# What comes


def test_a_watch_goes_on_from_the_list(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("a"), namespace=NS)
            listing = on.kube.list(Flow)
            assert [each["metadata"]["name"] async for each in listing] == ["a"]
            seen = []

            async def watcher() -> None:
                watch = on.kube.watch(Flow, resource_version=listing.resourceVersion, server_timeout=10)
                async with aclosing(watch) as events:
                    async for kind, obj in events:
                        seen.append((kind, obj["metadata"]["name"], obj["metadata"]["resourceVersion"]))
                        if kind == "DELETED":
                            return

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watcher)
                await anyio.sleep(1)
                await on.kube.create(Flow(flow("b")))
                await on.kube.create(Job(job("not-a-flow")))
                await anyio.sleep(25)  # the watch ends and begins again twice
                await on.kube.patch(Flow, "b", {"spec": {"x": 1}}, patch_type=PatchType.MERGE)
                await on.kube.delete(Flow, "b")
            assert seen == [("ADDED", "b", "2"), ("MODIFIED", "b", "4"), ("DELETED", "b", "5")]

    played(scene, backend)


@pytest.mark.parametrize("version", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}])
def test_without_a_version_a_watch_begins_with_all_that_is_there(backend: str, version: dict[str, str]) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("b"), namespace=NS)
            on.cluster.create("JobFlow", flow("a"), namespace=NS)
            on.cluster.create("JobFlow", flow("c"), namespace="elsewhere")
            assert told(await on.lines(timeoutSeconds="1", **version)) == [("ADDED", "a"), ("ADDED", "b")]
            everywhere = await on.lines("/apis/workflow.kube-zen.io/v1alpha1/jobflows", timeoutSeconds="1", **version)
            assert told(everywhere) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]

    played(scene, backend)


def test_a_watch_of_a_namespace_sees_nothing_of_another(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("first"), namespace=NS)
            on.cluster.create("JobFlow", flow("a"), namespace="elsewhere")
            on.cluster.create("JobFlow", flow("b"), namespace=NS)
            assert told(await on.lines(resourceVersion="1", timeoutSeconds="1")) == [("ADDED", "b")]
            everywhere = "/apis/workflow.kube-zen.io/v1alpha1/jobflows"
            lines = await on.lines(everywhere, resourceVersion="1", timeoutSeconds="1")
            assert told(lines) == [("ADDED", "a"), ("ADDED", "b")]

    played(scene, backend)


def test_objects_that_move_into_and_out_of_a_selection_are_added_and_deleted(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("a", team="x"), namespace=NS)
            async with anyio.create_task_group() as tasks:
                lines: list[dict[str, Any]] = []

                async def watcher() -> None:
                    lines.extend(await on.lines(resourceVersion="1", labelSelector="team=x", timeoutSeconds="5"))

                tasks.start_soon(watcher)
                for label in ("y", "y2", "x", "x"):
                    await anyio.sleep(1)
                    patch = {"metadata": {"labels": {"team": label, "at": str(anyio.current_time())}}}
                    on.cluster.patch_merge("JobFlow", NS, "a", patch)
                on.cluster.create("JobFlow", flow("b", team="y"), namespace=NS)
                on.cluster.delete("JobFlow", NS, "b")
                on.cluster.delete("JobFlow", NS, "a")
            assert told(lines) == [("DELETED", "a"), ("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
            # The object that left the selection is shown as it last was inside, at the version of its leaving.
            assert lines[0]["object"]["metadata"]["labels"] == {"team": "x"}
            assert lines[0]["object"]["metadata"]["resourceVersion"] == "2"

    played(scene, backend)


def test_a_selection_begun_in_the_past_knows_what_has_been(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("a", team="x"), namespace=NS)
            on.cluster.patch_merge("JobFlow", NS, "a", {"metadata": {"labels": {"team": "y"}}})
            on.cluster.patch_merge("JobFlow", NS, "a", {"metadata": {"labels": {"team": "x"}}})
            lines = await on.lines(resourceVersion="1", labelSelector="team=x", timeoutSeconds="1")
            assert told(lines) == [("DELETED", "a"), ("ADDED", "a")]
            one = await on.lines(resourceVersion="1", fieldSelector="metadata.name=b", timeoutSeconds="1")
            assert one == []

    played(scene, backend)


def test_bookmarks_come_regularly_and_once_more_before_the_end(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            on.cluster.create("JobFlow", flow("a"), namespace=NS)
            start = anyio.current_time()
            at = []
            query = {"watch": "1", "resourceVersion": "1", "timeoutSeconds": "130", "allowWatchBookmarks": "true"}
            async with anyio.create_task_group() as tasks:

                async def other() -> None:
                    await anyio.sleep(90)
                    on.cluster.create("Job", job("a"), namespace=NS)

                tasks.start_soon(other)
                async with on.http.stream("GET", FLOWS, params=query) as answer:
                    async for line in answer.aiter_lines():
                        event = json.loads(line)
                        at.append((event["type"], anyio.current_time() - start))
                        assert set(event["object"]) == {"kind", "apiVersion", "metadata"}
                        version = event["object"]["metadata"]["resourceVersion"]
            assert at == [("BOOKMARK", 60), ("BOOKMARK", 120), ("BOOKMARK", 128)]
            assert version == "2"  # though nothing has happened to this kind
            assert anyio.current_time() - start == 130
            assert await on.lines(resourceVersion="1", timeoutSeconds="130") == []
            (bookmark,) = await on.lines(JOBS, resourceVersion="2", timeoutSeconds="62", allowWatchBookmarks="1")
            assert bookmark["object"]["spec"]["template"]["spec"] == {"containers": None}

    played(scene, backend)


def test_a_watch_without_a_timeout_ends_after_half_an_hour(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            for query in ({}, {"timeoutSeconds": "0"}):
                start = anyio.current_time()
                assert await on.lines(**query) == []
                assert anyio.current_time() - start == 1800

    played(scene, backend)


def test_a_watch_from_a_version_still_to_come_skips_what_is_older(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:

            async def writer() -> None:
                for name in "abc":
                    await anyio.sleep(1)
                    on.cluster.create("JobFlow", flow(name), namespace=NS)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(writer)
                assert told(await on.lines(resourceVersion="2", timeoutSeconds="5")) == [("ADDED", "c")]

    played(scene, backend)


# 410 Gone


def gone(line: dict[str, Any]) -> tuple[str, int, str]:
    return line["type"], line["object"]["code"], line["object"]["reason"]


def test_a_watch_from_a_compacted_version_is_told_so_by_its_first_line(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            for name in "abc":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            on.cluster.compact(2)
            (line,) = await on.lines(resourceVersion="1")
            assert gone(line) == ("ERROR", 410, "Expired")
            assert line["object"]["message"] == "too old resource version: 1 (2)"
            assert told(await on.lines(resourceVersion="2", timeoutSeconds="1")) == [("ADDED", "c")]
            with pytest.raises(ClientError) as caught:
                await on.names(resource_version="1")
            assert (caught.value.status.code, caught.value.status.reason) == (410, "Expired")

    played(scene, backend)


def test_or_by_its_status_where_that_is_asked_for(backend: str) -> None:
    async def scene() -> None:
        async with stage(too_old=TooOld.STATUS) as on:
            for name in "abc":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            on.cluster.compact(2)
            answer = await on.http.get(FLOWS, params={"watch": "true", "resourceVersion": "1"})
            assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")

    played(scene, backend)


def test_an_open_watch_that_has_missed_something_is_told_so_and_ends(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:

            async def writer() -> None:
                await anyio.sleep(1)
                on.cluster.create("Job", job("x"), namespace=NS)
                on.cluster.compact(on.cluster.resource_version)  # nothing of this watch's kind is lost
                await anyio.sleep(1)
                on.cluster.create("JobFlow", flow("a"), namespace=NS)
                await anyio.sleep(1)
                on.cluster.create("JobFlow", flow("b"), namespace=NS)
                on.cluster.compact(on.cluster.resource_version)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(writer)
                start = anyio.current_time()
                first, last = await on.lines(resourceVersion="0", timeoutSeconds="60")
                assert told([first]) == [("ADDED", "a")]
                assert gone(last) == ("ERROR", 410, "Expired")
                assert anyio.current_time() - start == 3

    played(scene, backend)


# Refusals


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param(
            {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
            'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for'
            " watch unless the WatchList feature gate is enabled",
            id="initial events, as a server without WatchList refuses them",
        ),
        pytest.param(
            {"resourceVersion": "1", "resourceVersionMatch": "Exact"},
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden'
            " for watch unless sendInitialEvents is provided",
            id="a match",
        ),
    ],
)
def test_a_watch_with_options_of_newer_servers_is_refused(backend: str, query: dict[str, str], message: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            answer = await on.http.get(FLOWS, params={"watch": "true", **query})
            assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
            assert answer.json()["message"] == message

    played(scene, backend)


def test_the_clusters_hook_may_refuse_a_watch(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            asked = []

            def before(*request: Any) -> ApiError:
                asked.append(request)
                return ApiError(429, "TooManyRequests", message="later", retry_after=2)

            on.cluster.before_request = before
            answer = await on.http.get(FLOWS, params={"watch": "true"})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
            assert asked == [("watch", "JobFlow", NS, "", None)]

    played(scene, backend)


# Faults of the connection


def test_a_client_may_leave_or_be_cancelled_at_any_line(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            for name in "abc":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            async with on.http.stream("GET", FLOWS, params={"watch": "true"}) as answer:
                lines = answer.aiter_lines()
                await anext(lines)
                await lines.aclose()  # type: ignore[attr-defined]  # httpx2 types its generator as an iterator
            with anyio.move_on_after(5) as scope:
                await on.lines()
            assert scope.cancelled_caught
            answer = await on.http.send(on.http.build_request("GET", FLOWS, params={"watch": "true"}), stream=True)
            async with anyio.create_task_group() as tasks:
                seen = []

                async def reader() -> None:
                    seen.extend([line async for line in answer.aiter_lines()])

                tasks.start_soon(reader)
                await anyio.sleep(1)
                await answer.aclose()
            assert len(seen) == 3
            assert not any(on.transport._feed._waiting.values())

    played(scene, backend)


@pytest.mark.parametrize("end", list(CutEnd))
def test_a_watch_may_be_cut_in_the_middle_of_a_line(backend: str, end: CutEnd) -> None:
    async def scene() -> None:
        async def cut(_: httpx2.Request) -> CutWatch:
            return CutWatch(1, 20, end=end)

        async with stage() as on:
            for name in "abc":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            on.transport.on_request = cut
            seen: list[str] = []
            with pytest.raises((httpx2.RemoteProtocolError, msgspec.DecodeError)) as caught:
                await on.names(seen)
            assert isinstance(caught.value, httpx2.RemoteProtocolError) is (end is CutEnd.ERROR)
            assert seen == ["a"]
            on.transport.on_request = None
            assert len(await on.lines(timeoutSeconds="1")) == 3

    played(scene, backend)


def test_a_watch_may_be_cut_between_two_lines(backend: str) -> None:
    async def scene() -> None:
        async def cut(_: httpx2.Request) -> CutWatch:
            return CutWatch(2, end=CutEnd.QUIET)

        async with stage(on_request=cut) as on:
            for name in "abc":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            assert told(await on.lines()) == [("ADDED", "a"), ("ADDED", "b")]

    played(scene, backend)


def test_a_watch_may_fall_silent_for_a_while_or_for_ever(backend: str) -> None:
    async def scene() -> None:
        fault = SilentWatch(1, seconds=100)

        async def silent(_: httpx2.Request) -> SilentWatch:
            return fault

        async with stage(on_request=silent) as on:
            for name in "ab":
                on.cluster.create("JobFlow", flow(name), namespace=NS)
            start = anyio.current_time()
            async with on.http.stream("GET", FLOWS, params={"watch": "true", "timeoutSeconds": "200"}) as answer:
                at = [anyio.current_time() - start async for _ in answer.aiter_lines()]
            assert at == [0, 100]
            fault = SilentWatch()
            with anyio.move_on_after(10_000) as scope:
                await on.lines(timeoutSeconds="200")
            assert scope.cancelled_caught
            with pytest.raises(httpx2.ReadTimeout):
                await on.http.get(FLOWS, params={"watch": "true"}, timeout=30)
            assert anyio.current_time() - start == 200 + 10_000 + 30

    played(scene, backend)


def test_requests_may_be_refused_delayed_lost_or_answered_by_somebody_else(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            start = anyio.current_time()

            async def refuse(_: httpx2.Request) -> None:
                raise httpx2.ConnectError("connection refused")

            async def delay(_: httpx2.Request) -> None:
                await anyio.sleep(7)

            async def too_long(_: httpx2.Request) -> None:
                await anyio.sleep(60)

            async def lose(_: httpx2.Request) -> LostAnswer:
                return LostAnswer()

            async def proxy(_: httpx2.Request) -> httpx2.Response:
                return httpx2.Response(503, text="<html>", headers={"content-type": "text/html"})

            on.transport.on_request = refuse
            with pytest.raises(httpx2.ConnectError):
                await on.kube.create(Flow(flow("a")))
            assert on.cluster.resource_version == 0
            on.transport.on_request = delay
            await on.kube.create(Flow(flow("a")))
            assert anyio.current_time() - start == 7
            on.transport.on_request = too_long
            with pytest.raises(httpx2.ReadTimeout):
                await on.kube.create(Flow(flow("b")))
            assert anyio.current_time() - start == 17  # lightkube waits 10 s
            on.transport.on_request = lose
            with pytest.raises(httpx2.ReadError):
                await on.kube.create(Flow(flow("b")))
            assert on.cluster.get("JobFlow", NS, "b")
            on.transport.on_request = proxy
            with pytest.raises(httpx2.HTTPStatusError) as caught:
                await on.kube.get(Flow, "b")
            assert not isinstance(caught.value, ClientError)

    played(scene, backend)


# Time


def test_a_day_of_watching_costs_less_than_a_second(backend: str) -> None:
    async def scene() -> None:
        async with stage() as on:
            seen = []

            async def watcher() -> None:
                watch = on.kube.watch(Flow, resource_version="0", server_timeout=300)
                async with aclosing(watch) as events:
                    async for kind, obj in events:
                        seen.append((kind, obj["metadata"]["name"], str(on.cluster.clock.now)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watcher)
                for index in range(3):
                    await anyio.sleep(8 * 3600 - 100)
                    await on.kube.create(Flow(flow(f"f{index}")))
                await anyio.sleep(300)
                tasks.cancel_scope.cancel()
            assert seen == [
                ("ADDED", "f0", "2026-01-01 07:58:20+00:00"),
                ("ADDED", "f1", "2026-01-01 15:56:40+00:00"),
                ("ADDED", "f2", "2026-01-01 23:55:00+00:00"),
            ]
            assert str(on.cluster.clock.now) == "2026-01-02 00:00:00+00:00"

    bounded(lambda: played(scene, backend))


def test_the_control_plane_acts_when_its_time_comes(backend: str) -> None:
    """A finished Job goes by its TTL, after its Pod, while the client only watches."""

    async def scene() -> None:
        async with stage() as on:
            collector = GarbageCollector(on.cluster)
            done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            lines: list[dict[str, Any]] = []

            async def watcher() -> None:
                lines.extend(await on.lines(JOBS, timeoutSeconds="7200"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(drive, on.cluster, collector)
                made = await on.kube.create(
                    Job({**job("a"), "spec": {**job("a")["spec"], "ttlSecondsAfterFinished": 3600}})
                )
                owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": made["metadata"]["uid"]}
                on.cluster.create("Pod", {"metadata": {"name": "p", "ownerReferences": [owner]}}, namespace=NS)
                on.cluster.patch_merge("Job", NS, "a", {"status": {"conditions": [done]}}, subresource="status")
                await watcher()
                tasks.cancel_scope.cancel()
            last = on.cluster.events_since(0)[-2:]
            assert [(event.type, event.kind, str(event.at.time())) for event in last] == [
                ("DELETED", "Pod", "01:00:00"),
                ("DELETED", "Job", "01:00:00"),
            ]
            assert told(lines)[-1] == ("DELETED", "a")

    played(scene, backend)


def test_who_names_an_instant_that_is_over_does_not_stop_time(backend: str) -> None:
    class Stuck:
        asked = 0

        def next_due(self) -> datetime:
            return EPOCH

        def run_due(self) -> int:
            self.asked += 1
            return 0

    async def scene() -> None:
        stuck = Stuck()
        with anyio.move_on_after(10.5):
            await drive(Cluster(LoopClock()), stuck)
        assert stuck.asked == 11

    played(scene, backend)


def test_only_two_backends_are_known(backend: str) -> None:
    assert virtual_options(backend)
    with pytest.raises(ValueError, match=f"no backend '{backend}o'"):
        virtual_options(f"{backend}o")


def test_a_clock_moved_by_hand_wakes_watches(backend: str) -> None:
    async def scene() -> None:
        clock = ManualClock()
        cluster = Cluster(clock)
        transport = ClusterTransport(cluster)
        ended = []
        async with httpx2.AsyncClient(transport=transport, base_url=SERVER, trust_env=False) as http:

            async def watcher() -> None:
                query = {"watch": "1", "timeoutSeconds": "300", "allowWatchBookmarks": "1"}
                async with http.stream("GET", FLOWS, params=query, timeout=None) as answer:
                    async for line in answer.aiter_lines():
                        ended.append(json.loads(line)["type"])  # noqa: PERF401  # when it comes is what counts
                ended.append("end")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watcher)
                await anyio.wait_all_tasks_blocked()
                for seconds in (59, 1, 239, 1):
                    clock.advance(seconds)
                    await anyio.wait_all_tasks_blocked()
                    ended.append(f"+{seconds}")
        assert ended == ["+59", "BOOKMARK", "+1", "BOOKMARK", "+239", "end", "+1"]

    # Here the loop's own time stands for nothing: it is the manual clock that counts.
    anyio.run(scene, backend=backend)


def test_the_clusters_clock_goes_on_in_the_next_run(backend: str) -> None:
    clock = LoopClock()

    async def scene() -> None:
        before = clock.now
        await anyio.sleep(100)
        assert (clock.now - before).total_seconds() == 100

    start = clock.now
    for _ in range(2):
        played(scene, backend)
    assert (clock.now - start).total_seconds() == 200


# Interleavings


async def two_writers(checks: tuple[bool, bool]) -> tuple[str, list[str]]:
    """Two clients that each read a flow and write its phase; one that checks the version names it in its patch."""
    cluster = Cluster(LoopClock())
    cluster.create("JobFlow", flow("a"), namespace=NS)
    log: list[str] = []

    async def writer(phase: str, check: bool) -> None:
        async with client(cluster) as kube:
            seen = await kube.get(Flow, "a")
            version = {"resourceVersion": seen["metadata"]["resourceVersion"]} if check else {}
            if (seen.get("status") or {}).get("phase") == "Succeeded":
                log.append(f"{phase} came late")
                return
            patch = {"metadata": version, "status": {"phase": phase}}
            try:
                await kube.patch(Flow.Status, "a", patch, patch_type=PatchType.MERGE)
            except ClientError as refusal:
                log.append(f"{phase} {'refused' if refusal.status.code == 409 else 'failed'}")
            else:
                log.append(f"{phase} written")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer, "Succeeded", checks[0])
        tasks.start_soon(writer, "Running", checks[1])
    return cluster.get("JobFlow", NS, "a")["status"]["phase"], log


def test_some_order_of_two_writers_loses_an_update_and_none_does_with_versions(backend: str) -> None:
    if backend == "asyncio":
        # Asyncio has one order: it proves nothing about others, but the careful writers must be right in it.
        phase, log = run_virtually(two_writers, (True, True), backend=backend)
        assert phase == "Succeeded" or "Succeeded refused" in log
        return

    @settings(max_examples=200, database=None)
    @given(st.random_module())
    def succeeded_sticks(_: object) -> None:
        phase, log = run_virtually(two_writers, (False, False))
        assert phase == "Succeeded", log

    @settings(max_examples=30, database=None)
    @given(st.random_module())
    def or_is_refused(_: object) -> None:
        phase, log = run_virtually(two_writers, (True, True))
        assert phase == "Succeeded" or "Succeeded refused" in log

    with pytest.raises(AssertionError):
        succeeded_sticks()
    or_is_refused()


# A cache that follows the cluster through every fault


async def follow(kube: Any, cache: dict[str, str]) -> None:
    """List, watch from there, begin again after whatever goes wrong: what every operator does."""
    version = None
    while True:
        try:
            if version is None:
                listing = kube.list(Flow, chunk_size=2)
                fresh = {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] async for obj in listing}
                cache.clear()
                cache.update(fresh)
                version = listing.resourceVersion
            with anyio.move_on_after(400):  # lightkube reads a watch without a timeout
                watch = kube.watch(Flow, resource_version=version, server_timeout=300)
                async with aclosing(watch) as events:
                    async for kind, obj in events:
                        version = obj["metadata"]["resourceVersion"]
                        if kind == "DELETED":
                            cache.pop(obj["metadata"]["name"], None)
                        else:
                            cache[obj["metadata"]["name"]] = version
        except (httpx2.HTTPError, msgspec.DecodeError) as problem:
            if isinstance(problem, ClientError) and problem.status.code == 410:
                version = None
            await anyio.sleep(1)


FAULTS = st.sampled_from(
    [
        None,
        None,
        "refused",
        "unavailable",
        LostAnswer(),
        CutWatch(0),
        CutWatch(1, 30),
        CutWatch(1, 30, end=CutEnd.QUIET),
        SilentWatch(0),
        SilentWatch(1, seconds=50),
    ]
)
WRITES = st.tuples(st.sampled_from("abcd"), st.sampled_from(["put", "put", "delete", "compact"]), st.integers(0, 400))


def test_a_cache_converges_whatever_happens_to_its_connection(backend: str) -> None:
    @settings(max_examples=40)
    @given(st.lists(WRITES, max_size=10), st.lists(FAULTS, max_size=12), st.random_module())
    def law(writes: list[tuple[str, str, int]], faults: list[Any], _: object) -> None:
        async def scene() -> None:
            left = list(faults)

            async def next_fault(_: httpx2.Request) -> Any:
                fault = left.pop(0) if left else None
                if fault == "refused":
                    raise httpx2.ConnectError("connection refused")
                if fault == "unavailable":
                    return httpx2.Response(503, text="", headers={"content-type": "text/plain"})
                return fault

            cache: dict[str, str] = {}
            async with stage(on_request=next_fault) as on, anyio.create_task_group() as tasks:
                tasks.start_soon(follow, on.kube, cache)
                for name, what, pause in writes:
                    await anyio.sleep(pause)
                    there = [obj["metadata"]["name"] for obj in on.cluster.list("JobFlow").items]
                    if what == "compact":
                        on.cluster.compact(on.cluster.resource_version)
                    elif name not in there:
                        on.cluster.create("JobFlow", flow(name), namespace=NS)
                    elif what == "put":
                        on.cluster.patch_merge("JobFlow", NS, name, {"spec": {"x": on.cluster.resource_version}})
                    else:
                        on.cluster.delete("JobFlow", NS, name)
                await anyio.sleep(401 * (len(left) + 1))
                expected = {
                    obj["metadata"]["name"]: obj["metadata"]["resourceVersion"]
                    for obj in on.cluster.list("JobFlow").items
                }
                assert cache == expected
                tasks.cancel_scope.cancel()

        played(scene, backend)

    law()
