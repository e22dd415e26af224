"""Every verb on a cluster in every kind of trouble: one sentence, what to do, the exit code of the table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.cli.conftest import Begin, OnCluster, Ran, Zenflow
from tests.cli.test_connection import kubeconfig as contexts
from tests.cli.test_connection import written
from tests.defects.lives import flow, manual, step
from tests.runtime.sockets import kubeconfig, served
from tests.runtime.stage import Stage
from zenflow_core.version import DECIDED_BY
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.app import BOTH, CLUSTER_COMMANDS
from zenflow_testing.transport import Fault

FLOW: Final = flow(step("build"), manual("gate", "build"), step("ship", "gate"))
FILE: Final = "flow-to-run.yaml"

LINES: Final[dict[str, tuple[str, ...]]] = {
    "list": (),
    "get": ("flow",),
    "watch": ("flow",),
    "logs": ("flow", "build"),
    "wait": ("flow",),
    "approve": ("flow", "gate"),
    "reject": ("flow", "gate", "-m", "no"),
    "suspend": ("flow",),
    "resume": ("flow",),
    "stop": ("flow",),
    "terminate": ("flow",),
    "retry": ("flow",),
    "delete": ("flow",),
    "version": (),
    "dump": ("flow",),
    "explain": ("flow", "build"),
    "run": (FILE,),
}
"""A line of every verb."""

ALL = pytest.mark.parametrize("verb", LINES)
OF_A_FLOW = pytest.mark.parametrize("verb", [verb for verb, line in LINES.items() if "flow" in line])
OF_A_STEP = pytest.mark.parametrize("verb", ["logs", "approve", "reject", "explain"])


def test_no_verb_is_forgotten() -> None:
    assert set(LINES) == {*CLUSTER_COMMANDS, *BOTH}


@pytest.fixture(autouse=True)
def file(tmp_path: Path, zenflow: Zenflow) -> None:
    """What `run` is given."""
    (tmp_path / FILE).write_text(yaml.safe_dump(flow(step("a"), name="new")), encoding="utf-8")


@pytest.fixture(scope="module")
def served_cluster() -> Iterator[tuple[Stage, str]]:
    """A cluster with one flow that nobody moves, and its address: started once for all these tests, as none writes."""
    stage = Stage(FLOW, start=datetime.now(UTC).replace(microsecond=0))
    with served(stage) as server:
        yield stage, server


@pytest.fixture
def on(
    zenflow: Zenflow, served_cluster: tuple[Stage, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OnCluster]:
    """The commands on that cluster; `on.stage.fault` is what happens to their requests."""
    stage, server = served_cluster
    for name in ("ZENFLOW_KUBECONFIG", "ZENFLOW_CONTEXT", "ZENFLOW_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, server)))
    before = stage.flow("flow")
    yield OnCluster(zenflow, stage)
    stage.fault = None
    assert stage.flow("flow") == before


def one_sentence(ran: Ran, *, says: str, fix: str) -> None:
    """A command's own words: what, then how to put it right; nothing else, and nothing on stdout but our version."""
    assert ran.out == "" or ran.out.startswith("zenflow     ")
    assert "Traceback" not in ran.err
    assert "internal error" not in ran.err
    what, *rest = ran.err.splitlines()
    assert what.startswith("zenflow: ")
    assert says in what
    assert [line.startswith("  fix: ") for line in rest] == [True]
    assert fix in rest[0]


# --- no cluster ------------------------------------------------------------------------------------------------------


@ALL
def test_no_kubeconfig(zenflow: Zenflow, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent/config")
    ran = zenflow(verb, *LINES[verb])
    one_sentence(ran, says="there is no kubeconfig at /nonexistent/config", fix="--kubeconfig")
    assert ran.code == exits.INVALID


@ALL
def test_a_context_that_is_misspelt(zenflow: Zenflow, tmp_path: Path, verb: str) -> None:
    file = written(tmp_path / "config", contexts("production", current="production"))
    ran = zenflow(verb, *LINES[verb], "--kubeconfig", file, "--context", "prodution")
    one_sentence(ran, says="no context 'prodution'", fix="'production'")
    assert ran.code == exits.INVALID


@ALL
def test_nobody_answers(zenflow: Zenflow, tmp_path: Path, verb: str) -> None:
    data = contexts("red", current="red")
    data["clusters"][0]["cluster"] = {"server": "http://127.0.0.1:1"}
    ran = zenflow(verb, *LINES[verb], "--kubeconfig", written(tmp_path / "config", data))
    one_sentence(ran, says="the cluster at http://127.0.0.1:1 cannot be reached", fix="kubectl config view")
    assert ran.code == exits.REFUSED


# --- a cluster that refuses ------------------------------------------------------------------------------------------


def refuses(code: int, reason: str, message: str) -> Any:
    async def refused(_: httpx2.Request) -> Fault | None:
        return httpx2.Response(code, json={"kind": "Status", "code": code, "reason": reason, "message": message})

    return refused


async def shows_a_page(_: httpx2.Request) -> Fault | None:
    return httpx2.Response(200, html="<title>Please log in to the guest network</title>")


REFUSALS = [
    pytest.param(
        refuses(401, "Unauthorized", "Unauthorized"), "does not accept the credentials", "log in anew", id="expired"
    ),
    pytest.param(
        refuses(403, "Forbidden", "User cannot do it"),
        "not allowed: User cannot do it",
        "the role zenflow",
        id="no right",
    ),
    pytest.param(refuses(429, "TooManyRequests", "busy"), "cannot answer now (429): busy", "try again", id="busy"),
    pytest.param(refuses(503, "ServiceUnavailable", "etcd"), "cannot answer now (503): etcd", "try again", id="down"),
    pytest.param(
        shows_a_page, "is no answer of an API server: JSON is malformed", "kubectl config view", id="a page to log in"
    ),
]


@ALL
@pytest.mark.parametrize(("fault", "says", "fix"), REFUSALS)
def test_the_cluster_refuses(on: OnCluster, verb: str, fault: Any, says: str, fix: str) -> None:
    on.stage.fault = fault
    ran = on(verb, *LINES[verb])
    one_sentence(ran, says=says, fix=fix)
    assert ran.code == exits.REFUSED


NO_KIND = refuses(404, "NotFound", "the server could not find the requested resource")


@ALL
def test_the_kind_is_not_installed(on: OnCluster, verb: str) -> None:
    async def lacking(request: httpx2.Request) -> Fault | None:
        return await NO_KIND(request) if "workflow.kube-zen.io" in request.url.path else None

    on.stage.fault = lacking
    ran = on(verb, *LINES[verb])
    if verb == "version":  # it has an answer: what is installed is nothing
        assert (ran.code, ran.out.splitlines()[-1].split(maxsplit=1)[1]) == (exits.NO, "not installed")
        assert "zenflow manifests" in ran.err
        return
    one_sentence(ran, says="does not know the kind JobFlow", fix="zenflow manifests")
    assert ran.code == exits.REFUSED


# --- what is not there -----------------------------------------------------------------------------------------------


@OF_A_FLOW
def test_a_flow_that_is_misspelt(on: OnCluster, verb: str) -> None:
    ran = on(verb, "flwo", *LINES[verb][1:])
    one_sentence(ran, says="namespace 'default' has no JobFlow 'flwo'", fix="did you mean 'flow'?")
    assert ran.code == exits.NOT_FOUND


@OF_A_FLOW
def test_the_latest_of_none(on: OnCluster, verb: str) -> None:
    ran = on(verb, "@latest", *LINES[verb][1:], "-n", "elsewhere")
    one_sentence(ran, says="namespace 'elsewhere' has no JobFlow", fix="-n")
    assert ran.code == exits.NOT_FOUND


@OF_A_STEP
def test_a_step_that_is_misspelt(on: OnCluster, verb: str) -> None:
    ran = on(verb, "flow", "gaet")
    one_sentence(ran, says="'gaet'", fix="did you mean 'gate'?")
    assert ran.code == exits.NOT_FOUND


# --- other versions --------------------------------------------------------------------------------------------------


def standing(begin: Begin, status: dict[str, Any]) -> OnCluster:
    """A cluster whose flow has this status."""
    on = begin(FLOW, operated=False)
    on.stage.cluster.patch_merge("JobFlow", "default", "flow", {"status": status}, subresource="status")
    return on


@pytest.mark.parametrize("verb", ["get", "watch", "explain"])
def test_a_status_of_something_else(begin: Begin, verb: str) -> None:
    on = standing(begin, {"phase": "Executing", "startTime": "2026-01-01T00:00:00Z"})
    ran = on(verb, "flow")
    one_sentence(ran, says="was written by something that does not name itself", fix="install the same version")
    assert ran.code == exits.INVALID


def test_a_status_of_something_else_is_shown_as_it_is(begin: Begin) -> None:
    on = standing(begin, {"phase": "Executing", "startTime": "2026-01-01T00:00:00Z"})
    assert "Executing" in on("list").out
    assert on("get", "flow", "-o", "json").code == 0


@pytest.mark.parametrize("verb", ["get", "explain"])
def test_the_status_of_another_version_is_shown_with_a_note(begin: Begin, verb: str) -> None:
    ran = standing(begin, {"phase": "Pending", "decidedBy": "zenflow/0.0.1", "steps": []})(verb, "flow")
    assert (ran.code, ran.out != "") == (exits.OK, True)
    assert f"the status was written by zenflow/0.0.1; this is {DECIDED_BY}" in ran.err


@pytest.mark.parametrize("verb", ["suspend", "stop", "terminate"])
def test_an_older_definition_that_drops_what_is_written(begin: Begin, verb: str) -> None:
    on = begin(FLOW, operated=False)

    async def dropping(request: httpx2.Request) -> Fault | None:
        if request.method != "PATCH":
            return None
        return httpx2.Response(200, json=on.stage.flow("flow"))

    on.stage.fault = dropping
    ran = on(verb, "flow")
    one_sentence(ran, says="it is older than this zenflow", fix="zenflow manifests")
    assert ran.code == exits.REFUSED
