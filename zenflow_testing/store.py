"""Stored objects and the watch log: what etcd and the watch cache are to a real API server."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from zenflow_testing import errors, jsonpatch
from zenflow_testing.clock import Clock
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType, ListResult
from zenflow_testing.kinds import KindInfo, Object
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.selectors import (
    INDEXED_LABELS,
    SelectorError,
    field_of,
    indexed_label,
    wanted_fields,
    wanted_labels,
)


class Entry:
    """An object in the store, with the size of each of its members."""

    __slots__ = ("held_until", "obj", "sizes")

    def __init__(self, obj: dict[str, Any], sizes: dict[str, int]) -> None:
        self.obj = obj
        self.sizes = sizes
        self.held_until: datetime | None = None


class Store:
    """The objects of every kind, found by name or by label, and the log of all that has changed.

    Takes what it is given: the rules of a write are `Registry`'s.
    """

    def __init__(self, clock: Clock, *, history: int | None) -> None:
        self.clock = clock
        self._history = history
        self._kinds: dict[str, KindInfo] = {}
        self._objects: dict[str, dict[str, dict[str, Entry]]] = {}
        # (kind, label, value) -> namespaces and names: a step's Pods must not be looked for among all Pods.
        self._labelled: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
        self._version = 0
        self._compacted = 0
        self._log: list[Event] = []
        self._log_versions: list[int] = []
        self._listeners: list[Callable[[Event], None]] = []
        for kind in KNOWN_KINDS:
            self.register(kind)

    # Kinds

    def register(self, kind: KindInfo) -> None:
        """Let the cluster know one more kind, or know a kind differently from now on."""
        self._kinds[kind.kind] = kind
        self._objects.setdefault(kind.kind, {})

    def kind_info(self, kind: str) -> KindInfo:
        """The kind of that CamelCase name. Raises the 404 of a server that does not serve it."""
        try:
            return self._kinds[kind]
        except KeyError:
            raise ApiError(404, "NotFound", message="the server could not find the requested resource") from None

    # Watching

    @property
    def resource_version(self) -> int:
        """The version of the latest write."""
        return self._version

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with every event from now on, within the write; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def events_since(self, resource_version: int | str) -> Sequence[Event]:
        """The events after that version, oldest first. O(log n) and the events found.

        Raises 410 Expired if some of them have been compacted away, 504 Timeout for a version still to come.
        """
        since = int(resource_version)
        if since < self._compacted:
            raise errors.expired(f"too old resource version: {since} ({self._compacted})")
        if since > self._version:
            raise ApiError(
                504,
                "Timeout",
                message=f"Timeout: Too large resource version: {since}, current: {self._version}",
                retry_after=1,
            )
        return self._log[bisect_right(self._log_versions, since) :]

    def compact(self, resource_version: int | str) -> None:
        """Forget the events up to that version: a watch from before it gets 410 Expired."""
        upto = min(int(resource_version), self._version)
        if upto > self._compacted:
            gone = bisect_right(self._log_versions, upto)
            del self._log[:gone], self._log_versions[:gone]
            self._compacted = upto

    # Objects

    def size_bytes(self, kind: str, namespace: str, name: str) -> int:
        """Size of the object as compact JSON, which is what its limit counts. O(1)."""
        return jsonpatch.size_of_members(self._entry(kind, namespace, name).sizes)

    def _entry(self, kind: str, namespace: str, name: str) -> Entry:
        try:
            return self._objects[kind][namespace][name]
        except KeyError:
            raise errors.not_found(self.kind_info(kind).target(name)) from None

    def _list(
        self,
        kind: str,
        namespace: str | None,
        labels: Mapping[str, str] | str | None,
        *,
        fields: Mapping[str, str] | str | None,
    ) -> ListResult:
        self.kind_info(kind)
        try:
            by_label, by_field = wanted_labels(labels), wanted_fields(fields)
        except SelectorError as problem:
            raise errors.bad_request(str(problem)) from problem
        items = []
        for obj in self._candidates(kind, namespace, indexed=indexed_label(labels)):
            if by_label:
                has = obj["metadata"].get("labels") or {}
                if not all(holds(has) for holds in by_label):
                    continue
            if all((field_of(obj, path) == value) is equal for path, equal, value in by_field):
                items.append(obj)
        return ListResult(tuple(items), str(self._version))

    def _candidates(self, kind: str, namespace: str | None, *, indexed: tuple[str, str] | None) -> Iterator[Object]:
        """Objects of a kind, sorted by namespace and name, that a selector has to look at."""
        spaces = self._objects[kind]
        if indexed is not None:
            for space, name in sorted(self._labelled.get((kind, *indexed), ())):
                if namespace is None or space == namespace:
                    yield spaces[space][name].obj
            return
        for space in sorted(spaces) if namespace is None else [namespace]:
            bucket = spaces.get(space, {})
            for name in sorted(bucket):
                yield bucket[name].obj

    def _index_labels(self, kind: str, old: Object | None, new: Object | None) -> None:
        """Keep the index of labels in step with an object that comes, changes or goes."""
        before = (old or {}).get("metadata", {}).get("labels") or {}
        after = (new or {}).get("metadata", {}).get("labels") or {}
        if before is after:
            return
        metadata = (new or old or {})["metadata"]
        place = (metadata.get("namespace", ""), metadata["name"])
        for label in INDEXED_LABELS:
            if label in before:
                places = self._labelled[kind, label, before[label]]
                places.discard(place)
                if not places:
                    del self._labelled[kind, label, before[label]]
            if label in after:
                self._labelled.setdefault((kind, label, after[label]), set()).add(place)

    def _drop(self, info: KindInfo, obj: Object) -> None:
        metadata = obj["metadata"]
        del self._objects[info.kind][metadata.get("namespace", "")][metadata["name"]]
        self._index_labels(info.kind, obj, None)

    def _publish(self, type_: EventType, kind: str, obj: Object) -> None:
        self._version += 1
        event = Event(self._version, type_, kind, obj, self.clock.now)
        self._log.append(event)
        self._log_versions.append(self._version)
        if self._history is not None and len(self._log) > 2 * self._history:
            self.compact(self._log_versions[-self._history - 1])
        for listener in tuple(self._listeners):
            listener(event)
