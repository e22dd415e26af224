"""Processes with a group of their own, their output in a file, and their ends in a queue.

Two threads a process carry its output and wait for its end; all else happens in the thread that reads the queue.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, Final

from attrs import field, frozen

from zenflow_testing.local.engine import Launch

CANNOT_START: Final = 127
"""The exit code of a command that does not exist, as a shell says it."""


@frozen
class Ended:
    """A process and everything that it has written are over."""

    token: int
    exit_code: int
    """Above 128 for one that a signal ended, as a container runtime counts: 137 is SIGKILL."""


@frozen
class Wrote:
    """A line of output."""

    token: int
    line: str


@frozen
class Process:
    """A process that was started. `token` tells its news from those of others."""

    token: int
    handle: subprocess.Popen[bytes] | None = field(repr=False)
    stop_command: tuple[str, ...] = ()

    def terminate(self) -> None:
        """Ask it and all its children to end."""
        if self.stop_command:
            subprocess.Popen(self.stop_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all its children."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.handle is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.handle.pid, number)


class Starter:
    """Starts processes and gathers their news in `news`."""

    def __init__(self, *, lines: bool = False) -> None:
        """`lines`: also tell each line of output."""
        self.news: SimpleQueue[Any] = SimpleQueue()
        """`Ended` and `Wrote`, and what others put there for whoever reads it."""
        self._lines = lines
        self._count = 0

    def start(self, launch: Launch, log: Path) -> Process:
        """Start it; its output is appended to `log`. One that cannot be started ends with 127, and the log says why."""
        self._count += 1
        token = self._count
        log.parent.mkdir(parents=True, exist_ok=True)
        sink = log.open("ab", buffering=0)
        try:
            handle = subprocess.Popen(
                launch.argv,
                env=dict(launch.env),
                cwd=launch.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            with sink:
                sink.write(f"cannot start {launch.argv[0]}: {(error.strerror or str(error)).lower()}\n".encode())
            self.news.put(Ended(token, CANNOT_START))
            return Process(token, None)
        carrier = threading.Thread(target=self._carry, args=(token, handle, sink), daemon=True)
        carrier.start()
        threading.Thread(target=self._wait, args=(token, handle, carrier), daemon=True).start()
        return Process(token, handle, launch.stop)

    def _carry(self, token: int, handle: subprocess.Popen[bytes], sink: BinaryIO) -> None:
        assert handle.stdout is not None, "it was opened as a pipe"
        with sink, handle.stdout as output:
            for line in output:
                sink.write(line)
                if self._lines:
                    self.news.put(Wrote(token, line.decode("utf-8", "replace").rstrip("\r\n")))

    def _wait(self, token: int, handle: subprocess.Popen[bytes], carrier: threading.Thread) -> None:
        code = handle.wait()
        # Children that it leaves behind end with it, as a container's do; they would also hold its output open.
        with suppress(ProcessLookupError):
            os.killpg(handle.pid, signal.SIGKILL)
        carrier.join()
        self.news.put(Ended(token, code if code >= 0 else 128 - code))
