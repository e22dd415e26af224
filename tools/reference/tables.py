"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table, one line a row; what would end a cell is escaped."""
    lines = [columns, ("---",) * len(columns), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
