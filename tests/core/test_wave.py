"""Which steps a wave visits: whoever has to hear of something, once, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.core.builders import Life, at, compiled, job, step
from zenflow_core import reasons as r
from zenflow_core import wave
from zenflow_core.limits import HELD_STEPS_NAMED
from zenflow_core.observation import Observed, Present, Seen
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reconcile import advance
from zenflow_core.rules import ask
from zenflow_core.spec import StepName
from zenflow_core.state import StepPhase, StepRecord, Tally
from zenflow_core.views import Rule, StepView

DONE = job(complete="10:00:40")
FAILED = job(failed="10:00:40")
MANY = tuple(f"s{i}" for i in range(HELD_STEPS_NAMED + 1))
"""One more than a step that waits for all of them names: it does not name `s0`."""
FIRST, SECOND = MANY[:2]


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are asked, in order, once for each time."""
    names: list[str] = []

    def listening(rules: Iterable[Rule], view: StepView) -> r.Cause | tuple[r.Hold, ...]:
        names.append(view.step.name)
        return ask(rules, view)

    monkeypatch.setattr(wave, "ask", listening)
    return names


def tell(life: Life, **jobs: Seen) -> None:
    """Let the flow advance by these Jobs."""
    assert life.state is not None
    advance(life.state, Observed(jobs={StepName(name): (seen,) for name, seen in jobs.items()}), at("10:00:41"))


@pytest.mark.parametrize(
    ("steps", "seen", "then"),
    [
        pytest.param(
            [step("a"), step("b", "a")], {"a": job()}, {"a"}, id="a Job that runs concerns its own step and no other"
        ),
        pytest.param(
            [*map(step, MANY), step("last", *MANY)],
            {FIRST: DONE},
            {FIRST},
            id="a reader that does not name the step does not hear of its end",
        ),
        pytest.param(
            [*map(step, MANY), step("last", *MANY)],
            {SECOND: DONE},
            {SECOND, "last"},
            id="one that names it does",
        ),
        pytest.param(
            [step(FIRST, continueOnFailure=True), *map(step, MANY[1:]), step("last", *MANY)],
            {FIRST: FAILED},
            {FIRST},
            id="a failure that is tolerated is an end like any other",
        ),
    ],
)
def test_who_is_visited(visits: list[str], steps: list[dict[str, Any]], seen: dict[str, Seen], then: set[str]) -> None:
    life = Life(compiled(*steps))
    life.look("10:00:00")
    visits.clear()
    tell(life, **seen)
    assert set(visits) == then


def test_a_reader_of_two_steps_that_end_at_once_is_visited_once(visits: list[str]) -> None:
    life = Life(compiled(step("a"), step("b"), step("c"), step("last", "a", "b", "c")))
    life.look("10:00:00")
    visits.clear()
    tell(life, a=DONE, b=DONE)
    assert visits.count("last") == 1


def test_an_input_is_told_to_whoever_waits_for_it(visits: list[str]) -> None:
    source = {"configMapKeyRef": {"name": "settings", "key": "level"}}
    reads = {"inputs": {"parameters": [{"name": "level", "valueFrom": source}]}}
    life = Life(compiled(step("a", **reads), step("b"), step("c", "b"), step("d", **reads)))
    life.look("10:00:00")
    visits.clear()
    assert life.state is not None
    advance(life.state, Observed(inputs={ConfigMapKey("settings", "level"): Present("high")}), at("10:00:01"))
    assert set(visits) == {"a", "d"}


def test_finally_goes_on_step_by_step_after_the_flow_was_ended() -> None:
    steps: dict[str, Any] = {"last": [step("report"), step("clean", "report")]}
    life = Life(compiled(step("build"), **steps))
    life.look("10:00:00")
    life.look("10:00:10", plan=compiled(step("build"), shutdown="Stop", **steps))
    life.look("10:00:20", report=job(1, "10:00:10"))
    life.look("10:00:41", report=job(1, "10:00:10", complete="10:00:40"))
    assert life.record("clean").started_at == at("10:00:41")


def finally_behind_many() -> Life:
    """A flow in whose `finally` every Job runs that the last step waits for."""
    life = Life(compiled(step("build"), last=[*map(step, MANY), step("last", *MANY)]))
    life.look("10:00:00")
    life.look("10:00:20", build=job(complete="10:00:10"))
    runs = job(1, "10:00:20")
    life.look("10:00:21", s0=runs, s1=runs, s2=runs, s3=runs)
    return life


LATER_FAILED = job(1, "10:00:20", failed="10:00:40")


def test_a_failure_is_heard_by_a_reader_that_does_not_name_the_step() -> None:
    life = finally_behind_many()
    life.look("10:00:41", s0=LATER_FAILED)
    assert life.record("last").cause == r.UpstreamUnmet(at("10:00:40"), StepName(FIRST))


def test_a_reader_that_is_over_is_not_visited_again(visits: list[str]) -> None:
    life = finally_behind_many()
    life.look("10:00:41", s0=LATER_FAILED)
    visits.clear()
    tell(life, s1=DONE)
    assert "last" not in visits


@pytest.mark.parametrize("sign", [1, -1], ids=["added", "taken away"])
@pytest.mark.parametrize(
    ("record", "then"),
    [
        pytest.param(StepRecord(), Tally(), id="a step that waits"),
        pytest.param(StepRecord(phase=StepPhase.PENDING_APPROVAL), Tally(approvals=1), id="one that is to be approved"),
        pytest.param(StepRecord(phase=StepPhase.RUNNING, attempt=3), Tally(retries=2, live=1), id="one that runs"),
        pytest.param(
            StepRecord(phase=StepPhase.SUCCEEDED, attempt=1, finished_at=at("10:00:00")),
            Tally(settled=1, main_settled=1, succeeded=1),
            id="one that has succeeded",
        ),
        pytest.param(
            StepRecord(phase=StepPhase.FAILED, attempt=1, finished_at=at("10:00:00")),
            Tally(settled=1, main_settled=1, failed=1),
            id="one that has failed",
        ),
        pytest.param(
            StepRecord(phase=StepPhase.SKIPPED, finished_at=at("10:00:00")),
            Tally(settled=1, main_settled=1, skipped=1),
            id="one that was skipped",
        ),
    ],
)
def test_what_a_record_counts(sign: int, record: StepRecord, then: Tally) -> None:
    before = Tally() if sign > 0 else then
    assert wave.retally(before, sign, record, (), main=True) == (then if sign > 0 else Tally())
