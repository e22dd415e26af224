"""How old the caches of a case's processes are: frozen, thawed, set back, and lost with their watch.

The processes share one apiserver, so what a case does to a kind's cache, it
does to that of every process that lives; one that starts later is shown no more
than they are (`Views.shown`).
"""

from __future__ import annotations

from collections.abc import Iterable

from zenflow_testing.operator import Operator, Shown


class Views:
    """What the processes are shown of each kind."""

    def __init__(self) -> None:
        self.shown = Shown()
        self._rewound: set[str] = set()
        """Kinds whose caches hold an old state: thawing them takes a new list."""

    def freeze(self, kind: str, operators: Iterable[Operator], *, version: int) -> None:
        """From now on they see nothing newer; `version` is the cluster's own now."""
        self.shown.upto.setdefault(kind, version)
        for operator in operators:
            operator.freeze(kind)

    def thaw(self, kind: str, operators: Iterable[Operator]) -> None:
        """They see everything again."""
        self.shown.upto.pop(kind, None)
        rewound = kind in self._rewound
        self._rewound.discard(kind)
        for operator in operators:
            if rewound:
                operator.forget_held(kind)
                operator.relist(kind)
            else:
                operator.thaw(kind)

    def rewind(self, kind: str, operators: Iterable[Operator], *, version: int) -> None:
        """They see what was so at `version`, and nothing newer."""
        self.shown.upto[kind] = version
        self._rewound.add(kind)
        for operator in operators:
            operator.freeze(kind)
            operator.relist(kind)

    def expire(self, kind: str, operators: Iterable[Operator]) -> None:
        """Their watch is too old (410): they list anew."""
        self.shown.upto.pop(kind, None)
        self._rewound.discard(kind)
        for operator in operators:
            operator.forget_held(kind)
            operator.relist(kind)
