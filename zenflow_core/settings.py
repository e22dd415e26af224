"""What whoever runs the core has decided for all flows, as one value.

A setting is part of the plan (`Plan.settings`), and so of everything that is
decided from it; a dump carries it, so that a replay decides the same. It never
comes from the flow, and never changes the hash of its spec.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import field, frozen

from zenflow_core.spec import ArtifactStore


@frozen
class ArtifactClaim:
    """How the claim is asked for that a flow gets for artifacts which go to no other store."""

    size: str = "1Gi"
    """A Kubernetes quantity."""
    storage_class: str | None = None
    """None: the cluster's default class."""
    access_mode: str = "ReadWriteOnce"
    """Every storage class has this one. With `ReadWriteMany` Pods on several nodes need not wait for each other."""

    def spec(self) -> dict[str, Any]:
        """The claim's `spec`."""
        asked: dict[str, Any] = {
            "accessModes": [self.access_mode],
            "resources": {"requests": {"storage": self.size}},
        }
        return asked if self.storage_class is None else asked | {"storageClassName": self.storage_class}


class Unmoved(StrEnum):
    """What becomes of a flow with artifacts where no image moves them."""

    PRETENDED = "pretended"
    """What a step is to leave counts as left: for simulations, which have no bytes."""
    REFUSED = "refused"
    """The flow is not run: for clusters, where a step would look for a file that nobody has brought."""


@frozen
class Settings:
    """The settings of an operator, or of a simulation."""

    artifact_image: str | None = None
    """The image with `zenflow_runtime.artifacts`. None, as in a simulation: no bytes are moved, so Jobs carry no
    containers of ours, and what a step is to leave counts as left once its Job is Complete (see `unmoved`)."""
    artifact_claim: ArtifactClaim = field(factory=ArtifactClaim)
    unmoved: Unmoved = Unmoved.PRETENDED
    artifact_store: ArtifactStore | None = None
    """Where artifacts go that name no store. None: to the flow's own claim."""
    namespace_stores: bool = False
    """Whether a namespace may say a store of its own, by a ConfigMap (see `artifact_store`)."""


DEFAULTS = Settings()
