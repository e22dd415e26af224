"""The cases that are not played on a real control plane, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zenflow_testing.cases import CaseFile
from zenflow_testing.cases.history import Happening, HoldDeletes, NamespaceTerminating

LAST_SECONDS: Final = 130.0
"""Real time cannot jump: a case whose history or assertions go on for longer is left out."""

AT_ONCE: Final = 20
"""Cases that are played side by side: each has an operator of its own, and what it expects has to come in time."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "name-taken-by-somebody-else": "the garbage collector takes away a Job whose owner does not exist",
    "failure-target-is-not-failed": "only the Job controller says FailureTarget there, and Failed right after it",
    "status-too-large": "a real server takes 1.5 MiB: no flow of 24 steps is as large",
    "twelve-hundred-steps": "the Job controller needs longer for 1,200 Jobs than the case has",
}
"""What a real control plane does otherwise, by the name of its case."""

UNREAL: Final[Mapping[type[Happening], str]] = {
    HoldDeletes: "no order keeps a real object from going",
    NamespaceTerminating: "a real namespace that goes takes along what the case observes it with",
}
"""What no case can bring about there."""


def lasts(loaded: CaseFile) -> float:
    """How many seconds a case goes on: to its last event or assertion."""
    case = loaded.case
    return max([event.at for event in case.history] + [each.at or 0 for each in case.expect])


def why_left_out(name: str, loaded: CaseFile) -> str:
    """Why a case is not played on a real control plane; empty if it is."""
    seconds = lasts(loaded)
    if seconds > LAST_SECONDS:
        return f"it lasts {seconds:.0f} s, and real time cannot jump"
    unreal = (why for event in loaded.case.history for kind, why in UNREAL.items() if isinstance(event, kind))
    return next(unreal, LEFT_OUT.get(name, ""))
