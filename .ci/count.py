"""Add up the reports of a nox run and print `N passed, N failed` as the last line; exit code 1 if anything failed."""

from __future__ import annotations

import argparse
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def count_tests(junit: Path) -> tuple[int, int]:
    """(passed, failed) of one pytest session; an error counts as failed, a skipped test as neither."""
    suites = ET.parse(junit).getroot().iter("testsuite")
    counts = [
        {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")} for suite in suites
    ]
    failed = sum(count["failures"] + count["errors"] for count in counts)
    return sum(count["tests"] - count["skipped"] for count in counts) - failed, failed


def main() -> int:
    """Say per session what came of it, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, help="folder of the junit files and of nox' own sessions.json")
    parser.add_argument("--nox-exit-code", type=int, required=True)
    parser.add_argument("--failed-commands", type=int, required=True, help="commands of the README that failed")
    arguments = parser.parse_args()

    passed, failed = 0, arguments.failed_commands
    report = arguments.reports / "sessions.json"
    sessions = json.loads(report.read_text(encoding="utf-8"))["sessions"] if report.is_file() else []
    for session in sessions:
        name = (session["signatures"] or [session["name"]])[0]  # with the Python version, where there is more than one
        junit = arguments.reports / f"{name}.xml"
        tests_passed, tests_failed = count_tests(junit) if junit.is_file() else (0, 0)
        if session["result"] != "success":
            tests_failed = max(tests_failed, 1)
        passed, failed = passed + tests_passed, failed + tests_failed
        print(f"  {name:<12} {session['result']:<8} {tests_passed} passed, {tests_failed} failed")
    if arguments.nox_exit_code and failed == arguments.failed_commands:
        print(f"  nox ended with {arguments.nox_exit_code} and left no word why")
        failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
