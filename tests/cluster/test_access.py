"""RBAC held to the audit log: what `zenflow manifests` grants is what the operator uses, all of it and nothing else.

One operator does everything that makes it ask the API server for something, under the account, roles and bindings as
they are printed. (That no test of this folder makes an operator ask for more is asked at the end of the session.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import lightkube
import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, PersistentVolumeClaim
from lightkube.types import CascadeType, PatchType

from tests.cluster.accounts import HOME, UNSEEN, administrator, requests_of, use_of, user_of
from tests.cluster.controlplane import ControlPlane, Job, JobFlow, eventually
from tests.cluster.operators import a_flow, a_step, ended, jobs_of, operator, reached, rows
from zenflow_runtime.access import ACCESS
from zenflow_runtime.installing import EAGER, Installation, granted


def test_no_verb_on_secrets_and_only_reads_of_pods() -> None:
    assert not [each for each in ACCESS if each.resource.startswith("secrets")]
    assert {each.verb for each in ACCESS if each.resource.startswith("pods")} <= {"get", "list", "watch"}
    assert all("*" not in (each.group + each.resource + each.verb) for each in ACCESS)


@pytest.fixture
def place(plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A namespace of which the roles and the account go with the test."""
    yield namespace
    with closing(administrator(plane)) as http:
        for kind in ("clusterroles", "clusterrolebindings"):
            http.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/zenflow-controller")


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(lambda place: Installation(namespace=f"{HOME}-{place}"), id="for all namespaces"),
        pytest.param(lambda place: Installation(only=place), id="for one namespace"),
        pytest.param(lambda place: Installation(only=place, without=frozenset({EAGER})), id="without eager completion"),
    ],
)
def test_what_is_granted_is_what_is_used(
    plane: ControlPlane, client: lightkube.Client, place: str, chosen: Callable[[str], Installation]
) -> None:
    installation = chosen(place)
    with operator(plane, "--artifact-image", "artifacts:1", installation=installation) as running:
        assert ("--no-eager-completion" in running.running.process.args) is bool(installation.without)  # type: ignore[operator]  # a list
        do_everything(client)
        assert running.terminate() == 0
    asked = list(requests_of(plane, user_of(installation)))
    assert [each for each in asked if not each.allowed] == []
    used = {each.use for each in asked}
    assert used == {use_of(access) for access in granted(installation)} - UNSEEN


def do_everything(client: lightkube.Client) -> None:
    """Flows of every feature for which the operator asks for something, side by side, to their ends."""
    lives: list[Iterator[None]] = [life(client) for life in LIVES]
    while lives:
        lives = [life for life in lives if next(life, END) is not END]


END = object()
CLAIM: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
MADE: Final = {
    "configMapTemplates": [{"metadata": {"name": "files"}, "data": {"a": "b"}}],
    "volumeClaimTemplates": [{"metadata": {"name": "space"}, "spec": CLAIM}],
}


def a_life_of_ordinary_steps(client: lightkube.Client) -> Iterator[None]:
    """A chain with a result, an input, a retry, a join; and what it makes by templates."""
    client.create(ConfigMap(metadata=ObjectMeta(name="config"), data={"n": "7"}))
    out = {"parameters": [{"name": "n", "valueFrom": {"jsonPath": "$.n"}}]}
    first = a_step("first", outputs=out, plays={"message": '{"n": 3}'})
    given = {"parameters": [{"name": "n", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "n"}}}]}
    retry = {"limit": 2, "backoff": {"type": "Fixed", "duration": "1s"}}
    flaky = a_step("flaky", "first", inputs=given, retryPolicy=retry, plays={"exit-code": "3,0", "series": "flaky"})
    client.create(a_flow("ordinary", first, flaky, a_step("last", "first", "flaky"), resourceTemplates=MADE))
    yield
    status = ended(client, "ordinary")
    assert status["phase"] == "Succeeded", status
    assert rows(status)["flaky"]["retryCount"] == 1
    assert client.get(ConfigMap, "ordinary-files").data == {"a": "b"}
    assert client.get(PersistentVolumeClaim, "ordinary-space").spec is not None


def a_life_with_artifacts(client: lightkube.Client) -> Iterator[None]:
    """They go into a claim, which nobody binds here: no Pod of the flow ever runs."""
    out = {"artifacts": [{"name": "log", "path": "/log"}]}
    artful = client.create(a_flow("artful", a_step("one", outputs=out)))
    yield

    def claimed() -> bool:
        claims = [each.to_dict()["metadata"] for each in client.list(PersistentVolumeClaim)]
        owners = [owner["uid"] for each in claims for owner in each.get("ownerReferences") or ()]
        return artful["metadata"]["uid"] in owners

    eventually(claimed, "the claim for artifacts")
    eventually(lambda: jobs_of(client, "artful"), "a Job")


def a_life_with_an_approval(client: lightkube.Client) -> Iterator[None]:
    asks = {"name": "ask", "type": "Manual", "dependencies": ["first"]}
    client.create(a_flow("asking", a_step("first"), asks, a_step("last", "ask")))
    yield
    reached(client, "asking", "Paused")
    annotation = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/ask": "true"}}}
    client.patch(JobFlow, "asking", annotation, patch_type=PatchType.MERGE)
    yield
    assert ended(client, "asking")["phase"] == "Succeeded"


def a_life_that_takes_too_long(client: lightkube.Client) -> Iterator[None]:
    client.create(a_flow("slow", a_step("slow", plays={"seconds": "forever"}, timeoutSeconds=2)))
    yield
    assert rows(ended(client, "slow"))["slow"]["reason"] == "StepTimedOut"
    eventually(lambda: not jobs_of(client, "slow"), "the Job to go")


def a_life_that_goes_by_itself(client: lightkube.Client) -> Iterator[None]:
    client.create(a_flow("brief", a_step("one"), executionPolicy={"ttlSecondsAfterFinished": 1}))
    yield
    eventually(lambda: "brief" not in [each["metadata"]["name"] for each in client.list(JobFlow)], "the flow to go")


def a_life_with_names_that_are_taken(client: lightkube.Client) -> Iterator[None]:
    """Somebody else's Job, claim and ConfigMap: they are looked at, and left alone."""
    claim: Any = PersistentVolumeClaim.from_dict({"metadata": {"name": "robbed-space"}, "spec": CLAIM})
    client.create(claim)
    client.create(a_flow("robbed", a_step("one"), resourceTemplates=MADE))
    held = client.create(a_flow("late", a_step("one"), suspend=True))
    yield
    assert ended(client, "robbed")["phase"] == "Failed"
    reached(client, "late", "Suspended")
    taken = a_step("one")["template"]
    name = f"late-one-{held['metadata']['uid'][:8]}"
    client.create(Job.from_dict({"metadata": {"name": name}, "spec": taken["spec"]}))
    client.patch(JobFlow, "late", {"spec": {"suspend": False}}, patch_type=PatchType.MERGE)
    yield
    assert rows(ended(client, "late"))["one"]["reason"] == "JobNameTaken"
    assert not (client.get(Job, name)["metadata"].get("labels") or {}).get("workflow.kube-zen.io/flow")


def a_life_that_makes_room_for_another(client: lightkube.Client) -> Iterator[None]:
    group = {"concurrencyPolicy": "Replace", "concurrencyGroup": "nightly"}
    client.create(a_flow("older", a_step("one", plays={"seconds": "forever"}), executionPolicy=group))
    yield
    reached(client, "older", "Running")
    client.create(a_flow("younger", a_step("one"), executionPolicy=group))
    yield
    assert ended(client, "older")["phase"] == "Failed"
    assert ended(client, "younger")["phase"] == "Succeeded"


def a_life_that_goes_on_where_another_failed(client: lightkube.Client) -> Iterator[None]:
    broken = a_step("two", "one", plays={"exit-code": "1"}, retryPolicy={"limit": 0})
    first = client.create(a_flow("failed", a_step("one"), broken))
    yield
    assert ended(client, "failed")["phase"] == "Failed"
    origin = {"name": "failed", "uid": first["metadata"]["uid"]}
    client.create(a_flow("again", a_step("one"), a_step("two", "one"), retryOf=origin))
    yield
    assert ended(client, "again")["phase"] == "Succeeded"


def a_life_that_is_deleted(client: lightkube.Client) -> Iterator[None]:
    client.create(a_flow("gone", a_step("one", plays={"seconds": "forever"})))
    yield
    eventually(lambda: jobs_of(client, "gone"), "a Job")
    client.delete(JobFlow, "gone", cascade=CascadeType.BACKGROUND)
    yield
    eventually(lambda: not jobs_of(client, "gone"), "the Job to go", within=20)


LIVES: tuple[Callable[[lightkube.Client], Iterator[None]], ...] = (
    a_life_of_ordinary_steps,
    a_life_with_artifacts,
    a_life_with_an_approval,
    a_life_that_takes_too_long,
    a_life_that_goes_by_itself,
    a_life_with_names_that_are_taken,
    a_life_that_makes_room_for_another,
    a_life_that_goes_on_where_another_failed,
    a_life_that_is_deleted,
)
