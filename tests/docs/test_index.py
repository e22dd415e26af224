"""Every page of the documentation can be found from its first one."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import DOCS, relative_links


def reachable_from(first: Path) -> set[Path]:
    """The pages that links lead to, step by step, within the folder of the first one."""
    found = {first}
    to_read = [first]
    while to_read:
        page = to_read.pop()
        linked = {(page.parent / link.name).resolve() for link in relative_links(page) if link.name.endswith(".md")}
        new = {goal for goal in linked - found if goal.is_relative_to(first.parent)}
        found |= new
        to_read.extend(new)
    return found


def test_every_page_is_reachable_from_the_index() -> None:
    pages = {path.resolve() for path in DOCS.rglob("*.md")}
    lost = sorted(str(path.relative_to(DOCS)) for path in pages - reachable_from(DOCS / "index.md"))
    assert not lost, f"no page that the index leads to links {', '.join(lost)}: add them to docs/index.md"


def test_every_decision_stands_in_the_index_itself() -> None:
    linked = {link.name for link in relative_links(DOCS / "index.md")}
    missing = [path.name for path in sorted(DOCS.glob("decisions/*.md")) if f"decisions/{path.name}" not in linked]
    assert not missing, f"docs/index.md does not link {', '.join(missing)}"


def test_a_page_that_nothing_links_is_not_reachable(tmp_path: Path) -> None:
    pages = {"index.md": "[a](a.md)", "a.md": "[b](b.md#b) [x](index.md)", "b.md": "# b", "c.md": "[a](a.md)"}
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {path.name for path in reachable_from(tmp_path / "index.md")} == {"index.md", "a.md", "b.md"}
