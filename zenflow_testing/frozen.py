"""Finds whoever writes into an object that the cluster shares.

Stored objects are handed out without a copy, so a caller that changes one changes the past of everybody.
`FrozenCheck` takes a fingerprint of every object as it is stored and compares it when asked.
"""

from __future__ import annotations

import hashlib
import json

from zenflow_testing.cluster import Cluster, Event
from zenflow_testing.kinds import Object


class FrozenCheck:
    """Attach it to a cluster in a test; `mutated` names every stored object that somebody has written into.

    Costs a serialisation of each object at each write: for tests, not for measurements.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._prints: list[tuple[Event, bytes]] = []
        self._detach = cluster.subscribe(self._saw)

    def _saw(self, event: Event) -> None:
        self._prints.append((event, _fingerprint(event.object)))

    def mutated(self) -> tuple[str, ...]:
        """`Job default/x at version 7` for each version of an object that is not as it was stored."""
        return tuple(
            f"{event.kind} {event.namespace}/{event.name} at version {event.resource_version}"
            for event, taken in self._prints
            if _fingerprint(event.object) != taken
        )

    def close(self) -> None:
        """Stop looking at new writes."""
        self._detach()


def _fingerprint(obj: Object) -> bytes:
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).digest()
