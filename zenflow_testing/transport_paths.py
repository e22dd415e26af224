"""From the path of a request to what it is about, as an API server reads paths.

A kind can be served under more than one API group: Events are stored once and served by the core group and,
with other names for the same fields, by events.k8s.io.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_testing.errors import ApiError, Target
from zenflow_testing.kinds import KindInfo, Object, Scope

Body: TypeAlias = Mapping[str, Any]


def as_it_is(body: Body) -> Body:
    """The body itself."""
    return body


@frozen(eq=False)
class Resource:
    """A kind as one API group serves it: `inbound` and `outbound` translate between its fields and the stored ones."""

    info: KindInfo
    group: str
    version: str
    inbound: Callable[[Body], Body] = as_it_is
    outbound: Callable[[Object], Object] = as_it_is

    @property
    def api_version(self) -> str:
        """`batch/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """Whether it is served as a custom resource: those differ in small things."""
        return is_custom_group(self.group)

    def target(self, name: str) -> Target:
        """An object of it as refusals name it."""
        return Target(self.group, self.info.plural, self.info.kind, name)


def is_custom_group(group: str) -> bool:
    """Whether a group is none of Kubernetes' own: those end in `.k8s.io` or have no dot."""
    return "." in group and not group.endswith(".k8s.io")


@frozen
class Route:
    """What a path is about. `namespace` None: all of them, `name` None: the collection."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None


class Unserved(Enum):
    """A path that no part of the server has claimed: answered by plain text, not by a Status."""

    PATH = "404 page not found\n"


UNSERVED: Final = Unserved.PATH


def nothing_there() -> ApiError:
    """The 404 of a path inside an API group that has no such resource."""
    return ApiError(404, "NotFound", message="the server could not find the requested resource")


class Routes:
    """The paths of the kinds that a server serves."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = {(each.group, each.version, each.info.plural): each for each in resources}
        # A custom group is served kind by kind: nobody claims what lies beside its kinds.
        self._claimed = {(group, version) for group, version, _ in self._resources if not is_custom_group(group)}

    def find(self, path: str) -> Route | Unserved:
        """What the path is about. Raises 404 for a path beside the resources of a built-in group."""
        match path.split("/"):
            case ["", "api", version, *rest] if rest:
                group = ""
            case ["", "apis", group, version, *rest] if rest:
                pass
            case _:
                return UNSERVED
        namespace = None
        # /api/v1/namespaces/NAME and /api/v1/namespaces/NAME/status are about the namespace itself.
        if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2:] == ["status"]):
            namespace, rest = rest[1], rest[2:]
        resource = self._resources.get((group, version, rest[0]))
        if resource is not None and len(rest) <= 3 and all(rest):
            name = rest[1] if len(rest) > 1 else None
            subresource = rest[2] if len(rest) > 2 else None
            scoped = resource.info.scope is Scope.CLUSTER
            if scoped and namespace is None:
                return Route(resource, "", name=name, subresource=subresource)
            if not scoped and namespace != "" and (namespace is not None or name is None):
                return Route(resource, namespace, name=name, subresource=subresource)
        if (group, version) in self._claimed:
            raise nothing_there()
        return UNSERVED


# Events, the kind with two faces

_STORED_AS: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_SERVED_AS: Final = {stored: served for served, stored in _STORED_AS.items()}
_EVENTS: Final = "events.k8s.io"


def _event_inbound(body: Body) -> Body:
    stored = {_STORED_AS.get(name, name): value for name, value in body.items()}
    if stored.get("apiVersion") == f"{_EVENTS}/v1":
        stored["apiVersion"] = "v1"
    return stored


def _event_outbound(obj: Object) -> Object:
    served = {_SERVED_AS.get(name, name): value for name, value in obj.items()}
    served["apiVersion"] = f"{_EVENTS}/v1"
    return served


def resources_of(kinds: Iterable[KindInfo]) -> tuple[Resource, ...]:
    """The kinds as their own groups serve them, and Events by events.k8s.io, too."""
    served: list[Resource] = []
    for info in kinds:
        served.append(Resource(info, info.group, version=info.version))
        if info.kind == "Event" and info.group == "":
            served.append(Resource(info, _EVENTS, version="v1", inbound=_event_inbound, outbound=_event_outbound))
    return tuple(served)
