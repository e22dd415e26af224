"""Creates that the API server refused: for good, for now, or because the namespace is going."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.builders import at, pending, refused, running
from zenflow_core.limits import MESSAGE_CHARACTERS
from zenflow_core.observation import Refused
from zenflow_core.reasons import (
    Cause,
    Hold,
    JobLost,
    JobNameTaken,
    JobRefused,
    JobRejected,
    NamespaceGoing,
    NamespaceTerminating,
    RefusedUntil,
)
from zenflow_core.rules.refused import refusal
from zenflow_core.rules.refused import refused as rule
from zenflow_core.views import StepView

TEN = at("10:00:00")


def again(seconds: int, code: int, message: str = "") -> JobRefused:
    return JobRefused(TEN, TEN + timedelta(seconds=seconds), code, message)


DENIED = 'admission webhook "p" denied the request: no'
LARGE = "rpc error: request is too large"


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        pytest.param(refused(code=400, message="bad"), JobRejected(TEN, 400, "bad"), id="400 is for good"),
        pytest.param(refused(code=413), JobRejected(TEN, 413), id="413 is for good"),
        pytest.param(refused(code=422, message="bad"), JobRejected(TEN, 422, "bad"), id="422 is for good"),
        pytest.param(refused(code=500, message=LARGE), JobRejected(TEN, 500, LARGE), id="500 too large is for good"),
        pytest.param(refused(code=500, message="etcd"), again(1, 500, "etcd"), id="any other 500 is for now"),
        pytest.param(refused(code=403, message=DENIED), JobRejected(TEN, 403, DENIED), id="403 denied is for good"),
        pytest.param(
            refused(code=403, message="exceeded quota: q"),
            again(1, 403, "exceeded quota: q"),
            id="403 quota is for now",
        ),
        pytest.param(refused(code=500, message=DENIED), again(1, 500, DENIED), id="the words alone are no denial"),
        pytest.param(refused(code=422, message=LARGE), JobRejected(TEN, 422, LARGE), id="422 whatever it says"),
        pytest.param(refused(code=429), again(1, 429), id="429 is for now"),
        pytest.param(refused(code=404), again(1, 404), id="404 is for now"),
        pytest.param(refused(code=503), again(1, 503), id="503 is for now"),
        pytest.param(refused(code=504), again(1, 504), id="a timeout is for now"),
        pytest.param(
            refused(code=403, causes=("NamespaceTerminating",), message="is being terminated"),
            NamespaceTerminating(TEN),
            id="403 with cause NamespaceTerminating",
        ),
        pytest.param(
            refused(code=403, message="NamespaceTerminating"),
            again(1, 403, "NamespaceTerminating"),
            id="the words alone are no cause",
        ),
        pytest.param(
            refused(code=403, causes=("NamespaceTerminating",), message=DENIED),
            NamespaceTerminating(TEN),
            id="a namespace that is going is no rejection",
        ),
        pytest.param(
            refused(code=409, taken_by="nightly-build"), JobNameTaken(TEN, "nightly-build"), id="a name that is taken"
        ),
        pytest.param(refused(code=409), again(1, 409), id="any other conflict is for now"),
    ],
)
def test_what_an_answer_means(answer: Refused, then: Cause) -> None:
    assert refusal(running("10:00:00", now="10:00:00", seen=answer), answer) == then


@pytest.mark.parametrize(
    ("refusals", "retry_after", "seconds"),
    [
        pytest.param(0, None, 1, id="first pause"),
        pytest.param(1, None, 2, id="second pause"),
        pytest.param(5, None, 32, id="sixth pause"),
        pytest.param(6, None, 60, id="the seventh is cut at a minute"),
        pytest.param(10_000, None, 60, id="it stays a minute for ever"),
        pytest.param(0, 0, 1, id="Retry-After 0 does not hurry us"),
        pytest.param(3, 8, 8, id="Retry-After as long as the pause"),
        pytest.param(3, 9, 9, id="a longer Retry-After is kept"),
        pytest.param(3, 7, 8, id="a shorter Retry-After is not"),
        pytest.param(0, 300, 300, id="Retry-After beyond a minute is kept"),
        pytest.param(0, 3600, 3600, id="Retry-After of an hour is kept"),
        pytest.param(0, 3601, 3600, id="Retry-After beyond an hour is an hour"),
    ],
)
def test_how_long_a_refusal_waits(refusals: int, retry_after: int | None, seconds: int) -> None:
    answer = refused(code=429, retry_after=retry_after)
    given = running("10:00:00", now="10:00:00", seen=answer, refusals=refusals)
    assert refusal(given, answer) == again(seconds, 429)


def test_a_long_answer_is_cut() -> None:
    answer = refused(code=422, message="x" * (MESSAGE_CHARACTERS + 1))
    found = refusal(running("10:00:00", now="10:00:00", seen=answer), answer)
    assert found == JobRejected(TEN, 422, "x" * MESSAGE_CHARACTERS)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="nothing was refused"),
        pytest.param(pending(cause=JobLost(TEN)), None, id="another cause does not wait"),
        pytest.param(pending(now="10:00:03", cause=again(4, 429)), RefusedUntil(at("10:00:04")), id="before it waits"),
        pytest.param(pending(now="10:00:04", cause=again(4, 429)), None, id="at it goes on"),
        pytest.param(pending(now="10:00:05", cause=again(4, 429)), None, id="after it goes on"),
        pytest.param(
            pending(now="23:00:00", cause=NamespaceTerminating(TEN)),
            NamespaceGoing(),
            id="a namespace never comes back",
        ),
    ],
)
def test_waiting_after_a_refusal(given: StepView, then: Hold | None) -> None:
    assert rule(given) == then
