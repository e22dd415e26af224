"""Python in the pages: the snippets of one page run one after the other, in one namespace, as in one session.

A `python` block with a title is a file: it is written, and a command of the page runs it. One without is run where it
stands. A `text` block with the title "output" is what has been printed since the last such block.
"""

from __future__ import annotations

import contextlib
import io
import traceback
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.docs.pages import Block


@define
class Session:
    """The Python of one page, in the folder in which the page's commands run."""

    page: str
    folder: Path
    names: dict[str, Any] = field(factory=lambda: {"__name__": "__page__"})
    printed: str = ""

    def run(self, block: Block) -> str | None:
        """Run a snippet; the traceback if it raises, with the lines of the page."""
        # The blank lines before it give each line the number that it has in the page.
        source = "\n" * block.line + block.text
        said = io.StringIO()
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(said):
                exec(compile(source, self.page, "exec", dont_inherit=True), self.names)
        except Exception as error:  # noqa: BLE001 - whatever a snippet raises is what is wrong with the page
            return "".join(traceback.format_exception(error.with_traceback(error.__traceback__)))
        finally:
            self.printed += said.getvalue()
        return None

    def take(self) -> str:
        """What was printed since the last time this was asked."""
        said, self.printed = self.printed, ""
        return said
