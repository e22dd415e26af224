"""docs/tutorial.md, followed by somebody with nothing but Python and an empty folder.

The part on a cluster is done by tests/cluster/test_tutorial.py. Needs a package index, and about a minute.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import ROOT, blocks_and_prose, commands_of
from tests.docs.test_docs import problems_of
from tests.docs.test_example_project import programs_of

PAGE = ROOT / "docs" / "tutorial.md"
CONSOLES = tuple(
    block
    for block in blocks_and_prose(PAGE.read_text(encoding="utf-8"))[0]
    if block.language == "console" and not block.on_a_cluster
)


def commands() -> list[str]:
    return [line.removeprefix("$ ") for block in CONSOLES for line in block.text.splitlines() if line.startswith("$ ")]


def test_every_command_is_run() -> None:
    """What is not one of the programs that are run would not be noticed when it breaks."""
    ran = [each.text for block in CONSOLES for each in commands_of(block)]
    assert [each for each in commands() if each not in ran and each != "echo $?"] == ['pip install "zenflow[all]"']


def test_from_an_empty_folder(tmp_path: Path) -> None:
    extra = re.fullmatch(r'pip install "zenflow\[(\w+)\]"', commands()[0])
    assert extra is not None
    programs = programs_of(tmp_path, extra=extra[1])
    folder = tmp_path / "empty"
    folder.mkdir()
    assert problems_of(PAGE, folder, programs=programs) == []
