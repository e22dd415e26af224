"""The command line itself: usage, exit codes, pipes, colours, and what our own bugs look like."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Zenflow
from zenflow_core.version import VERSION
from zenflow_runtime.cli.app import COMMANDS

PLAYING = ("validate", "plan", "graph", "simulate", "explain")
"""Commands that read any YAML."""
HELLO = "examples/hello-linear.yaml"


def test_version(zenflow: Zenflow) -> None:
    assert zenflow("--version").out == f"zenflow {VERSION}\n"


def test_help_lists_every_command_and_every_exit_code(zenflow: Zenflow) -> None:
    ran = zenflow("--help")
    assert ran.code == 0
    assert [command for command in COMMANDS if f"\n  {command} " not in ran.out] == []
    assert "130 interrupted" in ran.out
    assert zenflow().out == ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_two_examples_that_name_it_and_fits(zenflow: Zenflow, command: str) -> None:
    ran = zenflow(command, "--help")
    assert ran.code == 0
    examples = ran.out.split("Examples:\n")[1].rstrip().splitlines()
    assert sum(f"zenflow {command}" in example for example in examples) >= 2
    assert [example for example in examples if not example.startswith("  ")] == [], "broken by the terminal's width"
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("args", "said", "fix"),
    [
        pytest.param(("valdate",), 'Did you mean "validate"?', "zenflow --help", id="an unknown command"),
        pytest.param(("plan",), "FILE", "zenflow plan --help", id="no file"),
        pytest.param(("plan", HELLO, "b"), "'b'", "zenflow plan --help", id="one thing too many"),
        pytest.param(("simulate", HELLO, "--sed", "1"), "--seed", "zenflow simulate --help", id="an unknown option"),
        pytest.param(
            ("simulate", HELLO, "--seed", "x"), '"x"', "zenflow simulate --help", id="a seed that is no number"
        ),
        pytest.param(("graph", HELLO, "-o", "png"), '"png"', "zenflow graph --help", id="an unknown format"),
        pytest.param(("validate",), "at least one file", "zenflow validate FILE", id="nothing to validate"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_helps(
    zenflow: Zenflow, args: tuple[str, ...], said: str, fix: str
) -> None:
    ran = zenflow(*args)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("zenflow: ")
    assert said in ran.err
    assert fix in ran.err.splitlines()[-1]


@pytest.mark.parametrize("command", PLAYING)
def test_a_file_that_is_not_there(zenflow: Zenflow, command: str) -> None:
    ran = zenflow(command, "gone.yaml")
    assert ran.code == 2
    assert "zenflow: cannot read gone.yaml: no such file or directory\n" in ran.err


@pytest.mark.parametrize("command", PLAYING)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\x00\xff\xfe", id="bytes"),
        pytest.param(b"a: [", id="broken YAML"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 100_000, id="nested for ever"),
        pytest.param(b"&a [*a, *a]", id="an alias to itself"),
        pytest.param(b'{"format":"zenflow-dump/1"}', id="half a dump"),
        pytest.param(b"apiVersion: 3\nkind: [JobFlow]\nmetadata: 7\n", id="wrong types everywhere"),
    ],
)
def test_no_input_gets_a_traceback(zenflow: Zenflow, command: str, text: bytes) -> None:
    ran = zenflow(command, "-", stdin=text)
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert "internal error" not in ran.err


def test_a_bug_is_one_sentence(zenflow: Zenflow, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> int:
        raise RuntimeError("boom\nand more")

    monkeypatch.setattr("zenflow_runtime.cli.plan.plan", bug)
    ran = zenflow("plan", HELLO)
    assert (ran.code, ran.out) == (70, "")
    assert ran.err.startswith("zenflow: internal error (RuntimeError: boom). This is a bug in zenflow")
    monkeypatch.setenv("ZENFLOW_DEBUG", "1")
    with pytest.raises(RuntimeError, match="boom"):
        zenflow("plan", HELLO)


def test_an_interruption_ends_with_130(zenflow: Zenflow, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("zenflow_runtime.cli.plan.plan", interrupted)
    ran = zenflow("plan", HELLO)
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_dashes_are_stdin_also_for_two_commands_in_a_row(zenflow: Zenflow) -> None:
    text = (ROOT / HELLO).read_text(encoding="utf-8")
    assert zenflow("plan", "-", stdin=text).out == zenflow("plan", HELLO).out


# --- as a process ----------------------------------------------------------------------------------------------------


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = Path(sys.executable).parent
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env={"PATH": f"{own}:{os.environ['PATH']}", "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    ran = shell("zenflow simulate examples/fan-out-300.yaml --full | head -1; echo ${PIPESTATUS[0]}")
    assert ran.stdout.splitlines()[0].startswith("fan-out-300 in namespace default")
    assert (ran.stdout.splitlines()[1:], ran.stderr) == (["0"], "")


def test_a_full_disk_is_said() -> None:
    ran = shell("zenflow plan examples/hello-linear.yaml > /dev/full")
    assert (ran.returncode, ran.stderr) == (2, "zenflow: cannot go on: no space left on device\n")


def test_a_closed_stdout_is_no_bug() -> None:
    ran = shell("zenflow plan examples/hello-linear.yaml >&-")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_kubectl_finds_it_as_a_plugin() -> None:
    assert shell("kubectl-zenflow --version").stdout == f"zenflow {VERSION}\n"


def test_a_locale_without_unicode_prints_escapes() -> None:
    ran = shell("zenflow plan examples/hello-linear.yaml", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0
    assert "\\u2514\\u2500 greet" in ran.stdout


def on_a_terminal(*args: str, **environment: str) -> str:
    """What the command writes to a terminal of 80 columns."""
    leader, follower = pty.openpty()
    os.set_blocking(leader, True)
    subprocess.run(["stty", "cols", "80"], stdin=follower, check=True)
    with subprocess.Popen(
        [Path(sys.executable).parent / "zenflow", *args],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", **environment},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    ):
        os.close(follower)
        parts = []
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # how a pseudo-terminal says that its other end is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(leader)
    return b"".join(parts).decode().replace("\r\n", "\n")


def test_colours_are_for_terminals_that_want_them() -> None:
    file = "examples/hello-linear.yaml"
    plain = shell(f"zenflow validate {file}").stdout
    assert "\x1b" not in plain
    coloured = on_a_terminal("validate", file)
    assert "\x1b[32mok\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured).split() == plain.split()
    for uncoloured in (
        on_a_terminal("validate", file, "--no-color"),
        on_a_terminal("validate", file, NO_COLOR="1"),
        on_a_terminal("validate", file, TERM="dumb"),
    ):
        assert "\x1b" not in uncoloured
        assert uncoloured.split() == plain.split()


def test_on_a_terminal_nothing_is_wider_than_it() -> None:
    shown = on_a_terminal("simulate", "examples/release-train.yaml", "--seed", "7", "--no-color")
    moves = shown.split("\n\n")[1:3]
    assert max(len(line) for part in moves for line in part.splitlines()) <= 80


def test_a_valid_file_loads_nothing_that_it_does_not_need() -> None:
    """What a command imports is most of what it costs: 0.3 s of CPU with these, 0.6 s with all of them."""
    heavy = ("networkx", "rich", "lightkube", "anyio", "zenflow_testing", "cel_expr_python", "json.tool")
    ask = (
        "import sys, json; from zenflow_runtime.cli import main; main(['validate', 'examples/hello-linear.yaml']);"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == []
