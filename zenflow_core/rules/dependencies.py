"""Whether the steps before this one are settled, and settled well enough.

A dependency is met when its step is Succeeded, Skipped, or Failed with that
step's own `continueOnFailure`. (As in Argo and Tekton a step after a skipped
one runs.) The table is total: every phase is met, unmet or still open.
"""

from __future__ import annotations

from zenflow_core.limits import HELD_STEPS_NAMED
from zenflow_core.reasons import FlowNotStarted, UpstreamUnmet, WaitsFor, WaitsForMain
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


def start(view: StepView) -> FlowNotStarted | None:
    """Nothing happens before the flow itself has started."""
    return FlowNotStarted() if view.flow.record.started_at is None else None


def dependencies(view: StepView) -> UpstreamUnmet | WaitsFor | WaitsForMain | None:
    """Wait for every dependency; end as soon as one of them cannot be met any more."""
    if not view.main and not view.flow.main_settled:
        return WaitsForMain()
    plan = view.flow.plan.steps
    open_ = []
    for rank, record in zip(view.step.upstream, view.upstream, strict=True):
        if record.finished_at is None:
            open_.append(rank)
        elif record.phase is StepPhase.FAILED and not plan[rank].continue_on_failure:
            return UpstreamUnmet(record.finished_at, plan[rank].name)
    if not open_:
        return None
    return WaitsFor(tuple(plan[rank].name for rank in open_[-HELD_STEPS_NAMED:]), of=len(view.upstream))


def settled_upstream(view: StepView) -> bool:
    """Whether nothing upstream can change any more: then `when` and inputs may be asked."""
    if not view.main and not view.flow.main_settled:
        return False
    return all(record.finished_at is not None for record in view.upstream)
