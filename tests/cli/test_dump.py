"""`zenflow dump`: from an operator, or made anew from the API server; and a replay decides the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.cli.conftest import Zenflow
from tests.defects.lives import HANGS, fails, flow, manual, retried, step, succeeds, template
from tests.runtime.sockets import kubeconfig, served
from tests.runtime.stage import Stage, going_on, play, settings
from zenflow_core.decision import Decision
from zenflow_core.dump import Dump, read_dump, told
from zenflow_runtime.cli.fetching import fetch_dump
from zenflow_runtime.cli.kubeconfig import Trouble
from zenflow_runtime.incidents import Incidents
from zenflow_runtime.kube import FLOW, Kube
from zenflow_runtime.reconstructing import Reconstruction, reconstruct
from zenflow_runtime.web import serving
from zenflow_runtime.web_dumps import DumpsFor, dump_route
from zenflow_testing.transport import ClusterTransport, Fault, config

SECRET = "hunter2-of-the-database"


def read(text: str) -> Dump:
    dump = read_dump(text.splitlines(keepends=True), file="dump")
    assert isinstance(dump, Dump), dump
    return dump


def assert_decides_the_same(dump: Dump) -> None:
    assert dump.steps
    for line, decision in dump.replay():
        assert json.loads(json.dumps(told(decision))) == line.decided


def parameter(name: str, **source: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "valueFrom": source}]}


STORY = flow(
    step("build", retryPolicy=retried(2), outputs=parameter("digest", jsonPath="$.digest")),
    step("lint", timeoutSeconds=600),
    manual("gate", "build"),
    step("use", "build", inputs=parameter("p", configMapKeyRef={"name": "c", "key": "k"})),
    step("last", "use", "lint", "gate", inputs=parameter("d", jsonPath="build:$.digest")),
)


async def made(on: Stage, name: str = "flow") -> Reconstruction:
    kube = Kube(config("default"), ClusterTransport(on.cluster))
    try:
        return await reconstruct(kube, await kube.get(FLOW, "default", name), on.clock)
    finally:
        await kube.close()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda on: on.jobs(), id="Jobs run"),
        pytest.param(
            lambda on: "AttemptFailed" in {row.get("reason") for row in on.status()["steps"]}, id="an attempt failed"
        ),
        pytest.param(lambda on: on.phase() == "Paused", id="an approval is asked for"),
        pytest.param(lambda on: on.phases()["use"] == "Succeeded", id="a step that read a ConfigMap is over"),
        pytest.param(lambda on: on.over(), id="all is over"),
    ],
)
def test_what_is_made_from_the_api_server_is_what_the_operator_knows(moment: Any) -> None:
    """A fresh operator has nothing to do where the one that runs is quiet, and sees every step where that sees it."""

    async def scene() -> None:
        stage = Stage(
            STORY,
            runs={
                "build": [fails(), succeeds(20, message='{"digest": "abc"}')],
                "lint": [succeeds(40)],
                "use": [succeeds(30)],
            },
        )
        stage.cluster.create("ConfigMap", {"metadata": {"name": "c"}, "data": {"k": "v"}}, namespace="default")
        async with going_on(stage) as on, on.operator():
            await on.until(lambda: on.status().get("steps") and moment(on))
            await anyio.sleep(0.5)
            found = await made(on)
            assert not found.unread
            assert isinstance(found.answer, Decision)
            here = {
                s.name: r.phase.value
                for s, r in zip(found.answer.state.plan.steps, found.answer.state.records, strict=True)
            }
            assert here == on.phases()
            assert [type(each).__name__ for each in found.answer.actions] == []
            dump = read(found.text())
            (line,) = dump.steps
            assert line.everything
            assert_decides_the_same(dump)

    play(scene)


def test_before_any_operator_has_looked_it_is_the_first_decision() -> None:
    async def scene() -> None:
        stage = Stage(STORY)
        found = await made(stage)
        assert isinstance(found.answer, Decision)
        assert [type(each).__name__ for each in found.answer.actions] == ["RecordStatus", "CreateJob", "CreateJob"]
        assert_decides_the_same(read(found.text()))

    play(scene)


def test_a_flow_that_waits_for_another_of_its_group_shows_it() -> None:
    async def scene() -> None:
        policy = {"concurrencyGroup": "g"}
        stage = Stage(flow(step("a"), name="first", policy=policy), runs={"a": [HANGS]})
        async with going_on(stage) as on, on.operator():
            await on.until(on.jobs)
            on.submit(flow(step("a"), name="second", policy=policy))
            await on.until(lambda: on.status("second").get("phase"))
            found = await made(on, "second")
            assert isinstance(found.answer, Decision)
            assert [each.name for each in found.answer.state.siblings] == ["first"]
            assert_decides_the_same(read(found.text()))

    play(scene)


def test_a_job_that_the_status_knows_and_nobody_has_is_lost() -> None:
    """It is not made again: the status has its uid."""

    async def scene() -> None:
        stage = Stage(flow(step("a"), step("b")), runs={"a": [HANGS], "b": [succeeds(5)]})
        async with going_on(stage) as on:
            async with on.operator():
                await on.until(lambda: on.status().get("steps") and on.phases()["b"] == "Succeeded")
            (row,) = (row for row in on.status()["steps"] if row["name"] == "a")
            on.cluster.delete("Job", "default", row["jobRef"]["name"])
            await on.until(lambda: "flow-a" not in on.jobs())
            found = await made(on)
            assert isinstance(found.answer, Decision)
            assert [type(move.cause).__name__ for move in found.answer.moves] == ["JobLost"]
            assert_decides_the_same(read(found.text()))

    play(scene)


def test_pods_that_are_done_are_seen() -> None:
    async def scene() -> None:
        stage = Stage(flow(step("a")), runs={"a": [succeeds(5)]}, sync_delay=30)
        async with going_on(stage) as on, on.operator(settings(eager_completion=False)):
            await on.until(lambda: any(pod["status"].get("phase") == "Succeeded" for pod in on.all("Pod")))
            found = await made(on)
            assert isinstance(found.answer, Decision)
            assert "NudgeJob" in {type(action).__name__ for action in found.answer.actions}

    play(scene)


def test_what_may_not_be_read_is_said_and_the_rest_is_there() -> None:
    async def scene() -> None:
        stage = Stage(flow(step("use", inputs=parameter("p", configMapKeyRef={"name": "c", "key": "k"}))))

        async def forbidden(request: httpx2.Request) -> Fault | None:
            if "/configmaps/" not in request.url.path:
                return None
            status = {"kind": "Status", "apiVersion": "v1", "reason": "Forbidden", "code": 403, "message": "not yours"}
            return httpx2.Response(403, json=status)

        kube = Kube(config("default"), ClusterTransport(stage.cluster, on_request=forbidden))
        found = await reconstruct(kube, await kube.get(FLOW, "default", "flow"), stage.clock)
        await kube.close()
        (unread,) = found.unread
        assert "not yours" in unread
        assert_decides_the_same(read(found.text()))

    play(scene)


def test_values_of_secrets_are_never_in_it() -> None:
    async def scene() -> None:
        uses = step(
            "use",
            inputs=parameter("password", secretKeyRef={"name": "db", "key": "password"}),
            template=template(args=["--password={{.parameters.password}}"]),
        )
        stage = Stage(flow(uses), runs={"use": [HANGS]})
        secret = {"metadata": {"name": "db"}, "stringData": {"password": SECRET}}
        stage.cluster.create("Secret", secret, namespace="default")
        before = await made(stage)
        async with going_on(stage) as on, on.operator():
            await on.until(on.jobs)
            after = await made(on)
        for text in (before.text(), after.text()):
            assert "secretKeyRef" in text
            assert SECRET not in text

    play(scene)


def test_a_bug_in_deciding_is_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a law is broken")

    monkeypatch.setattr("zenflow_runtime.deciding.reconcile", broken)

    async def scene() -> None:
        found = await made(Stage(STORY))
        assert found.answer == "KeyError: 'a law is broken'"
        (line,) = read(found.text()).steps
        assert line.decided == {"failed": "KeyError: 'a law is broken'"}

    play(scene)


# --- as a command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A cluster with a flow that no operator has looked at, as the current context."""
    stage = Stage(STORY, start=datetime.now(UTC))
    for name in ("ZENFLOW_KUBECONFIG", "ZENFLOW_CONTEXT", "ZENFLOW_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with served(stage) as server:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, server)))
        yield stage


@pytest.mark.usefixtures("cluster")
def test_the_command_writes_a_file_that_can_be_explained(zenflow: Zenflow, tmp_path: Path) -> None:
    ran = zenflow("dump", "flow", "-o", "incident.jsonl")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "zenflow: made from the API server: one decision, as of now\n"
    assert_decides_the_same(read((tmp_path / "incident.jsonl").read_text(encoding="utf-8")))
    explained = zenflow("explain", "incident.jsonl", "last")
    assert explained.code == 0
    assert explained.out.startswith("last is Pending\n")
    to_pipe = zenflow("dump", "@latest")
    assert read(to_pipe.out).steps[0].observed.flow is not None


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("dump", "flwo"), 4, "did you mean 'flow'?"),
        (("dump", "flow", "-n", "elsewhere"), 4, "namespace 'elsewhere' has no JobFlow 'flow'"),
        (("dump", "flow", "--context", "y"), 2, "has no context 'y'"),
        (("dump", "flow", "-o", "/nonexistent/file"), 2, "cannot write /nonexistent/file"),
        (("dump", "@latest", "--operator", "http://localhost:1"), 2, "name the flow"),
        (("dump", "flow", "--operator", "localhost"), 2, "'localhost' is no address"),
        (("dump", "flow", "--operator", "http://127.0.0.1:1"), 5, "no operator answers at http://127.0.0.1:1"),
        (("dump",), 2, "see `zenflow dump --help`"),
    ],
)
def test_what_does_not_work_is_said(zenflow: Zenflow, arguments: tuple[str, ...], code: int, says: str) -> None:
    ran = zenflow(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_an_operator_that_runs_is_asked(tmp_path: Path) -> None:
    """Its web server, a real socket, and what it remembers."""
    from starlette.applications import Starlette

    incidents, stage = Incidents(), Stage(flow(step("a")), runs={"a": [HANGS]})

    async def live() -> None:
        async with going_on(stage) as on, anyio.create_task_group() as tasks:
            operator = on.make()
            operator.worker._watcher = incidents
            tasks.start_soon(operator.run)
            await on.until(on.jobs)
            tasks.cancel_scope.cancel()

    play(live)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def asked() -> tuple[str | Trouble, ...]:
        app = Starlette(routes=[dump_route(incidents, DumpsFor.LOCAL, leads=lambda: True)])
        async with serving(app, "127.0.0.1", port):
            await anyio.sleep(0.2)
            at = f"http://127.0.0.1:{port}"
            found = [
                await anyio.to_thread.run_sync(fetch_dump, address, "default", name)
                for address, name in ((at, "flow"), (f"{at}/", "other"))
            ]
        async with serving(Starlette(), "127.0.0.1", port):
            await anyio.sleep(0.2)
            found.append(await anyio.to_thread.run_sync(fetch_dump, at, "default", "flow"))
        return tuple(found)

    text, unknown, old = anyio.run(asked)
    assert isinstance(text, str)
    assert_decides_the_same(read(text))
    assert isinstance(unknown, Trouble)
    assert (unknown.code, "default/other" in unknown.what) == (4, True)
    assert isinstance(old, Trouble)
    assert (old.code, "keeps no dumps" in old.what) == (5, True)
