"""A real Kubernetes node on this machine: containerd, runc, kubelet, kube-proxy, beside the control plane of the tests.

Everything lives in a network namespace of its own, which a pair of virtual cables joins to the machine: the machine
reaches API server, Pods and Services; Pods reach the machine (`RealNode.machine`) and nothing beyond it, so a pull of
an image that is not there fails at once instead of after minutes.

It needs Linux, root, and the Debian packages of `needs.py`. One at a time on a machine: a second one waits.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Node

from tests.cluster.controlplane import ControlPlane, Running, control_plane, eventually, started

NODE: Final = "node-1"
NAMESPACE: Final = "zenflow-node"
LOCK: Final = Path("/run/lock/zenflow-node.lock")

_NODE_ADDRESS: Final = "10.89.0.1"
_MACHINE_ADDRESS: Final = "10.89.0.2"
_POD_RANGE: Final = "10.244.0.0/24"
_SERVICE_RANGE: Final = "10.96.0.0/16"
_CGROUP: Final = "zenflow-node"


@frozen
class RealNode:
    """A node that is Ready, and its control plane."""

    plane: ControlPlane
    folder: Path

    machine: str = _MACHINE_ADDRESS
    """Where Pods reach this machine: a server for them listens on this address, or on all."""

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd.sock"

    def load(self, archive: Path) -> None:
        """Make an image of an OCI archive known to the node. Takes about a second for 100 MB."""
        _ctr(self.socket, "images", "import", str(archive))


def _ctr(socket: Path, *arguments: str) -> str:
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout


@contextmanager
def real_node(
    binary: Path, folder: Path, *, images: Sequence[Path] = (), arguments: Sequence[str] = ()
) -> Iterator[RealNode]:
    """A control plane and a node that runs containers, for as long as the context lasts. Ready after some 5 s.

    `images` are loaded before the node is; one of them must be `tests.node.images.PAUSE`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone())
        clear_leftovers()
        _network()
        stack.callback(_unmount, folder)
        stack.callback(clear_leftovers)
        containerd = _containerd(folder)
        stack.callback(_stop, containerd)
        inside = ("--address", _NODE_ADDRESS, "--node", NODE)
        plane = stack.enter_context(
            control_plane(binary, folder / "plane", prefix=_inside(), arguments=[*inside, *arguments])
        )
        node = RealNode(plane, folder)
        eventually(lambda: _answers(node.socket), "an answer of containerd")
        # Before containerd stops, and after the kubelet has: containers outlive both.
        stack.callback(_end_containers, node.socket)
        for archive in images:
            node.load(archive)
        stack.callback(_stop, _kubelet(binary, folder))
        stack.callback(_stop, _kube_proxy(binary, folder))
        eventually(lambda: _is_ready(plane), f"node {NODE} to be ready, see {folder}/kubelet.log")
        yield node


@contextmanager
def _alone() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _inside() -> tuple[str, ...]:
    # Not `ip netns exec`: that mounts a new /sys, without the cgroups.
    return ("nsenter", f"--net=/run/netns/{NAMESPACE}", "--")


def _network() -> None:
    _run("ip", "netns", "add", NAMESPACE)
    inside = ("ip", "-n", NAMESPACE)
    _run(*inside, "link", "set", "lo", "up")
    _run("ip", "link", "add", "zenflow0", "type", "veth", "peer", "name", "node0", "netns", NAMESPACE)
    _run("ip", "addr", "add", f"{_MACHINE_ADDRESS}/30", "dev", "zenflow0")
    _run("ip", "link", "set", "zenflow0", "up")
    _run(*inside, "addr", "add", f"{_NODE_ADDRESS}/30", "dev", "node0")
    _run(*inside, "link", "set", "node0", "up")
    # From the node itself a Service's address needs some route before kube-proxy rewrites it.
    _run(*inside, "route", "add", _SERVICE_RANGE, "dev", "node0")
    for beyond in (_POD_RANGE, _SERVICE_RANGE):
        _run("ip", "route", "add", beyond, "via", _NODE_ADDRESS)
    _run(*_inside(), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def clear_leftovers() -> None:
    """Remove what a run left that could not clean up: its namespace, with the cable and the routes, and its cgroups."""
    with suppress(OSError):
        pids = subprocess.run(["ip", "netns", "pids", NAMESPACE], capture_output=True, text=True, check=False)
        for pid in pids.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", "zenflow0"], capture_output=True, check=False)
    for top in Path("/sys/fs/cgroup").glob(f"*/{_CGROUP}"):
        for found in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):  # a container that has not ended yet: the next run finds it ended
                found.rmdir()
        with suppress(OSError):
            top.rmdir()


def _unmount(folder: Path) -> None:
    """Take off what kubelet and containerd have mounted in their folders, so that these can be removed."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for at in reversed(mounted):
        if at.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", at], capture_output=True, check=False)


def _daemon(folder: Path, name: str, *command: str | Path) -> Running:
    # It ends with us: the kernel sends the signal when its parent is gone.
    wrapped = (*_inside(), "setpriv", "--pdeathsig", "TERM", *command)
    return started(wrapped, folder / f"{name}.log")


def _stop(running: Running) -> None:
    running.process.terminate()
    running.stop()


def _containerd(folder: Path) -> Running:
    networks = folder / "cni"
    networks.mkdir(exist_ok=True)
    plugins = [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(folder / "addresses"),
                "ranges": [[{"subnet": _POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    network = {"cniVersion": "0.4.0", "name": "zenflow", "plugins": plugins}
    (networks / "10-zenflow.conflist").write_text(json.dumps(network), encoding="utf-8")
    unused = ["snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.devmapper", "snapshotter.v1.aufs"]
    unused += ["internal.v1.opt", "tracing.processor.v1.otlp"]
    settings = folder / "containerd.toml"
    settings.write_text(
        f"""version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
disabled_plugins = {json.dumps([f"io.containerd.{name}" for name in unused])}
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE, runc may not lower it
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{networks}"
""",
        encoding="utf-8",
    )
    return _daemon(folder, "containerd", "containerd", "--config", settings)


def _kubelet(binary: Path, folder: Path) -> Running:
    plane = folder / "plane"
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{plane}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{plane}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{plane}/pki/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{_CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "resolvConf": "",
        "podLogsDir": f"{folder}/pod-logs",
        "volumePluginDir": f"{folder}/plugins",
        # The disk of a developer's machine may be nearly full; that is no reason to evict a test.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": 110,
    }
    file = folder / "kubelet.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    for name in {part.name for part in Path("/sys/fs/cgroup").iterdir() if part.is_dir()}:
        Path("/sys/fs/cgroup", name, _CGROUP).mkdir(exist_ok=True)
    return _daemon(
        *(folder, "kubelet", binary, "kubelet", "--config", file, "--kubeconfig", plane / "kubelet.kubeconfig"),
        *("--root-dir", folder / "kubelet", "--cert-dir", folder / "kubelet-pki"),
        *("--hostname-override", NODE, "--node-ip", _NODE_ADDRESS),
    )


def _kube_proxy(binary: Path, folder: Path) -> Running:
    return _daemon(
        *(folder, "kube-proxy", binary, "kube-proxy", "--kubeconfig", folder / "plane" / "kube-proxy.kubeconfig"),
        *("--hostname-override", NODE, "--proxy-mode", "iptables", "--cluster-cidr", "10.244.0.0/16"),
        # Settings of the whole kernel stay as they are.
        *("--conntrack-max-per-core", "0", "--conntrack-tcp-timeout-established", "0s"),
        *("--conntrack-tcp-timeout-close-wait", "0s"),
    )


def _answers(socket: Path) -> bool:
    try:
        _ctr(socket, "version")
    except RuntimeError:
        return False
    return True


def _is_ready(plane: ControlPlane) -> bool:
    with closing(plane.client()) as client:
        try:
            node = client.get(Node, NODE)
        except ApiError:
            return False
    conditions = (node.status.conditions if node.status else None) or []
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def _end_containers(socket: Path) -> None:
    for _ in range(50):
        running = _ctr(socket, "tasks", "list", "--quiet").split()
        if not running:
            break
        for task in running:
            for command in (("tasks", "kill", "--signal", "SIGKILL", task), ("tasks", "delete", "--force", task)):
                with suppress(RuntimeError):  # it ended meanwhile
                    _ctr(socket, *command)
        time.sleep(0.1)
    for container in _ctr(socket, "containers", "list", "--quiet").split():
        with suppress(RuntimeError):
            _ctr(socket, "containers", "delete", container)
