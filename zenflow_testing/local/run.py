"""A flow that really runs on this machine, from its first step to its last.

    run = LocalRun(flow, plan, folder=Path("work"), engine=Processes())
    ending = run.run()

One thread does everything: the operator, the Job controller, the garbage collector. It sleeps until a process ends, an
answer comes, or something is due; so a step costs what starting a process costs, and some milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from queue import Empty
from typing import Any, Final

from attrs import frozen

from zenflow_core.codec import write_flow
from zenflow_core.names import approval_key, rejection_key
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.wave import Move
from zenflow_testing.chronicle import Chronicle, Simulation
from zenflow_testing.cluster import Cluster
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.kinds import Object
from zenflow_testing.local import saved
from zenflow_testing.local.engine import Engine
from zenflow_testing.local.jobs import LocalJobs
from zenflow_testing.local.processes import Ended, Starter, Wrote
from zenflow_testing.operator import Flow, Operator
from zenflow_testing.wall_clock import WallClock

NAMESPACE: Final = "default"
SAVE_SECONDS: Final = 1.0
"""So much of a run is lost at most when this process is killed; the Jobs of that time start again."""
END_SECONDS: Final = 10.0
"""How long containers have to end once the run has been interrupted."""


class How(Enum):
    """How a run came to its end."""

    OVER = "over"
    STUCK = "stuck"
    """Nothing can move any more: it waits for an approval that nobody is asked for, or is suspended."""
    INTERRUPTED = "interrupted"


@frozen
class Ending:
    """The end of a run."""

    how: How
    life: Simulation
    running: tuple[tuple[StepName, timedelta], ...] = ()
    """What was running when it was interrupted, and for how long."""


@frozen
class Answer:
    """What somebody says to a request for approval."""

    step: StepName
    is_given: bool
    why: str = ""


@frozen
class Listener:
    """Who wants to know what happens, while it happens."""

    moved: Callable[[Instant, Move], None] = lambda _at, _move: None
    wrote: Callable[[StepName, str], None] = lambda _step, _line: None
    asked: Callable[[StepName, str], bool] = lambda _step, _message: False
    """Somebody must answer for this step, who is shown the message. False: nobody will."""
    idle: Callable[[datetime, Mapping[StepName, datetime]], None] = lambda _now, _running: None
    """Called every now and then with what runs since when."""


_IDLE_SECONDS: Final = 0.5


class LocalRun:
    """One run of a flow in a work directory. `objects` are ConfigMaps, Secrets and the like that it needs."""

    def __init__(
        self,
        flow: JobFlow,
        plan: Plan,
        *,
        folder: Path,
        engine: Engine,
        objects: Sequence[Object] = (),
        listener: Listener | None = None,
        resumed: saved.Saved | None = None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._listener = listener or Listener()
        self._clock = WallClock()
        self._cluster = Cluster(self._clock, uids=time.time_ns())
        self._garbage = GarbageCollector(self._cluster)
        self._starter = Starter(lines=True)
        self._jobs = LocalJobs(self._cluster, engine, self._starter, folder=folder / "steps")
        self._chronicle = Chronicle()
        self._operator = Operator(
            self._cluster,
            watcher=self._decided,
            compile_with=lambda obj: plan if obj["metadata"]["generation"] == 1 else None,
            settings=plan.settings,
        )
        self._is_first = True
        self._awaited: set[StepName] = set()
        """Approvals that somebody is about to give or refuse."""
        self._saved_at = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        for obj in objects:
            namespace = obj["metadata"].get("namespace") or NAMESPACE
            if resumed is None or obj["kind"] == "Secret":
                self._cluster.create(str(obj["kind"]), obj, namespace=namespace)
        if resumed is not None:
            self._flow = saved.restore(resumed, self._cluster)
        else:
            namespace = flow.metadata.namespace or NAMESPACE
            self._flow = self._cluster.create("JobFlow", write_flow(flow), namespace=namespace)
        self._began = self._clock.now

    def answer(self, given: Answer) -> None:
        """Approve or reject; from any thread."""
        self._starter.news.put(given)

    def run(self) -> Ending:
        """Run to the end. Ctrl-C ends it early: containers are asked to end, at a second Ctrl-C they are killed."""
        try:
            how = self._go()
        except KeyboardInterrupt:
            running = self._running()
            self._save(always=True)
            self._end_all()
            now = self._clock.now
            spent = tuple((step, now - since) for step, since in running.items())
            return Ending(How.INTERRUPTED, self._life(), spent)
        self._save(always=True)
        return Ending(how, self._life())

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _go(self) -> How:
        while True:
            self._settle()
            self._save()
            state = self._chronicle.state
            assert state is not None, "the first call decides"
            is_over = state.record.completed_at is not None
            if is_over and self._jobs.is_idle:
                return How.OVER
            due = [at for at in (self._jobs.next_due(), self._garbage.next_due()) if at is not None]
            wake = None if is_over else self._operator.next_wake()
            due += [wake] if wake is not None else []
            if not due and self._jobs.is_idle and not self._awaited:
                return How.STUCK
            self._listener.idle(self._clock.now, self._running())
            self._wait(min(due, default=None))

    def _settle(self) -> None:
        """Decide and act until nothing is left to do at this moment."""
        while True:
            version = self._cluster.resource_version
            self._operator.call()
            self._jobs.start_new()
            self._jobs.run_due()
            self._garbage.run_due()
            for step in self._requests():
                planned = self._plan.steps[self._plan.by_name[step]]
                if self._listener.asked(step, planned.message):
                    self._awaited.add(step)
            if self._cluster.resource_version == version:
                self._operator.look()
                self._cluster.compact(self._cluster.resource_version)  # every watcher has seen it all
                return

    def _requests(self) -> list[StepName]:
        """Approvals that nobody has been asked for yet; those of an interrupted run are asked for again."""
        found = [step for step, _ in self._chronicle.asked]
        self._chronicle.asked.clear()
        state = self._chronicle.state
        if self._is_first and state is not None:
            waiting = [step.name for step in self._plan.steps if state.records[step.rank].phase == "PendingApproval"]
            found += [step for step in waiting if step not in found]
        self._is_first = False
        return found

    def _wait(self, due: datetime | None) -> None:
        """Sleep until something happens or is due, and take in all that has happened."""
        pause = _IDLE_SECONDS
        if due is not None:
            pause = min(pause, max((due - self._clock.exact).total_seconds(), 0.0))
        try:
            news = self._starter.news.get(timeout=pause)
            while True:
                self._take(news)
                news = self._starter.news.get_nowait()
        except Empty:
            pass

    def _take(self, news: Any) -> None:
        match news:
            case Ended(token, exit_code):
                self._jobs.ended(token, exit_code)
            case Wrote(token, line):
                self._listener.wrote(StepName(self._jobs.step_of(token)), line)
            case Answer(step):
                self._awaited.discard(step)
                self._annotate(news)
            case _:
                raise AssertionError(f"nobody sends {news!r}")

    def _annotate(self, given: Answer) -> None:
        key = approval_key(given.step) if given.is_given else rejection_key(given.step)
        value = "true" if given.is_given else given.why or "rejected"
        metadata = self._flow["metadata"]
        patch = {"metadata": {"annotations": {key: value}}}
        self._cluster.patch_merge("JobFlow", metadata["namespace"], metadata["name"], patch)

    def _decided(self, _flow: Flow, _observed: Observed, now: Instant, decision: Decision) -> None:
        self._chronicle.add(now, decision)
        for move in decision.moves:
            self._listener.moved(now, move)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _running(self) -> dict[StepName, datetime]:
        """What runs, since when."""
        return {StepName(pod.place.attempt.parent.name): pod.began for _, pod in self._jobs.running()}

    def _end_all(self) -> None:
        self._jobs.stop()
        until = time.monotonic() + END_SECONDS
        while not self._jobs.is_idle:
            try:
                if time.monotonic() > until:
                    self._jobs.forget_grace()
                self._wait(None)
                self._jobs.run_due()
            except KeyboardInterrupt:
                until = time.monotonic()

    def _save(self, *, always: bool = False) -> None:
        if always or time.monotonic() - self._saved_at > SAVE_SECONDS:
            saved.save(self._cluster, self._folder)
            self._saved_at = time.monotonic()

    def _life(self) -> Simulation:
        state = self._chronicle.state
        assert state is not None, "something was decided"
        began = state.record.started_at or self._began
        return self._chronicle.told(min(began, self._began), stuck=False)
