"""`zenflow simulate`: lives as text and as JSON, and their ends as exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Zenflow

HEAD = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: small}\n"
JOB = "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}}"
SMALL = (
    HEAD
    + f"""spec:
  parameters: [{{name: region, value: eu, enum: [eu, us]}}]
  templates: [{{name: job, template: {JOB}}}]
  steps:
  - {{name: build, templateRef: job}}
  - {{name: agree, type: Manual, dependencies: [build]}}
  - {{name: deploy, templateRef: job, dependencies: [agree], when: parameters.region == "eu"}}
"""
)


@pytest.mark.parametrize(
    ("example", "args"),
    [("release-train", ("--seed", "7")), ("fan-out-300", ()), ("etl-diamond", ())],
)
def test_life_of_an_example(
    zenflow: Zenflow, golden: Callable[[str, str], None], example: str, args: tuple[str, ...]
) -> None:
    ran = zenflow("simulate", f"examples/{example}.yaml", *args)
    assert ran.err == ""
    golden(f"simulate-{example}.txt", ran.out)


@pytest.mark.parametrize(
    ("outcomes", "code", "end"),
    [
        pytest.param("{}", 0, "Succeeded in 1m20s of virtual time", id="all goes well"),
        pytest.param("steps: {build: [{exitCode: 1}]}", 1, "Failed in 10s of virtual time", id="a step fails"),
        pytest.param("approvals: {agree: never}", 3, "Waits for ever from +10s on", id="nobody approves"),
        pytest.param(
            "approvals: {agree: {reject: too late}}", 1, "Failed in 1m10s of virtual time", id="somebody rejects"
        ),
    ],
)
def test_the_end_is_the_exit_code(zenflow: Zenflow, outcomes: str, code: int, end: str) -> None:
    Path("outcomes.yaml").write_text(outcomes, encoding="utf-8")
    ran = zenflow("simulate", "-", "--outcomes", "outcomes.yaml", stdin=SMALL)
    assert (ran.code, ran.err) == (code, "")
    assert end in ran.out


def test_a_flow_that_waits_for_ever_is_explained(zenflow: Zenflow) -> None:
    Path("outcomes.yaml").write_text("approvals: {agree: never}", encoding="utf-8")
    ran = zenflow("simulate", "-", "--outcomes", "outcomes.yaml", stdin=SMALL)
    assert ran.out.endswith(
        """
Waits for ever from +10s on: nothing can move it any more
  steps    1 of 3 succeeded, 1 pending, 1 waiting for an approval
  Jobs     1

small is Paused since +0s
  PendingApproval   agree
    AwaitsApproval  waits for an approval since +10s
To move it: approve agree: `zenflow approve small agree -n default`, or without zenflow """
        """`kubectl -n default annotate jobflows.workflow.kube-zen.io small approved.workflow.kube-zen.io/agree=true`.
"""
    )


def test_json_is_what_the_product_promises(zenflow: Zenflow) -> None:
    ran = zenflow("simulate", "-", "-o", "json", stdin=SMALL)
    life = json.loads(ran.out)
    assert ran.out == json.dumps(life, indent=2, sort_keys=True) + "\n"
    assert sorted(life) == ["endedAt", "flow", "phase", "reason", "steps", "timeline", "version"]
    assert (life["flow"], life["phase"], life["reason"]) == ("small", "Succeeded", "FlowSucceeded")
    assert life["endedAt"] == "2026-01-01T00:01:20Z"
    assert [step["name"] for step in life["steps"]] == ["build", "agree", "deploy"]
    assert life["steps"][0] == {
        "name": "build",
        "phase": "Succeeded",
        "reason": "JobComplete",
        "attempts": [
            {
                "number": 1,
                "startedAt": "2026-01-01T00:00:00Z",
                "finishedAt": "2026-01-01T00:00:10Z",
                "reason": "JobComplete",
            }
        ],
    }
    assert life["timeline"][0] == {
        "at": "2026-01-01T00:00:00Z",
        "step": "build",
        "from": "Pending",
        "to": "Running",
        "reason": "Admitted",
    }
    assert [entry["reason"] for entry in life["timeline"] if entry["step"] == "deploy"] == [
        "ConditionMet",
        "Admitted",
        "JobComplete",
    ]


def test_json_of_a_flow_that_waits_for_ever(zenflow: Zenflow) -> None:
    Path("outcomes.yaml").write_text("approvals: {agree: never}", encoding="utf-8")
    ran = zenflow("simulate", "-", "--outcomes", "outcomes.yaml", "-o", "json", stdin=SMALL)
    life = json.loads(ran.out)
    assert (ran.code, life["endedAt"], life["phase"]) == (3, None, "Paused")
    assert [step["reason"] for step in life["steps"]] == ["JobComplete", "AwaitsApproval", "WaitsFor"]
    assert life["steps"][1]["attempts"][0]["finishedAt"] is None


@pytest.mark.parametrize(
    ("args", "skipped"),
    [
        pytest.param((), False, id="the flow's own value"),
        pytest.param(("--set", "region=us"), True, id="another value"),
        pytest.param(("--set", "region=us", "--set", "region=eu"), False, id="the last one counts"),
    ],
)
def test_set(zenflow: Zenflow, args: tuple[str, ...], skipped: bool) -> None:
    ran = zenflow("simulate", "-", *args, stdin=SMALL)
    assert ran.code == 0
    assert ("⊘ Skipped" in ran.out) is skipped


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(("--set", "regoin=us"), "no such parameter\n  fix: did you mean 'region'?", id="unknown"),
        pytest.param(("--set", "region"), "there is no '=' in it\n  fix: write --set NAME=VALUE", id="without a value"),
        pytest.param(("--set", "region=asia"), "error ZF411 spec.parameters[0]", id="a value that enum forbids"),
        pytest.param(("--outcomes", "gone.yaml"), "cannot read gone.yaml", id="no outcomes file"),
        pytest.param(("--dump", "no/such/folder"), "cannot write no/such/folder", id="a dump that cannot be written"),
        pytest.param(("--dump", "-"), "--dump - is not possible", id="a dump to stdout"),
    ],
)
def test_wrong_arguments_end_with_2(zenflow: Zenflow, args: tuple[str, ...], said: str) -> None:
    ran = zenflow("simulate", "-", *args, stdin=SMALL)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_problems_of_the_outcomes_file_have_their_places(zenflow: Zenflow) -> None:
    Path("outcomes.yaml").write_text("steps:\n  biuld: [{exitCode: 1}]\n", encoding="utf-8")
    ran = zenflow("simulate", "-", "--outcomes", "outcomes.yaml", stdin=SMALL)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("outcomes.yaml:2:3: error")
    assert "did you mean 'build'?" in ran.err


def test_the_same_seed_gives_the_same_bytes_and_another_another_life(zenflow: Zenflow) -> None:
    lives = [zenflow("simulate", "-", "--seed", seed, "-o", "json", stdin=SMALL).out for seed in ("3", "3", "4")]
    assert lives[0] == lives[1] != lives[2]


def test_full_gathers_nothing_of_a_crowd(zenflow: Zenflow) -> None:
    few = zenflow("simulate", "examples/fan-out-300.yaml", "--seed", "11").out
    every = zenflow("simulate", "examples/fan-out-300.yaml", "--seed", "11", "--full").out
    assert few.count("✔ Succeeded") < 40
    assert every.count("✔ Succeeded") > 150
    assert re.search(r"shard-\* \(\d+ steps\)", few)
    assert not re.search(r"shard-\* \(\d+ steps\)", every)
