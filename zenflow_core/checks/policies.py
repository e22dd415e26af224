"""How a flow and its steps are run: retries, durations, timeouts, podFailurePolicy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from attrs import frozen

from zenflow_core.checks.finding import mapping
from zenflow_core.checks.report import Report
from zenflow_core.checks.steps import Graph
from zenflow_core.checks.syntax import shown, some_of
from zenflow_core.durations import MalformedDuration, format_duration, parse_duration
from zenflow_core.limits import (
    BACKOFF_DURATION_DEFAULT,
    BACKOFF_DURATION_MAX,
    BACKOFF_FACTOR_DEFAULT,
    RETRY_LIMIT_DEFAULT,
    STEP_TIMEOUT_SECONDS,
)
from zenflow_core.plan import RetryRule
from zenflow_core.pod_failure_policy import obstacle
from zenflow_core.spec import Backoff, ExecutionPolicy, OnExitCodes, PodFailurePolicy, RetryPolicy, Step

JOB_BACKOFF_LIMIT_DEFAULT = 6
"""What the API server fills in for a Job without `backoffLimit` (Job API)."""

_ATTEMPTS_WARNED = 12
"""Pods of one step that are worth a word: 3 x 6 is, 2 x 3 is not."""


@frozen
class Carrier:
    """A step's place and template, as far as policies look at it."""

    row: int
    step: Step
    manual: bool
    job: Mapping[str, Any] | None
    """The Job manifest; None for a Manual step, or if it is missing or too wrong to look at."""


def check_execution_policy(policy: ExecutionPolicy, has_finally: bool, report: Report) -> None:
    """The flow's own policy, but for what depends on the templates."""
    path = "spec.executionPolicy"
    if policy.concurrency_group is not None and not policy.concurrency_group.strip():
        fix = "name a group, or remove the field: flows of one name or owner then compete"
        report.add("ZF610", f"{path}.concurrencyGroup", "the group is empty", fix)
    if policy.finally_deadline_seconds is not None and not has_finally:
        what = "the flow has no finally steps that this deadline could end"
        report.add("ZF609", f"{path}.finallyDeadlineSeconds", what, "remove it, or add spec.finally")
    if policy.pod_failure_policy is not None:
        check_failure_policy(policy.pod_failure_policy, f"{path}.podFailurePolicy", report)


def check_failure_policy(policy: PodFailurePolicy, path: str, report: Report) -> None:
    """The rules of the flow's podFailurePolicy; one without a condition is legal and matches every failure."""
    if not policy.rules:
        report.add("ZF601", f"{path}.rules", "the policy has no rules", "add a rule, or remove the policy")
    for place, rule in enumerate(policy.rules):
        if rule.on_exit_codes is not None:
            _check_exit_codes(rule.on_exit_codes, f"{path}.rules[{place}].onExitCodes.values", report)


def _check_exit_codes(codes: OnExitCodes, path: str, report: Report) -> None:
    if not codes.values:
        report.add("ZF602", path, "no exit codes are listed", "list at least one from 0 to 255")
    for place, code in enumerate(codes.values):
        if not 0 <= code <= 255:
            what = f"{code} is no exit code, they go from 0 to 255"
            fix = f"a process killed by signal {-code} exits with {128 - code}" if -65 < code < 0 else "correct it"
            report.add("ZF602", f"{path}[{place}]", what, fix)


def check_carriers(policy: PodFailurePolicy, carriers: Iterable[Carrier], graph: Graph, report: Report) -> None:
    """Warn where the flow's podFailurePolicy cannot reach a step's Jobs."""
    jobs = [carrier for carrier in carriers if carrier.job is not None]
    barred: list[tuple[Carrier, str, str, str]] = []
    for carrier in jobs:
        spec = mapping(carrier.job or {}, "spec")
        found = obstacle(policy, mapping(mapping(spec, "template"), "spec"), spec)
        if found is not None:
            barred.append((carrier, found.path, found.what, found.fix))
    if not barred:
        return
    names = some_of([f"'{carrier.step.name}'" for carrier, *_ in barred])
    path = "spec.executionPolicy.podFailurePolicy"
    _, _, what, fix = barred[0]
    if len(barred) == len(jobs):
        report.add("ZF603", path, f"no step can carry the policy; of {names} the template's field {what}", fix)
    else:
        report.add("ZF603", path, f"{len(barred)} of {len(jobs)} steps run without the policy: {names}", fix)


def check_step(carrier: Carrier, path: str, report: Report) -> RetryRule | None:
    """Retries and timeout of a step; the retry rule with its defaults, if there are to be retries."""
    step = carrier.step
    if step.timeout_seconds is not None and step.timeout_seconds > STEP_TIMEOUT_SECONDS:
        what = f"{step.timeout_seconds} s are more than 30 days ({STEP_TIMEOUT_SECONDS})"
        report.add("ZF606", f"{path}.timeoutSeconds", what, f"write at most {STEP_TIMEOUT_SECONDS}")
    if carrier.job is not None:
        _check_against_job(step, carrier.job, path, report)
    if step.retry_policy is None:
        return None
    if carrier.manual:
        what = "a Manual step has no attempts that could be repeated"
        report.add("ZF608", f"{path}.retryPolicy", what, "remove it")
    return _retry(step.retry_policy, f"{path}.retryPolicy", report)


def _retry(policy: RetryPolicy, path: str, report: Report) -> RetryRule:
    backoff = policy.backoff or Backoff()
    where = f"{path}.backoff"
    duration = _duration(backoff.duration, f"{where}.duration", BACKOFF_DURATION_DEFAULT, report)
    ceiling = _duration(backoff.max_duration, f"{where}.maxDuration", BACKOFF_DURATION_MAX, report)
    factor = BACKOFF_FACTOR_DEFAULT if backoff.factor is None else backoff.factor
    if not (math.isfinite(factor) and factor >= 1.0):
        what = f"the factor is {factor}, which would make pauses shorter"
        report.add("ZF605", f"{where}.factor", what, "write 1.0 or more; 2.0 is the default")
    limit = RETRY_LIMIT_DEFAULT if policy.limit is None else policy.limit
    return RetryRule(limit=limit, type=backoff.type, duration=duration, factor=factor, ceiling=ceiling)


def _duration(text: str | None, path: str, default: timedelta, report: Report) -> timedelta:
    # The empty string has always meant "not given" here.
    if not text:
        return default
    value = parse_duration(text)
    if isinstance(value, MalformedDuration):
        report.add("ZF604", path, value.what, value.fix)
        return default
    if value <= timedelta(0):
        report.add("ZF604", path, f"{shown(text)} is not above zero", 'write a duration above zero, for instance "1s"')
        return default
    if value > BACKOFF_DURATION_MAX:
        what = f"{shown(text)} is longer than {format_duration(BACKOFF_DURATION_MAX)}"
        report.add("ZF604", path, what, 'write at most "720h"')
        return default
    return value


def _check_against_job(step: Step, job: Mapping[str, Any], path: str, report: Report) -> None:
    spec = mapping(job, "spec")
    policy = step.retry_policy
    tries = spec.get("backoffLimit")
    # Under a retryPolicy a template that says nothing gets backoffLimit 0: only what is written multiplies.
    if policy is not None and isinstance(tries, int) and tries > 0:
        limit = RETRY_LIMIT_DEFAULT if policy.limit is None else policy.limit
        total = (limit + 1) * (tries + 1)
        if limit > 0 and total >= _ATTEMPTS_WARNED:
            what = f"retries multiply: {limit + 1} attempts with {tries + 1} tries each are {total} Pods"
            fix = "set spec.backoffLimit of the template to 0, or remove retryPolicy"
            report.add("ZF607", f"{path}.retryPolicy", what, fix)
    deadline = spec.get("activeDeadlineSeconds")
    if step.timeout_seconds is not None and isinstance(deadline, int) and deadline > step.timeout_seconds:
        what = f"timeoutSeconds ({step.timeout_seconds}) ends the Job before its activeDeadlineSeconds ({deadline})"
        report.add("ZF611", f"{path}.timeoutSeconds", what, "keep one of the two, or raise timeoutSeconds")
