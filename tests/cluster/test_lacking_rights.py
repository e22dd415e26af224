"""A right that the operator loses while it runs: the step says so. Alone in its file, as no other operator may run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from tests.cluster.accounts import LACKING, administrator, applied, given_rights, user_of
from tests.cluster.controlplane import ControlPlane, eventually
from tests.cluster.operators import a_flow, a_step, ended, operator, status_of
from zenflow_runtime.installing import NAME, Installation


@pytest.fixture
def http(plane: ControlPlane) -> Iterator[httpx2.Client]:
    with administrator(plane) as client:
        yield client


@pytest.fixture
def lacking(http: httpx2.Client) -> Iterator[str]:
    """A namespace whose operator's role the test may change."""
    name = f"{LACKING}right"
    applied(http, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    http.delete(f"/api/v1/namespaces/{name}")


def test_a_step_says_which_right_its_operator_lacks(plane: ControlPlane, http: httpx2.Client, lacking: str) -> None:
    installation = Installation(only=lacking)
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{lacking}/roles/{NAME}"
    with operator(plane, installation=installation), closing(plane.client(lacking)) as client:
        role = http.get(path).json()
        for rule in role["rules"]:
            if rule["resources"] == ["jobs"]:
                rule["verbs"].remove("create")
        assert http.put(path, json=role).status_code == 200
        # The API server learns of a changed role by a watch of its own.
        asks = {"namespace": lacking, "verb": "create", "group": "batch", "resource": "jobs"}
        review = {"spec": {"user": user_of(installation), "resourceAttributes": asks}}
        reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        eventually(lambda: not http.post(reviews, json=review).json()["status"]["allowed"], "the right to be gone")
        client.create(a_flow("blocked", a_step("one")))
        wanted = 'cannot create resource "jobs" in API group "batch"'
        eventually(lambda: wanted in str(status_of(client, "blocked")), "the step to say why it does not run")
        given_rights(plane, installation)
        assert ended(client, "blocked")["phase"] == "Succeeded"
