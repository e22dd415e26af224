"""The flow's phase and conditions: total functions of its steps and of what ended it.

The phase is not a second state machine; it is stored for people. `Ready` and its
reasons are as the JobFlow API has always had them, `Complete` and `Failed` as on
a Job (so `kubectl wait --for=condition=Complete` works), `Reconciling` and
`Stalled` as kstatus reads them.
"""

from __future__ import annotations

from attrs import evolve, frozen

from zenflow_core.facts import reason_of
from zenflow_core.reasons import Instant
from zenflow_core.say import say
from zenflow_core.state import Condition, FlowPhase, FlowRecord
from zenflow_core.views import FlowView

COMPLETE = "Complete"
FAILED = "Failed"
READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
SPEC_CHANGED = "SpecChanged"

_EDITED = (
    "steps, finally, templates, parameters or resourceTemplates are not what this flow started with; "
    "what has started is left as it is"
)


_OVER = frozenset({FlowPhase.SUCCEEDED, FlowPhase.FAILED})


def phase_of(view: FlowView, *, failed: bool) -> FlowPhase:
    """Where the flow is; `failed` says that a step failed for good."""
    record = view.record
    if record.completed_at is not None:
        if record.phase in _OVER:
            return record.phase  # whatever is known of its steps now: the spec may be refused by this version
        return FlowPhase.FAILED if failed or record.ended is not None else FlowPhase.SUCCEEDED
    if record.started_at is None:
        return FlowPhase.SUSPENDED if view.plan.suspend else FlowPhase.PENDING
    if view.tally.approvals:
        return FlowPhase.PAUSED
    return FlowPhase.SUSPENDED if view.plan.suspend else FlowPhase.RUNNING


def edited(view: FlowView) -> bool:
    """Whether the parts of the spec that never change have changed since the flow started, whoever let that happen."""
    return view.record.fingerprint not in ("", view.plan.fingerprint) and not view.plan.refused


def says_edited(record: FlowRecord) -> bool:
    """Whether the flow's conditions say so already."""
    return any(condition.type == SPEC_CHANGED and condition.status for condition in record.conditions)


@frozen
class _Said:
    status: bool
    reason: str
    message: str = ""


def conditions_of(view: FlowView, *, phase: FlowPhase, failed_step: str, tolerated: int) -> tuple[Condition, ...]:
    """The flow's conditions; one keeps its `lastTransitionTime` as long as its status stays.

    `failed_step` names the step that failed the flow, `tolerated` counts failed steps with continueOnFailure.
    """
    record = view.record
    told: dict[str, _Said]
    match phase:
        case FlowPhase.SUCCEEDED:
            message = f"failed steps with continueOnFailure: {tolerated}" if tolerated else ""
            told = {READY: _Said(True, "FlowSucceeded", message), COMPLETE: _Said(True, "FlowSucceeded", message)}
        case FlowPhase.FAILED:
            failure = _failure(record, failed_step)
            told = {READY: failure, FAILED: evolve(failure, status=True)}
        case FlowPhase.RUNNING:
            told = {READY: _Said(True, "FlowRunning"), RECONCILING: _Said(True, "FlowRunning")}
        case FlowPhase.PAUSED:
            told = {READY: _Said(False, "AwaitsApproval"), RECONCILING: _Said(True, "AwaitsApproval")}
        case FlowPhase.SUSPENDED:
            told = {READY: _Said(False, "Suspended"), RECONCILING: _Said(True, "Suspended")}
        case FlowPhase.PENDING:
            hold = record.holds[0] if record.holds else None
            reason = reason_of(hold) if hold is not None else "FlowPending"
            told = {READY: _Said(False, reason, say(hold) if hold is not None else "")}
            told[RECONCILING] = _Said(True, reason)
    if edited(view):
        told[SPEC_CHANGED] = _Said(True, "ImmutableFieldsEdited", _EDITED)
    for settled in (RECONCILING, STALLED, SPEC_CHANGED):
        if any(condition.type == settled for condition in record.conditions):
            told.setdefault(settled, _Said(False, told[READY].reason))
    return tuple(_stamp(record.conditions, kind, said, view.now) for kind, said in sorted(told.items()))


def _failure(record: FlowRecord, failed_step: str) -> _Said:
    """Why a flow failed; where that cannot be told any more, what was said of it."""
    if record.ended is not None:
        return _Said(False, reason_of(record.ended), say(record.ended))
    if failed_step:
        return _Said(False, "FlowFailed", f"step {failed_step} failed")
    ready = next((c for c in record.conditions if c.type == READY and not c.status), None)
    return _Said(False, "FlowFailed") if ready is None else _Said(False, ready.reason, ready.message)


def _stamp(known: tuple[Condition, ...], kind: str, said: _Said, now: Instant) -> Condition:
    before = next((c for c in known if c.type == kind), None)
    since = before.since if before is not None and before.status == said.status else now
    return Condition(kind, said.status, reason=said.reason, since=since, message=said.message)
