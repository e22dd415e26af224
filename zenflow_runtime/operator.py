"""The operator: watches, one queue, workers, an election, probes, and an orderly end.

Everything that has to do with one cluster is given: the client configuration,
the transport and the clock. So the very same process runs against the in-memory
cluster, in virtual time, on asyncio and on trio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import anyio
import httpx2
import structlog
from attrs import frozen
from lightkube.config.kubeconfig import SingleConfig

from zenflow_core.names import LABEL_MANAGED_BY, MANAGED_BY
from zenflow_runtime.clock import Clock, WallClock
from zenflow_runtime.door import DELETES_SHARE, Answered, Door, TokenBucket
from zenflow_runtime.events import EventMode, Recorder
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import FLOW, JOB, POD, Kube, Object, WatchEvent
from zenflow_runtime.leader import Election, Tenure
from zenflow_runtime.ledger import Ledger
from zenflow_runtime.metrics import Metrics, State, Watching
from zenflow_runtime.queue import WorkQueue
from zenflow_runtime.reflect import Reflector, Watched
from zenflow_runtime.settings import ElectionMode, Settings
from zenflow_runtime.skew import ClockSkew
from zenflow_runtime.sweeping import Sweeper
from zenflow_runtime.web import Health
from zenflow_runtime.worker import Pace, Watcher, Witness, Worker

log = structlog.get_logger("zenflow.operator")

OURS: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
"""The Jobs and Pods that are watched; the server leaves all others out."""

CLOCK_CHECK_SECONDS: Final = 10.0
CLOCK_JUMP_SECONDS: Final = 1.5
"""A wall clock that has moved so much more, or less, than the loop's has been set: all alarms are reckoned anew."""

LAST_EVENTS_SECONDS: Final = 2.0
"""For the Events that are still to be sent when the process stops, after the lease has been given back."""


@frozen
class _Flows:
    """Flows, for the ledger; those that are deleted, for the sweeper, too."""

    ledger: Ledger
    sweeper: Sweeper

    def begin(self) -> None:
        pass

    def wants(self, event: WatchEvent) -> bool:
        return self.ledger.wants_flow(event.uid, event.version, lambda: event.object)

    def take(self, obj: Object) -> None:
        self.ledger.take_flow(obj)

    def drop(self, obj: Object) -> None:
        self.ledger.drop_flow(obj["metadata"]["uid"])
        self.sweeper.flow_gone(obj)

    def end(self, uids: frozenset[str]) -> None:
        self.ledger.list_flows(uids)

    def settle(self) -> None:
        self.ledger.settle()


@frozen
class _Jobs:
    """Jobs, for the ledger."""

    ledger: Ledger

    def begin(self) -> None:
        pass

    def wants(self, event: WatchEvent) -> bool:
        return True

    def take(self, obj: Object) -> None:
        self.ledger.take_job(obj)

    def drop(self, obj: Object) -> None:
        self.ledger.drop_job(obj["metadata"]["uid"])

    def end(self, uids: frozenset[str]) -> None:
        self.ledger.list_jobs(uids)

    def settle(self) -> None:
        self.ledger.settle()


@frozen
class _Pods:
    """Pods, for the ledger."""

    ledger: Ledger

    def begin(self) -> None:
        self.ledger.list_pods()

    def wants(self, event: WatchEvent) -> bool:
        return True

    def take(self, obj: Object) -> None:
        self.ledger.take_pod(obj)

    def drop(self, obj: Object) -> None:
        self.ledger.drop_pod(obj)

    def end(self, uids: frozenset[str]) -> None:
        pass

    def settle(self) -> None:
        pass


class Operator:
    """One operator process. Make it inside a running event loop, `run` it, and `stop` it.

    `identity` has to be unique among the replicas. `watcher` is told of every decision, `witness` of every bug of ours.
    """

    def __init__(
        self,
        config: SingleConfig,
        transport: httpx2.AsyncBaseTransport,
        settings: Settings,
        *,
        identity: str,
        clock: Clock | None = None,
        tenure: Tenure | None = None,
        watcher: Watcher | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._clock: Clock = clock or WallClock()
        bucket = TokenBucket(settings.qps, settings.burst, reserve=math.ceil(settings.burst * DELETES_SHARE))
        self.skew = ClockSkew(self._clock)
        self.kube = Kube(config, Door(transport, bucket=bucket, told=self._answered, may_write=self.leads))
        self.queue = WorkQueue()
        self.ledger = Ledger(self._clock, woken=self._woken)
        self.events: Recorder | None = None
        if settings.events is not EventMode.NONE:
            self.events = Recorder(
                self.kube, self._clock, mode=settings.events, instance=identity, counted=self._event_counted
            )
        self.election: Election | None = None
        if settings.election is ElectionMode.BUILTIN:
            self.election = Election(
                self.kube,
                namespace=settings.namespace,
                name=settings.lease,
                identity=identity,
                clock=self._clock,
                tenure=tenure,
            )
        self.worker = Worker(
            self.kube,
            self.ledger,
            self.queue,
            clock=self._clock,
            metrics=self.metrics,
            events=self.events,
            nudges=settings.eager_completion,
            pace=Pace(settings.workers, settings.merge_seconds),
            settings=settings.flows,
            watcher=watcher,
            witness=witness,
        )
        self.sweeper = Sweeper(self.kube, image=settings.flows.artifact_image, leads=self.leads)
        self.reflectors = tuple(self._reflectors())
        self.health = Health(self.reflectors, self.queue, self.leads)
        self._stopping = anyio.Event()
        self._working = False
        self.metrics.watch_state(
            State(
                flows=self.ledger.flows.values,
                queue_depth=lambda: self.queue.depth,
                busy=lambda: self.queue.busy,
                leading=self.leads,
                watches=self._watching,
                clock_skew=lambda: self.skew.seconds,
            )
        )

    def _answered(self, request: Answered) -> None:
        self.metrics.answered(request)
        self.skew.saw(request.date)

    def _reflectors(self) -> Iterable[Reflector]:
        namespace = self.settings.watch_namespace or None
        watched: list[tuple[Watched, _Flows | _Jobs | _Pods]] = [
            (Watched(FLOW, "", namespace), _Flows(self.ledger, self.sweeper)),
            (Watched(JOB, OURS, namespace), _Jobs(self.ledger)),
        ]
        if self.settings.eager_completion:
            # Pods only tell when a Job is done before its controller says so.
            watched.append((Watched(POD, OURS, namespace), _Pods(self.ledger)))
        for each, sink in watched:
            yield Reflector(
                self.kube,
                each,
                sink,
                relist_seconds=self.settings.relist_seconds,
                restarted=lambda kind, why: self.metrics.watch_restarts.labels(kind, why).inc(),
                unread=lambda kind: self.metrics.unreadable.labels(kind).inc(),
            )

    def leads(self) -> bool:
        """Whether this process may write now."""
        return self._working and (self.election is None or self.election.holds())

    def stop(self) -> None:
        """Begin nothing more, end what is under way, give the lease back, and return from `run`."""
        self._stopping.set()

    async def told_to_stop(self) -> None:
        """Wait for `stop`."""
        await self._stopping.wait()

    async def run(self) -> None:
        """Run until `stop`. Cancelling it instead is a crash, which loses nothing but time, and a few Events."""
        try:
            async with anyio.create_task_group() as telling:
                if self.events is not None:
                    telling.start_soon(self.events.run)
                async with anyio.create_task_group() as tasks:
                    for reflector in self.reflectors:
                        tasks.start_soon(reflector.run)
                    tasks.start_soon(self.sweeper.run)
                    tasks.start_soon(self._check_clock)
                    tasks.start_soon(self._end_when_told, tasks.cancel_scope.cancel)
                    await self._lead()
                    tasks.cancel_scope.cancel()
                if self.election is not None:
                    await self.election.release()
                if self.events is not None:
                    self.events.finish()
                    telling.cancel_scope.deadline = anyio.current_time() + LAST_EVENTS_SECONDS
        finally:
            self._working = False
            if self.events is not None:
                self.events.close()
            with anyio.CancelScope(shield=True):
                await self.kube.close()

    async def _lead(self) -> None:
        """Campaign, work as long as this process leads, and campaign again; returns once the queue is closed."""
        for reflector in self.reflectors:
            await reflector.synced.wait()
        while not self._stopping.is_set():
            if self.election is not None:
                await self.election.campaign()
            self._begin()
            try:
                async with anyio.create_task_group() as term:
                    if self.election is not None:
                        # Out of this block at once: no request may outlive the term.
                        term.start_soon(self.election.keep, term.cancel_scope.cancel)
                    await self.worker.run()
                    term.cancel_scope.cancel()
            finally:
                self._working = False

    def _begin(self) -> None:
        """What another leader has done meanwhile is in the stored status: read it all anew."""
        self._working = True
        # What is unfinished comes first: there may be thousands that only wait for the end of their TTL.
        for flow in sorted(self.ledger.flows.values(), key=lambda flow: flow.sibling is not None and flow.sibling.over):
            flow.failures = 0
            flow.confirmed = False
            self.ledger.drop_state(flow)

    async def _end_when_told(self, cut_off: Callable[[], None]) -> None:
        """A follower just leaves; a leader ends the decisions that are under way, within bounds."""
        await self._stopping.wait()
        log.info("stopping", turns=self.queue.busy)
        self.queue.close()
        if self._working:
            await anyio.sleep(self.settings.drain_seconds)
            log.warning("decisions are still under way and are cut off", turns=self.queue.busy)
        cut_off()

    async def _check_clock(self) -> None:
        """Timers run on the loop's clock. Where the wall clock is set, or a VM was suspended, reckon anew."""
        wall, loop = self._clock.exact, anyio.current_time()
        while True:
            await anyio.sleep(CLOCK_CHECK_SECONDS)
            now, then = self._clock.exact, anyio.current_time()
            jumped = (now - wall).total_seconds() - (then - loop)
            wall, loop = now, then
            if abs(jumped) >= CLOCK_JUMP_SECONDS:
                log.warning("the wall clock jumped", seconds=round(jumped, 1))
                for flow in self.ledger.flows.values():
                    if flow.wake_at is not None:
                        self.queue.add(flow.uid, delay=max((flow.wake_at - now).total_seconds(), 0.0))

    def _woken(self, flow: Flow) -> None:
        if self._working:
            self.worker.woken(flow)

    def _event_counted(self, result: str) -> None:
        self.metrics.events.labels(result).inc()

    def _watching(self) -> Iterable[Watching]:
        now = anyio.current_time()
        for each in self.reflectors:
            listed = None if each.listed_at is None else now - each.listed_at
            heard = None if each.heard_at is None else now - each.heard_at
            yield Watching(each.kind, listed, heard)
