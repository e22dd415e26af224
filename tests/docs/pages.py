"""Reads the pages of the documentation: their blocks, headings, links and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(path for places in ("*.md", "docs/**/*.md", "changelog.d/*.md") for path in sorted(ROOT.glob(places)))

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<info>.*)$")
LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\((?P<image>[^()\s]+)\)")
PROGRAMS = ("zenflow", "pytest")
"""Whose commands are run; what a page shows of other programs is not."""

ON_A_CLUSTER = "on a cluster"
IN_THE_BACKGROUND = "in a second terminal"
"""Titles of console blocks that need a cluster; of the second, a command that goes on."""

HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")


@frozen
class Block:
    """A fenced block: the line of its fence, the words behind the fence, its text."""

    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        return self.info.split()[0] if self.info.split() else ""

    @property
    def title(self) -> str | None:
        found = re.search(r'title="([^"]+)"', self.info)
        return found[1] if found else None

    @property
    def on_a_cluster(self) -> bool:
        """Whether its commands need a cluster: tests/cluster runs those."""
        return self.title in (ON_A_CLUSTER, IN_THE_BACKGROUND)

    @property
    def shows_problems(self) -> bool:
        return "problems" in self.info.split()


@frozen
class Command:
    """A command of a page, and what the page says comes of it."""

    line: int
    text: str
    code: int
    output: tuple[str, ...]


def blocks_and_prose(text: str) -> tuple[list[Block], str]:
    """The fenced blocks of a page, and the page with blank lines in their place."""
    blocks: list[Block] = []
    prose: list[str] = []
    start: tuple[int, re.Match[str]] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if start is None and fence:
            start, inside = (number, fence), []
        elif start and fence and fence["fence"].startswith(start[1]["fence"]) and not fence["info"].strip():
            blocks.append(Block(start[0], info=start[1]["info"].strip(), text="\n".join(inside) + "\n"))
            start = None
        elif start:
            inside.append(line.removeprefix(start[1]["indent"]))
        else:
            prose.append(line)
            continue
        prose.append("")
    if start is not None:
        raise ValueError(f"line {start[0]}: this block has no end")
    return blocks, "\n".join(prose)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for line in blocks_and_prose(text)[1].splitlines():
        if heading := HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).lower())
            slug = base = words.replace(" ", "-")
            repeated = 0
            while slug in found:
                repeated += 1
                slug = f"{base}-{repeated}"
            found.add(slug)
    return found


@frozen
class Link:
    """A link or picture of a page that is no other site's: its line, the file it names (or nothing), its anchor."""

    line: int
    target: str
    name: str
    anchor: str


def relative_links(page: Path) -> Iterator[Link]:
    """The links of a page but for those to other sites, and for what stands in code."""
    prose = blocks_and_prose(page.read_text(encoding="utf-8"))[1]
    for number, line in enumerate(prose.splitlines(), start=1):
        for link in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            target = link["target"] or link["image"]
            if not re.match(r"[a-z]+:", target):
                name, _, anchor = target.partition("#")
                yield Link(number, target=target, name=name, anchor=anchor)


def commands_of(block: Block, *, programs: tuple[str, ...] = PROGRAMS) -> list[Command]:
    """The commands of a `console` or `sh` block that are of one of these programs."""
    found: list[Command] = []
    lines = block.text.splitlines()
    console = block.language == "console"
    at = 0
    while at < len(lines):
        line = block.line + 1 + at
        text = lines[at].removeprefix("$ ")
        at += 1
        if console and not lines[at - 1].startswith("$ "):
            continue
        while text.endswith("\\") and at < len(lines):
            text = text[:-1] + lines[at].removeprefix("> ")
            at += 1
        output: list[str] = []
        while console and at < len(lines) and not lines[at].startswith("$ "):
            output.append(lines[at].rstrip())
            at += 1
        code = 0
        if console and lines[at : at + 1] == ["$ echo $?"] and at + 1 < len(lines):
            code = int(lines[at + 1])
            at += 2
        if text.split()[:1] and text.split()[0] in programs:
            found.append(Command(line, text=text, code=code, output=tuple(output)))
    return found
