"""Files and directories as one stream of bytes: tar or zip, as it is or by gzip.

The stream is made as it is read, so that memory does not grow with it. Names
are in order and owners are left out. What a step has left is not trusted: links
are stored as links, and never followed (`tree`).
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from attrs import frozen

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError, of_volume
from zenflow_runtime.artifacts.orders import Packing
from zenflow_runtime.artifacts.streams import CHUNK_BYTES
from zenflow_runtime.artifacts.tree import DEPTH, Parts, check_links, file_mode, reading

READ_BYTES: Final = 1024 * 1024
ZIP_ENTRIES: Final = 50_000
"""zip keeps a list of all its entries, which has to fit into memory; tar does not."""

_BLOCK: Final = tarfile.BLOCKSIZE
_ZIP_EPOCH: Final = 315532800
"""1980: zip knows no time before."""
_GZIP: Final = 31
"""zlib's word for gzip's header, which it writes without a time."""
_LINK_MODE: Final = 0o777


@frozen
class Entry:
    """Something below an artifact's path, with the open directory that it is in."""

    parts: Parts
    """Its names in the archive, of which the first may be another one than on the disk."""
    directory: int
    own_name: str
    status: os.stat_result

    @property
    def name(self) -> str:
        return "/".join(self.parts)


def packed(directory: int, name: str, *, top: str, packing: Packing) -> Iterator[bytes]:
    """The bytes of an archive with one top entry: what is called `name` in an open directory."""
    entries = _entries(directory, name, parts=(top,))
    if packing.zip:
        return _zip(entries, deflated=packing.gzip)
    plain = _tar(entries)
    return _gzip(plain) if packing.gzip else plain


def file_chunks(file: int, size: int, *, name: str) -> Iterator[bytes]:
    """The bytes of an open file, which has to have `size` of them."""
    left = size
    while left > 0:
        try:
            chunk = os.read(file, min(CHUNK_BYTES, left))
        except OSError as error:
            raise of_volume(error, doing=f"reading {name!r}") from None
        if not chunk:
            break
        left -= len(chunk)
        yield chunk
    if left or os.read(file, 1):
        what = f"the file {name!r} changed while it was stored"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "let nothing write to it once the step's container has ended")


def bytes_below(directory: int, name: str) -> int:
    """About how many bytes there are to store."""
    return sum(entry.status.st_size + _BLOCK for entry in _entries(directory, name, parts=(name,)))


def _entries(directory: int, name: str, *, parts: Parts) -> Iterator[Entry]:
    if len(parts) > DEPTH:
        what = f"the artifact nests more than {DEPTH} directories"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "leave a flatter tree")
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        yield Entry(parts, directory, own_name=name, status=status)
        if stat.S_ISDIR(status.st_mode):
            with reading(directory, name) as inner:
                for each in sorted(os.listdir(inner)):
                    yield from _entries(inner, each, parts=(*parts, each))
    except OSError as error:
        raise of_volume(error, doing=f"reading {'/'.join(parts)!r}") from None


def _tar(entries: Iterable[Entry]) -> Iterator[bytes]:
    first_names: dict[tuple[int, int], str] = {}
    for entry in entries:
        status = entry.status
        info = tarfile.TarInfo(entry.name)
        info.mode = file_mode(status.st_mode) if stat.S_ISREG(status.st_mode) else status.st_mode & 0o777
        info.mtime = int(status.st_mtime)
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
            yield _header(info)
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, _target(entry), _LINK_MODE
            yield _header(info)
        elif status.st_nlink > 1 and (first := first_names.get((status.st_dev, status.st_ino))) is not None:
            info.type, info.linkname = tarfile.LNKTYPE, first
            yield _header(info)
        else:
            with _contents(entry) as (file, size):
                info.size = size
                yield _header(info)
                yield from file_chunks(file, size, name=entry.name)
            if size % _BLOCK:
                yield bytes(_BLOCK - size % _BLOCK)
            if status.st_nlink > 1:
                first_names[status.st_dev, status.st_ino] = entry.name
    yield bytes(2 * _BLOCK)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _gzip(plain: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=_GZIP)
    for chunk in plain:
        if small := compressor.compress(chunk):
            yield small
    yield compressor.flush()


def _zip(entries: Iterable[Entry], *, deflated: bool) -> Iterator[bytes]:
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for number, entry in enumerate(entries):
            if number >= ZIP_ENTRIES:
                what = f"the artifact has more than {ZIP_ENTRIES} files, which is too much for zip"
                raise TransferError(ExitCode.BAD_ARTIFACT, what, "let archive.format be tar")
            mode = entry.status.st_mode
            info = zipfile.ZipInfo(
                _zip_name(entry) + ("/" if stat.S_ISDIR(mode) else ""),
                time.gmtime(max(_ZIP_EPOCH, int(entry.status.st_mtime)))[:6],
            )
            info.create_system = 3  # Unix, which the upper half of external_attr belongs to
            info.compress_type = zipfile.ZIP_STORED if stat.S_ISDIR(mode) or stat.S_ISLNK(mode) else method
            info.external_attr = (mode & 0o170777) << 16
            if stat.S_ISDIR(mode):
                archive.writestr(info, b"")
            elif stat.S_ISLNK(mode):
                archive.writestr(info, os.fsencode(_target(entry)))
            else:
                with _contents(entry) as (file, size), archive.open(info, "w", force_zip64=True) as member:
                    for chunk in file_chunks(file, size, name=entry.name):
                        member.write(chunk)
                        yield from sink.taken()
            yield from sink.taken()
    yield from sink.taken()


def _zip_name(entry: Entry) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        what = f"the name {os.fsencode(entry.name)!r} is not UTF-8, which zip cannot keep"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "let archive.format be tar, or rename the file") from None
    return entry.name


class _Sink(io.RawIOBase):
    """What a ZipFile writes to: it cannot seek, and its bytes are taken away as they come.

    They are held in one piece: the list of all entries comes at the end in 200,000 writes of a few bytes, which would
    be four times as large one by one.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # ZipFile writes bytes, which is narrower
        self._held += data
        return len(data)

    def taken(self) -> Iterator[bytes]:
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            yield held


@contextmanager
def _contents(entry: Entry) -> Iterator[tuple[int, int]]:
    """The open file of an entry and its size; raises TransferError if it is something else."""
    if not stat.S_ISREG(entry.status.st_mode):
        what = f"{entry.name!r} is neither a file nor a directory nor a link"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "leave no sockets, pipes and devices in an artifact")
    try:
        opened = reading(entry.directory, entry.own_name)
        file = opened.__enter__()
    except OSError as error:
        raise of_volume(error, doing=f"reading {entry.name!r}") from None
    with ExitStack() as stack:
        stack.push(opened)
        yield file, os.fstat(file).st_size


def _target(entry: Entry) -> str:
    return os.readlink(entry.own_name, dir_fd=entry.directory)


def check_links_below(directory: int, name: str) -> None:
    """Raise TransferError if a link below what is called `name` leads out of it: whoever fetches it refuses."""
    check_links(f"/proc/self/fd/{directory}/{name}")
