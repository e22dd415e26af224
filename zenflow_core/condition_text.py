"""The text of a `when`, read as CEL: which references it makes, and the same condition in canonical CEL.

CEL knows no names with dashes, no `{{ ... }}`, and cannot say which steps an expression reads. So the text is cut into
CEL's own tokens first (nothing inside a string literal or a comment is ever touched), and each reference becomes one
token: `steps.build-image.phase`, `steps["build-image"].phase`, `{{ .StepStatus.build-image.Phase }}` and
`'{{ .StepStatus.build-image.Phase }}'` are the same reference. What cannot be read as one of the few references there
are is refused here, with what to write instead. So the names an expression reads are exactly the tokens found here:
`steps` and `parameters` never occur as whole values, and nothing is looked up under a computed name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from attrs import frozen

from zenflow_core.condition_names import (
    IDENTIFIER,
    MAPS,
    AttemptsOf,
    ExpressionProblem,
    FlowField,
    OutputOf,
    ParameterOf,
    PhaseOf,
    Place,
    Reference,
    Token,
    shorten,
    spell,
    spell_step,
)
from zenflow_core.go_templates import go_reference, refuse_go
from zenflow_core.limits import NAME_CHARACTERS
from zenflow_core.nearest import instead


@frozen
class Names:
    """What an expression may name. Sets or mappings, please: each reference looks its name up.

    `outputs` says which output parameters each step declares; None leaves them unchecked.
    """

    steps: Collection[str]
    parameters: Collection[str]
    outputs: Mapping[str, Collection[str]] | None
    place: Place


_STRING: Final = (
    r'(?:[rR][bB]?|[bB][rR])(?:"""(?:[^"]|"(?!""))*"""|\'\'\'(?:[^\']|\'(?!\'\'))*\'\'\'|"[^"\n]*"|\'[^\'\n]*\')'
    r'|[bB]?(?:"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')'
)
_TOKEN: Final = re.compile(
    r"(?P<blank>[ \t\r\n\f]+|//[^\n]*)"
    rf"|(?P<string>{_STRING})"
    r"|(?P<hole>\{\{(?:[^}]|\}(?!\}))*\}\}|\$\{[^}]*\})"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[uU]?)"
    r"|(?P<quoted>`[^`\n]*`)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\{\{|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_PLAIN_STRING: Final = r'"[^"\\\n]*"|\'[^\'\\\n]*\''
_NAMED: Final = re.compile(rf"\s*\.\s*(?:`([^`\n]*)`|([A-Za-z0-9_][A-Za-z0-9_.-]*))|\s*\[\s*({_PLAIN_STRING})\s*\]")
_PHASE: Final = re.compile(r"\s*\.\s*phase(?![A-Za-z0-9_])")
_ATTEMPTS: Final = re.compile(r"\s*\.\s*attempts(?![A-Za-z0-9_])")
_OUTPUTS: Final = re.compile(r"\s*\.\s*outputs\s*\.\s*parameters(?![A-Za-z0-9_])")
_FLOW: Final = re.compile(r"\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)")
_FLOW_KEY: Final = re.compile(rf"\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)(?!\s*\()|\s*\[\s*({_PLAIN_STRING})\s*\]")
_HOLE_IN_TEXT: Final = re.compile(r"\{\{|\$\{\s*parameters\.")
_READ: Final = frozenset({"steps", "parameters", "flow"})
_FLOW_FIELDS: Final = ("name", "namespace", "labels", "annotations")


def scan(text: str, names: Names) -> tuple[list[Token], list[ExpressionProblem]]:
    """Cut `text` into tokens, each reference one of them; the problems are those of its references.

    Linear in the text but for names: a run of dashes and dots costs one look-up each.
    """
    tokens: list[Token] = []
    problems: list[ExpressionProblem] = []
    position = 0
    match_token = _TOKEN.match
    while position < len(text):
        found = match_token(text, position)
        assert found is not None, "the last alternative takes any character"
        kind, word, start, position = found.lastgroup, found.group(), position, found.end()
        if kind == "blank" or kind is None:
            continue
        answer: tuple[int, Reference] | ExpressionProblem | None = None
        if kind == "name":
            if word in _READ:
                answer = _name(word, text, start, position, names=names, tokens=tokens)
        elif kind == "mark":
            if word == "{{":
                answer = ExpressionProblem("'{{' is never closed", "close it with '}}', or write CEL", start + 1)
        elif kind == "hole":
            answer = _hole(word, start, position, names)
        elif kind == "string" and ("{{" in word or "${" in word):
            answer = _hole_in_string(word, start, position, names)
        match answer:
            case None:
                tokens.append(Token(kind, word, start))
            case ExpressionProblem():
                problems.append(answer)
                if word == "{{":
                    return tokens, problems
                tokens.append(Token("refused", word, start))
            case (end, reference):
                if kind != "name" and tokens and _glues(tokens[-1]):
                    problems.append(
                        ExpressionProblem(
                            f"{word} stands inside other text; it means a value, and is never pasted",
                            f'compare it as a whole, for example: {spell(reference)} == "..."',
                            start + 1,
                        )
                    )
                tokens.append(Token("name" if kind == "name" else "hole", text[start:end], start, reference))
                position = end
    return tokens, problems


def _name(
    word: str, text: str, start: int, after: int, *, names: Names, tokens: list[Token]
) -> tuple[int, Reference] | ExpressionProblem | None:
    """The reference that begins with `word`; None if it is only a member of something else."""
    if not tokens or tokens[-1].text != ".":
        return _read(word, text, start, after, names)
    if len(tokens) == 1 or (tokens[-2].kind == "mark" and tokens[-2].text not in (")", "]", "}")):
        # CEL reads `.steps` as `steps` from the root; as one name with two spellings it is only confusing.
        return ExpressionProblem(f"has '.{word}'", "leave out the dot", tokens[-1].start + 1)
    return None


def _glues(before: Token) -> bool:
    """Whether a value cannot follow `before`, so that a hole there would only make sense as pasted text."""
    if before.kind == "mark":
        return before.text in (".", ")", "]", "}")
    return before.text != "in"


def _read(word: str, text: str, start: int, after: int, names: Names) -> tuple[int, Reference] | ExpressionProblem:
    match word:
        case "steps":
            return _read_step(text, start, after, names)
        case "parameters":
            if not names.parameters and _NAMED.match(text, after):
                return ExpressionProblem(
                    "reads a parameter of the flow, which declares none",
                    "declare it under spec.parameters, or read an output: steps.<name>.outputs.parameters.<output>",
                    start + 1,
                )
            named = _longest(text, after, names.parameters, None)
            if named is None:
                return ExpressionProblem(
                    "reads 'parameters' as a whole", "name one of them: parameters.<name>", start + 1
                )
            end, name, known = named
            if not known:
                return ExpressionProblem(
                    f"reads parameter {name!r}, which this flow does not have",
                    instead(name, names.parameters, "declare it under spec.parameters"),
                    start + 1,
                )
            return end, ParameterOf(name)
        case _:
            return _read_flow(text, start, after, names)


def _read_step(text: str, start: int, after: int, names: Names) -> tuple[int, Reference] | ExpressionProblem:
    named = _longest(text, after, names.steps, (_PHASE, _OUTPUTS, _ATTEMPTS))
    if named is None:
        return ExpressionProblem(
            "reads 'steps' as a whole", 'name the step: steps.<name>.phase, or steps["<name>"].phase', start + 1
        )
    end, step, known = named
    if not known:
        return ExpressionProblem(
            f"reads step {step!r}, which this flow does not have",
            instead(step, names.steps, "this flow has no step that could be read here"),
            start + 1,
        )
    phase = _PHASE.match(text, end)
    if phase is not None:
        return phase.end(), PhaseOf(step)
    attempts = _ATTEMPTS.match(text, end) if names.place is Place.PROPERTY else None
    if attempts is not None:
        return attempts.end(), AttemptsOf(step)
    outputs = _OUTPUTS.match(text, end)
    declared = None if names.outputs is None else names.outputs.get(step, ())
    named = None if outputs is None else _longest(text, outputs.end(), declared, None)
    if named is None:
        return ExpressionProblem(
            f"reads {spell_step(step)}, but not its phase or one of its outputs",
            f"write {spell_step(step)}.phase or {spell_step(step)}.outputs.parameters.<output>",
            start + 1,
        )
    end, parameter, known = named
    if not known:
        return ExpressionProblem(
            f"reads output {parameter!r} of step {step!r}, which does not declare it",
            instead(parameter, declared or (), f"declare it under outputs.parameters of step {step!r}"),
            start + 1,
        )
    return end, OutputOf(step, parameter)


def _longest(
    text: str, position: int, known: Collection[str] | None, followers: tuple[re.Pattern[str], ...] | None
) -> tuple[int, str, bool] | None:
    """The name read at `position`: where it ends, the name, and whether it is known; None if there is no name.

    Of `a-b.c` the longest known prefix that ends at a dash, a dot or the end is meant (with `followers`: preferably
    one that is followed by them). With nothing known (None) the whole run up to a dot is the name.
    """
    found = _NAMED.match(text, position)
    if found is None:
        return None
    quoted, run, literal = found.groups()
    if run is None:
        name = quoted if quoted is not None else literal[1:-1]
        return found.end(), name, known is None or name in known
    begin = found.start(2)
    if known is None:
        name = run.split(".", 1)[0].rstrip("-")
        return begin + len(name), name, True
    if run in known and (followers is None or any(follower.match(text, found.end()) for follower in followers)):
        return found.end(), run, True
    most = min(len(run), NAME_CHARACTERS)
    cuts = [most, *(index for index in range(most - 1, 0, -1) if run[index] in ".-")]
    candidates = [cut for cut in cuts if run[:cut] in known]
    for cut in candidates:
        if followers is None or any(follower.match(text, begin + cut) for follower in followers):
            return begin + cut, run[:cut], True
    if candidates:
        return begin + candidates[0], run[: candidates[0]], True
    ends = [cut for cut in reversed(cuts) if followers and any(f.match(text, begin + cut) for f in followers)]
    name = run[: ends[0]] if ends else run.split(".", 1)[0]
    return begin + len(name), name, False


def _read_flow(text: str, start: int, after: int, names: Names) -> tuple[int, Reference] | ExpressionProblem:
    fields = (*_FLOW_FIELDS, "phase") if names.place is not Place.STEP else _FLOW_FIELDS
    found = _FLOW.match(text, after)
    if found is None:
        return ExpressionProblem("reads 'flow' as a whole", f"name one of: flow.{', flow.'.join(fields)}", start + 1)
    name = found.group(1)
    if name == "phase" and names.place is Place.STEP:
        return ExpressionProblem(
            "reads flow.phase, which is only decided when all steps have ended",
            "read the phases of steps, or move this step under spec.finally",
            start + 1,
        )
    if name not in fields:
        return ExpressionProblem(f"reads flow.{name}, which there is not", instead(name, fields, ""), start + 1)
    if name in MAPS:
        key = _FLOW_KEY.match(text, found.end())
        if key is not None:
            return key.end(), FlowField(name, f".{key.group(1)}" if key.group(1) else f"[{key.group(2)}]")
    return found.end(), FlowField(name, "")


def _hole_in_string(word: str, start: int, end: int, names: Names) -> tuple[int, Reference] | ExpressionProblem | None:
    """A literal that is one whole hole stands for its reference; one with a hole among other text is refused."""
    content = word.lstrip("rRbB").strip("\"'").strip()
    whole = _TOKEN.fullmatch(content)
    if whole is not None and whole.lastgroup == "hole":
        if content.startswith("{{") or _HOLE_IN_TEXT.match(content):
            return _hole(content, start, end, names)
        return None
    if _HOLE_IN_TEXT.search(content) is None:
        return None
    return ExpressionProblem(
        "a text literal has '{{' among other text; a reference means a value, and is never pasted",
        'join them in CEL, for example: "v-" + flow.name',
        start + 1,
    )


def _hole(word: str, start: int, end: int, names: Names) -> tuple[int, Reference] | ExpressionProblem:
    content = word[2:-2] if word.startswith("{{") else word[2:-1]
    content = content.strip().removeprefix("- ").removesuffix(" -").strip()
    reference = go_reference(content)
    match reference:
        case PhaseOf(step) if step not in names.steps:
            return ExpressionProblem(
                f"reads step {step!r}, which this flow does not have",
                instead(step, names.steps, "this flow has no step that could be read here"),
                start + 1,
            )
        case ParameterOf(name) if name not in names.parameters:
            return ExpressionProblem(
                f"reads parameter {name!r}, which this flow does not have",
                instead(name, names.parameters, "declare it under spec.parameters"),
                start + 1,
            )
        case None:
            bare = content.removeprefix(".")
            head = IDENTIFIER.match(bare)
            if head is not None and head.group() in _READ:
                answer = _read(head.group(), bare, 0, head.end(), names)
                if isinstance(answer, ExpressionProblem):
                    return ExpressionProblem(answer.what, answer.fix, start + 1)
                if answer[0] == len(bare):
                    return end, answer[1]
                return ExpressionProblem(
                    f"{shorten(word)} is an expression inside braces", f"write: {shorten(content)}", start + 1
                )
            return refuse_go(word, content, start)
        case _:
            return end, reference
