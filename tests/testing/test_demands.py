"""Results that have all that a flow asks of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.jsonpath import Ambiguous, Found, JsonPath, NotFound, compile_path
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents
from zenflow_core.spec import API_VERSION, JobFlow, StepName
from zenflow_testing.demands import demands_of, documents, message_of

JOB = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}}


def output(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"jsonPath": path}}


def planned(*steps: Mapping[str, Any], finally_: tuple[Mapping[str, Any], ...] = ()) -> Plan:
    spec: dict[str, Any] = {"steps": [{"template": JOB, **step} for step in steps]}
    if finally_:
        spec["finally"] = [{"template": JOB, **step} for step in finally_]
    flow = read_flow({"apiVersion": API_VERSION, "kind": "JobFlow", "metadata": {"name": "nightly"}, "spec": spec})
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow)
    assert isinstance(plan, Plan), [str(problem) for problem in plan]
    return plan


def made(*paths: str, when: str | None = None, reads: tuple[str, ...] = ()) -> Any:
    """The result of step `build`, which has the outputs o0, o1 ... at `paths`."""
    outputs = {"parameters": [output(f"o{index}", path) for index, path in enumerate(paths)]}
    inputs = {"parameters": [output(f"i{index}", f"build:{path}") for index, path in enumerate(reads)]}
    reader: dict[str, Any] = {"name": "use", "dependencies": ["build"], "inputs": inputs}
    if when is not None:
        reader["when"] = when
    return documents(planned({"name": "build", "outputs": outputs}, reader)).get(StepName("build"))


@pytest.mark.parametrize(
    ("paths", "result"),
    [
        pytest.param(["$.id"], {"id": "build.o0"}, id="a member"),
        pytest.param(["$.network.ip"], {"network": {"ip": "build.o0"}}, id="a member of a member"),
        pytest.param(["{.network.ip}"], {"network": {"ip": "build.o0"}}, id="as kubectl writes it"),
        pytest.param(["$['a b']['c.d']"], {"a b": {"c.d": "build.o0"}}, id="names in brackets"),
        pytest.param(['$["it\'s"]'], {"it's": "build.o0"}, id="a quote in a name"),
        pytest.param(["$.items[0].name"], {"items": [{"name": "build.o0"}]}, id="an item"),
        pytest.param(["$.items[2]"], {"items": [None, None, "build.o0"]}, id="a later item"),
        pytest.param(["$.items[-1]"], {"items": ["build.o0"]}, id="the last item"),
        pytest.param(["$.items[-2]"], {"items": ["build.o0", None]}, id="the last but one"),
        pytest.param(
            ["$.items[-1]", "$.items[1]"], {"items": [None, "build.o0"]}, id="the last item of a known number"
        ),
        pytest.param(
            ["$.best.auc", "$.best.name"], {"best": {"auc": "build.o0", "name": "build.o1"}}, id="two of one object"
        ),
        pytest.param(["$.best", "$.best.auc"], {"best": {"auc": "build.o1"}}, id="an object and what is in it"),
        pytest.param(["$.best.auc", "$.best"], {"best": {"auc": "build.o0"}}, id="whatever comes first"),
        pytest.param(["$.result.digest"], {"digest": "build.o0"}, id="result is the result"),
        pytest.param(["$.result"], "build.o0", id="the whole result is a text"),
        pytest.param(["$.result", "$.digest"], {"digest": "build.o1"}, id="the whole result and a member of it"),
        pytest.param(["$.result[1]"], [None, "build.o0"], id="an item of the result"),
        pytest.param(["$.result.status"], {"status": "build.o0"}, id="a status of the result's own"),
        pytest.param(["$.result.result.a"], {"result": {"a": "build.o0"}}, id="a result in the result"),
        pytest.param(["$.status.succeeded"], {}, id="the Job's status asks for nothing"),
        pytest.param(["$.metadata.name"], {}, id="the Job's metadata ask for nothing"),
        pytest.param(["$.succeeded"], {}, id="what a Complete Job's status has asks for nothing"),
        pytest.param(["$.failed"], {"failed": "build.o0"}, id="what it does not have is asked for"),
        pytest.param(["$.succeeded.rate"], {"succeeded": {"rate": "build.o0"}}, id="nor what lies within it"),
        pytest.param(["$"], {}, id="everything asks for nothing"),
        pytest.param(["$.items[*].name"], {"items": [{"name": "build.o0"}]}, id="a wildcard: one item"),
        pytest.param(["$.a.b", "$.a.*"], {"a": {"b": "build.o1"}}, id="a wildcard over an object"),
        pytest.param(["$..name"], {"name": "build.o0"}, id="a descent: at the top"),
        pytest.param(["$.items[1:3]"], {"items": [None, "build.o0"]}, id="a slice: its first item"),
        pytest.param(["$['a','b']"], {"a": "build.o0"}, id="a union: its first name"),
        pytest.param(
            ["$.items[?@.name == 'x' && @.spec.n == 3].value"],
            {"items": [{"name": "x", "spec": {"n": 3}, "value": "build.o0"}]},
            id="a filter: an item for which its equalities hold",
        ),
        pytest.param(["$.items[?@.name == 'x']"], {"items": [{"name": "x"}]}, id="a filter that selects whole items"),
        pytest.param(["$.items[?@.name == 'x'].name"], {"items": [{"name": "x"}]}, id="a filter of what is selected"),
        pytest.param(["$.items[?@.n > 3]"], {"items": ["build.o0"]}, id="no more is made of other filters"),
        pytest.param(["$.a.b", "$.a[0]"], {"a": {"b": "build.o0"}}, id="no object is a list too"),
        pytest.param(["$.a[99999]"], {"a": None}, id="no list is longer than a message"),
    ],
)
def test_what_is_asked_is_made(paths: list[str], result: Any) -> None:
    assert made(*paths) == result


@pytest.mark.parametrize(
    ("when", "value"),
    [
        pytest.param("steps.build.outputs.parameters.o0 > 3", 1, id="compared with a number"),
        pytest.param("3 < steps.build.outputs.parameters.o0", 1, id="on either side"),
        pytest.param("int(steps.build.outputs.parameters.o0) == 3", 1, id="converted to one"),
        pytest.param("steps.build.outputs.parameters.o0 == 'x'", "build.o0", id="compared with a text"),
        pytest.param("steps.build.phase == 'Succeeded'", "build.o0", id="not compared"),
    ],
)
def test_a_number_where_a_number_is_compared(when: str, value: Any) -> None:
    assert made("$.rows", when=when) == {"rows": value}


def test_one_of_two_outputs_of_a_place_is_compared_with_a_number() -> None:
    assert made("$.rows", "$['rows']", when="steps.build.outputs.parameters.o1 > 3") == {"rows": 1}
    assert made("$.rows", "$['rows']", when="steps.build.outputs.parameters.o0 > 3") == {"rows": 1}


def test_conditions_of_finally_steps_count_too() -> None:
    outputs = {"parameters": [output("rows", "$.rows")]}
    report = {"name": "report", "when": "steps.build.outputs.parameters.rows > 3"}
    plan = planned({"name": "build", "outputs": outputs}, finally_=(report,))
    assert documents(plan) == {"build": {"rows": 1}}


def test_a_path_that_only_an_input_names_has_the_last_of_its_names() -> None:
    assert made(reads=("$.network.ip", "$.items[0]")) == {
        "network": {"ip": "build.ip"},
        "items": ["build.items"],
    }


def test_an_input_that_reads_an_output_changes_nothing() -> None:
    assert made("$.network.ip", reads=("$['network']['ip']",)) == {"network": {"ip": "build.o0"}}


def test_nothing_is_asked_of_a_step_that_nobody_reads() -> None:
    plan = planned({"name": "build"}, {"name": "test", "outputs": {"parameters": [output("a", "$.a")]}})
    assert documents(plan) == {"test": {"a": "test.a"}}


@pytest.mark.parametrize(
    ("outputs", "result"),
    [
        pytest.param({}, {"best": {"auc": "build.auc"}, "id": "build.id"}, id="nothing scripted"),
        pytest.param({"auc": 0.93}, {"best": {"auc": 0.93}, "id": "build.id"}, id="by the output's name"),
        pytest.param(
            {"size": 3}, {"best": {"auc": "build.auc"}, "id": "build.id", "size": 3}, id="a member of the result"
        ),
        pytest.param({"auc": None, "id": [1]}, {"best": {"auc": None}, "id": [1]}, id="values of any kind"),
        pytest.param({"auc": 1, "best": {"x": 2}}, {"best": {"x": 2, "auc": 1}, "id": "build.id"}, id="both"),
    ],
)
def test_scripted_outputs_are_laid_over_what_is_asked(outputs: Mapping[str, Any], result: Any) -> None:
    parameters = [output("auc", "$.best.auc"), output("id", "$.id")]
    demand = demands_of(planned({"name": "build", "outputs": {"parameters": parameters}}))[StepName("build")]
    before = json.dumps(demand.document)
    assert demand.result(outputs) == result
    assert json.dumps(demand.document) == before


@pytest.mark.parametrize(
    ("result", "message"),
    [("text", "text"), (1, "1"), ({"a": ["ä", None]}, '{"a":["ä",null]}'), ([], "[]"), (True, "true")],
)
def test_a_result_as_a_program_would_leave_it(result: Any, message: str) -> None:
    assert message_of(result) == message


def test_a_result_fits_into_a_termination_message() -> None:
    names = [f"a-rather-long-name-of-a-result-{index}" for index in range(90)]
    when = "steps.build.outputs.parameters.o91 > 3"
    result = made(*(f"$['{name}']" for name in names), "$.items[1]", "$.rows", when=when)
    assert len(message_of(result).encode()) <= 4096
    assert {result[name] for name in names} == {"build.o0"[:4]}
    assert result["items"] == [None, "buil"]
    assert result["rows"] == 1


def test_the_examples_find_all_they_ask_for() -> None:
    for file in sorted(Path("examples").glob("*.yaml")):
        (document,) = load_documents(file.read_text(), file=file.name)
        assert isinstance(document, Document)
        flow = read_flow(document.data)
        assert isinstance(flow, JobFlow)
        plan = compile_plan(flow)
        assert isinstance(plan, Plan)
        made_of = documents(plan)
        for step in plan.steps:
            for path in {*step.reads, *(each.path for each in step.outputs)}:
                compiled = compile_path(path)
                assert isinstance(compiled, JsonPath)
                assert isinstance(compiled.read(made_of[step.name]), Found), f"{file.name} {step.name} {path}"


_names = st.sampled_from(["a", "b", "c d", "it's", "items"])
_segments = st.one_of(
    _names.map(lambda name: f"[{json.dumps(name)}]"), st.integers(0, 3).map(lambda index: f"[{index}]")
)
_wild = st.sampled_from(["[*]", "[1:]", "..['a']", "['a', 'b']", "[?@.a == 'x']['b']"])
_paths = st.tuples(_names, st.lists(_segments, max_size=4)).map(
    lambda each: "$" + f"[{json.dumps(each[0])}]" + "".join(each[1])
)
_wild_paths = (
    st.tuples(_names, st.lists(_segments | _wild, max_size=4))
    .map(lambda each: "$" + f"[{json.dumps(each[0])}]" + "".join(each[1]))
    .filter(lambda path: path.count("..") <= 2)  # validation refuses more
)


@given(_paths)
def test_any_one_path_of_names_and_indexes_finds_its_text(path: str) -> None:
    compiled = compile_path(path)
    assert isinstance(compiled, JsonPath)
    assert compiled.read(made(path)) == Found("build.o0")


@given(_wild_paths)
def test_any_one_path_finds_something(path: str) -> None:
    compiled = compile_path(path)
    assert isinstance(compiled, JsonPath)
    found = compiled.read(made(path))
    assert isinstance(found, Found | Ambiguous)


@given(st.lists(_wild_paths, min_size=1, max_size=5, unique=True))
def test_any_paths_have_a_result_that_can_be_sent(paths: list[str]) -> None:
    result = made(*paths)
    assert json.loads(json.dumps(result)) == result
    for path in paths:
        compiled = compile_path(path)
        assert not isinstance(compiled, Problem)
        assert not isinstance(compiled, NotFound)
