"""A release of the chart on a real API server: installed, upgraded under a flow that runs, rolled back, taken away.

The commands are those of docs/install.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx2
import lightkube
import pytest
from lightkube.resources.apps_v1 import Deployment

from tests.cluster.accounts import administrator, logged_in, path_of, requests_of
from tests.cluster.controlplane import ControlPlane, JobFlow, control_plane, eventually, fake_node
from tests.cluster.operators import Operating, a_flow, a_step, deployed, ended, jobs_of, phases, reached
from tests.install.objects import ROOT, ran
from zenflow_runtime.installing import NAME, Installation, Manifest, manifests

PAGE: Final = ROOT / "docs" / "install.md"
HOME: Final = "zenflow-system"


@pytest.fixture
def cluster(kubectl: tuple[str, ...], tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster of its own, on which nobody has heard of flows. Pods that do not say how long last an hour."""
    binary = Path(kubectl[0])
    with control_plane(binary, tmp_path / "plane") as running, fake_node(running, seconds=3600):
        with closing(administrator(running)) as http:
            assert http.delete(path_of(_crd())).status_code == 200
            eventually(lambda: not _is_there(http), "the API to be gone")
        yield running


class Release:
    """What helm does to it."""

    def __init__(self, helm: Path, plane: ControlPlane) -> None:
        self._helm = helm
        self._plane = plane

    def __call__(self, verb: str) -> str:
        """Do to it what the page says."""
        lines = PAGE.read_text(encoding="utf-8").splitlines()
        asked = next(line for line in lines if line.startswith(f"$ helm {verb} "))
        said = shlex.split(asked)
        chart = [str(ROOT / word) if word.startswith("deploy/") else word for word in said[2:]]
        return self.run(*chart)

    def run(self, *arguments: str) -> str:
        return ran(self._helm, *arguments, "--kubeconfig", self._plane.kubeconfig)


def _crd() -> Manifest:
    return next(each for each in manifests(Installation()) if each["kind"] == "CustomResourceDefinition")


def _is_there(http: httpx2.Client) -> bool:
    return http.get(path_of(_crd())).status_code == 200


def _deployment(client: lightkube.Client) -> Any:
    return client.get(Deployment, NAME, namespace=HOME).spec


def _as_deployed(plane: ControlPlane, client: lightkube.Client) -> Any:
    """An operator with the account, the rights and the flags of the release."""
    flags = _deployment(client).template.spec.containers[0].args
    return deployed(plane, logged_in(plane, HOME), *flags, home=HOME)


def test_a_release_from_its_installation_to_its_end(cluster: ControlPlane, helm: Path) -> None:
    release = Release(helm, cluster)
    quick, slow = {"plays": {"seconds": "0.2"}}, {"plays": {"seconds": "5"}}
    with closing(cluster.client("default")) as client, closing(administrator(cluster)) as http:
        notes = release("install")
        assert f"kubectl -n {HOME} rollout status deployment/{NAME}" in notes
        eventually(lambda: _is_there(http), "the API")
        running: Operating
        with _as_deployed(cluster, client) as running:
            client.create(a_flow("first", a_step("one", **quick), a_step("two", "one", **quick)))
            assert phases(ended(client, "first")) == {"one": "Succeeded", "two": "Succeeded"}
            client.create(a_flow("lasting", a_step("one", **slow), a_step("two", "one", **quick)))
            reached(client, "lasting", "Running")
            eventually(lambda: jobs_of(client, "lasting"), "a Job")
            assert running.terminate() == 0
        release("upgrade")
        assert _deployment(client).replicas == 2
        with _as_deployed(cluster, client) as running:
            assert phases(ended(client, "lasting")) == {"one": "Succeeded", "two": "Succeeded"}
            assert len(jobs_of(client, "lasting")) == 2, "no Job is made twice"
            assert running.terminate() == 0
        release.run("rollback", "zenflow", "1", "--namespace", HOME)
        assert _deployment(client).replicas == 1
        release("uninstall")
        assert client.get(JobFlow, "lasting")["status"]["phase"] == "Succeeded", "the API stays, and every flow with it"
        assert not list(client.list(Deployment, namespace=HOME))
        # It comes back to the flows that it has left.
        release("install")
        with _as_deployed(cluster, client):
            client.create(a_flow("again", a_step("one", **quick)))
            assert ended(client, "again")["phase"] == "Succeeded"
        assert {each.use for each in requests_of(cluster) if not each.allowed} == set()
