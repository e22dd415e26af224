"""The tables of docs/concepts.md are those that the core gives, and leave nothing out that it can say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

import pytest

from tools.concepts import attempts, ends, instants, precedence
from tools.make_concepts import PAGE, page_text
from zenflow_core.rules import BEFORE_START, ENDED_FROM_OUTSIDE, ENDED_FROM_WITHIN, RULES
from zenflow_core.rules.outcome import Outcome
from zenflow_core.state import FlowPhase, StepPhase
from zenflow_core.transitions import TRANSITIONS
from zenflow_testing import FlowUnderTest

TEXT = PAGE.read_text(encoding="utf-8")
HOLDS = {"NeedsOutput", "JobIsSuspended"}
ELSEWHERE = {
    "RetriesExhausted": "in the sentence below the table, and in a test here",
    "RetryAbandoned": "a step that waited for its retry",
    "JobResumed": "a step whose Job was suspended before",
}


def test_the_page_is_the_one_that_is_made() -> None:
    assert page_text() == TEXT, "run: python -m tools.make_concepts"


def test_every_way_that_an_attempt_may_end_is_in_the_table() -> None:
    """What the rule `outcome` can answer is in a cell, or is named above with the reason why not."""
    told = set(re.findall(r"`(\w+)`", " ".join(attempts.answer(row, {}) for row in attempts.ROWS)))
    told |= set(re.findall(r"`(\w+)`", " ".join(attempts.answer(row, attempts.RETRY) for row in attempts.ROWS)))
    answers = {each.__name__ for each in get_args(Outcome)} - HOLDS
    assert answers - told == set(ELSEWHERE)


def test_each_cell_is_a_move_of_the_table_of_moves() -> None:
    legal = {(cause.__name__, phase.value) for (before, cause), phase in TRANSITIONS.items() if before == "Running"}
    for row in attempts.ROWS:
        for retry in ({}, attempts.RETRY):
            phase, _, reason = attempts.answer(row, retry).partition(" ")
            assert not reason or (reason.strip("`"), phase) in legal, row.words


def test_the_last_of_several_attempts_ends_as_the_page_says() -> None:
    again = ends.step("a", retryPolicy={"limit": 1})
    manifest = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow", "metadata": {"name": "flow"}}
    life = FlowUnderTest.load(manifest | {"spec": {"steps": [again]}}).script("a", ends.FAILS, ends.FAILS).run()
    assert life.status["steps"][0]["reason"] == "RetriesExhausted"
    assert "the reason is `RetriesExhausted`" in TEXT


def test_every_phase_of_a_flow_is_in_the_table_but_one() -> None:
    assert {ends.answer(row)[0] for row in ends.ROWS} == {*map(str, FlowPhase)} - {"Pending"}


def test_every_rule_is_in_the_table_once() -> None:
    of_flows = (*ENDED_FROM_OUTSIDE, *BEFORE_START, *ENDED_FROM_WITHIN)
    rules = [*of_flows, *(rule for phase in StepPhase for rule in RULES[phase])]
    assert {rule.__name__ for rule in rules} == {rule.__name__ for rule in precedence.in_order()}
    assert len(precedence.in_order()) == len({rule.__name__ for rule in rules})
    assert all(f"[`{rule.__name__}`]" in TEXT for rule in rules)


@pytest.mark.parametrize("clock", instants.CLOCKS.values())
def test_both_clocks_are_somebodys(clock: str) -> None:
    rows: Sequence[str] = [line for line in instants.made().splitlines() if line.endswith(f"| {clock} |")]
    assert len(rows) > 3
