"""What the site's generator reads: a copy of the pages, laid out as the repository is.

So a link from one page to another is right in both. What differs:

- a page links a file that is no page (a test, an example): it is copied as a page that shows it;
- a page links a folder: it becomes a page that lists it;
- the public names of a package are a page of their own, made from their docstrings by mkdocstrings;
- of the words behind a block's language, which tell tests what to do, only the title stays;
- a Mermaid diagram, which a browser could draw only with a program from the network, becomes the picture of it, if
  there is one, or stays the text that it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FIRST: Final = ("README.md", "docs/**/*.md")
"""Where it begins; the rest follows from their links."""

PICTURES: Final = {"docs/concepts.md": "images/states.svg", "docs/states.md": "images/states.svg"}
"""The picture of a page's one Mermaid diagram."""

PACKAGES: Final = ("zenflow_core", "zenflow_testing")
"""Whose public names have a page, `docs/reference/PACKAGE.md`."""

LANGUAGES: Final = {".py": "python", ".yaml": "yaml", ".json": "json", ".golden": "text", "": "text"}

SHOWN: Final = 30
"""Files of one folder that get pages. A longer list is only named: what matters in it is linked from elsewhere."""

_CODE: Final = r"^ *(?P<fence>```+|~~~+)[^\n]*\n.*?^ *(?P=fence) *$|`[^`\n]+`"
_LINK: Final = r"!?\[(?P<text>(?:`[^`\n]*`|[^\]\[`])*)\]\((?P<target>[^()\s]+)\)"
_CODE_OR_LINK: Final = re.compile(f"{_LINK}|{_CODE}", re.MULTILINE | re.DOTALL)
"""A link whose text is code begins before that code, so it is found first."""
_MERMAID: Final = re.compile(r"^```mermaid\n(?P<diagram>.*?)^```\n", re.MULTILINE | re.DOTALL)

_OPENING: Final = re.compile(r"^(?P<fence> *```+\w+)(?P<words> [^`\n]*)$", re.MULTILINE)
_TITLE: Final = re.compile(r' title="[^"]*"')
"""What the generator knows of the words behind a language; the others are for our tests."""


def stage(target: Path, *, root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> None:
    """Write the site's source below `target`, which is emptied first. Raises FileNotFoundError for a broken link."""
    shutil.rmtree(target, ignore_errors=True)
    for package in packages:
        _write(target / "docs" / "reference" / f"{package}.md", f"# {package}\n\n::: {package}\n")
    waiting = sorted(path for pattern in FIRST for path in root.glob(pattern))
    done: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        place = target / path.relative_to(root)
        if path.suffix == ".md":
            _write(place, _page(path, root=root))
            waiting += linked(path.read_text(encoding="utf-8"), path)
            waiting += [path.parent / picture for name, picture in PICTURES.items() if path == root / name]
        elif path.is_dir():
            _write(place / "index.md", _listing(path, root=root))
            waiting += _shown(path)
        elif path.suffix == ".svg":
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        else:
            _write(place.with_name(place.name + ".md"), _source(path, root=root))


def linked(text: str, page: Path) -> Iterator[Path]:
    """The files and folders of the repository that a page links."""
    for found in _CODE_OR_LINK.finditer(text):
        name = (found["target"] or "").partition("#")[0]
        if name and not re.match(r"[a-z]+:", name):
            yield (page.parent / name).resolve(strict=True)


def _page(path: Path, *, root: Path) -> str:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    if name in PICTURES:
        text = _MERMAID.sub(f"![The states of a step]({PICTURES[name]})\n", text)
    text = _MERMAID.sub(lambda found: f"```text\n{found['diagram']}```\n", text)
    text = _CODE_OR_LINK.sub(lambda found: _shown_link(found, path) if found["target"] else found[0], text)
    return _OPENING.sub(lambda found: f"{found['fence']}{' '.join(_TITLE.findall(found['words']))}".rstrip(), text)


def _shown_link(found: re.Match[str], page: Path) -> str:
    """A link to a file that is no page, or to a folder, leads to the page that shows it."""
    name, mark, anchor = found["target"].partition("#")
    goal = page.parent / name
    if not name or re.match(r"[a-z]+:", name) or not goal.exists() or goal.suffix in (".md", ".svg"):
        return found[0]
    shown = f"{name.rstrip('/')}/index.md" if goal.is_dir() else f"{name}.md"
    return f"[{found['text']}]({shown}{mark}{anchor})"


def _shown(folder: Path) -> list[Path]:
    """The files of a folder that get pages of their own; none of them if they are many."""
    files = [path for path in _files(folder) if path.suffix in LANGUAGES]
    return files if len(files) <= SHOWN else []


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _listing(folder: Path, *, root: Path) -> str:
    shown = _shown(folder)
    lines = [f"- [{path.name}]({path.name}.md)" if path in shown else f"- {path.name}" for path in _files(folder)]
    return "\n".join((f"# {folder.relative_to(root).as_posix()}", "", *lines, ""))


def _source(path: Path, *, root: Path) -> str:
    """A page that shows a file. It is not searched: what is said about it is on the pages."""
    text = path.read_text(encoding="utf-8")
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text)), 0)
    name = path.relative_to(root).as_posix()
    language = LANGUAGES[path.suffix]
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8", newline="\n")
