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
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias, assert_never

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
from zenflow_core.observation import Absent, Lookup, Made, Observed, Present, Refused, ResourceSighting, Seen
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reading import NUDGE_TTL_SECONDS, controller_of, parse_attempt
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision, Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.status import read_origin
from zenflow_core.termination import Messages, read_messages
from zenflow_runtime.answers import refused, too_large
from zenflow_runtime.deciding import Compiler, decide, doubt_rows, lacks_fence, noted
from zenflow_runtime.flows import Flow, newer
from zenflow_runtime.ledger import Ledger
from zenflow_testing.clock import Clock, SkewedClock
from zenflow_testing.cluster import Cluster, Event, EventType, ListResult, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object
from zenflow_testing.watch import Listed, Shown, Watch, version_at

InputReader: TypeAlias = Callable[[ConfigMapKey], Lookup]
Watcher: TypeAlias = Callable[[Flow, Observed, Instant, Decision], None]
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
        compile_with: Compiler | None = None,
        settings: Settings = DEFAULTS,
        name: str = "a",
        api: Api | None = None,
        clock: Clock | None = None,
        shown: Shown | None = None,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.api: Api = cluster if api is None else api
        self.clock: Clock = cluster.clock if clock is None else clock
        self._read_input = read_input
        self._watcher = watcher
        self._settings = settings
        self._compile_with = compile_with
        """Gives a plan that the caller has compiled already; None: compile it here."""
        self._watch = Watch(cluster, lister=self.api, shown=shown)
        self._ledger = Ledger(self.clock)
        self.flows = self._ledger.flows
        """The flows that are known, by uid."""

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
        self._ledger.settle()

    def take(self, event: Event) -> None:
        """One event of a watch."""
        deleted = event.type is EventType.DELETED
        ledger = self._ledger
        match event.kind:
            case "JobFlow":
                ledger.drop_flow(event.uid) if deleted else ledger.take_flow(event.object)
            case "Job":
                ledger.drop_job(event.uid) if deleted else ledger.take_job(event.object)
            case "Pod":
                ledger.drop_pod(event.object) if deleted else ledger.take_pod(event.object)
            case _:
                pass

    def _take_list(self, listed: Listed) -> None:
        """A list of everything there is, or was: the list may be an old one."""
        there = frozenset(obj["metadata"]["uid"] for obj in listed.objects)
        ledger = self._ledger
        take: Callable[[Object], None]
        match listed.kind:
            case "JobFlow":
                ledger.list_flows(there)
                take = ledger.take_flow
            case "Job":
                ledger.list_jobs(there)
                take = ledger.take_job
            case _:
                ledger.list_pods()
                take = ledger.take_pod
        for obj in listed.objects:
            take(obj)

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
        if not self._watch.synced:
            return self._watch.lists_again_at
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
        if flow.state is None:
            doubt_rows(flow)
        for doubt, reference in tuple(flow.doubts.items()):
            kind = "Job" if doubt[0] else "JobFlow"
            self._ledger.resolved(flow, doubt, found=self._find(kind, flow.seen.namespace, reference.name))
            if flow.uid not in self.flows:
                return None
        observed, decision = decide(flow, now, compile_with=self._compile_with, settings=self._settings)
        if self._watcher is not None:
            self._watcher(flow, observed, now, decision)
        decision = noted(flow, decision, now)
        flow.rings_at = self._true(decision.wake_at)
        if lacks_fence(flow, decision):
            found = self._find("JobFlow", flow.seen.namespace, flow.seen.name)
            if not self._ledger.confirm(flow, found):
                return decision
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
                self._ledger.forget(flow.uid)
                return False
            if not newer(current["metadata"]["resourceVersion"], flow.resource_version):
                raise  # our view is not stale, so asking at once would change nothing
            self._ledger.renew(flow, current)
            flow.confirmed = True
            return False
        self._ledger.recorded(flow, obj)
        return True

    def _create(self, flow: Flow, action: CreateJob) -> bool:
        try:
            job = self.api.create("Job", action.body, namespace=flow.seen.namespace)
        except ApiError as error:
            if error.code == _CONFLICT and error.reason == "AlreadyExists":
                return self._exists(flow, action, error)
            self._ledger.refused(flow, action.step, self._refusal(error, action.attempt))
            return True
        # The answer to our own create is an observation; the watch will repeat it.
        self._ledger.learn(flow, action.step, action.attempt, job=job)
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
                answer = self._refusal(error, 0, taken_by=action.name if there is not None else "")
        self._ledger.made(flow, action.ref, answer)
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
            self._ledger.learn(flow, action.step, action.attempt, job=job)
        else:
            self._ledger.refused(flow, action.step, self._refusal(error, action.attempt, taken_by=action.name))
        return True

    def _refusal(self, error: ApiError, attempt: int, *, taken_by: str = "") -> Refused:
        causes = tuple(cause.reason for cause in error.causes)
        return refused(error, attempt, self.clock.now, causes=causes, taken_by=taken_by)

    def _nudge(self, flow: Flow, action: NudgeJob) -> bool:
        patch = {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS}}
        try:
            job = self.api.patch_merge("Job", flow.seen.namespace, action.name, patch)
        except ApiError:
            self._ledger.not_nudged(flow, action.step, action.uid)
        else:
            self._ledger.learn(flow, action.step, action.attempt, job=job)
        return True

    def _delete_job(self, flow: Flow, action: DeleteJob) -> bool:
        try:
            last = self.api.delete(
                "Job", flow.seen.namespace, action.name, propagation=Propagation.FOREGROUND, uid=action.uid
            )
        except ApiError as error:
            if error.code not in (_GONE, _CONFLICT) or self._is_there("Job", flow, action):
                raise
            self._ledger.lose(flow, action.step, action.attempt, uid=action.uid)
            return True
        if "deletionTimestamp" in last["metadata"]:
            self._ledger.learn(flow, action.step, action.attempt, job=last)
        return True

    def _delete_flow(self, flow: Flow, action: DeleteFlow) -> bool:
        try:
            last = self.api.delete(
                "JobFlow", flow.seen.namespace, action.name, propagation=Propagation.BACKGROUND, uid=action.uid
            )
        except ApiError as error:
            if error.code not in (_GONE, _CONFLICT) or self._is_there("JobFlow", flow, action):
                raise
            self._ledger.forget(flow.uid)
            return True
        if "deletionTimestamp" in last["metadata"]:
            self._ledger.renew(flow, last)
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
                self._ledger.read_input(flow, ref, value)
            case ReadResult(step, attempt):
                seen = self._ledger.unread_result(flow, step, attempt)
                if seen is not None:
                    self._ledger.read_result(flow, step, seen, found=self._messages(flow, seen))
            case ReadOrigin(name, uid):
                found = self._find("JobFlow", flow.seen.namespace, name)
                same = found is not None and found["metadata"]["uid"] == uid
                origin = read_origin(found) if found is not None and same else Absent(f"flow {name} is gone")
                self._ledger.read_origin(flow, origin)
            case never:
                assert_never(never)

    def _messages(self, flow: Flow, seen: Seen) -> Messages:
        """A fresh read of the Job's Pods: the watch may be behind."""
        pods = self.api.list("Pod", flow.seen.namespace, labels={"batch.kubernetes.io/controller-uid": seen.uid})
        return read_messages(pods.items, container=self._ledger.container_of(seen))

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
