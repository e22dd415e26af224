"""What the other tests of this folder stand on: real controllers play Jobs on the fake node as a cluster would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.types import CascadeType, PatchType

from tests.cluster.controlplane import ControlPlane, Job, Pod, Sample, eventually

PREFIX = "testing.kube-zen.io"


def a_job(name: str, plays: Mapping[str, str] | None = None, **spec: Any) -> Any:
    """A Job of one container `main`; `plays` are annotations of its Pods without their prefix."""
    pod = spec.pop("pod", {})
    metadata = spec.pop("metadata", {})
    template = {
        "metadata": {"annotations": {f"{PREFIX}/{key}": value for key, value in (plays or {}).items()}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none:1"}], **pod},
    }
    return Job.from_dict({"metadata": {"name": name, **metadata}, "spec": {"template": template, **spec}})


def condition_of(client: lightkube.Client, name: str, *types: str) -> Mapping[str, Any] | None:
    """The first condition of a Job that is true and of one of these types."""
    found = client.get(Job, name).get("status") or {}
    true = (each for each in found.get("conditions") or () if each["type"] in types and each["status"] == "True")
    return next(true, None)


def ended(client: lightkube.Client, name: str) -> Mapping[str, Any]:
    """The condition that ends a Job, waited for."""
    return eventually(lambda: condition_of(client, name, "Complete", "Failed"), f"the end of Job {name}")


def pods_of(client: lightkube.Client, job: str) -> list[Any]:
    """The Pods of a Job."""
    return list(client.list(Pod, labels={"job-name": job}))


def is_gone(client: lightkube.Client, kind: Any, name: str) -> bool:
    """Whether there is no such object."""
    try:
        client.get(kind, name)
    except ApiError as refusal:
        if refusal.status.code == 404:
            return True
        raise
    return False


def test_a_job_runs_to_its_end(client: lightkube.Client) -> None:
    client.create(a_job("one", {"message": "42 rows"}))
    assert ended(client, "one")["type"] == "Complete"
    (pod,) = pods_of(client, "one")
    assert pod["status"]["phase"] == "Succeeded"
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"], terminated["message"]) == (0, "Completed", "42 rows")


def test_an_exit_code_fails_the_job(client: lightkube.Client) -> None:
    client.create(a_job("three", {"exit-code": "3", "seconds": "0"}, backoffLimit=0))
    end = ended(client, "three")
    assert (end["type"], end["reason"]) == ("Failed", "BackoffLimitExceeded")
    (pod,) = pods_of(client, "three")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_an_init_container_that_fails_keeps_the_others_from_starting(client: lightkube.Client) -> None:
    init = {"initContainers": [{"name": "fetch", "image": "none:1"}, {"name": "unpack", "image": "none:1"}]}
    client.create(a_job("init", {"exit-code.fetch": "2", "message.fetch": "no such file"}, backoffLimit=0, pod=init))
    assert ended(client, "init")["type"] == "Failed"
    (pod,) = pods_of(client, "init")
    states = [each["state"] for each in pod["status"]["initContainerStatuses"] + pod["status"]["containerStatuses"]]
    assert [list(state) for state in states] == [["terminated"], ["waiting"], ["waiting"]]
    assert states[0]["terminated"]["message"] == "no such file"


def test_restart_policy_on_failure_restarts_in_place(client: lightkube.Client) -> None:
    client.create(a_job("again", {"exit-code": "1,1,0", "seconds": "0.05"}, pod={"restartPolicy": "OnFailure"}))
    assert ended(client, "again")["type"] == "Complete"
    (pod,) = pods_of(client, "again")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 2


def test_jobs_of_one_series_share_its_exit_codes(client: lightkube.Client) -> None:
    plays = {"exit-code": "1,0", "series": "step", "seconds": "0"}
    client.create(a_job("first", plays, backoffLimit=0))
    assert ended(client, "first")["type"] == "Failed"
    client.create(a_job("second", plays, backoffLimit=0))
    assert ended(client, "second")["type"] == "Complete"


def test_a_pod_failure_policy_reads_exit_codes(client: lightkube.Client) -> None:
    def on(action: str, code: int) -> dict[str, Any]:
        return {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}

    policy = {"rules": [on("Ignore", 7), on("FailJob", 42)]}
    client.create(a_job("policy", {"exit-code": "7,42", "seconds": "0"}, backoffLimit=3, podFailurePolicy=policy))
    end = ended(client, "policy")
    assert (end["type"], end["reason"]) == ("Failed", "PodFailurePolicy")
    assert client.get(Job, "policy")["status"]["failed"] == 1  # the ignored one does not count
    assert len(pods_of(client, "policy")) == 2


def test_a_finished_job_goes_when_its_time_is_up(client: lightkube.Client) -> None:
    client.create(a_job("brief", ttlSecondsAfterFinished=0))
    eventually(lambda: is_gone(client, Job, "brief"), "the end of a Job with ttlSecondsAfterFinished 0")
    eventually(lambda: not pods_of(client, "brief"), "the end of its Pod")


def test_what_an_owner_leaves_behind_is_collected(client: lightkube.Client) -> None:
    owner = client.create(Sample.from_dict({"metadata": {"name": "owner"}, "spec": {}}))
    reference = {"apiVersion": f"{PREFIX}/v1", "kind": "Sample", "name": "owner", "uid": owner["metadata"]["uid"]}
    client.create(a_job("owned", {"seconds": "forever"}, metadata={"ownerReferences": [reference]}))
    eventually(lambda: pods_of(client, "owned"), "a Pod")
    client.delete(Sample, "owner", cascade=CascadeType.BACKGROUND)
    # The collector knows the kind from its start on: the definition was there before it. Else this takes 30 s.
    eventually(lambda: is_gone(client, Job, "owned") and not pods_of(client, "owned"), "Job and Pod to go", within=20)


def test_a_foreground_delete_waits_for_the_pods(client: lightkube.Client) -> None:
    client.create(a_job("slow", {"seconds": "forever", "stop-seconds": "1"}))
    eventually(lambda: [p for p in pods_of(client, "slow") if p["status"]["phase"] == "Running"], "a Pod that runs")
    client.delete(Job, "slow", cascade=CascadeType.FOREGROUND)
    marked = client.get(Job, "slow")["metadata"]
    assert marked["deletionTimestamp"]
    assert "foregroundDeletion" in marked["finalizers"]
    seen: list[int] = []

    def gone() -> bool:
        seen.append(len(pods_of(client, "slow")))
        return is_gone(client, Job, "slow")

    eventually(gone, "the Job to go")
    assert seen[0] == 1
    assert pods_of(client, "slow") == []


def test_a_suspended_job_waits(client: lightkube.Client) -> None:
    client.create(a_job("held", {"seconds": "0"}, suspend=True))
    eventually(lambda: condition_of(client, "held", "Suspended"), "the condition Suspended")
    assert pods_of(client, "held") == []
    client.patch(Job, "held", {"spec": {"suspend": False}}, patch_type=PatchType.MERGE)
    assert ended(client, "held")["type"] == "Complete"


def test_the_audit_log_tells_who_did_what(plane: ControlPlane, client: lightkube.Client, namespace: str) -> None:
    client.create(a_job("heard", {"seconds": "0"}))
    ended(client, "heard")
    with pytest.raises(ApiError):
        client.create(a_job("heard"))
    here = [each for each in plane.audit() if each.namespace == namespace]
    creates = [(each.user, each.name, each.code) for each in here if (each.verb, each.resource) == ("create", "jobs")]
    assert creates == [("admin", "heard", 201), ("admin", "heard", 409)]
    controller = "system:serviceaccount:kube-system:job-controller"
    assert (controller, "create", "pods") in {(each.user, each.verb, each.resource) for each in here}
    assert ("fakekubelet", "patch", "pods/status") in {(each.user, each.verb, each.resource) for each in here}
