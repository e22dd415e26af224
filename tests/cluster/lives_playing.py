"""Plays a golden lifecycle on a real control plane: its script is what the Pods do, its tale what the operator decides.

Real time cannot jump, so every duration of a story is divided by its factor, on both sides: the cluster in memory
plays the same shortened story, and the tales are compared line by line for each step, without times and uids.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
from attrs import evolve, frozen

from tests.cluster.cases_cluster import LiveNamespace
from tests.cluster.cases_playing import Ground, alone_in
from tests.cluster.controlplane import eventually
from tests.lifecycles.test_lifecycles import Story
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.names import approval_key, approver_key, rejection_key
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reading import parse_attempt
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState
from zenflow_runtime.flows import Flow
from zenflow_runtime.operator import Operator
from zenflow_testing.cases.pods import ended_status, running_status
from zenflow_testing.clock import timestamp
from zenflow_testing.demands import Demand, demands_of, message_of
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.kinds import Object
from zenflow_testing.lifecycle import Lifecycle
from zenflow_testing.outcomes import (
    ApprovalGiven,
    ApprovalRefused,
    JobEnding,
    NeverDecided,
    Outcomes,
)

LASTS_SECONDS: Final = 150.0
"""A story whose flow has not ended by then does not end."""

_SECONDS: Final = frozenset({"timeoutSeconds", "activeDeadlineSeconds"})
_DURATION: Final = re.compile(r"(\d+)s")
_UID: Final = re.compile(r"(?<=-)[0-9a-f]{8}\b")
_POLL_SECONDS: Final = 0.1


def shortened(story: Story, factor: int) -> Story:
    """The same story, so many times as fast; play it with `Faster` outcomes. A second is the least there is."""
    happenings = [evolve(each, after=_divided(each.after, factor)) for each in story.happenings]
    return evolve(story, flow=_scaled(story.flow, factor), happenings=happenings)


@frozen
class Faster:
    """Outcomes that come so many times as fast."""

    outcomes: Outcomes
    factor: int

    def job(self, step: str, attempt: int) -> JobEnding:
        ending = self.outcomes.job(step, attempt)
        return evolve(ending, after=self._divided(ending.after))

    def approval(self, step: str) -> ApprovalGiven | ApprovalRefused | NeverDecided:
        decision = self.outcomes.approval(step)
        return decision if isinstance(decision, NeverDecided) else evolve(decision, after=self._divided(decision.after))

    def suspended(self, step: str) -> timedelta | None:
        delay = self.outcomes.suspended(step)
        return None if delay is None else self._divided(delay)

    def config_map(self, name: str, key: str) -> str | None:
        return self.outcomes.config_map(name, key)

    def _divided(self, duration: timedelta) -> timedelta:
        return timedelta(seconds=_divided(int(duration.total_seconds()), self.factor))


def _divided(seconds: int, factor: int) -> int:
    return max(1, seconds // factor)


def _scaled(value: Any, factor: int) -> Any:
    match value:
        case Mapping():
            return {
                key: _divided(each, factor) if key in _SECONDS else _scaled(each, factor) for key, each in value.items()
            }
        case list() | tuple():
            return [_scaled(each, factor) for each in value]
        case str() if found := _DURATION.fullmatch(value):
            return f"{_divided(int(found[1]), factor)}s"
        case _:
            return value


def tale_of(text: str) -> dict[str, list[str]]:
    """What a life tells of each step, of the flow (`[name]`) and of others (`*`), without times and uids."""
    tale: dict[str, list[str]] = {}
    for line in text.splitlines():
        _, _, told = line.partition("  ")
        told = re.sub(r" until \S+", "", _UID.sub("<uid>", told))
        subject = told.split(" ", 1)[0]
        tale.setdefault(subject, []).append(" ".join(told.split()))
    return tale


class LiveLife:
    """One story on its way. Use `live_tale`."""

    def __init__(self, story: Story, outcomes: Outcomes, ground: Ground, *, namespace: str) -> None:
        self._story = story
        self._ground = ground
        self._live = LiveNamespace(ground.cluster, namespace)
        self._outcomes = outcomes
        self._demands = _demands(story)
        self._jobs: dict[str, Object] = {}
        self._runs: Counter[str] = Counter()
        self._due: list[tuple[float, Object, JobEnding, Object]] = []
        self._lock = threading.Lock()
        self._life = Lifecycle(datetime.now(UTC))
        self._states: list[FlowState] = []
        self._asked: set[str] = set()
        self._answers: list[tuple[float, dict[str, str]]] = []
        self._scope: anyio.CancelScope | None = None
        self._live.subscribe(self._saw)

    def play(self) -> str:
        """The whole life, told. Its operator ends with it, however that comes."""
        self._ground.portal.start_task_soon(self._operate)
        try:
            self._live_through()
        finally:
            scope = eventually(lambda: self._scope, "the operator to begin")
            self._ground.portal.call(scope.cancel)
        return self._life.text()

    def _live_through(self) -> None:
        if self._story.prepare is not None:
            self._story.prepare(_Deeds(self._live, uid=""))  # type: ignore[arg-type]  # as below
        flow = {**self._story.flow, "metadata": {"name": self._story.flow["metadata"]["name"]}}
        made = self._live.create("JobFlow", flow, namespace=self._live.namespace)
        begun = time.monotonic()
        coming = sorted(self._story.happenings, key=lambda each: each.after)
        deeds = _Deeds(self._live, uid=made["metadata"]["uid"])
        while time.monotonic() < begun + LASTS_SECONDS:
            while coming and time.monotonic() >= begun + coming[0].after:
                happening = coming.pop(0)
                self._life.note(datetime.now(UTC), happening.what)
                # A deed asks for what both clusters do: creates, deletes and patches.
                happening.do(deeds)  # type: ignore[arg-type]  # `_Deeds` takes a Cluster's place
            self._do_due(made)
            if self._states and self._states[-1].record.completed_at and not self._states[-1].tally.live and not coming:
                break
            time.sleep(_POLL_SECONDS)

    async def _operate(self) -> None:
        home, plane = self._live.namespace, self._ground.plane
        # The tales of the cluster in memory know no nudges.
        settings = evolve(alone_in(home, self._story.settings), eager_completion=False)
        with anyio.CancelScope() as self._scope:
            await Operator(plane.operator_config, plane.http(), settings, identity=home, watcher=self._watch).run()

    def _watch(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        self._life(flow, observed, now, decision)
        self._states.append(decision.state)
        for step, record in zip(decision.state.plan.steps, decision.state.records, strict=True):
            if record.phase.value == "PendingApproval" and step.name not in self._asked:
                self._asked.add(step.name)
                self._ask(step.name)

    def _ask(self, step: str) -> None:
        decision = self._outcomes.approval(step)
        match decision:
            case ApprovalGiven(by=by, after=after):
                annotations = {approval_key(step): "true", approver_key(step): by}
            case ApprovalRefused(why=why, by=by, after=after):
                annotations = {rejection_key(step): why, approver_key(step): by}
            case _:
                return
        answer = {key: value for key, value in annotations.items() if value}
        with self._lock:
            self._answers.append((time.monotonic() + after.total_seconds(), answer))

    # Pods

    def _saw(self, event: Event) -> None:
        if event.type is not EventType.ADDED:
            return
        if event.kind == "Job":
            self._jobs[event.uid] = event.object
        elif event.kind == "Pod":
            with self._lock:
                self._due.append((0.0, event.object, JobEnding(), {}))

    def _do_due(self, flow: Object) -> None:
        now = time.monotonic()
        with self._lock:
            due = [each for each in self._due if each[0] <= now]
            self._due = [each for each in self._due if each[0] > now]
            answers = [each for each in self._answers if each[0] <= now]
            self._answers = [each for each in self._answers if each[0] > now]
        for _, pod, ending, job in due:
            try:
                self._start(pod) if not job else self._end(pod, ending, job)
            except ApiError as error:
                if error.code != 404:
                    raise  # a Pod that is gone needs nothing any more
        for _, answer in answers:
            patch = {"metadata": {"annotations": answer}}
            self._live.patch_merge("JobFlow", self._live.namespace, flow["metadata"]["name"], patch)

    def _start(self, pod: Object) -> None:
        owner = pod["metadata"]["ownerReferences"][0]
        job = self._jobs.get(owner["uid"]) or self._live.get("Job", self._live.namespace, owner["name"])
        identity = parse_attempt(job)
        assert identity is not None, "every Job here is the operator's"
        self._runs[identity.step] += 1
        ending = self._outcomes.job(identity.step, self._runs[identity.step])
        self._set(pod, running_status(job, at=_at()))
        with self._lock:
            self._due.append((time.monotonic() + ending.after.total_seconds(), pod, ending, job))

    def _end(self, pod: Object, ending: JobEnding, job: Object) -> None:
        if ending.exit_code:
            # A scripted failure is that of the Job, not of one of its Pods.
            patch = {"spec": {"backoffLimit": 0}}
            self._live.patch_merge("Job", self._live.namespace, job["metadata"]["name"], patch)
        identity = parse_attempt(job)
        demand = self._demands.get(identity.step) if identity is not None else None
        message = None if demand is None or ending.exit_code else message_of(demand.result(ending.outputs or {}))
        status = running_status(job, at=_at())
        self._set(pod, ended_status(job, status, exit_code=ending.exit_code, at=_at(), message=message))

    def _set(self, pod: Object, status: Object) -> None:
        name = pod["metadata"]["name"]
        self._live.patch_merge("Pod", self._live.namespace, name, {"status": status}, subresource="status")


class _Deeds:
    """What stories do to a cluster in memory, done to the real one: with its namespace and its uid in names."""

    def __init__(self, live: LiveNamespace, *, uid: str) -> None:
        self._live = live
        self._uid = uid[:8]

    def create(self, kind: str, body: Object, *, namespace: str) -> Object:
        assert namespace == "ci", "the stories' own"
        return self._live.create(kind, body, namespace=self._live.namespace)

    def delete(self, kind: str, _namespace: str, name: str) -> Object:
        return self._live.delete(kind, self._live.namespace, self._named(name), propagation="Background")

    def patch_merge(self, kind: str, _namespace: str, name: str, patch: Object) -> Object:
        return self._live.patch_merge(kind, self._live.namespace, self._named(name), patch)

    def _named(self, name: str) -> str:
        return name.replace("0a0a0a0a", self._uid)


def _demands(story: Story) -> Mapping[StepName, Demand]:
    flow = read_flow(story.flow)
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow, settings=story.settings)
    assert isinstance(plan, Plan), plan
    return demands_of(plan)


def _at() -> str:
    return timestamp(datetime.now(UTC).replace(microsecond=0))


def live_tale(story: Story, outcomes: Outcomes, ground: Ground, *, namespace: str) -> dict[str, list[str]]:
    """What the life of that flow tells on a real control plane."""
    return tale_of(LiveLife(story, outcomes, ground, namespace=namespace).play())
