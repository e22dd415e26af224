"""What a flow asks of its steps' results, and results that have it all.

A simulated step has no program that could print anything. So its result is made from the questions: every
jsonPath of its own outputs, and every one that inputs of other steps name, finds a value in it. A flow
whose outputs fit together then runs to its end without anybody writing a document for it.

Nothing is made for what the Job itself answers (`$.status`, `$.metadata`, the fields of a Complete Job's status).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.expressions import number_compared
from zenflow_core.jsonpath import JsonPath, compile_path
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.reading import TERMINATION_MESSAGE_BYTES
from zenflow_core.spec import StepName

Json: TypeAlias = Any

_ITEMS: Final = TERMINATION_MESSAGE_BYTES // 2
"""Longest list that is made: a termination message has no room for more items."""

_OF_THE_JOB: Final = frozenset({"status", "metadata"})
_OF_ITS_STATUS: Final = frozenset({"succeeded", "startTime", "completionTime", "conditions", "ready", "terminating"})
"""What the status of every Complete Job has; a path to one of these reads the status if the result has no such key."""

_NAME = r"'(?:[^'\\]|\\.)*'"
_SELECTION: Final = re.compile(rf"\.{{0,2}}\[((?:{_NAME}|[^'\]\[]|\[(?:{_NAME}|[^'\]])*\])*)\]", re.DOTALL)
_UNION: Final = re.compile(rf"({_NAME})(?:\s*,.*)?", re.DOTALL)
_INDEX: Final = re.compile(r"(-?\d+)(?:\s*,.*)?", re.DOTALL)
_SLICE: Final = re.compile(r"(-?\d*):.*")
_EQUALITY: Final = re.compile(rf"@((?:\[{_NAME}\])+)\s*(?:==\s*({_NAME}|-?\d+(?:\.\d+)?|true|false|null))?")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WIDTHS: Final = (64, 32, 16, 8, 4, 2, 1)


@frozen
class _Each:
    """A wildcard, or a filter with what the one item that is made must hold: paths in it, and values."""

    holds: tuple[tuple[tuple[str, ...], Json], ...] = ()


_Key: TypeAlias = "str | int | _Each"
_Keys: TypeAlias = tuple[_Key, ...]


@frozen
class Demand:
    """What is asked of one step: `document` satisfies it; `places` says where in a result each output is read."""

    document: Json
    places: Mapping[str, _Keys] = field(factory=dict, repr=False)

    def result(self, outputs: Mapping[str, Json]) -> Json:
        """The document with `outputs` laid over it.

        A key that is the name of a declared output sets what this output reads, any other key is a member of
        the result itself.
        """
        document = self.document
        for name, value in sorted(outputs.items(), key=lambda each: len(self.places.get(each[0], ("",)))):
            document = _placed(document, self.places.get(name, (name,)), value)
        return document


NOTHING_ASKED: Final = Demand({})
"""The demand on a step that nobody reads: an empty result."""


def documents(plan: Plan) -> Mapping[StepName, Json]:
    """For each step of whose document something is read: a result in which all of it is found.

    Usually a JSON object; the text itself if nothing but `$.result` is asked for. Values are 1 where some
    `when` compares the output with a number, else the text `<step>.<output>`; for a path that only inputs
    name, `<step>.<last name of the path>`. Texts are cut where the result would not fit into a termination
    message (4,096 bytes). Of wildcards and slices one item is made, of a filter one for which its equalities
    hold. O(steps), about 20 us for a step with outputs.
    """
    return {name: demand.document for name, demand in demands_of(plan).items()}


def demands_of(plan: Plan) -> Mapping[StepName, Demand]:
    """What is asked of each step of whose document something is read."""
    numbers = frozenset[tuple[str, str]]().union(
        *(number_compared(step.when) for step in plan.steps if step.when is not None)
    )
    return {step.name: _demand(step, numbers) for step in plan.steps if step.documented}


def _demand(step: PlannedStep, numbers: frozenset[tuple[str, str]]) -> Demand:
    wanted: dict[_Keys, Json] = {}
    places: dict[str, _Keys] = {}
    for output in step.outputs:
        keys = _keys(output.path)
        if keys is None:
            continue
        places[output.name] = keys
        if (step.name, output.name) in numbers:
            wanted[keys] = 1
        else:
            wanted.setdefault(keys, f"{step.name}.{output.name}")
    for path in step.reads:
        keys = _keys(path)
        if keys is not None:
            last = next((key for key in reversed(keys) if isinstance(key, str)), "result")
            wanted.setdefault(keys, f"{step.name}.{last}")
    document: Json = {}
    # The shorter path first: where one leads through the value of another, that value has to be an object.
    # An index from the end last: only then is the end known.
    for keys in sorted(wanted, key=lambda keys: (any(type(key) is int and key < 0 for key in keys), len(keys))):
        document = _placed(document, keys, wanted[keys])
    return Demand(_fitted(document), places)


def _keys(path: str) -> _Keys | None:
    """Where in the result `path` looks; None if it asks nothing of the result."""
    compiled = compile_path(path)
    assert isinstance(compiled, JsonPath), "validation has compiled every path"
    keys = tuple(_selections(compiled.canonical))
    if keys[:1] == ("result",):
        return keys[1:]
    # The document is an object, so that only a name leads from it into the result.
    if not keys or not isinstance(keys[0], str) or keys[0] in _OF_THE_JOB:
        return None
    if len(keys) == 1 and keys[0] in _OF_ITS_STATUS:
        return None
    return keys


def _selections(canonical: str) -> Iterator[_Key]:
    for match in _SELECTION.finditer(canonical, 1):
        selection = match.group(1)
        if found := _UNION.fullmatch(selection):
            yield _text(found.group(1))
        elif found := _INDEX.fullmatch(selection):
            yield int(found.group(1))
        elif found := _SLICE.fullmatch(selection):
            yield max(int(found.group(1) or 0), 0)
        else:
            yield _Each(tuple(_equalities(selection)) if selection.startswith("?") else ())


def _equalities(test: str) -> Iterator[tuple[tuple[str, ...], Json]]:
    for match in _EQUALITY.finditer(test):
        names = tuple(_text(name) for name in re.findall(_NAME, match.group(1)))
        literal = match.group(2)
        if literal is None:
            continue
        yield names, _text(literal) if literal.startswith("'") else json.loads(literal)


def _text(literal: str) -> str:
    return _ESCAPE.sub(r"\1", literal[1:-1])


def _placed(node: Json, keys: _Keys, value: Json) -> Json:
    """`node` with `value` where `keys` lead; as it is where a list and an object are asked for in one place."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, _Each):
        if isinstance(node, dict) and node:
            return _placed(node, (next(iter(node)), *rest), value)
        # What a filter asks of the item goes over the value: without it the item would not be found at all.
        if rest or not key.holds:
            node = _placed(node, (0, *rest), value)
        for names, held in key.holds:
            node = _placed(node, (0, *names), held)
        return node
    if isinstance(key, str):
        if isinstance(node, list) and node:
            return node
        members = dict(node) if isinstance(node, dict) else {}
        members[key] = _placed(members.get(key), rest, value)
        return members
    if isinstance(node, dict) and node:
        return node
    items = list(node) if isinstance(node, list) else []
    index = key if key >= 0 else max(len(items) + key, 0)
    if index >= _ITEMS or -key > _ITEMS:
        return node
    items += [None] * (max(index + 1, -key) - len(items))
    items[index] = _placed(items[index], rest, value)
    return items


def message_of(result: Json) -> str:
    """A result as the termination message that a program would leave: text as it is, all else compact JSON."""
    if isinstance(result, str):
        return result
    return json.dumps(result, ensure_ascii=False, separators=(",", ":"))


def _fitted(document: Json) -> Json:
    fitted = document
    for width in _WIDTHS:
        if len(message_of(fitted).encode()) <= TERMINATION_MESSAGE_BYTES:
            break
        fitted = _shortened(document, width)
    return fitted


def _shortened(node: Json, width: int) -> Json:
    match node:
        case str():
            return node[:width]
        case dict():
            return {key: _shortened(value, width) for key, value in node.items()}
        case list():
            return [_shortened(item, width) for item in node]
        case _:
            return node
