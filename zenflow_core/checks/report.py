"""Where findings are gathered: rule, place, what, fix; sorted by the order of the spec at the end."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from attrs import fields

from zenflow_core.checks.catalogue import RULES
from zenflow_core.limits import PROBLEMS
from zenflow_core.nearest import instead
from zenflow_core.problems import Problem, Severity, segments
from zenflow_core.spec import ExecutionPolicy, JobFlowSpec, ObjectMeta, Step

_GUESSES: Final = 50
"""How often a nearest name is looked for: a look takes up to a millisecond, and a spec may have 10,000 wrong names."""


class Report:
    """The findings of one examination."""

    __slots__ = ("_found", "_guesses", "errors")

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._guesses = 0
        self.errors = 0
        """Findings so far that keep the flow from running."""

    def add(self, rule: str, path: str, what: str, fix: str) -> None:
        """Note a finding under `rule`, which decides whether it is an error or a warning."""
        severity = RULES[rule].severity
        self.errors += severity is Severity.ERROR
        self._found.append(Problem(path, what, fix, rule=rule, severity=severity))

    def instead(self, name: str, known: Collection[str], none: str) -> str:
        """The fix for an unknown name: the nearest known one, looked for in the first few findings only."""
        self._guesses += 1
        return instead(name, known if self._guesses <= _GUESSES else (), none)

    @property
    def full(self) -> bool:
        """Whether there are as many problems as are told: what is dear to look for need not be looked for then."""
        return self.errors >= PROBLEMS

    def problems(self) -> tuple[Problem, ...]:
        """What keeps the flow from running, in the order of the spec."""
        return self._sorted(Severity.ERROR)

    def warnings(self) -> tuple[Problem, ...]:
        """What is probably not meant, in the order of the spec."""
        return self._sorted(Severity.WARNING)

    def _sorted(self, severity: Severity) -> tuple[Problem, ...]:
        chosen = [problem for problem in self._found if problem.severity is severity]
        return tuple(sorted(chosen, key=_place)[:PROBLEMS])


def _place(problem: Problem) -> tuple[int, ...]:
    """The path as numbers: indexes as they are, fields by their place in the API."""
    order = _field_order()
    return tuple(
        part if isinstance(part, int) else order.get(part, len(order)) for part in segments(problem.path) or ()
    )


@lru_cache(maxsize=1)
def _field_order() -> dict[str, int]:
    names = ["metadata", "spec"]
    for kind in (ObjectMeta, JobFlowSpec, Step, ExecutionPolicy):
        names += [field.metadata.get("wire", _camel(field.name)) for field in fields(kind)]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
