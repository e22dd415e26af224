"""What references are compared with: the kind an output is read as, and phases that no step ever has.

An output is read as the kind of thing it is compared with: next to a text it is text, next to a number a number, next
to `true`, `false`, `&&`, `||` and `!`, or alone, a truth value; elsewhere it is the JSON value that was recorded.
Otherwise `n != 0` would hold for the recorded text "0", and `n != "0"` for the recorded number 0: guards that fail
open, since CEL calls values of different kinds simply unequal.
"""

from __future__ import annotations

from typing import Final

from zenflow_core.condition_names import (
    MAPS,
    AttemptsOf,
    ExpressionProblem,
    FlowField,
    OutputOf,
    ParameterOf,
    PhaseOf,
    ReadAs,
    Token,
    shorten,
    spell,
)
from zenflow_core.nearest import instead

STEP_PHASES: Final = ("Pending", "PendingApproval", "Running", "Succeeded", "Failed", "Skipped")
FLOW_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Suspended", "Paused")

_ARITHMETIC: Final = frozenset("+-*/%")
_LOGICAL: Final = frozenset({"&&", "||"})
_COMPARING: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_CONVERSIONS: Final = {
    "double": ReadAs.NUMBER, "int": ReadAs.NUMBER, "uint": ReadAs.NUMBER, "size": ReadAs.NUMBER, "string": ReadAs.TEXT,
}  # fmt: skip


def kinds_of_outputs(tokens: list[Token]) -> dict[int, ReadAs]:
    """What each output token (by its index) is compared or reckoned with, where that is plain; others stay JSON."""
    kinds: dict[int, ReadAs] = {}
    for index, token in enumerate(tokens):
        if isinstance(token.reference, OutputOf):
            kind = _kind_of_output(tokens, index)
            if kind is not None:
                kinds[index] = kind
    return kinds


def _kind_of_output(tokens: list[Token], index: int) -> ReadAs | None:
    before, after = index - 1, index + 1
    if _text_at(tokens, after) in (".", "["):
        return None  # A member of the output; the output itself is no text or number.
    while _text_at(tokens, before) == "(" and _text_at(tokens, after) == ")":
        if before > 0 and tokens[before - 1].kind == "name":
            return None  # The argument of a call, or the list behind `in`.
        before, after = before - 1, after + 1
    left, right = _text_at(tokens, before), _text_at(tokens, after)
    if left == "in":
        return None  # The list; what follows is compared with whether something is in it.
    if right in _COMPARING or right in _ARITHMETIC:
        kind = _kind_on_the_right(tokens, after + 1)
        if kind is not None:
            return kind
    elif right == "in" and _text_at(tokens, after + 1) == "[":
        return _kind_on_the_right(tokens, after + 2)
    if left in _COMPARING or left in _ARITHMETIC:
        return _kind_on_the_left(tokens, before - 1)
    if right == "in" or right in _COMPARING or right in _ARITHMETIC:
        return None  # A key, or compared with what is of no plain kind itself.
    alone = before < 0 and after >= len(tokens)
    return ReadAs.TRUTH if alone or left in _LOGICAL or left == "!" or right in _LOGICAL or right == "?" else None


def is_converted(tokens: list[Token], index: int) -> bool:
    """Whether the token at `index` stands in a conversion to a number, as in `double(...)`."""
    return _text_at(tokens, index - 1) == "(" and _text_at(tokens, index - 2) in ("double", "int", "uint")


def _text_at(tokens: list[Token], index: int) -> str:
    if not 0 <= index < len(tokens):
        return ""
    token = tokens[index]
    return token.text if token.kind in ("mark", "name") and token.reference is None else ""


def _kind(token: Token) -> ReadAs | None:
    match token.reference:
        case PhaseOf() | ParameterOf():
            return ReadAs.TEXT
        case AttemptsOf():
            return ReadAs.NUMBER
        case FlowField(name, key):
            return ReadAs.TEXT if key or name not in MAPS else None
        case _:
            pass
    if token.kind == "number":
        return ReadAs.NUMBER
    if token.kind == "string":
        return ReadAs.TEXT
    return ReadAs.TRUTH if token.text in ("true", "false") else None


def _kind_on_the_right(tokens: list[Token], index: int) -> ReadAs | None:
    while _text_at(tokens, index) == "-":
        index += 1
    if index >= len(tokens):
        return None
    if _text_at(tokens, index + 1) == "(":
        return _CONVERSIONS.get(_text_at(tokens, index))
    return _kind(tokens[index])


def _kind_on_the_left(tokens: list[Token], index: int) -> ReadAs | None:
    if index < 0:
        return None
    if _text_at(tokens, index) != ")":
        return _kind(tokens[index])
    depth = 0
    while index >= 0:
        word = _text_at(tokens, index)
        depth += (word == ")") - (word == "(")
        if depth == 0:
            return _CONVERSIONS.get(_text_at(tokens, index - 1))
        index -= 1
    return None


def impossible_phases(tokens: list[Token]) -> list[ExpressionProblem]:
    """Comparisons of a phase with a text that no phase ever is: they would quietly skip the step for ever."""
    problems: list[ExpressionProblem] = []
    for index, token in enumerate(tokens):
        match token.reference:
            case PhaseOf():
                phases: tuple[str, ...] = STEP_PHASES
            case FlowField("phase", ""):
                phases = FLOW_PHASES
            case _:
                continue
        compared: list[Token] = []
        if _text_at(tokens, index + 1) in ("==", "!="):
            compared = tokens[index + 2 : index + 3]
        elif _text_at(tokens, index + 1) == "in" and _text_at(tokens, index + 2) == "[":
            for other in tokens[index + 3 :]:
                if _text_at([other], 0) == "]":
                    break
                compared.append(other)
        if _text_at(tokens, index - 1) in ("==", "!=") and _text_at(tokens, index - 3) != "+":
            compared = [*compared, *tokens[max(index - 2, 0) : index - 1]]
        for other in compared:
            problems.extend(_impossible(token, other, phases))
    return problems


def _impossible(phase: Token, other: Token, phases: tuple[str, ...]) -> list[ExpressionProblem]:
    assert phase.reference is not None, "only called for references"
    if other.kind == "number" or (other.reference is None and other.text in ("true", "false", "null")):
        return [
            ExpressionProblem(
                f"compares {spell(phase.reference)} with {shorten(other.text)}, but a phase is a text",
                f"compare it with one of: {', '.join(phases)}",
                other.start + 1,
            )
        ]
    if other.kind != "string" or other.text[0] not in "\"'" or "\\" in other.text:
        return []
    literal = other.text.strip(other.text[0])
    if literal in phases:
        return []
    lower = {name.lower(): name for name in phases}
    close = lower.get(literal.lower())
    fix = f"did you mean {close!r}?" if close else instead(literal, phases, "")
    if "did you mean" not in fix:
        fix = f"compare it with one of: {', '.join(phases)}"
    what = f"compares {spell(phase.reference)} with {shorten(other.text)}, which no phase is"
    return [ExpressionProblem(what, fix, other.start + 1)]
