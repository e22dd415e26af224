"""What the Job controller and a kubelet write: statuses, conditions and Pods, as values.

Nothing here acts: `world.World` decides when, and writes. Words, reasons and their order are those of
Kubernetes (Job API; KEP-3329 for podFailurePolicy; KEP-3939 and KEP-3998 for the conditions that announce
an end before it is one). Not modelled: `uncountedTerminatedPods`, and restarts of a container in its Pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import frozen

from zenflow_core.reading import main_container, message_bytes
from zenflow_testing.cluster import KubernetesVersion
from zenflow_testing.kinds import Object

JOB_TRACKING: Final = "batch.kubernetes.io/job-tracking"
"""Finalizer of a Pod whose end its Job has not counted yet: it keeps a deleted Pod there until then."""

SIGTERM_EXIT_CODE: Final = 143
"""How a container ends that is told to."""

_NOTHING: Final[Mapping[str, Any]] = {}


class JobReason(StrEnum):
    """Reasons of the conditions that end a Job."""

    COMPLETIONS_REACHED = "CompletionsReached"
    SUCCESS_POLICY = "SuccessPolicy"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    POD_FAILURE_POLICY = "PodFailurePolicy"
    FAILED_INDEXES = "FailedIndexes"


MESSAGES: Final[Mapping[JobReason, str]] = {
    JobReason.COMPLETIONS_REACHED: "Reached expected number of succeeded pods",
    JobReason.SUCCESS_POLICY: "Matched rules at index 0",
    JobReason.BACKOFF_LIMIT_EXCEEDED: "Job has reached the specified backoff limit",
    JobReason.DEADLINE_EXCEEDED: "Job was active longer than specified deadline",
    JobReason.FAILED_INDEXES: "Job has failed indexes",
}
"""The controller's words for each reason; those for PodFailurePolicy name the Pod."""


class Result(StrEnum):
    """The type of the condition that ends a Job."""

    COMPLETE = "Complete"
    FAILED = "Failed"


@frozen
class End:
    """How a Job ends, as its conditions will say."""

    result: Result
    reason: str
    message: str


@frozen
class PodEnd:
    """How a Pod ended: the exit code, what its main container left behind, and what disrupted it."""

    exit_code: int
    message: str = ""
    reason: str = ""
    disruption: str = ""
    transfer: str | None = None
    """What `zenflow-outputs` left behind after a main container that has succeeded; the exit code is then its own.
    None: the Pod has no such container, or did not come to it."""


def announces(version: KubernetesVersion, end: End) -> bool:
    """Whether FailureTarget or SuccessCriteriaMet comes before the end.

    From 1.31 on always; before that only for a podFailurePolicy (KEP-3939, KEP-3998).
    """
    return (version.major, version.minor) >= (1, 31) or end.reason == JobReason.POD_FAILURE_POLICY


def condition(type_: str, *, reason: str, message: str, at: str, status: str = "True") -> dict[str, str]:
    """A Job condition that came to be at the instant `at`."""
    found = {"type": type_, "status": status, "lastProbeTime": at, "lastTransitionTime": at}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    return found


def is_over(status: Mapping[str, Any]) -> bool:
    """Whether a Job has ended: Complete or Failed."""
    return any(
        each.get("type") in ("Complete", "Failed") and each.get("status") == "True"
        for each in status.get("conditions") or ()
    )


def pods_at_once(spec: Mapping[str, Any]) -> int:
    """How many Pods the Job runs side by side."""
    parallelism: int = spec.get("parallelism", 1)
    completions: int | None = spec.get("completions")
    return parallelism if completions is None else min(parallelism, completions)


def completions_of(spec: Mapping[str, Any]) -> int:
    """How many Pods must succeed; 1 for a work queue, which says nothing."""
    completions = spec.get("completions")
    return 1 if completions is None else int(completions)


# Statuses: each takes what the status is, and gives what it becomes


def started(status: Mapping[str, Any], spec: Mapping[str, Any], *, at: str, ready: int) -> dict[str, Any]:
    """The Job's Pods are created and `ready` of them run; if it was suspended, it has been resumed."""
    begun = {**status, "startTime": at, "ready": ready, "terminating": 0}
    active = pods_at_once(spec)
    if active:
        begun["active"] = active
    if any(each.get("type") == "Suspended" for each in status.get("conditions") or ()):
        begun["conditions"] = [
            *_but_suspended(status),
            condition("Suspended", reason="JobResumed", message="Job resumed", at=at, status="False"),
        ]
    return begun


def suspended(status: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """The Job has no Pods and gets none until it is resumed."""
    held = stopped(status, terminating=0)
    held["conditions"] = [
        *_but_suspended(status),
        condition("Suspended", reason="JobSuspended", message="Job suspended", at=at),
    ]
    return held


def _but_suspended(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (each for each in status.get("conditions") or () if each.get("type") != "Suspended")


def stopped(status: Mapping[str, Any], *, terminating: int) -> dict[str, Any]:
    """No Pod of the Job is active any more, and so many are on their way out."""
    # The server leaves a count of Pods out where it is 0, but for those two that older versions did not have.
    left = {key: value for key, value in status.items() if key != "active"}
    return {**left, "ready": 0, "terminating": terminating}


def announced(status: Mapping[str, Any], end: End, *, at: str) -> dict[str, Any]:
    """The Job's end is decided, and comes when all its Pods have ended."""
    type_ = "SuccessCriteriaMet" if end.result is Result.COMPLETE else "FailureTarget"
    return _with_condition(status, type_, end, at=at)


def ended(status: Mapping[str, Any], end: End, *, at: str) -> dict[str, Any]:
    """The Job is Complete or Failed."""
    over = _with_condition(status, end.result.value, end, at=at)
    if end.result is Result.COMPLETE:
        over["completionTime"] = at
    return over


def _with_condition(status: Mapping[str, Any], type_: str, end: End, *, at: str) -> dict[str, Any]:
    added = condition(type_, reason=end.reason, message=end.message, at=at)
    return {**status, "conditions": [*(status.get("conditions") or ()), added]}


def counted(status: Mapping[str, Any], spec: Mapping[str, Any], end: PodEnd) -> dict[str, Any]:
    """The Job's Pods have ended: all completions have succeeded, or one Pod has failed."""
    done = stopped(status, terminating=0)
    if end.exit_code:
        done["failed"] = done.get("failed", 0) + 1
        return done
    completions = completions_of(spec)
    if completions:
        done["succeeded"] = completions
        if spec.get("completionMode") == "Indexed":
            done["completedIndexes"] = "0" if completions == 1 else f"0-{completions - 1}"
    return done


# How a Job takes the end of its Pods


def success_of(spec: Mapping[str, Any], version: KubernetesVersion) -> End:
    """How the Job ends when its Pods have succeeded. Before 1.31 nobody said why."""
    if (version.major, version.minor) < (1, 31):
        return End(Result.COMPLETE, "", "")
    reason = JobReason.COMPLETIONS_REACHED if spec.get("successPolicy") is None else JobReason.SUCCESS_POLICY
    return End(Result.COMPLETE, reason.value, MESSAGES[reason])


def failure_of(reason: JobReason) -> End:
    """How the Job ends for a reason that explains itself."""
    return End(Result.FAILED, reason.value, MESSAGES[reason])


def verdict(spec: Mapping[str, Any], end: PodEnd, *, container: str, pod: str) -> End | None:
    """What the failure of a Pod does to its Job; None: it is ignored, and another Pod takes its place.

    The first rule of the podFailurePolicy that matches decides; without one the failure counts. One ending
    stands for all Pods that the backoffLimit allows, so that a failure that counts is the Job's.
    `container` is the one that ended so, `pod` its Pod as `namespace/name`.
    """
    for index, rule in enumerate((spec.get("podFailurePolicy") or _NOTHING).get("rules") or ()):
        why = _match(rule, end, container=container, pod=pod)
        if not why:
            continue
        match rule["action"]:
            case "Ignore":
                return None
            case "FailJob":
                return End(
                    Result.FAILED, JobReason.POD_FAILURE_POLICY.value, f"{why} matching FailJob rule at index {index}"
                )
            case _:  # Count, and FailIndex, which counts against its index
                break
    if spec.get("backoffLimitPerIndex") is not None:
        return failure_of(JobReason.FAILED_INDEXES)
    return failure_of(JobReason.BACKOFF_LIMIT_EXCEEDED)


def _match(rule: Mapping[str, Any], end: PodEnd, *, container: str, pod: str) -> str:
    """What of the Pod the rule matches, in words; empty if nothing."""
    codes = rule.get("onExitCodes")
    if codes is not None:
        if codes.get("containerName") not in (None, container):
            return ""
        if (end.exit_code in codes["values"]) is (codes["operator"] == "In"):
            return f"Container {container} for pod {pod} failed with exit code {end.exit_code}"
        return ""
    for pattern in rule.get("onPodConditions") or ():
        if end.disruption and pattern["type"] == "DisruptionTarget" and pattern.get("status", "True") == "True":
            return f"Pod {pod} has condition DisruptionTarget"
    return ""


# Pods


def pod_name(job: str, number: int) -> str:
    """Name of Pod number `number` (from 0) of the Job of that name."""
    return f"{job}-p{number}"


def new_pod(job: Object, number: int) -> dict[str, Any]:
    """Pod number `number` (from 0) of a Job, Pending. One Pod stands for all that run side by side."""
    metadata, template = job["metadata"], job["spec"]["template"]
    given = template.get("metadata") or _NOTHING
    labels = dict(given.get("labels") or _NOTHING)
    annotations = dict(given.get("annotations") or _NOTHING)
    if job["spec"].get("completionMode") == "Indexed":
        annotations["batch.kubernetes.io/job-completion-index"] = "0"
        labels["batch.kubernetes.io/job-completion-index"] = "0"
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            "name": pod_name(metadata["name"], number),
            "labels": labels,
            "annotations": annotations,
            "finalizers": [JOB_TRACKING],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }


def running(pod_spec: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """Status of a Pod whose main container runs."""
    state = {"running": {"startedAt": at}}
    return {"phase": "Running", "startTime": at, **_containers(pod_spec, main_container(pod_spec), main=state)}


def terminated(pod_spec: Mapping[str, Any], status: Mapping[str, Any], end: PodEnd, *, at: str) -> dict[str, Any]:
    """Status of a Pod that has ended."""
    began = status.get("startTime", at)
    times = {"startedAt": began, "finishedAt": at}
    room = message_bytes(pod_spec)
    final = _final(0 if end.transfer is not None else end.exit_code, end.message, room=room, reason=end.reason) | times
    other = _final(end.exit_code if end.transfer is not None else 0, end.transfer or "", room=room)
    others = {"terminated": other | times}
    done: dict[str, Any] = {
        "phase": "Failed" if end.exit_code else "Succeeded",
        "startTime": began,
        **_containers(pod_spec, main_container(pod_spec), main={"terminated": final}, others=others),
    }
    if end.disruption:
        done["conditions"] = [
            {"type": "DisruptionTarget", "status": "True", "reason": end.disruption, "lastTransitionTime": at}
        ]
    return done


def _final(exit_code: int, message: str, *, room: int, reason: str = "") -> dict[str, Any]:
    """How a container ended, but for the times. A message beyond `room` bytes is cut off, as a kubelet does."""
    ended: dict[str, Any] = {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed")}
    if message:
        raw = message.encode("utf-8", "replace")
        ended["message"] = raw[:room].decode("utf-8", "replace") if len(raw) > room else message
    return ended


def _containers(
    pod_spec: Mapping[str, Any], name: str, *, main: Mapping[str, Any], others: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Statuses of the main container, wherever it stands, and of the regular ones beside it."""
    regular = [each["name"] for each in pod_spec["containers"]]
    waiting = {"waiting": {"reason": "PodInitializing"}}
    beside = main if others is None else others
    if name in regular:
        return {"containerStatuses": [_container(each, main if each == name else beside) for each in regular]}
    # The main container has become an init container, so that the others start only when it has succeeded.
    succeeded = main.get("terminated", _NOTHING).get("exitCode") == 0
    return {
        "initContainerStatuses": [_container(name, main)],
        "containerStatuses": [_container(each, beside if succeeded else waiting) for each in regular],
    }


def _container(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "ready": "running" in state, "restartCount": 0, "state": state}
