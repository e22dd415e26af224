"""YAML text to plain data, event by event, so that every bound holds before anything grows.

Nothing recurses: what is open is a list. Aliases are followed by sharing, and
each adds what it stands for to the count of nodes and characters, so a file
that would unfold without end is refused at the bound.

Scalars mean what kubectl takes them for (YAML 1.1 as Go reads it): `yes` and
`off` are booleans, 0123 is 83, 1e3 is a number, so that a text field can refuse
them by name. Dates and 1:30 stay text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import yaml
from attrs import frozen
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from zenflow_core.limits import PROBLEMS, SOURCE_ANCHORS, SOURCE_BYTES, SOURCE_DEPTH, SOURCE_DOCUMENTS, SOURCE_NODES
from zenflow_core.problems import Position, Problem, below, quoted

# libyaml is nine times faster; without it the same events come from PyYAML's own parser.
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG: Final = "tag:yaml.org,2002:"
_MAPPING_TAGS: Final = (None, "!", _TAG + "map")
_LIST_TAGS: Final = (None, "!", _TAG + "seq")
_SCALAR_TAGS: Final[dict[str, tuple[type, ...]]] = {
    _TAG + "int": (int,),
    _TAG + "float": (int, float),
    _TAG + "bool": (bool,),
    _TAG + "null": (type(None),),
}
_MERGE: Final = object()
_NO_KEY: Final = object()
_TOO_MANY: Final = f"more than {SOURCE_NODES:,} values once aliases are followed"
_KEY_TEXT: Final[dict[Any, str]] = {_MERGE: "<<"}

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INTEGER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES: Final = {"0x": 16, "0b": 2, "0o": 8}
_LONGEST_INTEGER: Final = len("-0b") + 64

Open: TypeAlias = list[tuple[Any, Any]]
"""The containers that are open, outermost first, each with the key under which the next one hangs."""


class Unreadable(Exception):  # noqa: N818 - a fact about a text, carried by raise; not an error of ours
    """Reading ends here, with these problems. Caught in `source.load_documents`."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class _BeyondSixtyFourBits(Exception):  # noqa: N818 - as above
    """An integer that no reader of JSON keeps exact."""


class _Scalars(dict[str, Any]):
    """Unquoted text to its value, each text worked out once a file: keys repeat in every step."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = _number(text) if text[0] in "+-.0123456789" else text
        return value


def _number(text: str) -> Any:
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        digits = plain.lstrip("+-").lower()
        base = 10 if digits == "0" or digits[0] != "0" else _BASES.get(digits[:2], 8)
        value = int(plain, base) if len(plain) <= _LONGEST_INTEGER else 2**64
        if not -(2**63) <= value < 2**64:
            raise _BeyondSixtyFourBits
        return value
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        # Too large for a float is text to Go's reader as well.
        return text if number in (float("inf"), float("-inf")) else number
    return text


@frozen
class Root:
    """One document: its number among all of the stream, its data, where it begins."""

    ordinal: int
    data: Any
    begins: Position


@frozen
class Reading:
    """What a text holds. `duplicated`: some mapping has a key twice, `places` knows where."""

    roots: tuple[Root, ...]
    problems: tuple[Problem, ...]
    duplicated: bool


class _Anchored(NamedTuple):
    """What an alias stands for and what following it costs; `height` counts nested containers."""

    value: Any
    nodes: int = 1
    characters: int = 0
    height: int = 0


class _OpenAnchor:
    """An anchored container that has not ended; counters as they were at its start."""

    __slots__ = ("characters", "deepest", "depth", "index", "name", "nodes")

    def __init__(self, name: str, *, depth: int, nodes: int, characters: int, index: int) -> None:
        self.name, self.depth, self.deepest = name, depth, depth
        self.nodes, self.characters, self.index = nodes, characters, index


def read_yaml(text: str, *, file: str) -> Reading:
    """Build every document of `text`; raise Unreadable at a bound, YAMLError at bad syntax.

    The loop is one function because a call for each of 50,000 events would
    cost as much as libyaml does. Events are told apart by their exact type,
    in a variable, which is quick and which mypy cannot follow: hence `Any`.
    """
    parser = Parser(text)
    try:
        return _read(parser.get_event, file)
    finally:
        parser.dispose()


def _read(next_event: Callable[[], Any], file: str) -> Reading:
    roots: list[Root] = []
    problems: list[Problem] = []
    duplicated = False
    scalars = _Scalars(_WORDS)
    anchors: dict[str, _Anchored | None] = {}
    open_anchors: list[_OpenAnchor] = []
    stack: Open = []
    ordinal = nodes = aliased = merges = 0
    container: Any = []
    key: Any = _NO_KEY
    begins = Position(file, 1, 1)

    def note(event: Any, what: str, fix: str, rule: str) -> Problem:
        """Keep a problem here and read on, unless that is one too many."""
        path = _path(stack)
        if stack and type(container) is list:
            path = below(path, len(container))
        elif key is not _NO_KEY:
            path = below(path, _KEY_TEXT.get(key, key))
        problem = Problem(path, what, fix, rule=rule, position=_position(event, file))
        problems.append(problem)
        if len(problems) == PROBLEMS:
            raise Unreadable(*problems)
        return problem

    while True:
        event = next_event()
        kind = type(event)

        if kind is ScalarEvent:
            nodes += 1
            plain = event.implicit[0]
            if plain:
                try:
                    value = scalars[event.value]
                except _BeyondSixtyFourBits:
                    what = f"the number {quoted(event.value)} has more than 64 bits"
                    note(event, what, "put it in quotes if it is text", "ZF105")
                    value = 0
            else:
                value = event.value
                if event.tag is not None and event.tag != _TAG + "str":
                    try:
                        value = _tagged(event.tag, value, scalars)
                    except ValueError:
                        note(event, *_bad_tag(event.tag), "ZF005")
            if event.anchor is not None:
                anchors[event.anchor] = _Anchored(value, characters=len(event.value))
                if len(anchors) > SOURCE_ANCHORS:
                    what = f"more than {SOURCE_ANCHORS:,} anchors"
                    raise Unreadable(_too_large(what, _position(event, file), _path(stack)))

        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            nodes += 1
            if event.tag not in (_MAPPING_TAGS if kind is MappingStartEvent else _LIST_TAGS):
                note(event, *_bad_tag(event.tag), "ZF005")
            value = {} if kind is MappingStartEvent else []
            if type(container) is list:
                container.append(value)
            elif key is not _NO_KEY:
                container[key] = value
            else:
                what = "a mapping or a list stands where a key is expected"
                fix = "put a value that begins with '{{' or '[' in quotes; a key is plain text"
                raise Unreadable(note(event, what, fix, "ZF006"))
            stack.append((container, key))
            container, key = value, _NO_KEY
            if len(stack) > SOURCE_DEPTH:
                raise Unreadable(_too_deep(_position(event, file), _path(stack)))
            if open_anchors and len(stack) > open_anchors[-1].deepest:
                open_anchors[-1].deepest = len(stack)
            if event.anchor is not None:
                anchors[event.anchor] = None
                index = event.start_mark.index
                open_anchors.append(
                    _OpenAnchor(event.anchor, depth=len(stack), nodes=nodes - 1, characters=aliased, index=index)
                )
            if nodes > SOURCE_NODES:
                raise Unreadable(_too_large(_TOO_MANY, _position(event, file), _path(stack)))
            continue

        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            if merges and kind is MappingEndEvent and _MERGE in container:
                merges -= 1
                if not _merge(container):
                    what = "'<<' takes a mapping, or a list of mappings, to merge into this one"
                    note(event, what, "name an anchored mapping, or put the key in quotes if it is text", "ZF007")
            if open_anchors and open_anchors[-1].depth == len(stack):
                ended = open_anchors.pop()
                anchors[ended.name] = _Anchored(
                    container,
                    nodes=nodes - ended.nodes,
                    characters=aliased - ended.characters + event.end_mark.index - ended.index,
                    height=ended.deepest - ended.depth + 1,
                )
                if open_anchors and ended.deepest > open_anchors[-1].deepest:
                    open_anchors[-1].deepest = ended.deepest
            container, key = stack.pop()
            key = _NO_KEY
            continue

        elif kind is AliasEvent:
            plain = False
            anchored = anchors.get(event.anchor)
            if anchored is None:
                inside = event.anchor in anchors
                what = f"'*{event.anchor}' refers to {'what it is part of' if inside else 'no anchor above it'}"
                fix = f"put '&{event.anchor}' before a value above this line, or the text in quotes"
                raise Unreadable(note(event, what, fix, "ZF007"))
            value = anchored.value
            nodes += anchored.nodes
            aliased += anchored.characters
            if aliased > SOURCE_BYTES:
                what = f"more than {SOURCE_BYTES:,} characters once aliases are followed"
                raise Unreadable(_too_large(what, _position(event, file), _path(stack)))
            if len(stack) + anchored.height > SOURCE_DEPTH:
                raise Unreadable(_too_deep(_position(event, file), _path(stack)))
            if open_anchors and len(stack) + anchored.height > open_anchors[-1].deepest:
                open_anchors[-1].deepest = len(stack) + anchored.height

        elif kind is DocumentStartEvent:
            container, key = [], _NO_KEY
            begins = _position(event, file)
            if ordinal == SOURCE_DOCUMENTS:
                raise Unreadable(_too_large(f"more than {SOURCE_DOCUMENTS:,} documents", begins, ""))
            anchors.clear()
            continue

        elif kind is DocumentEndEvent:
            roots.append(Root(ordinal, container[0], begins))
            ordinal += 1
            continue

        elif kind is StreamEndEvent:
            return Reading(tuple(roots), tuple(problems), duplicated)

        else:
            continue

        # A scalar or an alias has come: it is an item, a value, or the next key.
        if type(container) is list:
            container.append(value)
        elif key is not _NO_KEY:
            container[key] = value
            key = _NO_KEY
        else:
            if type(value) is not str:
                text = event.value if kind is ScalarEvent else event.anchor
                # kubectl writes a whole number as text too, so only what changes its spelling is refused.
                if not (type(value) is int and str(value) == text):
                    found = "an alias of something else" if kind is AliasEvent else f"{quoted(text)} unquoted"
                    what = f"a key is text, and this is {found}, which YAML reads as {_named(value)}"
                    note(event, what, f'put the key in quotes: "{text[:60]}"', "ZF006")
                value = text
            elif plain and value == "<<":
                value = _MERGE
                merges += 1
            key = value
            if key in container:
                duplicated = True
                merges -= key is _MERGE
        if nodes > SOURCE_NODES:
            raise Unreadable(_too_large(_TOO_MANY, _position(event, file), _path(stack)))


def _tagged(tag: str, text: str, scalars: _Scalars) -> Any:
    """The value of a scalar with an explicit tag; ValueError if the tag is not one of JSON's kinds or does not fit."""
    try:
        value = scalars[text]
    except _BeyondSixtyFourBits:
        raise ValueError from None
    if type(value) not in _SCALAR_TAGS.get(tag, ()):
        raise ValueError
    return float(value) if tag == _TAG + "float" else value


def _merge(container: dict[Any, Any]) -> bool:
    """Put in what `<<` names; own entries win, then earlier sources. False if it names no mapping."""
    merged = container.pop(_MERGE)
    sources = merged if type(merged) is list else [merged]
    if not all(type(source) is dict for source in sources):
        return False
    own = dict(container)
    for source in reversed(sources):
        container.update(source)
    container.update(own)
    return True


def _bad_tag(tag: str) -> tuple[str, str]:
    shown = quoted(tag.replace(_TAG, "!!"))
    what = f"the tag {shown} does not fit this value; a manifest has text, numbers, booleans, null, lists and mappings"
    return what, "remove the tag; put text that begins with '!' in quotes, and binary data in base64"


def _named(value: Any) -> str:
    match value:
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return "a number"
        case None:
            return "null"
        case _:
            return "a list or a mapping"


def _position(event: Any, file: str) -> Position:
    return Position(file, event.start_mark.line + 1, event.start_mark.column + 1)


def _path(opened: Open) -> str:
    """The path of the container opened last: the keys, and the latest items, that lead to it."""
    path = ""
    for container, key in opened[1:]:
        if type(container) is list:
            path = below(path, len(container) - 1)
        else:
            name: str = _KEY_TEXT.get(key) or key
            path = below(path, name)
    return path


def _too_deep(position: Position, path: str) -> Problem:
    what = f"nested deeper than {SOURCE_DEPTH} levels"
    fix = "a manifest nests about 15 deep: look for brackets or indentation that never end"
    return Problem(path[:200], what, fix, rule="ZF004", position=position)


def _too_large(what: str, position: Position, path: str) -> Problem:
    fix = "split the file; what an alias stands for counts each time it is used"
    return Problem(path[:200], what, fix, rule="ZF004", position=position)
