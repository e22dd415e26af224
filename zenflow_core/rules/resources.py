"""`resourceTemplates`: claims and ConfigMaps that are there before the first step, owned by the flow.

One that was made once is recorded and never made again: a claim that somebody
deleted would come back empty.
"""

from __future__ import annotations

from datetime import timedelta

from zenflow_core.limits import HELD_STEPS_NAMED, MESSAGE_CHARACTERS, RESOURCE_REFUSAL_DELAY, RETRY_AFTER_MAX
from zenflow_core.names import ARTIFACTS_CLAIM
from zenflow_core.observation import Made, Refused
from zenflow_core.plan import ResourceKind, ResourceRef
from zenflow_core.reasons import (
    Instant,
    NamespaceTerminating,
    NeedsResource,
    ResourceNameTaken,
    ResourceRefusedUntil,
    ResourceRejected,
)
from zenflow_core.rules.dependencies import settled_upstream
from zenflow_core.rules.refused import permanent
from zenflow_core.views import FlowView, StepView

_ARTIFACTS = ResourceRef(ResourceKind.CLAIM, ARTIFACTS_CLAIM)


def missing(flow: FlowView) -> tuple[ResourceRef, ...]:
    """The objects that are still to be made."""
    if not flow.plan.resources:
        return ()
    known = flow.record.resources
    unwanted = None if _needs_claim(flow) else _ARTIFACTS
    return tuple(
        r
        for r in flow.plan.resources
        if r not in known and r != unwanted and not isinstance(flow.resources.get(r), Made)
    )


def _needs_claim(flow: FlowView) -> bool:
    """Whether a planned claim for artifacts is wanted: not where a store takes them, and not before the start."""
    return flow.record.started_at is not None and flow.record.artifact_store is None


def resources(view: StepView) -> NeedsResource | None:
    """Hold a step that could start until the flow's own objects are there.

    One that waits for other steps says only that, so that the objects' coming
    is not written into every row. The first few are named.
    """
    if not settled_upstream(view):
        return None
    lacks = missing(view.flow)
    names = tuple(f"{ref.kind.value} {ref.name}" for ref in lacks[:HELD_STEPS_NAMED])
    if len(lacks) > HELD_STEPS_NAMED:
        names = (*names, f"{len(lacks) - HELD_STEPS_NAMED} more")
    return NeedsResource(names) if names else None


def resource_refusals(flow: FlowView) -> ResourceNameTaken | ResourceRejected | ResourceRefusedUntil | None:
    """What refused creates mean: an end, whichever object it is, else a pause until the first is sent again.

    In a namespace that is going nothing is sent again, so there is nothing to wake for.
    """
    pauses: list[ResourceRefusedUntil] = []
    for ref in missing(flow):
        answer = flow.resources.get(ref)
        if not isinstance(answer, Refused):
            continue
        what = f"{ref.kind.value} {answer.taken_by or ref.name}"
        if answer.taken_by:
            return ResourceNameTaken(answer.at, what)
        if permanent(answer):
            return ResourceRejected(answer.at, what, code=answer.code, message=answer.message[:MESSAGE_CHARACTERS])
        until = sent_again_at(answer)
        if until is not None and flow.now < until:
            pauses.append(ResourceRefusedUntil(until, what))
    return min(pauses, key=lambda pause: pause.until, default=None)


def sent_again_at(answer: Refused) -> Instant | None:
    """When a create that was refused for now is sent again; None: never, as the namespace is going."""
    if NamespaceTerminating.__name__ in answer.causes:
        return None
    asked = timedelta(seconds=answer.retry_after or 0)
    return answer.at + max(RESOURCE_REFUSAL_DELAY, min(asked, RETRY_AFTER_MAX))
