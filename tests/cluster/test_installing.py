"""What is printed, applied: admitted by Pod Security, updated under flows that run, removed as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from lightkube.types import PatchType

from tests.cluster.accounts import administrator, applied, path_of
from tests.cluster.controlplane import ControlPlane, Job, JobFlow, control_plane, eventually, fake_node
from tests.cluster.operators import a_flow, a_step, ended, jobs_of, operator, phases, reached
from tests.upgrades.write import CRDS
from zenflow_runtime.installing import NAME, Installation, Manifest, Network, Part, manifests

OLD_CRD: Final = min(CRDS.glob("*.yaml"))
POLICY_KINDS: Final = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def a_pod(deployment: Manifest, name: str, **container: Any) -> Manifest:
    """The Pod that its controller would make."""
    template = json.loads(json.dumps(deployment["spec"]["template"]))
    template["spec"]["containers"][0] |= container
    metadata = template["metadata"] | {"name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def test_everything_is_admitted_and_the_pod_is_restricted(plane: ControlPlane) -> None:
    home = "strict-install"
    network = Network(("10.0.0.1/32:6443", "2001:db8::/64:443"))
    installation = Installation(
        parts=frozenset(Part),
        namespace=home,
        replicas=2,
        network=network,
        priority_class="system-cluster-critical",
    )
    with closing(administrator(plane)) as http:
        made = list(manifests(installation))
        assert made[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        try:
            for each in made:
                if each["kind"] != "CustomResourceDefinition":  # the one of the session
                    applied(http, each)
            (deployment,) = (each for each in made if each["kind"] == "Deployment")
            pods = f"/api/v1/namespaces/{home}/pods?dryRun=All"
            answer = http.post(pods, json=a_pod(deployment, "as-printed"))
            assert answer.status_code == 201, answer.text
            loose = a_pod(deployment, "loose", securityContext={"allowPrivilegeEscalation": True})
            refused = http.post(pods, json=loose)
            assert (refused.status_code, "restricted" in refused.text) == (403, True), "Pod Security is at work"
            _evictable(http, home)
        finally:
            for each in reversed(made):
                if each["kind"] != "CustomResourceDefinition":
                    http.delete(path_of(each))


def _evictable(http: httpx2.Client, home: str) -> None:
    """The budget covers the Pods of the Deployment: the controller has counted them."""

    def counted() -> bool:
        found = http.get(f"/apis/policy/v1/namespaces/{home}/poddisruptionbudgets/{NAME}").json()
        return bool(found.get("status", {}).get("expectedPods") == 2)

    eventually(counted, "both Pods to be counted by the budget")


def test_a_policy_with_a_namespace_is_taken_without_it(plane: ControlPlane) -> None:
    """kustomize puts one on what it does not know to have none."""
    made = [each for each in manifests(Installation()) if each["kind"] in POLICY_KINDS]
    with closing(administrator(plane)) as http:
        for each in made:
            placed = {**each, "metadata": {**each["metadata"], "namespace": "ops"}}
            path = path_of(each) + "?fieldManager=tests&force=true&dryRun=All"
            headers = {"Content-Type": "application/apply-patch+yaml"}
            answer = http.patch(path, content=json.dumps(placed), headers=headers)
            assert answer.status_code in (200, 201), answer.text
            assert "namespace" not in answer.json()["metadata"]


@pytest.fixture
def older(plane: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster of its own, with the API as it was first released."""
    with control_plane(plane.binary, tmp_path / "older", jobflow_crd=OLD_CRD) as running, fake_node(running):
        yield running


def test_an_update_under_flows_that_run_and_the_removal_of_everything(older: ControlPlane) -> None:
    slow = {"plays": {"seconds": "6"}}
    # Not where the flows are: that namespace is restricted, and their Pods are not.
    installation = Installation(namespace="zenflow-home", artifacts=None)
    with closing(older.client("default")) as client, closing(administrator(older)) as http:
        # Stored under the older API, whose operator is not there any more; this one waits for its own API.
        client.create(a_flow("lasting", a_step("one", **slow), a_step("two", "one")))
        client.create(a_flow("asking", {"name": "ask", "type": "Manual"}, a_step("last", "ask")))
        # The order of docs/install.md: the API first, then the rest.
        for each in manifests(installation):
            applied(http, each)
        with operator(older, installation=installation) as first:
            reached(client, "asking", "Paused")
            eventually(lambda: jobs_of(client, "lasting"), "a Job")
            before = [job["metadata"]["uid"] for job in jobs_of(client, "lasting")]
            assert first.terminate() == 0
        for each in manifests(installation):
            applied(http, each)
        with operator(older, installation=installation) as second:
            status = ended(client, "lasting")
            assert phases(status) == {"one": "Succeeded", "two": "Succeeded"}
            assert before[0] in [job["metadata"]["uid"] for job in jobs_of(client, "lasting")], "no Job is made twice"
            assert len(jobs_of(client, "lasting")) == 2
            approval = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/ask": "true"}}}
            client.patch(JobFlow, "asking", approval, patch_type=PatchType.MERGE)
            assert ended(client, "asking")["phase"] == "Succeeded"
            # Removal: the operator goes, and a Job that runs goes on.
            client.create(a_flow("left", a_step("one", plays={"seconds": "forever"}), a_step("two", "one")))
            eventually(lambda: jobs_of(client, "left"), "a Job")
            assert second.terminate() == 0
        for each in reversed(list(manifests(installation))):
            if each["kind"] not in ("CustomResourceDefinition", "Namespace"):
                assert http.delete(path_of(each)).status_code in (200, 202)
        assert [job for job in jobs_of(client, "left") if "deletionTimestamp" not in job["metadata"]]
        assert client.get(JobFlow, "left")["status"]["phase"] == "Running", "flows are still there"
        # The API goes, and takes every flow and every Job of theirs with it.
        (crd,) = (each for each in manifests(installation) if each["kind"] == "CustomResourceDefinition")
        assert http.delete(path_of(crd)).status_code == 200
        eventually(lambda: http.get(path_of(crd)).status_code == 404, "the API to be gone")
        eventually(lambda: not list(client.list(Job)), "the Jobs of all flows to be gone", within=90)
