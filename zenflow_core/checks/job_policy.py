"""A template's own `podFailurePolicy`: what the API server asks of it (Job API; KEP-3329, KEP-3850)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenflow_core.checks.finding import Finding, is_open, items, mapping, mappings
from zenflow_core.checks.syntax import shown, some_of
from zenflow_core.pod_failure_policy import RULES_MAX, VALUES_MAX

_ACTIONS: Final = ("FailJob", "FailIndex", "Ignore", "Count")
_PATH: Final = "spec.podFailurePolicy"


def check_own_policy(spec: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[Finding]:
    """What the API server would refuse in the policy of a Job spec; nothing if it has none."""
    if not spec.get("podFailurePolicy"):
        return
    policy = mapping(spec, "podFailurePolicy")
    if pod.get("restartPolicy") == "OnFailure":
        what = "a Job with podFailurePolicy needs restartPolicy: Never, found OnFailure"
        yield Finding("ZF518", _PATH, what, "write restartPolicy: Never, or remove the policy")
    if spec.get("podReplacementPolicy") == "TerminatingOrFailed":
        what = "a Job with podFailurePolicy needs podReplacementPolicy: Failed, found TerminatingOrFailed"
        yield Finding("ZF518", _PATH, what, "remove podReplacementPolicy: Failed is the default then")
    rules = items(policy, "rules")
    if len(rules) > RULES_MAX:
        what = f"the policy has {len(rules)} rules, at most {RULES_MAX} are allowed"
        yield Finding("ZF518", f"{_PATH}.rules", what, "join rules that have the same action")
    names = {str(item.get("name")) for group in ("containers", "initContainers") for _, item in mappings(pod, group)}
    for index, rule in mappings(policy, "rules"):
        yield from _rule(rule, f"{_PATH}.rules[{index}]", names, per_index=spec.get("backoffLimitPerIndex") is not None)


def _rule(rule: Mapping[str, Any], path: str, names: set[str], *, per_index: bool) -> Iterator[Finding]:
    action = rule.get("action")
    if action not in _ACTIONS and not is_open(action):
        what = f"{shown(str(action))} is not an action" if action else "the rule has no action"
        yield Finding("ZF518", f"{path}.action", what, f"write one of: {', '.join(_ACTIONS)}")
    elif action == "FailIndex" and not per_index:
        yield Finding("ZF518", f"{path}.action", "FailIndex needs backoffLimitPerIndex", "add it, or write FailJob")
    given = [name for name in ("onExitCodes", "onPodConditions") if rule.get(name)]
    if len(given) != 1:
        what = "the rule has no condition" if not given else "the rule has onExitCodes and onPodConditions"
        yield Finding("ZF518", path, what, "give it exactly one of onExitCodes and onPodConditions")
    if rule.get("onExitCodes"):
        yield from _exit_codes(mapping(rule, "onExitCodes"), f"{path}.onExitCodes", names)


def _exit_codes(codes: Mapping[str, Any], path: str, names: set[str]) -> Iterator[Finding]:
    container = codes.get("containerName")
    if (
        isinstance(container, str)
        and container not in names
        and not is_open(container)
        and not any(map(is_open, names))
    ):
        what = f"names the container {shown(container)}, which the Pod does not have ({some_of(sorted(names))})"
        yield Finding("ZF518", f"{path}.containerName", what, "name one of its containers, or remove containerName")
    operator = codes.get("operator")
    if operator not in ("In", "NotIn") and not is_open(operator):
        what = f"{shown(str(operator))} is not an operator" if operator else "the condition has no operator"
        yield Finding("ZF518", f"{path}.operator", what, "write In or NotIn")
    values = [value for value in items(codes, "values") if isinstance(value, int)]
    if not items(codes, "values") or len(values) > VALUES_MAX:
        what = f"{len(values)} exit codes are listed, 1 to {VALUES_MAX} are allowed"
        yield Finding("ZF518", f"{path}.values", what, "list the exit codes")
    elif values != sorted(set(values)):
        fix = f"write {sorted(set(values))}" if len(values) <= 16 else "sort them, each once"
        yield Finding("ZF518", f"{path}.values", "exit codes have to be in ascending order, each once", fix)
    elif operator == "In" and 0 in values:
        what = "exit code 0 is no failure, so it cannot stand under In"
        yield Finding("ZF518", f"{path}.values", what, "remove the 0")
