"""Statuses that earlier versions wrote are read by this one, and their flows come to the same end.

Each story was lived by each released version, and its status kept at every second at which it had changed
(`python -m tests.upgrades.write`). Here the operator of this version takes over at each of these moments. What a newer
version has written is taken over after a rollback in the same way: of facts that this version does not know, it
carries along what it need not understand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.upgrades.stories import STATUSES, STORIES, End, Moment, end_of, taken_over
from tests.upgrades.write import story_text
from zenflow_core.version import VERSION

FILES: Final = sorted(STATUSES.glob("*/*.json"))


def read(file: Path) -> tuple[list[Moment], End]:
    whole = json.loads(file.read_text(encoding="utf-8"))
    end = whole["end"]
    return [Moment(**each) for each in whole["moments"]], End(**{**end, "jobs": tuple(end["jobs"])})


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name} {file.stem}")
def test_the_end_does_not_depend_on_when_this_version_takes_over(file: Path) -> None:
    moments, end = read(file)
    assert len(moments) >= 3
    for moment in moments:
        assert end_of(taken_over(file.stem, moment).to_the_end()) == end, f"taken over after {moment.after} s"


def test_each_release_has_all_stories_of_its_time() -> None:
    """A story that is new is in no older folder; this version's folder has them all, and as it writes them."""
    assert {file.stem for file in FILES if file.parent.name == VERSION} == set(STORIES)
    assert {file.stem for file in FILES} <= set(STORIES)


@pytest.mark.parametrize("story", STORIES)
def test_what_is_kept_is_what_this_version_writes(story: str) -> None:
    """Until it is released; a change of the status is seen here, and is to be read as that of another version."""
    kept = (STATUSES / VERSION / f"{story}.json").read_text(encoding="utf-8")
    assert kept == story_text(story), "run: python -m tests.upgrades.write, unless this version is out: then bump it"


# --- facts of other versions -----------------------------------------------------------------------------------------


def of_the_first(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Changes the row of the first step."""
    return lambda status: status["steps"][0].update(fields)


def of_a_condition(status: dict[str, Any]) -> None:
    status["conditions"].append(
        {"type": "Balanced", "status": "True", "reason": "Later", "lastTransitionTime": "2030-01-01T00:00:00Z"}
    )


FUTURE: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "a cause": of_the_first(reason="SolvedByMagic"),
    "a cause with data": of_the_first(reason="SolvedByMagic", cause={"wand": "oak", "spells": [1, 2]}),
    "a hold": of_the_first(holds=[{"reason": "WaitsForTheMoon", "phase": "full"}]),
    "a field of a row": of_the_first(mood="good"),
    "a field of the status": lambda status: status.update(mood="good"),
    "a condition": of_a_condition,
    "an engine": lambda status: status.update(decidedBy="zenflow/9.9.9"),
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("change", FUTURE.values(), ids=FUTURE)
def test_what_a_newer_version_says_stops_no_flow(story: str, change: Callable[[dict[str, Any]], object]) -> None:
    moments, end = read(STATUSES / VERSION / f"{story}.json")
    for moment in moments[:-1]:
        reached = end_of(taken_over(story, moment, change).to_the_end())
        assert (reached.phase, reached.steps, reached.jobs) == (end.phase, end.steps, end.jobs), moment.after


@pytest.mark.parametrize("data", [{}, {"wand": "oak", "spells": [1, 2]}], ids=["alone", "with data"])
def test_an_unknown_cause_of_a_step_that_has_ended_is_carried_along(data: Mapping[str, Any]) -> None:
    moments, _ = read(STATUSES / VERSION / "a-chain.json")
    settled = next(moment for moment in moments if moment.status["steps"][0]["phase"] == "Succeeded")
    told = {"reason": "SolvedByMagic", "message": "as if", **({"cause": data} if data else {})}
    life = taken_over("a-chain", settled, of_the_first(**told)).to_the_end()
    row = life.row("a")
    assert (row["phase"], row["reason"]) == ("Succeeded", "SolvedByMagic")
    assert {key: row.get("cause", {}).get(key) for key in data} == data
