"""Which cluster a command means, and what it says when that cluster says no."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from cyclopts import App
from lightkube.config.kubeconfig import SingleConfig

from tests.defects.lives import flow, step
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, trouble_of
from zenflow_runtime.cli.kubeconfig import find_config
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where
from zenflow_runtime.failures import RequestFailed
from zenflow_runtime.kube import Kube
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.transport import ClusterTransport, config


def kubeconfig(*names: str, current: str = "", **user: Any) -> dict[str, Any]:
    """A context, a cluster and a user of each of these names; each cluster is called by its server's address."""
    return {
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": f"of-{name}"}} for name in names
        ],
        "clusters": [
            {"name": name, "cluster": {"server": f"https://{name}.invalid", "certificate-authority": "ca.crt"}}
            for name in names
        ],
        "users": [{"name": name, "user": user} for name in names],
        **({"current-context": current} if current else {}),
    }


def written(file: Path, data: Any) -> str:
    file.parent.mkdir(exist_ok=True)
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return str(file)


def chosen(where: Where, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Context, server and namespace."""
    found = find_config(where, environment)
    assert isinstance(found, SingleConfig), found
    return found.context_name, found.cluster.server, found.namespace


def test_a_flag_wins_over_the_variable_and_the_context(tmp_path: Path) -> None:
    file = written(tmp_path / "a", kubeconfig("red", "blue", current="red"))
    assert chosen(HERE, {"KUBECONFIG": file}) == ("red", "https://red.invalid", "of-red")
    assert chosen(Where(kubeconfig=file), {"KUBECONFIG": "/nonexistent"}) == ("red", "https://red.invalid", "of-red")
    assert chosen(Where(context="blue"), {"KUBECONFIG": file}) == ("blue", "https://blue.invalid", "of-blue")
    assert chosen(Where(context="blue", namespace="ci"), {"KUBECONFIG": file})[2] == "ci"
    assert chosen(Where(context="", namespace=""), {"KUBECONFIG": file}) == chosen(HERE, {"KUBECONFIG": file})


def test_the_flags_are_the_options_of_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(result_action="return_value")

    @app.default
    def see(name: str, /, *, where: Where = HERE) -> Where:
        return where

    monkeypatch.setenv("ZENFLOW_CONTEXT", "from-variable")
    monkeypatch.delenv("ZENFLOW_NAMESPACE", raising=False)
    assert app(["flow"]) == Where(context="from-variable")
    assert app(["flow", "--context", "c", "-n", "ci"]) == Where(context="c", namespace="ci")
    assert app(["flow", "--namespace=x", "--kubeconfig=f"]) == Where("f", "from-variable", "x")


def test_of_several_files_the_first_that_has_a_name_counts(tmp_path: Path) -> None:
    first = written(tmp_path / "one" / "config", kubeconfig("red"))
    second = written(tmp_path / "two" / "config", kubeconfig("red", "blue", current="blue"))
    found = find_config(HERE, {"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"})
    assert isinstance(found, SingleConfig)
    assert (found.context_name, found.cluster.certificate_auth) == ("blue", str(tmp_path / "two" / "ca.crt"))
    red = find_config(Where(context="red"), {"KUBECONFIG": f"{first}:{second}"})
    assert isinstance(red, SingleConfig)
    assert red.cluster.certificate_auth == str(tmp_path / "one" / "ca.crt")


@pytest.mark.parametrize(
    ("data", "context", "says", "fix"),
    [
        pytest.param(kubeconfig("red"), None, "no current context", "--context", id="no context is current"),
        pytest.param(kubeconfig("production"), "prodution", "no context 'prodution'", "'production'", id="misspelt"),
        pytest.param("{", None, "is no kubeconfig", "kubectl config view", id="no YAML"),
        pytest.param("- 1", None, "is no kubeconfig", "kubectl config view", id="a list"),
        pytest.param({"contexts": [{"name": "x"}]}, None, "is no kubeconfig", "kubectl", id="a context of nothing"),
        pytest.param(
            {**kubeconfig("red", current="red"), "clusters": []},
            None,
            "a cluster 'red'",
            "no clusters",
            id="no cluster",
        ),
        pytest.param(
            kubeconfig("red", current="red", **{"auth-provider": {"name": "gcp"}}),
            None,
            "auth-provider",
            "log in",
            id="old login",
        ),
        pytest.param(
            kubeconfig(
                "red",
                current="red",
                exec={
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "command": "/nonexistent/login",
                    "installHint": "apt install login",
                },
            ),
            None,
            "cannot run '/nonexistent/login'",
            "apt install login",
            id="its login is not installed",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, data: Any, context: str | None, says: str, fix: str) -> None:
    found = find_config(Where(written(tmp_path / "config", data), context), {})
    assert isinstance(found, Trouble)
    assert says in found.what
    assert fix in found.fix
    assert (found.code, "\n" in found.what) == (exits.INVALID, False)


def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    found = find_config(HERE, {"KUBECONFIG": str(tmp_path / "a")})
    assert isinstance(found, Trouble)
    assert found.what == f"there is no kubeconfig at {tmp_path / 'a'}"


@pytest.mark.parametrize("version", ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"])
def test_an_exec_plugin_lends_its_credentials(tmp_path: Path, version: str) -> None:
    plugin = tmp_path / "login"
    plugin.write_text(
        "#!/bin/sh\n"
        """[ "$KIND" = from-file ] && echo "$KUBERNETES_EXEC_INFO" > "$1" """
        """&& echo '{"status": {"token": "t0ken"}}'\n""",
        encoding="utf-8",
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    seen = tmp_path / "info"
    login = {
        "apiVersion": version,
        "command": str(plugin),
        "args": [str(seen)],
        "env": [{"name": "KIND", "value": "from-file"}],
    }
    file = written(tmp_path / "config", kubeconfig("red", current="red", exec=login))
    found = find_config(Where(file), {"PATH": "/usr/bin:/bin"})
    assert isinstance(found, SingleConfig), found
    assert found.user is not None
    assert found.user.token == "t0ken"
    assert json.loads(seen.read_text(encoding="utf-8"))["apiVersion"] == version
    plugin.write_text("#!/bin/sh\necho s3cret\n", encoding="utf-8")
    refused = find_config(Where(file), {"PATH": "/usr/bin:/bin"})
    assert isinstance(refused, Trouble)
    assert "gave no ExecCredential" in refused.what
    assert "s3cret" not in f"{refused.what}{refused.fix}", "what a login prints is a secret"


ANYWHERE = Connection(
    Kube(config(), ClusterTransport(Cluster(VirtualClock()))), "ci", server="https://c", context="red"
)


def refusal(code: int, reason: str = "", message: str = "", retry_after: int | None = None) -> RequestFailed:
    return RequestFailed(code, reason, message=message, retry_after=retry_after)


@pytest.mark.parametrize(
    ("given", "says", "code"),
    [
        pytest.param(refusal(0, "ConnectError", "refused"), "at https://c cannot be reached: refused", 5, id="down"),
        pytest.param(refusal(0, "ReadTimeout"), "has not answered within 10 s", 5, id="silent"),
        pytest.param(
            refusal(0, "ConnectError", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
            "not trusted",
            5,
            id="another's certificate",
        ),
        pytest.param(
            refusal(401, "Unauthorized", "Unauthorized"), "credentials of context 'red'", 5, id="expired token"
        ),
        pytest.param(
            refusal(403, "Forbidden", 'User "eve" cannot list resource "jobflows"'),
            'User "eve" cannot',
            5,
            id="no right",
        ),
        pytest.param(
            refusal(403, "Forbidden", "ValidatingAdmissionPolicy 'p' denied request: not yours"),
            "not yours",
            5,
            id="policy",
        ),
        pytest.param(refusal(404), "does not know the kind JobFlow", 5, id="no CRD"),
        pytest.param(
            refusal(404, "NotFound", "the server could not find the requested resource"),
            "does not know",
            5,
            id="old CRD",
        ),
        pytest.param(
            refusal(404, "NotFound", 'jobflows "x" not found'), 'jobflows "x" not found', 4, id="no such flow"
        ),
        pytest.param(refusal(409, "Conflict", "the object has been modified"), "has been modified", 5, id="conflict"),
        pytest.param(refusal(429, "TooManyRequests", "busy"), "cannot answer now (429): busy", 5, id="busy"),
        pytest.param(
            refusal(418, "", "teapot"), "the cluster refused it (418): teapot", 5, id="what nobody has heard of"
        ),
        pytest.param(refusal(422, "Invalid", "spec.steps: a\nb"), "refused it (422): spec.steps: a b", 5, id="invalid"),
    ],
)
def test_what_a_refusal_is_called(given: RequestFailed, says: str, code: int) -> None:
    found = trouble_of(given, ANYWHERE)
    assert says in found.what
    assert (found.code, "\n" in found.what) == (code, False)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = kubeconfig("red", current="red")
    data["clusters"][0]["cluster"] = {"server": "http://127.0.0.1:1"}
    where = Where(written(tmp_path / "config", data))

    async def ask(connection: Connection) -> int:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(find_flow, connection, "x")
        return exits.OK

    assert on_cluster(Terminal(), where, ask) == exits.REFUSED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zenflow: the cluster at http://127.0.0.1:1 cannot be reached: ")
    assert (err.count("\n"), "Traceback" in err) == (2, False)


def test_a_certificate_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = Where(written(tmp_path / "config", kubeconfig("red", current="red")))

    async def never(_: Connection) -> int:
        raise AssertionError("there is nothing to talk to")

    assert on_cluster(Terminal(), where, never) == exits.INVALID
    assert "certificates of context 'red' cannot be used" in capsys.readouterr().err


def test_a_flow_is_found_by_its_name_or_is_the_latest() -> None:
    clock = VirtualClock()
    cluster = Cluster(clock)
    for name in ("nightly-a", "nightly-b"):
        cluster.create("JobFlow", flow(step("s"), name=name), namespace="ci")
        clock.advance(10)

    async def ask() -> list[Any]:
        kube = Kube(config(), ClusterTransport(cluster))
        here = Connection(kube, "ci")
        found = [await find_flow(here, name) for name in ("nightly-a", "@latest", "nightly-c")]
        found.append(await find_flow(Connection(kube, "elsewhere"), "@latest"))
        await kube.close()
        return found

    named, latest, misspelt, nowhere = anyio.run(ask)
    assert (named["metadata"]["name"], latest["metadata"]["name"]) == ("nightly-a", "nightly-b")
    assert misspelt.what == "namespace 'ci' has no JobFlow 'nightly-c'"
    assert "did you mean 'nightly-" in misspelt.fix
    assert misspelt.code == nowhere.code == exits.NOT_FOUND
    assert nowhere.what == "namespace 'elsewhere' has no JobFlow"
