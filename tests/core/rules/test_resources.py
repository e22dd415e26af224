"""`resourceTemplates`: claims and ConfigMaps that are there before the first step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.builders import Around, at, claim, flow, pending, refused
from zenflow_core.limits import MESSAGE_CHARACTERS, RESOURCE_REFUSAL_DELAY
from zenflow_core.observation import Made, Refused
from zenflow_core.plan import ResourceRef
from zenflow_core.reasons import (
    FlowCause,
    FlowHold,
    NeedsResource,
    ResourceNameTaken,
    ResourceRefusedUntil,
    ResourceRejected,
)
from zenflow_core.rules.resources import missing, resource_refusals, resources, sent_again_at

DATA, CACHE = claim("data"), claim("cache")
BOTH = ("data", "cache")


@pytest.mark.parametrize(
    ("around", "then"),
    [
        pytest.param(Around(), (), id="none are asked for"),
        pytest.param(Around(resources=BOTH), (DATA, CACHE), id="none are there"),
        pytest.param(Around(resources=BOTH, sightings={DATA: Made("u")}), (CACHE,), id="one is there"),
        pytest.param(Around(resources=BOTH, made=BOTH), (), id="all were made once"),
        pytest.param(Around(resources=BOTH, made=("data",), sightings={CACHE: Made("u")}), (), id="each in its way"),
        pytest.param(
            Around(resources=BOTH, sightings={DATA: refused()}), (DATA, CACHE), id="a refused one is not there"
        ),
    ],
)
def test_missing(around: Around, then: tuple[ResourceRef, ...]) -> None:
    assert missing(pending(around=around).flow) == then


def test_every_step_waits_for_them() -> None:
    held = NeedsResource(("PersistentVolumeClaim data", "PersistentVolumeClaim cache"))
    assert resources(pending(around=Around(resources=BOTH))) == held
    assert resources(pending(around=Around(resources=BOTH, made=BOTH))) is None


TEN = at("10:00:00")
AGAIN = TEN + RESOURCE_REFUSAL_DELAY
CLAIM = "PersistentVolumeClaim data"


@pytest.mark.parametrize(
    ("now", "answer", "then"),
    [
        pytest.param("10:00:00", refused(code=429), ResourceRefusedUntil(AGAIN, CLAIM), id="a refusal for now waits"),
        pytest.param("10:30:00", refused(code=429), None, id="then it is sent again"),
        pytest.param(
            "10:00:00",
            refused(code=422, message="bad"),
            ResourceRejected(TEN, CLAIM, code=422, message="bad"),
            id="for good",
        ),
        pytest.param(
            "10:00:00",
            refused(code=422, message="x" * 600),
            ResourceRejected(TEN, CLAIM, code=422, message="x" * MESSAGE_CHARACTERS),
            id="a long answer is cut",
        ),
        pytest.param(
            "10:00:00",
            refused(code=409, taken_by="nightly-data"),
            ResourceNameTaken(TEN, "PersistentVolumeClaim nightly-data"),
            id="a name that is taken",
        ),
    ],
)
def test_what_refusals_mean(now: str, answer: Refused, then: FlowCause | FlowHold | None) -> None:
    assert resource_refusals(flow(now, resources=("data",), sightings={DATA: answer})) == then


def test_a_refusal_that_was_overtaken_means_nothing() -> None:
    assert resource_refusals(flow("10:00:00", resources=("data",), made=("data",), sightings={DATA: refused()})) is None
    assert resource_refusals(flow("10:00:00", resources=("data",))) is None


def test_the_second_object_is_heard_when_the_first_waits_no_more() -> None:
    answers = {DATA: refused(1, "09:00:00"), CACHE: refused(code=422)}
    assert isinstance(resource_refusals(flow("10:00:00", resources=BOTH, sightings=answers)), ResourceRejected)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        pytest.param(None, RESOURCE_REFUSAL_DELAY, id="nothing said"),
        pytest.param(1, RESOURCE_REFUSAL_DELAY, id="too short"),
        pytest.param(600, timedelta(minutes=10), id="longer is heard"),
        pytest.param(3600, timedelta(hours=1), id="an hour"),
        pytest.param(3601, timedelta(hours=1), id="at most an hour"),
    ],
)
def test_when_it_is_sent_again(retry_after: int | None, pause: timedelta) -> None:
    assert sent_again_at(refused(retry_after=retry_after)) == TEN + pause
