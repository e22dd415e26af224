"""JSON becomes a JobFlow exactly, or every problem of its shape; a JobFlow becomes the same JSON again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, NewType, get_args, get_origin

import pytest
from attrs import NOTHING, Attribute, fields, has, resolve_types
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.codec import read_flow, write_flow, write_spec
from zenflow_core.limits import PROBLEMS, SOURCE_DEPTH
from zenflow_core.problems import Problem, segments
from zenflow_core.source import Document, load_documents
from zenflow_core.spec import (
    Backoff,
    BackoffType,
    ConcurrencyPolicy,
    ExecutionPolicy,
    HttpSource,
    InputArtifact,
    Inputs,
    JobFlow,
    JobFlowSpec,
    KeySelector,
    ObjectMeta,
    RetryPolicy,
    Step,
    StepName,
    StepType,
)

HEAD = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\n"


def parsed(text: str) -> Any:
    (document,) = load_documents(text, file="f.yaml")
    assert isinstance(document, Document), str(document)
    return document.data


def of_step(step: str) -> Any:
    return parsed(f"{HEAD}metadata: {{name: f}}\nspec:\n  steps:\n  - {step}\n")


def flow(data: Any) -> JobFlow:
    found = read_flow(data)
    assert isinstance(found, JobFlow), "\n".join(map(str, found))
    return found


def problems(data: Any) -> tuple[Problem, ...]:
    found = read_flow(data)
    assert not isinstance(found, JobFlow)
    return found


@pytest.mark.parametrize(
    ("step", "then"),
    [
        pytest.param("{name: a}", Step(StepName("a")), id="a name is enough"),
        pytest.param("{name: a, type: Manual}", Step(StepName("a"), type=StepType.MANUAL), id="a choice by its name"),
        pytest.param("{name: a, dependencies: }", Step(StepName("a")), id="null is not given"),
        pytest.param(
            "{name: a, dependencies: [b, c]}",
            Step(StepName("a"), dependencies=(StepName("b"), StepName("c"))),
            id="a list is a tuple",
        ),
        pytest.param(
            "{name: a, continueOnFailure: yes}", Step(StepName("a"), continue_on_failure=True), id="camelCase"
        ),
        pytest.param(
            "{name: a, retryPolicy: {limit: 0, backoff: {factor: 2}}}",
            Step(StepName("a"), retry_policy=RetryPolicy(limit=0, backoff=Backoff(factor=2.0))),
            id="a whole number will do for a fraction",
        ),
        pytest.param(
            "{name: a, retryPolicy: {limit: 2147483647}}",
            Step(StepName("a"), retry_policy=RetryPolicy(limit=2**31 - 1)),
            id="the bound itself is within",
        ),
        pytest.param(
            "{name: a, inputs: {artifacts: [{name: x, from: b/y}, {name: z, http: {url: u, headers: {A: b}}}]}}",
            Step(
                StepName("a"),
                inputs=Inputs(
                    artifacts=(
                        InputArtifact("x", from_="b/y"),
                        InputArtifact("z", http=HttpSource("u", headers={"A": "b"})),
                    )
                ),
            ),
            id="from is a field like others",
        ),
        pytest.param(
            "{name: a, template: {spec: {x: [1, 2.5, null, yes]}}}",
            Step(StepName("a"), template={"spec": {"x": [1, 2.5, None, True]}}),
            id="a template is kept as it is",
        ),
        pytest.param(
            "{name: a, inputs: {}}", Step(StepName("a"), inputs=Inputs()), id="empty is not the same as absent"
        ),
    ],
)
def test_a_step_is_read(step: str, then: Step) -> None:
    assert flow(of_step(step)).spec.steps == (then,)


def test_wire_names_that_no_rule_makes() -> None:
    secret = {"name": "s", "key": "k"}
    s3 = {"bucket": "b", "key": "k", "accessKeyIDSecretRef": secret, "secretAccessKeySecretRef": secret}
    data = of_step("{name: a}")
    data["spec"]["steps"][0]["outputs"] = {"artifacts": [{"name": "o", "path": "/o", "s3": s3}]}
    data["spec"]["finally"] = [{"name": "clean"}]
    read = flow(data)
    outputs = read.spec.steps[0].outputs
    assert outputs is not None
    location = outputs.artifacts[0].s3
    assert location is not None
    assert location.access_key_id_secret_ref == location.secret_access_key_secret_ref == KeySelector("s", "k")
    assert [step.name for step in read.spec.finally_] == ["clean"]
    assert write_flow(read) == data


@pytest.mark.parametrize(
    ("step", "path", "rule", "what", "fix"),
    [
        # Exact types
        pytest.param("{name: 3}", "name", "ZF101", "the number 3, expected text", "quotes", id="a number is no text"),
        pytest.param("{name: 0123}", "name", "ZF101", "the number 83, expected text", "0123", id="nor an octal one"),
        pytest.param("{name: yes}", "name", "ZF101", "the boolean true, expected text", "yes", id="nor a boolean"),
        pytest.param("{name: a, when: false}", "when", "ZF101", "the boolean false",
                     "quotes", id="not for when either"),
        pytest.param("{name: [a]}", "name", "ZF101", "a list, expected text", "write text", id="a list is no text"),
        pytest.param("{name: a, continueOnFailure: 'false'}", "continueOnFailure", "ZF101",
                     "the text 'false', expected true or false", "write false, without quotes",
                     id="text is no boolean"),
        pytest.param("{name: a, continueOnFailure: 1}", "continueOnFailure", "ZF101",
                     "the number 1, expected true or false", "write true or false", id="one is no boolean"),
        pytest.param("{name: a, timeoutSeconds: yes}", "timeoutSeconds", "ZF101",
                     "the boolean true, expected a whole number", "", id="true is no number"),
        pytest.param("{name: a, timeoutSeconds: 5.0}", "timeoutSeconds", "ZF101",
                     "the number 5.0, expected a whole number", "write 5", id="5.0 is no whole number"),
        pytest.param("{name: a, timeoutSeconds: '60'}", "timeoutSeconds", "ZF101",
                     "the text '60', expected a whole number", "write 60, without quotes",
                     id="digits in quotes are text"),
        pytest.param("{name: a, retryPolicy: {backoff: {factor: .nan}}}", "retryPolicy.backoff.factor", "ZF101",
                     "nan, expected a finite number", "", id="NaN is no number"),
        pytest.param("{name: a, retryPolicy: {backoff: {factor: .inf}}}", "retryPolicy.backoff.factor", "ZF101",
                     "inf, expected a finite number", "", id="infinity is none"),
        pytest.param("{name: a, dependencies: abc}", "dependencies", "ZF101",
                     "the text 'abc', expected a list", "- ", id="text is no list of letters"),
        pytest.param("{name: a, dependencies: {b: c}}", "dependencies", "ZF101",
                     "a mapping, expected a list", "- ", id="a mapping is no list of keys"),
        pytest.param("{name: a, dependencies: [b, ~]}", "dependencies[1]", "ZF101",
                     "null, expected text", "", id="null is no item"),
        pytest.param("{name: a, inputs: []}", "inputs", "ZF101", "a list, expected a mapping",
                     "key", id="a list is no object"),
        pytest.param("{name: a, template: x}", "template", "ZF101", "expected a mapping",
                     "key", id="text is no template"),
        pytest.param("{name: a, metadata: {labels: {a/b: 1}}}", 'metadata.labels["a/b"]', "ZF101",
                     "the number 1, expected text", "quotes", id="a label is text"),
        # Fields
        pytest.param("{name: a, retryPolcy: {}}", "retryPolcy", "ZF102", "unknown field",
                     "'retryPolicy'", id="misspelt"),
        pytest.param("{name: a, retry_policy: {}}", "retry_policy", "ZF102", "unknown",
                     "'retryPolicy'", id="snake case"),
        pytest.param("{name: a, parallelism: 1}", "parallelism", "ZF102", "unknown",
                     "spec.executionPolicy", id="misplaced"),
        pytest.param("{name: a, image: x}", "image", "ZF102", "unknown", "containers[0].image", id="of a container"),
        pytest.param("{name: a, zzz: 1}", "zzz", "ZF102", "unknown", "the fields here are name", id="nothing like it"),
        pytest.param("{type: Job}", "name", "ZF103", "missing", "add 'name'", id="missing"),
        pytest.param("{name: ~}", "name", "ZF103", "missing", "add 'name'", id="null where one is needed"),
        # Values
        pytest.param("{name: a, type: manual}", "type", "ZF104", "expected Job or Manual",
                     "'Manual'", id="wrong capitals"),
        pytest.param("{name: a, type: Pod}", "type", "ZF104", "the text 'Pod'",
                     "write Job or Manual", id="no such choice"),
        pytest.param("{name: a, type: 1}", "type", "ZF101", "the number 1, expected Job or Manual",
                     "", id="no text at all"),
        pytest.param("{name: a, retryPolicy: {limit: -1}}", "retryPolicy.limit", "ZF105",
                     "from 0 to 2147483647", "", id="below the bound"),
        pytest.param("{name: a, retryPolicy: {limit: 2147483648}}", "retryPolicy.limit", "ZF105",
                     "the number 2147483648", "", id="above the bound"),
        pytest.param("{name: a, timeoutSeconds: 9223372036854775808}", "timeoutSeconds", "ZF105", "from 1",
                     "", id="no int64"),
        pytest.param("{name: a, template: {a: [1, {b: .inf}]}}", "template.a[1].b", "ZF106",
                     "JSON cannot hold", "", id="infinity in a template"),
    ],
)  # fmt: skip
def test_a_problem_names_field_finding_and_fix(step: str, path: str, rule: str, what: str, fix: str) -> None:
    (problem,) = problems(of_step(step))
    assert (problem.path, problem.rule) == (f"spec.steps[0].{path}", rule)
    assert what in problem.what
    assert fix in problem.fix
    assert problem.title


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(10**5000, "more than 64 bits", id="a number too long to print"),
        pytest.param(-(10**5000), "more than 64 bits", id="below zero too"),
        pytest.param({1: 2}, "is not text", id="a key that is a number"),
        pytest.param(b"x", "a Python bytes", id="a value that is no JSON at all"),
        pytest.param((1,), "a Python tuple", id="a tuple is no list"),
    ],
)
def test_what_no_parser_makes_is_refused_all_the_same(value: object, shown: str) -> None:
    data = of_step("{name: a, timeoutSeconds: 1}")
    data["spec"]["steps"][0]["template"] = {"a": [value]}
    (problem,) = problems(data)
    assert problem.path == "spec.steps[0].template.a[0]" + (".1" if value == {1: 2} else "")
    assert shown in problem.what
    data["spec"]["steps"][0] = {"name": "a", "timeoutSeconds": value}
    assert problems(data)[0].path == "spec.steps[0].timeoutSeconds"


def test_a_template_is_bounded_in_depth() -> None:
    def nested(depth: int) -> Any:
        value: Any = {}
        for _ in range(depth - 1):
            value = {"a": value}
        data = of_step("{name: a}")
        data["spec"]["steps"][0]["template"] = value
        return data

    assert isinstance(read_flow(nested(SOURCE_DEPTH)), JobFlow)
    (problem,) = problems(nested(SOURCE_DEPTH + 1))
    assert problem.rule == "ZF004"
    assert problems(nested(100_000))[0].rule == "ZF004"


def test_all_problems_at_once_in_the_order_of_the_spec() -> None:
    text = f"""{HEAD}metadata: {{name: 3}}
spec:
  step: []
  executionPolicy: {{failFast: 1, concurrencyPolicy: allow}}
  steps:
  - when: 1
    dependencies: [a, 2]
    zzz: 1
  - 7
"""
    assert [problem.path for problem in problems(parsed(text))] == [
        "metadata.name",
        "spec.steps[0].name",
        "spec.steps[0].dependencies[1]",
        "spec.steps[0].when",
        "spec.steps[0].zzz",
        "spec.steps[1]",
        "spec.executionPolicy.concurrencyPolicy",
        "spec.executionPolicy.failFast",
        "spec.step",
    ]


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        pytest.param(None, [""], id="null"),
        pytest.param([], [""], id="a list"),
        pytest.param({}, ["apiVersion", "kind"], id="an empty object"),
        pytest.param({"apiVersion": "batch/v1", "kind": "Job", "x": 1}, ["apiVersion", "kind"], id="another kind"),
        pytest.param(
            {"apiVersion": "flow.volcano.sh/v1alpha1", "kind": "JobFlow"}, ["apiVersion"], id="another JobFlow"
        ),
        pytest.param({"apiVersion": 1, "kind": ["JobFlow"]}, ["apiVersion", "kind"], id="no text"),
        pytest.param(parsed(HEAD), ["metadata", "spec"], id="nothing but a head"),
        pytest.param(parsed(HEAD + "metadata: {}\nspec: {}"), ["spec.steps"], id="a spec without steps"),
    ],
)
def test_what_is_no_jobflow(data: Any, paths: list[str]) -> None:
    assert [problem.path for problem in problems(data)] == paths


def test_metadata_of_the_server_is_passed_over_and_status_kept() -> None:
    data = parsed(f"""{HEAD}
metadata:
  name: f
  creationTimestamp: null
  labels: {{a: b}}
  managedFields: [{{manager: kubectl}}]
  selfLink: x
  finalizers: [y]
  ownerReferences: [{{apiVersion: v1, kind: A, name: o, uid: u, controller: true, future: 1}}]
spec: {{steps: [{{name: a}}]}}
status: {{phase: Running, unheardOf: [1]}}
""")
    read = flow(data)
    assert (read.metadata.name, read.metadata.labels, read.metadata.creation_timestamp) == ("f", {"a": "b"}, None)
    assert read.metadata.owner_references[0].controller is True
    assert read.status == {"phase": "Running", "unheardOf": [1]}


def test_problems_are_bounded() -> None:
    data = of_step("{name: a}")
    data["spec"]["steps"] = [{"name": 1, "x": 2}] * 100_000
    assert len(problems(data)) == PROBLEMS
    data["spec"]["steps"] = [{"name": "a", "template": {"a": [float("inf")] * 100_000}}]
    assert len(problems(data)) == PROBLEMS
    data["spec"]["steps"] = [{"name": "a", **{f"x{n}": 1 for n in range(100_000)}}]
    assert len(problems(data)) == PROBLEMS


def test_defaults_and_what_is_not_given_are_not_written() -> None:
    policy = ExecutionPolicy(concurrency_policy=ConcurrencyPolicy.ALLOW)
    step = Step(StepName("a"), retry_policy=RetryPolicy(limit=0, backoff=Backoff(BackoffType.FIXED, duration="1s")))
    spec = JobFlowSpec((step,), execution_policy=policy)
    written = {
        "steps": [{"name": "a", "retryPolicy": {"limit": 0, "backoff": {"type": "Fixed", "duration": "1s"}}}],
        "executionPolicy": {"concurrencyPolicy": "Allow"},
    }
    assert write_spec(spec) == written
    assert write_flow(JobFlow(ObjectMeta(name="f"), spec)) == {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "f"},
        "spec": written,
    }


# Laws. The strategy follows the types of the spec, so a field that is added is covered at once.

_TEXT = st.text(max_size=5)
_FREE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=5,
)
_SIMPLE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        assert inner[1] is NoneType
        return st.none() | values(inner[0])
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_TEXT, _FREE if inner[1] is Any else values(inner[1]), max_size=2)
    assert has(kind)
    resolve_types(kind)
    return st.builds(kind, **{field.alias: field_values(field) for field in fields(kind) if field.alias not in _FIXED})


_FIXED = {"api_version", "kind"}


def field_values(field: Attribute[Any]) -> st.SearchStrategy[Any]:
    bounds = field.metadata
    if "minimum" in bounds:
        return st.none() | st.integers(bounds["minimum"], bounds["maximum"])
    return values(field.type) if field.default is NOTHING else st.just(_default(field)) | values(field.type)


def _default(field: Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default


FLOWS = values(JobFlow)


@given(FLOWS)
def test_what_is_written_is_read_back(before: JobFlow) -> None:
    assert read_flow(write_flow(before)) == before


@given(FLOWS)
def test_what_is_read_is_written_back_even_as_text(before: JobFlow) -> None:
    written = write_flow(before)
    (document,) = load_documents(json.dumps(written), file="f.json")
    assert isinstance(document, Document)
    assert document.data == written
    assert write_flow(flow(document.data)) == written


@given(FLOWS, st.data())
def test_junk_anywhere_is_a_flow_or_problems(before: JobFlow, draw: st.DataObject) -> None:
    data = json.loads(json.dumps(write_flow(before)))
    holder = data
    while True:
        key = draw.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        inner = holder[key]
        if not inner or not isinstance(inner, dict | list) or draw.draw(st.booleans()):
            break
        holder = inner
    holder[key] = draw.draw(_FREE | st.just(float("nan")) | st.just(2**70))
    found = read_flow(data)
    if isinstance(found, JobFlow):
        assert flow(write_flow(found)) == found
    else:
        assert found
        for problem in found:
            assert segments(problem.path) is not None
            assert "" not in (problem.what, problem.fix, problem.title)
