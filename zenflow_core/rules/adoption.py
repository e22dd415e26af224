"""A Job of ours for the next attempt is there already: take it, never create a second one."""

from __future__ import annotations

from zenflow_core.observation import Seen
from zenflow_core.reasons import Adopted
from zenflow_core.views import StepView


def adoption(view: StepView) -> Adopted | None:
    """Adopt the Job of the next attempt (its create was answered with an error, but it was done)."""
    seen = view.attempt(view.record.attempt + 1)
    if view.step.manual or not isinstance(seen, Seen):
        return None  # a Job cannot stand for a person's decision, whatever it says that it is
    return Adopted(seen.attempt, seen.created_at)
