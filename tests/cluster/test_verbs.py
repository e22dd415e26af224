"""The verbs of the command line on a real API server: from creation to deletion, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lightkube
import pytest
import yaml

from tests.cluster.controlplane import ControlPlane, JobFlow
from tests.cluster.operators import Operating, a_flow, a_step, operator
from tests.cluster.test_dump import zenflow


@pytest.fixture(scope="module", autouse=True)
def operating(plane: ControlPlane) -> Iterator[Operating]:
    with operator(plane) as running:
        yield running


def test_the_life_of_a_flow_by_its_verbs(
    plane: ControlPlane, client: lightkube.Client, namespace: str, tmp_path: Path
) -> None:
    flow = a_flow(
        "story",
        a_step("build", plays={"seconds": "0"}),
        {"name": "gate", "type": "Manual", "dependencies": ["build"]},
        a_step("ship", "gate", plays={"exit-code": "1", "seconds": "0"}),
    )
    manifest = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow", **flow}
    file = tmp_path / "story.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(manifest))), encoding="utf-8")

    def verb(*arguments: str, code: int = 0) -> str:
        ran = zenflow(plane, *arguments, "-n", namespace)
        assert ran.returncode == code, (arguments, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr
        return ran.stdout

    def offered(*words: str) -> list[str]:
        *answers, last = zenflow(plane, "__complete", *words).stdout.splitlines()
        assert last == ":4"
        return answers

    assert verb("run", str(file), "-o", "name") == "jobflow.workflow.kube-zen.io/story\n"
    verb("run", str(file), code=5)
    verb("wait", "story", "--for", "approval", "--timeout", "60s")
    assert "needs an approval: gate" in verb("list")
    assert "◌ gate" in verb("get", "@latest")
    assert offered("get", "-n", namespace, "sto") == ["story"]
    assert offered("approve", "-n", namespace, "story", "") == ["gate"]
    assert namespace in offered("list", "-n", namespace[:4])
    assert "AwaitsApproval" in verb("explain", "story", "ship")
    assert verb("approve", "story").startswith("approved gate of story as ")
    said = verb("watch", "story", code=1)
    assert "✔ Succeeded  gate" in said
    assert "✘ Failed  ship" in said
    status = json.loads(verb("get", "story", "-o", "json"))["status"]
    (gate,) = (row for row in status["steps"] if row["name"] == "gate")
    assert gate["approvedBy"]
    assert verb("retry", "story").startswith("flow story-retry-1 begins with the 2 steps that have succeeded")
    verb("wait", "story-retry-1", "--timeout", "60s", code=1)
    assert client.get(JobFlow, "story-retry-1")["spec"]["retryOf"]["name"] == "story"
    assert "<!doctype html>" in verb("get", "story-retry-1", "-o", "html")
    verb("suspend", "story", code=1)
    assert verb("delete", "story", "story-retry-1").count("is deleted") == 2
    verb("get", "story", code=4)
    assert "as this zenflow needs it" in verb("version")
