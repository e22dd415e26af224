"""The programs that what is in `deploy/` is for: helm and kubectl, where they are here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster import build
from tests.install import helm as helms
from tests.install.objects import ran


@pytest.fixture(scope="session")
def helm() -> Path:
    """helm, which is built only if somebody asked for it."""
    if os.environ.get(helms.VARIABLE) == "build":
        return helms.built()
    found = helms.found()
    if found is None:
        pytest.skip(str(helms.why_not()))
    return found


@pytest.fixture(scope="session")
def kubectl() -> tuple[str, ...]:
    """kubectl of a control plane that was built; one on PATH may be too old to know every kind."""
    asked = os.environ.get("ZENFLOW_CONTROL_PLANE", "")
    kept = build.built() if asked == "build" else Path(asked) if asked else _kept()
    if kept is None:
        pytest.skip("no control plane was built, whose kubectl it takes: python tests/cluster/build.py")
    return (str(kept), "kubectl")


def _kept() -> Path | None:
    try:
        go = build.find_go()
    except build.CannotBuildError:
        return None
    version = ran(go, "env", "GOVERSION").strip()
    binary = build.cache_folder() / build.key_of(build.NEWEST, version) / "kcluster"
    return binary if binary.is_file() else None
