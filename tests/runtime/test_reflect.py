"""List and watch: whatever happens to them, what is known becomes what the server has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from tests.runtime.stage import play
from zenflow_runtime.door import Door
from zenflow_runtime.kube import FLOW, Kube, Object, WatchEvent
from zenflow_runtime.reflect import Reflector, Watched
from zenflow_testing.cluster import Cluster
from zenflow_testing.transport import ClusterTransport, Fault, TooOld, config
from zenflow_testing.transport_time import LoopClock
from zenflow_testing.transport_watch import CutEnd, CutWatch, SilentWatch

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Known:
    """A sink that keeps names with versions, and doubts what a list lacks as the ledger does."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, str]] = {}
        self.lists = 0

    def begin(self) -> None:
        self.lists += 1

    def wants(self, event: WatchEvent) -> bool:
        return True

    def take(self, obj: Object) -> None:
        metadata = obj["metadata"]
        if obj["spec"] == "poison":
            raise TypeError("spec is no object")
        self.objects[metadata["uid"]] = (metadata["name"], metadata["resourceVersion"])

    def drop(self, obj: Object) -> None:
        self.objects.pop(obj["metadata"]["uid"], None)

    def end(self, uids: frozenset[str]) -> None:
        self.objects = {uid: known for uid, known in self.objects.items() if uid in uids}

    def settle(self) -> None:
        pass

    def names(self) -> list[str]:
        return sorted(name for name, _ in self.objects.values())


class On:
    """A cluster, what a reflector knows of its flows, and the reflector."""

    def __init__(self, on_request: Callable[[httpx2.Request], Awaitable[Fault | None]] | None = None, **options: Any):
        self.watches = self.lists = 0
        self.versions: list[str] = []
        self._also = on_request
        self.cluster = Cluster(LoopClock())
        transport = ClusterTransport(self.cluster, on_request=self._count, **options)
        self.kube = Kube(config("default"), Door(transport))
        self.known = Known()
        self.reflector = Reflector(self.kube, Watched(FLOW), self.known)

    async def _count(self, request: httpx2.Request) -> Fault | None:
        if "watch" in request.url.params:
            self.watches += 1
            self.versions.append(request.url.params["resourceVersion"])
        else:
            self.lists += 1
        return None if self._also is None else await self._also(request)

    def make(self, name: str, spec: Any = None) -> None:
        self.cluster.create("JobFlow", {"metadata": {"name": name}, "spec": spec or {}}, namespace="default")

    def agrees(self) -> bool:
        there = {
            flow["metadata"]["uid"]: (flow["metadata"]["name"], flow["metadata"]["resourceVersion"])
            for flow in self.cluster.list("JobFlow").items
        }
        return there == self.known.objects

    async def during(self, scene: Callable[[], Awaitable[None]]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.reflector.run)
            await scene()
            tasks.cancel_scope.cancel()
        await self.kube.close()


@BACKENDS
def test_it_lists_and_then_watches(backend: str) -> None:
    async def scene() -> None:
        on = On()
        on.make("a")

        async def happens() -> None:
            await on.reflector.synced.wait()
            assert on.known.names() == ["a"]
            on.make("b")
            await anyio.sleep(1)
            assert on.known.names() == ["a", "b"]
            on.cluster.delete("JobFlow", "default", "a")
            await anyio.sleep(1)
            assert on.known.names() == ["b"]
            await anyio.sleep(3000)
            assert (on.lists, on.watches) == (1, 11)

        await on.during(happens)

    play(scene, backend)


@BACKENDS
@pytest.mark.parametrize("way", [*TooOld])
def test_a_version_that_is_gone_leads_to_a_list_that_shows_what_vanished(backend: str, way: TooOld) -> None:
    async def scene() -> None:
        away: list[bool] = []

        async def refuse(_: httpx2.Request) -> Fault | None:
            return httpx2.Response(503) if away else None

        on = On(refuse, too_old=way, watch_seconds=30)
        on.make("a")
        on.make("b")

        async def happens() -> None:
            await on.reflector.synced.wait()
            away.append(True)
            await anyio.sleep(400)  # the watch has ended and cannot begin again
            on.cluster.delete("JobFlow", "default", "a")
            on.make("c")
            on.cluster.compact(on.cluster.resource_version)
            away.clear()
            await anyio.sleep(40)
            assert on.known.names() == ["b", "c"]
            assert on.agrees()
            assert on.reflector.restarts["expired"] == 1

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_a_watch_that_falls_silent_is_given_up_and_begun_where_it_was(backend: str) -> None:
    async def scene() -> None:
        async def silent(request: httpx2.Request) -> Fault | None:
            return SilentWatch(1) if "watch" in request.url.params and on.watches == 1 else None

        on = On(silent)
        on.make("a")

        async def happens() -> None:
            await anyio.sleep(100)  # a bookmark came after a minute, then silence
            on.make("b")
            await anyio.sleep(50)
            assert on.known.names() == ["a"]
            await anyio.sleep(80)
            assert on.known.names() == ["a", "b"]
            assert (on.lists, on.watches) == (1, 2)
            assert on.reflector.restarts["silent"] == 1

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_a_watch_without_bookmarks_is_given_up_when_the_server_should_have_ended_it(backend: str) -> None:
    async def scene() -> None:
        async def silent(request: httpx2.Request) -> Fault | None:
            return SilentWatch(0) if "watch" in request.url.params and on.watches == 1 else None

        on = On(silent)

        async def happens() -> None:
            await anyio.sleep(10)
            on.make("a")
            await anyio.sleep(290)
            assert on.known.names() == []
            await anyio.sleep(10)
            assert on.known.names() == ["a"]

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_an_object_that_cannot_be_read_stops_none_of_the_others(backend: str) -> None:
    async def scene() -> None:
        on = On()
        on.make("a")
        on.make("bad", "poison")

        async def happens() -> None:
            await on.reflector.synced.wait()
            on.make("worse", "poison")
            on.make("b")
            await anyio.sleep(1)
            assert on.known.names() == ["a", "b"]
            assert on.reflector.unreadable == 2
            assert on.reflector.restarts.total() == 0

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_a_server_that_ends_each_watch_at_once_is_not_asked_in_a_loop(backend: str) -> None:
    async def scene() -> None:
        async def ends(request: httpx2.Request) -> Fault | None:
            return httpx2.Response(200, content=b"") if "watch" in request.url.params else None

        on = On(ends)

        async def happens() -> None:
            await anyio.sleep(300)
            assert on.watches <= 16

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_a_server_whose_versions_are_always_gone_is_not_asked_in_a_loop(backend: str) -> None:
    async def scene() -> None:
        async def gone(request: httpx2.Request) -> Fault | None:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            return httpx2.Response(410, json=status) if "watch" in request.url.params else None

        on = On(gone)

        async def happens() -> None:
            await anyio.sleep(300)
            assert on.lists <= 16

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_all_is_listed_anew_now_and_then(backend: str) -> None:
    async def scene() -> None:
        on = On()

        async def happens() -> None:
            await anyio.sleep(3 * 3600)
            assert on.lists in (3, 4)

        await on.during(happens)

    play(scene, backend)


@BACKENDS
def test_retry_after_is_kept_to(backend: str) -> None:
    async def scene() -> None:
        async def busy(request: httpx2.Request) -> Fault | None:
            return httpx2.Response(429, headers={"retry-after": "120"}) if on.lists == 1 else None

        on = On(busy)

        async def happens() -> None:
            await anyio.sleep(119)
            assert on.lists == 1
            await anyio.sleep(2)
            assert on.reflector.synced.is_set()

        await on.during(happens)

    play(scene, backend)


def test_managed_fields_are_thrown_away() -> None:
    async def scene() -> None:
        kept: list[Object] = []
        on = On()
        on.known.take = kept.append  # type: ignore[method-assign,assignment]  # to see what is handed over
        body = {"metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]}, "spec": {}}
        on.cluster.create("JobFlow", body, namespace="default")

        async def happens() -> None:
            await on.reflector.synced.wait()
            assert all("managedFields" not in obj["metadata"] for obj in kept)

        await on.during(happens)

    play(scene)


Operation = tuple[str, int]


@given(
    random=st.randoms(use_true_random=False),
    seed=st.random_module(),
    operations=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50)), max_size=12),
)
@tries(max_examples=25)
def test_whatever_happens_to_requests_the_cache_ends_as_the_server(
    random: Any, seed: object, operations: list[Operation]
) -> None:
    """Refused, cut, silent, expired: once the faults stop, what is known equals what there is."""

    async def scene() -> None:
        broken = [True]

        async def faulty(request: httpx2.Request) -> Fault | None:
            dice, watch = random.random(), "watch" in request.url.params
            if not broken:
                return None
            if dice < 0.15:
                raise httpx2.ConnectError("refused")
            if dice < 0.25:
                return httpx2.Response(503)
            if watch and dice < 0.35:
                return httpx2.Response(410, json={"kind": "Status", "code": 410, "message": "too old"})
            if watch and dice < 0.45:
                return httpx2.Response(200, content=b'{"type":"ADDED","obj')
            if watch and dice < 0.55:
                return CutWatch(random.randint(0, 2), random.randint(0, 40), end=random.choice([*CutEnd]))
            if watch and dice < 0.65:
                return SilentWatch(random.randint(0, 2))
            if dice < 0.7:
                await anyio.sleep(400)
                raise httpx2.ReadTimeout("silence")
            return None

        on = On(faulty)

        async def happens() -> None:
            for name, pause in operations:
                await anyio.sleep(pause)
                there = [flow["metadata"]["name"] for flow in on.cluster.list("JobFlow").items]
                if name not in there:
                    on.make(name)
                elif pause % 2:
                    on.cluster.delete("JobFlow", "default", name)
                else:
                    on.cluster.patch_merge("JobFlow", "default", name, {"metadata": {"labels": {"x": str(pause)}}})
                if pause % 7 == 0:
                    on.cluster.compact(on.cluster.resource_version)
            broken.clear()
            await anyio.sleep(1000)
            assert on.agrees()

        await on.during(happens)

    play(scene)
