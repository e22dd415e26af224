"""Which zenflow this is: one place, read by the build and written into every status."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
DECIDED_BY: Final = f"zenflow/{VERSION}"
"""Written into every status and dump as `decidedBy`."""
