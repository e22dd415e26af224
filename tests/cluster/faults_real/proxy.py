"""What stands between an operator and its API server, and treats each request as it is told.

    with proxy(plane, kubeconfig, Unruly(seed=1)) as wire, launched(plane, wire.kubeconfig, home=HOME) as operating: ...

Plain HTTP towards the operator, TLS towards the server. A treatment is a value; what decides about it is a
`Behaviour`, which sees every request and may count.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml
from attrs import frozen

from tests.cluster.controlplane import ControlPlane
from tests.cluster.faults_real.treatments import (
    PASS,
    Asked,
    Behaviour,
    Ending,
    HoldBack,
    Late,
    Pass,
    Refuse,
    Sever,
    Strike,
    Watch,
    word_of,
)
from zenflow_runtime.door import ask_of

_HEAD_BYTES: Final = 256 * 1024
_GONE: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired"}
_EXPIRED: Final = json.dumps({"type": "ERROR", "object": _GONE | {"message": "made by the proxy"}}).encode() + b"\n"
_HALF_SECONDS: Final = 5.0
"""So much longer a watch lasts that has to end in the middle of an event, if there is none."""

_LATE_SECONDS: Final = 120.0
"""What a late request waits for comes within that."""


class Wire:
    """A proxy that runs."""

    def __init__(self, plane: ControlPlane, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests = 0
        self.expired = 0
        """Watches and lists that were told 410 by the server."""
        self.treated: Counter[str] = Counter()
        """Requests by what was done to them."""
        self.halves = 0
        """Events of which only a part was handed on."""
        self.late: list[int] = []
        """How the server answered requests that came late."""
        self.kubeconfig = Path()
        self._address = urlsplit(plane.server)
        self._trust = ssl.create_default_context(cafile=str(plane.folder / "pki" / "ca.crt"))
        self._watches: dict[asyncio.StreamWriter, str] = {}
        """What they watch."""
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        """A loop by itself holds tasks weakly."""
        self._server: asyncio.Server | None = None

    def cut_watches(self) -> None:
        """End every watch, now."""

        def cut() -> None:
            for each in self._watches:
                each.close()

        self._loop.call_soon_threadsafe(cut)

    def expire_watches(self, *resources: str) -> None:
        """End every watch of these with 410, now."""

        def expire() -> None:
            for writer, resource in self._watches.items():
                if resource in resources:
                    writer.write(b"%x\r\n" % len(_EXPIRED) + _EXPIRED + b"\r\n0\r\n\r\n")
                    writer.close()

        self._loop.call_soon_threadsafe(expire)

    # Connections

    async def listen(self) -> int:
        """Begin; the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_HEAD_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a callback of a server is a task"
        self._connections.add(task)
        link = _Link(self._address.hostname or "", self._address.port or 443, self._trust)
        try:
            while await self._exchange(reader, writer, link):
                pass
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass  # one of the two is gone, and so is the connection
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            self._connections.discard(task)
            link.close()
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> bool:
        """One request; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = _asked(head)
        self.requests += 1
        treatment = self.behaviour.treat(asked)
        if treatment != PASS:
            self.treated[word_of(treatment)] += 1
        match treatment:
            case Refuse(performed=False):
                return await _answer(writer, treatment)
            case Sever(performed=False):
                return False
            case Strike(deed=deed, performed=False):
                deed()
                return False
            case Late(deed=deed, until=until):
                deed()
                await asyncio.to_thread(until.wait, _LATE_SECONDS)
            case Pass(after=seconds) if seconds:
                await asyncio.sleep(seconds)
            case _:
                pass
        answer = await link.ask(head + body)
        if isinstance(treatment, Strike) and asked.verb == "watch":
            treatment.deed()  # that it has begun is all that a server does at once
            return False
        if asked.verb == "watch" and answer.chunked and answer.status == 200:
            how = treatment if isinstance(treatment, Watch) else None
            # Nobody says anything during a watch: what comes is the end of whoever asked.
            gone = asyncio.ensure_future(reader.read(1))
            gone.add_done_callback(lambda _: link.close())
            try:
                self._watches[writer] = asked.resource
                await self._watch(answer, writer, link, how)
            finally:
                del self._watches[writer]
                gone.cancel()
            return False
        content = await answer.read(link)
        self.expired += answer.status == 410
        if isinstance(treatment, Late):
            self.late.append(answer.status)
        match treatment:
            case Refuse():
                return await _answer(writer, treatment)
            case Sever():
                return False
            case Strike(deed=deed):
                deed()
                return False
            case HoldBack(seconds=seconds):
                await asyncio.sleep(seconds)
            case _:
                pass
        writer.write(answer.head + content)
        await writer.drain()
        return True

    async def _watch(self, answer: _Answer, writer: asyncio.StreamWriter, link: _Link, how: Watch | None) -> None:
        writer.write(answer.head)
        await writer.drain()
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            # Apart from the giving, so that each is as late as all others, and not later than the one before.
            while chunk := await link.chunk():
                self.expired += b'"code":410' in chunk
                chunks.put_nowait((loop.time(), chunk))

        def over(task: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is not None:
                writer.close()  # torn off on that side, so on this one, too
            chunks.put_nowait((loop.time(), b""))

        taking = asyncio.create_task(take())
        taking.add_done_callback(over)
        try:
            await self._give(chunks, writer, how)
        finally:
            taking.cancel()

    async def _give(
        self, chunks: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, how: Watch | None
    ) -> None:
        """Hand on what a watch says, until it or its treatment ends; the connection ends then, too."""
        loop = asyncio.get_running_loop()
        late, ending = (0.0, Ending.CLEAN) if how is None else (how.late, how.ending)
        end = None if how is None else loop.time() + how.lasts
        # Half an event needs an event.
        last = end if end is None or ending is Ending.CLEAN else end + _HALF_SECONDS
        while last is None or loop.time() < last:
            try:
                async with asyncio.timeout_at(last):
                    came, chunk = await chunks.get()
                    await asyncio.sleep(came + late - loop.time())
            except TimeoutError:
                break
            if not chunk:
                break
            if end is not None and loop.time() >= end:
                half = chunk[: len(chunk) // 2]
                self.halves += 1
                if ending is Ending.ABRUPT:
                    writer.write(b"%x\r\n" % len(chunk) + half)
                    return
                writer.write(b"%x\r\n" % len(half) + half + b"\r\n")
                break
            writer.write(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    # The thread

    def run(self) -> None:
        """Turn the loop until `end`, then drop every connection."""
        self._loop.run_forever()
        if self._server is not None:
            self._server.close()
        # Whoever was about to be accepted comes while the first are dropped, and closed transports take some turns.
        while tasks := asyncio.all_tasks(self._loop):
            for each in tasks:
                each.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    def begin(self) -> int:
        """Listen; the port."""
        return asyncio.run_coroutine_threadsafe(self.listen(), self._loop).result(10)

    def end(self) -> None:
        """Stop turning it."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@frozen
class _Answer:
    """The head of an answer."""

    status: int
    head: bytes
    chunked: bool
    length: int

    async def read(self, link: _Link) -> bytes:
        """What follows it, as it came."""
        if not self.chunked:
            return await link.exactly(self.length)
        content = b""
        while True:
            chunk = await link.chunk()
            content += b"%x\r\n" % len(chunk) + chunk + b"\r\n"
            if not chunk:
                return content


class _Link:
    """A connection to the server, opened when it is needed first."""

    def __init__(self, host: str, port: int, trust: ssl.SSLContext) -> None:
        self._to = (host, port)
        self._trust = trust
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> _Answer:
        """Send a request; the head of its answer."""
        if self._pair is None:
            self._pair = await asyncio.open_connection(*self._to, ssl=self._trust, limit=_HEAD_BYTES)
        reader, writer = self._pair
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        chunked = headers.get("transfer-encoding") == "chunked"
        return _Answer(int(head.split(b" ", 2)[1]), head, chunked, int(headers.get("content-length", 0)))

    async def exactly(self, length: int) -> bytes:
        """So many bytes."""
        assert self._pair is not None, "something was asked"
        return await self._pair[0].readexactly(length)

    async def chunk(self) -> bytes:
        """The next chunk of a body; empty: the last."""
        assert self._pair is not None, "something was asked"
        size = int(await self._pair[0].readuntil(b"\r\n"), 16)
        return (await self._pair[0].readexactly(size + 2))[:-2]

    def close(self) -> None:
        """Whatever it was in the middle of."""
        if self._pair is not None:
            # Not `close`, which would wait for the other side's goodbye.
            self._pair[1].transport.abort()


def _headers(head: bytes) -> Mapping[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}


def _asked(head: bytes) -> Asked:
    method, target, _ = head.decode("latin-1").split(" ", 2)
    where = urlsplit(target)
    ask = ask_of(method, where.path, watch="watch=true" in where.query)
    parts = where.path.strip("/").split("/")
    plural = ask.resource.partition("/")[0]
    name = parts[parts.index(plural) + 1] if plural in parts[:-1] else ""
    return Asked(ask.verb, ask.resource, name)


async def _answer(writer: asyncio.StreamWriter, refusal: Refuse) -> bool:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refusal.code, "reason": refusal.reason}
    content = json.dumps(status | {"message": "made by the proxy"}).encode()
    wait = b"" if refusal.retry_after is None else b"Retry-After: %d\r\n" % refusal.retry_after
    head = b"HTTP/1.1 %d Made\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
    writer.write(head % (refusal.code, wait, len(content)) + content)
    await writer.drain()
    return True


@contextmanager
def proxy(plane: ControlPlane, kubeconfig: Path, behaviour: Behaviour) -> Iterator[Wire]:
    """A proxy, and a kubeconfig file that leads through it whoever has the given one."""
    wire = Wire(plane, behaviour)
    thread = threading.Thread(target=wire.run, daemon=True)
    thread.start()
    try:
        port = wire.begin()
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        for each in config["clusters"]:
            each["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        wire.kubeconfig = plane.folder / f"proxy-{port}.kubeconfig"
        wire.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
        yield wire
    finally:
        wire.end()
        thread.join(30)
