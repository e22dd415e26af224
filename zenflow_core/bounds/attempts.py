"""How often a step can be attempted, and what its Job template says that matters to bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from zenflow_core.expressions import Constant
from zenflow_core.plan import Plan, PlannedStep, Segment

GRACE_SECONDS_DEFAULT: Final = 30
"""`terminationGracePeriodSeconds` of a Pod that says nothing (core/v1)."""

_NOTHING: Final[Mapping[str, Any]] = {}


def never_runs(step: PlannedStep) -> bool:
    """Whether its `when` is the word `never` (or `false`)."""
    return isinstance(step.when, Constant) and not step.when.holds


def retries(step: PlannedStep) -> int:
    """How many retries its own policy allows."""
    return 0 if step.retry is None or step.manual or never_runs(step) else step.retry.limit


def within_budget(plan: Plan, costs: Iterable[tuple[int, int]]) -> int:
    """The most that retries of main steps can cost: `costs` is (cost of one retry, how many) by step.

    All of them if `backoffLimit` allows, else the dearest that it allows: the
    flow ends before a retry beyond its budget starts.
    """
    left, total = plan.backoff_limit, 0
    for cost, count in sorted(costs, reverse=True):
        used = min(count, left)
        total += cost * used
        left -= used
    return total


def can_exceed_budget(plan: Plan) -> bool:
    """Whether the steps' own policies allow more retries than the flow does, so that the flow may end for it."""
    return sum(retries(step) for step in plan.steps) > plan.backoff_limit


def job_spec(step: PlannedStep) -> Mapping[str, Any]:
    """`spec` of the step's Job template."""
    found = (step.template.source if step.template is not None else _NOTHING).get("spec")
    return found if isinstance(found, Mapping) else _NOTHING


def pod_spec(step: PlannedStep) -> Mapping[str, Any]:
    """`spec.template.spec` of the step's Job template."""
    template = job_spec(step).get("template")
    found = template.get("spec") if isinstance(template, Mapping) else None
    return found if isinstance(found, Mapping) else _NOTHING


def grace_seconds(step: PlannedStep) -> int:
    """How long the Pods of a deleted Job of this step may go on, and a second until the Job is gone."""
    given = pod_spec(step).get("terminationGracePeriodSeconds")
    return 1 + (given if type(given) is int and given >= 0 else GRACE_SECONDS_DEFAULT)


def is_main(step: PlannedStep) -> bool:
    return step.segment is Segment.MAIN
