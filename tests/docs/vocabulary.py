"""What the code really says: reasons, conditions, Events, log lines, sentences, flags, and which commands there are.

Pages that tell people what to look for are held to this, so that a word that is
renamed in the code is missed on the page.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, get_args

from cyclopts import CycloptsError

from tests.docs.pages import ROOT
from zenflow_core import reasons
from zenflow_runtime.cli.app import make_app
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.events import FLOW_REASONS, GO_NAMES, TOLD

GAP: Final = "…"
"""On a page, what the code fills in."""

UNIONS: Final = (reasons.Cause, reasons.Hold, reasons.FlowCause, reasons.FlowHold, reasons.AttemptFailure)

REASONS: Final = frozenset(kind.__name__ for union in UNIONS for kind in get_args(union)) | {"TtlExpired"}
"""What the status calls why a step or flow is where it is."""

EVENTS: Final = (
    frozenset({"StepCreated"})
    | {GO_NAMES.get(kind, kind.__name__) for kind in TOLD}
    | {reason for reason, _ in FLOW_REASONS.values()}
)
"""Reasons of the Events that are sent."""

_LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception"})
_CAMEL: Final = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")


def _sources(*places: str) -> Iterator[ast.Module]:
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield _tree(file)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def template(node: ast.expr) -> str | None:
    """A text of the code with `…` where something is put in; None for what is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in parts)
        case _:
            return None


@cache
def sentences(*places: str) -> tuple[str, ...]:
    """Every text in these files or folders."""
    found = (template(node) for tree in _sources(*places) for node in ast.walk(tree) if isinstance(node, ast.expr))
    return tuple(text for text in found if text)


@cache
def log_lines(levels: frozenset[str] = _LEVELS) -> frozenset[str]:
    """What the operator may log, at these levels."""
    found: set[str] = set()
    for tree in _sources("zenflow_runtime"):
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in levels
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
            ):
                said = template(node.args[0])
                assert said is not None, "a log line begins with a text"
                found.add(said)
    return frozenset(found)


@cache
def conditions() -> frozenset[str]:
    """Types and reasons of conditions: those that are written down there, and the flow's causes and holds."""
    written = {text for text in sentences("zenflow_core/conditions.py") if _CAMEL.fullmatch(text)}
    return REASONS | written


def says(text: str, *places: str) -> bool:
    """Whether some text of the code has this in it, gaps included."""
    return any(text in each for each in sentences(*places))


@cache
def operator_flags() -> frozenset[str]:
    """The flags of `zenflow-runtime`."""
    added = re.findall(r"\"(--[a-z-]+)\"", (ROOT / "zenflow_runtime/settings.py").read_text(encoding="utf-8"))
    return frozenset(added)


def not_a_command(line: str) -> str | None:
    """What `zenflow` has against a command line; None if it would take it. What comes behind a pipe does not count."""
    words = shlex.split(re.split(r"\s[|&>]", line)[0])
    if len(words) == 2:
        words.append("--help")  # the command is only spoken of
    try:
        make_app(Terminal()).parse_args(words[1:], print_error=False, exit_on_error=False)
    except CycloptsError as error:
        return f"{line}: {error}"
    return None


def spans(text: str) -> tuple[str, ...]:
    """What stands in backticks."""
    return tuple(re.findall(r"`([^`]+)`", text))


def commands_in(texts: Iterable[str]) -> Iterator[str]:
    """Those of them that are `zenflow` commands with something behind them."""
    for text in texts:
        yield from (part.strip() for part in text.splitlines() if re.match(r"zenflow [a-z]", part.strip()))
