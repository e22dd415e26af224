"""List and watch of one kind, for ever: what the ledger knows is what the API server has, or soon will be.

The loop is ours and not lightkube's, because every way in which a watch can go
wrong has to lead back to it: a version that is gone (410, as a status or as a
line) lists anew; a refused or lost connection is tried again after a pause; a
watch that says nothing for longer than bookmarks take is given up; a line cut
short, an object that cannot be read: neither stops the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

import anyio
import structlog
from attrs import frozen

from zenflow_runtime.failures import EXPIRED, RequestFailed, advice, failed_with
from zenflow_runtime.kube import Kind, Kube, Object, WatchEvent

log = structlog.get_logger("zenflow.watch")

WATCH_SECONDS: Final = 290
"""How long a watch is asked to last. The server's own choice would be 30 to 60 minutes."""

SILENCE_SECONDS: Final = 150.0
"""A watch that has sent bookmarks (one a minute) and says nothing for so long is dead."""

PAUSE_MAX: Final = 30.0
"""Longest pause before a list or watch that failed is tried again. Pauses are 1, 2, 4 ... seconds."""

UNREADABLE: Final = (KeyError, ValueError, TypeError, AttributeError)
"""What reading an object that is not of its kind's shape raises."""


class Sink(Protocol):
    """What takes in a kind's objects: the ledger, for each kind in its own way."""

    def begin(self) -> None:
        """A list begins; all it has is handed over by `take`."""

    def wants(self, event: WatchEvent) -> bool:
        """Whether the object of a watch event is worth reading: our own writes come back as events, too."""

    def take(self, obj: Object) -> None:
        """An object, as it is."""

    def drop(self, obj: Object) -> None:
        """An object that is no more, as it last was."""

    def end(self, uids: frozenset[str]) -> None:
        """The list had these objects and no others."""

    def settle(self) -> None:
        """A batch of news is over."""


@frozen
class Watched:
    """A kind to watch, where, and which of its objects (server side)."""

    kind: Kind
    labels: str = ""
    namespace: str | None = None
    """None: all namespaces."""


class Reflector:
    """One kind's list and watch. `run` it in a task; it never ends by itself.

    `relist_seconds`: list anew so often even if all seems well. No watch is known to lose events, and some have.
    """

    def __init__(
        self,
        kube: Kube,
        watched: Watched,
        sink: Sink,
        *,
        relist_seconds: float = 3600.0,
        watch_seconds: int = WATCH_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        restarted: Callable[[str, str], None] | None = None,
        unread: Callable[[str], None] | None = None,
    ) -> None:
        self.kind = watched.kind.plural
        self.synced = anyio.Event()
        """Set once the kind has been listed."""
        self.listed_at: float | None = None
        """When the last list was complete (loop time)."""
        self.heard_at: float | None = None
        """When the server last sent anything that was no refusal (loop time)."""
        self.moved_at = anyio.current_time()
        """When the loop last got anywhere, be it to a refusal."""
        self.trouble = ""
        """Why the kind cannot be listed or watched; "" while it can."""
        self.unreadable = 0
        """Objects that could not be read."""
        self.restarts: Counter[str] = Counter()
        self._kube = kube
        self._watched = watched
        self._sink = sink
        self._relist_seconds = relist_seconds
        self._watch_seconds = watch_seconds
        self._silence = silence_seconds
        self._restarted = restarted
        self._unread = unread
        self._version: str | None = None
        self._bookmarked = False
        self._failures = 0

    async def run(self) -> None:
        """List, watch, and begin again."""
        while True:
            try:
                if self._version is None or self._is_stale():
                    await self._list()
                await self._watch()
            except RequestFailed as error:
                self.moved_at = anyio.current_time()
                if error.code == EXPIRED and self._version is not None:
                    self._again("expired")
                    self._version = None
                    if self.listed_at is None or self.moved_at - self.listed_at >= PAUSE_MAX:
                        continue  # at once, unless the last list is so young that this would be a hot loop
                else:
                    self._again("failed" if error.code else "lost")
                pause = max(min(2.0**self._failures, PAUSE_MAX), float(error.retry_after or 0))
                self._failures = min(self._failures + 1, 8)
                self.trouble = advice(error) or str(error)
                log.warning("watch failed", kind=self.kind, error=self.trouble, retry_in_seconds=pause)
                await anyio.sleep(pause)

    async def _list(self) -> None:
        uids: set[str] = set()
        version, began = "", False
        async with aclosing(
            self._kube.pages(self._watched.kind, self._watched.namespace, labels=self._labels)
        ) as pages:
            async for page in pages:
                if not began:
                    began = True
                    self._sink.begin()
                self._heard()
                version = page.version
                for obj in page.items:
                    if self._hand(self._sink.take, obj):
                        uids.add(obj["metadata"]["uid"])
                self._sink.settle()
        self._sink.end(frozenset(uids))
        self._sink.settle()
        self._version = version
        self.listed_at = anyio.current_time()
        self.synced.set()
        log.debug("listed", kind=self.kind, objects=len(uids), version=version)

    async def _watch(self) -> None:
        began, told = anyio.current_time(), False
        limit = self._silence if self._bookmarked else self._watch_seconds + 15.0
        with anyio.move_on_after(limit) as quiet:
            assert self._version is not None, "a watch goes on from a list"
            watch = self._kube.watch(
                self._watched.kind,
                self._watched.namespace,
                version=self._version,
                seconds=self._watch_seconds,
                labels=self._labels,
            )
            async with watch as batches:
                self._heard()
                async for batch in batches:
                    told = True
                    self._heard()
                    for event in batch:
                        self._take(event)
                        self._failures = 0
                    self._sink.settle()
                    quiet.deadline = anyio.current_time() + (
                        self._silence if self._bookmarked else self._watch_seconds + 15.0
                    )
        if quiet.cancelled_caught:
            self._again("silent")
            log.warning("watch was silent for too long", kind=self.kind)
        elif not told and anyio.current_time() - began < 1.0:
            # Ended as soon as it began: whatever the server means by that, it must not become a hot loop.
            raise RequestFailed(0, "", message="the watch ended at once")
        else:
            self._failures = 0
            self._again("ended")

    def _take(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise failed_with(event.object)
        match event.type:
            case "BOOKMARK":
                self._bookmarked = True
            case "DELETED":
                self._hand(self._sink.drop, event.object)
            case "ADDED" | "MODIFIED":
                if self._sink.wants(event):
                    self._hand(self._sink.take, event.object)
            case _:
                log.warning("unknown watch event passed over", kind=self.kind, type=event.type)
        if event.version:
            self._version = event.version

    def _hand(self, to: Callable[[Object], None], obj: Object) -> bool:
        """Hand one object over; False if it cannot be read, which stops none of the others."""
        try:
            obj["metadata"].pop("managedFields", None)  # as large as the rest, and nothing here reads it
            to(obj)
        except UNREADABLE as error:
            self.unreadable += 1
            if self._unread is not None:
                self._unread(self.kind)
            shown: Any = obj  # whatever the server sent
            metadata = shown.get("metadata") if isinstance(shown, dict) else None
            named = metadata if isinstance(metadata, dict) else {}
            log.error(
                "object cannot be read and is passed over",
                kind=self.kind,
                namespace=named.get("namespace"),
                name=named.get("name"),
                error=f"{type(error).__name__}: {error}",
            )
            return False
        return True

    @property
    def _labels(self) -> str:
        return self._watched.labels

    def _is_stale(self) -> bool:
        return self.listed_at is not None and anyio.current_time() - self.listed_at >= self._relist_seconds

    def _heard(self) -> None:
        self.heard_at = self.moved_at = anyio.current_time()
        self.trouble = ""

    def _again(self, why: str) -> None:
        self.restarts[why] += 1
        if self._restarted is not None:
            self._restarted(self.kind, why)
