"""The pages for those who come from elsewhere: each concept has both sides, each command is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
import yaml
from attrs import frozen

from tests.docs import vocabulary as code
from tests.docs.pages import DOCS, Block, blocks_and_prose
from zenflow_core.limits import STEPS

ARGO: Final = DOCS / "migrating-from-argo.md"

IN_ANOTHER_WAY: Final = frozenset({"Time limits", "WorkflowTemplate", "Rights", "Commands"})
"""Sections of the Argo page that a table or a sentence says better than two manifests."""


@frozen
class Section:
    """What stands below one heading of the second level."""

    title: str
    blocks: tuple[Block, ...]

    def kinds(self) -> list[str]:
        """The kinds of the objects in its YAML, in order; files of outcomes have none."""
        texts = [block.text for block in self.blocks if block.language == "yaml"]
        objects = [each for text in texts for each in yaml.safe_load_all(text)]
        return [each["kind"] for each in objects if "kind" in each]


def sections(page: Path) -> list[Section]:
    """The page, heading by heading."""
    text = page.read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [Section(title, tuple(blocks_and_prose(body)[0])) for title, body in pairs]


def commands(page: Path) -> list[str]:
    """The `zenflow` commands that its sentences and tables name."""
    prose = blocks_and_prose(page.read_text(encoding="utf-8"))[1]
    spans = (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose))
    return sorted(set(code.commands_in(spans)))


CONCEPTS: Final = [each for each in sections(ARGO) if {"Workflow", "CronWorkflow"} & set(each.kinds())]


@pytest.mark.parametrize("section", CONCEPTS, ids=lambda section: section.title)
def test_a_concept_of_argo_has_its_flow_beside_it(section: Section) -> None:
    kinds = section.kinds()
    assert kinds[0] in ("Workflow", "CronWorkflow"), "theirs stands first"
    assert "JobFlow" in kinds


def test_every_concept_that_the_table_lists_has_its_section() -> None:
    text = ARGO.read_text(encoding="utf-8")
    listed = set(re.findall(r"\[below\]\(#([\w-]+)\)", text))
    titles = {section.title.lower().replace(" ", "-") for section in CONCEPTS}
    others = {title.lower().replace(" ", "-") for title in IN_ANOTHER_WAY}
    assert listed == titles | others


@pytest.mark.parametrize("line", commands(ARGO))
def test_every_command_is_one(line: str) -> None:
    assert code.not_a_command(line) is None


def test_the_number_of_steps_is_the_limit() -> None:
    assert f"{STEPS:,} steps" in ARGO.read_text(encoding="utf-8")
