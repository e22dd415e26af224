"""What the operator tells of itself: Events, metrics, probes, log lines."""

from __future__ import annotations

import io
import json
from typing import Any

import anyio
import httpx2
import pytest
import structlog

from tests.defects.lives import HANGS, fails, flow, manual, retried, step, succeeds
from tests.runtime.stage import Stage, going_on, play, settings
from zenflow_core.version import VERSION
from zenflow_runtime.events import WAITING, EventMode, Note, Recorder
from zenflow_runtime.logs import set_up
from zenflow_runtime.metrics import Metrics
from zenflow_runtime.operator import Operator
from zenflow_runtime.queue import WorkQueue
from zenflow_runtime.web import Health, application
from zenflow_testing.transport import Fault
from zenflow_testing.transport_watch import SilentWatch

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


# Events


@BACKENDS
def test_one_event_for_each_job_failure_retry_approval_and_end(backend: str) -> None:
    async def scene() -> None:
        steps = [step("a", retryPolicy=retried(1, 5)), manual("ok", "a"), step("b", "ok"), step("c", "b")]
        stage = Stage(flow(*steps), runs={"a": [fails()], "c": [fails()]})
        async with going_on(stage) as on, on.operator():
            await on.until(on.over)
            await anyio.sleep(1)
            assert [line.partition(":")[0] for line in on.told()] == [
                "StepCreated",  # a
                "StepRetry",
                "StepCreated",  # a again
                "StepPendingApproval",
                "FlowPaused",
                "StepApproved",
                "FlowResumed",
                "StepCreated",  # b
                "StepCreated",  # c
                "JobFailed",
                "JobFlowFailed",
            ]
            assert on.told()[-1] == "JobFlowFailed: FlowFailed: step c failed"
            warned = {event["reason"] for event in on.all("Event") if event["type"] == "Warning"}
            assert warned == {"StepRetry", "JobFailed", "JobFlowFailed"}
            about = on.all("Event")[0]["involvedObject"]
            assert (about["kind"], about["name"], about["uid"]) == ("JobFlow", "flow", on.flow()["metadata"]["uid"])

    play(scene, backend)


@BACKENDS
def test_jobs_that_are_created_in_quick_succession_share_an_event(backend: str) -> None:
    async def scene() -> None:
        wide = flow(*(step(f"s{n}") for n in range(20)), step("join", *(f"s{n}" for n in range(20))))
        async with going_on(Stage(wide)) as on, on.operator():
            await anyio.sleep(4.9)
            assert len(on.told()) == 1
            await on.until(on.over)
            await anyio.sleep(6)
            first, others, join, end = on.told()
            assert first.startswith("StepCreated: step s")
            assert others.startswith("StepCreated: created 19 Jobs, of steps s")
            assert join.startswith("StepCreated: step join: created Job flow-join-")
            assert end.startswith("JobFlowCompleted")
            told = first + others
            assert all(f" s{n}," in f"{told}," or f" s{n}:" in told for n in range(20))
            counts = sorted(event["count"] for event in on.all("Event"))
            assert counts == [1, 1, 1, 19]

    play(scene, backend)


@BACKENDS
def test_what_else_happens_is_told_after_the_creations_before_it(backend: str) -> None:
    async def scene() -> None:
        steps = [step("a"), step("b"), manual("ok", "b")]
        stage = Stage(flow(*steps), runs={"a": [HANGS], "b": [succeeds(1)]})
        async with going_on(stage) as on, on.operator():
            await anyio.sleep(4)
            assert [line.partition(":")[0] for line in on.told()] == [
                "StepCreated",
                "StepCreated",
                "StepPendingApproval",
                "FlowPaused",
            ]

    play(scene, backend)


async def _stopped(on: Stage, seconds_an_event: float) -> float:
    """Run an operator until all twenty Jobs are there, and stop it; the seconds that took."""

    async def slow(request: httpx2.Request) -> Fault | None:
        if request.url.path.endswith("/events"):
            await anyio.sleep(seconds_an_event)
        return None

    operator = on.make(fault=slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(operator.run)
        await on.until(lambda: len(on.all("Job")) == 20)
        operator.stop()
        told = anyio.current_time()
    return anyio.current_time() - told


@BACKENDS
@pytest.mark.parametrize(
    ("seconds_an_event", "counts"),
    [pytest.param(0.3, [1, 19], id="all is told"), pytest.param(60.0, [], id="it does not wait for ever")],
)
def test_what_is_left_to_tell_when_the_process_stops(backend: str, seconds_an_event: float, counts: list[int]) -> None:
    async def scene() -> None:
        steps = [step(f"s{n}") for n in range(20)]
        async with going_on(Stage(flow(*steps), runs={s["name"]: [HANGS] for s in steps})) as on:
            assert await _stopped(on, seconds_an_event) <= 2.5
            assert sorted(event["count"] for event in on.all("Event")) == counts

    play(scene, backend)


@BACKENDS
def test_a_second_process_does_not_tell_again(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a", timeoutSeconds=30)), runs={"a": [HANGS]})) as on:
            first = on.make(name="first")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.run)
                await on.until(lambda: len(on.told()) == 1)
                tasks.cancel_scope.cancel()
            # The second one finds the Job uncreated as far as it knows, and has to say so if it does anything.
            async with on.operator(name="second") as second:
                await on.until(on.over)
                await anyio.sleep(1)
                assert b'zen_flow_events_total{result="known"}' not in second.metrics.text()
            reasons = [line.partition(":")[0] for line in on.told()]
            assert reasons == ["StepCreated", "StepTimeout", "JobFlowFailed"]

    play(scene, backend)


@BACKENDS
def test_the_same_event_told_by_two_processes_is_stored_once(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a")))) as on, on.operator() as op:
            await on.until(on.over)
            counted: list[str] = []
            twin = Recorder(op.kube, on.clock, counted=counted.append)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(twin.run)
                known = next(iter(op.ledger.flows.values()))
                for _ in range(3):
                    twin.tell(known, Note("StepCreated", "again", subject="a", attempt=1))
                await anyio.sleep(1)
                tasks.cancel_scope.cancel()
            twin.close()
            assert counted == ["known"]
            assert len(on.told()) == 2

    play(scene, backend)


@BACKENDS
@pytest.mark.parametrize(
    ("mode", "then"),
    [
        (EventMode.ALL, ["StepCreated", "JobFailed", "JobFlowFailed"]),
        (EventMode.FAILURES, ["JobFailed", "JobFlowFailed"]),
        (EventMode.NONE, []),
    ],
)
def test_how_much_is_told_can_be_set(backend: str, mode: EventMode, then: list[str]) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a")), runs={"a": [fails()]})) as on, on.operator(settings(events=mode)):
            await on.until(on.over)
            await anyio.sleep(1)
            assert [line.partition(":")[0] for line in on.told()] == then

    play(scene, backend)


@BACKENDS
def test_nothing_waits_for_an_event_and_a_flood_is_cut_off(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a"), step("b", "a")))) as on:

            async def no_events(request: httpx2.Request) -> Fault | None:
                if request.url.path.endswith("/events"):
                    await anyio.sleep(3600)
                return None

            on.fault = no_events
            async with on.operator() as op:
                await on.until(on.over)
                known = next(iter(op.ledger.flows.values()))
                assert op.events is not None
                for number in range(WAITING + 50):
                    op.events.tell(known, Note("Flood", "text", attempt=number))
                text = op.metrics.text().decode()
            assert (on.clock.now - on.decisions[0].state.flow.created_at).total_seconds() == 20
            dropped = next(line for line in text.splitlines() if 'events_total{result="dropped"}' in line)
            assert 45 <= float(dropped.split()[1]) <= 55

    play(scene, backend)


# Metrics


def value(metrics: Metrics, series: str) -> float | None:
    """One number of the text format; None if the series is not there."""
    lines = metrics.text().decode().splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == series]
    return float(found[0]) if found else None


@BACKENDS
def test_gauges_are_what_there_is(backend: str) -> None:
    async def scene() -> None:
        flows = [
            flow(step("a"), step("b", "a"), name="short", policy={"ttlSecondsAfterFinished": 60}),
            flow(*(step(f"s{n}") for n in range(5)), name="wide", policy={"parallelism": 2}),
            flow(manual("ok"), name="asks"),
        ]
        runs = {f"s{n}": [HANGS] for n in range(5)}
        async with going_on(Stage(*flows, runs=runs, approvals={"ok": None})) as on, on.operator() as op:
            await anyio.sleep(5)
            read = op.metrics
            assert value(read, 'zen_flow_jobflows{namespace="default",phase="Running"}') == 2
            assert value(read, 'zen_flow_jobflows{namespace="default",phase="Paused"}') == 1
            assert value(read, 'zen_flow_steps{namespace="default",phase="Running"}') == 3
            assert value(read, 'zen_flow_steps{namespace="default",phase="Pending"}') == 4
            assert value(read, 'zen_flow_step_execution_queue_depth{namespace="default"}') == 3
            assert value(read, 'zen_flow_approvals_pending{namespace="default"}') == 1
            assert value(read, "zen_flow_leader") == 1
            assert value(read, "zen_flow_queue_depth") == value(read, "zen_flow_workers_busy") == 0
            assert value(read, 'zen_flow_watch_list_age_seconds{kind="jobs"}') == pytest.approx(5, abs=0.1)
            await anyio.sleep(200)
            assert [f["metadata"]["name"] for f in on.all("JobFlow")] == ["asks", "wide"]
            assert value(read, 'zen_flow_jobflows{namespace="default",phase="Succeeded"}') is None
            assert value(read, 'zen_flow_steps{namespace="default",phase="Succeeded"}') is None

    play(scene, backend)


@BACKENDS
def test_counters_say_what_has_happened(backend: str) -> None:
    async def scene() -> None:
        steps = [step("a", retryPolicy=retried(1, 30)), step("b", "a", timeoutSeconds=60)]
        async with going_on(Stage(flow(*steps), runs={"a": [fails()], "b": [HANGS]})) as on, on.operator() as op:
            await on.until(on.over)
            await anyio.sleep(1)
            read, ns = op.metrics, 'namespace="default"'
            assert value(read, f"zen_flow_step_retries_total{{{ns}}}") == 1
            assert value(read, f"zen_flow_step_retry_backoff_duration_seconds_sum{{{ns}}}") == 30
            assert value(read, f'zen_flow_step_phase_transitions_total{{{ns},phase="Succeeded"}}') == 1
            assert value(read, f'zen_flow_step_phase_transitions_total{{{ns},phase="Running"}}') == 3
            assert value(read, f'zen_flow_jobflow_phase_transitions_total{{{ns},phase="Failed"}}') == 1
            assert value(read, f'zen_flow_step_errors_total{{error_type="StepTimedOut",{ns}}}') == 1
            assert value(read, f'zen_flow_timeouts_total{{{ns},timeout_type="step_timeout"}}') == 1
            assert value(read, f'zen_flow_step_duration_seconds_sum{{{ns},result="failure"}}') == 60
            assert value(read, f'zen_flow_step_duration_seconds_sum{{{ns},result="success"}}') == 10
            assert value(read, "zen_flow_invariant_violations_total") == 0
            assert value(read, "zen_flow_step_gap_seconds_count") == 3
            created = 'zen_flow_api_server_calls_total{code="201",operation="create",resource="jobs"}'
            assert value(read, created) == 3

    play(scene, backend)


# Probes


async def ask(operator: Operator, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(application(operator.health, operator.metrics))
    async with httpx2.AsyncClient(transport=transport, base_url="http://operator") as client:
        return await client.get(path)


@BACKENDS
def test_the_probes_are_well_when_all_is_well(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a")))) as on:
            operator = on.make()
            unready = await ask(operator, "/readyz")
            assert (unready.status_code, "jobs have not been listed" in unready.text) == (503, True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(operator.run)
                await on.until(on.over)
                await anyio.sleep(7200)  # nothing happens, but bookmarks do
                for path in ("/healthz", "/readyz"):
                    assert ((await ask(operator, path)).status_code, path) == (200, path)
                assert (await ask(operator, "/version")).json() == {"version": VERSION}
                metrics = await ask(operator, "/metrics")
                assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
                assert "zen_flow_jobflows{" in metrics.text
                assert (await ask(operator, "/nothing")).status_code == 404
                tasks.cancel_scope.cancel()

    play(scene, backend)


@BACKENDS
def test_a_watch_that_gets_nowhere_makes_the_process_ill(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage()) as on:

            async def black_hole(request: httpx2.Request) -> Fault | None:
                if "watch=true" in str(request.url) and "/jobs" in request.url.path:
                    return SilentWatch(0)
                return None

            on.fault = black_hole
            async with on.operator() as op:
                await anyio.sleep(500)
                assert (await ask(op, "/healthz")).status_code == 200
                # A watch that is accepted and then silent has been heard of when it was accepted.
                on.fault = hang_jobs
                await anyio.sleep(1300)
                ill = await ask(op, "/healthz")
                assert ill.status_code == 503
                assert ill.text.startswith("the watch of jobs has got nowhere for ")

    async def hang_jobs(request: httpx2.Request) -> Fault | None:
        if "watch=true" in str(request.url) and "/jobs" in request.url.path:
            await anyio.sleep_forever()
        return None

    play(scene, backend)


@BACKENDS
def test_an_api_server_that_refuses_makes_the_process_unready_but_not_ill(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage()) as on, on.operator() as op:
            await anyio.sleep(10)

            async def down(_: httpx2.Request) -> Fault | None:
                return httpx2.Response(503)

            on.fault = down
            await anyio.sleep(1500)
            assert (await ask(op, "/healthz")).status_code == 200  # no restart would help
            unready = await ask(op, "/readyz")
            assert (unready.status_code, "has said nothing about" in unready.text) == (503, True)
            on.fault = None
            await anyio.sleep(40)
            assert (await ask(op, "/readyz")).status_code == 200

    play(scene, backend)


def test_a_turn_that_never_ends_and_a_flow_that_is_never_taken_make_the_process_ill() -> None:
    async def scene() -> None:
        queue = WorkQueue()
        health = Health((), queue, lambda: True)
        queue.add("a")
        queue.add("b")
        await queue.get()
        await anyio.sleep(599)
        assert health.ills() == []
        await anyio.sleep(1)
        assert [ill.split(" for ")[0] for ill in health.ills()] == [
            "a decision has been under way",
            "a flow has been waiting",
        ]

    play(scene)


# Log lines


def test_log_lines_are_json_with_flow_step_and_attempt() -> None:
    lines = io.StringIO()

    async def scene() -> None:
        set_up("info", stream=lines)
        async with going_on(Stage(flow(step("a")))) as on, on.operator():
            await on.until(on.over)
            await anyio.sleep(1)

    try:
        play(scene)
    finally:
        structlog.reset_defaults()
    told: list[dict[str, Any]] = [json.loads(line) for line in lines.getvalue().splitlines()]
    moved = [line for line in told if line["msg"] == "step moved"]
    assert [line["reason"] for line in moved] == ["Admitted", "JobComplete"]
    assert all((line["flow"], line["step"], line["attempt"]) == ("default/flow", "a", 1) for line in moved)
    assert {line["level"] for line in told} == {"info"}
