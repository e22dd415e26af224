"""`when` and approvals: guards that hold, and that let go."""

from __future__ import annotations

import pytest

from tests.defects.lives import HANGS, Life, fails, flow, manual, seconds, step, succeeds
from zenflow_testing.errors import ApiError
from zenflow_testing.outcomes import ScriptedApproval

OUTPUT = {"outputs": {"parameters": [{"name": "level", "valueFrom": {"jsonPath": "$.level"}}]}}


@pytest.mark.parametrize("when", ["false", "never", "steps.a.phase == 'Failed'", "steps.a.phase != 'Succeeded'"])
def test_no_condition_that_is_false_hangs_the_flow(when: str) -> None:
    """The step is Skipped, what follows it runs, and the flow ends."""
    life = Life(flow(step("a"), step("b", "a", when=when), step("c", "b"))).to_the_end()
    assert life.phases() == {"a": "Succeeded", "b": "Skipped", "c": "Succeeded"}
    assert life.phase() == "Succeeded"


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("steps.a.phase == ", id="half a comparison"),
        pytest.param("steps.a.phase = 'Failed'", id="a single equals sign"),
        pytest.param("steps.nobody.phase == 'Failed'", id="a step that does not exist"),
        pytest.param("steps.later.phase == 'Failed'", id="a step that is not before it"),
        pytest.param("parameters.nothing == 'x'", id="a parameter that does not exist"),
        pytest.param("steps.a.status == 'Failed'", id="a field that steps do not have"),
        pytest.param("only on fridays", id="prose"),
        pytest.param("{{ .StepStatus.a.Phase", id="half a brace"),
        pytest.param("{{ if true }}yes{{ end }}", id="a template's own functions"),
        pytest.param("X == 'y'", id="a word that stands for nothing"),
    ],
)
def test_no_condition_that_makes_no_sense_lets_its_step_run(when: str) -> None:
    """Such a flow ends before its first Job, saying where the mistake is."""
    life = Life(flow(step("a"), step("b", "a", when=when), step("later", "b"))).to_the_end()
    assert life.phase() == "Failed"
    assert life.reason() == "ValidationFailed"
    assert "spec.steps[1].when" in life.condition("Failed")["message"]
    assert life.created() == []


@pytest.mark.parametrize(
    ("when", "phase"),
    [
        pytest.param("steps.a.phase == 'Succeeded' && steps.b.phase == 'Succeeded'", "Skipped", id="and"),
        pytest.param("steps.a.phase == 'Succeeded' || steps.b.phase == 'Succeeded'", "Succeeded", id="or"),
        pytest.param("!(steps.b.phase == 'Failed')", "Skipped", id="not"),
        pytest.param("steps.a.outputs.parameters.level > 3", "Succeeded", id="an output that is a number"),
        pytest.param("steps.a.outputs.parameters.level == 3", "Skipped", id="not that number"),
        pytest.param("parameters.env == 'prod'", "Succeeded", id="a parameter of the flow"),
        pytest.param("'{{ .StepStatus.b.Phase }}' == 'Failed'", "Succeeded", id="braces, in quotes"),
        pytest.param("{{ .StepStatus.b.Phase }} == 'Succeeded'", "Skipped", id="braces, without"),
    ],
)
def test_no_part_of_a_condition_is_ignored(when: str, phase: str) -> None:
    """All of an expression counts, and it sees phases, outputs and parameters."""
    life = Life(
        flow(
            step("a", **OUTPUT),
            step("b", continueOnFailure=True),
            step("c", "a", "b", when=when),
            parameters=[{"name": "env", "value": "prod"}],
        ),
        a=[succeeds(5, message='{"level": 4}')],
        b=[fails(5)],
    ).to_the_end()
    assert life.phases()["c"] == phase


def test_no_condition_that_breaks_at_run_time_lets_its_step_run() -> None:
    """What cannot be compared fails the step; nothing guarded by it starts."""
    life = Life(
        flow(step("a", **OUTPUT), step("deploy", "a", when="steps.a.outputs.parameters.level > 3")),
        a=[succeeds(5, message='{"level": "high"}')],
    ).to_the_end()
    assert life.reasons()["deploy"] == "ConditionInvalid"
    assert [name.split("-")[1] for name in life.created()] == ["a"]


def test_no_approval_is_impossible_to_give() -> None:
    """The annotation that approves is one that the API server stores, also for a step with a long name."""
    long = "approve-" + "x" * 100
    life = Life(
        flow(manual("ask"), manual(long, "ask"), step("b", long)),
        approvals={"ask": ScriptedApproval(seconds(60), by="jane"), long: ScriptedApproval(seconds(5))},
    )
    life.after(30)
    assert life.phase() == "Paused"
    assert life.phases() == {"ask": "PendingApproval", long: "Pending", "b": "Pending"}
    life.to_the_end()
    assert life.phase() == "Succeeded"
    assert life.row("ask")["approvedBy"] == "jane"


def test_no_key_with_two_slashes_is_what_the_documentation_tells_people_to_set() -> None:
    """The key of old cannot be stored by any API server; a flow from a file may still carry it."""
    life = Life(flow(manual("ask")), approvals={"ask": None})
    with pytest.raises(ApiError) as refused:
        life.annotate("workflow.kube-zen.io/approved/ask", "true")
    assert refused.value.code == 422
    life.annotate("approved.workflow.kube-zen.io/ask", "true")
    assert life.to_the_end().phase() == "Succeeded"


@pytest.mark.parametrize("value", ["True", "yes", "false", ""])
def test_no_word_but_true_approves(value: str) -> None:
    """Whatever else is written there is no approval."""
    life = Life(flow(manual("ask"), step("b", "ask")), approvals={"ask": None})
    life.annotate("approved.workflow.kube-zen.io/ask", value)
    life.after(3600)
    assert life.phase() == "Paused"
    assert life.created() == []


def test_no_rejection_is_impossible() -> None:
    """Somebody says no, and why; what waited for it is skipped."""
    life = Life(
        flow(manual("ask"), step("b", "ask")), approvals={"ask": ScriptedApproval(seconds(60), reject="not today")}
    ).to_the_end()
    assert life.reasons()["ask"] == "Rejected"
    assert "not today" in life.row("ask")["message"]
    assert life.phases() == {"ask": "Failed", "b": "Skipped"}


def test_no_flow_is_paused_once_its_approval_is_there() -> None:
    """While a person is asked other branches run; with the answer the phase and the message say so at once."""
    life = Life(
        flow(manual("ask", message="Go?"), step("b", "ask"), step("c")),
        approvals={"ask": ScriptedApproval(seconds(60))},
        b=[HANGS],
    )
    life.after(30)
    assert life.phase() == "Paused"
    assert life.phases() == {"ask": "PendingApproval", "b": "Pending", "c": "Succeeded"}
    life.after(60)
    assert life.phase() == "Running"
    assert life.phases()["b"] == "Running"
    assert "Go?" not in life.row("ask").get("message", "")


def test_no_misspelt_template_becomes_an_approval() -> None:
    """A step without type and template, with a word that looks like one, is refused instead of waiting for a person."""
    spelt = {**step("a"), "tempalte": step("a")["template"]}
    del spelt["template"]
    life = Life(flow(spelt)).to_the_end()
    assert life.reason() == "ValidationFailed"
    assert "tempalte" in life.condition("Failed")["message"]
