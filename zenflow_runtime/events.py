"""Kubernetes Events: what happened, told to whoever asks `kubectl describe`. Best effort, and never twice.

An Event's name is made of the flow's uid, the step, the attempt and the reason,
so one that is told again (by a second replica, or after a restart) meets the
first one and is dropped. Nothing waits for an Event, a flood is cut off, and
Jobs of one flow that are created in quick succession share one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

import anyio
import structlog
from attrs import evolve, field, frozen

from zenflow_core.actions import CreateJob
from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.instants import rfc3339
from zenflow_core.reasons import (
    ApprovalRequested,
    Approved,
    AttemptFailed,
    Cause,
    Instant,
    JobRefused,
    Rejected,
    RetriesExhausted,
    StepTimedOut,
)
from zenflow_core.say import say
from zenflow_core.spec import API_VERSION, KIND
from zenflow_core.state import FlowPhase
from zenflow_core.transitions import FAILING
from zenflow_runtime.clock import Clock
from zenflow_runtime.failures import RequestFailed
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import EVENT, Kube
from zenflow_runtime.metrics import Before

log = structlog.get_logger("zenflow.events")

COMPONENT: Final = "zen-flow-controller"
WAITING: Final = 1_000
"""Events that may wait to be sent; beyond that they are dropped."""
REMEMBERED: Final = 10_000
"""Events that are known to have been sent."""
GATHER_SECONDS: Final = 5.0
"""After a flow's Jobs were told of, those that are created so soon after it share one Event."""
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

TOLD: Final = frozenset(FAILING | {AttemptFailed, JobRefused, ApprovalRequested, Approved, Rejected})
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


@frozen
class _Creations:
    """Jobs of one flow whose creation is to be told in one Event."""

    flow: Flow
    began: Instant
    """When the first was created."""
    notes: list[Note] = field(factory=list)

    @property
    def note(self) -> Note:
        """All of them in one, named after the first; as many are told of as there is room for."""
        first = self.notes[0]
        if len(self.notes) == 1:
            return first
        steps = (
            note.subject if note.attempt == 1 else f"{note.subject} (attempt {note.attempt})" for note in self.notes
        )
        return evolve(first, message=f"created {len(self.notes)} Jobs, of steps {', '.join(steps)}")


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
        self._gathering: dict[str, _Creations] = {}
        """What has been gathered, by flow uid, of flows whose Jobs were told of lately."""
        self._due: deque[tuple[float, str]] = deque()
        """When that ends for each of them (loop time), the first first."""
        self._gathers = anyio.Event()
        self._send, self._receive = anyio.create_memory_object_stream[tuple[str, dict[str, Any]]](WAITING)

    def tell(self, flow: Flow, note: Note) -> None:
        """Have this told, unless it has been. Never waits.

        The creation of a Job is told at once, or with others of its flow where some were told of just before.
        """
        if self._mode is EventMode.FAILURES and note.reason == _CREATED:
            return
        name = _name(flow, note)
        if name in self._known:
            return
        self._known[name] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        now = self._clock.now
        if note.reason != _CREATED:
            self._tell_creations(flow.uid)  # in the order of time
            self._put(flow, note, began=now)
        elif flow.uid in self._gathering:
            gathered = self._gathering[flow.uid]
            if not gathered.notes:
                self._gathering[flow.uid] = gathered = _Creations(flow, now)
            gathered.notes.append(note)
        else:
            self._put(flow, note, began=now)
            self._gather(flow, now)

    def _gather(self, flow: Flow, now: Instant) -> None:
        self._gathering[flow.uid] = _Creations(flow, now)
        self._due.append((anyio.current_time() + GATHER_SECONDS, flow.uid))
        self._gathers.set()

    def _tell_creations(self, uid: str) -> bool:
        """Tell what has been gathered of a flow; False if that is nothing."""
        gathered = self._gathering.get(uid)
        if gathered is None or not gathered.notes:
            return False
        self._put(gathered.flow, gathered.note, began=gathered.began, count=len(gathered.notes))
        self._gathering[uid] = _Creations(gathered.flow, gathered.began)
        return True

    def _put(self, flow: Flow, note: Note, *, began: Instant, count: int = 1) -> None:
        try:
            self._send.send_nowait((flow.seen.namespace, self._body(flow, note, began=began, count=count)))
        except anyio.WouldBlock:
            self._known.pop(_name(flow, note), None)
            self._count("dropped")

    async def run(self) -> None:
        """Send what there is to tell, until `finish` and the last of it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_what_is_due)
            await self._send_all()
            tasks.cancel_scope.cancel()

    async def _tell_what_is_due(self) -> None:
        """A flow whose Jobs were told of is gathered for once more, and forgotten when it has nothing more to tell."""
        while True:
            if not self._due:
                self._gathers = anyio.Event()
                await self._gathers.wait()
            at, uid = self._due.popleft()
            await anyio.sleep_until(at)
            gathered = self._gathering[uid]
            if self._tell_creations(uid):
                self._gather(gathered.flow, self._clock.now)
            else:
                del self._gathering[uid]

    async def _send_all(self) -> None:
        async for namespace, body in self._receive:
            try:
                await self._kube.create(EVENT, namespace, body)
            except RequestFailed as error:
                self._count("known" if error.reason == "AlreadyExists" else "failed")
                log.debug("event not stored", reason=body["reason"], error=str(error))
            else:
                self._count("sent")

    def finish(self) -> None:
        """Take no more notes; what waits is still sent, and what has been gathered."""
        for uid in list(self._gathering):
            self._tell_creations(uid)
        self._send.close()

    def close(self) -> None:
        """Take no more notes, and send none."""
        self._send.close()
        self._receive.close()

    def _count(self, result: str) -> None:
        if self._counted is not None:
            self._counted(result)

    def _body(self, flow: Flow, note: Note, *, began: Instant, count: int) -> dict[str, Any]:
        seen = flow.seen
        return {
            "metadata": {"name": _name(flow, note), "namespace": seen.namespace},
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
            "firstTimestamp": rfc3339(began),
            "lastTimestamp": rfc3339(self._clock.now),
            "count": count,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }


def _name(flow: Flow, note: Note) -> str:
    told = "\n".join((flow.uid, note.subject, str(note.attempt), note.reason))
    return f"{flow.seen.name[:_NAME_CHARACTERS]}.{blake2b(told.encode(), digest_size=8).hexdigest()}"
