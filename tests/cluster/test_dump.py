"""`zenflow dump` on a real cluster: from the operator, and made from the API server; both decide the same again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import lightkube
import pytest
import yaml
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Secret

from tests.cluster.controlplane import ControlPlane, eventually
from tests.cluster.operators import Operating, a_flow, a_step, ended, jobs_of, operator, phases, reached
from zenflow_core.dump import Dump, read_dump, told

SECRET = "hunter2-of-the-database"


@pytest.fixture(scope="module", autouse=True)
def operating(plane: ControlPlane) -> Iterator[Operating]:
    with operator(plane) as running:
        yield running


def zenflow(plane: ControlPlane, *arguments: str, kubeconfig: str = "") -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZENFLOW_", "KUBE"))}
    return subprocess.run(
        [sys.executable, "-c", "import sys; from zenflow_runtime.cli import main; sys.exit(main())", *arguments],
        env={**kept, "KUBECONFIG": kubeconfig or str(plane.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def read(text: str) -> Dump:
    dump = read_dump(text.splitlines(keepends=True), file="dump")
    assert isinstance(dump, Dump), dump
    return dump


def assert_decides_the_same(dump: Dump) -> None:
    assert dump.steps
    for line, decision in dump.replay():
        assert json.loads(json.dumps(told(decision))) == line.decided


def parameter(name: str, **source: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "valueFrom": source}]}


def test_both_dumps_of_a_life_decide_the_same_again_and_hold_no_secret(
    plane: ControlPlane, client: lightkube.Client, namespace: str, operating: Operating
) -> None:
    client.create(Secret(metadata=ObjectMeta(name="db"), stringData={"password": SECRET}))
    client.create(ConfigMap(metadata=ObjectMeta(name="c"), data={"k": "v"}))
    retry = {"limit": 2, "backoff": {"type": "Fixed", "duration": "1s"}}
    uses = a_step("use", "flaky", inputs=parameter("password", secretKeyRef={"name": "db", "key": "password"}))
    uses["template"]["spec"]["template"]["spec"]["containers"][0]["args"] = ["{{.parameters.password}}"]
    client.create(
        a_flow(
            "incident",
            a_step("flaky", plays={"exit-code": "1,0", "series": "s", "seconds": "0"}, retryPolicy=retry),
            uses,
            a_step(
                "hangs",
                "use",
                plays={"seconds": "forever"},
                inputs=parameter("p", configMapKeyRef={"name": "c", "key": "k"}),
            ),
        )
    )
    eventually(lambda: len(jobs_of(client, "incident")) == 4, "all Jobs to be made")
    reached(client, "incident", "Running")
    live = zenflow(plane, "dump", "incident", "-n", namespace, "--operator", f"http://{operating.address}")
    assert live.returncode == 0, live.stderr
    made = zenflow(plane, "dump", "@latest", "-n", namespace)
    assert made.returncode == 0, made.stderr
    assert made.stderr == "zenflow: made from the API server: one decision, as of now\n"
    for text in (live.stdout, made.stdout):
        assert_decides_the_same(read(text))
        assert SECRET not in text
        assert "secretKeyRef" in text
    history = read(live.stdout)
    assert history.skipped == 0
    reasons = {move["cause"]["reason"] for step in history.steps for move in step.decided["moves"]}
    assert {"Admitted", "AttemptFailed", "JobComplete"} <= reasons
    # A fresh operator has nothing to do: the one that runs is quiet.
    (step,) = read(made.stdout).steps
    assert step.decided["moves"] == []
    assert [action for action in step.decided["actions"] if action["action"] != "RecordStatus"] == []


def test_a_flow_that_is_not_there_is_said_with_the_nearest_name(
    plane: ControlPlane, client: lightkube.Client, namespace: str, operating: Operating
) -> None:
    client.create(a_flow("over", a_step("one", plays={"seconds": "0"})))
    assert phases(ended(client, "over")) == {"one": "Succeeded"}
    unknown = zenflow(plane, "dump", "ovre", "-n", namespace)
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert "did you mean 'over'?" in unknown.stderr
    elsewhere = zenflow(plane, "dump", "over", "-n", "default", "--operator", f"http://{operating.address}")
    assert elsewhere.returncode == 4
    assert "has decided nothing about flow default/over" in elsewhere.stderr


def test_what_a_real_cluster_refuses_is_one_sentence(plane: ControlPlane, namespace: str, tmp_path: Any) -> None:
    """A token that is none, then a certificate of somebody unknown."""
    config = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    entitled = config["users"]
    name = config["contexts"][0]["context"]["user"]
    config["users"] = [{"name": name, "user": {"token": "none"}}]
    file = tmp_path / "expired"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    expired = zenflow(plane, "dump", "x", "-n", namespace, kubeconfig=str(file))
    assert expired.returncode == 5
    assert "does not accept the credentials of context" in expired.stderr
    config["users"] = entitled
    config["clusters"][0]["cluster"].pop("certificate-authority-data", None)
    config["clusters"][0]["cluster"].pop("certificate-authority", None)
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    untrusted = zenflow(plane, "dump", "x", "-n", namespace, kubeconfig=str(file))
    assert untrusted.returncode == 5
    assert "certificate that is not trusted" in untrusted.stderr
    for answer in (expired, untrusted):
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 2
        assert "Traceback" not in answer.stderr
