"""The choices of an installation: what is made, where, and how; and what cannot be meant.

`installing.manifests` turns them into objects, `deployment` into the operator's Pod.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_core.artifact_store import in_one_line, read_store, write_store
from zenflow_core.spec import ArtifactStore
from zenflow_core.version import VERSION
from zenflow_runtime.network import Network
from zenflow_runtime.webhook.objects import Hook

Manifest: TypeAlias = dict[str, Any]

NAME: Final = "zenflow-controller"
"""Of the ServiceAccount, the Deployment, and the roles of the operator."""
NAMESPACE: Final = "zenflow-system"
IMAGE: Final = f"zenflow:{VERSION}"
"""No registry is assumed: build it (docs/install.md), push it where the cluster can pull it, and name that."""
PORT: Final = 8080
EAGER: Final = "eager-completion"

LABELS: Final = {"app.kubernetes.io/name": "zenflow"}
"""On everything."""
OWN: Final = {**LABELS, "app.kubernetes.io/component": "controller"}
"""On what is the operator's; its Pods are found by them."""

QUANTITY: Final = re.compile(r"[1-9]\d{0,14}(\.\d{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
"""The operator's own reading of a size; a test holds the two equal."""

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
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
class Artifacts:
    """What the operator is told about artifacts; "" is its own default (docs/artifacts.md)."""

    image: str = ""
    """Has zenflow with the extra `artifacts`; "": the operator's own image, which has it."""
    claim_size: str = ""
    storage_class: str = ""
    access_mode: str = ""
    store: str = ""
    """YAML or JSON of the store for artifacts that name none; "": the flow's own claim."""
    namespace_stores: bool = True
    """Whether a namespace may say a store of its own."""

    def flags(self, image: str) -> list[str]:
        """The operator's command line for it; `image` is its own."""
        given = {
            "image": self.image or image,
            "claim-size": self.claim_size,
            "storage-class": self.storage_class,
            "access-mode": self.access_mode,
        }
        told = [f"--artifact-{name}={value}" for name, value in given.items() if value]
        store = read_store(self.store)
        if isinstance(store, ArtifactStore):
            # Kubernetes reads `$(` in an argument as a reference and `$$` as `$`.
            text = json.dumps(write_store(store), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
            told.append(f"--artifact-store={text}".replace("$", "$$"))
        return told if self.namespace_stores else [*told, "--no-namespace-artifact-stores"]

    def wrong(self) -> str:
        """What cannot be meant, or ""."""
        if self.image and not _IMAGE.fullmatch(self.image):
            return f"--artifact-image: {self.image!r} is no name of an image"
        if self.claim_size and not QUANTITY.fullmatch(self.claim_size):
            return f"--artifact-claim-size: {self.claim_size!r} is no size: write for instance 10Gi"
        if self.storage_class and not _SUBDOMAIN.fullmatch(self.storage_class):
            return f"--artifact-storage-class: {self.storage_class!r} is no name of a StorageClass"
        store = read_store(self.store)
        return f"--artifact-store: {in_one_line(store)}" if isinstance(store, tuple) else ""


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
    artifacts: Artifacts | None = Artifacts()
    """How artifacts are moved; None: flows with artifacts are refused."""
    network: Network | None = None
    """With whom the operator may speak; None: no NetworkPolicy."""
    priority_class: str = ""
    """The PriorityClass of its Pods; "": the cluster's default."""

    def wrong(self) -> str:
        """What cannot be meant, with its fix, or ""."""
        for flag, name in (("--namespace", self.namespace), ("--namespaced", self.only or NAMESPACE)):
            if not _DNS_LABEL.fullmatch(name):
                return f"{flag}: {name!r} is no name of a namespace: use small letters, digits and '-'"
        if not _IMAGE.fullmatch(self.image):
            return f"--image: {self.image!r} is no name of an image: write for instance registry.example.com/zenflow:1"
        if not 1 <= self.replicas <= 10:
            return f"--replicas: found {self.replicas}, expected a number from 1 to 10"
        if self.priority_class and not _SUBDOMAIN.fullmatch(self.priority_class):
            return f"--priority-class: {self.priority_class!r} is no name of a PriorityClass"
        if self.artifacts is not None and self.artifacts.wrong():
            return self.artifacts.wrong()
        if self.network is not None and self.network.wrong():
            return self.network.wrong()
        if self.network is not None and Part.OPERATOR not in self.parts:
            return "--network-policy and --no-operator exclude each other: the policy is about the operator"
        if self.webhook is not None and Part.OPERATOR not in self.parts:
            return "--webhook and --no-operator exclude each other: the operator is the webhook"
        return self.webhook.wrong() if self.webhook is not None else ""
