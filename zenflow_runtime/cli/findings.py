"""Findings as text: `file:line:column: error ZF204 path: what`, the fix below, on a terminal the source line too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zenflow_core.problems import Position, Problem, Severity
from zenflow_core.styled import Line, Span, Style, cells, cut
from zenflow_runtime.cli.terminal import Terminal, wrapped

_SEVERITIES = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.WAIT}


def finding_lines(
    problems: Iterable[Problem], *, file: str, source: list[str] | None, width: int | None
) -> Iterator[Line]:
    """Each finding as a paragraph; `source` (lines of the file) adds the place with a caret below it."""
    for problem in problems:
        where = str(problem.position) if problem.position else file
        head = f"{problem.severity} {problem.rule}".rstrip()
        what = f"{problem.path}{': ' if problem.path else ''}{problem.what}"
        yield (
            Span(f"{where}: ", Style.HEAD),
            Span(head, _SEVERITIES[problem.severity]),
            Span(f" {what}"),
        )
        if source is not None and problem.position is not None:
            yield from _excerpt(source, problem.position, width or 80)
        first = True
        for part in wrapped(problem.fix, indent=9, width=width):
            yield (Span("    fix: " if first else "         ", Style.DIM), Span(part))
            first = False


def _excerpt(source: list[str], position: Position, width: int) -> Iterator[Line]:
    if not 0 < position.line <= len(source):
        return
    number = f"{position.line:>6} │ "
    text = source[position.line - 1].expandtabs(1)
    room = width - len(number) - 1
    # A long line is shown around the place, not from its beginning.
    start = 0 if position.column <= room - 10 else position.column - room // 2
    shown = ("…" if start else "") + text[start:]
    before = cells(shown[: position.column - 1 - start + bool(start)])
    yield (Span(number, Style.DIM), Span(cut(shown, room)))
    yield (Span(" " * 6 + " │ ", Style.DIM), Span(" " * before + "^", Style.BAD))


def say_findings(terminal: Terminal, problems: tuple[Problem, ...], *, file: str, text: bytes) -> None:
    """Findings to stderr, for commands that can do nothing with such a flow."""
    source = source_lines(text) if terminal.is_terminal and text else None
    terminal.print_error(finding_lines(problems, file=file, source=source, width=terminal.wrap))


def source_lines(text: bytes) -> list[str]:
    """The lines of a file, for excerpts; what is no UTF-8 is replaced."""
    return text.decode(errors="replace").removeprefix("\ufeff").split("\n")
