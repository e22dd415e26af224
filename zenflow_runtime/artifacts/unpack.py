"""Archives that nobody trusts, unpacked into a new directory or file.

What is refused: names that lead out (absolute, `..`, below a link), links that
lead out, devices and pipes, the same name twice, more bytes or entries than
allowed, headers that would fill the memory, archives that end too early. What
is left out in silence: owners, and setuid, setgid and sticky bits.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, Protocol, Self

from attrs import frozen

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.pack import READ_BYTES
from zenflow_runtime.artifacts.streams import too_large
from zenflow_runtime.artifacts.tree import NewTree, Parts, parts_of

ENTRIES: Final = 1_000_000
"""Files of one archive. Each costs a file system an inode, of which it has not more than a few millions."""

ZIP_DIRECTORY_BYTES: Final = 4 * 1024 * 1024
"""The list of a zip's entries, which is read into memory and grows tenfold there: some 50,000 entries."""

_HEADER_BYTES: Final = 1024 * 1024
"""Long names and other members that describe members. tarfile reads each at once."""
_HEADERS: Final = frozenset(
    {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
)
_END_OF_ZIP: Final = struct.Struct("<4s4H2LH")
_END_OF_ZIP64: Final = struct.Struct("<4sQ2H2L4Q")
_ZIP64_LOCATOR_BYTES: Final = 20
_ZIP_COMMENT_BYTES: Final = 65_535
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,
    struct.error,
    ValueError,
    OverflowError,
)


class Readable(Protocol):
    """What an archive is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


@frozen
class Limits:
    """What an archive may have when it is unpacked."""

    size_bytes: int
    entries: int = ENTRIES


def unpack_tar(source: Readable, into: NewTree, *, gzipped: bool, whole: bool, limits: Limits) -> None:
    """Unpack a tar as it comes. `whole`: it is ours, and its one top entry becomes the tree, or the file, itself."""
    try:
        with _plain(source, gzipped=gzipped) as plain:
            _untar(plain, _Budget(into, limits, whole=whole))
            _to_the_end(plain)
    except _BROKEN as error:
        raise _broken(error) from None


def unpack_zip(path: str, into: NewTree, *, whole: bool, limits: Limits) -> None:
    """Unpack a zip, which has to be complete on the disk, as its list of entries stands at its end."""
    try:
        with open(path, "rb") as file:
            _check_zip_directory(file)
            with zipfile.ZipFile(file) as archive:
                _unzip(archive, _Budget(into, limits, whole=whole))
    except (*_BROKEN, RuntimeError) as error:  # RuntimeError: it is encrypted
        raise _broken(error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning, which a broken list names
            raise
        raise _broken(error) from None


class _Budget:
    """The tree that is filled, with what may still come."""

    def __init__(self, tree: NewTree, limits: Limits, *, whole: bool) -> None:
        self.tree = tree
        self._limits = limits
        self._whole = whole
        self._entries = 0
        self._bytes = 0
        self._top: str | None = None
        if not whole:
            tree.directory(())

    def place(self, name: str) -> Parts:
        """Where the entry of that name belongs."""
        self._entries += 1
        if self._entries > self._limits.entries:
            what = f"the archive has more than {self._limits.entries} entries"
            raise TransferError(ExitCode.BAD_ARTIFACT, what, "pack fewer, larger files")
        return self.within(name)

    def within(self, name: str) -> Parts:
        """The names below the tree's own."""
        parts = parts_of(name)
        if not self._whole:
            return parts
        self._top = self._top or (parts[0] if parts else None)
        if not parts or parts[0] != self._top:
            what = f"the archive has {name!r} beside {self._top!r}, so that it was not made by this program"
            raise TransferError(ExitCode.BAD_ARTIFACT, what, "let nobody else write to the artifact's key")
        return parts[1:]

    def counted(self, file: IO[bytes], size: int | None = None) -> Iterator[bytes]:
        """The bytes of a file, as long as they are within the limit."""
        left = size
        while left is None or left > 0:
            chunk = file.read(READ_BYTES if left is None else min(READ_BYTES, left))
            if not chunk:
                break
            self._bytes += len(chunk)
            if self._bytes > self._limits.size_bytes:
                raise too_large(self._bytes, self._limits.size_bytes)
            left = None if left is None else left - len(chunk)
            yield chunk
        if left:
            raise EOFError("a file ends too early")


class _Member(tarfile.TarInfo):
    """A member whose headers are bounded and whose archive has an end.

    tarfile reads headers whole, however long they say they are, and takes a
    header that is broken or missing for the end.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined] # the two empty blocks; typeshed does not know it
            raise
        except tarfile.HeaderError as error:
            raise _broken(error) from None

    def _proc_member(self, archive: Any) -> Any:
        if self.type in _HEADERS:
            archive.header_bytes = getattr(archive, "header_bytes", 0) + (
                self.size if self.type == tarfile.XGLTYPE else 0
            )
            if max(self.size, archive.header_bytes) > _HEADER_BYTES:
                raise _unfit("has a header that is too long")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _unfit("has sparse files", "pack it without --sparse; holes are found anyway")
        return super()._proc_member(archive)  # type: ignore[misc] # where tarfile dispatches on the type; no public door

    def _proc_gnusparse_10(self, *_: Any) -> None:
        raise _unfit("has sparse files", "pack it without --sparse; holes are found anyway")


def _untar(plain: Readable, budget: _Budget) -> None:
    with tarfile.open(
        fileobj=plain, mode="r|", tarinfo=_Member, encoding="utf-8", errors="surrogateescape", bufsize=READ_BYTES
    ) as archive:  # type: ignore[call-overload] # it only reads, and only forwards
        while (member := archive.next()) is not None:
            archive.members.clear()  # it would keep all of them
            parts = budget.place(member.name)
            if member.isdir():
                budget.tree.directory(parts, member.mode)
            elif member.issym():
                budget.tree.link(parts, member.linkname)
            elif member.islnk():
                budget.tree.same_file(parts, budget.within(member.linkname))
            elif member.isreg():
                contents = archive.extractfile(member)
                assert contents is not None, "a regular file has contents"
                chunks = budget.counted(contents, member.size)
                budget.tree.file(parts, member.mode, modified=_time(member.mtime), chunks=chunks)
            else:
                raise _unfit(f"has {member.name!r}, which is neither file nor directory nor link")


def _unzip(archive: zipfile.ZipFile, budget: _Budget) -> None:
    for info in archive.infolist():
        mode = info.external_attr >> 16 if info.create_system == 3 else 0
        parts = budget.place(info.filename)
        if info.is_dir():
            budget.tree.directory(parts, stat.S_IMODE(mode) or 0o755)
        elif stat.S_ISLNK(mode):
            if info.file_size > _HEADER_BYTES:
                raise _unfit(f"has the link {info.filename!r} to a name that is too long")
            budget.tree.link(parts, os.fsdecode(archive.read(info)))
        elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _unfit(f"has {info.filename!r}, which is neither file nor directory nor link")
        else:
            with archive.open(info) as contents:
                modified = time.mktime((*info.date_time, 0, 0, 0)) if info.date_time[1] and info.date_time[2] else 0
                chunks = budget.counted(contents)
                budget.tree.file(parts, stat.S_IMODE(mode) or 0o644, modified=_time(modified), chunks=chunks)


def _check_zip_directory(file: IO[bytes]) -> None:
    """Refuse a list of entries that is too long; zipfile would read it as it is."""
    size = file.seek(0, os.SEEK_END)
    tail = min(size, _END_OF_ZIP.size + _ZIP_COMMENT_BYTES + _ZIP64_LOCATOR_BYTES)
    file.seek(size - tail)
    data = file.read(tail)
    at = data.rfind(b"PK\5\6")
    if at < 0 or len(data) - at < _END_OF_ZIP.size:
        raise _unfit("is no zip, or ends too early")
    length = _END_OF_ZIP.unpack_from(data, at)[5]
    if length == 0xFFFFFFFF:
        (offset,) = struct.unpack_from("<Q", data, at - _ZIP64_LOCATOR_BYTES + 8)
        file.seek(min(offset, size))
        length = _END_OF_ZIP64.unpack(file.read(_END_OF_ZIP64.size))[8]
    if length > ZIP_DIRECTORY_BYTES:
        raise _unfit("has too many entries for a zip", "pack it as tar")
    file.seek(0)


def _plain(source: Readable, *, gzipped: bool) -> Any:
    return gzip.GzipFile(fileobj=source, mode="rb") if gzipped else _Plain(source)  # type: ignore[call-overload] # it only reads


class _Plain:
    """A readable as a context, as GzipFile is one."""

    def __init__(self, source: Readable) -> None:
        self.read = source.read

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is ours to close."""


def _to_the_end(plain: Readable) -> None:
    """What follows the archive: of a gzip, whose checksum is at its end, and of what the digest covers."""
    while plain.read(READ_BYTES):
        pass


def _time(seconds: float) -> float:
    """A time that every file system takes."""
    return float(min(max(0, seconds), 2**32 - 1))


def _unfit(what: str, fix: str = "pack the artifact anew") -> TransferError:
    return TransferError(ExitCode.BAD_ARTIFACT, f"the archive {what}", fix)


def _broken(error: BaseException) -> TransferError:
    return _unfit(
        f"cannot be read ({str(error) or type(error).__name__})", "see whether archive says how it was packed"
    )
