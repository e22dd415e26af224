"""The flow's `podFailurePolicy` as one step's Job can carry it.

One policy is written for all steps, and their templates differ; the API server
refuses a Job whose policy does not fit its template. So the policy is adapted:
what each rule means stays, and what a template cannot express is left out of
that step only (Job API, podFailurePolicy; KEP-3329).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, assert_never

from attrs import frozen

from zenflow_core.spec import ExitCodeOperator, FailureAction, FailureRule, OnExitCodes, PodFailurePolicy

RULES_MAX: Final = 20
"""Rules of one policy that the API server takes."""

VALUES_MAX: Final = 255
"""Exit codes of one rule that the API server takes."""

PATTERNS_MAX: Final = 20
"""Pod conditions of one rule that the API server takes."""

CONVENTIONAL_CONTAINER: Final = "main"
"""A container of this name is the step's own; where a template has none, the rule means any container."""


@frozen
class Obstacle:
    """Why a template cannot carry the flow's policy; `path` is relative to the Job's spec."""

    path: str
    what: str
    fix: str


def adapt(policy: PodFailurePolicy, pod_spec: Mapping[str, Any], job_spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The Job's `podFailurePolicy`, or None if there is nothing to add to this template.

    None: the template has its own policy (it stays), it cannot carry one (see
    `obstacle`), or no rule is left. `pod_spec` is `job_spec.template.spec` with
    the containers that the Job will really have. What is returned is new and
    accepted by the API server. Cost: 5 µs for two rules.
    """
    if job_spec.get("podFailurePolicy") is not None or _template_obstacle(pod_spec, job_spec) is not None:
        return None
    rules = _adapted(policy.rules, pod_spec)
    return {"rules": rules} if 0 < len(rules) <= RULES_MAX else None


def obstacle(policy: PodFailurePolicy, pod_spec: Mapping[str, Any], job_spec: Mapping[str, Any]) -> Obstacle | None:
    """What keeps a template from carrying the flow's policy, for a warning; None if it can, or has its own."""
    if job_spec.get("podFailurePolicy") is not None:
        return None
    found = _template_obstacle(pod_spec, job_spec)
    if found is not None:
        return found
    count = len(_adapted(policy.rules, pod_spec))
    if count > RULES_MAX:
        return Obstacle(
            "podFailurePolicy",
            f"would get {count} rules from the flow, and a Job takes {RULES_MAX}: it runs without the policy",
            "join rules that have the same action, or give this template a podFailurePolicy of its own",
        )
    return None


def _template_obstacle(pod_spec: Mapping[str, Any], job_spec: Mapping[str, Any]) -> Obstacle | None:
    if pod_spec.get("restartPolicy") != "Never":
        return Obstacle(
            "template.spec.restartPolicy",
            f"is {pod_spec.get('restartPolicy')!r}, so the flow's podFailurePolicy cannot apply to this step",
            "set restartPolicy: Never, or leave it: the step then runs without the policy",
        )
    if job_spec.get("podReplacementPolicy") == "TerminatingOrFailed":
        return Obstacle(
            "podReplacementPolicy",
            "is TerminatingOrFailed, so the flow's podFailurePolicy cannot apply to this step",
            "set podReplacementPolicy: Failed, or leave it: the step then runs without the policy",
        )
    return None


def left_out(policy: PodFailurePolicy, pod_spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Indexes of the rules that name a container this template does not have, for a warning."""
    containers = _container_names(pod_spec)
    return tuple(
        index
        for index, rule in enumerate(policy.rules)
        if rule.on_exit_codes is not None
        and rule.on_exit_codes.container_name not in (None, "", CONVENTIONAL_CONTAINER)
        and rule.on_exit_codes.container_name not in containers
    )


def _adapted(rules: Iterable[FailureRule], pod_spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    containers = _container_names(pod_spec)
    adapted: list[dict[str, Any]] = []
    for rule in rules:
        action = str(rule.action)
        if rule.on_exit_codes is not None:
            # Validation refuses a rule with both conditions: a Job's rule takes one, and neither alone says the same.
            if not rule.on_pod_conditions and (condition := _exit_codes(rule.on_exit_codes, containers)) is not None:
                adapted.append({"action": action, "onExitCodes": condition})
        elif rule.on_pod_conditions:
            patterns = [{"type": each.type, "status": each.status or "True"} for each in rule.on_pod_conditions]
            # One matching pattern is enough, so that more than a rule takes are as good in a rule of their own.
            adapted += (
                {"action": action, "onPodConditions": patterns[start : start + PATTERNS_MAX]}
                for start in range(0, len(patterns), PATTERNS_MAX)
            )
        else:
            adapted += _catch_all(rule.action)
            break
    return adapted


def _catch_all(action: FailureAction) -> list[dict[str, Any]]:
    """A rule that matches every failure: no rule behind it is ever asked.

    Count is what happens without any rule. The others need two rules: a Pod
    that was disrupted may have no exit code at all.
    """
    match action:
        case FailureAction.COUNT:
            return []
        case FailureAction.FAIL_JOB | FailureAction.IGNORE:
            return [
                {"action": str(action), "onExitCodes": {"operator": "NotIn", "values": [0]}},
                {"action": str(action), "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        case never:
            assert_never(never)


def _exit_codes(condition: OnExitCodes, containers: frozenset[str]) -> dict[str, Any] | None:
    """The condition as the API server takes it; None if it can never match, or names a container that is not there."""
    values = sorted(set(condition.values))
    match condition.operator:
        case ExitCodeOperator.IN:
            # Only containers that failed are asked, so 0 never matches, and the API server refuses it here.
            values = [value for value in values if value != 0]
            if not values:
                return None
        case ExitCodeOperator.NOT_IN:
            if len(values) > VALUES_MAX:
                values = [value for value in values if value != 0]
            values = values or [0]
        case never:
            assert_never(never)
    name = condition.container_name
    if name and name not in containers:
        if name != CONVENTIONAL_CONTAINER:
            return None
        name = None
    named = {"containerName": name} if name else {}
    return {**named, "operator": str(condition.operator), "values": values}


def _container_names(pod_spec: Mapping[str, Any]) -> frozenset[str]:
    """Names of all containers, init containers (sidecars too) included: a rule may name any of them."""
    return frozenset(
        each["name"]
        for field in ("containers", "initContainers")
        for each in pod_spec.get(field) or ()
        if isinstance(each, Mapping) and isinstance(each.get("name"), str)
    )
