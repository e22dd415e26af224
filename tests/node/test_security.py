"""Pods with artifacts where a namespace is strict: Pod Security, users, groups, quotas, limits, and tokens."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest
from lightkube.models.core_v1 import LimitRangeItem, LimitRangeSpec, ResourceQuotaSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import LimitRange, ResourceQuota

from tests.cluster.conftest import fresh_namespace
from tests.cluster.controlplane import ControlPlane, Job, Pod, eventually
from tests.cluster.operators import phases, rows
from tests.node.conftest import Kubectl
from tests.node.flows import Home, Status, a_flow, a_step
from tests.node.stores import Store, give_credentials

BUCKET: Final = "strict"
TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
STRICT: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
RESTRICTED: Final[dict[str, Any]] = {
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
}
GROUP: Final = 2000
WHO: Final = 'echo "`id -u` `id -G` `stat -c %g /out`" > /dev/termination-log'


def strict_step(name: str, *after: str, command: str, user: int, **fields: Any) -> dict[str, Any]:
    """A step that a restricted namespace takes."""
    pod = {"securityContext": {"runAsUser": user, "runAsGroup": user, "fsGroup": GROUP}}
    return a_step(name, *after, command=command, container=RESTRICTED, pod=pod, **fields)


def the_flow(store: Store) -> Any:
    """A file made by one user and read by another one, over S3 and over the claim."""
    s3 = store.s3(BUCKET, "runs/")
    outputs = [{"name": "by-s3", "path": "/out/by-s3", "s3": s3}, {"name": "by-claim", "path": "/out/by-claim"}]
    make = strict_step(
        "make",
        command=f"umask 077; echo mine | tee /out/by-s3 > /out/by-claim && {WHO}",
        user=1000,
        outputs={"artifacts": outputs, "parameters": [{"name": "who", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    use = strict_step(
        "use",
        "make",
        command='test "`cat /in/by-s3 /in/by-claim | sort -u`" = mine',
        user=2345,
        inputs={"artifacts": [{"name": e, "path": f"/in/{e}", "from": f"make/{e}"} for e in ("by-s3", "by-claim")]},
    )
    return a_flow("strict", make, use)


@pytest.fixture(scope="module")
def strict(plane: ControlPlane, installed: Kubectl) -> Iterator[Home]:
    """A namespace that enforces the restricted standard, a quota that wants all stated, and limits of containers."""
    with fresh_namespace(plane, labels=STRICT) as name, closing(plane.client(name)) as client:
        hard = {"requests.cpu": "1", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "2Gi", "pods": "10"}
        client.create(ResourceQuota(metadata=ObjectMeta(name="all"), spec=ResourceQuotaSpec(hard=hard)))
        item = LimitRangeItem(
            type="Container",
            min={"cpu": "10m", "memory": "8Mi"},
            max={"cpu": "1", "memory": "256Mi"},
            default={"cpu": "500m", "memory": "64Mi"},
            defaultRequest={"cpu": "50m", "memory": "32Mi"},
        )
        client.create(LimitRange(metadata=ObjectMeta(name="each"), spec=LimitRangeSpec(limits=[item])))
        yield Home(client, name)


@pytest.fixture(scope="module")
def ran(strict: Home, store: Store, volumes: None) -> Status:
    """The flow at its end."""
    give_credentials(strict)
    store.make(BUCKET)
    strict.client.create(the_flow(store))
    return strict.ended("strict")["strict"]


def test_a_strict_namespace_takes_what_we_add(ran: Status) -> None:
    assert phases(ran) == {"make": "Succeeded", "use": "Succeeded"}, ran


def test_the_step_runs_as_its_user_and_writes_for_its_group(ran: Status) -> None:
    (who,) = rows(ran)["make"]["outputs"]["parameters"]
    user, *groups = who["value"].split()
    assert user == "1000"
    assert groups == ["1000", str(GROUP), str(GROUP)]


def test_inside_our_containers_there_is_no_token(ran: Status, strict: Home) -> None:
    (job,) = strict.client.list(Job, labels={"workflow.kube-zen.io/step": "make"})
    spec = copy.deepcopy(job["spec"]["template"]["spec"])
    (ours,) = spec["containers"]
    # It fails, so that its log becomes its termination message.
    look = "import json, os, sys; print(json.dumps([os.getuid(), os.listdir(sys.argv[1])])); sys.exit(1)"
    ours |= {"command": ["python3", "-c", look], "args": [TOKEN]}
    main = spec["initContainers"][-1]
    main["command"] = ["sh", "-c", f"ls {TOKEN} > /dev/termination-log"]
    strict.client.create(Pod.from_dict({"metadata": {"name": "looks"}, "spec": spec}))

    def ended() -> Any:
        pod = strict.client.get(Pod, "looks")
        return pod if pod["status"].get("phase") in {"Succeeded", "Failed"} else None

    status = eventually(ended, "the Pod to end")["status"]
    message = status["containerStatuses"][0]["state"]["terminated"]["message"]
    assert json.loads(message) == [1000, []]
    own = status["initContainerStatuses"][-1]["state"]["terminated"]["message"]
    assert own.split() == ["ca.crt", "namespace", "token"]
