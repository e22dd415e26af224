"""`ttlSecondsAfterFinished` of a flow, and of the template of a Job."""

from __future__ import annotations

import pytest

from tests.core.builders import at, ended, flow, gone, job, view
from zenflow_core.observation import Sightings
from zenflow_core.reasons import FlowHold, Hold, JobKeptUntil, KeptUntil, TtlExpired
from zenflow_core.rules.ttl import job_kept, ttl
from zenflow_core.state import StepPhase
from zenflow_core.views import FlowView

ENDED = {"completed": "10:00:00", "ttl": 60}
END = at("10:01:00")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(flow("23:00:00", ttl=60), None, id="a flow that is not over is kept"),
        pytest.param(flow("10:00:59", **ENDED), KeptUntil(END), id="before it is kept until then"),
        pytest.param(flow("10:01:00", **ENDED), TtlExpired(END), id="at it has expired"),
        pytest.param(flow("10:01:01", **ENDED), TtlExpired(END), id="after it had expired at it"),
        pytest.param(flow("10:00:00", completed="10:00:00", ttl=0), TtlExpired(at("10:00:00")), id="0 is at once"),
        pytest.param(flow("10:00:00", completed="10:00:00"), KeptUntil(at("+1d 10:00:00")), id="the default is a day"),
    ],
)
def test_ttl(given: FlowView, then: FlowHold | TtlExpired | None) -> None:
    assert ttl(given) == then


@pytest.mark.parametrize(
    ("seen", "then"),
    [
        pytest.param((), None, id="no Job"),
        pytest.param((job(complete="10:00:00"),), None, id="a Job without a time of its own"),
        pytest.param((job(complete="09:59:00", kept="10:00:59"),), None, id="its time is over"),
        pytest.param((job(complete="10:00:00", kept="10:01:00"),), None, id="its time is over now"),
        pytest.param((job(complete="10:00:01", kept="10:01:01"),), JobKeptUntil(at("10:01:01")), id="wakes at its end"),
        pytest.param(
            (job(1, failed="10:00:01", kept="10:01:01"), job(2, complete="10:00:30", kept="10:01:30")),
            JobKeptUntil(at("10:01:01")),
            id="the first of two",
        ),
        pytest.param(
            (job(1, failed="09:00:01", kept="09:01:01"), job(2, complete="10:00:30", kept="10:01:30")),
            JobKeptUntil(at("10:01:30")),
            id="the second when the first is over",
        ),
        pytest.param(
            (job(complete="10:00:01", kept="10:01:01", deleting=True),),
            None,
            id="one that is being deleted is done with",
        ),
        pytest.param((gone(1, "10:00:00"),), None, id="one that is gone, too"),
    ],
)
def test_job_kept(seen: Sightings, then: Hold | None) -> None:
    assert job_kept(view(ended(StepPhase.SUCCEEDED), now="10:01:00", seen=seen)) == then
