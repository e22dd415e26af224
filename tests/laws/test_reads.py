"""What the laws remember of statuses changes nothing: every answer is the one that reading or writing anew gives."""

from __future__ import annotations

import copy
import random
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.runs import Run
from zenflow_core.reconcile import decode
from zenflow_core.recording import full_status
from zenflow_core.state import StepRecord
from zenflow_core.status import read_status
from zenflow_testing.laws.reads import Reads, Writes
from zenflow_testing.strategies import DrawnOutcomes, manifests, outcomes

RUNS = 40


def lived(manifest: dict[str, Any], drawn: DrawnOutcomes) -> Run:
    run = Run(manifest, drawn)
    run.play()
    return run


@settings(max_examples=RUNS)
@given(manifests(), outcomes(), st.randoms(use_true_random=False))
def test_statuses_in_any_order_say_what_they_say(
    manifest: dict[str, Any], drawn: DrawnOutcomes, r: random.Random
) -> None:
    """Old ones come again, as the same object and as another that says the same."""
    run = lived(manifest, drawn)
    statuses: list[dict[str, Any] | None] = [None, *(each.status for each in run.decisions)]
    statuses += [copy.deepcopy(each) for each in statuses]
    reads = Reads()
    seen = run.decisions[0].state.flow
    for _ in range(60):
        status = r.choice(statuses)
        assert reads(status) == read_status(status)
        here = r.choice((seen, evolve(seen, generation=2)))
        assert reads.restored(run.plan, here, status) == decode(run.plan, here, status)


@settings(max_examples=RUNS)
@given(manifests(), outcomes(), st.randoms(use_true_random=False))
def test_states_in_any_order_are_written_as_they_are(
    manifest: dict[str, Any], drawn: DrawnOutcomes, r: random.Random
) -> None:
    run = lived(manifest, drawn)
    writes = Writes()
    for decision in r.choices(run.decisions, k=60):
        assert writes(decision.state) == full_status(decision.state)


def test_a_number_is_no_boolean() -> None:
    """Python takes 1 and True for equal; JSON does not."""
    reads = Reads()
    row = {"name": "a", "phase": "Running", "startTime": "2026-01-01T00:00:00Z", "reason": "Admitted"}
    number: dict[str, Any] = {"phase": "Running", "steps": [{**row, "cause": {"attempt": 1}}]}
    boolean: dict[str, Any] = {"phase": "Running", "steps": [{**row, "cause": {"attempt": True}}]}
    assert number == boolean
    assert reads(number) == read_status(number)
    assert reads(boolean) == read_status(boolean)
    assert reads(boolean) != reads(number)


def test_equal_is_asked_of_each_pair() -> None:
    """A pair that was equal says nothing about another pair with one of the two."""
    reads = Reads()
    one, same, other = StepRecord(attempt=1), StepRecord(attempt=1), StepRecord(attempt=2)
    assert reads.equal(one, same)
    assert reads.equal(one, same)
    assert not reads.equal(one, other)
    assert not reads.equal(other, same)
    assert reads.equal(one, same)
