"""Where output goes: coloured and wrapped to a terminal, plain and stable to a pipe; errors to stderr."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from time import monotonic
from typing import Final, TextIO

from zenflow_core.instants import rfc3339
from zenflow_core.styled import Line, Span, Style, cells, cut, plain, visible

PIPE_COLUMNS: Final = 80
"""Width of pictures where there is no terminal to ask."""

_CODES: Final[Mapping[Style, str]] = {
    Style.HEAD: "1",
    Style.DIM: "2",
    Style.GOOD: "32",
    Style.BAD: "1;31",
    Style.BUSY: "36",
    Style.WAIT: "33",
}


class Terminal:
    """Stdout and stderr of one command. A reader that has gone (`| head`) is no error: the rest is not written."""

    def __init__(self, *, colour: bool = True) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        self._colour = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._gone: list[TextIO] = []
        self._line_shown = False
        self.is_terminal: bool = sys.stdout.isatty()
        self.columns: int = max(shutil.get_terminal_size().columns, 40) if self.is_terminal else PIPE_COLUMNS

    @property
    def wrap(self) -> int | None:
        """Column at which text is wrapped; None in a pipe, where a line stays one line for grep."""
        return self.columns if self.is_terminal else None

    def print(self, lines: Iterable[Line]) -> None:
        """Lines to stdout."""
        self._write(sys.stdout, lines)

    def print_error(self, lines: Iterable[Line]) -> None:
        """Lines to stderr."""
        self._write(sys.stderr, lines)

    def text(self, text: str) -> None:
        """Text for machines (JSON, SARIF, pictures) to stdout, as it is."""
        self._put(sys.stdout, text)

    def fail(self, what: str, fix: str = "") -> None:
        """Say on stderr what is wrong with the command itself, and how to put it right."""
        said = [(Span("zenflow: ", Style.BAD), Span(what))]
        if fix:
            said.append((Span("  fix: ", Style.DIM), Span(fix)))
        self.print_error(said)

    def progress(self) -> Callable[[int, datetime], None] | None:
        """What a long simulation may call: a line that is overwritten, on a terminal, from the second second on."""
        if not sys.stderr.isatty():
            return None
        began = last = monotonic()

        def show(over: int, now: datetime) -> None:
            nonlocal last
            at = monotonic()
            if at - began > 1 and at - last > 0.1:
                last = at
                self._line_shown = True
                sys.stderr.write(f"\r\x1b[K{over:,} steps over at {rfc3339(now)} (virtual)")
                sys.stderr.flush()

        return show

    def status(self, text: str) -> None:
        """What goes on just now: a line on a terminal that the next output, or the next status, replaces."""
        if sys.stderr.isatty():
            self._line_shown = True
            sys.stderr.write(f"\r\x1b[K{cut(visible(text), self.columns - 1)}")
            sys.stderr.flush()

    @property
    def rows(self) -> int:
        """Lines that the terminal shows at once, asked anew each time: windows change their size."""
        return shutil.get_terminal_size().lines

    def redraw(self, lines: Iterable[Line], *, over: int) -> int:
        """Lines in the place of the last `over` ones, on a terminal; how many they are. None is wider than it."""
        width = max(shutil.get_terminal_size().columns, 20)
        drawn = [_fitting(each, width - 1) for each in lines]
        up = f"\x1b[{over}F" if over else ""
        text = "".join(f"\x1b[K{_painted(each) if self._colour else plain([each])[:-1]}\n" for each in drawn)
        # Between these two a terminal that knows them shows nothing half drawn; others pass them over.
        self._put(sys.stdout, f"\x1b[?2026h\x1b[?25l{up}{text}\x1b[0J\x1b[?25h\x1b[?2026l")
        return len(drawn)

    def _write(self, stream: TextIO, lines: Iterable[Line]) -> None:
        coloured = self._colour and stream.isatty()
        self._put(stream, "".join(_painted(line) + "\n" for line in lines) if coloured else plain(lines))

    def _put(self, stream: TextIO, text: str) -> None:
        if stream in self._gone:
            return
        if self._line_shown:
            self._line_shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            self.give_up(stream)
        except OSError:
            self.give_up(stream)
            raise

    def give_up(self, stream: TextIO) -> None:
        """Write no more to a stream that nobody reads."""
        self._gone.append(stream)
        # What is left in the buffer would be written again at exit, and fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _fitting(line: Line, width: int) -> Line:
    found: list[Span] = []
    for span in line:
        text = visible(span.text)
        if cells(text) > width:
            if width > 0:
                found.append(Span(cut(text, width), span.style))
            break
        found.append(Span(text, span.style))
        width -= cells(text)
    return tuple(found)


def wrapped_lines(lines: Iterable[Line], width: int | None) -> Iterator[Line]:
    """Lines whose last piece is continued below itself where it would not fit."""
    for line in lines:
        before = sum(cells(span.text) for span in line[:-1])
        if width is None or not line or before + cells(line[-1].text) <= width:
            yield line
            continue
        last = line[-1]
        blanks = len(last.text) - len(last.text.lstrip())
        indent = min(before + blanks, width // 2)
        first, *rest = wrapped(last.text.lstrip(), indent=before + blanks, width=width)
        yield (*line[:-1], Span(" " * blanks + first, last.style))
        for part in rest:
            yield (Span(" " * indent + part, last.style),)


def _painted(line: Line) -> str:
    parts = []
    for span in line:
        code = _CODES.get(span.style)
        text = visible(span.text)
        parts.append(f"\x1b[{code}m{text}\x1b[0m" if code and text else text)
    return "".join(parts)


def wrapped(text: str, *, indent: int, width: int | None) -> list[str]:
    """`text` in lines that end before column `width`, for a place that begins at column `indent`."""
    if width is None or indent + len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(width - indent, 20), break_long_words=False, break_on_hyphens=False) or [""]
