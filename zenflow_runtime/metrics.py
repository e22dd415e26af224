"""Prometheus metrics. Gauges are read off the state when they are asked for, so they cannot drift from it.

Names are those that the Go project had where they make sense. Its labels
`flow` and `step` are gone: a series for each would never end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as Count
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from zenflow_core.decision import Decision
from zenflow_core.facts import reason_of
from zenflow_core.reasons import Approved, AttemptFailed, Cause, Rejected, RetriesExhausted, StepTimedOut
from zenflow_core.state import FlowState
from zenflow_core.transitions import FAILING
from zenflow_core.wave import Move
from zenflow_runtime.door import Answered
from zenflow_runtime.flows import Flow

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)

_RESULTS: Final[Mapping[str, str]] = {"Succeeded": "success", "Failed": "failure"}
"""What the Go project calls the ends of a step that has run."""


@frozen
class Before:
    """What the stored status said before a decision was recorded."""

    phase: str = ""
    ended: bool = False


def before_of(flow: Mapping[str, Any]) -> Before:
    """The same, of a flow object."""
    status = flow.get("status") or {}
    return Before(str(status.get("phase", "")), "ended" in status)


@frozen
class Watching:
    """What the health of a watch is told by."""

    kind: str
    list_age: float | None
    heard_age: float | None


@frozen
class State:
    """What gauges are read off."""

    flows: Callable[[], Iterable[Flow]]
    queue_depth: Callable[[], int] = field(default=lambda: 0)
    busy: Callable[[], int] = field(default=lambda: 0)
    leading: Callable[[], bool] = field(default=lambda: False)
    watches: Callable[[], Iterable[Watching]] = field(default=lambda: ())
    clock_skew: Callable[[], float] = field(default=lambda: 0.0)


class Metrics:
    """All series of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["phase", "namespace"]
        self.flow_transitions = self._count("jobflow_phase_transitions", "Phases that flows came to.", labels)
        self.flow_ends = self._count(
            "jobflows_ended_early", "Flows that ended before their steps were over, by reason.", ["reason", "namespace"]
        )
        self.step_transitions = self._count("step_phase_transitions", "Phases that steps came to.", labels)
        self.step_duration = self._time(
            "step_duration_seconds", "From the start of the last attempt to the end.", ["result", "namespace"], _LONG
        )
        self.step_errors = self._count("step_errors", "Failures of steps, by reason.", ["error_type", "namespace"])
        self.step_retries = self._count("step_retries", "Retries that were decided.", ["namespace"])
        self.retry_backoff = self._time(
            "step_retry_backoff_duration_seconds", "Pauses before retries.", ["namespace"], _LONG
        )
        self.approval_latency = self._time(
            "approval_latency_seconds", "From the request for an approval to its answer.", ["namespace"], _LONG
        )
        self.timeouts = self._count("timeouts", "Deadlines that passed.", ["timeout_type", "namespace"])
        self.decision = self._time("decision_duration_seconds", "One decision of the core.", [], _QUICK)
        self.reconciliation = self._time(
            "reconciliation_duration_seconds", "One decision with all its requests.", [], _QUICK
        )
        self.reconciliation_errors = self._count(
            "reconciliation_errors", "Decisions that could not be carried out.", ["error_type"]
        )
        self.status_update = self._time("status_update_duration_seconds", "One status write.", [], _QUICK)
        self.step_gap = self._time(
            "step_gap_seconds", "From the news that lets a step start to its Job's creation.", [], _QUICK
        )
        self.queue_latency = self._time(
            "queue_latency_seconds", "From when a flow was to be looked at until it was.", [], _QUICK
        )
        self.calls = self._count(
            "api_server_calls", "Requests to the API server; code 0: no answer.", ["operation", "resource", "code"]
        )
        self.call_wait = self._time("api_server_wait_seconds", "Waits for the client's own rate limit.", [], _QUICK)
        self.stale_views = self._count("stale_views_refused", "Decisions refused at their record (the fence).", [])
        self.violations = self._count("invariant_violations", "Our own bugs; must be 0.", [])
        self.unreadable = self._count("unreadable_objects", "Objects that could not be read.", ["kind"])
        self.watch_restarts = self._count("watch_restarts", "Watches that began again, and why.", ["kind", "why"])
        self.events = self._count("events", "Kubernetes Events, by what became of them.", ["result"])

    def _count(self, name: str, text: str, labels: list[str]) -> Count:
        return Count(f"zen_flow_{name}", text, labels, registry=self.registry)

    def _time(self, name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"zen_flow_{name}", text, labels, buckets=buckets, registry=self.registry)

    def watch_state(self, state: State) -> None:
        """Read the gauges off this from now on."""
        self.registry.register(_Gauges(state))

    def answered(self, request: Answered) -> None:
        """A request is over."""
        ask = request.ask
        self.calls.labels(ask.verb, ask.resource, str(request.code)).inc()
        if request.waited:
            self.call_wait.observe(request.waited)
        if ask.resource == "jobflows/status":
            self.status_update.observe(request.seconds)

    def decided(self, flow: Flow, before: Before, decision: Decision) -> None:
        """A decision was recorded: what moved."""
        namespace, state = flow.seen.namespace, decision.state
        if before.phase != state.record.phase.value:
            self.flow_transitions.labels(state.record.phase.value, namespace).inc()
        ended = state.record.ended
        if ended is not None and not before.ended:
            self.flow_ends.labels(reason_of(ended), namespace).inc()
            self._deadline(reason_of(ended), "ActiveDeadlineExceeded", "jobflow_timeout", namespace=namespace)
        for move in decision.moves:
            if move.origin is not move.phase:
                self._moved(move, state, namespace)

    def _moved(self, move: Move, state: FlowState, namespace: str) -> None:
        cause, reason = move.cause, reason_of(move.cause)
        self.step_transitions.labels(move.phase.value, namespace).inc()
        if type(cause) in FAILING or isinstance(cause, AttemptFailed):
            self.step_errors.labels(reason, namespace).inc()
        self._deadline(_failure(cause), StepTimedOut.__name__, "step_timeout", namespace=namespace)
        record = state.records[state.plan.by_name[move.step]]
        match cause:
            case AttemptFailed(failure=failure, retry_at=retry_at):
                self.step_retries.labels(namespace).inc()
                self.retry_backoff.labels(namespace).observe(max((retry_at - failure.at).total_seconds(), 0.0))
            case Approved(at=at) | Rejected(at=at) if record.started_at is not None:
                self.approval_latency.labels(namespace).observe(max((at - record.started_at).total_seconds(), 0.0))
            case _:
                pass
        result = _RESULTS.get(move.phase.value)
        if result is not None and record.started_at is not None and record.finished_at is not None:
            seconds = (record.finished_at - record.started_at).total_seconds()
            self.step_duration.labels(result, namespace).observe(max(seconds, 0.0))

    def _deadline(self, reason: str, name: str, kind: str, *, namespace: str) -> None:
        if reason == name:
            self.timeouts.labels(kind, namespace).inc()

    def text(self) -> bytes:
        """Everything, in the text format. Cost: O(flows) and what their rows cost once a change."""
        return generate_latest(self.registry)


def _failure(cause: Cause) -> str:
    """The name of the failure that a cause is about, or of the cause itself."""
    match cause:
        case AttemptFailed(failure=failure) | RetriesExhausted(failure=failure):
            return type(failure).__name__
        case _:
            return type(cause).__name__


class _Gauges(Collector):
    """Counted off the flows as they are."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._counted: dict[str, tuple[str, Counter[str]]] = {}
        """Steps of a flow by phase, with the version of the flow they were counted in."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All gauges."""
        flows = Counter[tuple[str, ...]]()
        steps = Counter[tuple[str, ...]]()
        waiting = Counter[tuple[str, ...]]()
        approvals = Counter[tuple[str, ...]]()
        counted: dict[str, tuple[str, Counter[str]]] = {}
        for flow in self._state.flows():
            namespace = flow.seen.namespace
            status = flow.obj.get("status") or {}
            flows[status.get("phase") or "Pending", namespace] += 1
            counted[flow.uid] = self._steps(flow, status)
            for phase, number in counted[flow.uid][1].items():
                steps[phase, namespace] += number
            if flow.state is not None:
                waiting[namespace,] += len(flow.state.queue)
                approvals[namespace,] += flow.state.tally.approvals
        self._counted = counted
        yield _family("jobflows", "Flows that are stored, by phase.", ("phase", "namespace"), flows)
        yield _family("steps", "Steps of stored flows, by phase.", ("phase", "namespace"), steps)
        yield _family("step_execution_queue_depth", "Steps that only lack a slot.", ("namespace",), waiting)
        yield _family("approvals_pending", "Steps that wait for a person.", ("namespace",), approvals)
        yield _single("queue_depth", "Flows that wait for a worker.", self._state.queue_depth())
        yield _single("workers_busy", "Decisions that are being carried out.", self._state.busy())
        yield _single("leader", "1 if this process leads.", int(self._state.leading()))
        ahead = "How far this clock is ahead of the API server's; up to 5 s is 0."
        yield _single("clock_skew_seconds", ahead, self._state.clock_skew())
        listed = GaugeMetricFamily("zen_flow_watch_list_age_seconds", "Since the last list.", labels=["kind"])
        heard = GaugeMetricFamily("zen_flow_watch_silence_seconds", "Since the server said anything.", labels=["kind"])
        for watch in self._state.watches():
            if watch.list_age is not None:
                listed.add_metric([watch.kind], watch.list_age)
            if watch.heard_age is not None:
                heard.add_metric([watch.kind], watch.heard_age)
        yield listed
        yield heard

    def _steps(self, flow: Flow, status: Mapping[str, object]) -> tuple[str, Counter[str]]:
        known = self._counted.get(flow.uid)
        if known is not None and known[0] == flow.resource_version:
            return known
        rows = status.get("steps")
        phases = Counter(str(row.get("phase")) for row in rows) if isinstance(rows, list) else Counter[str]()
        return flow.resource_version, phases


def _family(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"zen_flow_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"zen_flow_{name}", text, value=value)
