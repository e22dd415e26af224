"""Fault scripts: events of the case format, each at a point of a flow's life.

    Injection(AfterRequest(7), OperatorCrash(at=0, restart=5.0))

A fault is an event of `zenflow_testing.cases.history`, so a script is written, read and replayed as the history
of a case. A point is a second, or right after so many requests, changes or decisions from the beginning on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from attrs import evolve, frozen

from zenflow_testing.cases.history import After, Happening

Fault: TypeAlias = Happening

BEGINNING = -1.0
"""When scripts begin to count, in seconds from the flow's creation."""


@frozen
class AtSecond:
    """So many seconds after the flow was created."""

    second: float


@frozen
class AfterRequest:
    """Right after the n-th request of the engine was answered; 0: before the first."""

    number: int


@frozen
class AfterEvent:
    """Right after the n-th change of a flow, a Job or a Pod, before anybody has been shown it."""

    number: int


@frozen
class AfterDecision:
    """Right after the n-th decision, before anything of it is carried out."""

    number: int


Point: TypeAlias = AtSecond | AfterRequest | AfterEvent | AfterDecision


@frozen
class Injection:
    """A fault, and where it strikes. Its own `at` and `after` do not count."""

    point: Point
    fault: Fault

    @property
    def event(self) -> Happening:
        """It as an event of a case's history."""
        match self.point:
            case AtSecond(second):
                return evolve(self.fault, at=second, after=None)
            case AfterRequest(number):
                return evolve(self.fault, at=BEGINNING, after=After(requests=number))
            case AfterEvent(number):
                return evolve(self.fault, at=BEGINNING, after=After(events=number))
            case AfterDecision(number):
                return evolve(self.fault, at=BEGINNING, after=After(decisions=number))


def history_of(script: Iterable[Injection]) -> tuple[Happening, ...]:
    """The events of a script in the order of time, in which a case wants them."""
    return tuple(sorted((each.event for each in script), key=lambda event: event.at))
