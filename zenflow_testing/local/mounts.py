"""Where the paths of a container are on this machine's disk.

Each volume of a Pod is a folder. A process has no mounts of its own, so the paths at which a container would find its
volumes are replaced by those of the folders, wherever they stand in its command, arguments and variables.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

TERMINATION_LOG: Final = "/dev/termination-log"

Object = Mapping[str, Any]
Read = Callable[[str, str], Object | None]
"""Gives an object by kind and name; None if there is none."""


@frozen
class Mount:
    """A path in the container and what is there on disk."""

    path: str
    source: Path
    read_only: bool = False


@frozen
class Mounts:
    """All mounts of a container, the longest path first."""

    mounts: tuple[Mount, ...]
    _pattern: re.Pattern[str] = field(init=False, repr=False, eq=False)
    _sources: Mapping[str, str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        paths = "|".join(re.escape(mount.path) for mount in self.mounts)
        # A path ends where no further letter of a name follows, and begins where none stands before it.
        object.__setattr__(self, "_pattern", re.compile(rf"(?<![\w./-])(?:{paths})(?![\w-]|\.\w)"))
        object.__setattr__(self, "_sources", {mount.path: str(mount.source) for mount in self.mounts})

    def moved(self, text: str) -> str:
        """`text` with every path of a mount replaced by where it is on disk."""
        if not self.mounts:
            return text
        return self._pattern.sub(lambda found: self._sources[found.group()], text)


def mounts_of(container: Object, volumes: Mapping[str, Path], *, termination_log: Path) -> Mounts:
    """The mounts of a container whose Pod has these volumes; the folders that they need are made."""
    log = container.get("terminationMessagePath") or TERMINATION_LOG
    found = [Mount(str(log), termination_log)]
    for mount in container.get("volumeMounts") or ():
        source = volumes[mount["name"]]
        if mount.get("subPath"):
            source = source / mount["subPath"]
            if not source.exists():
                source.mkdir(parents=True)
        found.append(Mount(mount["mountPath"].rstrip("/"), source, read_only=bool(mount.get("readOnly"))))
    return Mounts(tuple(sorted(found, key=lambda mount: len(mount.path), reverse=True)))


class VolumeError(Exception):
    """A volume cannot be had here, in words."""


def volumes_of(pod: Object, folder: Path, claims: Path, read: Read) -> dict[str, Path]:
    """A folder for each volume of a Pod. Raises VolumeError for one that does not exist or has no meaning here.

    An `emptyDir` is new for each Pod, a claim is the same folder for all of a flow.
    """
    found: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        at = folder / name
        if "persistentVolumeClaim" in volume:
            at = claims / volume["persistentVolumeClaim"]["claimName"]
            at.mkdir(parents=True, exist_ok=True)
        elif "hostPath" in volume:
            at = Path(volume["hostPath"]["path"])
            if not at.exists():
                raise VolumeError(f"volume {name} is hostPath {at}, which this machine does not have")
        elif "configMap" in volume:
            _write(at, volume["configMap"], _data(read, "ConfigMap", volume["configMap"], "name"))
        elif "secret" in volume:
            _write(at, volume["secret"], _data(read, "Secret", volume["secret"], "secretName"))
        elif "emptyDir" in volume:
            at.mkdir(parents=True, exist_ok=True)
        else:
            kind = next((key for key in volume if key != "name"), "nothing")
            raise VolumeError(f"volume {name} is of kind {kind}, which only a cluster has")
        found[name] = at
    return found


def data_of(kind: str, obj: Object) -> dict[str, bytes]:
    """The values of a ConfigMap or a Secret as bytes."""
    if kind == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in (obj.get("data") or {}).items()} | binary


def _data(read: Read, kind: str, source: Object, key: str) -> dict[str, bytes]:
    obj = read(kind, source[key])
    if obj is not None:
        return data_of(kind, obj)
    if source.get("optional"):
        return {}
    raise VolumeError(f"{kind} {source[key]} does not exist here: bring it with --with FILE")


def _write(folder: Path, source: Object, data: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    items = source.get("items")
    chosen = {each["path"]: data[each["key"]] for each in items if each["key"] in data} if items else data
    for path, content in chosen.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
