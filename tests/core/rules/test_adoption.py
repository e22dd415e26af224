"""A Job of ours for the next attempt is there already."""

from __future__ import annotations

import pytest

from tests.core.builders import at, gone, job, pending, refused
from zenflow_core.reasons import Adopted
from zenflow_core.rules.adoption import adoption
from zenflow_core.views import StepView


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="nothing is seen"),
        pytest.param(pending(seen=job(1, "09:59:58")), Adopted(1, at("09:59:58")), id="the first attempt's is taken"),
        pytest.param(pending(attempt=1, seen=job(1)), None, id="the failed attempt's own is not"),
        pytest.param(
            pending(attempt=1, seen=(job(1, failed="09:59:00"), job(2, "09:59:30"))),
            Adopted(2, at("09:59:30")),
            id="the next attempt's is",
        ),
        pytest.param(pending(attempt=1, seen=job(3)), None, id="one further on is not"),
        pytest.param(
            pending(seen=job(1, "09:58:00", complete="09:59:00")), Adopted(1, at("09:58:00")), id="even if it is over"
        ),
        pytest.param(pending(seen=gone(1, "09:59:00")), None, id="one that is gone is not"),
        pytest.param(pending(seen=refused(1)), None, id="a refused one is not"),
        pytest.param(pending(seen=job(1), manual=True), None, id="one that says it is of a Manual step is not"),
    ],
)
def test_adoption(given: StepView, then: Adopted | None) -> None:
    assert adoption(given) == then
