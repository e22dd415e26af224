"""A flow as it stands on a cluster: the stored status read as the core reads it, and as a life for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.facts import reason_of
from zenflow_core.observation import Complete, Failed, FlowSeen
from zenflow_core.plan import Plan, refused_plan
from zenflow_core.reading import parse_attempt, read_flow_seen, read_job
from zenflow_core.reasons import Admitted, ApprovalRequested, AttemptFailed, Instant, JobFailed
from zenflow_core.restoring import decode
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowPhase, FlowState, StepPhase, StepRecord
from zenflow_core.version import DECIDED_BY
from zenflow_runtime.cli.kubeconfig import Trouble
from zenflow_runtime.kube import Object
from zenflow_testing.chronicle import Attempt, Entry, Simulation

_SECOND: Final = timedelta(seconds=1)
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)


@frozen(eq=False)
class Standing:
    """A flow, what its stored status says, and when that was looked at."""

    obj: Object
    state: FlowState
    at: Instant

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state.record.completed_at is not None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state.record.phase is FlowPhase.SUCCEEDED

    @property
    def began(self) -> Instant:
        """Since when it counts: its start, before that its creation."""
        return self.state.record.started_at or self.state.flow.created_at

    @property
    def spent(self) -> timedelta:
        """How long it took, or takes so far."""
        return max((self.state.record.completed_at or self.at) - self.began, timedelta(0))


class Plans:
    """Plans by flow and generation: a flow that is followed is compiled once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Plan] = {}

    def of(self, obj: Object, seen: FlowSeen) -> Plan:
        """The plan; of a flow that is not valid the one of an operator, which has no steps. Cost: 0.1 ms a step."""
        key = (seen.uid, seen.generation)
        if key not in self._known:
            parsed = read_flow(obj)
            plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else parsed
            self._known = {key: plan if isinstance(plan, Plan) else refused_plan(plan)}
        return self._known[key]


def standing(obj: Object, now: datetime, plans: Plans | None = None) -> Standing | Trouble:
    """What the object says; or that it was written by something that this version cannot read."""
    try:
        seen = read_flow_seen(obj)
        plan = (plans or Plans()).of(obj, seen)
        return Standing(obj, decode(plan, seen, obj.get("status")), now)
    except _UNREADABLE as error:
        name, status = (obj.get("metadata") or {}).get("name"), obj.get("status")
        by = (status if isinstance(status, dict) else {}).get("decidedBy") or "something that does not name itself"
        what = f"the status of flow {name} was written by {by}, and {DECIDED_BY} cannot read it ({_short(error)})"
        return Trouble(what, "install the same version here and on the cluster; `-o yaml` shows it as it is")


def version_note(obj: Object) -> str:
    """What to know if the status is another version's; "" if it is ours."""
    status = obj.get("status") or {}
    by = status.get("decidedBy")
    if by == DECIDED_BY or not status.get("phase"):
        return ""
    return f"the status was written by {by or 'an operator that does not name itself'}; this is {DECIDED_BY}"


def is_over(obj: Object) -> bool:
    """Whether the flow has ended, by its status alone."""
    return bool((obj.get("status") or {}).get("completionTime"))


def step_names(obj: Object) -> list[str]:
    """The names of all steps, `finally` included, by the spec alone."""
    spec = obj.get("spec") or {}
    return [str(step["name"]) for part in ("steps", "finally") for step in spec.get(part) or () if "name" in step]


def phase_of(obj: Object) -> str:
    """The flow's phase; of one that no operator has looked at, Pending."""
    return str((obj.get("status") or {}).get("phase") or FlowPhase.PENDING.value)


def message_of(obj: Object) -> str:
    """The words of the condition that says why the flow is where it is."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((str(each["message"]) for each in conditions if each.get("message")), "")


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]


# --- a life out of a state -------------------------------------------------------------------------------------------


def life_of(found: Standing, jobs: Iterable[Mapping[str, Any]] = ()) -> Simulation:
    """The flow's life so far, for charts and pages: rows of the status, and earlier attempts as their Jobs tell.

    A status keeps no history: what is not in a row and has no Job any more is not in it.
    """
    state = found.state
    attempts: dict[StepName, tuple[Attempt, ...]] = {}
    timeline: list[Entry] = []
    earlier = _earlier(state, jobs)
    for step, record in zip(state.plan.steps, state.records, strict=True):
        entries, runs = _moves(step.name, record, earlier.get(step.name, {}), manual=step.manual)
        timeline += entries
        if runs:
            attempts[step.name] = runs
    timeline.sort(key=lambda entry: entry.at)
    return Simulation(
        flow=state.flow.name,
        namespace=state.flow.namespace,
        state=state,
        started_at=found.began,
        # A flow that goes on is drawn until now.
        ended_at=state.record.completed_at or max(found.at, found.began + _SECOND),
        timeline=tuple(timeline),
        attempts=attempts,
        stuck=False,
        decisions=0,
    )


_Earlier: TypeAlias = dict[int, tuple[Instant, Instant, str]]


def _earlier(state: FlowState, jobs: Iterable[Mapping[str, Any]]) -> dict[StepName, _Earlier]:
    """Attempts that are over while their step is not: begin, end and reason, as far as their Jobs are still there."""
    found: dict[StepName, _Earlier] = {}
    for job in jobs:
        try:
            identity, seen = parse_attempt(job), read_job(job)
        except _UNREADABLE:
            continue
        if identity is None or seen is None or identity.flow_uid != state.flow.uid:
            continue
        rank = state.plan.by_name.get(identity.step)
        if rank is None or not isinstance(seen.outcome, Complete | Failed):
            continue
        record = state.records[rank]
        if seen.attempt < record.attempt or (seen.attempt == record.attempt and record.started_at is None):
            reason = seen.outcome.reason if isinstance(seen.outcome, Failed) else ""
            ended = max(seen.outcome.at, seen.created_at)
            found.setdefault(identity.step, {})[seen.attempt] = (seen.created_at, ended, reason)
    return found


def _moves(
    name: StepName, record: StepRecord, earlier: _Earlier, *, manual: bool
) -> tuple[list[Entry], tuple[Attempt, ...]]:
    entries: list[Entry] = []
    runs: list[Attempt] = []
    pending, running = StepPhase.PENDING, StepPhase.RUNNING
    for number, (began, ended, reason) in sorted(earlier.items()):
        failed = AttemptFailed(number, JobFailed(ended, reason), ended)
        entries.append(Entry(began, name, pending, running, Admitted(number, began)))
        entries.append(Entry(ended, name, running, pending, failed))
        runs.append(Attempt(number, began, ended, reason_of(failed)))
    started, over, cause = record.started_at, record.finished_at, record.cause
    origin = pending
    if started is not None and (manual or record.attempt):
        origin = StepPhase.PENDING_APPROVAL if manual else running
        opened = ApprovalRequested(started) if manual else Admitted(record.attempt, started)
        entries.append(Entry(started, name, pending, origin, opened))
        ending = reason_of(cause) if over is not None and cause is not None else ""
        runs.append(Attempt(max(record.attempt, 1), started, over, ending))
    if over is not None and cause is not None:
        entries.append(Entry(over, name, origin, record.phase, cause))
    return entries, tuple(runs)


__all__ = [
    "Plans",
    "Standing",
    "is_over",
    "life_of",
    "message_of",
    "phase_of",
    "standing",
    "step_names",
    "version_note",
]
