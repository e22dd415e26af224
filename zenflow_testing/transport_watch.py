"""A watch as a stream of JSON lines.

The stream is an iterator with a state of its own, not a generator: a client may leave it at any line, or be
cancelled while it waits, and nothing is left open. It reads the cluster's log from where it stands, and
sleeps until an event of its kind comes, a bookmark is due, or its time is up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx2
import msgspec
from attrs import frozen

from zenflow_testing.cluster import Cluster, Event, EventType
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import KindInfo, Object
from zenflow_testing.transport_lists import Scope
from zenflow_testing.transport_time import Pace

EVENTS_REMEMBERED: Final = 100_000
"""Of how many events the object before is known; watches with selectors need it."""

CLOSED_EARLY: Final = "peer closed connection without sending complete message body (incomplete chunked read)"


class CutEnd(StrEnum):
    """How a connection ends that is cut: with an error, or as if all had been said (some proxies do that)."""

    ERROR = "error"
    QUIET = "quiet"


@frozen
class CutWatch:
    """A watch that breaks off: after so many whole lines, and so many bytes of the next one."""

    after_lines: int = 0
    bytes_of_next: int = 0
    end: CutEnd = CutEnd.ERROR


@frozen
class SilentWatch:
    """A watch that says nothing more after so many lines, for so many seconds or for ever, and does not end."""

    after_lines: int = 0
    seconds: float | None = None


class _Unknown:
    """What an object was before is not known any more."""


_UNKNOWN: Final = _Unknown()


class Feed:
    """What watches need besides the log: whom to wake, and what each object was before an event."""

    def __init__(self, cluster: Cluster, kinds: Iterable[KindInfo]) -> None:
        self._cluster = cluster
        self._waiting: dict[str, set[anyio.Event]] = {}
        self._now: dict[tuple[str, str, str], Object] = {}
        self._before: dict[int, Object | None] = {}
        # Of each kind the versions of its events, without gaps since `known_from`.
        self._versions: dict[str, list[int]] = {}
        self._known_from: dict[str, int] = {}
        self._start = cluster.resource_version
        with cluster.without_hooks():
            for info in kinds:
                for obj in cluster.list(info.kind).items:
                    metadata = obj["metadata"]
                    self._now[info.kind, metadata.get("namespace", ""), metadata["name"]] = obj
        self.close = cluster.subscribe(self._saw)

    def _saw(self, event: Event) -> None:
        key = event.kind, event.namespace, event.name
        self._before[event.resource_version] = self._now.get(key)
        if len(self._before) > EVENTS_REMEMBERED:
            del self._before[next(iter(self._before))]
        if event.type is EventType.DELETED:
            self._now.pop(key, None)
        else:
            self._now[key] = event.object
        versions = self._versions.setdefault(event.kind, [])
        versions.append(event.resource_version)
        if len(versions) > EVENTS_REMEMBERED:
            self._known_from[event.kind] = versions[EVENTS_REMEMBERED // 2 - 1]
            del versions[: EVENTS_REMEMBERED // 2]
        for changed in self._waiting.get(event.kind, ()):
            changed.set()

    def before(self, event: Event) -> Object | _Unknown | None:
        """The object before that event; None if there was none."""
        return self._before.get(event.resource_version, _UNKNOWN)

    def since(self, kind: str, version: int) -> Sequence[Event]:
        """The events of a kind after a version. Raises 410 if one of them has been compacted away.

        What has been lost of other kinds does not matter: a server keeps a cache for each.
        """
        if version >= self._known_from.get(kind, self._start):
            versions = self._versions.get(kind, [])
            first = bisect_right(versions, version)
            if first == len(versions):
                return ()
            version = versions[first] - 1
        return [event for event in self._cluster.events_since(version) if event.kind == kind]

    def register(self, kind: str, changed: anyio.Event) -> None:
        """Set `changed` at the next event of the kind."""
        self._waiting.setdefault(kind, set()).add(changed)

    def forget(self, kind: str, changed: anyio.Event) -> None:
        """The opposite of `register`."""
        self._waiting.get(kind, set()).discard(changed)


@frozen
class WatchOptions:
    """How long a watch goes on, in seconds, and how often it gets a bookmark (None: never)."""

    timeout: float
    bookmarks: float | None
    read_timeout: float | None = None
    """After so long without a line the client gives up, as HTTP clients do."""


class WatchStream(httpx2.AsyncByteStream):
    """The body of a watch's answer. `backlog` are the lines to begin with, `version` where the log goes on."""

    def __init__(
        self,
        feed: Feed,
        scope: Scope,
        *,
        pace: Pace,
        options: WatchOptions,
        version: int,
        backlog: Sequence[bytes],
        current: Callable[[], int],
        fault: CutWatch | SilentWatch | None = None,
    ) -> None:
        self._feed = feed
        self._scope = scope
        self._kind = scope.resource.info.kind
        self._pace = pace
        self._options = options
        self._version = version
        self._current = current
        self._lines: list[bytes] = list(reversed(backlog))
        self._fault = fault
        self._sent = 0
        self._over = False
        self._changed: anyio.Event | None = None
        start = pace.seconds()
        self._ends = start + options.timeout
        self._bookmark = self._next_bookmark(start)
        self._silent_until: float | None = None

    def __aiter__(self) -> WatchStream:
        return self

    async def __anext__(self) -> bytes:
        # A line takes its way to the client: others may run, and it may be cancelled, between any two lines.
        await anyio.lowlevel.checkpoint()
        if not self._over and self._cut():
            self._over = True
            if isinstance(self._fault, CutWatch) and self._fault.end is CutEnd.ERROR:
                raise httpx2.RemoteProtocolError(CLOSED_EARLY)
        if isinstance(self._fault, SilentWatch) and self._sent >= self._fault.after_lines:
            await self._keep_silent(self._fault)
        quiet_since = self._pace.seconds()
        while not self._over:
            line = self._next_line()
            if line is not None:
                return self._sending(line)
            now = self._pace.seconds()
            if now >= self._ends:
                break
            due = min(self._ends, self._ends if self._bookmark is None else self._bookmark)
            if self._options.read_timeout is not None:
                gives_up = quiet_since + self._options.read_timeout
                if now >= gives_up:
                    self._over = True
                    raise httpx2.ReadTimeout("no line from the watch within the read timeout")
                due = min(due, gives_up)
            await self._wait(due)
        self._over = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the stream, also under somebody who waits for its next line."""
        self._over = True
        if self._changed is not None:
            self._changed.set()

    async def _wait(self, until: float | None) -> None:
        changed = self._changed = anyio.Event()
        self._feed.register(self._kind, changed)
        try:
            await self._pace.wait(changed, until=until)
        finally:
            self._feed.forget(self._kind, changed)
            self._changed = None

    async def _keep_silent(self, fault: SilentWatch) -> None:
        if self._silent_until is None and fault.seconds is not None:
            self._silent_until = self._pace.seconds() + fault.seconds
        began = self._pace.seconds()
        while not self._over:
            now = self._pace.seconds()
            if self._silent_until is not None and now >= self._silent_until:
                self._fault = None
                return
            until = self._silent_until
            if self._options.read_timeout is not None:
                gives_up = began + self._options.read_timeout
                if now >= gives_up:
                    self._over = True
                    raise httpx2.ReadTimeout("no line from the watch within the read timeout")
                until = gives_up if until is None else min(until, gives_up)
            await self._wait(until)

    # Lines

    def _sending(self, line: bytes) -> bytes:
        self._sent += 1
        fault = self._fault
        if isinstance(fault, CutWatch) and self._sent > fault.after_lines:
            return line[: min(fault.bytes_of_next, len(line) - 1)]
        return line

    def _cut(self) -> bool:
        """Whether the connection breaks off here, before anybody waits for the next line."""
        fault = self._fault
        if not isinstance(fault, CutWatch):
            return False
        return self._sent > fault.after_lines or (self._sent == fault.after_lines and not fault.bytes_of_next)

    def _next_line(self) -> bytes | None:
        if self._lines:
            return self._lines.pop()
        current = self._current()
        if current != self._version:
            try:
                events = self._feed.since(self._kind, self._version)
            except ApiError as refusal:
                self._lines = []
                self._ends = self._pace.seconds()
                self._version = current
                self._bookmark = None
                return line_of("ERROR", refusal.status())
            lines = [line for event in events if (line := self._told(event)) is not None]
            # A watch that was started from a version still to come stays there until it has come.
            self._version = max(current, self._version)
            if lines:
                lines.reverse()
                self._lines = lines
                return self._lines.pop()
        now = self._pace.seconds()
        if self._bookmark is not None and now >= self._bookmark:
            self._bookmark = self._next_bookmark(now)
            return line_of("BOOKMARK", bookmark(self._scope, self._version))
        return None

    def _next_bookmark(self, now: float) -> float | None:
        """Regularly, and once more shortly before the end, so that the next watch starts near the present."""
        every = self._options.bookmarks
        if every is None:
            return None
        last = self._ends - min(2.0, self._options.timeout / 2)
        if now >= last:
            return None
        return min(now + every, last)

    def _told(self, event: Event) -> bytes | None:
        """The line that an event makes in this watch, which may see a selection of the objects only."""
        if event.resource_version <= self._version:
            return None
        scope, obj = self._scope, event.object
        if scope.namespace is not None and event.namespace != scope.namespace:
            return None
        kind: str = event.type
        if scope.labels or scope.fields:
            told = self._selected(event)
            if told is None:
                return None
            kind, obj = told
        return line_of(kind, scope.resource.outbound(obj))

    def _selected(self, event: Event) -> tuple[str, Object] | None:
        """An object that moves into the selection is added, one that moves out is deleted."""
        before, after = self._feed.before(event), event.object
        selects = self._scope.selects
        if event.type is EventType.DELETED:
            was = selects(after) if isinstance(before, _Unknown) else before is not None and selects(before)
            return (EventType.DELETED, after) if was else None
        if isinstance(before, _Unknown):
            return (EventType.MODIFIED, after) if selects(after) else (EventType.DELETED, after)
        was, now = before is not None and selects(before), selects(after)
        if now:
            return (EventType.MODIFIED if was else EventType.ADDED), after
        if was and before is not None:
            # As it last was inside, at the version of the change that took it out.
            version = after["metadata"]["resourceVersion"]
            return EventType.DELETED, {**before, "metadata": {**before["metadata"], "resourceVersion": version}}
        return None


def line_of(kind: str, obj: Mapping[str, Any]) -> bytes:
    """One line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), msgspec.json.encode(obj))


_EMPTY: Final[Mapping[str, Mapping[str, Any]]] = {
    "Job": {
        "spec": {"template": {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}},
        "status": {},
    },
    "Pod": {"spec": {"containers": None}, "status": {}},
    "PersistentVolumeClaim": {"spec": {"resources": {}}, "status": {}},
    "Namespace": {"spec": {}, "status": {}},
    "Lease": {"spec": {}},
}
"""What a bookmark of a built-in kind holds besides its version: the members that are never left out."""


def bookmark(scope: Scope, version: int) -> dict[str, Any]:
    """The object of a bookmark: nothing but the version that the watch has come to."""
    resource = scope.resource
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    body: dict[str, Any] = {"kind": resource.info.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if not resource.is_custom:
        body.update(_EMPTY.get(resource.info.kind, {}))
    return body
