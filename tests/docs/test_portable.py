"""What a page tells people to type runs in any shell, also on Windows, where no cluster is needed.

Looked at are `console` and `sh` blocks. Left out are those that need a cluster (they say so in their title, or run
kubectl), those that make the environment first (that differs from system to system), and those that say that they are
for a POSIX shell: a word `posix` behind the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks_and_prose

ENDS_WITH = "echo $?"
"""How pages write an exit code; a notation more than a command."""

ONLY_POSIX = {
    r"\|\|": "`||`",
    r"&&": "`&&`",
    r"(?<!\|)\|(?!\|)": "a pipe",
    r"\$": "`$`, which other shells read in other ways",
    r"`": "a backtick",
    r"<": "`<`",
    r";": "`;`",
    r"(?<!&)&(?!&)": "`&`",
    r"\\$": "a line that goes on with a backslash",
    r"'": "single quotes: use double ones",
    r"[*?]": "a wildcard: name the files",
    r"^[A-Z_]+=": "a variable before a command",
    r"^\.|/bin/": "a path of a POSIX system",
    r"^(cat|cp|cut|export|find|grep|head|ls|mkdir|mv|rm|sed|sort|source|tail|touch|wc)\b": "no such program on Windows",
}


def lines_to_type(block: Block) -> Iterator[tuple[int, str]]:
    """The commands of a block, each with its line on the page."""
    console = block.language == "console"
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if line.strip() and (line.startswith(("$ ", "> ")) if console else not line.startswith("#")):
            yield number, line[2:] if console else line


def is_posix(block: Block) -> bool:
    """Whether the block is for a POSIX shell, or for who has a cluster at hand."""
    other = any(re.match(r"(kubectl|helm|python3 -m venv)\b", command) for _, command in lines_to_type(block))
    return other or block.on_a_cluster or "posix" in block.info.split()


def problems_of(text: str) -> list[str]:
    """What of a page cannot be typed everywhere."""
    return [
        f"line {number}: `{command}` has {words}"
        for block in blocks_and_prose(text)[0]
        if block.language in ("console", "sh") and not is_posix(block)
        for number, command in lines_to_type(block)
        if command != ENDS_WITH
        for pattern, words in ONLY_POSIX.items()
        if re.search(pattern, _bare(command))
    ]


def _bare(command: str) -> str:
    """The command without what stands in double quotes, but for what is read there, too."""
    return re.sub(r'"[^"$`]*"', '""', command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_need_no_cluster_run_in_any_shell(page: Path) -> None:
    problems = problems_of(page.read_text(encoding="utf-8"))
    assert not problems, "\n".join((f"{page.relative_to(ROOT)}:", *problems))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param("zenflow plan a.yaml | head", "a pipe", id="a pipe"),
        pytest.param("zenflow plan a.yaml || true", "`||`", id="or"),
        pytest.param("zenflow plan a.yaml && zenflow plan b.yaml", "`&&`", id="and"),
        pytest.param("zenflow plan a.yaml; zenflow plan b.yaml", "`;`", id="one after the other"),
        pytest.param("zenflow plan a.yaml &", "`&`", id="in the background"),
        pytest.param(
            'zenflow diff a --with "$(which python)"',
            "`$`, which other shells read in other ways",
            id="a command in one",
        ),
        pytest.param("zenflow plan - < a.yaml", "`<`", id="input from a file"),
        pytest.param("zenflow test --k \\", "a line that goes on with a backslash", id="a long line"),
        pytest.param("zenflow simulate a.yaml --set 'a=b c'", "single quotes: use double ones", id="single quotes"),
        pytest.param("zenflow validate *.yaml", "a wildcard: name the files", id="a wildcard"),
        pytest.param("NO_COLOR=1 zenflow plan a.yaml", "a variable before a command", id="a variable"),
        pytest.param(".venv/bin/zenflow plan a.yaml", "a path of a POSIX system", id="a path"),
        pytest.param("cat a.yaml", "no such program on Windows", id="a program"),
    ],
)
def test_what_only_a_posix_shell_understands_is_found(command: str, words: str) -> None:
    assert f"line 2: `{command}` has {words}" in problems_of(f"```console\n$ {command}\n```\n")
    assert f"line 2: `{command}` has {words}" in problems_of(f"```sh\n{command}\n```\n")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("```console\n$ zenflow explore a.yaml --always \"not (a == 'b') | c\"\n...\n```\n", id="quoted"),
        pytest.param("```console\n$ zenflow plan a.yaml\na | b; $x\n$ echo $?\n0\n```\n", id="output and exit code"),
        pytest.param("```sh\nzenflow graph a.yaml -o svg > a.svg\n```\n", id="into a file"),
        pytest.param("```sh\nkubectl get pods | head\n```\n", id="with kubectl"),
        pytest.param("```sh posix\ncd a && ls\n```\n", id="said to be POSIX"),
        pytest.param('```console title="on a cluster"\n$ zenflow list | head\n```\n', id="on a cluster"),
        pytest.param("```text\n$ cat a | head\n```\n", id="a text"),
    ],
)
def test_what_runs_everywhere_is_left_in_peace(page: str) -> None:
    assert problems_of(page) == []
