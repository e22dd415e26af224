"""Faults for real, within a budget: processes that die, a server that goes away, a wire that lies, a leader asleep.

`python -m tests.cluster.soak_real` does the same for long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.build import built
from tests.cluster.conftest import VARIABLE
from tests.cluster.faults_real import phases
from tests.cluster.faults_real.flows import Member
from tests.cluster.faults_real.lasting import Lasting, lasting
from tests.cluster.faults_real.phases import Calm, Figures
from tests.cluster.faults_real.scripted import Outcome, case_in, real, simulated
from tests.cluster.faults_real.verdict import Ending, judged

SCRIPTS = {
    path.name.removesuffix(".case.yaml"): path
    for path in sorted((Path(__file__).parent / "faults_real" / "scripts").glob("*.case.yaml"))
}
SEED = 20
KILLED = 4
"""A seed by which the server is killed; in order it ends only after some ten seconds."""


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    """A control plane that the tests of this module may take away."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        pytest.skip(f"needs a Kubernetes control plane: nox -s control_plane, or set {VARIABLE}=build")
    with lasting(built() if asked == "build" else Path(asked), tmp_path_factory.mktemp("lasting")) as control:
        yield control


@pytest.fixture(scope="module")
def calm(control: Lasting) -> Calm:
    """How flows end where nothing goes wrong."""
    return phases.calm(control)


@pytest.fixture(scope="module")
def side_by_side(control: Lasting, calm: Calm, scripts: object) -> Iterator[Mapping[str, Future[Figures]]]:
    """The phases that leave the server alone, all at once, beside the scripts: they mostly wait."""
    assert scripts, "they are on their way, too"
    with ThreadPoolExecutor(max_workers=3) as threads:
        yield {
            "kills": threads.submit(phases.kills, control, calm, count=20, flows=20, seed=SEED),
            "unruly": threads.submit(phases.unruly, control, calm, flows=12, seed=SEED),
            "paused": threads.submit(phases.paused, control, calm, flows=12, seed=SEED, what=phases.RECORDS),
        }


@pytest.fixture(scope="module")
def scripts(control: Lasting) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Every script on its way, all at once."""
    with ThreadPoolExecutor(max_workers=len(SCRIPTS)) as threads:
        yield {name: threads.submit(real, case_in(path), control) for name, path in SCRIPTS.items()}


DONE = Ending("Succeeded", (("a", "Succeeded", "JobComplete", 1, ""),))
"""How a flow of one step ends in the calm run."""

FAILED = Ending("Failed", (("a", "Failed", "JobFailed", 1, ""),))
STOPPED = Ending("Failed", (("a", "Failed", "FlowEnded", 1, ""),))
WAITING = Ending("Running", (("a", "Running", "Admitted", 1, ""),))


def a_job(name: str, *, attempt: str = "1", active: int = 0) -> dict[str, Any]:
    """A Job of step a of flow x."""
    owner = {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "name": "x",
        "uid": "1",
        "controller": True,
    }
    labels = {"workflow.kube-zen.io/step": "a", "workflow.kube-zen.io/attempt": attempt}
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
        "status": {"active": active},
    }


@pytest.mark.parametrize(
    ("creates", "jobs", "ending", "then"),
    [
        pytest.param([("x-a-1", 201)], [a_job("x-a-1")], DONE, (), id="one create an attempt is right"),
        pytest.param([("x-a-1", 201), ("x-a-1", 409)], [a_job("x-a-1")], DONE, (), id="what was refused made nothing"),
        pytest.param(
            [("x-a-1", 201), ("x-a-1", 201)],
            [a_job("x-a-1")],
            DONE,
            ("Job x-a-1 was created 2 times",),
            id="a Job that was made again is a duplicate",
        ),
        pytest.param(
            [("x-a-1", 201)], [a_job("x-a-1", active=1)], DONE, ("Job x-a-1 still runs",), id="no Job may run on"
        ),
        pytest.param([], [], DONE, ("x has had 1 attempts and 0 Jobs",), id="an attempt without a Job is lost"),
        pytest.param([], [], STOPPED, (), id="what was stopped may not have had its Job yet"),
        pytest.param(
            [("x-a-1", 201), ("x-a-1-r1", 201)],
            [],
            STOPPED,
            ("x has had 1 attempts and 2 Jobs",),
            id="but it has not had another one",
        ),
        pytest.param(
            [("x-a-1", 201)], [], WAITING, (f"x has not ended: {WAITING}",), id="a flow that waits for ever is lost"
        ),
        pytest.param(
            [("x-a-1", 201)],
            [],
            FAILED,
            (f"x: {FAILED}, in the calm run {DONE}",),
            id="another end than in the calm run is different",
        ),
    ],
)
def test_what_is_wrong_is_found(
    creates: list[tuple[str, int]], jobs: list[dict[str, Any]], ending: Ending, then: tuple[str, ...]
) -> None:
    flows = [Member("x", {"metadata": {"name": "x"}})]
    calm = {"x": STOPPED if ending == STOPPED else DONE}
    assert judged(flows, creates, jobs, ended={"x": ending}, calm=calm).wrong == then


def test_two_names_of_one_attempt_are_duplicates() -> None:
    jobs = [a_job("x-a-1"), a_job("x-a-2")]
    creates = [("x-a-1", 201), ("x-a-2", 201)]
    wrong = judged([], creates, jobs, ended={}, calm={}).duplicates
    assert len(wrong) == 1
    assert "step='a', attempt=1" in wrong[0]


def test_an_operator_that_is_killed_twenty_times(side_by_side: Mapping[str, Future[Figures]]) -> None:
    figures = side_by_side["kills"].result()
    assert figures.verdict.wrong == ()
    assert figures.more["kills"] == 20
    assert sum(figures.more["killedByRequest"].values()) >= 5


def test_a_wire_that_lies(side_by_side: Mapping[str, Future[Figures]]) -> None:
    figures = side_by_side["unruly"].result()
    assert figures.verdict.wrong == ()
    assert len(figures.more["treated"]) >= 6


def test_a_leader_that_sleeps_with_a_record_on_its_way(side_by_side: Mapping[str, Future[Figures]]) -> None:
    figures = side_by_side["paused"].result()
    assert figures.verdict.wrong == ()
    # The record was made from what has been overtaken: the server does not take it.
    assert figures.more["lateWriteAnswered"] == [409]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_comes_to_the_same_on_both_sides(scripts: Mapping[str, Future[Outcome]], name: str) -> None:
    assert scripts[name].result() == simulated(case_in(SCRIPTS[name]))


def test_a_server_that_goes_away_and_an_etcd_that_forgets(control: Lasting, calm: Calm) -> None:
    figures = phases.outages(control, calm, count=1, flows=12, seed=KILLED)
    assert figures.verdict.wrong == ()
    assert figures.more["expired"]["afterCompaction"] > 0


def test_at_the_end_nothing_is_written_any_more(control: Lasting) -> None:
    assert phases.restless(control) == []
