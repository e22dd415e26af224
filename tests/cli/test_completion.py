"""What a shell offers on TAB: the answers, the scripts that ask for them, and real shells that read the scripts."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Zenflow
from tests.cli.test_connection import kubeconfig as some_contexts
from tests.cli.test_connection import written
from tests.defects.lives import flow, manual, step
from tests.runtime.sockets import kubeconfig, served
from tests.runtime.stage import Stage
from zenflow_runtime.cli import names
from zenflow_runtime.cli.completing import NO_PATHS, PATHS_TOO
from zenflow_runtime.cli.completion import SCRIPTS
from zenflow_runtime.cli.where import HERE

BIN = Path(sys.executable).parent
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def cluster() -> Stage:
    """Two flows, of which one waits for people."""
    flows = (flow(step("build"), manual("gate", "build"), name="nightly"), flow(step("a"), name="night-shift"))
    return Stage(*flows, start=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def here(cluster: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The cluster is the current context."""
    for name in ("ZENFLOW_KUBECONFIG", "ZENFLOW_CONTEXT", "ZENFLOW_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, stack.enter_context(served(cluster)))))
        yield cluster


def offered(zenflow: Zenflow, line: str) -> tuple[list[str], str]:
    """The values, and whether paths are offered, too."""
    ran = zenflow("__complete", "--line", line)
    assert (ran.code, ran.err) == (0, "")
    *answers, last = ran.out.splitlines()
    return [answer.partition("\t")[0] for answer in answers], last


# --- the answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "values", "last"),
    [
        pytest.param("zenflow va", ["validate"], NO_PATHS, id="a command"),
        pytest.param("zenflow no", [], NO_PATHS, id="no such command"),
        pytest.param("zenflow --no-color va", ["validate"], NO_PATHS, id="a command after an option of all"),
        pytest.param("zenflow get --outp", ["--output"], NO_PATHS, id="an option"),
        pytest.param("zenflow get x -o ", ["text", "wide", "name", "json", "yaml", "html"], NO_PATHS, id="its choices"),
        pytest.param("zenflow get x --output=j", ["--output=json"], NO_PATHS, id="a choice behind ="),
        pytest.param("zenflow get x --output j", ["json"], NO_PATHS, id="a choice behind a blank"),
        pytest.param("zenflow completion ", ["bash", "zsh", "fish"], NO_PATHS, id="a shell"),
        pytest.param("zenflow explain-rule ZF207", ["ZF207"], NO_PATHS, id="a rule"),
        pytest.param("zenflow validate a.yaml ", [], PATHS_TOO, id="one more file"),
        pytest.param("zenflow plan 'my fl", [], PATHS_TOO, id="an open quote"),
        pytest.param("zenflow simulate f.yaml --outcomes ", [], PATHS_TOO, id="a file of an option"),
        pytest.param("zenflow list --kubeconfig ", [], PATHS_TOO, id="a kubeconfig"),
        pytest.param("zenflow get ni", ["nightly", "night-shift"], NO_PATHS, id="flows"),
        pytest.param("zenflow get @", ["@latest"], NO_PATHS, id="the latest flow"),
        pytest.param("zenflow delete nightly night-", ["night-shift"], NO_PATHS, id="one more flow"),
        pytest.param("zenflow get -n elsewhere n", [], NO_PATHS, id="flows of another namespace"),
        pytest.param("zenflow explain nig", ["nightly", "night-shift"], PATHS_TOO, id="a flow or a file"),
        pytest.param("zenflow logs nightly ", ["build", "gate"], NO_PATHS, id="steps"),
        pytest.param("zenflow logs nightly -f b", ["build"], NO_PATHS, id="steps after an option"),
        pytest.param("zenflow approve nightly ", ["gate"], NO_PATHS, id="only steps that ask"),
        pytest.param("zenflow approve nihgtly ", [], NO_PATHS, id="steps of no flow"),
        pytest.param("zenflow get run ", [], NO_PATHS, id="a flow that is called like a command"),
        pytest.param("zenflow watch nightly --context ", ["x"], NO_PATHS, id="contexts"),
        pytest.param("zenflow watch nightly --frobnicate x ", [], NO_PATHS, id="after nonsense"),
    ],
)
def test_what_is_offered(here: Stage, zenflow: Zenflow, line: str, values: list[str], last: str) -> None:
    found, how = offered(zenflow, line)
    assert (sorted(found), how) == (sorted(values), last)


def test_namespaces_are_those_of_the_cluster(here: Stage, zenflow: Zenflow) -> None:
    for name in ("ci", "research"):
        here.cluster.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert offered(zenflow, "zenflow list -n r")[0] == ["research"]


def test_steps_of_the_latest_flow(here: Stage, zenflow: Zenflow) -> None:
    assert offered(zenflow, "zenflow logs @latest ")[0] in (["a"], ["build", "gate"])


def test_options_come_with_what_they_mean(zenflow: Zenflow) -> None:
    assert "--tail\tOnly so many lines at the end of each log." in zenflow("__complete", "logs", "--t").out.splitlines()


@pytest.mark.parametrize(
    "kubeconfig_file",
    [
        pytest.param("/nonexistent/config", id="no kubeconfig"),
        pytest.param("broken", id="one that is none"),
        pytest.param("nobody", id="a cluster where nobody answers"),
    ],
)
def test_without_a_cluster_there_is_silence(
    zenflow: Zenflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeconfig_file: str
) -> None:
    (tmp_path / "broken").write_text("- 1", encoding="utf-8")
    data = some_contexts("red", current="red")
    data["clusters"][0]["cluster"] = {"server": "http://127.0.0.1:1"}
    written(tmp_path / "nobody", data)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / kubeconfig_file))
    assert offered(zenflow, "zenflow get ") == (["@latest"], NO_PATHS)
    assert offered(zenflow, "zenflow get -n ") == ([], NO_PATHS)
    assert offered(zenflow, "zenflow approve nightly ") == ([], NO_PATHS)


def test_a_login_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SECONDS", 0.2)
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["20"]}
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "c", some_contexts("red", current="red", exec=login)))
    began = time.monotonic()
    assert names.flow_names(HERE) == ()
    assert time.monotonic() - began < 10


def test_names_that_obey_no_rule_do_no_harm(zenflow: Zenflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "odd\n:0\t\x1b[2J"
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "c", some_contexts(name, current=name)))
    assert zenflow("__complete", "list", "--context", "").out == "odd :0 [2J\n:4\n"


def test_kubectl_asks_the_same() -> None:
    ran = subprocess.run(
        [BIN / "kubectl_complete-zenflow", "get", "--outp"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[0].startswith("--output\t")
    assert (ran.stdout.splitlines()[1:], ran.stderr) == ([":4"], "")


def test_options_are_offered_without_what_only_commands_need() -> None:
    """What is imported is what it costs: a person waits for it. Its CPU time is a figure of benchmarks/bench.py."""
    ask = (
        "import sys; before = {*sys.modules, *sys.stdlib_module_names};"
        "from zenflow_runtime.cli import main; main(['__complete', 'get', '--']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - before))"
    )
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "attr attrs cyclopts docstring_parser zenflow_core zenflow_runtime"


# --- the scripts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_as_it_is(zenflow: Zenflow, shell: str) -> None:
    ran = zenflow("completion", shell)
    assert (ran.code, ran.out, ran.err) == (0, SCRIPTS[shell], "")


def test_another_shell_is_said_to_be_unknown(zenflow: Zenflow) -> None:
    ran = zenflow("completion", "csh")
    assert (ran.code, ran.out) == (2, "")
    assert "zenflow completion --help" in ran.err


PARSES = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
LOADS = {
    "bash": "bind 'set enable-bracketed-paste off'; bind 'set show-all-if-ambiguous on'; source {script}; PS1='$ '\n",
    "zsh": "autoload -Uz compinit; compinit -u -D; source {script}; PS1='$ '\n",
    "fish": "source {script}; function fish_prompt; echo -n '$ '; end; set -g fish_greeting\n",
}
STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
present = [
    pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell} here"))
    for shell in SHELLS
]


@pytest.mark.parametrize("shell", present)
def test_a_script_parses(tmp_path: Path, shell: str) -> None:
    (tmp_path / "script").write_text(SCRIPTS[shell], encoding="utf-8")
    ran = subprocess.run([*PARSES[shell], tmp_path / "script"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def on_screen(raw: str) -> str:
    """What a terminal shows of it, as far as these shells need: no colours, no bell, and backspaces done."""
    shown: list[str] = []
    for character in re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>]|\(B|\][^\x07]*\x07)|\x07", "", raw):
        if character != "\b":
            shown.append(character)
        elif shown:
            shown.pop()
    return "".join(shown)


class Typing:
    """A shell at a terminal, and what it shows."""

    def __init__(self, shell: str, folder: Path) -> None:
        self._leader, follower = pty.openpty()
        subprocess.run(["stty", "cols", "200", "rows", "50"], stdin=follower, check=True)
        kept = {name: value for name, value in os.environ.items() if name in ("KUBECONFIG", "LD_LIBRARY_PATH")}
        home = {"HOME": str(folder), "TERM": "xterm", "LANG": "C.UTF-8", "PATH": f"{BIN}:{os.environ['PATH']}"}
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *STARTS[shell]],  # fish wants a terminal that controls it
            cwd=folder,
            env=kept | home,
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self.type(LOADS[shell].format(script=folder / "script"))

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def until(self, text: str) -> str:
        """Everything up to the first time that this is shown; fails after 20 s."""
        raw, deadline = "", time.monotonic() + 20
        while text not in (shown := on_screen(raw)):
            ready, _, _ = select.select([self._leader], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{text!r} is not in {shown!r}"
            raw += os.read(self._leader, 65536).decode(errors="replace")
        return shown

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._leader)


@pytest.fixture
def typing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Typing]:
    (tmp_path / "script").write_text(SCRIPTS[request.param], encoding="utf-8")
    (tmp_path / "my flow.yaml").touch()
    shell = Typing(request.param, tmp_path)
    try:
        shell.type("echo loa''ded\n")
        shell.until("loaded")
        yield shell
    finally:
        shell.close()


@pytest.mark.parametrize("typing", present, indirect=True)
@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        pytest.param("zenflow valid", "zenflow validate ", id="a command"),
        pytest.param("zenflow get nightl", "zenflow get nightly ", id="a flow of the cluster"),
        pytest.param("zenflow get @lat", "zenflow get @latest ", id="the latest"),
        pytest.param("zenflow approve nightly ", "zenflow approve nightly gate ", id="the step that asks"),
        pytest.param("zenflow get nightly --output=wi", "zenflow get nightly --output=wide", id="a choice behind ="),
        pytest.param("zenflow plan my", "my\\ flow.yaml", id="a file with a blank in its name"),
    ],
)
def test_a_shell_completes(here: Stage, typing: Typing, typed: str, becomes: str) -> None:
    typing.type(f"{typed}\t")
    typing.until(becomes)
