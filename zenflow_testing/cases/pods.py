"""Pods of a case: there is no kubelet, so they are what the history says they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zenflow_core.reading import main_container
from zenflow_testing.cases.history import Container, PodPhase, StepOutput
from zenflow_testing.kinds import Object


def pod_name(job: Object, pod: str) -> str:
    """Name of the Pod that a case calls `pod`."""
    return f"{job['metadata']['name']}-{pod}"


def new_pod(job: Object, pod: str) -> dict[str, Any]:
    """A Pod of a Job, as its controller makes them."""
    metadata, template = job["metadata"], job["spec"]["template"]
    given: Mapping[str, Any] = template.get("metadata") or {}
    labels = {
        **(given.get("labels") or {}),
        "batch.kubernetes.io/job-name": metadata["name"],
        "job-name": metadata["name"],
        "batch.kubernetes.io/controller-uid": metadata["uid"],
    }
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
            "name": pod_name(job, pod),
            "labels": labels,
            "annotations": dict(given.get("annotations") or {}),
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }


def running_status(job: Object, *, at: str) -> dict[str, Any]:
    """Status of a Pod all of whose containers run."""
    names = [each["name"] for each in job["spec"]["template"]["spec"]["containers"]]
    state = {"running": {"startedAt": at}}
    statuses = [{"name": name, "ready": True, "restartCount": 0, "state": state} for name in names]
    return {"phase": "Running", "startTime": at, "containerStatuses": statuses}


def ended_status(
    job: Object, status: Mapping[str, Any], *, exit_code: int, at: str, message: str | None
) -> dict[str, Any]:
    """Status of a Pod that has ended, with the termination message of the step's main container."""
    main = main_container(job["spec"]["template"]["spec"])
    began = status.get("startTime", at)
    known = {each["name"] for each in status.get("containerStatuses") or ()}
    wanted = [each["name"] for each in job["spec"]["template"]["spec"]["containers"]]
    ended: dict[str, Any] = {
        "phase": "Failed" if exit_code else "Succeeded",
        "startTime": began,
        "containerStatuses": [
            _ended(name, exit_code, at=at, began=began, message=message if name == main else None)
            for name in dict.fromkeys([*wanted, *sorted(known)])
        ],
    }
    if status.get("conditions"):
        ended["conditions"] = status["conditions"]
    if main not in wanted:
        ended["initContainerStatuses"] = [_ended(main, exit_code, at=at, began=began, message=message)]
    return ended


def _ended(name: str, exit_code: int, *, at: str, began: str, message: str | None) -> dict[str, Any]:
    state = {"terminated": _terminated(exit_code, at=at, began=began, message=message)}
    return {"name": name, "ready": False, "restartCount": 0, "state": state}


def _terminated(exit_code: int, *, at: str, began: str, message: str | None) -> dict[str, Any]:
    state: dict[str, Any] = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": began,
        "finishedAt": at,
    }
    return state if message is None else state | {"message": message}


def told_status(job: Object, event: PodPhase, *, at: str, message: str | None) -> dict[str, Any]:
    """Status of a Pod as an event of the history tells it."""
    main = main_container(job["spec"]["template"]["spec"])
    status: dict[str, Any] = {"phase": event.phase, "startTime": at}
    if event.reason is not None:
        status["reason"] = event.reason
    if event.conditions:
        status["conditions"] = [{"lastTransitionTime": at, "status": "True", **each} for each in event.conditions]
    for field, first in (("containerStatuses", False), ("initContainerStatuses", True)):
        told = [
            _told_container(each, event.phase, at=at, message=message if each.name == main else None)
            for each in event.containers
            if (each.init or each.sidecar) is first
        ]
        if told:
            status[field] = told
    return status


def _told_container(told: Container, phase: str, *, at: str, message: str | None) -> dict[str, Any]:
    state: dict[str, Any]
    if told.exit_code is not None:
        terminated = _terminated(told.exit_code, at=at, began=at, message=told.message or message)
        state = {"terminated": terminated | ({} if told.reason is None else {"reason": told.reason})}
    elif phase == "Running":
        state = {"running": {"startedAt": at}}
    else:
        state = {"waiting": {"reason": told.reason or "ContainerCreating"}}
    return {"name": told.name, "ready": "running" in state, "restartCount": told.restarts, "state": state}


def with_sidecars(pod_spec: Mapping[str, Any], event: PodPhase) -> Mapping[str, Any]:
    """The Pod's spec with the sidecars that somebody has injected and the template does not have."""
    there = {each["name"] for field in ("containers", "initContainers") for each in pod_spec.get(field) or ()}
    injected = [
        {"name": each.name, "image": "injected", "restartPolicy": "Always"}
        for each in event.containers
        if each.sidecar and each.name not in there
    ]
    if not injected:
        return pod_spec
    return {**pod_spec, "initContainers": [*(pod_spec.get("initContainers") or ()), *injected]}


def output_text(event: StepOutput) -> str:
    """The termination message that a history tells: a JSON value, or an object of so many bytes."""
    if event.bytes is None:
        return json.dumps(event.json, ensure_ascii=False)
    empty = '{"v": ""}'
    return f'{{"v": "{"x" * max(event.bytes - len(empty), 0)}"}}'
