"""The operator process: it crashes, hands over, stops, keeps to its rate, and asks for nothing undeclared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
import httpx2
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from tests.defects.lives import HANGS, fails, flow, manual, retried, seconds, step, succeeds
from tests.runtime.stage import ALONE, Stage, going_on, play, settings
from zenflow_runtime.access import ACCESS, UNSENT
from zenflow_runtime.events import EventMode
from zenflow_runtime.settings import ElectionMode
from zenflow_testing.cluster import Event, EventType
from zenflow_testing.transport import Fault, LostAnswer

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
ELECTED = evolve(ALONE, election=ElectionMode.BUILTIN)
CHAIN = flow(step("a", retryPolicy=retried(1)), step("b", "a"), step("c", "b"))


def once(
    matches: Callable[[httpx2.Request], bool], fault: Fault | BaseException
) -> Callable[..., Awaitable[Fault | None]]:
    """The first request of that kind meets this."""
    met: list[bool] = []

    async def on_request(request: httpx2.Request) -> Fault | None:
        if met or not matches(request):
            return None
        met.append(True)
        if isinstance(fault, BaseException):
            raise fault
        return fault

    return on_request


def is_create(request: httpx2.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/jobs")


def is_record(request: httpx2.Request) -> bool:
    return request.method == "PATCH" and request.url.path.endswith("/status")


# It goes on after whatever happens to it


@BACKENDS
@pytest.mark.parametrize("after", range(1, 16))
def test_a_crash_after_any_request_loses_nothing(backend: str, after: int) -> None:
    async def scene() -> None:
        async with going_on(Stage(CHAIN, runs={"a": [fails()]})) as on:
            crashed = anyio.Event()

            async def die(request: httpx2.Request) -> Fault | None:
                if len([ask for ask in on.asked if ask.verb not in ("list", "watch")]) >= after:
                    crashed.set()
                    await anyio.sleep_forever()
                return None

            first = on.make(name="first", fault=die)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.run)
                with anyio.move_on_after(3600):
                    await crashed.wait()
                tasks.cancel_scope.cancel()
            async with on.operator(name="second"):
                await on.until(on.over)
            assert on.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded"}
            names = [job["metadata"]["name"] for job in on.all("Job")]
            assert len(names) == 4  # a twice, b, c: each attempt once

    play(scene, backend)


@BACKENDS
@pytest.mark.parametrize(
    ("matches", "fault"),
    [
        pytest.param(is_create, LostAnswer(), id="the answer to a create is lost"),
        pytest.param(is_create, httpx2.ConnectError("refused"), id="a create is not sent"),
        pytest.param(is_create, httpx2.Response(500, text="etcd is away"), id="a create meets a 500 that is no Status"),
        pytest.param(is_create, httpx2.Response(429, headers={"retry-after": "7"}), id="a create is to be sent later"),
        pytest.param(is_record, LostAnswer(), id="the answer to a status write is lost"),
        pytest.param(is_record, httpx2.ReadTimeout("slow"), id="a status write is not answered"),
        pytest.param(is_record, httpx2.Response(503), id="a status write meets a 503 without a body"),
        pytest.param(
            is_record, httpx2.Response(409, json={"kind": "Status", "code": 409}), id="a conflict without cause"
        ),
    ],
)
def test_a_request_that_goes_wrong_is_made_good(
    backend: str, matches: Callable[[httpx2.Request], bool], fault: Fault
) -> None:
    async def scene() -> None:
        async with going_on(Stage(CHAIN)) as on:
            on.fault = once(matches, fault)
            async with on.operator() as op:
                await on.until(on.over)
                assert not op.metrics.text().count(b"zen_flow_invariant_violations_total 1.0")
            assert on.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded"}
            assert len(on.all("Job")) == 3

    play(scene, backend)


@BACKENDS
def test_a_stale_view_is_refused_at_its_record_and_creates_nothing(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a")))) as on:

            async def somebody_writes_first(request: httpx2.Request) -> Fault | None:
                if is_record(request) and on.count("patch", "jobflows/status") == 1:
                    on.annotate("note", "written in between")
                return None

            on.fault = somebody_writes_first
            async with on.operator() as op:
                await on.until(on.over)
                assert b"zen_flow_stale_views_refused_total 1.0" in op.metrics.text()
            at = [ask.verb for ask in on.asked if ask.resource in ("jobflows/status", "jobs") and ask.verb != "watch"]
            assert at[:4] == ["list", "patch", "patch", "create"]  # nothing is created before the record is accepted

    play(scene, backend)


@given(random=st.randoms(use_true_random=False), seed=st.random_module())
@tries(max_examples=15)
def test_in_any_trouble_the_flow_ends_as_in_calm(random: Any, seed: object) -> None:
    """Requests fail, answers are lost, in any order of tasks; once that stops the flow ends as it should."""

    async def scene() -> None:
        async with going_on(Stage(CHAIN, runs={"a": [fails()]})) as on:

            async def trouble(request: httpx2.Request) -> Fault | None:
                dice = random.random()
                if anyio.current_time() > 600:
                    return None
                if dice < 0.1:
                    raise httpx2.ConnectError("refused")
                if dice < 0.2:
                    return httpx2.Response(503)
                if dice < 0.3 and request.method != "GET":
                    return LostAnswer()
                return None

            on.fault = trouble
            async with on.operator():
                await on.until(on.over)
            assert on.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded"}
            assert len(on.all("Job")) == 4

    play(scene)


@BACKENDS
def test_somebody_elses_job_of_that_name_is_left_alone(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage()) as on:
            on.cluster.preset_uid("JobFlow", "0a0a0a0a-0000-4000-8000-000000000001")
            on.submit(flow(step("a")))
            pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "busybox:1.36"}]}
            body = {"metadata": {"name": "flow-a-0a0a0a0a"}, "spec": {"template": {"spec": pod}}}
            on.cluster.create("Job", body, namespace="default")
            async with on.operator():
                await on.until(on.over)
            assert on.reasons() == {"a": "JobNameTaken"}
            assert on.count("delete", "jobs") == 0

    play(scene, backend)


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({}, id="as its own definition leaves it"),
        pytest.param({"name": "flow-a-0a0a0a0a"}, id="without a uid"),
        pytest.param({"name": "flow-a-0a0a0a0a", "uid": "gone"}, id="of a Job that is gone"),
    ],
)
def test_a_row_that_another_controller_left_running_ends_and_is_no_bug_of_ours(reference: dict[str, str]) -> None:
    """The Go project counts no attempts, and its Job has none of our labels."""

    async def scene() -> None:
        async with going_on(Stage()) as on:
            on.cluster.preset_uid("JobFlow", "0a0a0a0a-0000-4000-8000-000000000001")
            on.submit(flow(step("a"), step("b", "a")))
            row = {"name": "a", "phase": "Running", "startTime": "2026-01-01T00:00:00Z", "jobRef": reference}
            status = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "steps": [row]}
            on.cluster.patch_merge("JobFlow", "default", "flow", {"status": status}, subresource="status")
            pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "busybox:1.36"}]}
            body = {"metadata": {"name": "flow-a-0a0a0a0a"}, "spec": {"template": {"spec": pod}}}
            on.cluster.create("Job", body, namespace="default")
            async with on.operator() as operator:
                await on.until(on.over)
            assert on.phases() == {"a": "Failed", "b": "Skipped"}
            assert len(on.all("Job")) == 1
            assert b"zen_flow_invariant_violations_total 0.0" in operator.metrics.text()

    play(scene)


# Two replicas


@BACKENDS
def test_one_replica_leads_and_the_other_takes_over_when_it_dies(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(CHAIN)) as on:
            async with anyio.create_task_group() as tasks:
                first, second = on.make(ELECTED, name="first"), on.make(ELECTED, name="second")
                dies = anyio.CancelScope()

                async def life() -> None:
                    with dies:
                        await first.run()

                tasks.start_soon(life)
                await on.until(first.leads, within=5)
                tasks.start_soon(second.run)
                await on.until(lambda: on.status().get("phase") == "Running")
                assert not second.leads()
                await anyio.sleep(5)
                dies.cancel()
                died = anyio.current_time()
                await on.until(second.leads, within=60)
                assert 12 <= anyio.current_time() - died <= 20
                await on.until(on.over)
                tasks.cancel_scope.cancel()
            assert len(on.all("Job")) == 3
            lease = on.all("Lease")[0]["spec"]
            assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("second", 2)

    play(scene, backend)


@BACKENDS
def test_a_leader_cut_off_from_its_lease_stops_before_anybody_else_may_lead(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a"), step("b", "a")), runs={"a": [HANGS]})) as on:
            cut: list[bool] = []

            async def no_leases(request: httpx2.Request) -> Fault | None:
                if cut and "/leases" in request.url.path:
                    raise httpx2.ConnectError("cut off")
                return None

            async with anyio.create_task_group() as tasks:
                first = on.make(ELECTED, name="first", fault=no_leases)
                second = on.make(ELECTED, name="second")
                tasks.start_soon(first.run)
                await on.until(first.leads, within=5)
                tasks.start_soon(second.run)
                await anyio.sleep(4)
                cut.append(True)
                began = anyio.current_time()
                stopped = led = 0.0
                while not led:
                    await anyio.sleep(0.1)
                    assert not (first.leads() and second.leads()), "two replicas lead"
                    if not stopped and not first.leads():
                        stopped = anyio.current_time() - began
                    if second.leads():
                        led = anyio.current_time() - began
                assert stopped <= 10.2
                assert led - stopped >= 3
                cut.clear()
                await anyio.sleep(60)
                assert second.leads()
                assert not first.leads()
                tasks.cancel_scope.cancel()

    play(scene, backend)


@BACKENDS
def test_a_leader_that_stops_hands_over_at_once(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(CHAIN)) as on, anyio.create_task_group() as tasks:
            first, second = on.make(ELECTED, name="first"), on.make(ELECTED, name="second")
            ended = anyio.Event()

            async def life() -> None:
                await first.run()
                ended.set()

            tasks.start_soon(life)
            await on.until(first.leads, within=5)
            tasks.start_soon(second.run)
            await on.until(lambda: on.status().get("phase") == "Running")
            first.stop()
            told = anyio.current_time()
            await ended.wait()
            await on.until(second.leads, within=5)
            assert anyio.current_time() - told <= 3
            await on.until(on.over)
            assert len(on.all("Job")) == 3
            tasks.cancel_scope.cancel()

    play(scene, backend)


# An orderly end


@BACKENDS
def test_a_decision_under_way_is_carried_out_before_the_process_stops(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a"), step("b", "a")))) as on, anyio.create_task_group() as tasks:
            sent = anyio.Event()

            async def slow(request: httpx2.Request) -> Fault | None:
                if is_create(request):
                    sent.set()
                    await anyio.sleep(5)
                return None

            operator = on.make(fault=slow)
            ended = anyio.Event()

            async def life() -> None:
                await operator.run()
                ended.set()

            tasks.start_soon(life)
            await sent.wait()
            operator.stop()
            told = anyio.current_time()
            await ended.wait()
            assert 4.9 <= anyio.current_time() - told <= 5.2
            assert len(on.all("Job")) == 1
            await anyio.sleep(60)
            assert len(on.all("Job")) == 1  # nothing new is begun
            tasks.cancel_scope.cancel()

    play(scene, backend)


@BACKENDS
def test_a_decision_that_does_not_end_is_cut_off(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a")))) as on, anyio.create_task_group() as tasks:
            sent = anyio.Event()

            async def stuck(request: httpx2.Request) -> Fault | None:
                if is_create(request):
                    sent.set()
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(8)
                    raise httpx2.ReadTimeout("stuck")
                return None

            operator = on.make(settings(drain_seconds=3.0), fault=stuck)
            ended = anyio.Event()

            async def life() -> None:
                await operator.run()
                ended.set()

            tasks.start_soon(life)
            await sent.wait()
            operator.stop()
            told = anyio.current_time()
            await ended.wait()
            assert anyio.current_time() - told <= 8.5
            tasks.cancel_scope.cancel()

    play(scene, backend)


# The rate


@BACKENDS
def test_requests_keep_to_the_rate_but_deletes_need_not_wait(backend: str) -> None:
    async def scene() -> None:
        steps = [step(f"s{n}") for n in range(60)]
        slow = settings(qps=10.0, burst=20, events=EventMode.NONE)
        async with going_on(Stage(flow(*steps), runs={s["name"]: [HANGS] for s in steps})) as on, on.operator(slow):
            await on.until(lambda: len(on.all("Job")) == 60)
            # 18 at once (2 are kept for deletes), then 10 a second; besides the Jobs: 3 lists and a status write.
            assert 4.4 <= (on.clock.exact - on.decisions[0].state.flow.created_at).total_seconds() <= 5.5
            on.cluster.patch_merge("JobFlow", "default", "flow", {"spec": {"shutdown": "Terminate"}})
            await on.until(lambda: on.count("delete", "jobs") == 60, within=10)
            assert on.phase() == "Failed"

    play(scene, backend)


# What it asks for


@BACKENDS
def test_nothing_is_asked_of_the_api_server_that_is_not_declared(backend: str) -> None:
    async def scene() -> None:
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        configs = [{"metadata": {"name": "settings"}, "data": {"mode": "fast"}}]
        key = {"configMapKeyRef": {"name": "release", "key": "tag"}}
        everything = flow(
            step("make", inputs={"parameters": [{"name": "t", "valueFrom": key}]}, outputs={"parameters": [out("d")]}),
            step("hangs", timeoutSeconds=30, continueOnFailure=True),
            manual("ok", "make"),
            step("use", "ok"),
            resourceTemplates={"volumeClaimTemplates": [claim], "configMapTemplates": configs},
            policy={"ttlSecondsAfterFinished": 60},
        )
        stage = Stage(everything, runs={"hangs": [HANGS]}, sync_delay=1)
        stage.cluster.create("ConfigMap", {"metadata": {"name": "release"}, "data": {"tag": "v7"}}, namespace="default")
        async with going_on(stage) as on, on.operator(ELECTED):
            await on.until(lambda: not on.all("JobFlow"))
            asked = {(ask.group, ask.resource, ask.verb) for ask in on.asked}
        declared = {(each.group, each.resource, each.verb) for each in ACCESS} - UNSENT
        assert asked <= declared, asked - declared
        assert not any("secrets" in resource for _, resource, _ in declared)
        wanted = {("jobflows", "delete"), ("jobs", "delete"), ("jobs", "patch"), ("pods", "list"), ("leases", "update")}
        assert wanted <= {(resource, verb) for _, resource, verb in asked}

    def out(name: str) -> dict[str, object]:
        return {"name": name, "valueFrom": {"jsonPath": "$.digest"}}

    play(scene, backend)


def test_every_permission_says_what_it_is_for() -> None:
    assert all(each.why for each in ACCESS)
    assert len({(each.group, each.resource, each.verb) for each in ACCESS}) == len(ACCESS)


# Time


def test_a_wall_clock_that_is_set_forward_rings_the_alarms_that_are_due() -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a", timeoutSeconds=3600)), runs={"a": [HANGS]})) as on, on.operator():
            await on.until(lambda: on.jobs() != [])
            await anyio.sleep(100)
            on.clock._base += seconds(7200)
            await on.until(on.over, within=30)
            assert on.reasons() == {"a": "StepTimedOut"}

    play(scene)


@given(number=st.integers(0, 2**32), seed=st.random_module())
@tries(max_examples=12)
def test_replicas_that_die_and_are_cut_off_never_make_an_attempt_twice(number: int, seed: object) -> None:
    """Two replicas, killed, started again and cut off at random; the flow ends as in calm, each attempt made once."""

    async def scene() -> None:
        random = Random(number)
        wide = flow(step("a", retryPolicy=retried(1)), step("b", "a"), step("c", "a"), step("d", "b", "c"))
        async with going_on(Stage(wide, runs={"a": [fails()], "c": [succeeds(200)]})) as on:
            made: list[str] = []
            on.cluster.subscribe(lambda event: made.append(name_of(event)) if is_new_job(event) else None)
            cut: dict[str, bool] = {}

            async def replica(name: str) -> None:
                while True:

                    async def cut_off(request: httpx2.Request) -> Fault | None:
                        if cut.get(name):
                            raise httpx2.ConnectError("cut off")
                        if random.random() < 0.05 and request.method != "GET":
                            return LostAnswer()
                        return None

                    operator = on.make(ELECTED, name=f"{name}-{len(on.operators)}", fault=cut_off)
                    with anyio.move_on_after(random.uniform(1, 120) if anyio.current_time() < 900 else 1e9):
                        await operator.run()

            async def cutter() -> None:
                for _ in range(12):
                    await anyio.sleep(random.uniform(1, 60))
                    cut[random.choice("xy")] = random.random() < 0.5
                cut.clear()

            async with anyio.create_task_group() as tasks:
                for name in "xy":
                    tasks.start_soon(replica, name)
                tasks.start_soon(cutter)
                await on.until(on.over)
                tasks.cancel_scope.cancel()
            assert on.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "d": "Succeeded"}
            assert len(made) == len(set(made)) == 5

    def is_new_job(event: Event) -> bool:
        return event.kind == "Job" and event.type is EventType.ADDED

    def name_of(event: Event) -> str:
        name: str = event.object["metadata"]["name"]
        return name

    play(scene)
