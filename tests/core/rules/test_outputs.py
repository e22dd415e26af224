"""What a finished Job leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from tests.core.builders import at, job, running
from zenflow_core.limits import PARAMETER_VALUE_BYTES, SOURCE_DEPTH
from zenflow_core.observation import Absent, Complete, Lookup, Present
from zenflow_core.plan import PlannedOutput
from zenflow_core.reasons import JobComplete, NeedsOutput, OutputMissing, OutputValue
from zenflow_core.rules.outputs import capture

DONE = Complete(at("10:00:40"))


def captured(
    *paths: str, result: Lookup | None = None, status: dict[str, Any] | None = None, reads: tuple[str, ...] = ()
) -> JobComplete | OutputMissing | NeedsOutput:
    """What is captured by outputs `o0`, `o1`, ... with these paths."""
    outputs = tuple(PlannedOutput(f"o{i}", path) for i, path in enumerate(paths))
    seen = (
        job(complete="10:00:40", status=status)
        if result is None
        else job(complete="10:00:40", status=status, result=result)
    )
    return capture(running("10:00:00", now="10:00:41", seen=seen, outputs=outputs, reads=reads), seen, DONE)


def test_a_step_that_nobody_reads_is_complete_at_once() -> None:
    assert captured() == JobComplete(DONE.at)


@pytest.mark.parametrize(
    ("paths", "reads"),
    [
        pytest.param(("$.v",), (), id="its own outputs"),
        pytest.param((), ("$.v",), id="what another step reads"),
        pytest.param(("$.status.succeeded",), (), id="even if the Job's status alone would do"),
    ],
)
def test_what_is_read_has_to_be_there_first(paths: tuple[str, ...], reads: tuple[str, ...]) -> None:
    assert captured(*paths, reads=reads) == NeedsOutput(1)


@pytest.mark.parametrize(
    ("path", "result", "status", "then"),
    [
        pytest.param("$.result.v", '{"v": "x"}', {}, OutputValue("x"), id="a text of result"),
        pytest.param("$.v", '{"v": "x"}', {}, OutputValue("x"), id="a key of result at the top level"),
        pytest.param("$.v", '{"v": 42}', {}, OutputValue("42", json=True), id="a number is JSON"),
        pytest.param("$.v", '{"v": true}', {}, OutputValue("true", json=True), id="a boolean is JSON"),
        pytest.param("$.v", '{"v": null}', {}, OutputValue("", json=True), id="null is a value, empty as text"),
        pytest.param("$.v", '{"v": ""}', {}, OutputValue(""), id="an empty text is a value"),
        pytest.param(
            "$.v",
            '{"v": 12345678901234567890}',
            {},
            OutputValue("12345678901234567890", json=True),
            id="no digit is lost",
        ),
        pytest.param("$.v.w", '{"v": {"w": "deep"}}', {}, OutputValue("deep"), id="nested"),
        pytest.param("$.result", "plain text", {}, OutputValue("plain text"), id="a message that is no JSON is text"),
        pytest.param("$.result", "42", {}, OutputValue("42", json=True), id="a message that is JSON is parsed"),
        pytest.param("$.result", "NaN", {}, OutputValue("NaN"), id="NaN is no JSON"),
        pytest.param("$.result", "Infinity", {}, OutputValue("Infinity"), id="nor is Infinity"),
        pytest.param("$.result", "[" * 100_000, {}, OutputValue("[" * 30_000), id="nor is what nests without end"),
        pytest.param(
            "$.succeeded", "{}", {"succeeded": 1}, OutputValue("1", json=True), id="the Job's status at the top"
        ),
        pytest.param(
            "$.status.succeeded", "{}", {"succeeded": 1}, OutputValue("1", json=True), id="and under its name"
        ),
        pytest.param(
            "$.succeeded",
            '{"succeeded": "all"}',
            {"succeeded": 1},
            OutputValue("all"),
            id="result stands before status",
        ),
        pytest.param("$.metadata.name", "{}", {}, OutputValue("nightly-build"), id="the Job's metadata"),
        pytest.param(
            "$.status.succeeded",
            '{"status": {"succeeded": 9}}',
            {"succeeded": 1},
            OutputValue("1", json=True),
            id="a result cannot pose as the Job's status",
        ),
        pytest.param(
            "$.metadata.name", '{"metadata": {"name": "x"}}', {}, OutputValue("nightly-build"), id="nor metadata"
        ),
        pytest.param("$.result.result", '{"result": 5}', {}, OutputValue("5", json=True), id="nor as itself"),
    ],
)
def test_the_document(path: str, result: str, status: dict[str, Any], then: OutputValue) -> None:
    if result.startswith("[["):
        result = result[:30_000]
    assert captured(path, result=Present(result), status=status) == JobComplete(DONE.at, {"o0": then}, {})


@pytest.mark.parametrize(
    ("opened", "closed"), [pytest.param("[", "]", id="lists"), pytest.param('{"a":', "}", id="objects")]
)
@pytest.mark.parametrize(
    ("levels", "json_value"),
    [
        pytest.param(SOURCE_DEPTH, True, id="as deep as may be"),
        pytest.param(SOURCE_DEPTH + 1, False, id="a level deeper is only text"),
    ],
)
def test_how_deep_a_result_may_nest(levels: int, json_value: bool, opened: str, closed: str) -> None:
    inner = "" if opened == "[" else "1"
    found = captured("$.result", result=Present(opened * levels + inner + closed * levels))
    assert isinstance(found, JobComplete)
    assert found.outputs is not None
    assert found.outputs["o0"].json is json_value


def test_outputs_and_reads_are_kept_apart() -> None:
    found = captured("$.a", result=Present('{"a": "1", "b": "2"}'), reads=("$.b", "$.a"))
    assert found == JobComplete(DONE.at, {"o0": OutputValue("1")}, {"$.b": OutputValue("2"), "$.a": OutputValue("1")})


def test_a_path_that_only_another_step_names_is_left_out() -> None:
    assert captured(result=Present("{}"), reads=("$.b",)) == JobComplete(DONE.at, {}, {})


@pytest.mark.parametrize(
    ("result", "message"),
    [
        pytest.param(Present("{}"), "nothing at $.v", id="it is not there"),
        pytest.param(
            Absent("the Job has no Succeeded Pod any more"),
            "nothing at $.v: the Job has no Succeeded Pod any more",
            id="there is no result, and why",
        ),
        pytest.param(
            Absent(), "nothing at $.v: no termination message was found", id="there is none, nobody knows why"
        ),
        pytest.param(
            Present(json.dumps({"w": "x" * 4086})), "nothing at $.v", id="a message a byte below where Kubernetes cuts"
        ),
        pytest.param(
            Present(json.dumps({"w": "x" * 4087})[:4096]),
            "nothing at $.v: the termination message was cut at 4096 bytes",
            id="a message that was cut",
        ),
    ],
)
def test_an_output_that_cannot_be_read_fails_the_step(result: Lookup, message: str) -> None:
    assert captured("$.v", result=result) == OutputMissing(DONE.at, "o0", message)


@pytest.mark.parametrize(
    ("path", "then"),
    [
        pytest.param("$.v", JobComplete(DONE.at, {"o0": OutputValue("1", json=True)}, {}), id="the result is read"),
        pytest.param("$.status", JobComplete(DONE.at, {"o0": OutputValue("{}", json=True)}, {}), id="no status is {}"),
        pytest.param("$.metadata", JobComplete(DONE.at, {"o0": OutputValue("{}", json=True)}, {}), id="nor metadata"),
        pytest.param("$.status.succeeded", OutputMissing(DONE.at, "o0", "nothing at $.status.succeeded"), id="no key"),
    ],
)
def test_a_job_that_says_nothing_of_itself(path: str, then: JobComplete | OutputMissing) -> None:
    seen = evolve(job(complete="10:00:40", result=Present('{"v": 1}')), document={})
    view = running("10:00:00", now="10:00:41", seen=seen, outputs=(PlannedOutput("o0", path),))
    assert capture(view, seen, DONE) == then


def test_the_first_missing_output_is_named() -> None:
    found = captured("$.a", "$.b", "$.c", result=Present('{"a": 1}'))
    assert found == OutputMissing(DONE.at, "o1", "nothing at $.b")


@pytest.mark.parametrize(
    ("characters", "fits"),
    [
        pytest.param(PARAMETER_VALUE_BYTES, True, id="as large as may be"),
        pytest.param(PARAMETER_VALUE_BYTES + 1, False, id="a byte more"),
    ],
)
def test_a_value_has_a_bound(characters: int, fits: bool) -> None:
    status = {"v": "x" * characters}
    found = captured("$.v", result=Present(""), status=status)
    if fits:
        assert found == JobComplete(DONE.at, {"o0": OutputValue("x" * characters)}, {})
    else:
        assert isinstance(found, OutputMissing)
        assert "32769 bytes, more than 32768" in found.message


def test_the_bound_counts_bytes_not_characters() -> None:
    found = captured("$.v", result=Present(""), status={"v": "ß" * (PARAMETER_VALUE_BYTES // 2 + 1)})
    assert isinstance(found, OutputMissing)
