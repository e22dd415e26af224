"""What people do wrong in YAML, in their words rather than a parser's.

libyaml and PyYAML's own parser say the same things in slightly different
words; both are recognised by what they have in common, and by the line itself.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from zenflow_core.problems import Position, Problem, quoted

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY: Final = re.compile(r"\s*(?:- +)*([^\s#'\"\[{][^:]*):(?:\s|$)")


def syntax_problem(error: yaml.YAMLError, text: str, *, file: str) -> Problem:
    """Where the text stops being YAML, what probably happened, how to put it right."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return _Place(error, text, file).problem()
    found = _UNPRINTABLE.search(text)
    start = found.start() if found else 0
    position = Position(file, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
    shown = f"the control character U+{ord(found[0]):04X}" if found else "a character that YAML does not allow"
    fix = "remove it; binary data goes into a manifest as base64"
    return Problem("", f"the text holds {shown}", fix, rule="ZF003", position=position)


class _Place:
    """A syntax error beside the lines it is about. Lines and columns here count from 0."""

    def __init__(self, error: yaml.MarkedYAMLError, text: str, file: str) -> None:
        self.said = error.problem or ""
        self.lines = text.splitlines() or [""]
        self.file = file
        mark = error.problem_mark
        assert mark is not None
        self.line, self.column = mark.line, mark.column
        begun = error.context_mark or mark
        self.begun_line, self.begun_column = begun.line, begun.column
        self.context = error.context or ""

    def problem(self) -> Problem:
        what, fix = self._what_and_fix()
        return Problem("", what, fix, rule="ZF001", position=Position(self.file, self.line + 1, self.column + 1))

    def _at(self, line: int) -> str:
        return self.lines[line] if 0 <= line < len(self.lines) else ""

    def _point_to_beginning(self) -> None:
        self.line, self.column = self.begun_line, self.begun_column

    def _what_and_fix(self) -> tuple[str, str]:
        """A table of what people do."""
        said, here = self.said, self._at(self.line)
        character = here[self.column : self.column + 1]
        if "tab " in said or character == "\t":
            fix = "put spaces in its place, as many as the lines around it have"
            return "a tab indents this line; YAML indents with spaces", fix
        if "cannot start any token" in said:
            return f"a value cannot begin with '{character}'", "put the value in quotes"
        if "{{" in here and "start" not in said:
            example = here[here.index("{{") :].strip()
            return "a value that begins with '{{' is read as a mapping", f"put the whole value in quotes: '{example}'"
        if "mapping values are not allowed" in said:
            return self._colon()
        if "could not find expected ':'" in said:
            self._point_to_beginning()
            wrong = self._at(self.line).strip()
            return f"{quoted(wrong)} is no 'key: value'", "write a colon and a space after the key"
        if "sequence entries are not allowed" in said:
            fix = "put '- ' on the next line; put a text that begins with '-' in quotes"
            return "a list begins on the line of its key", fix
        if "unexpected end of stream" in said:
            self._point_to_beginning()
            quote = self._at(self.line)[self.column : self.column + 1]
            return "the quote that opens here is never closed", f"close it with {quote}"
        if "flow" in self.context:
            opening = self._at(self.begun_line)[self.begun_column : self.begun_column + 1]
            closing = "]" if opening == "[" else "}"
            if not here[self.column :].strip() and not any(line.strip() for line in self.lines[self.line + 1 :]):
                self._point_to_beginning()
                return f"the '{opening}' that opens here is never closed", f"put '{closing}' at its end"
            what = f"the '{opening}' of line {self.begun_line + 1} is not closed before this"
            return what, f"put ',' between its items and '{closing}' at its end"
        if "block collection" in self.context or "block mapping" in self.context:
            return self._indentation()
        return self._rest()

    def _colon(self) -> tuple[str, str]:
        """': ' where none may be: twice in a line, after a line without one, or under a value."""
        before = self._at(self.line)[: self.column]
        if before.startswith("---"):
            return "a mapping begins on the line of '---'", "begin it on the next line"
        earlier = _KEY.match(before)
        if earlier:
            what = f"the value of {quoted(earlier[1])} has a ': ' in it"
            return what, "put the whole value in quotes"
        if len(before) > 1024:
            return "a key is longer than 1,024 characters", "shorten the key"
        above = next((n for n in range(self.line - 1, -1, -1) if self._at(n).strip()), None)
        if above is None:
            return "': ' stands where no key can be", "put text that has ': ' in it in quotes"
        line = self._at(above)
        if _KEY.match(line) is None:
            self.line, self.column = above, len(line) - len(line.lstrip())
            return f"{quoted(line)} is no 'key: value'", "write a colon and a space after the key"
        what = f"this line is indented deeper than line {above + 1}, {quoted(line)}, which has a value already"
        return what, "indent both alike, or leave the value of the line above empty"

    def _indentation(self) -> tuple[str, str]:
        here = self._at(self.line)
        before = here[: self.column].rstrip()
        if before.strip():
            what = f"text follows after {quoted(before[-20:].strip())}, where the value has ended"
            return what, "put the whole value in one pair of quotes; inside single quotes write '' for a quote"
        begun = self._at(self.begun_line)[self.begun_column :]
        if "collection" in self.context:
            what = f"this line stands among the items of the list of line {self.begun_line + 1}, and is none"
            return (
                what,
                f"begin it with '- ', or indent it to what it belongs to; the items have {self.begun_column} spaces",
            )
        if self.column == self.begun_column:
            return f"{quoted(here)} stands where a key is expected", "write 'key: value'"
        what = (
            f"{quoted(here)} is indented by {self.column}, which fits nothing above it; the entries beside "
            f"{quoted(begun)} of line {self.begun_line + 1} have {self.begun_column}"
        )
        return what, "indent it exactly like the entries it belongs with"

    def _rest(self) -> tuple[str, str]:
        said = self.said
        if "escape" in said:
            return "a backslash in double quotes begins an escape unknown to YAML", "use single quotes, or write \\\\"
        if "alphabetic or numeric" in said:
            mark = self._at(self.begun_line)[self.begun_column : self.begun_column + 1]
            return f"a value that begins with '{mark}' is read as a reference", "put the value in quotes"
        if "tag" in said or "tag" in self.context:
            return "a value that begins with '!' is read as a tag, and this is none", "put the value in quotes"
        if "document start" in said:
            return "text follows the end of the document", "remove it, or begin a new document with a line of '---'"
        if "block scalar" in self.context:
            return "text follows '|' or '>' on the same line", "put the text on the next line, indented"
        if "YAML" in said or "directive" in said or "directive" in self.context:
            return "a line that begins with '%' is a directive, and this is none that fits", "remove the line"
        return f"this is no YAML: {said}", "look at the indentation, colons and quotes around it"
