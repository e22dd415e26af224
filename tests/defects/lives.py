"""Whole lives for the tests of this folder: the real operator on the cluster in memory, held to the laws all the time.

Each test is named after something that a user of job flows may suffer, and fails if somebody suffers it again. None
calls a helper of the code under test: a flow is submitted, the world goes on, and what counts is what a user would see.

    life = Life(flow(step("build"), step("test", "build")), build=[fails()])
    life.to_the_end()
    assert life.phases() == {"build": "Failed", "test": "Skipped"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from zenflow_core.actions import Action
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reconcile import Decision
from zenflow_core.spec import API_VERSION, KIND, JobFlow
from zenflow_core.state import StepPhase
from zenflow_testing.clock import EPOCH, VirtualClock, instant_of
from zenflow_testing.cluster import Cluster
from zenflow_testing.demands import demands_of
from zenflow_testing.errors import ApiError
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.laws import LawCheck
from zenflow_testing.operator import Flow, Operator
from zenflow_testing.outcomes import Script, ScriptedApproval, ScriptedEnding, ScriptedOutcomes
from zenflow_testing.world import PodDetail, World

TURNS = 5_000
"""A life that takes more turns than this goes in circles."""

Answer = Callable[[str, str, str, Any], ApiError | None]
"""(verb, kind, name, body) of a request of the operator; an error is what it gets for an answer."""


class Crash(BaseException):
    """The operator process dies here."""


class _Mortal(Operator):
    """Asks before each action whether it may live on."""

    dies_before: Callable[[Action], bool] = staticmethod(lambda _: False)

    def perform(self, flow: Flow, action: Action) -> bool:
        if self.dies_before(action):
            raise Crash
        return super().perform(flow, action)


class Life:
    """Flows, their cluster and their operator. Keywords are scripts: how the runs of a step of that name end."""

    def __init__(
        self,
        *manifests: Mapping[str, Any],
        approvals: Mapping[str, ScriptedApproval | None] | None = None,
        suspended: Mapping[str, timedelta | None] | None = None,
        **runs: Sequence[ScriptedEnding],
    ) -> None:
        self.clock = VirtualClock()
        self.cluster = Cluster(self.clock)
        self.garbage = GarbageCollector(self.cluster)
        script = Script(
            steps={name.replace("_", "-"): tuple(ends) for name, ends in runs.items()},
            approvals=approvals or {},
            suspended=suspended or {},
        )
        demands = {k: v for m in manifests if (plan := _plan(m)) is not None for k, v in demands_of(plan).items()}
        self.world = World(self.cluster, ScriptedOutcomes(script), demands=demands, pods=PodDetail.ALWAYS)
        self.requests: list[tuple[str, str, str]] = []
        """Verb, kind and name of every request that the operator has sent."""
        self.decisions: list[Decision] = []
        self.answers: Answer = lambda *_: None
        """Refuses requests before anything is done."""
        self.swallows: Answer = lambda *_: None
        """Hides the answer to a request that has been carried out."""
        self.crashes = 0
        self._laws = LawCheck()
        self.operator = self._start()
        self.cluster.before_request = self._before
        self.cluster.after_request = lambda verb, kind, _, name, body: self.swallows(verb, kind, name, body)
        for manifest in manifests:
            self.submit(manifest)

    # what users do

    def submit(self, manifest: Mapping[str, Any]) -> None:
        """`kubectl create -f`, without any admission webhook."""
        with self.cluster.without_hooks():
            self.cluster.create("JobFlow", manifest, namespace="default")

    def by_hand(self, act: Callable[[Cluster], object]) -> None:
        """Something that a user or another program does to the cluster."""
        with self.cluster.without_hooks():
            act(self.cluster)

    def annotate(self, key: str, value: str, name: str = "flow") -> None:
        patch = {"metadata": {"annotations": {key: value}}}
        self.by_hand(lambda c: c.patch_merge("JobFlow", "default", name, patch))

    # how time goes

    def after(self, seconds: int) -> Life:
        """Let the world go on until that many seconds after the beginning."""
        goal = EPOCH + timedelta(seconds=seconds)
        for _ in range(TURNS):
            self.turn()
            due = self._next_due()
            if due is None or due > goal:
                self.clock.advance_to(max(goal, self.clock.now))
                self.turn()
                return self
            self._go_on(due)
        raise AssertionError(f"after {TURNS} turns it is only {self.clock.now}")

    def to_the_end(self) -> Life:
        """Until every flow has a completionTime; fails if one of them waits for ever."""
        for _ in range(TURNS):
            self.turn()
            if all("completionTime" in flow.get("status", {}) for flow in self._all("JobFlow")):
                return self
            due = self._next_due()
            assert due is not None, f"nothing will ever happen again: {[f.get('status') for f in self._all('JobFlow')]}"
            self._go_on(due)
        raise AssertionError(f"no end after {TURNS} turns")

    def turn(self) -> None:
        """The operator does all there is to do now; if it dies of that a fresh process begins a second later."""
        while True:
            try:
                self.operator.call()
            except Crash:
                self.crashes += 1
                self.restart()
                self.clock.advance(1)
            else:
                return

    def restart(self) -> None:
        """A fresh operator process that knows nothing but what it lists."""
        dies_before = self.operator.dies_before
        self.operator = self._start()
        self.operator.dies_before = dies_before

    def _start(self) -> _Mortal:
        return _Mortal(self.cluster, watcher=self._saw)

    def _saw(self, flow: Flow, observed: Observed, now: datetime, decision: Decision) -> None:
        self._laws(flow, observed, now, decision)
        self.decisions.append(decision)
        for step, record in zip(decision.state.plan.steps, decision.state.records, strict=True):
            if record.phase is StepPhase.PENDING_APPROVAL and record.started_at is not None:
                self.world.approval_asked(flow.obj, step.name, at=record.started_at)

    def _before(self, verb: str, kind: str, _namespace: str, name: str, body: Any) -> ApiError | None:
        self.requests.append((verb, kind, name or body.get("metadata", {}).get("name", "") if body else name))
        return self.answers(verb, kind, self.requests[-1][2], body)

    def _next_due(self) -> datetime | None:
        due = (self.world.next_due(), self.garbage.next_due(), self.operator.next_wake())
        return min((at for at in due if at is not None), default=None)

    def _go_on(self, due: datetime) -> None:
        self.clock.advance_to(max(due, self.clock.now))
        self.world.run_due()
        self.garbage.run_due()

    # what users see

    def _all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        with self.cluster.without_hooks():
            return self.cluster.list(kind, "default").items

    def flows(self) -> dict[str, str]:
        """The flows that exist, with their phases."""
        return {f["metadata"]["name"]: f.get("status", {}).get("phase", "") for f in self._all("JobFlow")}

    def status(self, name: str = "flow") -> Mapping[str, Any]:
        with self.cluster.without_hooks():
            status: Mapping[str, Any] = self.cluster.get("JobFlow", "default", name)["status"]
        return status

    def phase(self, name: str = "flow") -> str:
        return str(self.status(name)["phase"])

    def reason(self, name: str = "flow") -> str:
        """Why the flow is Ready, or is not."""
        return str(self.condition("Ready", name)["reason"])

    def condition(self, kind: str, name: str = "flow") -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(c for c in self.status(name)["conditions"] if c["type"] == kind)
        return found

    def row(self, step: str, name: str = "flow") -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(r for r in self.status(name)["steps"] if r["name"] == step)
        return found

    def phases(self, name: str = "flow") -> dict[str, str]:
        return {row["name"]: row["phase"] for row in self.status(name)["steps"]}

    def reasons(self, name: str = "flow") -> dict[str, str]:
        return {row["name"]: row["reason"] for row in self.status(name)["steps"]}

    def ran_for(self, step: str, name: str = "flow") -> int:
        """Seconds from the beginning to the end of the step."""
        row = self.row(step, name)
        return int((instant_of(row["completionTime"]) - instant_of(row["startTime"])).total_seconds())

    def ended_after(self, name: str = "flow") -> int:
        """Seconds from the beginning of the world to the end of the flow."""
        return int((instant_of(self.status(name)["completionTime"]) - EPOCH).total_seconds())

    def jobs(self) -> list[Mapping[str, Any]]:
        """The Jobs that exist."""
        return list(self._all("Job"))

    def job(self, step: str) -> Mapping[str, Any]:
        """The step's only Job."""
        (found,) = (j for j in self.jobs() if j["metadata"]["labels"]["workflow.kube-zen.io/step"] == step)
        return found

    def pods(self) -> list[Mapping[str, Any]]:
        """The Pods that exist and are not over."""
        return [p for p in self._all("Pod") if p.get("status", {}).get("phase") not in ("Succeeded", "Failed")]

    def created(self) -> list[str]:
        """Names of the Jobs that were asked for, in order."""
        return [name for verb, kind, name in self.requests if (verb, kind) == ("create", "Job")]

    def writes(self) -> int:
        """How often the status was written."""
        return sum(1 for verb, kind, _ in self.requests if (verb, kind) == ("patch", "JobFlow/status"))


def _plan(manifest: Mapping[str, Any]) -> Plan | None:
    parsed = read_flow(manifest)
    plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else None
    return plan if isinstance(plan, Plan) else None


# --- flows -----------------------------------------------------------------------------------------------------------


def flow(*steps: Mapping[str, Any], name: str = "flow", policy: Mapping[str, Any] | None = None, **spec: Any) -> Any:
    """A manifest; `policy` is the executionPolicy."""
    whole = {"steps": list(steps), **({"executionPolicy": dict(policy)} if policy else {}), **spec}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": whole}


def template(*, job: Mapping[str, Any] | None = None, pod: Mapping[str, Any] | None = None, **container: Any) -> Any:
    """A Job template: fields of the Job's spec, of the Pod's, and of its one container."""
    main = {"name": "main", "image": "busybox:1.36", "command": ["true"], **container}
    return {
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [main], **(pod or {})}}, **(job or {})}
    }


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A Job step behind these; one attempt without Pod retries unless it has a template of its own."""
    return {"name": name, "dependencies": list(after), "template": template(job={"backoffLimit": 0}), **fields}


def manual(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": "Manual", "dependencies": list(after), **fields}


def retried(limit: int, seconds: int = 10, kind: str = "Fixed", **backoff: Any) -> dict[str, Any]:
    return {"limit": limit, "backoff": {"type": kind, "duration": f"{seconds}s", **backoff}}


# --- what becomes of Jobs --------------------------------------------------------------------------------------------


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def fails(after: int = 10, code: int = 1, **rest: Any) -> ScriptedEnding:
    return ScriptedEnding(seconds(after), code, **rest)


def succeeds(after: int = 10, **rest: Any) -> ScriptedEnding:
    return ScriptedEnding(seconds(after), 0, **rest)


HANGS = ScriptedEnding(timedelta(days=3650))
"""A run that ends by itself in ten years: never, as far as anybody waits."""
