"""The API server as the operator uses it: raw objects in and out, one exception for all that can go wrong.

Kinds are read as plain dicts, so no field that this version does not know is
lost and none that is missing stops anything. lightkube brings configuration,
TLS, authentication and the verbs; deletes with preconditions and watches go
over its HTTP client directly, as it has no such parameters.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, TypeAlias

import httpx2
import lightkube
import msgspec
from attrs import field, frozen
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from zenflow_core.spec import GROUP
from zenflow_runtime.access import PLURAL
from zenflow_runtime.failures import GONE, REQUEST_ERRORS, RequestFailed, failed, failed_with, seconds_of

Object: TypeAlias = dict[str, Any]

FIELD_MANAGER: Final = "zenflow"
REQUEST_SECONDS: Final = 10.0
"""How long an answer may take. A slow create is not a failed one: the Job's name says whose it is."""

PAGE: Final = 500
"""Objects a list asks for at a time, as kubectl does."""

CONNECTIONS: Final = httpx2.Limits(max_connections=100, max_keepalive_connections=16, keepalive_expiry=30.0)
"""Each request looks at all idle connections, so few are kept."""

ONLY_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_KIND: Final = "PartialObjectMetadata"


@frozen(eq=False)
class Kind:
    """A kind of object, as lightkube and as paths name it."""

    resource: Any
    group: str
    version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of the collection, of all namespaces if none is named, or of one object."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = base if namespace is None else f"{base}/namespaces/{namespace}"
        return f"{scope}/{self.plural}" if name is None else f"{scope}/{self.plural}/{name}"


def _kind(group: str, version: str, kind: str, *, plural: str) -> Kind:
    return Kind(create_namespaced_resource(group, version, kind, plural), group, version, plural)


FLOW: Final = _kind(GROUP, "v1alpha1", "JobFlow", plural=PLURAL)
JOB: Final = _kind("batch", "v1", "Job", plural="jobs")
POD: Final = _kind("", "v1", "Pod", plural="pods")
CONFIG_MAP: Final = _kind("", "v1", "ConfigMap", plural="configmaps")
CLAIM: Final = _kind("", "v1", "PersistentVolumeClaim", plural="persistentvolumeclaims")
EVENT: Final = _kind("", "v1", "Event", plural="events")
LEASE: Final = _kind("coordination.k8s.io", "v1", "Lease", plural="leases")


@frozen
class Page:
    """Part of a list."""

    items: list[Object]
    version: str
    more: bool


class _Metadata(msgspec.Struct):
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - as it is in the JSON


class _Head(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Line(msgspec.Struct):
    type: str = ""
    object: _Head = msgspec.field(default_factory=_Head)


_PEEK: Final = msgspec.json.Decoder(_Line)


@frozen
class WatchEvent:
    """One line of a watch, of which only the head has been read: that costs a ninth of reading it all."""

    type: str
    uid: str
    version: str
    line: bytes = field(repr=False)

    @property
    def object(self) -> Any:
        """The whole object. Cost: 5 µs a KiB, each time."""
        return msgspec.json.decode(self.line).get("object")


class Kube:
    """The verbs. Every method raises `RequestFailed` and nothing else. `transport` is the door."""

    def __init__(self, config: SingleConfig, transport: httpx2.AsyncBaseTransport) -> None:
        # Its overloads are for typed models; ours are dicts.
        self._client: Any = lightkube.AsyncClient(
            config,
            namespace=config.namespace,
            field_manager=FIELD_MANAGER,
            trust_env=False,
            transport=transport,
            timeout=httpx2.Timeout(REQUEST_SECONDS),
        )
        # `transport` is declared for the blocking client and used for both.
        door: Any = transport
        limits = httpx2.Timeout(REQUEST_SECONDS)
        parameters = client_adapter.ConnectionParams(timeout=limits, trust_env=False, transport=door)
        self._bare = client_adapter.AsyncClient(config, parameters)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object as the server has it now."""
        try:
            return _plain(await self._client.get(kind.resource, name, namespace=namespace))
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The same, None if there is none."""
        try:
            return await self.get(kind, namespace, name)
        except RequestFailed as error:
            if error.code != GONE:
                raise
            return None

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> Object:
        """The object as it was created."""
        try:
            return _plain(await self._client.create(kind.resource(body), namespace=namespace))
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def replace(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> Object:
        """Put the whole object, if its resourceVersion is still the present one."""
        try:
            return _plain(await self._client.replace(kind.resource(body), namespace=namespace))
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def patch_status(self, kind: Kind, namespace: str, name: str, *, operations: bytes) -> Object:
        """A JSON Patch of the status. Of the answer only the metadata is asked for: the rest is known and may be large.

        A server that does not do that sends the whole object.
        """
        headers = {"content-type": PatchType.JSON.value, "accept": ONLY_METADATA}
        try:
            response = await self._bare.request(
                "PATCH",
                f"{kind.path(namespace, name)}/status",
                content=operations,
                params={"fieldManager": FIELD_MANAGER},
                headers=headers,
            )
            if response.is_error:
                raise _refusal(response, response.content)
            answer: Object = msgspec.json.decode(response.content)
        except REQUEST_ERRORS as error:
            raise failed(error) from error
        return answer

    async def patch(self, kind: Kind, namespace: str, name: str, *, merge: Mapping[str, Any]) -> Object:
        """A merge patch."""
        try:
            return _plain(
                await self._client.patch(
                    kind.resource, name, dict(merge), namespace=namespace, patch_type=PatchType.MERGE
                )
            )
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, propagation: str) -> Object:
        """Delete that very object. The answer: the object while it is going, or a Status once it is gone."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        try:
            response = await self._bare.request(
                "DELETE",
                kind.path(namespace, name),
                content=msgspec.json.encode(body),
                headers={"content-type": "application/json"},
            )
            if response.is_error:
                raise _refusal(response, response.content)
            answer: Object = msgspec.json.decode(response.content)
        except REQUEST_ERRORS as error:
            raise failed(error) from error
        return answer

    async def pages(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[Page, None]:
        """A list, page by page; use it with `aclosing`. Every page has the version of the whole."""
        query = {"limit": str(PAGE)} | _selectors(labels, fields)
        while True:
            try:
                response = await self._bare.get(kind.path(namespace), params=query)
                if response.is_error:
                    raise _refusal(response, response.content)
                body = msgspec.json.decode(response.content)
            except REQUEST_ERRORS as error:
                raise failed(error) from error
            metadata = body.get("metadata") or {}
            query["continue"] = metadata.get("continue") or ""
            yield Page(body.get("items") or [], metadata.get("resourceVersion") or "", bool(query["continue"]))
            if not query["continue"]:
                return

    async def document(self, path: str, **query: str) -> Object:
        """What is at a path that is of no object, such as an OpenAPI document."""
        try:
            response = await self._bare.get(path, params=query)
            if response.is_error:
                raise _refusal(response, response.content)
            found: Object = msgspec.json.decode(response.content)
        except REQUEST_ERRORS as error:
            raise failed(error) from error
        return found

    async def submit(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> Object:
        """Create an object of which the server knows every field; else it refuses instead of dropping some."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._post(kind.path(namespace), body, query)

    async def ask(self, path: str, body: Mapping[str, Any]) -> Object:
        """The answer to a review, which is created and never stored."""
        return await self._post(path, body, {})

    async def _post(self, path: str, body: Mapping[str, Any], query: Mapping[str, str]) -> Object:
        headers = {"content-type": "application/json"}
        try:
            response = await self._bare.request(
                "POST", path, content=msgspec.json.encode(body), params=dict(query), headers=headers
            )
            if response.is_error:
                raise _refusal(response, response.content)
            answer: Object = msgspec.json.decode(response.content)
        except REQUEST_ERRORS as error:
            raise failed(error) from error
        return answer

    @asynccontextmanager
    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of a text as they arrive, such as a log that is followed. There is no read timeout."""
        timeout = httpx2.Timeout(REQUEST_SECONDS, read=None)
        try:
            async with self._bare.stream("GET", path, params=dict(query), timeout=timeout) as response:
                if response.is_error:
                    raise _refusal(response, await response.aread())
                async with aclosing(_text_lines(response)) as found:
                    yield found
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def list_all(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """All objects of a kind."""
        found: list[Object] = []
        async with aclosing(self.pages(kind, namespace, labels=labels, fields=fields)) as pages:
            async for page in pages:
                found += page.items
        return found

    @asynccontextmanager
    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        version: str,
        seconds: int,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[AsyncIterator[list[WatchEvent]]]:
        """What changes from `version` on, in batches as they arrive, until the server ends it after `seconds`.

        There is no read timeout: whoever reads has to give up on a watch that is silent for too long.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["timeoutSeconds"] = str(seconds)
        query |= _selectors(labels, fields)
        timeout = httpx2.Timeout(REQUEST_SECONDS, read=None)
        try:
            async with self._bare.stream("GET", kind.path(namespace), params=query, timeout=timeout) as response:
                if response.is_error:
                    raise _refusal(response, await response.aread())
                async with aclosing(_events(response)) as events:
                    yield events
        except REQUEST_ERRORS as error:
            raise failed(error) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        await self._bare.aclose()


def _plain(found: Object) -> Object:
    """The object as in JSON: lightkube has a class of its own, and the core takes nothing that is only like a dict."""
    return dict(found)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    named = {"labelSelector": labels, "fieldSelector": fields}
    return {name: text for name, text in named.items() if text}


async def _text_lines(response: httpx2.Response) -> AsyncGenerator[str, None]:
    """Lines at line feeds only, as programs write them; the last one may have none."""
    rest = b""
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for each in whole:
                yield each.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


async def _events(response: httpx2.Response) -> AsyncGenerator[list[WatchEvent], None]:
    rest = bytearray()
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            end = chunk.rfind(b"\n")
            if end < 0:
                rest += chunk
                continue
            lines = bytes(rest + chunk[:end]).split(b"\n")
            rest = bytearray(chunk[end + 1 :])
            yield [_event(line) for line in lines if line.strip()]
    if rest.strip():
        yield [_event(bytes(rest))]


def _event(line: bytes) -> WatchEvent:
    try:
        head = _PEEK.decode(line)
    except msgspec.ValidationError:
        # JSON, but nothing that a watch sends: whoever reads the object will find that out.
        found = msgspec.json.decode(line)
        return WatchEvent(str(found.get("type")) if isinstance(found, dict) else "", "", "", line)
    metadata = head.object.metadata
    return WatchEvent(head.type, metadata.uid, metadata.resourceVersion, line)


def _refusal(response: httpx2.Response, body: bytes) -> RequestFailed:
    after = seconds_of(response.headers.get("retry-after"))
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    return failed_with(status, code=response.status_code, retry_after=after)


def sending(config: SingleConfig) -> httpx2.AsyncHTTPTransport:
    """The transport of a process that runs: the kubeconfig's TLS, and HTTP/1.1.

    On HTTP/2 all requests would share one connection, and wait there for the watches' next data.
    """
    assert config.user is not None, "KubeConfig.get fills it in"
    verify = client_adapter.verify_cluster(config.cluster, config.user, config.abs_file, trust_env=False)
    return httpx2.AsyncHTTPTransport(verify=verify, limits=CONNECTIONS, http2=False)
