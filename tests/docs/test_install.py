"""docs/install.md lists the operator's rights as the operator's code has them."""

from __future__ import annotations

from tools.make_access_table import PAGE, page_text
from zenflow_runtime.access import ACCESS


def test_the_table_is_the_one_that_the_tool_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_text(), "run: python tools/make_access_table.py"


def test_every_right_has_its_reason() -> None:
    text = page_text()
    for access in ACCESS:
        assert access.why
        assert f"| {access.resource} | {access.verb} | {access.why} |" in text
