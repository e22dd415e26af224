"""Paths into a step's document, and values as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bounded import bounded
from zenflow_core.jsonpath import (
    Ambiguous,
    Found,
    JsonPath,
    NotFound,
    PathProblem,
    Reference,
    compile_path,
    parse_reference,
    render,
)
from zenflow_core.limits import JSON_PATH_CHARACTERS, PARAMETER_VALUE_BYTES

DOCUMENT: dict[str, Any] = {
    "status": {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}, {"type": "Failed"}]},
    "metadata": {"labels": {"app.kubernetes.io/name": "web"}, "annotations": {"key:value": "a", "it's": "b"}},
    "result": {"ok": True, "none": None, "items": [3, 2, 1], "a b": 1},
    "digest": "sha256:ab",
}


def path(text: str) -> JsonPath:
    compiled = compile_path(text)
    assert isinstance(compiled, JsonPath), compiled
    return compiled


@pytest.mark.parametrize(
    ("text", "step", "canonical"),
    [
        pytest.param("$.x", None, "$['x']", id="a path"),
        pytest.param("step:$.x", "step", "$['x']", id="a step and a path"),
        pytest.param("step1:$.status.succeeded", "step1", "$['status']['succeeded']", id="the documented form"),
        pytest.param("step : $.x", "step", "$['x']", id="blanks around the colon"),
        pytest.param(" $.x\n", None, "$['x']", id="blanks around it all"),
        pytest.param("build-image.v2:$.x", "build-image.v2", "$['x']", id="a step with dashes and dots"),
        pytest.param(
            "$.metadata.annotations['key:value']", None, "$['metadata']['annotations']['key:value']", id="a colon"
        ),
        pytest.param("$['a:$.b']", None, "$['a:$.b']", id="a colon and a dollar sign in a key"),
        pytest.param("{.a.b}", None, "$['a']['b']", id="kubectl's braces"),
        pytest.param("{ $.a.b }", None, "$['a']['b']", id="kubectl's braces with a dollar sign"),
        pytest.param("step:{.a.b}", "step", "$['a']['b']", id="a step and braces"),
        pytest.param(
            r"{.metadata.labels.app\.kubernetes\.io/name}", None, "$['metadata']['labels']['app.kubernetes.io/name']",
            id="kubectl's escaped dots",
        ),
        pytest.param(r"$.a\.b.c", None, "$['a.b']['c']", id="an escaped dot without braces"),
        pytest.param("$", None, "$", id="the whole document"),
    ],
)  # fmt: skip
def test_references(text: str, step: str | None, canonical: str) -> None:
    reference = parse_reference(text)
    assert isinstance(reference, Reference), reference
    assert (reference.step, reference.path.canonical) == (step, canonical)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("status.succeeded", "does not begin with '$'", id="no dollar sign"),
        pytest.param("invalid-path", "does not begin with '$'", id="a word"),
        pytest.param("step_1:$.status", "does not begin with '$'", id="a step's name with an underscore"),
        pytest.param("Step:$.status", "does not begin with '$'", id="a step's name with a capital"),
        pytest.param(":$.status", "does not begin with '$'", id="no step before the colon"),
        pytest.param("{status}", "is no path", id="braces without a dot"),
        pytest.param("$.", "no JSONPath", id="a dot at the end"),
        pytest.param("$.a[", "no JSONPath", id="a bracket that is not closed"),
        pytest.param("$.a | $.b", "no JSONPath", id="two paths joined"),
        pytest.param("$[?nope(@.a)]", "no JSONPath", id="a function there is not"),
        pytest.param("$..a..b..c", "'..' more than 2", id="three descents"),
        pytest.param("$" + "[0,0]" * 5, "',' more than 4", id="five unions"),
        pytest.param("$[?@.a][?@.a][?@.a][?@.a][?@.a]", "'?' more than 4", id="five filters"),
        pytest.param("$[?((((((((((((((((((@.a))))))))))))))))))]", "'(' more than 16", id="many brackets"),
        pytest.param("$" + ".a" * 65, "64 members", id="too deep"),
        pytest.param("$[*][?count($..*) > 1]", "again from '$'", id="a descent for each item"),
        pytest.param("$[?$.a[*]]", "again from '$'", id="a wildcard for each item"),
        pytest.param("$[?match(@.a, '(a+)+$')]", "regular expression", id="a regular expression"),
        pytest.param("$." + "a" * JSON_PATH_CHARACTERS, "characters", id="too long"),
        pytest.param("$." + "a" * 10_000_000, "characters", id="far too long"),
    ],
)
def test_refused_paths(text: str, what: str) -> None:
    problem = bounded(lambda: parse_reference(text), seconds=0.5)
    assert isinstance(problem, PathProblem)
    assert what in problem.what
    assert problem.fix


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("$.digest", Found("sha256:ab"), id="a text"),
        pytest.param("$.status.succeeded", Found(1), id="a number"),
        pytest.param("$.result.none", Found(None), id="null is found"),
        pytest.param("$.result", Found(DOCUMENT["result"]), id="an object"),
        pytest.param("$", Found(DOCUMENT), id="the whole document"),
        pytest.param("$.result.items[0]", Found(3), id="the first item"),
        pytest.param("$.result.items[-1]", Found(1), id="the last item"),
        pytest.param("$.result.items[3]", NotFound(), id="an item behind the last"),
        pytest.param("$.result.items[-4]", NotFound(), id="an item before the first"),
        pytest.param("$.result.items.x", NotFound(), id="a name of a list"),
        pytest.param("$.result[0]", NotFound(), id="an index of an object"),
        pytest.param("$.digest.x", NotFound(), id="a name of a text"),
        pytest.param("$.digest[0]", NotFound(), id="an index of a text"),
        pytest.param("$.result['a b']", Found(1), id="a name with a blank"),
        pytest.param("$.metadata.annotations['key:value']", Found("a"), id="a name with a colon"),
        pytest.param("$.metadata.annotations['it\\'s']", Found("b"), id="a name with a quote"),
        pytest.param("$.nope", NotFound(), id="a name that is not there"),
        pytest.param("$.result.items[*]", Ambiguous([3, 2, 1]), id="all items"),
        pytest.param("$.result.items[0:1]", Ambiguous([3]), id="a slice is a list even of one"),
        pytest.param("$.result.items[?@ > 5]", NotFound(), id="a filter that none passes"),
        pytest.param("$.status.conditions[?@.type == 'Complete'].status", Ambiguous(["True"]), id="a filter"),
        pytest.param("$.result.items[?@ == $.status.succeeded]", Ambiguous([1]), id="a filter that reads one member"),
        pytest.param("$..type", Ambiguous(["Complete", "Failed"]), id="a descent"),
    ],
)
def test_reading(text: str, answer: object) -> None:
    assert path(text).read(DOCUMENT) == answer


def test_values_are_only_taken_as_far_as_they_could_be_recorded() -> None:
    """Where reading stops, the text of what was read is already larger than a recorded value may be."""
    answer = path("$[*]").read([1] * 1_000_000)
    assert isinstance(answer, Ambiguous)
    assert len(answer.values) < 20_000
    assert len(render(answer.values)) > PARAMETER_VALUE_BYTES


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a \"b\" 'c'", "a \"b\" 'c'", id="text as it is"),
        pytest.param("", "", id="empty text"),
        pytest.param(None, "", id="null"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param(42, "42", id="an integer"),
        pytest.param(1.75, "1.75", id="a fraction"),
        pytest.param(9007199254740993, "9007199254740993", id="an integer beyond a double"),
        pytest.param(2**70, "1180591620717411303424", id="an integer beyond 64 bits"),
        pytest.param(0.1, "0.1", id="the shortest digits"),
        pytest.param(-0.0, "-0.0", id="minus zero"),
        pytest.param(1e21, "1e+21", id="as JSON prints it"),
        pytest.param({"b": [1, None], "a": "ü"}, '{"b":[1,null],"a":"ü"}', id="an object, in its order, compact"),
        pytest.param([], "[]", id="an empty list"),
        pytest.param("a\ud800b", "a\ufffdb", id="half a surrogate pair in a text"),
        pytest.param({"\udfff": "\ud83d"}, '{"\ufffd":"\ufffd"}', id="half a surrogate pair within"),
        pytest.param("🏴", "🏴", id="beyond the basic plane"),
    ],
)
def test_render(value: Any, text: str) -> None:
    assert render(value) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_is_no_text_is_rendered_as_json_that_reads_back(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        assert json.loads(render(value)) == value


PARTS = [
    "$",
    ".",
    "..",
    "[",
    "]",
    "*",
    "?",
    "@",
    "'a'",
    "a",
    "0",
    ",",
    ":",
    "(",
    ")",
    "{",
    "}",
    "\\",
    "&&",
    "==",
    "step:",
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(PARTS)).map("".join), JSON)
def test_any_text_is_a_path_or_a_problem_and_reading_never_raises(text: str, document: Any) -> None:
    reference = parse_reference(text)
    if isinstance(reference, PathProblem):
        assert reference.what
        assert reference.fix
    else:
        assert isinstance(reference.path.read(document), Found | Ambiguous | NotFound)


# Without control characters: python-jsonpath takes them neither as they are nor escaped.
KEYS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(KEYS | st.integers(0, 2), max_size=6), JSON)
def test_a_path_finds_what_stands_there(keys: list[str | int], value: Any) -> None:
    """Whatever the names are, a path of quoted names and indexes leads to the value that was put there."""
    document = value
    for key in reversed(keys):
        document = {key: document} if isinstance(key, str) else [None] * key + [document]
    text = "$" + "".join(f"[{json.dumps(key)}]" for key in keys)
    assert path(text).read(document) == Found(value)
