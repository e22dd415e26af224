"""The cases that are not played on a real control plane, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zenflow_testing.cases import CaseFile

LAST_SECONDS: Final = 45.0
"""Real time cannot jump: a case whose history or assertions go on for longer is left out."""

AT_ONCE: Final = 6
"""Cases that are played side by side: each has an operator of its own, and what it expects has to come in time."""

LEFT_OUT: Final[Mapping[str, str]] = {}
"""What cannot happen there, by the name of its case."""


def lasts(loaded: CaseFile) -> float:
    """How many seconds a case goes on: to its last event or assertion."""
    case = loaded.case
    return max([event.at for event in case.history] + [each.at or 0 for each in case.expect])


def why_left_out(name: str, loaded: CaseFile) -> str:
    """Why a case is not played on a real control plane; empty if it is."""
    seconds = lasts(loaded)
    if seconds > LAST_SECONDS:
        return f"it lasts {seconds:.0f} s, and real time cannot jump"
    return LEFT_OUT.get(name, "")
