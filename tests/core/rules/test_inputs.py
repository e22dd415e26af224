"""The values a step needs: all of them, or a reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.builders import TEMPLATE, WAITING, Around, Before, at, ended, gone, job, pending, running
from zenflow_core.observation import UNREAD, Absent, Lookup, Present
from zenflow_core.placeholders import FieldType, Path, compile_template
from zenflow_core.plan import (
    ConfigMapKey,
    FixedValue,
    InputSource,
    KeyRead,
    OutputRead,
    PlannedInput,
    SecretEnv,
    Segment,
)
from zenflow_core.reasons import (
    Cause,
    Hold,
    InputInvalid,
    InputMissing,
    NeedsInput,
    OutputUnavailable,
    OutputValue,
)
from zenflow_core.rules.inputs import Values, inputs, resolve
from zenflow_core.spec import StepName
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView

SUCCEEDED, FAILED, SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED
NOW = at("10:00:00")
ENV = ConfigMapKey("settings", "env")
LEVEL = ConfigMapKey("settings", "level")
TAG = OutputRead(StepName("test"), 0, "$.tag")


def needs(**sources: InputSource) -> dict[str, Any]:
    """Fields of a plan: inputs with these sources, and a template that any value fits."""
    return {
        "inputs": tuple(PlannedInput(name, source) for name, source in sources.items()),
        "template": compile_template(TEMPLATE),
    }


def after_test(phase: StepPhase = SUCCEEDED, **reads: str) -> tuple[Before, ...]:
    values = {f"$.{name}": OutputValue(text) for name, text in reads.items()}
    return (Before("test", ended(phase, "09:58:00", reads=values or None), tolerated=True),)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), Values({}), id="nothing is needed"),
        pytest.param(pending(**needs(a=FixedValue("1"))), Values({"a": "1"}), id="a value of the spec"),
        pytest.param(pending(**needs(a=SecretEnv("s", "k"))), Values({}), id="a Secret never comes here"),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), found={ENV: Present("prod")}),
            Values({"a": "prod"}),
            id="a key that is there",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV, "dev")), found={ENV: Present("")}),
            Values({"a": ""}),
            id="an empty key is there",
        ),
        pytest.param(pending(**needs(a=KeyRead(ENV))), NeedsInput((ENV,)), id="a key that nobody has read"),
        pytest.param(
            pending(**needs(a=KeyRead(ENV, "dev")), found={ENV: UNREAD}),
            NeedsInput((ENV,)),
            id="a default does not spare the reading",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV), b=KeyRead(LEVEL))),
            NeedsInput((ENV, LEVEL)),
            id="all that is unread is named",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV), b=KeyRead(LEVEL)), found={ENV: Present("x")}),
            NeedsInput((LEVEL,)),
            id="and only that",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV, "dev")), found={ENV: Absent()}),
            Values({"a": "dev"}),
            id="a default stands in",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV, "")), found={ENV: Absent()}), Values({"a": ""}), id="an empty default, too"
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), found={ENV: Absent("ConfigMap settings does not exist")}),
            InputMissing(NOW, "a", "ConfigMap settings does not exist"),
            id="a key that is missing, and why",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), found={ENV: Absent()}),
            InputMissing(NOW, "a", "ConfigMap settings has no key env"),
            id="a key that is missing, nobody knows why",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(LEVEL), b=KeyRead(ENV)), found={ENV: Absent("gone")}),
            InputMissing(NOW, "b", "gone"),
            id="what is missing is said before what is unread",
        ),
        pytest.param(
            pending(**needs(a=TAG), before=after_test(tag="v1")),
            Values({"a": "v1"}),
            id="an output of a step that Succeeded",
        ),
        pytest.param(
            pending(**needs(a=TAG), before=after_test()),
            InputMissing(at("09:58:00"), "a", "the document of step test has nothing at $.tag"),
            id="an output that was not in its document",
        ),
        pytest.param(
            pending(**needs(a=TAG), before=after_test(FAILED)),
            InputMissing(at("09:58:00"), "a", "step test is Failed"),
            id="an output of a step that Failed is missing",
        ),
        pytest.param(
            pending(**needs(a=TAG), before=after_test(FAILED, tag="v1")),
            InputMissing(at("09:58:00"), "a", "step test is Failed"),
            id="even if it had left one",
        ),
        pytest.param(
            pending(**needs(a=TAG), before=after_test(SKIPPED)),
            OutputUnavailable(at("09:58:00"), "a", StepName("test")),
            id="an output of a step that was Skipped",
        ),
        pytest.param(
            pending(**needs(a=OutputRead(StepName("test"), 0, "$.tag", "v0")), before=after_test(SKIPPED)),
            Values({"a": "v0"}),
            id="a default stands in for a skipped step",
        ),
        pytest.param(
            pending(**needs(a=OutputRead(StepName("test"), 0, "$.tag", "")), before=after_test(FAILED)),
            Values({"a": ""}),
            id="and for a failed one, even an empty one",
        ),
        pytest.param(
            pending(**needs(a=OutputRead(StepName("test"), 0, "$.tag", "v0")), before=after_test(tag="v1")),
            Values({"a": "v1"}),
            id="a value beats its default",
        ),
    ],
)
def test_resolve(given: StepView, then: Values | Cause | Hold) -> None:
    assert resolve(given) == then


MISSING: dict[ConfigMapKey, Lookup] = {ENV: Absent("gone")}


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(pending(), None, id="nothing is needed"),
        pytest.param(pending(**needs(a=FixedValue("1"))), None, id="what is known is no obstacle"),
        pytest.param(pending(**needs(a=KeyRead(ENV))), NeedsInput((ENV,)), id="what is unread is"),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), before=(Before("open", WAITING),)),
            None,
            id="it is not asked before upstream",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), around=Around(resources=("settings",)), found={ENV: Absent("gone")}),
            None,
            id="nor before the flow's own objects are there: it may be one of them",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), around=Around(resources=("settings",), made=("settings",))),
            NeedsInput((ENV,)),
            id="once they are it is",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), around=Around(started=None)), None, id="nor before the flow has started"
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), around=Around(others=1), segment=Segment.FINALLY),
            None,
            id="nor before main",
        ),
        pytest.param(
            pending(**needs(a=KeyRead(ENV)), found=MISSING),
            InputMissing(NOW, "a", "gone"),
            id="what is missing ends it",
        ),
        pytest.param(
            pending(attempt=1, seen=job(1, failed="09:59:00"), **needs(a=KeyRead(ENV))),
            NeedsInput((ENV,)),
            id="a retry needs its values again",
        ),
        pytest.param(
            running("10:00:00", now="10:00:00", seen=(), **needs(a=KeyRead(ENV))),
            NeedsInput((ENV,)),
            id="a Job that was never seen needs its values again",
        ),
        pytest.param(
            running("10:00:00", now="10:00:00", seen=(), **needs(a=KeyRead(ENV)), found=MISSING),
            InputMissing(NOW, "a", "gone"),
            id="and ends without them",
        ),
        pytest.param(
            running("10:00:00", now="10:00:00", seen=job(), **needs(a=KeyRead(ENV))),
            None,
            id="a Job that is there does not",
        ),
        pytest.param(
            running("10:00:00", now="10:00:00", seen=gone(1, "10:00:00"), **needs(a=KeyRead(ENV))),
            None,
            id="nor one that was",
        ),
        pytest.param(
            running("10:00:00", now="10:00:00", attempt=2, seen=job(1, failed="09:59:00"), **needs(a=KeyRead(ENV))),
            NeedsInput((ENV,)),
            id="an earlier attempt's Job does not count",
        ),
    ],
)
def test_inputs(given: StepView, then: Cause | Hold | None) -> None:
    assert inputs(given) == then


COUNTED: dict[str, Any] = {
    "spec": {
        "parallelism": "{{.parameters.n}}",
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}},
    }
}


@pytest.mark.parametrize(
    ("text", "fits"),
    [pytest.param("3", True, id="a number fits a number field"), pytest.param("three", False, id="a word does not")],
)
def test_values_have_to_fit_the_template(text: str, fits: bool) -> None:
    """What the compiler of a plan types as an integer has to be one when the values are known."""

    def type_of(path: Path) -> FieldType | None:
        return "integer" if path == ("spec", "parallelism") else None

    planned = needs(n=KeyRead(ENV)) | {"template": compile_template(COUNTED, field_type=type_of)}
    answer = inputs(pending(found={ENV: Present(text)}, **planned))
    if fits:
        assert answer is None
    else:
        assert isinstance(answer, InputInvalid)
        assert answer.at == NOW
        assert answer.message.startswith("spec.parallelism: ")


def test_what_validation_has_tried_is_not_tried_again() -> None:
    planned = needs(n=FixedValue("three")) | {"template": compile_template(COUNTED, field_type=lambda _: "integer")}
    assert inputs(pending(**planned)) is None


def test_a_manual_step_has_no_template_to_fit() -> None:
    planned = needs(n=KeyRead(ENV)) | {"template": None}
    assert inputs(pending(found={ENV: Present("three")}, manual=True, **planned)) is None
