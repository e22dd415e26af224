"""Manifest files: read within bounds, JobFlows found in them, one picked where a command wants one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, frozen

from zenflow_core.codec import read_flow
from zenflow_core.limits import SOURCE_BYTES
from zenflow_core.nearest import instead
from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents
from zenflow_core.spec import GROUP, KIND, JobFlow
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.findings import say_findings
from zenflow_runtime.cli.terminal import Terminal

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
    except IsADirectoryError:
        return Unread(file, "it is a directory; name the files in it")
    except (OSError, ValueError) as error:
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
    return f"{prefix}{'' if path.startswith('[') or not path else '.'}{path}"


@frozen
class Picked:
    """The one flow that a command is about, and where it stands."""

    found: Found
    flow: JobFlow
    text: bytes
    """The whole file."""


def pick_flow(terminal: Terminal, file: str, name: str | None, *, text: bytes | None = None) -> Picked | int:
    """The flow of `file` called `name` (None: the only one); an exit code once the trouble has been said.

    `text` is what the file holds, if it has been read already.
    """
    content = read_file(file) if text is None else text
    if isinstance(content, Unread):
        terminal.fail(f"cannot read {content.file}: {content.why}")
        return exits.INVALID
    entries = find_flows(content, file)
    problems = tuple(each for each in entries if isinstance(each, Problem))
    if problems:
        say_findings(terminal, problems, file=file, text=content)
        return exits.INVALID
    found = _chosen(terminal, [each for each in entries if isinstance(each, Found)], file=file, name=name)
    if isinstance(found, int):
        return found
    flow = read_flow(found.data)
    if not isinstance(flow, JobFlow):
        say_findings(terminal, found.placed(flow), file=file, text=content)
        return exits.INVALID
    return Picked(found, flow, content)


def _chosen(terminal: Terminal, flows: list[Found], *, file: str, name: str | None) -> Found | int:
    names = [each.name for each in flows]
    if name is not None:
        named = [each for each in flows if each.name == name]
        if len(named) == 1:
            return named[0]
        if named:
            terminal.fail(f"{file} has {len(named)} JobFlows called {name!r}", "put them into files of their own")
            return exits.INVALID
        terminal.fail(f"{file} has no JobFlow called {name!r}", instead(name, names, "it has none at all"))
        return exits.NOT_FOUND
    if not flows:
        terminal.fail(
            f"{file} has no JobFlow in it", f"begin one with 'apiVersion: {GROUP}/v1alpha1' and 'kind: {KIND}'"
        )
        return exits.INVALID
    if len(flows) > 1:
        listed = ", ".join(each or "(without a name)" for each in names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        terminal.fail(f"{file} has {len(flows)} JobFlows: {listed}{more}", "pick one with --name")
        return exits.INVALID
    return flows[0]


def say_unrunnable(terminal: Terminal, picked: Picked, problems: tuple[Problem, ...]) -> int:
    """Print why a flow cannot be run, with its places; the exit code for that."""
    say_findings(terminal, picked.found.placed(problems), file=picked.found.file, text=picked.text)
    return exits.INVALID
