"""Rows behave as the tuple of their values does, whatever is changed in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.rows import Rows

sizes = st.sampled_from((0, 1, 63, 64, 65, 127, 128, 129, 200))


@given(sizes)
def test_rows_are_the_sequence_of_their_values(size: int) -> None:
    values = tuple(range(size))
    rows = Rows(values)
    assert tuple(rows) == values
    assert len(rows) == size
    assert [rows[i] for i in range(size)] == list(values)
    assert [rows[i - size] for i in range(size)] == list(values)
    assert rows == Rows(values)
    assert hash(rows) == hash(Rows(values))
    assert hash(rows) != hash(Rows((*values, 0)))
    assert repr(rows) == f"Rows({list(values)!r})"
    assert rows[3:70] == values[3:70]
    assert rows[:-5] == values[:-5]


@given(sizes, st.data())
def test_a_changed_copy_leaves_the_rows_as_they_were(size: int, data: st.DataObject) -> None:
    values = list(range(size))
    rows = Rows(values)
    draft = rows.edit()
    changed = list(values)
    for at in data.draw(st.lists(st.integers(0, size - 1), max_size=20)) if size else []:
        draft[at] = changed[at] = -at
        assert draft[at] == -at
    assert list(draft) == changed
    assert len(draft) == size
    assert draft.many(range(0, size, 7)) == tuple(changed[::7])
    frozen = draft.freeze()
    assert frozen == Rows(changed)
    assert rows == Rows(values)
    assert list(rows) == values


def test_what_did_not_change_is_shared() -> None:
    rows = Rows(range(200))
    draft = rows.edit()
    draft[70] = 0
    changed = draft.freeze()
    assert [a is b for a, b in zip(rows._chunks, changed._chunks, strict=True)] == [True, False, True, True]
    assert rows.edit().freeze() == rows


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        pytest.param(Rows((1, 2, 3)), True, id="the same values"),
        pytest.param(Rows((1, 2)), False, id="fewer"),
        pytest.param(Rows((1, 2, 4)), False, id="another"),
        pytest.param((1, 2, 3), False, id="a tuple is no rows"),
    ],
)
def test_equality(other: object, equal: bool) -> None:
    assert (Rows((1, 2, 3)) == other) is equal


def test_out_of_range_is_an_error() -> None:
    with pytest.raises(IndexError):
        Rows((1,))[64]
