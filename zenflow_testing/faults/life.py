"""Whole lives of one flow under a fault script, judged as cases are: a life is a case, so it can be replayed as one.

subject = Subject.of(manifest)
calm = play(subject, CalmOutcomes())
life = play(subject, CalmOutcomes(), [Injection(AfterRequest(3), OperatorCrash(at=0, restart=5.0))], like=calm)
life.failures            # empty: every law held
write_case(life)         # a file that `zenflow test` replays
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from attrs import evolve, field, frozen

from zenflow_core.bounds import Unbounded, bounds_of
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.rules.retry import delay
from zenflow_core.spec import JobFlow
from zenflow_core.state import FlowState
from zenflow_runtime.flows import Flow
from zenflow_testing.cases import history as h
from zenflow_testing.cases.expectations import Expectation, Requests
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.journal import Journal
from zenflow_testing.cases.result import Failure
from zenflow_testing.cases.runner import Run, judged
from zenflow_testing.cases.setting import Setting
from zenflow_testing.cluster import KubernetesVersion
from zenflow_testing.faults.recording import Recorded
from zenflow_testing.faults.script import Injection, history_of
from zenflow_testing.operator import Watcher
from zenflow_testing.outcomes import APPROVAL_DELAY, Outcomes

LONGEST_JOB: Final = 700
"""Seconds of a Job that nothing bounds: longer than any drawn or calm one."""

SETTLING: Final = 600.0
"""Seconds at the end of a life in which nothing may be written any more, a restarted process included."""

ENDED: Final = ("Succeeded", "Failed")


@frozen
class Subject:
    """A flow that is valid, and its plan."""

    manifest: Mapping[str, Any] = field(repr=False)
    plan: Plan = field(repr=False)
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Subject:
        """Raises ValueError with every problem of a flow that is not valid."""
        flow = read_flow(manifest)
        plan = compile_plan(flow) if isinstance(flow, JobFlow) else flow
        if not isinstance(flow, JobFlow) or not isinstance(plan, Plan):
            raise ValueError("\n".join(map(str, plan if isinstance(plan, tuple) else ())))
        return cls(manifest, plan, flow.metadata.name or "")

    @cached_property
    def seconds(self) -> float:
        """By when a calm life is over, computed from the spec alone and once.

        Where a step has no deadline its Jobs are taken to end within `LONGEST_JOB`, approvals within a few minutes.
        """
        wall = bounds_of(self.plan, flow=self.name).wall_seconds
        if not isinstance(wall, Unbounded):
            return float(wall)
        total = 0.0
        for step in self.plan.steps:
            attempts = 1 + (step.retry.limit if step.retry is not None else 0)
            total += APPROVAL_DELAY.total_seconds() + attempts * LONGEST_JOB
            if step.retry is not None:
                pauses = (delay(step.retry, n) for n in range(1, min(step.retry.limit, 1000) + 1))
                total += sum(pause.total_seconds() for pause in pauses)
        return total


@frozen(eq=False)
class Life:
    """How a life went; `failures` is empty if every law held."""

    subject: Subject
    case: Case
    """What was played: `write_case` makes a file of it."""
    failures: tuple[Failure, ...]
    journal: Journal = field(repr=False)
    state: FlowState | None = field(repr=False)
    """What the core last made of the flow."""
    decisions: int
    outcomes: Outcomes = field(repr=False)
    script: tuple[Injection, ...]

    @property
    def held(self) -> bool:
        return not self.failures

    @property
    def phase(self) -> str:
        """The flow's phase at the end."""
        return "" if self.state is None else self.state.record.phase.value

    def summary(self) -> dict[str, tuple[str, int]]:
        """How each step ended: its phase, and after how many attempts."""
        assert self.state is not None, "a life begins with a decision"
        pairs = zip(self.state.plan.steps, self.state.records, strict=True)
        return {step.name: (record.phase.value, record.attempt) for step, record in pairs}


class _Last:
    """Keeps the state that decisions lead to, and counts them."""

    def __init__(self, name: str, then: Watcher | None) -> None:
        self._name = name
        self._then = then
        self.state: FlowState | None = None
        self.decisions = 0

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        self.decisions += 1
        if self._then is not None:
            self._then(flow, observed, now, decision)
        if flow.seen.name == self._name:
            self.state = decision.state


def play(
    subject: Subject,
    outcomes: Outcomes,
    script: Sequence[Injection] = (),
    *,
    watcher: Watcher | None = None,
    like: Life | None = None,
    laws: bool = True,
    kubernetes: KubernetesVersion | None = None,
) -> Life:
    """A whole life: the faults of the script strike, stop, and the flow has to end and come to rest.

    Every decision is held against every law (unless `laws` is off) and shown to `watcher`. `like` is a calm life that
    has to end alike: give it where no fault of the script may change how the flow ends. Each life ends with a fresh
    process that finds nothing to do. Never raises for what the engine does: that is in `failures`.
    """
    recorded = Recorded(outcomes)
    last = _Last(subject.name, watcher)
    case = _case(subject, script, like=like, laws=laws, kubernetes=kubernetes)
    setting = Setting(subject.plan, subject.manifest["spec"], recorded, kubernetes)
    run = Run(case, setting=setting, watcher=last)
    failures = tuple(judged(run))
    played = evolve(case, outcomes=recorded.document())
    return Life(subject, played, failures, run.journal, last.state, last.decisions, outcomes, tuple(script))


def _case(
    subject: Subject,
    script: Iterable[Injection],
    *,
    like: Life | None,
    laws: bool,
    kubernetes: KubernetesVersion | None,
) -> Case:
    history = history_of(script)
    ends = subject.seconds + disturbance(history) + 60
    until = ends + SETTLING + 10
    deleted = any(isinstance(event, h.FlowDeleted) for event in history)
    finish = (h.OperatorCrash(at=ends, restart=1.0), h.Poke(at=ends + 5)) if history else ()
    return Case(
        id=f"{subject.name}-under-faults",
        description="Found by zenflow.\nRight: every law holds, the flow ends, and nothing is written after that.",
        flow=subject.manifest,
        kubernetes_minor=None if kubernetes is None else kubernetes.minor,
        laws=laws,
        history=(*(event for event in history if event.at <= ends), *finish),
        until=until,
        expect=tuple(_wanted(history, like=like, deleted=deleted)),
    )


def _wanted(history: Sequence[h.Happening], *, like: Life | None, deleted: bool) -> Iterable[Expectation]:
    """What has to hold at the end of a life."""
    lost = any(isinstance(event, h.JobDeleted | h.JobDeleting | h.FlowDeleted | h.CacheRewind) for event in history)
    if not deleted:
        yield Expectation(end=True, flow=ENDED)
    yield Expectation(end=True, distinct_names=None if lost else True, active_jobs=0)
    for verb, kind in (("update", "JobFlow/status"), ("create", "Job"), ("delete", "Job")):
        yield Expectation(end=True, requests=Requests(verb=verb, kind=kind, max=0, seconds=SETTLING))
    if like is not None and like.state is not None:
        steps = {name: (phase,) for name, (phase, _) in like.summary().items()}
        retries = {name: attempt - 1 for name, (_, attempt) in like.summary().items() if attempt}
        yield Expectation(end=True, flow=(like.phase,), steps=steps, retry_count=retries)


def disturbance(history: Iterable[h.Happening]) -> float:
    """How much longer a life may take by these events: their own length, and every pause that they may bring about."""
    total = 0.0
    for event in history:
        total += max(event.at, 0) + 60
        match event:
            case h.CacheFreeze(seconds=seconds) | h.CacheRewind(seconds=seconds) | h.HoldDeletes(seconds=seconds):
                total += seconds or 0
            case h.OperatorCrash(restart=restart) | h.OperatorCrashOn(restart=restart):
                total += restart or 0
            case h.ClockJump(seconds=seconds):
                total += 2 * abs(seconds)
            case h.ApiError(seconds=seconds, retry_after=retry_after, times=times):
                total += (seconds or 0) + (times or 1) * max(30, retry_after or 0)
            case h.JobDeleted() | h.JobDeleting() | h.PodGone():
                total += LONGEST_JOB
            case _:
                pass
    return total
