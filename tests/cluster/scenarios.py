"""What scenarios are made of: requests to both servers, and the objects in them.

Nothing here or in `scenarios_*` is specific to either server: no answer stands in these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from tests.cluster.conformance import (
    Ask,
    Of,
)

Scenario: TypeAlias = tuple[Ask, ...]

VERSION: Final = "metadata.resourceVersion"
UID: Final = "metadata.uid"
LONG_LABEL: Final = "x" * 64
FINALIZER: Final = "testing.kube-zen.io/hold"
LET_GO: Final = {"metadata": {"finalizers": None}}


def a(**members: Any) -> dict[str, Any]:
    """An object called `a`; `metadata` is added to its name."""
    metadata = members.pop("metadata", {})
    return {"metadata": {"name": "a", **metadata}, **members}


def sample(**members: Any) -> dict[str, Any]:
    """A custom resource called `a`."""
    return a(apiVersion="testing.kube-zen.io/v1", kind="Sample", **members)


SAMPLE: Final = sample(spec={"size": 1, "rows": ["x", "y"]})
CONFIG: Final = a(apiVersion="v1", kind="ConfigMap", data={"text": "é"})
SECRET: Final = a(apiVersion="v1", kind="Secret", data={"key": "dmFsdWU="})
CONTAINER: Final = {"name": "main", "image": "none:1"}
POD_SPEC: Final = {"restartPolicy": "Never", "containers": [CONTAINER]}
CLAIM_SPEC: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CLAIM: Final = a(apiVersion="v1", kind="PersistentVolumeClaim", spec=CLAIM_SPEC)
LEASE: Final = a(
    apiVersion="coordination.k8s.io/v1",
    kind="Lease",
    spec={"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2030-01-01T00:00:00.000000Z"},
)


def a_job(pod: Mapping[str, Any] | None = None, template: Mapping[str, Any] | None = None, **spec: Any) -> Any:
    """A Job called `a` that no controller touches, so that both servers are alone with it."""
    metadata = spec.pop("metadata", {})
    inner = {"spec": {**POD_SPEC, **(pod or {})}, **(template or {})}
    whole = {"managedBy": "testing.kube-zen.io/nobody", "template": inner, **spec}
    return a(apiVersion="batch/v1", kind="Job", metadata=metadata, spec=whole)


JOB: Final = a_job()


NOW: Final = Of(0, VERSION)
