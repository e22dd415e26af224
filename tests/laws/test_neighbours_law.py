"""An unrelated flow in the same namespace changes nothing of a flow's life; a related one does, and the law says so."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.several import Several, create, flow, step
from zenflow_testing.clock import EPOCH
from zenflow_testing.events import Event
from zenflow_testing.laws import LawViolated
from zenflow_testing.laws.neighbours import neighbours, writes_of
from zenflow_testing.outcomes import Outcomes, SeededOutcomes
from zenflow_testing.strategies import manifests


def played(*flows: tuple[int, dict[str, Any]], outcomes: Outcomes) -> tuple[Event, ...]:
    """All that happens when these flows are created at these seconds."""
    several = Several(outcomes)
    for second, manifest in flows:
        several.at(second, create(manifest))
    several.play(until=4_000)
    return tuple(several.cluster.events_since(0))


@st.composite
def strangers(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    """When another flow is created, and the flow: its own group, its own steps."""
    steps: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 4))):
        after = draw(st.sets(st.sampled_from([each["name"] for each in steps]), max_size=2)) if steps else set()
        retry = {"retryPolicy": {"limit": 2, "backoff": {"type": "Fixed", "duration": "5s"}}}
        steps.append(step(f"x{index}", *sorted(after), **(retry if draw(st.booleans()) else {})))
    policy: dict[str, Any] = {"concurrencyGroup": "strangers"}
    if draw(st.booleans()):
        policy["parallelism"] = 1
    return draw(st.integers(0, 60)), flow("stranger", *steps, policy=policy)


@settings(max_examples=60)
@given(manifests(), st.integers(0, 1_000), strangers())
def test_a_stranger_changes_nothing(manifest: dict[str, Any], seed: int, stranger: tuple[int, dict[str, Any]]) -> None:
    outcomes = SeededOutcomes(seed)
    name = manifest["metadata"]["name"]
    alone = played((1, manifest), outcomes=outcomes)
    neighbours(alone, played((1, manifest), stranger, outcomes=outcomes), flow=name)
    assert len(writes_of(alone, name)) > 1


MINE = flow("mine", step("a"), step("b", "a"))


@pytest.mark.parametrize(
    ("second", "policy"),
    [
        pytest.param(0, "Forbid", id="it was there before, and is waited for"),
        pytest.param(3, "Replace", id="it comes later, and replaces"),
    ],
)
def test_a_flow_of_the_same_group_is_no_stranger(second: int, policy: str) -> None:
    outcomes = SeededOutcomes(1)
    related = flow("related", step("x"), policy={"concurrencyPolicy": policy})
    with pytest.raises(LawViolated, match="neighbours: write"):
        neighbours(
            played((1, MINE), outcomes=outcomes), played((1, MINE), (second, related), outcomes=outcomes), flow="mine"
        )


def test_a_write_more_or_less_or_later_is_found() -> None:
    events = played((1, MINE), (0, flow("other", policy={"concurrencyGroup": "o"})), outcomes=SeededOutcomes(1))
    mine = [event for event in events if event.kind == "Job" and "mine" in event.name]
    neighbours(events, events, flow="mine")
    for bent in (
        [event for event in events if event is not mine[-1]],
        [*events, mine[-1]],
        [evolve(event, at=EPOCH) if event is mine[0] else event for event in events],
    ):
        with pytest.raises(LawViolated, match="neighbours"):
            neighbours(events, bent, flow="mine")


def test_what_a_flow_s_life_is_made_of() -> None:
    """Its own writes and those of its Jobs, without uids and versions: those count what else is on the cluster."""
    written = writes_of(played((1, MINE), outcomes=SeededOutcomes(1)), "mine")
    assert [each.what for each in written[:3]] == ["ADDED JobFlow", "MODIFIED JobFlow", "ADDED Job a attempt 1"]
    assert not [each for each in written if "resourceVersion" in each.content]
