"""A Job that somebody else suspends and lets go, as Kueue does: docs/kueue.md on a real API server."""

from __future__ import annotations

import time
from typing import Any, Final

import lightkube
from lightkube.types import PatchType

from tests.cluster.controlplane import ControlPlane, Job, Pod, eventually
from tests.cluster.operators import a_flow, a_step, ended, jobs_of, operator, rows, status_of

QUEUE: Final = "kueue.x-k8s.io/queue-name"
TIMEOUT_SECONDS: Final = 4
HELD_SECONDS: Final = 7.0
"""Longer than the step's timeout: if its stopwatch ran, it would end."""


def a_queued_step(name: str, **fields: Any) -> dict[str, Any]:
    """A step as docs/kueue.md says: the label is on the Job."""
    step = a_step(name, **fields)
    step["template"]["metadata"] = {"labels": {QUEUE: "team-queue"}}
    return step


def suspend(client: lightkube.Client, job: Any, *, value: bool) -> None:
    """What Kueue does to a Job with the label until there is room, and then."""
    client.patch(Job, job["metadata"]["name"], {"spec": {"suspend": value}}, patch_type=PatchType.MERGE)


def test_a_step_in_a_queue_waits_its_clock_stands_still_and_then_it_succeeds(
    plane: ControlPlane, client: lightkube.Client
) -> None:
    with operator(plane):
        step = a_queued_step("train", timeoutSeconds=TIMEOUT_SECONDS, plays={"seconds": "2"})
        client.create(a_flow("queued", step, a_step("report", "train")))
        (job,) = eventually(lambda: jobs_of(client, "queued"), "a Job")
        assert job["metadata"]["labels"][QUEUE] == "team-queue", "where Kueue looks for it"
        suspend(client, job, value=True)

        def row() -> Any:
            return rows(status_of(client, "queued"))["train"]

        eventually(lambda: row().get("reason") == "JobSuspended", "status to say that the Job is suspended")
        eventually(lambda: not list(client.list(Pod)), "the Pod to be gone")
        time.sleep(HELD_SECONDS)
        assert row()["phase"] == "Running", "not timed out, although more time than its timeout has passed"
        (held,) = jobs_of(client, "queued")
        assert held["spec"]["suspend"] is True, "zenflow leaves it to whoever suspended it"

        suspend(client, held, value=False)

        status = ended(client, "queued")
        assert status["phase"] == "Succeeded", status
        uids = [each["metadata"]["uid"] for each in jobs_of(client, "queued")]
        assert len(uids) == 2, "one Job a step"
        assert job["metadata"]["uid"] in uids
