"""The admission policies, rule by rule; what the authorizer would say is said here (tests/cluster has a real one)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.schemas.crd import SCHEMAS, answer

APPROVE = "approved.workflow.kube-zen.io/a"
REJECT = "rejected.workflow.kube-zen.io/a"
APPROVER = "approver.workflow.kube-zen.io/a"


def denied(
    name: str, new: Mapping[str, Any], old: Mapping[str, Any] | None = None, *, allowed: bool, user: str = "alice"
) -> str:
    """What the policy says about a request, "" if it lets it through."""
    policy, _ = yaml.safe_load_all((SCHEMAS / f"{name}-policy.yaml").read_text(encoding="utf-8"))
    variables: dict[str, Any] = {}
    data = {"object": new, "oldObject": old, "request": {"userInfo": {"username": user}}, "allowed": allowed}
    for each in policy["spec"]["variables"]:
        variables[each["name"]] = answer(each["expression"], variables=variables, **data)
    for each in policy["spec"]["validations"]:
        if not answer(asked(each["expression"]), variables=variables, **data):
            return str(answer(asked(each["messageExpression"]), variables=variables, **data))
    return ""


def asked(expression: str) -> str:
    return re.sub(r"authorizer\..*?\.allowed\(\)", "allowed", expression, flags=re.DOTALL)


def flow(spec: Mapping[str, Any] | None = None, **annotations: str) -> dict[str, Any]:
    known = {"approve": APPROVE, "reject": REJECT, "approver": APPROVER}
    metadata: dict[str, Any] = {"name": "nightly", "namespace": "ci"}
    if annotations:
        metadata["annotations"] = {known.get(key, key): value for key, value in annotations.items()}
    return {"metadata": metadata, "spec": spec or {}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(None, flow(approve="true"), id="approved at its creation"),
        pytest.param(flow(), flow(approve="true"), id="approved"),
        pytest.param(flow(), flow(reject="no"), id="rejected"),
        pytest.param(flow(), flow(approver="alice"), id="an approver only"),
        pytest.param(flow(approve="false"), flow(approve="true"), id="a value changed"),
        pytest.param(flow(approve="true"), flow(), id="removed, and no annotations left"),
        pytest.param(flow(approve="true", x="y"), flow(x="y"), id="removed"),
    ],
)
def test_only_who_may_approve_touches_an_approval(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    said = denied("approval", new, old, allowed=False)
    assert "user alice needs the verb approve on jobflows in namespace ci" in said
    assert denied("approval", new, old, allowed=True) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(None, flow(), id="created"),
        pytest.param(None, flow(x="y"), id="created with annotations"),
        pytest.param(flow(x="y"), flow(x="z"), id="another annotation changed"),
        pytest.param(
            flow(approve="true", approver="bob"), flow(approve="true", approver="bob", x="z"), id="beside one"
        ),
    ],
)
def test_anybody_may_do_anything_else(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    assert denied("approval", new, old, allowed=False) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(None, flow(approve="true", approver="bob"), id="at creation"),
        pytest.param(flow(), flow(approve="true", approver="bob"), id="both at once"),
        pytest.param(flow(approve="true"), flow(approve="true", approver="bob"), id="the name later"),
        pytest.param(flow(approver="bob"), flow(approver="bob", approve="true"), id="the name was there before"),
        pytest.param(flow(approver="bob"), flow(approver="bob", reject="no"), id="the same for a rejection"),
    ],
)
def test_nobody_approves_in_the_name_of_another(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    assert "user alice can only do so with that name" in denied("approval", new, old, allowed=True)
    assert denied("approval", new, old, allowed=True, user="bob") == ""


def test_who_creates_a_flow_has_to_be_allowed_to_create_jobs() -> None:
    said = denied("author", flow(), allowed=False)
    assert said == "user alice cannot create Jobs in namespace ci, which this flow would make"
    assert denied("author", flow(), allowed=True) == ""


@pytest.mark.parametrize(
    ("group", "place"),
    [pytest.param("configMapTemplates", 1, id="ConfigMaps"), pytest.param("volumeClaimTemplates", 2, id="claims")],
)
def test_and_what_resource_templates_make(group: str, place: int) -> None:
    policy, _ = yaml.safe_load_all((SCHEMAS / "author-policy.yaml").read_text(encoding="utf-8"))
    rule = asked(policy["spec"]["validations"][place]["expression"])
    for given, passes in (({}, True), ({group: []}, True), ({group: [{}]}, False)):
        assert answer(rule, variables={"made": given}, allowed=False) is passes
        assert answer(rule, variables={"made": given}, allowed=True) is True
