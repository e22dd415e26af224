"""Flows whose containers really run, many of them side by side: what takes time on a node is waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import lightkube
from attrs import frozen
from lightkube.types import PatchType

from tests.cluster.controlplane import JobFlow
from tests.cluster.operators import ended

BUSYBOX: Final = "busybox:1.35"
APPROVED: Final = "approved.workflow.kube-zen.io"

Status: TypeAlias = Mapping[str, Any]


def a_step(
    name: str,
    *after: str,
    command: str,
    container: Mapping[str, Any] | None = None,
    pod: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A step whose container runs a line of shell; `container` and `pod` are further fields of theirs."""
    main = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", command], **(container or {})}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main], **(pod or {})}
    template = {"spec": {"backoffLimit": 0, "template": {"spec": spec}}}
    return {"name": name, **({"dependencies": list(after)} if after else {}), "template": template, **fields}


def a_flow(name: str, *steps: Mapping[str, Any], **spec: Any) -> Any:
    """A flow of these steps."""
    return JobFlow.from_dict({"metadata": {"name": name}, "spec": {"steps": list(steps), **spec}})


@frozen
class Home:
    """A namespace, and an administrator's client that works in it."""

    client: lightkube.Client
    namespace: str

    def ended(self, *names: str, within: float = 180.0) -> dict[str, Status]:
        """The statuses of these flows once all have ended."""
        return {name: ended(self.client, name, within=within) for name in names}

    def approve(self, flow: str, step: str) -> None:
        """Let a Manual step go on."""
        patch = {"metadata": {"annotations": {f"{APPROVED}/{step}": "true"}}}
        self.client.patch(JobFlow, flow, patch, patch_type=PatchType.MERGE)
