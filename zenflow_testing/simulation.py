"""A flow's whole life on the in-memory cluster, in virtual time: the same core, the same operator, scripted Jobs.

Time jumps to the next thing that is due: a Job's next change, the garbage
collector, or the instant at which the core asked to be woken. Where nothing is
due any more and the flow is not over, it would wait for ever, and that is the
answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from zenflow_core.codec import write_flow
from zenflow_core.observation import Absent, Lookup, Observed, Present
from zenflow_core.plan import ConfigMapKey, Plan
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.spec import JobFlow
from zenflow_runtime.dumping import Dumper
from zenflow_testing.chronicle import Attempt, Chronicle, Entry, Simulation
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster, ClusterLimits
from zenflow_testing.demands import demands_of
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.operator import Flow, Operator, Watcher
from zenflow_testing.outcomes import Outcomes
from zenflow_testing.world import World

__all__ = ["Attempt", "Entry", "Simulation", "simulate"]

NAMESPACE = "default"


class _Recorder(Chronicle):
    """Keeps what the operator decides, and tells the watchers."""

    def __init__(self, *watchers: Watcher | None) -> None:
        super().__init__()
        self._watchers = [each for each in watchers if each is not None]

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        for watcher in self._watchers:
            watcher(flow, observed, now, decision)
        self.add(now, decision)


_COMPACT = 0xFF
"""How often the watch log is cut, in decisions less one: it would hold a copy of the flow for each write."""


def simulate(
    flow: JobFlow,
    plan: Plan,
    outcomes: Outcomes,
    *,
    dump: Callable[[str], None] | None = None,
    progress: Callable[[int, datetime], None] | None = None,
    watcher: Watcher | None = None,
    limits: ClusterLimits | None = None,
) -> Simulation:
    """Play the flow to its end, or until nothing can move it any more.

    `plan` is `compile_plan(flow)`. `dump` is given each line of the incident
    format; `progress` is told how many steps are over, and the virtual time.
    The same arguments give the same answer, whatever machine and day. Cost:
    about 1 ms a step.
    """
    clock = VirtualClock()
    start = clock.now
    cluster = Cluster(clock, limits=limits or ClusterLimits())
    garbage = GarbageCollector(cluster)
    world = World(cluster, outcomes, demands=demands_of(plan))
    recorder = _Recorder(None if dump is None else Dumper(dump, settings=plan.settings), watcher)
    namespace = flow.metadata.namespace or NAMESPACE
    operator = Operator(
        cluster,
        read_input=lambda ref: _read(world, ref, namespace),
        watcher=recorder,
        compile_with=lambda obj: plan if obj["metadata"]["generation"] == 1 else None,
        settings=plan.settings,
    )
    with cluster.without_hooks():
        obj = cluster.create("JobFlow", write_flow(flow), namespace=namespace)
    while True:
        operator.call()
        if recorder.decisions & _COMPACT == 0:
            operator.look()
            cluster.compact(cluster.resource_version)  # every watcher has seen it all
        for step, at in recorder.asked:
            world.approval_asked(obj, step, at=at)
        recorder.asked.clear()
        state = recorder.state
        assert state is not None, "the first call decides"
        if progress is not None:
            progress(state.tally.settled, clock.now)
        if state.record.completed_at is not None:
            break
        due = [at for at in (world.next_due(), garbage.next_due(), operator.next_wake()) if at is not None]
        if not due:
            break
        clock.advance_to(max(min(due), clock.now))
        world.run_due()
        garbage.run_due()
    return recorder.told(start)


def _read(world: World, ref: ConfigMapKey, namespace: str) -> Lookup:
    value = world.config_map_value(ref.name, ref.key, namespace=namespace)
    return Absent(f"ConfigMap {ref.name} has no key {ref.key}") if value is None else Present(value)
