"""The operator in a cluster, from its own image and under its own account, and flows whose containers really run."""

from __future__ import annotations

import lightkube
import pytest
import yaml

from tests.cluster.controlplane import Pod, eventually
from tests.cluster.operators import EXAMPLES, ended, phases, rows
from tests.node.conftest import SYSTEM, Kubectl
from tests.node.flows import BUSYBOX, a_flow, a_step


@pytest.mark.usefixtures("installed")
def test_the_operator_may_do_what_it_does_and_no_more(kubectl: Kubectl) -> None:
    pods = yaml.safe_load(kubectl("get", "pods", "-o", "yaml", namespace=SYSTEM))["items"]
    assert [pod["spec"]["serviceAccountName"] for pod in pods] == ["zenflow-controller"]
    assert pods[0]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pods[0]["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    account = f"--as=system:serviceaccount:{SYSTEM}:zenflow-controller"
    assert kubectl("auth", "can-i", "create", "jobs", account, "-A").strip() == "yes"


@pytest.mark.usefixtures("installed")
def test_a_flow_applied_by_kubectl_runs_its_containers_in_order(kubectl: Kubectl, namespace: str) -> None:
    manifest = yaml.safe_load((EXAMPLES / "hello-linear.yaml").read_text(encoding="utf-8"))
    manifest["metadata"]["namespace"] = namespace
    for step in manifest["spec"]["steps"]:
        for container in step["template"]["spec"]["template"]["spec"]["containers"]:
            container["image"] = BUSYBOX
    kubectl("apply", "-f", "-", given=yaml.safe_dump(manifest))
    kubectl("wait", "--for=condition=Complete", "jobflow/hello-linear", "--timeout=90s", namespace=namespace)

    line = kubectl("get", "jobflow", "hello-linear", "--no-headers", namespace=namespace).split()
    assert line[:2] == ["hello-linear", "Succeeded"]
    selector = "workflow.kube-zen.io/step=greet"
    assert kubectl("logs", "-l", selector, namespace=namespace).strip() == "good morning"


@pytest.mark.usefixtures("installed")
def test_exit_codes_and_termination_messages_of_real_containers_reach_status(client: lightkube.Client) -> None:
    first = a_step(
        "first",
        command='case "$HOSTNAME" in *-r1-*) echo \'{"rows": 7}\' > /dev/termination-log;; *) exit 3;; esac',
        retryPolicy={"limit": 2, "backoff": {"type": "Fixed", "duration": "1s"}},
        outputs={"parameters": [{"name": "rows", "valueFrom": {"jsonPath": "$.result.rows"}}]},
    )
    second = a_step(
        "second",
        "first",
        command="test {{.parameters.rows}} -eq 7",
        inputs={"parameters": [{"name": "rows", "valueFrom": {"jsonPath": "first:$.result.rows"}}]},
    )
    client.create(a_flow("messages", first, second))

    status = ended(client, "messages", within=90)

    assert phases(status) == {"first": "Succeeded", "second": "Succeeded"}
    assert rows(status)["first"]["retryCount"] == 1
    assert rows(status)["first"]["outputs"]["parameters"] == [{"name": "rows", "value": "7", "json": True}]


@pytest.mark.usefixtures("installed")
def test_a_timeout_kills_the_container(client: lightkube.Client) -> None:
    client.create(a_flow("slow", a_step("sleeps", command="sleep 600", timeoutSeconds=5)))

    status = ended(client, "slow", within=60)

    assert phases(status) == {"sleeps": "Failed"}
    eventually(lambda: not list(client.list(Pod)), "the Pod to be gone")


@pytest.mark.usefixtures("installed")
def test_a_container_out_of_memory_fails_its_step(client: lightkube.Client) -> None:
    step = a_step("hungry", command="dd if=/dev/zero of=/dev/null bs=200M count=1")
    container = step["template"]["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"memory": "32Mi"}}
    client.create(a_flow("oom", step))

    assert phases(ended(client, "oom", within=60)) == {"hungry": "Failed"}
