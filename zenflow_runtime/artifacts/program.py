"""All orders of one program, its log, the message that it leaves, and its exit code.

The work is done in a thread, so that the signal to end is heard at once even
while obstore waits for a store: the thread then gives up what it has begun
(a multipart upload is aborted, what was half written goes), within the time
that Kubernetes leaves a container.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from zenflow_core.artifact_report import ExitCode, StoredArtifact, write_report
from zenflow_runtime.artifacts.errors import Stopped, TransferError, shortened, without_secrets
from zenflow_runtime.artifacts.fetching import fetch
from zenflow_runtime.artifacts.orders import Order, read_fetches, read_removals, read_stores
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.removing import remove
from zenflow_runtime.artifacts.storing import store

MESSAGE_PATH: Final = "/dev/termination-log"
MESSAGE_PATH_ENV: Final = "ZENFLOW_TERMINATION_MESSAGE_PATH"
"""Where the message goes instead, for whoever runs the programs outside of a Pod."""

_MESSAGE_BYTES: Final = 4096
"""Where a kubelet cuts."""

_WIND_UP_SECONDS: Final = 20
"""Of the 30 that a Pod has by default."""


@frozen
class Ending:
    """How a program ends: its exit code and its termination message."""

    code: ExitCode
    message: str


def main(arguments: list[str]) -> int:
    """Run `inputs`, `outputs` or `removal` with the orders of the environment; answers with the exit code."""
    programs = {"inputs": inputs, "outputs": outputs, "removal": removal}
    if len(arguments) != 1 or arguments[0] not in programs:
        print("usage: python -m zenflow_runtime.artifacts inputs|outputs|removal", file=sys.stderr)
        return ExitCode.BAD_ORDER
    ending = _stoppable(programs[arguments[0]], os.environ)
    _leave(ending, os.environ.get(MESSAGE_PATH_ENV, MESSAGE_PATH))
    return ending.code


def removal(env: Mapping[str, str], patience: Patience) -> Ending:
    """Remove what a deleted flow has stored; what cannot be removed does not keep the rest."""

    def work() -> str:
        failed: TransferError | None = None
        for order in read_removals(env):
            try:
                with _named(order):
                    _log(order, remove(order, patience))
            except TransferError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return ""

    return _carried_out(work)


def inputs(env: Mapping[str, str], patience: Patience) -> Ending:
    """Fetch every input artifact; the first that cannot be fetched ends it."""

    def work() -> str:
        for order in read_fetches(env):
            with _named(order):
                _log(order, fetch(order, patience))
        return ""

    return _carried_out(work)


def outputs(env: Mapping[str, str], patience: Patience) -> Ending:
    """Store every output artifact and report on them; the first that cannot be stored ends it."""

    def work() -> str:
        stored: dict[str, StoredArtifact] = {}
        for order in read_stores(env):
            with _named(order):
                found = store(order, patience)
            if found is None:
                _log(order, "it is optional, and there is nothing at its path")
            else:
                stored[order.name] = found
                _log(order, f"stored {found.size_bytes} bytes, sha256 {found.sha256}, at {found.location}")
        return write_report(stored)

    return _carried_out(work)


@contextmanager
def _named(order: Order) -> Iterator[None]:
    """Put the artifact's name before what is said of it, and take its secrets out."""
    try:
        yield
    except TransferError as trouble:
        secrets = tuple(order.secrets())
        what = f"artifact {order.name}: {without_secrets(trouble.what, secrets)}"
        raise TransferError(trouble.code, what, without_secrets(trouble.fix, secrets)) from None


def _log(order: Order, said: str) -> None:
    print(f"artifact {order.name}: {without_secrets(said, order.secrets())}", flush=True)


def _carried_out(work: Callable[[], str]) -> Ending:
    try:
        return Ending(ExitCode.DONE, work())
    except TransferError as trouble:
        return Ending(trouble.code, shortened(str(trouble), _MESSAGE_BYTES))
    except Stopped:
        return Ending(ExitCode.STOPPED, "it was told to end before it was done")


def _stoppable(program: Callable[[Mapping[str, str], Patience], Ending], env: Mapping[str, str]) -> Ending:
    """The program's ending, or that it was stopped."""
    patience = Patience()
    endings: list[Ending] = []
    done = threading.Event()

    def run() -> None:
        try:
            endings.append(program(env, patience))
        finally:
            done.set()

    def stop(*_: object) -> None:
        patience.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=run, name="artifacts", daemon=True).start()
    # A wait without an end would not let the signal through on every system.
    while not done.wait(0.5) and not patience.stopping.is_set():
        pass
    done.wait(_WIND_UP_SECONDS)
    if endings:
        return endings[0]  # perhaps everything was done already when the signal came
    if patience.stopping.is_set():
        return Ending(ExitCode.STOPPED, "it was told to end before it was done")
    return Ending(ExitCode.UNEXPECTED, "the program broke; its log says where")


def _leave(ending: Ending, path: str) -> None:
    if ending.code is not ExitCode.DONE:
        print(ending.message, file=sys.stderr, flush=True)
    try:
        # An exit code of 0 without its report would lose what was stored: the step fails then, and says so.
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(ending.message)
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr, flush=True)
