"""The law of neighbours: an unrelated flow in the same namespace changes nothing of a flow's life.

A law about two lives, since one life alone cannot show it:

    alone, beside = Cluster(clock), Cluster(other_clock)     # the same flow in both, a second one beside it in `beside`
    ...
    neighbours(alone.events_since(0), beside.events_since(0), flow="nightly")

Flows are unrelated if neither is in the other's concurrency group, retries it, reads what it makes or bears its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, Final

from attrs import frozen

from zenflow_core.reading import controller_of, parse_attempt
from zenflow_testing.clock import timestamp
from zenflow_testing.events import Event
from zenflow_testing.kinds import Object
from zenflow_testing.laws.decisions import LawViolated

_UID_IN_NAMES: Final = 8
"""How much of a flow's uid is part of the names of its Jobs."""

_OF_THE_SERVER: Final = ("uid", "resourceVersion", "managedFields")
"""Metadata that counts what else there is on the cluster."""


@frozen
class Written:
    """One write to a flow, or to an object that it controls."""

    at: str
    what: str
    """Deleted, say, and what: `ADDED Job test attempt 2`."""
    content: str
    """The object as JSON, without what the server makes up."""


def writes_of(events: Iterable[Event], flow: str) -> list[Written]:
    """Every write to the flow of that name and to what it controls, oldest first."""
    known: dict[str, str] = {}
    out: list[Written] = []
    for event in events:
        metadata = event.object["metadata"]
        if event.kind == "JobFlow" and event.name == flow:
            known.setdefault(metadata["uid"][:_UID_IN_NAMES], "flow")
        elif (controller_of(metadata) or {}).get("name") != flow:
            continue
        known.setdefault(metadata["uid"], f"uid-{len(known)}")
        out.append(Written(timestamp(event.at), f"{event.type} {_called(event)}", _content(event.object, known)))
    return out


def _called(event: Event) -> str:
    identity = parse_attempt(event.object) if event.kind == "Job" else None
    return event.kind if identity is None else f"Job {identity.step} attempt {identity.attempt}"


def _content(obj: Object, known: Mapping[str, str]) -> str:
    metadata: dict[str, Any] = {key: value for key, value in obj["metadata"].items() if key not in _OF_THE_SERVER}
    text = json.dumps({**obj, "metadata": metadata}, sort_keys=True)
    # Whole uids before the parts of them that are in names.
    for uid in sorted(known, key=len, reverse=True):
        text = text.replace(uid, known[uid])
    return text


def neighbours(alone: Iterable[Event], beside: Iterable[Event], *, flow: str) -> None:
    """Every write to the flow and its objects is the same, at the same time, whether or not another flow is there.

    `alone` and `beside` are everything that happened on two clusters (`Cluster.events_since(0)`), on which the same
    people, Jobs and clocks did the same. Raises LawViolated with the first write that differs.
    """
    pairs = zip_longest(writes_of(alone, flow), writes_of(beside, flow))
    for number, (mine, other) in enumerate(pairs, start=1):
        if mine != other:
            raise LawViolated("neighbours", f"write {number} of flow {flow}: alone {mine}, beside another {other}")


__all__ = ["Written", "neighbours", "writes_of"]
