"""OCI image archives, written with the standard library alone and reproducibly: equal files give an equal archive.

An archive is what `docker load`, `podman load` and `ctr images import` read (OCI image layout in a tar file). A layer
is a tar file of its own: entries sorted by name, owned by root, all of one time: neither who built it nor when shows.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

ImageJson = dict[str, Any]

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest(content: bytes) -> str:
    """The name under which content is stored: `sha256:...`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Layer:
    """Files under the paths that they have in the image; a later one of the same path replaces an earlier one."""

    def __init__(self, *, epoch: int = 0) -> None:
        """`epoch`: the time of every entry, in seconds since 1970."""
        self._epoch = epoch
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes | Path]] = {}

    def add_bytes(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """A regular file with this content."""
        entry = self._entry(path, tarfile.REGTYPE, mode)
        entry.size = len(content)
        self._put(entry, content)

    def add_file(self, path: str, source: Path, *, mode: int | None = None) -> None:
        """A copy of a file of this machine; its mode is 0755 if its owner may execute it, else 0644, or `mode`."""
        found = 0o755 if source.stat().st_mode & 0o100 else 0o644
        entry = self._entry(path, tarfile.REGTYPE, found if mode is None else mode)
        entry.size = source.stat().st_size
        self._put(entry, source)

    def add_link(self, path: str, target: str) -> None:
        """A symbolic link."""
        entry = self._entry(path, tarfile.SYMTYPE, 0o777)
        entry.linkname = target
        self._put(entry, b"")

    def add_folder(self, path: str, *, mode: int = 0o755) -> None:
        """An empty folder; those that files need are there anyway."""
        self._put(self._entry(path, tarfile.DIRTYPE, mode), b"")

    def add_tree(self, path: str, source: Path, *, skipped: Collection[str] = ()) -> None:
        """Everything below a folder, links as links, but for files and folders of the names `skipped`."""
        for found in sorted(source.rglob("*")):
            inside = found.relative_to(source)
            if any(part in skipped for part in inside.parts):
                continue
            where = str(PurePosixPath(path) / inside.as_posix())
            if found.is_symlink():
                self.add_link(where, str(found.readlink()))
            elif found.is_dir():
                self.add_folder(where)
            else:
                self.add_file(where, found)

    def tar(self) -> bytes:
        """The layer as a tar file. Takes twice the size of its files in memory."""
        entries = dict(self._entries)
        for name in list(entries):
            for parent in PurePosixPath(name).parents:
                if str(parent) != "." and str(parent) not in entries:
                    entries[str(parent)] = (self._entry(str(parent), tarfile.DIRTYPE, 0o755), b"")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for _, (entry, content) in sorted(entries.items()):
                data = content.read_bytes() if isinstance(content, Path) else content
                archive.addfile(entry, io.BytesIO(data) if entry.isreg() else None)
        return buffer.getvalue()

    def _entry(self, path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(path.strip("/"))
        entry.type, entry.mode, entry.mtime = kind, mode, self._epoch
        return entry

    def _put(self, entry: tarfile.TarInfo, content: bytes | Path) -> None:
        self._entries[entry.name] = (entry, content)


@dataclass(frozen=True, kw_only=True)
class Image:
    """What an image says of itself, in the words of the OCI configuration."""

    name: str
    """With its tag, such as `docker.io/library/busybox:1.35`."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"
    created: str = "1970-01-01T00:00:00Z"


def write(image: Image, layers: Iterable[Layer], to: Path) -> str:
    """Write the archive and return the digest of its manifest, which is the same on every machine."""
    blobs: dict[str, bytes] = {}

    def stored(content: bytes, media: str) -> ImageJson:
        name = digest(content)
        blobs[name] = content
        return {"mediaType": media, "digest": name, "size": len(content)}

    tars = [layer.tar() for layer in layers]
    described = [stored(gzip.compress(tar, 6, mtime=0), LAYER_TYPE) for tar in tars]
    settings: ImageJson = {
        "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.command) or None,
        "User": image.user,
        "WorkingDir": image.folder,
        "Labels": dict(sorted(image.labels.items())) or None,
    }
    config: ImageJson = {
        "architecture": image.architecture,
        "os": "linux",
        "created": image.created,
        "config": {name: value for name, value in settings.items() if value is not None},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        "history": [{"created": image.created, "created_by": "zenflow tools/image"} for _ in tars],
    }
    manifest: ImageJson = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": stored(_json(config), CONFIG_TYPE),
        "layers": described,
    }
    top = stored(_json(manifest), MANIFEST_TYPE)
    tag = image.name.rpartition(":")[2]
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": tag}
    platform = {"architecture": image.architecture, "os": "linux"}
    index: ImageJson = {"schemaVersion": 2, "manifests": [{**top, "annotations": names, "platform": platform}]}
    to.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in [
            ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
            ("index.json", _json(index)),
            # `docker load` of versions before 25 knows only this older form of a table of contents.
            ("manifest.json", _json(_older(image.name, manifest))),
            *((f"blobs/sha256/{name.partition(':')[2]}", blob) for name, blob in sorted(blobs.items())),
        ]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return str(top["digest"])


def _older(name: str, manifest: ImageJson) -> list[ImageJson]:
    def place(blob: ImageJson) -> str:
        return f"blobs/sha256/{str(blob['digest']).partition(':')[2]}"

    layers = [place(layer) for layer in manifest["layers"]]
    return [{"Config": place(manifest["config"]), "RepoTags": [name], "Layers": layers}]


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
