"""A flow's life as short text, one line a move, so that a change of behaviour is read as a diff.

    00:00  build Pending→Running Admitted(1)              + Job nightly-build-1
    00:40  build Running→Pending AttemptFailed(1 JobLost) ~ BacksOff until 00:50
    00:50  build Pending→Running Admitted(2)              + Job nightly-build-2

`+` a Job that is created, `-` one that is deleted, `~` what keeps the step, `*` what somebody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs
from attrs import field, frozen

from zenflow_core.actions import CreateClaim, CreateConfigMap, CreateJob, DeleteFlow, DeleteJob, NudgeJob
from zenflow_core.codec import read_flow, write_flow
from zenflow_core.compile import compile_plan
from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.observation import Absent, Lookup, Observed, Present
from zenflow_core.plan import ConfigMapKey, Plan
from zenflow_core.reasons import (
    AttemptFailed,
    Cause,
    FlowHold,
    Hold,
    Instant,
    KeptUntil,
    RetriesExhausted,
    WaitsFor,
    WaitsForMain,
)
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState
from zenflow_core.wave import Move
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.demands import demands_of
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.operator import Flow, Operator, Watcher
from zenflow_testing.outcomes import CalmOutcomes, Outcomes
from zenflow_testing.world import World

COLUMN: Final = 56
"""Where effects begin."""

TURNS: Final = 10_000
"""A life with more turns than this has no end."""


class Lifecycle:
    """A watcher that writes down what an operator decides about one flow."""

    def __init__(self, start: Instant) -> None:
        self._start = start
        self._lines: list[str] = []
        self._before: FlowState | None = None

    def __call__(self, _flow: Flow, _observed: Observed, now: Instant, decision: Decision) -> None:
        effects = self._effects(decision)
        last = {move.step: index for index, move in enumerate(decision.moves)}
        for index, move in enumerate(decision.moves):
            mine = [*effects.pop(move.step, ()), *self._held(decision, move.step)] if last[move.step] == index else []
            self._write(now, self._moved(move), mine)
        for step in decision.state.plan.by_name:
            mine = effects.pop(step, [])
            if mine or (step not in last and self._is_held_anew(decision, step)):
                self._write(now, step, [*mine, *self._held(decision, step)])
        self._flow_line(now, decision, effects)
        self._before = decision.state

    def note(self, now: Instant, text: str) -> None:
        """Write down what somebody else does."""
        self._write(now, f"* {text}", ())

    def text(self) -> str:
        """All lines so far."""
        return "".join(f"{line}\n" for line in self._lines)

    def _write(self, now: Instant, subject: str, effects: Iterable[str]) -> None:
        line = f"{self._clock(now)}  {subject}"
        told = "  ".join(effects)
        self._lines.append(f"{line:<{COLUMN}} {told}" if told else line)

    def _clock(self, at: Instant) -> str:
        seconds = int((at - self._start).total_seconds())
        hours, rest = divmod(seconds, 3600)
        minutes = f"{rest // 60:02}:{rest % 60:02}"
        return f"{hours}:{minutes}" if hours else minutes

    def _moved(self, move: Move) -> str:
        return f"{move.step} {move.origin.value}→{move.phase.value} {told(move.cause)}"

    def _effects(self, decision: Decision) -> dict[str, list[str]]:
        effects: dict[str, list[str]] = {}
        for action in decision.actions:
            match action:
                case CreateJob(step=step, name=name):
                    effects.setdefault(step, []).append(f"+ Job {name}")
                case DeleteJob(step=step, name=name):
                    effects.setdefault(step, []).append(f"- Job {name}")
                case NudgeJob(step=step, name=name):
                    effects.setdefault(step, []).append(f"! Job {name} is nudged")
                case CreateClaim(ref=ref, name=name) | CreateConfigMap(ref=ref, name=name):
                    effects.setdefault("", []).append(f"+ {ref.kind.value} {name}")
                case DeleteFlow(name=name):
                    effects.setdefault("", []).append(f"- JobFlow {name}")
                case _:
                    pass
        return effects

    def _held(self, decision: Decision, step: StepName) -> list[str]:
        rank = decision.state.plan.by_name[step]
        return [f"~ {self._hold(hold)}" for hold in decision.state.records[rank].holds]

    def _hold(self, hold: Hold | FlowHold) -> str:
        if isinstance(hold, WaitsFor):
            return f"WaitsFor {', '.join(hold.steps)}"
        return reason_of(hold) if hold.until is None else f"{reason_of(hold)} until {self._clock(hold.until)}"

    def _is_held_anew(self, decision: Decision, step: StepName) -> bool:
        """Whether something else than steps before it keeps the step now."""
        rank = decision.state.plan.by_name[step]
        holds = decision.state.records[rank].holds
        before = self._before.records[rank].holds if self._before is not None else ()
        return holds != before and any(not isinstance(hold, WaitsFor | WaitsForMain) for hold in holds)

    def _flow_line(self, now: Instant, decision: Decision, effects: Mapping[str, Sequence[str]]) -> None:
        state, old = decision.state, self._before
        mine = list(effects.get("", ()))
        if old is None or old.record.phase is not state.record.phase:
            ready = next(c for c in state.record.conditions if c.type == "Ready")
            origin = "" if old is None else f"{old.record.phase.value}→"
            mine += [f"~ {self._hold(hold)}" for hold in state.record.holds if not isinstance(hold, KeptUntil)]
            self._write(now, f"[{state.flow.name}] {origin}{state.record.phase.value} {ready.reason}", mine)
        elif mine:
            self._write(now, f"[{state.flow.name}]", mine)


def told(cause: Cause) -> str:
    """A cause in short: its name, and the first word or number that it carries."""
    data: list[str] = []
    for name in attrs.fields_dict(type(cause)):
        value = getattr(cause, name)
        if isinstance(value, str | int) and value != "":
            data.append(str(value))
            break
    if isinstance(cause, AttemptFailed | RetriesExhausted):
        data.append(type(cause.failure).__name__)
    return reason_of(cause) + (f"({' '.join(data)})" if data else "")


# --- playing one -----------------------------------------------------------------------------------------------------

Deed: TypeAlias = Callable[[Cluster], object]


@frozen
class Happening:
    """Something that somebody else does, so many seconds after the flow was created."""

    after: int
    what: str
    do: Deed = field(repr=False)


def play(
    manifest: Mapping[str, Any],
    outcomes: Outcomes | None = None,
    *,
    happenings: Sequence[Happening] = (),
    prepare: Deed | None = None,
    watcher: Watcher | None = None,
    uid: str = "0a0a0a0a-0000-4000-8000-000000000001",
    settings: Settings = DEFAULTS,
) -> str:
    """The life of a flow, told line by line, up to its end or until nothing can move it any more.

    `prepare` is shown the cluster before the flow is created, `watcher` every
    decision. Raises ValueError for a manifest that is not valid, with its problems.
    """
    flow, plan = _compiled(manifest, settings)
    clock = VirtualClock()
    life = Lifecycle(clock.now)
    cluster = Cluster(clock)
    garbage = GarbageCollector(cluster)
    world = World(cluster, outcomes or CalmOutcomes(), demands=demands_of(plan))
    namespace = flow.metadata.namespace or "default"
    state: list[FlowState] = []

    def watch(known: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        life(known, observed, now, decision)
        state[:] = [decision.state]
        if watcher is not None:
            watcher(known, observed, now, decision)

    def read(ref: ConfigMapKey) -> Lookup:
        value = world.config_map_value(ref.name, ref.key, namespace=namespace)
        return Absent(f"ConfigMap {ref.name} has no key {ref.key}") if value is None else Present(value)

    operator = Operator(cluster, read_input=read, watcher=watch, settings=settings)
    if prepare is not None:
        prepare(cluster)
    cluster.preset_uid("JobFlow", uid)
    obj = cluster.create("JobFlow", write_flow(flow), namespace=namespace)
    asked: set[StepName] = set()
    coming = sorted(happenings, key=lambda happening: happening.after)
    for _ in range(TURNS):
        operator.call()
        for step, record in zip(plan.steps, state[0].records, strict=True):
            if record.phase.value == "PendingApproval" and step.name not in asked and record.started_at is not None:
                asked.add(step.name)
                world.approval_asked(obj, step.name, at=record.started_at)
        if state[0].record.completed_at is not None and state[0].tally.live == 0 and not coming:
            return life.text()
        due: list[datetime] = [at for at in (world.next_due(), garbage.next_due(), operator.next_wake()) if at]
        if coming:
            due.append(life._start + timedelta(seconds=coming[0].after))
        if not due:
            life.note(clock.now, "nothing can move this flow any more")
            return life.text()
        clock.advance_to(max(min(due), clock.now))
        while coming and life._start + timedelta(seconds=coming[0].after) <= clock.now:
            happening = coming.pop(0)
            life.note(clock.now, happening.what)
            happening.do(cluster)
        world.run_due()
        garbage.run_due()
    raise AssertionError(f"no end after {TURNS} turns:\n{life.text()}")


def _compiled(manifest: Mapping[str, Any], settings: Settings) -> tuple[JobFlow, Plan]:
    flow = read_flow(manifest)
    if not isinstance(flow, JobFlow):
        raise ValueError("\n".join(map(str, flow)))
    plan = compile_plan(flow, settings=settings)
    if not isinstance(plan, Plan):
        raise ValueError("\n".join(map(str, plan)))
    return flow, plan
