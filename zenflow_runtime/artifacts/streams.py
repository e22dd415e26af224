"""Bytes on their way in: counted, hashed and bounded, and read by whoever needs a file or chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from typing import Final, TypeAlias

from attrs import frozen

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.patience import Patience

CHUNK_BYTES: Final = 5 * 1024 * 1024
"""What is asked of a store, or sent, at once: the least that S3 takes as a part. Larger is hardly faster."""

Chunk: TypeAlias = bytes | memoryview


@frozen
class Reading:
    """What a store has begun to send: how many bytes it will be, if it says so, and the bytes."""

    size_bytes: int | None
    chunks: Iterator[Chunk]
    release: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Let go of the connection, however far it was read."""
        if isinstance(self.chunks, Generator):
            self.chunks.close()
        self.release()


class Incoming:
    """The bytes of one object, as chunks or like a file; afterwards their number and digest."""

    def __init__(self, reading: Reading, *, limit_bytes: int, patience: Patience) -> None:
        self._reading = reading
        self._limit_bytes = limit_bytes
        self._patience = patience
        self._hash = hashlib.sha256()
        self._rest: memoryview = memoryview(b"")
        self.size_bytes = 0
        if reading.size_bytes is not None and reading.size_bytes > limit_bytes:
            raise too_large(reading.size_bytes, limit_bytes)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[memoryview]:
        """What is left, chunk by chunk. Raises TransferError where it ends too early or does not end."""
        if self._rest:
            rest, self._rest = self._rest, memoryview(b"")
            yield rest
        for chunk in self._reading.chunks:
            self._patience.check()
            view = memoryview(chunk)
            self.size_bytes += view.nbytes
            if self.size_bytes > self._limit_bytes:
                raise too_large(self.size_bytes, self._limit_bytes)
            self._hash.update(view)
            yield view
        expected = self._reading.size_bytes
        if expected is not None and self.size_bytes != expected:
            what = f"{expected} bytes were announced and {self.size_bytes} came"
            raise TransferError(ExitCode.UNAVAILABLE, what, "try again", lasting=False)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, as of a file; fewer only at the end."""
        parts: list[Chunk] = []
        wanted = size if size >= 0 else self._limit_bytes + 1
        while wanted > 0:
            if not self._rest:
                self._rest = next(self.chunks(), memoryview(b""))
                if not self._rest:
                    break
            taken, self._rest = self._rest[:wanted], self._rest[wanted:]
            parts.append(taken)
            wanted -= taken.nbytes
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end: what follows an archive belongs to the digest."""
        for _ in self.chunks():
            pass


def too_large(size_bytes: int, limit_bytes: int) -> TransferError:
    """The trouble with what has more bytes than allowed."""
    what = f"it has at least {size_bytes} bytes, and {limit_bytes} are allowed"
    return TransferError(ExitCode.BAD_ARTIFACT, what, "raise the artifact's sizeLimit if that is as it should be")
