"""Hypothesis strategies for flows, for how their Jobs end, and for what goes wrong around them.

Flows are small and dense in features: what breaks an engine is the meeting of
two features, not the number of steps. Every flow drawn is one that validation
accepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from zenflow_core.spec import API_VERSION, KIND
from zenflow_testing.faults.catalogue import KINDS
from zenflow_testing.faults.script import AfterDecision, AfterEvent, AfterRequest, AtSecond, Injection, Point
from zenflow_testing.outcomes import ApprovalGiven, ApprovalRefused, JobEnding

_TEMPLATE: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "exit 0"]}],
            }
        }
    },
}
_WHENS = ("Succeeded", "Failed", "Skipped")


def _template_with(parameters: Sequence[str]) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "busybox:1.36",
        "args": [f"{{{{.parameters.{name}}}}}" for name in parameters],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


@st.composite
def steps(draw: st.DrawFn, index: int, earlier: Sequence[dict[str, Any]], prefix: str = "s") -> dict[str, Any]:
    """One step that depends on some of the earlier ones."""
    step: dict[str, Any] = {"name": f"{prefix}{index}"}
    names = [e["name"] for e in earlier]
    deps: list[str] = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
    if deps:
        step["dependencies"] = deps
        if draw(st.integers(0, 4)) == 0:
            step["when"] = f"steps.{deps[0]}.phase == '{draw(st.sampled_from(_WHENS))}'"
    elif draw(st.integers(0, 9)) == 0:
        step["when"] = draw(st.sampled_from(("always", "never")))
    if draw(st.integers(0, 3)) == 0:
        step["continueOnFailure"] = True
    if draw(st.integers(0, 2)) == 0:
        step["timeoutSeconds"] = draw(st.sampled_from((1, 5, 30, 300)))
    if draw(st.integers(0, 6)) == 0:
        return step | {"type": "Manual"}
    if draw(st.integers(0, 1)):
        step["retryPolicy"] = draw(retry_policies())
    if draw(st.integers(0, 3)) == 0:
        step["outputs"] = {"parameters": [{"name": "out", "valueFrom": {"jsonPath": "$.out"}}]}
    givers = [e["name"] for e in earlier if e["name"] in deps and "parameters" in e.get("outputs", {})]
    inputs: list[dict[str, Any]] = []
    reads: bool = draw(st.booleans())
    if givers and reads:
        source: dict[str, Any] = {"jsonPath": f"{givers[0]}:$.out"}
        if draw(st.booleans()):
            source["default"] = "none"
        inputs.append({"name": "given", "valueFrom": source})
    if draw(st.integers(0, 5)) == 0:
        inputs.append({"name": "setting", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}})
    _add_artifacts(draw, step, [e for e in earlier if e["name"] in deps])
    if inputs:
        step.setdefault("inputs", {})["parameters"] = inputs
        return step | {"template": _template_with([i["name"] for i in inputs])}
    return step | {"template": _TEMPLATE}


def _add_artifacts(draw: st.DrawFn, step: dict[str, Any], before: Sequence[dict[str, Any]]) -> None:
    """Sometimes an output artifact, and often what a step before it makes as an input."""
    if draw(st.integers(0, 3)) == 0:
        optional, stored = draw(st.booleans()), draw(st.booleans())
        made: dict[str, Any] = {"name": "made", "path": "/out/made", "optional": optional}
        if stored:
            made["s3"] = {"bucket": "b", "key": step["name"]}
        step.setdefault("outputs", {})["artifacts"] = [made]
    makers = [e["name"] for e in before if "artifacts" in e.get("outputs", {})]
    if makers:
        optional = draw(st.booleans())
        step["inputs"] = {"artifacts": [{"name": "had", "from": f"{makers[0]}/made", "optional": optional}]}


@st.composite
def retry_policies(draw: st.DrawFn) -> dict[str, Any]:
    """A retryPolicy with short pauses."""
    policy: dict[str, Any] = {"limit": draw(st.integers(0, 3))}
    kind = draw(st.sampled_from(("Fixed", "Linear", "Exponential")))
    policy["backoff"] = {"type": kind, "duration": draw(st.sampled_from(("1s", "10s", "1m")))}
    return policy


@st.composite
def execution_policies(draw: st.DrawFn) -> dict[str, Any]:
    """How the flow is bounded; most flows have few bounds."""
    policy: dict[str, Any] = {}
    if draw(st.integers(0, 2)) == 0:
        policy["parallelism"] = draw(st.integers(1, 3))
    if draw(st.integers(0, 3)) == 0:
        policy["activeDeadlineSeconds"] = draw(st.sampled_from((1, 20, 100, 1000)))
    if draw(st.integers(0, 3)) == 0:
        policy["backoffLimit"] = draw(st.integers(0, 3))
    if draw(st.integers(0, 4)) == 0:
        policy["failFast"] = True
    if draw(st.integers(0, 3)) == 0:
        policy["ttlSecondsAfterFinished"] = draw(st.sampled_from((0, 60)))
    return policy


@st.composite
def manifests(draw: st.DrawFn, *, max_steps: int = 7) -> dict[str, Any]:
    """A JobFlow manifest that validation accepts."""
    main: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, max_steps))):
        main.append(draw(steps(index, main)))
    spec: dict[str, Any] = {"steps": main}
    if draw(st.integers(0, 3)) == 0:
        last: list[dict[str, Any]] = []
        for index in range(draw(st.integers(1, 2))):
            last.append(draw(steps(index, last, prefix="f")))
        spec["finally"] = last
    policy = draw(execution_policies())
    if policy:
        spec["executionPolicy"] = policy
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "flow", "namespace": "default"}, "spec": spec}


@frozen
class DrawnOutcomes:
    """Outcomes drawn beforehand: endings by step, used in turn and over again."""

    endings: tuple[JobEnding, ...]
    approvals: tuple[ApprovalGiven | ApprovalRefused, ...]
    config: str | None

    def job(self, step: str, attempt: int) -> JobEnding:
        return self.endings[(sum(step.encode()) + attempt) % len(self.endings)]

    def approval(self, step: str) -> ApprovalGiven | ApprovalRefused:
        return self.approvals[sum(step.encode()) % len(self.approvals)]

    def config_map(self, name: str, key: str) -> str | None:
        return self.config

    def suspended(self, step: str) -> timedelta | None:
        return timedelta(0)


@st.composite
def outcomes(draw: st.DrawFn) -> DrawnOutcomes:
    """How Jobs end and people decide: at awkward instants, often failing."""
    after = st.sampled_from((1, 2, 5, 10, 30, 31, 100)).map(lambda s: timedelta(seconds=s))
    codes = st.sampled_from((0, 0, 0, 1, 137))
    ending = st.builds(
        JobEnding,
        after=after,
        exit_code=codes,
        artifacts=st.sampled_from(({}, {}, {"made": None})),
        upload_failure=st.sampled_from(("", "", "", "the bucket does not exist")),
    )
    decision = st.one_of(
        st.builds(ApprovalGiven, after=after, by=st.just("ann")),
        st.builds(ApprovalRefused, after=after, why=st.just("no"), by=st.just("bob")),
    )
    return DrawnOutcomes(
        endings=tuple(draw(st.lists(ending, min_size=1, max_size=6))),
        approvals=tuple(draw(st.lists(decision, min_size=1, max_size=3))),
        config=draw(st.sampled_from(("high", None))),
    )


def points() -> st.SearchStrategy[Point]:
    """Points of a flow's life at which a fault may strike."""
    return st.one_of(
        st.builds(AtSecond, st.integers(0, 120).map(float)),
        st.builds(AfterRequest, st.integers(0, 25)),
        st.builds(AfterEvent, st.integers(1, 40)),
        st.builds(AfterDecision, st.integers(1, 25)),
    )


@st.composite
def faults(
    draw: st.DrawFn, steps: Sequence[str], *, most: int = 3, keep_outcome: bool = False
) -> tuple[Injection, ...]:
    """A script of up to `most` faults around a flow with these steps, of the kinds of docs/faults.md.

    Each is over by itself after some seconds. `keep_outcome`: only kinds that may not change how the flow ends, as
    long as no deadline of it looks at the clock.
    """
    kinds = [kind for kind in KINDS if kind.keeps_outcome or not keep_outcome]
    script = []
    for _ in range(draw(st.integers(0, most))):
        kind = draw(st.sampled_from(kinds))
        script.append(Injection(draw(points()), kind.draw(draw(st.randoms(use_true_random=False)), steps)))
    return tuple(script)
