"""Go template actions in a `when`: the three that are references, and what to write instead of all others."""

from __future__ import annotations

import re
from typing import Final

from zenflow_core.condition_names import (
    ExpressionProblem,
    FlowField,
    ParameterOf,
    PhaseOf,
    Reference,
    shorten,
    spell,
)

_GO_STEP: Final = re.compile(r"\.?StepStatus\.([A-Za-z0-9_.-]+)\.Phase")
_GO_PARAMETER: Final = re.compile(r"\.?[pP]arameters\.([A-Za-z0-9_.-]+)")
_GO_FLOW: Final = re.compile(r"\.?JobFlow\.(Name|Namespace)")
_GO_ATOM: Final = re.compile(r'\s*([()|]|"[^"]*"|`[^`]*`|[^\s()|"`]+)')
_GO_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def go_reference(content: str) -> Reference | None:
    if found := _GO_STEP.fullmatch(content):
        return PhaseOf(found.group(1))
    if found := _GO_PARAMETER.fullmatch(content):
        return ParameterOf(found.group(1))
    if found := _GO_FLOW.fullmatch(content):
        return FlowField(found.group(1).lower(), "")
    return None


def refuse_go(word: str, content: str, start: int) -> ExpressionProblem:
    """Refuse a Go template action, saying its condition in CEL where that is plain."""
    atoms = _GO_ATOM.findall(content)
    if atoms and atoms[0] in ("if", "with"):
        atoms = atoms[1:]
    translated = _in_cel(atoms, 0)
    if atoms and atoms[0] in ("else", "end"):
        fix = "leave it out: what is no condition is false"
    elif translated is not None and translated[1] == len(atoms):
        fix = f"write CEL without braces: {shorten(translated[0])}"
    else:
        fix = 'write CEL without braces, for example: steps.build.phase == "Succeeded"'
    return ExpressionProblem(f"{shorten(word)} is a Go template action, which a condition cannot have", fix, start + 1)


def _in_cel(atoms: list[str], at: int, depth: int = 0) -> tuple[str, int] | None:
    """Go's prefix calls as CEL: `eq .A .B` from atom `at` on; the end is a bracket or the last atom."""
    values: list[str] = []
    function = atoms[at] if at < len(atoms) else ""
    called = function in _GO_COMPARISONS or function in ("and", "or", "not", "index")
    position = at + 1 if called else at
    while position < len(atoms) and atoms[position] != ")":
        atom = atoms[position]
        if atom == "|" or depth > 8:
            return None
        if atom == "(":
            inner = _in_cel(atoms, position + 1, depth + 1)
            if inner is None or inner[1] >= len(atoms):
                return None
            value, position = inner
            if position + 1 < len(atoms) and atoms[position + 1] == ".Phase":
                value, position = f"{value}.phase", position + 1
            elif " " in value:
                value = f"({value})"
            values.append(value)
        else:
            reference = go_reference(atom)
            values.append(spell(reference) if reference else {".StepStatus": "steps"}.get(atom, atom))
        position += 1
    if not called:
        return (values[0], position) if len(values) == 1 and not values[0].startswith(".") else None
    if any(value.startswith(".") for value in values):
        return None
    if function == "not" and len(values) == 1:
        return f"!{values[0] if ' ' not in values[0] else '(' + values[0].strip('()') + ')'}", position
    if function == "index" and len(values) == 2:
        return f"{values[0]}[{values[1]}]", position
    if function in ("and", "or") and len(values) > 1:
        return (" && " if function == "and" else " || ").join(values), position
    if function in _GO_COMPARISONS and len(values) == 2:
        return f"{values[0]} {_GO_COMPARISONS[function]} {values[1]}", position
    return None
