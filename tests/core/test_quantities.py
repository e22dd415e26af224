"""Quantities: what the API server reads, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.quantities import parse_quantity


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        pytest.param("100m", Fraction(1, 10), id="milli"),
        pytest.param("1", Fraction(1), id="no suffix"),
        pytest.param("1.5Gi", Fraction(3 * 2**29), id="a fraction of a binary unit"),
        pytest.param(".5", Fraction(1, 2), id="no whole"),
        pytest.param("5.", Fraction(5), id="no fraction"),
        pytest.param("-100m", Fraction(-1, 10), id="below zero"),
        pytest.param("+1k", Fraction(1000), id="a plus"),
        pytest.param("1e3", Fraction(1000), id="an exponent"),
        pytest.param("1E-3", Fraction(1, 1000), id="a negative exponent"),
        pytest.param("1E", Fraction(10**18), id="E alone is exa"),
        pytest.param("1Ei", Fraction(2**60), id="exbi"),
        pytest.param("0", Fraction(0), id="zero"),
        pytest.param(2, Fraction(2), id="a JSON integer"),
        pytest.param(0.5, Fraction(1, 2), id="a JSON number"),
        pytest.param("1e999999999", Fraction(10) ** 100, id="a huge exponent is cut, not computed"),
    ],
)
def test_read(value: object, amount: Fraction) -> None:
    assert parse_quantity(value) == amount


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("1 Gi", id="a blank"),
        pytest.param("1GB", id="not a unit of Kubernetes"),
        pytest.param("1K", id="a capital K"),
        pytest.param("m", id="no number"),
        pytest.param("1mi", id="no such binary unit"),
        pytest.param("0x10", id="hexadecimal"),
        pytest.param("1" * 65, id="too long"),
        pytest.param(True, id="a boolean"),
        pytest.param(None, id="null"),
        pytest.param([1], id="a list"),
        pytest.param(float("nan"), id="not a number"),
    ],
)
def test_refused(value: object) -> None:
    assert parse_quantity(value) is None


@given(st.integers(0, 10**12))
def test_a_thousand_milli_are_one(number: int) -> None:
    assert parse_quantity(f"{number}000m") == parse_quantity(str(number))
