"""What one process knows of the cluster's flows, Jobs and Pods, and how each piece of news changes that.

What absence means is settled here. A Job that a watch reports as deleted is
gone. One that only a list lacks may be missing because the list is old, so it
becomes a *doubt*: it is asked for by name before the next decision, and so is
one that the status knows and no list has shown. An older version never takes
the place of a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from attrs import evolve, frozen

from zenflow_core.observation import Gone, Refused, Seen
from zenflow_core.reading import JobIdentity, main_container, parse_attempt, read_flow_seen, read_job, read_sibling
from zenflow_core.reasons import Instant
from zenflow_core.spec import StepName
from zenflow_core.state import JobRef
from zenflow_core.termination import Messages
from zenflow_runtime.flows import Flow, newer
from zenflow_runtime.groups import Groups

Object: TypeAlias = Mapping[str, Any]

THE_FLOW: Final = (StepName(""), 0)
"""The place among a flow's doubts that stands for the flow itself."""

GONE_KEPT: Final = 50_000
"""How many uids of vanished objects are remembered: an old list or a late answer may still show them."""


_UNREAD: Final = Messages()


class Now(Protocol):
    """Whatever can say what time it is: aware, UTC, cut to the second."""

    @property
    def now(self) -> Instant: ...


@frozen
class _Known:
    """A Job of ours as it was last seen, and whose it is."""

    flow_uid: str
    step: StepName
    attempt: int
    job: Object
    container: str
    """Whose termination message is the step's result."""

    @property
    def version(self) -> str:
        version: str = self.job["metadata"]["resourceVersion"]
        return version

    def is_of(self, identity: JobIdentity) -> bool:
        """Whether a Job that says this of itself is the one that is known."""
        return (identity.flow_uid, identity.step, identity.attempt) == (self.flow_uid, self.step, self.attempt)


class Book:
    """Everything one process knows of the cluster.

    `woken` is told of each flow that has something to be decided.
    """

    def __init__(self, clock: Now, *, woken: Callable[[Flow], None] | None = None) -> None:
        self.flows: dict[str, Flow] = {}
        self._clock = clock
        self._woken = woken
        self._known: dict[str, _Known] = {}
        """Jobs of ours by uid."""
        self._pods: dict[str, dict[str, Object]] = {}
        """Phases of Pods by Job uid, then by name."""
        self._gone: dict[str, None] = {}
        """Uids of flows and Jobs that are no more, the oldest first."""
        self._unnudged: set[str] = set()
        """Uids of Jobs whose controller could not be nudged. It would save a second, so it is not tried again."""
        self._groups = Groups()
        self._touched: dict[str, None] = {}
        """Uids of flows with news of their Jobs since the others were last told."""
        self._orphans: dict[str, dict[str, Object]] = {}
        """Jobs whose flow has not been seen yet, by flow uid, then by their own."""

    # --- what watches show -------------------------------------------------------------------------------------------

    def take_flow(self, obj: Object) -> None:
        """A flow, as a list or a watch shows it."""
        uid = obj["metadata"]["uid"]
        if uid in self._gone:
            return
        flow = self.flows.get(uid)
        if flow is None:
            flow = self.flows[uid] = Flow(uid, obj, read_flow_seen(obj))
            for orphan in self._orphans.pop(uid, {}).values():
                self.take_job(orphan)
            self._publish(flow)
            self._wake(flow)
            return
        if flow.recording:
            self._hold(flow, obj["metadata"]["resourceVersion"], lambda: obj)
            return
        if not newer(obj["metadata"]["resourceVersion"], flow.resource_version):
            return  # our own acknowledged write lies over the cache until the watch has caught up
        if flow.state is not None and obj.get("status") != flow.obj.get("status"):
            flow.state = None  # somebody else wrote the status
            flow.confirmed = False
            self._wake(flow)
        self.renew(flow, obj)

    def wants_flow(self, uid: str, version: str, read: Callable[[], Object]) -> bool:
        """Whether a flow that a watch shows has to be read now; `read` does so later, where that is to be seen yet.

        Most events of a flow are echoes of our own status writes, and a flow can be large.
        """
        flow = self.flows.get(uid)
        if flow is None:
            return uid not in self._gone
        if not newer(version, flow.resource_version):
            return False
        if flow.recording:
            self._hold(flow, version, read)
            return False
        return True

    def take_job(self, job: Object) -> None:
        """A Job, as a list or a watch shows it."""
        identity = parse_attempt(job)
        uid = job["metadata"]["uid"]
        known = self._known.get(uid)
        if known is not None and (identity is None or not known.is_of(identity)):
            # Somebody has taken its labels or its owner away: it is no attempt of ours any more, so ours is gone.
            self.drop_job(uid)
            return
        if identity is None or uid in self._gone:
            self._tell(self._groups.job_gone(uid))
            return
        flow = self.flows.get(identity.flow_uid)
        if flow is None:
            if identity.flow_uid not in self._gone:
                self._orphans.setdefault(identity.flow_uid, {})[uid] = job
            seen = read_job(job)
            if seen is not None and not seen.live:
                self._tell(self._groups.job_gone(uid))
            return
        if known is None or newer(job["metadata"]["resourceVersion"], known.version):
            self.learn(flow, identity.step, identity.attempt, job=job)

    def take_pod(self, pod: Object) -> None:
        """A Pod, as a list or a watch shows it: only its phase matters, and only while its Job is unfinished."""
        owner = _job_of(pod)
        known = self._known.get(owner)
        flow = None if known is None else self.flows.get(known.flow_uid)
        last = None if known is None or flow is None else flow.jobs.get(known.step, {}).get(known.attempt)
        if isinstance(last, Seen) and not last.live:
            return
        phase = (pod.get("status") or {}).get("phase")
        self._pods.setdefault(owner, {})[pod["metadata"]["name"]] = {"status": {"phase": phase}}
        if known is not None and flow is not None and isinstance(last, Seen):
            self._know(flow, known.step, known.job)

    def drop_flow(self, uid: str) -> None:
        """The watch says that a flow is no more."""
        self.forget(uid)

    def drop_job(self, uid: str) -> None:
        """The watch says that a Job is no more."""
        known = self._known.get(uid)
        flow = None if known is None else self.flows.get(known.flow_uid)
        if known is None or flow is None:
            self._known.pop(uid, None)
            for flow_uid, orphans in tuple(self._orphans.items()):
                if orphans.pop(uid, None) is not None and not orphans:
                    del self._orphans[flow_uid]
            self._bury(uid)
            self._tell(self._groups.job_gone(uid))
        else:
            self.lose(flow, known.step, known.attempt, uid=uid)

    def drop_pod(self, pod: Object) -> None:
        """The watch says that a Pod is no more."""
        owner = _job_of(pod)
        pods = self._pods.get(owner)
        if pods is not None:
            pods.pop(pod["metadata"]["name"], None)
            if not pods:
                del self._pods[owner]

    def list_flows(self, uids: frozenset[str]) -> None:
        """A list had these flows and no others; what it had is handed to `take_flow` one by one."""
        for flow in tuple(self.flows.values()):
            if flow.uid not in uids:
                flow.changed_flow = True
                flow.doubts[THE_FLOW] = JobRef(flow.seen.name, flow.uid)
                self._wake(flow)

    def list_jobs(self, uids: frozenset[str]) -> None:
        """A list had these Jobs and no others; what it had is handed to `take_job` one by one."""
        for uid, known in tuple(self._known.items()):
            if uid in uids:
                continue
            flow = self.flows.get(known.flow_uid)
            if flow is not None:
                flow.doubts[known.step, known.attempt] = JobRef(known.job["metadata"]["name"], uid)
                self._wake(flow)
            else:
                self._tell(self._groups.job_gone(uid))

    def list_pods(self) -> None:
        """A list takes the place of all Pods known; what it had is handed to `take_pod` one by one."""
        self._pods.clear()

    def settle(self) -> None:
        """Call when a batch of news is taken in: the groups learn which finished flows have no Jobs left."""
        touched, self._touched = self._touched, {}
        for uid in touched:
            flow = self.flows.get(uid)
            if flow is not None and flow.sibling is not None and flow.sibling.over:
                self._publish(flow)

    # --- what a watch or an answer of ours shows alike ----------------------------------------------------------------

    def learn(self, flow: Flow, step: StepName, attempt: int, *, job: Object) -> None:
        """A Job of ours, as it is: from a list or watch, or from the answer to a request."""
        uid = job["metadata"]["uid"]
        known = self._known.get(uid)
        if uid in self._gone or flow.uid not in self.flows:
            return  # it went while the answer was under way
        if parse_attempt(job) is None:
            # Somebody took it from its flow (a deletion that orphans, labels changed by hand): it is ours no more.
            self.lose(flow, step, attempt, uid=uid)
            return
        if known is not None and newer(known.version, job["metadata"]["resourceVersion"]):
            return
        container = known.container if known is not None else _container(job)
        self._known[uid] = _Known(flow.uid, step, attempt, job, container)
        seen = self._know(flow, step, job)
        if not seen.live:
            # Of a Job that is over only this is asked again; its spec and Pods would fill the memory.
            self._known[uid] = _Known(flow.uid, step, attempt, {k: v for k, v in job.items() if k != "spec"}, container)
            self._pods.pop(uid, None)

    def lose(self, flow: Flow, step: StepName, attempt: int, *, uid: str) -> None:
        """A Job of ours is no more."""
        self._known.pop(uid, None)
        self._pods.pop(uid, None)
        self._unnudged.discard(uid)
        self._bury(uid)
        sightings = flow.jobs.setdefault(step, {})
        last = sightings.get(attempt)
        if last is None or isinstance(last, Refused) or (isinstance(last, Seen) and last.uid == uid):
            sightings[attempt] = Gone(attempt, self._clock.now, last=last if isinstance(last, Seen) else None)
            self._touch(flow, step)

    def renew(self, flow: Flow, obj: Object) -> None:
        """The flow as it now is, by a watch or a fresh read."""
        seen = flow.seen if obj["metadata"] is flow.obj["metadata"] else read_flow_seen(obj)
        if seen.generation != flow.seen.generation:
            flow.plan = flow.state = None
        if seen != flow.seen:
            flow.changed_flow = True
            self._wake(flow)
        flow.obj, flow.seen = obj, seen
        self._publish(flow)

    def forget(self, uid: str) -> None:
        """The flow is no more."""
        flow = self.flows.pop(uid, None)
        self._orphans.pop(uid, None)
        self._bury(uid)
        if flow is None:
            return  # it is known already, and so are the Jobs of it that the others of its group wait for
        live: list[str] = []
        for sightings in flow.jobs.values():
            for sighting in sightings.values():
                if isinstance(sighting, Seen):
                    if sighting.live:
                        live.append(sighting.uid)
                    else:
                        self._known.pop(sighting.uid, None)
        self._tell(self._groups.remove(uid, live))

    # --- behind it ---------------------------------------------------------------------------------------------------

    def _know(self, flow: Flow, step: StepName, job: Object) -> Seen:
        uid = job["metadata"]["uid"]
        pods = () if uid in self._unnudged else tuple(self._pods.get(uid, {}).values())
        found = flow.results.get(uid, _UNREAD)
        seen = read_job(job, result=found.result, transfer=found.transfer, pods=pods)
        assert seen is not None, "its identity has been read"
        known = flow.jobs.setdefault(step, {})
        if known.get(seen.attempt) != seen:
            known[seen.attempt] = seen
            self._touch(flow, step)
        return seen

    def _publish(self, flow: Flow) -> None:
        """Let the other flows of the group know how this one is."""
        sibling = flow.sibling = read_sibling(flow.obj, live_jobs=False)
        if sibling.over and any(s.live for sightings in flow.jobs.values() for s in sightings.values()):
            sibling = evolve(sibling, live_jobs=True)
        self._tell(self._groups.publish((flow.seen.namespace, flow.seen.group), sibling))
        self._look_around(flow)

    def _tell(self, uids: Iterable[str]) -> None:
        for uid in uids:
            if uid in self.flows:
                self._look_around(self.flows[uid])

    def _look_around(self, flow: Flow) -> None:
        siblings = self._groups.others(flow.uid)
        over = (flow.obj.get("status") or {}).get("completionTime") is not None
        if not over and siblings != flow.siblings:
            flow.siblings = siblings
            flow.changed_siblings = True
            self._wake(flow)

    def _touch(self, flow: Flow, step: StepName) -> None:
        flow.changed_jobs.add(step)
        self._touched[flow.uid] = None
        self._wake(flow)

    def _wake(self, flow: Flow) -> None:
        flow.due = True
        if self._woken is not None:
            self._woken(flow)

    def _hold(self, flow: Flow, version: str, read: Callable[[], Object]) -> None:
        if flow.held is None or newer(version, flow.held[0]):
            flow.held = (version, read)

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        if len(self._gone) > GONE_KEPT:
            del self._gone[next(iter(self._gone))]


def _job_of(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner["kind"] == "Job"), "")


def _container(job: Object) -> str:
    template = (job.get("spec") or {}).get("template") or {}
    return main_container(template.get("spec") or {})
