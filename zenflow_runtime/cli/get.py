"""`zenflow get`: one flow as a tree, as an object, or as a page."""

from __future__ import annotations

from zenflow_core.names import LABEL_FLOW_UID, LABEL_MANAGED_BY, MANAGED_BY
from zenflow_core.styled import Span, Style
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.flow_tree import Look, tree_lines
from zenflow_runtime.cli.objects import one
from zenflow_runtime.cli.standing import Standing, life_of, standing, version_note
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.clock import WallClock
from zenflow_runtime.failures import FORBIDDEN, RequestFailed
from zenflow_runtime.kube import JOB, Object


def get_flow(terminal: Terminal, where: Where, flow: str, *, output: str) -> int:
    """Print it; 0, or 4 if there is none."""

    async def see(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        if output in ("json", "yaml", "name"):
            terminal.text(one(obj, output))
            return exits.OK
        found = standing(obj, WallClock().now)
        if isinstance(found, Trouble):
            return tell(terminal, found)
        say_version(terminal, obj)
        if output == "html":
            terminal.text(await _page(terminal, connection, found))
        else:
            look = Look(terminal.columns, terminal.wrap, every_step=output == "wide")
            terminal.print(tree_lines(found, look))
        return exits.OK

    return on_cluster(terminal, where, see)


def say_version(terminal: Terminal, obj: Object) -> None:
    """Say on stderr that another version has decided, if so."""
    note = version_note(obj)
    if note:
        terminal.print_error([(Span("zenflow: ", Style.WAIT), Span(f"{note}: what it does not know is left as it is"))])


async def _page(terminal: Terminal, connection: Connection, found: Standing) -> str:
    from zenflow_testing.report.page import page

    labels = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_FLOW_UID}={found.state.flow.uid}"
    try:
        jobs = await connection.kube.list_all(JOB, connection.namespace, labels=labels)
    except RequestFailed as error:
        if error.code != FORBIDDEN:
            raise
        jobs = []
        terminal.fail("Jobs may not be read, so earlier attempts are not on the page")
    cluster = f"cluster {connection.context}" if connection.context else f"cluster at {connection.server}"
    return page(life_of(found, jobs), world=cluster)
