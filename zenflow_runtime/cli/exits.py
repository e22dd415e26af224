"""Exit codes, one meaning each, never used for another (docs/cli.md has the table)."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NO: Final = 1
"""The answer is no: the flow failed."""
INVALID: Final = 2
"""The input or the command line is wrong."""
UNENDING: Final = 3
"""It did not end in time; of a simulated flow, it waits for ever."""
NOT_FOUND: Final = 4
REFUSED: Final = 5
"""The cluster refused it, or gave no answer."""
INTERNAL: Final = 70
"""Our own bug (sysexits EX_SOFTWARE): none of the documented answers."""
INTERRUPTED: Final = 130
