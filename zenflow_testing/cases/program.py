"""What a case wants done and judged, in order, whoever plays it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zenflow_testing.cases import history as h
from zenflow_testing.cases.expectations import Block, Expectation
from zenflow_testing.cases.format import Case


def program(case: Case) -> Iterator[tuple[float, h.Happening | None, str]]:
    """The events in order, with the creation of the case's flow (None) in its place."""
    created = False
    for index, event in enumerate(case.history):
        if event.at >= 0 and not created:
            created = True
            yield 0.0, None, "flow"
        yield event.at, event, f"history[{index}]"
    if not created:
        yield 0.0, None, "flow"


def checks(case: Case) -> Iterator[tuple[float, int, Expectation]]:
    """The assertions that concern us, with their instants and their places in the file."""
    for index, entry in enumerate(case.expect):
        if entry.concerns_us:
            yield case.until if entry.at is None else entry.at, index, entry


def watched(entries: Iterable[Block]) -> frozenset[str]:
    """The steps whose phases have to be watched at every instant."""
    found: set[str] = set()
    for entry in entries:
        if entry.never is not None:
            found.update(entry.never.steps)
        found |= watched(entry.any_of)
    return frozenset(found)
