"""JSONPath references to outputs: `$.a.b`, `step:$.a.b`, and the values they find.

RFC 9535, and what kubectl writes: `{.a.b}` with braces, and `\\.` for a dot within a name. Of two readings the plain
one wins: a path begins with `$`, so `$.metadata.annotations['key:value']` names no step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.limits import JSON_PATH_CHARACTERS, NAME_CHARACTERS, PARAMETER_VALUE_BYTES

if TYPE_CHECKING:
    from jsonpath import JSONPath as CompiledPath

_SEGMENTS: Final = 64
"""Names and brackets of one path: as deep as a manifest may nest."""
_DESCENTS: Final = 2
"""`..` in one path: each visits every node of what the one before it found."""
_FILTERS: Final = 4
_UNIONS: Final = 4
"""`,` in one path: `[0,0]` visits everything below twice, and thirty of them a thousand million times."""
_BRACKETS: Final = 16
_MATCHES: Final = PARAMETER_VALUE_BYTES // 2 + 1
"""Values taken from one document. More could not be recorded: each needs two characters at least."""
_PATHS_KEPT: Final = 1_024
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_FROM_ROOT: Final = re.compile(r"\$(?:\.\w+|\[\s*(?:''|-?\d+)\s*\])*")
_MATCHING: Final = re.compile(r"\b(?:match|search)\s*\(")
_STEP: Final = re.compile(r"([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)\s*:\s*(?=[${])")
_ESCAPED: Final = re.compile(r"\.((?:[^.\\\[\]{}'\"\s]|\\.)*\\\.(?:[^.\\\[\]{}'\"\s]|\\.)*)")


@frozen
class PathProblem:
    """What is wrong with a jsonPath, and how to put it right."""

    what: str
    fix: str


@frozen
class Found:
    """The one value that a singular path (names and indexes only) points to."""

    value: Any


@frozen
class Ambiguous:
    """The values of a path that may match several, in the order of the document; at least one."""

    values: list[Any]


@frozen
class NotFound:
    """Nothing in the document is where the path points."""


PathAnswer: TypeAlias = Found | Ambiguous | NotFound


@frozen
class JsonPath:
    """A compiled path."""

    source: str
    canonical: str
    """In RFC 9535 notation: paths with one canonical text read the same."""
    singular: bool
    """Whether it can match one value at most (names and indexes only)."""
    _steps: tuple[str | int, ...] = field(eq=False, repr=False)
    _compiled: CompiledPath = field(eq=False, repr=False)

    def read(self, document: Any) -> PathAnswer:
        """Read the path from a document of dicts, lists and scalars; under 1 us for a singular path.

        At most 16,385 values are taken from a path that matches more: beyond what a recorded value may hold.
        """
        if self.singular:
            return self._walk(document)
        from jsonpath import JSONPathError

        values: list[Any] = []
        try:
            for match in self._compiled.finditer(document):
                values.append(match.value)
                if len(values) >= _MATCHES:
                    break
        except (JSONPathError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            return NotFound()
        return Ambiguous(values) if values else NotFound()

    def _walk(self, document: Any) -> Found | NotFound:
        value = document
        for step in self._steps:
            if isinstance(step, str):
                if not isinstance(value, Mapping) or step not in value:
                    return NotFound()
                value = value[step]
            else:
                if not isinstance(value, list | tuple) or not -len(value) <= step < len(value):
                    return NotFound()
                value = value[step]
        return Found(value)


@frozen
class Reference:
    """`step:$.path`: a path, and the step whose document it reads (None: the step's own)."""

    step: str | None
    path: JsonPath


def parse_reference(text: str) -> Reference | PathProblem:
    """Read `$.x` or `step:$.x`; total on any text. Costs about 50 us for a new path."""
    if len(text) > JSON_PATH_CHARACTERS + NAME_CHARACTERS + 1:
        return PathProblem(f"has {len(text)} characters, more than {JSON_PATH_CHARACTERS}", "shorten the path")
    stripped = text.strip()
    named = _STEP.match(stripped)
    path = compile_path(stripped[named.end() :] if named else stripped)
    if isinstance(path, PathProblem):
        return path
    return Reference(named.group(1) if named else None, path)


@lru_cache(maxsize=_PATHS_KEPT)
def compile_path(text: str) -> JsonPath | PathProblem:
    """Compile a path without a step; total on any text, and remembered: asking again costs 0.1 us."""
    if not text:
        return PathProblem("is empty", "write a path, for example: $.result.digest, or step:$.result.digest")
    if len(text) > JSON_PATH_CHARACTERS:
        return PathProblem(f"has {len(text)} characters, more than {JSON_PATH_CHARACTERS}", "shorten the path")
    bare = text
    if text.startswith("{") and text.endswith("}"):
        bare = text[1:-1].strip()
        bare = bare if bare.startswith("$") else f"${bare}"
        if len(bare) > 1 and bare[1] not in ".[":
            return PathProblem(f"{_cut(text)} is no path", "write a dot first: {.status.succeeded}")
    if not bare.startswith("$"):
        return PathProblem(
            f"{_cut(text)} does not begin with '$'",
            "write the path from the root, $.name, or with a step before it, step:$.name",
        )
    bare = _ESCAPED.sub(_quote, bare)
    too_much = _too_much(bare)
    if too_much is not None:
        return too_much
    from jsonpath import CompoundJSONPath, JSONPathEnvironment, JSONPathError

    try:
        compiled = JSONPathEnvironment(strict=True).compile(bare)
        assert not isinstance(compiled, CompoundJSONPath), "strict paths have no operators"
        canonical = str(compiled)
    except (JSONPathError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        words = str(error).split("\n", 1)[0]
        return PathProblem(f"{_cut(text)} is no JSONPath: {_cut(words)}", "write a path such as $.a.b[0]['c-d']")
    singular = compiled.singular_query()
    return JsonPath(text, canonical, singular=singular, steps=_steps(compiled) if singular else (), compiled=compiled)


def _steps(compiled: CompiledPath) -> tuple[str | int, ...]:
    """The names and indexes of a singular path: going through them needs no library and a tenth of its time."""
    from jsonpath.selectors import IndexSelector, NameSelector

    steps: list[str | int] = []
    for segment in compiled.segments:
        (selector,) = segment.selectors
        match selector:
            case NameSelector():
                steps.append(selector.name)
            case IndexSelector():
                steps.append(selector.index)
            case _:
                raise AssertionError(f"a singular path has names and indexes only, not {selector!r}")
    return tuple(steps)


def _quote(found: re.Match[str]) -> str:
    name = re.sub(r"\\(.)", r"\1", found.group(1))
    return f"[{json.dumps(name, ensure_ascii=False)}]"


def _too_much(path: str) -> PathProblem | None:
    """Refuse what would take more than linear time: paths that visit nodes again and again, regular expressions."""
    bare = _QUOTED.sub("''", path)
    for mark, most in (("..", _DESCENTS), ("?", _FILTERS), (",", _UNIONS), ("(", _BRACKETS)):
        if bare.count(mark) > most:
            return PathProblem(f"has {mark!r} more than {most} times", "name the members on the way instead")
    if bare.count(".") + bare.count("[") > _SEGMENTS:
        return PathProblem(f"is more than {_SEGMENTS} members deep", "shorten the path")
    if any(bare[found.end() : found.end() + 1] in (".", "[") for found in _FROM_ROOT.finditer(bare, 1)):
        return PathProblem("searches the document again from '$' within a filter", "compare with one member of it")
    if _MATCHING.search(bare):
        return PathProblem("matches with a regular expression", "compare with ==, or pick the value in the step itself")
    return None


def render(value: Any) -> str:
    """A JSON value as the text that a placeholder or a recorded output gets.

    Text stays as it is, null is empty, true and false are those words, integers exact, other numbers as JSON writes
    them, objects and lists compact JSON in their own order. Half a surrogate pair, which JSON can write and no API
    server takes, becomes U+FFFD, as Go reads it.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    else:
        value = dict(value) if isinstance(value, Mapping) else value
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."
