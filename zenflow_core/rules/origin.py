"""`retryOf`: a flow that starts with the Succeeded steps of an earlier one, and their outputs."""

from __future__ import annotations

from zenflow_core.artifact_pod import place_of
from zenflow_core.artifact_store import settled
from zenflow_core.observation import Absent, Origin, Takeover, Unread
from zenflow_core.reasons import NeedsOrigin, RetriedFrom, RetrySourceMissing
from zenflow_core.spec import S3Location
from zenflow_core.views import FlowView, StepView


def origin(flow: FlowView) -> NeedsOrigin | RetrySourceMissing | None:
    """Read the earlier flow before the start; without it there is nothing to retry."""
    source = flow.plan.retry_of
    if source is None or flow.record.started_at is not None:
        return None
    match flow.origin:
        case Unread():
            return NeedsOrigin(source.name)
        case Absent(why):
            return RetrySourceMissing(flow.now, source.name, message=why)
        case Origin():
            return None


def retried(view: StepView) -> RetriedFrom | None:
    """Take a main step over that had Succeeded; all of them move in the decision that starts the flow.

    `finally` runs again: it cleans up, and tells, after what this flow does.
    """
    source, found = view.flow.plan.retry_of, view.flow.origin
    if source is None or not view.main or not isinstance(found, Origin) or view.record.attempt > 0:
        return None
    step = found.succeeded.get(view.step.name)
    started = view.flow.record.started_at
    if step is None or started is None or not _artifacts_remain(view, step):
        return None
    return RetriedFrom(started, source.name, outputs=step.outputs, reads=step.reads, artifacts=step.artifacts)


def _artifacts_remain(view: StepView, step: Takeover) -> bool:
    """Whether this flow can read what the step has left: the other flow's claim goes with that flow."""
    if view.flow.plan.settings.artifact_image is None:
        return True
    stored = step.artifacts or {}
    outputs = [settled(made, view.flow.record.artifact_store) for made in view.step.output_artifacts]
    return all(
        made.optional if made.name not in stored else isinstance(place_of(stored[made.name].location, made), S3Location)
        for made in outputs
    )
