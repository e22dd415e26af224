"""A control plane without nodes for cases and lifecycles: nobody takes their Pods, and nothing else takes its time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import structlog
from anyio.from_thread import start_blocking_portal
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, ServiceAccount

from tests.cluster.build import built
from tests.cluster.cases_cluster import LiveCluster
from tests.cluster.cases_playing import Ground
from tests.cluster.conftest import VARIABLE
from tests.cluster.controlplane import control_plane, eventually


@contextmanager
def ground_in(folder: Path) -> Iterator[Ground]:
    """A control plane, its watches, and an event loop for operators; skips the tests where there is none."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        pytest.skip(f"needs a Kubernetes control plane: nox -s control_plane, or set {VARIABLE}=build")
    binary = built() if asked == "build" else Path(asked)
    # Fifty operators in one process have a lot to say.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical"), cache_logger_on_first_use=False
    )
    with (
        control_plane(binary, folder) as plane,
        closing(LiveCluster(plane)) as cluster,
        start_blocking_portal() as portal,
    ):
        yield Ground(plane, cluster, portal)


def make_namespace(ground: Ground, name: str) -> str:
    """A namespace in which Pods can be made; the control plane takes it along at its end."""
    with closing(ground.plane.client(name)) as client:
        client.create(Namespace(metadata=ObjectMeta(name=name)))

        def has_account() -> bool:
            try:
                client.get(ServiceAccount, "default")
            except ApiError:
                return False
            return True

        eventually(has_account, f"the ServiceAccount of namespace {name}")
    return name
