"""`ttlSecondsAfterFinished`: how long a finished flow is kept, and how long a finished Job of a template with its own.

The template's is not left to the API server: it would delete the Job before its
result is recorded. It is carried as an annotation, and kept here.
"""

from __future__ import annotations

from zenflow_core.observation import Seen
from zenflow_core.reasons import JobKeptUntil, KeptUntil, TtlExpired
from zenflow_core.views import FlowView, StepView


def ttl(flow: FlowView) -> KeptUntil | TtlExpired | None:
    """Keep a finished flow until `completionTime + ttlSecondsAfterFinished`, then have it deleted."""
    if flow.record.completed_at is None:
        return None
    at = flow.record.completed_at + flow.plan.ttl
    if flow.plan.refused:  # its own TTL cannot be read any more; what was decided by it stands
        at = next((hold.until for hold in flow.record.holds if isinstance(hold, KeptUntil)), at)
    return TtlExpired(at) if flow.now >= at else KeptUntil(at)


def job_kept(view: StepView) -> JobKeptUntil | None:
    """Wake when the first of the step's finished Jobs has been kept long enough."""
    ends = [s.kept_until for s in view.sightings if isinstance(s, Seen) and s.kept_until is not None and not s.deleting]
    until = min((end for end in ends if end > view.now), default=None)
    return None if until is None else JobKeptUntil(until)
