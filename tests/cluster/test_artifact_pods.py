"""The Pods that carry artifacts, as a real API server takes them: Pod Security, quotas, whose token is where."""

from __future__ import annotations

from typing import Any

import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.core_v1 import LimitRangeItem, LimitRangeSpec, ResourceQuotaSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import LimitRange, Namespace, Pod, ResourceQuota

from zenflow_core.artifact_container import ClaimFile
from zenflow_core.artifact_gc import removal_job
from zenflow_core.artifact_pod import Located, Run, carry_artifacts
from zenflow_core.spec import HttpSource, InputArtifact, KeySelector, OutputArtifact, S3Location

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
S3 = S3Location("models", "nightly/", access_key_id_secret_ref=KeySelector("s3", "id"))
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def carried(main: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Pod with every kind of artifact."""
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36", **main}], **fields}
    return carry_artifacts(
        spec,
        run=Run("0a-uid", "train", 1),
        inputs=(
            InputArtifact("page", "/in/page", http=HttpSource("https://example.com/x")),
            InputArtifact("rows", "/in/rows", from_="fetch/rows"),
        ),
        outputs=(OutputArtifact("model", "/out/model", s3=S3), OutputArtifact("log", "/log/all")),
        image="zenflow:1",
        claim="nightly-zenflow-artifacts",
        located={"rows": Located(ClaimFile("fetch/1/0a/rows"))},
    ).pod_spec


def created(client: lightkube.Client, spec: dict[str, Any]) -> dict[str, Any]:
    """The Pod as the API server has made it."""
    pod: Any = Pod.from_dict({"metadata": {"name": "carried"}, "spec": spec})
    return dict(client.create(pod).to_dict())


def enforced(client: lightkube.Client, namespace: str) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.patch(Namespace, namespace, {"metadata": {"labels": label}})


@pytest.mark.parametrize("user", [None, 1000], ids=["the image's user", "a user of the template's"])
def test_what_we_add_is_restricted(client: lightkube.Client, namespace: str, user: int | None) -> None:
    enforced(client, namespace)
    context = RESTRICTED | ({"runAsUser": user} if user is not None else {})
    pod = created(client, carried({"securityContext": context}))
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["zenflow-inputs", "main"]


def test_only_the_step_is_to_blame_where_it_is_not(client: lightkube.Client, namespace: str) -> None:
    enforced(client, namespace)
    with pytest.raises(ApiError, match="violates PodSecurity") as refused:
        created(client, carried({}))
    assert '"main"' in str(refused.value)
    assert "zenflow-" not in str(refused.value)


def test_the_token_is_the_steps_alone(client: lightkube.Client, namespace: str) -> None:
    pod = created(client, carried({}))
    tokens = {
        container["name"]: next(mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == TOKEN)
        for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
    }
    empty = {volume["name"] for volume in pod["spec"]["volumes"] if "emptyDir" in volume}
    assert tokens.pop("main") not in empty
    assert sorted(tokens) == ["zenflow-inputs", "zenflow-outputs"]
    assert set(tokens.values()) <= empty


def test_quotas_and_limit_ranges_are_met(client: lightkube.Client, namespace: str) -> None:
    """A quota demands that every container states what it wants; a LimitRange says how much that may be."""
    hard = {"requests.cpu": "2", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "2Gi"}
    client.create(ResourceQuota(metadata=ObjectMeta(name="all"), spec=ResourceQuotaSpec(hard=hard)))
    bound = LimitRangeItem(type="Container", min={"cpu": "10m", "memory": "16Mi"}, max={"cpu": "1", "memory": "256Mi"})
    client.create(LimitRange(metadata=ObjectMeta(name="all"), spec=LimitRangeSpec(limits=[bound])))
    amount = {"cpu": "100m", "memory": "64Mi"}
    created(client, carried({"resources": {"requests": amount, "limits": amount}}))


def test_so_is_the_job_that_removes(client: lightkube.Client, namespace: str) -> None:
    enforced(client, namespace)
    made = {"name": "m", "path": "/o/m", "s3": {"bucket": "b", "key": "k/"}, "artifactGC": "OnFlowDeletion"}
    job = removal_job(
        {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": "f", "namespace": namespace, "uid": "0a", "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": {"steps": [{"name": "train", "outputs": {"artifacts": [made]}, "template": {"spec": {}}}]},
            "status": {"startTime": "2030-01-01T00:00:00Z"},
        },
        image="zenflow:1",
    )
    assert job is not None
    removal: Any = Job.from_dict(job)
    client.create(removal)
    created(client, job["spec"]["template"]["spec"])
