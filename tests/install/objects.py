"""Objects of Kubernetes by what they are called, so that two sets of them can be compared whatever their order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"

Object = dict[str, Any]
Key = tuple[str, str, str]


def by_name(objects: Iterable[Object]) -> dict[Key, Object]:
    """By kind, namespace and name; none may be there twice."""
    found: dict[Key, Object] = {}
    for each in objects:
        metadata = each["metadata"]
        key = (each["kind"], metadata.get("namespace", ""), metadata["name"])
        assert key not in found, f"{key} is there twice"
        found[key] = each
    return found


def read(text: str) -> dict[Key, Object]:
    """Of a stream of YAML."""
    return by_name(each for each in yaml.safe_load_all(text) if each is not None)


def ran(*command: str | Path, given: str | None = None) -> str:
    """What a program prints; it must succeed."""
    answer = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
    return answer.stdout


def printed(*options: str) -> dict[Key, Object]:
    """What `zenflow manifests` prints."""
    program = Path(sys.executable).with_name("zenflow")
    return read(ran(program, "manifests", *options))
