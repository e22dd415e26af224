"""The last line of CI: what `.ci/count.py` makes of the reports of a nox run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = Path(__file__).parents[1] / ".ci" / "count.py"


def session(name: str, result: str) -> dict[str, object]:
    """A session as nox reports it: `name` without the Python version, `signatures` with it."""
    return {"name": name.partition("-")[0], "signatures": [name], "result": result}


@pytest.mark.parametrize(
    ("sessions", "suites", "nox_code", "commands", "last_line", "code"),
    [
        pytest.param(
            [session("lint", "success"), session("tests-3.11", "success"), session("tests-3.12", "success")],
            {"tests-3.11": (5, 0, 0, 1), "tests-3.12": (2, 0, 0, 0)},
            *(0, 0, "6 passed, 0 failed", 0),
            id="sums of all sessions, skipped ones count as neither",
        ),
        pytest.param(
            [session("tests-3.11", "failed")],
            {"tests-3.11": (5, 1, 1, 0)},
            *(1, 0, "3 passed, 2 failed", 1),
            id="an error is a failure",
        ),
        pytest.param(
            [session("lint", "failed"), session("tests-3.11", "success")],
            {"tests-3.11": (5, 0, 0, 0)},
            *(1, 0, "5 passed, 1 failed", 1),
            id="a tier without tests that fails counts as one",
        ),
        pytest.param(
            [session("tests-3.11", "failed")],
            {},
            *(1, 0, "0 passed, 1 failed", 1),
            id="a tier that never got to its tests",
        ),
        pytest.param(
            [session("tests-3.11", "success")],
            {"tests-3.11": (5, 0, 0, 0)},
            *(0, 1, "5 passed, 1 failed", 1),
            id="a command of the README that failed",
        ),
        pytest.param([], {}, *(1, 0, "0 passed, 1 failed", 1), id="nox itself did not start"),
    ],
)
def test_count(
    sessions: list[dict[str, object]],
    suites: dict[str, tuple[int, int, int, int]],
    nox_code: int,
    commands: int,
    last_line: str,
    code: int,
    tmp_path: Path,
) -> None:
    if sessions:
        (tmp_path / "sessions.json").write_text(json.dumps({"sessions": sessions}), encoding="utf-8")
    for name, (tests, failures, errors, skipped) in suites.items():
        counts = f'tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
        junit = f"<testsuites><testsuite {counts}/></testsuites>"
        (tmp_path / f"{name}.xml").write_text(junit, encoding="utf-8")
    arguments = ["--nox-exit-code", str(nox_code), "--failed-commands", str(commands)]
    answer = subprocess.run([sys.executable, COUNT, tmp_path, *arguments], capture_output=True, text=True, check=False)
    assert (answer.stdout.splitlines()[-1], answer.returncode) == (last_line, code)
