"""The operator as a process: what it says to nonsense, and one whole life over real sockets with real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from tests.defects.lives import flow, step, succeeds
from tests.runtime.sockets import kubeconfig, served
from tests.runtime.stage import Stage
from zenflow_core.version import VERSION

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


def eventually(holds: Callable[[], bool], *, within: float = 30.0) -> None:
    """Another process has its own time."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


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
