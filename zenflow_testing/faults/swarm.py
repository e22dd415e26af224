"""Drawn lives: a flow, how its Jobs end, and a script from a random subset of the kinds of faults, all from one seed.

A subset, and not all kinds at once: faults hide each other (a crash empties a stale view), and what only one of them
can bring about shows where the others are not.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import field, frozen

from zenflow_testing.cluster import KubernetesVersion
from zenflow_testing.faults.catalogue import KINDS, Kind
from zenflow_testing.faults.life import Life, Subject, play
from zenflow_testing.faults.script import AfterDecision, AfterEvent, AfterRequest, AtSecond, Injection, Point
from zenflow_testing.outcomes import CalmOutcomes, Outcomes, Script, ScriptedEnding, ScriptedOutcomes

VERSIONS: Final = (KubernetesVersion(1, 30), KubernetesVersion(1, 31), KubernetesVersion(1, 35))
"""Before Jobs announced their end, the first that did, and the latest."""

_MOST_FAULTS: Final = 6
_SECONDS: Final = (1, 2, 5, 10, 30, 31, 100)
_TEMPLATE: Final[dict[str, Any]] = {
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
}


@frozen
class Trial:
    """What one seed stands for."""

    seed: int
    subject: Subject
    outcomes: Outcomes = field(repr=False)
    script: tuple[Injection, ...]
    kinds: tuple[str, ...]
    """The kind of each fault of the script."""
    version: KubernetesVersion
    timeless: bool
    """Whether no clock has a say in how the flow ends, so that it has to end as without faults."""

    def calm(self) -> Life:
        """The same life without faults."""
        return play(self.subject, self.outcomes, kubernetes=self.version, laws=False)

    def run(self, script: Sequence[Injection] | None = None) -> Life:
        """The life under its script, or under another one."""
        mine = self.script if script is None else tuple(script)
        like = self.calm() if self.timeless else None
        return play(self.subject, self.outcomes, mine, like=like, kubernetes=self.version)


def trial(seed: int) -> Trial:
    """The trial of a seed: the same on every machine."""
    r = random.Random(seed)
    timeless = r.random() < 0.5
    manifest = _manifest(r, timeless=timeless)
    subject = Subject.of(manifest)
    kinds = [kind for kind in r.sample(KINDS, r.randint(1, 5)) if kind.keeps_outcome or not timeless]
    steps = [step.name for step in subject.plan.steps]
    drawn = [(kind, Injection(_point(r), kind.draw(r, steps))) for kind in _choices(r, kinds)]
    return Trial(
        seed,
        subject,
        _outcomes(r, steps),
        tuple(injection for _, injection in drawn),
        tuple(kind.name for kind, _ in drawn),
        r.choice(VERSIONS),
        timeless,
    )


def _choices(r: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    if kinds:
        for _ in range(r.randint(1, _MOST_FAULTS)):
            yield r.choice(kinds)


def _point(r: random.Random) -> Point:
    match r.randrange(4):
        case 0:
            return AtSecond(float(r.randint(0, 120)))
        case 1:
            return AfterRequest(r.randint(0, 25))
        case 2:
            return AfterEvent(r.randint(1, 40))
        case _:
            return AfterDecision(r.randint(1, 25))


def _manifest(r: random.Random, *, timeless: bool) -> dict[str, Any]:
    names: list[str] = []
    steps: list[dict[str, Any]] = []
    for index in range(r.randint(1, 6)):
        steps.append(_step(r, f"s{index}", names, timeless=timeless))
        names.append(f"s{index}")
    spec: dict[str, Any] = {"steps": steps}
    if r.random() < 0.2:
        spec["finally"] = [_step(r, "f0", [], timeless=timeless)]
    policy: dict[str, Any] = {"backoffLimit": 1000} if timeless else {}
    if r.random() < 0.3:
        policy["parallelism"] = r.randint(1, 3)
    if not timeless:
        if r.random() < 0.25:
            policy["activeDeadlineSeconds"] = r.choice((1, 20, 100, 1000))
        if r.random() < 0.25:
            policy["backoffLimit"] = r.randint(0, 3)
        if r.random() < 0.2:
            policy["failFast"] = True
        if r.random() < 0.1:
            policy["ttlSecondsAfterFinished"] = r.choice((0, 60))
    if policy:
        spec["executionPolicy"] = policy
    metadata = {"name": "flow", "namespace": "default"}
    return {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow", "metadata": metadata, "spec": spec}


def _step(r: random.Random, name: str, names: Sequence[str], *, timeless: bool) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name}
    after = r.sample(names, min(len(names), r.choice((0, 1, 1, 2))))
    if after:
        step["dependencies"] = after
        if r.random() < 0.2:
            step["when"] = f"steps.{after[0]}.phase == '{r.choice(('Succeeded', 'Failed', 'Skipped'))}'"
    if timeless or r.random() < 0.25:
        step["continueOnFailure"] = True
    if not timeless and r.random() < 0.3:
        step["timeoutSeconds"] = r.choice((1, 5, 30, 300))
    if r.random() < 0.1:
        return step | {"type": "Manual"}
    if r.random() < 0.5:
        backoff = {"type": r.choice(("Fixed", "Linear", "Exponential")), "duration": r.choice(("1s", "10s", "1m"))}
        step["retryPolicy"] = {"limit": r.randint(0, 3), "backoff": backoff}
    if r.random() < 0.2:
        step["outputs"] = {"parameters": [{"name": "out", "valueFrom": {"jsonPath": "$.out"}}]}
    return step | {"template": _TEMPLATE}


def _outcomes(r: random.Random, steps: Sequence[str]) -> Outcomes:
    scripted = {
        name: tuple(
            ScriptedEnding(timedelta(seconds=r.choice(_SECONDS)), r.choice((0, 0, 0, 1, 137)))
            for _ in range(r.randint(0, 4))
        )
        for name in steps
    }
    return ScriptedOutcomes(Script(scripted), CalmOutcomes())


class Tally:
    """What was tried."""

    def __init__(self) -> None:
        self.lives = 0
        self.decisions = 0
        self.requests = 0
        self.kinds: Counter[str] = Counter()

    def add(self, tried: Trial, life: Life) -> None:
        """One more life."""
        self.lives += 1
        self.decisions += life.decisions
        self.requests += len(life.journal.requests)
        self.kinds.update(tried.kinds)


__all__ = ["VERSIONS", "Tally", "Trial", "trial"]
