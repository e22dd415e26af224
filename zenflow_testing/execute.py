"""Carries out what the core decided, one API call an action, and reads what its decisions ask for.

The same order and the same fence as `zenflow_runtime.execute`: a record that meets a newer flow is not sent
again but decided anew, and an object that is there already counts only if it is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from zenflow_core.observation import Absent, Lookup, Made, Present, Refused, ResourceSighting, Seen
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reading import NUDGE_TTL_SECONDS, controller_of, parse_attempt
from zenflow_core.reconcile import Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.status import read_origin
from zenflow_core.termination import Messages, read_messages
from zenflow_runtime.answers import refused, too_large
from zenflow_runtime.flows import Flow, newer
from zenflow_runtime.ledger import Ledger
from zenflow_testing.clock import Clock
from zenflow_testing.cluster import ListResult, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object

InputReader: TypeAlias = Callable[[ConfigMapKey], Lookup]

_GONE: Final = 404
_CONFLICT: Final = 409


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


class Executor:
    """The requests of one operator. Notes in the ledger what the answers say."""

    def __init__(self, api: Api, ledger: Ledger, clock: Clock, *, read_input: InputReader | None) -> None:
        self._api = api
        self._ledger = ledger
        self._clock = clock
        self._read_input = read_input

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
            obj = self._api.patch_json("JobFlow", flow.seen.namespace, flow.seen.name, patch, subresource="status")
        except ApiError as error:
            if too_large(error) and flow.status_refused_at is None:
                flow.status_refused_at = self._clock.now
                return False
            if error.code not in (_GONE, _CONFLICT):
                raise
            current = self.find("JobFlow", flow.seen.namespace, flow.seen.name)
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
            job = self._api.create("Job", action.body, namespace=flow.seen.namespace)
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
            answer = Made(self._api.create(kind, action.body, namespace=namespace)["metadata"]["uid"])
        except ApiError as error:
            there = self.find(kind, namespace, action.name) if error.reason == "AlreadyExists" else None
            owner = controller_of(there["metadata"]) if there is not None else None
            if there is not None and owner is not None and owner.get("uid") == flow.uid:
                answer = Made(there["metadata"]["uid"])
            else:
                answer = self._refusal(error, 0, taken_by=action.name if there is not None else "")
        self._ledger.made(flow, action.ref, answer)
        return True

    def _exists(self, flow: Flow, action: CreateJob, error: ApiError) -> bool:
        """A Job of that name is there: ours is success, anybody else's is never touched."""
        job = self.find("Job", flow.seen.namespace, action.name)
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
        return refused(error, attempt, self._clock.now, causes=causes, taken_by=taken_by)

    def _nudge(self, flow: Flow, action: NudgeJob) -> bool:
        patch = {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS}}
        try:
            job = self._api.patch_merge("Job", flow.seen.namespace, action.name, patch)
        except ApiError:
            self._ledger.not_nudged(flow, action.step, action.uid)
        else:
            self._ledger.learn(flow, action.step, action.attempt, job=job)
        return True

    def _delete_job(self, flow: Flow, action: DeleteJob) -> bool:
        try:
            last = self._api.delete(
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
            last = self._api.delete(
                "JobFlow", flow.seen.namespace, action.name, propagation=Propagation.BACKGROUND, uid=action.uid
            )
        except ApiError as error:
            if error.code not in (_GONE, _CONFLICT) or self._is_there("JobFlow", flow, action):
                raise
            self._ledger.forget(flow.uid)
            return True
        if "deletionTimestamp" in last["metadata"]:
            self._ledger.renew(flow, last)
        else:
            self._ledger.forget(flow.uid)  # it is gone already; the watch may say so much later
        return True

    def _is_there(self, kind: str, flow: Flow, action: DeleteJob | DeleteFlow) -> bool:
        """Whether the very object that a delete meant still exists."""
        found = self.find(kind, flow.seen.namespace, action.name)
        return found is not None and found["metadata"]["uid"] == action.uid

    def read(self, flow: Flow, read: Read) -> None:
        """Fetch what a decision lacks."""
        match read:
            case ReadInput(ref):
                reader = self._read_input
                value = read_config_map(self._api, flow.seen.namespace, ref) if reader is None else reader(ref)
                self._ledger.read_input(flow, ref, value)
            case ReadResult(step, attempt):
                seen = self._ledger.unread_result(flow, step, attempt)
                if seen is not None:
                    self._ledger.read_result(flow, step, seen, found=self._messages(flow, seen))
            case ReadOrigin(name, uid):
                found = self.find("JobFlow", flow.seen.namespace, name)
                same = found is not None and found["metadata"]["uid"] == uid
                origin = read_origin(found) if found is not None and same else Absent(f"flow {name} is gone")
                self._ledger.read_origin(flow, origin)
            case never:
                assert_never(never)

    def _messages(self, flow: Flow, seen: Seen) -> Messages:
        """A fresh read of the Job's Pods: the watch may be behind."""
        pods = self._api.list("Pod", flow.seen.namespace, labels={"batch.kubernetes.io/controller-uid": seen.uid})
        return read_messages(pods.items, container=self._ledger.container_of(seen))

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as the server has it now; None if there is none. Raises ApiError for any other answer."""
        try:
            return self._api.get(kind, namespace, name)
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
