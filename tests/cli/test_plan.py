"""`zenflow plan` and `zenflow graph`, and how a command picks one flow of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Zenflow
from tests.core.builders import compiled, manual, retry, step
from zenflow_core.styled import plain
from zenflow_runtime.cli.plan import most_retries, plan_lines, waves_of

FLOW = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {{name: {}}}\nspec: {{steps: [{}]}}\n"
ONE, TWO = FLOW.format("one", "{name: a, type: Manual}"), FLOW.format("two", "{name: b, type: Manual}")


@pytest.mark.parametrize("example", ["etl-diamond", "always-clean-up", "fan-out-300"])
def test_plan_of_an_example(zenflow: Zenflow, golden: Callable[[str, str], None], example: str) -> None:
    ran = zenflow("plan", f"examples/{example}.yaml")
    assert (ran.code, ran.err) == (0, "")
    golden(f"plan-{example}.txt", ran.out)


@pytest.mark.parametrize("output", ["mermaid", "dot"])
def test_graph_of_an_example(zenflow: Zenflow, golden: Callable[[str, str], None], output: str) -> None:
    ran = zenflow("graph", "examples/always-clean-up.yaml", "-o", output)
    assert (ran.code, ran.err) == (0, "")
    golden(f"graph-always-clean-up.{output}", ran.out)


def test_plan_as_json(zenflow: Zenflow) -> None:
    ran = zenflow("plan", "examples/etl-diamond.yaml", "-o", "json")
    plan = json.loads(ran.out)
    assert ran.out == json.dumps(plan, indent=2, sort_keys=True) + "\n"
    assert plan["waves"] == [["extract-a", "extract-b"], ["transform-a", "transform-b"], ["merge"], ["load"]]
    assert plan["criticalPath"] == ["extract-a", "transform-a", "merge", "load"]
    assert plan["criticalPathSeconds"] is None
    assert plan["jobs"] == {"atLeast": 0, "atMost": 12, "withoutRetries": 6}
    assert plan["steps"][5] == {
        "name": "load",
        "type": "Job",
        "segment": "main",
        "dependencies": ["merge"],
        "when": None,
        "retries": 0,
        "timeoutSeconds": 1200,
        "continueOnFailure": False,
    }


@pytest.mark.parametrize(
    ("outcomes", "chain", "seconds"),
    [
        pytest.param("{}", ["extract-a", "transform-a", "merge", "load"], 40, id="all alike"),
        pytest.param(
            "steps: {extract-b: [{exitCode: 1, after: 5s}, {after: 60s}]}",
            ["extract-b", "transform-b", "merge", "load"],
            105,
            id="with a retry and its pause",
        ),
    ],
)
def test_with_outcomes_the_chain_is_by_time(
    zenflow: Zenflow, tmp_path: Path, outcomes: str, chain: list[str], seconds: int
) -> None:
    (tmp_path / "o.yaml").write_text(outcomes, encoding="utf-8")
    plan = json.loads(zenflow("plan", "examples/etl-diamond.yaml", "--outcomes", "o.yaml", "-o", "json").out)
    assert (plan["criticalPath"], plan["criticalPathSeconds"]) == (chain, seconds)
    text = zenflow("plan", "examples/etl-diamond.yaml", "--outcomes", "o.yaml").out
    assert f"{chain[0]} {seconds - 30}s →" in text.replace("1m15s", "75s")


def test_finally_stands_behind_all_other_waves() -> None:
    plan = compiled(step("a"), step("b", "a"), last=[step("c"), step("d", "c")])
    assert [[each.name for each in wave] for wave in waves_of(plan)] == [["a"], ["b"], ["c"], ["d"]]
    text = plain(plan_lines(plan, "f", columns=80))
    assert "wave 3 finally c\n" in text
    assert "└─ c  finally\n   └─ d\n" in text


@pytest.mark.parametrize(
    ("limits", "budget", "most"),
    [
        pytest.param([0, 0], 6, 0, id="none"),
        pytest.param([2, 3], 6, 5, id="each step's own"),
        pytest.param([2, 3], 4, 4, id="no more than the flow's budget"),
        pytest.param([2, 3], 5, 5, id="the budget itself is within"),
    ],
)
def test_most_retries(limits: list[int], budget: int, most: int) -> None:
    steps = [step(f"s-{'abc'[at]}", retryPolicy=retry(limit)) for at, limit in enumerate(limits)]
    assert most_retries(compiled(*steps, policy={"backoffLimit": budget})) == most


def test_a_step_after_several_is_drawn_once_and_names_the_others() -> None:
    plan = compiled(step("a"), step("b"), manual("c", "a", "b"))
    assert "├─ a\n└─ b\n   └─ c  approval, also after a\n" in plain(plan_lines(plan, "f", columns=80))


def test_a_chain_of_thousands_is_drawn_within_its_columns() -> None:
    names = [f"step{'x' * (number % 7)}-{number}" for number in range(3000)]
    plan = compiled(*(step(name, *names[max(at - 1, 0) : at]) for at, name in enumerate(names)))
    lines = plain(plan_lines(plan, "f", columns=80)).splitlines()
    assert max(len(each) for each in lines) <= 80


@pytest.mark.parametrize("command", ["plan", "graph", "simulate", "explain"])
@pytest.mark.parametrize(
    ("text", "args", "code", "said"),
    [
        pytest.param(ONE, (), 0, "", id="the only one"),
        pytest.param(f"{ONE}---\n{TWO}", ("--name", "two"), 0, "", id="one by name"),
        pytest.param(f"{ONE}---\n{TWO}", (), 2, "2 JobFlows: one, two\n  fix: pick one with --name", id="one of two"),
        pytest.param(ONE, ("--name", "on"), 4, "no JobFlow called 'on'\n  fix: did you mean 'one'?", id="no such name"),
        pytest.param(f"{ONE}---\n{ONE}", ("--name", "one"), 2, "2 JobFlows called 'one'", id="a name that two have"),
        pytest.param("a: b\n", (), 2, "error ZF107 apiVersion: missing", id="something else"),
        pytest.param("apiVersion: v1\nkind: Pod\n", (), 2, "has no JobFlow in it", id="an object of another kind"),
        pytest.param(ONE.replace("name: a,", ""), (), 2, "error ZF103 spec.steps[0].name", id="a wrong shape"),
        pytest.param(
            ONE.replace("name: a,", "name: a, dependencies: [a],"),
            (),
            2,
            "<stdin>:4:41: error ZF205 spec.steps[0].dependencies[0]",
            id="a flow that cannot be run",
        ),
    ],
)
def test_one_flow_is_picked(
    zenflow: Zenflow, command: str, text: str, args: tuple[str, ...], code: int, said: str
) -> None:
    ran = zenflow(command, "-", *args, stdin=text)
    assert ran.code == code
    assert said in ran.err
    assert (ran.out == "") is (code != 0)


def test_the_same_flow_gives_the_same_picture(zenflow: Zenflow) -> None:
    text = (ROOT / "examples/rnaseq.yaml").read_text(encoding="utf-8")
    assert zenflow("graph", "-", stdin=text).out == zenflow("graph", "-", stdin=text).out
