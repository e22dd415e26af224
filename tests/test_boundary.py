"""The runtime carries out and reports. It asks for no phase: what happens to a flow is decided in the core.

`questions` walks a module's syntax tree for comparisons with a phase, a policy or another choice of a flow's spec, in
an `if`, a `match`, or wherever a comparison can stand.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

import zenflow_runtime
from zenflow_core import spec, state

RUNTIME = Path(zenflow_runtime.__path__[0])
SHOWING = RUNTIME / "cli"
"""Commands show phases and wait for them, which is no decision about a flow."""

# How bytes are packed is for whoever moves them.
CHOICES = {
    each
    for module in (spec, state)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Enum) and each.__module__ == module.__name__
} - {spec.ArchiveFormat, spec.Compression}
NAMES = frozenset(each.__name__ for each in CHOICES)
# A Job is an object, too.
VALUES = frozenset(member.value for each in CHOICES for member in each) - {spec.StepType.JOB.value}


def questions(source: str) -> list[str]:
    """The comparisons with a choice of a flow, as `line: what`."""
    found: set[tuple[int, str]] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, comparators=others):
                sides = [left, *others]
            case ast.MatchValue(value=value):
                sides = [value]
            case _:
                continue
        found |= {(each.lineno, ast.unparse(each)) for side in sides for each in _choices(side)}
    return [f"{line}: {what}" for line, what in sorted(found)]


def _choices(side: ast.expr) -> Iterator[ast.expr]:
    """The choices that one side of a comparison names, alone or among others."""
    for each in side.elts if isinstance(side, ast.Tuple | ast.Set | ast.List) else [side]:
        match each:
            case ast.Constant(value=str(value)) if value in VALUES:
                yield each
            case ast.Attribute(value=ast.Name(id=name)) | ast.Attribute(value=ast.Attribute(attr=name)) if (
                name in NAMES
            ):
                yield each


MODULES = sorted(each for each in RUNTIME.rglob("*.py") if SHOWING not in each.parents)


@pytest.mark.parametrize("module", MODULES, ids=lambda each: str(each.relative_to(RUNTIME)))
def test_the_runtime_asks_for_no_phase_and_no_policy(module: Path) -> None:
    assert questions(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("if row['phase'] == 'Running': pass", ["1: 'Running'"], id="a phase as text"),
        pytest.param("x = record.phase is not StepPhase.FAILED", ["1: StepPhase.FAILED"], id="a member"),
        pytest.param("x = p in (state.FlowPhase.PAUSED, a)", ["1: state.FlowPhase.PAUSED"], id="among others"),
        pytest.param("match p:\n    case ConcurrencyPolicy.FORBID: pass", ["2: ConcurrencyPolicy.FORBID"], id="a case"),
        pytest.param("if before.phase != state.record.phase: pass", [], id="a change of phase is none"),
    ],
)
def test_a_question_is_found(source: str, found: list[str]) -> None:
    assert questions(source) == found
