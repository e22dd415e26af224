"""A flow as assertions see it: what it is now, or last was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from zenflow_testing.cases.journal import Journal
from zenflow_testing.cases.playing import Stage
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object

_VALIDATION = ("ValidationFailed", "ValidationError", "InvalidSpec")


class Readable(Protocol):
    """What is asked of the cluster, without leaving a trace in the journal."""

    def get(self, kind: str, namespace: str, name: str) -> Object: ...

    def size_bytes(self, kind: str, namespace: str, name: str) -> int: ...


class View:
    """Looks at the flows of a case."""

    def __init__(self, cluster: Readable, journal: Journal, stage: Stage) -> None:
        self._cluster = cluster
        self._journal = journal
        self._stage = stage

    def present(self, flow: str) -> Object | None:
        """The flow as it is now; None once it is gone."""
        try:
            return self._cluster.get("JobFlow", self._stage.namespace, flow)
        except ApiError:
            return None

    def latest(self, flow: str) -> Mapping[str, Any]:
        """The flow as it is, or as it last was."""
        return self.present(flow) or self._journal.last_seen.get(flow) or {}

    def status(self, flow: str) -> Mapping[str, Any]:
        """Its status; empty before the first."""
        status: Mapping[str, Any] = self.latest(flow).get("status") or {}
        return status

    def phase(self, flow: str) -> str:
        """Its phase, or why it has none."""
        if not self.latest(flow):
            refusal = self._stage.refused.get(flow) or self._stage.refused.get("")
            return "not there: it was refused" if refusal is not None else "not there"
        phase: str = self.status(flow).get("phase", "Pending")
        return phase

    def why(self, flow: str) -> str:
        """The flow's own reason, for somebody who wonders."""
        for each in self.status(flow).get("conditions") or ():
            if each["type"] == "Ready":
                message = f": {each['message']}" if each.get("message") else ""
                return f" ({each.get('reason', '')}{message})"
        return ""

    def invalidity(self, flow: str) -> str | None:
        """The message of a flow that was taken and then failed for its validity, with no Job requested."""
        if self.phase(flow) != "Failed" or any(r.flow == flow and r.step for r in self._journal.requests):
            return None
        for each in self.status(flow).get("conditions") or ():
            if each.get("reason") in _VALIDATION:
                return str(each.get("message", ""))
        return None

    def row(self, flow: str, step: str) -> Mapping[str, Any]:
        """A step's row of the status; empty if there is none yet."""
        for row in self.status(flow).get("steps") or ():
            if row["name"] == step:
                found: Mapping[str, Any] = row
                return found
        return {}
