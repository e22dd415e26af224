"""Which clock each instant of a status comes from: the same life twice, once with an operator whose clock is off.

What differs by as much is the operator's; what is equal is the API server's, or that of a controller of the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tools.concepts.attempts import TEMPLATE
from tools.reference.tables import table
from zenflow_core.instants import instant
from zenflow_testing import (
    Cluster,
    GarbageCollector,
    Operator,
    Propagation,
    Script,
    ScriptedOutcomes,
    SkewedClock,
    VirtualClock,
    World,
    read_outcomes,
)

OFF: Final = timedelta(seconds=100)
CLOCKS: Final[Mapping[timedelta, str]] = {timedelta(0): "the cluster's", OFF: "the operator's"}

SEEN: Final[Mapping[str, tuple[str, str]]] = {
    "ends startTime": ("`status.startTime`", "the decision that starts the flow"),
    "ends good startTime": ("`steps[].startTime`; `timeoutSeconds` begins", "the Job's `creationTimestamp`"),
    "ends good completionTime": ("`steps[].completionTime`, Succeeded", "the Job's `completionTime`"),
    "ends bad completionTime": ("the same, Failed", "`lastTransitionTime` of the Job's condition `Failed`"),
    "ends lost completionTime": ("the same, Failed (`JobLost`)", "the look that missed the Job"),
    "pauses again retryAt": ("`steps[].retryAt`", "the end of the failed attempt, and the pause"),
    "ends yes startTime": ("`steps[].startTime` of an approval", "the decision that asks for it"),
    "ends yes completionTime": ("its `completionTime`", "the decision that finds the answer"),
    "works completionTime": ("`status.completionTime`; TTL begins", "the last end of a step"),
    "ends Complete": ("`conditions[].lastTransitionTime`", "the decision that changed it"),
}
"""An instant by flow, step and field of the life below: what it is called, and what it is the instant of."""

STEPS: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "ends": (
        {"name": "good", "template": TEMPLATE},
        {"name": "bad", "template": TEMPLATE, "continueOnFailure": True},
        {"name": "yes", "type": "Manual"},
        {"name": "lost", "template": TEMPLATE, "continueOnFailure": True},
    ),
    "pauses": ({"name": "again", "template": TEMPLATE, "retryPolicy": {"backoff": {"duration": "1h"}}},),
    "works": ({"name": "good", "template": TEMPLATE},),
}
OUTCOMES: Final = {"steps": {"bad": [{"exitCode": 1}], "again": [{"exitCode": 1}], "lost": [{"after": "5h"}]}}


def life(off: timedelta) -> dict[str, datetime]:
    """The instants of the three flows after two minutes, under an operator whose clock is so far ahead."""
    clock = VirtualClock()
    cluster = Cluster(clock)
    script = read_outcomes(OUTCOMES, steps=("good", "bad", "again", "lost"), manual=("yes",))
    assert isinstance(script, Script), script
    world, garbage = World(cluster, ScriptedOutcomes(script)), GarbageCollector(cluster)
    operator = Operator(cluster, clock=SkewedClock(clock, off))
    for name, steps in STEPS.items():
        manifest: dict[str, Any] = {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": name},
        }
        cluster.create("JobFlow", manifest | {"spec": {"steps": list(steps)}}, namespace="default")

    def pass_a_minute() -> None:
        end = clock.now + timedelta(minutes=1)
        while True:
            operator.call()
            due = [at for at in (world.next_due(), garbage.next_due(), operator.next_wake()) if at and at <= end]
            if not due:
                break
            clock.advance_to(max(min(due), clock.now))
            world.run_due()
            garbage.run_due()
        clock.advance_to(end)

    pass_a_minute()
    for job in cluster.list("Job", "default", labels={"workflow.kube-zen.io/step": "lost"}).items:
        cluster.delete("Job", "default", job["metadata"]["name"], propagation=Propagation.BACKGROUND)
    approved = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/yes": "true"}}}
    cluster.patch_merge("JobFlow", "default", "ends", approved)
    pass_a_minute()
    found: dict[str, datetime] = {}
    for flow in cluster.list("JobFlow", "default").items:
        name, status = flow["metadata"]["name"], flow["status"]
        rows = {row["name"]: row for row in status["steps"]}
        conditions = {each["type"]: each["lastTransitionTime"] for each in status["conditions"]}
        told = {f"{step} {key}": value for step, row in rows.items() for key, value in row.items()}
        for key, value in {**status, **conditions, **told}.items():
            if f"{name} {key}" in SEEN:
                found[f"{name} {key}"] = instant(value)
    return found


def made() -> str:
    """The table, in Markdown."""
    right, off = life(timedelta(0)), life(OFF)
    rows = [(*words, CLOCKS[off[path] - right[path]]) for path, words in SEEN.items()]
    return table(("instant", "is that of", "clock"), rows)
