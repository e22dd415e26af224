"""Where each path of a YAML text stands, found by a second walk over its events.

Only a text that `yaml_reader` has read is walked, so the bounds hold already.
A manifest without problems never comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen
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

from zenflow_core.limits import PROBLEMS
from zenflow_core.problems import Position, below, segments
from zenflow_core.yaml_reader import Parser

_MERGE: Final = object()


class Place:
    """Where something is named (line and column from 1) and what it holds."""

    __slots__ = ("children", "column", "line")

    def __init__(self, line: int, column: int, children: dict[Any, Place] | list[Place] | None) -> None:
        self.line, self.column, self.children = line, column, children


@frozen
class Duplicate:
    """A key that a mapping has twice."""

    path: str
    key: str
    first_line: int
    second: Position


@frozen
class Places:
    """The places of every document of a text, the empty ones too, and its duplicate keys."""

    file: str
    roots: list[Place] = field(factory=list)
    duplicates: list[Duplicate] = field(factory=list)

    def find(self, ordinal: int, path: str) -> Position | None:
        """Where `path` of one document is named, else the nearest place around it. Costs the length of the path."""
        if ordinal >= len(self.roots):
            return None
        place = self.roots[ordinal]
        for segment in segments(path) or ():
            match place.children:
                case dict() as entries if segment in entries:
                    place = entries[segment]
                case list() as items if isinstance(segment, int) and segment < len(items):
                    place = items[segment]
                case _:
                    break
        return Position(self.file, place.line, place.column)


def read_places(text: str, *, file: str) -> Places:
    """Walk `text` for its places; raises YAMLError for what is no YAML (JSON that only JSON's reader takes)."""
    parser = Parser(text)
    try:
        return _walk(parser.get_event, file)
    finally:
        parser.dispose()


def _walk(next_event: Callable[[], Any], file: str) -> Places:
    found = Places(file)
    anchors: dict[str, tuple[Any, str]] = {}
    stack: list[tuple[Any, Any, Any]] = []
    container: Any = []
    key: Any = None
    named: Any = None
    anchored: list[tuple[int, str]] = []

    while True:
        event = next_event()
        kind = type(event)
        children: Any = None
        text = ""
        if kind is ScalarEvent:
            text = event.value
            if event.anchor is not None:
                anchors[event.anchor] = (None, text)
        elif kind is AliasEvent:
            children, text = anchors.get(event.anchor, (None, ""))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            children = {} if kind is MappingStartEvent else []
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            if kind is MappingEndEvent and _MERGE in container:
                _merge(container)
            if anchored and anchored[-1][0] == len(stack):
                anchors[anchored.pop()[1]] = (container, "")
            container, key, named = stack.pop()
            key = None
            continue
        elif kind is DocumentStartEvent:
            container, key = found.roots, None
            anchors.clear()
            continue
        elif kind is StreamEndEvent:
            return found
        else:
            assert kind is DocumentEndEvent or not stack
            continue

        mark = event.start_mark
        if type(container) is list:
            container.append(Place(mark.line + 1, mark.column + 1, children))
        elif key is None:
            key = _MERGE if text == "<<" and kind is ScalarEvent and event.implicit[0] else text
            if key in container:
                second = Position(file, mark.line + 1, mark.column + 1)
                path = _path(stack, "<<" if key is _MERGE else text)
                found.duplicates.append(Duplicate(path, text, container[key].line, second))
                if len(found.duplicates) == PROBLEMS:
                    # Such a text has no documents, so nobody will ask for the places that are left out.
                    return found
            named = mark
            continue
        else:
            container[key] = Place(named.line + 1, named.column + 1, children)
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            stack.append((container, key, named))
            container, key = children, None
            if event.anchor is not None:
                anchored.append((len(stack), event.anchor))
        else:
            key = None


def _merge(container: dict[Any, Any]) -> None:
    """What `<<` names stands where it stands there; own entries, then earlier sources come first."""
    merged = container.pop(_MERGE)
    sources = merged.children if type(merged.children) is list else [merged]
    for source in sources:
        if type(source.children) is dict:
            for key, place in source.children.items():
                container.setdefault(key, place)


def _path(stack: list[tuple[Any, Any, Any]], key: str) -> str:
    path = ""
    for container, name, _ in stack[1:]:
        path = below(path, len(container) - 1 if type(container) is list else "<<" if name is _MERGE else name)
    return below(path, key)
