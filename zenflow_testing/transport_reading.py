"""What requests read besides objects: the log of a Pod, and what the server itself looks up to answer a write."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from zenflow_testing import errors
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object
from zenflow_testing.transport_lists import Query
from zenflow_testing.transport_paths import Route

LOG_ANNOTATION: Final = "testing.kube-zen.io/log"
"""The Pod annotation that `GET .../pods/NAME/log` answers with; `<this>.<container>` for one container alone."""


def place(route: Route) -> tuple[str, str, str]:
    """Kind, namespace and name of the object that a request is about."""
    assert route.name is not None
    return route.resource.info.kind, route.namespace or "", route.name


def as_it_is(cluster: Cluster, kind: str, namespace: str, name: str) -> Object | None:
    """The object as it is, read by the server itself: no hook sees that."""
    with cluster.without_hooks(), suppress(ApiError):
        return cluster.get(kind, namespace, name)
    return None


def log_of(cluster: Cluster, route: Route, name: str, *, query: Query) -> str:
    """The log of a Pod, as its annotation has it."""
    pod = cluster.get("Pod", route.namespace or "", name)
    spec = pod.get("spec") or {}
    containers = [each.get("name") for each in (*spec.get("initContainers", ()), *spec.get("containers", ()))]
    wanted = query.get("container", "")
    if wanted and containers and wanted not in containers:
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    annotations = pod["metadata"].get("annotations") or {}
    text = annotations.get(f"{LOG_ANNOTATION}.{wanted}") if wanted else None
    text = annotations.get(LOG_ANNOTATION) if text is None else text
    if text is None:
        raise errors.not_found(route.resource.target(name))
    tail = query.get("tailLines", "")
    if tail.isdigit():
        lines = text.splitlines(keepends=True)
        text = "".join(lines[len(lines) - min(int(tail), len(lines)) :])
    limit = query.get("limitBytes", "")
    return str(text.encode()[: int(limit)].decode(errors="ignore") if limit.isdigit() else text)
