"""The whole order of precedence, on one screen.

`ask` folds a tuple: the first Cause wins; if there is none, every Hold is kept.
So gates (rules that only hold) commute, and endings are a list in order:
deleted > terminated > stopped > an outcome that has happened > deadline >
retry budget > retry > skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast, get_args

from zenflow_core.reasons import Cause, FlowCause, FlowHold, Hold
from zenflow_core.rules.adoption import adoption
from zenflow_core.rules.approval import approval
from zenflow_core.rules.budget import retry_budget
from zenflow_core.rules.cancellation import cancellation, deletion, shutdown, validity
from zenflow_core.rules.concurrency import concurrency
from zenflow_core.rules.condition import condition
from zenflow_core.rules.deadline import active_deadline, finally_deadline, finally_time
from zenflow_core.rules.dependencies import dependencies, start
from zenflow_core.rules.expiry import expiry
from zenflow_core.rules.inputs import inputs
from zenflow_core.rules.origin import origin, retried
from zenflow_core.rules.outcome import outcome
from zenflow_core.rules.refused import refused
from zenflow_core.rules.resources import resource_refusals, resources
from zenflow_core.rules.retry import previous_attempt, retry_backoff
from zenflow_core.rules.size import status_size
from zenflow_core.rules.store import artifact_store
from zenflow_core.rules.suspension import suspension
from zenflow_core.rules.timeout import timeout
from zenflow_core.rules.ttl import job_kept
from zenflow_core.state import StepPhase
from zenflow_core.views import FlowRule, FlowView, Rule, StepView

RULES: Mapping[StepPhase, tuple[Rule, ...]] = MappingProxyType(
    {
        # A Job that is there already is adopted before anything can end the step: it must be accounted for.
        StepPhase.PENDING: (
            *(cancellation, adoption, expiry, finally_deadline, start, retried, dependencies, condition, inputs),
            *(retry_backoff, previous_attempt, refused, resources, suspension),
        ),
        # A decision counts when it is seen, so the deadlines are asked first.
        StepPhase.PENDING_APPROVAL: (cancellation, expiry, finally_deadline, timeout, approval),
        # `outcome` answers with what happened before the deadlines, even when we look later.
        StepPhase.RUNNING: (cancellation, outcome, expiry, finally_deadline, timeout, inputs),
        # Nothing moves these any more; only their Jobs are kept for a while.
        StepPhase.SUCCEEDED: (job_kept,),
        StepPhase.FAILED: (job_kept,),
        StepPhase.SKIPPED: (),
    }
)

# Asked before the steps: what comes from outside.
ENDED_FROM_OUTSIDE: tuple[FlowRule, ...] = (
    # A status that was refused can only be followed by one without rows, whatever else has happened.
    *(status_size, deletion, validity, shutdown),
    *(origin, concurrency),
)
# Asked before the start of a flow that nothing else holds, so that what they read is no older than that.
BEFORE_START: tuple[FlowRule, ...] = (artifact_store,)
# Asked after the steps have answered with what has happened.
ENDED_FROM_WITHIN: tuple[FlowRule, ...] = (resource_refusals, active_deadline, retry_budget, finally_time)

_HOLDS = frozenset(get_args(Hold))
_FLOW_HOLDS = frozenset(get_args(FlowHold))


def ask(rules: Iterable[Rule], view: StepView) -> Cause | tuple[Hold, ...]:
    """The first Cause; without one, all the Holds. Cost: one call a rule."""
    holds: list[Hold] = []
    for rule in rules:
        answer = rule(view)
        if answer is None:
            continue
        if type(answer) not in _HOLDS:
            return cast("Cause", answer)
        holds.append(cast("Hold", answer))
    return tuple(holds)


def ask_flow(rules: Iterable[FlowRule], view: FlowView) -> FlowCause | tuple[FlowHold, ...]:
    """The same for the rules of the flow as a whole."""
    holds: list[FlowHold] = []
    for rule in rules:
        answer = rule(view)
        if answer is None:
            continue
        if type(answer) not in _FLOW_HOLDS:
            return cast("FlowCause", answer)
        holds.append(cast("FlowHold", answer))
    return tuple(holds)


__all__ = ["BEFORE_START", "ENDED_FROM_OUTSIDE", "ENDED_FROM_WITHIN", "RULES", "ask", "ask_flow"]
