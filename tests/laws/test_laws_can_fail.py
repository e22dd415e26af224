"""Each law fails when it is broken: a decision that is bent, or a codec that forgets, in the middle of a life.

The decision is held against the laws before it is bent, so what `LawCheck` remembers of the life so far (rows that it
has read, values that it has found equal) must not hide what is wrong with it now.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest
from attrs import evolve

from tests.defects.lives import flow, retried, step
from tests.laws.runs import Run
from zenflow_core.actions import CreateJob, RecordStatus
from zenflow_core.observation import Observed, Seen, Sightings
from zenflow_core.reasons import Admitted
from zenflow_core.reconcile import Decision
from zenflow_core.rows import Rows
from zenflow_core.state import StepPhase, StepRecord, changed
from zenflow_core.status import write_row
from zenflow_core.wave import Move
from zenflow_testing import laws
from zenflow_testing.laws import LawCheck, LawViolated, reads
from zenflow_testing.operator import Flow
from zenflow_testing.outcomes import SeededOutcomes

SECOND = timedelta(seconds=1)

Bend: TypeAlias = Callable[[Decision, datetime], Decision | None]
"""Makes a decision a wrong one; None if this one does not lend itself to it."""


def manifest() -> dict[str, Any]:
    """Four steps in two lines that meet, one at a time, with two retries each."""
    steps = [
        step(f"s{k}", *[f"s{j}" for j in (k - 2, k - 3) if j >= 0], retryPolicy=retried(2, 5), timeoutSeconds=400)
        for k in range(4)
    ]
    manifest: dict[str, Any] = flow(*steps, executionPolicy={"parallelism": 1})
    return manifest


def with_record(decision: Decision, rank: int, record: StepRecord) -> Decision:
    records = decision.state.records.edit()
    records[rank] = record
    return evolve(decision, state=evolve(decision.state, records=records.freeze()))


def first(decision: Decision, phase: StepPhase) -> int | None:
    """The first step in that phase."""
    return next((rank for rank, each in enumerate(decision.state.records) if each.phase is phase), None)


def forgets_an_attempt(decision: Decision, _: datetime) -> Decision | None:
    rank = first(decision, StepPhase.RUNNING)
    return None if rank is None else with_record(decision, rank, changed(decision.state.records[rank], attempt=7))


def forgets_a_step_that_is_over(decision: Decision, _: datetime) -> Decision | None:
    rank = first(decision, StepPhase.SUCCEEDED)
    return None if rank is None else with_record(decision, rank, changed(decision.state.records[rank], attempt=7))


def forgets_the_queue(decision: Decision, _: datetime) -> Decision | None:
    return evolve(decision, state=evolve(decision.state, queue=())) if decision.state.queue else None


def forgets_when_the_last_step_ended(decision: Decision, _: datetime) -> Decision | None:
    return evolve(decision, state=evolve(decision.state, last_end=None)) if decision.state.last_end else None


def forgets_a_job(decision: Decision, _: datetime) -> Decision | None:
    none: Rows[Sightings] = Rows(((),) * len(decision.state.records))
    return evolve(decision, state=evolve(decision.state, sightings=none)) if any(decision.state.sightings) else None


def wakes_at_once(decision: Decision, now: datetime) -> Decision | None:
    return evolve(decision, wake_at=now)


def wakes_too_late(decision: Decision, _: datetime) -> Decision | None:
    return None if decision.wake_at is None else evolve(decision, wake_at=decision.wake_at + 2 * SECOND)


def creates_another_attempt(decision: Decision, _: datetime) -> Decision | None:
    if not any(isinstance(action, CreateJob) for action in decision.actions):
        return None
    return evolve(decision, actions=tuple(another(action) for action in decision.actions))


def another(action: Any) -> Any:
    return evolve(action, attempt=action.attempt + 1) if isinstance(action, CreateJob) else action


def says_no_reason(decision: Decision, _: datetime) -> Decision | None:
    rank = first(decision, StepPhase.PENDING)
    return None if rank is None else with_record(decision, rank, changed(decision.state.records[rank], holds=()))


def starts_before_its_dependency(decision: Decision, now: datetime) -> Decision | None:
    last = decision.state.plan.steps[-1]
    if decision.state.records[last.upstream[0]].settled:
        return None
    return evolve(
        decision, moves=(Move(last.name, StepPhase.PENDING, StepPhase.RUNNING, Admitted(1, now)), *decision.moves)
    )


def moves_from_an_end(decision: Decision, now: datetime) -> Decision | None:
    name = decision.state.plan.steps[0].name
    return evolve(decision, moves=(Move(name, StepPhase.FAILED, StepPhase.RUNNING, Admitted(1, now)),))


def undoes_an_end(decision: Decision, _: datetime) -> Decision | None:
    rank = first(decision, StepPhase.SUCCEEDED)
    if rank is None or any(move.phase is StepPhase.SUCCEEDED for move in decision.moves):
        return None  # its end is not recorded yet
    return with_record(decision, rank, changed(decision.state.records[rank], phase=StepPhase.FAILED))


def admits_too_many(decision: Decision, _: datetime) -> Decision | None:
    if not any(isinstance(move.cause, Admitted) for move in decision.moves):
        return None
    return evolve(decision, state=evolve(decision.state, tally=evolve(decision.state.tally, live=2)))


def runs_two_jobs_of_a_step(decision: Decision, _: datetime) -> Decision | None:
    for rank, known in enumerate(decision.state.sightings):
        if known and isinstance(known[-1], Seen) and known[-1].live:
            sightings = decision.state.sightings.edit()
            sightings[rank] = (*known, evolve(known[-1], attempt=known[-1].attempt + 1))
            return evolve(decision, state=evolve(decision.state, sightings=sightings.freeze()))
    return None


def creates_before_it_records(decision: Decision, _: datetime) -> Decision | None:
    kinds = [type(action) for action in decision.actions]
    return evolve(decision, actions=decision.actions[::-1]) if {RecordStatus, CreateJob} <= {*kinds} else None


def does_not_record_a_move(decision: Decision, _: datetime) -> Decision | None:
    if not decision.moves or not decision.actions:
        return None
    return evolve(decision, actions=decision.actions[1:])


def _absorbing(flow: Flow, _: datetime, decision: Decision) -> None:
    laws.absorbing(reads.Reads()(flow.obj.get("status")), decision)


LAWS: dict[str, Callable[[Flow, datetime, Decision], None]] = {
    "twins": laws.twins,
    "awake": lambda _, now, decision: laws.awake(now, decision),
    "silence": lambda _, now, decision: laws.silence(now, decision),
    "quiet": lambda _, now, decision: laws.quiet(now, decision),
    "reasons": lambda _, __, decision: laws.reasons(decision),
    "order": lambda _, __, decision: laws.order(decision),
    "absorbing": _absorbing,
    "slots": lambda _, __, decision: laws.slots(decision),
    "fence": lambda _, __, decision: laws.fence(decision, decision.status),
}


class Bending:
    """A watcher that bends the first decision that can be bent so, and keeps what the laws say to it."""

    def __init__(self, law: str, bend: Bend) -> None:
        self._law, self._bend = law, bend
        self._check = LawCheck()
        self.said: list[LawViolated] = []

    def __call__(self, flow: Flow, observed: Observed, now: datetime, decision: Decision) -> None:
        self._check(flow, observed, now, decision)
        bent = None if self.said else self._bend(decision, now)
        if bent is None:
            return
        with pytest.raises(LawViolated) as alone:
            LAWS[self._law](flow, now, bent)
        with pytest.raises(LawViolated) as together:
            self._check(flow, observed, now, bent)
        self.said = [alone.value, together.value]


@pytest.mark.parametrize(
    ("law", "bend"),
    [
        pytest.param("twins", forgets_an_attempt, id="another attempt in memory than is stored"),
        pytest.param("twins", forgets_a_step_that_is_over, id="another end in memory than is stored"),
        pytest.param("twins", forgets_the_queue, id="nobody waits for a slot in memory"),
        pytest.param("twins", forgets_when_the_last_step_ended, id="no last end in memory"),
        pytest.param("twins", forgets_a_job, id="no Job in memory"),
        pytest.param("twins", creates_another_attempt, id="another action from memory"),
        pytest.param("awake", wakes_at_once, id="woken for nothing"),
        pytest.param("silence", wakes_too_late, id="woken too late"),
        pytest.param("quiet", creates_another_attempt, id="a create that is not enough"),
        pytest.param("reasons", says_no_reason, id="a step that waits for nothing"),
        pytest.param("order", starts_before_its_dependency, id="a start before what it depends on"),
        pytest.param("order", moves_from_an_end, id="a move that is not in the table"),
        pytest.param("absorbing", undoes_an_end, id="a step that had succeeded and now has not"),
        pytest.param("slots", admits_too_many, id="more steps than slots"),
        pytest.param("slots", runs_two_jobs_of_a_step, id="two live Jobs of a step"),
        pytest.param("fence", creates_before_it_records, id="a create before its record"),
        pytest.param("fence", does_not_record_a_move, id="a move without a record"),
        pytest.param("fence", creates_another_attempt, id="a create that the record does not call for"),
    ],
)
def test_a_decision_that_breaks_a_law_is_found(law: str, bend: Bend) -> None:
    watcher = Bending(law, bend)
    Run(manifest(), SeededOutcomes(3), watcher=watcher).play()
    alone, together = watcher.said
    assert alone.law == law
    assert together.law in ("twins", law)


@pytest.mark.parametrize(
    "forgotten", ["completionTime", "lastFailure", "retryAt", "retryCount", "holds", "jobRef", "cause"]
)
def test_a_status_that_forgets_is_found(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`retryCount` is for people: it follows from the attempt, and nobody reads it back."""

    def forgetful(*arguments: Any) -> dict[str, Any]:
        return {key: value for key, value in write_row(*arguments).items() if key != forgotten}

    monkeypatch.setattr(reads, "write_row", forgetful)
    run = Run(manifest(), SeededOutcomes(3), watcher=LawCheck())
    if forgotten == "retryCount":
        run.play()
        return
    with pytest.raises(LawViolated, match="memory"):
        run.play()
