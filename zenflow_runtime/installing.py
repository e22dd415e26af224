"""What `kubectl apply` has to make so that flows run: the API, who may do what, and the operator.

Everything is data out of `access.ACCESS` and of the files in `data/` (copies of
`schemas/`); the same choices give the same text, to the byte. Nothing here asks
a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib import resources
from typing import Any, Final, TypeAlias

import yaml
from attrs import frozen

from zenflow_core.spec import GROUP
from zenflow_core.version import VERSION
from zenflow_runtime.access import ACCESS, PLURAL, Access
from zenflow_runtime.webhook import objects as hooked
from zenflow_runtime.webhook.listening import PORT as WEBHOOK_PORT
from zenflow_runtime.webhook.objects import Hook

Manifest: TypeAlias = dict[str, Any]

NAME: Final = "zenflow-controller"
"""Of the ServiceAccount, the Deployment, and the roles of the operator."""
NAMESPACE: Final = "zenflow-system"
IMAGE: Final = f"zenflow:{VERSION}"
"""No registry is assumed: build it (docs/install.md), push it where the cluster can pull it, and name that."""
LEASE: Final = "zen-flow-controller-leader-election"
"""The operator's own default; a test holds the two equal (that module needs libraries that a plain install lacks)."""
PORT: Final = 8080
EAGER: Final = "eager-completion"

_RBAC: Final = "rbac.authorization.k8s.io"
_LEASES: Final = "leases"
_LABELS: Final = {"app.kubernetes.io/name": "zenflow"}
_OWN: Final = {**_LABELS, "app.kubernetes.io/component": "controller"}
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/:@]*")


class Part(StrEnum):
    """What can be left out or, the last one, asked for."""

    CRD = "crd"
    """The API itself; only an administrator of the cluster can make it."""
    APPROVAL_POLICY = "approval-policy"
    """Who may approve; without it, whoever may edit a flow may approve its steps."""
    USER_ROLES = "user-roles"
    """Roles for people: to see flows, to edit them, to approve."""
    OPERATOR = "operator"
    """Its namespace, account, rights and Deployment."""
    AUTHOR_POLICY = "author-policy"
    """Who creates a flow must be allowed to create what it makes."""


USUAL: Final = frozenset(Part) - {Part.AUTHOR_POLICY}


@frozen
class Installation:
    """The choices of an installation."""

    parts: frozenset[Part] = USUAL
    namespace: str = NAMESPACE
    """Where the operator is."""
    only: str = ""
    """The one namespace whose flows it runs, with rights in that one alone; "" for all namespaces."""
    image: str = IMAGE
    replicas: int = 1
    """One leads, the others wait; more than one also gets a PodDisruptionBudget."""
    without: frozenset[str] = frozenset()
    """Features whose rights are not given (`Access.needs`) and that are switched off: only `eager-completion`."""

    webhook: Hook | None = None
    """How flows are examined at the very apply; None: not."""

    def wrong(self) -> str:
        """What cannot be meant, with its fix, or ""."""
        for flag, name in (("--namespace", self.namespace), ("--namespaced", self.only or NAMESPACE)):
            if not _DNS_LABEL.fullmatch(name):
                return f"{flag}: {name!r} is no name of a namespace: use small letters, digits and '-'"
        if not _IMAGE.fullmatch(self.image):
            return f"--image: {self.image!r} is no name of an image: write for instance registry.example.com/zenflow:1"
        if not 1 <= self.replicas <= 10:
            return f"--replicas: found {self.replicas}, expected a number from 1 to 10"
        if self.webhook is not None and Part.OPERATOR not in self.parts:
            return "--webhook and --no-operator exclude each other: the operator is the webhook"
        return self.webhook.wrong() if self.webhook is not None else ""


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
    yield _object("v1", "ServiceAccount", NAME, home, labels=_OWN)
    accesses = granted(installation)
    flows = [access for access in accesses if access.resource != _LEASES]
    yield _role(NAME, installation.only, rules(flows), labels=_OWN)
    yield _binding(NAME, installation.only, home)
    leases = [access for access in accesses if access.resource == _LEASES]
    yield _role(f"{NAME}-election", home, rules(leases), labels=_OWN)
    yield _binding(f"{NAME}-election", home, home)
    service = _object("v1", "Service", f"{NAME}-metrics", home, labels=_OWN)
    yield service | {"spec": {"selector": _OWN, "ports": [{"name": "metrics", "port": PORT, "targetPort": "http"}]}}
    if installation.webhook is not None:
        yield from hooked.objects(installation.webhook, home, installation.only, labels=_OWN)
    if installation.replicas > 1:
        budget = _object("policy/v1", "PodDisruptionBudget", NAME, home, labels=_OWN)
        yield budget | {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": _OWN}}}
    deployment = _object("apps/v1", "Deployment", NAME, home, labels=_OWN)
    yield deployment | {
        "spec": {
            "replicas": installation.replicas,
            "selector": {"matchLabels": _OWN},
            "template": {"metadata": {"labels": _OWN}, "spec": _pod(installation)},
        }
    }


def _pod(installation: Installation) -> Manifest:
    """Fits the restricted Pod Security Standard: no root, no way to it, nothing to write to."""
    pod: Manifest = {
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(installation)],
    }
    if installation.webhook is not None:
        volume, mount = hooked.mount()
        pod["volumes"] = [volume]
        container = pod["containers"][0]
        container["volumeMounts"] = [mount]
        container |= hooked.lifecycle(installation.webhook)
        container["ports"].append({"name": "webhook", "containerPort": WEBHOOK_PORT})
    if installation.replicas > 1:
        pod["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _OWN},
            }
        ]
    return pod


def arguments(installation: Installation) -> list[str]:
    """The operator's command line."""
    told = [f"--metrics-addr=:{PORT}"]
    if installation.only:
        told.append(f"--watch-namespace={installation.only}")
    if installation.webhook is not None:
        told += hooked.flags()
    return told + [f"--no-{feature}" for feature in sorted(installation.without)]


def _container(installation: Installation) -> Manifest:
    return {
        "name": "controller",
        "image": installation.image,
        "command": ["zenflow-runtime"],
        "args": arguments(installation),
        "env": [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "REPLICA_COUNT", "value": str(installation.replicas)},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _namespace(name: str) -> Manifest:
    labels = {**_LABELS, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _object(version: str, kind: str, name: str, namespace: str, *, labels: dict[str, str]) -> Manifest:
    metadata: Manifest = {"name": name} | ({"namespace": namespace} if namespace else {}) | {"labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _role(name: str, namespace: str, given: list[Manifest], *, labels: dict[str, str] | None = None) -> Manifest:
    """A Role of that namespace or, if that is "", a ClusterRole."""
    kind = "Role" if namespace else "ClusterRole"
    return _object(f"{_RBAC}/v1", kind, name, namespace, labels={**_LABELS, **(labels or {})}) | {"rules": given}


def _binding(name: str, namespace: str, account_in: str) -> Manifest:
    """Gives the role of that name to the operator's account."""
    kind = "Role" if namespace else "ClusterRole"
    binding = _object(f"{_RBAC}/v1", f"{kind}Binding", name, namespace, labels=_OWN)
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
