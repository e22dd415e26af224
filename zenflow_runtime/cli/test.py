"""`zenflow test`: case files played in virtual time; one line a case, and the story of each one that failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from zenflow_core.problems import Problem
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import Unread, read_file
from zenflow_runtime.cli.findings import say_findings
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.cases.format import SUFFIX, CaseFile, read_case
from zenflow_testing.cases.report import closing_line, junit_xml, result_lines
from zenflow_testing.cases.result import Result
from zenflow_testing.cases.runner import run_case

_CASE = re.compile(rb"^(?:history|expect)\s*:", re.MULTILINE)
"""What a case file has and a manifest has not, at its margin."""


def run_cases(terminal: Terminal, paths: tuple[str, ...], *, only: str | None, junit: str | None, verbose: bool) -> int:
    """Play every case of `paths`; 0 if all passed, 1 if one failed, 2 if a file is no case or there is none."""
    if not paths:
        terminal.fail("name at least one case file or directory", "zenflow test PATH...")
        return exits.INVALID
    results: list[Result] = []
    malformed: list[tuple[str, tuple[Problem, ...]]] = []
    unread = False
    for file in case_files(paths):
        text = read_file(file)
        if isinstance(text, Unread):
            terminal.fail(f"cannot read {text.file}: {text.why}")
            unread = True
            continue
        loaded = read_case(text, file=file)
        if not isinstance(loaded, CaseFile):
            say_findings(terminal, loaded, file=file, text=text)
            malformed.append((file, loaded))
            continue
        if only is not None and not is_chosen(loaded.case.id, only):
            continue
        result = run_case(loaded, file=file)
        results.append(result)
        terminal.print(wrapped_lines(result_lines(result, verbose=verbose), terminal.wrap))
    if junit is not None and not _write(terminal, junit, junit_xml(results, malformed)):
        return exits.INVALID
    if not results and not malformed and not unread:
        about = f" whose id has {only!r} in it" if only is not None else ""
        terminal.fail(f"there is no case{about} in {', '.join(paths)}", f"case files end in {SUFFIX}")
        return exits.INVALID
    terminal.text(f"{closing_line(results)}\n")
    if malformed or unread:
        return exits.INVALID
    return exits.OK if all(result.passed for result in results) else exits.NO


def case_files(paths: tuple[str, ...]) -> Iterator[str]:
    """The files that are named, and the case files in the directories that are, each once."""
    seen: set[str] = set()
    for path in paths:
        for file in sorted(_below(Path(path))) if Path(path).is_dir() else [path]:
            if file not in seen:
                seen.add(file)
                yield file


def _below(directory: Path) -> Iterator[str]:
    for file in directory.rglob("*.y*ml"):
        if file.suffix in (".yaml", ".yml") and file.is_file() and (file.name.endswith(SUFFIX) or _is_case(file)):
            yield str(file)


def _is_case(file: Path) -> bool:
    """Whether a YAML file beside others is a case: among manifests a case is known by its own keys."""
    text = read_file(str(file))
    return not isinstance(text, Unread) and len(set(_CASE.findall(text))) == 2


def is_chosen(id_: str, pattern: str) -> bool:
    """Whether a case is meant: a part of its id, or a pattern with `*` for the whole of it."""
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(id_, pattern)
    return pattern.lower() in id_.lower()


def _write(terminal: Terminal, file: str, text: str) -> bool:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        terminal.fail(f"cannot write {file}: {(error.strerror or str(error)).lower()}")
        return False
    return True
