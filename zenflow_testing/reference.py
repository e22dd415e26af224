"""The DAG semantics in a page: how each step may end, without retries, slots or time. An oracle for the engine.

`fates(manifest, fails)` says for each step in which of the phases it may be once the flow is over, where `fails` names
the steps whose Jobs (or approvals) fail for good. Where every step is `continueOnFailure` that is one phase a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any, Final

from zenflow_core.plan import Plan, PlannedStep

SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
SKIPPED: Final = "Skipped"

Holds = Callable[[PlannedStep, Mapping[str, str]], bool]
"""Whether the `when` of a step holds, given the phases of the steps before it."""


def fates(plan: Plan, fails: Set[str], holds: Holds) -> dict[str, Set[str]]:
    """The phases in which each step may end. Cost: O(steps)."""
    found: dict[str, Set[str]] = {}
    ends: dict[str, str] = {}
    fatal = False
    for step in plan.steps[: plan.main]:
        before = [plan.steps[rank] for rank in step.upstream]
        unmet = any(ends[each.name] == FAILED and not each.continue_on_failure for each in before)
        ends[step.name] = _end(step, unmet=unmet, fails=fails, holds=holds, ends=ends)
        found[step.name] = {ends[step.name]}
        fatal = fatal or (ends[step.name] == FAILED and not step.continue_on_failure)
    if fatal:
        # Nothing starts any more once a step has failed: whatever might have been later may not have been at all.
        found = {name: phases | {FAILED, SKIPPED} for name, phases in found.items()}
    for step in plan.steps[plan.main :]:
        before = [plan.steps[rank] for rank in step.upstream]
        unmet = any(ends[each.name] == FAILED and not each.continue_on_failure for each in before)
        ends[step.name] = _end(step, unmet=unmet, fails=fails, holds=holds, ends=ends)
        found[step.name] = {ends[step.name]} | ({FAILED, SKIPPED} if fatal else set())
    return found


def _end(step: PlannedStep, *, unmet: bool, fails: Set[str], holds: Holds, ends: Mapping[str, Any]) -> str:
    if unmet:
        return FAILED
    if not holds(step, ends):
        return SKIPPED
    return FAILED if step.name in fails else SUCCEEDED
