"""`zenflow run` on a cluster: a flow of a file is checked, created and followed to its end."""

from __future__ import annotations

from typing import Any, Literal

from attrs import evolve

from zenflow_core.codec import write_flow
from zenflow_core.styled import line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.acting import UPGRADE
from zenflow_runtime.cli.connection import Connection, Trouble, on_cluster, tell
from zenflow_runtime.cli.flows import read_runnable
from zenflow_runtime.cli.objects import named, one
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.watching import follow_to_end, say_goes_on
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import CONFLICT, RequestFailed
from zenflow_runtime.kube import FLOW, Object

_STRICT = "strict decoding error"

Output = Literal["text", "name", "json", "yaml"]


def run_on_cluster(
    terminal: Terminal,
    where: Where,
    file: str,
    *,
    name: str | None = None,
    given: tuple[str, ...] = (),
    follow: bool = True,
    output: Output = "text",
) -> int:
    """Create the flow of `file` and follow it: 0 Succeeded, 1 Failed, 2 not valid, 5 refused, 130 for Ctrl-C.

    With `follow` False, or another output than text, it is created and that is all: 0.
    """
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    own = runnable.flow.metadata.namespace
    if own and where.namespace and own != where.namespace:
        what = f"{file} says namespace {own!r}, and -n {where.namespace!r}"
        return tell(terminal, Trouble(what, "leave one of them out"))
    body = write_flow(runnable.flow)
    made: list[str] = []

    async def act(connection: Connection) -> int:
        try:
            obj = await created(connection, body)
        except RequestFailed as error:
            if error.code != CONFLICT:
                raise
            what = f"namespace {connection.namespace!r} has a flow {runnable.name!r} already"
            fix = (
                f"`zenflow delete {runnable.name}`, or metadata.generateName instead of a name, for a new one each time"
            )
            return tell(terminal, Trouble(what, fix, exits.REFUSED))
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        made.append(obj["metadata"]["name"])
        if output != "text":
            terminal.text(one(obj, output))
            return exits.OK
        terminal.print([line(f"{named(obj)} created in namespace {connection.namespace}")])
        return await follow_to_end(terminal, connection, obj) if follow else exits.OK

    try:
        return on_cluster(terminal, evolve(where, namespace=own or where.namespace), act)
    except KeyboardInterrupt:
        if made:
            say_goes_on(terminal, f"zenflow watch {made[0]}")
        return exits.INTERRUPTED


async def created(connection: Connection, body: dict[str, Any]) -> Object | Trouble:
    """The flow as it was created; the server has to know every field of it. Raises `RequestFailed`, 409 for a name."""
    try:
        return await connection.kube.submit(FLOW, connection.namespace, body)
    except RequestFailed as error:
        if error.code == 400 and _STRICT in error.message:
            lost = error.message.partition(_STRICT)[2].lstrip(": ")
            what = f"the cluster's definition of JobFlow is older than this zenflow: {lost}"
            return Trouble(what, UPGRADE, exits.REFUSED)
        raise
