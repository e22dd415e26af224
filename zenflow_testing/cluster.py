"""An API server in memory: verbs, conflicts, finalizers, refusals and a watch log as a real one has them.

The idea: a stored object is a plain JSON value that is never changed. A write makes a new one that shares
all it can with the old, and puts it into the watch log. So a read costs a lookup, the log costs pointers,
and every view of the past (a stale cache, a watch that lags) stays true for ever.

Everything that follows a delete later, such as garbage collection, is `zenflow_testing.garbage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar, cast

from zenflow_testing import errors, jsonpatch
from zenflow_testing.clock import Clock
from zenflow_testing.cluster_limits import ClusterLimits, KubernetesVersion, SizeLimit
from zenflow_testing.deletion import Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType, ListResult
from zenflow_testing.kinds import Object
from zenflow_testing.registry import Admission, Registry

__all__ = [
    "Admission",
    "AfterRequest",
    "BeforeRequest",
    "Cluster",
    "ClusterLimits",
    "Event",
    "EventType",
    "KubernetesVersion",
    "ListResult",
    "Propagation",
    "SizeLimit",
]

BeforeRequest: TypeAlias = Callable[[str, str, str, str, Any], ApiError | None]
"""(verb, kind, namespace, name, body) before anything is done: an ApiError is the answer, and nothing happens.

Verbs as RBAC has them: create, get, list, update, patch, delete. The status subresource is kind `Job/status`.
The name is empty in a list and in a create with generateName.
"""

AfterRequest: TypeAlias = Callable[[str, str, str, str, Any], ApiError | None]
"""The same once the request has been carried out: an ApiError hides the true answer from the caller."""

_Answer = TypeVar("_Answer")


class Cluster(Registry):
    """The API server model: call it like a client, move its clock, and read its watch log.

    What it hands out, and what is handed to it, is shared from then on: treat both as frozen
    (`FrozenCheck` finds who does not). Every refusal is an ApiError with the server's code and reason.
    A namespace needs no object of its own. Not thread-safe: one simulation, one thread.

    `uids` is a seed or a source of uids. `history` is how many events the watch log keeps at least; None
    keeps all, which costs 8 bytes a row and write for a flow that is written again and again.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limits: ClusterLimits | None = None,
        version: KubernetesVersion | None = None,
        uids: Callable[[], str] | int = 0,
        history: int | None = None,
    ) -> None:
        super().__init__(clock, limits=limits or ClusterLimits(), uids=uids, history=history)
        self.version = version or KubernetesVersion()
        self.before_request: BeforeRequest | None = None
        self.after_request: AfterRequest | None = None

    @contextmanager
    def without_hooks(self) -> Iterator[Cluster]:
        """The same cluster for the control plane's own writes: faults are for other clients."""
        hooks = self.before_request, self.after_request
        self.before_request = self.after_request = None
        try:
            yield self
        finally:
            self.before_request, self.after_request = hooks

    # Verbs

    def create(self, kind: str, body: Object, *, namespace: str = "", dry_run: bool = False) -> Object:
        """Store a new object and return it as stored; `dry_run` does all but store it.

        Refused with 400 (types), 403 (terminating namespace, admission), 409 AlreadyExists, 413, 422 Invalid,
        or 500 if metadata.resourceVersion is set.
        """
        metadata = body.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        return self._request(
            "create", kind, namespace, name, body, lambda: self._create(kind, body, namespace, dry_run=dry_run)
        )

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object as it is now. Refused with 404 NotFound."""
        if self.before_request is None and self.after_request is None:
            try:
                return self._objects[kind][namespace][name].obj
            except KeyError:
                raise errors.not_found(self.kind_info(kind).target(name)) from None
        return self._request(
            "get", kind, namespace, name, None, lambda: cast("Object", self._entry(kind, namespace, name).obj)
        )

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | str | None = None,
        fields: Mapping[str, str] | str | None = None,
    ) -> ListResult:
        """The objects of a kind, of all namespaces unless one is named. O(objects of the kind)."""
        return self._request(
            "list", kind, namespace or "", "", None, lambda: self._list(kind, namespace, labels, fields=fields)
        )

    def replace(self, kind: str, namespace: str, name: str, body: Object, *, subresource: str | None = None) -> Object:
        """Put `body` in place of the object (HTTP PUT). Refused with 404, 409 Conflict, 413, 422 Invalid."""
        return self._request(
            "update",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            body,
            lambda: self._replace(kind, namespace, name, body, subresource=subresource),
        )

    def patch_json(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
    ) -> Object:
        """Apply a JSON Patch (RFC 6902), all of it or nothing.

        Refused with 400 (not a patch), 404, 409 Conflict (it sets a resourceVersion that is not the present one),
        413, or 422 Invalid (bad path, failed `test`, invalid result).
        """
        return self._request(
            "patch",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            operations,
            lambda: self._patch(
                kind, namespace, name, lambda doc: jsonpatch.apply(doc, operations), subresource=subresource
            ),
        )

    def patch_merge(
        self, kind: str, namespace: str, name: str, patch: Object, *, subresource: str | None = None
    ) -> Object:
        """Apply a merge patch (RFC 7396): null removes, lists are replaced whole. Refused like `patch_json`."""
        return self._request(
            "patch",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            patch,
            lambda: self._patch(
                kind, namespace, name, lambda doc: jsonpatch.merge(doc, patch), subresource=subresource
            ),
        )

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        propagation: Propagation | str | None = Propagation.BACKGROUND,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Delete the object: at once if nothing keeps it, else mark it. Returns it as it last was.

        `propagation` None leaves the choice to finalizers already there, as a request without options does.
        `uid` and `resource_version` are preconditions. Refused with 404, or 409 Conflict if one is not met.
        """
        options = {"propagationPolicy": propagation, "uid": uid, "resourceVersion": resource_version}
        return self._request(
            "delete",
            kind,
            namespace,
            name,
            options,
            lambda: self._delete(kind, namespace, name, propagation, uid=uid, resource_version=resource_version),
        )

    # Behind the verbs

    def _request(
        self, verb: str, kind: str, namespace: str, name: str, body: Any, act: Callable[[], _Answer]
    ) -> _Answer:
        if self.before_request is not None:
            refusal = self.before_request(verb, kind, namespace, name, body)
            if refusal is not None:
                raise refusal
        answer = act()
        if self.after_request is not None:
            refusal = self.after_request(verb, kind, namespace, name, body)
            if refusal is not None:
                raise refusal
        return answer
