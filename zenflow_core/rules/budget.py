"""`executionPolicy.backoffLimit`: the retries that all steps together may use."""

from __future__ import annotations

from zenflow_core.reasons import BackoffLimitExceeded
from zenflow_core.views import FlowView


def retry_budget(flow: FlowView) -> BackoffLimitExceeded | None:
    """End the flow as soon as a retry beyond the budget would be due; equal is still within."""
    if flow.tally.retries <= flow.plan.backoff_limit or flow.main_settled:
        return None
    return BackoffLimitExceeded(flow.now, flow.plan.backoff_limit)
