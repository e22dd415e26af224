"""Writes docs/validation-rules.md from the rules' catalogue."""

from __future__ import annotations

from pathlib import Path

from zenflow_core.checks.catalogue import as_markdown

PAGE = Path(__file__).parents[1] / "docs" / "validation-rules.md"

if __name__ == "__main__":
    PAGE.write_text(as_markdown(), encoding="utf-8")
