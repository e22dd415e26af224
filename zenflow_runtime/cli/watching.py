"""`zenflow watch`: a flow while it goes on. A tree that moves on a terminal; one line a move in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

import anyio

from zenflow_core.instants import rfc3339
from zenflow_core.reasons import Cause, Instant
from zenflow_core.state import FlowPhase, StepPhase
from zenflow_core.styled import Line, Span, Style, brief, line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.flow_tree import FLOW_STYLES, Look, glyph_of, note_of, tree_lines
from zenflow_runtime.cli.following import Followed, follow
from zenflow_runtime.cli.get import say_version
from zenflow_runtime.cli.standing import Plans, Standing, message_of, standing
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.clock import WallClock
from zenflow_runtime.kube import Object

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURN_SECONDS: Final = 0.2
_LARGE: Final = 300
"""Steps from which on a tree is drawn once a second only: it is not worth a tenth of a CPU."""


def watch_flow(terminal: Terminal, where: Where, flow: str) -> int:
    """Follow it to its end; 0 Succeeded, 1 Failed, 4 if there is none or it was deleted."""

    async def see(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        if isinstance(standing(obj, WallClock().now), Standing):  # else all there is to say follows
            say_version(terminal, obj)
        return await follow_to_end(terminal, connection, obj)

    try:
        return on_cluster(terminal, where, see)
    except KeyboardInterrupt:
        say_goes_on(terminal, f"zenflow watch {flow}")
        return exits.INTERRUPTED


def say_goes_on(terminal: Terminal, command: str) -> None:
    """After Ctrl-C."""
    terminal.print_error([line("the flow goes on; to see it again: ", Span(command, Style.HEAD))])


async def follow_to_end(terminal: Terminal, connection: Connection, obj: Object) -> int:
    """Show the flow until it has ended; the exit code of its result."""
    view: View = LiveTree(terminal) if terminal.is_terminal else MoveLines(terminal)
    plans, last = Plans(), [obj]
    troubles: list[Trouble] = []

    def saw(new: Object) -> bool:
        found = standing(new, WallClock().now, plans)
        if isinstance(found, Trouble):
            troubles.append(found)
            return True
        last[0] = new
        view.show(found)
        return found.is_over

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(view.run)
        ending = await follow(connection, obj, saw, view.lost)
        tasks.cancel_scope.cancel()
    if troubles:
        return tell(terminal, troubles[0])
    if ending is Followed.DELETED:
        view.clear()
        name = last[0]["metadata"]["name"]
        return tell(terminal, Trouble(f"flow {name} was deleted before it had ended", "", exits.NOT_FOUND))
    found = standing(last[0], WallClock().now, plans)
    assert isinstance(found, Standing), "it could be read a moment ago"
    view.finish(found)
    return exits.OK if found.succeeded else exits.NO


class View(Protocol):
    """What shows a flow that is followed."""

    def show(self, found: Standing) -> None:
        """It is so now."""

    def lost(self, why: str) -> None:
        """The connection is lost, and why; "": it is back."""

    def clear(self) -> None:
        """Take away what was drawn for the moment."""

    def finish(self, found: Standing) -> None:
        """It has ended."""

    async def run(self) -> None:
        """Whatever goes on between two changes."""


class LiveTree:
    """The tree, drawn again where it stands, with a spinner for what runs and times that go on."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._found: Standing | None = None
        self._drawn = 0
        self._turns = 0
        self._lost = ""

    def show(self, found: Standing) -> None:
        self._found = found
        self._draw()

    def lost(self, why: str) -> None:
        self._lost = why
        self._draw()

    def clear(self) -> None:
        self._drawn = self._terminal.redraw((), over=self._drawn)

    def finish(self, found: Standing) -> None:
        self.clear()
        self._terminal.print(tree_lines(found, Look(self._terminal.columns, self._terminal.wrap)))

    async def run(self) -> None:
        while True:
            large = self._found is not None and len(self._found.state.records) > _LARGE
            await anyio.sleep(1.0 if large else _TURN_SECONDS)
            self._turns += 1
            self._draw()

    def _draw(self) -> None:
        if self._found is None:
            return
        now = Standing(self._found.obj, self._found.state, WallClock().now)
        turn = _SPINNER[self._turns % len(_SPINNER)]
        room = self._terminal.rows - 3
        # What is above and below the rows of the tree takes some lines, too; the last cut makes sure.
        look = Look(self._terminal.columns, most=max(room - 7, 3), turn=turn)
        lines = list(tree_lines(now, look))[: max(room, 1)]
        if self._lost:
            lines.append(line(Span(f"connection lost, trying again: {self._lost}", Style.BAD)))
        self._drawn = self._terminal.redraw(lines, over=self._drawn)


class MoveLines:
    """One line a move, with the instant at which it happened: the same whenever one begins to look."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._steps: dict[str, tuple[StepPhase, int, Cause | None]] = {}
        self._phase: FlowPhase | None = None

    def show(self, found: Standing) -> None:
        state = found.state
        moved: list[tuple[Instant, int, Line]] = []
        for step, record in zip(state.plan.steps, state.records, strict=True):
            now = (record.phase, record.attempt, record.cause)
            if record.cause is None or self._steps.get(step.name) == now:
                continue
            self._steps[step.name] = now
            at = record.cause.at
            glyph, style = glyph_of(record)
            note = note_of(step, record)
            said = f"  {note}" if note else ""
            text = line(f"{rfc3339(at)}  ", Span(f"{glyph} {record.phase.value}", style), f"  {step.name}{said}")
            moved.append((at, step.rank, text))
        self._terminal.print(text for _, _, text in sorted(moved, key=lambda each: each[:2]))
        phase = state.record.phase
        if phase is not self._phase and not found.is_over:
            self._phase = phase
            self._terminal.print([_flow_line(found, found.began if phase is FlowPhase.RUNNING else found.at)])

    def lost(self, why: str) -> None:
        if why:
            self._terminal.print_error([line(Span(f"zenflow: connection lost, trying again: {why}", Style.WAIT))])

    def clear(self) -> None:
        """Nothing was drawn for the moment only."""

    def finish(self, found: Standing) -> None:
        self._terminal.print(_end(found))

    async def run(self) -> None:
        """Nothing goes on between two moves."""


def _flow_line(found: Standing, at: datetime) -> Line:
    phase = found.state.record.phase
    return line(f"{rfc3339(at)}  ", Span(f"» {phase.value}", FLOW_STYLES[phase]), f"  flow {found.state.flow.name}")


def _end(found: Standing) -> Iterator[Line]:
    over = found.state.record.completed_at
    assert over is not None, "it has ended"
    said = message_of(found.obj)
    yield line(*_flow_line(found, over), f" in {brief(found.spent)}{f': {said}' if said else ''}")
