"""/healthz, /readyz, /version and /metrics.

/healthz fails where a restart would help: a watch that gets nowhere any more,
not even to a refusal, or a turn that never ends. /readyz fails until all kinds
have been listed, and while the API server does not answer. A follower is ready.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import anyio
import uvicorn
from attrs import frozen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from zenflow_core.version import VERSION
from zenflow_runtime.metrics import CONTENT_TYPE, Metrics
from zenflow_runtime.queue import WorkQueue
from zenflow_runtime.reflect import Reflector

DEAD_SECONDS: Final = 600.0
"""A watch that has got nowhere for so long, or a turn that has taken so long, is stuck."""


@frozen
class Health:
    """What the probes are told by."""

    reflectors: Sequence[Reflector]
    queue: WorkQueue
    leads: Callable[[], bool]
    dead_seconds: float = DEAD_SECONDS

    def ills(self) -> list[str]:
        """What a restart would help against."""
        now = anyio.current_time()
        found = [
            f"the watch of {each.kind} has got nowhere for {now - each.moved_at:.0f} s"
            for each in self.reflectors
            if now - each.moved_at >= self.dead_seconds
        ]
        turn = self.queue.longest_turn()
        if turn is not None and turn[1] >= self.dead_seconds:
            found.append(f"a decision has been under way for {turn[1]:.0f} s")
        if self.leads() and self.queue.longest_wait() >= self.dead_seconds:
            found.append(f"a flow has been waiting for a worker for {self.queue.longest_wait():.0f} s")
        return found

    def missing(self) -> list[str]:
        """What keeps this process from doing its work."""
        now = anyio.current_time()
        found: list[str] = []
        for each in self.reflectors:
            if not each.synced.is_set():
                found.append(f"{each.kind} have not been listed" + (f": {each.trouble}" if each.trouble else ""))
            elif each.heard_at is not None and now - each.heard_at >= self.dead_seconds:
                found.append(f"the API server has said nothing about {each.kind} for {now - each.heard_at:.0f} s")
        return found


def application(
    health: Health,
    metrics: Metrics,
    *,
    also_missing: Sequence[Callable[[], list[str]]] = (),
    routes: Sequence[Route] = (),
) -> Starlette:
    """The ASGI application; `also_missing` is what /readyz asks besides, `routes` what is answered besides."""

    async def healthz(_: Request) -> Response:
        return _answer(health.ills())

    async def readyz(_: Request) -> Response:
        besides = [each for ask in also_missing for each in ask()]
        return _answer([*health.missing(), *besides, *health.ills()])

    async def version(_: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def text(_: Request) -> Response:
        return Response(metrics.text(), media_type=None, headers={"content-type": CONTENT_TYPE})

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/version", version),
            Route("/metrics", text),
            *routes,
        ]
    )


def _answer(wrong: list[str]) -> Response:
    return PlainTextResponse("\n".join(wrong) + "\n" if wrong else "ok\n", status_code=503 if wrong else 200)


class _Server(uvicorn.Server):
    """Signals are the operator's own affair."""

    @contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def serving(app: Starlette, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Serve while the block runs. Raises OSError if the address cannot be used."""
    # No headers of a proxy: who is asking is told by the connection, and nothing here is meant to be proxied.
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
    if tls is not None:
        config.ssl_context_factory = lambda _config, _default: tls
    server = _Server(config)
    # Not uvicorn's own way, which ends the process where the address is taken.
    family = socket.AF_INET6 if not host or ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, dualstack_ipv6=not host) as listening:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            try:
                yield
            finally:
                # Cancelled, it would leave its sockets open and say so at length.
                server.should_exit = True
