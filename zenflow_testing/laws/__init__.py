"""The laws: what holds at every decision (`LawCheck`), and of everything that is on the cluster (`ClusterLaws`)."""

from __future__ import annotations

from zenflow_testing.laws.decisions import (
    LawCheck,
    LawViolated,
    absorbing,
    artifacts,
    awake,
    fence,
    memory,
    order,
    quiet,
    reasons,
    silence,
    slots,
    twins,
)
from zenflow_testing.laws.stored import ClusterLaws

__all__ = [
    "ClusterLaws",
    "LawCheck",
    "LawViolated",
    "absorbing",
    "artifacts",
    "awake",
    "fence",
    "memory",
    "order",
    "quiet",
    "reasons",
    "silence",
    "slots",
    "twins",
]
