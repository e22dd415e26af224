"""What becomes of flows that are there when the operator comes: another controller's, and restored ones.

docs/migrating-from-zen-flow.md and docs/operating.md say it; the restore is the one of that page, with its own `jq`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.types import PatchType

from tests.cluster.controlplane import ControlPlane, Job, JobFlow, eventually
from tests.cluster.operators import a_flow, a_step, ended, jobs_of, operator, phases, reached, rows, status_of
from tests.docs.pages import DOCS

HOUR: Final = timedelta(hours=1)


def at(ago: timedelta) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


def foreign(phase: str, build: str, deploy: str, *, over: timedelta | None = None, why: str = "") -> dict[str, Any]:
    """A status as the Go project writes it: no attempts, no causes, one condition at most."""
    steps: list[dict[str, Any]] = [{"name": "build", "phase": build, "jobRef": {}}, {"name": "deploy", "phase": deploy}]
    for row in steps:
        if row["phase"] != "Pending":
            row["startTime"] = at(2 * HOUR)
        if row["phase"] == "Succeeded":
            row["completionTime"] = at(2 * HOUR)
    status: dict[str, Any] = {"phase": phase, "startTime": at(2 * HOUR), "steps": steps}
    if why:
        ready = {"type": "Ready", "status": "False", "reason": why, "message": "", "lastTransitionTime": at(HOUR)}
        status["conditions"] = [ready]
    return status if over is None else status | {"completionTime": at(over)}


STORED: Final[Mapping[str, dict[str, Any] | None]] = {
    "fresh": None,
    "between": foreign("Running", "Succeeded", "Pending"),
    "at-work": foreign("Running", "Running", "Pending"),
    "done": foreign("Succeeded", "Succeeded", "Succeeded", over=HOUR / 2),
    "long-done": foreign("Succeeded", "Succeeded", "Succeeded", over=HOUR),
    "too-late": foreign("Failed", "Failed", "Pending", over=HOUR / 2, why="ActiveDeadlineExceeded"),
}
"""A flow for each row of the page's table; each is kept for an hour."""


def store(client: lightkube.Client) -> None:
    """All of them, and the Job of the one that is at work, as their controller makes it."""
    for name, status in STORED.items():
        policy = {"ttlSecondsAfterFinished": 3600, "concurrencyPolicy": "Allow"}
        flow = client.create(a_flow(name, a_step("build"), a_step("deploy", "build"), executionPolicy=policy))
        if status is not None:
            client.patch(JobFlow.Status, name, {"status": status}, patch_type=PatchType.MERGE)
        if name == "at-work":
            uid = flow["metadata"]["uid"]
            owner = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow", "name": name, "uid": uid}
            labels = {"workflow.kube-zen.io/flow": name, "workflow.kube-zen.io/step": "build"}
            metadata = {
                "name": f"at-work-build-{uid[:8]}",
                "labels": labels | {"workflow.kube-zen.io/managed-by": "zen-flow"},
                "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
            }
            client.create(Job.from_dict({"metadata": metadata, "spec": a_step("build")["template"]["spec"]}))


def reasons(status: Mapping[str, Any]) -> set[str]:
    return {each["reason"] for each in status["conditions"] if each["type"] in ("Ready", "Failed", "Complete")}


def test_stored_flows_of_the_go_project_go_on_as_the_page_says(plane: ControlPlane, client: lightkube.Client) -> None:
    store(client)
    with operator(plane):
        assert ended(client, "fresh")["phase"] == "Succeeded", "one without a status begins"
        between = ended(client, "between")
        assert between["phase"] == "Succeeded"
        assert [job["metadata"]["labels"]["workflow.kube-zen.io/step"] for job in jobs_of(client, "between")] == [
            "deploy"
        ]
        at_work = ended(client, "at-work")
        assert (at_work["phase"], rows(at_work)["build"]["reason"]) == ("Failed", "JobNameTaken")
        assert len(jobs_of(client, "at-work")) == 1, "their Job is left alone, and no other is made beside it"
        eventually(lambda: status_of(client, "done").get("decidedBy"), "done to be decided about")
        assert (status_of(client, "done")["phase"], phases(status_of(client, "done"))["deploy"]) == (
            "Succeeded",
            "Succeeded",
        )
        eventually(lambda: status_of(client, "too-late").get("decidedBy"), "too-late to be decided about")
        too_late = status_of(client, "too-late")
        assert (too_late["phase"], reasons(too_late)) == ("Failed", {"ActiveDeadlineExceeded"})
        assert jobs_of(client, "too-late") == []
        eventually(lambda: _is_gone(client, "long-done"), "long-done to be deleted: its TTL is over")


def _is_gone(client: lightkube.Client, name: str) -> bool:
    try:
        client.get(JobFlow, name)
    except ApiError as error:
        return error.status.code == 404
    return False


def selection() -> str:
    """The program that docs/operating.md gives to `jq`."""
    found = re.search(r"jq '(.+?)' > flows.json", (DOCS / "operating.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, "the page restores by jq"
    return found[1]


def test_a_restored_flow_waits_and_then_runs_from_its_beginning(plane: ControlPlane, client: lightkube.Client) -> None:
    program = shutil.which("jq")
    if program is None:
        pytest.skip("needs jq on PATH, which the page takes for its restore")
    with operator(plane):
        client.create(a_flow("over", a_step("build")))
        client.create(a_flow("open", a_step("build"), {"name": "agree", "type": "Manual", "dependencies": ["build"]}))
        ended(client, "over")
        old = reached(client, "open", "Paused")
        stored = json.dumps({"items": list(client.list(JobFlow))})
        kept = json.loads(
            subprocess.run([program, selection()], input=stored, text=True, capture_output=True, check=True).stdout
        )
        assert [flow["metadata"]["name"] for flow in kept["items"]] == ["open"]
        client.delete(JobFlow, "over")
        client.delete(JobFlow, "open")
        eventually(lambda: _is_gone(client, "open") and _is_gone(client, "over"), "both to be gone")
        (flow,) = kept["items"]
        client.create(JobFlow.from_dict(flow | {"status": old}))
        assert phases(reached(client, "open", "Suspended")) == {"build": "Pending", "agree": "Pending"}
        client.patch(JobFlow, "open", {"spec": {"suspend": False}}, patch_type=PatchType.MERGE)
        assert phases(reached(client, "open", "Paused")) == {"build": "Succeeded", "agree": "PendingApproval"}
