"""What a cluster is set up with: the bounds on its objects, and the version whose behaviour it shows."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class SizeLimit(StrEnum):
    """Who refuses an object that is too large, which decides about the answer."""

    STORE = "store"
    """etcd, as in a usual cluster: 500 "etcdserver: request is too large"."""
    FRONT = "front"
    """The server's own handlers, or a proxy before it, which read no more: 413 RequestEntityTooLarge."""


@frozen
class ClusterLimits:
    """Bounds on stored objects, in bytes of JSON; None lifts a bound.

    The defaults are etcd's request limit and the API server's limit on all annotations of an object.
    """

    object_bytes: int | None = 1_572_864
    annotation_bytes: int | None = 262_144
    refused_by: SizeLimit = SizeLimit.STORE


@frozen
class KubernetesVersion:
    """The version whose behaviour the model follows."""

    major: int = 1
    minor: int = 35
