"""Writes docs/reference and a picture, from the code that they describe: `python -m tools.make_reference`.

tests/docs/test_reference.py fails until it is run after each change there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tools.reference import commands, fields, limits, reasons, states_picture

DOCS: Final = Path(__file__).parents[1] / "docs"
FOLDER: Final = DOCS / "reference"
PICTURE: Final = DOCS / "images" / "states.svg"


def pages() -> dict[str, str]:
    """Each page, by its name in docs/reference."""
    return {
        "commands.md": commands.page(),
        "fields.md": fields.page(),
        "limits.md": limits.page(),
        "reasons.md": reasons.page(),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    PICTURE.write_text(states_picture.picture(), encoding="utf-8")
