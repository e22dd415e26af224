"""Which zenflow this is: written into every status; a test holds it equal to the distribution's."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
DECIDED_BY: Final = f"zenflow/{VERSION}"
"""Written into every status and dump as `decidedBy`."""
