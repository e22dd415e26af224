"""The way of one operator's requests to a real API server: what a case orders happens to them here.

A `Gate` refuses them, counts them and lets the process die, as it does on the cluster in memory; what it lets
through is answered by the server. Watches of kinds that are frozen hear nothing, and lists show the past.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import anyio
import httpx2
import msgspec
from attrs import frozen

from tests.cluster.cases_cluster import LiveNamespace, kind_of, refusal_of
from zenflow_runtime.door import ask_of
from zenflow_testing.cases.faults import NOBODY, Crash, Gate, Whose, answer_of
from zenflow_testing.cases.journal import Journal
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object

_LOOKS_SECONDS: Final = 0.05
_HOP: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_EXPIRED: Final = ApiError(410, "Expired", message="too old resource version (made by the case)")


class Views:
    """What the watches and lists of a case's operators show of each kind."""

    def __init__(self) -> None:
        self.past: dict[str, str] = {}
        """Kinds whose lists show the state of that version, and whose watches tell nothing."""
        self.ended: dict[str, int] = {}
        """How often all watches of a kind have been ended."""

    def freeze(self, kind: str, version: str) -> None:
        """From now on nothing new is seen of a kind."""
        self.past.setdefault(kind, version)

    def rewind(self, kind: str, version: str) -> None:
        """It is seen as it was at that version, by lists that are made for that."""
        self.past[kind] = version
        self.end(kind)

    def thaw(self, kind: str) -> None:
        """It is seen as it is; watches tell what they kept back."""
        self.past.pop(kind, None)

    def end(self, kind: str) -> None:
        """Every watch of a kind ends with 410 Expired."""
        self.ended[kind] = self.ended.get(kind, 0) + 1


@frozen
class _Asked:
    """A request in the words of a case."""

    verb: str
    kind: str
    """`Job/status` for a subresource."""
    name: str
    body: Any


class Wire(httpx2.AsyncBaseTransport):
    """Carries the requests of one process; `die` ends it."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        gate: Gate,
        journal: Journal,
        *,
        live: LiveNamespace,
        views: Views,
        die: Callable[[str], None],
    ) -> None:
        self._inner = inner
        self._gate = gate
        self._journal = journal
        self._live = live
        self._views = views
        self._die = die

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = _asked(request, await request.aread())
        if asked is None:
            return await self._inner.handle_async_request(request)
        if asked.verb == "watch":
            response = await self._inner.handle_async_request(request)
            if response.status_code == 200:
                assert isinstance(response.stream, httpx2.AsyncByteStream), "an async transport answers with one"
                response.stream = _Watch(response.stream, asked.kind, self._views)
            return response
        # A fresh read of one Job's Pods is no view of all: it asks the server itself.
        if asked.verb == "list" and asked.kind in self._views.past and "controller-uid" not in str(request.url):
            version = self._views.past[asked.kind]
            request = _with_query(request, {"resourceVersion": version, "resourceVersionMatch": "Exact"})
        try:
            return await self._through_the_gate(asked, request)
        except Crash as crash:
            self._die(str(crash))
            await anyio.sleep_forever()
            raise AssertionError("a process that has died goes on") from crash

    async def _through_the_gate(self, asked: _Asked, request: httpx2.Request) -> httpx2.Response:
        gate, verb, kind, name = self._gate, asked.verb, asked.kind, asked.name
        whose = self._whose(asked)
        made = gate.made(kind, name) if verb == "patch" and "/" not in kind else None
        before = None if made is None else self._journal.present(made)
        fault = gate.enter(verb, kind, of=whose)
        error = None if fault is None else answer_of(fault)
        response: httpx2.Response | None = None
        performed = False
        if fault is None or fault.applied:
            response = await _read(await self._inner.handle_async_request(request))
            performed = response.status_code < 400
            if not performed:
                error = error or refusal_of(response.status_code, response.content)
            elif verb == "create":
                gate.created(whose, msgspec.json.decode(response.content))
            elif made is not None:
                gate.changed(made, before, msgspec.json.decode(response.content))
        gate.leave(verb, kind, name, of=whose, error=error, performed=performed)
        if fault is None:
            assert response is not None, "what no fault answers the server does"
            return response
        assert error is not None, "a fault is a refusal"
        return _refused(error)

    def _whose(self, asked: _Asked) -> Whose:
        gate = self._gate
        match asked.verb:
            case "create":
                whose = gate.creating(asked.kind, asked.body)
                if whose != NOBODY:
                    gate.foreign(whose, asked.body, self._put)
                return whose
            case "delete":
                uid = ((asked.body or {}).get("preconditions") or {}).get("uid")
                gate.deleting(asked.kind, asked.name, uid)
        return gate.whose(asked.kind, asked.name)

    def _put(self, manifest: Object, status: Mapping[str, Any] | None) -> Object:
        """A Job of somebody else, on which no controller works, so that its status is what the case says."""
        namespace, name = self._live.namespace, manifest["metadata"]["name"]
        spec = {**manifest["spec"], "managedBy": "testing.kube-zen.io/nobody"}
        job = self._live.create("Job", {**manifest, "spec": spec}, namespace=namespace)
        if status is None:
            return job
        return self._live.patch_merge("Job", namespace, name, {"status": status}, subresource="status")


def _asked(request: httpx2.Request, content: bytes) -> _Asked | None:
    ask = ask_of(request.method, request.url.path, watch="watch=true" in str(request.url))
    plural, _, subresource = ask.resource.partition("/")
    info = kind_of(plural)
    if info is None:
        return None
    parts = request.url.path.strip("/").split("/")
    name = parts[parts.index(plural) + 1] if parts[-1] != plural else ""
    body = msgspec.json.decode(content) if content else None
    if ask.verb == "create":
        name = ((body or {}).get("metadata") or {}).get("name", "")
    return _Asked(ask.verb, f"{info.kind}/{subresource}" if subresource else info.kind, name, body)


def _with_query(request: httpx2.Request, query: Mapping[str, str]) -> httpx2.Request:
    url = request.url.copy_merge_params(query)
    return httpx2.Request(request.method, url, headers=request.headers, extensions=request.extensions)


async def _read(response: httpx2.Response) -> httpx2.Response:
    """The answer with its content read; decoded, so that no header may speak of another form."""
    content = await response.aread()
    headers = [(key, value) for key, value in response.headers.multi_items() if key.lower() not in _HOP]
    return httpx2.Response(response.status_code, headers=headers, content=content)


def _refused(error: ApiError) -> httpx2.Response:
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return httpx2.Response(error.code, headers=headers, json=error.status())


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


class _Watch(httpx2.AsyncByteStream):
    """The body of a watch, which is held back while its kind is frozen, and ended when the case says so."""

    def __init__(self, inner: httpx2.AsyncByteStream, kind: str, views: Views) -> None:
        self._inner = inner
        self._kind = kind
        self._views = views
        self._ended = views.ended.get(kind, 0)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        coming = asyncio.ensure_future(_next(chunks))
        try:
            while not self._is_over():
                await asyncio.wait({coming}, timeout=_LOOKS_SECONDS)
                if not coming.done():
                    continue
                if self._kind in self._views.past:
                    await anyio.sleep(_LOOKS_SECONDS)
                    continue
                chunk = coming.result()
                if chunk is None:
                    return
                yield chunk
                coming = asyncio.ensure_future(_next(chunks))
            yield msgspec.json.encode({"type": "ERROR", "object": _EXPIRED.status()}) + b"\n"
        finally:
            coming.cancel()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _is_over(self) -> bool:
        return self._views.ended.get(self._kind, 0) > self._ended
