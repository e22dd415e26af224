"""A status that the API server refuses as too large: the flow ends, and says so without its rows."""

from __future__ import annotations

from zenflow_core.reasons import StatusTooLarge
from zenflow_core.views import FlowView


def status_size(flow: FlowView) -> StatusTooLarge | None:
    """Sending it again would be refused again."""
    return None if flow.status_refused_at is None else StatusTooLarge(flow.status_refused_at)
