"""The programs as a kubelet starts them: env and mounts of a container that the core has made, in a directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from zenflow_core.artifact_report import ORDERS_ENV

ROOT: Final = Path(__file__).parents[2]
SECRET = "wJalrXUtnFEMI"


@frozen
class Ended:
    code: int
    message: str
    log: str


@contextmanager
def started(name: str, env: dict[str, str], message: Path) -> Iterator[subprocess.Popen[str]]:
    given = {"PATH": os.environ["PATH"], "ZENFLOW_TERMINATION_MESSAGE_PATH": str(message), **env}
    command = [sys.executable, "-m", "zenflow_runtime.artifacts", name]
    with subprocess.Popen(
        command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ran(name: str, env: dict[str, str], tmp_path: Path) -> Ended:
    message = tmp_path / "message"
    with started(name, env, message) as process:
        log, _ = process.communicate(timeout=60)
        return Ended(process.returncode, message.read_text() if message.exists() else "", log)


def environment(container: dict[str, Any], pod: Path) -> dict[str, str]:
    """What a kubelet makes of a container's env, in a Pod whose file system is below `pod`."""
    found = {}
    for each in container["env"]:
        secret = each.get("valueFrom", {}).get("secretKeyRef")
        found[each["name"]] = (
            each["value"].replace("$$", "$") if secret is None else {"id": "AKID", "key": SECRET}[secret["key"]]
        )
    found[ORDERS_ENV] = found[ORDERS_ENV].replace('"/zenflow/', f'"{pod}/zenflow/')
    return found


def mounted(container: dict[str, Any], pod: Path) -> None:
    """The directories that a kubelet mounts into a container of ours."""
    for mount in container["volumeMounts"]:
        (pod / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
