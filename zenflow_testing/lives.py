"""A Job on its way through a simulated world: what the world has to remember of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from zenflow_core.spec import StepName
from zenflow_testing.agenda import Plot
from zenflow_testing.artifacts import moves_artifacts
from zenflow_testing.clock import EPOCH
from zenflow_testing.job_controller import PodEnd
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import (
    JobEnding,
)


class JobStage(Enum):
    """Where a Job is in its life."""

    NEW = "new"
    SUSPENDED = "suspended"
    RUNNING = "running"
    STOPPING = "stopping"
    """Its end is decided, and its Pods are on their way out."""
    UNCOUNTED = "uncounted"
    """Its Pods have ended, and its controller has yet to say what follows from that."""
    OVER = "over"


class Life(Plot):
    """A Job of ours."""

    __slots__ = (
        "attempt",
        "deleting",
        "end",
        "ending",
        "flow_uid",
        "goal",
        "ignored",
        "moves_artifacts",
        "name",
        "namespace",
        "next",
        "pod",
        "pods",
        "spec",
        "stage",
        "started_at",
        "step",
        "uid",
    )

    def __init__(self, job: Object, step: StepName, *, flow_uid: str, attempt: int) -> None:
        super().__init__()
        metadata = job["metadata"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.uid: str = metadata["uid"]
        self.step = step
        self.flow_uid = flow_uid
        self.attempt = attempt
        self.spec: Mapping[str, Any] = job["spec"]
        self.moves_artifacts = moves_artifacts(job["spec"]["template"]["spec"])
        self.stage = JobStage.NEW
        self.started_at = EPOCH
        self.deleting = False
        self.ending = JobEnding()
        self.next: Callable[[Life, Object], None]
        """What happens when it is time, if anything is due."""
        self.goal: tuple[datetime, Callable[[Life, Object], None]] | None = None
        """When and how the present run ends, if nothing comes between."""
        self.end = PodEnd(0)
        """While UNCOUNTED, how its Pod has ended."""
        self.pod = ""
        """Name of the Pod object; empty if there is none now."""
        self.pods = 0
        """How many Pods the Job has had, with or without an object."""
        self.ignored = 0


class DyingPod(Plot):
    """A Pod that has been told to end."""

    __slots__ = ("name", "namespace", "uid")

    def __init__(self, namespace: str, name: str, uid: str) -> None:
        super().__init__()
        self.namespace = namespace
        self.name = name
        self.uid = uid
