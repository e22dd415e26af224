"""A clock that is not the API server's is noticed by the dates of answers, and told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from structlog.testing import CapturingLogger

from zenflow_runtime.skew import ClockSkew

SERVER = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Ours:
    def __init__(self, ahead: float) -> None:
        self.now = self.exact = SERVER + timedelta(seconds=ahead)


def _seen(ahead: float, monkeypatch: pytest.MonkeyPatch, *dates: str) -> tuple[float, list[Any]]:
    """The skew, and what was logged, after answers that came 10 s apart."""
    times = iter(range(0, 1_000, 10))
    monkeypatch.setattr(anyio, "current_time", lambda: float(next(times)))
    logger = CapturingLogger()
    monkeypatch.setattr("zenflow_runtime.skew.log", logger)
    skew = ClockSkew(Ours(ahead))
    for date in dates:
        skew.saw(date)
    return skew.seconds, [{"log_level": call.method_name, **call.kwargs} for call in logger.calls]


@pytest.mark.parametrize(
    ("ahead", "seconds", "told"),
    [
        pytest.param(0, 0, 0, id="the same"),
        pytest.param(5, 0, 0, id="as far as an answer may be old"),
        pytest.param(6, 6, 1, id="ahead"),
        pytest.param(-300, -300, 1, id="behind by minutes"),
    ],
)
def test_a_skew_is_told_once(ahead: float, seconds: float, told: int, monkeypatch: pytest.MonkeyPatch) -> None:
    date = format_datetime(SERVER, usegmt=True)

    found, logs = _seen(ahead, monkeypatch, date, date, date)

    assert found == seconds
    assert [each["seconds_ahead"] for each in logs] == [seconds] * told


def test_that_the_clocks_agree_again_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    date, later = (format_datetime(SERVER + timedelta(seconds=each), usegmt=True) for each in (0, 60))

    found, logs = _seen(60, monkeypatch, date, later)

    assert found == 0
    assert [each["log_level"] for each in logs] == ["warning", "info"]
    assert "come early" in logs[0]["effect"]
    assert "NTP" in logs[0]["fix"]


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026"])
def test_a_date_that_says_nothing_is_passed_over(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _seen(900, monkeypatch, date) == (0.0, [])
