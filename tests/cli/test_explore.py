"""`zenflow explore`: what it prints, writes and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Zenflow

FLOW = "examples/migration-with-approval.yaml"
APPROVED_FIRST = "not (steps.migrate.phase == 'Running') or steps.agree.phase == 'Succeeded'"
NEVER_MIGRATES = "steps.migrate.phase != 'Running'"
SMALL = ("--budget", "12")


def test_all_holds(zenflow: Zenflow) -> None:
    ran = zenflow("explore", FLOW, "--always", APPROVED_FIRST)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("migration-with-approval: 3 steps, ")
    assert lines[1] == "  4 lives without faults (3 Failed, 1 Succeeded)"
    assert f"  always {APPROVED_FIRST}" in lines
    assert lines[-1].startswith("ok: every law held in ")
    assert any(line.startswith("left out: ") for line in lines)


def test_a_broken_property_ends_with_1_and_a_case_file_that_fails(zenflow: Zenflow) -> None:
    Path("cases").mkdir()
    ran = zenflow("explore", FLOW, "--always", NEVER_MIGRATES, "--write", "cases", *SMALL)
    assert ran.code == 1
    assert f"BROKEN  always {NEVER_MIGRATES} in " in ran.out
    assert "agree PendingApproval→Succeeded Approved, migrate Pending→Running Admitted" in ran.out
    (file,) = Path("cases").iterdir()
    assert f"  case    {file} (zenflow test plays it)" in ran.out
    played = zenflow("test", str(file))
    assert played.code == 1
    assert f"expected always {NEVER_MIGRATES}" in played.out


def test_json_is_the_same_to_the_byte(zenflow: Zenflow) -> None:
    runs = [zenflow("explore", FLOW, "--always", NEVER_MIGRATES, "-o", "json", *SMALL) for _ in range(2)]
    assert runs[0] == runs[1]
    told = json.loads(runs[0].out)
    assert (told["lives"], told["always"]) == (12, [NEVER_MIGRATES])
    assert told["leftOut"]["beyond the budget"] > 0
    (broken,) = told["broken"]
    assert (broken["law"], broken["steps"], broken["faults"]) == (f"always {NEVER_MIGRATES}", "calm", [])
    assert broken["case"].startswith("id: migration-with-approval-always-")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--always", "steps.migrat.phase == 'Failed'"), "did you mean 'migrate'?", id="an unknown step"),
        pytest.param(("--always", "flow.phase =="), "is no valid CEL", id="no expression"),
        pytest.param(("--always", "true", "--always", "x"), "--always #2", id="the second of two"),
        pytest.param(("--write", "nowhere"), "mkdir -p nowhere", id="no directory"),
        pytest.param(("--pairs", "-1"), "is below 0", id="no number of pairs"),
        pytest.param(("--budget", "0"), "leaves no life", id="no budget"),
        pytest.param(("--name", "other"), "no JobFlow called 'other'", id="no such flow"),
    ],
)
def test_bad_input(zenflow: Zenflow, arguments: tuple[str, ...], said: str) -> None:
    ran = zenflow("explore", FLOW, *arguments)
    assert ran.code in (2, 4)
    assert ran.out == ""
    assert said in ran.err


def test_an_invalid_flow_is_told_with_its_place(zenflow: Zenflow) -> None:
    head = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: bad}\n"
    ran = zenflow("explore", "-", stdin=f"{head}spec: {{steps: [{{name: a, type: Manual, dependencies: [b]}}]}}\n")
    assert ran.code == 2
    assert ran.err.startswith("<stdin>:4:")


def test_another_namespace_and_a_generated_name_are_no_trouble(zenflow: Zenflow) -> None:
    text = (
        Path(FLOW)
        .read_text(encoding="utf-8")
        .replace(
            "metadata: {name: migration-with-approval, namespace: default}",
            "metadata: {generateName: migrate-, namespace: shop}",
        )
    )
    ran = zenflow("explore", "-", *SMALL, stdin=text)
    assert ran.code == 0
    assert ran.out.startswith("migrate: 3 steps, 12 lives")
