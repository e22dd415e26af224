"""How the laws make a flow run: drawn flows on the in-memory cluster, with crashes where a test asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from zenflow_core.actions import Action, RecordStatus
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Absent, Lookup, Observed, Present
from zenflow_core.plan import ConfigMapKey, Plan
from zenflow_core.reconcile import Decision
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import JobFlow
from zenflow_core.state import FlowState
from zenflow_testing.clock import EPOCH, VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.demands import demands_of
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.operator import Flow, Operator, Watcher
from zenflow_testing.outcomes import Outcomes
from zenflow_testing.world import World

TURNS = 5_000
"""A run that takes more turns than this does not end."""


def compiled(manifest: Mapping[str, Any], settings: Settings = DEFAULTS) -> tuple[JobFlow, Plan]:
    """The drawn manifest as flow and plan; drawn flows are valid."""
    flow = read_flow(manifest)
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow, settings=settings)
    assert isinstance(plan, Plan), plan
    return flow, plan


class Crash(BaseException):
    """The operator process dies here."""


class CrashingOperator(Operator):
    """Dies before its n-th action, for every n in `deaths`; counts over all lives of the process."""

    performed = 0

    def __init__(self, *arguments: Any, deaths: Callable[[int], bool], done: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deaths = deaths
        self.performed = done

    def perform(self, flow: Flow, action: Action) -> bool:
        self.performed += 1
        if self._deaths(self.performed):
            raise Crash
        return super().perform(flow, action)


class Run:
    """One flow's life. `play` lets it happen."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        outcomes: Outcomes,
        *,
        watcher: Watcher | None = None,
        deaths: Callable[[int], bool] = lambda _: False,
        start: datetime = EPOCH,
        settings: Settings = DEFAULTS,
    ) -> None:
        self.flow, self.plan = compiled(manifest, settings)
        self.manifest = manifest
        self.clock = VirtualClock(start)
        self.cluster = Cluster(self.clock)
        self.garbage = GarbageCollector(self.cluster)
        self.world = World(self.cluster, outcomes, demands=demands_of(self.plan))
        self.deaths = deaths
        self.watcher = watcher
        self.created: list[str] = []
        self.decisions: list[Decision] = []
        self.state: FlowState | None = None
        self.crashes = 0
        self.cluster.subscribe(lambda e: self.created.append(e.name) if e.kind == "Job" and e.type == "ADDED" else None)
        self.operator = self._start(0)

    def _start(self, done: int) -> CrashingOperator:
        return CrashingOperator(
            self.cluster,
            read_input=self._read,
            watcher=self._saw,
            compile_with=lambda _: self.plan,
            deaths=self.deaths,
            done=done,
        )

    def _read(self, ref: ConfigMapKey) -> Lookup:
        value = self.world.config_map_value(ref.name, ref.key)
        return Absent() if value is None else Present(value)

    def _saw(self, flow: Flow, observed: Observed, now: datetime, decision: Decision) -> None:
        if self.watcher is not None:
            self.watcher(flow, observed, now, decision)
        self.state = decision.state
        self.decisions.append(decision)
        for step, record in zip(decision.state.plan.steps, decision.state.records, strict=True):
            if record.phase == "PendingApproval" and record.started_at is not None:
                self.world.approval_asked(flow.obj, step.name, at=record.started_at)

    def play(self) -> FlowState:
        """To the end of the flow; fails if it has none."""
        self.cluster.create("JobFlow", self.manifest, namespace="default")
        for _ in range(TURNS):
            self.turn()
            assert self.state is not None, "the first turn decides"
            if self.state.record.completed_at is not None and self._stored():
                return self.state
            due = [
                at
                for at in (self.world.next_due(), self.garbage.next_due(), self.operator.next_wake())
                if at is not None
            ]
            assert due, f"the flow waits for ever: {self.state.records}"
            self.clock.advance_to(max(min(due), self.clock.now))
            self.world.run_due()
            self.garbage.run_due()
        raise AssertionError(f"no end after {TURNS} turns")

    def turn(self) -> None:
        """Let the operator do all it can; a crash starts a fresh process."""
        while True:
            try:
                self.operator.call()
            except Crash:
                self.crashes += 1
                self.operator = self._start(self.operator.performed)
                self.clock.advance(1)
            else:
                return

    def _stored(self) -> bool:
        """Whether the end has reached the stored status (or the flow has been deleted since)."""
        flows = self.cluster.list("JobFlow", "default").items
        return all("completionTime" in f.get("status", {}) for f in flows)

    def summary(self) -> dict[str, tuple[str, str, int]]:
        """How each step ended: phase, reason, attempts."""
        assert self.state is not None, "it has been played"
        return {
            step.name: (record.phase.value, type(record.cause).__name__, record.attempt)
            for step, record in zip(self.state.plan.steps, self.state.records, strict=True)
        }


def shifted(value: Any, by: timedelta) -> Any:
    """A value with every instant in it moved."""
    from attrs import evolve, fields, has

    if isinstance(value, datetime):
        return value + by
    if isinstance(value, Mapping):
        return {key: shifted(item, by) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(shifted(item, by) for item in value)
    if has(type(value)):
        return evolve(value, **{f.name: shifted(getattr(value, f.name), by) for f in fields(type(value)) if f.init})
    return value


__all__ = ["Crash", "RecordStatus", "Run", "compiled", "shifted"]
