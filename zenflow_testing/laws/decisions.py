"""The laws of the core, as plain assertions about one decision. Each is a sentence that can be false.

`check` runs all of them and is made to be an operator's watcher, so every
decision of every run is held against every law:

    operator = Operator(cluster, watcher=LawCheck())

A broken law raises `LawViolated` with its name, the flow, the step and both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import evolve, fields

from zenflow_core.actions import CreateJob, DeleteJob, NudgeJob, RecordStatus
from zenflow_core.artifact_pod import DEFAULT_INPUT_DIRECTORY
from zenflow_core.artifact_report import read_report
from zenflow_core.names import ARTIFACTS_CLAIM, INPUTS_CONTAINER
from zenflow_core.observation import NOTHING, Lookup, Observed, Present, Seen, Sightings, Unread
from zenflow_core.plan import PlannedStep, Segment
from zenflow_core.reading import main_container
from zenflow_core.reasons import Admitted, Instant, StoredArtifact
from zenflow_core.reconcile import Decision, advance, resume
from zenflow_core.recording import rows_are_kept
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState, StepPhase, StepRecord
from zenflow_core.status import StoredStatus
from zenflow_core.transitions import TERMINAL, TRANSITIONS
from zenflow_testing.artifacts import orders_of
from zenflow_testing.laws.reads import Reads, Writes

if TYPE_CHECKING:
    from zenflow_testing.operator import Flow

_SECOND = timedelta(seconds=1)


class LawViolated(AssertionError):  # noqa: N818 - it says what has happened, and is raised for readers
    """A law does not hold: its name, and what stands against it."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law = law


def twins(flow: Flow, now: Instant, decision: Decision, *, reads: Reads | None = None) -> None:
    """Deciding from memory equals deciding from the stored status: whole decision, whole state.

    `reads` saves reading rows again that it has read already.
    """
    assert flow.plan is not None, "a decision has a plan"
    reads = reads or Reads()
    restored = reads.restored(flow.plan, flow.seen, flow.obj.get("status"))
    slow = resume(restored, flow.observed(everything=True), now)
    for name in ("actions", "wake_at", "moves", "reads"):
        mine, other = getattr(decision, name), getattr(slow, name)
        if mine != other:
            raise LawViolated("twins", f"{name}: advance gives {mine}, reconcile {other}")
    difference = _difference(decision.state, slow.state, reads) if rows_are_kept(slow.state) else ""
    if difference:
        raise LawViolated("twins", difference)


_BY_RANK = ("records", "sightings")
_AT_ONCE = tuple(each.name for each in fields(FlowState) if each.name not in _BY_RANK)


def _difference(mine: FlowState, other: FlowState, reads: Reads) -> str:
    """Where two states differ; empty if they are equal."""
    for name in _AT_ONCE:
        if not reads.equal(getattr(mine, name), getattr(other, name)):
            return f"state.{name}: advance has {getattr(mine, name)}, reconcile {getattr(other, name)}"
    for step, a, b in zip(mine.plan.steps, mine.records, other.records, strict=True):
        if not reads.equal(a, b):
            return f"step {step.name}: advance has {a}, reconcile {b}"
    for step, c, d in zip(mine.plan.steps, mine.sightings, other.sightings, strict=True):
        if c != d:
            return f"Jobs of step {step.name}: advance has {c}, reconcile {d}"
    return ""


def memory(decision: Decision, status: Mapping[str, Any], *, reads: Reads | None = None) -> None:
    """Status is the only memory: what is written can be read back, record for record."""
    state = decision.state
    reads = reads or Reads()
    back = reads.restored(state.plan, state.flow, status)
    if not reads.equal(state.record, back.record):
        raise LawViolated("memory", f"the flow: {back.record} was read, {state.record} was written")
    if not rows_are_kept(state):
        return  # they were too large to be stored, and a flow that has ended so needs them no more
    for step, mine, read in zip(state.plan.steps, state.records, back.records, strict=True):
        if not reads.equal(mine, read):
            raise LawViolated("memory", f"step {step.name}: {read} was read, {mine} was written")
    unseen = evolve(state.tally, live=back.tally.live)  # which slots are occupied is seen, not remembered
    for name, follows, kept in (
        ("tally", back.tally, unseen),
        ("fatal", back.fatal, state.fatal),
        ("alarms", back.alarms, state.alarms),
    ):
        if follows != kept:
            raise LawViolated("memory", f"{name}: {follows} follows, {kept} was kept")


def awake(now: Instant, decision: Decision) -> None:
    """A wake-up lies strictly after now: nobody is woken to find nothing new."""
    if decision.wake_at is not None and decision.wake_at <= now:
        raise LawViolated("awake", f"wake_at {decision.wake_at} is not after now, {now}")


def silence(now: Instant, decision: Decision) -> None:
    """With nothing observed nothing happens before `wake_at`, and the status stays as it is to the byte."""
    later = now + timedelta(days=400) if decision.wake_at is None else decision.wake_at - _SECOND
    if later <= now:
        return
    again = advance(decision.state, NOTHING, later)
    if again.actions or again.moves or again.state != decision.state or again.wake_at != decision.wake_at:
        raise LawViolated("silence", f"nothing happened, but at {later}: {again.actions} {again.moves}")


def quiet(now: Instant, decision: Decision) -> None:
    """Once its actions are observed, the same instant yields no action and no change."""
    after = advance(decision.state, Observed(jobs=_carried_out(decision, now)), now)
    if after.actions or after.moves:
        raise LawViolated("quiet", f"after its own actions: {after.actions} {after.moves}")


def _carried_out(decision: Decision, now: Instant) -> dict[StepName, Sightings]:
    """What the cluster shows once the decision's actions are done."""
    state = decision.state
    jobs: dict[StepName, Sightings] = {}
    for action in decision.actions:
        if isinstance(action, CreateJob | DeleteJob | NudgeJob):
            known = jobs.get(action.step, state.sightings[state.plan.by_name[action.step]])
            jobs[action.step] = tuple(_after(action, known, now))
    return jobs


def _after(action: CreateJob | DeleteJob | NudgeJob, known: Sightings, now: Instant) -> Iterable[Seen]:
    rest = [s for s in known if s.attempt != action.attempt]
    mine = next((s for s in known if s.attempt == action.attempt), None)
    match action:
        case CreateJob(attempt=attempt, name=name):
            new = Seen(attempt, name, uid="just-created", created_at=now)
        case DeleteJob():
            assert isinstance(mine, Seen), "only a Job that is seen is deleted"
            new = evolve(mine, deleting=True)
        case NudgeJob():
            assert isinstance(mine, Seen), "only a Job that is seen is nudged"
            new = evolve(mine, nudge=False)
    return sorted([*rest, new], key=lambda s: s.attempt)  # type: ignore[list-item]  # other sightings stay what they are


def reasons(decision: Decision) -> None:
    """A step that neither runs nor is over shows what keeps it."""
    state = decision.state
    for step, record in zip(state.plan.steps, state.records, strict=True):
        waits = record.phase in (StepPhase.PENDING, StepPhase.PENDING_APPROVAL)
        if waits and not record.holds:
            raise LawViolated("reasons", f"step {step.name} is {record.phase} and nothing says why")


def order(decision: Decision) -> None:
    """A step is admitted only when everything upstream is settled and met; every move is in the table."""
    state = decision.state
    for move in decision.moves:
        if (move.origin, type(move.cause)) not in TRANSITIONS:
            raise LawViolated("order", f"{move} is not in the table")
        if not isinstance(move.cause, Admitted):
            continue
        step = state.plan.steps[state.plan.by_name[move.step]]
        for rank in step.upstream:
            if not _met(state.plan.steps[rank], state.records[rank]):
                raise LawViolated("order", f"{move.step} started before {state.plan.steps[rank].name} was met")
        if step.segment is Segment.FINALLY and any(not r.settled for r in state.records[: state.plan.main]):
            raise LawViolated("order", f"{move.step} of `finally` started before the main steps were settled")


def _met(step: PlannedStep, record: StepRecord) -> bool:
    failed = record.phase is StepPhase.FAILED
    return record.phase in TERMINAL and (not failed or step.continue_on_failure)


def absorbing(recorded: StoredStatus, decision: Decision, *, reads: Reads | None = None) -> None:
    """Terminal phases that are recorded, of steps and of the flow, never change again."""
    state = decision.state
    equal = (reads or Reads()).equal
    for step, new in zip(state.plan.steps, state.records, strict=True):
        old = recorded.rows.get(step.name)
        if old is None or not old.settled or equal(new, old):
            continue
        if evolve(new, holds=old.holds) != old:
            raise LawViolated("absorbing", f"step {step.name} was over ({old.phase}), now {new}")
    if recorded.flow.completed_at is not None and state.record.phase is not recorded.flow.phase:
        raise LawViolated("absorbing", f"the flow was {recorded.flow.phase}, now {state.record.phase}")


def slots(decision: Decision) -> None:
    """Steps that occupy a slot never exceed `parallelism`, and no step has two live Jobs.

    Where the limit was lowered, what runs goes on; nothing is admitted beyond it.
    """
    state = decision.state
    limit = state.plan.parallelism
    admits = any(isinstance(move.cause, Admitted) for move in decision.moves)
    if limit is not None and admits and state.tally.live > limit:
        raise LawViolated("slots", f"{state.tally.live} steps occupy a slot, {limit} may")
    for step, sightings in zip(state.plan.steps, state.sightings, strict=True):
        if len(sightings) > 1 and sum(s.live for s in sightings) > 1:
            raise LawViolated("slots", f"step {step.name} has two live Jobs")


def fence(decision: Decision, status: Mapping[str, Any]) -> None:
    """Record, ensure, release, in that order; nothing is created that the recorded status does not call for."""
    stages = [action.stage for action in decision.actions]
    if stages != sorted(stages):
        raise LawViolated("fence", f"the actions are out of order: {decision.actions}")
    rows = {row["name"]: row for row in status.get("steps", ())}
    if decision.moves and rows and not (decision.actions and isinstance(decision.actions[0], RecordStatus)):
        raise LawViolated("fence", "a step moved and nothing is recorded")
    for action in decision.actions:
        if isinstance(action, CreateJob):
            row = rows.get(action.step, {})
            if row.get("phase") != StepPhase.RUNNING or row["attempt"] != action.attempt:
                raise LawViolated("fence", f"{action} is not what the status calls for: {row}")


def artifacts(decision: Decision) -> None:
    """What a Job is told of an artifact is what the last attempt of the step that made it has reported."""
    state = decision.state
    plan = state.plan
    if plan.settings.artifact_image is None:
        return
    for maker, record, sightings in zip(plan.steps, state.records, state.sightings, strict=True):
        for name, stored in (record.artifacts or {}).items():
            jobs = [s for s in sightings if isinstance(s, Seen) and s.attempt == record.attempt]
            # A process that has started since has not read it: it has no reason to.
            said = [_reported(job.transfer, name) for job in jobs if not isinstance(job.transfer, Unread)]
            if record.phase is not StepPhase.SUCCEEDED or (said and said != [stored]):
                raise LawViolated("artifacts", f"{maker.name}/{name} is recorded as {stored}, reported as {said}")
    for action in decision.actions:
        step = plan.steps[plan.by_name[action.step]] if isinstance(action, CreateJob) else None
        if step is None or not isinstance(action, CreateJob):
            continue
        for read in step.artifact_reads:
            recorded = (state.records[read.rank].artifacts or {}).get(read.source.name)
            found = _told(action.body["spec"]["template"]["spec"], read.name)
            if found != (None if recorded is None else _as_told(recorded)) or (recorded is None and not read.optional):
                raise LawViolated("artifacts", f"{action} is told {found} of {read.name}, recorded is {recorded}")


def _reported(transfer: Lookup, name: str) -> StoredArtifact | None:
    report = read_report(transfer.value) if isinstance(transfer, Present) else ""
    return None if isinstance(report, str) else report.get(name)


def _as_told(stored: StoredArtifact) -> str:
    """What identifies an artifact in a Pod: its path on the claim, which is mounted, else its digest."""
    on_claim = stored.location.startswith("claim:")
    return stored.location.removeprefix("claim:") if on_claim else stored.sha256


def _told(pod_spec: Mapping[str, Any], name: str) -> str | None:
    """The same, as the Pod has it for that input; None if it is told nothing."""
    for order in orders_of(pod_spec, INPUTS_CONTAINER):
        if order["name"] == name:
            digest: str = order["sha256"]
            return digest
    path = f"{DEFAULT_INPUT_DIRECTORY}/{name}"
    main = main_container(pod_spec)
    for container in (*pod_spec["containers"], *pod_spec.get("initContainers", ())):
        for mount in container.get("volumeMounts", ()) if container["name"] == main else ():
            if mount["mountPath"] == path and mount["name"] == ARTIFACTS_CLAIM:
                place: str = mount["subPath"]
                return place
    return None


class LawCheck:
    """A watcher that holds every decision against every law, and counts how often each was asked.

    Rows are written and read once for each record: a record that is the same object as before has been held against
    its row already. Cost: about that of deciding three times.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._reads = Reads()
        self._writes = Writes()

    def __call__(self, flow: Flow, _observed: Observed, now: Instant, decision: Decision) -> None:
        twins(flow, now, decision, reads=self._reads)
        status = self._writes(decision.state)
        memory(decision, status, reads=self._reads)
        awake(now, decision)
        silence(now, decision)
        quiet(now, decision)
        reasons(decision)
        order(decision)
        absorbing(self._reads(flow.obj.get("status")), decision, reads=self._reads)
        slots(decision)
        fence(decision, status)
        artifacts(decision)
        self.asked["decisions"] += 1
