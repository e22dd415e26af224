"""A life from a web page to S3 with a retry in the middle, and a search of everything for the secret it ran with."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from attrs import define

from tests.artifacts.servers import Answer, Asked, serving
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operators import phases, rows
from tests.node.conftest import SYSTEM, Kubectl
from tests.node.flows import Home, Status, a_flow, a_step
from tests.node.stores import EVERYWHERE, Store, give_credentials, give_secret

BUCKET: Final = "shown"
PLANTED: Final = ("planted-password-8f31c0", "planted-store-key-55ad90")
"""One that a step's container gets, and one by which our own containers ask the store."""

PAGE: Final = b"".join(b"row %d of the table\n" % number for number in range(900))
PARTS: Final = 3


def artifact(name: str, maker: str) -> dict[str, Any]:
    return {"name": name, "path": f"/in/{name}", "from": f"{maker}/{name}"}


def the_flow(url: str, store: Store) -> Any:
    """Fetch, transform, fan out, gather, verify."""
    fetch = a_step(
        "fetch",
        command="cp /in/rows /out/rows",
        inputs={"artifacts": [{"name": "rows", "path": "/in/rows", "http": {"url": url}}]},
        outputs={"artifacts": [{"name": "rows", "path": "/out/rows"}]},
    )
    transform = a_step(
        "transform",
        "fetch",
        # The first attempt ends in the middle of its work.
        command='case "$HOSTNAME" in *-r1-*);; *) echo x >/out/upper; exit 3;; esac; tr a-z A-Z </in/rows >/out/upper',
        retryPolicy={"limit": 1, "backoff": {"type": "Fixed", "duration": "1s"}},
        inputs={"artifacts": [artifact("rows", "fetch")]},
        outputs={"artifacts": [{"name": "upper", "path": "/out/upper"}]},
    )
    parts = [
        a_step(
            f"part-{number}",
            "transform",
            command=f"sed -n '{number * 300 + 1},{number * 300 + 300}p' /in/upper > /out/part-{number}",
            inputs={"artifacts": [artifact("upper", "transform")]},
            outputs={"artifacts": [{"name": f"part-{number}", "path": f"/out/part-{number}"}]},
        )
        for number in range(PARTS)
    ]
    for part in parts:
        part["outputs"]["artifacts"][0] |= {"s3": store.s3(BUCKET, "parts/"), "archive": {"compression": "gzip"}}
    names = [part["name"] for part in parts]
    gather = a_step(
        "gather",
        *names,
        command='echo "$PASSWORD" | sha256sum | cut -c1-64 > /dev/termination-log; cat /in/part-* > /out/all',
        container={"env": [{"name": "PASSWORD", "value": "{{.parameters.password}}"}]},
        inputs={
            "parameters": [{"name": "password", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}],
            "artifacts": [artifact(name, name) for name in names],
        },
        outputs={
            "parameters": [{"name": "seen", "valueFrom": {"jsonPath": "$.result"}}],
            "artifacts": [{"name": "all", "path": "/out/all", "s3": store.s3(BUCKET, "all.tar")}],
        },
    )
    verify = a_step(
        "verify",
        "gather",
        command='test "`sha256sum < /in/all | cut -c1-64`" = {{.parameters.wanted}}',
        inputs={
            "parameters": [{"name": "wanted", "value": hashlib.sha256(PAGE.upper()).hexdigest()}],
            "artifacts": [artifact("all", "gather")],
        },
    )
    return a_flow("shown", fetch, transform, *parts, gather, verify)


@define
class Shown:
    """The flow at its end."""

    home: Home
    status: Status


@pytest.fixture(scope="module")
def shown(home: Home, store: Store, volumes: None) -> Iterator[Shown]:
    """The flow, run to its end."""
    give_secret(home, "login", password=PLANTED[0])
    give_credentials(home, secret=PLANTED[1])
    store.make(BUCKET)

    def page(asked: Asked) -> Answer:
        return Answer(200, PAGE)

    with serving(page, listens=EVERYWHERE) as web:
        home.client.create(the_flow(f"{store.url(web.port)}/rows", store))
        yield Shown(home, home.ended("shown")["shown"])


def test_digests_agree_from_the_page_to_the_last_step(shown: Shown) -> None:
    assert set(phases(shown.status).values()) == {"Succeeded"}, shown.status
    assert {name for name, row in rows(shown.status).items() if row.get("retryCount")} == {"transform"}


def test_the_secret_has_reached_its_container(shown: Shown) -> None:
    (seen,) = rows(shown.status)["gather"]["outputs"]["parameters"]
    assert seen["value"].strip() == hashlib.sha256(f"{PLANTED[0]}\n".encode()).hexdigest()


def test_our_containers_say_what_they_have_moved(shown: Shown, kubectl: Kubectl) -> None:
    def said(step: str, container: str) -> str:
        labels = f"workflow.kube-zen.io/step={step}"
        return kubectl("logs", "-l", labels, "-c", container, "--tail=-1", namespace=shown.home.namespace)

    assert "rows" in said("fetch", "zenflow-inputs")
    assert "all" in said("gather", "zenflow-outputs")
    assert all(f"part-{number}" in said("gather", "zenflow-inputs") for number in range(PARTS))


@pytest.fixture(scope="module")
def everything(shown: Shown, kubectl: Kubectl) -> Mapping[str, str]:
    """All objects of all kinds there are, each as text, by kind and name."""
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    assert {"secrets", "events", "pods", "jobs.batch", "jobflows.workflow.kube-zen.io"} <= set(kinds)
    found: dict[str, str] = {}
    for kind in kinds:
        for each in json.loads(kubectl("get", kind, "-A", "-o", "json"))["items"]:
            metadata: Mapping[str, Any] = each["metadata"]
            found[f"{kind} {metadata.get('namespace', '')}/{metadata['name']}"] = json.dumps(each, ensure_ascii=False)
    return found


def has(text: str, planted: str) -> bool:
    """Whether a text holds the value, plainly or as an object has it in base64."""
    return planted in text or base64.b64encode(planted.encode()).decode() in text


@pytest.mark.parametrize(("planted", "secret"), [(PLANTED[0], "login"), (PLANTED[1], "s3-login")])
def test_the_whole_api_has_the_value_in_its_secret_alone(
    shown: Shown, everything: Mapping[str, str], planted: str, secret: str
) -> None:
    found = {what for what, text in everything.items() if has(text, planted)}
    assert found == {f"secrets {shown.home.namespace}/{secret}"}


@pytest.mark.parametrize("planted", PLANTED)
def test_no_log_has_the_value(shown: Shown, kubectl: Kubectl, plane: ControlPlane, planted: str) -> None:
    namespace = shown.home.namespace
    operator = kubectl("logs", "deployment/zenflow-controller", "--tail=-1", namespace=SYSTEM)
    pods = kubectl(
        *("logs", "-l", "workflow.kube-zen.io/flow=shown", "--all-containers", "--tail=-1", "--ignore-errors"),
        *("--max-log-requests", "50"),
        namespace=namespace,
    )
    assert "shown" in operator
    assert "zenflow" in pods
    audit = plane.folder / "audit.log"
    logs = {"the operator's": operator, "the Pods'": pods, "the audit log": audit.read_text(encoding="utf-8")}
    assert [name for name, text in logs.items() if has(text, planted)] == []


@pytest.mark.usefixtures("shown")
def test_the_operator_has_never_asked_for_a_secret(plane: ControlPlane) -> None:
    account = f"system:serviceaccount:{SYSTEM}:zenflow-controller"
    asked = [each for each in plane.audit() if each.user == account]
    assert len(asked) > 20
    assert [each for each in asked if each.resource == "secrets"] == []
    lines = (plane.folder / "audit.log").read_text(encoding="utf-8").splitlines()
    assert any('"requestObject"' in line and account in line for line in lines), "whole requests of the operator"
