"""A control plane that can be ended and started again: its address, its certificates and what it stores last."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cluster.accounts import given_rights
from tests.cluster.controlplane import ControlPlane, Running, command_of, fake_node, started

COMPACTING: Final = ("--apiserver-arg=--watch-cache=false", "--apiserver-arg=--etcd-compaction-interval=1s")
"""Watches read from etcd, which forgets all that is older than two seconds: whoever was away for longer gets 410."""

_ONE_LOG: Final = "--apiserver-arg=--audit-log-maxsize=10000"
"""Megabytes: what is counted must stand in one file."""


class Lasting:
    """The control plane of one folder. `plane` is good for clients all the time."""

    def __init__(self, binary: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        self.plane = ControlPlane(binary, folder, server=f"https://127.0.0.1:{self._port}", control=None)
        self.kubeconfig = Path()
        """That of the operators' account."""
        self._running: Running | None = None
        self._starts = 0

    def start(self, arguments: Sequence[str] = ()) -> None:
        """Start it, with what it has stored."""
        folder = self.plane.folder
        ready = folder / "ready"
        ready.unlink(missing_ok=True)
        self._starts += 1
        command = command_of(self.plane.binary, folder)
        command += ["--port", str(self._port), _ONE_LOG, *arguments]
        self._running = started(command, folder / f"control-plane-{self._starts}.log", ready=ready)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        assert self._running is not None, "it runs"
        self._running.process.kill()
        self._running.stop()  # closes the pipe, and waits

    def stop(self) -> None:
        """End it in order."""
        assert self._running is not None, "it runs"
        self._running.stop()


@contextmanager
def lasting(binary: Path, folder: Path) -> Iterator[Lasting]:
    """A control plane and a node, started."""
    control = Lasting(binary, folder)
    control.start()
    try:
        control.kubeconfig = given_rights(control.plane)
        with fake_node(control.plane):
            yield control
    finally:
        control.stop()
