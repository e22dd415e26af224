"""Faults: everything that may go wrong around a flow, as events of the case format, and whole lives that suffer them.

    from zenflow_testing.faults import AfterRequest, Injection, Subject, play, write_case

`script` says where a fault strikes, `life` plays a flow under a script and judges it, `writing` makes a case file of
that, `catalogue` names every kind of fault, `swarm` draws scripts, `shrinking` makes a failing one small, and
`soak` does so for as long as it is let.
"""

from __future__ import annotations

from zenflow_testing.faults.life import Life, Subject, play
from zenflow_testing.faults.script import (
    AfterDecision,
    AfterEvent,
    AfterRequest,
    AtSecond,
    Fault,
    Injection,
    Point,
    history_of,
)
from zenflow_testing.faults.writing import write_case

__all__ = [
    "AfterDecision",
    "AfterEvent",
    "AfterRequest",
    "AtSecond",
    "Fault",
    "Injection",
    "Life",
    "Point",
    "Subject",
    "history_of",
    "play",
    "write_case",
]
