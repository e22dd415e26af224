"""Every case of tests/cases, as `zenflow test` plays them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zenflow_core.styled import plain
from zenflow_testing.cases.format import SUFFIX
from zenflow_testing.cases.report import result_lines
from zenflow_testing.cases.runner import Result, run_file

CASES = sorted((Path(__file__).parents[1] / "cases").glob(f"*{SUFFIX}"))


@pytest.mark.parametrize("file", CASES, ids=[file.name.removesuffix(SUFFIX) for file in CASES])
def test_case(file: Path) -> None:
    result = run_file(file)
    assert isinstance(result, Result), "\n".join(map(str, result))
    assert result.case.id == file.name.removesuffix(SUFFIX), "a case is called as its file is"
    assert result.passed, plain(result_lines(result))


def test_there_are_cases() -> None:
    assert len(CASES) >= 29
