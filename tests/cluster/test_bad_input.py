"""What people and machines do to flows that they should not: it is said, and nothing else suffers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import lightkube
import pytest
import yaml
from lightkube.types import PatchType

from tests.cluster.accounts import (
    EVERYWHERE,
    LACKING,
    administrator,
    applied,
    given_rights,
    home_of,
    requests_of,
)
from tests.cluster.controlplane import JOBFLOW_CRD, ControlPlane, Job, control_plane, eventually
from tests.cluster.operators import (
    Operating,
    a_flow,
    a_step,
    ended,
    jobs_of,
    launched,
    operator,
    phases,
    reached,
    rows,
)
from zenflow_runtime.installing import NAME, Installation

LONG = {"seconds": "2"}
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/jobflows.workflow.kube-zen.io"


@pytest.fixture(scope="module")
def operating(plane: ControlPlane) -> Iterator[Operating]:
    with operator(plane) as running:
        yield running


@pytest.fixture(scope="module")
def http(plane: ControlPlane) -> Iterator[httpx2.Client]:
    with administrator(plane) as client:
        yield client


def write_status(http: httpx2.Client, namespace: str, name: str, patch: list[Mapping[str, Any]]) -> None:
    """As somebody would with `kubectl edit --subresource=status`."""
    path = f"/apis/workflow.kube-zen.io/v1alpha1/namespaces/{namespace}/jobflows/{name}/status"
    answer = http.patch(path, json=patch, headers={"Content-Type": "application/json-patch+json"})
    assert answer.status_code == 200, answer.text


def writes_of(plane: ControlPlane, namespace: str, name: str) -> int:
    """Status writes of the operator for one flow."""
    asked = [each for each in requests_of(plane) if (each.namespace, each.name) == (namespace, name)]
    return sum((each.use.verb, each.use.resource) == ("patch", "jobflows/status") for each in asked)


@pytest.mark.usefixtures("operating")
def test_an_invalid_flow_that_got_in_fails_at_once_with_all_its_problems(
    plane: ControlPlane, client: lightkube.Client, namespace: str
) -> None:
    steps = [a_step("a", "b"), a_step("b", "a"), a_step("c", "nobody")]
    client.create(a_flow("wrong", *steps))
    client.create(a_flow("right", a_step("one", plays=LONG), a_step("two", "one")))
    status = ended(client, "wrong")
    (ready,) = (each for each in status["conditions"] if each["type"] == "Ready")
    assert (status["phase"], ready["status"], ready["reason"]) == ("Failed", "False", "ValidationFailed")
    assert "nobody" in ready["message"]
    assert "cycle" in ready["message"]
    assert ended(client, "right")["phase"] == "Succeeded"  # seconds later
    assert jobs_of(client, "wrong") == []
    assert 1 <= writes_of(plane, namespace, "wrong") <= 2


@pytest.mark.usefixtures("operating")
@pytest.mark.parametrize(
    "patch",
    [
        pytest.param([{"op": "remove", "path": "/status"}], id="all of it removed"),
        pytest.param([{"op": "replace", "path": "/status/phase", "value": "Pending"}], id="another phase"),
        pytest.param([{"op": "remove", "path": "/status/steps"}], id="no rows"),
        pytest.param([{"op": "remove", "path": "/status/steps/0"}], id="a row less"),
        pytest.param([{"op": "remove", "path": "/status/steps/0/jobRef"}], id="a Job forgotten"),
    ],
)
def test_a_status_edited_by_hand(
    http: httpx2.Client, client: lightkube.Client, namespace: str, patch: list[Mapping[str, Any]]
) -> None:
    """The flow goes on, and no Job is made a second time."""
    client.create(a_flow("edited", a_step("one", plays=LONG), a_step("two", "one")))
    eventually(lambda: "jobRef" in (rows(reached(client, "edited", "Running"))["one"]), "the Job's uid in the status")
    write_status(http, namespace, "edited", patch)
    status = ended(client, "edited")
    assert (status["phase"], phases(status)) == ("Succeeded", {"one": "Succeeded", "two": "Succeeded"})
    assert len(jobs_of(client, "edited")) == 2


NOT_OURS = [
    pytest.param({"ownerReferences": None}, id="without its owner"),
    pytest.param({"labels": {"workflow.kube-zen.io/managed-by": None}}, id="without the label that is watched"),
    pytest.param({"labels": {"workflow.kube-zen.io/attempt": None}}, id="without the label of its attempt"),
    pytest.param({"labels": {"workflow.kube-zen.io/step": "two"}}, id="with the label of another step"),
]


@pytest.mark.usefixtures("operating")
@pytest.mark.parametrize("change", NOT_OURS)
def test_a_job_that_does_not_say_any_more_whose_it_is_counts_as_lost(
    client: lightkube.Client, change: Mapping[str, Any]
) -> None:
    """A Job is the flow's by owner and labels together. One that is not is never touched, and the step says so."""
    client.create(a_flow("robbed", a_step("one", plays=LONG), a_step("two", "one")))
    (job,) = eventually(lambda: jobs_of(client, "robbed"), "a Job")
    reached(client, "robbed", "Running")
    client.patch(Job, job["metadata"]["name"], {"metadata": change}, patch_type=PatchType.MERGE)
    status = ended(client, "robbed")
    assert (status["phase"], phases(status)) == ("Failed", {"one": "Failed", "two": "Skipped"})
    assert rows(status)["one"]["reason"] == "JobLost"
    assert "vanished" in rows(status)["one"]["message"]
    assert client.get(Job, job["metadata"]["name"])["metadata"]["uid"] == job["metadata"]["uid"]


@pytest.mark.usefixtures("operating")
def test_a_job_that_only_looks_like_ours_is_nobodys(client: lightkube.Client, operating: Operating) -> None:
    foreign = a_step("one")["template"]["spec"]
    labels = {"workflow.kube-zen.io/managed-by": "zen-flow", "workflow.kube-zen.io/flow": "mine"}
    odd = {"workflow.kube-zen.io/step": "one", "workflow.kube-zen.io/attempt": "many"}
    client.create(Job.from_dict({"metadata": {"name": "odd", "labels": labels | odd}, "spec": foreign}))
    client.create(a_flow("mine", a_step("one")))
    assert ended(client, "mine")["phase"] == "Succeeded"
    assert client.get(Job, "odd")["metadata"].get("deletionTimestamp") is None
    assert operating.page("/healthz") == (200, "ok\n")


# --- what has not been installed as it should ------------------------------------------------------------------------


@pytest.fixture
def older_crd(tmp_path: Path) -> Path:
    """The CRD of a version that did not know all fields of the status."""
    definition = yaml.safe_load(JOBFLOW_CRD.read_text(encoding="utf-8"))
    status = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    del status["properties"]["steps"]["items"]["properties"]["outputs"]
    status["properties"]["phase"]["enum"].remove("Suspended")
    file = tmp_path / "older.yaml"
    file.write_text(yaml.safe_dump(definition), encoding="utf-8")
    return file


def test_an_operator_waits_for_an_api_that_keeps_what_it_writes(
    plane: ControlPlane, older_crd: Path, tmp_path: Path
) -> None:
    command = "zenflow manifests --no-operator | kubectl apply --server-side --force-conflicts -f -"
    fix = f"fix: an administrator runs: {command}"
    with (
        control_plane(plane.binary, tmp_path / "plane", jobflow_crd=older_crd) as other,
        administrator(other) as http,
        launched(other, given_rights(other), home=home_of(EVERYWHERE)) as running,
    ):

        def unready(saying: str) -> str | None:
            try:
                code, text = running.page("/readyz")
            except httpx2.TransportError:
                return None
            return text if code == 503 and saying in text else None

        old = eventually(lambda: unready("of an older version"), "the operator to say that the CRD is old")
        assert "does not keep status.phase: Suspended, status.steps[].outputs\n" in old
        assert fix in old
        assert running.page("/healthz") == (200, "ok\n")
        assert any(each["level"] == "error" and fix in each.get("lack", "") for each in running.said())
        assert http.delete(DEFINITION).status_code == 200
        missing = eventually(lambda: unready("knows no jobflows.workflow.kube-zen.io"), "it to say that there is none")
        assert fix in missing
        definition = yaml.safe_load(JOBFLOW_CRD.read_text(encoding="utf-8"))
        eventually(lambda: http.get(DEFINITION).status_code == 404, "the old CRD to go")
        applied(http, definition)
        eventually(lambda: running.page("/readyz")[0] == 200, "the operator to begin")
        assert running.terminate() == 0


_numbers = itertools.count(1)


@pytest.fixture
def lacking(plane: ControlPlane, http: httpx2.Client) -> Iterator[str]:
    """A namespace whose operator's role a test may change."""
    name = f"{LACKING}{next(_numbers)}"
    applied(http, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    http.delete(f"/api/v1/namespaces/{name}")


LACKS = (
    'jobs have not been listed: the operator\'s role lacks the rule apiGroups ["batch"], resources ["jobs"], verbs '
    '["list"] (find the Jobs of all flows at the start and after a lost watch): apply what `zenflow manifests` prints\n'
)


def test_a_right_that_is_missing_is_named(plane: ControlPlane, http: httpx2.Client, lacking: str) -> None:
    installation = Installation(only=lacking)
    kubeconfig = given_rights(plane, installation)
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{lacking}/roles/{NAME}"
    role = http.get(path).json()
    for rule in role["rules"]:
        if rule["resources"] == ["jobs"]:
            rule["verbs"].remove("list")
    assert http.put(path, json=role).status_code == 200
    with launched(plane, kubeconfig, "--watch-namespace", lacking, home=lacking) as running:

        def unready() -> str | None:
            try:
                code, text = running.page("/readyz")
            except httpx2.TransportError:
                return None
            return text if code == 503 and "lacks" in text else None

        assert eventually(unready, "the operator to say what it lacks") == LACKS
        given_rights(plane, installation)
        eventually(lambda: running.page("/readyz")[0] == 200, "the operator to begin")
