"""What runs a container: this machine itself, or podman or docker; as the command line that does it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from zenflow_core.names import INPUTS_CONTAINER, OUTPUTS_CONTAINER
from zenflow_runtime.artifacts.program import MESSAGE_PATH_ENV
from zenflow_testing.local.environment import inherited, resolved
from zenflow_testing.local.mounts import TERMINATION_LOG, Mounts, Object

OURS: Final = (INPUTS_CONTAINER, OUTPUTS_CONTAINER)
"""Containers that move artifacts: always processes, since this installation has their programs."""


class EngineName(StrEnum):
    """The engines there are."""

    PROCESS = "process"
    PODMAN = "podman"
    DOCKER = "docker"


@frozen
class Launch:
    """A command line, its variables, and where it starts."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    stop: tuple[str, ...] = ()
    """A command that ends it, where its own processes cannot be reached; empty: signals do."""


class Engine(Protocol):
    """Turns a container into a command line."""

    def launch(self, container: Object, *, name: str, env: Mapping[str, str], mounts: Mounts, scratch: Path) -> Launch:
        """`name` is new for each start, `env` complete, `scratch` a folder of the container's own."""

    def obstacle(self, container: Object) -> tuple[str, str] | None:
        """Why the container cannot run so, and how to put that right; None if it can."""


@frozen
class Processes:
    """Containers are processes of this machine: images, users and limits mean nothing."""

    def launch(self, container: Object, *, name: str, env: Mapping[str, str], mounts: Mounts, scratch: Path) -> Launch:
        """The command itself, with paths of mounts replaced by those on disk."""
        words = [*container["command"], *(container.get("args") or ())]
        if container["name"] in OURS:
            words[0] = sys.executable
        moved = {key: mounts.moved(value) for key, value in env.items()}
        argv = tuple(mounts.moved(resolved(word, env)) for word in words)
        folder = scratch
        if container.get("workingDir"):
            at = mounts.moved(container["workingDir"])
            folder = Path(at) if at != container["workingDir"] else scratch / at.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        left = {"HOSTNAME": name, MESSAGE_PATH_ENV: mounts.moved(TERMINATION_LOG)}
        return Launch(argv, {**inherited(), **left, **moved}, folder)

    def obstacle(self, container: Object) -> tuple[str, str] | None:
        """A container without a command runs what its image says, and there is no image."""
        if not container.get("command"):
            what = "has no command, and what its image would run is not known without a container engine"
            return what, "give it a command, or run with --engine podman or docker"
        return None


@frozen
class Containers:
    """Containers are containers, of podman or docker."""

    program: str

    def launch(self, container: Object, *, name: str, env: Mapping[str, str], mounts: Mounts, scratch: Path) -> Launch:
        """`podman run` with the volumes mounted where the container expects them."""
        if container["name"] in OURS:
            return Processes().launch(container, name=name, env=env, mounts=mounts, scratch=scratch)
        argv = [self.program, "run", "--rm", "--init", f"--name={name}", f"--hostname={name[:63]}"]
        argv += [f"--env={key}" for key in env]
        argv += list(_volumes(mounts))
        if container.get("workingDir"):
            argv.append(f"--workdir={container['workingDir']}")
        command, args = container.get("command") or (), container.get("args") or ()
        if command:
            argv.append(f"--entrypoint={command[0]}")
        argv += [str(container.get("image", "")), *(resolved(word, env) for word in (*command[1:], *args))]
        scratch.mkdir(parents=True, exist_ok=True)
        # The variables go through our own environment: a command line can be read by everybody on the machine.
        return Launch(tuple(argv), {**inherited(), **env}, scratch, stop=(self.program, "stop", "--time=10", name))

    def obstacle(self, container: Object) -> tuple[str, str] | None:
        """None: an image says what it runs."""
        return None


def _volumes(mounts: Mounts) -> Iterator[str]:
    for mount in mounts.mounts:
        yield f"--volume={mount.source}:{mount.path}{':ro' if mount.read_only else ''}"


def engine_of(name: EngineName) -> Engine | str:
    """The engine of that name, or why there is none."""
    if name is EngineName.PROCESS:
        return Processes()
    if shutil.which(name.value) is None:
        return f"there is no {name.value} on PATH"
    return Containers(name.value)


def obstacles(templates: Mapping[str, Sequence[Mapping[str, Any]]], engine: Engine) -> Iterator[tuple[str, str, str]]:
    """Step, what is wrong and its fix, for each container (by step) that the engine cannot run."""
    for step, containers in templates.items():
        for container in containers:
            found = engine.obstacle(container)
            if found is not None:
                yield step, f"container {container['name']} {found[0]}", found[1]
