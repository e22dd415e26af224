"""The in-memory cluster as an API server for lightkube: the same store, behind an HTTP transport.

`client(cluster)` is an ordinary, unmodified `lightkube.AsyncClient`. No socket is opened and no kubeconfig
read. Requests and answers take their way through the event loop, so tasks meet here as they would on a
network, on asyncio and on trio; with `zenflow_testing.transport_time` in virtual time.

Whoever imports this module needs `zenflow[runtime]`: lightkube and anyio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import anyio
import anyio.lowlevel
import httpx2
import lightkube
from attrs import frozen
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster as ClusterConfig
from lightkube.config.models import Context, User
from lightkube.core.resource import ApiInfo
from lightkube.generic_resource import (
    GenericGlobalResource,
    GenericGlobalStatus,
    GenericNamespacedResource,
    GenericNamespacedStatus,
    create_api_info,
)

from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import KindInfo, Scope
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.transport_lists import check_versions, number
from zenflow_testing.transport_lists import is_true as _is_true
from zenflow_testing.transport_paths import Routes, resources_of
from zenflow_testing.transport_requests import Call, Reply
from zenflow_testing.transport_time import Pace, pace_of
from zenflow_testing.transport_verbs import Verbs, WatchCall
from zenflow_testing.transport_watch import (
    CutWatch,
    Feed,
    SilentWatch,
    WatchOptions,
    WatchStream,
    line_of,
)

SERVER: Final = "http://cluster.invalid"
"""Where the client believes the server to be; nothing is ever sent there."""

WATCH_SECONDS: Final = 1800.0
"""How long a watch lasts that names no timeoutSeconds: the shortest time that a server chooses."""

BOOKMARK_SECONDS: Final = 60.0

PAGES_KEPT: Final = timedelta(minutes=5)
"""How long a continue token is good for: etcd is compacted so often."""


@frozen
class LostAnswer:
    """The request is carried out, but its answer never arrives."""

    error: type[httpx2.TransportError] = httpx2.ReadError


Fault: TypeAlias = httpx2.Response | LostAnswer | CutWatch | SilentWatch
"""What may happen to a request: another answer, a lost answer, or a watch that breaks off or falls silent."""

OnRequest: TypeAlias = Callable[[httpx2.Request], Awaitable[Fault | None]]
"""Called before a request is carried out. It may sleep, raise an httpx2 error (ConnectError, ReadTimeout, ...),
or return a Fault; None lets the request pass. What it does counts against the client's read timeout."""


class TooOld(StrEnum):
    """How a watch from a version that has been compacted away is told so: by its first line, or by its status."""

    LINE = "line"
    STATUS = "status"


class ClusterTransport(httpx2.AsyncBaseTransport):
    """An HTTP transport behind which the cluster answers. One for each client: faults are a client's own.

    `kinds` are those to be served; a kind that was registered with the cluster in another way is served with
    those rules. `bookmarks` is how often, in seconds, a watch that asked for them gets one. `too_old`: current
    servers answer 200 and an ERROR line, some proxies and older servers the status 410.

    `cluster.before_request` and `after_request` see each request as a call of the cluster's own verb, a watch
    as the verb "watch". A watch's time runs on the cluster's clock if that is a `LoopClock` or a
    `ManualClock`, else on the event loop. Close it (closing the client does) or it listens for ever.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        kinds: Iterable[KindInfo] = KNOWN_KINDS,
        on_request: OnRequest | None = None,
        bookmarks: float = BOOKMARK_SECONDS,
        watch_seconds: float = WATCH_SECONDS,
        too_old: TooOld = TooOld.LINE,
        keep_pages: timedelta = PAGES_KEPT,
    ) -> None:
        self.cluster = cluster
        self.on_request = on_request
        infos = tuple(cluster.kind_info(info.kind) for info in kinds)
        self._verbs = Verbs(cluster, Routes(resources_of(infos)), keep_pages=keep_pages)
        self._feed = Feed(cluster, infos)
        self._pace: Pace = pace_of(cluster.clock)
        self._bookmarks = bookmarks
        self._watch_seconds = watch_seconds
        self._too_old = too_old
        self._closed = False
        self._look_at_clock()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry out one request. Raises httpx2 errors only where `on_request` asks for them."""
        # The request takes its way to the server: others may run first.
        await anyio.lowlevel.checkpoint()
        fault = None
        if self.on_request is not None:
            fault = await self._fault(request, self.on_request)
            if isinstance(fault, httpx2.Response):
                return fault
        response = self._answered(request, await request.aread(), fault=fault)
        # So does the answer: who is cancelled here never learns what came of the request.
        await anyio.lowlevel.checkpoint()
        if isinstance(fault, LostAnswer):
            raise fault.error("the answer was lost", request=request)
        return response

    async def _fault(self, request: httpx2.Request, on_request: OnRequest) -> Fault | None:
        read_timeout = _read_timeout(request)
        if read_timeout is None:
            return await on_request(request)
        with anyio.move_on_after(read_timeout):
            return await on_request(request)
        raise httpx2.ReadTimeout("no answer within the read timeout", request=request)

    def _answered(self, request: httpx2.Request, body: bytes, *, fault: Fault | None) -> httpx2.Response:
        headers = request.headers
        query = request.url.query
        call = Call(
            request.method,
            request.url.path,
            query=dict(parse_qsl(query.decode(), keep_blank_values=True)) if query else {},
            content_type=headers.get("content-type", "").partition(";")[0].strip(),
            accept=headers.get("accept", ""),
            body=body,
        )
        try:
            reply = self._verbs.answer(call)
            if isinstance(reply, WatchCall):
                return self._watch(reply, request, fault=fault)
        except ApiError as refusal:
            return self._refusal(refusal)
        return self._response(reply)

    def _response(self, reply: Reply, retry_after: int | None = None) -> httpx2.Response:
        content = reply.encoded()
        # Bytes, and a stream: in text, and as `content`, each header costs as much as the cluster's get.
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(content)),
            *self._common_headers(),
        ]
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % retry_after))
        return httpx2.Response(reply.code, headers=headers, stream=httpx2.ByteStream(content))

    def _look_at_clock(self) -> None:
        """Also at the beginning and at the end: a LoopClock counts from the first look, and stops at the last."""
        self._dated = self.cluster.clock.now
        self._date = format_datetime(self._dated, usegmt=True).encode()

    def _common_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        if self.cluster.clock.now != self._dated:
            self._look_at_clock()
        return (b"cache-control", b"no-cache, private"), (b"date", self._date)

    def _refusal(self, refusal: ApiError) -> httpx2.Response:
        return self._response(Reply(refusal.code, refusal.status()), refusal.retry_after)

    # Watches

    def _watch(self, call: WatchCall, request: httpx2.Request, *, fault: Fault | None) -> httpx2.Response:
        scope, query, cluster = call.scope, call.query, self.cluster
        check_versions({**query, "watch": "true"})
        wanted, timeout = number(query, "resourceVersion"), number(query, "timeoutSeconds")
        kind = scope.resource.info.kind
        if cluster.before_request is not None:
            refusal = cluster.before_request("watch", kind, scope.namespace or "", "", None)
            if refusal is not None:
                raise refusal
        present = cluster.resource_version
        backlog: list[bytes] = []
        options = WatchOptions(
            float(timeout or self._watch_seconds),
            self._bookmarks if _is_true(query.get("allowWatchBookmarks")) else None,
            read_timeout=_read_timeout(request),
        )
        if wanted == 0:
            # Without a version a watch begins with all that is there.
            with cluster.without_hooks():
                items = cluster.list(
                    kind, scope.namespace, labels=scope.labels or None, fields=scope.fields or None
                ).items
            backlog = [line_of("ADDED", scope.resource.outbound(obj)) for obj in items]
            wanted = present
        else:
            try:
                cluster.events_since(min(wanted, present))
            except ApiError as refusal:
                if self._too_old is TooOld.STATUS:
                    raise
                backlog = [line_of("ERROR", refusal.status())]
                options = WatchOptions(0.0, None)
                wanted = present
        stream = WatchStream(
            self._feed,
            scope,
            pace=self._pace,
            options=options,
            version=wanted,
            backlog=backlog,
            current=lambda: cluster.resource_version,
            fault=fault if isinstance(fault, CutWatch | SilentWatch) else None,
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
            *self._common_headers(),
        ]
        return httpx2.Response(200, headers=headers, stream=stream)

    async def aclose(self) -> None:
        """Stop listening to the cluster. Watches that are open see nothing more."""
        if not self._closed:
            self._closed = True
            self._look_at_clock()
            self._feed.close()


def _read_timeout(request: httpx2.Request) -> float | None:
    timeouts: dict[str, Any] = request.extensions.get("timeout") or {}
    timeout = timeouts.get("read")
    return None if timeout is None else float(timeout)


def config(namespace: str = "default") -> SingleConfig:
    """The configuration of a client that needs no kubeconfig: one cluster, no credentials."""
    return SingleConfig(
        context_name="simulation",
        context=Context(cluster="simulation", user="simulation", namespace=namespace),
        # `insecure` saves the reading of certificates: there is no connection to protect.
        cluster=ClusterConfig(server=SERVER, insecure=True),
        user=User(),
    )


def client(
    cluster: Cluster,
    *,
    namespace: str = "default",
    field_manager: str | None = "zenflow",
    transport: ClusterTransport | None = None,
) -> lightkube.AsyncClient:
    """A lightkube client of the in-memory cluster; use it with `async with`, or close it.

    `transport` is for faults and other settings: `client(cluster, transport=ClusterTransport(cluster, ...))`.
    """
    return lightkube.AsyncClient(
        config(namespace),
        namespace=namespace,
        field_manager=field_manager,
        trust_env=False,
        transport=transport if transport is not None else ClusterTransport(cluster),
    )


def resource_class(info: KindInfo) -> Any:
    """A lightkube resource of plain dicts for a kind; its status is `.Status`. For a kind of `KNOWN_KINDS` or your own.

    Like `create_namespaced_resource`, but it registers nothing, so it may be made beside the typed class or
    again: lightkube's registry refuses both for kinds of the core group.
    """
    api = create_api_info(info.group, info.version, info.kind, info.plural)
    main, status = (
        (GenericGlobalResource, GenericGlobalStatus)
        if info.scope is Scope.CLUSTER
        else (GenericNamespacedResource, GenericNamespacedStatus)
    )
    sub = ApiInfo(api.resource, info.plural, ["get", "patch", "put"], parent=api.resource, action="status")
    members = {"_api_info": api, "Status": type(f"{info.kind}Status", (status,), {"_api_info": sub})}
    return type(info.kind, (main,), members)
