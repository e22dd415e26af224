"""`zenflow explain-rule`: by id, by name, all of them."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Zenflow
from zenflow_core.checks.catalogue import READING_RULES, RULES


@pytest.mark.parametrize("asked", ["ZF207", "zf207", "dependency-cycle"])
def test_a_rule_is_found_by_id_and_by_name(asked: str, zenflow: Zenflow) -> None:
    ran = zenflow("explain-rule", asked)

    assert ran.code == 0
    assert ran.out.splitlines()[0] == "ZF207 dependency-cycle, error"
    assert "Remove a dependency." in ran.out


def test_without_a_rule_every_one_is_listed(zenflow: Zenflow) -> None:
    ran = zenflow("explain-rule")

    assert [line.split()[0] for line in ran.out.splitlines()] == [*READING_RULES, *RULES]


def test_an_unknown_rule_names_the_one_that_was_meant(zenflow: Zenflow) -> None:
    ran = zenflow("explain-rule", "dependency-cycel")

    assert ran.code == 4
    assert "did you mean 'dependency-cycle'?" in ran.err


def test_for_machines_it_is_json(zenflow: Zenflow) -> None:
    document = json.loads(zenflow("explain-rule", "ZF607", "-o", "json").out)

    assert [(each["id"], each["severity"]) for each in document["rules"]] == [("ZF607", "warning")]
