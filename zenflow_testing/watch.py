"""What one process sees of the cluster by list and watch, and all the ways in which that may be out of date.

A watch says what changed since a list; a list says what there is. Either may
be of the past: a kind is *frozen* when its watch delivers nothing more,
*rewound* when its list is an old one, *expired* when events were lost and it
has to be listed again. A process that starts while a kind is frozen or rewound
lists what is shown then, so what is shown belongs to the cluster (`Shown`) and
not to one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol

from attrs import define, field, frozen

from zenflow_testing.cluster import Cluster, Event, EventType, ListResult
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object

WATCHED: Final = ("JobFlow", "Job", "Pod")
"""The kinds that an operator watches, in the order in which it lists them."""

_LIST_AGAIN: Final = 30
"""Longest pause before a failed list is tried again, in seconds."""


class Lister(Protocol):
    """What sends a list request; a `Cluster` is one."""

    def list(self, kind: str, namespace: str | None = None, /) -> ListResult: ...


@frozen(eq=False)
class Listed:
    """A list took the place of all that was known of a kind."""

    kind: str
    objects: tuple[Object, ...]


@define
class Shown:
    """Up to which version of the cluster lists and watches show each kind; one that is not named is shown as it is."""

    upto: dict[str, int] = field(factory=dict)

    def objects(self, cluster: Cluster, kind: str) -> tuple[Object, ...]:
        """The objects of a kind that is held back. Cost: all events that the cluster has kept."""
        found: dict[str, Object] = {}
        for event in cluster.events_since(0):
            if event.resource_version > self.upto[kind]:
                break
            if event.kind == kind:
                if event.type is EventType.DELETED:
                    found.pop(event.uid, None)
                else:
                    found[event.uid] = event.object
        return tuple(found.values())


def version_at(cluster: Cluster, instant: datetime) -> int:
    """The version of the cluster right after everything that had happened at `instant`."""
    version = 0
    for event in cluster.events_since(0):
        if event.at > instant:
            break
        version = event.resource_version
    return version


class Watch:
    """List and watch of one process, as one stream of news."""

    def __init__(self, cluster: Cluster, *, lister: Lister | None = None, shown: Shown | None = None) -> None:
        self._cluster = cluster
        self._lister: Lister = lister or cluster
        self._shown = shown or Shown()
        self._cursor = cluster.resource_version
        # Where nothing has ever been stored there is nothing to list.
        self._to_list: dict[str, None] = dict.fromkeys(WATCHED if self._cursor else ())
        self._unknown = set(self._to_list)
        self._held: dict[str, list[Event]] = {}
        self._released: list[Event] = []
        self._failures = 0
        self.lists_again_at: datetime | None = None
        """When a list that failed is tried again."""
        for kind in self._shown.upto:
            self._held[kind] = [e for e in cluster.events_since(self._shown.upto[kind]) if e.kind == kind]

    @property
    def synced(self) -> bool:
        """Whether every kind has been listed once: before that nothing can be decided, after it an old view may do."""
        return not self._unknown

    def freeze(self, kind: str) -> None:
        """Deliver nothing more of that kind, for now."""
        self._held.setdefault(kind, [])

    def thaw(self, kind: str) -> None:
        """Deliver what has been held back."""
        self._released += self._held.pop(kind, [])

    def relist(self, kind: str) -> None:
        """List that kind: what had not been delivered never is. It stays held back if it is."""
        if kind in self._held:
            self._held[kind] = []
        self._to_list[kind] = None

    def drop(self, kind: str) -> None:
        """Forget what is held back of a kind, and hold nothing back any more."""
        self._held.pop(kind, None)

    def news(self) -> Iterator[Event | Listed]:
        """Everything that is new, in the order in which it happened. Cost: the news."""
        if self._to_list:
            yield from self._lists()
        if self._released:
            released, self._released = self._released, []
            yield from released
        for event in self._cluster.events_since(self._cursor):
            self._cursor = event.resource_version
            if event.kind in self._held:
                self._held[event.kind].append(event)
            else:
                yield event

    def _lists(self) -> Iterator[Listed]:
        now = self._cluster.clock.now
        if self.lists_again_at is not None and now < self.lists_again_at:
            return
        self.lists_again_at = None
        for kind in tuple(self._to_list):
            try:
                listed = self._lister.list(kind).items
            except ApiError as error:
                pause = max(min(2**self._failures, _LIST_AGAIN), error.retry_after or 0)
                self._failures += 1
                self.lists_again_at = now + timedelta(seconds=pause)
                return
            self._failures = 0
            del self._to_list[kind]
            self._unknown.discard(kind)
            yield Listed(kind, self._shown.objects(self._cluster, kind) if kind in self._shown.upto else listed)
