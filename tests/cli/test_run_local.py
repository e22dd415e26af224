"""`zenflow run --local`, as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Zenflow


def a_step(name: str, command: str, *after: str, **fields: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "none:1", "command": ["sh", "-c", command]}
    template = {
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    }
    return {"name": name, **({"dependencies": list(after)} if after else {}), "template": template, **fields}


def written(*steps: Any, file: str = "flow.yaml", **spec: Any) -> Path:
    """A flow in a file of the working directory."""
    manifest = {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "report"},
        "spec": {"steps": list(steps), **spec},
    }
    path = Path(file)
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return path


def test_a_flow_that_succeeds_leaves_nothing_behind_unless_it_is_to_be_kept(zenflow: Zenflow) -> None:
    written(a_step("one", "echo hello"), a_step("two", "true", "one"))

    first = zenflow("run", "--local", "flow.yaml", "--logs")
    left = Path(".zenflow/report").exists()
    second = zenflow("run", "--local", "flow.yaml", "--keep")

    assert first.code == 0
    assert "2 steps run on this machine as processes" in first.out
    assert "images are not used" in first.out
    assert "one | hello" in first.out
    assert "all 2 succeeded" in first.out
    assert not left
    assert second.code == 0
    assert [log.read_text() for log in Path(".zenflow/report").glob("steps/one/1/logs/*.log")] == ["hello\n"]


def test_a_failure_shows_the_end_of_its_log_and_is_exit_code_1(zenflow: Zenflow) -> None:
    written(a_step("bad", "seq 20; echo the reason >&2; exit 3"))

    ran = zenflow("run", "--local", "flow.yaml")

    assert ran.code == 1
    assert "step bad failed" in ran.out
    assert ran.out.rstrip().endswith("  the reason")
    assert "… 9 lines before" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["flow.yaml", "--keep"], 2, "add --local"),
        (["--local", "gone.yaml"], 2, "cannot read gone.yaml"),
        (["--local", "flow.yaml", "--approve", "one"], 4, "manual steps are: agree"),
        (["--local", "flow.yaml", "--resume"], 4, "there is nothing to resume"),
        (["--local", "flow.yaml", "--with", "flow.yaml"], 2, "--with takes ConfigMap, Secret, PersistentVolumeClaim"),
        (["--local", "flow.yaml", "--dir", "examples"], 2, "is not empty and no work directory of a flow"),
        (["--local", "image.yaml"], 2, "has no command, and what its image would run is not known"),
        (["--local", "flow.yaml", "--set", "x=1"], 2, "there is no such parameter"),
    ],
)
def test_what_cannot_be_run_is_said_with_its_fix(arguments: list[str], code: int, said: str, zenflow: Zenflow) -> None:
    written(a_step("one", "true"), {"name": "agree", "type": "Manual", "dependencies": ["one"]})
    image = a_step("one", "true")
    del image["template"]["spec"]["template"]["spec"]["containers"][0]["command"]
    written(image, file="image.yaml")

    ran = zenflow("run", *arguments)

    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert "fix:" in ran.err or "cannot read" in ran.err


def test_an_approval_that_nobody_can_give_ends_the_run_and_resume_goes_on(zenflow: Zenflow) -> None:
    written(a_step("one", "echo x >> count"), {"name": "agree", "type": "Manual", "dependencies": ["one"]})

    waits = zenflow("run", "--local", "flow.yaml")
    refused = zenflow("run", "--local", "flow.yaml")
    done = zenflow("run", "--local", "flow.yaml", "--resume", "--approve", "agree")

    assert waits.code == 3
    assert "Waits for an approval of agree" in waits.out
    assert refused.code == 2
    assert "go on with it by --resume, or begin anew by --fresh" in refused.err
    assert done.code == 0


def test_for_machines_the_end_is_one_document(zenflow: Zenflow) -> None:
    written(a_step("one", "true"))

    ran = zenflow("run", "--local", "flow.yaml", "-o", "json")
    page = zenflow("run", "--local", "flow.yaml", "-o", "html")

    assert json.loads(ran.out)["phase"] == "Succeeded"
    assert page.out.startswith("<!doctype html>")


def test_ctrl_c_says_what_was_running_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(a_step("long", "touch started; test -e go || sleep 600"))
    command = [sys.executable, "-c", "import sys; from zenflow_runtime.cli import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "run", "--local", "flow.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever started the tests in the background of a shell has had the signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    works = list(Path().glob("**/started"))
    while not works:
        assert process.poll() is None
        time.sleep(0.02)
        works = list(Path().glob("**/started"))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    (works[0].parent / "go").touch()
    again = subprocess.run(
        [*command, "run", "--local", "flow.yaml", "--resume"], capture_output=True, text=True, check=False
    )

    assert process.returncode == 130
    assert "Interrupted; running was: long (for " in said
    assert "go on: zenflow run --local flow.yaml --resume" in said
    assert again.returncode == 0, again.stdout + again.stderr
