"""One Pod: its init containers one after the other, then the others side by side, started again where they have to be.

What a kubelet writes about it is written here: phase, states, exit codes, termination messages.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from zenflow_core.instants import rfc3339
from zenflow_core.reading import TERMINATION_MESSAGE_BYTES, message_bytes
from zenflow_testing.local.engine import Engine
from zenflow_testing.local.environment import VariableError, variables
from zenflow_testing.local.mounts import Object, Read, VolumeError, mounts_of, volumes_of
from zenflow_testing.local.processes import CANNOT_START, Process, Starter

GRACE: Final = timedelta(seconds=30)
"""How long a container that is asked to end may take, unless its Pod says otherwise."""
_BACKOFF: Final = timedelta(seconds=10)
_BACKOFF_MOST: Final = timedelta(minutes=5)
_TAIL: Final = 2_048
"""Bytes of the log that are the message with `FallbackToLogsOnError`."""


@frozen
class Place:
    """The folders of a Pod."""

    attempt: Path
    """Of the attempt: logs and volumes."""
    claims: Path

    def log(self, pod: str, container: str) -> Path:
        """Where a container's output goes."""
        return self.attempt / "logs" / f"{pod}.{container}.log"


@define
class _Container:
    spec: Object
    is_init: bool
    is_sidecar: bool
    message: Path
    process: Process | None = None
    began: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    restarts: int = 0
    again_at: datetime | None = None

    @property
    def name(self) -> str:
        return str(self.spec["name"])


@define(eq=False)
class PodRun:
    """A Pod that runs. `over` is its exit code once it has ended: that of the first container that failed, else 0."""

    obj: Object
    place: Place
    engine: Engine
    starter: Starter
    read: Read
    write: Callable[[Mapping[str, Any]], None]
    """Stores the Pod's status."""
    began: datetime
    over: int | None = None
    failed_container: str = ""
    trouble: str = ""
    """Why it could not run at all."""
    _containers: list[_Container] = field(init=False, factory=list)
    _volumes: dict[str, Path] = field(init=False, factory=dict)
    _killed_at: datetime | None = field(init=False, default=None)

    @property
    def name(self) -> str:
        """Of the object."""
        return str(self.obj["metadata"]["name"])

    @property
    def restarts(self) -> int:
        """How often a container was started again."""
        return sum(each.restarts for each in self._containers)

    @property
    def tokens(self) -> Iterator[int]:
        """Of its processes that run."""
        return (each.process.token for each in self._containers if each.process is not None)

    @property
    def is_stopping(self) -> bool:
        """It has been asked to end."""
        return self._killed_at is not None

    def start(self, now: datetime) -> None:
        """Make its volumes and start its first containers."""
        spec = self.obj["spec"]
        messages = self.place.attempt / "messages"
        messages.mkdir(parents=True, exist_ok=True)
        for is_init, containers in ((True, spec.get("initContainers") or ()), (False, spec["containers"])):
            for container in containers:
                message = messages / f"{self.name}.{container['name']}"
                message.write_bytes(b"")
                sidecar = is_init and container.get("restartPolicy") == "Always"
                self._containers.append(_Container(container, is_init, sidecar, message))
        try:
            folder = self.place.attempt / "volumes" / self.name
            # What a Pod of that name left in an interrupted run is not this one's.
            shutil.rmtree(folder, ignore_errors=True)
            self._volumes = volumes_of(self.obj, folder, self.place.claims, self.read)
        except VolumeError as error:
            self._give_up(str(error), now)
            return
        self._go_on(now)

    def ended(self, token: int, exit_code: int, now: datetime) -> bool:
        """A process has ended. False: it was none of this Pod's."""
        found = next((each for each in self._containers if each.process and each.process.token == token), None)
        if found is None:
            return False
        found.process, found.exit_code, found.ended = None, exit_code, now
        self._go_on(now)
        return True

    def stop(self, now: datetime) -> None:
        """Ask all that runs to end."""
        if self._killed_at is None:
            self._killed_at = now
            for each in self._containers:
                each.again_at = None
                if each.process is not None:
                    each.process.terminate()
            self._go_on(now)

    def next_due(self) -> datetime | None:
        """When something is to happen here by itself."""
        due = [each.again_at for each in self._containers if each.again_at is not None]
        if self._killed_at is not None and self.over is None:
            due.append(self._killed_at + self._grace())
        return min(due, default=None)

    def run_due(self, now: datetime) -> None:
        """Start again what has waited, kill what does not end."""
        if self._killed_at is not None and now >= self._killed_at + self._grace():
            for each in self._containers:
                if each.process is not None:
                    each.process.kill()
        for each in self._containers:
            if each.again_at is not None and each.again_at <= now:
                each.again_at = None
                each.restarts += 1
                self._start(each, now)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _grace(self) -> timedelta:
        seconds = self.obj["spec"].get("terminationGracePeriodSeconds")
        return GRACE if seconds is None else timedelta(seconds=seconds)

    def _go_on(self, now: datetime) -> None:
        """Start what may start now, and see whether the Pod is over."""
        if self.over is not None:
            return
        if self._killed_at is None and not self._is_done():
            for each in self._containers:
                if each.exit_code not in (None, 0) and each.process is None and each.again_at is None:
                    self._again_or_not(each, now)
            if not self._is_finished():
                self._start_next(now)
        if self._is_finished():
            for each in self._containers:
                if each.is_sidecar and each.process is not None:
                    each.process.terminate()
        if any(each.process is not None or each.again_at is not None for each in self._containers):
            self._record(now)
            return
        self.over = self._code()
        self._record(now)

    def _start_next(self, now: datetime) -> None:
        for each in self._containers:
            if each.is_init:
                if each.exit_code == 0 or (each.is_sidecar and each.process is not None):
                    continue
                if each.process is None and each.again_at is None:
                    self._start(each, now)
                if not each.is_sidecar:
                    return
            elif each.began is None:
                self._start(each, now)

    def _again_or_not(self, each: _Container, now: datetime) -> None:
        policy = self.obj["spec"].get("restartPolicy", "Always")
        if (each.is_sidecar and not self.failed_container) or policy == "OnFailure":
            pause = min(_BACKOFF * 2**each.restarts, _BACKOFF_MOST)
            each.again_at = now + pause
        elif not self.failed_container and not each.is_sidecar:
            self.failed_container = each.name

    def _is_finished(self) -> bool:
        """Nothing but sidecars is left to run: an init container has failed for good, or all others have ended."""
        rest = [each for each in self._containers if not each.is_sidecar]
        if any(each.is_init and each.name == self.failed_container for each in rest):
            return True
        return all(each.exit_code is not None and each.again_at is None for each in rest)

    def _is_done(self) -> bool:
        return all(each.exit_code == 0 for each in self._containers if not each.is_sidecar)

    def _code(self) -> int:
        if self._is_done():
            return 0
        failed = [each.exit_code for each in self._containers if each.name == self.failed_container]
        codes = [*failed, *(each.exit_code for each in self._containers)]
        return next((code for code in codes if code), 137)

    def _start(self, each: _Container, now: datetime) -> None:
        each.began, each.ended, each.exit_code = now, None, None
        each.message.write_bytes(b"")
        try:
            env = variables(each.spec, self.obj, self.read)
        except VariableError as error:
            self._give_up(str(error), now)
            return
        mounts = mounts_of(each.spec, self._volumes, termination_log=each.message)
        name = f"{self.name}-{each.name}" + (f"-{each.restarts}" if each.restarts else "")
        scratch = self.place.attempt / "work"
        launch = self.engine.launch(each.spec, name=name, env=env, mounts=mounts, scratch=scratch)
        each.process = self.starter.start(launch, self.place.log(self.name, each.name))

    def _give_up(self, why: str, now: datetime) -> None:
        self.trouble, self.failed_container = why, self._containers[0].name
        self._containers[0].exit_code, self._containers[0].ended = CANNOT_START, now
        self.stop(now)

    def _record(self, now: datetime) -> None:
        phase = "Running" if self.over is None else "Failed" if self.over else "Succeeded"
        status: dict[str, Any] = {"phase": phase, "startTime": rfc3339(self.began)}
        for key, is_init in (("initContainerStatuses", True), ("containerStatuses", False)):
            found = [self._status(each) for each in self._containers if each.is_init is is_init]
            if found:
                status[key] = found
        if self.trouble:
            status["message"] = self.trouble
        self.write(status)

    def _status(self, each: _Container) -> dict[str, Any]:
        state: dict[str, Any]
        if each.process is not None and each.began is not None:
            state = {"running": {"startedAt": rfc3339(each.began)}}
        elif each.exit_code is not None and each.again_at is None:
            done: dict[str, Any] = {"exitCode": each.exit_code, "reason": "Error" if each.exit_code else "Completed"}
            for key, at in (("startedAt", each.began), ("finishedAt", each.ended)):
                if at is not None:
                    done[key] = rfc3339(at)
            message = self._message(each)
            state = {"terminated": done | ({"message": message} if message else {})}
        else:
            state = {"waiting": {"reason": "CrashLoopBackOff" if each.again_at is not None else "PodInitializing"}}
        return {"name": each.name, "ready": "running" in state, "restartCount": each.restarts, "state": state}

    def _message(self, each: _Container) -> str:
        """What it left as its termination message, cut where a kubelet cuts it.

        Of a file the last 4 KiB are read (kubelet, `getTerminationMessage`); of these each container of the Pod has its
        share of 12 KiB (`message_bytes`).
        """
        if self.trouble:
            return self.trouble
        raw = each.message.read_bytes() if each.message.exists() else b""
        if not raw and each.exit_code and each.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            raw = self.place.log(self.name, each.name).read_bytes()[-_TAIL:]
        room = message_bytes(self.obj["spec"])
        return raw[-TERMINATION_MESSAGE_BYTES:][:room].decode("utf-8", "replace")
