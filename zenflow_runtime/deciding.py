"""One decision about one flow: what the core is handed, and what the flow remembers of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

from attrs import evolve

from zenflow_core.actions import DeleteFlow, NudgeJob, RecordStatus
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.decision import Decision
from zenflow_core.observation import Observed, Refused, Seen
from zenflow_core.plan import Plan, refused_plan
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import advance, reconcile
from zenflow_core.recording import record_status, rows_are_kept
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import JobFlow
from zenflow_core.state import JobRef
from zenflow_core.status import running_jobs
from zenflow_runtime.flows import Basis, Flow

NOTE_AFTER: Final = timedelta(seconds=15)
"""So long a Job's uid waits for another write of its flow to travel with. Short steps cost no write more for it."""

Compiler: TypeAlias = Callable[[Mapping[str, Any]], Plan | None]
"""Gives the plan of a flow object that the caller has compiled already; None: compile it."""


def doubt_jobs(flow: Flow) -> None:
    """Before a stored status is taken up, doubt what would contradict whoever has written it.

    These are the Jobs that the status knows and that no list and no watch has shown to this process, and those that
    are known to be going: another process may have recorded by now that they are gone. Two that go on contradicting
    each other write a status at each other's, as fast as the server answers.
    """
    for step, attempt, job in running_jobs(flow.obj.get("status")):
        known = flow.jobs.get(step, {}).get(attempt)
        # What was refused to us may have been given to another process since.
        if known is None or isinstance(known, Refused):
            flow.doubts[step, attempt] = job
    for step, attempts in flow.jobs.items():
        for attempt, known in attempts.items():
            if isinstance(known, Seen) and known.deleting:
                flow.doubts[step, attempt] = JobRef(known.name, known.uid)


def lacks_fence(flow: Flow, decision: Decision) -> bool:
    """Whether the decision acts on Jobs without recording anything first, from a view that may be an old one.

    A list or a watch can be of the past, most of all a fresh process' first one: its status may call for Jobs of a
    flow that has ended since. Then the flow has to be read by name before anything is done. Where a record comes
    first, the record is the fence.
    """
    if flow.confirmed or not decision.actions or isinstance(decision.actions[0], RecordStatus):
        return False
    return any(not isinstance(action, NudgeJob | DeleteFlow) for action in decision.actions)


def noted(flow: Flow, decision: Decision, now: Instant) -> Decision:
    """The decision, with what it learnt by the way written down once that has waited for `NOTE_AFTER`.

    The uid of a Job goes into the status with the next write of its flow. Where none comes, it gets one of its own:
    a process that starts later can then tell a Job that somebody deleted from one that was never created. Short
    steps cost no write more for that, and the Jobs of one wave share theirs.
    """
    unwritten = decision.state.unwritten
    if not unwritten or not rows_are_kept(decision.state):
        flow.unnoted_since = None
        return decision
    since = flow.unnoted_since
    since = now if since is None or since > now else since
    due = since + NOTE_AFTER
    if now < due:
        flow.unnoted_since = since
        wake_at = due if decision.wake_at is None else min(due, decision.wake_at)
        decision = evolve(decision, wake_at=wake_at)
    else:
        flow.unnoted_since = None
        flow.noted = True
        after = evolve(decision.state, unwritten=frozenset())
        record = record_status(decision.state, after, unwritten)
        decision = evolve(decision, state=after, actions=(record, *decision.actions))
    flow.state, flow.wake_at = decision.state, decision.wake_at
    return decision


def plan_of(flow: Flow, compile_with: Compiler | None = None, *, settings: Settings = DEFAULTS) -> Plan:
    """The flow's plan, compiled once a generation; of one that is not valid, the plan that says so."""
    if flow.plan is None and compile_with is not None:
        flow.plan = compile_with(flow.obj)
    if flow.plan is None:
        parsed = read_flow(flow.obj)
        plan = compile_plan(parsed, settings=settings) if isinstance(parsed, JobFlow) else parsed
        flow.plan = plan if isinstance(plan, Plan) else refused_plan(plan)
    return flow.plan


def decide(
    flow: Flow, now: Instant, *, compile_with: Compiler | None = None, settings: Settings = DEFAULTS
) -> tuple[Observed, Decision]:
    """Hand the core what is new, or everything if there is no state; what was given, and the answer.

    The flow's doubts have to be resolved. Cost: that of `advance` or `reconcile`, and of the plan once a generation.
    """
    plan = plan_of(flow, compile_with, settings=settings)
    state = flow.state
    observed = flow.observed(everything=state is None)
    flow.handed_over()
    noted_before, flow.noted = flow.noted, False
    if state is None:
        flow.basis = Basis.STATUS
        decision = reconcile(plan, flow.obj.get("status"), observed, now=now)
    else:
        flow.basis = Basis.NOTED if noted_before else Basis.MEMORY
        decision = advance(state, observed, now)
    flow.decisions += 1
    flow.state, flow.wake_at = decision.state, decision.wake_at
    return observed, decision
