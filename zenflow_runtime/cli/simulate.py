"""`zenflow simulate`: a flow's whole life in virtual time, and how it ended as exit code."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TextIO

from attrs import frozen

from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.source import load_documents
from zenflow_core.state import FlowPhase
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import STDIN, Unread, read_file
from zenflow_runtime.cli.findings import say_findings
from zenflow_runtime.cli.flows import Runnable, read_runnable
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.outcomes import CalmOutcomes, Outcomes, ScriptedOutcomes, SeededOutcomes
from zenflow_testing.outcomes_file import read_outcomes
from zenflow_testing.simulation import Simulation, simulate


@frozen
class World:
    """What a flow is played with, and what that is called."""

    outcomes: Outcomes
    called: str


@frozen
class Prepared:
    """A flow that can be played."""

    runnable: Runnable
    world: World


def prepare(
    terminal: Terminal, file: str, *, name: str | None, outcomes: str | None, seed: int | None, given: tuple[str, ...]
) -> Prepared | int:
    """Everything a simulation needs, or an exit code once the trouble has been said."""
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    world = _world(terminal, runnable.plan, outcomes, seed)
    return world if isinstance(world, int) else Prepared(runnable, world)


def _world(terminal: Terminal, plan: Plan, file: str | None, seed: int | None) -> World | int:
    fallback: Outcomes = CalmOutcomes() if seed is None else SeededOutcomes(seed)
    called = "everything goes well" if seed is None else f"seed {seed}"
    if file is None:
        return World(fallback, called)
    text = read_file(file)
    if isinstance(text, Unread):
        terminal.fail(f"cannot read {text.file}: {text.why}")
        return exits.INVALID
    documents = load_documents(text, file=file)
    problems = tuple(each for each in documents if isinstance(each, Problem))
    if problems:
        say_findings(terminal, problems, file=file, text=text)
        return exits.INVALID
    if len(documents) > 1:
        terminal.fail(f"{file} has {len(documents)} documents", "keep the one that says how steps end")
        return exits.INVALID
    document = documents[0]
    assert not isinstance(document, Problem), "problems were told above"
    steps = [step.name for step in plan.steps]
    script = read_outcomes(document.data, steps=steps, manual=[step.name for step in plan.steps if step.manual])
    if isinstance(script, tuple):
        say_findings(terminal, document.placed(script), file=file, text=text)
        return exits.INVALID
    return World(ScriptedOutcomes(script, fallback), f"outcomes of {file}" if seed is None else f"{file}, {called}")


def run_simulation(
    terminal: Terminal,
    file: str,
    *,
    name: str | None,
    outcomes: str | None,
    seed: int | None,
    given: tuple[str, ...],
    output: str,
    dump: str | None,
    full: bool,
) -> int:
    """Play one flow and print its life; 0 Succeeded, 1 Failed, 2 invalid, 3 waits for ever."""
    prepared = prepare(terminal, file, name=name, outcomes=outcomes, seed=seed, given=given)
    if isinstance(prepared, int):
        return prepared
    if dump == STDIN:
        terminal.fail("--dump - is not possible: stdout is for the timeline", "name a file")
        return exits.INVALID
    try:
        with nullcontext() if dump is None else open(dump, "w", encoding="utf-8") as stream:
            simulation = play(terminal, prepared, stream)
    except OSError as error:
        terminal.fail(f"cannot write {dump}: {(error.strerror or str(error)).lower()}")
        return exits.INVALID
    if output == "json":
        from zenflow_runtime.cli.reports import to_json
        from zenflow_testing.timeline import simulation_json

        terminal.text(to_json(simulation_json(simulation)))
    elif output == "html":
        from zenflow_testing.report.page import page

        terminal.text(page(simulation, world=f"{prepared.world.called}, virtual time"))
    else:
        from zenflow_testing.timeline import timeline_lines

        lines = timeline_lines(
            simulation, world=prepared.world.called, columns=terminal.columns, wrap=terminal.wrap, full=full
        )
        terminal.print(wrapped_lines(lines, terminal.wrap))
    return exit_code(simulation)


def play(terminal: Terminal, prepared: Prepared, dump: TextIO | None = None) -> Simulation:
    """Simulate, and record every decision in `dump`."""

    def write(text: str) -> None:
        assert dump is not None, "handed over only with a file"
        dump.write(text)

    return simulate(
        prepared.runnable.flow,
        prepared.runnable.plan,
        prepared.world.outcomes,
        dump=None if dump is None else write,
        progress=terminal.progress(),
    )


def exit_code(simulation: Simulation) -> int:
    """What the end of a simulated flow means for a script."""
    if simulation.stuck:
        return exits.UNENDING
    return exits.OK if simulation.state.record.phase is FlowPhase.SUCCEEDED else exits.NO
