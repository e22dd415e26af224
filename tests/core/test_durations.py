"""Durations: what Go reads, we read; what Go prints, we print."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.durations import MalformedDuration, format_duration, parse_duration
from zenflow_core.limits import INT64_MAX


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("30s", timedelta(seconds=30), id="seconds"),
        pytest.param("5m", timedelta(minutes=5), id="minutes"),
        pytest.param("2h", timedelta(hours=2), id="hours"),
        pytest.param("1h15m30.918273645s", timedelta(hours=1, minutes=15, seconds=30, microseconds=918274), id="mixed"),
        pytest.param("1m1m", timedelta(minutes=2), id="a unit twice adds up"),
        pytest.param("1s1h", timedelta(hours=1, seconds=1), id="units in any order"),
        pytest.param("1.5h", timedelta(minutes=90), id="a fraction"),
        pytest.param(".5s", timedelta(milliseconds=500), id="a fraction without a whole"),
        pytest.param("5.s", timedelta(seconds=5), id="a dot without a fraction"),
        pytest.param("300ms", timedelta(milliseconds=300), id="milliseconds"),
        pytest.param("7us", timedelta(microseconds=7), id="microseconds in ASCII"),
        pytest.param("7\u00b5s", timedelta(microseconds=7), id="microseconds with the micro sign"),
        pytest.param("7\u03bcs", timedelta(microseconds=7), id="microseconds with the Greek letter"),
        pytest.param("1ns", timedelta(microseconds=1), id="what is above zero stays above zero"),
        pytest.param("1001ns", timedelta(microseconds=2), id="cut to microseconds upwards"),
        pytest.param("0", timedelta(0), id="zero needs no unit"),
        pytest.param("-0", timedelta(0), id="nor does minus zero"),
        pytest.param("0s", timedelta(0), id="zero with a unit"),
        pytest.param("-5s", timedelta(seconds=-5), id="a minus"),
        pytest.param("+5s", timedelta(seconds=5), id="a plus"),
        pytest.param("9223372036854775807ns", timedelta(microseconds=9223372036854776), id="the longest that Go has"),
        pytest.param("720h", timedelta(days=30), id="thirty days"),
    ],
)
def test_read(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        pytest.param("", "is not a duration", "30s", id="the empty string"),
        pytest.param("invalid", "no number before", "30s", id="a word"),
        pytest.param("30", "has no unit", "30s", id="a number alone"),
        pytest.param("1h30", "'30' has no unit", "30s", id="the last unit is missing"),
        pytest.param("31d", "'d' is not a unit of time", '"48h" for two days', id="days are no unit"),
        pytest.param("5 s", "' s' is not a unit", "30s", id="a blank before the unit"),
        pytest.param("-", "is not a duration", "30s", id="a sign alone"),
        pytest.param(".s", "no number before 's'", "30s", id="a dot alone"),
        pytest.param("--5s", "is not a duration", "30s", id="two signs"),
        pytest.param("5S", "'S' is not a unit", "30s", id="a capital unit"),
        pytest.param("9223372036854775808ns", "longer than 292 years", "shorter", id="one more than Go has"),
        pytest.param("9" * 100 + "h", "longer than 292 years", "shorter", id="far more than Go has"),
        pytest.param("9" * 5000 + "h", "is not a duration", "30s", id="text that nobody means"),
        pytest.param("\u0663s", "is not a duration", "30s", id="digits of another script"),
    ],
)
def test_refused_with_a_fix(text: str, what: str, fix: str) -> None:
    found = parse_duration(text)
    assert isinstance(found, MalformedDuration)
    assert what in found.what
    assert fix in found.fix


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(timedelta(0), "0s", id="zero"),
        pytest.param(timedelta(seconds=90), "1m30s", id="minutes and seconds"),
        pytest.param(timedelta(hours=720), "720h0m0s", id="hours are not turned into days"),
        pytest.param(timedelta(milliseconds=1500), "1.5s", id="a fraction of a second"),
        pytest.param(timedelta(microseconds=1500), "1.5ms", id="below a second"),
        pytest.param(timedelta(microseconds=7), "7µs", id="below a millisecond"),
        pytest.param(timedelta(seconds=-90), "-1m30s", id="negative"),
    ],
)
def test_written_as_go_prints_it(value: timedelta, text: str) -> None:
    assert format_duration(value) == text


@given(st.timedeltas(timedelta(microseconds=-INT64_MAX // 1000), timedelta(microseconds=INT64_MAX // 1000)))
def test_what_is_printed_is_read_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.text(st.sampled_from("0123456789.+-hmsuµn d"), max_size=20))
def test_total_on_any_text(text: str) -> None:
    found = parse_duration(text)
    assert isinstance(found, timedelta) or (found.what and found.fix)
