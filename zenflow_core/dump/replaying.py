"""Deciding again what a dump recorded, one line after the other."""

from __future__ import annotations

from typing import Protocol

from attrs import evolve, frozen

from zenflow_core.decision import Decision
from zenflow_core.dump.writing import line_of, told
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import advance, reconcile
from zenflow_core.state import FlowState

_DAMAGED = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What the core raises on lines that no zenflow has written: it trusts a status, and the order of what it is told."""


class Recorded(Protocol):
    """A decision as a dump has it; `dump.Step` is one."""

    @property
    def line(self) -> int: ...
    @property
    def at(self) -> Instant: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def everything(self) -> bool: ...
    @property
    def noted(self) -> bool: ...
    @property
    def status(self) -> object: ...
    @property
    def observed(self) -> Observed: ...
    @property
    def decided(self) -> object: ...


@frozen
class Unreplayable(Exception):  # noqa: N818 - a fact about a file, carried to whoever reports it
    """A line of a dump that cannot be decided about at all."""

    problem: Problem


@frozen
class Replayed:
    """What is decided about one line of a dump now."""

    decision: Decision
    equal: bool
    """Whether it is the recorded decision, byte for byte."""


def decide_again(step: Recorded, state: FlowState | None) -> Replayed:
    """The decision of one line, made from the state that the lines before it left (None at the first).

    Raises Unreplayable. Cost: as the first time.
    """
    try:
        if step.everything or state is None:
            status = step.status
            assert status is None or isinstance(status, dict), "a status is an object"
            decision = reconcile(step.plan, status, step.observed, now=step.at)
        else:
            decision = advance(evolve(state, unwritten=frozenset()) if step.noted else state, step.observed, step.at)
        return Replayed(decision, equal=line_of(told(decision)) == line_of(step.decided))
    except _DAMAGED as error:
        what = f"cannot be decided about ({type(error).__name__}: {error})"
        fix = "dumps are written by zenflow and not meant to be edited; a part of one begins where it begins"
        raise Unreplayable(Problem(f"line {step.line}", what, fix)) from error
