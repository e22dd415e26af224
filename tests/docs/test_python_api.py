"""The controller that docs/python-api.md shows does what the operator does, on other flows and days."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks_and_prose
from tests.docs.snippets import Session
from zenflow_core import JobFlow, Plan, StepPhase, compile_plan, load_documents, read_flow, write_flow
from zenflow_core.reasons import ApprovalRequested
from zenflow_core.source import Document
from zenflow_testing import Cluster, GarbageCollector, SeededOutcomes, VirtualClock, World, simulate
from zenflow_testing.demands import demands_of

PAGE = ROOT / "docs" / "python-api.md"


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The class of that page."""
    session = Session(str(PAGE), tmp_path_factory.mktemp("page"))
    for block in blocks_and_prose(PAGE.read_text(encoding="utf-8"))[0]:
        if "class Controller" in block.text:
            assert session.run(block) is None
    return session.names["Controller"]


def loaded(example: str) -> tuple[JobFlow, Plan]:
    text = (ROOT / "examples" / f"{example}.yaml").read_text(encoding="utf-8")
    document = load_documents(text, file=example)[0]
    assert isinstance(document, Document)
    flow = read_flow(document.data)
    assert isinstance(flow, JobFlow)
    plan = compile_plan(flow)
    assert isinstance(plan, Plan)
    return flow, plan


def live(made: Any, flow: JobFlow, plan: Plan, outcomes: SeededOutcomes, *, restarts: bool) -> dict[str, StepPhase]:
    """The end of a life under that controller; a new one for each look if it `restarts`."""
    clock = VirtualClock()
    cluster = Cluster(clock)
    world, garbage = World(cluster, outcomes, demands=demands_of(plan)), GarbageCollector(cluster)
    stored = cluster.create("JobFlow", write_flow(flow), namespace="default")
    name = stored["metadata"]["name"]
    controller = made(cluster, name)
    while True:
        if restarts:
            controller = made(cluster, name)
        decision = controller.work()
        records = {step.name: decision.state.records[step.rank] for step in plan.steps}
        if decision.state.record.completed_at is not None:
            return {step: record.phase for step, record in records.items()}
        for step, record in records.items():
            if isinstance(record.cause, ApprovalRequested):
                world.approval_asked(stored, step, at=record.cause.at)
        due = [at for at in (decision.wake_at, world.next_due(), garbage.next_due()) if at is not None]
        clock.advance_to(max(min(due), clock.now))
        world.run_due()
        garbage.run_due()


def test_the_page_uses_public_names_only() -> None:
    snippets = [block for block in blocks_and_prose(PAGE.read_text(encoding="utf-8"))[0] if block.language == "python"]
    imports = [
        node for block in snippets for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)
    ]
    names = [(each.module or "", name.name) for each in imports for name in each.names]
    ours = [(module, name) for module, name in names if module.startswith("zenflow_")]
    assert len(ours) > 50
    assert [each for each in ours if each[1] not in import_module(each[0]).__all__] == []


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a new process for each look"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("example", ["release-train", "always-clean-up"])
def test_its_flows_end_as_those_of_the_operator(controller: Any, example: str, seed: int, restarts: bool) -> None:
    flow, plan = loaded(example)
    outcomes = SeededOutcomes(seed)
    by_operator = simulate(flow, plan, outcomes).state
    expected = {step.name: by_operator.records[step.rank].phase for step in plan.steps}
    assert live(controller, flow, plan, outcomes, restarts=restarts) == expected
