"""Flows and what becomes of them: each row is a flow that is played on the cluster in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from tools.concepts.attempts import TEMPLATE
from tools.reference.tables import table
from zenflow_testing import FlowUnderTest

FAILS: Final = {"exitCode": 1}
HOURS: Final = {"after": "5h"}
READY: Final = "Ready"


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "template": TEMPLATE, **fields}


def approval(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": "Manual", **fields}


def rejected(life: FlowUnderTest) -> None:
    life.run().reject("b", "no")


def nothing(_: FlowUnderTest) -> None:
    pass


@frozen
class Row:
    """One line: in words, the flow, how the Jobs of step `a` end, and what people do."""

    words: str
    steps: tuple[dict[str, Any], ...]
    spec: Mapping[str, Any] = field(factory=dict)
    a: tuple[Mapping[str, Any], ...] = ()
    happens: Callable[[FlowUnderTest], object] = nothing
    until: str | None = None
    """When it is looked at; None: once nothing moves it any more."""


A: Final = step("a")
POLICY: Final = "executionPolicy"

ROWS: Final = (
    Row("every step Succeeded", (A, step("b"))),
    Row("some were Skipped by their `when`", (A, step("b", when="false"))),
    Row("one Failed, with `continueOnFailure`", (step("a", continueOnFailure=True), step("b")), a=(FAILS,)),
    Row("one Failed, without", (A, step("b")), a=(FAILS,)),
    Row("an approval was rejected", (A, approval("b")), happens=rejected),
    Row("a step of `finally` Failed", (step("b"),), {"finally": [step("a")]}, a=(FAILS,)),
    Row("`activeDeadlineSeconds` were over first", (A,), {POLICY: {"activeDeadlineSeconds": 60}}, a=(HOURS,)),
    Row(
        "its steps needed more retries than `backoffLimit`",
        (step("a", retryPolicy={"limit": 3}),),
        {POLICY: {"backoffLimit": 1}},
        a=(FAILS, FAILS, FAILS),
    ),
    Row("`shutdown: Stop`", (A,), {"shutdown": "Stop"}),
    Row("`shutdown: Terminate`", (A,), {"shutdown": "Terminate"}),
    Row("a Job runs", (A,), a=(HOURS,), until="1h"),
    Row("a Job runs, and an approval is pending", (A, approval("b")), a=(HOURS,), until="1h"),
    Row("`suspend`, nothing has started", (A,), {"suspend": True}),
)


def played(row: Row) -> FlowUnderTest:
    """The life of that flow, up to where it is looked at."""
    manifest = {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "flow"},
        "spec": {"steps": list(row.steps), **row.spec},
    }
    life = FlowUnderTest.load(manifest)
    if row.a:
        life.script("a", *row.a)
    row.happens(life)
    return life.run(until=row.until)


def answer(row: Row) -> tuple[str, str]:
    """The flow's phase, and the reason of its condition Ready."""
    life = played(row)
    (ready,) = (each for each in life.status["conditions"] if each["type"] == READY)
    return life.phase, f"`{ready['reason']}`"


def made() -> str:
    """The table, in Markdown."""
    return table(("the flow", "its phase", "the reason"), [(row.words, *answer(row)) for row in ROWS])
