"""Plays a case: its history against the engine, event by event, and judges what came of it.

At one instant, in this order: what the garbage collector owes, the events of
the history (after each one the engine is called until it has nothing left to
do), wake-ups that nothing else has answered; then the assertions for that
instant. The engine is `zenflow_testing.operator` with the real core; every
process of the case is one of it, with its own memory, clock and view.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import define

from zenflow_core.observation import Observed
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_testing.cases import history as h
from zenflow_testing.cases.admission import JobFlowAdmission
from zenflow_testing.cases.client import Client
from zenflow_testing.cases.expectations import Expectation
from zenflow_testing.cases.faults import Crash, Faults
from zenflow_testing.cases.format import Case, CaseFile, read_case
from zenflow_testing.cases.history import Impossible
from zenflow_testing.cases.journal import Journal
from zenflow_testing.cases.judging import Judge
from zenflow_testing.cases.playing import FIRST_UID, NAMESPACE, Stage
from zenflow_testing.cases.program import checks, program, watched
from zenflow_testing.cases.properties import untrue
from zenflow_testing.cases.result import Failure, Result
from zenflow_testing.cases.setting import Setting, setting_of
from zenflow_testing.cases.told_jobs import ToldJobs
from zenflow_testing.cases.triggers import Counted, Triggers, aftermath
from zenflow_testing.cases.views import Views
from zenflow_testing.clock import EPOCH, SkewedClock, VirtualClock
from zenflow_testing.cluster import Cluster, ClusterLimits, SizeLimit
from zenflow_testing.events import Event
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.laws import ClusterLaws, LawCheck
from zenflow_testing.operator import Flow, HotLoop, Operator, Watcher, version_at
from zenflow_testing.watch import WATCHED

_ROUNDS: Final = 50
"""Times that all processes may be called in turn at one instant; beyond that they keep each other awake."""


@define
class Process:
    """One process of the engine."""

    name: str
    clock: SkewedClock
    client: Client
    operator: Operator
    alive: bool = True
    error: str = ""
    """What it raised and nobody caught."""

    @property
    def flows(self) -> Mapping[str, Flow]:
        """The flows that it knows, by uid."""
        return self.operator.flows


class Broken(Exception):  # noqa: N818 - a fact about a case, carried to `run_case`
    """The run cannot go on."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(found)
        self.path, self.expected, self.found = path, expected, found


class Run:
    """One case on its way. Use `run_case`."""

    def __init__(self, case: Case, *, setting: Setting | None = None, watcher: Watcher | None = None) -> None:
        self.case = case
        self.setting = setting_of(case) if setting is None else setting
        self._watchers = [each for each in (LawCheck() if case.laws else None, watcher) if each is not None]
        self.triggers = Triggers()
        self._waiting: list[tuple[h.Happening, str]] = []
        """Events that were to come in the middle of a write: they come as soon as it is over."""
        self._everyone = False
        begins = min([0.0, *(event.at for event in case.history[:1])])
        self.clock = VirtualClock(EPOCH + timedelta(seconds=begins))
        limits = ClusterLimits(case.limits.object_bytes, case.limits.annotation_bytes, refused_by=SizeLimit.FRONT)
        self.cluster = Cluster(self.clock, limits=limits, version=self.setting.version)
        self.admission = JobFlowAdmission(self.setting.known)
        self.cluster.admissions.append(self.admission)
        self.garbage = GarbageCollector(self.cluster)
        self.journal = Journal(self.cluster, clock=self.clock, watched_steps=watched(case.expect))
        self.faults = Faults(self.journal, self.garbage.pin)
        self.faults.requested = lambda name: self._counted(Counted.REQUESTS, name)
        self.faults.died = self._follow
        self.people = self.setting.furnish(self.cluster, NAMESPACE)
        jobs = ToldJobs(self.cluster, self.garbage, namespace=NAMESPACE)
        self.stage = Stage(self.cluster, jobs, self.journal, faults=self.faults, namespace=NAMESPACE)
        self.stage.name_main(case.flow, case.flow_text)
        self.views = Views()
        self.processes: dict[str, Process] = {}
        self.judge = Judge(case, self.cluster, self.journal, self.stage)
        self.cluster.subscribe(self._changed)
        if case.laws:
            self.cluster.subscribe(ClusterLaws())
        self._start("a")

    # Processes

    def _start(self, name: str) -> None:
        shift = self.processes[name].clock.shift if name in self.processes else timedelta(0)
        clock = SkewedClock(self.clock, shift)
        client = Client(name, self.cluster, self.journal, faults=self.faults)
        operator = Operator(
            self.cluster,
            watcher=_Watcher(self, name),
            compile_with=self.admission.plan_of,
            name=name,
            api=client,
            clock=clock,
            shown=self.views.shown,
        )
        self.processes[name] = Process(name, clock, client, operator)

    def _alive(self) -> list[Process]:
        return [each for _, each in sorted(self.processes.items()) if each.alive]

    def _process(self, name: str) -> Process:
        if name not in self.processes:
            raise Impossible(f"there is no process {name}; start it with OperatorStart")
        return self.processes[name]

    def _call(self, process: Process, *, everyone: bool) -> int:
        try:
            return process.operator.call(everyone=everyone)
        except Crash as crash:
            process.alive = False
            self.journal.died(process.name, str(crash))
            return 1
        except Broken:
            raise
        except HotLoop as loop:
            raise Broken("", "an engine that comes to rest", f"a hot loop: {loop}") from loop
        except Exception as error:
            process.alive = False
            process.error = "".join(traceback.format_exception_only(error)).strip()
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            self.journal.died(process.name, f"of an error that nobody caught: {process.error} ({where})")
            found = f"process {process.name} raised {process.error} (in {where})"
            raise Broken("", "no error that nobody catches", found) from error

    def _settle(self, *, everyone: bool = False) -> None:
        """Call every process until none has anything left to do."""
        for _ in range(_ROUNDS):
            done = self._surroundings()
            everyone = everyone or self._everyone
            self._everyone = False
            done += sum(self._call(process, everyone=everyone) for process in self._alive())
            everyone = False
            due = self.garbage.next_due()
            if not done and not self._waiting and (due is None or due > self.clock.now):
                return
        found = f"its processes keep each other awake at {self.journal.now:g} s"
        raise Broken("", "an engine that comes to rest", found)

    def _surroundings(self) -> int:
        """Everything that is due now but for the engine; how much there was besides garbage."""
        done = 0
        while True:
            self.garbage.run_due()
            happened = [*self._waiting, *self.triggers.due(self.journal.now)]
            self._waiting = []
            for event, path in happened:
                self._everyone = self._all(event, path) or self._everyone
            played = len(happened) + (0 if self.people is None else self.people.play(self.journal))
            if not played:
                return done
            done += played

    # Events

    def _happen(self, event: h.Happening, path: str) -> None:
        if event.after is not None and self.triggers.arm(event, path):
            return
        try:
            for each in self.stage.spread(event):
                everyone = self._let(each)
                self._settle(everyone=everyone)
        except Impossible as error:
            raise self._impossible(event, path, error) from error

    def _impossible(self, event: h.Happening, path: str, error: Impossible) -> Broken:
        self.journal.happened(event, f"impossible: {error}")
        return Broken(path, f"{type(event).__name__} can happen", str(error))

    def _all(self, event: h.Happening, path: str) -> bool:
        """Let it happen to all that it is about, without calling anybody."""
        try:
            # A list: every one of them has to happen.
            return max([self._let(each) for each in self.stage.spread(event)], default=False)
        except Impossible as error:
            raise self._impossible(event, path, error) from error

    def _follow(self, event: h.Happening) -> None:
        after = aftermath(event, self.journal.now)
        if after is not None:
            self.triggers.follow(*after, "")

    def _changed(self, event: Event) -> None:
        if event.kind not in WATCHED:
            return
        for each, path in self.triggers.count(Counted.EVENTS):
            if isinstance(each, h.CacheFreeze):
                self._all(each, path)
            else:
                self._waiting.append((each, path))

    def _counted(self, kind: Counted, process: str) -> None:
        """A process has sent a request or made a decision; it may have to die of that."""
        for event, path in self.triggers.count(kind):
            self._everyone = self._all(event, path) or self._everyone
        if not self.processes[process].alive:
            raise Crash("at that moment")

    def _let(self, event: h.Happening) -> bool:
        """Let it happen; whether the engine is then called for all flows."""
        match event:
            case h.CacheFreeze(kinds=kinds):
                for kind in kinds:
                    self.views.freeze(kind, self._operators(), version=self.cluster.resource_version)
            case h.CacheThaw(kinds=kinds):
                for kind in kinds:
                    self.views.thaw(kind, self._operators())
            case h.CacheRewind(kind=kinds, to=to, back=back):
                seconds = self.journal.now - (back or 0) if to is None else to
                version = version_at(self.cluster, EPOCH + timedelta(seconds=seconds))
                for kind in kinds:
                    self.views.rewind(kind, self._operators(), version=version)
            case h.WatchExpired(kinds=kinds):
                for kind in kinds:
                    self.views.expire(kind, self._operators())
            case h.OperatorCrash(instance=name):
                self._process(name).alive = False
            case h.OperatorCrashOn(instance=name):
                self._process(name).client.gate.die_on(event)
            case h.OperatorStart(instance=name):
                self._start(name)
            case h.ClockJump(instance=name, seconds=seconds):
                self._process(name).clock.jump(seconds)
            case h.HoldDeletes(kind=kind, seconds=seconds):
                self.cluster.hold_deletes(kind, seconds)
            case h.NamespaceTerminating():
                self.cluster.terminate_namespace(NAMESPACE)
            case h.Poke():
                pass
            case _:
                self.journal.happened(event, self.stage.play(event))
                return False
        self.journal.happened(event)
        if not isinstance(event, h.OperatorCrashOn):
            self._follow(event)
        return isinstance(event, h.Poke | h.CacheThaw | h.WatchExpired | h.OperatorStart)

    def _operators(self) -> list[Operator]:
        return [process.operator for process in self._alive()]

    # Time

    def _due(self) -> float:
        """When something is due that is no event: the engine's wake-ups and the garbage collector."""
        calls: list[datetime | None] = [process.operator.next_wake() for process in self._alive()]
        calls.append(self.garbage.next_due())
        calls.append(None if self.people is None else self.people.next_due())
        # The cluster's own clock has whole seconds: what is due within one is done at its end.
        mine = min((math.ceil(self.journal.seconds(at)) for at in calls if at is not None), default=math.inf)
        return min(mine, self.triggers.next_due())

    def _move_to(self, seconds: float) -> None:
        self.clock.advance_to(max(EPOCH + timedelta(seconds=seconds), self.clock.exact))

    def play(self) -> list[Failure]:
        """The whole history; answers with what was not as it should be."""
        failures: list[Failure] = []
        pending = sorted(checks(self.case), key=lambda each: each[0])
        todo = iter([*program(self.case), None])
        following = next(todo)
        position = 0
        while True:
            event_at = following[0] if following is not None else math.inf
            check_at = pending[position][0] if position < len(pending) else math.inf
            at = min(event_at, self._due())
            if check_at < at and check_at < self.case.until:
                self._move_to(check_at)
                failures += self._check(*pending[position])
                position += 1
            elif at <= self.case.until:
                self._move_to(at)
                if event_at <= at and following is not None:
                    self._step(following)
                    following = next(todo)
                else:
                    self._settle()
                    if self._due() <= self.journal.now:
                        found = f"something is due at {self.journal.now:g} s that nobody does"
                        raise Broken("", "an engine that comes to rest", found)
            else:
                break
        self._move_to(self.case.until)
        for check in pending[position:]:
            failures += self._check(*check)
        for each in untrue(self.case, self.journal):
            failures.append(Failure(f"always[{each.index}]", None, each.at, f"always {each.source}", found=each.why))
        return failures

    def _step(self, entry: tuple[float, h.Happening | None, str]) -> None:
        _, event, path = entry
        self.garbage.run_due()
        if event is not None:
            self._happen(event, path)
            return
        try:
            self.cluster.preset_uid("JobFlow", FIRST_UID)
            self.stage.create_main(self.case.flow, self.case.flow_text)
        except Impossible as error:
            raise Broken(path, "the flow can be created", str(error)) from error
        self._settle()

    # Assertions

    def _check(self, at: float, index: int, entry: Expectation) -> Iterator[Failure]:
        for failing in self.judge.block(entry, f"expect[{index}]", self.processes):
            yield Failure(failing.path, None, at, failing.expected, found=failing.found, step=failing.step)


class _Watcher:
    """Writes an instance's decisions down."""

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        run = self._run
        for watcher in run._watchers:
            watcher(flow, observed, now, decision)
        run.journal.decided(self._name, flow.seen.name, decision)
        run._counted(Counted.DECISIONS, self._name)


def judged(run: Run) -> list[Failure]:
    """What was not as it should be, also where the run could not go on."""
    try:
        return run.play()
    except Broken as broken:
        at = run.journal.now
        return [Failure(broken.path, None, at, broken.expected, found=broken.found)]


def run_case(loaded: CaseFile, *, file: str) -> Result:
    """Play a case and judge it. The same case gives the same result, to the byte."""
    run = Run(loaded.case)
    failures = judged(run)
    placed = tuple(
        Failure(f.path, loaded.position(f.path), f.at, f.expected, found=f.found, step=f.step) for f in failures
    )
    return Result(loaded.case, file, placed, run.journal)


def run_file(file: Path) -> Result | tuple[Problem, ...]:
    """Read a case file and play it, or say everything that is wrong with it. Raises OSError if it cannot be read."""
    loaded = read_case(file.read_bytes(), file=str(file))
    return run_case(loaded, file=str(file)) if isinstance(loaded, CaseFile) else loaded


__all__ = ["Failure", "Process", "Result", "judged", "run_case", "run_file"]
