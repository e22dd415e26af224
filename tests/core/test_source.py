"""Manifest text becomes the data that kubectl would read, with a position for every path."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core import yaml_places, yaml_reader
from zenflow_core.problems import Position, Problem, below, segments
from zenflow_core.source import Document, load_documents


@pytest.fixture(params=["libyaml", "PyYAML alone"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds with libyaml and without it."""
    if request.param == "PyYAML alone":
        monkeypatch.setattr(yaml_reader, "Parser", yaml.SafeLoader)
        monkeypatch.setattr(yaml_places, "Parser", yaml.SafeLoader)
    else:
        assert yaml_reader.Parser is yaml.CSafeLoader
    return str(request.param)


def documents(text: str | bytes) -> list[Document]:
    found: list[Document] = []
    for each in load_documents(text, file="f.yaml"):
        assert isinstance(each, Document), str(each)
        found.append(each)
    return found


def data(text: str | bytes) -> list[Any]:
    return [document.data for document in documents(text)]


def problems(text: str | bytes) -> list[Problem]:
    found: list[Problem] = []
    for each in load_documents(text, file="f.yaml"):
        assert isinstance(each, Problem), str(each)
        found.append(each)
    return found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("text", "text", id="a word is text"),
        pytest.param("3", 3, id="digits are a number"),
        pytest.param("0", 0, id="zero is a number"),
        pytest.param("-0", 0, id="minus zero is a number"),
        pytest.param("+5", 5, id="a sign may stand before it"),
        pytest.param("1_000", 1000, id="underscores divide digits"),
        pytest.param("0123", 83, id="a leading zero means octal"),
        pytest.param("0o17", 15, id="0o means octal"),
        pytest.param("0x1F", 31, id="0x means hexadecimal"),
        pytest.param("0b101", 5, id="0b means binary"),
        pytest.param("089", 89.0, id="a leading zero before 8 or 9 makes a fraction of it"),
        pytest.param("9223372036854775808", 2**63, id="2 to the 63 still fits"),
        pytest.param("18446744073709551615", 2**64 - 1, id="64 bits are the most"),
        pytest.param("-9223372036854775808", -(2**63), id="and 63 below zero"),
        pytest.param("1.5", 1.5, id="a point makes a fraction"),
        pytest.param("1e3", 1000.0, id="an exponent makes a fraction"),
        pytest.param(".5", 0.5, id="a point may come first"),
        pytest.param(".inf", float("inf"), id="infinity is left to the codec to refuse"),
        pytest.param("1e999", "1e999", id="beyond every float it is text, as to Go"),
        pytest.param("yes", True, id="yes is a boolean"),
        pytest.param("off", False, id="off is a boolean"),
        pytest.param("y", True, id="y is a boolean to kubectl"),
        pytest.param("yEs", "yEs", id="odd capitals make it text"),
        pytest.param("~", None, id="a tilde is null"),
        pytest.param("", None, id="nothing is null"),
        pytest.param("2026-01-02", "2026-01-02", id="a date stays text"),
        pytest.param("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", id="an instant stays text"),
        pytest.param("1:30", "1:30", id="no sexagesimal numbers"),
        pytest.param("1.2.3", "1.2.3", id="a version is text"),
        pytest.param("'3'", "3", id="quotes make text"),
        pytest.param('"yes"', "yes", id="double quotes too"),
        pytest.param("!!str 0123", "0123", id="so does the tag str"),
        pytest.param("!!int '3'", 3, id="the tag int reads a number"),
        pytest.param("!!float 3", 3.0, id="the tag float makes a fraction"),
        pytest.param("!!null ''", None, id="the tag null reads null"),
        pytest.param("<<", "<<", id="the merge sign as a value is text"),
    ],
)
def test_a_scalar_is_what_kubectl_takes_it_for(written: str, read: object, parser: str) -> None:
    (found,) = data(f"a: {written}")
    assert found == {"a": read}
    assert type(found["a"]) is type(read)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}], id="two documents are two values"),
        pytest.param("---\n# nothing\n---\na: 1\n---\n", [{"a": 1}], id="an empty one is none"),
        pytest.param("\ufeffa: 1", [{"a": 1}], id="a byte order mark is passed over"),
        pytest.param(b"\xef\xbb\xbf{}", [{}], id="in bytes too"),
        pytest.param("a: 1\r\nb: 2\r\n", [{"a": 1, "b": 2}], id="line ends of Windows"),
        pytest.param("a: é😀", [{"a": "é😀"}], id="any letter"),
        pytest.param('{"a": [1, 2.5, "x", null, true]}', [{"a": [1, 2.5, "x", None, True]}], id="JSON"),
        pytest.param('{"' + "k" * 2000 + '": 1}', [{"k" * 2000: 1}], id="JSON with a key too long for YAML"),
        pytest.param('{"a": "\\ud83d\\ude00"}', [{"a": "😀"}], id="JSON with a surrogate pair"),
        pytest.param('{"a":\t{"b":\t1}}', [{"a": {"b": 1}}], id="JSON indented by tabs"),
        pytest.param("{a: 1, b: [x, k: z]}", [{"a": 1, "b": ["x", {"k": "z"}]}], id="braces without quotes"),
        pytest.param("8080: web", [{"8080": "web"}], id="a whole number as a key is its text"),
        pytest.param("a: &x {b: 1}\nc: *x", [{"a": {"b": 1}, "c": {"b": 1}}], id="an alias is what it names"),
        pytest.param("a: &x 1\nb: &x 2\nc: *x", [{"a": 1, "b": 2, "c": 2}], id="an anchor may be set again"),
        pytest.param("a: &k name\n*k : 1", [{"a": "name", "name": 1}], id="an alias of text can be a key"),
        pytest.param(
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}",
            [{"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}],
            id="own entries win over merged ones",
        ),
        pytest.param(
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc:\n  <<: [*x, *y]",
            [{"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}}],
            id="of merged ones the first wins",
        ),
        pytest.param("'<<': 1", [{"<<": 1}], id="quoted it is a key like any other"),
    ],
)
def test_documents(text: str | bytes, read: list[object], parser: str) -> None:
    assert data(text) == read


MANIFEST = """\
kind: JobFlow
metadata:
  labels: {team.io/name: a}
spec:
  steps:
  - name: build
    common: &common
      cpu: 1
  - name: test
    dependencies: [build,
      lint]
    resources:
      <<: *common
      memory: 2
    more: *common
---
kind: Second
"""


@pytest.mark.parametrize(
    ("document", "path", "line", "column"),
    [
        pytest.param(0, "", 1, 1, id="the document begins where it begins"),
        pytest.param(0, "spec", 4, 1, id="an entry is where its key stands"),
        pytest.param(0, "spec.steps[1]", 9, 5, id="an item is where it begins"),
        pytest.param(0, "spec.steps[1].dependencies[1]", 11, 7, id="also on a line of its own"),
        pytest.param(0, 'metadata.labels["team.io/name"]', 3, 12, id="a quoted key"),
        pytest.param(0, "spec.steps[1].retryPolicy", 9, 5, id="what is missing is at what lacks it"),
        pytest.param(0, "spec.steps[7].name", 5, 3, id="beyond the end is at the list"),
        pytest.param(0, "spec.steps[1].resources.cpu", 8, 7, id="a merged entry is where it was written"),
        pytest.param(0, "spec.steps[1].resources.memory", 14, 7, id="an own entry is where it is"),
        pytest.param(0, "spec.steps[1].more.cpu", 8, 7, id="inside an alias is inside its anchor"),
        pytest.param(0, "spec.steps[1].more", 15, 5, id="an alias itself is where it is used"),
        pytest.param(1, "kind", 17, 1, id="the second document has its own places"),
        pytest.param(0, "not a path", 1, 1, id="what is no path is the document"),
    ],
)
def test_position(document: int, path: str, line: int, column: int, parser: str) -> None:
    assert documents(MANIFEST)[document].position(path) == Position("f.yaml", line, column)


def test_an_own_entry_is_where_it_is_and_not_where_a_merged_one_was(parser: str) -> None:
    (document,) = documents("a: &x {p: 1}\nb:\n  <<: *x\n  p: 2")
    assert document.position("b.p") == Position("f.yaml", 4, 3)


def test_problems_are_placed_in_the_order_of_the_file() -> None:
    (document, _) = documents(MANIFEST)
    placed = document.placed([Problem("spec.steps[1].name", "b", "x"), Problem("spec.steps[0].name", "a", "x")])
    assert [str(each) for each in placed] == [
        "f.yaml:6:5: spec.steps[0].name: a\n  fix: x",
        "f.yaml:9:5: spec.steps[1].name: b\n  fix: x",
    ]


def test_json_has_positions_too() -> None:
    (document,) = documents('{"spec": {\n  "steps": [1, 2]}}')
    assert document.position("spec.steps[1]") == Position("f.yaml", 2, 16)


def test_json_that_yaml_cannot_read_has_no_positions() -> None:
    (document,) = documents('{"a": "\\ud83d\\ude00"}')
    assert document.position("a") is None


@pytest.mark.parametrize(
    ("text", "rule", "line", "column", "what"),
    [
        # Structure
        pytest.param("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "ZF002", 5, 3, "in line 3 and in line 5", id="key twice"),
        pytest.param('{"a": 1,\n "a": 2}', "ZF002", 2, 2, "in line 1 and in line 2", id="key twice in JSON"),
        pytest.param("yes: 1", "ZF006", 1, 1, "the boolean true", id="a boolean as key"),
        pytest.param("0123: 1", "ZF006", 1, 1, "'0123' unquoted", id="an octal number as key"),
        pytest.param("a:\n  1.5: x", "ZF006", 2, 3, "a number", id="a fraction as key"),
        pytest.param("~: 1", "ZF006", 1, 1, "null", id="null as key"),
        pytest.param("a:\n  ? [b]\n  : c", "ZF006", 2, 5, "stands where a key is expected", id="a list as key"),
        pytest.param("when: {{ .x }}", "ZF006", 1, 8, "stands where a key is expected", id="braces of a template"),
        pytest.param(
            "a: !!python/object:os.system x", "ZF005", 1, 4, "'!!python/object:os.system'", id="tag of Python"
        ),
        pytest.param("a: !!binary aGk=", "ZF005", 1, 4, "'!!binary'", id="binary tag"),
        pytest.param("a: !!timestamp 2026-01-01", "ZF005", 1, 4, "'!!timestamp'", id="timestamp tag"),
        pytest.param("a: !!set {b}", "ZF005", 1, 4, "'!!set'", id="tag of a collection"),
        pytest.param("a: !!int x", "ZF005", 1, 4, "'!!int' does not fit", id="tag that does not fit"),
        pytest.param("a: !own x", "ZF005", 1, 4, "'!own'", id="somebody's own tag"),
        pytest.param("a: *b", "ZF007", 1, 4, "no anchor above it", id="alias of nothing"),
        pytest.param("a: &b [*b]", "ZF007", 1, 8, "what it is part of", id="alias of itself"),
        pytest.param("a: {<<: 1}", "ZF007", 1, 10, "takes a mapping", id="merging a number"),
        pytest.param("- a\n- b", "ZF008", 1, 1, "a list, not a mapping", id="a list as document"),
        pytest.param("just text", "ZF008", 1, 1, "a single value, not a mapping", id="text as document"),
        pytest.param("a: 1\n---\n3", "ZF008", 2, 1, "a single value", id="a number as second document"),
        pytest.param("", "ZF008", 1, 1, "the file is empty", id="empty file"),
        pytest.param("# hi\n---\n", "ZF008", 1, 1, "no document in it", id="comments only"),
        pytest.param("a: 18446744073709551616", "ZF105", 1, 4, "more than 64 bits", id="one beyond 64 bits"),
        # Encoding
        pytest.param(b"a: \xff", "ZF003", 1, 4, "byte 0xff is not UTF-8", id="not UTF-8"),
        pytest.param("a: 1".encode("utf-16"), "ZF003", 1, 1, "it is UTF-16", id="UTF-16"),
        pytest.param("a: 1\nb: \0", "ZF003", 2, 4, "U+0000", id="NUL"),
        pytest.param("a: \x1b[0m", "ZF003", 1, 4, "U+001B", id="colours of a terminal"),
        pytest.param("a: 1\nb: \ud800", "ZF003", 2, 4, "half a surrogate pair", id="half a surrogate pair"),
        # Syntax
        pytest.param("a:\n\tb: 1", "ZF001", 2, 1, "a tab indents", id="tab"),
        pytest.param("a:\n  b: 1\n\tc: 2", "ZF001", 3, 1, "a tab indents", id="tab after spaces"),
        pytest.param("m:\n  name x\n  b: y", "ZF001", 2, 3, "'name x' is no 'key: value'", id="colon missing"),
        pytest.param("a: 1\nb:2\nc: 3", "ZF001", 2, 1, "'b:2' is no 'key: value'", id="space after colon missing"),
        pytest.param("msg: Build: now", "ZF001", 1, 11, "the value of 'msg' has a ': ' in it", id="colon in a value"),
        pytest.param("a:\n  b: 1\n c: 2", "ZF001", 3, 2, "is indented by 1", id="indented too little"),
        pytest.param("a:\n  b: 1\n    c: 2", "ZF001", 3, 6, "indented deeper than line 2", id="indented too much"),
        pytest.param("s:\n- name: a\n   x: y", "ZF001", 3, 5, "indented deeper than line 2", id="too much in a list"),
        pytest.param("a:\n  - b\n  c: d", "ZF001", 3, 3, "among the items of the list of line 2", id="no dash"),
        pytest.param("a: [1, 2\nb: 3", "ZF001", 2, 2, "the '[' of line 1 is not closed", id="bracket left open"),
        pytest.param("a: {b: 1", "ZF001", 1, 4, "the '{' that opens here is never closed", id="brace left open"),
        pytest.param('a: 1\nb: "c\nd: e', "ZF001", 2, 4, "never closed", id="quote left open"),
        pytest.param("a: 'it's'", "ZF001", 1, 8, "where the value has ended", id="quote within quotes"),
        pytest.param("a: @b", "ZF001", 1, 4, "cannot begin with '@'", id="reserved character"),
        pytest.param("a: {{ b }} c", "ZF006", 1, 5, "stands where a key is expected", id="braces, then text"),
        pytest.param("a: - b", "ZF001", 1, 4, "on the line of its key", id="list on the line of its key"),
        pytest.param("a: *.txt", "ZF001", 1, 5, "read as a reference", id="star"),
        pytest.param("a: | x", "ZF001", 1, 6, "text follows '|'", id="text after the bar"),
        pytest.param('{"a": 1}}', "ZF001", 1, 9, "the end of the document", id="one brace too many"),
        pytest.param("--- a: 1", "ZF001", 1, 6, "on the line of '---'", id="mapping on the line of dashes"),
        pytest.param("a: !e!x 1", "ZF001", 1, 4, "read as a tag", id="tag without a handle"),
        pytest.param("%YAML 3.0\n---\na: 1", "ZF001", 1, 1, "a directive", id="another YAML"),
        pytest.param("k" * 1100 + ": 1", "ZF001", 1, 1101, "longer than 1,024", id="a key beyond every sense"),
    ],
)
def test_a_problem_says_where_and_what(
    text: str | bytes, rule: str, line: int, column: int, what: str, parser: str
) -> None:
    (problem, *_) = problems(text)
    assert (problem.rule, problem.position) == (rule, Position("f.yaml", line, column))
    assert what in problem.what
    assert problem.title
    assert problem.fix


def test_the_structure_is_judged_to_its_end() -> None:
    found = problems("yes: 1\na: !own x\nb: 1\nb: 2\n---\n- 1")
    assert [(each.rule, each.path) for each in found] == [
        ("ZF006", ""),
        ("ZF005", "a"),
        ("ZF002", "b"),
        ("ZF008", ""),
    ]


def test_an_escaped_half_surrogate_is_refused(parser: str) -> None:
    for text in ('{"a": "\\ud800"}', 'a: "\\ud800"'):
        (problem,) = problems(text)
        assert problem.rule in ("ZF001", "ZF003")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("spec.steps[2].name", ("spec", "steps", 2, "name"), id="words and an index"),
        pytest.param('a["b.c/d"].e', ("a", "b.c/d", "e"), id="a quoted key"),
        pytest.param('["a\\"]"]', ('a"]',), id="a quote in a key"),
        pytest.param("", (), id="the whole document"),
        pytest.param("a[", None, id="no path"),
    ],
)
def test_segments(path: str, found: tuple[str | int, ...] | None) -> None:
    assert segments(path) == found


@given(st.lists(st.text(max_size=100) | st.integers(0, 99), max_size=5))
def test_segments_are_what_below_was_given(keys: list[str | int]) -> None:
    path = ""
    for key in keys:
        path = below(path, key)
    assert segments(path) == tuple(keys)


def objects(text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    values = st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=20,
    )
    return st.dictionaries(text, values, max_size=4)


class _Quoting(yaml.SafeDumper):
    """Writes all text in quotes: what text needs them is another reader's opinion."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(objects(st.text(max_size=20)))
def test_what_is_written_as_json_or_yaml_is_read_back(value: dict[str, Any]) -> None:
    assert data(json.dumps(value)) == [value]
    assert data(yaml.dump(value, Dumper=_Quoting, allow_unicode=True)) == [value]


@given(objects(st.text(st.characters(exclude_categories=["C"]), max_size=20)))
def test_json_read_as_yaml_is_the_same(value: dict[str, Any]) -> None:
    assert data("---\n" + json.dumps(value, ensure_ascii=False)) == [value]


@given(st.text() | st.binary() | st.text("ab:-?[]{}&*!|>'\"%@#,<~01.\\ \t\n\r"))
def test_whatever_the_text_the_answer_is_documents_or_problems(text: str | bytes) -> None:
    read = load_documents(text, file="f")
    assert read
    assert {type(each) for each in read} in ({Document}, {Problem})
    for each in read:
        str(each)
        if isinstance(each, Document):
            json.dumps(each.data)
            assert each.position("a.b[0]")
        else:
            assert each.position
