"""`when`: parse once, evaluate totally.

`parse_when` refuses at validation whatever can be seen to be wrong (syntax, types, names, phases that do not exist);
`evaluate` answers True, False or why it cannot say, and never anything else: a guard does not fail open.

The language is CEL with its standard functions and the macros `has`, `all`, `exists`, `exists_one` and `filter`.
`map`, `+` inside a loop and long chains of `+` are refused: they are the three ways to build something huge out of a
short expression. CEL's own bounds do the rest: 32 levels of nesting, 10,000 loop steps an evaluation.

What there is to read is said in `condition_text.py`, how outputs are compared in `condition_kinds.py`. Flow
parameters, labels and annotations are texts: `parameters.n > 3` is refused, `int(parameters.n) > 3` right. Outputs
keep the JSON value that was recorded. This is the only module that knows cel-expr-python; it is imported when the first
condition is parsed that is no literal (5 ms).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.condition_bounds import refuse_growth
from zenflow_core.condition_data import WhenData, activation_of, characters
from zenflow_core.condition_kinds import impossible_phases, is_converted, kinds_of_outputs
from zenflow_core.condition_names import (
    AttemptsOf,
    ExpressionProblem,
    FlowField,
    OutputOf,
    ParameterOf,
    PhaseOf,
    Place,
    ReadAs,
    Reference,
    Token,
    canonical,
    shorten,
    spell,
    stand_in,
)
from zenflow_core.condition_text import Names, scan
from zenflow_core.limits import EXPRESSION_CHARACTERS, MESSAGE_CHARACTERS

__all__ = [
    "Condition",
    "Constant",
    "EvaluationFailed",
    "ExpressionProblem",
    "Place",
    "Reads",
    "When",
    "WhenData",
    "evaluate",
    "number_compared",
    "parse_when",
    "reads_of",
]

Program: TypeAlias = Any
"""A `cel.Expression`. The package has no `py.typed`, so to mypy it is Any in any case."""

_CONSTANTS: Final = {"": True, "always": True, "true": True, "never": False, "false": False}
_PROGRAMS_KEPT: Final = 4_096
"""Compiled conditions kept, some 10 KiB each: those of a flow of usual size stay, whatever else is validated."""
_WHERE: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS: Final = re.compile(r"\A[A-Z_]+: | \[[A-Z_]+\]\s*\Z")
_CONTAINER: Final = re.compile(r" \(in container '[^']*'\)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")


@frozen
class Constant:
    """A `when` that is a literal: absent text, `always` and `true` hold, `never` and `false` do not."""

    source: str
    holds: bool
    steps: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[tuple[str, str], ...]] = ()


@frozen
class Condition:
    """A `when` in CEL, compiled: what it says and all it reads, each in the order of the text and once."""

    source: str
    cel: str
    """The same in canonical CEL: how each reference and output was understood."""
    steps: tuple[str, ...]
    """Steps named, for their phase or for an output."""
    parameters: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    flow: tuple[str, ...]
    """Fields of `flow`: name, namespace, labels, annotations, phase."""
    numbers: frozenset[tuple[str, str]]
    characters: int
    """How much text it may read."""
    _reads: tuple[tuple[str, str, ReadAs], ...] = field(repr=False)
    program: Program = field(eq=False, repr=False)


When: TypeAlias = Constant | Condition


@frozen
class Reads:
    """All that a condition reads."""

    steps: tuple[str, ...]
    parameters: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    flow: tuple[str, ...]


@frozen
class EvaluationFailed:
    """The condition has no answer; the step must not run (`ConditionInvalid`)."""

    message: str


def parse_when(
    text: str,
    *,
    steps: Collection[str],
    parameters: Collection[str],
    outputs: Mapping[str, Collection[str]] | None = None,
    where: Place = Place.STEP,
) -> When | tuple[ExpressionProblem, ...]:
    """Read a `when`, or say everything that is wrong with it; total on any text.

    `steps` are the steps of the flow (a set or a mapping, for speed), `parameters` the flow's parameters, `outputs` the
    output parameters that each step declares; None leaves them unchecked, and then a dash belongs to an output's name.
    Whether a step is upstream is not asked here: see `steps` of the result. Costs about 0.1 ms for a new condition.
    """
    if len(text) > EXPRESSION_CHARACTERS:
        return (
            ExpressionProblem(
                f"has {len(text)} characters, more than {EXPRESSION_CHARACTERS}",
                "split it over several steps, or decide in a step and compare its output",
            ),
        )
    stripped = text.strip()
    if stripped in _CONSTANTS:
        return Constant(text, _CONSTANTS[stripped])
    if stripped.lower() in _CONSTANTS:
        return (ExpressionProblem(f"is {stripped!r}, which is not known", f"write {stripped.lower()}"),)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        what = "has half a surrogate pair, which is no character"
        return (ExpressionProblem(what, "write the whole character", error.start + 1),)
    tokens, problems = scan(text, Names(steps, parameters, outputs, where))
    problems += impossible_phases(tokens)
    most = refuse_growth(tokens, problems)
    if problems:
        return tuple(sorted(problems, key=lambda problem: problem.column or 0))
    kinds = kinds_of_outputs(tokens)
    compiled = _compile(text, tokens, kinds, where)
    if isinstance(compiled, ExpressionProblem):
        return (compiled,)
    cel_text, program = compiled
    return _condition(text, cel_text, tokens, kinds, program, most)


def _condition(
    text: str, cel_text: str, tokens: list[Token], kinds: Mapping[int, ReadAs], program: Program, most: int
) -> Condition:
    # Dicts serve as ordered sets.
    steps: dict[str, None] = {}
    parameters: dict[str, None] = {}
    flow: dict[str, None] = {}
    reads: dict[tuple[str, str, ReadAs], None] = {}
    numbers: set[tuple[str, str]] = set()
    for index, token in enumerate(tokens):
        match token.reference:
            case PhaseOf(step) | AttemptsOf(step):
                steps[step] = None
            case OutputOf(step, parameter):
                steps[step] = None
                read_as = kinds.get(index, ReadAs.JSON)
                reads[step, parameter, read_as] = None
                if read_as is ReadAs.NUMBER or is_converted(tokens, index):
                    numbers.add((step, parameter))
            case ParameterOf(name):
                parameters[name] = None
            case FlowField(name):
                flow[name] = None
            case None:
                pass
    return Condition(
        text,
        cel_text,
        steps=tuple(steps),
        parameters=tuple(parameters),
        outputs=tuple(dict.fromkeys((step, parameter) for step, parameter, _ in reads)),
        flow=tuple(flow),
        numbers=frozenset(numbers),
        characters=most,
        reads=tuple(reads),
        program=program,
    )


def _compile(
    text: str, tokens: list[Token], kinds: Mapping[int, ReadAs], where: Place
) -> tuple[str, Program] | ExpressionProblem:
    """The condition in canonical CEL, and compiled.

    What is compiled has `_0`, `_1` ... for the names of steps, so that conditions which differ in these alone share a
    program: most flows have many of those, and compiling is the dear part.
    """
    shown: list[str] = []
    pieces: list[str] = []
    written: list[int] = []
    read: list[int] = []
    places: dict[str, str] = {}
    length = 0
    end = 0
    for index, token in enumerate(tokens):
        reference = token.reference
        if reference is None:
            continue
        read_as = kinds.get(index, ReadAs.JSON)
        place = None
        if isinstance(reference, PhaseOf | AttemptsOf | OutputOf):
            place = places.setdefault(reference.step, stand_in(len(places)))
        # In brackets, so that what stands beside a hole can never be read as one word with it.
        form = "({})" if token.kind == "hole" else "{}"
        before = text[end : token.start]
        shown += (before, form.format(canonical(reference, read_as)))
        pieces += (before, form.format(canonical(reference, read_as, place)))
        end = token.start + len(token.text)
        length += len(before) + len(pieces[-1])
        written.append(length)
        read.append(end)
    rest = text[end:]
    compiled = f"{''.join(pieces)}{rest}"
    answer = _program(compiled, where)
    match answer:
        case (line, column, message):
            lines = compiled.split("\n")
            offset = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
            found = bisect_right(written, offset)
            source = offset if found == 0 else read[found - 1] + offset - written[found - 1]
            return _say(message, max(0, min(source, len(text))) + 1)
        case str():
            return _say_type(answer, tokens)
        case program:
            alone = [token for token in tokens if token.text not in ("(", ")") or token.reference is not None]
            if len(alone) == 1 and isinstance(alone[0].reference, PhaseOf):
                return _say_type("STRING", tokens)
            return f"{''.join(shown)}{rest}", program


@lru_cache(maxsize=1)
def _environments() -> tuple[Mapping[Place, Any], Any, Any]:
    # Here and not above: a native library that flows without conditions never need.
    from cel_expr_python import cel  # type: ignore[import-untyped]  # it has no py.typed

    texts = cel.Type("map<string, string>")
    variables = {
        "steps": cel.Type("map<string, dyn>"),
        "parameters": texts,
        "flow.name": cel.Type.STRING,
        "flow.namespace": cel.Type.STRING,
        "flow.labels": texts,
        "flow.annotations": texts,
    }
    later = cel.NewEnv(variables={**variables, "flow.phase": cel.Type.STRING})
    environments = {Place.STEP: cel.NewEnv(variables=variables), Place.FINALLY: later, Place.PROPERTY: later}
    return environments, cel.Type.BOOL, cel.Type.DYN


@lru_cache(maxsize=_PROGRAMS_KEPT)
def _program(cel_text: str, where: Place) -> Program | str | tuple[int, int, str]:
    """The compiled text; or the name of its type if that is no truth value; or line, column and words of an error."""
    environments, boolean, dynamic = _environments()
    try:
        program = environments[where].compile(cel_text)
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        found = _WHERE.search(str(error))
        if found is None or int(found.group(2)) < 1:
            return 1, 1, str(error)
        return int(found.group(1)), int(found.group(2)), found.group(3)
    result = program.return_type()
    return program if result in (boolean, dynamic) else str(result.name())


def _say(message: str, column: int) -> ExpressionProblem:
    if "recursion" in message:
        return ExpressionProblem("nests more than 32 levels deep", "split it over several steps")
    undeclared = _UNDECLARED.search(message)
    if undeclared is not None:
        name = undeclared.group(1)
        return ExpressionProblem(
            f"uses {name!r}, which is not known here",
            f'write a text in quotes ("{name}"), or read one of steps.<name>.phase, '
            "steps.<name>.outputs.parameters.<output>, parameters.<name>, flow.name",
            column,
        )
    words = _CONTAINER.sub("", _STATUS.sub("", message)).split("\n", 1)[0].strip()
    if "no matching overload" in words:
        fix = "compare values of one kind: int(...) or double(...) makes a number of a text, string(...) a text"
    elif "has()" in words:
        fix = 'ask for a name: has(flow.labels.app), or "app" in flow.labels'
    else:
        fix = 'write CEL, for example: steps.build.phase == "Succeeded"'
    return ExpressionProblem(f"is no valid CEL: {shorten(words)}", fix, column)


def _say_type(name: str, tokens: list[Token]) -> ExpressionProblem:
    return ExpressionProblem(
        f"gives a value of type {name.lower()}, but a condition must be true or false",
        f"compare it, for example: {_comparison(next((t.reference for t in tokens if t.reference is not None), None))}",
    )


def _comparison(first: Reference | None) -> str:
    """A comparison that is accepted, of what the condition reads first if any text may be compared with that."""
    match first:
        case PhaseOf():
            return f'{spell(first)} == "Succeeded"'
        case OutputOf() | ParameterOf():
            return f'{spell(first)} == "..."'
        case _:
            return 'steps.build.phase == "Succeeded"'


def reads_of(when: When) -> Reads:
    """All that `when` reads; nothing for a literal."""
    match when:
        case Constant():
            return Reads((), (), outputs=(), flow=())
        case Condition():
            return Reads(when.steps, when.parameters, outputs=when.outputs, flow=when.flow)


def number_compared(when: When) -> frozenset[tuple[str, str]]:
    """The outputs (step, parameter) that `when` compares or reckons with a number, or converts to one."""
    return frozenset() if isinstance(when, Constant) else when.numbers


def evaluate(when: When, data: WhenData) -> bool | EvaluationFailed:
    """Whether the condition holds. Total: what cannot be answered is an `EvaluationFailed`, never true.

    Bounded in time and memory by the bounds of `parse_when` and of the text read. Costs about 20 us.
    """
    if isinstance(when, Constant):
        return when.holds
    shown = activation_of(data, steps=when.steps, parameters=when.parameters, outputs=when._reads, flow=when.flow)
    if isinstance(shown, str):
        return EvaluationFailed(f"{shorten(when.source)}: {shown}")
    activation, notes = shown
    read = characters(activation)
    if read > when.characters:
        return EvaluationFailed(f"{shorten(when.source)}: reads {read} characters of text, more than {when.characters}")
    _, boolean, _ = _environments()
    try:
        result = when.program.eval(data=activation)
        # A failed evaluation does not raise: its value is a non-empty, hence true, text.
        if result.type() == boolean:
            return result.value() is True
        reason = _explain(str(result.value()) if result.type().name() == "ERROR" else "", notes)
        kind = result.type().name().lower()
    except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        reason, kind = _explain(str(error), notes), "error"
    if not reason:
        reason = f"gives a value of type {kind}, not true or false"
    return EvaluationFailed(f"{shorten(when.source)}: {reason}"[:MESSAGE_CHARACTERS])


def _explain(message: str, notes: list[str]) -> str:
    """CEL's words for a failure, or ours where we know better."""
    if notes and "Key not found" in message:
        return "; ".join(notes)
    return shorten(_STATUS.sub("", message).split("\n", 1)[0].strip())
