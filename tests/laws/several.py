"""Several flows at once on the in-memory cluster: what each of them, its Jobs and its objects go through, line by line.

    several = Several()
    several.at(0, create(flow("one")))
    several.at(5, create(flow("two")))
    several.play()
    several.story("one", "two")

A line is `<second> <what>`: a flow with its phase and the reason of its Ready
condition, a Job as `<flow>/<step>#<attempt>`, any other object by kind and name.
Every decision is held against every law, and every event against what a test adds in `watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from tests.laws.runs import Crash, CrashingOperator
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.names import ANNOTATION_FLOW, ANNOTATION_STEP, LABEL_ATTEMPT, LABEL_FLOW, LABEL_STEP
from zenflow_core.observation import Absent, Lookup, Observed, Present
from zenflow_core.plan import ConfigMapKey, Plan
from zenflow_core.reconcile import Decision
from zenflow_core.spec import API_VERSION, KIND, JobFlow, StepName
from zenflow_testing.clock import EPOCH, VirtualClock
from zenflow_testing.cluster import Cluster, Event, EventType, Propagation
from zenflow_testing.demands import Demand, demands_of
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.kinds import Object
from zenflow_testing.laws import LawCheck
from zenflow_testing.operator import Flow
from zenflow_testing.outcomes import CalmOutcomes, Outcomes
from zenflow_testing.world import World

NAMESPACE = "default"
TURNS = 5_000
"""A run that takes more turns than this does not end."""

Deed = Callable[[Cluster], object]

TEMPLATE: Mapping[str, Any] = {
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
}


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A Job step, after these steps."""
    return {"name": name, "template": TEMPLATE, **({"dependencies": list(after)} if after else {}), **fields}


def flow(name: str, *steps: dict[str, Any], policy: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The manifest of a flow of the group `g`: one step `a` unless given, Forbid unless the policy says otherwise."""
    last = {"finally": spec.pop("last")} if "last" in spec else {}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, **spec.pop("metadata", {})},
        "spec": {
            "steps": list(steps) or [step("a")],
            "executionPolicy": {"concurrencyGroup": "g", **(policy or {})},
            **last,
            **spec,
        },
    }


def create(manifest: Mapping[str, Any]) -> Deed:
    return lambda cluster: cluster.create("JobFlow", manifest, namespace=NAMESPACE)


def edit(name: str, **spec: Any) -> Deed:
    """Merge fields into the spec of a flow."""
    return lambda cluster: cluster.patch_merge("JobFlow", NAMESPACE, name, {"spec": spec})


def delete(name: str, propagation: Propagation = Propagation.BACKGROUND) -> Deed:
    return lambda cluster: cluster.delete("JobFlow", NAMESPACE, name, propagation=propagation, uid=None)


class Several:
    """Flows, their cluster and their operator. `grace` is how long a deleted Pod takes to end, in seconds."""

    def __init__(
        self,
        outcomes: Outcomes | None = None,
        *,
        grace: float = 0,
        deaths: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.clock = VirtualClock()
        self.cluster = Cluster(self.clock)
        self.garbage = GarbageCollector(self.cluster)
        # Never empty, as the world keeps its own for an empty one: what later flows ask for is added to it.
        self.demands: dict[StepName, Demand] = {StepName(""): Demand({})}
        self.world = World(
            self.cluster, outcomes or CalmOutcomes(), demands=self.demands, grace=timedelta(seconds=grace)
        )
        self.lines: list[str] = []
        self.check = LawCheck()
        self.crashes = 0
        self.watch: Callable[[Cluster], None] = lambda _: None
        self._deaths = deaths
        self._deeds: list[tuple[float, Deed]] = []
        self._told: dict[str, str] = {}
        self._plans: dict[str, Plan] = {}
        self.cluster.subscribe(self._event)
        self.operator = self._start(0)

    def at(self, second: float, deed: Deed) -> Several:
        """Let somebody do this then."""
        self._deeds.append((second, deed))
        self._deeds.sort(key=lambda each: each[0])
        return self

    def play(self, until: float | None = None) -> Several:
        """Until nothing is due any more, or until then."""
        end = None if until is None else EPOCH + timedelta(seconds=until)
        for _ in range(TURNS):
            self._turn()
            due = [t for t in (self.world.next_due(), self.garbage.next_due(), self.operator.next_wake()) if t]
            if self._deeds:
                due.append(EPOCH + timedelta(seconds=self._deeds[0][0]))
            if not due or (end is not None and min(due) > end):
                if end is not None:
                    self.clock.advance_to(max(end, self.clock.now))
                return self
            self.clock.advance_to(max(min(due), self.clock.now))
            while self._deeds and EPOCH + timedelta(seconds=self._deeds[0][0]) <= self.clock.now:
                self._deeds.pop(0)[1](self.cluster)
            self.world.run_due()
            self.garbage.run_due()
        raise AssertionError(f"no end after {TURNS} turns:\n" + "\n".join(self.lines[-40:]))

    def story(self, *about: str) -> list[str]:
        """The lines about these: a flow's name (with its Jobs), or `Kind name`."""
        return [line for line in self.lines if any(_is_about(line.split(" ", 1)[1], each) for each in about)]

    def status(self, name: str) -> dict[str, Any]:
        """The stored status of a flow."""
        found: dict[str, Any] = self.cluster.get("JobFlow", NAMESPACE, name).get("status", {})
        return found

    def rows(self, name: str) -> dict[str, tuple[str, str]]:
        """Phase and reason of each step, as stored."""
        return {r["name"]: (r["phase"], r.get("reason", "")) for r in self.status(name)["steps"]}

    def jobs(self) -> list[str]:
        """The Jobs that are there, as `flow/step#attempt`."""
        return [_told_job(job) for job in self.cluster.list("Job", NAMESPACE).items]

    def _start(self, done: int) -> CrashingOperator:
        return CrashingOperator(
            self.cluster,
            read_input=self._read,
            watcher=self._saw,
            compile_with=self._plan,
            deaths=self._deaths,
            done=done,
        )

    def _plan(self, obj: Mapping[str, Any]) -> Plan | None:
        """The plan of a valid flow; its demands are made known to the world."""
        parsed = read_flow(obj)
        plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else None
        if not isinstance(plan, Plan):
            return None
        self.demands.update(demands_of(plan))
        return plan

    def _read(self, ref: ConfigMapKey) -> Lookup:
        value = self.world.config_map_value(ref.name, ref.key)
        return Absent() if value is None else Present(value)

    def _saw(self, known: Flow, observed: Observed, now: Any, decision: Decision) -> None:
        self.check(known, observed, now, decision)
        for planned, record in zip(decision.state.plan.steps, decision.state.records, strict=True):
            if record.phase == "PendingApproval" and record.started_at is not None:
                self.world.approval_asked(known.obj, planned.name, at=record.started_at)

    def _turn(self) -> None:
        while True:
            try:
                self.operator.call()
            except Crash:
                self.crashes += 1
                self.operator = self._start(self.operator.performed)
                self.clock.advance(1)
            else:
                return

    def _event(self, event: Event) -> None:
        told = _TELLERS.get(event.kind, _told_other)(event)
        if told and self._told.get(event.uid) != told:
            self._told[event.uid] = told
            self.lines.append(f"{int((event.at - EPOCH).total_seconds())} {told}")
        self.watch(self.cluster)


def _is_about(line: str, name: str) -> bool:
    return line == name or line.startswith((f"{name} ", f"{name}/"))


def _told_job(job: Object) -> str:
    labels, notes = job["metadata"].get("labels", {}), job["metadata"].get("annotations", {})
    name = notes.get(ANNOTATION_FLOW, labels.get(LABEL_FLOW, "?"))
    return f"{name}/{notes.get(ANNOTATION_STEP, labels.get(LABEL_STEP, '?'))}#{labels.get(LABEL_ATTEMPT, '?')}"


def over(job: Object) -> bool:
    """Whether a Job is Complete or Failed."""
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def _job(event: Event) -> str:
    name = _told_job(event.object)
    if event.type is EventType.DELETED:
        return f"{name} gone"
    conditions = event.object.get("status", {}).get("conditions", ())
    ended = [c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"]
    if "deletionTimestamp" in event.object["metadata"]:
        return f"{name} deleting"
    return f"{name} {ended[0]}" if ended else f"{name} runs"


def _flow(event: Event) -> str:
    name = event.name
    if event.type is EventType.DELETED:
        return f"{name} gone"
    status = event.object.get("status", {})
    ready = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), None)
    said = f"{name} {status['phase']} {ready['reason']}" if ready is not None else ""
    return f"{said or name} deleting" if "deletionTimestamp" in event.object["metadata"] else said


def _told_other(event: Event) -> str:
    return f"{event.kind} {event.name} {'gone' if event.type is EventType.DELETED else 'there'}"


_TELLERS: Mapping[str, Callable[[Event], str]] = {"Job": _job, "JobFlow": _flow, "Pod": lambda _: ""}
