"""What `kubectl apply` has to make so that flows run: the API, who may do what, and the operator.

Everything is data out of `access.ACCESS` and of the files in `data/` (copies of
`schemas/`); the same choices give the same text, to the byte. Nothing here asks
a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any, Final

import yaml

from zenflow_core.spec import GROUP
from zenflow_runtime import deployment, network
from zenflow_runtime.access import ACCESS, PLURAL, Access
from zenflow_runtime.deployment import arguments
from zenflow_runtime.installation import (
    EAGER,
    IMAGE,
    LABELS,
    NAME,
    NAMESPACE,
    OWN,
    PORT,
    USUAL,
    Artifacts,
    Installation,
    Manifest,
    Part,
)
from zenflow_runtime.network import Network
from zenflow_runtime.webhook import objects as hooked

__all__ = [
    "EAGER",
    "IMAGE",
    "LEASE",
    "NAME",
    "NAMESPACE",
    "PORT",
    "USUAL",
    "Artifacts",
    "Installation",
    "Manifest",
    "Network",
    "Part",
    "access_table",
    "arguments",
    "as_yaml",
    "granted",
    "manifests",
    "rules",
    "stored",
]

LEASE: Final = "zen-flow-controller-leader-election"
"""The operator's own default; a test holds the two equal (that module needs libraries that a plain install lacks)."""

_RBAC: Final = "rbac.authorization.k8s.io"
_LEASES: Final = "leases"


def as_yaml(manifests: Iterable[Manifest]) -> str:
    """One YAML stream, without anchors. Some 0.1 s with the CRD: pure Python writes it, alike everywhere."""
    return "".join(
        "---\n" + yaml.dump(each, Dumper=_Plain, sort_keys=False, width=1 << 16, allow_unicode=True)
        for each in manifests
    )


class _Plain(yaml.SafeDumper):
    """Writes what is shared wherever it is used."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def manifests(installation: Installation) -> Iterator[Manifest]:
    """Everything, in an order in which it can be made."""
    parts = installation.parts
    if Part.OPERATOR in parts and not installation.only:
        yield _namespace(installation.namespace)
    if Part.CRD in parts:
        yield from stored("jobflow.crd.yaml")
    if Part.APPROVAL_POLICY in parts:
        yield from stored("approval-policy.yaml")
    if Part.AUTHOR_POLICY in parts:
        yield from stored("author-policy.yaml")
    if Part.USER_ROLES in parts:
        yield from _user_roles(installation)
    if Part.OPERATOR in parts:
        yield from _operator(installation)


def stored(name: str) -> list[Manifest]:
    """The objects of a file of `data/`."""
    text = resources.files("zenflow_runtime").joinpath("data", name).read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def granted(installation: Installation) -> tuple[Access, ...]:
    """What the operator may do."""
    return tuple(access for access in ACCESS if access.needs not in installation.without or not access.needs)


def rules(accesses: Iterable[Access]) -> list[Manifest]:
    """RBAC rules: one a resource, verbs in the order of `ACCESS`.

    The Lease is the only object with a name known beforehand, so rights on it are for that name; RBAC cannot limit
    `create` like that.
    """
    verbs: dict[tuple[str, str, bool], list[str]] = {}
    for access in accesses:
        named = access.resource == _LEASES and access.verb != "create"
        verbs.setdefault((access.group, access.resource, named), []).append(access.verb)
    return [
        {"apiGroups": [group], "resources": [resource]}
        | ({"resourceNames": [LEASE]} if named else {})
        | {"verbs": each}
        for (group, resource, named), each in verbs.items()
    ]


# --- for people ------------------------------------------------------------------------------------------------------


_VIEW: Final = ["get", "list", "watch"]
_EDIT: Final = [*_VIEW, "create", "update", "patch", "delete"]


def _user_roles(installation: Installation) -> Iterator[Manifest]:
    """Seeing and editing flows is part of the built-in roles view, edit and admin; approving is given by hand."""
    for name, verbs, grown in (
        ("zenflow-view", _VIEW, ("view", "edit", "admin")),
        ("zenflow-edit", _EDIT, ("edit", "admin")),
        ("zenflow-approve", [*_VIEW, "patch", "approve"], ()),
    ):
        rule = {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": verbs}
        if installation.only:
            yield _role(name, installation.only, [rule])
        else:
            labels = {f"{_RBAC}/aggregate-to-{role}": "true" for role in grown}
            yield _role(name, "", [rule], labels=labels)


# --- the operator ----------------------------------------------------------------------------------------------------


def _operator(installation: Installation) -> Iterator[Manifest]:
    home = installation.only or installation.namespace
    yield _object("v1", "ServiceAccount", NAME, home, labels=OWN)
    accesses = granted(installation)
    flows = [access for access in accesses if access.resource != _LEASES]
    yield _role(NAME, installation.only, rules(flows), labels=OWN)
    yield _binding(NAME, installation.only, home)
    leases = [access for access in accesses if access.resource == _LEASES]
    yield _role(f"{NAME}-election", home, rules(leases), labels=OWN)
    yield _binding(f"{NAME}-election", home, home)
    yield deployment.service(home)
    if installation.webhook is not None:
        yield from hooked.objects(installation.webhook, home, installation.only, labels=OWN)
    if installation.network is not None:
        policy = _object("networking.k8s.io/v1", "NetworkPolicy", NAME, home, labels=OWN)
        hooked_too = installation.webhook is not None
        yield policy | {"spec": network.spec(installation.network, OWN, port=PORT, webhook=hooked_too)}
    yield from deployment.workload(installation, home)


def _namespace(name: str) -> Manifest:
    labels = {**LABELS, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _object(version: str, kind: str, name: str, namespace: str, *, labels: dict[str, str]) -> Manifest:
    metadata: Manifest = {"name": name} | ({"namespace": namespace} if namespace else {}) | {"labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _role(name: str, namespace: str, given: list[Manifest], *, labels: dict[str, str] | None = None) -> Manifest:
    """A Role of that namespace or, if that is "", a ClusterRole."""
    kind = "Role" if namespace else "ClusterRole"
    return _object(f"{_RBAC}/v1", kind, name, namespace, labels={**LABELS, **(labels or {})}) | {"rules": given}


def _binding(name: str, namespace: str, account_in: str) -> Manifest:
    """Gives the role of that name to the operator's account."""
    kind = "Role" if namespace else "ClusterRole"
    binding = _object(f"{_RBAC}/v1", f"{kind}Binding", name, namespace, labels=OWN)
    return binding | {
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": account_in}],
    }


# --- for the documentation -------------------------------------------------------------------------------------------


def access_table(accesses: Iterable[Access]) -> str:
    """The operator's rights as a Markdown table, each with what it is for."""
    lines = ["| group | resource | verb | for | only with |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {access.group or 'core'} | {access.resource} | {access.verb} | {access.why} | {access.needs} |"
        for access in accesses
    ]
    return "\n".join(lines) + "\n"
