"""A command's connection to a cluster, and every way in which a cluster can say no, in one sentence each.

    async def get(connection: Connection) -> int:
        flow = await connection.kube.get(FLOW, connection.namespace, name)
        ...
    return on_cluster(terminal, where, get)

Whatever the server refuses ends the command with what is wrong, what to do, and
an exit code: 4 for an object that is not there, 5 for all that the cluster
refused or did not answer, 2 where nothing says which cluster is meant. A command
catches `RequestFailed` itself only where it can say something better.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import httpx2
import msgspec
from attrs import frozen
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from zenflow_core.nearest import instead
from zenflow_core.spec import KIND
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import LATEST
from zenflow_runtime.cli.kubeconfig import Trouble, find_config
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import CONFLICT, GONE, NO_ANSWER, RequestFailed
from zenflow_runtime.kube import FLOW, REQUEST_SECONDS, Kube, Object, sending

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403

_NO_RESOURCE: Final = "the server could not find the requested resource"
"""The API server's words for a kind, not an object, that it does not know."""

_CERTIFICATE: Final = "certificate verify failed"


@frozen(eq=False)
class Connection:
    """An API server, and the namespace that the command is about."""

    kube: Kube
    namespace: str
    server: str = ""
    context: str = ""


Task: TypeAlias = Callable[[Connection], Awaitable[int]]
"""What a command does on a cluster; its exit code."""


def on_cluster(terminal: Terminal, where: Where, task: Task) -> int:
    """Run a command on the cluster that is meant; its exit code, or that of the trouble that was said."""
    config = find_config(where, os.environ)
    if isinstance(config, Trouble):
        return tell(terminal, config)
    try:
        transport = sending(config)
    except (OSError, ValueError, ConfigError) as error:  # a certificate that is not there, or is none
        what = f"the certificates of context {config.context_name!r} cannot be used: {error}"
        return tell(terminal, Trouble(what, "log in to the cluster anew, or name another kubeconfig with --kubeconfig"))
    return anyio.run(_connected, terminal, config, transport, task)


async def _connected(terminal: Terminal, config: SingleConfig, transport: httpx2.AsyncBaseTransport, task: Task) -> int:
    kube = Kube(config, transport)
    try:
        return await attempt(
            terminal, Connection(kube, config.namespace, config.cluster.server, config.context_name), task
        )
    finally:
        with anyio.CancelScope(shield=True):
            await kube.close()


async def attempt(terminal: Terminal, connection: Connection, task: Task) -> int:
    """The task's exit code; where the cluster refuses, that is said and is the answer."""
    try:
        return await task(connection)
    except RequestFailed as error:
        return tell(terminal, trouble_of(error, connection))
    except BaseExceptionGroup as group:
        # A task group of the command's own: what it died of first is what there is to say.
        refused, others = group.split(RequestFailed)
        if refused is None or others is not None:
            raise
        return tell(terminal, trouble_of(_first(refused), connection))


def tell(terminal: Terminal, trouble: Trouble) -> int:
    """Say it on stderr; its exit code."""
    terminal.fail(trouble.what, trouble.fix)
    return trouble.code


def trouble_of(error: RequestFailed, connection: Connection) -> Trouble:
    """What a failed request means to whoever typed the command."""
    said = " ".join(error.message.split())
    match error.code:
        case code if code == NO_ANSWER:
            return _unreachable(error, connection, said)
        case code if code == UNAUTHORIZED:
            what = (
                f"the cluster at {connection.server} does not accept the credentials of context {connection.context!r}"
            )
            return Trouble(what, "they may have expired: log in anew", exits.REFUSED)
        case code if code == FORBIDDEN and "denied" not in said:
            fix = "ask whoever runs the cluster for the role zenflow-view, -edit or -approve in this namespace"
            return Trouble(f"not allowed: {said}", fix, exits.REFUSED)
        case code if code == GONE and (error.reason != "NotFound" or said == _NO_RESOURCE):
            what = f"the cluster at {connection.server} does not know the kind {KIND}"
            fix = "`zenflow manifests | kubectl apply -f -` installs it; or pick another cluster with --context"
            return Trouble(what, fix, exits.REFUSED)
        case code if code == GONE:
            return Trouble(said, f"namespace {connection.namespace!r} was meant; another one with -n", exits.NOT_FOUND)
        case code if code == CONFLICT:
            return Trouble(f"refused: {said}", "look at it again and repeat the command", exits.REFUSED)
        case code if code == 429 or code >= 500:
            after = f" after {error.retry_after} s" if error.retry_after else ""
            return Trouble(f"the cluster cannot answer now ({code}): {said}", f"try again{after}", exits.REFUSED)
        case code:
            return Trouble(f"the cluster refused it ({code}): {said}", "", exits.REFUSED)


def _unreachable(error: RequestFailed, connection: Connection, said: str) -> Trouble:
    at = f"the cluster at {connection.server}"
    if _CERTIFICATE in said.lower():
        return Trouble(f"{at} shows a certificate that is not trusted: {said}", _ADDRESS, exits.REFUSED)
    if error.reason in ("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"):
        return Trouble(f"{at} has not answered within {REQUEST_SECONDS:.0f} s", _ADDRESS, exits.REFUSED)
    if error.reason == msgspec.DecodeError.__name__:
        # A proxy's page, or one that a guest network shows first.
        return Trouble(
            f"what answers at {connection.server} is no answer of an API server: {said}", _ADDRESS, exits.REFUSED
        )
    return Trouble(f"{at} cannot be reached: {said}", _ADDRESS, exits.REFUSED)


_ADDRESS: Final = "is it running, and is this the cluster that is meant? `kubectl config view --minify` shows it"


def _first(group: BaseExceptionGroup[RequestFailed]) -> RequestFailed:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def find_flow(connection: Connection, name: str) -> Object | Trouble:
    """The flow called `name` (or `@latest`) in the namespace, as it is now; the nearest name if there is none."""
    if name != LATEST:
        found = await connection.kube.find(FLOW, connection.namespace, name)
        if found is not None:
            return found
    flows = await connection.kube.list_all(FLOW, connection.namespace)
    if name == LATEST and flows:
        return max(flows, key=lambda flow: (flow["metadata"]["creationTimestamp"], flow["metadata"]["name"]))
    names = [flow["metadata"]["name"] for flow in flows]
    if name in names:  # it came between the two requests
        return flows[names.index(name)]
    what = f"namespace {connection.namespace!r} has no JobFlow{'' if name == LATEST else f' {name!r}'}"
    return Trouble(what, instead(name, names, "it has none at all; another namespace with -n"), exits.NOT_FOUND)


__all__ = [
    "LATEST",
    "Connection",
    "Task",
    "Trouble",
    "attempt",
    "find_flow",
    "on_cluster",
    "tell",
    "trouble_of",
]
