"""The CRD, the policies and the roles on a real API server, asked what tests/schemas asks of them in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.cluster.accounts import administrator, path_of
from tests.cluster.controlplane import ControlPlane, eventually
from tests.schemas import test_crd as asked
from tests.schemas.crd import SCHEMAS, refusals
from zenflow_core.plan import PlannedStep
from zenflow_core.spec import GROUP, StepName
from zenflow_core.status import write_flow as write_status
from zenflow_core.status import write_row
from zenflow_runtime.access import ACCESS
from zenflow_runtime.installing import EAGER, LEASE, NAME, NAMESPACE, Installation, Part, manifests

DEFAULTS: Final = {"concurrencyPolicy": "Forbid", "ttlSecondsAfterFinished": 86400, "backoffLimit": 6}
PATCHES: Final = {
    "apply": "application/apply-patch+yaml",
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
}
APPROVE, APPROVER = f"approved.{GROUP}/a", f"approver.{GROUP}/a"


@pytest.fixture(scope="module")
def http(plane: ControlPlane) -> Iterator[httpx2.Client]:
    with administrator(plane) as client:
        yield client


def flows(namespace: str, name: str = "") -> str:
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/jobflows" + (f"/{name}" if name else "")


def patched(http: httpx2.Client, path: str, body: Any, *, kind: str = "merge", user: str = "", **query: str) -> Any:
    headers = {"Content-Type": PATCHES[kind]} | ({"Impersonate-User": user} if user else {})
    return http.patch(path, content=json.dumps(body), headers=headers, params=query)


# --- the CRD ---------------------------------------------------------------------------------------------------------

HUGE: Final = 3_000_000
"""The most that the API server reads of one request."""

WRITTEN: Final = [
    *(pytest.param(asked.flow_in(path), id=path.stem) for path in asked.EXAMPLES),
    *asked.flows_of_cases(),
    *(row for row in asked.JUDGED if len(json.dumps(row.values[0])) < HUGE),
    *(pytest.param(row.values[0], id=f"is refused: {row.id}") for row in asked.rows_of(asked.test_is_refused)),
    *(pytest.param(row.values[0], id=f"is accepted: {row.id}") for row in asked.rows_of(asked.test_is_accepted)),
]


@pytest.fixture(scope="module")
def anywhere() -> str:
    """A namespace for requests that leave nothing behind."""
    return "default"


@pytest.mark.parametrize("written", WRITTEN)
def test_the_server_says_what_the_schema_says_in_python_and_keeps_all(
    http: httpx2.Client, anywhere: str, written: Mapping[str, Any]
) -> None:
    """Unknown fields would be refused (Strict), so what is accepted is stored as it is, but for its defaults."""
    sent = {**written, "metadata": {"name": "nightly"}}
    response = http.post(flows(anywhere), json=sent, params={"dryRun": "All", "fieldValidation": "Strict"})
    assert response.status_code in (201, 400, 422), response.text
    assert (response.status_code == 201) is (refusals(sent) == []), response.text[:2000]
    if response.status_code == 201:
        spec = json.loads(json.dumps(sent["spec"]))
        spec["executionPolicy"] = DEFAULTS | (spec.get("executionPolicy") or {})
        assert plain(response.json()["spec"]) == plain(spec)


def plain(value: Any) -> Any:
    """Without nulls, which the server drops where they stand for a field that is not given."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def started(http: httpx2.Client, namespace: str) -> Mapping[str, Any]:
    response = http.post(flows(namespace), json=asked.STARTED)
    assert response.status_code == 201, response.text
    stored: dict[str, Any] = response.json()
    return stored


def test_what_a_flow_is_cannot_be_edited(http: httpx2.Client, namespace: str, started: Mapping[str, Any]) -> None:
    """Nor with a status sent along that looks like progress, where the rules do not compare what is large."""
    path = flows(namespace, "nightly")
    moved = {"status": {"progress": {"totalSteps": 3, "completedSteps": 1}}}
    stored = patched(http, f"{path}/status", moved)
    assert stored.status_code == 200, stored.text
    forged = {"status": {"progress": {"totalSteps": 3, "completedSteps": 2}}}
    for row in asked.rows_of(asked.test_what_a_flow_is_cannot_be_edited):
        path, value = row.values
        edited = {**stored.json(), "spec": asked.edited(path, value)["spec"], **forged}
        response = http.put(flows(namespace, "nightly"), json=edited, params={"dryRun": "All"})
        assert response.status_code == 422, row.id
        assert f"{path.partition('.')[0]} cannot be changed once the flow exists" in response.json()["message"]


def test_how_a_flow_runs_can_be_edited(http: httpx2.Client, namespace: str, started: Mapping[str, Any]) -> None:
    for row in asked.rows_of(asked.test_how_a_flow_runs_can_be_edited):
        edited = {**started, "spec": asked.edited(*row.values)["spec"]}
        response = http.put(flows(namespace, "nightly"), json=edited, params={"dryRun": "All"})
        assert response.status_code == 200, (row.id, response.text)


def test_a_status_with_every_field_is_stored_as_it_is(
    http: httpx2.Client, namespace: str, started: Mapping[str, Any]
) -> None:
    rows = [write_row(PlannedStep(StepName(name), 0, 0), asked.EVERYTHING) for name in "ab"]
    progress = {"completedSteps": 2, "totalSteps": 3, "successfulSteps": 0, "failedSteps": 2}
    status = {**write_status(asked.FLOW), "progress": progress, "steps": rows}
    patch = [{"op": "add", "path": "/status", "value": status}]
    response = patched(http, flows(namespace, "nightly") + "/status", patch, kind="json", fieldValidation="Strict")
    assert response.status_code == 200, response.text
    assert response.json()["status"] == json.loads(json.dumps(status))
    table = http.get(flows(namespace), headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json()
    names = [column["name"] for column in table["columnDefinitions"]]
    cells = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert (cells["Name"], cells["Phase"], cells["Progress"], cells["Steps"]) == ("nightly", "Failed", 2, 3)


def test_a_number_beyond_its_format_is_not_stored(http: httpx2.Client, anywhere: str) -> None:
    """One such object would keep a typed client from reading the list of all."""
    wide = asked.manifest(executionPolicy={"ttlSecondsAfterFinished": 3_000_000_000})
    assert http.post(flows(anywhere), json=wide, params={"dryRun": "All"}).status_code == 422


# --- the policies ----------------------------------------------------------------------------------------------------

ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
PLURALS: Final = {
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
}


@pytest.fixture(scope="module")
def policies(http: httpx2.Client) -> Iterator[None]:
    """Both policies, at work; gone at the end, since other tests approve as they like."""
    made = [
        each
        for name in ("approval", "author")
        for each in yaml.safe_load_all((SCHEMAS / f"{name}-policy.yaml").read_text(encoding="utf-8"))
    ]
    for each in made:
        response = http.post(PLURALS[each["kind"]], json=each, params={"fieldValidation": "Strict"})
        assert response.status_code == 201, response.text
    yield
    for each in reversed(made):
        http.delete(f"{PLURALS[each['kind']]}/{each['metadata']['name']}")


@pytest.fixture
def people(http: httpx2.Client, namespace: str, policies: None) -> str:
    """Users `editor`, `approver` (who may do the same and approve) and `stranger` (who may not create Jobs)."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}
    edit = ["get", "create", "update", "patch"]
    for user, verbs, more in (
        ("editor", edit, [jobs]), ("approver", [*edit, "approve"], [jobs]), ("stranger", ["create"], []),
    ):  # fmt: skip
        rules = [{"apiGroups": [GROUP], "resources": ["jobflows"], "verbs": verbs}, *more]
        assert http.post(f"{base}/roles", json={"metadata": {"name": user}, "rules": rules}).status_code == 201
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        body = {"metadata": {"name": user}, "roleRef": role, "subjects": [subject]}
        assert http.post(f"{base}/rolebindings", json=body).status_code == 201

    # A policy works some moments after it was made, for all at once.
    def refused(user: str, given: Mapping[str, str]) -> bool:
        return create(http, namespace, user, given, dry=True).status_code == 403

    eventually(lambda: refused("editor", {APPROVE: "true"}), "the policy that guards approvals")
    eventually(lambda: refused("stranger", {}), "the policy about authors")
    eventually(lambda: not refused("editor", {}), "the roles")
    return namespace


def create(
    http: httpx2.Client, namespace: str, user: str, annotations: Mapping[str, str], *, dry: bool = False, **spec: Any
) -> httpx2.Response:
    flow = deepcopy(asked.manifest(asked.step(type="Manual"), **spec))
    flow["metadata"]["annotations"] = dict(annotations)
    query = {"dryRun": "All"} if dry else {}
    return http.post(flows(namespace), json=flow, headers={"Impersonate-User": user}, params=query)


def test_only_who_has_the_verb_approves(http: httpx2.Client, people: str) -> None:
    path = flows(people, "nightly")

    def annotate(user: str, **annotations: str | None) -> int:
        known = {"approve": APPROVE, "approver": APPROVER, "other": "team"}
        body = {"metadata": {"annotations": {known[key]: value for key, value in annotations.items()}}}
        code: int = patched(http, path, body, user=user).status_code
        return code

    assert create(http, people, "editor", {APPROVE: "true"}).status_code == 403
    assert create(http, people, "editor", {"team": "a"}).status_code == 201
    assert annotate("editor", approve="true") == 403
    assert annotate("approver", approve="true", approver="editor") == 403, "not in the name of another"
    assert annotate("approver", approve="true", approver="approver") == 200
    assert annotate("editor", approve=None) == 403, "nor taken back"
    assert annotate("editor", other="b") == 200, "all else as before"
    assert annotate("approver", approve=None) == 200


def test_a_generated_name_can_be_approved_at_its_creation(http: httpx2.Client, people: str) -> None:
    flow = asked.manifest(asked.step(type="Manual"))
    flow["metadata"] = {"generateName": "nightly-", "annotations": {APPROVE: "true"}}
    for user, code in (("approver", 201), ("editor", 403)):
        assert http.post(flows(people), json=flow, headers={"Impersonate-User": user}).status_code == code


def test_who_creates_a_flow_has_to_be_allowed_what_it_makes(http: httpx2.Client, people: str) -> None:
    refused = create(http, people, "stranger", {})
    assert refused.status_code == 403
    assert f"user stranger cannot create Jobs in namespace {people}" in refused.json()["message"]
    makes = {"resourceTemplates": {"configMapTemplates": [{"metadata": {"name": "c"}}]}}
    assert create(http, people, "editor", {}, dry=True, **makes).status_code == 403
    assert create(http, people, "editor", {}, dry=True).status_code == 201


# --- what `zenflow manifests` prints ---------------------------------------------------------------------------------


def test_everything_that_is_printed_can_be_applied_and_gives_just_these_rights(http: httpx2.Client) -> None:
    """The Pod fits a namespace that enforces the restricted standard; the account may what ACCESS says, no more."""
    installation = Installation(replicas=2, parts=frozenset(Part), without=frozenset({EAGER}))
    made: list[str] = []
    try:
        for each in manifests(installation):
            cluster_wide = each["kind"] in ("CustomResourceDefinition", *PLURALS)
            query = {"dryRun": "All"} if cluster_wide or each["kind"] == "Deployment" else {}
            response = patched(
                http,
                path_of(each),
                each,
                kind="apply",
                fieldManager="tests",
                fieldValidation="Strict",
                force="true",
                **query,
            )
            assert response.status_code in (200, 201), response.text
            if not query:
                made.append(path_of(each))
            if each["kind"] == "Deployment":
                pod = {**each["spec"]["template"], "apiVersion": "v1", "kind": "Pod"}
                pod["metadata"] = {**pod["metadata"], "name": "controller"}
                pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
                assert http.post(pods, json=pod, params={"dryRun": "All"}).status_code == 201
        for access in ACCESS:
            leases = access.resource == "leases"
            name = LEASE if leases and access.verb != "create" else ""
            where = NAMESPACE if leases else "default"
            question = (access.verb, access.group, access.resource, where, name)
            assert may(http, *question) is (access.needs != EAGER), question
        for question in (
            *((verb, "", "secrets", "default", "") for verb in ("get", "list", "watch")),
            ("update", GROUP, "jobflows", "default", ""), ("approve", GROUP, "jobflows", "default", ""),
            ("get", "coordination.k8s.io", "leases", NAMESPACE, "another"), ("list", "", "configmaps", "default", ""),
        ):  # fmt: skip
            assert not may(http, *question), question
    finally:
        for path in reversed(made):
            http.delete(path)


def may(http: httpx2.Client, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
    """Whether the operator's account may do this."""
    resource, _, subresource = resource.partition("/")
    asks = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name}
    user = f"system:serviceaccount:{NAMESPACE}:{NAME}"
    body = {"spec": {"user": user, "resourceAttributes": asks | {"namespace": namespace}}}
    response = http.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=body)
    allowed: bool = response.json()["status"]["allowed"]
    return allowed
