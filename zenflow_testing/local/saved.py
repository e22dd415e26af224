"""What an interrupted run leaves behind, so that another one can go on: the flow, its Jobs, and what came with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from zenflow_testing.cluster import Cluster
from zenflow_testing.kinds import Object

FILE: Final = "state.json"
FORMAT: Final = 1
_KINDS: Final = ("JobFlow", "ConfigMap", "PersistentVolumeClaim", "Job")
"""In the order in which they are made again. Secrets are not written down; Pods end with their processes."""


class NotSavedError(Exception):
    """There is nothing to go on with in a folder, in words."""


@frozen
class Saved:
    """Objects by kind, as the cluster had them."""

    objects: Mapping[str, Sequence[Object]]

    @property
    def flow(self) -> Object:
        """The flow."""
        return self.objects["JobFlow"][0]


def save(cluster: Cluster, folder: Path) -> None:
    """Write down what there is. The file is whole at any moment."""
    objects = {kind: list(cluster.list(kind).items) for kind in _KINDS}
    unfinished = folder / f"{FILE}.new"
    unfinished.write_text(json.dumps({"format": FORMAT, "objects": objects}), encoding="utf-8")
    os.replace(unfinished, folder / FILE)


def load(folder: Path) -> Saved:
    """What an earlier run left. Raises NotSavedError."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise NotSavedError(f"{folder / FILE} is of format {data['format']}; this version reads {FORMAT}")
        saved = Saved(data["objects"])
        saved.flow["metadata"]["uid"]
    except OSError as error:
        raise NotSavedError(f"cannot read {error.filename}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NotSavedError(f"{folder / FILE} was not written by zenflow run --local") from error
    return saved


def restore(saved: Saved, cluster: Cluster) -> Object:
    """Make everything again under its old uid, status included, and return the flow."""
    for kind in _KINDS:
        for obj in saved.objects.get(kind, ()):
            metadata = obj["metadata"]
            cluster.preset_uid(kind, metadata["uid"])
            kept = {key: value for key, value in metadata.items() if key in _KEPT}
            made = cluster.create(kind, {**obj, "metadata": kept}, namespace=metadata["namespace"])
            if obj.get("status"):
                _put_status(cluster, kind, made, obj["status"])
    flow = saved.flow["metadata"]
    return cluster.get("JobFlow", flow["namespace"], flow["name"])


_KEPT: Final = ("name", "labels", "annotations", "ownerReferences", "finalizers")


def _put_status(cluster: Cluster, kind: str, made: Object, status: Mapping[str, Any]) -> None:
    operation = {"op": "add", "path": "/status", "value": status}
    subresource = "status" if kind in ("JobFlow", "Job") else None
    metadata = made["metadata"]
    cluster.patch_json(kind, metadata["namespace"], metadata["name"], [operation], subresource=subresource)
