"""Manifest files: read within bounds, JobFlows found in them, one picked where a command wants one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, frozen

from zenflow_core.limits import SOURCE_BYTES
from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents
from zenflow_core.spec import GROUP, KIND

STDIN: Final = "<stdin>"
"""What `-` is called in messages."""
_NAMED: Final = 10


@frozen
class Unread:
    """A file that could not be read at all; `why` is the system's own word."""

    file: str
    why: str


@frozen
class Found:
    """A JobFlow in a file: a document, or an item of a List (then `prefix` is its path)."""

    file: str
    document: Document
    data: Any
    prefix: str = ""

    @property
    def name(self) -> str:
        """What the flow is called, for messages; the data is not checked yet."""
        return name_of(self.data)

    def placed(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """`problems` of this flow, with their places in the file."""
        if self.prefix:
            problems = tuple(evolve(each, path=_joined(self.prefix, each.path)) for each in problems)
        return self.document.placed(problems)


@frozen
class Skipped:
    """A document of another kind, which is none of our business."""

    file: str
    kind: str
    name: str


def read_file(file: str) -> bytes | Unread:
    """The bytes of a file or of stdin; no more than the reader would take, so that /dev/zero ends too."""
    try:
        if file == STDIN:
            return sys.stdin.buffer.read(SOURCE_BYTES + 1) if sys.stdin is not None else b""
        with open(file, "rb") as stream:
            return stream.read(SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:
        return cannot_be_read(file, error)


def cannot_be_read(file: str, error: OSError | ValueError) -> Unread:
    """Why it could not be opened or read."""
    if isinstance(error, IsADirectoryError):
        return Unread(file, "it is a directory; name the files in it")
    return Unread(file, (getattr(error, "strerror", None) or str(error)).lower())


def find_flows(text: bytes, file: str) -> tuple[Found | Skipped, ...] | tuple[Problem, ...]:
    """Every JobFlow of a file and what was passed over, or what is wrong with the text."""
    documents = load_documents(text, file=file)
    found: list[Found | Skipped] = []
    for document in documents:
        if isinstance(document, Problem):
            return tuple(each for each in documents if isinstance(each, Problem))
        found += _in_document(document, file)
    return tuple(found)


def _in_document(document: Document, file: str) -> Iterator[Found | Skipped]:
    data = document.data
    items = data.get("items")
    if isinstance(items, list) and data.get("kind") in ("List", f"{KIND}List"):
        for index, item in enumerate(items):
            yield _sorted_out(item, document, file, prefix=f"items[{index}]")
    else:
        yield _sorted_out(data, document, file, prefix="")


def _sorted_out(data: Any, document: Document, file: str, *, prefix: str) -> Found | Skipped:
    # A mistake in apiVersion or kind must not make a flow vanish: what is passed over is clearly something else.
    if isinstance(data, dict):
        version, kind = data.get("apiVersion"), data.get("kind")
        foreign = isinstance(version, str) and version.split("/")[0] != GROUP
        if foreign and isinstance(kind, str) and kind.lower() != KIND.lower():
            return Skipped(file, kind, name_of(data))
    return Found(file, document, data, prefix)


def name_of(data: Any) -> str:
    """The name of an object as parsed, or an empty text."""
    metadata = data.get("metadata") if isinstance(data, dict) else None
    if not isinstance(metadata, dict):
        return ""
    for key in ("name", "generateName"):
        if isinstance(metadata.get(key), str):
            return str(metadata[key])
    return ""


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if path else prefix
