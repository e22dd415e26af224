"""The page of states is drawn from the table, and the page in `docs/` is that drawing."""

from __future__ import annotations

from pathlib import Path

import pytest

from zenflow_core.diagram import diagram, page, table
from zenflow_core.state import StepPhase
from zenflow_core.transitions import TERMINAL, TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_in_docs_is_drawn_from_the_table(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "draw it again: pytest tests/core/test_diagram.py --update-golden"
    )


def test_every_move_is_on_an_arrow() -> None:
    """Each row of the table is a label of exactly one arrow, and there is no other."""
    found = set()
    for line in diagram().splitlines()[1:]:
        arrow, _, labels = line.strip().partition(": ")
        origin, _, phase = arrow.partition(" --> ")
        found |= {(origin, label, phase) for label in labels.split("<br/>") if label}
    assert found == {(o.value, cause.__name__, p.value) for (o, cause), p in TRANSITIONS.items()}


def test_the_picture_begins_and_ends() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert lines[1] == "    [*] --> Pending"
    assert {line for line in lines if line.endswith("[*]")} == {f"    {phase.value} --> [*]" for phase in TERMINAL}
    assert all(any(phase.value in line for line in lines) for phase in StepPhase)


def test_every_row_has_its_meaning() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(TRANSITIONS)
    assert all(len(row.split(" | ")) == 4 and row.split(" | ")[3].strip(" |") for row in rows)
