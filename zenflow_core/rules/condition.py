"""`when`: asked once, when everything upstream is settled. A guard never fails open."""

from __future__ import annotations

import json
from typing import Any

from zenflow_core.expressions import EvaluationFailed, evaluate
from zenflow_core.limits import INT64_MAX, MESSAGE_CHARACTERS
from zenflow_core.reasons import ConditionFalse, ConditionInvalid, ConditionMet, OutputValue
from zenflow_core.rules.dependencies import settled_upstream
from zenflow_core.state import StepRecord
from zenflow_core.views import StepView


def condition(view: StepView) -> ConditionMet | ConditionFalse | ConditionInvalid | None:
    """Answer the step's `when` once; a retry does not ask again."""
    when = view.step.when
    if when is None or view.record.condition_met or view.record.attempt > 0 or not settled_upstream(view):
        return None
    if view.flow.record.started_at is None:
        return None
    at = view.ready_at()
    match evaluate(when, _data(view)):
        case EvaluationFailed(message=message):
            return ConditionInvalid(at, message[:MESSAGE_CHARACTERS])
        case True:
            return ConditionMet(at)
        case _:
            return ConditionFalse(at)


def _data(view: StepView) -> dict[str, Any]:
    """What the expression may read: only the steps that it names."""
    plan, seen = view.flow.plan, view.flow.seen
    return {
        "steps": {plan.steps[rank].name: _step(view.reader(rank)) for rank in view.step.when_reads},
        "parameters": dict(plan.parameters),
        "flow": {
            "name": seen.name,
            "namespace": seen.namespace,
            "labels": dict(seen.labels),
            "annotations": dict(seen.annotations),
            "phase": _outlook(view),
        },
    }


def _outlook(view: StepView) -> str:
    """`flow.phase`, which only `finally` steps can read: how the main steps have ended."""
    failed = view.flow.record.ended is not None or view.flow.fatal is not None
    return "Failed" if failed else "Succeeded"


def _step(record: StepRecord) -> dict[str, Any]:
    outputs = record.outputs or {}
    return {
        "phase": str(record.phase.value),
        "outputs": {"parameters": {name: native(value) for name, value in outputs.items()}},
    }


def native(value: OutputValue) -> Any:
    """The recorded value as CEL knows values; an integer that int64 cannot hold stays text."""
    if not value.json:
        return value.text
    parsed = json.loads(value.text or "null")  # null is recorded as the empty text that placeholders make of it
    return value.text if type(parsed) is int and abs(parsed) > INT64_MAX else parsed
