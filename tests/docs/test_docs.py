"""The documentation is run: links resolve, flows validate, commands end and print as the pages say.

CONTRIBUTING.md, "Documentation that is run", is the contract. `problems_of` checks one page and answers with all that
is wrong with it; the tests at the end plant what must be found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PAGES, ROOT, anchors, blocks_and_prose, commands_of, relative_links
from tests.docs.snippets import Session

SECONDS_PER_COMMAND = 60
OWN = Path(sys.executable).parent
"""Where the programs of this interpreter are."""


def broken_links(page: Path) -> Iterator[str]:
    """Relative links that lead nowhere; links to other sites are not followed."""
    for link in relative_links(page):
        goal = (page.parent / link.name) if link.name else page
        if not goal.exists():
            yield f"line {link.line}: link to {link.target}, but there is no {link.name}"
        elif link.anchor and link.anchor not in anchors(goal.read_text(encoding="utf-8")):
            yield f"line {link.line}: link to {link.target}, but {link.name or 'this page'} has no such heading"


def is_flow(text: str) -> bool:
    """Whether a YAML text holds a JobFlow, also one with mistakes in it."""
    return re.search(r"^kind: +[\"']?JobFlow[\"']?\s*(#.*)?$", text, re.MULTILINE) is not None


def shows(documented: tuple[str, ...], printed: str) -> bool:
    """Whether the output is as documented; a documented line `...` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + r"[ \t]*\n" for line in documented)
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n" if printed.strip() else "") is not None


def run(command: str, folder: Path, *, programs: Path = OWN) -> subprocess.CompletedProcess[str]:
    """Run a command line as a reader would, with the `zenflow` of that folder; stderr goes to stdout."""
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_PER_COMMAND,
        check=False,
    )


def written(file: Path, text: str) -> None:
    """Make a file, and the folders it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def wrong_blocks(page: Path, folder: Path, *, programs: Path) -> Iterator[str]:
    """Flows that do not validate, snippets that raise, commands that end or print otherwise than the page says."""
    session = Session(str(page), folder)
    for block in blocks_and_prose(page.read_text(encoding="utf-8"))[0]:
        if block.language == "text" and block.title == "output":
            if not shows(tuple(block.text.splitlines()), printed := session.take()):
                yield f"line {block.line}: what was printed is something else:\n{printed}"
        elif block.language == "python" and block.title is None:
            if raised := session.run(block):
                yield f"line {block.line}: this snippet raises\n{raised}"
        elif block.on_a_cluster:
            continue
        elif block.language != "yaml" and block.title is not None:
            written(folder / block.title, block.text)
        elif block.language == "yaml":
            name = block.title or f"line-{block.line}.yaml"
            written(folder / name, block.text)
            if is_flow(block.text):
                expected = 2 if block.shows_problems else 0
                answer = run(f"zenflow validate {name}", folder, programs=programs)
                if answer.returncode != expected:
                    ends = f"zenflow validate ends with {answer.returncode}, not {expected}"
                    yield f"line {block.line}: {ends}\n{answer.stdout}"
            elif not block.shows_problems:
                try:
                    list(yaml.safe_load_all(block.text))
                except yaml.YAMLError as error:
                    yield f"line {block.line}: not YAML: {error}"
        elif block.language in ("console", "sh"):
            for command in commands_of(block):
                answer = run(command.text, folder, programs=programs)
                if answer.returncode != command.code:
                    yield (
                        f"line {command.line}: `{command.text}` ends with {answer.returncode}, documented is "
                        f"{command.code}\n{answer.stdout}"
                    )
                elif command.output and not shows(command.output, answer.stdout):
                    yield f"line {command.line}: `{command.text}` prints something else:\n{answer.stdout}"


def problems_of(page: Path, folder: Path, *, programs: Path = OWN) -> list[str]:
    """All that is wrong with a page; its commands run in `folder`, with a copy of `examples/` if they name it."""
    if any("examples/" in block.text for block in blocks_and_prose(page.read_text(encoding="utf-8"))[0]):
        shutil.copytree(ROOT / "examples", folder / "examples")
    return [*broken_links(page), *wrong_blocks(page, folder, programs=programs)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path) -> None:
    problems = problems_of(page, tmp_path)
    assert not problems, "\n".join((f"{page.relative_to(ROOT)}:", *problems))


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_example_validates_and_is_named_after_its_flow(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["metadata"]["name"] == example.stem
    answer = run(f"zenflow validate {example}", ROOT)
    assert answer.returncode == 0, answer.stdout


FLOW = """apiVersion: workflow.kube-zen.io/v1alpha1
kind: JobFlow
metadata: {name: planted}
spec:
  steps:
  - {name: a, type: Manual}
"""


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        pytest.param("[x](gone.md)\n", "line 1: link to gone.md, but there is no gone.md", id="a link to no file"),
        pytest.param("# A b\n\n[x](#a-c)\n", "line 3: link to #a-c, but this page has no", id="a link to no heading"),
        pytest.param("![x](gone.svg)\n", "line 1: link to gone.svg", id="a picture that is not there"),
        pytest.param("```yaml\na: [\n```\n", "line 1: not YAML", id="broken YAML"),
        pytest.param(
            f"```yaml\n{FLOW}    depends: [b]\n```\n",
            "line 1: zenflow validate ends with 2, not 0",
            id="a flow with problems",
        ),
        pytest.param(
            f"```yaml problems\n{FLOW}```\n",
            "line 1: zenflow validate ends with 0, not 2",
            id="a flow said to have problems",
        ),
        pytest.param(
            "```sh\ncd x\nzenflow no-such-command\n```\n",
            "line 3: `zenflow no-such-command` ends with",
            id="a command that fails",
        ),
        pytest.param(
            "```console\n$ zenflow --version\n$ echo $?\n3\n```\n",
            "line 2: `zenflow --version` ends with 0, documented is 3",
            id="another exit code",
        ),
        pytest.param(
            "```console\n$ zenflow --version\nzenflow 0.0.0\n```\n",
            "line 2: `zenflow --version` prints",
            id="another output",
        ),
        pytest.param(
            "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n",
            "line 5: this snippet raises",
            id="a snippet that raises",
        ),
        pytest.param(
            '```python\nprint(1)\n```\n```text title="output"\n2\n```\n',
            "line 4: what was printed is something else:\n1",
            id="a snippet that prints something else",
        ),
        pytest.param(
            '```python title="test_it.py"\ndef test_it(): assert not 1\n```\n```console\n$ pytest -q\n```\n',
            "line 5: `pytest -q` ends with 1",
            id="a test that fails",
        ),
    ],
)
def test_a_planted_mistake_is_found(page: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    found = problems_of(tmp_path / "page.md", tmp_path)
    assert [text for text in found if text.startswith(problem)] == found
    assert len(found) == 1


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("# It's `a` b\n\n[x](#its-a-b) [y](https://example.com/gone) [z](page.md#its-a-b)\n", id="links"),
        pytest.param("```text\n[x](gone.md)\n```\n`[x](gone.md)`\n", id="links that are code"),
        pytest.param(
            f'```yaml title="planted.yaml"\n{FLOW}```\n\n```sh\nzenflow validate planted.yaml\n```\n',
            id="a flow by title",
        ),
        pytest.param("```console\n$ zenflow --version\n...\n```\n", id="any output"),
        pytest.param("```console\n$ kubectl get pods\nno\n```\n", id="commands of others are not run"),
        pytest.param(
            '```python\nx = 1\n```\n```python\nprint(x)\n```\n```text title="output"\n1\n```\n', id="snippets go on"
        ),
    ],
)
def test_a_right_page_is_left_in_peace(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    assert problems_of(tmp_path / "page.md", tmp_path) == []


@pytest.mark.parametrize(
    ("documented", "printed", "same"),
    [
        pytest.param(("a", "b"), "a\nb\n", True, id="the same lines"),
        pytest.param(("a",), "a  \n", True, id="blanks at the end do not count"),
        pytest.param(("a", "c"), "a\nb\nc\n", False, id="a line more"),
        pytest.param(("a", "...", "d"), "a\nb\nc\nd\n", True, id="dots for two lines"),
        pytest.param(("a", "...", "b"), "a\nb\n", True, id="dots for none"),
        pytest.param(("a.c",), "abc\n", False, id="a dot is a dot"),
    ],
)
def test_shows(documented: tuple[str, ...], printed: str, same: bool) -> None:
    assert shows(documented, printed) is same
