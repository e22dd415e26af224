"""One operator process from its settings to its exit code: the client, the probes, the signals."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import msgspec
import structlog
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from zenflow_core.version import VERSION
from zenflow_runtime.incidents import Incidents
from zenflow_runtime.installed import Installed
from zenflow_runtime.kube import sending
from zenflow_runtime.logs import set_up
from zenflow_runtime.operator import Operator
from zenflow_runtime.settings import NAMESPACE_FILE, Nonsense, Settings, read_settings
from zenflow_runtime.web import application, serving
from zenflow_runtime.web_dumps import DumpsFor, dump_route
from zenflow_runtime.webhook.serve import Webhook

log = structlog.get_logger("zenflow")

OK: Final = 0
FAILED: Final = 1
INVALID: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator; 0: told to stop and stopped, 1: cannot go on, 2: a setting makes no sense."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        settings = read_settings(given, os.environ, pod_namespace=_pod_namespace())
        config = client_config(settings)
    except Nonsense as error:
        print(f"zenflow-runtime: {error}", file=sys.stderr)
        return INVALID
    set_up(settings.log_level)
    if settings.ignored:
        log.warning("variables that mean nothing any more are passed over", variables=list(settings.ignored))
    try:
        anyio.run(serve, config, settings)
    except (OSError, BaseExceptionGroup) as error:
        troubles = [error] if isinstance(error, OSError) else list(error.exceptions)
        if not all(isinstance(trouble, OSError) for trouble in troubles):
            raise
        print(f"zenflow-runtime: cannot go on: {'; '.join(map(str, troubles))}", file=sys.stderr)
        return FAILED
    return OK


async def serve(config: SingleConfig, settings: Settings) -> None:
    """Run an operator until SIGTERM or SIGINT; a second signal ends it at once."""
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    incidents = None if settings.dumps is DumpsFor.NOBODY else Incidents(settings.flows)
    operator = Operator(
        config,
        sending(config),
        settings,
        identity=identity,
        watcher=incidents,
        witness=None if incidents is None else incidents.failed,
    )
    routes = [] if incidents is None else [dump_route(incidents, settings.dumps, leads=operator.leads)]
    webhook = None if settings.webhook is None else Webhook(settings.webhook, settings.flows)
    installed = Installed(operator.kube, settings.watch_namespace or None)
    missing = [installed.lacking, *([] if webhook is None else [webhook.missing])]
    log.info("starting", version=VERSION, identity=identity, server=config.cluster.server)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with AsyncExitStack() as stack:
            if settings.port:
                app = application(operator.health, operator.metrics, also_missing=missing, routes=routes)
                await stack.enter_async_context(serving(app, settings.host, settings.port))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_obey, signals, operator, tasks)
                if webhook is not None:
                    tasks.start_soon(webhook.run)
                await _work(operator, installed)
                tasks.cancel_scope.cancel()
    log.info("stopped")


async def _work(operator: Operator, installed: Installed) -> None:
    """Run the operator as soon as the API keeps what it writes, unless it is told to stop before."""

    async def wait() -> None:
        await installed.wait()
        waiting.cancel_scope.cancel()

    async with anyio.create_task_group() as waiting:
        waiting.start_soon(wait)
        await operator.told_to_stop()
        waiting.cancel_scope.cancel()
    await operator.run()


async def _obey(signals: AsyncIterator[signal.Signals], operator: Operator, tasks: anyio.abc.TaskGroup) -> None:
    first = True
    async for number in signals:
        log.info("signal", signal=number.name)
        if not first:
            tasks.cancel_scope.cancel()
            return
        first = False
        operator.stop()


def client_config(settings: Settings) -> SingleConfig:
    """Where the API server is and who we are; raises `Nonsense` if nothing says so."""
    try:
        if settings.kubeconfig:
            found = KubeConfig.from_file(settings.kubeconfig).get()
        else:
            found = KubeConfig.from_env().get()
    except (ConfigError, OSError, ValueError, KeyError, TypeError) as error:
        raise Nonsense(
            f"{settings.kubeconfig or 'kubeconfig'}: cannot be read: {error}\n"
            "  fix: --kubeconfig FILE, or run in a Pod with a service account"
        ) from error
    if found is None:
        raise Nonsense("kubeconfig: has no current context\n  fix: kubectl config use-context NAME")
    if settings.master:
        found = found._replace(cluster=msgspec.structs.replace(found.cluster, server=settings.master))
    return found


def _pod_namespace() -> str:
    file = Path(NAMESPACE_FILE)
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
