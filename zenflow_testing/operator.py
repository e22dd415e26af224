"""An operator on the in-memory cluster: it watches, decides with the core, and acts, call by call.

It is what `zenflow_runtime` is to a real cluster, without a network: the same
order (record, ensure, release), the same fence (a stale view is refused at its
record), the same memory (none but what can be read again). Its view of each
kind can be held back, put back or lost (`watch`), every request goes through
one place (`api`), where it can be refused or the process die, and its clock
may be wrong, so that the laws and the cases can be tried on it.

What absence means is settled here. A Job that a watch reports as deleted is
gone. One that only a list lacks may be missing because the list is old, so it
is asked for by name first, and so is one that the status knows and no list
shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias, assert_never

from attrs import define, evolve, field, frozen

from zenflow_core.actions import (
    Action,
    CreateClaim,
    CreateConfigMap,
    CreateJob,
    DeleteFlow,
    DeleteJob,
    NudgeJob,
    RecordStatus,
)
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import (
    UNREAD,
    Absent,
    FlowSeen,
    Gone,
    Lookup,
    Made,
    Observed,
    OriginLookup,
    Present,
    Refused,
    ResourceSighting,
    Seen,
    Sibling,
    Sighting,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceRef, refused_plan
from zenflow_core.reading import (
    NUDGE_TTL_SECONDS,
    controller_of,
    main_container,
    parse_attempt,
    read_flow_seen,
    read_job,
    read_sibling,
    termination_result,
)
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision, Read, ReadInput, ReadOrigin, ReadResult, advance, reconcile
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState, JobRef
from zenflow_core.status import read_origin
from zenflow_testing.clock import Clock, SkewedClock
from zenflow_testing.cluster import Cluster, Event, EventType, ListResult, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.groups import Groups
from zenflow_testing.kinds import Object
from zenflow_testing.watch import Listed, Shown, Watch, version_at

InputReader: TypeAlias = Callable[[ConfigMapKey], Lookup]
Watcher: TypeAlias = Callable[["Flow", Observed, Instant, Decision], None]
"""Told of each decision: the flow, what was given (all or new), when, and the answer."""

CALLS_PER_INSTANT = 50
"""More calls for one flow at one instant without an event are a hot loop."""

REST_SECONDS_MAX: Final = 30
"""Longest pause after requests that failed, unless the server asks for more. Pauses are 1, 2, 4 ... seconds."""

_GONE: Final = 404
_CONFLICT: Final = 409


class HotLoop(AssertionError):  # noqa: N818 - a broken law, named like one
    """The core goes on acting at one instant although nothing happens."""


class Api(Protocol):
    """The requests that an operator sends; a `Cluster` takes them, and so does whatever stands in front of one."""

    def create(self, kind: str, body: Object, *, namespace: str = "") -> Object: ...

    def get(self, kind: str, namespace: str, name: str) -> Object: ...

    def list(
        self, kind: str, namespace: str | None = None, *, labels: Mapping[str, str] | str | None = None
    ) -> ListResult: ...

    def patch_json(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
    ) -> Object: ...

    def patch_merge(self, kind: str, namespace: str, name: str, patch: Object) -> Object: ...

    def delete(
        self, kind: str, namespace: str, name: str, *, propagation: Propagation | str | None, uid: str | None
    ) -> Object: ...


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
    """When the core wants to be asked again, by the operator's own clock."""
    rings_at: datetime | None = None
    """The same by the true clock, as it was reckoned then: a timer runs on, whatever happens to a wall clock."""
    rests_until: datetime | None = None
    """After a request failed nothing is sent before this (true clock)."""
    failures: int = 0
    """Decisions in a row that could not be carried out."""
    jobs: dict[StepName, dict[int, Sighting]] = field(factory=dict)
    doubts: dict[tuple[StepName, int], JobRef] = field(factory=dict)
    """Jobs that are known of and that a list did not have: to be asked for by name before the next decision."""
    inputs: dict[ConfigMapKey, Lookup] = field(factory=dict)
    results: dict[str, Lookup] = field(factory=dict)
    """Termination messages already read, by Job uid."""
    changed_jobs: set[StepName] = field(factory=set)
    changed_inputs: set[ConfigMapKey] = field(factory=set)
    changed_flow: bool = True
    resources: dict[ResourceRef, ResourceSighting] = field(factory=dict)
    changed_resources: set[ResourceRef] = field(factory=set)
    siblings: tuple[Sibling, ...] = ()
    changed_siblings: bool = True
    origin: OriginLookup = UNREAD
    changed_origin: bool = False
    status_refused_at: Instant | None = None
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
            resources={ref: self.resources[ref] for ref in (self.resources if everything else self.changed_resources)},
            siblings=self.siblings if everything or self.changed_siblings else None,
            origin=self.origin if everything or self.changed_origin else UNREAD,
            status_refused_at=self.status_refused_at,
        )

    def handed_over(self) -> None:
        """The core has been told."""
        self.changed_jobs.clear()
        self.changed_inputs.clear()
        self.changed_resources.clear()
        self.changed_flow = self.changed_siblings = self.changed_origin = False
        self.due = False

    def call_at(self) -> datetime | None:
        """When it is to be looked at unasked (true clock)."""
        if self.rests_until is not None:
            return self.rests_until
        return self.rings_at


@frozen
class _Known:
    """A Job of ours as it was last seen, and whose it is."""

    flow_uid: str
    step: StepName
    attempt: int
    job: Object

    @property
    def version(self) -> int:
        return int(self.job["metadata"]["resourceVersion"])


class Operator:
    """One operator process. `call` makes it look at its watches and do all there is to do.

    A new one knows nothing but what it lists. `api` is what its requests go through (the cluster itself
    unless given), `clock` its own clock, `shown` what lists and watches show while a kind is held back.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        read_input: InputReader | None = None,
        watcher: Watcher | None = None,
        compile_with: Callable[[Mapping[str, Any]], Plan | None] | None = None,
        name: str = "a",
        api: Api | None = None,
        clock: Clock | None = None,
        shown: Shown | None = None,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.api: Api = cluster if api is None else api
        self.clock: Clock = cluster.clock if clock is None else clock
        self.flows: dict[str, Flow] = {}
        self._read_input = read_input
        self._watcher = watcher
        self._compile_with = compile_with
        """Gives a plan that the caller has compiled already; None: compile it here."""
        self._watch = Watch(cluster, lister=self.api, shown=shown)
        self._known: dict[str, _Known] = {}
        """Jobs of ours by uid."""
        self._pods: dict[str, dict[str, Object]] = {}
        """Pods by Job uid, then by name."""
        self._gone: set[str] = set()
        """Uids of flows and Jobs that are no more: an old list may still show them."""
        self._unnudged: set[str] = set()
        """Uids of Jobs whose controller could not be nudged. It would save a second, so it is not tried again."""
        self._groups = Groups()
        self._touched: set[str] = set()
        """Uids of flows with news of their Jobs since the others were last told."""
        self._orphans: dict[str, dict[str, Object]] = {}
        """Jobs whose flow has not been seen yet, by flow uid, then by their own."""

    # --- what the view may suffer ------------------------------------------------------------------------------------

    def freeze(self, kind: str) -> None:
        """The watch of that kind delivers nothing more, until `thaw`."""
        self._watch.freeze(kind)

    def thaw(self, kind: str) -> None:
        """The watch of that kind delivers what it held back."""
        self._watch.thaw(kind)

    def relist(self, kind: str) -> None:
        """The watch of that kind has ended, or its list is another now: list it anew."""
        self._watch.relist(kind)

    def forget_held(self, kind: str) -> None:
        """What was held back of that kind is lost."""
        self._watch.drop(kind)

    # --- watching ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take in everything that the watches have for us. Cost: the news."""
        for news in self._watch.news():
            if isinstance(news, Listed):
                self._take_list(news)
            else:
                self.take(news)
        if self._touched:
            touched, self._touched = self._touched, set()
            for uid in [uid for uid in self.flows if uid in touched]:
                self._publish(self.flows[uid])

    def take(self, event: Event) -> None:
        """One event of a watch."""
        deleted = event.type is EventType.DELETED
        match event.kind:
            case "JobFlow":
                self._forget(event.uid) if deleted else self._take_flow(event.object)
            case "Job":
                self._take_deleted(event) if deleted else self._take_job(event.object)
            case "Pod":
                self._take_pod(event.object, gone=deleted)
            case _:
                pass

    def _take_list(self, listed: Listed) -> None:
        """A list of everything there is, or was: the list may be an old one."""
        there = {obj["metadata"]["uid"] for obj in listed.objects}
        match listed.kind:
            case "JobFlow":
                for flow in tuple(self.flows.values()):
                    if flow.uid not in there:
                        flow.changed_flow = flow.due = True
                        flow.doubts[StepName(""), 0] = JobRef(flow.seen.name, flow.uid)
                for obj in listed.objects:
                    self._take_flow(obj)
            case "Job":
                for uid, known in self._known.items():
                    if uid in there:
                        continue
                    if known.flow_uid in self.flows:
                        self._doubt(self.flows[known.flow_uid], known, uid)
                    else:
                        self._wake(self._groups.job_gone(uid))
                for obj in listed.objects:
                    self._take_job(obj)
            case _:
                self._pods.clear()
                for obj in listed.objects:
                    self._take_pod(obj, gone=False)

    def _doubt(self, flow: Flow, known: _Known, uid: str) -> None:
        flow.doubts[known.step, known.attempt] = JobRef(known.job["metadata"]["name"], uid)
        flow.due = True

    def _take_flow(self, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        if uid in self._gone:
            return
        flow = self.flows.get(uid)
        if flow is None:
            flow = self.flows[uid] = Flow(uid, obj, read_flow_seen(obj))
            for orphan in self._orphans.pop(uid, {}).values():
                self._take_job(orphan)
            self._publish(flow)
            return
        if int(obj["metadata"]["resourceVersion"]) <= int(flow.resource_version):
            return  # our own acknowledged write lies over the cache until the watch has caught up
        if flow.state is not None and obj.get("status") != flow.obj.get("status"):
            flow.state = None  # somebody else wrote the status
            flow.due = True
        self._renew(flow, obj)

    def _forget(self, uid: str) -> None:
        """The flow is no more."""
        flow = self.flows.pop(uid, None)
        self._orphans.pop(uid, None)
        self._gone.add(uid)
        jobs = () if flow is None else flow.jobs.values()
        live = [s.uid for sightings in jobs for s in sightings.values() if isinstance(s, Seen) and s.live]
        self._wake(self._groups.remove(uid, live))

    def _publish(self, flow: Flow) -> None:
        """Let the other flows of the group know how this one is."""
        sibling = read_sibling(flow.obj, live_jobs=False)
        if sibling.over and any(s.live for sightings in flow.jobs.values() for s in sightings.values()):
            sibling = evolve(sibling, live_jobs=True)
        self._wake(self._groups.publish((flow.seen.namespace, flow.seen.group), sibling))
        self._look_around(flow)

    def _wake(self, uids: Iterable[str]) -> None:
        for uid in uids:
            if uid in self.flows:
                self._look_around(self.flows[uid])

    def _look_around(self, flow: Flow) -> None:
        siblings = self._groups.others(flow.uid)
        over = (flow.obj.get("status") or {}).get("completionTime") is not None
        if not over and siblings != flow.siblings:
            flow.siblings = siblings
            flow.changed_siblings = flow.due = True

    def _renew(self, flow: Flow, obj: Object) -> None:
        seen = flow.seen if obj["metadata"] is flow.obj["metadata"] else read_flow_seen(obj)
        if seen.generation != flow.seen.generation:
            flow.plan = flow.state = None
        if seen != flow.seen:
            flow.changed_flow = flow.due = True
        flow.obj, flow.seen = obj, seen
        self._publish(flow)

    def _take_job(self, job: Object) -> None:
        identity = parse_attempt(job)
        uid = job["metadata"]["uid"]
        if identity is None or uid in self._gone:
            self._wake(self._groups.job_gone(uid))
            return
        flow = self.flows.get(identity.flow_uid)
        if flow is None:
            self._orphans.setdefault(identity.flow_uid, {})[uid] = job
            seen = read_job(job)
            if seen is not None and not seen.live:
                self._wake(self._groups.job_gone(uid))
            return
        known = self._known.get(uid)
        if known is None or known.version < int(job["metadata"]["resourceVersion"]):
            self._learn(flow, identity.step, identity.attempt, job=job)

    def _take_deleted(self, event: Event) -> None:
        known = self._known.get(event.uid)
        flow = None if known is None else self.flows.get(known.flow_uid)
        if known is None or flow is None:
            for orphans in self._orphans.values():
                orphans.pop(event.uid, None)
            self._gone.add(event.uid)
            self._wake(self._groups.job_gone(event.uid))
        else:
            self._lose(flow, known.step, known.attempt, uid=event.uid)

    def _learn(self, flow: Flow, step: StepName, attempt: int, *, job: Object) -> None:
        """A Job of ours, as it is: from a list or watch, or from the answer to a request."""
        self._known[job["metadata"]["uid"]] = _Known(flow.uid, step, attempt, job)
        self._know(flow, step, job)

    def _know(self, flow: Flow, step: StepName, job: Object) -> None:
        uid = job["metadata"]["uid"]
        pods = () if uid in self._unnudged else tuple(self._pods.get(uid, {}).values())
        seen = read_job(job, result=flow.results[uid], pods=pods) if uid in flow.results else read_job(job, pods=pods)
        assert seen is not None, "its identity has been read"
        known = flow.jobs.setdefault(step, {})
        if known.get(seen.attempt) != seen:
            known[seen.attempt] = seen
            self._touch(flow, step)

    def _lose(self, flow: Flow, step: StepName, attempt: int, *, uid: str) -> None:
        """A Job of ours is no more."""
        self._known.pop(uid, None)
        self._pods.pop(uid, None)
        self._gone.add(uid)
        sightings = flow.jobs.setdefault(step, {})
        last = sightings.get(attempt)
        if last is None or (isinstance(last, Seen) and last.uid == uid):
            sightings[attempt] = Gone(attempt, self.clock.now, last=last)
            self._touch(flow, step)

    def _take_pod(self, pod: Object, *, gone: bool) -> None:
        metadata = pod["metadata"]
        owner = next((o["uid"] for o in metadata.get("ownerReferences", ()) if o["kind"] == "Job"), "")
        pods = self._pods.setdefault(owner, {})
        if gone:
            pods.pop(metadata["name"], None)
            return
        pods[metadata["name"]] = pod
        known = self._known.get(owner)
        flow = None if known is None else self.flows.get(known.flow_uid)
        if known is not None and flow is not None:
            last = flow.jobs.get(known.step, {}).get(known.attempt)
            if isinstance(last, Seen) and last.live:
                self._know(flow, known.step, known.job)

    def _touch(self, flow: Flow, step: StepName) -> None:
        flow.changed_jobs.add(step)
        flow.due = True
        self._touched.add(flow.uid)

    # --- deciding ----------------------------------------------------------------------------------------------------

    def call(self, *, everyone: bool = False) -> int:
        """Look, then decide and act until no flow has anything left to do. Returns how many decisions that took."""
        self.look()
        if not self._watch.synced:
            return 0
        if everyone:
            for flow in self.flows.values():
                flow.due = True
        calls: Counter[str] = Counter()
        busy = True
        while busy:
            busy = False
            for uid in tuple(self.flows):
                while (known := self.flows.get(uid)) is not None and self._is_due(known):
                    busy = True
                    calls[uid] += 1
                    if calls[uid] > CALLS_PER_INSTANT:
                        at = self.cluster.clock.now
                        raise HotLoop(f"flow {known.key}: more than {CALLS_PER_INSTANT} calls at {at} and still acting")
                    self.decide(known)
                    self.look()
        return calls.total()

    def _is_due(self, flow: Flow) -> bool:
        now = self.cluster.clock.now
        if flow.rests_until is not None and now < flow.rests_until:
            return False
        return flow.due or (flow.rings_at is not None and flow.rings_at <= now)

    def next_wake(self) -> Instant | None:
        """When the first flow wants to be looked at without anything happening (true clock)."""
        calls = [at for flow in self.flows.values() if (at := flow.call_at()) is not None]
        if self._watch.lists_again_at is not None:
            calls.append(self._watch.lists_again_at)
        return min(calls, default=None)

    def decide(self, flow: Flow) -> Decision | None:
        """One decision about one flow, carried out. None: a request failed, so that it has to be made again later."""
        try:
            decision = self._decide(flow)
        except ApiError as error:
            flow.state = None
            flow.due = True
            pause = max(min(2**flow.failures, REST_SECONDS_MAX), error.retry_after or 0)
            flow.failures = min(flow.failures + 1, 16)
            flow.rests_until = self.cluster.clock.now + timedelta(seconds=pause)
            return None
        flow.failures = 0
        return decision

    def _decide(self, flow: Flow) -> Decision | None:
        now = self.clock.now
        flow.rests_until = None
        plan = self._plan(flow)
        everything = flow.state is None
        if everything:
            self._doubt_rows(flow)
        if flow.doubts and not self._resolve(flow):
            return None
        observed = flow.observed(everything=everything)
        flow.handed_over()
        if flow.state is None:
            decision = reconcile(plan, flow.obj.get("status"), observed, now=now)
        else:
            decision = advance(flow.state, observed, now)
        flow.decisions += 1
        if self._watcher is not None:
            self._watcher(flow, observed, now, decision)
        flow.state, flow.wake_at, flow.rings_at = decision.state, decision.wake_at, self._true(decision.wake_at)
        for action in decision.actions:
            if not self.perform(flow, action):
                flow.state = None
                flow.due = True
                break
        for read in decision.reads:
            self._read(flow, read)
        return decision

    def _true(self, wake_at: Instant | None) -> datetime | None:
        """When that will be by the true clock, in whole seconds."""
        if wake_at is None or not isinstance(self.clock, SkewedClock):
            return wake_at
        true = self.clock.true_instant(wake_at)
        return true if not true.microsecond else true.replace(microsecond=0) + timedelta(seconds=1)

    def _plan(self, flow: Flow) -> Plan:
        if flow.plan is None and self._compile_with is not None:
            flow.plan = self._compile_with(flow.obj)
        if flow.plan is None:
            parsed = read_flow(flow.obj)
            plan = compile_plan(parsed) if isinstance(parsed, JobFlow) else parsed
            flow.plan = plan if isinstance(plan, Plan) else refused_plan(plan)
        return flow.plan

    def _doubt_rows(self, flow: Flow) -> None:
        """Jobs that the stored status knows and that no list and no watch has shown to this process."""
        for row in (flow.obj.get("status") or {}).get("steps") or ():
            if row["phase"] == "Running" and "jobRef" in row and row["attempt"] not in flow.jobs.get(row["name"], ()):
                reference = row["jobRef"]
                flow.doubts[row["name"], row["attempt"]] = JobRef(reference["name"], reference["uid"])

    def _resolve(self, flow: Flow) -> bool:
        """Ask for what a list did not have; False if the flow itself is no more."""
        for (step, attempt), reference in tuple(flow.doubts.items()):
            kind = "Job" if step else "JobFlow"
            found = self._find(kind, flow.seen.namespace, reference.name)
            there = found is not None and found["metadata"]["uid"] == reference.uid
            del flow.doubts[step, attempt]
            if not step:
                if not there:
                    self._forget(flow.uid)
                    return False
            elif found is not None and there:
                self._learn(flow, step, attempt, job=found)
            else:
                self._lose(flow, step, attempt, uid=reference.uid)
        return True

    # --- acting ------------------------------------------------------------------------------------------------------

    def perform(self, flow: Flow, action: Action) -> bool:
        """One API call. False: the view was stale, so read all again. Raises ApiError if it is to be sent again."""
        match action:
            case RecordStatus():
                return self._record(flow, action)
            case CreateJob():
                return self._create(flow, action)
            case CreateClaim() | CreateConfigMap():
                return self._create_resource(flow, action)
            case NudgeJob():
                return self._nudge(flow, action)
            case DeleteJob():
                return self._delete_job(flow, action)
            case DeleteFlow():
                return self._delete_flow(flow, action)
            case never:
                assert_never(never)

    def _record(self, flow: Flow, action: RecordStatus) -> bool:
        patch = action.patch(flow.resource_version)
        try:
            obj = self.api.patch_json("JobFlow", flow.seen.namespace, flow.seen.name, patch, subresource="status")
        except ApiError as error:
            if too_large(error) and flow.status_refused_at is None:
                flow.status_refused_at = self.clock.now
                return False
            if error.code not in (_GONE, _CONFLICT):
                raise
            current = self._find("JobFlow", flow.seen.namespace, flow.seen.name)
            if current is None or current["metadata"]["uid"] != flow.uid:
                self._forget(flow.uid)
                return False
            if int(current["metadata"]["resourceVersion"]) <= int(flow.resource_version):
                raise  # our view is not stale, so asking at once would change nothing
            self._renew(flow, current)
            return False
        flow.obj = obj
        self._publish(flow)
        return True

    def _create(self, flow: Flow, action: CreateJob) -> bool:
        try:
            job = self.api.create("Job", action.body, namespace=flow.seen.namespace)
        except ApiError as error:
            if error.code == _CONFLICT and error.reason == "AlreadyExists":
                return self._exists(flow, action, error)
            self._refused(flow, action, refused(error, action.attempt, self.clock.now))
            return True
        # The answer to our own create is an observation; the watch will repeat it.
        self._learn(flow, action.step, action.attempt, job=job)
        return True

    def _create_resource(self, flow: Flow, action: CreateClaim | CreateConfigMap) -> bool:
        """Make an object of resourceTemplates; one that is there counts if the flow owns it."""
        kind, namespace = action.ref.kind.value, flow.seen.namespace
        answer: ResourceSighting
        try:
            answer = Made(self.api.create(kind, action.body, namespace=namespace)["metadata"]["uid"])
        except ApiError as error:
            there = self._find(kind, namespace, action.name) if error.reason == "AlreadyExists" else None
            owner = controller_of(there["metadata"]) if there is not None else None
            if there is not None and owner is not None and owner.get("uid") == flow.uid:
                answer = Made(there["metadata"]["uid"])
            else:
                answer = refused(error, 0, self.clock.now, taken_by=action.name if there is not None else "")
        flow.resources[action.ref] = answer
        flow.changed_resources.add(action.ref)
        flow.due = True
        return True

    def _exists(self, flow: Flow, action: CreateJob, error: ApiError) -> bool:
        """A Job of that name is there: ours is success, anybody else's is never touched."""
        job = self._find("Job", flow.seen.namespace, action.name)
        if job is None:
            raise error
        identity = parse_attempt(job)
        ours = identity is not None and (identity.flow_uid, identity.step, identity.attempt) == (
            flow.uid,
            action.step,
            action.attempt,
        )
        if ours:
            self._learn(flow, action.step, action.attempt, job=job)
        else:
            self._refused(flow, action, refused(error, action.attempt, self.clock.now, taken_by=action.name))
        return True

    def _refused(self, flow: Flow, action: CreateJob, refusal: Refused) -> None:
        flow.jobs.setdefault(action.step, {})[action.attempt] = refusal
        self._touch(flow, action.step)

    def _nudge(self, flow: Flow, action: NudgeJob) -> bool:
        patch = {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS}}
        try:
            job = self.api.patch_merge("Job", flow.seen.namespace, action.name, patch)
        except ApiError:
            self._unnudged.add(action.uid)
            job = self._known[action.uid].job
        self._learn(flow, action.step, action.attempt, job=job)
        return True

    def _delete_job(self, flow: Flow, action: DeleteJob) -> bool:
        try:
            last = self.api.delete(
                "Job", flow.seen.namespace, action.name, propagation=Propagation.FOREGROUND, uid=action.uid
            )
        except ApiError as error:
            if error.code not in (_GONE, _CONFLICT) or self._is_there("Job", flow, action):
                raise
            self._lose(flow, action.step, action.attempt, uid=action.uid)
            return True
        if "deletionTimestamp" in last["metadata"]:
            self._learn(flow, action.step, action.attempt, job=last)
        return True

    def _delete_flow(self, flow: Flow, action: DeleteFlow) -> bool:
        try:
            last = self.api.delete(
                "JobFlow", flow.seen.namespace, action.name, propagation=Propagation.BACKGROUND, uid=action.uid
            )
        except ApiError as error:
            if error.code not in (_GONE, _CONFLICT) or self._is_there("JobFlow", flow, action):
                raise
            self._forget(flow.uid)
            return True
        if "deletionTimestamp" in last["metadata"]:
            self._renew(flow, last)
        return True

    def _is_there(self, kind: str, flow: Flow, action: DeleteJob | DeleteFlow) -> bool:
        """Whether the very object that a delete meant still exists."""
        found = self._find(kind, flow.seen.namespace, action.name)
        return found is not None and found["metadata"]["uid"] == action.uid

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, flow: Flow, read: Read) -> None:
        match read:
            case ReadInput(ref):
                reader = self._read_input
                value = read_config_map(self.api, flow.seen.namespace, ref) if reader is None else reader(ref)
                flow.inputs[ref] = value
                flow.changed_inputs.add(ref)
                flow.due = True
            case ReadResult(step, attempt):
                seen = flow.jobs.get(step, {}).get(attempt)
                if isinstance(seen, Seen) and seen.uid not in flow.results:
                    flow.results[seen.uid] = self._result(flow, seen)
                    flow.jobs[step][attempt] = evolve(seen, result=flow.results[seen.uid])
                    self._touch(flow, step)
            case ReadOrigin(name, uid):
                found = self._find("JobFlow", flow.seen.namespace, name)
                same = found is not None and found["metadata"]["uid"] == uid
                flow.origin = read_origin(found) if found is not None and same else Absent(f"flow {name} is gone")
                flow.changed_origin = flow.due = True
            case never:
                assert_never(never)

    def _result(self, flow: Flow, seen: Seen) -> Lookup:
        """A fresh read of the Job's Pods: the watch may be behind."""
        known = self._known.get(seen.uid)
        container = main_container(known.job["spec"]["template"]["spec"]) if known is not None else ""
        pods = self.api.list("Pod", flow.seen.namespace, labels={"batch.kubernetes.io/controller-uid": seen.uid})
        return termination_result(pods.items, container)

    def _find(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as the server has it now; None if there is none. Raises ApiError for any other answer."""
        try:
            return self.api.get(kind, namespace, name)
        except ApiError as error:
            if error.code != _GONE:
                raise
            return None


def read_config_map(cluster: Api, namespace: str, ref: ConfigMapKey) -> Lookup:
    """A key of a ConfigMap as the cluster has it now. Raises ApiError if it does not say."""
    try:
        data = cluster.get("ConfigMap", namespace, ref.name).get("data") or {}
    except ApiError as error:
        if error.code != _GONE:
            raise
        return Absent(f"ConfigMap {ref.name} does not exist")
    value = data.get(ref.key)
    return Absent(f"ConfigMap {ref.name} has no key {ref.key}") if value is None else Present(value)


__all__ = ["Api", "Flow", "HotLoop", "Operator", "Shown", "read_config_map", "version_at"]


def refused(error: ApiError, attempt: int, at: Instant, *, taken_by: str = "") -> Refused:
    """An answer to our create, as an observation."""
    return Refused(
        attempt,
        at,
        code=error.code,
        reason=error.reason,
        message=error.message,
        causes=tuple(cause.reason for cause in error.causes),
        retry_after=error.retry_after,
        taken_by=taken_by,
    )


def too_large(error: ApiError) -> bool:
    """Whether the server refused an object for its size, in either of its ways."""
    return error.code == 413 or (error.code == 500 and "request is too large" in error.message)
