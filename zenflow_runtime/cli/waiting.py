"""`zenflow wait`: until something is so of a flow, or the time is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import anyio

from zenflow_core.state import FlowPhase
from zenflow_core.styled import line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.following import Followed, follow
from zenflow_runtime.cli.list_flows import since_of
from zenflow_runtime.cli.standing import is_over, message_of, phase_of
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.kube import Object


def _waits(flow: Object) -> bool:
    return any(row.get("phase") == "PendingApproval" for row in (flow.get("status") or {}).get("steps") or ())


_WANTED: Final[Mapping[str, Callable[[Object], bool]]] = {
    "end": is_over,
    "succeeded": lambda flow: phase_of(flow) == FlowPhase.SUCCEEDED.value,
    "failed": lambda flow: phase_of(flow) == FlowPhase.FAILED.value,
    "running": lambda flow: phase_of(flow) != FlowPhase.PENDING.value,
    "approval": _waits,
    "deleted": lambda _: False,
}


def wait_for(terminal: Terminal, where: Where, flow: str, *, wanted: str, timeout: str | None) -> int:
    """0 once it is so, 1 once it cannot be any more (of `end`: the flow failed), 3 after `timeout`."""
    limit = since_of(timeout) if timeout is not None else None
    if isinstance(limit, Trouble):
        return tell(terminal, limit)

    async def see(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        last = [obj]

        def saw(new: Object) -> bool:
            last[0] = new
            terminal.status(f"waits for {wanted} of {new['metadata']['name']}, which is {phase_of(new)}")
            return _WANTED[wanted](new) or (wanted != "deleted" and is_over(new))

        def lost(why: str) -> None:
            if why:
                terminal.status(f"connection lost, trying again: {why}")

        seconds = None if limit is None else limit.total_seconds()
        with anyio.move_on_after(seconds) as waiting:
            ending = await follow(connection, obj, saw, lost)
        if waiting.cancelled_caught:
            what = f"{timeout} are over, and flow {obj['metadata']['name']} is {phase_of(last[0])}"
            terminal.fail(f"{what}, not yet: {wanted}", f"zenflow explain {flow} says what it waits for")
            return exits.UNENDING
        return _answer(terminal, last[0], ending, wanted)

    return on_cluster(terminal, where, see)


def _answer(terminal: Terminal, flow: Object, ending: Followed, wanted: str) -> int:
    name, phase = flow["metadata"]["name"], phase_of(flow)
    if ending is Followed.DELETED:
        terminal.print([line(f"flow {name} was deleted")])
        return exits.OK if wanted == "deleted" else exits.NOT_FOUND
    said = message_of(flow)
    terminal.print([line(f"flow {name} is {phase}{f': {said}' if said else ''}")])
    if wanted == "end":
        return exits.OK if phase == FlowPhase.SUCCEEDED.value else exits.NO
    return exits.OK if _WANTED[wanted](flow) else exits.NO
