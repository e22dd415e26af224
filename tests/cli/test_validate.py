"""`zenflow validate`: all findings of all documents, in four forms."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from tests.cli.conftest import ROOT, Zenflow
from zenflow_core.problems import Position, Problem, Severity
from zenflow_core.styled import plain
from zenflow_runtime.cli.bounds import duration_text
from zenflow_runtime.cli.findings import finding_lines
from zenflow_runtime.cli.reports import github_report
from zenflow_runtime.cli.validate import CheckedFile

HEAD = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\n"
GOOD = HEAD + "metadata: {name: good}\nspec:\n  steps:\n  - {name: a, type: Manual}\n"
BAD = HEAD + (
    "metadata: {name: bad}\nspec:\n  steps:\n  - {name: build, type: Manual}\n"
    "  - {name: b, type: Manual,\n     dependencies: [buidl, build, build]}\n"
)
BOUNDS = "0 Jobs, 11 API writes, 4 KiB of status, no limit on time (a without timeoutSeconds)"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n"


def test_a_good_file(zenflow: Zenflow) -> None:
    ran = zenflow("validate", "-", stdin=GOOD)
    assert (ran.code, ran.out, ran.err) == (0, f"<stdin>: ok JobFlow good, 1 step; at most {BOUNDS}\n", "")


def test_every_finding_of_every_file_with_its_place(zenflow: Zenflow) -> None:
    Path("bad.yaml").write_text(BAD, encoding="utf-8")
    Path("both.yaml").write_text(f"{GOOD}---\n{CONFIG_MAP}---\n{BAD}", encoding="utf-8")
    ran = zenflow("validate", "bad.yaml", "both.yaml")
    assert ran.code == 2
    assert ran.err == ""
    told = [line for line in ran.out.splitlines() if not line.startswith("    fix: ")]
    expected = [
        "bad.yaml:8:21: error ZF204 spec.steps[1].dependencies[0]: depends on step 'buidl', which",
        "bad.yaml:8:35: warning ZF206 spec.steps[1].dependencies[2]: ",
        "both.yaml:19:21: error ZF204 spec.steps[1].dependencies[0]: depends on step 'buidl', which",
        "both.yaml:19:35: warning ZF206 spec.steps[1].dependencies[2]: ",
        "both.yaml: ok JobFlow good, 1 step",
        "both.yaml: skipped ConfigMap notes",
        "3 flows in 2 files: 2 problems, 2 warnings",
    ]
    assert [line[: len(start)] for line, start in zip(told, expected, strict=True)] == expected
    assert ran.out.splitlines()[1] == "    fix: did you mean 'build'?"


def test_warnings_alone_are_no_failure(zenflow: Zenflow) -> None:
    text = GOOD.replace("type: Manual", "type: Manual, retryPolicy: {limit: 1}")
    ran = zenflow("validate", "-", stdin=text)
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("<stdin>:6:29: warning ZF608 spec.steps[0].retryPolicy: ")
    assert ran.out.splitlines()[-1] == "1 flow in 1 file: 0 problems, 1 warning"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"a.yaml": CONFIG_MAP}, "a.yaml has no JobFlow in it", id="one file of something else"),
        pytest.param({"a.yaml": CONFIG_MAP, "b.yaml": CONFIG_MAP}, "these 2 files have no JobFlow", id="two"),
    ],
)
def test_files_without_a_flow_do_not_pass(zenflow: Zenflow, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    ran = zenflow("validate", *files)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD.replace("kind: JobFlow", "kind: Jobflow"), id="a kind in other letters"),
        pytest.param(GOOD.replace("kind: JobFlow", "kind: Jobs"), id="another kind of our group"),
        pytest.param(GOOD.replace("workflow.kube-zen.io", "flow.volcano.sh"), id="the JobFlow of another group"),
        pytest.param(GOOD.replace("apiVersion", "apiversion"), id="no apiVersion"),
    ],
)
def test_a_misspelt_head_is_a_problem_and_not_passed_over(zenflow: Zenflow, text: str) -> None:
    ran = zenflow("validate", "-", stdin=text)
    assert ran.code == 2
    assert "error ZF107" in ran.out


def test_lists_are_looked_into(zenflow: Zenflow) -> None:
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}},
        {"apiVersion": "v1", "kind": "JobFlow"},
    ]
    ran = zenflow("validate", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert ran.code == 2
    assert ran.out.startswith("<stdin>:1:")
    assert "error ZF107 items[1].apiVersion: " in ran.out
    assert "<stdin>: skipped ConfigMap m" in ran.out


def test_a_file_that_cannot_be_read_does_not_hide_the_others(zenflow: Zenflow) -> None:
    Path("bad.yaml").write_text(BAD, encoding="utf-8")
    ran = zenflow("validate", "gone.yaml", "examples", "bad.yaml")
    assert ran.code == 2
    assert ran.err == (
        "zenflow: cannot read gone.yaml: no such file or directory\n"
        "zenflow: cannot read examples: it is a directory; name the files in it\n"
    )
    assert ran.out.startswith("bad.yaml:8:21: error ZF204")


def test_every_example_is_valid(zenflow: Zenflow) -> None:
    examples = sorted(f"examples/{path.name}" for path in (ROOT / "examples").glob("*.yaml"))
    ran = zenflow("validate", *examples)
    assert ran.code == 0
    assert ran.out.count(": ok JobFlow ") == len(examples) > 0


def test_json(zenflow: Zenflow) -> None:
    ran = zenflow("validate", "-", "-o", "json", stdin=f"{BAD}---\n{CONFIG_MAP}")
    assert ran.code == 2
    report = json.loads(ran.out)
    assert report["valid"] is False
    (file,) = report["files"]
    assert file["file"] == "<stdin>"
    assert file["flows"] == [{"name": "bad", "namespace": "", "steps": 2, "valid": False}]
    assert file["skipped"] == [{"kind": "ConfigMap", "name": "notes"}]
    assert file["findings"][0] == {
        "severity": "error",
        "rule": "ZF204",
        "title": "unknown-dependency",
        "path": "spec.steps[1].dependencies[0]",
        "line": 8,
        "column": 21,
        "what": "depends on step 'buidl', which this flow does not have",
        "fix": "did you mean 'build'?",
    }
    assert ran.out == json.dumps(report, indent=2, sort_keys=True) + "\n"


def test_json_has_the_bounds_of_each_valid_flow(zenflow: Zenflow) -> None:
    ran = zenflow("validate", "examples/etl-diamond.yaml", "examples/db-backup.yaml", "-o", "json")
    found = [file["flows"][0]["bounds"] for file in json.loads(ran.out)["files"]]
    endless, bounded = found
    assert (endless["jobs"], bounded["jobs"]) == (12, 13)
    assert all(each["writes"]["total"] == sum(each["writes"].values()) - each["writes"]["total"] for each in found)
    assert endless["wallSeconds"] is None
    steps = ["extract-a", "extract-b", "transform-a", "transform-b", "merge"]
    assert endless["unbounded"] == [{"steps": steps, "boundedBy": "spec.executionPolicy.activeDeadlineSeconds"}]
    assert (bounded["wallSeconds"], "unbounded" in bounded) == (2 * 86_400, False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3_661, "1h1m1s"), (90_000, "1d1h"), (2**31 * 86_400, "2,147,483,648d")],
)
def test_times_read_as_kubernetes_prints_them(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "properties": {
                            "driver": {
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {"items": {"required": ["id", "shortDescription"], "type": "object"}}
                                },
                            }
                        },
                        "required": ["driver"],
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "items": {
                            "required": ["message", "level", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        }
                                                    }
                                                },
                                            }
                                        }
                                    }
                                },
                            },
                        }
                    },
                },
            },
        },
    },
}
"""The parts of the SARIF 2.1.0 schema that the report uses."""


def test_sarif(zenflow: Zenflow) -> None:
    Path("a b.yaml").write_text(BAD, encoding="utf-8")
    ran = zenflow("validate", "a b.yaml", "gone.yaml", "-o", "sarif")
    assert ran.code == 2
    report = json.loads(ran.out)
    jsonschema_rs.validate(SARIF, report)
    (run,) = report["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == ["ZF204", "ZF206"]
    assert [each["level"] for each in run["results"]] == ["error", "warning"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 8, "startColumn": 21}}
    assert run["invocations"][0]["executionSuccessful"] is False


def test_github(zenflow: Zenflow) -> None:
    Path("bad.yaml").write_text(BAD, encoding="utf-8")
    ran = zenflow("validate", "bad.yaml", "-o", "github")
    assert ran.code == 2
    assert ran.out.splitlines()[0] == (
        "::error file=bad.yaml,line=8,col=21,title=ZF204 unknown-dependency::spec.steps[1].dependencies[0]: "
        "depends on step 'buidl', which this flow does not have%0Afix: did you mean 'build'?"
    )


def test_no_text_of_a_manifest_can_start_a_command_of_github() -> None:
    problem = Problem("p", "100%\n::set-env name=x::y", "f", rule="ZF204", position=Position("a,b:c", 1, 2))
    report = github_report((CheckedFile("a,b:c", findings=(problem,)),))
    assert report == (
        "::error file=a%2Cb%3Ac,line=1,col=2,title=ZF204 unknown-dependency::p: 100%25%0A::set-env name=x::y%0Afix: f\n"
    )


@pytest.mark.parametrize(
    ("column", "source", "shown"),
    [
        pytest.param(3, "  - a", ["     1 │   - a", "       │   ^"], id="below its place"),
        pytest.param(3, "日本x", ["     1 │ 日本x", "       │     ^"], id="wide characters count twice"),
        pytest.param(2, "\tx", ["     1 │  x", "       │  ^"], id="a tab is one column"),
        pytest.param(
            151,
            "x" * 150 + "!" + "y" * 150,
            ["     1 │ …" + "x" * 14 + "!" + "y" * 13 + "…", "       │ " + " " * 15 + "^"],
            id="a long line is shown around it",
        ),
    ],
)
def test_the_caret_stands_below_its_place(column: int, source: str, shown: list[str]) -> None:
    problem = Problem("p", "w", "f", severity=Severity.ERROR, position=Position("f", 1, column))
    lines = plain(finding_lines([problem], file="f", source=[source], width=40)).splitlines()
    assert lines[1:3] == shown


PARAMETER = GOOD.replace("spec:\n", "spec:\n  parameters: [{name: region}]\n")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param((), 2, "error ZF412", id="a parameter without a value is a problem"),
        pytest.param(("--set", "region=eu"), 0, "ok JobFlow good", id="not if it is given one"),
        pytest.param(("--set", "regoin=eu"), 2, "error ZF412", id="nor by another name"),
    ],
)
def test_set(zenflow: Zenflow, args: tuple[str, ...], code: int, said: str) -> None:
    ran = zenflow("validate", "-", *args, stdin=PARAMETER)
    assert ran.code == code
    assert said in ran.out
    assert ("no such parameter\n  fix: did you mean 'region'?" in ran.err) is ("regoin=eu" in args)


def test_set_is_for_the_flows_that_have_the_parameter(zenflow: Zenflow) -> None:
    ran = zenflow("validate", "-", "--set", "region=eu", stdin=f"{GOOD}---\n{PARAMETER}")
    assert (ran.code, ran.err) == (0, "")
