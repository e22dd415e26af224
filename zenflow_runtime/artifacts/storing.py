"""One output artifact: from where the step left it to its store, complete or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from attrs import evolve

from zenflow_core.artifact_report import ExitCode, StoredArtifact
from zenflow_runtime.artifacts.errors import TransferError, of_volume, volume_errors
from zenflow_runtime.artifacts.orders import S3Place, Store
from zenflow_runtime.artifacts.pack import bytes_below, check_links_below, file_chunks, packed
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.streams import Incoming, Reading
from zenflow_runtime.artifacts.tree import NewTree, beside, opened, put_in_place, reading, remove, root
from zenflow_runtime.artifacts.unpack import Limits, unpack_tar

_NO_LIMIT: Final = 1 << 62
"""What the step itself has left is stored, however much it is; the volume is the limit."""


def store(order: Store, patience: Patience) -> StoredArtifact | None:
    """Store the artifact and say where, or None if it is optional and was not left. Raises TransferError.

    Where the order's location ends in `/`, it is a directory for this attempt,
    in which each run of the program makes a place of its own: what an earlier
    one has stored is neither overwritten nor taken for ours.
    """
    with _found(order) as found:
        if found is None:
            return None
        directory, name, status = found
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            what = "what is at its path is neither a file nor a directory"
            raise TransferError(ExitCode.BAD_ARTIFACT, what, "leave the file itself there, not a link to it (cp -L)")
        about = bytes_below(directory, name)
        if stat.S_ISDIR(status.st_mode):
            check_links_below(directory, name)
        own = f"{secrets.token_hex(4)}/{order.name}" if order.location.endswith("/") else ""
        location = order.location + own
        sent: Incoming | _Outgoing
        if isinstance(order.place, S3Place):
            sent = _send(order, directory, name, about=about, own=own, patience=patience)
        else:
            sent = _copy(order, directory, name, is_file=stat.S_ISREG(status.st_mode), own=own, patience=patience)
        return StoredArtifact(sent.sha256, sent.size_bytes, location)


class _Outgoing:
    """Bytes on their way out, counted and hashed."""

    def __init__(self, chunks: Iterator[bytes], patience: Patience) -> None:
        self._chunks = chunks
        self._patience = patience
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._patience.check()
            self.size_bytes += len(chunk)
            self._hash.update(chunk)
            yield chunk


def _send(order: Store, directory: int, name: str, *, about: int, own: str, patience: Patience) -> _Outgoing:
    from zenflow_runtime.artifacts import s3  # obstore is only needed where there is a bucket

    assert isinstance(order.place, S3Place), "what goes to the claim is copied"
    place = evolve(order.place, key=order.place.key + own)
    tried: list[_Outgoing] = []

    def make() -> Iterator[bytes]:
        tried.append(_Outgoing(packed(directory, name, top=order.entry or order.name, packing=order.packing), patience))
        return iter(tried[-1])

    s3.write(place, make, about_bytes=about, create=bool(own), patience=patience)
    return tried[-1]


def _copy(
    order: Store, directory: int, name: str, *, is_file: bool, own: str, patience: Patience
) -> Incoming | _Outgoing:
    """Onto the claim: a file as it is, a directory by way of a tar, whose digest is the directory's."""
    assert isinstance(order.place, str), "what goes to a bucket is sent"
    final = order.place + own
    doing = f"writing the flow's claim ({order.location})"
    with volume_errors(doing):
        os.makedirs(os.path.dirname(final), exist_ok=True)
        with beside(final) as temporary:
            tree = NewTree(temporary, lasting=True)
            if is_file:
                with reading(directory, name) as file:
                    status = os.fstat(file)
                    sent = _Outgoing(file_chunks(file, status.st_size, name=name), patience)
                    tree.file((), status.st_mode, modified=status.st_mtime, chunks=sent)
                    done: Incoming | _Outgoing = sent
            else:
                chunks = packed(directory, name, top=order.entry or order.name, packing=order.packing)
                coming = Incoming(Reading(None, chunks), limit_bytes=_NO_LIMIT, patience=patience)
                unpack_tar(coming, tree, gzipped=False, whole=True, limits=Limits(_NO_LIMIT))
                coming.drain()
                done = coming
            put_in_place(temporary, final, doing=doing)
        if own:
            _remove_earlier_attempts(order.place)
    return done


def _remove_earlier_attempts(place: str) -> None:
    """Attempts before this one are over, and their steps are not looked up in them any more."""
    attempt = os.path.basename(place.rstrip("/"))
    step = os.path.dirname(place.rstrip("/"))
    for each in os.listdir(step):
        if each.isdecimal() and attempt.isdecimal() and int(each) < int(attempt):
            remove(os.path.join(step, each))


@contextmanager
def _found(order: Store) -> Iterator[tuple[int, str, os.stat_result] | None]:
    """The open directory in which the artifact is, its name there, and what it is; None if it may be missing and is."""
    below = tuple(part for part in order.path.removeprefix(order.root).split("/") if part)
    base, names = (order.root, below) if below else (os.path.dirname(order.root), (os.path.basename(order.root),))
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(opened(stack.enter_context(root(base)), names[:-1]))
            status = os.stat(names[-1], dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            if not order.optional:
                what, fix = "there is nothing at its path", "let the step write it, or make the artifact optional"
                raise TransferError(ExitCode.NOTHING_THERE, what, fix) from None
            yield None
            return
        except NotADirectoryError:
            what = "its path leads through a link or a file"
            raise TransferError(
                ExitCode.BAD_ARTIFACT, what, "leave the artifact itself there, not a link on the way"
            ) from None
        except OSError as error:
            raise of_volume(error, doing="reading it") from None
        yield directory, names[-1], status
