"""What may be asked of the cluster: a closed union, in three stages.

A decision is recorded first (the fence: a stale view is refused there and does
nothing), then what the record calls for is ensured, then what it no longer
wants is released. One API call each; the executor is one `match`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, TypeAlias

from attrs import field, frozen

from zenflow_core.plan import ResourceRef
from zenflow_core.spec import StepName


class Stage(IntEnum):
    """When an action is carried out, relative to the others of its decision."""

    RECORD = 0
    ENSURE = 1
    RELEASE = 2


@frozen
class Operation:
    """One operation of a JSON Patch (RFC 6902)."""

    op: str
    path: str
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        bare = {"op": self.op, "path": self.path}
        return bare if self.op == "remove" else bare | {"value": self.value}


@frozen
class RecordStatus:
    """Patch the flow's status. Sent with `replace /metadata/resourceVersion` in front: 409 means a stale view."""

    operations: tuple[Operation, ...] = field(repr=False)
    stage: ClassVar[Stage] = Stage.RECORD

    def patch(self, resource_version: str) -> list[dict[str, Any]]:
        """The JSON Patch with its fence: the version of the flow that the decision was made from."""
        fence = {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}
        return [fence, *(operation.to_json() for operation in self.operations)]


@frozen
class CreateJob:
    """Create the Job of an attempt. AlreadyExists is success if its owner uid, step and attempt are ours."""

    step: StepName
    attempt: int
    name: str
    body: Mapping[str, Any] = field(repr=False)
    stage: ClassVar[Stage] = Stage.ENSURE


@frozen
class CreateClaim:
    """Create a PersistentVolumeClaim of resourceTemplates. AlreadyExists is success if the flow owns it."""

    ref: ResourceRef
    name: str
    body: Mapping[str, Any] = field(repr=False)
    stage: ClassVar[Stage] = Stage.ENSURE


@frozen
class CreateConfigMap:
    """Create a ConfigMap of resourceTemplates. AlreadyExists is success if the flow owns it."""

    ref: ResourceRef
    name: str
    body: Mapping[str, Any] = field(repr=False)
    stage: ClassVar[Stage] = Stage.ENSURE


@frozen
class NudgeJob:
    """Patch `ttlSecondsAfterFinished` so that the Job controller looks at a Job that is done (eager completion)."""

    step: StepName
    attempt: int
    name: str
    uid: str
    stage: ClassVar[Stage] = Stage.ENSURE


@frozen
class DeleteJob:
    """Delete that very Job (uid precondition), in the foreground: it is gone when its Pods are."""

    step: StepName
    attempt: int
    name: str
    uid: str
    stage: ClassVar[Stage] = Stage.RELEASE


@frozen
class DeleteFlow:
    """Delete the finished flow (uid precondition, background): its TTL is over."""

    name: str
    uid: str
    stage: ClassVar[Stage] = Stage.RELEASE


Action: TypeAlias = RecordStatus | CreateClaim | CreateConfigMap | CreateJob | NudgeJob | DeleteJob | DeleteFlow
