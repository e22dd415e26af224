"""The loop that decides and acts: one decision of a flow at a time, the next when the last is carried out.

News that comes meanwhile waits and is decided about in one go. A flow's state is
kept from one decision to the next and dropped after anything that failed or
whose outcome is not known: then the stored status is read again, which the core
answers in the same way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import anyio
import structlog
from attrs import frozen
from structlog.typing import FilteringBoundLogger

from zenflow_core.actions import CreateJob, RecordStatus
from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.observation import Observed, Seen
from zenflow_core.reasons import Instant
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.clock import Clock
from zenflow_runtime.deciding import decide, doubt_jobs, lacks_fence, noted
from zenflow_runtime.events import Recorder, created, notes_of
from zenflow_runtime.execute import Executor, Outcome
from zenflow_runtime.failures import NotLeading, RequestFailed, advice
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import FLOW, JOB, Kube
from zenflow_runtime.ledger import THE_FLOW, Ledger
from zenflow_runtime.metrics import Before, Metrics, before_of
from zenflow_runtime.queue import Job, WorkQueue
from zenflow_runtime.reads import fetch

log: FilteringBoundLogger = structlog.get_logger("zenflow.worker")

Watcher: TypeAlias = Callable[[Flow, Observed, Instant, Decision], None]
"""Told of each decision: the flow, what was given (all or new), when, and the answer."""

Witness: TypeAlias = Callable[[Flow, Instant, Exception], None]
"""Told of a turn that our own bug ended: the flow, when, and the error."""

REST_SECONDS_MAX: Final = 30.0
"""Longest pause after a decision that could not be carried out, unless the server asks for more."""

_EARLY: Final = 0.001
"""Timers ring so much later than asked, so that none rings before the second it is set for."""

MERGE_SECONDS_A_JOB: Final = 0.01
"""A flow's status is written no more often than this for each of its Jobs that run: one write can tell of many."""

LINGER_PART: Final = 0.04
"""Part of that pause that news of such a flow waits in any case (10 ms at most): Jobs often end in the same instant."""


@frozen
class Pace:
    """How much is done at once, and how long news may wait for more."""

    workers: int = 10
    merge_seconds: float = 0.25
    """Longest pause after a status write; a flow with one running Job makes none."""


class Worker:
    """Turns of flows. `run` it while this process leads."""

    def __init__(
        self,
        kube: Kube,
        ledger: Ledger,
        queue: WorkQueue,
        *,
        clock: Clock,
        metrics: Metrics,
        events: Recorder | None = None,
        nudges: bool = True,
        pace: Pace | None = None,
        settings: Settings = DEFAULTS,
        watcher: Watcher | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._kube = kube
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._events = events
        self._pace = pace or Pace()
        self._settings = settings
        self._watcher = watcher
        self._witness = witness
        self._executor = Executor(kube, ledger, clock, nudges=nudges, created=self._job_created)
        self._since: dict[str, float] = {}
        """When what is being decided was heard of, by flow uid."""
        self._recorded_at: dict[str, float] = {}
        """When the last status write of a flow was answered."""

    def woken(self, flow: Flow) -> None:
        """Something is new about a flow: have it looked at, at once unless its last write is so young.

        What comes alone is decided about at once (10 ms at most); of a burst the first is, and the rest together.
        With the last Job that runs there is no more to wait for.
        """
        live = 0 if flow.state is None else flow.state.tally.live
        delay = 0.0
        if live > 1 and not flow.changed_flow and not flow.changed_siblings and not _all_are_over(flow, live):
            gap = min(live * MERGE_SECONDS_A_JOB, self._pace.merge_seconds)
            young = self._recorded_at.get(flow.uid, 0.0) + gap - anyio.current_time()
            delay = max(young, gap * LINGER_PART)
        self._queue.add(flow.uid, delay=delay)

    async def run(self) -> None:
        """Work until the queue is closed; returns when every turn that had begun is over."""
        slots = anyio.Semaphore(self._pace.workers)
        async with anyio.create_task_group() as turns:
            while True:
                await slots.acquire()
                job = await self._queue.get()
                if job is None:
                    return

                async def turn(job: Job = job) -> None:
                    try:
                        await self.turn(job)
                    finally:
                        slots.release()

                turns.start_soon(turn)

    async def turn(self, job: Job) -> None:
        """One flow's turn: a decision, carried out. Nothing that goes wrong in it stops the others."""
        alarm: float | None = None
        begun = anyio.current_time()
        self._metrics.queue_latency.observe(max(begun - job.due, 0.0))
        flow = self._ledger.flows.get(job.key)
        over = False
        try:
            if flow is not None:
                self._since[flow.uid] = job.since
                alarm = await self._decide(flow)
                flow.failures = 0
            over = True
        except NotLeading:
            over = True
            if flow is not None:
                flow.state = None
        except RequestFailed as error:
            over = True
            if flow is not None:
                self._failed(flow, error, retry_after=error.retry_after)
        except Exception as error:
            over = True
            if flow is not None:
                self._metrics.violations.inc()
                log.exception("our own bug: please report it", flow=flow.key, uid=flow.uid)
                if self._witness is not None:
                    self._witness(flow, self._clock.now, error)
                self._failed(flow, error, retry_after=None)
        finally:
            if not over and flow is not None:
                flow.state = None  # cancelled in the middle: what came of it is not known
            self._since.pop(job.key, None)
            self._queue.done(job.key, alarm=alarm)
            if flow is None or flow.uid not in self._ledger.flows:
                self._queue.forget(job.key)
                self._recorded_at.pop(job.key, None)
            self._metrics.reconciliation.observe(max(anyio.current_time() - begun, 0.0))

    def _failed(self, flow: Flow, error: Exception, *, retry_after: int | None) -> None:
        pause = max(min(2.0**flow.failures, REST_SECONDS_MAX), float(retry_after or 0))
        flow.failures = min(flow.failures + 1, 16)
        name = (error.reason or str(error.code)) if isinstance(error, RequestFailed) else type(error).__name__
        self._metrics.reconciliation_errors.labels(name).inc()
        told = (advice(error) if isinstance(error, RequestFailed) else "") or str(error)
        log.warning("decision not carried out", flow=flow.key, error=told, retry_in_seconds=pause)
        self._queue.rest(flow.uid, pause)
        self._ledger.drop_state(flow)

    async def _decide(self, flow: Flow) -> float | None:
        """Decide and act; after how many seconds the flow wants to be looked at unasked."""
        if flow.state is None:
            doubt_jobs(flow)
        while flow.doubts:
            doubt, reference = next(iter(flow.doubts.items()))
            kind = FLOW if doubt == THE_FLOW else JOB
            found = await self._kube.find(kind, flow.seen.namespace, reference.name)
            self._ledger.resolved(flow, doubt, found=found)
            self._ledger.settle()
            if flow.uid not in self._ledger.flows:
                return None
        now = self._clock.now
        clocked = time.perf_counter()
        observed, decision = decide(flow, now, settings=self._settings)
        self._metrics.decision.observe(time.perf_counter() - clocked)
        if self._watcher is not None:
            self._watcher(flow, observed, now, decision)
        decision = noted(flow, decision, now)
        if lacks_fence(flow, decision):
            found = await self._kube.find(FLOW, flow.seen.namespace, flow.seen.name)
            if not self._ledger.confirm(flow, found):
                self._ledger.settle()
                return None
        await self._act(flow, decision)
        for read in decision.reads:
            await fetch(read, flow, kube=self._kube, ledger=self._ledger)
        self._ledger.settle()
        if flow.wake_at is None or flow.state is not decision.state:
            return None
        return max((flow.wake_at - self._clock.exact).total_seconds(), 0.0) + _EARLY

    async def _act(self, flow: Flow, decision: Decision) -> None:
        before = before_of(flow.obj)
        actions = decision.actions
        outcome = Outcome.DONE
        if actions and isinstance(actions[0], RecordStatus):
            outcome = await self._executor.carry_out(flow, actions[:1])
            actions = actions[1:]
            if outcome is Outcome.DONE:
                self._recorded(flow, before, decision)
        if outcome is Outcome.DONE:
            outcome = await self._executor.carry_out(flow, actions)
        if outcome is Outcome.STALE:
            self._metrics.stale_views.inc()
            if flow.uid in self._ledger.flows:
                self._ledger.drop_state(flow)

    def _recorded(self, flow: Flow, before: Before, decision: Decision) -> None:
        """The decision is in the status: only now is anything told about it."""
        self._recorded_at[flow.uid] = anyio.current_time()
        self._metrics.decided(flow, before, decision)
        if self._events is not None:
            for note in notes_of(before, decision):
                self._events.tell(flow, note)
        if log.is_enabled_for(logging.INFO):
            state = decision.state
            for move in decision.moves:
                attempt = state.records[state.plan.by_name[move.step]].attempt
                log.info(
                    "step moved",
                    flow=flow.key,
                    step=move.step,
                    attempt=attempt,
                    origin=move.origin.value,
                    phase=move.phase.value,
                    reason=reason_of(move.cause),
                )
            if before.phase != state.record.phase.value:
                log.info("flow moved", flow=flow.key, origin=before.phase, phase=state.record.phase.value)

    def _job_created(self, flow: Flow, action: CreateJob) -> None:
        since = self._since.get(flow.uid)
        if since is not None:
            self._metrics.step_gap.observe(max(anyio.current_time() - since, 0.0))
        if self._events is not None:
            self._events.tell(flow, created(action))


def _all_are_over(flow: Flow, live: int) -> bool:
    """Whether none of the flow's Jobs runs any more, though its state has not been told of the last ones."""
    changed = flow.changed_jobs
    return len(changed) >= live and not any(
        isinstance(sighting, Seen) and sighting.live for step in changed for sighting in flow.jobs[step].values()
    )
