"""`zenflow version`: of this program, of the cluster, and whether the installed JobFlow fits."""

from __future__ import annotations

from zenflow_core.styled import Span, Style, line
from zenflow_core.version import VERSION
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.acting import UPGRADE
from zenflow_runtime.cli.connection import Connection, on_cluster
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import GONE, RequestFailed
from zenflow_runtime.installed import DOCUMENT, SCHEMA, losses, written
from zenflow_runtime.kube import FLOW


def print_versions(terminal: Terminal, where: Where | None) -> int:
    """Print them; of a cluster only if one is given. 0, or 1 if what is installed does not fit."""
    terminal.print([line("zenflow     ", VERSION)])
    if where is None:
        return exits.OK

    async def see(connection: Connection) -> int:
        server = (await connection.kube.document("/version")).get("gitVersion", "unknown")
        terminal.print([line("Kubernetes  ", f"{server} at {connection.server}")])
        try:
            document = await connection.kube.document(DOCUMENT)
        except RequestFailed as error:
            if error.code != GONE:
                raise
            return await _without_document(terminal, connection)
        schemas = (document.get("components") or {}).get("schemas") or {}
        theirs = ((schemas.get(SCHEMA) or {}).get("properties") or {}).get("status") or {}
        lost = list(losses(written(), theirs))
        if lost:
            said = f"{FLOW.group}/{FLOW.version}, older than this zenflow: it lacks {', '.join(lost[:5])}"
            terminal.print([line("JobFlow     ", Span(said, Style.BAD))])
            terminal.print_error([line(Span("  fix: ", Style.DIM), UPGRADE)])
            return exits.NO
        terminal.print([line("JobFlow     ", f"{FLOW.group}/{FLOW.version}, as this zenflow needs it")])
        return exits.OK

    return on_cluster(terminal, where, see)


async def _without_document(terminal: Terminal, connection: Connection) -> int:
    """Either there is no such API, or the server does not say what it keeps."""
    try:
        await connection.kube.document(FLOW.path(connection.namespace), limit="1")
    except RequestFailed as error:
        if error.code != GONE:
            raise
        terminal.print([line("JobFlow     ", Span("not installed", Style.BAD))])
        terminal.print_error([line(Span("  fix: ", Style.DIM), UPGRADE)])
        return exits.NO
    terminal.print(
        [line("JobFlow     ", f"{FLOW.group}/{FLOW.version}; the server does not say which fields it keeps")]
    )
    return exits.OK
