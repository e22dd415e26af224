"""Writes the table of the operator's rights in docs/install.md, from `zenflow_runtime.access`."""

from __future__ import annotations

from pathlib import Path

from zenflow_runtime.access import ACCESS
from zenflow_runtime.installing import access_table

PAGE = Path(__file__).parents[1] / "docs" / "install.md"
BEGIN = "<!-- made by tools/make_access_table.py -->\n"
END = "<!-- end -->\n"


def page_text() -> str:
    """The page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} has no place for the table"
    return f"{before}{BEGIN}\n{access_table(ACCESS)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_text(), encoding="utf-8")
