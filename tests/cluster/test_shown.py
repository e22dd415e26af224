"""What `kubectl` shows of flows on a real server, and flows as they were written for the Go project."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

import lightkube
import pytest
from lightkube.types import PatchType

from tests.cluster.accounts import administrator
from tests.cluster.controlplane import ControlPlane, JobFlow
from tests.cluster.operators import Operating, a_flow, a_step, ended, operator, phases, reached

TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
SHELL: Final = {"command": ["sh", "-c"], "args": ["echo done && sleep 3"]}


@pytest.fixture(scope="module")
def operating(plane: ControlPlane) -> Iterator[Operating]:
    with operator(plane) as running:
        yield running


def columns(plane: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    """The table that the server makes for `kubectl get`, by the name of the flow."""
    path = f"/apis/workflow.kube-zen.io/v1alpha1/namespaces/{namespace}/jobflows"
    with administrator(plane) as http:
        table = http.get(path, headers={"Accept": TABLE}).json()
    names = [each["name"] for each in table["columnDefinitions"]]
    return {row["cells"][0]: dict(zip(names, row["cells"], strict=True)) for row in table["rows"]}


def kubectl(plane: ControlPlane, namespace: str, *arguments: str) -> str:
    """What it prints; it has to succeed."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("needs kubectl on PATH; the same columns are asked of the server without it")
    command = [program, "--kubeconfig", str(plane.kubeconfig), "--namespace", namespace, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("operating")
def test_the_columns_of_a_flow(plane: ControlPlane, client: lightkube.Client, namespace: str) -> None:
    client.create(a_flow("works", a_step("one"), a_step("two", "one")))
    client.create(a_flow("breaks", a_step("one", plays={"exit-code": "1"}), a_step("two", "one")))
    ended(client, "works")
    ended(client, "breaks")
    rows = columns(plane, namespace)
    assert {name: row["Phase"] for name, row in rows.items()} == {"works": "Succeeded", "breaks": "Failed"}
    assert (rows["works"]["Progress"], rows["works"]["Steps"], rows["works"]["Failed"]) == (2, 2, 0)
    assert rows["breaks"]["Failed"] == 1
    assert (rows["works"]["Reason"], rows["breaks"]["Reason"]) == ("FlowSucceeded", "FlowFailed")
    assert rows["breaks"]["Message"] == "step one failed"


@pytest.mark.usefixtures("operating")
def test_kubectl_waits_for_a_flow(plane: ControlPlane, client: lightkube.Client, namespace: str) -> None:
    client.create(a_flow("works", a_step("one"), a_step("two", "one")))
    told = kubectl(plane, namespace, "wait", "--for=condition=Complete", "jobflow/works", "--timeout=60s")
    assert told == "jobflow.workflow.kube-zen.io/works condition met\n"
    header, row = kubectl(plane, namespace, "get", "jf").splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "STEPS", "AGE"]
    assert row.split()[:4] == ["works", "Succeeded", "2", "2"]


# --- manifests as the Go project's users have them -------------------------------------------------------------------


def go_step(name: str, *after: str, **pod: Any) -> dict[str, Any]:
    """A step as they write it: apiVersion and kind in the template, restarts in place, a shell."""
    main = {"name": "main", "image": "busybox:latest", **SHELL, **pod.pop("container", {})}
    spec = {"template": {"spec": {"containers": [main], "restartPolicy": "OnFailure", **pod}}}
    step = {"name": name, "template": {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}}
    return step | ({"dependencies": list(after)} if after else {})


def env(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, **source}


LINEAR: Final = (go_step("wash"), go_step("dry", "wash"), go_step("fold", "dry"))
DAG: Final = (
    go_step("left"),
    go_step("right"),
    go_step("sort-left", "left"),
    go_step("sort-right", "right"),
    go_step("join", "sort-left", "sort-right"),
    go_step("ship", "join"),
)
APPROVED: Final = (
    go_step(
        "save",
        container={
            "env": [
                env("HOST", value="db"),
                env("USER", valueFrom={"secretKeyRef": {"name": "db", "key": "user"}}),
            ],
            "volumeMounts": [{"name": "copies", "mountPath": "/copies"}],
        },
        volumes=[{"name": "copies", "emptyDir": {}}],
    )
    | {"type": "Job"},
    {"name": "agree", "type": "Manual", "dependencies": ["save"], "message": "look at the copy first"},
    go_step(
        "change",
        "agree",
        container={"volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}]},
        volumes=[{"name": "scripts", "configMap": {"name": "scripts"}}],
    )
    | {"type": "Job"},
)


@pytest.mark.usefixtures("operating")
@pytest.mark.parametrize(
    ("steps", "policy"),
    [
        pytest.param(LINEAR, {"concurrencyPolicy": "Forbid", "ttlSecondsAfterFinished": 3600}, id="one by one"),
        pytest.param(DAG, {"concurrencyPolicy": "Allow", "ttlSecondsAfterFinished": 3600}, id="two branches joined"),
        pytest.param(APPROVED, None, id="a step between that a person approves"),
    ],
)
def test_flows_as_they_were_written_for_the_go_project(
    client: lightkube.Client, steps: tuple[Mapping[str, Any], ...], policy: Mapping[str, Any] | None
) -> None:
    spec = {"executionPolicy": policy} if policy else {}
    client.create(a_flow("old", *steps, **spec))
    if policy is None:
        assert phases(reached(client, "old", "Paused"))["change"] == "Pending"
        annotation = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/agree": "true"}}}
        client.patch(JobFlow, "old", annotation, patch_type=PatchType.MERGE)
    status = ended(client, "old")
    assert status["phase"] == "Succeeded"
    assert set(phases(status).values()) == {"Succeeded"}
