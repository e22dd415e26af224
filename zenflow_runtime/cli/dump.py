"""`zenflow dump`: an incident as a file, from the operator that decided or made anew from the API server."""

from __future__ import annotations

import os
from typing import Annotated, Final

from cyclopts import App, Parameter

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import FlowName, files
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where

COMMANDS: Final = ("dump",)


def register(app: App, terminal: Terminal) -> None:
    """Add `dump`."""

    def dump(
        flow: FlowName,
        /,
        *,
        output: Annotated[str | None, Parameter(name=["--output", "-o"], completer=files)] = None,
        operator: str | None = None,
        where: Where = HERE,
    ) -> int:
        """Write what was observed of a flow on a cluster, when, and what was decided.

        With --operator, the latest decisions of the operator that runs, as it
        remembers them. Without, the API server is asked, and the dump has the one
        decision that a fresh operator would make now. No value of a Secret is in it.
        Exit code 0, 4 if there is no such flow, 5 if the cluster refuses.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        output
            The file to write; stdout without it.
        operator
            Where the operator answers, such as http://localhost:8080 (of kubectl port-forward).
        """
        return run_dump(terminal, flow, output=output, operator=operator, where=where)

    app.command(dump, help_epilogue=_DUMP)


_DUMP: Final = """Examples:
  zenflow dump nightly -n ci -o nightly.jsonl
  kubectl -n zenflow-system port-forward deploy/zenflow-controller 8080 &
  zenflow dump nightly -n ci --operator http://localhost:8080 | zenflow replay -"""


def run_dump(terminal: Terminal, flow: str, *, output: str | None, operator: str | None, where: Where) -> int:
    """Write the dump; its exit code."""
    from zenflow_runtime.cli.connection import LATEST, Connection, Trouble, find_flow, on_cluster, tell
    from zenflow_runtime.cli.fetching import fetch_dump
    from zenflow_runtime.cli.kubeconfig import find_namespace
    from zenflow_runtime.clock import WallClock
    from zenflow_runtime.reconstructing import reconstruct

    if operator is not None:
        if flow == LATEST:
            return tell(terminal, Trouble(f"--operator takes no {LATEST}", "name the flow"))
        namespace = find_namespace(where, os.environ)
        if isinstance(namespace, Trouble):
            return tell(terminal, namespace)
        found = fetch_dump(operator, namespace, flow)
        if isinstance(found, Trouble):
            return tell(terminal, found)
        return _put(terminal, found, output, f"{found.count(chr(10)) - 1} lines of the operator at {operator}")

    async def make(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        made = await reconstruct(connection.kube, obj, WallClock())
        for each in made.unread:
            terminal.fail(f"could not be read, so the decision is one without it: {each}")
        return _put(terminal, made.text(), output, "made from the API server: one decision, as of now")

    return on_cluster(terminal, where, make)


def _put(terminal: Terminal, text: str, output: str | None, said: str) -> int:
    from zenflow_core.styled import Span

    if output is None:
        terminal.text(text)
    else:
        try:
            with open(output, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
        except OSError as error:
            terminal.fail(f"cannot write {output}: {(error.strerror or str(error)).lower()}")
            return exits.INVALID
    terminal.print_error([(Span(f"zenflow: {said}"),)])
    return exits.OK
