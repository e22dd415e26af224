"""Manifest files: YAML or JSON text to documents, with a position for every path.

The text is hostile until shown otherwise. Its size and encoding are judged
here, its structure while it is built (`yaml_reader`). Positions cost nothing
until one is asked for (`yaml_places`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import yaml
from attrs import evolve, field, frozen

from zenflow_core.limits import PROBLEMS, SOURCE_BYTES, SOURCE_DEPTH, SOURCE_NODES, SOURCE_TAG_DIRECTIVES
from zenflow_core.problems import Position, Problem, quoted
from zenflow_core.yaml_places import Duplicate, Places, read_places
from zenflow_core.yaml_reader import Unreadable, read_yaml
from zenflow_core.yaml_wording import syntax_problem


class _Source:
    """A text whose places are worked out at the first question."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    @cached_property
    def places(self) -> Places:
        try:
            return read_places(self.text, file=self.file)
        except yaml.YAMLError:
            # JSON that YAML cannot read (a key over 1,024 characters, a surrogate pair): read, but without positions.
            return Places(self.file)


@frozen
class Document:
    """One document of a manifest file: plain dict, list, str, int, float, bool and None.

    What an alias refers to is one object in several places: treat `data` as
    read-only. Equality is by data.
    """

    data: dict[str, Any]
    _source: _Source = field(eq=False, repr=False)
    _ordinal: int = field(eq=False, repr=False)

    def position(self, path: str) -> Position | None:
        """Where `path` is named in the file, else the nearest place around it.

        An entry of a mapping is where its key stands. None only for JSON that
        YAML cannot read. The first question walks the whole file (about as
        long as reading it took), each further one costs the length of its path.
        """
        return self._source.places.find(self._ordinal, path)

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """`problems` of this document with their positions, in the order of the file."""
        found = [each if each.position else evolve(each, position=self.position(each.path)) for each in problems]
        return tuple(sorted(found, key=_in_file_order))


def load_documents(text: str | bytes, *, file: str) -> tuple[Document, ...] | tuple[Problem, ...]:
    """Read a YAML or JSON file: its documents, or what is wrong with the text.

    Never raises for what the text holds, and never answers with nothing: a
    file without a document is a problem. `file` is only for messages. The
    bounds are `limits.SOURCE_*`. Cost with libyaml: about 0.2 s of CPU a MiB
    of block-style YAML; without it ten times that.
    """
    try:
        source = _Source(_decode(text, file), file)
        return _read_json(source) or _read_yaml(source)
    except Unreadable as refused:
        return refused.problems


def _decode(text: str | bytes, file: str) -> str:
    """The text without a byte order mark, of bounded size."""
    try:
        raw = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise Unreadable(_not_text(file, "it has half a surrogate pair", str(text)[: error.start])) from None
    if len(raw) > SOURCE_BYTES:
        what = f"the file has {len(raw):,} bytes; the limit is {SOURCE_BYTES:,}"
        fix = "split the flow, or share Job templates by spec.templates: a cluster stores at most 1.5 MiB an object"
        raise Unreadable(Problem("", what, fix, rule="ZF004", position=Position(file, 1, 1)))
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable(_not_text(file, "it is UTF-16", ""))
    try:
        decoded = raw.decode()
    except UnicodeDecodeError as error:
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise Unreadable(_not_text(file, what, raw[: error.start].decode())) from None
    if decoded.count("\n%TAG") > SOURCE_TAG_DIRECTIVES:
        what = f"the file has more than {SOURCE_TAG_DIRECTIVES} %TAG directives"
        fix = "remove them: tags mean nothing in a manifest"
        raise Unreadable(Problem("", what, fix, rule="ZF004", position=Position(file, 1, 1)))
    return decoded.removeprefix("\ufeff")


def _not_text(file: str, what: str, before: str) -> Problem:
    position = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    fix = "save the file as UTF-8 text; binary data goes into a manifest as base64"
    return Problem("", f"the file is not UTF-8 text: {what}", fix, rule="ZF003", position=position)


def _read_json(source: _Source) -> tuple[Document, ...]:
    """The one document of a JSON text; empty if YAML shall have a look, for its limits and its messages.

    JSON is almost YAML, but not quite: keys of any length, surrogate pairs. It is also several times faster.
    """
    text = source.text
    if text.lstrip()[:1] != "{" or text.count(",") + text.count("{") + text.count("[") > SOURCE_NODES:
        return ()
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return ()
    return (Document(data, source, 0),) if _is_bounded(data) and _is_unicode(data, text) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _is_bounded(data: Any) -> bool:
    level, depth, nodes = [data], 0, 1
    while level and depth <= SOURCE_DEPTH and nodes <= SOURCE_NODES:
        depth += 1
        items: list[Any] = []
        for value in level:
            items.extend(value.values() if type(value) is dict else value)
            nodes += 2 * len(value) if type(value) is dict else len(value)
        level = [item for item in items if type(item) is dict or type(item) is list]
    return depth <= SOURCE_DEPTH and nodes <= SOURCE_NODES


def _is_unicode(data: Any, text: str) -> bool:
    """False if an escape made half a surrogate pair, which no UTF-8 can hold."""
    if "\\u" not in text and "\\U" not in text:
        return True
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_yaml(source: _Source) -> tuple[Document, ...] | tuple[Problem, ...]:
    text, file = source.text, source.file
    try:
        reading = read_yaml(text, file=file)
    except yaml.YAMLError as error:
        return (syntax_problem(error, text, file=file),)
    problems = list(reading.problems)
    if reading.duplicated:
        problems += [_twice(each) for each in source.places.duplicates]
    documents: list[Document] = []
    for root in reading.roots:
        if type(root.data) is dict:
            documents.append(Document(root.data, source, root.ordinal))
        elif root.data is not None and len(problems) < PROBLEMS:
            what = f"the document is {'a list' if type(root.data) is list else 'a single value'}, not a mapping"
            fix = "begin it with 'apiVersion:' and 'kind:', and separate several objects by lines of '---'"
            problems.append(Problem("", what, fix, rule="ZF008", position=root.begins))
    if problems:
        return tuple(sorted(problems, key=_in_file_order)[:PROBLEMS])
    if not documents:
        what = "the file has no document in it" if text.strip() else "the file is empty"
        fix = "write a JobFlow into it: apiVersion, kind, metadata, spec"
        return (Problem("", what, fix, rule="ZF008", position=Position(file, 1, 1)),)
    # libyaml refuses such escapes itself; PyYAML's own parser does not.
    if not all(_is_unicode(document.data, text) for document in documents):
        return (_not_text(file, "it has half a surrogate pair", ""),)
    return tuple(documents)


def _twice(found: Duplicate) -> Problem:
    what = f"the key {quoted(found.key)} is there twice: in line {found.first_line} and in line {found.second.line}"
    return Problem(found.path, what, "keep one of the two", rule="ZF002", position=found.second)


def _in_file_order(problem: Problem) -> tuple[int, int]:
    return (problem.position.line, problem.position.column) if problem.position else (0, 0)
