"""The site's source follows from the pages, and what is wrong with a built site is found; `nox -s docs` builds it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT
from tools.site import checks, staging

CONFIGURATION: dict[str, Any] = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    staging.stage(folder)
    return folder


def navigated(entry: Any) -> Iterator[str]:
    """The pages of a navigation, as deep as it goes."""
    match entry:
        case str():
            yield entry
        case list():
            for item in entry:
                yield from navigated(item)
        case dict():
            for item in entry.values():
                yield from navigated(item)


def test_every_page_is_in_the_navigation_once_and_every_entry_is_a_page(source: Path) -> None:
    entries = list(navigated(CONFIGURATION["nav"]))
    assert len(entries) == len(set(entries))
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")}
    missing = sorted(pages - set(entries))
    assert not missing, f"add to nav in zensical.toml: {', '.join(missing)}"
    assert [entry for entry in entries if not (source / entry).is_file()] == []


def test_no_font_is_loaded() -> None:
    assert CONFIGURATION["theme"]["font"] is False


def test_every_page_is_staged_where_it_is_in_the_repository(source: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (source / page.relative_to(ROOT)).is_file()


def test_every_package_that_users_import_has_a_page_of_its_names(source: Path) -> None:
    entries = set(navigated(CONFIGURATION["nav"]))
    for package in staging.PACKAGES:
        assert f"docs/reference/{package}.md" in entries
        assert f"\n::: {package}\n" in (source / "docs" / "reference" / f"{package}.md").read_text(encoding="utf-8")


def test_no_diagram_is_left_that_needs_a_program_from_the_network(source: Path) -> None:
    assert [path for path in source.rglob("*.md") if "```mermaid" in path.read_text(encoding="utf-8")] == []
    assert "(images/states.svg)" in (source / "docs" / "states.md").read_text(encoding="utf-8")
    assert (source / "docs" / "images" / "states.svg").is_file()


FILES = {
    "README.md": "[docs](docs/a.md) [folder](examples/) [away](https://example.com/x.py)\n",
    "docs/a.md": "[`x`](../x.py#top) [R](../README.md#a) ![b](b.svg)\n\n```text\n[x](../x.py)\n```\n`[x](../x.py)`\n",
    "docs/d.md": '```yaml problems title="a b.yaml"\na: 1\n```\n\n```sh posix\nls\n```\n\n```console\n$ ls\n```\n',
    "docs/b.svg": "<svg/>",
    "docs/c.md": "```mermaid\nflowchart LR\n```\n",
    "x.py": 'print("""```""")\n',
    "examples/one.yaml": "a: 1\n",
    "examples/two.bin": "0",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text, encoding="utf-8")
    staging.stage(tmp_path / "staged", root=tmp_path / "root", packages=())
    return tmp_path / "staged"


def test_links_to_files_and_folders_lead_to_pages_that_show_them(planted: Path) -> None:
    readme = (planted / "README.md").read_text(encoding="utf-8")
    assert readme == "[docs](docs/a.md) [folder](examples/index.md) [away](https://example.com/x.py)\n"
    page = (planted / "docs" / "a.md").read_text(encoding="utf-8")
    assert page.startswith("[`x`](../x.py.md#top) [R](../README.md#a) ![b](b.svg)\n")
    assert (planted / "examples" / "index.md").read_text(encoding="utf-8").splitlines()[2:] == [
        *("- [one.yaml](one.yaml.md)", "- two.bin"),
    ]


def test_a_folder_of_many_files_is_a_list_of_names(tmp_path: Path) -> None:
    (tmp_path / "root" / "many").mkdir(parents=True)
    (tmp_path / "root" / "README.md").write_text("[many](many/)\n", encoding="utf-8")
    for number in range(staging.SHOWN + 1):
        (tmp_path / "root" / "many" / f"{number:03}.yaml").write_text("a: 1\n", encoding="utf-8")
    staging.stage(tmp_path / "staged", root=tmp_path / "root", packages=())
    assert [path.name for path in (tmp_path / "staged" / "many").iterdir()] == ["index.md"]
    assert "- 000.yaml\n" in (tmp_path / "staged" / "many" / "index.md").read_text(encoding="utf-8")


def test_what_is_code_is_left_as_it_is(planted: Path) -> None:
    page = (planted / "docs" / "a.md").read_text(encoding="utf-8")
    assert page.endswith("```text\n[x](../x.py)\n```\n`[x](../x.py)`\n")


def test_of_the_words_behind_a_language_the_title_stays(planted: Path) -> None:
    text = (planted / "docs" / "d.md").read_text(encoding="utf-8")
    assert text == '```yaml title="a b.yaml"\na: 1\n```\n\n```sh\nls\n```\n\n```console\n$ ls\n```\n'


def test_a_shown_file_is_whole_whatever_is_in_it(planted: Path) -> None:
    shown = (planted / "x.py.md").read_text(encoding="utf-8")
    assert shown.endswith('# x.py\n\n````python\nprint("""```""")\n````\n')
    assert "exclude: true" in shown


def test_a_diagram_without_a_picture_is_shown_as_text(planted: Path) -> None:
    assert (planted / "docs" / "c.md").read_text(encoding="utf-8") == "```text\nflowchart LR\n```\n"


def test_only_what_is_linked_is_staged(planted: Path) -> None:
    staged = {path.relative_to(planted).as_posix() for path in planted.rglob("*") if path.is_file()}
    assert staged == {
        *(
            "README.md",
            "docs/a.md",
            "docs/b.svg",
            "docs/c.md",
            "docs/d.md",
            "x.py.md",
            "examples/index.md",
            "examples/one.yaml.md",
        ),
    }


def test_a_broken_link_ends_the_staging(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("[gone](gone.md)\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"gone\.md"):
        staging.stage(tmp_path / "staged", root=tmp_path, packages=())


GOOD = '<h1 id="a">A</h1><p>text</p><a href="https://example.com">x</a><link rel="canonical" href="https://e.com/">'


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        pytest.param('<img src="gone.svg">', "index.html: loads gone.svg, which is not there", id="a picture"),
        pytest.param(
            '<script src="https://cdn.example.com/x.js"></script>',
            "index.html: loads https://cdn.example.com/x.js from the network",
            id="a program from elsewhere",
        ),
        pytest.param(
            '<link rel="stylesheet" href="//fonts.example.com/a.css">',
            "index.html: loads //fonts.example.com/a.css from the network",
            id="a font from elsewhere",
        ),
        pytest.param('<a href="gone/">x</a>', "index.html: links gone/, which is not there", id="a link to no page"),
        pytest.param(
            '<a href="#b">x</a>', "index.html: links #b, but that page has no such anchor", id="a link to no anchor"
        ),
        pytest.param(
            '<a href="other/#b">x</a>', "index.html: links other/#b, but that page has no such anchor", id="elsewhere"
        ),
        pytest.param("<p>[x](y.md)</p>", "index.html: Markdown that was not read: [x](y.md)", id="a link left over"),
        pytest.param("<p>```sh x</p>", "index.html: Markdown that was not read: ```sh x", id="a block left over"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(html: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "index.html").write_text(GOOD + html, encoding="utf-8")
    assert list(checks.problems(tmp_path)) == [problem]


@pytest.mark.parametrize(
    "html",
    [
        pytest.param('<a href="#a">x</a><a href="other/#a">x</a><a href="/other/">x</a>', id="links"),
        pytest.param('<img src="data:image/svg+xml,x"><img src="/other/b.svg">', id="pictures"),
        pytest.param("<code>[x](y.md)</code>", id="code"),
        pytest.param('<a href="other/b.svg">x</a>', id="a link to a file"),
    ],
)
def test_a_right_page_is_left_in_peace(html: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "other" / "b.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "index.html").write_text(GOOD + html, encoding="utf-8")
    assert list(checks.problems(tmp_path)) == []
