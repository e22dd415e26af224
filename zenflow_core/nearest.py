"""The name somebody probably meant: for the fixes of problems about unknown names."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice
from typing import Final

_COMPARED: Final = 100
"""Names compared in earnest. Comparing costs some 5 us, and a hostile flow has 10,000 wrong names among 10,000."""
_LOOKED_AT: Final = 2_000
"""Names looked at before that, by length and first or last letter."""
_NAMED: Final = 5
"""Names listed in a fix when there are few; more would bury it."""


def nearest(name: str, names: Collection[str]) -> str | None:
    """The one of `names` that `name` is most likely a misspelling of, or None; costs under a millisecond."""
    if not name or len(name) > 253:
        return None
    likely = (
        other
        for other in islice(names, _LOOKED_AT)
        if abs(len(other) - len(name)) <= 2 and other and (other[0] == name[0] or other[-1] == name[-1])
    )
    # Sorted, since a set has another order in each process, and a message must not.
    close = get_close_matches(name, sorted(likely)[:_COMPARED], n=1, cutoff=0.6)
    return close[0] if close else None


def instead(name: str, names: Collection[str], none: str) -> str:
    """The fix for an unknown `name`: the one that was meant, else the few there are, else `none`."""
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close!r}?"
    if not names:
        return none
    if len(names) <= _NAMED:
        return f"name one of: {', '.join(sorted(names))}"
    return f"name one of the {len(names)} there are"
