"""One control plane for all tests of this folder, and a namespace for each.

The tests need the binary of `build.py`. They run if `ZENFLOW_CONTROL_PLANE` names it, or says `build`: nobody who only
says `pytest` shall wait for Kubernetes to be compiled. `nox -s control_plane` builds it and skips nothing.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, ServiceAccount

from tests.cluster.accounts import KNOWN, LACKING, requests_of
from tests.cluster.build import built
from tests.cluster.controlplane import ControlPlane, control_plane, eventually, fake_node

VARIABLE = "ZENFLOW_CONTROL_PLANE"

_numbers = itertools.count(1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a connection be left to the garbage collector, which every other test takes for an error.

    The HTTP library closes one whose TLS handshake fails, but not one whose handshake is cancelled, and operators are
    cut off here in the middle of everything. Which test it is that pays for it is chance.
    """
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane and a node, for the whole session."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        pytest.skip(f"needs a Kubernetes control plane: nox -s control_plane, or set {VARIABLE}=build")
    binary = built() if asked == "build" else Path(asked)
    with control_plane(binary, tmp_path_factory.mktemp("plane")) as running, fake_node(running):
        yield running
        requests = list(requests_of(running))
    # Whatever the tests have made the operators do: nothing that is not granted, and nothing was forbidden.
    assert {each.use for each in requests} <= KNOWN
    lacking = f"system:serviceaccount:{LACKING}"
    assert {each.use for each in requests if not each.allowed and not each.user.startswith(lacking)} == set()


@contextmanager
def fresh_namespace(plane: ControlPlane, *, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """A new namespace in which Pods can run. It is deleted, but not waited for, at the end."""
    name = f"test-{next(_numbers)}"
    with closing(plane.client()) as client:
        client.create(Namespace(metadata=ObjectMeta(name=name, labels=dict(labels or {}))))
        eventually(lambda: _has_account(client, name), f"the ServiceAccount of namespace {name}")
        yield name
        client.delete(Namespace, name)


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace for one test."""
    with fresh_namespace(plane) as name:
        yield name


def _has_account(client: lightkube.Client, namespace: str) -> bool:
    try:
        client.get(ServiceAccount, "default", namespace=namespace)
    except ApiError:
        return False
    return True


@pytest.fixture
def client(plane: ControlPlane, namespace: str) -> Iterator[lightkube.Client]:
    """An administrator's client, which works in the test's namespace."""
    with closing(plane.client(namespace)) as client:
        yield client
