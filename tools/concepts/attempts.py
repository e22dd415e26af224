"""What is seen of an attempt's Job, and what the core makes of the step: each cell is asked of `reconcile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from tools.reference.tables import table
from zenflow_core import (
    Absent,
    CreateJob,
    Gone,
    JobFlow,
    Observed,
    Plan,
    Refused,
    Seen,
    compile_plan,
    read_flow,
    read_flow_seen,
    read_job,
    reconcile,
)
from zenflow_core.facts import reason_of
from zenflow_core.instants import rfc3339
from zenflow_core.observation import Lookup, Sightings

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
TIMEOUT: Final = 600
MAIN: Final = {"name": "main", "image": "busybox:1.36"}
TEMPLATE: Final = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [MAIN]}}}}
RETRY: Final[Mapping[str, Any]] = {"retryPolicy": {"limit": 1}}
COLUMNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "no retry is left": {},
    "a retry is left": RETRY,
}

Look = Callable[[Mapping[str, Any]], Sightings]
"""From the Job as it was created to what is seen of it."""


def instant(seconds: int) -> str:
    return rfc3339(START + timedelta(seconds=seconds))


def job(*conditions: str, at: int = 60, result: Lookup | None = None, spec: Mapping[str, Any] | None = None) -> Look:
    """The Job with these conditions, which came at that second; its counters say all and nothing."""

    def look(created: Mapping[str, Any]) -> Sightings:
        told = [{"type": each, "status": "True", "lastTransitionTime": instant(at)} for each in conditions]
        counters = {"active": 0, "ready": 0, "failed": 3, "succeeded": 1}
        done = {**created, "spec": {**created["spec"], **(spec or {})}, "status": {**counters, "conditions": told}}
        seen = read_job(done) if result is None else read_job(done, result=result)
        assert isinstance(seen, Seen), "the core has made that Job"
        return (seen,)

    return look


def gone(_: Mapping[str, Any]) -> Sightings:
    return (Gone(1, START + timedelta(seconds=60)),)


def refused(code: int, reason: str, message: str = "", **more: Any) -> Look:
    answer = Refused(1, START + timedelta(seconds=1), code, reason, message, **more)
    return lambda _: (answer,)


@frozen
class Row:
    """One line: in words, what is seen and when, and what else is so."""

    words: str
    look: Look
    after: int = 60
    """Seconds after the start at which it is looked at."""
    step: Mapping[str, Any] = field(factory=dict)
    policy: Mapping[str, Any] = field(factory=dict)
    edit: Mapping[str, Any] = field(factory=dict)
    """Fields of the spec that are set meanwhile."""
    other_fails: bool = False
    """Whether another step of the flow fails meanwhile."""


TIMED: Final = {"timeoutSeconds": TIMEOUT}
READS: Final = {"outputs": {"parameters": [{"name": "rows", "valueFrom": {"jsonPath": "$.rows"}}]}}
RUNNING: Final = job()
GOING: Final = ("NamespaceTerminating",)

ROWS: Final = (
    Row("neither `Complete` nor `Failed`, whatever its counters say", RUNNING),
    Row("`SuccessCriteriaMet` or `FailureTarget` alone", job("FailureTarget")),
    Row("`Complete`", job("Complete")),
    Row("`Complete`, but a declared output cannot be read", job("Complete", result=Absent("none")), step=READS),
    Row("`Failed`", job("Failed")),
    Row("it was there, and is gone", gone),
    Row("it still runs at its `timeoutSeconds`", RUNNING, after=TIMEOUT, step=TIMED),
    Row("`Complete` a second before that, seen an hour later", job("Complete", at=TIMEOUT - 1), after=3600, step=TIMED),
    Row("`Complete` in that very second", job("Complete", at=TIMEOUT), after=TIMEOUT, step=TIMED),
    Row("somebody else suspends it", job("Suspended", spec={"suspend": True})),
    Row("its create is refused for now (quota, 429, 5xx)", refused(429, "TooManyRequests"), after=1),
    Row("its create is refused as the namespace is going", refused(403, "Forbidden", causes=GOING), after=1),
    Row("its create is refused for good (invalid, denied)", refused(422, "Invalid")),
    Row("a Job of its name is there and not ours", refused(409, "AlreadyExists", taken_by="other")),
    Row("the flow's `activeDeadlineSeconds` are over", RUNNING, policy={"activeDeadlineSeconds": 60}),
    Row("another step fails for good", RUNNING, other_fails=True),
    Row("the same, with `failFast`", RUNNING, policy={"failFast": True}, other_fails=True),
    Row("`Complete`, but `shutdown` was set, too", job("Complete"), edit={"shutdown": "Stop"}),
)


def flow_of(row: Row, retry: Mapping[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    steps = [{"name": "step", "template": TEMPLATE, **row.step, **retry}, {"name": "other", "template": TEMPLATE}]
    return {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {
            "name": "flow",
            "namespace": "default",
            "uid": "0a0a0a0a-0000-4000-8000-000000000000",
            "creationTimestamp": instant(0),
        },
        "spec": {"steps": steps, "executionPolicy": dict(row.policy), **edit},
    }


def plan_of(manifest: Mapping[str, Any]) -> Plan:
    flow = read_flow(manifest)
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow)
    assert isinstance(plan, Plan), plan
    return plan


def answer(row: Row, retry: Mapping[str, Any]) -> str:
    """Where the step then is, and why: asked of the core, from the start of the flow on."""
    before, after = flow_of(row, retry, {}), flow_of(row, retry, row.edit)
    first = reconcile(plan_of(before), None, Observed(flow=read_flow_seen(before)), now=START)
    jobs: dict[Any, Sightings] = {}
    for action in first.actions:
        if isinstance(action, CreateJob):
            created = dict(action.body)
            created["metadata"] = {**created["metadata"], "uid": f"uid-{action.step}", "creationTimestamp": instant(0)}
            look = row.look if action.step == "step" else job("Failed") if row.other_fails else RUNNING
            jobs[action.step] = look(created)
    now = START + timedelta(seconds=row.after)
    plan = plan_of(after)
    second = reconcile(plan, first.status, Observed(flow=read_flow_seen(after), jobs=jobs), now=now)
    phase = second.state.records[next(each.rank for each in plan.steps if each.name == "step")].phase
    moved = [move for move in second.moves if move.step == "step"]
    return f"{phase} `{reason_of(moved[-1].cause)}`" if moved else f"{phase}"


def made() -> str:
    """The table, in Markdown."""
    rows = [(row.words, *(answer(row, retry) for retry in COLUMNS.values())) for row in ROWS]
    return table(("seen of the attempt's Job", *COLUMNS), rows)
