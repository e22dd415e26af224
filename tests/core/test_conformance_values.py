"""How values, conditions, names and pod failure rules of the JobFlow API have always read, one row a fact.

Corrected facts are left out or marked: a condition that cannot be read is refused, an ignored failure is no success,
and a container need not be called main.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.core.builders import compiled, job, step
from zenflow_core.expressions import EvaluationFailed, evaluate, parse_when
from zenflow_core.jsonpath import (
    Ambiguous,
    Found,
    JsonPath,
    PathProblem,
    compile_path,
    parse_reference,
    render,
)
from zenflow_core.manifests import Unbuildable, build_job, build_resource
from zenflow_core.names import approval_key, job_name, legacy_approval_key, resource_name
from zenflow_core.observation import FlowSeen
from zenflow_core.plan import Plan
from zenflow_core.spec import StepName

FLOW = FlowSeen("flow", "default", "0123456789abcdef", job().created_at)


def template(job_spec: Mapping[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "busybox:1.36", **container}
    return {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [main]}}, **(job_spec or {})}}


def built(plan: Plan, name: str = "a", **values: str) -> dict[str, Any]:
    made = build_job(plan.steps[plan.by_name[StepName(name)]], FLOW, 1, values=values, policy=plan.pod_failure_policy)
    assert not isinstance(made, Unbuildable), made
    return made


def with_input(**container: Any) -> dict[str, Any]:
    """The one container of the Job of a step that has the input p with the value `v`."""
    inputs = {"parameters": [{"name": "p", "value": "v"}]}
    body = built(compiled(step("a", template=template(**container), inputs=inputs)), p="v")
    return dict(body["spec"]["template"]["spec"]["containers"][0])


# --- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{{.parameters.p}}", "{{parameters.p}}", "${parameters.p}", "{{.Parameters.p}}"])
@pytest.mark.parametrize("place", ["command", "args", "env"])
def test_a_placeholder_is_replaced(form: str, place: str) -> None:
    value = [{"name": "V", "value": f"<{form}>"}] if place == "env" else [f"<{form}>"]
    found = with_input(**{place: value})[place][0]
    assert (found["value"] if place == "env" else found) == "<v>"


def test_static_values_are_untouched() -> None:
    container = {"command": ["sh", "-c", "echo $HOME"], "env": [{"name": "A", "value": "b c"}]}
    assert {key: with_input(args=["{{.parameters.p}}"], **container)[key] for key in container} == container


def test_without_parameters_the_template_is_unchanged() -> None:
    given = template(command=["echo", "{{ anything else }}", "${HOME}"])
    made = built(compiled(step("a", template=given)))
    assert made["spec"]["template"]["spec"] == given["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("step1:$.x", ("step1", "$['x']"), id="step and path"),
        pytest.param("step1 : $.x", ("step1", "$['x']"), id="blanks around the colon"),
        pytest.param("$.x", (None, "$['x']"), id="no step"),
        pytest.param(
            "$.metadata.annotations['key:value']",
            (None, "$['metadata']['annotations']['key:value']"),
            id="a colon in brackets names no step",
        ),
    ],
)
def test_a_reference_splits_into_step_and_path(text: str, parts: tuple[str | None, str]) -> None:
    found = parse_reference(text)
    assert not isinstance(found, PathProblem)
    assert (found.step, found.path.canonical) == parts


DOCUMENT = {"status": "succeeded", "count": 42, "ready": True, "data": {"nested": {"value": "deep"}}}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("$.status", "succeeded", id="a string"),
        pytest.param("$.count", "42", id="a number"),
        pytest.param("$.ready", "true", id="a boolean"),
        pytest.param("$.data.nested.value", "deep", id="nested"),
    ],
)
def test_a_path_reads_as_text(path: str, text: str) -> None:
    compiled_path = compile_path(path)
    assert isinstance(compiled_path, JsonPath)
    found = compiled_path.read(DOCUMENT)
    assert isinstance(found, Found)
    assert render(found.value) == text


def test_a_path_to_nothing_finds_nothing() -> None:
    compiled_path = compile_path("$.missing")
    assert isinstance(compiled_path, JsonPath)
    assert not isinstance(compiled_path.read(DOCUMENT), Found | Ambiguous)


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "phase", "answer"),
    [
        pytest.param("always", "Failed", True, id="always"),
        pytest.param("true", "Failed", True, id="true"),
        pytest.param("never", "Succeeded", False, id="never"),
        pytest.param("false", "Succeeded", False, id="false"),
        pytest.param("steps.step1.phase == 'Succeeded'", "Succeeded", True, id="single quotes"),
        pytest.param('steps.step1.phase == "Succeeded"', "Succeeded", True, id="double quotes"),
        pytest.param("steps.step1.phase == 'Succeeded'", "Failed", False, id="another phase"),
        pytest.param("steps.step1.phase == 'Failed'", "Failed", True, id="Failed"),
        pytest.param("steps.step1.phase != 'Failed'", "Succeeded", True, id="not Failed"),
        pytest.param("steps.step1.phase != 'Failed'", "Failed", False, id="not Failed, but it is"),
        pytest.param("{{.StepStatus.step1.Phase}} == 'Succeeded'", "Succeeded", True, id="a template's step"),
        pytest.param("'{{ .JobFlow.Name }}' == 'flow'", "Succeeded", True, id="a template's flow"),
    ],
)
def test_a_condition(text: str, phase: str, answer: bool) -> None:
    when = parse_when(text, steps=("step1",), parameters=(), outputs={})
    assert not isinstance(when, tuple), when
    data: dict[str, Any] = {
        "steps": {"step1": {"phase": phase, "outputs": {"parameters": {}}}},
        "flow": {"name": "flow"},
    }
    found = evaluate(when, data)
    assert not isinstance(found, EvaluationFailed)
    assert found is answer


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{.Invalid", id="half a brace"),
        # Corrected facts: these have let the step run.
        pytest.param("other", id="a word"),
        pytest.param("steps.unknown.phase == 'Succeeded'", id="an unknown step"),
        pytest.param("run it on mondays", id="free text"),
    ],
)
def test_a_condition_that_is_refused(text: str) -> None:
    assert isinstance(parse_when(text, steps=("step1",), parameters=(), outputs={}), tuple)


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_and_labels_of_a_job() -> None:
    made = built(compiled(step("a")))
    assert made["metadata"]["name"] == job_name(FLOW, "a", 1) == "flow-a-01234567"
    labels = made["metadata"]["labels"]
    assert labels["workflow.kube-zen.io/flow"] == "flow"
    assert labels["workflow.kube-zen.io/step"] == "a"
    assert labels["workflow.kube-zen.io/managed-by"] == "zen-flow"
    (owner,) = made["metadata"]["ownerReferences"]
    assert {key: owner[key] for key in ("kind", "name", "uid", "controller")} == {
        "kind": "JobFlow",
        "name": "flow",
        "uid": FLOW.uid,
        "controller": True,
    }


def test_labels_and_annotations_of_a_step_reach_its_job() -> None:
    made = built(compiled(step("a", metadata={"labels": {"team": "a"}, "annotations": {"why": "b"}})))
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["metadata"]["annotations"]["why"] == "b"


@pytest.mark.parametrize(
    ("name", "kind", "made"),
    [
        pytest.param("data-pvc", "PersistentVolumeClaim", "flow-data-pvc", id="claim"),
        pytest.param("config-cm", "ConfigMap", "flow-config-cm", id="ConfigMap"),
    ],
)
def test_names_of_resource_templates(name: str, kind: Any, made: str) -> None:
    body = build_resource({"metadata": {"name": name}}, FLOW, kind=kind)
    assert body["metadata"]["name"] == resource_name("flow", name) == made
    assert body["metadata"]["ownerReferences"][0]["uid"] == FLOW.uid


def test_keys_of_approvals() -> None:
    assert approval_key("deploy") == "approved.workflow.kube-zen.io/deploy"
    assert legacy_approval_key("deploy") == "workflow.kube-zen.io/approved/deploy"


# --- pod failure policy ----------------------------------------------------------------------------------------------


def rules(*given: Mapping[str, Any], containers: tuple[str, ...] = ("main",)) -> Any:
    """The Job's own rules for a flow with these."""
    body = template()
    body["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": "busybox"} for name in containers]
    plan = compiled(step("a", template=body), policy={"podFailurePolicy": {"rules": list(given)}})
    return built(plan)["spec"].get("podFailurePolicy", {}).get("rules")


def exits(action: str, operator: str, *values: int, **rest: str) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {**rest, "operator": operator, "values": list(values)}}


@pytest.mark.parametrize("action", ["FailJob", "Ignore", "Count"])
@pytest.mark.parametrize("operator", ["In", "NotIn"])
def test_a_rule_reaches_the_job_as_it_is(action: str, operator: str) -> None:
    assert rules(exits(action, operator, 1, 2)) == [exits(action, operator, 1, 2)]


@pytest.mark.parametrize(
    ("given", "containers", "then"),
    [
        pytest.param(
            exits("FailJob", "In", 1, containerName="sidecar"),
            ("main", "sidecar"),
            [exits("FailJob", "In", 1, containerName="sidecar")],
            id="a sidecar is matched by its name",
        ),
        pytest.param(
            exits("FailJob", "In", 1, containerName="missing"), ("main",), None, id="a container that is missing"
        ),
        pytest.param(
            exits("FailJob", "In", 1, containerName="main"),
            ("main", "sidecar"),
            [exits("FailJob", "In", 1, containerName="main")],
            id="main, where there is one",
        ),
        pytest.param(
            exits("FailJob", "In", 1, containerName="main"),
            ("worker",),
            [exits("FailJob", "In", 1)],
            id="corrected: main, where the one container has another name",
        ),
        pytest.param(
            {"action": "FailJob"},
            ("main",),
            [
                exits("FailJob", "NotIn", 0),
                {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ],
            id="no onExitCodes: the action applies to every failure",
        ),
        pytest.param({"action": "Count"}, ("main",), None, id="counting every failure is what happens anyway"),
    ],
)
def test_a_rule_and_the_containers(given: Mapping[str, Any], containers: tuple[str, ...], then: Any) -> None:
    assert rules(given, containers=containers) == then


def test_no_policy_stays_none() -> None:
    assert "podFailurePolicy" not in built(compiled(step("a")))["spec"]
