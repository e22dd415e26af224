"""`zenflow diff`: dumps decided by this version and by another one; equal decisions are the gate of a release."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from zenflow_core.styled import Line, Span, Style, line
from zenflow_core.version import VERSION
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.dumps import load_dump
from zenflow_runtime.cli.replay import replay_json, replay_of
from zenflow_runtime.cli.reports import to_json
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.comparing import differences, side_by_side

_SUFFIXES: Final = (".jsonl", ".dump", ".ndjson")
"""How dumps in a folder are called."""
_SECONDS: Final = 600
"""Longest time that the other version may take over one dump, or an installation."""
_REPLAY: Final = (
    "import sys; from zenflow_runtime.cli import main; sys.exit(main(['replay', sys.argv[1], '-o', 'json']))"
)


@frozen
class Other:
    """Another installed version: the Python that has it."""

    python: Path
    called: str


@frozen
class NoOther:
    """Why there is no other version to compare with."""

    what: str
    fix: str


@frozen
class Compared:
    """One dump, decided by both."""

    file: str
    flow: str
    decisions: int
    difference: int | None
    """The first decision (from 1) that differs; None: all are equal."""
    at: str = ""
    mine: Any = None
    theirs: Any = None


def run_diff(terminal: Terminal, paths: tuple[str, ...], *, other: str, output: str) -> int:
    """Compare two versions over dumps; 0 if every decision is equal, 1 if one is not, 2 for what is no dump."""
    if not paths:
        terminal.fail("name at least one dump, or a folder of them", "zenflow diff DUMP... --with VERSION")
        return exits.INVALID
    files = list(dict.fromkeys(_files(paths)))
    if not files:
        terminal.fail(f"there is no dump in {', '.join(paths)}", f"dumps in a folder end in {', '.join(_SUFFIXES)}")
        return exits.INVALID
    found = find_other(other)
    if isinstance(found, NoOther):
        terminal.fail(found.what, found.fix)
        return exits.INVALID
    compared: list[Compared] = []
    broken = False
    for file in files:
        result = _compare(terminal, file, found)
        if result is None:
            broken = True
            continue
        compared.append(result)
        if output != "json":
            terminal.print(wrapped_lines(_result_lines(result, found, columns=terminal.wrap), terminal.wrap))
    equal = sum(each.difference is None for each in compared)
    if output == "json":
        terminal.text(to_json(diff_json(compared, found)))
    else:
        terminal.text(f"{equal} equal, {len(compared) - equal} different\n")
    if broken:
        return exits.INVALID
    return exits.OK if equal == len(compared) else exits.NO


def _files(paths: tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        if Path(path).is_dir():
            yield from sorted(str(f) for f in Path(path).rglob("*") if f.suffix in _SUFFIXES and f.is_file())
        else:
            yield path


# --- the other version -----------------------------------------------------------------------------------------------


def find_other(other: str) -> Other | NoOther:
    """The Python that `--with` names: itself, its environment's folder, or a version, which is installed once."""
    path = Path(other)
    if path.is_dir():
        python = path / "bin" / "python"
        if not python.exists():
            return NoOther(f"--with {other}: the folder has no bin/python", "give the folder of a virtual environment")
        return _named(python)
    if path.is_file():
        return _named(path)
    if os.sep in other or not other[:1].isdigit():
        fix = "give a version (0.2.0), the folder of a virtual environment, or its python"
        return NoOther(f"--with {other}: there is no such file, folder or version", fix)
    return _installed(other)


def _named(python: Path) -> Other | NoOther:
    ran = _run([str(python), "-c", "from zenflow_core.version import VERSION; print(VERSION)"])
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return NoOther(f"{python} has no zenflow: {said}", f"{python} -m pip install zenflow")
    return Other(python, ran.stdout.strip())


def _installed(version: str) -> Other | NoOther:
    """An environment with that version, made when it is first asked for and kept in the user's cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zenflow" / "versions"
    folder = base / version
    python = folder / "bin" / "python"
    if python.exists():
        return _named(python)
    uv = shutil.which("uv")
    making = [uv, "venv", "-q", str(folder)] if uv else [sys.executable, "-m", "venv", str(folder)]
    pip = [uv, "pip", "install", "-q", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
    for command in (making, [*pip, f"zenflow=={version}"]):
        ran = _run(command)
        if ran.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            said = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
            fix = "install it into an environment of its own and give that folder"
            return NoOther(f"zenflow {version} cannot be installed: {said}", fix)
    return _named(python)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # The working directory and PYTHONPATH may have another zenflow in them.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    safely = [command[0], "-P", *command[1:]] if Path(command[0]).name.startswith("python") else command
    try:
        return subprocess.run(safely, capture_output=True, text=True, timeout=_SECONDS, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


# --- one dump --------------------------------------------------------------------------------------------------------


def _compare(terminal: Terminal, file: str, other: Other) -> Compared | None:
    """Both versions' decisions of one dump; None once the trouble has been said."""
    dump = load_dump(terminal, file, doing="compared")
    if isinstance(dump, int):
        return None
    replay = replay_of(terminal, dump, file=file)
    if isinstance(replay, int):
        return None
    mine = json.loads(json.dumps(replay_json(replay)))
    ran = _run([str(other.python), "-c", _REPLAY, str(Path(file).resolve())])
    try:
        theirs = json.loads(ran.stdout)["decisions"]
    except (ValueError, KeyError, TypeError):
        said = ran.stderr.strip().splitlines()
        fix = f"{other.python} cannot replay this dump: compare with a version that can"
        terminal.fail(f"{file}: zenflow {other.called} says: {' '.join(said[-2:]) or 'nothing'}", fix)
        return None
    for each, their in zip(mine["decisions"], theirs, strict=False):
        if each["decided"] != their["decided"]:
            number = each["number"]
            return Compared(
                file, mine["flow"], len(theirs), number, at=each["at"], mine=each["decided"], theirs=their["decided"]
            )
    if len(theirs) != len(mine["decisions"]):
        terminal.fail(
            f"{file}: zenflow {other.called} reads {len(theirs)} decisions, {VERSION} {len(mine['decisions'])}"
        )
        return None
    return Compared(file, mine["flow"], len(theirs), None)


def _result_lines(result: Compared, other: Other, *, columns: int | None) -> Iterator[Line]:
    of = f"{result.file}  {result.flow}, {result.decisions:,} decisions"
    if result.difference is None:
        yield line(Span("equal      ", Style.GOOD), of)
        return
    yield line(Span("different  ", Style.BAD), f"{of}: decision {result.difference}, {result.at}")
    found = differences(result.theirs, result.mine)
    yield from side_by_side(found, left=f"zenflow {other.called}", right=f"this one ({VERSION})", columns=columns)


def diff_json(compared: list[Compared], other: Other) -> dict[str, Any]:
    """The document of `zenflow diff -o json`."""
    return {
        "version": VERSION,
        "with": other.called,
        "equal": all(each.difference is None for each in compared),
        "dumps": [
            {
                "file": each.file,
                "flow": each.flow,
                "decisions": each.decisions,
                "equal": each.difference is None,
                "firstDifference": None
                if each.difference is None
                else {"number": each.difference, "at": each.at, "decided": each.mine, "with": each.theirs},
            }
            for each in compared
        ],
    }
