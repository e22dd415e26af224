"""What came of a case: `Result`, and each thing that was not as the case wants it, `Failure`."""

from __future__ import annotations

from attrs import frozen

from zenflow_core.problems import Position
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.journal import Journal


@frozen
class Failure:
    """One thing that was not as the case wants it."""

    path: str
    """The entry of the case."""
    position: Position | None
    at: float
    expected: str
    found: str
    step: str = ""
    """The step that it is about, if it is about one."""


@frozen(eq=False)
class Result:
    """How a case went; `failures` is empty if it passed."""

    case: Case
    file: str
    failures: tuple[Failure, ...]
    journal: Journal

    @property
    def passed(self) -> bool:
        return not self.failures
