"""Properties in CEL over simulated states: read, refused, held and broken."""

from __future__ import annotations

from typing import Any

import pytest

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import Plan
from zenflow_core.spec import API_VERSION, KIND, JobFlow
from zenflow_testing.outcomes import CalmOutcomes, Outcomes, Script, ScriptedEnding, ScriptedOutcomes
from zenflow_testing.properties import AlwaysCheck, Property, PropertyBroken, parse_property
from zenflow_testing.simulation import simulate

ISSUE = "not (steps.deploy.phase == 'Running') or steps.approve.phase == 'Succeeded'"
JOB = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "b:1"}]}}}}
OUT = {"parameters": [{"name": "rows", "valueFrom": {"jsonPath": "$.rows"}}]}
GUARDED: list[dict[str, Any]] = [
    {"name": "build", "template": JOB, "outputs": OUT, "retryPolicy": {"limit": 1, "backoff": {"duration": "1s"}}},
    {"name": "approve", "type": "Manual", "dependencies": ["build"]},
    {"name": "deploy", "template": JOB, "dependencies": ["approve"]},
]
UNGUARDED = [*GUARDED[:2], {"name": "deploy", "template": JOB, "dependencies": ["build"]}]


def compiled(steps: list[dict[str, Any]]) -> tuple[JobFlow, Plan]:
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "ship"}, "spec": {"steps": steps}}
    flow = read_flow(body)
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow)
    assert isinstance(plan, Plan), plan
    return flow, plan


def play(text: str, steps: list[dict[str, Any]], outcomes: Outcomes | None = None) -> None:
    flow, plan = compiled(steps)
    parsed = parse_property(text, plan)
    assert isinstance(parsed, Property), parsed
    simulate(flow, plan, outcomes or CalmOutcomes(), watcher=AlwaysCheck(parsed))


ONE_FAILURE = ScriptedOutcomes(Script(steps={"build": (ScriptedEnding(exit_code=1),)}))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ISSUE, id="in words"),
        pytest.param('!(steps["deploy"].phase == "Running") || steps.approve.phase == "Succeeded"', id="in CEL"),
        pytest.param("steps.build.attempts <= 2", id="attempts"),
        pytest.param("flow.phase != 'Failed'", id="the flow's own phase"),
        pytest.param(
            "steps.build.phase != 'Succeeded' or steps.build.outputs.parameters.rows == 'build.rows'",
            id="an output, guarded by the phase",
        ),
        pytest.param("'this and that or not' != flow.name", id="words in a text stay"),
    ],
)
def test_holds(text: str) -> None:
    play(text, GUARDED, ONE_FAILURE)


@pytest.mark.parametrize(
    ("text", "steps", "said"),
    [
        pytest.param(ISSUE, UNGUARDED, "does not hold", id="a step that does not wait for its approval"),
        pytest.param("steps.build.attempts < 2", GUARDED, "does not hold", id="a retry"),
        pytest.param("flow.phase != 'Paused'", GUARDED, "does not hold", id="a phase between"),
        pytest.param(
            "steps.build.outputs.parameters.rows == 'x'",
            GUARDED,
            "it has no answer: .*step 'build' has no output 'rows'",
            id="no answer is no yes",
        ),
    ],
)
def test_broken(text: str, steps: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(PropertyBroken, match=said):
        play(text, steps, ONE_FAILURE)


@pytest.mark.parametrize(
    ("text", "path", "what", "fix"),
    [
        pytest.param("steps.deplyo.phase == 'Running'", "--always[1]", "reads step 'deplyo'", "deploy", id="a step"),
        pytest.param(
            "steps.deploy.phase == 'Runing'",
            "--always[23]",
            "which no phase is",
            "did you mean 'Running'?",
            id="a phase",
        ),
        pytest.param("not steps.build.attempts > 2", "--always[1]", "'not' without brackets", "not (...)", id="not"),
        pytest.param("a and (", "--always", "", "", id="no CEL"),
        pytest.param(" ", "--always", "says nothing", "write what has to hold", id="nothing"),
        pytest.param("flow.name", "--always", "type string", "compare it", id="no truth value"),
    ],
)
def test_refused(text: str, path: str, what: str, fix: str) -> None:
    _, plan = compiled(GUARDED)
    found = parse_property(text, plan)
    assert isinstance(found, tuple)
    assert found[0].path.startswith(path)
    assert what in found[0].what
    assert fix in found[0].fix


def test_places_are_those_of_the_text_as_it_was_written() -> None:
    """A word is translated into as many characters."""
    _, plan = compiled(GUARDED)
    text = "not (flow.phase == 'Failed') and steps.nobody.phase == 'Failed'"
    found = parse_property(text, plan)
    assert isinstance(found, tuple)
    assert found[0].path == f"--always[{text.index('steps.nobody') + 1}]"


def test_a_condition_of_a_step_still_cannot_count_attempts() -> None:
    body = [*GUARDED[:2], {**GUARDED[2], "when": "steps.approve.attempts > 1"}]
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "f"}, "spec": {"steps": body}}
    flow = read_flow(manifest)
    assert isinstance(flow, JobFlow)
    assert isinstance(compile_plan(flow), tuple)
