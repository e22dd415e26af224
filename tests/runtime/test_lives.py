"""Whole lives of flows with the real operator: through lightkube, on both event loops, held to all laws."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import anyio
import httpx2
import pytest

from tests.defects.lives import HANGS, fails, flow, manual, retried, seconds, step, succeeds, template
from tests.runtime.stage import NAMESPACE, Stage, going_on, play, settings
from zenflow_core.settings import Settings as FlowSettings
from zenflow_runtime.events import EventMode
from zenflow_testing.transport import Fault

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def test_a_chain_runs_step_by_step_and_costs_two_writes_a_step(backend: str) -> None:
    async def scene() -> None:
        steps = [step("s0"), *(step(f"s{n}", f"s{n - 1}") for n in range(1, 10))]
        runs = {each["name"]: [succeeds(2)] for each in steps}
        async with going_on(Stage(flow(*steps), runs=runs)) as on, on.operator(settings(events=EventMode.NONE)):
            await on.until(on.over)
            assert set(on.phases().values()) == {"Succeeded"}
            assert on.count("create", "jobs") == 10
            assert on.count("patch", "jobflows/status") <= 12
            assert on.count("get", "jobflows") == on.count("get", "jobs") == 0
            assert (on.clock.now - on.decisions[0].state.record.started_at).total_seconds() == 20  # type: ignore[operator]

    play(scene, backend)


def test_a_fan_out_is_told_of_in_few_writes(backend: str) -> None:
    async def scene() -> None:
        fan = [step(f"s{n}", "first") for n in range(100)]
        steps = [step("first"), *fan, step("last", *(each["name"] for each in fan))]
        runs = {each["name"]: [succeeds(10 + n % 20)] for n, each in enumerate(fan)}
        async with going_on(Stage(flow(*steps), runs=runs)) as on, on.operator(settings(events=EventMode.NONE)):
            await on.until(on.over)
            assert set(on.phases().values()) == {"Succeeded"}
            # Nudges are one more for each, and only save the Job controller's second.
            nudge = ("patch", "jobs")
            reads = ("get", "list", "watch")
            writes = [ask for ask in on.asked if ask.verb not in reads and (ask.verb, ask.resource) != nudge]
            assert on.count("create", "jobs") == 102
            assert len(writes) <= 1.3 * 102, Counter((ask.verb, ask.resource) for ask in writes)

    play(scene, backend)


def test_what_comes_alone_waits_for_nothing_however_wide_the_flow(backend: str) -> None:
    async def scene() -> None:
        wide = [step(f"s{n}") for n in range(60)]
        runs = {each["name"]: [HANGS] for each in wide} | {"a": [succeeds(10)]}
        stage = Stage(flow(*wide, step("a"), step("b", "a")), runs=runs)
        async with going_on(stage) as on, on.operator():
            await on.until(lambda: len(on.all("Job")) == 62)
            assert (on.clock.exact - on.decisions[0].state.flow.created_at).total_seconds() < 10.05

    play(scene, backend)


def test_with_the_last_job_that_runs_there_is_no_more_to_wait_for(backend: str) -> None:
    async def scene() -> None:
        wide = [f"s{n}" for n in range(60)]
        async with going_on(Stage(flow(*map(step, wide), step("join", *wide)))) as on, on.operator():
            await on.until(lambda: len(on.all("Job")) == 61)
            # All end at 10 s. The first news of that might wait for 10 ms, and the rest for a quarter of a second.
            assert (on.clock.exact - on.decisions[0].state.flow.created_at).total_seconds() < 10.005

    play(scene, backend)


def test_a_failed_attempt_is_run_again_after_its_pause(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(
            flow(step("a", retryPolicy=retried(2, 30)), step("b", "a")), runs={"a": [fails(), fails(), succeeds()]}
        )
        async with going_on(stage) as on, on.operator():
            await on.until(on.over)
            assert on.phases() == {"a": "Succeeded", "b": "Succeeded"}
            assert on.count("create", "jobs") == 4
            # Three attempts of 10 s with two pauses of 30 s between them, then 10 s of b.
            assert on.clock.now == on.decisions[0].state.flow.created_at + seconds(100)

    play(scene, backend)


def test_a_person_approves_and_the_flow_goes_on(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(flow(step("build"), manual("ok", "build"), step("deploy", "ok")), approvals={"ok": None})
        async with going_on(stage) as on, on.operator():
            await on.until(lambda: on.phase() == "Paused")
            await anyio.sleep(3600)
            assert on.phases()["ok"] == "PendingApproval"
            on.annotate("approved.workflow.kube-zen.io/ok", "true")
            await on.until(on.over)
            assert on.phases() == {"build": "Succeeded", "ok": "Succeeded", "deploy": "Succeeded"}

    play(scene, backend)


def test_jobs_that_are_to_outlive_their_flow_do_though_the_operator_sees_it_go(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(flow(step("a")), runs={"a": [HANGS]}, orphaning_delay=30)
        async with going_on(stage) as on, on.operator():
            await on.until(lambda: on.jobs() == ["flow-a"])
            on.cluster.delete("JobFlow", NAMESPACE, "flow", propagation="Orphan")
            await anyio.sleep(10)
            assert on.reasons() == {"a": "FlowEnded"}, "it has been looked at"
            await on.until(lambda: not on.all("JobFlow"))
            assert on.jobs() == ["flow-a"]
            assert on.count("delete", "jobs") == 0

    play(scene, backend)


def test_a_step_that_hangs_is_ended_at_its_deadline_and_its_job_deleted(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(flow(step("a", timeoutSeconds=60), step("b", "a")), runs={"a": [HANGS]})
        async with going_on(stage) as on, on.operator():
            await on.until(on.over)
            assert on.reasons() == {"a": "StepTimedOut", "b": "UpstreamUnmet"}
            assert on.clock.now == on.decisions[0].state.flow.created_at + seconds(60)
            await on.until(lambda: on.jobs() == [], within=10)
            assert on.count("delete", "jobs") == 1

    play(scene, backend)


def test_finally_runs_whatever_happened(backend: str) -> None:
    async def scene() -> None:
        manifest = flow(step("a"), step("b", "a"))
        manifest["spec"]["finally"] = [step("tidy")]
        stage = Stage(manifest, runs={"a": [fails()]})
        async with going_on(stage) as on, on.operator():
            await on.until(on.over)
            assert on.phases() == {"a": "Failed", "b": "Skipped", "tidy": "Succeeded"}
            assert on.phase() == "Failed"

    play(scene, backend)


def test_objects_of_resource_templates_are_made_before_the_steps(backend: str) -> None:
    async def scene() -> None:
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        resources = {
            "volumeClaimTemplates": [claim],
            "configMapTemplates": [{"metadata": {"name": "settings"}, "data": {"mode": "fast"}}],
        }
        async with going_on(Stage(flow(step("a"), resourceTemplates=resources))) as on, on.operator():
            await on.until(on.over)
            assert on.phases() == {"a": "Succeeded"}
            made = [ask.resource for ask in on.asked if ask.verb == "create" and ask.resource != "events"]
            assert sorted(made[:2]) == ["configmaps", "persistentvolumeclaims"]  # side by side
            assert made[2:] == ["jobs"]

    play(scene, backend)


def test_flows_of_one_group_run_one_after_the_other(backend: str) -> None:
    async def scene() -> None:
        policy = {"concurrencyGroup": "nightly", "concurrencyPolicy": "Forbid"}
        flows = [flow(step("a"), name=f"run-{n}", policy=policy) for n in range(3)]
        async with going_on(Stage(*flows)) as on, on.operator():
            await on.until(on.over)
            times = sorted(
                (on.status(f"run-{n}")["startTime"], on.status(f"run-{n}")["completionTime"]) for n in range(3)
            )
            assert all(before[1] <= after[0] for before, after in pairwise(times))

    play(scene, backend)


def test_parameters_go_from_a_config_map_and_from_step_to_step(backend: str) -> None:
    async def scene() -> None:
        make = step(
            "make",
            inputs={
                "parameters": [{"name": "tag", "valueFrom": {"configMapKeyRef": {"name": "release", "key": "tag"}}}]
            },
            outputs={"parameters": [{"name": "digest", "valueFrom": {"jsonPath": "$.digest"}}]},
            template=template(job={"backoffLimit": 0}, args=["{{parameters.tag}}"]),
        )
        use = step(
            "use",
            "make",
            inputs={"parameters": [{"name": "d", "valueFrom": {"jsonPath": "make:$.digest"}}]},
            template=template(job={"backoffLimit": 0}, args=["{{parameters.d}}"]),
        )
        stage = Stage(flow(make, use), runs={"make": [succeeds(outputs={"digest": "sha256:1"})]})
        stage.cluster.create("ConfigMap", {"metadata": {"name": "release"}, "data": {"tag": "v7"}}, namespace="default")
        async with going_on(stage) as on, on.operator():
            await on.until(on.over)
            main = [job["spec"]["template"]["spec"]["containers"][0] for job in on.all("Job")]
            assert [container["args"] for container in main] == [["v7"], ["sha256:1"]]
            assert on.count("get", "configmaps") == 1
            assert on.count("list", "pods") == 2  # the reflector's, and the result of `make`

    play(scene, backend)


def test_a_flow_whose_time_is_over_is_deleted(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a"), policy={"ttlSecondsAfterFinished": 300}))) as on, on.operator() as op:
            await on.until(lambda: not on.all("JobFlow"))
            assert on.clock.now == on.decisions[0].state.flow.created_at + seconds(310)
            await on.until(lambda: not on.all("Job"), within=10)
            await anyio.sleep(1)
            assert not op.ledger.flows

    play(scene, backend)


def test_a_flow_that_is_not_valid_fails_with_its_problems(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a", "nobody")))) as on, on.operator():
            await on.until(on.over)
            ready = next(c for c in on.status()["conditions"] if c["type"] == "Ready")
            assert ready["reason"] == "ValidationFailed"
            assert "nobody" in ready["message"]

    play(scene, backend)


def test_jobs_whose_pods_are_done_are_nudged_once(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(step("a"), step("b", "a")), sync_delay=1)) as on, on.operator():
            await on.until(on.over)
            assert on.count("patch", "jobs") == 2
            assert on.clock.now == on.decisions[0].state.flow.created_at + seconds(20)

    play(scene, backend)


def test_without_eager_completion_no_job_is_patched_and_no_pod_watched(backend: str) -> None:
    async def scene() -> None:
        stage = Stage(flow(step("a"), step("b", "a")), sync_delay=1)
        async with going_on(stage) as on, on.operator(settings(eager_completion=False)):
            await on.until(on.over)
            assert on.count("patch", "jobs") == on.count("watch", "pods") == 0
            assert on.clock.now == on.decisions[0].state.flow.created_at + seconds(22)

    play(scene, backend)


def test_a_status_that_the_server_refuses_as_too_large_ends_the_flow(backend: str) -> None:
    async def scene() -> None:
        async with going_on(Stage(flow(*(step(f"s{n}") for n in range(20))))) as on:

            async def small(request: httpx2.Request) -> Fault | None:
                large = request.url.path.endswith("/status") and len(request.content) > 1500
                status = {"kind": "Status", "code": 413, "reason": "RequestEntityTooLarge", "message": "too large"}
                return httpx2.Response(413, json=status) if large else None

            on.fault = small
            async with on.operator():
                await on.until(on.over)
            ready = next(c for c in on.status()["conditions"] if c["type"] == "Ready")
            assert ready["reason"] == "StatusTooLarge"
            assert not on.all("Job")

    play(scene, backend)


def test_artifacts_are_moved_by_the_image_that_the_operator_is_told(backend: str) -> None:
    async def scene() -> None:
        out = {"artifacts": [{"name": "report", "path": "/out/report.txt"}]}
        told = settings(flows=FlowSettings("zenflow:test"))
        async with going_on(Stage(flow(step("a", outputs=out)))) as on, on.operator(told):
            await on.until(lambda: on.all("Job"), within=10)
            containers = on.all("Job")[0]["spec"]["template"]["spec"]["containers"]
            assert [each["image"] for each in containers] == ["zenflow:test"]

    play(scene, backend)
