"""`concurrencyPolicy`: flows of one group wait for each other, or end each other. A flow decides only about itself.

Order in a group: flows that have started before those that have not, then
(creationTimestamp, uid), so that of two flows of one second exactly one is first.
"""

from __future__ import annotations

from datetime import datetime

from zenflow_core.observation import Sibling
from zenflow_core.reasons import Replaced, SiblingActive
from zenflow_core.spec import ConcurrencyPolicy
from zenflow_core.views import FlowView


def concurrency(flow: FlowView) -> Replaced | SiblingActive | None:
    """End for a newer flow with Replace; wait for the flows ahead under Forbid and Replace.

    Under Replace the newest also waits until the Jobs of those it replaced are gone.
    """
    me = flow.seen
    newer = [
        s for s in flow.siblings if s.replaces and s.unfinished and (s.created_at, s.uid) > (me.created_at, me.uid)
    ]
    if newer:
        return Replaced(flow.now, by=max(newer, key=_age).name)
    if flow.record.started_at is not None or flow.plan.concurrency_policy is ConcurrencyPolicy.ALLOW:
        return None
    waits_for_jobs = flow.plan.concurrency_policy is ConcurrencyPolicy.REPLACE
    ahead = [
        s
        for s in flow.siblings
        if (s.unfinished and _order(s) < (True, me.created_at, me.uid)) or (waits_for_jobs and s.over and s.live_jobs)
    ]
    return SiblingActive(min(ahead, key=_order).name) if ahead else None


def _order(sibling: Sibling) -> tuple[bool, datetime, str]:
    return (sibling.started_at is None, sibling.created_at, sibling.uid)


def _age(sibling: Sibling) -> tuple[datetime, str]:
    return (sibling.created_at, sibling.uid)
