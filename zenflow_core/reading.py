"""Raw Jobs, Pods and flows, as the API server sends them, become sightings.

Everything here answers from the object alone. What an object of a newer
Kubernetes has besides is passed over; what is missing in a fake one has a
stated stand-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from zenflow_core.instants import instant
from zenflow_core.names import (
    ANNOTATION_STEP,
    ANNOTATION_TTL,
    LABEL_ATTEMPT,
    LABEL_STEP,
    ORPHANING,
    OUTPUTS_CONTAINER,
    label_value,
)
from zenflow_core.observation import (
    ACTIVE,
    UNREAD,
    Absent,
    Active,
    Complete,
    Failed,
    FlowSeen,
    JobOutcome,
    Lookup,
    Present,
    Seen,
    Sibling,
)
from zenflow_core.pod_failure_policy import CONVENTIONAL_CONTAINER
from zenflow_core.reasons import NeedsOrigin
from zenflow_core.spec import GROUP, KIND, ConcurrencyPolicy, StepName

NUDGE_TTL_SECONDS: Final = 2**31 - 1
"""The `ttlSecondsAfterFinished` of a nudge: 68 years, so it never fires."""

TERMINATION_MESSAGE_BYTES: Final = 4096
"""Where the kubelet cuts a container's termination message off, if the Pod has no more than three (`message_bytes`)."""

_POD_MESSAGE_BYTES: Final = 12 * 1024

_NOTHING: Final[Mapping[str, Any]] = {}
_ACTIVE_POD_PHASES: Final = frozenset({"Pending", "Running", "Unknown"})


@frozen
class JobIdentity:
    """Which attempt of which step of which flow a Job is, by its owner, labels and annotations."""

    flow_uid: str
    flow: str
    step: StepName
    attempt: int


def parse_attempt(job: Mapping[str, Any]) -> JobIdentity | None:
    """What a Job says it is; None if it is not of zenflow's making.

    A Job is ours if its controller is a JobFlow and its labels name step and
    attempt; the caller compares owner uid, step and attempt with what it
    expects at that name. Cost: 1 µs.
    """
    metadata = job.get("metadata") or _NOTHING
    owner = controller_of(metadata)
    labels = metadata.get("labels") or _NOTHING
    label = labels.get(LABEL_STEP)
    attempt = _attempt(labels.get(LABEL_ATTEMPT))
    if owner is None or not label or attempt is None:
        return None
    step = (metadata.get("annotations") or _NOTHING).get(ANNOTATION_STEP, label)
    if step != label and label_value(step) != label:
        return None
    return JobIdentity(owner.get("uid") or "", owner.get("name") or "", StepName(step), attempt)


def controller_of(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JobFlow that controls an object, as its owner reference; None if none does."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            ours = owner.get("kind") == KIND and owner.get("apiVersion", "").startswith(f"{GROUP}/")
            return owner if ours else None
    return None


def read_job(
    job: Mapping[str, Any],
    *,
    result: Lookup = UNREAD,
    transfer: Lookup = UNREAD,
    pods: Sequence[Mapping[str, Any]] = (),
) -> Seen | None:
    """A Job as a sighting of its attempt; None if it is not of zenflow's making (see `parse_attempt`).

    Only the conditions Complete and Failed with status "True" end a Job, at
    whatever place they stand. `pods` are the Job's own, if they were read; they
    only decide `nudge`. An instant that the status lacks, as it can in a status
    written by hand, is the creation's. Raises ValueError for an instant that
    cannot be read. Cost: 6 µs.
    """
    identity = parse_attempt(job)
    if identity is None:
        return None
    metadata = job["metadata"]
    spec = job.get("spec") or _NOTHING
    status = job.get("status") or _NOTHING
    created_at = instant(metadata["creationTimestamp"])
    outcome = _outcome(status, created_at)
    return Seen(
        attempt=identity.attempt,
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=created_at,
        outcome=outcome,
        suspended_since=_suspended_since(spec, status, created_at) if outcome is ACTIVE else None,
        resumed_at=_resumed_at(status) if outcome is ACTIVE else None,
        deleting="deletionTimestamp" in metadata,
        kept_until=_kept_until(metadata, outcome),
        nudge=bool(pods) and owes_nudge(job, pods),
        document={"status": status, "metadata": metadata} if isinstance(outcome, Complete) else _NOTHING,
        result=result,
        transfer=transfer,
    )


def read_flow_seen(flow: Mapping[str, Any]) -> FlowSeen:
    """The facts of a stored flow that may change without its plan.

    Raises ValueError, with the path, if something is missing that the server always sets.
    """
    metadata = flow.get("metadata") or _NOTHING
    for key in ("name", "namespace", "uid", "creationTimestamp"):
        if not metadata.get(key):
            raise ValueError(f"metadata.{key}: is missing; every stored JobFlow has it")
    deletion = metadata.get("deletionTimestamp")
    return FlowSeen(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        created_at=instant(metadata["creationTimestamp"]),
        labels=metadata.get("labels") or _NOTHING,
        annotations=metadata.get("annotations") or _NOTHING,
        deleting_since=None if deletion is None else instant(deletion),
        orphans_jobs=deletion is not None and ORPHANING in (metadata.get("finalizers") or ()),
        generation=metadata.get("generation") or 1,
        group=group_of(flow),
    )


def group_of(flow: Mapping[str, Any]) -> str:
    """The concurrency group of a stored flow (product rule "concurrencyPolicy").

    `executionPolicy.concurrencyGroup`, else generateName without its trailing
    dash, else the controlling owner's name, else its own name.
    """
    metadata = flow.get("metadata") or _NOTHING
    policy = (flow.get("spec") or _NOTHING).get("executionPolicy") or _NOTHING
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), _NOTHING)
    found: str = (
        policy.get("concurrencyGroup")
        or (metadata.get("generateName") or "").removesuffix("-")
        or owner.get("name")
        or metadata["name"]
    )
    return found


def read_sibling(flow: Mapping[str, Any], *, live_jobs: bool) -> Sibling:
    """A stored flow as the others of its group see it; `live_jobs` says whether a Job of it may still have Pods.

    It replaces others once it stands in line itself: a spec that turns out to
    be invalid, a retry whose source is gone or a flow that is already being
    deleted must not end one that runs.
    """
    metadata, status = flow["metadata"], flow.get("status") or _NOTHING
    policy = ((flow.get("spec") or _NOTHING).get("executionPolicy") or _NOTHING).get("concurrencyPolicy")
    started = status.get("startTime")
    holds = {hold.get("reason") for hold in status.get("holds") or ()}
    stands_in_line = "phase" in status and NeedsOrigin.__name__ not in holds and "deletionTimestamp" not in metadata
    return Sibling(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=instant(metadata["creationTimestamp"]),
        started_at=None if started is None else instant(started),
        over=status.get("phase") in ("Succeeded", "Failed"),
        live_jobs=live_jobs,
        replaces=policy == ConcurrencyPolicy.REPLACE and stands_in_line,
    )


def owes_nudge(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the Job's Pods are done and its controller has not noticed yet (eager completion).

    True until one patch sets `ttlSecondsAfterFinished` to `NUDGE_TTL_SECONDS`.
    `pods` are all Pods of this Job. Never for a Job that is suspended, being
    deleted, managed by another controller or over, nor for one whose end is not
    a matter of counting (`successPolicy`, or `parallelism` without `completions`).
    """
    spec = job.get("spec") or _NOTHING
    completions = spec.get("completions")
    if (
        spec.get("suspend")
        or spec.get("managedBy") is not None
        or spec.get("successPolicy") is not None
        or spec.get("ttlSecondsAfterFinished") == NUDGE_TTL_SECONDS
        or (completions is None and (spec.get("parallelism") or 0) > 1)
        or "deletionTimestamp" in (job.get("metadata") or _NOTHING)
    ):
        return False
    conditions = _conditions(job.get("status") or _NOTHING)
    if "Complete" in conditions or "Failed" in conditions:
        return False
    phases = [(pod.get("status") or _NOTHING).get("phase") for pod in pods]
    if any(phase is None or phase in _ACTIVE_POD_PHASES for phase in phases):
        return False
    return phases.count("Succeeded") >= max(1, completions or 1)


def main_container(pod_spec: Mapping[str, Any]) -> str:
    """Name of the container whose result is the step's: `main`, else the first one; "" if there is none.

    To be asked of the Job's template (or the step's), not of a Pod: there, others may have put a container first.
    Where output artifacts have moved it, it is the last init container that is no sidecar.
    """
    names = [each.get("name") or "" for each in pod_spec.get("containers") or ()]
    if names == [OUTPUTS_CONTAINER]:
        names = [
            each.get("name") or ""
            for each in reversed(pod_spec.get("initContainers") or ())
            if each.get("restartPolicy") != "Always"
        ]
    if CONVENTIONAL_CONTAINER in names:
        return CONVENTIONAL_CONTAINER
    return names[0] if names else ""


def message_bytes(pod_spec: Mapping[str, Any], *, added: int = 0) -> int:
    """Where a kubelet cuts each termination message of this Pod off, with so many containers more than it says.

    All of a Pod together have 12 KiB, in equal shares: four containers 3,072 bytes each (kubelet, `normalizeStatus`).
    """
    fields = ("containers", "initContainers", "ephemeralContainers")
    containers = added + sum(len(pod_spec.get(field) or ()) for field in fields)
    return min(TERMINATION_MESSAGE_BYTES, _POD_MESSAGE_BYTES // max(containers, 1))


def termination_result(pods: Iterable[Mapping[str, Any]], container: str) -> Lookup:
    """Termination message of `container` in the Pod that Succeeded last; Absent says why there is none.

    It is looked for among the regular containers and, since artifacts make the
    main container an init container, among those too. A message that the
    kubelet cut off (`message_bytes`) is Absent: half a result is none. Of that
    length exactly, one that is JSON with an end of its own (object, list, string) is whole.
    """
    latest: tuple[str, str, str] | None = None
    found: Mapping[str, Any] | None = None
    limit = TERMINATION_MESSAGE_BYTES
    for pod in pods:
        status = pod.get("status") or _NOTHING
        if status.get("phase") != "Succeeded":
            continue
        metadata = pod.get("metadata") or _NOTHING
        terminated = _terminated(status, container)
        order = (
            str((terminated or _NOTHING).get("finishedAt") or ""),
            str(metadata.get("creationTimestamp") or ""),
            str(metadata.get("name") or ""),
        )
        if latest is None or order > latest:
            latest, found, limit = order, terminated, message_bytes(pod.get("spec") or _NOTHING)
    if latest is None:
        return Absent("the Job has no Succeeded Pod any more")
    if found is None:
        return Absent(f"Pod {latest[2]} has no terminated container {container}")
    message = found.get("message")
    if not message:
        return Absent(f"container {container} of Pod {latest[2]} left no termination message")
    return _whole(str(message), f"container {container} of Pod {latest[2]}", limit=limit)


def _whole(message: str, where: str, *, limit: int) -> Lookup:
    size = len(message.encode("utf-8", "surrogatepass"))
    # Where the cut went through a character, each of its bytes has become U+FFFD, which takes three.
    cut = len(message) - len(message.rstrip("\ufffd"))
    written = size - 2 * cut
    if written > limit or (written == limit and not _closed_json(message)):
        shared = "" if limit == TERMINATION_MESSAGE_BYTES else ", its share of the Pod's 12 KiB"
        return Absent(f"the termination message of {where} reaches the {limit} bytes at which it is cut off{shared}")
    return Present(message)


def _closed_json(message: str) -> bool:
    if message.lstrip()[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(message)
    except (ValueError, RecursionError):
        return False
    return True


def _terminated(status: Mapping[str, Any], container: str) -> Mapping[str, Any] | None:
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in status.get(field) or ():
            if each.get("name") == container:
                return (each.get("state") or _NOTHING).get("terminated")
    return None


def _attempt(text: str | None) -> int | None:
    """The attempt number of a label; None if it is none that zenflow writes."""
    if not text or len(text) > 10 or not (text.isascii() and text.isdigit()) or text[0] == "0":
        return None
    return int(text)


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The conditions that hold, by type; of two of one type the later entry."""
    return {each["type"]: each for each in status.get("conditions") or () if each.get("status") == "True"}


def _outcome(status: Mapping[str, Any], created_at: datetime) -> JobOutcome:
    conditions = _conditions(status)
    # The API server refuses both at once. Should it happen, the failure counts: nothing succeeds by contradiction.
    failed = conditions.get("Failed")
    if failed is not None:
        at = failed.get("lastTransitionTime")
        return Failed(
            created_at if at is None else instant(at), failed.get("reason") or "", failed.get("message") or ""
        )
    complete = conditions.get("Complete")
    if complete is not None:
        at = status.get("completionTime") or complete.get("lastTransitionTime")
        return Complete(created_at if at is None else instant(at))
    return ACTIVE


def _suspended_since(spec: Mapping[str, Any], status: Mapping[str, Any], created_at: datetime) -> datetime | None:
    """Since when somebody keeps the Job suspended; None while it is not.

    Without the condition, `spec.suspend` means since the creation. If the
    condition is there and "False", the Job has run before: its controller will
    say since when it is suspended again.
    """
    for each in status.get("conditions") or ():
        if each.get("type") == "Suspended":
            if each.get("status") != "True":
                return None
            at = each.get("lastTransitionTime")
            return created_at if at is None else instant(at)
    return created_at if spec.get("suspend") else None


def _resumed_at(status: Mapping[str, Any]) -> datetime | None:
    """When the Job was released by whoever had suspended it."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Suspended" and condition.get("status") == "False":
            at = condition.get("lastTransitionTime")
            return None if at is None else instant(at)
    return None


def _kept_until(metadata: Mapping[str, Any], outcome: JobOutcome) -> datetime | None:
    """The end of the template's own TTL, which is carried as an annotation (see `manifests.build_job`)."""
    if isinstance(outcome, Active):
        return None
    seconds = (metadata.get("annotations") or _NOTHING).get(ANNOTATION_TTL, "")
    return outcome.at + timedelta(seconds=int(seconds)) if seconds.isdecimal() and len(seconds) <= 10 else None
