"""Writes the tables of docs/concepts.md, from what the core answers: `python -m tools.make_concepts`.

tests/docs/test_concepts.py fails until it is run after each change there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.concepts import attempts, ends, instants, precedence

PAGE: Final = Path(__file__).parents[1] / "docs" / "concepts.md"
PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "attempts": attempts.made,
    "ends": ends.made,
    "precedence": precedence.made,
    "instants": instants.made,
}
END: Final = "<!-- end -->\n"


def page_text() -> str:
    """The page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    for name, made in PARTS.items():
        begin = f"<!-- {name}: made by tools/make_concepts.py -->\n"
        before, _, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        assert end, f"{PAGE} has no place for {name}"
        text = f"{before}{begin}\n{made()}\n\n{END}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page_text(), encoding="utf-8")
