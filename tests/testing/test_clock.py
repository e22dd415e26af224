from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from zenflow_testing.clock import SkewedClock, VirtualClock, instant_of, timestamp


def at(text: str) -> datetime:
    return instant_of(f"2026-01-01T{text}Z")


def test_a_clock_starts_at_the_epoch_of_simulations() -> None:
    assert VirtualClock().now == datetime(2026, 1, 1, tzinfo=UTC)


def test_now_is_cut_to_the_second_but_fractions_are_not_lost() -> None:
    clock = VirtualClock()
    clock.advance(0.6)
    assert clock.now == at("00:00:00")
    clock.advance(0.6)
    assert clock.now == at("00:00:01")
    assert clock.exact == at("00:00:01") + timedelta(seconds=0.2)


def test_now_is_utc_whatever_zone_the_start_was_in() -> None:
    clock = VirtualClock(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now == at("00:00:00")
    assert clock.now.tzinfo is UTC


def test_the_present_instant_may_be_advanced_to() -> None:
    clock = VirtualClock(at("00:00:10"))
    clock.advance_to(at("00:00:10"))
    assert clock.now == at("00:00:10")


@pytest.mark.parametrize("seconds", [-1, -0.001], ids=["a second back", "a little back"])
def test_time_never_goes_back(seconds: float) -> None:
    clock = VirtualClock()
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(seconds)
    assert clock.now == at("00:00:00")


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(datetime(2026, 1, 1))


def test_a_jump_of_one_process_leaves_true_time_alone() -> None:
    clock = VirtualClock(at("01:00:00"))
    own = SkewedClock(clock)
    own.jump(-600)
    assert own.now == at("00:50:00")
    assert clock.now == at("01:00:00")
    own.jump(1200)
    clock.advance(5)
    assert own.now == at("01:10:05")


def test_a_wake_in_own_terms_is_due_when_the_own_clock_shows_it() -> None:
    clock = VirtualClock(at("01:00:00"))
    own = SkewedClock(clock)
    own.jump(60)
    clock.advance_to(own.true_instant(at("01:10:00")))
    assert own.now == at("01:10:00")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2026-01-01T00:00:01Z", at("00:00:01"), id="whole seconds"),
        pytest.param("2026-01-01T00:00:01.999999Z", at("00:00:01"), id="MicroTime is cut"),
        pytest.param("2026-01-01T02:00:01+02:00", at("00:00:01"), id="another zone"),
    ],
)
def test_timestamps_are_read_as_utc_seconds(text: str, instant: datetime) -> None:
    assert instant_of(text) == instant


def test_a_timestamp_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="names no time zone"):
        instant_of("2026-01-01T00:00:00")


def test_a_timestamp_read_back_is_the_same_instant() -> None:
    assert instant_of(timestamp(at("12:34:56"))) == at("12:34:56")
    assert timestamp(at("12:34:56")) == "2026-01-01T12:34:56Z"
