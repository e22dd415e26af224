"""File systems that nobody trusts: opened name by name, without ever following a link.

What a step has left may hold links to anywhere, and a sidecar may still change
it; an archive may name `../../etc`. So no path is handed to the kernel as one
text: each directory is opened in the one before it with `O_NOFOLLOW`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError, of_volume
from zenflow_runtime.artifacts.streams import Chunk

FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755
_READABLE: Final = 0o444
_PERMISSIONS: Final = 0o777

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HOLE_BYTES: Final = 128 * 1024
_ZEROS: Final = bytes(_HOLE_BYTES)

Parts: TypeAlias = tuple[str, ...]

DEPTH: Final = 128
"""How deep the directories of an artifact nest. Paths may have 4,096 bytes; nobody makes such trees by will."""


def file_mode(mode: int) -> int:
    """The permissions that a file of an artifact gets: its own without setuid and the like, readable by everybody.

    The container that fetches may run as another user than the step's.
    """
    return mode & _PERMISSIONS | _READABLE


def directory_mode(mode: int) -> int:
    """The permissions that a directory gets: its own, writable by its owner, readable by everybody."""
    return mode & _PERMISSIONS | DIRECTORY_MODE


def parts_of(path: str) -> Parts:
    """The names in a relative path; raises TransferError if it leaves the directory that it is in."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if path.startswith("/") or ".." in parts or "\0" in path:
        what = f"the archive has the name {path!r}, which leads out of it"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "pack it with names below one directory")
    if len(parts) > DEPTH:
        what = f"the archive nests more than {DEPTH} directories"
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "pack a flatter tree")
    return parts


@contextmanager
def opened(directory: int, parts: Sequence[str], flags: int = _DIRECTORY) -> Iterator[int]:
    """The file or directory at `parts` below an open directory; no name on the way may be a link."""
    held = os.dup(directory)
    try:
        for index, part in enumerate(parts):
            inner = os.open(part, flags if index == len(parts) - 1 else _DIRECTORY, dir_fd=held)
            os.close(held)
            held = inner
        yield held
    finally:
        os.close(held)


@contextmanager
def root(path: str) -> Iterator[int]:
    """An open directory that is trusted: a mount point, or one that we made."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        os.close(directory)


@contextmanager
def reading(directory: int, name: str) -> Iterator[int]:
    """An entry of a directory, opened to read."""
    entry = os.open(name, _READ, dir_fd=directory)
    try:
        yield entry
    finally:
        os.close(entry)


def write_all(file: int, chunk: Chunk) -> None:
    """Write the chunk, or leave a hole where it is nothing but zeros."""
    view = memoryview(chunk)
    for start in range(0, view.nbytes, _HOLE_BYTES):
        piece = view[start : start + _HOLE_BYTES]
        if piece.nbytes == _HOLE_BYTES and piece == _ZEROS:
            os.lseek(file, _HOLE_BYTES, os.SEEK_CUR)
            continue
        while piece:
            piece = piece[os.write(file, piece) :]


@contextmanager
def beside(final: str) -> Iterator[str]:
    """A name in the same directory for what becomes `final` once it is complete; what is left of it at the end goes."""
    directory, name = os.path.split(final)
    temporary = os.path.join(directory, f".zenflow-{name[:64]}-{secrets.token_hex(4)}")
    try:
        yield temporary
    finally:
        remove(temporary)


def put_in_place(temporary: str, final: str, *, doing: str) -> None:
    """Give what is complete its name; something older of that name goes."""
    try:
        if os.path.lexists(final):
            remove(final)
        os.rename(temporary, final)
    except OSError as error:
        raise of_volume(error, doing=doing) from None


def remove(path: str) -> None:
    """Remove a file or tree of ours, as far as that can be done."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)


class NewTree:
    """A directory that is being filled from an archive that nobody trusts."""

    def __init__(self, path: str, *, lasting: bool = False) -> None:
        """`path` does not exist yet, its directory does. `lasting`: a file is on the disk before the next begins."""
        self._path = path
        self._base, self._name = os.path.split(path)
        self._lasting = lasting
        self._links = False

    def directory(self, parts: Parts, mode: int = DIRECTORY_MODE) -> None:
        with self._parent(parts) as (parent, name):
            self._make(parent, name)
            try:
                found = os.open(name, _DIRECTORY, dir_fd=parent)
            except NotADirectoryError:
                raise self._twice(parts) from None
            try:
                os.fchmod(found, directory_mode(mode))
            finally:
                os.close(found)

    def file(self, parts: Parts, mode: int, *, modified: float, chunks: Iterable[Chunk]) -> None:
        with self._parent(parts) as (parent, name):
            try:
                file = os.open(name, _CREATE, 0o600, dir_fd=parent)
            except FileExistsError:
                raise self._twice(parts) from None
            try:
                for chunk in chunks:
                    write_all(file, chunk)
                os.ftruncate(file, os.lseek(file, 0, os.SEEK_CUR))
                os.fchmod(file, file_mode(mode))
                os.utime(file, (modified, modified))
                if self._lasting:
                    os.fsync(file)
            finally:
                os.close(file)

    def link(self, parts: Parts, target: str) -> None:
        """A symbolic link; where it leads is asked at the end (`check_links`)."""
        if target.startswith("/") or "\0" in target or not target or not parts:
            raise _leads_out("/".join(parts), target)
        with self._parent(parts) as (parent, name):
            try:
                os.symlink(target, name, dir_fd=parent)
            except FileExistsError:
                raise self._twice(parts) from None
        self._links = True

    def same_file(self, parts: Parts, first: Parts) -> None:
        """A second name of a file that is there already."""
        try:
            with self._parent(first, make=False) as (source, old), self._parent(parts) as (parent, new):
                if not stat.S_ISREG(os.stat(old, dir_fd=source, follow_symlinks=False).st_mode):
                    raise FileNotFoundError
                os.link(old, new, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            raise self._twice(parts) from None
        except FileNotFoundError:
            what = f"the archive links {'/'.join(parts)!r} to {'/'.join(first)!r}, which is no file before it"
            raise TransferError(ExitCode.BAD_ARTIFACT, what, "pack the artifact anew") from None

    def check_links(self) -> None:
        """Raise TransferError if a symbolic link leads out of the tree, by whatever detour."""
        if self._links:
            check_links(self._path)

    @contextmanager
    def _parent(self, parts: Parts, *, make: bool = True) -> Iterator[tuple[int, str]]:
        """The open directory that `parts` are in, made on the way if that is wanted, and the name there."""
        names = (self._name, *parts)
        held = os.open(self._base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names[:-1]:
                if make:
                    self._make(held, name)
                try:
                    inner = os.open(name, _DIRECTORY, dir_fd=held)
                except NotADirectoryError:  # a link is none either, as links are not followed
                    what = f"the archive has {'/'.join(parts)!r} below {name!r}, which is no directory"
                    raise TransferError(ExitCode.BAD_ARTIFACT, what, "pack the artifact anew") from None
                os.close(held)
                held = inner
            yield held, names[-1]
        finally:
            os.close(held)

    def _make(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
            os.chmod(name, DIRECTORY_MODE, dir_fd=parent)  # whatever the umask says
        except FileExistsError:
            pass

    def _twice(self, parts: Parts) -> TransferError:
        what = f"the archive has {'/'.join(parts)!r} twice"
        return TransferError(ExitCode.BAD_ARTIFACT, what, "pack the artifact anew")


def check_links(path: str) -> None:
    """Raise TransferError if a symbolic link below the directory leads out of it."""
    whole = os.path.realpath(path)
    for directory, directories, files in os.walk(path):
        for name in (*directories, *files):
            entry = os.path.join(directory, name)
            if not os.path.islink(entry):
                continue
            found = os.path.realpath(entry)
            if os.path.isabs(os.readlink(entry)) or not (found == whole or found.startswith(f"{whole}/")):
                raise _leads_out(os.path.relpath(entry, path), os.readlink(entry))


def _leads_out(name: str, target: str) -> TransferError:
    what = f"the link {name!r} leads to {target!r}, out of the artifact"
    return TransferError(ExitCode.BAD_ARTIFACT, what, "link to names inside it, relatively, or leave copies (cp -L)")
