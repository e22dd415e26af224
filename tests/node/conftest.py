"""One real node for all tests of this folder, with the operator installed in it as a user would, from its own image.

They run if `ZENFLOW_NODE` is set: a kubelet takes root, and nobody who only says `pytest` expects one. `nox -s node`
sets it and skips nothing: `ZENFLOW_NODE=build` starts a node on this machine. Where that is impossible, it names the
kubeconfig file of any cluster, which must know or be able to pull `busybox:1.35` and the image that
`ZENFLOW_IMAGE` names; tests that need this machine's own node are then skipped, and say so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import lightkube
import pytest
import yaml
from attrs import frozen

from tests.artifacts.servers import s3_server
from tests.cluster.build import built
from tests.cluster.conftest import client, fresh_namespace, namespace
from tests.cluster.controlplane import ControlPlane
from tests.node.flows import Home
from tests.node.images import busybox, pause
from tests.node.realnode import NODE, RealNode, real_node
from tests.node.stores import EVERYWHERE, Store
from tools.image import build as image

__all__ = ["client", "namespace"]

VARIABLE: Final = "ZENFLOW_NODE"
IMAGE: Final = os.environ.get("ZENFLOW_IMAGE", "localhost/zenflow:test")
SYSTEM: Final = "zenflow-system"
VOLUMES: Final = 24
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A node of this machine that knows the images of the tests and that of zenflow."""
    if os.environ.get(VARIABLE) != "build":
        pytest.skip(f"needs a node on this machine (root, containers): nox -s node, or set {VARIABLE}=build")
    folder = tmp_path_factory.mktemp("node")
    archives = [busybox(folder / "busybox.tar"), pause(folder / "pause.tar")]
    wheel = image.make_wheel(folder)
    archives.append(image.build(ARCHITECTURES[os.uname().machine], folder, wheel=wheel, name=IMAGE))
    audit = ("--audit-policy", str(Path(__file__).with_name("audit-policy.yaml")))
    with real_node(built(), folder / "run", images=archives, arguments=audit) as running:
        yield running


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ControlPlane:
    """The control plane of the node, or of the cluster that `ZENFLOW_NODE` names."""
    asked = os.environ.get(VARIABLE, "")
    if asked in ("", "build"):
        node: RealNode = request.getfixturevalue("node")
        return node.plane
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "admin.kubeconfig").write_text(Path(asked).read_text(encoding="utf-8"), encoding="utf-8")
    return ControlPlane(Path(), folder, server="", control=None)


@frozen
class Kubectl:
    """The program that users have, as administrator of the cluster."""

    program: tuple[str, ...]
    kubeconfig: Path

    def __call__(self, *arguments: str, given: str = "", namespace: str = "") -> str:
        """Its standard output; it must succeed."""
        command = [*self.program, "--kubeconfig", str(self.kubeconfig), *(("-n", namespace) if namespace else ())]
        answer = subprocess.run([*command, *arguments], input=given, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stdout}{answer.stderr}"
        return answer.stdout


@pytest.fixture(scope="session")
def kubectl(plane: ControlPlane) -> Kubectl:
    """kubectl for the cluster: ours is of the server's version, somebody else's is where they have it."""
    ours = os.environ.get(VARIABLE) == "build"
    return Kubectl((str(built()), "kubectl") if ours else ("kubectl",), plane.kubeconfig)


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl) -> Kubectl:
    """The operator runs in the cluster, installed by `zenflow manifests | kubectl apply -f -`."""
    program = Path(sys.executable).with_name("zenflow")
    manifests = subprocess.run([program, "manifests", "--image", IMAGE], capture_output=True, text=True, check=True)
    kubectl("apply", "-f", "-", given=manifests.stdout)
    kubectl("rollout", "status", "deployment/zenflow-controller", "--timeout=120s", namespace=SYSTEM)
    return kubectl


@pytest.fixture
def admin(plane: ControlPlane) -> Iterator[lightkube.Client]:
    """An administrator's client for things without a namespace."""
    with closing(plane.client()) as found:
        yield found


@pytest.fixture(scope="module")
def home(plane: ControlPlane, installed: Kubectl) -> Iterator[Home]:
    """A namespace for all flows of one file, which run side by side."""
    with fresh_namespace(plane) as name, closing(plane.client(name)) as client:
        yield Home(client, name)


@pytest.fixture(scope="session")
def store(node: RealNode) -> Iterator[Store]:
    """An S3 server on this machine, where Pods reach it."""
    with s3_server(EVERYWHERE) as port:
        yield Store(node.machine, port)


@pytest.fixture(scope="session")
def volumes(node: RealNode, kubectl: Kubectl) -> None:
    """Volumes for whoever claims some: folders of this machine, as a cluster without a provisioner has them."""
    made = [volume(number, node.folder) for number in range(1, VOLUMES + 1)]
    kubectl("apply", "-f", "-", given=yaml.safe_dump_all(made))


def volume(number: int, folder: Path) -> dict[str, Any]:
    """A volume of root's, which nobody else may write to until a Pod asks for a group (`local` does that)."""
    path = folder / f"volume-{number}"
    path.mkdir(exist_ok=True)
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"volume-{number}"},
        "spec": {
            "capacity": {"storage": "200Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    }
