"""Commands run in this process, as `zenflow ARGS` would, on a cluster in memory behind a socket; and golden texts."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest
import structlog.testing
from attrs import frozen

from tests.runtime.sockets import kubeconfig, served
from tests.runtime.stage import Stage
from zenflow_runtime.cli import main
from zenflow_testing.transport import Fault

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
USER = "ada@example.com"


@frozen
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


class Zenflow(Protocol):
    def __call__(self, *args: str, stdin: str | bytes | None = None) -> Ran: ...


@pytest.fixture
def zenflow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command; its working directory is an empty one with a link to `examples`."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "ZENFLOW_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str, stdin: str | bytes | None = None) -> Ran:
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw or b"")))
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@frozen
class OnCluster:
    """The commands, and the cluster that they are about."""

    run: Zenflow
    stage: Stage

    def __call__(self, *arguments: str) -> Ran:
        ran = self.run(*arguments)
        assert "Traceback" not in ran.err
        assert "internal error" not in ran.err
        return ran

    def eventually(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, [each.get("status") for each in self.stage.all("JobFlow")]
            time.sleep(0.05)

    def reached(self, phase: str, name: str = "flow") -> None:
        self.eventually(lambda: self.stage.phase(name) == phase)

    def annotations(self, name: str = "flow") -> dict[str, str]:
        return dict(self.stage.flow(name)["metadata"].get("annotations") or {})


Begin = Callable[..., OnCluster]


async def whoami(request: httpx2.Request) -> Fault | None:
    """The fake cluster knows no reviews."""
    if not request.url.path.endswith("/selfsubjectreviews"):
        return None
    return httpx2.Response(201, json={"kind": "SelfSubjectReview", "status": {"userInfo": {"username": USER}}})


@pytest.fixture
def begin(zenflow: Zenflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Makes a cluster with these flows the current context; an operator works there unless `operated` is False."""
    for name in ("ZENFLOW_KUBECONFIG", "ZENFLOW_CONTEXT", "ZENFLOW_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    # The operator of the same process would log to the stdout of the commands.
    with ExitStack() as stack, structlog.testing.capture_logs():

        def start(*manifests: Any, operated: bool = True, fault: Any = whoami, **runs: Any) -> OnCluster:
            stage = Stage(*manifests, runs=runs, start=datetime.now(UTC).replace(microsecond=0))
            stage.fault = fault
            server = stack.enter_context(served(stage, operated=operated))
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, server)))
            return OnCluster(zenflow, stage)

        yield start


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a reviewed file; `--update-golden` writes the file instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path} says otherwise; pytest --update-golden rewrites it"

    return check
