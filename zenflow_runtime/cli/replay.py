"""`zenflow replay`: a dump decided again, whole or step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from zenflow_core.decision import Decision
from zenflow_core.dump import Dump, Step, Unreplayable, told
from zenflow_core.dump.replaying import decide_again
from zenflow_core.instants import rfc3339
from zenflow_core.state import FlowState
from zenflow_core.styled import Line, Span, Style, brief, line
from zenflow_core.version import DECIDED_BY, VERSION
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.dumps import load_dump, moment_asked, say_problem
from zenflow_runtime.cli.reports import to_json
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.chronicle import Chronicle, Simulation
from zenflow_testing.comparing import differences, side_by_side
from zenflow_testing.timeline import moves_lines


@frozen
class Again:
    """One decision of a dump, and what is decided now."""

    number: int
    """From 1; decisions that the dump lacks at its beginning are not counted."""
    step: Step
    decision: Decision
    equal: bool


@frozen
class Replay:
    """A whole dump, decided again."""

    dump: Dump
    decisions: tuple[Again, ...]
    story: Simulation

    @property
    def first_difference(self) -> Again | None:
        """The first decision that is not the recorded one."""
        return next((each for each in self.decisions if not each.equal), None)


def run_replay(terminal: Terminal, file: str, *, at: str | None, output: str) -> int:
    """Decide a dump again; 0 if all decisions are the recorded ones, 1 if one is not, 2 if it is no dump."""
    dump = load_dump(terminal, file, doing="replayed")
    if isinstance(dump, int):
        return dump
    number = None if at is None else _number_asked(at, dump)
    if number is not None and isinstance(number, str):
        terminal.fail(f"--at: {number}", "give the number of a decision, +5m from the first one, or an instant")
        return exits.INVALID
    replay = replay_of(terminal, dump, file=file)
    if isinstance(replay, int):
        return replay
    if number is not None:
        from zenflow_runtime.cli.moment import moment_json, moment_lines

        again = replay.decisions[number - 1]
        if output == "json":
            terminal.text(to_json(moment_json(replay, again)))
        else:
            terminal.print(wrapped_lines(moment_lines(replay, again, columns=terminal.wrap), terminal.wrap))
        return exits.OK if again.equal else exits.NO
    if output == "json":
        terminal.text(to_json(replay_json(replay)))
    else:
        terminal.print(wrapped_lines(replay_lines(replay, columns=terminal.wrap), terminal.wrap))
    return exits.OK if replay.first_difference is None else exits.NO


def replay_of(terminal: Terminal, dump: Dump, *, file: str) -> Replay | int:
    """The dump decided again, or an exit code once the trouble has been said."""
    if not dump.steps:
        terminal.fail(f"{file} has no decision", "take the dump after the operator has seen the flow")
        return exits.INVALID
    chronicle = Chronicle()
    decisions: list[Again] = []
    state: FlowState | None = None
    for step in dump.steps:
        try:
            found = decide_again(step, state)
        except Unreplayable as error:
            say_problem(terminal, error.problem)
            return exits.INVALID
        state = found.decision.state
        chronicle.add(step.at, found.decision)
        decisions.append(Again(len(decisions) + 1, step, found.decision, found.equal))
    return Replay(dump, tuple(decisions), chronicle.told(dump.steps[0].at, stuck=False))


def _number_asked(at: str, dump: Dump) -> int | str:
    """The decision that `--at` names: by its number, or the last one until an instant; or what is wrong."""
    if at.isascii() and at.isdecimal():
        count = len(dump.steps)
        return int(at) if 0 < int(at[:9]) <= count and len(at) < 9 else f"there are decisions 1 to {count}, found {at}"
    until = moment_asked(at, dump)
    if not dump.steps or isinstance(until, str) or until is None:
        return until if isinstance(until, str) else "there is no decision"
    before = sum(step.at <= until for step in dump.steps)
    return before or f"the first decision was at {rfc3339(dump.steps[0].at)}"


# --- all of it -------------------------------------------------------------------------------------------------------


def replay_lines(replay: Replay, *, columns: int | None) -> Iterator[Line]:
    """The moves in order, and whether everything was decided as it is recorded; else the first difference."""
    dump, story = replay.dump, replay.story
    yield from head_lines(replay)
    yield ()
    yield from moves_lines(story, wrap=columns)
    yield ()
    yield line(Span(story.state.record.phase.value, Style.HEAD), f" at the end of the dump, {_after(replay, -1)}")
    first = replay.first_difference
    count = len(replay.decisions)
    if first is None:
        yield line(Span("equal", Style.GOOD), f": all {count:,} decisions are the recorded ones, byte for byte")
        return
    others = sum(not each.equal for each in replay.decisions)
    where = f"decision {first.number} of {count} ({place_of(replay, first)}) is not the recorded one"
    yield line(Span("different", Style.BAD), f": {where}{f', and {others - 1} after it' if others > 1 else ''}")
    yield from compared_lines(first, columns=columns, recorded_by=dump.decided_by)
    yield line(Span(f"  zenflow replay DUMP --at {first.number}", Style.DIM), " shows what it was made from")


def compared_lines(again: Again, *, columns: int | None, recorded_by: str) -> Iterator[Line]:
    """The recorded decision and the present one, side by side where they differ."""
    found = differences(again.step.decided, json.loads(json.dumps(told(again.decision))))
    return side_by_side(found, left=f"recorded ({recorded_by})", right=f"now ({DECIDED_BY})", columns=columns)


def head_lines(replay: Replay) -> Iterator[Line]:
    """Which flow, who decided, and from when times count."""
    dump, story = replay.dump, replay.story
    count = len(replay.decisions)
    by = f"recorded by {dump.decided_by or 'an unknown version'}, decided again by {DECIDED_BY}"
    yield line(Span(story.flow, Style.HEAD), f" in namespace {story.namespace}: {count:,} decisions, {by}")
    start = rfc3339(story.started_at)
    earlier = f"; {dump.skipped:,} earlier decisions are not in this dump" if dump.skipped else ""
    yield line(Span(f"times count from the first one, {start}{earlier}", Style.DIM))


def _after(replay: Replay, index: int) -> str:
    return f"+{brief(replay.decisions[index].step.at - replay.story.started_at)}"


def place_of(replay: Replay, again: Again) -> str:
    """Where a decision stands in the dump, and when it was made."""
    return f"line {again.step.line}, {_after(replay, again.number - 1)}, {rfc3339(again.step.at)}"


def replay_json(replay: Replay) -> dict[str, Any]:
    """The document of `zenflow replay -o json`. `zenflow diff` of other versions reads it: keys are only added."""
    first = replay.first_difference
    state = replay.story.state
    return {
        "flow": replay.story.flow,
        "namespace": replay.story.namespace,
        "phase": state.record.phase.value,
        "decidedBy": replay.dump.decided_by,
        "version": VERSION,
        "cut": replay.dump.cut,
        "skipped": replay.dump.skipped,
        "equal": first is None,
        "firstDifference": None if first is None else again_json(first) | {"recorded": first.step.decided},
        "decisions": [again_json(each) for each in replay.decisions],
    }


def again_json(again: Again) -> dict[str, Any]:
    """One decision as it is made now."""
    return {
        "number": again.number,
        "line": again.step.line,
        "at": rfc3339(again.step.at),
        "equal": again.equal,
        "decided": told(again.decision),
    }
