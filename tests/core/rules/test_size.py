"""A status that the API server refuses as too large."""

from __future__ import annotations

from tests.core.builders import at, flow
from zenflow_core.reasons import StatusTooLarge
from zenflow_core.rules.size import status_size


def test_a_status_that_was_refused_ends_the_flow() -> None:
    assert status_size(flow("10:05:00", status_refused="10:04:59")) == StatusTooLarge(at("10:04:59"))


def test_any_other_status_does_not() -> None:
    assert status_size(flow("10:05:00")) is None
