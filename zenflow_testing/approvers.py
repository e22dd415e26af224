"""The people who approve in a simulated world: asked once, they answer when their time has come."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from zenflow_core.names import approval_key, approver_key, rejection_key
from zenflow_testing.agenda import Agenda, Plot, whole
from zenflow_testing.cluster import Cluster
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import (
    ApprovalGiven,
    ApprovalRefused,
    NeverDecided,
    Outcomes,
)


class _Request(Plot):
    """A step that somebody has been asked to approve."""

    __slots__ = ("decision", "name", "namespace", "step")

    def __init__(self, flow: Object, step: str, decision: ApprovalGiven | ApprovalRefused) -> None:
        super().__init__()
        metadata = flow["metadata"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.step = step
        self.decision = decision


class Approvers:
    """Sets the annotations that approve or reject a step."""

    def __init__(self, cluster: Cluster, outcomes: Outcomes, agenda: Agenda) -> None:
        self._cluster = cluster
        self._outcomes = outcomes
        self._agenda = agenda
        self._requests: dict[str, dict[str, _Request | None]] = {}

    def asked(self, flow: Object, step: str, *, at: datetime) -> None:
        """Tell the world that a stored flow waits for the approval of a step since `at`. Once is enough.

        When its time has come the annotation is set that approves or rejects it.
        """
        requests = self._requests.setdefault(flow["metadata"]["uid"], {})
        if step in requests:
            return
        match self._outcomes.approval(step):
            case NeverDecided():
                requests[step] = None
            case ApprovalGiven() | ApprovalRefused() as decision:
                request = requests[step] = _Request(flow, step, decision)
                self._agenda.schedule(request, at + whole(decision.after), self._decide)
            case never:
                assert_never(never)

    def flow_is_gone(self, uid: str) -> None:
        """Nobody answers for a flow that is not there any more."""
        for request in self._requests.pop(uid, {}).values():
            if request is not None:
                request.due = 0

    def _decide(self, request: _Request) -> None:
        metadata = self._cluster.get("JobFlow", request.namespace, request.name)["metadata"]
        given = metadata.get("annotations") or {}
        approved, rejected = approval_key(request.step), rejection_key(request.step)
        if approved in given or rejected in given:
            return
        match request.decision:
            case ApprovalGiven(by=by):
                annotations = {approved: "true"}
            case ApprovalRefused(why=why, by=by):
                annotations = {rejected: why}
            case never:
                assert_never(never)
        if by:
            annotations[approver_key(request.step)] = by
        self._cluster.patch_merge(
            "JobFlow", request.namespace, request.name, {"metadata": {"annotations": annotations}}
        )
