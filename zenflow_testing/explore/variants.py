"""How a flow's steps can turn out without any fault of the cluster: calmly, or one of them failing.

Faults are tried in the calm life of a flow first, then in each life in which
one step fails: once (where a retry follows), and for good. A Manual step
is rejected, or its approval never comes (where `timeoutSeconds` ends the wait).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from attrs import evolve, field, frozen

from zenflow_core.bounds.attempts import never_runs
from zenflow_core.limits import INT32_MAX
from zenflow_core.plan import Plan, PlannedStep
from zenflow_testing.outcomes import (
    APPROVAL_DELAY,
    ApprovalRefused,
    CalmOutcomes,
    Decision,
    JobEnding,
    NeverDecided,
    Outcomes,
)

EXIT_CODE: Final = 1
"""How a step's container fails here."""

_ALIKE: Final = "failing steps that differ from one that was tried in name and template only"
_REJECTED: Final = ApprovalRefused(APPROVAL_DELAY, "rejected by zenflow explore")


@frozen
class OneFails:
    """As `base` has it, but the first `runs` runs of one step fail."""

    base: Outcomes
    step: str
    runs: int

    def job(self, step: str, attempt: int) -> JobEnding:
        ending = self.base.job(step, attempt)
        fails = step == self.step and attempt <= self.runs
        return evolve(ending, exit_code=EXIT_CODE) if fails else ending

    def approval(self, step: str) -> Decision:
        return self.base.approval(step)

    def config_map(self, name: str, key: str) -> str | None:
        return self.base.config_map(name, key)

    def suspended(self, step: str) -> timedelta | None:
        return self.base.suspended(step)


@frozen
class OneDecides:
    """As `base` has it, but one approval goes another way."""

    base: Outcomes
    step: str
    decision: Decision

    def job(self, step: str, attempt: int) -> JobEnding:
        return self.base.job(step, attempt)

    def approval(self, step: str) -> Decision:
        return self.decision if step == self.step else self.base.approval(step)

    def config_map(self, name: str, key: str) -> str | None:
        return self.base.config_map(name, key)

    def suspended(self, step: str) -> timedelta | None:
        return self.base.suspended(step)


@frozen
class Variant:
    """One way that a flow's steps turn out."""

    name: str
    """For people: `calm`, `build fails once`."""
    outcomes: Outcomes = field(repr=False)
    step: str = ""
    """The step that fails, or is not approved."""


CALM: Final = Variant("calm", CalmOutcomes())


def variants_of(plan: Plan, left_out: Counter[str]) -> Iterator[Variant]:
    """All of them, the calm one first, then by step in the order in which they run.

    Of steps that differ in name and template only (the shards of a fan-out) the
    first is tried; `left_out` counts the others.
    """
    yield CALM
    known: set[object] = set()
    for step in plan.steps:
        likeness = _likeness(step)
        if likeness in known:
            left_out[_ALIKE] += 1
        elif not never_runs(step):
            known.add(likeness)
            yield from _failing(step)


def _likeness(step: PlannedStep) -> object:
    """What the life of a flow depends on when this step fails."""
    when = None if step.when is None else step.when.source
    fields = (step.segment, step.manual, step.upstream, step.downstream, when, step.retry, step.timeout)
    return (*fields, step.continue_on_failure, step.reads, tuple(output.path for output in step.outputs))


def _failing(step: PlannedStep) -> Iterator[Variant]:
    name, calm = step.name, CALM.outcomes
    if step.manual:
        yield Variant(f"{name} is rejected", OneDecides(calm, name, _REJECTED), name)
        if step.timeout is not None:
            yield Variant(f"{name} is never approved", OneDecides(calm, name, NeverDecided()), name)
        return
    if step.retry is not None and step.retry.limit:
        yield Variant(f"{name} fails once", OneFails(calm, name, 1), name)
    yield Variant(f"{name} fails for good", OneFails(calm, name, INT32_MAX), name)
