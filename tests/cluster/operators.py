"""The operator as a process of its own, `python -m zenflow_runtime`, and flows for it."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import lightkube
import yaml
from attrs import frozen

from tests.cluster.accounts import EVERYWHERE, given_rights, home_of
from tests.cluster.controlplane import (
    START_SECONDS,
    CannotStartError,
    ControlPlane,
    Job,
    JobFlow,
    Running,
    eventually,
)
from zenflow_runtime.installing import Installation, arguments

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
PLAYS: Final = "testing.kube-zen.io"

_PR_SET_PDEATHSIG: Final = 1
_numbers = itertools.count()


def die_with_parent() -> None:
    """The operator does not look at its standard input, so the kernel has to end it when the test run is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@frozen
class Operating:
    """An operator that runs."""

    running: Running
    address: str
    """Of its /metrics and probes."""

    @property
    def pid(self) -> int:
        """Its process."""
        return self.running.process.pid

    def kill(self) -> None:
        """End it as a crash would."""
        self.running.process.kill()
        self.running.process.wait()

    def terminate(self) -> int:
        """Ask it to end, as the kubelet does; its exit code."""
        self.running.process.terminate()
        return self.running.process.wait(60)

    def page(self, path: str) -> tuple[int, str]:
        """What it answers on its own port."""
        answer = httpx2.get(f"http://{self.address}{path}", trust_env=False)
        return answer.status_code, answer.text

    def said(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        lines = self.running.log.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


@contextmanager
def operator(plane: ControlPlane, *flags: str, installation: Installation = EVERYWHERE) -> Iterator[Operating]:
    """An operator, ready for flows, with the account, rights and flags that an installation gives it."""
    kubeconfig = given_rights(plane, installation)
    with deployed(plane, kubeconfig, *arguments(installation), *flags, home=home_of(installation)) as operating:
        yield operating


@contextmanager
def deployed(plane: ControlPlane, kubeconfig: Path, *flags: str, home: str) -> Iterator[Operating]:
    """An operator, ready for flows, with the flags of a Deployment but for its port."""
    told = [each for each in flags if not each.startswith("--metrics-addr")]
    with launched(plane, kubeconfig, *told, home=home) as operating:
        _wait_until_ready(operating)
        yield operating


@contextmanager
def unlimited(plane: ControlPlane, *flags: str) -> Iterator[Operating]:
    """An operator that may do anything, as the user `operator`: for figures that cover no authorization."""
    with launched(plane, plane.folder / "operator.kubeconfig", *flags, home="default") as operating:
        _wait_until_ready(operating)
        yield operating


@contextmanager
def launched(plane: ControlPlane, kubeconfig: Path, *flags: str, home: str) -> Iterator[Operating]:
    """The process, of which nothing is known yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = plane.folder / f"operator-{next(_numbers)}.log"
    command = [sys.executable, "-m", "zenflow_runtime", "--kubeconfig", str(kubeconfig)]
    command += ["--metrics-addr", address, *flags]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment | {"POD_NAMESPACE": home},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
    running = Running(process, log)
    try:
        yield Operating(running, address)
    finally:
        if process.poll() is None:
            process.terminate()
        running.stop()


def _wait_until_ready(operating: Operating) -> None:
    running, address = operating.running, operating.address
    deadline = time.monotonic() + START_SECONDS
    with httpx2.Client(trust_env=False) as http:
        while True:
            if running.process.poll() is not None or time.monotonic() > deadline:
                raise CannotStartError(f"the operator is not ready:\n{running.tail()}")
            try:
                if http.get(f"http://{address}/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)


def played(template: Mapping[str, Any], plays: Mapping[str, str]) -> dict[str, Any]:
    """A Job template whose Pods the fake kubelet plays so."""
    spec = template["spec"]
    pod = spec["template"]
    metadata = pod.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), **{f"{PLAYS}/{key}": text for key, text in plays.items()}}
    return {**template, "spec": {**spec, "template": {**pod, "metadata": {**metadata, "annotations": annotations}}}}


def example(name: str, namespace: str, plays: Mapping[str, Mapping[str, str]] | None = None) -> Any:
    """An example of the documentation, in a namespace of its own; `plays` by step says how their Pods play."""
    manifest = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    manifest["metadata"]["namespace"] = namespace
    steps = manifest["spec"]["steps"]
    unknown = set(plays or {}) - {step["name"] for step in steps}
    assert not unknown, f"{name} has no steps {unknown}"
    for step in steps:
        if step["name"] in (plays or {}):
            step["template"] = played(step["template"], (plays or {})[step["name"]])
    return JobFlow.from_dict(manifest)


def a_step(name: str, *after: str, plays: Mapping[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """A step of one container."""
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none:1"}]}}
    template = played({"spec": {"backoffLimit": 0, "template": pod}}, plays or {})
    return {"name": name, **({"dependencies": list(after)} if after else {}), "template": template, **fields}


def a_flow(name: str, *steps: Mapping[str, Any], **spec: Any) -> Any:
    """A flow of these steps."""
    return JobFlow.from_dict({"metadata": {"name": name}, "spec": {"steps": list(steps), **spec}})


def status_of(client: lightkube.Client, name: str) -> Mapping[str, Any]:
    """The status of a flow as it is now; empty before the first."""
    return client.get(JobFlow, name).get("status") or {}


def reached(client: lightkube.Client, name: str, *phases: str, within: float = 60.0) -> Mapping[str, Any]:
    """The status of a flow once its phase is one of these."""

    def look() -> Mapping[str, Any] | None:
        status = status_of(client, name)
        return status if status.get("phase") in phases else None

    return eventually(look, f"flow {name} to be {' or '.join(phases)}", within=within)


def ended(client: lightkube.Client, name: str, within: float = 60.0) -> Mapping[str, Any]:
    """The status of a flow once it has ended."""
    return reached(client, name, "Succeeded", "Failed", within=within)


def rows(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rows of a status, by step."""
    return {row["name"]: row for row in status["steps"]}


def phases(status: Mapping[str, Any]) -> dict[str, str]:
    """The phases of the steps."""
    return {name: row["phase"] for name, row in rows(status).items()}


def jobs_of(client: lightkube.Client, flow: str) -> Sequence[Any]:
    """The Jobs of a flow, by their names."""
    return sorted(client.list(Job, labels={"workflow.kube-zen.io/flow": flow}), key=lambda job: job["metadata"]["name"])
