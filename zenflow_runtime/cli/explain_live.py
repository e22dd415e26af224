"""`zenflow explain` of a flow on a cluster: what its status says, and whether anybody is there to move it."""

from __future__ import annotations

import os
import re
from typing import Final

from zenflow_core.decision import Decision
from zenflow_core.nearest import instead
from zenflow_core.styled import Span, Style, line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.explain import say_explanation
from zenflow_runtime.cli.get import say_version
from zenflow_runtime.cli.standing import Standing, standing
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.clock import WallClock
from zenflow_runtime.failures import FORBIDDEN, RequestFailed
from zenflow_runtime.reconstructing import reconstruct

_FLOW: Final = re.compile(r"@latest|[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
_FILE: Final = re.compile(r".*\.(?:ya?ml|json|jsonl)")
_NAMED: Final = 3


def is_on_cluster(file: str) -> bool:
    """Whether an argument that could be a file or a flow is a flow: there is no such file, and it looks like a name."""
    return _FLOW.fullmatch(file) is not None and _FILE.fullmatch(file) is None and not os.path.lexists(file)


def explain_on_cluster(terminal: Terminal, where: Where, flow: str, step: str | None) -> int:
    """Print why a step (None: the flow) is where it is; 0, 4 if there is none."""

    async def see(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        found = standing(obj, WallClock().now)
        if isinstance(found, Trouble):
            return tell(terminal, found)
        steps = found.state.plan.by_name
        if step is not None and step not in steps:
            what = f"flow {found.state.flow.name} has no step {step!r}"
            return tell(terminal, Trouble(what, instead(step, steps, "it has no steps"), exits.NOT_FOUND))
        say_version(terminal, obj)
        say_explanation(terminal, found.state, step)
        await _say_what_is_due(terminal, connection, found)
        return exits.OK

    return on_cluster(terminal, where, see)


async def _say_what_is_due(terminal: Terminal, connection: Connection, found: Standing) -> None:
    """On stderr, what an operator that looks now would move: if that stays so, none is running."""
    try:
        answer = (await reconstruct(connection.kube, found.obj, WallClock())).answer
    except RequestFailed as error:
        if error.code != FORBIDDEN:
            raise
        return
    if not isinstance(answer, Decision) or not answer.moves:
        return
    moves = [f"{move.step} {move.origin.value}→{move.phase.value}" for move in answer.moves]
    more = f" and {len(moves) - _NAMED} more" if len(moves) > _NAMED else ""
    said = f"an operator would move now: {', '.join(moves[:_NAMED])}{more}; if that stays so, none is running"
    terminal.print_error([line(Span("zenflow: ", Style.WAIT), said)])
