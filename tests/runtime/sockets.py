"""The cluster in memory behind a real socket, for other processes and for commands."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import uvicorn

from tests.runtime.stage import ALONE, Stage
from zenflow_runtime.leader import Tenure
from zenflow_runtime.operator import Operator
from zenflow_testing.transport import ClusterTransport, Fault, config
from zenflow_testing.transport_time import drive


class Bridge:
    """An ASGI application that asks the cluster's transport."""

    def __init__(self, transport: ClusterTransport) -> None:
        self.transport = transport

    async def __call__(self, scope: Mapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        url = f"http://cluster.invalid{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        request = httpx2.Request(scope["method"], url, headers=list(scope["headers"]), content=body)
        response = await self.transport.handle_async_request(request)
        kept = [(k, v) for k, v in response.headers.raw if k.lower() not in (b"transfer-encoding", b"content-length")]
        await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
        if response.is_stream_consumed:  # one that a test has made of a text
            await send({"type": "http.response.body", "body": response.content})
            return
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        yield  # pytest's own


@contextmanager
def served(stage: Stage, *, operated: bool = False) -> Iterator[str]:
    """The stage's cluster behind a socket, with the world going on, in a thread; its address.

    `stage.fault` is what happens to requests. `operated`: with an operator, too, that is spared from it.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    async def on_request(request: httpx2.Request) -> Fault | None:
        return None if stage.fault is None else await stage.fault(request)

    bridge = Bridge(ClusterTransport(stage.cluster, on_request=on_request))
    server = _Server(uvicorn.Config(bridge, log_config=None, lifespan="off"))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drive, stage.cluster, stage.world, stage.garbage)
            if operated:
                # Not `stage.make()`: the faults are for those who come through the socket.
                config_of_it = config("default")
                transport = ClusterTransport(stage.cluster)
                operator = Operator(config_of_it, transport, ALONE, identity="a", clock=stage.clock, tenure=Tenure())
                tasks.start_soon(operator.run)
            await server.serve([listening])
            tasks.cancel_scope.cancel()

    thread = threading.Thread(target=anyio.run, args=(main,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        listening.close()


def kubeconfig(folder: Path, server: str) -> Path:
    file = folder / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(json.dumps(config), encoding="utf-8")
    return file
