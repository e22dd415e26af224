"""Manual steps: a person's decision, written as an annotation of the flow."""

from __future__ import annotations

from zenflow_core.limits import MESSAGE_CHARACTERS
from zenflow_core.names import approval_key, approver_key, legacy_approval_key, rejection_key
from zenflow_core.reasons import Approved, AwaitsApproval, Rejected
from zenflow_core.views import StepView


def approval(view: StepView) -> Approved | Rejected | AwaitsApproval:
    """Read the decision; it may have been written before it was asked for.

    A rejection beats an approval that is there at the same time: of two people
    who disagree, the careful one is heard.
    """
    notes = view.flow.seen.annotations
    by = notes.get(approver_key(view.step.name), "")[:MESSAGE_CHARACTERS]
    why = notes.get(rejection_key(view.step.name))
    if why is not None:
        return Rejected(view.now, why=why[:MESSAGE_CHARACTERS], by=by)
    if "true" in (notes.get(approval_key(view.step.name)), notes.get(legacy_approval_key(view.step.name))):
        return Approved(view.now, by=by)
    assert view.record.started_at is not None, "asked for at an instant"
    return AwaitsApproval(view.record.started_at)
