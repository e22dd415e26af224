"""One flow on the cluster of the cases, with a Job controller beside it: Jobs end as a script says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from zenflow_core.names import resource_name
from zenflow_core.plan import KeyRead, Plan, ResourceKind
from zenflow_core.state import FlowPhase, FlowState, StepPhase
from zenflow_testing.cases.expectations import Expectation, Never
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.history import ApiError, ClockJump, Happening, HoldDeletes, NameTaken, OperatorCrashOn
from zenflow_testing.cases.journal import Decided
from zenflow_testing.cases.playing import NAMESPACE
from zenflow_testing.cases.runner import Run
from zenflow_testing.demands import demands_of
from zenflow_testing.faults.script import Injection
from zenflow_testing.outcomes import Outcomes
from zenflow_testing.plugin.loading import Loaded
from zenflow_testing.world import World

_TURNS: Final = 100_000
_OVER: Final = (FlowPhase.SUCCEEDED.value, FlowPhase.FAILED.value)


_IN_WAIT: Final = (ApiError, OperatorCrashOn, HoldDeletes, NameTaken, ClockJump)
"""Events that concern what comes later: before anything else they stand before the flow's creation."""


class Endless(AssertionError):  # noqa: N818 - a broken law, named like one
    """The flow goes on for ever: more happens than any flow needs."""


class Life(Run):
    """A case that is played as it is written: time moves as far as it is told to."""

    def __init__(self, loaded: Loaded, outcomes: Outcomes) -> None:
        names: dict[str, tuple[str, ...]] = {step.name: () for step in loaded.plan.steps}
        watched = Expectation(end=True, never=Never(steps=names))
        super().__init__(Case(id=loaded.called, flow=loaded.manifest, until=math.inf, expect=(watched,)))
        self.plan = loaded.plan
        self.world = World(self.cluster, outcomes, demands=demands_of(loaded.plan))
        self._answered = 0
        self._make_config_maps(loaded.plan, outcomes)
        self._created = False

    def begin(self) -> None:
        """The flow is created, if it is not there yet."""
        if not self._created:
            self._created = True
            self.stage.create_main(self.case.flow, None)
            self.settle()

    def _make_config_maps(self, plan: Plan, outcomes: Outcomes) -> None:
        """ConfigMaps that the flow reads are there, as the outcomes say: by default each key holds `name.key`.

        Those that the flow makes itself (`resourceTemplates`) are not: it would find their names taken.
        """
        made = {
            resource_name(self.stage.main, each.name) for each in plan.resources if each.kind is ResourceKind.CONFIG_MAP
        }
        wanted: dict[str, dict[str, str]] = {}
        for step in plan.steps:
            for given in step.inputs:
                if isinstance(given.source, KeyRead):
                    ref = given.source.ref
                    if ref.name in made:
                        continue
                    value = outcomes.config_map(ref.name, ref.key)
                    if value is not None:
                        wanted.setdefault(ref.name, {})[ref.key] = value
        for name, data in wanted.items():
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            self.cluster.create("ConfigMap", body, namespace=NAMESPACE)

    @property
    def status(self) -> dict[str, Any]:
        """The flow's status as it is, or last was."""
        return self.journal.last_seen.get(self.stage.main, {}).get("status") or {}

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return self.status.get("phase") in _OVER

    @property
    def state(self) -> FlowState | None:
        """What a process remembers of the flow; None if none does."""
        for process in self.processes.values():
            for flow in process.operator.flows.values():
                if flow.seen.name == self.stage.main and flow.state is not None:
                    return flow.state
        return None

    def _waits_for_people(self) -> bool:
        """Whether an approval is asked for that nobody will answer, and nothing else goes on but deadlines."""
        state = self.state
        if state is None or not state.tally.approvals or self.world.next_due() is not None:
            return False
        return not any(
            record.phase is StepPhase.RUNNING
            or (record.phase is StepPhase.PENDING and any(hold.until is not None for hold in record.holds))
            for record in state.records
        )

    def settle(self, *, everyone: bool = False) -> None:
        """All that is to be done at this instant is done."""
        while True:
            self._settle(everyone=everyone)
            everyone = False
            self._ask_people()
            if not self.world.run_due():
                return

    def _ask_people(self) -> None:
        entries = self.journal.entries
        for entry in entries[self._answered :]:
            if isinstance(entry, Decided) and entry.flow == self.stage.main:
                for move in entry.moves:
                    if move.phase is StepPhase.PENDING_APPROVAL:
                        flow = self.journal.last_seen[self.stage.main]
                        self.world.approval_asked(flow, move.step, at=self.clock.now)
        self._answered = len(entries)

    def happen(self, event: Happening) -> None:
        """Something that the cluster, its users or the operator's processes do; what lies in wait, before all else."""
        if isinstance(event, _IN_WAIT) and not self._created:
            self._let(event)
            return
        self.begin()
        for each in self.stage.spread(event):
            everyone = self._let(each)
            self.settle(everyone=everyone)

    def lie_in_wait(self, script: Iterable[Injection]) -> None:
        """Let these faults strike at their points. Before the flow is created."""
        for number, each in enumerate(script):
            event, path = each.event, f"faults[{number}]"
            if event.after is None:
                self.triggers.follow(event.at, event, path)
            elif not self.triggers.arm(event, path):
                self._all(event, path)

    def go_on(self, until: float | None) -> None:
        """Time passes: up to `until`, or (None) until the flow is over or nothing can move it any more."""
        self.begin()
        self.settle()
        for _ in range(_TURNS):
            if until is None and (self.over or self._waits_for_people()):
                return
            due = self._next()
            if due == math.inf or (until is not None and due > until):
                break
            self._move_to(due)
            self.settle()
        else:
            raise Endless(f"more than {_TURNS:,} things happened by {self.journal.now:g} s")
        if until is not None:
            self._move_to(until)
            self.settle()

    def _next(self) -> float:
        """When something is due next, in seconds."""
        at = self.world.next_due()
        mine = math.inf if at is None else math.ceil(self.journal.seconds(at))
        return max(min(mine, self._due()), self.journal.now)
