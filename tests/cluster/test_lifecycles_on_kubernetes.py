"""The golden lifecycles on a real control plane tell what they tell on the cluster in memory.

Both sides play the same story, some times faster than it is written. What cannot be shortened to minutes, or is
refused or carried by somebody whom no control plane has, stands in `LEFT_OUT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.cluster.cases_ground import ground_in, make_namespace
from tests.cluster.lives_playing import Faster, live_tale, shortened, tale_of
from tests.lifecycles.test_lifecycles import STORIES
from zenflow_testing.lifecycle import play
from zenflow_testing.outcomes import ScriptedOutcomes

FACTOR = 10
FACTORS = {"approval-timeout": 600, "retry-then-success": 5}
"""Where ten times as fast would not do: an hour is long, and a second is what real controllers may need for a step."""

LEFT_OUT = {
    "refused-creates": "refusals are put in front of a server, as the cases do it (quota-exceeded-is-not-a-failure)",
    "rejected-create": "the same; a Job that a real server refuses is test_operator's",
    "suspended-by-a-queue": "its hour in the queue cannot be shortened together with its minute of time limit",
    "timeout-and-retry": "whether its Job goes within the pause of a second is chance there; test_access.py plays one",
    "artifacts": "what the artifact carrier says is a node's matter: tests/node",
    "artifacts-not-left": "the same",
    "artifacts-in-a-default-store": "the same",
}

BY_NAME = {story.name: story for story in STORIES}
PLAYED = [name for name in BY_NAME if name not in LEFT_OUT]

Tale = Mapping[str, list[str]]


def told(name: str) -> Tale:
    """What the shortened story tells on the cluster in memory."""
    factor = FACTORS.get(name, FACTOR)
    story = shortened(BY_NAME[name], factor)
    outcomes = Faster(ScriptedOutcomes(story.script), factor)
    life = play(story.flow, outcomes, happenings=story.happenings, prepare=story.prepare, settings=story.settings)
    return tale_of(life)


@pytest.fixture(scope="module")
def tales(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Tale]]]:
    """Every story on its way, all at once."""
    chosen = [name for name in PLAYED if any(f"[{name}]" in item.name for item in request.session.items)]
    with ground_in(tmp_path_factory.mktemp("lives")) as ground, ThreadPoolExecutor(max_workers=len(chosen)) as threads:

        def live(name: str) -> Tale:
            factor = FACTORS.get(name, FACTOR)
            story = shortened(BY_NAME[name], factor)
            outcomes = Faster(ScriptedOutcomes(story.script), factor)
            return live_tale(story, outcomes, ground, namespace=make_namespace(ground, f"life-{name}"))

        yield {name: threads.submit(live, name) for name in chosen}


@pytest.mark.parametrize("name", PLAYED)
def test_a_life_is_the_same_on_a_real_cluster(tales: Mapping[str, Future[Tale]], name: str) -> None:
    assert tales[name].result() == told(name)


def test_every_story_is_played_or_left_out_with_its_reason() -> None:
    assert set(LEFT_OUT) <= set(BY_NAME)
    assert all(LEFT_OUT.values())
