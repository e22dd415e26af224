"""What the API server refuses in a Job's podFailurePolicy and successPolicy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from zenflow_testing.errors import (
    Causes,
    duplicate,
    required,
    too_many,
    unsupported,
    wrong,
    wrong_together,
)
from zenflow_testing.object_meta import (
    qualified_name,
)

_POLICY_RULES = 20
_EXIT_CODES = 255
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_CONDITION_STATUSES = ("False", "True", "Unknown")


def check_pod_failure_policy(policy: Mapping[str, Any], spec: Mapping[str, Any], *, causes: Causes) -> None:
    """Refuse rules that can never match, or that name what the Job does not have."""
    rules = policy.get("rules") or ()
    if len(rules) > _POLICY_RULES:
        causes.append(too_many("spec.podFailurePolicy.rules", len(rules), limit=_POLICY_RULES))
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for kind in ("containers", "initContainers") for c in pod.get(kind) or ()}
    for index, rule in enumerate(rules):
        at = f"spec.podFailurePolicy.rules[{index}]"
        action = rule.get("action")
        if not action:
            causes.append(required(f"{at}.action", f"valid values: {_quoted(_ACTIONS)}"))
        elif action not in _ACTIONS:
            causes.append(unsupported(f"{at}.action", action, _ACTIONS))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            causes.append(wrong(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _exit_codes(codes, f"{at}.onExitCodes", names=names, causes=causes)
        _pod_conditions(conditions or (), f"{at}.onPodConditions", causes=causes)
        if codes is not None and conditions:
            causes.append(wrong_together(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            causes.append(wrong_together(at, "specifying one of OnExitCodes and OnPodConditions is required"))


def _quoted(words: Sequence[str]) -> str:
    listed = " ".join(f'"{word}"' for word in words)
    return f"[{listed}]"


def _exit_codes(codes: Mapping[str, Any], field: str, *, names: set[str | None], causes: Causes) -> None:
    operator = codes.get("operator")
    if not operator:
        causes.append(required(f"{field}.operator", f"valid values: {_quoted(_OPERATORS)}"))
    elif operator not in _OPERATORS:
        causes.append(unsupported(f"{field}.operator", operator, _OPERATORS))
    container = codes.get("containerName")
    if container is not None and container not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        causes.append(wrong(f"{field}.containerName", container, detail))
    values = codes.get("values") or []
    if not values:
        causes.append(wrong(f"{field}.values", values, "at least one value is required"))
    elif len(values) > _EXIT_CODES:
        causes.append(too_many(f"{field}.values", len(values), limit=_EXIT_CODES))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if value == 0 and operator == "In":
            causes.append(wrong(f"{field}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            causes.append(duplicate(f"{field}.values[{index}]", value))
        seen.add(value)
    if any(later < earlier for earlier, later in pairwise(values)):
        causes.append(wrong(f"{field}.values", values, "must be ordered"))


def _pod_conditions(patterns: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    if len(patterns) > _POLICY_RULES:
        causes.append(too_many(field, len(patterns), limit=_POLICY_RULES))
    for index, pattern in enumerate(patterns):
        type_ = pattern.get("type") or ""
        causes.extend(wrong(f"{field}[{index}].type", type_, problem) for problem in qualified_name(type_))
        # An absent status is "True": the server fills that in before it looks.
        status = pattern.get("status", "True")
        if status not in _CONDITION_STATUSES:
            causes.append(unsupported(f"{field}[{index}].status", status, _CONDITION_STATUSES))


def check_success_policy(policy: Mapping[str, Any], completions: int, *, causes: Causes) -> None:
    """Refuse rules that ask for more indexes than the Job has."""
    rules = policy.get("rules") or ()
    field = "spec.successPolicy.rules"
    if not rules:
        causes.append(required(field, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > _POLICY_RULES:
        causes.append(too_many(field, len(rules), limit=_POLICY_RULES))
    for index, rule in enumerate(rules):
        at = f"{field}[{index}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            causes.append(required(at, "at least one of succeededCount or succeededIndexes must be specified"))
        total = None
        if indexes is not None:
            total = _count_of(indexes, completions)
            if isinstance(total, str):
                causes.append(wrong(f"{at}.succeededIndexes", indexes, f"error parsing succeededIndexes: {total}"))
                total = 0
        if count is None:
            continue
        if count < 0:
            causes.append(wrong(f"{at}.succeededCount", count, "must be greater than or equal to 0"))
        if count > completions:
            detail = f"must be less than or equal to {completions} (the number of specified completions)"
            causes.append(wrong(f"{at}.succeededCount", count, detail))
        if total is not None and count > total:
            detail = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            causes.append(wrong(f"{at}.succeededCount", count, detail))


def _count_of(indexes: str, completions: int) -> int | str:
    """How many indexes a text like `0,2-4` names, or what is wrong with it."""
    total, last = 0, -1
    for interval in indexes.split(",") if indexes else ():
        ends = interval.split("-")
        if len(ends) > 2:
            return (
                f'the fragment "{interval}" violates the requirement that an index interval can have at most two parts'
                " separated by '-'"
            )
        numbers = []
        for end in ends:
            if not (end.isascii() and end.isdigit()):
                return f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return f'too large index: "{end}"'
            numbers.append(int(end))
        first, final = numbers[0], numbers[-1]
        if len(numbers) == 2 and first >= final:
            return f"non-increasing order, previous: {first}, current: {final}"
        if first <= last:
            return f"non-increasing order, previous: {last}, current: {first}"
        total += final - first + 1
        last = final
    return total
