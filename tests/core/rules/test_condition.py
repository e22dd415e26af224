"""`when`: asked once, when everything upstream is settled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.builders import WAITING, Around, Before, at, ended, pending, view
from zenflow_core.condition_names import Place
from zenflow_core.expressions import Condition, Constant, parse_when
from zenflow_core.limits import INT64_MAX
from zenflow_core.plan import Segment
from zenflow_core.reasons import Cause, ConditionFalse, ConditionInvalid, ConditionMet, OutputValue, Stopped
from zenflow_core.rules.condition import condition, native
from zenflow_core.state import StepPhase, StepRecord
from zenflow_core.views import StepView

SUCCEEDED, FAILED, SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED
START = at("10:00:00")


def guarded(
    text: str,
    *,
    before: tuple[Before, ...] = (),
    where: Place = Place.STEP,
    around: Around | None = None,
    record: StepRecord = WAITING,
    **rest: Any,
) -> StepView:
    """A step with a `when` that may read the steps before it."""
    around = around or Around()
    when = parse_when(text, steps=[b.name for b in before], parameters=list(around.parameters), where=where)
    assert isinstance(when, Condition | Constant), when
    reads = tuple(rank for rank, b in enumerate(before) if b.name in when.steps)
    return view(record, now="10:05:00", before=before, around=around, when=when, when_reads=reads, **rest)


BUILT = Before("test", ended(SUCCEEDED, "10:00:40", outputs={"v": OutputValue("5", json=True)}))
OPEN = Before("open", WAITING)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="no when, nothing to say"),
        pytest.param(guarded("always"), ConditionMet(START), id="true is met, when the flow started"),
        pytest.param(guarded("never"), ConditionFalse(START), id="false is false"),
        pytest.param(guarded("never", before=(OPEN,)), None, id="it is not asked before everything upstream is over"),
        pytest.param(
            guarded("never", before=(BUILT,)), ConditionFalse(at("10:00:40")), id="it is asked when that was over"
        ),
        pytest.param(
            guarded("never", before=(BUILT, Before("b", ended(FAILED, "10:00:50"), tolerated=True))),
            ConditionFalse(at("10:00:50")),
            id="when the last of it was",
        ),
        pytest.param(guarded("never", record=StepRecord(condition_met=True)), None, id="it is asked once"),
        pytest.param(guarded("never", record=StepRecord(attempt=1)), None, id="it is not asked again for a retry"),
        pytest.param(guarded("never", around=Around(started=None)), None, id="nor before the flow has started"),
        pytest.param(
            guarded("steps.test.phase == 'Succeeded'", before=(BUILT,)),
            ConditionMet(at("10:00:40")),
            id="a phase that is",
        ),
        pytest.param(
            guarded("steps.test.phase == 'Failed'", before=(BUILT,)),
            ConditionFalse(at("10:00:40")),
            id="a phase that is not",
        ),
        pytest.param(
            guarded("steps.test.phase == 'Skipped'", before=(Before("test", ended(SKIPPED)),)),
            ConditionMet(at("09:59:00")),
            id="a phase of a step without outputs",
        ),
        pytest.param(
            guarded("steps.test.outputs.parameters.v > 4", before=(BUILT,)),
            ConditionMet(at("10:00:40")),
            id="an output",
        ),
        pytest.param(
            guarded("parameters.env == 'prod'", around=Around(parameters={"env": "prod"})),
            ConditionMet(START),
            id="a parameter",
        ),
        pytest.param(
            guarded("flow.name == 'nightly' && flow.namespace == 'ci'"), ConditionMet(START), id="the flow's name"
        ),
        pytest.param(
            guarded("flow.labels['team'] == 'x'", around=Around(labels={"team": "x"})),
            ConditionMet(START),
            id="a label",
        ),
        pytest.param(
            guarded("flow.annotations['a'] == 'y'", around=Around(notes={"a": "y"})),
            ConditionMet(START),
            id="an annotation",
        ),
    ],
)
def test_condition(given: StepView, then: Cause | None) -> None:
    assert condition(given) == then


def test_an_output_may_be_null() -> None:
    null = Before("test", ended(SUCCEEDED, outputs={"v": OutputValue("", json=True)}))
    assert condition(guarded("steps.test.outputs.parameters.v == null", before=(null,))) == ConditionMet(at("09:59:00"))


def test_a_guard_that_cannot_be_evaluated_fails_the_step() -> None:
    answer = condition(guarded("flow.labels['team'] == 'x'"))
    assert isinstance(answer, ConditionInvalid)
    assert answer.at == START
    assert "team" in answer.message
    assert len(answer.message) <= 512


@pytest.mark.parametrize(
    ("around", "phase"),
    [
        pytest.param(Around(others=1, main_over="10:04:00"), "Succeeded", id="all went well"),
        pytest.param(Around(others=1, main_over="10:04:00", fatal=("10:03:00", "x")), "Failed", id="a step failed"),
        pytest.param(Around(others=1, main_over="10:04:00", ended=Stopped(START)), "Failed", id="it was ended"),
    ],
)
def test_finally_can_ask_how_the_flow_went(around: Around, phase: str) -> None:
    given = guarded(f"flow.phase == '{phase}'", where=Place.FINALLY, around=around, segment=Segment.FINALLY)
    assert condition(given) == ConditionMet(at("10:04:00"))


def test_finally_is_asked_when_the_main_steps_are_over() -> None:
    given = guarded("never", where=Place.FINALLY, around=Around(others=1), segment=Segment.FINALLY)
    assert condition(given) is None


@pytest.mark.parametrize(
    ("recorded", "value"),
    [
        pytest.param(OutputValue("5"), "5", id="text stays text"),
        pytest.param(OutputValue("5", json=True), 5, id="an integer"),
        pytest.param(OutputValue("[1, 2]", json=True), [1, 2], id="a list"),
        pytest.param(OutputValue(str(INT64_MAX), json=True), INT64_MAX, id="the largest integer that CEL has"),
        pytest.param(OutputValue(str(INT64_MAX + 1), json=True), str(INT64_MAX + 1), id="one larger stays text"),
        pytest.param(OutputValue(str(-INT64_MAX), json=True), -INT64_MAX, id="the smallest that is taken"),
        pytest.param(OutputValue(str(-INT64_MAX - 1), json=True), str(-INT64_MAX - 1), id="one smaller stays text"),
        pytest.param(OutputValue("true", json=True), True, id="a boolean is no integer"),
        pytest.param(OutputValue("", json=True), None, id="null"),
        pytest.param(OutputValue(""), "", id="an empty text is no null"),
    ],
)
def test_native(recorded: OutputValue, value: object) -> None:
    assert native(recorded) == value
    assert type(native(recorded)) is type(value)
