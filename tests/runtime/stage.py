"""The real operator on the cluster in memory, behind lightkube, in virtual time: what the tests of this folder share.

async def scene(on: Stage) -> None:
    on.submit(flow(step("build"), step("test", "build")))
    async with on.operator():
        await on.until(on.over)
    assert on.phases() == {"build": "Succeeded", "test": "Succeeded"}

play(scene, backend)
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx2
import structlog
from attrs import evolve

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reconcile import Decision
from zenflow_core.spec import JobFlow
from zenflow_core.state import StepPhase
from zenflow_runtime.door import Ask, ask_of
from zenflow_runtime.flows import Flow
from zenflow_runtime.leader import Tenure
from zenflow_runtime.operator import Operator
from zenflow_runtime.settings import ElectionMode, Settings
from zenflow_testing.clock import EPOCH
from zenflow_testing.cluster import Cluster, Event
from zenflow_testing.demands import demands_of
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.laws import LawCheck
from zenflow_testing.outcomes import Script, ScriptedApproval, ScriptedEnding, ScriptedOutcomes
from zenflow_testing.transport import ClusterTransport, Fault, config
from zenflow_testing.transport_time import LoopClock, drive, run_virtually
from zenflow_testing.world import PodDetail, World

NAMESPACE = "default"
ALONE = Settings(election=ElectionMode.DISABLED, port=0)
"""One replica without an election."""

OnRequest = Callable[[httpx2.Request], Awaitable[Fault | None]]


class Stage:
    """A cluster, the world around it, and all that was asked of the API server."""

    def __init__(
        self,
        *manifests: Mapping[str, Any],
        runs: Mapping[str, Sequence[ScriptedEnding]] | None = None,
        approvals: Mapping[str, ScriptedApproval | None] | None = None,
        sync_delay: float = 0,
        orphaning_delay: float = 0,
        start: datetime = EPOCH,
    ) -> None:
        self.clock = LoopClock(start)
        self.cluster = Cluster(self.clock)
        self.garbage = GarbageCollector(self.cluster, orphaning_delay=timedelta(seconds=orphaning_delay))
        script = Script(steps={k: tuple(v) for k, v in (runs or {}).items()}, approvals=approvals or {}, suspended={})
        demands = {k: v for m in manifests if (plan := _plan(m)) is not None for k, v in demands_of(plan).items()}
        self.world = World(
            self.cluster,
            ScriptedOutcomes(script),
            demands=demands,
            pods=PodDetail.ALWAYS,
            sync_delay=timedelta(seconds=sync_delay),
        )
        self.asked: list[Ask] = []
        """Every request that an operator has sent, in order."""
        self.decisions: list[Decision] = []
        self.fault: OnRequest | None = None
        """What happens to the requests of all operators (`ClusterTransport.on_request`)."""
        self.operators: list[Operator] = []
        self._laws = LawCheck()
        for manifest in manifests:
            self.submit(manifest)

    # what users do

    def submit(self, manifest: Mapping[str, Any]) -> None:
        self.cluster.create("JobFlow", manifest, namespace=NAMESPACE)

    def annotate(self, key: str, value: str, name: str = "flow") -> None:
        self.cluster.patch_merge("JobFlow", NAMESPACE, name, {"metadata": {"annotations": {key: value}}})

    # processes

    def make(self, settings: Settings = ALONE, *, name: str = "a", fault: OnRequest | None = None) -> Operator:
        """An operator process that does not run yet."""

        async def on_request(request: httpx2.Request) -> Fault | None:
            self.asked.append(ask_of(request.method, request.url.path, watch="watch=true" in str(request.url)))
            for each in (self.fault, fault):
                if each is not None:
                    answer = await each(request)
                    if answer is not None:
                        return answer
            return None

        operator = Operator(
            config(NAMESPACE),
            ClusterTransport(self.cluster, on_request=on_request),
            settings,
            identity=name,
            clock=self.clock,
            tenure=Tenure(),
            watcher=self._saw,
        )
        self.operators.append(operator)
        return operator

    @asynccontextmanager
    async def operator(self, settings: Settings = ALONE, *, name: str = "a") -> AsyncIterator[Operator]:
        """An operator that runs while the block does, and is cut off at its end (a crash)."""
        operator = self.make(settings, name=name)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(operator.run)
            try:
                yield operator
            finally:
                tasks.cancel_scope.cancel()

    def _saw(self, flow: Flow, observed: Observed, now: datetime, decision: Decision) -> None:
        self._laws(flow, observed, now, decision)
        self.decisions.append(decision)
        for step, record in zip(decision.state.plan.steps, decision.state.records, strict=True):
            if record.phase is StepPhase.PENDING_APPROVAL and record.started_at is not None:
                self.world.approval_asked(flow.obj, step.name, at=record.started_at)

    # how time goes

    async def until(self, holds: Callable[[], object], *, within: float = 100_000) -> None:
        """Wait until something is so, looking after each change of the cluster. Fails after so many seconds."""
        changed = anyio.Event()

        def saw(_: Event) -> None:
            changed.set()

        detach = self.cluster.subscribe(saw)
        try:
            with anyio.move_on_after(within) as waiting:
                while not holds():
                    changed = anyio.Event()
                    with anyio.move_on_after(1.0):
                        await changed.wait()
        finally:
            detach()
        assert not waiting.cancelled_caught, (
            f"not so after {within} s: {[f.get('status') for f in self.all('JobFlow')]}"
        )

    # what users see

    def all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        return self.cluster.list(kind).items

    def flow(self, name: str = "flow") -> Mapping[str, Any]:
        return self.cluster.get("JobFlow", NAMESPACE, name)

    def status(self, name: str = "flow") -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.flow(name).get("status") or {}
        return found

    def over(self) -> bool:
        """Whether every flow has ended."""
        return all("completionTime" in (flow.get("status") or {}) for flow in self.all("JobFlow"))

    def phase(self, name: str = "flow") -> str:
        return str(self.status(name).get("phase"))

    def phases(self, name: str = "flow") -> dict[str, str]:
        return {row["name"]: row["phase"] for row in self.status(name)["steps"]}

    def reasons(self, name: str = "flow") -> dict[str, str]:
        return {row["name"]: row["reason"] for row in self.status(name)["steps"]}

    def jobs(self) -> list[str]:
        """Names of the Jobs that exist."""
        return sorted(job["metadata"]["name"].rpartition("-")[0] for job in self.all("Job"))

    def told(self) -> list[str]:
        """Reason and message of the Events there are, in order."""
        events = sorted(self.all("Event"), key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [f"{event['reason']}: {event['message']}" for event in events]

    def count(self, verb: str, resource: str) -> int:
        """How often that was asked."""
        return sum(1 for ask in self.asked if (ask.verb, ask.resource) == (verb, resource))


def _plan(manifest: Mapping[str, Any]) -> Plan | None:
    parsed = read_flow(manifest)
    plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else None
    return plan if isinstance(plan, Plan) else None


def settings(**changes: Any) -> Settings:
    """One replica without an election, but for these."""
    return evolve(ALONE, **changes)


def play(scene: Callable[[], Awaitable[None]], backend: str = "trio") -> None:
    """Run a scene in virtual time, without log lines."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical"), cache_logger_on_first_use=False
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Async generator 'httpx2", category=ResourceWarning)
        try:
            run_virtually(scene, backend=backend)
        except BaseExceptionGroup as group:
            first: BaseException = group
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None


@asynccontextmanager
async def going_on(stage: Stage) -> AsyncIterator[Stage]:
    """The world goes on while the block runs."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(drive, stage.cluster, stage.world, stage.garbage)
        try:
            yield stage
        finally:
            tasks.cancel_scope.cancel()
