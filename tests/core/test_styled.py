"""Texts in columns, and what a terminal must never be told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.families import families, told
from zenflow_core.styled import Span, Style, brief, cells, cut, line, padded, plain, visible


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "0s", id="nothing"),
        pytest.param(59, "59s", id="below a minute"),
        pytest.param(60, "1m", id="a whole minute has no seconds"),
        pytest.param(61, "1m01s", id="a minute and a second"),
        pytest.param(3600, "1h", id="a whole hour"),
        pytest.param(3605, "1h00m05s", id="zeros in the middle stay"),
        pytest.param(172_800, "48h", id="days are hours"),
        pytest.param(-90, "-1m30s", id="before"),
    ],
)
def test_brief(seconds: int, text: str) -> None:
    assert brief(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain ✔ ü", "plain ✔ ü", id="what can be seen stays"),
        pytest.param("\x1b[2Jgone", "\\x1b[2Jgone", id="an escape cannot clear the screen"),
        pytest.param("a\nb\tc\r", "a\\nb\\tc\\r", id="one line stays one line"),
        pytest.param("\u202egnp.exe", "\\u202egnp.exe", id="text cannot be turned round"),
        pytest.param("\x9b31m", "\\x9b31m", id="nor by the eight-bit escape"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(), st.integers(1, 30))
def test_cut_never_takes_more_than_its_columns(text: str, width: int) -> None:
    assert cells(cut(text, width)) <= width
    if cells(text) <= width:
        assert cut(text, width) == text
        assert cells(padded(text, width)) == width


def test_wide_characters_take_two_columns() -> None:
    assert (cells("日本"), cells("e\u0301")) == (4, 1)
    assert cut("日本語", 4) == "日…"


def test_plain_forgets_colours_and_blanks_at_the_end() -> None:
    assert plain([line(Span("a", Style.BAD), " b  "), (), line("c\n")]) == "a b\n\nc\\n\n"


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        pytest.param("a b c d", ["a", "b", "c", "d"], id="different names stay alone"),
        pytest.param("s1 s2 s3", ["s1", "s2", "s3"], id="three are no family"),
        pytest.param("s1 a s2 s3 s4", ["s1 s2 s3 s4", "a"], id="four are, where the first one stood"),
        pytest.param("s-1-x s-2-x s-3-x s-4-y", ["s-1-x", "s-2-x", "s-3-x", "s-4-y"], id="the rest has to be equal"),
    ],
)
def test_families(names: str, groups: list[str]) -> None:
    found = families(((), name, name) for name in names.split())
    assert [" ".join(members) for members in found] == groups


@pytest.mark.parametrize(
    ("names", "text"),
    [
        pytest.param(
            ["a-very-long-name-of-a-step"], "a-very-long-name-of-a-step", id="one is told whatever its length"
        ),
        pytest.param(["a", "b", "c"], "a, b, c", id="what fits is listed"),
        pytest.param(["shard-0", "shard-1", "shard-2"], "shard-0 … shard-2 (3 steps)", id="else first, last and count"),
    ],
)
def test_told(names: list[str], text: str) -> None:
    assert told(names, width=20) == text
