"""What watches show and what our own requests answer, turned into what the core observes. Pure bookkeeping, no I/O.

The in-memory operator of the test harness and the one for a real cluster keep
the same ledger, so what one is tried on holds for the other. The answers to our
own requests lie over what the watch shows until the watch has caught up.
"""

from __future__ import annotations

from attrs import evolve

from zenflow_core.observation import Lookup, OriginLookup, Refused, ResourceSighting, Seen
from zenflow_core.plan import ConfigMapKey, ResourceRef
from zenflow_core.spec import StepName
from zenflow_core.termination import Messages
from zenflow_runtime.book import GONE_KEPT, THE_FLOW, Book, Now, Object
from zenflow_runtime.flows import Flow, newer

__all__ = ["GONE_KEPT", "THE_FLOW", "Ledger", "Now", "Object"]


class Ledger(Book):
    """Everything one process knows of the cluster, and the answers to what it has asked."""

    def refused(self, flow: Flow, step: StepName, refusal: Refused) -> None:
        """The server's answer to the create of an attempt."""
        if isinstance(flow.jobs.get(step, {}).get(refusal.attempt), Seen):
            return  # the answer was lost or late, and the watch has shown the Job meanwhile
        started = None if flow.state is None else flow.state.records[flow.state.plan.by_name[step]].started_at
        if started is not None and refusal.at < started:
            # Our clock has been put back since: an answer never is older than the question.
            refusal = evolve(refusal, at=started)
        flow.jobs.setdefault(step, {})[refusal.attempt] = refusal
        self._touch(flow, step)

    def not_nudged(self, flow: Flow, step: StepName, uid: str) -> None:
        """A Job's controller could not be nudged: the Job ends as it would have without us."""
        self._unnudged.add(uid)
        known = self._known.get(uid)
        if known is not None:
            self._know(flow, step, known.job)

    def made(self, flow: Flow, ref: ResourceRef, answer: ResourceSighting) -> None:
        """What became of an object of resourceTemplates."""
        flow.resources[ref] = answer
        flow.changed_resources.add(ref)
        self._wake(flow)

    def begin_record(self, flow: Flow) -> None:
        """A status write is sent: until it is answered, what the watch shows of the flow is held back."""
        flow.recording = True

    def recorded(self, flow: Flow, obj: Object) -> None:
        """The status write was answered with the flow as it now is."""
        flow.obj = obj
        flow.confirmed = True
        self._publish(flow)
        self.end_record(flow)

    def end_record(self, flow: Flow) -> None:
        """The status write is over, whatever came of it."""
        flow.recording = False
        held, flow.held = flow.held, None
        if held is not None and flow.uid in self.flows and newer(held[0], flow.resource_version):
            self.take_flow(held[1]())

    def read_input(self, flow: Flow, ref: ConfigMapKey, value: Lookup) -> None:
        """A key of a ConfigMap was read."""
        flow.inputs[ref] = value
        flow.changed_inputs.add(ref)
        self._wake(flow)

    def unread_result(self, flow: Flow, step: StepName, attempt: int) -> Seen | None:
        """The Job whose result is to be read; None if there is none or it has been read."""
        seen = flow.jobs.get(step, {}).get(attempt)
        return seen if isinstance(seen, Seen) and seen.uid not in flow.results else None

    def container_of(self, seen: Seen) -> str:
        """The container whose termination message is the result of that Job."""
        known = self._known.get(seen.uid)
        return known.container if known is not None else ""

    def read_result(self, flow: Flow, step: StepName, seen: Seen, *, found: Messages) -> None:
        """The termination messages of a Job's Pods were read."""
        flow.results[seen.uid] = found
        last = flow.jobs.get(step, {}).get(seen.attempt)
        if isinstance(last, Seen) and last.uid == seen.uid:
            flow.jobs[step][seen.attempt] = evolve(last, result=found.result, transfer=found.transfer)
            self._touch(flow, step)

    def read_origin(self, flow: Flow, origin: OriginLookup) -> None:
        """The flow that `retryOf` names was read."""
        flow.origin = origin
        flow.changed_origin = True
        self._wake(flow)

    def resolved(self, flow: Flow, doubt: tuple[StepName, int], *, found: Object | None) -> None:
        """A fresh read by name answered a doubt; `found` is what has that name now."""
        reference = flow.doubts.pop(doubt, None)
        if reference is None:
            return
        there = found is not None and found["metadata"]["uid"] == reference.uid
        if doubt == THE_FLOW:
            if not there:
                self.forget(flow.uid)
        elif found is not None and there:
            self.learn(flow, *doubt, job=found)
        else:
            self.lose(flow, *doubt, uid=reference.uid)

    def confirm(self, flow: Flow, found: Object | None) -> bool:
        """A read by name, before an action that no record fences; whether what was decided may be done."""
        if found is None or found["metadata"]["uid"] != flow.uid:
            self.forget(flow.uid)
            return False
        flow.confirmed = True
        if not newer(found["metadata"]["resourceVersion"], flow.resource_version):
            return True
        self.renew(flow, found)
        self.drop_state(flow)
        return False

    def drop_state(self, flow: Flow) -> None:
        """After a failed or uncertain action: the next decision reads everything anew."""
        flow.state = None
        self._wake(flow)
