"""What decisions did to the steps, in order: the moves, and the attempts with their beginnings and ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.reasons import Admitted, Adopted, ApprovalRequested, Cause, Instant
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState, StepPhase

_OPEN: Final = (StepPhase.RUNNING, StepPhase.PENDING_APPROVAL)


@frozen
class Attempt:
    """One run of a step's Job, or the time in which an approval was waited for."""

    number: int
    started_at: Instant
    finished_at: Instant | None = None
    ending: str = ""
    """The reason of its end; empty while it runs."""


@frozen
class Entry:
    """A line of the timeline: a step moved."""

    at: Instant
    step: StepName
    origin: StepPhase
    phase: StepPhase
    cause: Cause


@frozen
class Simulation:
    """How a flow's life went."""

    flow: str
    namespace: str
    state: FlowState
    started_at: Instant
    ended_at: Instant | None
    timeline: tuple[Entry, ...]
    attempts: Mapping[StepName, tuple[Attempt, ...]]
    stuck: bool
    """Nothing can move any more and no wake is set: the flow waits for ever."""
    decisions: int


class Chronicle:
    """Keeps what is decided about one flow."""

    def __init__(self) -> None:
        self.timeline: list[Entry] = []
        self.attempts: dict[StepName, list[Attempt]] = {}
        self.asked: list[tuple[StepName, Instant]] = []
        """Approvals that were requested, and when; whoever answers them empties it."""
        self.state: FlowState | None = None
        self.decisions = 0
        self.last_at: Instant | None = None

    def add(self, now: Instant, decision: Decision) -> None:
        """The next decision."""
        self.state = decision.state
        self.decisions += 1
        self.last_at = now
        for move in decision.moves:
            self.timeline.append(Entry(now, move.step, move.origin, move.phase, move.cause))
            self._attempt(move.step, move.phase, move.cause)

    def _attempt(self, step: StepName, phase: StepPhase, cause: Cause) -> None:
        known = self.attempts.setdefault(step, [])
        match cause:
            case Admitted(number, at) | Adopted(number, at):
                known.append(Attempt(number, at))
            case ApprovalRequested(at):
                known.append(Attempt(1, at))
                self.asked.append((step, at))
            case _ if known and known[-1].finished_at is None and phase not in _OPEN:
                known[-1] = evolve(known[-1], finished_at=cause.at, ending=reason_of(cause))
            case _:
                pass

    def told(self, started_at: Instant, *, stuck: bool | None = None) -> Simulation:
        """All of it, counted from `started_at`. `stuck` None: a flow that is not over has no way on."""
        state = self.state
        assert state is not None, "something was decided"
        over = state.record.completed_at
        return Simulation(
            flow=state.flow.name,
            namespace=state.flow.namespace,
            state=state,
            started_at=started_at,
            ended_at=over,
            timeline=tuple(self.timeline),
            attempts={step: tuple(runs) for step, runs in self.attempts.items()},
            stuck=over is None if stuck is None else stuck,
            decisions=self.decisions,
        )
