"""A Kubernetes control plane as a child process, and the fake node beside it: started, asked, and stopped.

Nothing outlives the test run: both end when their standard input ends, which the kernel sees to even if we are killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import lightkube
from attrs import frozen
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from zenflow_runtime.kube import FLOW, JOB, POD

HERE: Final = Path(__file__).parent
JOBFLOW_CRD: Final = HERE.parents[1] / "schemas" / "jobflow.crd.yaml"

START_SECONDS: Final = 90.0
"""A start takes 3 s; a machine on which everything runs at once may need far more."""

POLL_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 60.0

# The operator's own classes: lightkube's registry takes no second one for a kind of the core group.
JobFlow, Job, Pod = FLOW.resource, JOB.resource, POD.resource
PersistentVolume = create_global_resource("", "v1", "PersistentVolume", "persistentvolumes")
Sample = create_namespaced_resource("testing.kube-zen.io", "v1", "Sample", "samples")

_T = TypeVar("_T")


class CannotStartError(Exception):
    """A process ended, or was not ready in time; says what it had written."""


def eventually(
    look: Callable[[], _T | None], what: str, *, within: float = PATIENCE_SECONDS, every: float = POLL_SECONDS
) -> _T:
    """What `look` finds, asked again and again until it is something true. A real server has its own clock."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s"
        time.sleep(every)


@frozen
class Running:
    """A child process and the file that it writes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, ready: Path) -> None:
        """Wait until it has written that file."""
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            ended = self.process.poll()
            if ended is not None:
                raise CannotStartError(f"ended with {ended}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise CannotStartError(f"not ready after {START_SECONDS:.0f} s:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])

    def stop(self, within: float = 15.0) -> None:
        """Ask it to end, then make it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def started(command: Sequence[str | Path], log: Path, *, ready: Path | None = None) -> Running:
    """Start a program that ends with its standard input, and wait for the file `ready`, if there is one."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    running = Running(process, log)
    if ready is not None:
        try:
            running.wait_for(ready)
        except CannotStartError:
            running.stop(within=1.0)
            raise
    return running


@frozen
class Audited:
    """One request, as the audit log has it."""

    user: str
    agent: str
    verb: str
    resource: str
    """`jobs`, or with a subresource `jobs/status`."""
    namespace: str
    name: str
    code: int
    received: str
    at: str
    """When it came, and when it was answered: RFC 3339 with microseconds, as text in the order of time."""


@frozen
class ControlPlane:
    """A control plane that runs, with the folder that holds all it has written."""

    binary: Path
    folder: Path
    server: str
    control: Running | None
    """None: it was started by somebody else."""

    @property
    def pid(self) -> int:
        """Its process; only of one that we started."""
        assert self.control is not None, "somebody else's cluster"
        return self.control.process.pid

    @property
    def kubeconfig(self) -> Path:
        """That of an administrator."""
        return self.folder / "admin.kubeconfig"

    @property
    def config(self) -> SingleConfig:
        """The same for lightkube."""
        return _config_in(self.kubeconfig)

    @property
    def operator_config(self) -> SingleConfig:
        """That of the user `operator`, who may do anything."""
        return _config_in(self.folder / "operator.kubeconfig")

    def client(self, namespace: str = "default") -> lightkube.Client:
        """A client for tests; close it."""
        return lightkube.Client(self.config, namespace=namespace, field_manager="tests", trust_env=False)

    def http(self) -> httpx2.AsyncHTTPTransport:
        """What carries requests of an administrator to this server; the counterpart of `ClusterTransport`."""
        config = self.config
        assert config.user is not None, f"{self.kubeconfig} has no user"
        return httpx2.AsyncHTTPTransport(verify=verify_cluster(config.cluster, config.user, config.abs_file))

    def minor(self) -> str:
        """The server's minor version, such as "35"."""
        config = self.config
        assert config.user is not None, f"{self.kubeconfig} has no user"
        verify = verify_cluster(config.cluster, config.user, config.abs_file)
        with httpx2.Client(verify=verify, trust_env=False) as http:
            return str(http.get(f"{self.server}/version").json()["minor"])

    def audit(self) -> Iterator[Audited]:
        """Every request so far. A request whose answer has been seen is in it."""
        with (self.folder / "audit.log").open(encoding="utf-8") as lines:
            for line in lines:
                yield _audited(json.loads(line))


def _config_in(kubeconfig: Path) -> SingleConfig:
    config = KubeConfig.from_file(kubeconfig).get()
    assert config is not None, f"{kubeconfig} has no current context"
    return config


def _audited(entry: dict[str, Any]) -> Audited:
    about = entry.get("objectRef") or {}
    subresource = about.get("subresource")
    return Audited(
        entry["user"].get("username", ""),  # nobody could tell who asked
        entry.get("userAgent", ""),
        verb=entry["verb"],
        resource=about.get("resource", "") + (f"/{subresource}" if subresource else ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=(entry.get("responseStatus") or {}).get("code", 0),
        received=entry["requestReceivedTimestamp"],
        at=entry["stageTimestamp"],
    )


def command_of(binary: Path, folder: Path, *, jobflow_crd: Path = JOBFLOW_CRD) -> list[str | Path]:
    """What starts a control plane in a folder."""
    command: list[str | Path] = [binary, "control-plane", "--dir", folder, "--until-stdin-ends"]
    command += ["--audit-policy", HERE / "audit-policy.yaml"]
    return [*command, "--crd", HERE / "crds.yaml", "--crd", jobflow_crd]


@contextmanager
def control_plane(
    binary: Path,
    folder: Path,
    *,
    jobflow_crd: Path = JOBFLOW_CRD,
    arguments: Sequence[str] = (),
    prefix: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """A control plane in an empty folder, for as long as the context lasts. Ready after some 3 s.

    `prefix` is a command that runs another one, such as `nsenter`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    control = started(
        [*prefix, *command_of(binary, folder, jobflow_crd=jobflow_crd), *arguments],
        folder / "control-plane.log",
        ready=folder / "ready",
    )
    try:
        # The file is there before what is in it.
        ready = folder / "ready"
        server = eventually(lambda: ready.read_text(encoding="utf-8").strip(), "the address in the file", within=5)
        yield ControlPlane(binary, folder, server=server, control=control)
    finally:
        control.stop()


@contextmanager
def fake_node(plane: ControlPlane, *, seconds: float = 0.2) -> Iterator[Path]:
    """A node on which Pods last so long unless they say otherwise. Gives the file of its report, written at its end."""
    report = plane.folder / "fakekubelet.json"
    node = started(
        [
            *(plane.binary, "fakekubelet", "--kubeconfig", plane.folder / "fakekubelet.kubeconfig"),
            *("--seconds", str(seconds), "--until-stdin-ends"),
            *("--ready", plane.folder / "node-ready", "--report", report),
        ],
        plane.folder / "fakekubelet.log",
        ready=plane.folder / "node-ready",
    )
    try:
        yield report
    finally:
        node.stop()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, of all its threads."""
    # The name, in parentheses, may hold anything: the fields are counted from its end.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
