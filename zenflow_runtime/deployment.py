"""The operator's own objects that hold its Pods: Deployment, Service, PodDisruptionBudget.

The Pod fits the restricted Pod Security Standard. Its requests are what an idle operator needs: 100m CPU, and 128Mi of
memory, of which it uses 70 MiB with no flows and some 112 MiB with 1,000 that run (docs/performance.md); the limit is
four times that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from zenflow_runtime.installation import NAME, OWN, PORT, Installation, Manifest
from zenflow_runtime.webhook import objects as hooked
from zenflow_runtime.webhook.listening import PORT as WEBHOOK_PORT

RESOURCES: Final = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


def service(home: str) -> Manifest:
    """Where Prometheus finds the metrics."""
    ports = [{"name": "metrics", "port": PORT, "targetPort": "http"}]
    return _object("v1", "Service", f"{NAME}-metrics", home) | {"spec": {"selector": OWN, "ports": ports}}


def workload(installation: Installation, home: str) -> Iterator[Manifest]:
    """The Deployment and, for more than one replica, what keeps evictions from taking all at once."""
    if installation.replicas > 1:
        # Those who evict may always take a Pod that is not ready: a broken operator must not hold up a drain.
        yield _object("policy/v1", "PodDisruptionBudget", NAME, home) | {
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": OWN},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            }
        }
    yield _object("apps/v1", "Deployment", NAME, home) | {
        "spec": {
            "replicas": installation.replicas,
            "selector": {"matchLabels": OWN},
            "template": {"metadata": {"labels": OWN}, "spec": _pod(installation)},
        }
    }


def _pod(installation: Installation) -> Manifest:
    """Fits the restricted Pod Security Standard: no root, no way to it, nothing to write to."""
    pod: Manifest = {
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 30,
        **({"priorityClassName": installation.priority_class} if installation.priority_class else {}),
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
                "labelSelector": {"matchLabels": OWN},
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
    if installation.artifacts is not None:
        told += installation.artifacts.flags(installation.image)
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
        "resources": RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _object(version: str, kind: str, name: str, namespace: str) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": OWN}}
