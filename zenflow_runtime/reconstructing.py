"""The decision that a fresh operator would make about one flow now, from what the API server tells.

The same ledger, the same reads and the same `decide` as the operator's, so the
answer is the operator's; but nothing is carried out. For `zenflow dump` where
no operator is at hand, or none is running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from zenflow_core.decision import Decision
from zenflow_core.dump import write_failure, write_header, write_step
from zenflow_core.names import LABEL_FLOW_UID, LABEL_MANAGED_BY, MANAGED_BY
from zenflow_core.observation import Observed
from zenflow_core.reasons import Instant
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.clock import Clock
from zenflow_runtime.deciding import decide, doubt_jobs
from zenflow_runtime.failures import RequestFailed
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import FLOW, JOB, POD, Kube, Object
from zenflow_runtime.ledger import Ledger
from zenflow_runtime.reads import fetch
from zenflow_runtime.reflect import UNREADABLE

ROUNDS: Final = 8
"""How often reads may ask for further reads; a flow that needs more is written as it is known by then."""


@frozen
class Reconstruction:
    """A flow as it is now, and what would be decided about it."""

    flow: Flow
    observed: Observed
    """Everything."""
    at: Instant
    answer: Decision | str
    """The decision; or the error, if none can be made: our own bug."""
    unread: tuple[str, ...] = ()
    """What could not be read, and why."""

    def text(self, settings: Settings = DEFAULTS) -> str:
        """The same as a dump of one decision."""
        header = write_header(self.flow.obj, self.flow.seen, settings=settings)
        status = self.flow.obj.get("status")
        if isinstance(self.answer, str):
            return header + write_failure(self.observed, self.at, self.answer, status=status)
        return header + write_step(self.observed, self.at, self.answer, everything=True, status=status)


async def reconstruct(kube: Kube, obj: Object, clock: Clock, *, settings: Settings = DEFAULTS) -> Reconstruction:
    """Read what concerns the flow `obj`, and decide. Raises `RequestFailed`.

    Costs a list of the flows and of our Jobs in its namespace, one of its Pods, and its inputs.
    """
    uid, namespace = obj["metadata"]["uid"], obj["metadata"]["namespace"]
    ours = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
    ledger = Ledger(clock)
    flow = _taken(ledger, obj)
    _hand(ledger.take_flow, await kube.list_all(FLOW, namespace))
    # Other flows' Jobs, too: a flow under Replace waits until the last of them is gone.
    _hand(ledger.take_job, await kube.list_all(JOB, namespace, labels=ours))
    _hand(ledger.take_pod, await kube.list_all(POD, namespace, labels=f"{ours},{LABEL_FLOW_UID}={uid}"))
    ledger.settle()
    unread: list[str] = []
    for _ in range(ROUNDS):
        flow.state = None
        doubt_jobs(flow)
        for doubt, reference in tuple(flow.doubts.items()):
            ledger.resolved(flow, doubt, found=await kube.find(JOB, namespace, reference.name))
        ledger.settle()
        at = clock.now
        everything = flow.observed(everything=True)
        try:
            observed, decision = decide(flow, at, settings=settings)
        except Exception as error:  # noqa: BLE001 - what must not happen is what this is taken for
            return Reconstruction(flow, everything, at, f"{type(error).__name__}: {error}")
        if not decision.reads or unread:
            break
        for read in decision.reads:
            try:
                await fetch(read, flow, kube=kube, ledger=ledger)
            except RequestFailed as error:
                unread.append(f"{read}: {error.message or error}")
    return Reconstruction(flow, observed, at, decision, tuple(unread))


def _taken(ledger: Ledger, obj: Object) -> Flow:
    ledger.take_flow(obj)
    return ledger.flows[obj["metadata"]["uid"]]


def _hand(take: Callable[[Object], None], objects: Iterable[Object]) -> None:
    """As a watch would: one that cannot be read stops no other."""
    for obj in objects:
        try:
            take(obj)
        except UNREADABLE:
            continue
