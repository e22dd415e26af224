"""The most Jobs and API writes: a sum over steps of what each attempt can make the operator send.

A step costs something once (`_Cost` of its first attempt) and something again
for each retry. Retries of main steps are limited by `backoffLimit` over the
whole flow, those of `finally` steps by their own policies only.

Status is written when something is worth a write: a step moves or is held by
something else, or the flow itself is. Per attempt of a Job step: it is over; one
more if it may wait for a slot (`parallelism`), one if it waits until its result
is read (outputs or artifacts), one when the template's own
`ttlSecondsAfterFinished` is over, two if the template is suspended; for a retry
two, as it may wait until the Job before it is gone, and is admitted. (The first
attempt is admitted by what it waited for, in one write with that.) Per step: one for `when`
and one for each ConfigMap key. Per Manual step: asked for, decided. For the
flow: the first look, each object of resourceTemplates, the read of the flow
that it retries, its own end, its deletion. What one decision brings together
is one write, so that a life mostly costs less.

Events: a Job was created, an attempt failed, a step was approved, rejected or
failed; the flow paused, resumed and ended. A reader of `--events=none` can
take them off.
"""

from __future__ import annotations

from attrs import astuple, frozen

from zenflow_core.bounds.attempts import (
    can_exceed_budget,
    is_main,
    job_spec,
    never_runs,
    retries,
    within_budget,
)
from zenflow_core.plan import KeyRead, Plan, PlannedStep, Segment
from zenflow_core.rules.store import wants_store


@frozen
class Writes:
    """Requests that change something, by what they do."""

    creates: int
    """Jobs, and the objects of resourceTemplates."""
    status: int
    """Patches of the flow's status."""
    nudges: int
    """Patches of Jobs for eager completion."""
    deletes: int
    """Jobs that are not wanted any more, and the flow itself when its time is over."""
    events: int
    """Kubernetes Events, best effort."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.creates + self.status + self.nudges + self.deletes + self.events


@frozen
class FlowCounts:
    jobs: int
    writes: Writes


@frozen
class _Cost:
    """What something can make the operator send."""

    jobs: int = 0
    status: int = 0
    nudges: int = 0
    deletes: int = 0
    events: int = 0


def count_all(plan: Plan) -> FlowCounts:
    """The most Jobs and writes of the whole flow."""
    ends = frozenset(segment for segment in Segment if _ends_early(plan, segment))
    first = [_first(plan, step, ends=ends) for step in plan.steps]
    again = [_retry(plan, step, ends=ends) for step in plan.steps]
    total: list[int] = []
    for field in range(len(astuple(_Cost()))):
        main = [(astuple(cost)[field], retries(s)) for s, cost in zip(plan.steps, again, strict=True) if is_main(s)]
        last = sum(astuple(c)[field] * retries(s) for s, c in zip(plan.steps, again, strict=True) if not is_main(s))
        total.append(sum(astuple(cost)[field] for cost in first) + within_budget(plan, main) + last)
    jobs, status, nudges, deletes, events = total
    made = len(plan.resources)
    # The first look, the flow's own end and its deletion; each object made; the read of the flow that it retries.
    # The namespace's store for artifacts, if there may be one, is read likewise.
    reads_store = plan.settings.namespace_stores and wants_store(plan)
    status += 3 + made + (plan.retry_of is not None) + reads_store
    return FlowCounts(jobs, Writes(jobs + made, status, nudges, deletes=deletes + 1, events=events + 1))


def _ends_early(plan: Plan, segment: Segment) -> bool:
    """Whether something in the spec can end running steps of this segment before their Jobs are over."""
    if segment is Segment.FINALLY:
        return plan.finally_deadline is not None or plan.shutdown is not None
    return plan.deadline is not None or plan.fail_fast or plan.shutdown is not None or can_exceed_budget(plan)


def _first(plan: Plan, step: PlannedStep, *, ends: frozenset[Segment]) -> _Cost:
    """The step with one attempt."""
    condition = int(step.when is not None)
    if never_runs(step):
        return _Cost(status=1)
    if step.manual:
        return _Cost(status=condition + 2, events=4)  # asked for, paused, decided, resumed
    keys = len({each.source.ref for each in step.inputs if isinstance(each.source, KeyRead)})
    one = _attempt(plan, step, ends=ends)
    return _Cost(
        jobs=one.jobs,
        status=condition + keys + one.status,
        nudges=one.nudges,
        deletes=one.deletes,
        # A retry that the flow's budget forbids is told, too: the attempt failed, then the step.
        events=one.events + (1 if step.retry is not None else 0),
    )


def _retry(plan: Plan, step: PlannedStep, *, ends: frozenset[Segment]) -> _Cost:
    """One more attempt."""
    if step.manual or never_runs(step):
        return _Cost()
    one = _attempt(plan, step, ends=ends)
    return _Cost(jobs=one.jobs, status=one.status + 2, nudges=one.nudges, deletes=one.deletes, events=one.events)


def _attempt(plan: Plan, step: PlannedStep, *, ends: frozenset[Segment]) -> _Cost:
    spec = job_spec(step)
    kept = spec.get("ttlSecondsAfterFinished") is not None
    moves = plan.settings.artifact_image is not None and step.carries_artifacts
    status = 1 + (plan.parallelism is not None) + (step.documented or moves) + kept + 2 * bool(spec.get("suspend"))
    deleted = step.timeout is not None or step.segment in ends or kept
    return _Cost(jobs=1, status=status, nudges=int(_counts(step)), deletes=int(deleted), events=2)


def _counts(step: PlannedStep) -> bool:
    """Whether counting Pods can show that a Job of this step is done (`reading.owes_nudge`)."""
    spec = job_spec(step)
    parallelism = spec.get("parallelism")
    parallel = spec.get("completions") is None and type(parallelism) is int and parallelism > 1
    return not parallel and spec.get("managedBy") is None and spec.get("successPolicy") is None
