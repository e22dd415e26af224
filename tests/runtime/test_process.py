"""The operator as a process: what it says to nonsense, and one whole life over real sockets with real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn

from tests.defects.lives import flow, step, succeeds
from tests.runtime.stage import Stage
from zenflow_core.version import VERSION
from zenflow_testing.transport import ClusterTransport
from zenflow_testing.transport_time import drive

HERE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent/config"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "zenflow_runtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=HERE | environment,
        timeout=60,
    )


def test_it_says_which_version_it_is() -> None:
    answer = run("--version")
    assert (answer.returncode, answer.stdout) == (0, f"zenflow-runtime {VERSION}\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "begins"),
    [
        ([], {}, "zenflow-runtime: kubeconfig: cannot be read: "),
        (["--kubeconfig=/nonexistent/config"], {}, "zenflow-runtime: /nonexistent/config: cannot be read: "),
        (["--metrics-addr=8080"], {}, "zenflow-runtime: --metrics-addr: found '8080'\n  fix: "),
        (["--no-such-flag"], {}, "zenflow-runtime: unrecognized arguments: --no-such-flag\n  fix: "),
        ([], {"LOG_LEVEL": "loud"}, "zenflow-runtime: LOG_LEVEL: found 'loud'\n  fix: "),
    ],
)
def test_nonsense_is_refused_at_the_start(arguments: list[str], environment: dict[str, str], begins: str) -> None:
    answer = run(*arguments, **environment)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(begins)
    assert "Traceback" not in answer.stderr


class Bridge:
    """An ASGI application that asks the cluster's transport."""

    def __init__(self, transport: ClusterTransport) -> None:
        self.transport = transport

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        url = f"http://cluster.invalid{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        request = httpx2.Request(scope["method"], url, headers=list(scope["headers"]), content=body)
        response = await self.transport.handle_async_request(request)
        kept = [(k, v) for k, v in response.headers.raw if k.lower() not in (b"transfer-encoding", b"content-length")]
        await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        yield  # pytest's own


@contextmanager
def served(stage: Stage) -> Iterator[str]:
    """The stage's cluster behind a socket, with the world going on, in a thread; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(Bridge(ClusterTransport(stage.cluster)), log_config=None, lifespan="off"))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive, stage.cluster, stage.world, stage.garbage)
            await server.serve([listening])
            tasks.cancel_scope.cancel()

    thread = threading.Thread(target=anyio.run, args=(main,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        listening.close()


def eventually(holds: Callable[[], bool], *, within: float = 30.0) -> None:
    """Another process has its own time."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def kubeconfig(folder: Path, server: str) -> Path:
    file = folder / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


def test_a_process_runs_a_flow_and_ends_in_order_on_sigterm(tmp_path: Path) -> None:
    runs = {"a": [succeeds(1)], "b": [succeeds(1)]}
    stage = Stage(flow(step("a"), step("b", "a")), runs=runs, start=datetime.now(UTC))  # both processes' clock
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served(stage) as server:
        arguments = ["--kubeconfig", str(kubeconfig(tmp_path, server)), f"--metrics-addr=127.0.0.1:{port}"]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zenflow_runtime", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=HERE | {"POD_NAMESPACE": "default"},
            text=True,
        )
        try:
            eventually(stage.over)
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                assert client.get("/readyz").text == "ok\n"
                assert client.get("/version").json() == {"version": VERSION}
                assert "zen_flow_leader 1.0" in client.get("/metrics").text
            taken = run(*arguments)
            assert taken.returncode == 1
            assert "cannot go on" in taken.stderr
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 0, err
        assert err == ""
        assert set(stage.phases().values()) == {"Succeeded"}
        assert stage.all("Lease")[0]["spec"]["holderIdentity"] == ""
        messages = [json.loads(line)["msg"] for line in out.splitlines()]
        assert messages[0] == "starting"
        assert messages[-3:] == ["stopping", "gave the lease back", "stopped"]
