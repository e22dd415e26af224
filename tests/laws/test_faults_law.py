"""Whole lives under faults: a fixed budget of drawn ones, and that what fails is found, made small, and replays."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from zenflow_core.actions import CreateJob
from zenflow_core.plan import PlannedStep
from zenflow_core.reconcile import Decision
from zenflow_runtime.flows import Flow
from zenflow_testing.cases.format import CaseFile, read_case
from zenflow_testing.cases.history import ClockJump, OperatorStart
from zenflow_testing.cases.runner import Result, run_case
from zenflow_testing.faults import AfterRequest, AtSecond, Injection, Subject, play, soak, write_case
from zenflow_testing.faults.catalogue import ALWAYS, APART, ELSEWHERE, KINDS, page
from zenflow_testing.faults.shrinking import kind_of, shrunk
from zenflow_testing.faults.soak import Soak
from zenflow_testing.faults.swarm import Trial, trial
from zenflow_testing.operator import Operator
from zenflow_testing.outcomes import JobEnding, Outcomes
from zenflow_testing.reference import FAILED, fates

LIVES = 100
DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


@pytest.mark.parametrize("first", range(0, 1000, LIVES))
def test_a_budget_of_lives_keeps_every_law(first: int, tmp_path: Path) -> None:
    """Drawn flows under drawn faults; a failure names its seed and leaves a minimal case file."""
    tried = Soak(first)
    for _ in range(LIVES):
        tried.step()
    for seed, life in tried.found.values():
        file = tmp_path / f"seed-{seed}.case.yaml"
        file.write_text(write_case(life), encoding="utf-8")
        pytest.fail(f"{tried.report()}\nsee {file}")
    assert tried.tally.decisions > LIVES


@pytest.mark.parametrize(
    "seed",
    [
        # Two replicas wrote a status at each other's: one knew that a deleted Job was gone, the other did not.
        77732,
    ],
)
def test_lives_that_have_broken_a_law(seed: int) -> None:
    """Found by long soaks."""
    assert trial(seed).run().failures == ()


def _replayed(text: str) -> Result:
    loaded = read_case(text, file="life.case.yaml")
    assert isinstance(loaded, CaseFile), loaded
    return run_case(loaded, file="life.case.yaml")


@pytest.mark.parametrize("seed", range(20))
def test_a_life_that_is_written_down_is_lived_again(seed: int) -> None:
    """The case of a life has the same requests at the same times, and passes like it."""
    life = trial(seed).run()
    result = _replayed(write_case(life))
    assert result.failures == ()
    assert result.journal.requests == life.journal.requests


@pytest.fixture
def create_before_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator carries out creates before the record that calls for them."""
    decide = Operator._decide

    def planted(self: Operator, flow: Flow) -> Decision | None:
        perform = self.perform
        ahead: list[CreateJob] = []
        watcher = self._watcher

        def saw(known: Any, observed: Any, now: Any, decision: Decision) -> None:
            if watcher is not None:
                watcher(known, observed, now, decision)
            ahead.extend(action for action in decision.actions if isinstance(action, CreateJob))
            for action in ahead:
                perform(flow, action)

        self._watcher = saw
        try:
            return decide(self, flow)
        finally:
            self._watcher = watcher

    monkeypatch.setattr(Operator, "_decide", planted)


@pytest.mark.usefixtures("create_before_record")
def test_a_planted_bug_is_found_made_small_and_replays_red() -> None:
    """A create before its record breaks `recorded`, without any fault and with one step."""
    tried = trial(1)
    life = tried.run()
    assert "recorded" in life.failures[0].found
    small, least = shrunk(tried, life)
    assert (len(small.script), len(small.subject.plan.steps)) == (0, 1)
    assert kind_of(least) == kind_of(life)
    result = _replayed(write_case(least))
    assert [each.found for each in result.failures] == [each.found for each in least.failures]


@pytest.mark.usefixtures("create_before_record")
def test_a_soak_says_what_it_finds_when_it_finds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "found"
    assert soak.main(["--lives", "3", "--seed", "1", "--out", str(folder)]) == 1
    said = capsys.readouterr()
    assert "seed 1: " in said.err
    assert said.err in said.out, "at the end once more"
    (file,) = folder.iterdir()
    assert not _replayed(file.read_text(encoding="utf-8")).passed


def test_a_soak_says_how_far_it_is_and_ends_well_when_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "NOTE_SECONDS", 0.0)
    step = Soak.step

    def interrupted(self: Soak) -> str:
        if self.tally.lives == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Soak, "step", interrupted)
    assert soak.main(["--minutes", "60"]) == 0
    said = capsys.readouterr()
    assert said.err == "soak: 1 lives, 0 violations, 60 minutes left\nsoak: 2 lives, 0 violations, 60 minutes left\n"
    assert said.out.startswith("lives 2, ")


_WHEN = re.compile(r"steps\.(\w+)\.phase == '(\w+)'")


def _holds(manifest: Mapping[str, Any], step: PlannedStep, ends: Mapping[str, str]) -> bool:
    spec = manifest["spec"]
    said = next(each for each in (*spec["steps"], *spec.get("finally", ())) if each["name"] == step.name)
    found = _WHEN.match(said.get("when", ""))
    return found is None or ends[found[1]] == found[2]


def _failing(tried: Trial) -> set[str]:
    """Steps all of whose attempts fail."""
    found: set[str] = set()
    for step in tried.subject.plan.steps:
        attempts = 1 + (step.retry.limit if step.retry is not None else 0)
        endings = [tried.outcomes.job(step.name, n) for n in range(1, attempts + 1)]
        if not step.manual and all(ending.exit_code for ending in endings):
            found.add(step.name)
    return found


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_flows_end_as_the_reference_says(first: int) -> None:
    """Where no clock has a say, each step of a calm life ends as a page of semantics has it."""
    some_failed = 0
    for seed in range(first, first + 50):
        tried = trial(seed)
        if tried.timeless:
            plan, manifest = tried.subject.plan, tried.subject.manifest
            wanted = fates(plan, _failing(tried), partial(_holds, manifest))
            found = {name: phase for name, (phase, _) in tried.calm().summary().items()}
            assert {name: {phase} for name, phase in found.items()} == wanted, seed
            some_failed += FAILED in found.values()
    assert some_failed


class _Renamed:
    """The outcomes of steps that are called otherwise."""

    def __init__(self, base: Outcomes, names: Mapping[str, str]) -> None:
        self._base, self._names = base, names

    def job(self, step: str, attempt: int) -> JobEnding:
        return self._base.job(self._names[step], attempt)

    def approval(self, step: str) -> Any:
        return self._base.approval(self._names[step])

    def config_map(self, name: str, key: str) -> str | None:
        return self._base.config_map(name, key)

    def suspended(self, step: str) -> Any:
        return self._base.suspended(self._names[step])


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _renamed(each, names) for key, each in value.items()}
        case list():
            return [_renamed(each, names) for each in value]
        case str():
            when = _WHEN.match(value)
            return f"steps.{names[when[1]]}.phase == '{when[2]}'" if when else names.get(value, value)
        case _:
            return value


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_names_and_order_of_steps_change_nothing(first: int) -> None:
    """Steps with other names, in a list the other way round, end alike after as many attempts, faults or not."""
    compared = 0
    for seed in range(first, first + 25):
        tried = trial(seed)
        if not tried.timeless:
            continue
        names = {str(step.name): f"zz{9 - index}" for index, step in enumerate(tried.subject.plan.steps)}
        manifest = _renamed(dict(tried.subject.manifest), names)
        manifest["spec"]["steps"].reverse()
        outcomes = _Renamed(tried.outcomes, {new: old for old, new in names.items()})
        script = [each for each in tried.script if getattr(each.fault, "step", None) is None]
        other = play(Subject.of(manifest), outcomes, script, kubernetes=tried.version)
        assert other.failures == (), seed
        assert other.summary() == {names[name]: end for name, end in tried.calm().summary().items()}, seed
        compared += 1
    assert compared


@pytest.mark.parametrize("seed", [18, 19, 127, 133])
def test_replicas_whose_clocks_are_apart_come_to_rest(seed: int) -> None:
    """Two active replicas, one five minutes ahead: a pause that one has seen end is over, and a slot is waited for."""
    tried = trial(seed)
    script = [
        Injection(AtSecond(0.0), OperatorStart(at=0, instance="b")),
        Injection(AtSecond(0.0), ClockJump(at=0, seconds=300.0, instance="b")),
    ]
    assert play(tried.subject, tried.outcomes, script).failures == ()


def test_every_known_fault_has_a_place() -> None:
    """It is a kind, or in every life, or tried elsewhere, or argued away; nothing twice but among kinds."""
    drawn = {number for kind in KINDS for number in kind.numbers}
    others = [*ALWAYS, *ELSEWHERE, *APART]
    assert drawn | set(others) == set(range(1, 73))
    assert len(others) == len(set(others))
    assert not drawn & set(others)


def test_the_page_is_the_table() -> None:
    """docs/faults.md is what `catalogue.page()` says."""
    assert DOCS.read_text(encoding="utf-8") == page()


def test_the_same_script_is_the_same_life() -> None:
    """A seed is enough to tell a life: two of it are alike to the request."""
    one, two = trial(7).run(), trial(7).run()
    assert write_case(one) == write_case(two)
    assert one.journal.requests == two.journal.requests


def test_every_kind_can_strike_a_life() -> None:
    """Each kind, as it is drawn, leads to a life that holds."""
    subject = trial(1).subject
    for kind in KINDS:
        fault = kind.draw(random.Random(1), [step.name for step in subject.plan.steps])
        life = play(subject, trial(1).outcomes, [Injection(AfterRequest(2), fault)])
        assert life.failures == (), kind.name
