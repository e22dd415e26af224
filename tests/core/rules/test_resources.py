"""`resourceTemplates`: claims and ConfigMaps that are there before the first step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.builders import Around, at, claim, flow, pending, refused
from zenflow_core.limits import HELD_STEPS_NAMED, MESSAGE_CHARACTERS, RESOURCE_REFUSAL_DELAY
from zenflow_core.observation import Made, Refused
from zenflow_core.owed import ensured_resources
from zenflow_core.plan import ResourceRef
from zenflow_core.reasons import (
    FlowCause,
    FlowHold,
    NeedsResource,
    ResourceNameTaken,
    ResourceRefusedUntil,
    ResourceRejected,
    Stopped,
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


def test_every_row_says_so_but_names_only_a_few() -> None:
    names = [f"c{n}" for n in range(HELD_STEPS_NAMED + 2)]
    held = resources(pending(around=Around(resources=tuple(names))))
    assert held == NeedsResource((*(f"PersistentVolumeClaim {n}" for n in names[:HELD_STEPS_NAMED]), "2 more"))
    assert resources(pending(around=Around(resources=tuple(names[:HELD_STEPS_NAMED])))) == NeedsResource(
        held.names[:-1]
    )


TEN = at("10:00:00")
AGAIN = TEN + RESOURCE_REFUSAL_DELAY
CLAIM = "PersistentVolumeClaim data"


@pytest.mark.parametrize(
    ("now", "answer", "then"),
    [
        pytest.param("10:00:00", refused(code=429), ResourceRefusedUntil(AGAIN, CLAIM), id="a refusal for now waits"),
        pytest.param("10:00:09", refused(code=429), ResourceRefusedUntil(AGAIN, CLAIM), id="until the second before"),
        pytest.param("10:00:10", refused(code=429), None, id="then it is sent again"),
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
    ("answers", "then"),
    [
        pytest.param(
            {DATA: refused(), CACHE: refused(code=422)},
            ResourceRejected(TEN, "PersistentVolumeClaim cache", code=422),
            id="a refusal for good is heard while another waits",
        ),
        pytest.param(
            {CACHE: refused(code=422)},
            ResourceRejected(TEN, "PersistentVolumeClaim cache", code=422),
            id="or while nothing is known of another",
        ),
        pytest.param(
            {DATA: refused(), CACHE: refused(code=409, taken_by="nightly-cache")},
            ResourceNameTaken(TEN, "PersistentVolumeClaim nightly-cache"),
            id="so is a name that is taken",
        ),
        pytest.param(
            {DATA: refused(retry_after=60), CACHE: refused(retry_after=30)},
            ResourceRefusedUntil(at("10:00:30"), "PersistentVolumeClaim cache"),
            id="of two that wait, the first to be sent again",
        ),
        pytest.param(
            {DATA: refused(code=403, causes=("NamespaceTerminating",))},
            None,
            id="in a namespace that is going there is nothing to wake for",
        ),
        pytest.param(
            {DATA: refused(code=409)},
            ResourceRefusedUntil(AGAIN, CLAIM),
            id="a name that was taken and is free again",
        ),
    ],
)
def test_what_two_refusals_mean(answers: dict[ResourceRef, Refused], then: FlowCause | FlowHold | None) -> None:
    assert resource_refusals(flow("10:00:00", resources=BOTH, sightings=answers)) == then


@pytest.mark.parametrize(
    ("around", "then"),
    [
        pytest.param(Around(resources=BOTH), ["nightly-data", "nightly-cache"], id="all that are missing"),
        pytest.param(Around(resources=BOTH, made=("data",)), ["nightly-cache"], id="not what was made once"),
        pytest.param(Around(resources=BOTH, started=None), [], id="not before the start"),
        pytest.param(Around(resources=BOTH, completed="10:00:00"), [], id="not after the end"),
        pytest.param(Around(resources=BOTH, ended=Stopped(TEN)), [], id="not for a flow that was ended"),
        pytest.param(Around(resources=BOTH, deleting="10:00:00"), [], id="not for one that is being deleted"),
        pytest.param(
            Around(resources=BOTH, sightings={DATA: refused(when="09:59:51")}), ["nightly-cache"], id="not too early"
        ),
        pytest.param(
            Around(resources=BOTH, sightings={DATA: refused(when="09:59:50")}),
            ["nightly-data", "nightly-cache"],
            id="again at that instant",
        ),
        pytest.param(
            Around(resources=BOTH, sightings={DATA: refused(code=403, causes=("NamespaceTerminating",), when="01:00")}),
            ["nightly-cache"],
            id="never again in a namespace that is going",
        ),
    ],
)
def test_what_is_made(around: Around, then: list[str]) -> None:
    assert [action.name for action in ensured_resources(pending(around=around).flow)] == then


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
