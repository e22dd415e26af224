"""From parsed YAML to attrs classes, field by field, with every problem at once.

A class says by its fields what a mapping may hold: their names in camelCase are
the keys, their types what the values must be, a field without default has to be
there. `metadata={"read": ...}` gives a field a reader of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin

from attrs import NOTHING, Attribute, AttrsInstance, fields, has, resolve_types

from zenflow_core.codec_problems import Wrong, shown, unlike, wire_name
from zenflow_core.nearest import nearest
from zenflow_core.problems import Problem, below

Class = TypeVar("Class", bound=AttrsInstance)

_UNREADABLE: Final = object()


class Reader:
    """Reads on after a problem; `problems` has them all in the order of the file."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def object(self, kind: type[Class], value: Any, path: str, *, skip: tuple[str, ...] = ()) -> Class | None:
        """`value` as that class; None once what is wrong with it has been noted. Keys in `skip` are somebody else's."""
        data = self.mapping(value, path)
        if data is None:
            return None
        known = _fields(kind)
        given: dict[str, Any] = {}
        before = len(self.problems)
        for key, entry in data.items():
            if key in skip:
                continue
            attribute = known.get(key)
            if attribute is None:
                self.unknown(key, tuple(known), path)
            elif entry is not None or attribute.type is Any:
                found = self._field(attribute, entry, below(path, key))
                if found is not _UNREADABLE:
                    given[attribute.name] = found
        for name, attribute in known.items():
            if attribute.default is NOTHING and data.get(name) is None and name not in skip:
                self.add(below(path, name), "missing", f"add {name!r}{f' to {path}' if path else ''}", "ZF103")
        return kind(**given) if len(self.problems) == before else None

    def _field(self, attribute: Attribute[Any], value: Any, path: str) -> Any:
        own: Callable[[Reader, Any, str], Any] | None = attribute.metadata.get("read")
        if own is not None:
            return own(self, value, path)
        return self.value(attribute.type, value, path)

    def value(self, kind: Any, value: Any, path: str) -> Any:
        """`value` as that type; anything once what is wrong with it has been noted."""
        if kind is Any:
            return value
        origin, inner = get_origin(kind), get_args(kind)
        if origin is UnionType:
            return self.value(next(each for each in inner if each is not NoneType), value, path)
        if origin is tuple:
            if not isinstance(value, list):
                return self.unlike("a list", value, path)
            return tuple(self.value(inner[0], each, below(path, index)) for index, each in enumerate(value))
        if origin is Mapping or kind is Mapping:
            entries = self.mapping(value, path)
            if entries is None:
                return _UNREADABLE
            return {key: self.value(inner[1], each, below(path, key)) for key, each in entries.items()}
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return self.choice(kind, value, path)
        if has(kind):
            found = self.object(kind, value, path)
            return _UNREADABLE if found is None else found
        return self.scalar(kind, value, path)

    def scalar(self, kind: Any, value: Any, path: str) -> Any:
        """Text, a whole number, a number, or true and false."""
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            return self.unlike(_EXPECTED[kind], value, path)
        return value

    def choice(self, kind: type[StrEnum], value: Any, path: str) -> Any:
        """One of the words of an enum."""
        words = [each.value for each in kind]
        if value in words:
            return kind(value)
        listed = f"{', '.join(words[:-1])} or {words[-1]}"
        close = nearest(value, words) if isinstance(value, str) else None
        return self.add(
            path,
            f"found {shown(value)}, expected {listed}",
            f"did you mean {close!r}?" if close else f"write {listed}",
            "ZF104",
        )

    def mapping(self, value: Any, path: str) -> Mapping[str, Any] | None:
        """`value` if it is a mapping with text as keys."""
        if not isinstance(value, dict):
            self.unlike("a mapping", value, path)
            return None
        for key in value:
            if type(key) is not str:
                self.add(path, f"the key {shown(key)} is not text", "put the key in quotes", "ZF006")
                return None
        return value

    def unknown(self, key: str, known: tuple[str, ...], path: str) -> None:
        """A key that means nothing here."""
        close = nearest(key, known)
        fix = f"did you mean {close!r}?" if close else f"remove it; the fields here are {', '.join(known)}"
        self.add(below(path, key), "unknown field", fix, "ZF102")

    def unlike(self, expected: str, value: Any, path: str) -> Any:
        """`value` is of another kind than what stands here."""
        wrong: Wrong = unlike(expected, value)
        return self.add(path, wrong.what, wrong.fix, wrong.rule)

    def add(self, path: str, what: str, fix: str, rule: str) -> Any:
        """Note a problem; answers with the stand-in for what could not be read."""
        self.problems.append(Problem(path, what, fix, rule=rule))
        return _UNREADABLE


_EXPECTED: Final[Mapping[Any, str]] = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
}


@cache
def _fields(kind: type[AttrsInstance]) -> Mapping[str, Attribute[Any]]:
    resolve_types(kind)
    return {wire_name(attribute): attribute for attribute in fields(kind) if attribute.init}


def words(reader: Reader, value: Any, path: str) -> Any:
    """A word, or a list of words, of which one has to hold."""
    if isinstance(value, str):
        return (value,)
    return reader.value(tuple[str, ...], value, path)


def words_by_name(reader: Reader, value: Any, path: str) -> Any:
    """A mapping of names to a word or a list of words."""
    data = reader.mapping(value, path)
    if data is None:
        return {}
    return {key: words(reader, each, below(path, key)) for key, each in data.items()}
