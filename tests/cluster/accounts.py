"""The operator's ServiceAccount with just the rights that `zenflow manifests` prints, and what its requests came to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx2
import yaml
from attrs import frozen
from lightkube.config.client_adapter import verify_cluster

from tests.cluster.controlplane import ControlPlane
from zenflow_runtime.access import ACCESS, UNSENT, Access
from zenflow_runtime.installing import NAME, Installation, Manifest, manifests

HOME: Final = "zenflow-operator"
"""Where the operators of all tests live that do not ask for a place of their own."""

EVERYWHERE: Final = Installation(namespace=HOME, artifacts=None)
TOKEN_SECONDS: Final = 7200

LACKING: Final = "lacking-"
"""How the namespaces begin whose operator a test takes rights from."""

_RIGHTS: Final = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def home_of(installation: Installation) -> str:
    """The namespace of the operator."""
    return installation.only or installation.namespace


def user_of(installation: Installation) -> str:
    """The operator, as the API server calls it."""
    return f"system:serviceaccount:{home_of(installation)}:{NAME}"


def path_of(each: Manifest) -> str:
    """The path of an object at the API server."""
    version, kind = each["apiVersion"], each["kind"]
    plural = f"{kind.lower()}s".replace("policys", "policies")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    space = each["metadata"].get("namespace")
    return f"{base}/{f'namespaces/{space}/' if space else ''}{plural}/{each['metadata']['name']}"


def administrator(plane: ControlPlane) -> httpx2.Client:
    """Plain HTTP with all rights."""
    config = plane.config
    assert config.user is not None, f"{plane.kubeconfig} has no user"
    verify = verify_cluster(config.cluster, config.user, config.abs_file)
    return httpx2.Client(base_url=plane.server, verify=verify, trust_env=False, timeout=60)


def applied(http: httpx2.Client, manifest: Manifest) -> None:
    """Make an object so, whatever it was before."""
    headers = {"Content-Type": "application/apply-patch+yaml"}
    query = {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict"}
    answer = http.patch(path_of(manifest), content=json.dumps(manifest), headers=headers, params=query)
    assert answer.status_code in (200, 201), answer.text


def rights(installation: Installation) -> list[Manifest]:
    """What is printed of the account and its rights."""
    return [each for each in manifests(installation) if each["kind"] in _RIGHTS]


def given_rights(plane: ControlPlane, installation: Installation = EVERYWHERE) -> Path:
    """Make the account and its rights as they are printed; the kubeconfig file of whoever has its token."""
    home = home_of(installation)
    with closing(administrator(plane)) as http:
        for each in rights(installation):
            applied(http, each)
    return logged_in(plane, home)


def logged_in(plane: ControlPlane, home: str) -> Path:
    """A kubeconfig file with a token of the operator's account, which is there already."""
    with closing(administrator(plane)) as http:
        asked = {"spec": {"expirationSeconds": TOKEN_SECONDS}}
        answer = http.post(f"/api/v1/namespaces/{home}/serviceaccounts/{NAME}/token", json=asked)
        assert answer.status_code == 201, answer.text
    file = plane.folder / f"{home}.kubeconfig"
    file.write_text(yaml.safe_dump(_kubeconfig(plane, answer.json()["status"]["token"])), encoding="utf-8")
    return file


def _kubeconfig(plane: ControlPlane, token: str) -> dict[str, Any]:
    """The administrator's, with a token in place of the certificate."""
    config: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    return config | {"users": [{"name": each["name"], "user": {"token": token}} for each in config["users"]]}


@frozen
class Use:
    """A right of RBAC, as a request needs it."""

    group: str
    resource: str
    """With its subresource, as in a rule."""
    verb: str


def use_of(access: Access) -> Use:
    """The right that a row of ACCESS is."""
    return Use(access.group, access.resource, access.verb)


KNOWN: Final = frozenset(map(use_of, ACCESS))
UNSEEN: Final = frozenset(Use(*each) for each in UNSENT)


@frozen
class Request:
    """One request of an account."""

    user: str
    use: Use
    namespace: str
    name: str
    code: int
    allowed: bool
    """Whether RBAC let it pass; admission may have refused it all the same."""


def audited(plane: ControlPlane) -> int:
    """How far the audit log has come, in bytes."""
    return (plane.folder / "audit.log").stat().st_size


def requests_of(plane: ControlPlane, *users: str, since: int = 0) -> Iterator[Request]:
    """What these accounts have asked for so far, or every operator's account if none is named; no mere documents.

    `since`: what the log held before (`audited`) is left out.
    """
    with (plane.folder / "audit.log").open("rb") as lines:
        lines.seek(since)
        for line in lines:
            entry = json.loads(line)
            user, about = entry["user"].get("username", ""), entry.get("objectRef")
            ours = user in users if users else user.startswith("system:serviceaccount:") and user.endswith(f":{NAME}")
            if not ours or about is None:
                continue
            subresource = about.get("subresource")
            resource = about.get("resource", "") + (f"/{subresource}" if subresource else "")
            yield Request(
                user,
                Use(about.get("apiGroup", ""), resource, entry["verb"]),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                code=(entry.get("responseStatus") or {}).get("code", 0),
                allowed=(entry.get("annotations") or {}).get("authorization.k8s.io/decision") == "allow",
            )
