"""Watchers that write dumps: whatever happens to the operator, what they wrote decides the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import manifest, manual, retry, step
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.dump import Dump, read_dump, told
from zenflow_core.plan import Plan
from zenflow_core.spec import JobFlow
from zenflow_runtime.dumping import Dumper, DumpTail
from zenflow_runtime.flows import Basis, Flow
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.operator import Operator, Watcher
from zenflow_testing.outcomes import Outcomes, SeededOutcomes
from zenflow_testing.simulation import simulate
from zenflow_testing.strategies import manifests, outcomes

FLOW = manifest(
    step("build", retryPolicy=retry(2, 10)),
    step("lint"),
    manual("gate", "build"),
    step("deploy", "gate", "lint", timeoutSeconds=300),
    last=[step("report")],
)


def play(data: dict[str, Any], world: Outcomes, watcher: Watcher) -> None:
    flow = read_flow(data)
    assert isinstance(flow, JobFlow)
    plan = compile_plan(flow)
    assert isinstance(plan, Plan)
    simulate(flow, plan, world, watcher=watcher)


def read(text: str) -> Dump:
    dump = read_dump(text.splitlines(keepends=True), file="d")
    assert isinstance(dump, Dump), dump
    return dump


def assert_decides_the_same(dump: Dump) -> None:
    for line, decision in dump.replay():
        assert json.loads(json.dumps(told(decision))) == line.decided, f"line {line.line}"


@pytest.mark.parametrize("seed", range(12))
def test_uids_that_were_noted_are_not_written_again(seed: int) -> None:
    """Jobs that run for longer than it takes to note their uids."""
    lines: list[str] = []
    bases: list[Basis] = []

    dumper = Dumper(lines.append)

    def watch(flow: Flow, *told: Any) -> None:
        bases.append(flow.basis)
        dumper(flow, *told)

    play(FLOW, SeededOutcomes(seed), watch)
    assert Basis.NOTED in bases
    assert_decides_the_same(read("".join(lines)))


@settings(max_examples=60)
@given(manifests(), outcomes(), st.sampled_from((4_000, 12_000, 60_000)))
def test_the_tail_of_a_life_decides_the_same_and_is_bounded(data: dict[str, Any], world: Outcomes, limit: int) -> None:
    tail = DumpTail(limit=limit)
    lines: list[str] = []
    dumper = Dumper(lines.append)
    longest = 0

    def watch(*told: Any) -> None:
        nonlocal longest
        tail(*told)
        dumper(*told)
        longest = max(longest, *(len(line.encode()) for line in tail.text().splitlines()))

    play(data, world, watch)
    kept, whole = read(tail.text()), read("".join(lines))
    assert_decides_the_same(kept)
    assert_decides_the_same(whole)
    assert kept.skipped + len(kept.steps) == len(whole.steps)
    assert [each.decided for each in kept.steps] == [each.decided for each in whole.steps[kept.skipped :]]
    assert tail.size <= limit + 6 * longest, "two parts: each a header, a first decision, and one beyond its half"


def test_a_tail_before_the_first_decision_is_empty() -> None:
    assert DumpTail().text() == ""


@pytest.mark.parametrize("limit", [2_000, 1_000_000], ids=["parts change", "all is kept"])
def test_a_flow_that_is_edited_while_it_runs(limit: int) -> None:
    cluster = Cluster(VirtualClock())
    lines: list[str] = []
    tail, dumper = DumpTail(limit=limit), Dumper(lines.append)

    def watch(*told: Any) -> None:
        tail(*told)
        dumper(*told)

    operator = Operator(cluster, watcher=watch)
    cluster.create("JobFlow", manifest(*(step(f"s{n}") for n in range(6)), policy={"parallelism": 1}), namespace="ci")
    for parallelism in (1, 2, 3, 6):
        patch = {"spec": {"executionPolicy": {"parallelism": parallelism}}}
        cluster.patch_merge("JobFlow", "ci", "nightly", patch)
        operator.call()
    for text in ("".join(lines), tail.text()):
        dump = read(text)
        assert dump.steps[-1].plan.parallelism == 6
        assert_decides_the_same(dump)
    assert read("".join(lines)).steps[0].plan.parallelism == 1
    assert sum('"changed"' in line for line in lines) == 3
