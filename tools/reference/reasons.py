"""docs/reference/reasons.md: what keeps a step or a flow where it is, and what ends a flow early, from the classes.

What moves a step is on docs/states.md, which is drawn from the table of moves.
"""

from __future__ import annotations

from typing import Any, Final, get_args

import attrs

from tools.reference.tables import table
from zenflow_core.facts import camel
from zenflow_core.reasons import FlowCause, FlowHold, Hold, UnknownCause, UnknownHold

GROUPS: Final = (
    (
        "What keeps a step",
        "In `status.steps[].holds`. `zenflow explain` follows them down to what really blocks the step.",
        get_args(Hold),
    ),
    (
        "What keeps a flow",
        "In `status.holds`.",
        get_args(FlowHold),
    ),
    (
        "What ends a flow before its steps are over",
        "In `status.ended`, and the reason of the conditions `Ready` and `Failed`.",
        get_args(FlowCause),
    ),
)

_UNKNOWN: Final = (UnknownCause, UnknownHold)
"""What another version has written; not a name of its own."""

_PAGE: Final = """\
# Reasons

Whatever zenflow says in a status has a name that does not change, with data of its own; the words beside it may change.
What *moves* a step is on [its own page](../states.md), with every move. This page is made from the code by
`python -m tools.make_reference`.

A status that another version has written may have names that are not here: take them for "something else".
"""


def page() -> str:
    """The page."""
    parts = [_PAGE]
    for heading, where, kinds in GROUPS:
        rows = [(f"`{kind.__name__}`", _data(kind), meaning(kind)) for kind in kinds if kind not in _UNKNOWN]
        parts += [f"## {heading}\n", f"{where}\n", table(("reason", "with it", "meaning"), rows) + "\n"]
    return "\n".join(parts)


def meaning(kind: type) -> str:
    """The first paragraph of the class's docstring."""
    words = (kind.__doc__ or "").strip().partition("\n\n")[0]
    assert words, f"{kind.__name__} does not say what it means"
    return words


def _data(kind: Any) -> str:
    return ", ".join(f"`{camel(field.name)}`" for field in attrs.fields(kind))
