"""A Kubernetes cluster in memory, for trying flows (and the core itself) without one.

    from zenflow_core import compile_plan, read_flow
    from zenflow_testing import SeededOutcomes, simulate

    flow = read_flow(manifest)
    run = simulate(flow, compile_plan(flow), SeededOutcomes(7))
    assert run.state.record.phase == "Succeeded"

`simulate` plays a whole life in virtual time. Below it are the parts to build
your own: the cluster model, its garbage collector, the world that plays Jobs,
an operator, and the laws that every decision keeps. Names are loaded when they
are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenflow_core.lazily import homes_of, loader

if TYPE_CHECKING:
    from zenflow_testing.clock import SkewedClock, VirtualClock
    from zenflow_testing.cluster import Cluster, ClusterLimits, Event, EventType, KubernetesVersion, Propagation
    from zenflow_testing.errors import ApiError
    from zenflow_testing.garbage import GarbageCollector
    from zenflow_testing.laws import ClusterLaws, LawCheck, LawViolated
    from zenflow_testing.operator import Operator
    from zenflow_testing.outcomes import CalmOutcomes, Outcomes, Script, ScriptedOutcomes, SeededOutcomes
    from zenflow_testing.outcomes_file import read_outcomes
    from zenflow_testing.plugin.loading import InvalidFlow
    from zenflow_testing.plugin.subject import FlowUnderTest
    from zenflow_testing.properties import AlwaysCheck, PropertyBroken, parse_property
    from zenflow_testing.simulation import Simulation, simulate
    from zenflow_testing.world import PodDetail, World

_HOMES = {
    "clock": "SkewedClock VirtualClock",
    "cluster": "Cluster ClusterLimits Event EventType KubernetesVersion Propagation",
    "errors": "ApiError",
    "garbage": "GarbageCollector",
    "laws": "ClusterLaws LawCheck LawViolated",
    "operator": "Operator",
    "outcomes": "CalmOutcomes Outcomes Script ScriptedOutcomes SeededOutcomes",
    "outcomes_file": "read_outcomes",
    "plugin.loading": "InvalidFlow",
    "plugin.subject": "FlowUnderTest",
    "properties": "AlwaysCheck PropertyBroken parse_property",
    "simulation": "Simulation simulate",
    "world": "PodDetail World",
}
_HOME_OF = homes_of(_HOMES)

__all__ = [
    "AlwaysCheck",
    "ApiError",
    "CalmOutcomes",
    "Cluster",
    "ClusterLaws",
    "ClusterLimits",
    "Event",
    "EventType",
    "FlowUnderTest",
    "GarbageCollector",
    "InvalidFlow",
    "KubernetesVersion",
    "LawCheck",
    "LawViolated",
    "Operator",
    "Outcomes",
    "PodDetail",
    "Propagation",
    "PropertyBroken",
    "Script",
    "ScriptedOutcomes",
    "SeededOutcomes",
    "Simulation",
    "SkewedClock",
    "VirtualClock",
    "World",
    "parse_property",
    "read_outcomes",
    "simulate",
]

__getattr__ = loader(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted(__all__)
