"""The artifact containers of a simulated Pod: no byte is moved, but each order is answered as if it had been.

What is made up depends on the flow, the step, the attempt and the artifact
alone, so that the artifacts of two attempts differ and two runs are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from zenflow_core.artifact_report import ORDERS_ENV, ExitCode, StoredArtifact, write_report
from zenflow_core.names import INPUTS_CONTAINER, OUTPUTS_CONTAINER

UPLOAD_EXIT_CODE = ExitCode.UNAVAILABLE
"""How `zenflow-outputs` ends where an outcome says that it could not store something."""


def orders_of(pod_spec: Mapping[str, Any], container: str) -> list[dict[str, Any]]:
    """What the container of ours is told to do, as it finds it; nothing if the Pod has no such container."""
    for field in ("containers", "initContainers"):
        for each in pod_spec.get(field) or ():
            for variable in each.get("env") or () if each["name"] == container else ():
                if variable["name"] == ORDERS_ENV:
                    orders: list[dict[str, Any]] = json.loads(variable["value"].replace("$$", "$"))
                    return orders
    return []


def moves_artifacts(pod_spec: Mapping[str, Any]) -> bool:
    """Whether a container of ours is in the Pod. Cost: 1 µs."""
    return any(
        each["name"] in (INPUTS_CONTAINER, OUTPUTS_CONTAINER)
        for field in ("containers", "initContainers")
        for each in pod_spec.get(field) or ()
    )


def stored_by(flow_uid: str, step: str, attempt: int, *, order: Mapping[str, Any]) -> StoredArtifact:
    """How that attempt stores the artifact that the order is about, unless its outcome says otherwise."""
    digest = sha256("\0".join((flow_uid, step, str(attempt), order["name"])).encode()).hexdigest()
    location = order["location"]
    own = f"{digest[:8]}/{order['name']}" if location.endswith("/") else ""
    return StoredArtifact(digest, 1 + int(digest[:5], 16), location + own)


def report_of(
    pod_spec: Mapping[str, Any],
    *,
    flow_uid: str,
    step: str,
    attempt: int,
    said: Mapping[str, StoredArtifact | None],
) -> tuple[int, str] | None:
    """Exit code and message of `zenflow-outputs`; None if the Pod has none. `said` is what the outcome says.

    As the real one it fails for an artifact that is not there and not optional.
    """
    orders = orders_of(pod_spec, OUTPUTS_CONTAINER)
    if not orders:
        return None
    stored: dict[str, StoredArtifact] = {}
    for order in orders:
        name = order["name"]
        found = said[name] if name in said else stored_by(flow_uid, step, attempt, order=order)
        if found is not None:
            stored[name] = found
        elif not order["optional"]:
            fix = "let the step write it, or make the artifact optional"
            return ExitCode.NOTHING_THERE, f"artifact {name}: there is nothing at its path; fix: {fix}"
    return 0, write_report(stored)
