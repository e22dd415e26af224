"""`spec.suspend`: nothing new starts; what runs goes on."""

from __future__ import annotations

from zenflow_core.reasons import Suspended
from zenflow_core.views import StepView


def suspension(view: StepView) -> Suspended | None:
    """Hold every step that would start."""
    return Suspended() if view.flow.plan.suspend else None
