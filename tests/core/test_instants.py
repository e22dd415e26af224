"""Instants: what the API server writes is read back as it was, and nothing else is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.instants import floor_to_second, instant, rfc3339


@pytest.mark.parametrize(
    ("text", "then"),
    [
        pytest.param("2030-01-01T00:00:00Z", datetime(2030, 1, 1, tzinfo=UTC), id="as metav1.Time"),
        pytest.param("2030-01-01T00:00:59.999999Z", datetime(2030, 1, 1, 0, 0, 59, tzinfo=UTC), id="as MicroTime, cut"),
        pytest.param("2030-01-01T00:00:00.123456789Z", datetime(2030, 1, 1, tzinfo=UTC), id="nanoseconds, cut"),
        pytest.param("2030-01-01T00:00:00+00:00", datetime(2030, 1, 1, tzinfo=UTC), id="UTC as an offset"),
        pytest.param("2030-01-01T01:30:00+01:30", datetime(2030, 1, 1, tzinfo=UTC), id="east of Greenwich"),
        pytest.param("2029-12-31T16:00:00-08:00", datetime(2030, 1, 1, tzinfo=UTC), id="west of Greenwich"),
        pytest.param("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC), id="a leap day"),
    ],
)
def test_an_instant_is_read(text: str, then: datetime) -> None:
    found = instant(text)
    assert found == then
    assert found.tzinfo is UTC
    assert found.microsecond == 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("2030-01-01", id="a date"),
        pytest.param("2030-01-01T00:00:00", id="no zone"),
        pytest.param("2030-01-01 00:00:00Z", id="a blank for the T"),
        pytest.param("2030-01-01t00:00:00z", id="small letters"),
        pytest.param("2030-W01-1T00:00:00Z", id="a week date"),
        pytest.param("20300101T000000Z", id="the basic form"),
        pytest.param("2030-01-01T00:00Z", id="no seconds"),
        pytest.param("2030-01-01T00:00:00.Z", id="an empty fraction"),
        pytest.param("2030-01-01T00:00:00Z\n", id="a line end"),
        pytest.param("२०३०-01-01T00:00:00Z", id="digits of another script"),
        pytest.param("2030-02-30T00:00:00Z", id="a day that does not exist"),
        pytest.param("2030-01-01T24:00:00Z", id="hour 24"),
        pytest.param("2016-12-31T23:59:60Z", id="a leap second"),
        pytest.param("0001-01-01T00:00:00+01:00", id="before the year 1"),
        pytest.param("2030-01-01T00:00:00+99:00", id="an offset that does not exist"),
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="found "):
        instant(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_writing_and_reading_an_instant_cuts_it_to_the_second(at: datetime) -> None:
    assert instant(rfc3339(at)) == floor_to_second(at)


def test_an_instant_is_written_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2030, 1, 1, 2, tzinfo=east)) == "2030-01-01T00:00:00Z"
    assert rfc3339(datetime(999, 1, 1, tzinfo=UTC)) == "0999-01-01T00:00:00Z"
    assert floor_to_second(datetime(2030, 1, 1, 2, 0, 0, 999_999, tzinfo=east)) == datetime(2030, 1, 1, tzinfo=UTC)
