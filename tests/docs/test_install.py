"""docs/install.md lists the operator's rights as the operator's code has them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from zenflow_runtime.access import ACCESS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "install.md"
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "make_access_table.py"))


def test_the_table_is_the_one_that_the_tool_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == TOOL["page_text"](), "run: python tools/make_access_table.py"


def test_every_right_has_its_reason() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for access in ACCESS:
        assert access.why
        assert f"| {access.resource} | {access.verb} | {access.why} |" in text
