"""One API call per action; what the server answers is noted in the ledger like anything else that is seen.

The order is the decision's: record, then ensure, then release. A stage begins
when the one before it is done; within a stage calls run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Final, assert_never

import anyio
import msgspec

from zenflow_core.actions import (
    Action,
    CreateClaim,
    CreateConfigMap,
    CreateJob,
    DeleteFlow,
    DeleteJob,
    NudgeJob,
    RecordStatus,
    Stage,
)
from zenflow_core.observation import Made, ResourceSighting
from zenflow_core.plan import ResourceKind
from zenflow_core.reading import NUDGE_TTL_SECONDS, controller_of, parse_attempt
from zenflow_runtime.answers import refused, too_large
from zenflow_runtime.clock import Clock
from zenflow_runtime.failures import CONFLICT, GONE, NO_ANSWER, NotLeading, RequestFailed
from zenflow_runtime.flows import Flow, newer
from zenflow_runtime.kube import CLAIM, CONFIG_MAP, FLOW, JOB, Kind, Kube
from zenflow_runtime.ledger import Ledger
from zenflow_runtime.recorded import recorded

SIDE_BY_SIDE: Final = 16
"""Requests of one flow that are under way at once."""

_RESOURCES: Final = {ResourceKind.CLAIM: CLAIM, ResourceKind.CONFIG_MAP: CONFIG_MAP}
_EXISTS: Final = "AlreadyExists"


class Outcome(StrEnum):
    """What came of an action."""

    DONE = "done"
    STALE = "stale"
    """Nothing was done: the decision was made from an old view."""


class Executor:
    """Carries out decisions. `created` is told of each Job that was made."""

    def __init__(
        self,
        kube: Kube,
        ledger: Ledger,
        clock: Clock,
        *,
        nudges: bool = True,
        created: Callable[[Flow, CreateJob], None] | None = None,
    ) -> None:
        self._kube = kube
        self._ledger = ledger
        self._clock = clock
        self._nudges = nudges
        self._created = created

    async def carry_out(self, flow: Flow, actions: Sequence[Action]) -> Outcome:
        """All actions of a decision, stage by stage; ends early where the view proves stale.

        Raises the first `RequestFailed` of a stage, once all its calls are answered, or `NotLeading`.
        """
        for _, stage in groupby(actions, key=_stage_of):
            outcomes = await self._side_by_side(flow, tuple(stage))
            if Outcome.STALE in outcomes:
                return Outcome.STALE
        return Outcome.DONE

    async def _side_by_side(self, flow: Flow, actions: tuple[Action, ...]) -> list[Outcome]:
        if len(actions) == 1:
            return [await self.perform(flow, actions[0])]
        outcomes: list[Outcome] = []
        failures: list[RequestFailed | NotLeading] = []
        left = iter(actions)

        async def some() -> None:
            for action in left:
                try:
                    outcomes.append(await self.perform(flow, action))
                except (RequestFailed, NotLeading) as error:
                    failures.append(error)
                    return  # the server is in trouble, or we are: send no more of these

        async with anyio.create_task_group() as tasks:
            for _ in range(min(SIDE_BY_SIDE, len(actions))):
                tasks.start_soon(some)
        if failures:
            raise failures[0]
        return outcomes

    async def perform(self, flow: Flow, action: Action) -> Outcome:
        """One action."""
        match action:
            case RecordStatus():
                return await self._record(flow, action)
            case CreateJob():
                return await self._create(flow, action)
            case CreateClaim() | CreateConfigMap():
                return await self._create_resource(flow, action)
            case NudgeJob():
                return await self._nudge(flow, action)
            case DeleteJob():
                return await self._delete_job(flow, action)
            case DeleteFlow():
                return await self._delete_flow(flow, action)
            case never:
                assert_never(never)

    async def _record(self, flow: Flow, action: RecordStatus) -> Outcome:
        """The fence: refused if the flow is not what the decision was made from."""
        version, before = flow.resource_version, flow.obj
        operations = msgspec.json.encode(action.patch(version))
        self._ledger.begin_record(flow)
        try:
            answer = await self._kube.patch_status(FLOW, flow.seen.namespace, flow.seen.name, operations=operations)
        except RequestFailed as error:
            self._ledger.end_record(flow)
            if too_large(error) and flow.status_refused_at is None:
                flow.status_refused_at = self._clock.now
                return Outcome.STALE
            if error.code not in (GONE, CONFLICT):
                raise
            await self._look_again(flow, version, error=error)
            return Outcome.STALE
        except BaseException:
            self._ledger.end_record(flow)
            raise
        self._ledger.recorded(flow, recorded(before, operations, answer))
        return Outcome.DONE

    async def _look_again(self, flow: Flow, version: str, *, error: RequestFailed) -> None:
        """A conflict is a normal outcome: read the flow, and begin from there."""
        current = await self._kube.find(FLOW, flow.seen.namespace, flow.seen.name)
        if current is None or current["metadata"]["uid"] != flow.uid:
            self._ledger.forget(flow.uid)
        elif newer(current["metadata"]["resourceVersion"], flow.resource_version):
            self._ledger.renew(flow, current)
        elif flow.resource_version == version:
            raise error  # our view is not stale, so asking at once would change nothing

    async def _create(self, flow: Flow, action: CreateJob) -> Outcome:
        try:
            job = await self._kube.create(JOB, flow.seen.namespace, action.body)
        except RequestFailed as error:
            if error.code == NO_ANSWER:
                raise  # it may be there: the name will tell
            if error.reason == _EXISTS:
                await self._exists(flow, action, error)
            else:
                self._ledger.refused(
                    flow, action.step, refused(error, action.attempt, self._clock.now, causes=error.causes)
                )
            return Outcome.DONE
        # The answer to our own create is an observation; the watch will repeat it.
        self._ledger.learn(flow, action.step, action.attempt, job=job)
        if self._created is not None:
            self._created(flow, action)
        return Outcome.DONE

    async def _exists(self, flow: Flow, action: CreateJob, error: RequestFailed) -> None:
        """A Job of that name is there: ours is success, anybody else's is never touched."""
        job = await self._kube.find(JOB, flow.seen.namespace, action.name)
        if job is None:
            raise error
        identity = parse_attempt(job)
        if identity is not None and (identity.flow_uid, identity.step, identity.attempt) == (
            flow.uid,
            action.step,
            action.attempt,
        ):
            self._ledger.learn(flow, action.step, action.attempt, job=job)
        else:
            answer = refused(error, action.attempt, self._clock.now, causes=error.causes, taken_by=action.name)
            self._ledger.refused(flow, action.step, answer)

    async def _create_resource(self, flow: Flow, action: CreateClaim | CreateConfigMap) -> Outcome:
        """Make an object of resourceTemplates; one that is there counts if the flow owns it."""
        kind, namespace = _RESOURCES[action.ref.kind], flow.seen.namespace
        answer: ResourceSighting
        try:
            answer = Made((await self._kube.create(kind, namespace, action.body))["metadata"]["uid"])
        except RequestFailed as error:
            if error.code == NO_ANSWER:
                raise
            there = await self._kube.find(kind, namespace, action.name) if error.reason == _EXISTS else None
            owner = controller_of(there["metadata"]) if there is not None else None
            if there is not None and owner is not None and owner.get("uid") == flow.uid:
                answer = Made(there["metadata"]["uid"])
            else:
                taken_by = action.name if there is not None else ""
                answer = refused(error, 0, self._clock.now, causes=error.causes, taken_by=taken_by)
        self._ledger.made(flow, action.ref, answer)
        return Outcome.DONE

    async def _nudge(self, flow: Flow, action: NudgeJob) -> Outcome:
        """Best effort: without it the Job ends a second later."""
        patch = {"spec": {"ttlSecondsAfterFinished": NUDGE_TTL_SECONDS}}
        try:
            if self._nudges:
                job = await self._kube.patch(JOB, flow.seen.namespace, action.name, merge=patch)
                self._ledger.learn(flow, action.step, action.attempt, job=job)
                return Outcome.DONE
        except RequestFailed:
            pass
        self._ledger.not_nudged(flow, action.step, action.uid)
        return Outcome.DONE

    async def _delete_job(self, flow: Flow, action: DeleteJob) -> Outcome:
        try:
            last = await self._kube.delete(
                JOB, flow.seen.namespace, action.name, uid=action.uid, propagation="Foreground"
            )
        except RequestFailed as error:
            if error.code not in (GONE, CONFLICT) or await self._is_there(JOB, flow, action):
                raise
            self._ledger.lose(flow, action.step, action.attempt, uid=action.uid)
            return Outcome.DONE
        if "deletionTimestamp" in last.get("metadata", ()):
            self._ledger.learn(flow, action.step, action.attempt, job=last)
        return Outcome.DONE

    async def _delete_flow(self, flow: Flow, action: DeleteFlow) -> Outcome:
        try:
            last = await self._kube.delete(
                FLOW, flow.seen.namespace, action.name, uid=action.uid, propagation="Background"
            )
        except RequestFailed as error:
            if error.code not in (GONE, CONFLICT) or await self._is_there(FLOW, flow, action):
                raise
            self._ledger.forget(flow.uid)
            return Outcome.DONE
        if "deletionTimestamp" not in last.get("metadata", ()):
            self._ledger.forget(flow.uid)  # it is gone already; the watch may say so much later
        elif newer(last["metadata"]["resourceVersion"], flow.resource_version):
            self._ledger.renew(flow, last)
        return Outcome.DONE

    async def _is_there(self, kind: Kind, flow: Flow, action: DeleteJob | DeleteFlow) -> bool:
        """Whether the very object that a delete meant still exists."""
        found = await self._kube.find(kind, flow.seen.namespace, action.name)
        return found is not None and found["metadata"]["uid"] == action.uid


def _stage_of(action: Action) -> Stage:
    return action.stage
