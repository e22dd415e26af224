from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_testing.jsonpatch import (
    MalformedPatchError,
    PatchError,
    apply,
    escaped,
    merge,
    same,
    size_of,
    size_of_members,
)

# RFC 6902, appendix A, and what an API server adds to it.


@pytest.mark.parametrize(
    ("document", "patch", "then"),
    [
        pytest.param({"a": 1}, [("add", "/b", 2)], {"a": 1, "b": 2}, id="a member is added"),
        pytest.param({"a": [1, 3]}, [("add", "/a/1", 2)], {"a": [1, 2, 3]}, id="an item is inserted before its index"),
        pytest.param({"a": [1]}, [("add", "/a/1", 2)], {"a": [1, 2]}, id="the index after the last one appends"),
        pytest.param({"a": [1]}, [("add", "/a/-", 2)], {"a": [1, 2]}, id="a dash appends"),
        pytest.param({"a": 1}, [("add", "/a", [2])], {"a": [2]}, id="an add over a member replaces it"),
        pytest.param({"a": 1, "b": 2}, [("remove", "/a")], {"b": 2}, id="a member is removed"),
        pytest.param({"a": [1, 2, 3]}, [("remove", "/a/1")], {"a": [1, 3]}, id="an item is removed"),
        pytest.param({"a": {"b": 1}}, [("replace", "/a/b", None)], {"a": {"b": None}}, id="null is a value"),
        pytest.param({"a": 1}, [("replace", "", {"b": 2})], {"b": 2}, id="the whole document is replaced"),
        pytest.param({"a/b": {"c~d": 1}}, [("replace", "/a~1b/c~0d", 2)], {"a/b": {"c~d": 2}}, id="escapes are read"),
        pytest.param({"": 1}, [("replace", "/", 2)], {"": 2}, id="the empty name is a name"),
        pytest.param({"a": {"x": 1}, "b": {}}, [("move", "/b/y", "/a/x")], {"a": {}, "b": {"y": 1}}, id="a move"),
        pytest.param({"a": {"x": 1}}, [("copy", "/b", "/a")], {"a": {"x": 1}, "b": {"x": 1}}, id="a copy"),
        pytest.param({"a": {"x": 1}}, [("move", "/a", "/a")], {"a": {"x": 1}}, id="a move to itself is nothing"),
        pytest.param({"a": [1, {"b": None}]}, [("test", "/a", [1, {"b": None}])], {"a": [1, {"b": None}]}, id="a test"),
        pytest.param(
            {"a": {"x": {"n": 1}}},
            [("replace", "/a/x/n", 2), ("copy", "/b", "/a"), ("replace", "/b/x/n", 3)],
            {"a": {"x": {"n": 2}}, "b": {"x": {"n": 3}}},
            id="what was copied can be changed without its origin",
        ),
        pytest.param(
            {"a": 1},
            [("add", "/b", 2), ("copy", "/c", ""), ("replace", "/a", 3)],
            {"a": 3, "b": 2, "c": {"a": 1, "b": 2}},
            id="a document can be copied into itself",
        ),
    ],
)
def test_a_patch_applies(document: Any, patch: list[tuple[Any, ...]], then: Any) -> None:
    before = copy.deepcopy(document)
    patched = apply(document, operations(patch))
    assert same(patched.document, then)
    assert same(document, before)


def operations(patch: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    out = []
    for op, path, *rest in patch:
        operation = {"op": op, "path": path}
        if rest:
            operation["from" if op in ("move", "copy") else "value"] = rest[0]
        out.append(operation)
    return out


@pytest.mark.parametrize(
    ("document", "operation", "why"),
    [
        pytest.param({}, {"op": "replace", "path": "/a", "value": 1}, "no 'a' to replace", id="replace needs a member"),
        pytest.param({}, {"op": "remove", "path": "/a"}, "no 'a' to remove", id="remove needs a member"),
        pytest.param({}, {"op": "add", "path": "/a/b", "value": 1}, "there is no 'a'", id="add makes no parents"),
        pytest.param(
            {"a": 1}, {"op": "add", "path": "/a/b", "value": 1}, "has no members", id="a number has no inside"
        ),
        pytest.param({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, "beyond the end", id="a gap in a list"),
        pytest.param(
            {"a": [1]}, {"op": "replace", "path": "/a/1", "value": 1}, "beyond the end", id="replace past end"
        ),
        pytest.param({"a": [1]}, {"op": "remove", "path": "/a/-"}, "not an index", id="a dash names no item"),
        pytest.param({"a": [1]}, {"op": "remove", "path": "/a/00"}, "not an index", id="a leading zero"),
        pytest.param({"a": [1]}, {"op": "remove", "path": "/a/-1"}, "not an index", id="a negative index"),
        pytest.param({"a": 1}, {"op": "test", "path": "/a", "value": True}, "another one", id="1 is not true"),
        pytest.param({"a": 0}, {"op": "test", "path": "/a", "value": False}, "another one", id="0 is not false"),
        pytest.param({"a": "1"}, {"op": "test", "path": "/a", "value": 1}, "another one", id="text is not a number"),
        pytest.param({"a": 1}, {"op": "test", "path": "/b", "value": 1}, "there is no 'b'", id="test needs a value"),
        pytest.param({"a": 1}, {"op": "add", "path": "a", "value": 1}, "begin with '/'", id="a path begins with slash"),
        pytest.param({"a": 1}, {"op": "add", "path": "/a"}, "has no value", id="add needs a value"),
        pytest.param({"a": 1}, {"op": "jump", "path": "/a"}, "unknown operation", id="an unknown op"),
        pytest.param({"a": 1}, {"op": "remove"}, "has no path", id="an op without path"),
        pytest.param({"a": 1}, {"op": "remove", "path": ""}, "whole document", id="nothing can be left"),
        pytest.param({"a": 1}, {"op": "move", "path": "/b"}, "has no from", id="a move without from"),
        pytest.param({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b"}, "into itself", id="into itself"),
    ],
)
def test_a_patch_that_does_not_fit_fails_and_changes_nothing(document: Any, operation: Any, why: str) -> None:
    before = copy.deepcopy(document)
    with pytest.raises(PatchError, match=why):
        apply(document, [{"op": "add", "path": "/new", "value": 1}, operation])
    assert same(document, before)


@pytest.mark.parametrize("patch", [{"op": "remove"}, "[]", [1], [["op"]]], ids=["object", "text", "numbers", "lists"])
def test_what_is_no_list_of_operations_is_malformed(patch: Any) -> None:
    with pytest.raises(MalformedPatchError):
        apply({}, patch)


def test_a_changed_row_leaves_the_other_rows_shared() -> None:
    document: Any = {"status": {"steps": [{"n": i} for i in range(100)]}, "spec": {"big": [1, 2, 3]}}
    patched = apply(document, [{"op": "replace", "path": "/status/steps/7", "value": {"n": "x"}}]).document
    assert patched["spec"] is document["spec"]
    assert [a is b for a, b in zip(patched["status"]["steps"], document["status"]["steps"], strict=True)].count(
        False
    ) == 1


def test_containers_are_copied_once_a_patch() -> None:
    document = {"status": {"steps": [{"n": 0}, {"n": 1}]}}
    patched = apply(
        document,
        [
            {"op": "replace", "path": "/status/steps/0/n", "value": 5},
            {"op": "replace", "path": "/status/steps/0/n", "value": 6},
        ],
    )
    assert patched.document == {"status": {"steps": [{"n": 6}, {"n": 1}]}}
    assert document == {"status": {"steps": [{"n": 0}, {"n": 1}]}}


@pytest.mark.parametrize(
    ("document", "patch", "then"),
    [
        # RFC 7396, appendix A.
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="a member is replaced"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="a member is added"),
        pytest.param({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}, id="null removes"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="a list gives way to text"),
        pytest.param(
            {"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="null of what is not there"
        ),
        pytest.param({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}, id="lists are replaced whole"),
        pytest.param({"e": None}, {"a": 1}, {"e": None, "a": 1}, id="a null that was there stays"),
        pytest.param({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}, id="nulls of what is added are dropped"),
        pytest.param({"a": "foo"}, "bar", "bar", id="a patch that is no object is the document"),
        pytest.param(
            {"a": 1}, {"a": {"b": None, "c": 2}}, {"a": {"c": 2}}, id="an object gives way to a number's place"
        ),
    ],
)
def test_a_merge_patch_applies(document: Any, patch: Any, then: Any) -> None:
    before = copy.deepcopy(document)
    assert same(merge(document, patch).document, then)
    assert same(document, before)


# Laws

scalars = st.none() | st.booleans() | st.integers(-1000, 10**12) | st.text(max_size=6)
names = st.sampled_from(["a", "b", "c/d", "e~f", "", "ü", "0"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
documents = st.dictionaries(names, values, max_size=4)


def places(value: Any, path: str = "") -> list[str]:
    """Every path into a document, and one beyond each container's end."""
    out = [path]
    if isinstance(value, dict):
        for name, inner in value.items():
            out += places(inner, f"{path}/{escaped(name)}")
        out.append(f"{path}/new")
    if isinstance(value, list):
        for index, inner in enumerate(value):
            out += places(inner, f"{path}/{index}")
        out += [f"{path}/-", f"{path}/{len(value)}"]
    return out


@st.composite
def documents_and_patches(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]]]:
    document = draw(documents)
    here: Any = copy.deepcopy(document)
    patch: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 6))):
        path = draw(st.sampled_from(places(here)))
        op = draw(st.sampled_from(["add", "replace", "remove", "move", "copy", "test"]))
        operation = {"op": op, "path": path, "value": draw(values), "from": draw(st.sampled_from(places(here)))}
        if op == "test":
            operation["value"] = lookup(here, path)
        try:
            here = naive(here, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            continue
        patch.append(operation)
    return document, patch


def lookup(document: Any, path: str) -> Any:
    for token in tokens(path):
        try:
            document = document[int(token)] if isinstance(document, list) else document[token]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return document


def tokens(path: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]


def naive(document: Any, operation: dict[str, Any]) -> Any:
    """RFC 6902 in the plainest words: copy everything, then change it in place."""
    document = copy.deepcopy(document)
    op, path = operation["op"], tokens(operation["path"])

    def holder(way: list[str]) -> Any:
        here = document
        for token in way[:-1]:
            here = here[int(token)] if isinstance(here, list) else here[token]
        if not isinstance(here, dict | list):
            raise TypeError
        return here

    def take(way: list[str]) -> Any:
        if not way:
            raise ValueError
        inside = holder(way)
        return inside.pop(int(way[-1])) if isinstance(inside, list) else inside.pop(way[-1])

    def put(way: list[str], value: Any) -> Any:
        if not way:
            return value
        inside = holder(way)
        if isinstance(inside, list):
            index = len(inside) if way[-1] == "-" else int(way[-1])
            if index > len(inside):
                raise IndexError
            inside.insert(index, value)
        else:
            inside[way[-1]] = value
        return document

    if op == "test":
        if not same(strict_lookup(document, path), operation["value"]):
            raise ValueError
        return document
    if op == "remove":
        take(path)
        return document
    if op == "replace":
        strict_lookup(document, path)
        if not path:
            return copy.deepcopy(operation["value"])
        inside = holder(path)
        inside[int(path[-1]) if isinstance(inside, list) else path[-1]] = copy.deepcopy(operation["value"])
        return document
    if op == "add":
        return put(path, copy.deepcopy(operation["value"]))
    origin = tokens(operation["from"])
    value = copy.deepcopy(strict_lookup(document, origin))
    if op == "move":
        if path[: len(origin)] == origin:
            if path == origin:
                return document
            raise ValueError
        take(origin)
    return put(path, value)


def strict_lookup(document: Any, path: list[str]) -> Any:
    for token in path:
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document


@given(documents_and_patches())
def test_a_patch_equals_the_naive_one_and_leaves_its_document_alone(
    case: tuple[Any, list[dict[str, Any]]],
) -> None:
    document, patch = case
    before = copy.deepcopy(document)
    expected = copy.deepcopy(document)
    for operation in patch:
        expected = naive(expected, operation)
    assert same(apply(document, patch).document, expected)
    assert same(document, before)


@given(documents_and_patches())
def test_growth_is_what_measuring_anew_would_say(case: tuple[Any, list[dict[str, Any]]]) -> None:
    document, patch = case
    patched = apply(document, patch)
    if patched.grown is None or not isinstance(patched.document, dict):
        return
    sizes = {name: size_of(value) for name, value in document.items()}
    for name, by in patched.grown.items():
        sizes[name] = sizes.get(name, 0) + by
        if name not in patched.document:
            assert sizes.pop(name) == 0
    assert sizes == {name: size_of(value) for name, value in patched.document.items()}


@given(documents, documents)
def test_growth_of_a_merge_is_what_measuring_anew_would_say(document: Any, patch: Any) -> None:
    patched = merge(document, patch)
    assert patched.grown is not None
    sizes = {name: size_of(value) for name, value in document.items()}
    for name, by in patched.grown.items():
        sizes[name] = sizes.get(name, 0) + by
        if name not in patched.document:
            assert sizes.pop(name) == 0
    assert sizes == {name: size_of(value) for name, value in patched.document.items()}


@given(documents, documents)
def test_merging_the_same_patch_twice_is_merging_it_once(document: Any, patch: Any) -> None:
    once = merge(document, patch).document
    assert same(merge(once, patch).document, once)


@given(documents)
def test_the_size_of_an_object_is_the_sum_of_its_members(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    assert size_of(document) == len(text.encode())
    assert size_of_members({name: size_of(value) for name, value in document.items()}) == size_of(document)
