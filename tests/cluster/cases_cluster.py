"""A real API server as cases see it: the requests of their users, and the events of its watches by namespace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import msgspec
from lightkube.config.client_adapter import verify_cluster

from tests.cluster.conformance import JSON, JSON_PATCH, MERGE_PATCH
from tests.cluster.controlplane import ControlPlane
from zenflow_testing.deletion import Propagation
from zenflow_testing.errors import ApiError, StatusCause
from zenflow_testing.events import Event, EventType
from zenflow_testing.kinds import KindInfo, Object
from zenflow_testing.known_kinds import KNOWN_KINDS

WATCHED: Final = ("JobFlow", "Job", "Pod")

_KINDS: Final = {each.kind: each for each in KNOWN_KINDS}
_WATCH_SECONDS: Final = 3
"""How long a watch lasts, and with it the end of the tests."""


def path_of(kind: str, namespace: str, name: str = "", subresource: str | None = None) -> str:
    """The path of a collection, an object, or its subresource. Without a namespace that of all namespaces."""
    info = _KINDS[kind]
    base = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    scope = f"{base}/namespaces/{namespace}" if namespace else base
    return "/".join(part for part in (scope, info.plural, name, subresource or "") if part)


def kind_of(plural: str) -> KindInfo | None:
    """The kind that paths call so; None for one that no case is about."""
    return next((each for each in KNOWN_KINDS if each.plural == plural), None)


def refusal_of(code: int, content: bytes) -> ApiError:
    """What a refused request raises."""
    try:
        status = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return ApiError(code, "", message=content.decode(errors="replace"))
    details = status.get("details") or {}
    causes = (
        StatusCause(each.get("reason", ""), each.get("field", ""), each.get("message", ""))
        for each in details.get("causes") or ()
    )
    return ApiError(
        code,
        status.get("reason", ""),
        message=status.get("message", ""),
        causes=tuple(causes),
        retry_after=details.get("retryAfterSeconds"),
    )


class LiveCluster:
    """An administrator's requests to a control plane, and its watches, told to whoever wants those of a namespace."""

    def __init__(self, plane: ControlPlane) -> None:
        config = plane.config
        assert config.user is not None, f"{plane.kubeconfig} has no user"
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=50)
        self._http = httpx2.Client(
            base_url=config.cluster.server,
            verify=verify_cluster(config.cluster, config.user, config.abs_file),
            trust_env=False,
            limits=limits,
            timeout=30.0,
        )
        self._listeners: dict[str, list[Callable[[Event], None]]] = {}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(kind,), daemon=True) for kind in WATCHED]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the watches."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._http.close()

    def subscribe(self, namespace: str, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event of a namespace, in the threads of the watches."""
        self._listeners.setdefault(namespace, []).append(listener)

    def ask(self, method: str, path: str, body: Any = None, *, media: str = JSON, **query: str) -> Any:
        """One request. Raises ApiError where the server refuses."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"content-type": media} if content is not None else {}
        response = self._http.request(method, path, content=content, headers=headers, params=query)
        if response.status_code >= 400:
            raise refusal_of(response.status_code, response.content)
        return msgspec.json.decode(response.content)

    def _watch(self, kind: str) -> None:
        path = path_of(kind, "")
        version = self.ask("GET", path, limit="1")["metadata"]["resourceVersion"]
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
        while not self._stopping.is_set():
            with self._http.stream("GET", path, params={**query, "resourceVersion": version}) as lines:
                for line in lines.iter_lines():
                    told = msgspec.json.decode(line)
                    assert told["type"] != "ERROR", f"the watch of {kind} ended: {told['object']}"
                    version = told["object"]["metadata"]["resourceVersion"]
                    if told["type"] != "BOOKMARK":
                        self._tell(kind, EventType(told["type"]), told["object"])

    def _tell(self, kind: str, type_: EventType, obj: Object) -> None:
        event = Event(int(obj["metadata"]["resourceVersion"]), type_, kind, obj, datetime.now(UTC))
        for listener in self._listeners.get(event.namespace, ()):
            listener(event)


class LiveNamespace:
    """One namespace of it: what the players of a case ask of a cluster in memory, asked of the real one."""

    def __init__(self, cluster: LiveCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Every event of this namespace from now on."""
        self.cluster.subscribe(self.namespace, listener)

    def version(self) -> int:
        """The resource version of the whole server as it is now."""
        return int(
            self.cluster.ask("GET", path_of("JobFlow", self.namespace), limit="1")["metadata"]["resourceVersion"]
        )

    def create(self, kind: str, body: Object, *, namespace: str = "") -> Object:
        info = _KINDS[kind]
        whole = {"apiVersion": info.api_version, "kind": kind, **body}
        return self._asked("POST", path_of(kind, namespace), whole)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return self._asked("GET", path_of(kind, namespace, name))

    def pods_of(self, job: Object) -> list[Object]:
        """The Pods of a Job, the oldest first."""
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        items = self.cluster.ask("GET", path_of("Pod", self.namespace), labelSelector=selector)["items"]
        return sorted(items, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def patch_json(self, kind: str, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]) -> Object:
        return self._asked("PATCH", path_of(kind, namespace, name), operations, media=JSON_PATCH)

    def patch_merge(
        self, kind: str, namespace: str, name: str, patch: Object, *, subresource: str | None = None
    ) -> Object:
        return self._asked("PATCH", path_of(kind, namespace, name, subresource), patch, media=MERGE_PATCH)

    def delete(self, kind: str, namespace: str, name: str, *, propagation: Propagation | str | None) -> Object:
        options = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation is not None:
            options["propagationPolicy"] = str(propagation)
        return self._asked("DELETE", path_of(kind, namespace, name), options)

    def size_bytes(self, kind: str, namespace: str, name: str) -> int:
        """Size of the object as compact JSON, without what the server notes about its writers."""
        obj = self.get(kind, namespace, name)
        metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        return len(msgspec.json.encode({**obj, "metadata": metadata}))

    def _asked(self, method: str, path: str, body: Any = None, *, media: str = JSON) -> Object:
        answer: Object = self.cluster.ask(method, path, body, media=media)
        return answer
