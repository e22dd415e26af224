"""Kubernetes Events: what happened, told to whoever asks `kubectl describe`. Best effort, and never twice.

An Event's name is made of the flow's uid, the step, the attempt and the reason,
so one that is told again (by a second replica, or after a restart) meets the
first one and is dropped. Nothing waits for an Event, and a flood is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

import anyio
import structlog
from attrs import frozen

from zenflow_core.actions import CreateJob
from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.instants import rfc3339
from zenflow_core.reasons import (
    ApprovalRequested,
    Approved,
    AttemptFailed,
    Cause,
    JobRefused,
    Rejected,
    RetriesExhausted,
    StepTimedOut,
)
from zenflow_core.say import say
from zenflow_core.spec import API_VERSION, KIND
from zenflow_core.state import FlowPhase
from zenflow_runtime.clock import Clock
from zenflow_runtime.failures import RequestFailed
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import EVENT, Kube
from zenflow_runtime.metrics import FAILURES, Before

log = structlog.get_logger("zenflow.events")

COMPONENT: Final = "zen-flow-controller"
WAITING: Final = 1_000
"""Events that may wait to be sent; beyond that they are dropped."""
REMEMBERED: Final = 10_000
"""Events that are known to have been sent."""
MESSAGE_CHARACTERS: Final = 1_024
"""The API server's limit."""
_NAME_CHARACTERS: Final = 200

GO_NAMES: Final[Mapping[type[Cause], str]] = {
    AttemptFailed: "StepRetry",
    RetriesExhausted: "StepFailed",
    StepTimedOut: "StepTimeout",
    ApprovalRequested: "StepPendingApproval",
    Approved: "StepApproved",
}
"""Reasons that the Go project gave to what has another name in the status."""

TOLD: Final = frozenset(FAILURES | {AttemptFailed, JobRefused, ApprovalRequested, Approved, Rejected})
"""What steps do that is worth an Event, besides the creation of their Jobs."""

NORMAL: Final = frozenset({ApprovalRequested, Approved})

FLOW_REASONS: Final[Mapping[tuple[str, FlowPhase], tuple[str, str]]] = {
    ("", FlowPhase.PAUSED): ("FlowPaused", "Normal"),
    (FlowPhase.PAUSED, FlowPhase.RUNNING): ("FlowResumed", "Normal"),
    ("", FlowPhase.SUCCEEDED): ("JobFlowCompleted", "Normal"),
    ("", FlowPhase.FAILED): ("JobFlowFailed", "Warning"),
}
"""From a phase ("": any) to another: reason and type."""


@frozen
class Note:
    """Something to be told about a flow. `subject` and `attempt` tell it from others with the same reason."""

    reason: str
    message: str
    type: str = "Normal"
    subject: str = ""
    attempt: int = 0


def notes_of(before: Before, decision: Decision) -> Iterator[Note]:
    """What a decision that has been recorded gives to tell."""
    state = decision.state
    for move in decision.moves:
        kind = type(move.cause)
        if kind in TOLD:
            attempt = state.records[state.plan.by_name[move.step]].attempt
            yield Note(
                GO_NAMES.get(kind, reason_of(move.cause)),
                f"step {move.step}: {say(move.cause)}",
                type="Normal" if kind in NORMAL else "Warning",
                subject=move.step,
                attempt=attempt,
            )
    new = state.record.phase
    if before.phase != new.value:
        found = FLOW_REASONS.get((before.phase, new)) or FLOW_REASONS.get(("", new))
        if found is not None:
            ready = next((c for c in state.record.conditions if c.type == "Ready"), None)
            text = "" if ready is None else f"{ready.reason}: {ready.message}" if ready.message else ready.reason
            # Paused and resumed can come again: the instant tells them apart.
            since = "" if ready is None else rfc3339(ready.since)
            yield Note(found[0], text, type=found[1], subject=f"@{since}")


def created(action: CreateJob) -> Note:
    """An attempt's Job was created."""
    text = f"step {action.step}: created Job {action.name} (attempt {action.attempt})"
    return Note(_CREATED, text, subject=action.step, attempt=action.attempt)


class EventMode(StrEnum):
    """Which Kubernetes Events are sent."""

    ALL = "all"
    FAILURES = "failures"
    """All but the creation of Jobs, which the Job's own events tell as well."""
    NONE = "none"


_CREATED: Final = "StepCreated"


class Recorder:
    """Takes notes at any rate and sends them one by one. `counted` is told what became of each."""

    def __init__(
        self,
        kube: Kube,
        clock: Clock,
        *,
        mode: EventMode = EventMode.ALL,
        instance: str = "",
        counted: Callable[[str], None] | None = None,
    ) -> None:
        self._mode = mode
        self._kube = kube
        self._clock = clock
        self._instance = instance
        self._counted = counted
        self._known: dict[str, None] = {}
        self._send, self._receive = anyio.create_memory_object_stream[tuple[str, dict[str, Any]]](WAITING)

    def tell(self, flow: Flow, note: Note) -> None:
        """Have this told, unless it has been. Never waits."""
        if self._mode is EventMode.FAILURES and note.reason == _CREATED:
            return
        name = _name(flow, note)
        if name in self._known:
            return
        try:
            self._send.send_nowait((flow.seen.namespace, self._body(flow, note, name)))
        except anyio.WouldBlock:
            self._count("dropped")
            return
        self._known[name] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    async def run(self) -> None:
        """Send what there is to tell, for ever."""
        async for namespace, body in self._receive:
            try:
                await self._kube.create(EVENT, namespace, body)
            except RequestFailed as error:
                self._count("known" if error.reason == "AlreadyExists" else "failed")
                log.debug("event not stored", reason=body["reason"], error=str(error))
            else:
                self._count("sent")

    def close(self) -> None:
        """Take no more notes."""
        self._send.close()
        self._receive.close()

    def _count(self, result: str) -> None:
        if self._counted is not None:
            self._counted(result)

    def _body(self, flow: Flow, note: Note, name: str) -> dict[str, Any]:
        seen, at = flow.seen, rfc3339(self._clock.now)
        return {
            "metadata": {"name": name, "namespace": seen.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": seen.namespace,
                "name": seen.name,
                "uid": seen.uid,
            },
            "reason": note.reason,
            "message": note.message[:MESSAGE_CHARACTERS],
            "type": note.type,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }


def _name(flow: Flow, note: Note) -> str:
    told = "\n".join((flow.uid, note.subject, str(note.attempt), note.reason))
    return f"{flow.seen.name[:_NAME_CHARACTERS]}.{blake2b(told.encode(), digest_size=8).hexdigest()}"
