"""What is wrong with the site as it was built: links and pictures that lead nowhere, and anything from the network.

The generator judges the Markdown; this reads what a browser will.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

LOADED: Final[Mapping[str, str]] = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""Elements with what a browser fetches of them by itself."""

NOT_LOADED: Final = frozenset({"canonical", "prev", "next", "alternate"})
"""`rel` of a `<link>` that only tells."""


@frozen
class Page:
    """What a page refers to and what can be referred to in it."""

    loads: list[str] = field(factory=list)
    links: list[str] = field(factory=list)
    ids: set[str] = field(factory=set)
    prose: list[str] = field(factory=list)


class _Reader(HTMLParser):
    """Fills a `Page`."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.page.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        told = NOT_LOADED & set(given.get("rel", "").split())
        if LOADED.get(tag, "") in given and not told:
            self.page.loads.append(given[LOADED[tag]])
        self._verbatim += tag in ("code", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._verbatim -= tag in ("code", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._verbatim:
            self.page.prose.append(data)


def read(text: str) -> Page:
    """What a page of HTML refers to."""
    reader = _Reader()
    reader.feed(text)
    return reader.page


def problems(site: Path) -> Iterator[str]:
    """Everything that is wrong, each with its page. Cost: each page is read once."""
    pages = {path.resolve(): read(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for target in page.loads:
            if urlsplit(target).netloc:
                yield f"{where}: loads {target} from the network"
            elif not target.startswith("data:") and not _goal(path, target, site).is_file():
                yield f"{where}: loads {target}, which is not there"
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            goal = _goal(path, target, site)
            if goal.resolve() not in pages and not goal.is_file():
                yield f"{where}: links {target}, which is not there"
            elif parts.fragment and goal.resolve() in pages:
                anchor = unquote(parts.fragment)
                if anchor not in pages[goal.resolve()].ids and not anchor.startswith("__"):
                    yield f"{where}: links {target}, but that page has no such anchor"
        for text in page.prose:
            if "](" in text or "```" in text:
                yield f"{where}: Markdown that was not read: {text.strip()}"


def _goal(page: Path, target: str, site: Path) -> Path:
    """The file that a reference means."""
    path = unquote(urlsplit(target).path)
    if not path:
        return page
    goal = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    return goal / "index.html" if path.endswith("/") or goal.is_dir() else goal
