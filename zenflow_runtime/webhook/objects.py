"""What a cluster needs to ask the webhook: a Service, the configuration, and who vouches for the certificate."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_core.spec import GROUP
from zenflow_runtime.access import PLURAL
from zenflow_runtime.webhook.listening import PORT

Manifest: TypeAlias = dict[str, Any]

NAME: Final = "zenflow-controller-webhook"
"""Of the Service, the Certificate and the Secret."""
CONFIGURATION: Final = "zenflow-webhook"
HOOK: Final = f"validate.{PLURAL}.{GROUP}"
"""What kubectl calls it when it refuses."""
FOLDER: Final = "/etc/zenflow/webhook"
TIMEOUT_SECONDS: Final = 10
"""What the API server allows at most is 30; a flow of 1,000 steps takes a fiftieth of this."""

LINGER_SECONDS: Final = 5
"""An endpoint that is going is passed on to the API server well within this."""

_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_CERT_MANAGER: Final = "cert-manager.io/v1"
_PEM: Final = b"-----BEGIN CERTIFICATE-----"


@frozen
class Hook:
    """How the webhook is installed."""

    fail: bool = False
    """Refuse flows while no operator answers; otherwise they get in, and are examined when they are decided about."""
    ca_bundle: bytes | None = None
    """PEM certificates of those who vouch for the operator's; None: cert-manager does."""

    def wrong(self) -> str:
        """What cannot be meant, or ""."""
        if self.ca_bundle is not None and _PEM not in self.ca_bundle:
            return "--webhook-ca-bundle: the file has no PEM certificate in it"
        return ""


def flags() -> list[str]:
    """The operator's command line for it."""
    return [
        "--enable-webhook",
        f"--webhook-addr=:{PORT}",
        f"--webhook-cert-file={FOLDER}/tls.crt",
        f"--webhook-key-file={FOLDER}/tls.key",
    ]


def mount() -> tuple[Manifest, Manifest]:
    """The Pod's volume and the container's mount. The Pod starts without the Secret, too: flows do not wait for it."""
    volume = {"name": "webhook", "secret": {"secretName": NAME, "optional": True}}
    return volume, {"name": "webhook", "mountPath": FOLDER, "readOnly": True}


def lifecycle(hook: Hook) -> Manifest:
    """With `Fail` a Pod goes on answering until everybody has learnt that it is going (Kubernetes 1.30)."""
    return {"lifecycle": {"preStop": {"sleep": {"seconds": LINGER_SECONDS}}}} if hook.fail else {}


def objects(hook: Hook, home: str, only: str, *, labels: dict[str, str]) -> Iterator[Manifest]:
    """Everything but the Deployment, for an operator in namespace `home` that runs the flows of `only` ("": of all)."""

    def named(version: str, kind: str, name: str, namespace: str = "", **metadata: Any) -> Manifest:
        placed = {"namespace": namespace} if namespace else {}
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **placed, "labels": labels, **metadata}}

    service = named("v1", "Service", NAME, home)
    yield service | {"spec": {"selector": labels, "ports": [{"name": "webhook", "port": 443, "targetPort": "webhook"}]}}
    vouched: Manifest = {}
    if hook.ca_bundle is None:
        yield named(_CERT_MANAGER, "Issuer", NAME, home) | {"spec": {"selfSigned": {}}}
        yield named(_CERT_MANAGER, "Certificate", NAME, home) | {
            "spec": {
                "secretName": NAME,
                "dnsNames": [f"{NAME}.{home}.svc", f"{NAME}.{home}.svc.cluster.local"],
                "issuerRef": {"kind": "Issuer", "name": NAME},
                "privateKey": {"rotationPolicy": "Always"},
            }
        }
        vouched = {"annotations": {"cert-manager.io/inject-ca-from": f"{home}/{NAME}"}}
    # Not shared between namespaces: two teams with an operator each have a configuration each.
    name = f"{CONFIGURATION}-{only}" if only else CONFIGURATION
    yield named("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name, **vouched) | {
        "webhooks": [webhook(hook, client(hook, home), home, only=only)]
    }


def client(hook: Hook, home: str) -> Manifest:
    """Where the API server finds it."""
    service = {"service": {"name": NAME, "namespace": home, "path": "/validate-jobflow", "port": 443}}
    if hook.ca_bundle is None:
        return service  # cert-manager adds the rest
    return service | {"caBundle": base64.b64encode(hook.ca_bundle).decode()}


def webhook(hook: Hook, asked_at: Manifest, home: str, *, only: str) -> Manifest:
    """The entry of the configuration."""
    # The operator's own namespace is left out: nothing that it needs may ever wait for itself.
    where: Manifest = (
        {"key": _NAMESPACE_NAME, "operator": "In", "values": [only]}
        if only
        else {"key": _NAMESPACE_NAME, "operator": "NotIn", "values": [home]}
    )
    return {
        "name": HOOK,
        "clientConfig": asked_at,
        "rules": [
            {
                "apiGroups": [GROUP],
                "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [PLURAL],
                "scope": "Namespaced",
            }
        ],
        # What changes no spec is not even asked about: with `Fail` and no operator a bad flow can be cleaned up.
        "matchConditions": [
            {"name": "spec-changes", "expression": "oldObject == null || object.spec != oldObject.spec"},
        ],
        "namespaceSelector": {"matchExpressions": [where]},
        "failurePolicy": "Fail" if hook.fail else "Ignore",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "admissionReviewVersions": ["v1"],
    }
