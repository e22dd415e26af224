"""`zenflow whatif`: a recorded life with something changed, beside the life as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import evolve

from zenflow_core.dump import Unreplayable
from zenflow_core.facts import reason_of
from zenflow_core.instants import rfc3339
from zenflow_core.problems import Problem
from zenflow_core.spec import StepName
from zenflow_core.state import FlowPhase, StepPhase, StepRecord
from zenflow_core.styled import Line, Span, Style, brief, cells, line, padded
from zenflow_core.version import VERSION
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.dumps import load_dump, say_problem
from zenflow_runtime.cli.reports import to_json
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.chronicle import Entry, Simulation
from zenflow_testing.comparing import differences, side_by_side
from zenflow_testing.timeline import GLYPHS, moves_lines, simulation_json
from zenflow_testing.whatif import Change, WhatIf, play, read_change

_MOVES: Final = 4
"""Moves of either life that are shown from the first on that differs."""
_FLOW_GLYPHS: Final = {FlowPhase.SUCCEEDED: ("✔", Style.GOOD), FlowPhase.FAILED: ("✘", Style.BAD)}


def run_whatif(terminal: Terminal, file: str, changes: tuple[str, ...], *, output: str) -> int:
    """Play a recorded life with changes; 0 if it then succeeds, 1 if it fails, 2 invalid, 3 if it waits for ever."""
    if not changes:
        terminal.fail("name what is to be changed", "zenflow whatif DUMP --change TARGET=VALUE")
        return exits.INVALID
    dump = load_dump(terminal, file, doing="played")
    if isinstance(dump, int):
        return dump
    if not dump.steps:
        terminal.fail(f"{file} has no decision", "take the dump after the operator has seen the flow")
        return exits.INVALID
    read = [read_change(each, dump) for each in changes]
    problems = [each for each in read if isinstance(each, Problem)]
    wanted: list[Change] = [each for each in read if not isinstance(each, Problem)]
    try:
        found = problems or play(dump, wanted)
    except Unreplayable as error:
        found = [error.problem]
    if not isinstance(found, WhatIf):
        for problem in found:
            say_problem(terminal, problem)
        return exits.INVALID
    if output == "json":
        terminal.text(to_json(whatif_json(found, changes)))
    else:
        terminal.print(wrapped_lines(whatif_lines(found, changes, columns=terminal.wrap), terminal.wrap))
    if found.changed.stuck:
        return exits.UNENDING
    phase = found.changed.state.record.phase
    return exits.NO if phase is FlowPhase.FAILED else exits.OK


def whatif_lines(found: WhatIf, changes: tuple[str, ...], *, columns: int | None) -> Iterator[Line]:
    """Both outcomes side by side, where the lives part, and what then happens."""
    recorded, changed = found.recorded, found.changed
    yield line(Span(recorded.flow, Style.HEAD), f" in namespace {recorded.namespace}, with {', '.join(changes)}")
    yield line(Span(f"times count from the first decision, {rfc3339(recorded.started_at)}", Style.DIM))
    yield ()
    yield from _outcomes(found)
    yield ()
    if found.parted is None or found.parted_at is None:
        yield line(Span("the same", Style.GOOD), ": all that is recorded is decided as it was")
        return
    at = f"+{brief(found.parted_at - recorded.started_at)}"
    yield line(f"the record is followed up to decision {found.parted} ({at}); from there on the cluster goes on as the")
    yield line("record shows it: each Job ends as it did, as long after its creation, and people act when they did")
    old, new = found.first_difference()
    if old or new:
        left, right = (_told(each, recorded) for each in (old, new))
        yield from side_by_side(differences(left, right), left="recorded", right="changed", columns=columns)
    else:
        yield line(Span("nothing moves otherwise", Style.GOOD))
    for each in found.assumed:
        yield line(Span("  assumed  ", Style.WAIT), each)
    since = [entry for entry in changed.timeline if entry.at >= found.parted_at]
    if since:
        yield ()
        yield line(Span("what then happens", Style.HEAD))
        yield from moves_lines(evolve(changed, timeline=tuple(since)), wrap=columns)


def _told(entries: Sequence[Entry], life: Simulation) -> dict[str, list[str]]:
    """The first moves of a life in short, for a table."""
    return {
        "moves": [
            f"+{brief(each.at - life.started_at)} {each.step} {each.phase.value} {reason_of(each.cause)}"
            for each in entries[:_MOVES]
        ]
    }


def _outcomes(found: WhatIf) -> Iterator[Line]:
    """A row for the flow and one for each step: how it ended in either life."""
    rows: list[tuple[str, str, str, Style, Style]] = [("", "recorded", "changed", Style.DIM, Style.DIM)]
    lives = (found.recorded, found.changed)
    flows = [_flow(life) for life in lives]
    rows.append((lives[0].flow, flows[0][0], flows[1][0], flows[0][1], flows[1][1]))
    order = [step.name for life in lives for step in sorted(life.state.plan.steps, key=lambda step: step.row)]
    for step_name in dict.fromkeys(order):
        told = [_step(life, step_name) for life in lives]
        rows.append((f"  {step_name}", told[0][0], told[1][0], told[0][1], told[1][1]))
    first = max(cells(row[0]) for row in rows)
    second = max(cells(row[1]) for row in rows)
    for name, left, right, old, new in rows:
        same = left == right and name
        yield (
            Span(f"{padded(name, first)}  "),
            Span(f"{padded(left, second)}  ", old),
            Span(f"{'=' if same else right}", Style.DIM if same else new),
        )


def _flow(life: Simulation) -> tuple[str, Style]:
    record = life.state.record
    if life.stuck:
        return f"‖ {record.phase.value}, waits for ever", Style.BAD
    glyph, style = _FLOW_GLYPHS.get(record.phase, ("●", Style.BUSY))
    at = "" if record.completed_at is None else f" at +{brief(record.completed_at - life.started_at)}"
    return f"{glyph} {record.phase.value}{at}", style


def _step(life: Simulation, name: StepName) -> tuple[str, Style]:
    plan = life.state.plan
    rank = next((step.rank for step in plan.steps if step.name == name), None)
    if rank is None:
        return "no such step", Style.DIM
    record: StepRecord = life.state.records[rank]
    glyph, style = GLYPHS[record.phase]
    at = "" if record.finished_at is None else f" at +{brief(record.finished_at - life.started_at)}"
    tries = f", attempt {record.attempt}" if record.attempt > 1 else ""
    why = reason_of(record.cause) if record.cause is not None and record.phase is StepPhase.FAILED else ""
    return f"{glyph} {record.phase.value}{at}{tries}{f' ({why})' if why else ''}", style


def whatif_json(found: WhatIf, changes: tuple[str, ...]) -> dict[str, Any]:
    """The document of `zenflow whatif -o json`: both lives as `zenflow simulate -o json` tells one."""
    old_new = found.first_difference()
    return {
        "flow": found.recorded.flow,
        "namespace": found.recorded.namespace,
        "changes": list(changes),
        "recorded": simulation_json(found.recorded),
        "changed": simulation_json(found.changed) | {"waitsForEver": found.changed.stuck},
        "partedAt": None if found.parted_at is None else rfc3339(found.parted_at),
        "partedAtDecision": found.parted,
        "firstDifference": dict(
            zip(("recorded", "changed"), (_told(e, found.recorded)["moves"] for e in old_new), strict=True)
        ),
        "assumed": list(found.assumed),
        "version": VERSION,
    }
