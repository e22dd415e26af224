"""Plays a case on a real control plane, in real time: a namespace, users, a kubelet, and real operators in between.

The same program, stage, journal and judge as on the cluster in memory. Events happen when their time has come;
an assertion may take until the next event to become true, as real controllers need their time. After the last
of them what has to hold at the end is waited for, and what must never happen is judged then.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import anyio
from anyio.from_thread import BlockingPortal
from attrs import define, evolve, frozen

from tests.cluster.cases_cluster import LiveCluster, LiveNamespace
from tests.cluster.cases_kubelet import LiveJobs
from tests.cluster.cases_wire import Views, Wire
from tests.cluster.controlplane import ControlPlane, eventually
from zenflow_core.settings import DEFAULTS
from zenflow_core.settings import Settings as FlowSettings
from zenflow_runtime.clock import WallClock
from zenflow_runtime.events import EventMode
from zenflow_runtime.flows import Flow
from zenflow_runtime.operator import Operator
from zenflow_runtime.settings import ElectionMode, Settings
from zenflow_testing.cases import history as h
from zenflow_testing.cases.expectations import Expectation
from zenflow_testing.cases.faults import Faults, Gate
from zenflow_testing.cases.format import CaseFile
from zenflow_testing.cases.history import Impossible
from zenflow_testing.cases.journal import Journal
from zenflow_testing.cases.judging import Judge
from zenflow_testing.cases.playing import Stage
from zenflow_testing.cases.program import checks, program, watched
from zenflow_testing.cases.runner import Failure, Result
from zenflow_testing.events import Event

T = TypeVar("T")

LATE_SECONDS: Final = 4.0
"""How much later than in a simulation a thing may be seen: the Job controller looks once a second."""

EARLY_SECONDS: Final = 1.0
"""How much earlier: Kubernetes' instants are whole seconds, so what is counted from them may come so much sooner."""

QUIET_SECONDS: Final = 3.0
"""How long nothing forbidden may happen after the last event of a case."""

_POLL_SECONDS: Final = 0.1


class OwnClock:
    """A process' own clock, which the case may set."""

    def __init__(self, shift: timedelta) -> None:
        self._true = WallClock()
        self.shift = shift

    @property
    def now(self) -> datetime:
        return self.exact.replace(microsecond=0)

    @property
    def exact(self) -> datetime:
        return self._true.exact + self.shift


@define(eq=False)
class Process:
    """One operator process of a case, in the event loop that all share."""

    name: str
    gate: Gate
    clock: OwnClock
    operator: Operator | None = None
    scope: anyio.CancelScope | None = None
    alive: bool = True
    error: str = ""

    @property
    def flows(self) -> Mapping[str, Flow]:
        """The flows that it knows, by uid. Its own clock is the one that rings."""
        known = {} if self.operator is None else dict(self.operator.ledger.flows)
        return {uid: evolve(flow, rings_at=flow.wake_at) for uid, flow in known.items()}


def _has_looked(process: Process) -> bool:
    operator = process.operator
    if not process.alive:
        return True
    return operator is not None and all(each.synced.is_set() for each in operator.reflectors)


@frozen
class Ground:
    """What all cases share: a control plane without nodes, its watches, and an event loop for the operators."""

    plane: ControlPlane
    cluster: LiveCluster
    portal: BlockingPortal


def alone_in(namespace: str, flows: FlowSettings) -> Settings:
    """One operator for that namespace: without an election, a port or Events."""
    return Settings(
        watch_namespace=namespace, election=ElectionMode.DISABLED, port=0, events=EventMode.NONE, flows=flows
    )


class LiveRun:
    """One case on its way. Use `run_live`."""

    def __init__(self, loaded: CaseFile, ground: Ground, namespace: str, *, until: float) -> None:
        self._case = case = loaded.case
        self._ground = ground
        self._until = min(until, case.until)
        self._live = LiveNamespace(ground.cluster, namespace)
        self._versions: list[tuple[float, int]] = [(-math.inf, self._live.version())]
        self._live.subscribe(self._saw)
        self.journal = Journal(self._live, clock=WallClock(), watched_steps=watched(case.expect))
        self.journal.begins = datetime.now(UTC)
        self._faults = Faults(self.journal, lambda _: None)
        self._stage = Stage(self._live, LiveJobs(self._live), self.journal, faults=self._faults, namespace=namespace)
        self._stage.name_main(case.flow, case.flow_text)
        self._judge = Judge(case, self._live, self.journal, self._stage, early=EARLY_SECONDS, late=LATE_SECONDS)
        self._views = Views()
        self._processes: dict[str, Process] = {}

    def _saw(self, event: Event) -> None:
        self._versions.append((self.journal.now, event.resource_version))

    # Processes

    def _start(self, name: str) -> None:
        shift = self._processes[name].clock.shift if name in self._processes else timedelta(0)
        process = Process(name, Gate(name, self.journal, self._faults), OwnClock(shift))
        self._processes[name] = process
        self._ground.portal.start_task_soon(self._operate, process)

    async def _operate(self, process: Process) -> None:
        """The life of one process: until it is cancelled."""

        def die(why: str) -> None:
            process.alive = False
            self.journal.died(process.name, why)
            scope.cancel()

        wire = Wire(self._ground.plane.http(), process.gate, self.journal, live=self._live, views=self._views, die=die)
        with anyio.CancelScope() as scope:
            process.scope = scope
            process.operator = Operator(
                self._ground.plane.operator_config,
                wire,
                alone_in(self._live.namespace, DEFAULTS),
                identity=f"{self._live.namespace}-{process.name}",
                clock=process.clock,
                watcher=lambda flow, _seen, _now, decision: self.journal.decided(
                    process.name, flow.seen.name, decision
                ),
            )
            try:
                await process.operator.run()
            except Exception as error:  # noqa: BLE001 - whatever ends a process is what the case has to say
                process.error = f"{type(error).__name__}: {error}"
        process.alive = False

    def _await_caches(self) -> None:
        """In a simulation a process has looked before anything happens; a real one needs its time for that."""
        for process in self._processes.values():
            eventually(functools.partial(_has_looked, process), "the operator to look")

    def _stop(self, process: Process) -> None:
        process.alive = False
        scope = eventually(lambda: process.scope, "the process to begin")
        self._ground.portal.call(scope.cancel)

    # Events

    def _happen(self, event: h.Happening) -> None:
        for each in self._once_possible(lambda: tuple(self._stage.spread(event))):
            note = self._once_possible(functools.partial(self._let, each))
            self.journal.happened(each, note)

    def _once_possible(self, act: Callable[[], T]) -> T:
        """What an event needs may not be there yet: a Job, its Pod. Raises Impossible if it does not come."""
        until = self.journal.now + LATE_SECONDS
        while True:
            try:
                return act()
            except Impossible:
                if self.journal.now >= until:
                    raise
            time.sleep(_POLL_SECONDS)

    def _let(self, event: h.Happening) -> str:
        match event:
            case h.CacheFreeze(kinds=kinds):
                for kind in kinds:
                    self._views.freeze(kind, str(self._versions[-1][1]))
            case h.CacheRewind(kind=kinds, to=to):
                past = self.journal.now - (event.back or 0.0) if to is None else to
                version = str(max(v for at, v in self._versions if at <= past))
                for kind in kinds:
                    self._views.rewind(kind, version)
            case h.CacheThaw(kinds=kinds):
                for kind in kinds:
                    self._views.thaw(kind)
            case h.WatchExpired(kinds=kinds):
                for kind in kinds:
                    self._views.thaw(kind)
                    self._views.end(kind)
            case h.OperatorCrash(instance=name):
                self._stop(self._processes[name])
            case h.OperatorCrashOn(instance=name):
                self._processes[name].gate.die_on(event)
            case h.OperatorStart(instance=name):
                self._start(name)
            case h.ClockJump(instance=name, seconds=seconds):
                self._processes[name].clock.shift += timedelta(seconds=seconds)
            case h.HoldDeletes() | h.NamespaceTerminating():
                raise AssertionError("such a case is left out: cases_left_out.py")
            case h.Poke():
                pass
            case _:
                return self._stage.play(event)
        return ""

    # Time

    def _sleep_until(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds - self.journal.now))

    def play(self) -> Iterator[Failure]:
        """The whole history; yields what was not as it should be."""
        self._start("a")
        todo: list[tuple[float, int, Callable[[float], Iterator[Failure]]]] = []
        for number, (at, event, path) in enumerate(program(self._case)):
            todo.append((at, number, self._event(event, path)))
        last = max(at for at, _, _ in todo)
        final: list[tuple[int, Expectation]] = []
        for at, index, entry in checks(self._case):
            if entry.at is None:
                final.append((index, entry))
            else:
                # At one instant events come first.
                todo.append((at, len(todo) + 1_000_000, self._checked(index, entry)))
                last = max(last, at)
        todo.sort(key=lambda each: each[:2])
        for position, (at, _, act) in enumerate(todo):
            if at >= 0:
                self._sleep_until(at)
            following = todo[position + 1][0] if position + 1 < len(todo) else math.inf
            yield from act(following)
        self._sleep_until(last + QUIET_SECONDS)
        yield from self._end(final)

    def _event(self, event: h.Happening | None, path: str) -> Callable[[float], Iterator[Failure]]:
        def act(_following: float) -> Iterator[Failure]:
            try:
                if event is not None:
                    self._happen(event)
                else:
                    self._await_caches()
                    self.journal.begins = datetime.now(UTC)
                    self._stage.create_main(self._case.flow, self._case.flow_text)
            except Impossible as error:
                what = "the flow" if event is None else type(event).__name__
                yield Failure(path, None, self.journal.now, f"{what} can happen", found=str(error))

        return act

    def _checked(self, index: int, entry: Expectation) -> Callable[[float], Iterator[Failure]]:
        def act(following: float) -> Iterator[Failure]:
            yield from self._judged(index, entry, until=min(following, self.journal.now + LATE_SECONDS))

        return act

    def _end(self, final: list[tuple[int, Expectation]]) -> Iterator[Failure]:
        for index, entry in final:
            yield from self._judged(index, entry, until=self._until)

    def _judged(self, index: int, entry: Expectation, *, until: float) -> Iterator[Failure]:
        """What does not hold of an entry, though it was given time to become true."""
        while True:
            at = self.journal.now
            failing = list(self._judge.block(entry, f"expect[{index}]", self._processes))
            if not failing or at >= until:
                break
            time.sleep(_POLL_SECONDS)
        for each in failing:
            yield Failure(each.path, None, at, each.expected, found=each.found, step=each.step)

    def close(self) -> None:
        """End its processes."""
        for process in self._processes.values():
            if process.alive:
                self._stop(process)


def run_live(loaded: CaseFile, file: Path, ground: Ground, *, namespace: str, until: float) -> Result:
    """Play a case in a namespace that exists, and judge it at the latest `until` seconds after its flow's creation."""
    run = LiveRun(loaded, ground, namespace, until=until)
    try:
        failures = tuple(run.play())
    finally:
        run.close()
    return Result(loaded.case, str(file), failures, run.journal)
