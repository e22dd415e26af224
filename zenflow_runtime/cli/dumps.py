"""Dumps as files: read within a bound, told what is wrong with them, and a moment of one found."""

from __future__ import annotations

import sys
from typing import BinaryIO, Final

from zenflow_core.dump import Dump, read_dump
from zenflow_core.durations import MalformedDuration, parse_duration
from zenflow_core.instants import instant
from zenflow_core.limits import SOURCE_BYTES
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import STDIN, Unread, cannot_be_read
from zenflow_runtime.cli.terminal import Terminal

DUMP_FILE_BYTES: Final = 512 * 1024 * 1024
"""Bytes of a dump that are read: a whole life of the largest flow. What lies beyond counts as cut off."""

_FORMAT: Final = b'"format":"zenflow-dump/'


def is_dump(text: bytes) -> bool:
    """Whether it is a dump and not a manifest, by its first line."""
    return text.lstrip()[:1] == b"{" and _FORMAT in text.split(b"\n", 1)[0]


def read_file(file: str) -> bytes | Unread:
    """A manifest or a dump: a dump may be larger than any manifest."""
    try:
        if file == STDIN:
            return _read(sys.stdin.buffer) if sys.stdin is not None else b""
        with open(file, "rb") as stream:
            return _read(stream)
    except (OSError, ValueError) as error:
        return cannot_be_read(file, error)


def _read(stream: BinaryIO) -> bytes:
    text = stream.read(SOURCE_BYTES + 1)
    return text + stream.read(DUMP_FILE_BYTES) if is_dump(text) else text


def load_dump(terminal: Terminal, file: str, *, doing: str, text: bytes | None = None) -> Dump | int:
    """The dump that a file holds; an exit code once the trouble has been said.

    `doing` says what is done with what stands before the place where a file was cut off.
    """
    content = read_file(file) if text is None else text
    if isinstance(content, Unread):
        terminal.fail(f"cannot read {content.file}: {content.why}")
        return exits.INVALID
    dump = read_dump(content.decode(errors="replace").splitlines(keepends=True), file=file)
    if not isinstance(dump, Dump):
        for problem in dump:
            say_problem(terminal, problem)
        return exits.INVALID
    if dump.cut:
        terminal.fail(f"{file} ends in the middle of a line; what stands before it is {doing}")
    return dump


def say_problem(terminal: Terminal, problem: Problem) -> None:
    """What is wrong with a dump, and where."""
    terminal.fail(f"{problem.path} {problem.what}", problem.fix)


def moment_asked(at: str | None, dump: Dump) -> Instant | str | None:
    """The instant that `--at` names, counted from the first decision if it begins with a plus; or what is wrong."""
    if at is None or not dump.steps:
        return None
    if at.startswith("+"):
        after = parse_duration(at[1:])
        return f"{after.what}; {after.fix}" if isinstance(after, MalformedDuration) else dump.steps[0].at + after
    try:
        return instant(at)
    except ValueError as error:
        return str(error)
