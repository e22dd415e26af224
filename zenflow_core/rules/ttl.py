"""`ttlSecondsAfterFinished`: how long a finished flow is kept."""

from __future__ import annotations

from zenflow_core.reasons import KeptUntil, TtlExpired
from zenflow_core.views import FlowView


def ttl(flow: FlowView) -> KeptUntil | TtlExpired | None:
    """Keep a finished flow until `completionTime + ttlSecondsAfterFinished`, then have it deleted."""
    if flow.record.completed_at is None:
        return None
    at = flow.record.completed_at + flow.plan.ttl
    return TtlExpired(at) if flow.now >= at else KeptUntil(at)
