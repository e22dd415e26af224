"""The flow's default store for artifacts: chosen when it starts, out of what the namespace and the operator say."""

from __future__ import annotations

from typing import TypeAlias

from zenflow_core.artifact_pod import longest_location
from zenflow_core.artifact_report import largest_report
from zenflow_core.artifact_store import STORE, in_one_line, read_store, settled
from zenflow_core.observation import UNREAD, Absent, Origin, Present, Unread
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.reading import message_bytes
from zenflow_core.reasons import ArtifactStoreInvalid, NeedsArtifactStore
from zenflow_core.spec import ArtifactStore
from zenflow_core.views import FlowView

Choice: TypeAlias = ArtifactStore | NeedsArtifactStore | ArtifactStoreInvalid | None


def chosen_store(flow: FlowView) -> Choice:
    """The store; None: the flow's own claim, or no artifact needs one. Asked once nothing else keeps the flow.

    A retry goes on with the store of the flow that it retries, so that it finds what that one has left.
    """
    settings = flow.plan.settings
    if not wants_store(flow.plan):
        return None
    if isinstance(flow.origin, Origin) and flow.origin.artifact_store is not None:
        return _fitting(flow, flow.origin.artifact_store, "the flow that it retries")
    if settings.namespace_stores:
        match flow.inputs.get(STORE, UNREAD):
            case Unread():
                return NeedsArtifactStore(STORE.name)
            case Present(text):
                store = read_store(text)
                if isinstance(store, tuple):
                    return ArtifactStoreInvalid(flow.now, f"ConfigMap {STORE.name}", in_one_line(store))
                return _fitting(flow, store, f"ConfigMap {STORE.name}")
            case Absent():
                pass
    return _fitting(flow, settings.artifact_store, "the operator")


def artifact_store(flow: FlowView) -> NeedsArtifactStore | ArtifactStoreInvalid | None:
    """Keep a flow from starting until its default store for artifacts is known, and end it if that cannot be used."""
    store = chosen_store(flow)
    return None if isinstance(store, ArtifactStore) else store


def wants_store(plan: Plan) -> bool:
    """Whether bytes are moved, and some artifact names no store of its own. Cost: O(steps)."""
    return plan.settings.artifact_image is not None and any(
        made.s3 is None for step in plan.steps for made in step.output_artifacts
    )


def _fitting(flow: FlowView, store: ArtifactStore | None, source: str) -> Choice:
    """The store, if each step can report what it has stored there: locations are as long as the store's names."""
    for step in flow.plan.steps if store is not None else ():
        size, room = _report(step, store)
        if size > room:
            what = (
                f"its names make the report of step {step.name} on its artifacts up to {size} bytes long, and a "
                f"termination message of its Pod has {room}; fix: shorten the key, or put files into one directory"
            )
            return ArtifactStoreInvalid(flow.now, source, what)
    return store


def _report(step: PlannedStep, store: ArtifactStore | None) -> tuple[int, int]:
    """The longest report that the step can leave, and the room for it, in bytes."""
    if step.template is None or all(made.s3 is not None for made in step.output_artifacts):
        return 0, 0
    pod = step.template.source["spec"]["template"]["spec"]
    locations = {made.name: longest_location(settled(made, store), step=step.name) for made in step.output_artifacts}
    return largest_report(locations), message_bytes(pod, added=2 if step.input_artifacts else 1)
