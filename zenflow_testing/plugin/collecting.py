"""Case files as pytest items: one test a file, told as `zenflow test` tells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from attrs import frozen

from zenflow_core.styled import plain
from zenflow_testing.cases import CaseFile, Result, read_case, result_lines, run_case


@frozen
class CaseFailed(Exception):  # noqa: N818 - a result, carried to the report
    """A case that does not hold."""

    result: Result


class CaseModule(pytest.File):
    """A case file."""

    def collect(self) -> Iterable[CaseItem]:
        """Its one test, called as the case is; a file that is no case is an error of the collection."""
        loaded = read_case(self.path.read_bytes(), file=str(self.path))
        if not isinstance(loaded, CaseFile):
            raise self.CollectError("\n".join(str(problem) for problem in loaded))
        item: CaseItem = CaseItem.from_parent(self, name=loaded.case.id, loaded=loaded)
        yield item


class CaseItem(pytest.Item):
    """A case."""

    def __init__(self, *, loaded: CaseFile, **given: Any) -> None:
        super().__init__(**given)
        self._loaded = loaded

    def runtest(self) -> None:
        """Play it."""
        result = run_case(self._loaded, file=str(self.path))
        if not result.passed:
            raise CaseFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was expected, what was found, and what happened before; no traceback, as no code is at fault."""
        if isinstance(excinfo.value, CaseFailed):
            return plain(result_lines(excinfo.value.result))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the flow or its expectations begin."""
        position = self._loaded.position("expect")
        return self.path, None if position is None else position.line - 1, self.name
