"""The search for what breaks a flow: its points, what is passed over, what is found and how small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import evolve

import zenflow_core.wave
import zenflow_testing.explore.search
from zenflow_core.bounds import bounds_of
from zenflow_core.rules import RULES
from zenflow_core.spec import API_VERSION, KIND
from zenflow_core.state import StepPhase
from zenflow_core.styled import plain
from zenflow_testing.cases.format import CaseFile, read_case
from zenflow_testing.cases.runner import run_case
from zenflow_testing.execute import Executor
from zenflow_testing.explore import Budget, Exploration, explore
from zenflow_testing.explore.points import BURST, SingleFault, faults_of
from zenflow_testing.explore.report import case_of, exploration_json, exploration_lines
from zenflow_testing.explore.search import ALIKE, NO_BUDGET
from zenflow_testing.explore.variants import variants_of
from zenflow_testing.faults.life import Subject, play
from zenflow_testing.outcomes import CalmOutcomes
from zenflow_testing.properties import Property, parse_property

JOB = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "b:1"}]}}}}
KINDS = {
    *("crash", "crash before acting", "answer lost", "event late", "event lost", "event again", "stale read"),
    *("refused: conflict", "refused: throttled", "refused: server error", "refused: quota", "refused: for good"),
}


def subject(*steps: dict[str, Any], **policy: Any) -> Subject:
    filled = [step if step.get("type") == "Manual" else {"template": JOB, **step} for step in steps]
    spec = {"steps": filled, "executionPolicy": policy}
    metadata = {"name": "ship", "namespace": "default"}
    return Subject.of({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec})


GUARDED = subject(
    {"name": "build"},
    {"name": "approve", "type": "Manual", "dependencies": ["build"]},
    {"name": "deploy", "dependencies": ["approve"]},
)
UNGUARDED = subject(
    {"name": "build"}, {"name": "approve", "type": "Manual"}, {"name": "deploy", "dependencies": ["build"]}
)


def asked(text: str, of: Subject) -> Property:
    parsed = parse_property(text, of.plan)
    assert isinstance(parsed, Property), parsed
    return parsed


APPROVED_FIRST = "not (steps.deploy.phase == 'Running') or steps.approve.phase == 'Succeeded'"


@pytest.fixture(scope="module")
def guarded() -> Exploration:
    return explore(GUARDED, properties=[asked(APPROVED_FIRST, GUARDED)])


def test_a_sound_flow_holds_in_every_life(guarded: Exploration) -> None:
    assert guarded.found == {}
    assert guarded.outcomes == {"Succeeded": 1, "Failed": 3}
    assert guarded.lives == guarded.outcomes.total() + guarded.singles


def test_every_kind_of_fault_meets_steps(guarded: Exploration) -> None:
    assert {kind for kind, _ in guarded.coverage.rows()} == KINDS
    running = {kind for kind, counts in guarded.coverage.rows() if counts.get("Running")}
    assert running == KINDS - {"refused: conflict"}
    assert guarded.coverage.counts["crash before acting"]["PendingApproval"] > 0


def test_the_same_flow_gives_the_same_bytes(guarded: Exploration) -> None:
    again = explore(GUARDED, properties=[asked(APPROVED_FIRST, GUARDED)])
    assert exploration_json(again, GUARDED, ()) == exploration_json(guarded, GUARDED, ())


def test_what_is_left_out_is_said(guarded: Exploration) -> None:
    assert guarded.left_out[ALIKE] > 0
    text = plain(exploration_lines(guarded, GUARDED, (), written={}))
    assert f"left out: {guarded.left_out[ALIKE]:,} like one that was tried" in text
    assert text.endswith(f"ok: every law held in {guarded.lives} lives\n")


def test_a_budget_ends_the_search_and_counts_the_rest(guarded: Exploration) -> None:
    done = explore(GUARDED, budget=Budget(lives=20))
    assert done.lives == 20
    assert done.singles + done.left_out[NO_BUDGET] == guarded.singles


def test_pairs_come_after_all_single_faults(guarded: Exploration) -> None:
    done = explore(GUARDED, budget=Budget(pairs=15))
    assert (done.pairs, done.singles) == (15, guarded.singles)
    assert done.left_out[f"pairs {NO_BUDGET}"] > 100
    assert done.found == {}


def test_ctrl_c_keeps_what_was_done() -> None:
    def stop(lives: int, _what: str) -> None:
        if lives == 30:
            raise KeyboardInterrupt

    done = explore(GUARDED, progress=stop)
    assert (done.stopped, done.lives) == (True, 30)
    assert "stopped by Ctrl-C" in plain(exploration_lines(done, GUARDED, (), written={}))


def test_the_smallest_counterexample_of_a_property_is_a_case_that_fails() -> None:
    """No fault at all is needed, so the calm life is told, up to the state in which it happened."""
    done = explore(UNGUARDED, properties=[asked(APPROVED_FIRST, UNGUARDED)], budget=Budget(lives=60))
    ((law, found),) = done.found.items()
    assert law == f"always {APPROVED_FIRST}"
    assert (found.faults, found.variant.name, found.violation.at) == ((), "calm", 10.0)
    text = plain(exploration_lines(done, UNGUARDED, (), written={}))
    assert "build Running→Succeeded JobComplete, deploy Pending→Running Admitted" in text
    loaded = read_case(case_of(found), file="found.case.yaml")
    assert isinstance(loaded, CaseFile), loaded
    (failure,) = run_case(loaded, file="found.case.yaml").failures
    assert (failure.path, failure.at) == ("always[0]", 10.0)


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(subject({"name": "a"}, ttlSecondsAfterFinished=0), id="deleted as soon as it is over"),
        pytest.param(
            subject(
                {"name": "a", "timeoutSeconds": 5, "continueOnFailure": True}, {"name": "b", "dependencies": ["a"]}
            ),
            id="a Job that is deleted at its timeout",
        ),
        pytest.param(
            subject({"name": "a", "retryPolicy": {"limit": 2}}, backoffLimit=1), id="a retry budget that is used up"
        ),
        pytest.param(subject({"name": "a"}, {"name": "b"}, parallelism=1), id="one slot"),
    ],
)
def test_small_flows_hold_in_every_life(of: Subject) -> None:
    """The first of these once found a flow that was deleted twice while the news of its end was late."""
    assert explore(of).found == {}


# --- planted bugs ----------------------------------------------------------------------------------------------------


@contextmanager
def patched(target: Any, name: str, value: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, value)
        yield


def test_acting_before_recording_is_found() -> None:
    """An operator that creates a Job although its record was refused: found with one fault, and small."""

    def record(self: Executor, flow: Any, action: Any) -> bool:
        return original(self, flow, action) or True

    original = Executor._record
    with patched(Executor, "_record", record):
        done = explore(subject({"name": "a"}, {"name": "b", "dependencies": ["a"]}))
    assert done.found, "nothing was found"
    smallest = min(done.found.values(), key=lambda found: found.size)
    assert len(smallest.faults) <= 1


def test_a_bound_that_is_too_low_is_found() -> None:
    of = subject({"name": "a"}, {"name": "b", "dependencies": ["a"]})
    true = bounds_of(of.plan, flow="ship")
    low = evolve(true, writes=evolve(true.writes, status=2))
    with patched(zenflow_testing.explore.search, "bounds_of", lambda *_arguments, **_options: low):
        done = explore(of, budget=Budget(lives=5))
    assert done.found["static bounds"].violation.what == "status writes: 3, at most 2 were foretold"


def test_a_forgotten_rule_is_found() -> None:
    """Steps that do not wait for those before them: the calm life is enough."""
    rules = {**RULES, StepPhase.PENDING: tuple(r for r in RULES[StepPhase.PENDING] if r.__name__ != "dependencies")}
    with patched(zenflow_core.wave, "RULES", rules):
        done = explore(subject({"name": "a"}, {"name": "b", "dependencies": ["a"]}), budget=Budget(lives=10))
    assert done.found["order"].faults == ()


# --- points ----------------------------------------------------------------------------------------------------------


def faults_in(of: Subject) -> tuple[list[SingleFault], Counter[str]]:
    life = play(of, CalmOutcomes(), laws=False)
    left_out: Counter[str] = Counter()
    assert life.state is not None
    assert life.state.record.completed_at is not None
    ends = life.journal.seconds(life.state.record.completed_at)
    return list(faults_of(of.plan, life.journal, ends, left_out)), left_out


def test_every_write_is_a_point_of_every_way_in_which_it_can_fail() -> None:
    faults, left_out = faults_in(subject({"name": "a"}))
    create = [fault.kind for fault in faults if fault.where.startswith("create Job of a")]
    refusals = ["throttled", "server error", "quota", "for good"]
    assert create == ["crash", "answer lost", *(f"refused: {why}" for why in refusals)]
    assert not left_out


def test_a_burst_is_tried_in_part_and_the_rest_is_counted() -> None:
    faults, left_out = faults_in(subject(*({"name": f"s{n}"} for n in range(10))))
    crashes = [fault for fault in faults if fault.kind == "crash" and fault.where.startswith("create Job")]
    assert len(crashes) == BURST
    assert left_out.total() >= 10 - BURST


def test_of_shards_one_fails_for_all() -> None:
    shards = [{"name": f"shard-{n}", "dependencies": ["plan"]} for n in range(5)]
    gather = {"name": "gather", "dependencies": [shard["name"] for shard in shards]}
    left_out: Counter[str] = Counter()
    names = [each.name for each in variants_of(subject({"name": "plan"}, *shards, gather).plan, left_out)]
    assert names == ["calm", "plan fails for good", "shard-0 fails for good", "gather fails for good"]
    assert left_out.total() == 4


@pytest.mark.parametrize(
    ("step", "names"),
    [
        pytest.param({"name": "a"}, ["calm", "a fails for good"], id="a Job"),
        pytest.param(
            {"name": "a", "retryPolicy": {"limit": 1}},
            ["calm", "a fails once", "a fails for good"],
            id="a Job with retries",
        ),
        pytest.param({"name": "a", "type": "Manual"}, ["calm", "a is rejected"], id="an approval"),
        pytest.param(
            {"name": "a", "type": "Manual", "timeoutSeconds": 60},
            ["calm", "a is rejected", "a is never approved"],
            id="an approval that is not waited for for ever",
        ),
        pytest.param({"name": "a", "when": "never"}, ["calm"], id="what never runs cannot fail"),
    ],
)
def test_outcomes(step: dict[str, Any], names: list[str]) -> None:
    assert [variant.name for variant in variants_of(subject(step).plan, Counter())] == names
