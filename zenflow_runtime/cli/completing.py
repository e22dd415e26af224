"""What could stand where the cursor is: what shells ask when somebody presses TAB.

    zenflow __complete get --name          the words before the cursor, the last one unfinished, or ""
    zenflow __complete --line 'zenflow get ni'

Each answer is a line, `VALUE<TAB>DESCRIPTION`; the last line is `:0` if the
shell adds its own paths, else `:4`. That is what kubectl expects of a plugin's
`kubectl_complete-zenflow`. Nothing is ever written to stderr, and the exit code
is 0: whoever presses TAB wants no message.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Final

COMMAND: Final = "__complete"
LINE: Final = "--line"

PATHS_TOO: Final = ":0"
NO_PATHS: Final = ":4"

_OTHERS: Final = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")
"""What is no letter: line feeds, tabs and what else a terminal obeys."""

_ASIDE: Final = "--no-color"
"""It may stand anywhere, and is no option of the application."""


def complete(words: Sequence[str]) -> int:
    """Print what could be the last of `words`."""
    if words and words[0] == LINE:
        words = _split(words[1] if len(words) > 1 else "")[1:]
    words = [*(word for word in words[:-1] if word != _ASIDE), *(words[-1:] or ("",))]
    try:
        lines = list(_answers(words))
    except Exception:
        # In the middle of a line that somebody types, a bug has to be silent.
        if os.environ.get("ZENFLOW_DEBUG") == "1":
            raise
        lines = [NO_PATHS]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def plugin() -> int:
    """`kubectl_complete-zenflow`, which kubectl asks about the words after `kubectl zenflow`."""
    return complete(sys.argv[1:])


def _answers(words: list[str]) -> Iterator[str]:
    # What cyclopts' own scripts ask has no public name; nothing else of zenflow knows these.
    from cyclopts import Argument
    from cyclopts.completion._engine import describe, dynamic_candidates, resolve_slot, static_candidates

    from zenflow_runtime.cli.app import make_app
    from zenflow_runtime.cli.arguments import WITH_FILES
    from zenflow_runtime.cli.terminal import Terminal

    slot = resolve_slot(make_app(Terminal(colour=False)), words)
    if slot is None:
        yield NO_PATHS
        return
    with slot.app.app_stack(slot.execution_path):
        for value, of in static_candidates(slot):
            if value.startswith(slot.incomplete):
                text = of.parameter.help if isinstance(of, Argument) else describe(of, "plaintext")
                yield _answer(slot.prefix + value, text or "")
    for value, about in dynamic_candidates(slot):
        if value.startswith(slot.incomplete):
            yield _answer(slot.prefix + value, about)
    active = slot.active
    yield PATHS_TOO if active is not None and active.parameter.completer in WITH_FILES else NO_PATHS


def _answer(value: str, about: str) -> str:
    """A line that cannot be taken for two, nor tell a terminal anything."""
    return f"{_OTHERS.sub(' ', value)}\t{_OTHERS.sub(' ', about)}".rstrip()


def _split(line: str) -> list[str]:
    """The words of a line that ends at the cursor, quotes taken off; the last one may be open, or empty."""
    for closing in ("", "'", '"', "\\"):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return words if line[-1:].strip() or closing else [*words, ""]
    return line.split()
