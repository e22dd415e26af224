"""What was tried: how often each kind of fault met a step in each phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field

from zenflow_core.state import StepPhase
from zenflow_core.styled import Line, Span, Style

PHASES: Final = tuple(phase.value for phase in StepPhase)
FLOW: Final = "flow"
"""The column of faults at points that are about no step: the flow's own status, its deletion."""


@define
class Coverage:
    """Counts by fault kind and the phase of the step that the point is about."""

    counts: dict[str, Counter[str]] = field(factory=dict)
    left_out: Counter[str] = field(factory=Counter)
    """Points by why they were left out."""

    def add(self, kind: str, phase: str) -> None:
        """One more life in which such a fault met such a step."""
        self.counts.setdefault(kind, Counter())[phase] += 1

    @property
    def total(self) -> int:
        """All faults tried; a pair counts as two."""
        return sum(counter.total() for counter in self.counts.values())

    def rows(self) -> Iterator[tuple[str, Mapping[str, int]]]:
        """The counts by kind, in the order of the alphabet."""
        for kind in sorted(self.counts):
            yield kind, self.counts[kind]


def coverage_lines(coverage: Coverage) -> Iterator[Line]:
    """The table, as wide as it has to be; a dot where nothing was tried."""
    columns = [each for each in (*PHASES, FLOW) if any(counts.get(each) for _, counts in coverage.rows())]
    names = [kind for kind, _ in coverage.rows()]
    first = max([len("fault"), *map(len, names)])
    widths = [max(len(column), 6) for column in columns]
    yield (Span("  ".join(_cells("fault".ljust(first), columns, widths)), Style.HEAD),)
    for kind, counts in coverage.rows():
        values = [f"{counts[column]:,}" if counts.get(column) else "." for column in columns]
        yield (Span("  ".join(_cells(kind.ljust(first), values, widths))),)


def _cells(first: str, rest: Iterable[str], widths: Iterable[int]) -> list[str]:
    return [first, *(text.rjust(width) for text, width in zip(rest, widths, strict=True))]
