"""An operator on the in-memory cluster: it watches, decides with the core, and acts, call by call.

It is what `zenflow_runtime` is to a real cluster, without a network: the same
order (record, ensure, release), the same fence (a stale view is refused at its
record), the same memory (none but what can be read again). Its view of each
kind can be held back, and it can be made to die before or after any request, so
that the laws can be tried on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, assert_never

from attrs import define, evolve, field

from zenflow_core.actions import Action, CreateJob, DeleteFlow, DeleteJob, NudgeJob, RecordStatus
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Absent, FlowSeen, Gone, Lookup, Observed, Present, Refused, Seen, Sighting
from zenflow_core.plan import ConfigMapKey, Plan, refused_plan
from zenflow_core.reading import NUDGE_TTL_SECONDS, main_container, parse_attempt, read_flow_seen, read_job
from zenflow_core.reading import termination_result
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision, Read, ReadInput, ReadResult, advance, reconcile
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState
from zenflow_testing.cluster import Cluster, Event, EventType, Propagation
from zenflow_testing.errors import ApiError

InputReader: TypeAlias = Callable[[ConfigMapKey], Lookup]
Watcher: TypeAlias = Callable[["Flow", Observed, Instant, Decision], None]
"""Told of each decision: the flow, what was given (all or new), when, and the answer."""

CALLS_PER_INSTANT = 50
"""More calls for one flow at one instant without an event are a hot loop."""


class HotLoop(AssertionError):
    """The core goes on acting at one instant although nothing happens."""


@define
class Flow:
    """What the operator knows of one JobFlow object."""

    uid: str
    obj: Mapping[str, Any]
    seen: FlowSeen
    plan: Plan | None = None
    state: FlowState | None = None
    """None: it has to be read anew from the stored status."""
    wake_at: Instant | None = None
    jobs: dict[StepName, dict[int, Sighting]] = field(factory=dict)
    pods: dict[str, dict[str, Mapping[str, Any]]] = field(factory=dict)
    """By Job uid, then by name."""
    inputs: dict[ConfigMapKey, Lookup] = field(factory=dict)
    results: dict[str, Lookup] = field(factory=dict)
    """Termination messages already read, by Job uid."""
    changed_jobs: set[StepName] = field(factory=set)
    changed_inputs: set[ConfigMapKey] = field(factory=set)
    changed_flow: bool = True
    due: bool = True
    """Something happened, or its alarm rang."""
    decisions: int = 0

    @property
    def key(self) -> str:
        return f"{self.seen.namespace}/{self.seen.name}"

    @property
    def resource_version(self) -> str:
        version: str = self.obj["metadata"]["resourceVersion"]
        return version

    def observed(self, *, everything: bool) -> Observed:
        """What to hand to the core: everything, or what changed since its last decision."""
        steps: Iterable[StepName] = self.jobs if everything else self.changed_jobs
        refs: Iterable[ConfigMapKey] = self.inputs if everything else self.changed_inputs
        known = self.plan.by_name if self.plan is not None else {}
        return Observed(
            jobs={s: tuple(self.jobs[s][n] for n in sorted(self.jobs[s])) for s in steps if s in known},
            inputs={ref: self.inputs[ref] for ref in refs},
            flow=self.seen if everything or self.changed_flow else None,
        )

    def handed_over(self) -> None:
        """The core has been told."""
        self.changed_jobs.clear()
        self.changed_inputs.clear()
        self.changed_flow = False
        self.due = False


class Operator:
    """One operator process. `call` makes it look at its watches and do all there is to do."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        read_input: InputReader | None = None,
        watcher: Watcher | None = None,
        compile_with: Callable[[Mapping[str, Any]], Plan | None] | None = None,
        name: str = "a",
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.flows: dict[str, Flow] = {}
        self._read_input = read_input or self._read_config_map
        self._watcher = watcher
        self._compile_with = compile_with
        """Gives a plan that the caller has compiled already; None: compile it here."""
        self._cursor = 0
        self._orphans: dict[str, list[Event]] = {}
        """Events of Jobs whose flow has not been seen yet, by flow uid."""
        self._job_flows: dict[str, tuple[str, StepName, int]] = {}
        """Job uid -> flow uid, step, attempt."""

    # --- watching ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take in every event that the watches have for us. Cost: the events."""
        for event in self.cluster.events_since(self._cursor):
            self._cursor = event.resource_version
            self.take(event)

    def take(self, event: Event) -> None:
        """One event of a watch."""
        match event.kind:
            case "JobFlow":
                self._take_flow(event)
            case "Job":
                self._take_job(event)
            case "Pod":
                self._take_pod(event)
            case _:
                pass

    def _take_flow(self, event: Event) -> None:
        uid = event.uid
        if event.type is EventType.DELETED:
            self.flows.pop(uid, None)
            return
        flow = self.flows.get(uid)
        if flow is None:
            flow = self.flows[uid] = Flow(uid, event.object, read_flow_seen(event.object))
            for orphan in self._orphans.pop(uid, ()):
                self._take_job(orphan)
            return
        if int(event.object["metadata"]["resourceVersion"]) <= int(flow.resource_version):
            return  # our own acknowledged write lies over the cache until the watch has caught up
        if flow.state is not None and event.object.get("status") != flow.obj.get("status"):
            flow.state = None  # somebody else wrote the status
            flow.due = True
        self._renew(flow, event.object)

    def _renew(self, flow: Flow, obj: Mapping[str, Any]) -> None:
        seen = flow.seen if obj["metadata"] is flow.obj["metadata"] else read_flow_seen(obj)
        if seen.generation != flow.seen.generation:
            flow.plan = flow.state = None
        if seen != flow.seen:
            flow.changed_flow = flow.due = True
        flow.obj, flow.seen = obj, seen

    def _take_job(self, event: Event) -> None:
        identity = parse_attempt(event.object)
        if identity is None:
            return
        flow = self.flows.get(identity.flow_uid)
        if flow is None:
            self._orphans.setdefault(identity.flow_uid, []).append(event)
            return
        known = flow.jobs.setdefault(identity.step, {})
        if event.type is EventType.DELETED:
            self._job_flows.pop(event.uid, None)
            last = known.get(identity.attempt)
            if isinstance(last, Seen) and last.uid == event.uid:
                known[identity.attempt] = Gone(identity.attempt, self.cluster.clock.now)
                self._touch(flow, identity.step)
            return
        self._job_flows[event.uid] = (flow.uid, identity.step, identity.attempt)
        self._know(flow, identity.step, event.object)

    def _know(self, flow: Flow, step: StepName, job: Mapping[str, Any]) -> None:
        uid = job["metadata"]["uid"]
        pods = tuple(flow.pods.get(uid, {}).values())
        seen = read_job(job, result=flow.results[uid], pods=pods) if uid in flow.results else read_job(job, pods=pods)
        assert seen is not None, "its identity has been read"
        known = flow.jobs.setdefault(step, {})
        if known.get(seen.attempt) != seen:
            known[seen.attempt] = seen
            self._touch(flow, step)

    def _take_pod(self, event: Event) -> None:
        owner = next((o["uid"] for o in event.object["metadata"].get("ownerReferences", ()) if o["kind"] == "Job"), "")
        identity = self._job_flows.get(owner)
        flow = self.flows.get(identity[0]) if identity is not None else None
        if identity is None or flow is None:
            return
        pods = flow.pods.setdefault(owner, {})
        if event.type is EventType.DELETED:
            pods.pop(event.name, None)
            return
        pods[event.name] = event.object
        last = flow.jobs.get(identity[1], {}).get(identity[2])
        if isinstance(last, Seen) and last.live:
            job = self._find("Job", event.namespace, last.name)
            if job is not None:
                self._know(flow, identity[1], job)

    def _touch(self, flow: Flow, step: StepName) -> None:
        flow.changed_jobs.add(step)
        flow.due = True

    # --- deciding ----------------------------------------------------------------------------------------------------

    def call(self, *, everyone: bool = False) -> int:
        """Look, then decide and act until no flow has anything left to do. Returns how many decisions that took."""
        self.look()
        made = 0
        now = self.cluster.clock.now
        if everyone:
            for flow in self.flows.values():
                flow.due = True
        for uid in list(self.flows):
            calls = 0
            while (known := self.flows.get(uid)) is not None and (
                known.due or (known.wake_at is not None and known.wake_at <= now)
            ):
                calls += 1
                if calls > CALLS_PER_INSTANT:
                    raise HotLoop(f"flow {known.key}: more than {CALLS_PER_INSTANT} calls at {now} and still acting")
                self.decide(known)
                self.look()
            made += calls
        return made

    def next_wake(self) -> Instant | None:
        """When the first flow wants to be looked at without anything happening."""
        return min((f.wake_at for f in self.flows.values() if f.wake_at is not None), default=None)

    def decide(self, flow: Flow) -> Decision:
        """One decision about one flow, carried out."""
        now = self.cluster.clock.now
        plan = self._plan(flow)
        everything = flow.state is None
        observed = flow.observed(everything=everything)
        flow.handed_over()
        if flow.state is None:
            decision = reconcile(plan, flow.obj.get("status"), observed, now=now)
        else:
            decision = advance(flow.state, observed, now)
        flow.decisions += 1
        if self._watcher is not None:
            self._watcher(flow, observed, now, decision)
        flow.state, flow.wake_at = decision.state, decision.wake_at
        for action in decision.actions:
            if not self.perform(flow, action):
                flow.state = None
                flow.due = True
                break
        for read in decision.reads:
            self._read(flow, read)
        return decision

    def _plan(self, flow: Flow) -> Plan:
        if flow.plan is None and self._compile_with is not None:
            flow.plan = self._compile_with(flow.obj)
        if flow.plan is None:
            parsed = read_flow(flow.obj)
            plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else parsed
            flow.plan = plan if isinstance(plan, Plan) else refused_plan(plan)
        return flow.plan

    # --- acting ------------------------------------------------------------------------------------------------------

    def perform(self, flow: Flow, action: Action) -> bool:
        """One API call. False: the view was stale or the outcome is uncertain, so read everything again."""
        match action:
            case RecordStatus():
                return self._record(flow, action)
            case CreateJob():
                return self._create(flow, action)
            case NudgeJob():
                patch = {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS}}
                return self._try(lambda: self.cluster.patch_merge("Job", flow.seen.namespace, action.name, patch))
            case DeleteJob():
                return self._try(lambda: self._delete("Job", flow, action.name, action.uid, Propagation.FOREGROUND))
            case DeleteFlow():
                return self._try(lambda: self._delete("JobFlow", flow, action.name, action.uid, Propagation.BACKGROUND))
            case never:
                assert_never(never)

    def _record(self, flow: Flow, action: RecordStatus) -> bool:
        patch = action.patch(flow.resource_version)
        try:
            obj = self.cluster.patch_json("JobFlow", flow.seen.namespace, flow.seen.name, patch, subresource="status")
        except ApiError:
            current = self._find("JobFlow", flow.seen.namespace, flow.seen.name)
            if current is not None and current["metadata"]["uid"] == flow.uid:
                self._renew(flow, current)
            return False
        flow.obj = obj
        return True

    def _create(self, flow: Flow, action: CreateJob) -> bool:
        try:
            job = self.cluster.create("Job", action.body, namespace=flow.seen.namespace)
        except ApiError as error:
            if error.code == 409 and error.reason == "AlreadyExists":
                return self._exists(flow, action, error)
            refusal = Refused(
                action.attempt,
                self.cluster.clock.now,
                code=error.code,
                reason=error.reason,
                message=error.message,
                causes=tuple(cause.reason for cause in error.causes),
                retry_after=error.retry_after,
            )
            self._refused(flow, action, refusal)
            return True
        self._know_ours(flow, action, job)
        return True

    def _know_ours(self, flow: Flow, action: CreateJob, job: Mapping[str, Any]) -> None:
        """The answer to our own create is an observation; the watch will repeat it."""
        self._job_flows[job["metadata"]["uid"]] = (flow.uid, action.step, action.attempt)
        self._know(flow, action.step, job)

    def _exists(self, flow: Flow, action: CreateJob, error: ApiError) -> bool:
        """A Job of that name is there: ours is success, anybody else's is never touched."""
        job = self._find("Job", flow.seen.namespace, action.name)
        if job is None:
            return False
        identity = parse_attempt(job)
        ours = identity is not None and (identity.flow_uid, identity.step, identity.attempt) == (
            flow.uid,
            action.step,
            action.attempt,
        )
        if ours:
            self._know_ours(flow, action, job)
        else:
            at = self.cluster.clock.now
            self._refused(
                flow,
                action,
                Refused(action.attempt, at, code=error.code, reason=error.reason, taken_by=action.name),
            )
        return True

    def _refused(self, flow: Flow, action: CreateJob, refusal: Refused) -> None:
        flow.jobs.setdefault(action.step, {})[action.attempt] = refusal
        self._touch(flow, action.step)

    def _delete(self, kind: str, flow: Flow, name: str, uid: str, propagation: Propagation) -> None:
        try:
            self.cluster.delete(kind, flow.seen.namespace, name, propagation=propagation, uid=uid)
        except ApiError as error:
            if error.code not in (404, 409):  # gone, or another object of that name: what we meant is not there
                raise

    @staticmethod
    def _try(call: Callable[[], object]) -> bool:
        try:
            call()
        except ApiError:
            return False
        return True

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, flow: Flow, read: Read) -> None:
        match read:
            case ReadInput(ref):
                flow.inputs[ref] = self._read_input(ref)
                flow.changed_inputs.add(ref)
                flow.due = True
            case ReadResult(step, attempt):
                seen = flow.jobs.get(step, {}).get(attempt)
                if isinstance(seen, Seen) and seen.uid not in flow.results:
                    flow.results[seen.uid] = self._result(flow, seen)
                    flow.jobs[step][attempt] = evolve(seen, result=flow.results[seen.uid])
                    self._touch(flow, step)
            case never:
                assert_never(never)

    def _result(self, flow: Flow, seen: Seen) -> Lookup:
        """A fresh read of the Job's Pods: the watch may be behind."""
        job = self._find("Job", flow.seen.namespace, seen.name)
        container = main_container(job["spec"]["template"]["spec"]) if job is not None else ""
        pods = self.cluster.list("Pod", flow.seen.namespace, labels={"batch.kubernetes.io/controller-uid": seen.uid})
        return termination_result(pods.items, container)

    def _read_config_map(self, ref: ConfigMapKey) -> Lookup:
        return read_config_map(self.cluster, "default", ref)

    def _find(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        try:
            return self.cluster.get(kind, namespace, name)
        except ApiError:
            return None


def read_config_map(cluster: Cluster, namespace: str, ref: ConfigMapKey) -> Lookup:
    """A key of a ConfigMap as the cluster has it now."""
    try:
        data = cluster.get("ConfigMap", namespace, ref.name).get("data") or {}
    except ApiError:
        return Absent(f"ConfigMap {ref.name} does not exist")
    value = data.get(ref.key)
    return Absent(f"ConfigMap {ref.name} has no key {ref.key}") if value is None else Present(value)
