"""JSON Patch (RFC 6902) and merge patch (RFC 7396) on documents that share structure.

A patch never changes the document it is given. It copies the containers along the patched path, each
once per patch, and shares the rest: changing a row of a status with ten thousand rows copies the row,
one list of pointers and three small objects. The size in JSON is kept beside it by the difference that
each operation makes, so nobody needs to serialise the whole document to know that it still fits.

Documents are plain JSON values: dict with str keys, list, str, int, float, bool, None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import frozen

Json: TypeAlias = Any

MAX_OPERATIONS = 10_000
"""An API server refuses a longer JSON Patch with 413."""

# Tuples made once: `dict | list` would be built anew at every look.
_CONTAINERS = (dict, list)
_OBJECTS = (dict, Mapping)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class MalformedPatchError(Exception):
    """The patch is not a list of objects at all: an API server answers 400."""


class PatchError(Exception):
    """The patch does not fit this document (bad path, failed test, unknown op): an API server answers 422."""


@frozen
class Patched:
    """What came of a patch: the new document, and by how many bytes each top-level member has grown.

    `grown` holds only members that the patch touched. `None` in place of the mapping means that the
    whole document was replaced and has to be measured anew.
    """

    document: Json
    grown: Mapping[str, int] | None


def size_of(value: Json) -> int:
    """Bytes of the value as compact UTF-8 JSON, which is what counts against an object's size limit."""
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode())


def size_of_members(sizes: Mapping[str, int]) -> int:
    """Bytes of an object whose members have these names and sizes."""
    if not sizes:
        return 2
    return 1 + sum(sizes.values()) + sum(_size_of_name(name) + 2 for name in sizes)


@lru_cache(maxsize=4096)
def _size_of_name(name: str) -> int:
    return size_of(name)


def same(a: Json, b: Json) -> bool:
    """Equal as JSON: 1 is not true, though Python takes them for equal. Shared parts cost nothing."""
    if a is b:
        return True
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    return bool(a == b)


@lru_cache(maxsize=65_536)
def pointer(path: str) -> tuple[str, ...]:
    """The tokens of a JSON Pointer (RFC 6901). Raises PatchError if it does not begin with a slash."""
    if not path:
        return ()
    if not path.startswith("/"):
        raise PatchError(f"path {path!r} does not begin with '/'")
    tokens = path[1:].split("/")
    if "~" in path:
        return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)
    return tuple(tokens)


def escaped(token: str) -> str:
    """A member name as it stands in a JSON Pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def _index(token: str, length: int, *, path: str) -> int:
    if not (token.isascii() and token.isdigit()) or (len(token) > 1 and token[0] == "0"):
        raise PatchError(f"path {path}: {token!r} is not an index of a list")
    index = int(token)
    if index >= length:
        raise PatchError(f"path {path}: index {index} is beyond the end of a list of {length}")
    return index


def _found(document: Json, tokens: Sequence[str], *, path: str) -> Json:
    here = document
    for token in tokens:
        if isinstance(here, dict):
            if token not in here:
                raise PatchError(f"path {path}: there is no {token!r}")
            here = here[token]
        elif isinstance(here, list):
            here = here[_index(token, len(here), path=path)]
        else:
            raise PatchError(f"path {path}: {token!r} lies inside {here!r}, which has no members")
    return here


class _Draft:
    """A document in the making: which containers are our own copies, and how much each member has grown."""

    __slots__ = ("grown", "owned", "root")

    def __init__(self, document: Json) -> None:
        self.root = document
        # Keyed by identity; the value keeps the copy alive, so that no other object can get its id.
        self.owned: dict[int, Json] = {}
        self.grown: dict[str, int] | None = {}

    def own(self, container: Json) -> Json:
        if id(container) in self.owned:
            return container
        copy = container.copy()
        self.owned[id(copy)] = copy
        return copy

    def parent(self, tokens: Sequence[str], *, path: str) -> Json:
        """Our own copy of the container that holds the last token; everything above it is ours, too."""
        if not isinstance(self.root, _CONTAINERS):
            raise PatchError(f"path {path}: the document is {self.root!r}, which has no members")
        here = self.root = self.own(self.root)
        for token in tokens[:-1]:
            key: Any = token
            if isinstance(here, dict):
                if token not in here:
                    raise PatchError(f"path {path}: there is no {token!r}")
            else:
                key = _index(token, len(here), path=path)
            child = here[key]
            if not isinstance(child, _CONTAINERS):
                raise PatchError(f"path {path}: {token!r} is {child!r}, which has no members")
            mine = self.own(child)
            if mine is not child:
                here[key] = mine
            here = mine
        return here

    def grow(self, tokens: Sequence[str], by: int) -> None:
        if self.grown is not None:
            self.grown[tokens[0]] = self.grown.get(tokens[0], 0) + by

    def replace_all(self, document: Json) -> None:
        self.root, self.grown = document, None

    def put(self, tokens: Sequence[str], value: Json, *, path: str, must_exist: bool) -> None:
        if not tokens:
            self.replace_all(value)
            return
        holder = self.parent(tokens, path=path)
        last = tokens[-1]
        if isinstance(holder, dict):
            if last in holder:
                by = size_of(value) - size_of(holder[last])
            elif must_exist:
                raise PatchError(f"path {path}: there is no {last!r} to replace")
            elif len(tokens) == 1:
                by = size_of(value)
            else:
                by = size_of(value) + _size_of_name(last) + (2 if holder else 1)
            holder[last] = value
        elif must_exist:
            at = _index(last, len(holder), path=path)
            by = size_of(value) - size_of(holder[at])
            holder[at] = value
        else:
            at = len(holder) if last == "-" else _index(last, len(holder) + 1, path=path)
            by = size_of(value) + (1 if holder else 0)
            holder.insert(at, value)
        self.grow(tokens, by)

    def take(self, tokens: Sequence[str], *, path: str) -> Json:
        if not tokens:
            raise PatchError("the whole document cannot be removed")
        holder = self.parent(tokens, path=path)
        last = tokens[-1]
        if isinstance(holder, dict):
            if last not in holder:
                raise PatchError(f"path {path}: there is no {last!r} to remove")
            value = holder.pop(last)
            by = size_of(value) if len(tokens) == 1 else size_of(value) + _size_of_name(last) + (2 if holder else 1)
        else:
            value = holder.pop(_index(last, len(holder), path=path))
            by = size_of(value) + (1 if holder else 0)
        self.grow(tokens, -by)
        return value


def apply(document: Json, operations: Sequence[Mapping[str, Any]]) -> Patched:
    """The document after a JSON Patch; all or nothing, and the given document stays as it is.

    Values of the patch become part of the new document without a copy: treat them as frozen from then on.
    Negative list indexes, an extension that some servers have, are refused as RFC 6902 asks.
    Raises MalformedPatchError or PatchError. Cost: the containers along the paths, and the values replaced.
    """
    if isinstance(operations, str | bytes | Mapping) or not isinstance(operations, Sequence):
        raise MalformedPatchError("a JSON Patch is a list of operations")
    draft = _Draft(document)
    for operation in operations:
        if not isinstance(operation, _OBJECTS):
            raise MalformedPatchError(f"an operation is an object, not {operation!r}")
        _carry_out(draft, operation)
    return Patched(draft.root, draft.grown)


def _carry_out(draft: _Draft, operation: Mapping[str, Any]) -> None:
    op = operation.get("op")
    path = operation.get("path")
    if not isinstance(path, str):
        raise PatchError(f"operation {op!r} has no path")
    tokens = pointer(path)
    match op:
        case "replace" | "add" | "test":
            if "value" not in operation:
                raise PatchError(f"operation {op} {path} has no value")
            value = operation["value"]
            if op == "test":
                if not same(_found(draft.root, tokens, path=path), value):
                    raise PatchError(f"test {path}: the value there is another one")
            else:
                draft.put(tokens, value, path=path, must_exist=op == "replace")
        case "remove":
            draft.take(tokens, path=path)
        case "move" | "copy":
            origin = operation.get("from")
            if not isinstance(origin, str):
                raise PatchError(f"operation {op} {path} has no from")
            source = pointer(origin)
            value = _found(draft.root, source, path=origin)
            if op == "move":
                if tokens[: len(source)] == source and len(tokens) > len(source):
                    raise PatchError(f"move {origin} {path}: a value cannot be moved into itself")
                if tokens == source:
                    return
                draft.take(source, path=origin)
            else:
                # What is copied will stand in two places, so from here on nothing made before may be written in place.
                draft.owned.clear()
            draft.put(tokens, value, path=path, must_exist=False)
        case _:
            raise PatchError(f"unknown operation {op!r}")


def merge(document: Json, patch: Json) -> Patched:
    """The document after a merge patch (RFC 7396); null removes, lists are replaced whole.

    Cost: the objects along the patch, and the values that it replaces. Nulls inside added objects are dropped.
    """
    if not isinstance(document, dict) or not isinstance(patch, dict):
        return Patched(_without_nulls(patch), None)
    grown: dict[str, int] = {}
    merged = document.copy()
    for name, wanted in patch.items():
        if wanted is None:
            if name in merged:
                grown[name] = -size_of(merged.pop(name))
        elif name in merged:
            merged[name], grown[name] = _merged(merged[name], wanted)
        else:
            merged[name] = _without_nulls(wanted)
            grown[name] = size_of(merged[name])
    return Patched(merged, grown)


def _merged(old: Json, patch: Json) -> tuple[Json, int]:
    if not isinstance(patch, dict) or not isinstance(old, dict):
        new = _without_nulls(patch)
        return new, size_of(new) - size_of(old)
    new = old.copy()
    by = 0
    for name, wanted in patch.items():
        if wanted is None:
            if name in new:
                by -= size_of(new.pop(name)) + _size_of_name(name) + (2 if new else 1)
        elif name in new:
            new[name], more = _merged(new[name], wanted)
            by += more
        else:
            value = _without_nulls(wanted)
            by += size_of(value) + _size_of_name(name) + (2 if new else 1)
            new[name] = value
    return new, by


def _without_nulls(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(v) for name, v in value.items() if v is not None}
