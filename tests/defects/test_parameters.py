"""Values on their way between steps and into Jobs: nothing lost, nothing invented, nothing executed, nothing leaked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.defects.lives import Life, fails, flow, step, succeeds, template
from zenflow_testing.cluster import Cluster


def wanting(**source: Any) -> dict[str, Any]:
    """`inputs` of one parameter, p."""
    return {"inputs": {"parameters": [{"name": "p", **source}]}}


def read(path: str, **rest: Any) -> dict[str, Any]:
    return wanting(valueFrom={"jsonPath": path, **rest})


def config(name: str, **data: str) -> Any:
    def create(cluster: Cluster) -> None:
        cluster.create("ConfigMap", {"metadata": {"name": name}, "data": data}, namespace="default")

    return create


def container(life: Life, name: str) -> Mapping[str, Any]:
    """The one container of the step's Job."""
    (found,) = life.job(name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


ECHO = template(job={"backoffLimit": 0}, args=["{{.parameters.p}}"])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param('","image":"evil.example/x"', id="a JSON fragment that would change the image"),
        pytest.param('"}],"hostNetwork":true,"x":[{"y":"', id="one that would change the Pod"),
        pytest.param('"; rm -rf / "', id="quotes"),
        pytest.param("one\ntwo\n\tthree", id="lines and tabs"),
        pytest.param("back\\slash \\n", id="backslashes"),
        pytest.param("{{.parameters.p}}", id="a placeholder"),
        pytest.param("${parameters.p}", id="another one"),
        pytest.param("{{ printf `%s` .StepName }}", id="a Go template"),
        pytest.param("größe – 漢字 \U0001f680", id="other scripts"),
        pytest.param("", id="nothing"),
    ],
)
def test_no_value_changes_more_than_its_own_place(value: str) -> None:
    """A value out of a ConfigMap arrives byte for byte where its placeholder stood, and nowhere else."""
    source = {"valueFrom": {"configMapKeyRef": {"name": "values", "key": "k"}}}
    life = Life(flow(step("a", template=ECHO, **wanting(**source))))
    life.by_hand(config("values", k=value))
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert container(life, "a")["args"] == [value]
    assert container(life, "a")["image"] == "busybox:1.36"
    assert "hostNetwork" not in life.job("a")["spec"]["template"]["spec"]


def test_no_dollar_of_a_value_is_expanded_by_the_kubelet() -> None:
    """`$(HOME)` in a value is text: it reaches the program as it was written."""
    source = {"valueFrom": {"configMapKeyRef": {"name": "values", "key": "k"}}}
    life = Life(flow(step("a", template=ECHO, **wanting(**source))))
    life.by_hand(config("values", k="$(HOME) costs $5"))
    life.to_the_end()
    assert container(life, "a")["args"] == ["$$(HOME) costs $5"]


@pytest.mark.parametrize("there", [pytest.param(True, id="no such key"), pytest.param(False, id="no such ConfigMap")])
def test_no_job_runs_with_a_value_that_is_missing(there: bool) -> None:
    """The step fails, says which input, and no Job ever sees a literal placeholder or `<no value>`."""
    life = Life(
        flow(step("a", template=ECHO, **wanting(valueFrom={"configMapKeyRef": {"name": "values", "key": "k"}})))
    )
    if there:
        life.by_hand(config("values", other="x"))
    life.to_the_end()
    assert life.reasons() == {"a": "InputMissing"}
    assert "values" in life.row("a")["message"]
    assert life.created() == []


def test_no_placeholder_without_a_parameter_is_run() -> None:
    """A placeholder that nothing will replace is a mistake that is found before anything runs."""
    life = Life(flow(step("a", template=ECHO))).to_the_end()
    assert life.reason() == "ValidationFailed"
    assert life.created() == []


@pytest.mark.parametrize(
    ("path", "message", "value"),
    [
        pytest.param("$.count", '{"count": 1.75}', "1.75", id="a fraction"),
        pytest.param("$.count", '{"count": 9007199254740993}', "9007199254740993", id="an integer beyond doubles"),
        pytest.param(
            "$.count", '{"count": 123456789012345678901234567890}', "123456789012345678901234567890", id="huge"
        ),
        pytest.param("$.result", "plain text", "plain text", id="text that is no JSON"),
        pytest.param("$.list", '{"list": [1, "two", null]}', '[1,"two",null]', id="a list"),
        pytest.param("$.yes", '{"yes": true}', "true", id="a boolean"),
        pytest.param("$.succeeded", "", "1", id="the Job's status, as ever"),
        pytest.param("$.status.succeeded", "", "1", id="the Job's status, as documented"),
        pytest.param("$.metadata.namespace", "", "default", id="the Job's metadata"),
    ],
)
def test_no_output_is_lost_on_its_way(path: str, message: str, value: str) -> None:
    """What a step has written reaches the next one to the last digit, and stands in the status."""
    out = {"outputs": {"parameters": [{"name": "o", "valueFrom": {"jsonPath": path}}]}}
    echo = {"template": ECHO, **read(f"a:{path}")}
    life = Life(flow(step("a", **out), step("b", "a", **echo)), a=[succeeds(5, message=message)]).to_the_end()
    assert life.phase() == "Succeeded"
    assert life.row("a")["outputs"]["parameters"][0]["value"] == value
    shown = container(life, "b")["args"][0]
    assert json.loads(shown) == json.loads(value) if value.startswith("[") else shown == value


def test_no_output_is_read_from_a_job_that_may_be_gone() -> None:
    """It is recorded when the step ends: the Job may be removed before the step that reads it starts."""
    life = Life(
        flow(step("a"), step("slow"), step("b", "a", "slow", template=ECHO, **read("a:$.version"))),
        a=[succeeds(5, message='{"version": "v7"}')],
        slow=[succeeds(60)],
    )
    life.after(30)
    name = life.job("a")["metadata"]["name"]
    life.by_hand(lambda cluster: cluster.delete("Job", "default", name))
    life.after(40).restart()
    life.to_the_end()
    assert container(life, "b")["args"] == ["v7"]


def test_no_output_that_is_not_there_counts_as_success() -> None:
    """A step that does not write what it has declared has failed, and says what was not found."""
    out = {"outputs": {"parameters": [{"name": "version", "valueFrom": {"jsonPath": "$.version"}}]}}
    life = Life(flow(step("a", **out), step("b", "a")), a=[succeeds(5, message="oops")]).to_the_end()
    assert life.reasons() == {"a": "OutputMissing", "b": "UpstreamUnmet"}
    assert "version" in life.row("a")["message"]


def test_no_value_of_a_step_that_failed_is_made_up() -> None:
    """The reader of a tolerated failure fails unless it has a default."""
    life = Life(
        flow(
            step("a", continueOnFailure=True),
            step("b", "a", template=ECHO, continueOnFailure=True, **read("a:$.version")),
            step("c", "a", template=ECHO, **read("a:$.version", default="v0")),
        ),
        a=[fails(5)],
    ).to_the_end()
    assert life.phases() == {"a": "Failed", "b": "Failed", "c": "Succeeded"}
    assert life.reasons()["b"] == "InputMissing"
    assert container(life, "c")["args"] == ["v0"]


def test_no_spelling_of_a_placeholder_keeps_the_others_from_being_replaced() -> None:
    """Upper and lower case, with and without a dot, in command, args and env, init containers too."""
    spelt = ["{{.parameters.p}}", "{{.Parameters.p}}", "{{parameters.p}}", "${parameters.p}", "{{ .JobFlow.Name }}"]
    body = template(command=spelt, args=spelt, env=[{"name": "V", "value": " ".join(spelt)}])
    body["spec"]["template"]["spec"]["initContainers"] = [{"name": "first", "image": "busybox", "args": spelt}]
    life = Life(flow(step("a", template=body, **wanting(value="v")))).to_the_end()
    replaced = ["v", "v", "v", "v", "flow"]
    found = container(life, "a")
    assert found["command"] == found["args"] == replaced
    assert found["env"][0]["value"] == "v v v v flow"
    assert life.job("a")["spec"]["template"]["spec"]["initContainers"][0]["args"] == replaced


def test_no_number_in_a_template_is_out_of_reach_of_a_parameter() -> None:
    """A placeholder in a numeric field becomes a number, and one that is no number fails the step by name and value."""
    body = template(job={"parallelism": "{{.parameters.p}}", "completions": 4})
    source = {"valueFrom": {"configMapKeyRef": {"name": "values", "key": "k"}}}
    life = Life(flow(step("a", template=body, **wanting(**source))))
    life.by_hand(config("values", k="2"))
    life.after(5)
    assert life.job("a")["spec"]["parallelism"] == 2
    broken = Life(flow(step("a", template=body, **wanting(**source))))
    broken.by_hand(config("values", k="two"))
    broken.to_the_end()
    assert broken.reasons() == {"a": "InputInvalid"}
    assert "parallelism" in broken.row("a")["message"]
    assert "two" in broken.row("a")["message"]


def test_no_secret_is_copied_anywhere() -> None:
    """Its value stands neither in the Job nor in the status, and the operator never reads it: the container does."""
    life = Life(
        flow(
            step(
                "a",
                template=template(args=["--password={{.parameters.p}}"]),
                **wanting(valueFrom={"secretKeyRef": {"name": "login", "key": "password"}}),
            )
        )
    )
    life.by_hand(
        lambda c: c.create(
            "Secret", {"metadata": {"name": "login"}, "stringData": {"password": "hunter2"}}, namespace="default"
        )
    )
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert not [request for request in life.requests if "Secret" in request[1]]
    assert "hunter2" not in json.dumps([life.jobs(), life.status()])
    (variable,) = container(life, "a")["env"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "login", "key": "password"}}
    assert container(life, "a")["args"] == [f"--password=$({variable['name']})"]
