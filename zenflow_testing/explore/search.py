"""The search: lives without faults, then each with every single fault, then pairs, until all is tried.

What is checked in each life: every law at each decision; every property in each
state that the API server has; that the operator comes to rest; that the flow
ends and nothing is written after that; that no attempt is created twice
(`faults.play`); that nothing costs more than its static bounds say; and that
the flow ends as it does without the fault, unless the fault is a refusal for
good, or something was ended by the clock (a deadline, a timeout), which goes on
while a fault lasts.

Everything is in a fixed order and nothing asks the machine's clock, so the same
flow gives the same exploration to the byte. The budget is a number of lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import combinations
from typing import Final, TypeAlias

from attrs import define, evolve, field, frozen

from zenflow_core.bounds import bounds_of
from zenflow_core.observation import Observed
from zenflow_core.reasons import FlowEnded, Instant, RetryAbandoned, StepTimedOut
from zenflow_core.reconcile import Decision
from zenflow_core.status import read_status
from zenflow_testing.bounds import Measure, exceeded
from zenflow_testing.cases.journal import Decided
from zenflow_testing.cases.properties import first_broken
from zenflow_testing.explore.coverage import Coverage
from zenflow_testing.explore.points import Likeness, SingleFault, faults_of
from zenflow_testing.explore.variants import Variant, variants_of
from zenflow_testing.faults.life import Life, Subject, play
from zenflow_testing.laws import LawCheck, LawViolated
from zenflow_testing.operator import Flow
from zenflow_testing.properties import Property

_BY_THE_CLOCK: Final = (StepTimedOut, FlowEnded, RetryAbandoned)
_SAME_END: Final = "the same end as without the fault"

NO_BUDGET: Final = "beyond the budget"
ALIKE: Final = "like one that was tried"
STOPPED: Final = "not reached before Ctrl-C"

Progress: TypeAlias = Callable[[int, str], None]
"""Told before each life: how many there were, and what comes."""


@frozen
class Violation:
    """What must not be: the law (or property, or its like), and what stands against it."""

    law: str
    what: str
    at: float
    """When, in seconds from the flow's creation."""


@frozen
class Counterexample:
    """A life that breaks something."""

    variant: Variant
    faults: tuple[SingleFault, ...]
    violation: Violation
    life: Life = field(repr=False)
    """Played up to the violation, and fit to be written as a case."""

    @property
    def size(self) -> tuple[int, int, float]:
        """Fewer faults are smaller, then calmer, then earlier."""
        return len(self.faults), int(bool(self.variant.step)), self.violation.at


@define
class Exploration:
    """What came of a search."""

    lives: int = 0
    decisions: int = 0
    coverage: Coverage = field(factory=Coverage)
    singles: int = 0
    """Lives with one fault."""
    pairs: int = 0
    """Lives with two faults."""
    outcomes: Counter[str] = field(factory=Counter)
    """Lives without faults by the phase in which the flow ended; empty if it waits for ever."""
    found: dict[str, Counterexample] = field(factory=dict)
    """The smallest counterexample to each law or property that was broken."""
    broken: Counter[str] = field(factory=Counter)
    """In how many lives each was."""
    stopped: bool = False
    """Ctrl-C ended the search."""

    @property
    def left_out(self) -> Counter[str]:
        """Points that were not tried, by why not."""
        return self.coverage.left_out


@frozen
class Budget:
    """How much may be tried."""

    lives: int = 5_000
    pairs: int = 0


@define
class _Checks:
    """A watcher that holds each decision against the laws, remembers what was broken, and may measure what it costs."""

    measure: Measure | None
    """None: the life suffers faults, of which static bounds know nothing."""
    laws: LawCheck = field(factory=LawCheck)
    broken: LawViolated | None = None

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        try:
            self.laws(flow, observed, now, decision)
            if self.measure is not None:
                self.measure(flow, observed, now, decision)
        except LawViolated as broken:
            self.broken = broken
            raise


@frozen
class _Calm:
    """A life without faults, and when its flow ended."""

    variant: Variant
    life: Life
    ends: float


class Search:
    """One exploration of one flow. `run` does it."""

    def __init__(
        self,
        subject: Subject,
        *,
        properties: Iterable[Property] = (),
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._subject = subject
        self._bounds = bounds_of(subject.plan, flow=subject.name)
        self._properties = tuple(properties)
        self._budget = budget or Budget()
        self._progress = progress
        self._known: set[Likeness] = set()
        self.done = Exploration()

    def run(self) -> Exploration:
        """The whole search, or what there was of it when Ctrl-C came."""
        try:
            calm: list[_Calm] = []
            for variant in variants_of(self._subject.plan, self.done.left_out):
                if self.done.lives < self._budget.lives:
                    calm.append(self._calm(variant))
                else:
                    self.done.left_out[f"lives without faults {NO_BUDGET}"] += 1
            for each in calm:
                self._singles(each)
            self._pairs(calm[0])
        except KeyboardInterrupt:
            self.done.stopped = True
        return self.done

    def _live(self, variant: Variant, faults: tuple[SingleFault, ...]) -> tuple[Life, Violation | None]:
        if self._progress is not None:
            self._progress(self.done.lives, describe(variant, faults))
        checks = _Checks(None if faults else Measure())
        script = [each for fault in faults for each in fault.script]
        life = play(self._subject, variant.outcomes, script, watcher=checks, laws=False)
        self.done.lives += 1
        self.done.decisions += life.decisions
        if checks.broken is not None:
            what = str(checks.broken).removeprefix(f"{checks.broken.law}: ")
            return life, Violation(checks.broken.law, what, life.journal.now)
        if life.failures:
            first = life.failures[0]
            return life, Violation(first.expected, first.found, first.at)
        return life, self._exceeded_bound(life, checks.measure) or self._broken_property(life)

    def _exceeded_bound(self, life: Life, measure: Measure | None) -> Violation | None:
        """What the flow has cost beyond its static bounds. Under faults only Jobs: what fails is sent again."""
        told: tuple[str, ...] = () if measure is None else exceeded(self._bounds, measure)
        jobs = sum(map(len, life.journal.jobs.values()))
        if jobs > self._bounds.jobs:
            told = (f"{jobs} Jobs were created, at most {self._bounds.jobs} were foretold",)
        return Violation("static bounds", "; ".join(told), life.journal.now) if told else None

    def _broken_property(self, life: Life) -> Violation | None:
        """The first state that the API server had in which a property does not hold."""
        for each in self._properties:
            broken = first_broken(each, self._subject.plan, life.journal.changes)
            if broken is not None:
                return Violation(f"always {each.source}", broken[1], broken[0])
        return None

    def _calm(self, variant: Variant) -> _Calm:
        life, violation = self._live(variant, ())
        self.done.outcomes[life.phase if life.state and life.state.record.completed_at else ""] += 1
        if violation is not None:
            self._break(Counterexample(variant, (), violation, life))
        over = None if life.state is None else life.state.record.completed_at
        return _Calm(variant, life, life.journal.now if over is None else life.journal.seconds(over))

    def _singles(self, calm: _Calm) -> None:
        left_out = self.done.left_out
        for fault in faults_of(self._subject.plan, calm.life.journal, calm.ends, left_out):
            if fault.likeness in self._known:
                left_out[ALIKE] += 1
                continue
            self._known.add(fault.likeness)
            if self.done.lives >= self._budget.lives:
                left_out[NO_BUDGET] += 1
                continue
            self._try(calm, (fault,))
            self.done.singles += 1

    def _pairs(self, calm: _Calm) -> None:
        """Pairs in the calm life. Which ones is drawn from their names, so that a small budget is spread evenly."""
        if not self._budget.pairs:
            return
        faults = tuple(faults_of(self._subject.plan, calm.life.journal, calm.ends, Counter()))
        possible = sorted(combinations(faults, 2), key=_draw)
        for count, pair in enumerate(possible):
            if count >= self._budget.pairs or self.done.lives >= self._budget.lives:
                self.done.left_out[f"pairs {NO_BUDGET}"] += len(possible) - count
                return
            self._try(calm, pair)
            self.done.pairs += 1

    def _try(self, calm: _Calm, faults: tuple[SingleFault, ...]) -> None:
        life, violation = self._live(calm.variant, faults)
        for fault in faults:
            for phase in fault.phases:
                self.done.coverage.add(fault.kind, phase)
        violation = violation or _difference(life, calm, faults)
        if violation is not None:
            self._break(Counterexample(calm.variant, faults, violation, life), like=calm.life)

    def _break(self, found: Counterexample, like: Life | None = None) -> None:
        law = found.violation.law
        self.done.broken[law] += 1
        known = self.done.found.get(law)
        if known is None or found.size < known.size:
            self.done.found[law] = self._judged(found, like)

    def _judged(self, found: Counterexample, like: Life | None) -> Counterexample:
        """The same life, judged by its own case alone, as `zenflow test` will do with the file."""
        script = [each for fault in found.faults for each in fault.script]
        life = play(
            self._subject, found.variant.outcomes, script, like=like if found.violation.law == _SAME_END else None
        )
        always = tuple(each.source for each in self._properties)
        return evolve(found, life=evolve(life, case=evolve(life.case, always=always)))


def _difference(life: Life, calm: _Calm, faults: tuple[SingleFault, ...]) -> Violation | None:
    """How the fault has changed the end of the flow, and must not have."""
    if any(fault.changes_outcome for fault in faults) or _by_the_clock(life) or _by_the_clock(calm.life):
        return None
    found = _summary(life)
    for step, (phase, attempts) in _summary(calm.life).items():
        now, tries = found.get(step, ("nowhere", 0))
        if (now, tries) != (phase, attempts):
            what = f"step {step} is {now} after {tries} attempts, without the fault {phase} after {attempts}"
            return Violation(_SAME_END, what, life.journal.now)
    return None


def _summary(life: Life) -> dict[str, tuple[str, int]]:
    """How each step ended and after how many attempts, as the API server has it, or had it last."""
    rows = read_status(life.journal.last_seen[life.subject.name].get("status")).rows
    return {name: (row.phase.value, row.attempt) for name, row in rows.items()}


def _by_the_clock(life: Life) -> bool:
    entries = life.journal.entries
    moves = (move for entry in entries if isinstance(entry, Decided) for move in entry.moves)
    causes = [move.cause for move in moves]
    failures = [getattr(cause, "failure", None) for cause in causes]
    return any(isinstance(each, _BY_THE_CLOCK) for each in (*causes, *failures))


def describe(variant: Variant, faults: Iterable[SingleFault]) -> str:
    """A life in words: `build fails once; crash, patch JobFlow/status, at 10 s`."""
    return "; ".join([variant.name, *(f"{fault.kind}, {fault.where}" for fault in faults)])


def _draw(pair: tuple[SingleFault, SingleFault]) -> bytes:
    return sha256("\0".join(f"{fault.kind} {fault.where}" for fault in pair).encode()).digest()


def explore(
    subject: Subject,
    *,
    properties: Iterable[Property] = (),
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Try every single fault at every point of the flow's life, then pairs; `points` says what they are.

    Ctrl-C ends the search and keeps what was done. Cost: about 30 ms for each life of ten steps.
    """
    return Search(subject, properties=properties, budget=budget, progress=progress).run()
