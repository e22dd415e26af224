"""What a `when` can read, and how each reference is written: by users, and in the CEL that is compiled."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from attrs import frozen

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS: Final = frozenset({"in", "true", "false", "null"})
MAPS: Final = frozenset({"labels", "annotations"})
"""The fields of `flow` that are mappings of texts."""


class Place(StrEnum):
    """Where a condition stands: that of a step may not read `flow.phase`, and only a property may read attempts."""

    STEP = "steps"
    FINALLY = "finally"
    PROPERTY = "property"
    """Not a `when` at all: what has to hold in each state of a simulated flow (`zenflow explore --always`)."""


class ReadAs(StrEnum):
    """What an output is read as; the value is the field of `steps.<name>` that carries it in canonical CEL."""

    JSON = "outputs.parameters"
    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


@frozen
class ExpressionProblem:
    """One thing wrong with an expression: what it is, how to put it right, and its character (from 1), if known."""

    what: str
    fix: str
    column: int | None = None


class PhaseOf(NamedTuple):
    step: str


class AttemptsOf(NamedTuple):
    step: str


class OutputOf(NamedTuple):
    step: str
    parameter: str


class ParameterOf(NamedTuple):
    name: str


class FlowField(NamedTuple):
    name: str
    key: str
    """`.app` or `["app"]` after `flow.labels` and `flow.annotations`, else empty."""


Reference: TypeAlias = PhaseOf | AttemptsOf | OutputOf | ParameterOf | FlowField


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    reference: Reference | None = None


def spell_step(step: str) -> str:
    """A step as users write it in CEL: `steps.build`, `steps["build-image"]`."""
    return f"steps.{step}" if is_plain(step) else f'steps["{step}"]'


def spell_parameter(name: str) -> str:
    """A flow parameter as users write it in CEL: `parameters.env`, `parameters["disk-gb"]`."""
    return f"parameters.{name}" if is_plain(name) else f'parameters["{name}"]'


def is_plain(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None and name not in _KEYWORDS


def _field(name: str) -> str:
    """A field as canonical CEL writes it; backquotes, unlike an index, may also stand in `has()`."""
    return name if is_plain(name) else f"`{name}`"


def spell(reference: Reference) -> str:
    """A reference as users write it in CEL."""
    match reference:
        case PhaseOf(step):
            return f"{spell_step(step)}.phase"
        case AttemptsOf(step):
            return f"{spell_step(step)}.attempts"
        case OutputOf(step, parameter):
            tail = f".{parameter}" if is_plain(parameter) else f'["{parameter}"]'
            return f"{spell_step(step)}.outputs.parameters{tail}"
        case ParameterOf(name):
            return spell_parameter(name)
        case FlowField(name, key):
            return f"flow.{name}{key}"


def canonical(reference: Reference, read_as: ReadAs, step: str | None = None) -> str:
    """A reference in CEL as it is evaluated; `step` may stand in for the name of its step."""
    match reference:
        case PhaseOf(name):
            return f"steps.{step or _field(name)}.phase"
        case AttemptsOf(name):
            return f"steps.{step or _field(name)}.attempts"
        case OutputOf(name, parameter):
            return f"steps.{step or _field(name)}.{read_as.value}.{_field(parameter)}"
        case ParameterOf(name):
            return f"parameters.{_field(name)}"
        case FlowField(name, key):
            return f"flow.{name}{key}"


def stand_in(place: int) -> str:
    """What stands for the step that a condition names at this place, from 0, in the text that is compiled."""
    return f"_{place}"


def shorten(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."
