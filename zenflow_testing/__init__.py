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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenflow_testing.clock import SkewedClock, VirtualClock
    from zenflow_testing.cluster import Cluster, ClusterLimits, Event, EventType, KubernetesVersion, Propagation
    from zenflow_testing.errors import ApiError
    from zenflow_testing.garbage import GarbageCollector
    from zenflow_testing.laws import LawCheck, LawViolated
    from zenflow_testing.operator import Operator
    from zenflow_testing.outcomes import CalmOutcomes, Outcomes, Script, ScriptedOutcomes, SeededOutcomes
    from zenflow_testing.outcomes_file import read_outcomes
    from zenflow_testing.simulation import Simulation, simulate
    from zenflow_testing.world import PodDetail, World

_HOMES = {
    "clock": "SkewedClock VirtualClock",
    "cluster": "Cluster ClusterLimits Event EventType KubernetesVersion Propagation",
    "errors": "ApiError",
    "garbage": "GarbageCollector",
    "laws": "LawCheck LawViolated",
    "operator": "Operator",
    "outcomes": "CalmOutcomes Outcomes Script ScriptedOutcomes SeededOutcomes",
    "outcomes_file": "read_outcomes",
    "simulation": "Simulation simulate",
    "world": "PodDetail World",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ApiError",
    "CalmOutcomes",
    "Cluster",
    "ClusterLimits",
    "Event",
    "EventType",
    "GarbageCollector",
    "KubernetesVersion",
    "LawCheck",
    "LawViolated",
    "Operator",
    "Outcomes",
    "PodDetail",
    "Propagation",
    "Script",
    "ScriptedOutcomes",
    "SeededOutcomes",
    "Simulation",
    "SkewedClock",
    "VirtualClock",
    "World",
    "read_outcomes",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
