"""What is owed once a flow is deleted whose artifacts are to go with it: one Job that removes them.

The flow is gone by then, and nothing waits for the Job: a deletion is never
held up, and if nobody sees it (no operator runs) the objects stay. The Job has
no owner, one name for each flow, so that a second replica finds the first one's,
and removes itself an hour after its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from zenflow_core.artifact_container import OurContainers, written_place
from zenflow_core.artifact_pod import flow_directory
from zenflow_core.artifact_store import recall_store, settled
from zenflow_core.codec import read_flow
from zenflow_core.names import LABEL_FLOW, REMOVAL_CONTAINER, job_name, label_value
from zenflow_core.reading import read_flow_seen
from zenflow_core.spec import ArtifactStore, JobFlow, OutputArtifact, S3Location

_LIFE_SECONDS: Final = 3600
_TRIES: Final = 4


def removal_job(flow: Mapping[str, Any], *, image: str) -> dict[str, Any] | None:
    """The Job that removes what this deleted flow has stored in S3; None if nothing is to go, or it never began.

    `flow` is the object as it was last. One that cannot be read has stored nothing.
    """
    status = flow.get("status") or {}
    if not status.get("startTime"):
        return None
    found = read_flow(flow)
    if not isinstance(found, JobFlow):
        return None
    seen = read_flow_seen(flow)
    store = recall_store(status["artifactStore"]) if "artifactStore" in status else None
    env: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    for number, (name, made) in enumerate(_collected(found, store)):
        assert made.s3 is not None, "validation wants a place in S3"
        place = evolve(made.s3, key=flow_directory(made.s3, seen.uid))
        orders.append({"name": name, **written_place(place, number=number, env=env)})
    if not orders:
        return None
    container = OurContainers({"automountServiceAccountToken": False}, {}).container(
        REMOVAL_CONTAINER, image, orders=orders, env=env, mounts=()
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(seen, REMOVAL_CONTAINER, 1),
            "namespace": seen.namespace,
            "labels": {LABEL_FLOW: label_value(seen.name)},
        },
        "spec": {
            "backoffLimit": _TRIES,
            "activeDeadlineSeconds": _LIFE_SECONDS,
            "ttlSecondsAfterFinished": _LIFE_SECONDS,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "containers": [container],
                }
            },
        },
    }


def _collected(flow: JobFlow, store: ArtifactStore | None) -> Iterator[tuple[str, OutputArtifact]]:
    """The artifacts that go with the flow, one for each directory: those in a default store have one together."""
    known: set[S3Location] = set()
    for step in (*flow.spec.steps, *flow.spec.finally_):
        for declared in step.outputs.artifacts if step.outputs else ():
            made = settled(declared, store)
            if (
                made.artifact_gc is not None
                and made.s3 is not None
                and made.s3.key.endswith("/")
                and made.s3 not in known
            ):
                known.add(made.s3)
                yield f"{step.name}/{made.name}", made
