"""Lists over HTTP: selectors, versions, and pages that go on where the last one ended.

A continue token names the version of the first page, and all pages show the cluster as it was then. The
server forgets that picture after a while (or when the log is compacted past it): then the answer is 410
with a token that goes on from the same place in the present.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec
from attrs import frozen

from zenflow_testing import errors
from zenflow_testing.cluster import Cluster, EventType, ListResult
from zenflow_testing.errors import ApiError, StatusCause, Target
from zenflow_testing.kinds import Object
from zenflow_testing.selectors import SelectorError, field_of, wanted_fields, wanted_labels
from zenflow_testing.transport_paths import Resource

Query: TypeAlias = Mapping[str, str]

PAGES_REMEMBERED: Final = 256
"""How many unfinished lists the server keeps a picture for; the oldest gives way."""

_ALWAYS_SELECTABLE: Final = frozenset({"metadata.name", "metadata.namespace"})
_INVOLVED: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_SELECTABLE: Final[Mapping[str, frozenset[str]]] = {
    "Pod": frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        }
    ),
    "Event": frozenset({"reason", "reportingComponent", "source", "type", *(f"involvedObject.{f}" for f in _INVOLVED)}),
    "Secret": frozenset({"type"}),
    "Namespace": frozenset({"status.phase"}),
}

_EXPIRED: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list"
    " without the continue parameter, or use the continue token in this response to retrieve the remainder of the"
    " results. Continuing with the provided token results in an inconsistent list - objects that were created,"
    " modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@frozen
class Scope:
    """Which objects a list or a watch is about."""

    resource: Resource
    namespace: str | None
    labels: str
    fields: str

    def has(self, obj: Object) -> bool:
        """Whether an object of the kind belongs to it."""
        metadata = obj["metadata"]
        if self.namespace is not None and metadata.get("namespace", "") != self.namespace:
            return False
        return not (self.labels or self.fields) or self.selects(obj)

    def selects(self, obj: Object) -> bool:
        """Whether the selectors hold for the object."""
        labels = obj["metadata"].get("labels") or {}
        return all(holds(labels) for holds in wanted_labels(self.labels)) and all(
            (field_of(obj, path) == value) is equal for path, equal, value in wanted_fields(self.fields)
        )


def scope_of(resource: Resource, namespace: str | None, *, query: Query) -> Scope:
    """The scope that a request asks for. Raises 400 for selectors that cannot be read or name other fields."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if labels or fields:
        try:
            wanted_labels(labels)
            paths = [".".join(path) for path, _, _ in wanted_fields(fields)]
        except SelectorError as problem:
            raise errors.bad_request(str(problem)) from problem
        selectable = _ALWAYS_SELECTABLE | _SELECTABLE.get(resource.info.kind, frozenset())
        for path in paths:
            if path not in selectable:
                raise errors.bad_request(f"field label not supported: {path}")
    return Scope(resource, namespace, labels=labels, fields=fields)


def invalid_options(kind: str, causes: list[StatusCause]) -> ApiError:
    """The 422 of options that contradict each other; `kind` is ListOptions, PatchOptions or so."""
    return errors.invalid(Target("meta.k8s.io", "", kind), causes)


def check_versions(query: Query) -> None:
    """Refuse resourceVersionMatch and sendInitialEvents where a server without WatchList does."""
    causes: list[StatusCause] = []
    match, initial = query.get("resourceVersionMatch", ""), query.get("sendInitialEvents")
    if is_true(query.get("watch")):
        if initial is not None:
            if match != "NotOlderThan":
                causes.append(
                    errors.not_allowed(
                        "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    )
                )
            causes.append(
                errors.not_allowed(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
                )
            )
        elif match:
            causes.append(
                errors.not_allowed(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            )
    else:
        if match:
            causes += _match_causes(match, query)
        if initial is not None:
            causes.append(errors.not_allowed("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if causes:
        raise invalid_options("ListOptions", causes)


def _match_causes(match: str, query: Query) -> list[StatusCause]:
    field = "resourceVersionMatch"
    causes: list[StatusCause] = []
    if not query.get("resourceVersion"):
        causes.append(errors.not_allowed(field, f"{field} is forbidden unless resourceVersion is provided"))
    if query.get("continue"):
        causes.append(errors.not_allowed(field, f"{field} is forbidden when continue is provided"))
    if match not in ("Exact", "NotOlderThan"):
        causes.append(errors.unsupported(field, match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and query.get("resourceVersion") == "0":
        causes.append(errors.not_allowed(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    return causes


def is_true(text: str | None) -> bool:
    """Whether a query parameter says yes; `?watch` and `?watch=1` do, too."""
    return text is not None and text.lower() not in ("false", "0")


def number(query: Query, name: str) -> int:
    """A whole number from the query, 0 if absent. Raises 400 for anything else."""
    text = query.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise errors.bad_request(
            f'{name}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


class ExpiredListError(ApiError):
    """410: the picture that a continue token refers to is gone; the answer carries a token for the present."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", message=_EXPIRED)
        self.token = token

    def status(self) -> dict[str, Any]:
        """The Status with the token in its metadata."""
        return {**super().status(), "metadata": {"continue": self.token}}


@frozen(eq=False)
class _Picture:
    items: tuple[Object, ...]
    taken: datetime


class Lists:
    """Answers lists; keeps the pictures that continue tokens refer to, for `keep` of the cluster's time."""

    def __init__(self, cluster: Cluster, *, keep: timedelta) -> None:
        self._cluster = cluster
        self._keep = keep
        self._pictures: OrderedDict[tuple[int, Scope], _Picture] = OrderedDict()

    def answer(self, scope: Scope, query: Query) -> dict[str, Any]:
        """The list body of a request."""
        check_versions(query)
        limit = number(query, "limit")
        token = query.get("continue", "")
        if token:
            if query.get("resourceVersion", "0") not in ("", "0"):
                raise errors.bad_request("specifying resource version is not allowed when using continue")
            version, start = _unpacked(token)
            items, version = self._continued(scope, version, start=start)
        else:
            result = self._fresh(scope, query)
            items, version = result.items, int(result.resource_version)
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            key = version, scope
            if key not in self._pictures:
                self._pictures[key] = _Picture(items, self._cluster.clock.now)
                if len(self._pictures) > PAGES_REMEMBERED:
                    self._pictures.popitem(last=False)
            metadata["continue"] = _packed(version, _key(items[limit]))
            if not (scope.labels or scope.fields):
                metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        resource = scope.resource
        return {
            "kind": f"{resource.info.kind}List",
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": [_item(resource, obj) for obj in items],
        }

    def _fresh(self, scope: Scope, query: Query) -> ListResult:
        wanted = number(query, "resourceVersion")
        now = self._cluster.resource_version
        kind, namespace = scope.resource.info.kind, scope.namespace
        result = self._cluster.list(kind, namespace, labels=scope.labels or None, fields=scope.fields or None)
        if wanted > now:
            self._cluster.events_since(wanted)  # raises the 504 of a version still to come
        if query.get("resourceVersionMatch") != "Exact" or wanted == now:
            return result
        return ListResult(self._past(scope, wanted), str(wanted))

    def _past(self, scope: Scope, version: int) -> tuple[Object, ...]:
        """The objects as they were at a version, told from the whole log. Raises 410 if part of it is gone."""
        found: dict[tuple[str, str], Object] = {}
        for event in self._cluster.events_since(0):
            if event.resource_version > version:
                break
            if event.kind == scope.resource.info.kind:
                if event.type is EventType.DELETED or not scope.has(event.object):
                    found.pop((event.namespace, event.name), None)
                else:
                    found[event.namespace, event.name] = event.object
        return tuple(found[key] for key in sorted(found))

    def _continued(self, scope: Scope, version: int, *, start: str) -> tuple[tuple[Object, ...], int]:
        if version >= 0:
            picture = self._pictures.get((version, scope))
            now = self._cluster.clock.now
            if picture is None or now - picture.taken >= self._keep or self._is_compacted(version):
                self._pictures.pop((version, scope), None)
                raise ExpiredListError(_packed(-1, start))
            return tuple(obj for obj in picture.items if _key(obj) >= start), version
        kind = scope.resource.info.kind
        result = self._cluster.list(kind, scope.namespace, labels=scope.labels or None, fields=scope.fields or None)
        return tuple(obj for obj in result.items if _key(obj) >= start), int(result.resource_version)

    def _is_compacted(self, version: int) -> bool:
        try:
            self._cluster.events_since(version)
        except ApiError:
            return True
        return False


def _item(resource: Resource, obj: Object) -> Object:
    """An object inside a list: built-in ones do not repeat their kind there, as a real server's do not."""
    if resource.is_custom:
        return obj
    return {name: value for name, value in resource.outbound(obj).items() if name not in ("kind", "apiVersion")}


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    # NUL sorts before all that names contain, so the order is that of (namespace, name).
    return f"{metadata.get('namespace', '')}\0{metadata['name']}"


def _packed(version: int, start: str) -> str:
    text = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _unpacked(token: str) -> tuple[int, str]:
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = value["rv"], value["start"]
    except (ValueError, KeyError, TypeError) as problem:
        raise errors.bad_request(f"continue key is not valid: {problem}") from problem
    if type(version) is not int or type(start) is not str:
        raise errors.bad_request("continue key is not valid: it was not made by this server")
    return version, start
