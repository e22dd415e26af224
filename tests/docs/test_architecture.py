"""docs/architecture.md names the import contracts and the folders of tests as they are."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_contracts_are_those_that_are_checked() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    listed = PAGE.partition("these contracts of `pyproject.toml`:\n\n")[2].partition("\n\n")[0]
    assert listed.splitlines() == [f"- {each['name']}" for each in contracts]


def test_every_folder_of_tests_has_its_level() -> None:
    table = PAGE.partition("| level | folders |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])]
    folders = [path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.*"))]
    assert sorted(named) == sorted(name for name in folders if not name.startswith(("_", ".")))


def test_the_way_of_a_feature_ends_in_the_changelog() -> None:
    """Each step names places, whose links another test follows; the places of the core are all there."""
    table = PAGE.partition("| | files |")[2].partition("\n\n")[0]
    core = set(re.findall(r"\]\(\.\./zenflow_core/([\w/]+?)(?:\.py|/)\)", table))
    assert core == {
        *("spec", "checks", "checks/catalogue", "reasons", "say", "transitions"),
        *("rules", "owed", "manifests", "actions"),
    }
    assert "changelog.d/" in table.splitlines()[-1]
