"""docs/features.md names ten features; whatever it names as their proof is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zenflow_testing import laws

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
COLUMNS = ("feature", "decided in", "laws", "table", "lives", "cases", "lifecycle")
FEATURES = (
    *("TTL clean-up", "step retry", "step timeout", "concurrency policy", "flow backoff limit", "flow deadline"),
    *("pod failure policy", "`when`", "artifacts", "parameters"),
)
PLACES = {
    "decided in": ("zenflow_core/",),
    "table": ("tests/core/",),
    "lives": ("tests/defects/",),
    "cases": ("tests/cases/",),
    "lifecycle": ("tests/lifecycles/",),
}


def rows() -> dict[str, dict[str, str]]:
    """The table, by feature and column; links of the feature itself left out."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert tuple(cells[0]) == COLUMNS
    return {re.sub(r"\[(.*?)\]\(.*?\)", r"\1", row[0]): dict(zip(COLUMNS, row, strict=True)) for row in cells[2:]}


def test_there_are_ten() -> None:
    assert tuple(rows()) == FEATURES


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_named_exists(feature: str) -> None:
    """Each cell says `none`, or names files that exist and are of the kind of their column, or laws that there are."""
    row = rows()[feature]
    for column, cell in row.items():
        targets = re.findall(r"\]\(([^)]+)\)", cell)
        for target in targets:
            assert (PAGE.parent / target).is_file(), f"{column}: {target} does not exist"
        if column in PLACES:
            assert targets or cell == "none", f"{column} is empty"
            assert all(target.removeprefix("../").startswith(PLACES[column]) for target in targets), f"{column}: {cell}"
    named = re.findall(r"`(\w+)`", row["laws"])
    assert named or row["laws"] == "none"
    assert [law for law in named if not callable(getattr(laws, law, None))] == []


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_has_a_rule_and_a_table(feature: str) -> None:
    row = rows()[feature]
    assert "none" not in (row["decided in"], row["table"])
