"""`zenflow replay`, `whatif` and `diff`: a dump decided again, with something changed, and by another version."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Zenflow
from zenflow_core.version import DECIDED_BY, VERSION

TRAIN = "examples/release-train.yaml"
LIFE = "life.jsonl"
DECISIONS = 30


@pytest.fixture
def dump(zenflow: Zenflow) -> Path:
    """Seed 7: an attempt fails and is repeated, an approval is given, the last step but one fails."""
    assert zenflow("simulate", TRAIN, "--seed", "7", "--dump", LIFE).code == 1
    return Path(LIFE)


def edited(dump: Path, line: int, old: str, new: str) -> str:
    """The dump with one line (from 1) changed, as a file of its own."""
    lines = dump.read_text(encoding="utf-8").splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    Path("edited.jsonl").write_text("".join(lines), encoding="utf-8")
    return "edited.jsonl"


# --- replay ----------------------------------------------------------------------------------------------------------


def test_a_replay_is_equal(zenflow: Zenflow, dump: Path) -> None:
    ran = zenflow("replay", LIFE)
    assert (ran.code, ran.err) == (0, "")
    assert f"{DECISIONS} decisions, recorded by {DECIDED_BY}, decided again by {DECIDED_BY}" in ran.out
    assert "+5m05s  ↻ Pending          test-linux-1-22     attempt 1 failed" in ran.out
    assert ran.out.endswith(f"equal: all {DECISIONS} decisions are the recorded ones, byte for byte\n")


def test_the_first_difference_is_shown_side_by_side(zenflow: Zenflow, dump: Path) -> None:
    file = edited(dump, 9, '"to":"Running"', '"to":"Failed"')
    ran = zenflow("replay", file)
    assert ran.code == 1
    assert "different: decision 8 of 30 (line 9, +1m21s, 2026-01-01T00:01:21Z) is not the recorded one" in ran.out
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("  moves")]
    assert rows
    assert all(row[-2:] == ['"Failed"', '"Running"'] for row in rows)
    assert "zenflow replay DUMP --at 8" in ran.out


def test_a_replay_for_machines(zenflow: Zenflow, dump: Path) -> None:
    told = json.loads(zenflow("replay", LIFE, "-o", "json").out)
    assert (told["flow"], told["phase"], told["equal"], told["firstDifference"]) == (
        "release-train",
        "Failed",
        True,
        None,
    )
    assert (told["version"], told["decidedBy"], told["cut"]) == (VERSION, DECIDED_BY, False)
    assert [each["number"] for each in told["decisions"]] == list(range(1, DECISIONS + 1))
    assert {"number", "line", "at", "equal", "decided"} == set(told["decisions"][0])
    other = json.loads(zenflow("replay", edited(dump, 9, '"Running"', '"Failed"'), "-o", "json").out)
    assert other["firstDifference"]["number"] == 8
    assert other["firstDifference"]["recorded"] != other["firstDifference"]["decided"]


@pytest.mark.parametrize(
    ("at", "number"),
    [
        pytest.param("18", 18, id="a number"),
        pytest.param("+8m32s", 18, id="a time at a decision"),
        pytest.param("+9m", 18, id="a time after one"),
        pytest.param("2026-01-01T00:09:00Z", 18, id="an instant"),
    ],
)
def test_one_moment(zenflow: Zenflow, dump: Path, at: str, number: int) -> None:
    ran = zenflow("replay", LIFE, "--at", at)
    assert ran.code == 0
    assert f"decision {number} of {DECISIONS} (line {number + 1}, " in ran.out


def test_a_moment_tells_what_was_observed_decided_and_where_each_step_was(zenflow: Zenflow, dump: Path) -> None:
    out = zenflow("replay", LIFE, "--at", "18").out
    observed, decided, then = (
        out.index("\nobserved\n"),
        out.index("\ndecided\n"),
        out.index("\nthen the flow is Running"),
    )
    assert (
        observed < out.index("Job of test-linux-1-21, attempt 1: ") < out.index("Complete since 2026-01-01T00:08:32Z")
    )
    assert decided < out.index("✔ test-linux-1-21 Running→Succeeded  JobComplete") < then
    assert then < out.index("● Running    test-linux-1-22     attempt 2")
    assert "· Pending    image               WaitsFor: waits for test-linux-1-22" in out
    told = json.loads(zenflow("replay", LIFE, "--at", "18", "-o", "json").out)
    assert (told["number"], told["from"]) == (18, "memory")
    assert told["observed"]["jobs"]["test-linux-1-21"][0]["outcome"]["is"] == "Complete"
    assert {row["name"]: row["phase"] for row in told["status"]["steps"]}["image"] == "Pending"


def test_a_dump_that_was_cut_off_is_replayed_as_far_as_it_goes(zenflow: Zenflow, dump: Path) -> None:
    Path("cut.jsonl").write_text(dump.read_text(encoding="utf-8")[:-100], encoding="utf-8")
    ran = zenflow("replay", "cut.jsonl")
    assert ran.code == 0
    assert ran.err == "zenflow: cut.jsonl ends in the middle of a line; what stands before it is replayed\n"
    assert f"all {DECISIONS - 1} decisions" in ran.out


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        pytest.param(
            "zenflow-dump/1", "zenflow-dump/2", 1, "edited.jsonl:1 found format 'zenflow-dump/2'", id="format"
        ),
        pytest.param('"at":"2026', '"at":"soon', 3, "edited.jsonl:3 is not a decision", id="a broken line"),
    ],
)
@pytest.mark.parametrize("command", [("replay",), ("whatif", "--change", "clock=+1s"), ("diff", "--with", sys.prefix)])
def test_a_broken_dump_says_where_and_what(
    zenflow: Zenflow, dump: Path, command: tuple[str, ...], old: str, new: str, line: int, said: str
) -> None:
    file = edited(dump, line, old, new)
    ran = zenflow(command[0], file, *command[1:])
    assert ran.code == 2
    assert said in ran.err
    assert "fix:" in ran.err


def test_a_dump_without_its_beginning_is_said(zenflow: Zenflow, dump: Path) -> None:
    lines = dump.read_text(encoding="utf-8").splitlines(keepends=True)
    Path("middle.jsonl").write_text("".join([lines[0], *lines[5:]]), encoding="utf-8")
    ran = zenflow("replay", "middle.jsonl")
    assert ran.code == 2
    assert "line 2 cannot be decided about" in ran.err
    assert "begins where it begins" in ran.err


def test_a_later_version_says_what_to_install(zenflow: Zenflow, dump: Path) -> None:
    text = (
        dump.read_text(encoding="utf-8")
        .replace(DECIDED_BY, "zenflow/9.2.0")
        .replace("zenflow-dump/1", "zenflow-dump/2")
    )
    Path("later.jsonl").write_text(text, encoding="utf-8")
    ran = zenflow("replay", "later.jsonl")
    assert ran.code == 2
    assert "pip install 'zenflow>=9.2.0'" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(("replay", LIFE, "--at", "31"), "there are decisions 1 to 30, found 31", id="no such decision"),
        pytest.param(("replay", LIFE, "--at", "soon"), "found 'soon', expected an instant", id="no time"),
        pytest.param(
            ("replay", LIFE, "--at", "2025-01-01T00:00:00Z"), "the first decision was at 2026", id="too early"
        ),
        pytest.param(("replay", "none.jsonl"), "cannot read none.jsonl: no such file", id="no file"),
        pytest.param(("replay", TRAIN), "is not the first line of a dump", id="a manifest"),
        pytest.param(("whatif", LIFE), "name what is to be changed", id="nothing to change"),
        pytest.param(("diff", "--with", "0.1.0"), "name at least one dump", id="nothing to compare"),
        pytest.param(("diff", LIFE, "--with", "nowhere"), "no such file, folder or version", id="no other version"),
        pytest.param(("diff", LIFE, "--with", "examples"), "the folder has no bin/python", id="no environment"),
    ],
)
def test_questions_without_an_answer(zenflow: Zenflow, dump: Path, args: tuple[str, ...], said: str) -> None:
    ran = zenflow(*args)
    assert ran.code == 2
    assert said in ran.err


# --- whatif ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "lines"),
    [
        pytest.param(
            "steps.smoke=Complete after 2m",
            0,
            (
                "release-train         ✘ Failed at +23m29s                ✔ Succeeded at +23m38s",
                "  assumed  step announce",
            ),
            id="a Job ends otherwise",
        ),
        pytest.param(
            "steps.test-linux-1-22.1=Complete",
            1,
            ("  test-linux-1-22     ✔ Succeeded at +10m10s, attempt 2  ✔ Succeeded at +5m05s",),
            id="one attempt ends otherwise, when it ended",
        ),
        pytest.param(
            "spec.executionPolicy.parallelism=1",
            1,
            ("  lint                ✔ Succeeded at +8m09s              ✔ Succeeded at +32m23s", "decision 5 (+43s)"),
            id="a field of the flow",
        ),
        pytest.param(
            "spec.steps.test-linux-1-22.retryPolicy.limit=0",
            1,
            ("✘ Failed at +5m05s", "⊘ Skipped at +"),
            id="a field of a step",
        ),
        pytest.param(
            "approvals.approve-production=rejected after 1h",
            1,
            ("  approve-production  ✔ Succeeded at +17m57s             ✘ Failed at +1h16m57s (Rejected)",),
            id="an approval",
        ),
        pytest.param("clock=+0s", 1, ("the same: all that is recorded is decided as it was",), id="no change at all"),
        pytest.param(
            "news.30=lost",
            1,
            ("  smoke               ✘ Failed at +23m29s (JobFailed)    ✘ Failed at +24h (FlowEnded)",),
            id="lost news",
        ),
        pytest.param("clock=+10m", 1, ("decision 1 (+0s)",), id="a clock"),
    ],
)
def test_what_would_have_become(zenflow: Zenflow, dump: Path, change: str, code: int, lines: tuple[str, ...]) -> None:
    ran = zenflow("whatif", LIFE, "--change", change)
    assert ran.err == ""
    for line in lines:
        assert line in ran.out, ran.out
    assert ran.code == code


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param("steps.smok=Failed", "did you mean 'smoke'?", id="no such step"),
        pytest.param("steps.smoke=Fine", "write Complete, Failed", id="no such end"),
        pytest.param("steps.smoke=Failed after ever", "ever", id="no duration"),
        pytest.param("steps.smoke", "has no '='", id="no value"),
        pytest.param("stepz.smoke=Failed", "did you mean 'steps'?", id="no such target"),
        pytest.param("approvals.smoke=approved", "approve-production", id="not a Manual step"),
        pytest.param("settings.image=x", "there is no setting 'image'", id="no such setting"),
        pytest.param("settings.unmoved=never", "settings that cannot be read", id="no such value"),
        pytest.param("spec.steps.nobody.when=x", "there is no item 'nobody'", id="no such item"),
        pytest.param("spec.steps.smoke.whenn=x", "spec.steps[", id="a field that the API has not"),
        pytest.param("news.99=lost", "there are decisions 1 to 30", id="no such decision"),
        pytest.param("clock=soon", "soon", id="no shift"),
        pytest.param("configMaps.a.b=c", "none was read at all", id="no such key"),
    ],
)
def test_a_change_that_cannot_be_made(zenflow: Zenflow, dump: Path, change: str, said: str) -> None:
    ran = zenflow("whatif", LIFE, "--change", change)
    assert ran.code == 2
    assert "--change" in ran.err
    assert said in ran.err


def test_both_lives_for_machines(zenflow: Zenflow, dump: Path) -> None:
    ran = zenflow("whatif", LIFE, "--change", "steps.smoke=Complete", "-o", "json")
    told = json.loads(ran.out)
    assert (told["recorded"]["phase"], told["changed"]["phase"], ran.code) == ("Failed", "Succeeded", 0)
    assert told["partedAtDecision"] == 30
    assert told["changes"] == ["steps.smoke=Complete"]
    assert told["firstDifference"]["recorded"][0] == "+23m29s smoke Failed JobFailed"
    assert told["firstDifference"]["changed"][0] == "+23m29s smoke Succeeded JobComplete"


# --- diff ------------------------------------------------------------------------------------------------------------


def test_a_version_is_equal_to_itself(zenflow: Zenflow, dump: Path) -> None:
    Path("incidents").mkdir()
    Path("incidents", "one.jsonl").write_bytes(dump.read_bytes())
    ran = zenflow("diff", LIFE, "incidents", "--with", sys.prefix)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].split() == ["equal", LIFE, "release-train,", "30", "decisions"]
    assert ran.out.endswith("2 equal, 0 different\n")


OTHER = """#!{python}
import subprocess, sys
ran = subprocess.run([{python!r}, *sys.argv[1:]], capture_output=True, text=True)
sys.stdout.write(ran.stdout.replace('"to": "Skipped"', '"to": "Failed"').replace("{version}\\n", "9.9.9\\n"))
sys.stderr.write(ran.stderr)
sys.exit(ran.returncode)
"""


def test_another_version_that_decides_otherwise_is_found(zenflow: Zenflow, dump: Path) -> None:
    other = Path("python-other")
    other.write_text(OTHER.format(python=sys.executable, version=VERSION), encoding="utf-8")
    other.chmod(0o755)
    ran = zenflow("diff", LIFE, "--with", str(other.resolve()))
    assert ran.code == 1
    assert "different  life.jsonl  release-train, 30 decisions: decision 30, 2026-01-01T00:23:29Z" in ran.out
    assert "zenflow 9.9.9" in ran.out
    (row,) = (line.split() for line in ran.out.splitlines() if line.startswith("  moves"))
    assert row == ["moves[1].to", '"Failed"', '"Skipped"']
    told = json.loads(zenflow("diff", LIFE, "--with", str(other.resolve()), "-o", "json").out)
    assert (told["with"], told["equal"], told["dumps"][0]["firstDifference"]["number"]) == ("9.9.9", False, 30)


def test_a_python_without_zenflow_is_said(zenflow: Zenflow, dump: Path, tmp_path: Path) -> None:
    bare = tmp_path / "python-bare"
    bare.write_text("#!/bin/sh\necho 'ModuleNotFoundError: zenflow_core' >&2\nexit 1\n", encoding="utf-8")
    bare.chmod(0o755)
    ran = zenflow("diff", LIFE, "--with", str(bare))
    assert ran.code == 2
    assert "has no zenflow: ModuleNotFoundError" in ran.err
    assert "-m pip install zenflow" in ran.err
