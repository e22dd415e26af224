"""The longest wall time: the longest chain of steps, and the wait for slots, cut off by the flow's own deadline.

An attempt lasts at most its `timeoutSeconds`, or its template's
`activeDeadlineSeconds` and the time its Pods have to end; a step without either
has no bound, nor has a Manual step without `timeoutSeconds`. A retry comes after
its pause, or when the Pods of the attempt before are gone, whichever is later.
Of the retries of main steps at most `backoffLimit` happen, whichever cost most.

With `parallelism` p a ready step waits only while p others hold the slots, so
the whole takes at most the longest chain and a p-th of all the work (Graham's
bound for list scheduling). `activeDeadlineSeconds` and `finallyDeadlineSeconds`
end their part of the flow whatever else is unbounded. To this come, on a
cluster, the seconds that its controllers take.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import frozen

from zenflow_core.bounds.attempts import grace_seconds, is_main, job_spec, never_runs, retries
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.rules.retry import delay
from zenflow_core.spec import StepName

_COUNTED = 1_000
"""Pauses that are added up one by one; the rest counts as the longest each."""


@frozen
class Unbounded:
    """Nothing in the spec ends these steps; `field` would end them all at once."""

    steps: tuple[StepName, ...]
    """In the order of the spec; each could have `timeoutSeconds`."""
    field: str
    """The path of the deadline over all of them."""


def wall_time(plan: Plan) -> tuple[int | Unbounded, int | Unbounded]:
    """Seconds for the main steps, and for those of `finally` after them."""
    main = _segment(plan, plan.steps[: plan.main], deadline=plan.deadline, field="activeDeadlineSeconds")
    last = _segment(plan, plan.steps[plan.main :], deadline=plan.finally_deadline, field="finallyDeadlineSeconds")
    if isinstance(last, int) and plan.parallelism is not None and plan.main < len(plan.steps):
        # Jobs of main steps that were given up hold their slots until their Pods are gone.
        left = last + max((grace_seconds(step) for step in plan.steps[: plan.main] if not step.manual), default=0)
        last = left if plan.finally_deadline is None else min(left, _whole(plan.finally_deadline))
    return main, last


def _segment(plan: Plan, steps: tuple[PlannedStep, ...], *, deadline: timedelta | None, field: str) -> int | Unbounded:
    endless = [step for step in steps if _attempt(step) is None]
    if endless and deadline is None:
        names = tuple(step.name for step in sorted(endless, key=lambda step: step.row))
        return Unbounded(names, f"spec.executionPolicy.{field}")
    found = None if endless else _longest(plan, steps)
    if deadline is None:
        assert found is not None, "no step is endless"
        return found
    return _whole(deadline) if found is None else min(found, _whole(deadline))


def _longest(plan: Plan, steps: tuple[PlannedStep, ...]) -> int:
    """The bound from the steps' own limits."""
    budget = plan.backoff_limit
    chain = _chain(steps, {step.rank: _first(step) + _retries(step, budget) for step in steps})
    if steps and is_main(steps[0]) and budget <= _COUNTED:
        single = sorted((cost for step in steps for cost in _each_retry(step, budget)), reverse=True)
        chain = min(chain, _chain(steps, {step.rank: _first(step) for step in steps}) + sum(single[:budget]))
    if plan.parallelism is None:
        return chain
    work = sum(_work(step, budget) for step in steps)
    return chain + work // plan.parallelism


def _chain(steps: tuple[PlannedStep, ...], lengths: dict[int, int]) -> int:
    """The longest path. Ranks are topological."""
    ends: dict[int, int] = {}
    for step in steps:
        ends[step.rank] = lengths[step.rank] + max((ends.get(rank, 0) for rank in step.upstream), default=0)
    return max(ends.values(), default=0)


def _attempt(step: PlannedStep) -> int | None:
    """Seconds of one attempt, or of the wait for an approval; None: nothing ends it."""
    if never_runs(step):
        return 0
    limits = [] if step.timeout is None else [_whole(step.timeout)]
    given = job_spec(step).get("activeDeadlineSeconds")
    if not step.manual and type(given) is int:
        limits.append(given + grace_seconds(step))
    return min(limits, default=None)


def _first(step: PlannedStep) -> int:
    return _attempt(step) or 0


def _limit(step: PlannedStep, budget: int) -> int:
    return min(retries(step), budget) if is_main(step) else retries(step)


def _each_retry(step: PlannedStep, budget: int) -> list[int]:
    """The cost of each retry in turn, pause and attempt, of which at most `_COUNTED` are told apart."""
    count = min(_limit(step, budget), _COUNTED)
    return [_pause(step, n) + _first(step) for n in range(1, count + 1)]


def _retries(step: PlannedStep, budget: int) -> int:
    limit = _limit(step, budget)
    counted = sum(_each_retry(step, budget))
    rest = limit - min(limit, _COUNTED)
    return counted + (rest * (_pause(step, limit) + _first(step)) if rest else 0)


def _pause(step: PlannedStep, n: int) -> int:
    """Before retry `n`: never less than a pause before an earlier one."""
    assert step.retry is not None, "it has retries"
    pause = _whole(delay(step.retry, n))
    return pause if step.timeout is None else max(pause, grace_seconds(step))


def _work(step: PlannedStep, budget: int) -> int:
    """Seconds for which the step can hold a slot: its attempts, and their Pods that still end."""
    if step.manual or never_runs(step):
        return 0
    return (_first(step) + grace_seconds(step)) * (1 + _limit(step, budget))


def _whole(time: timedelta) -> int:
    return time // timedelta(seconds=1)
