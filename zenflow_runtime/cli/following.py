"""One flow followed by a watch: each change as it comes, through lost connections, until somebody has seen enough.

    ending = await follow(connection, flow, saw, lost)

A watch that breaks, that is silent for too long or whose version has expired is
begun anew, with pauses that grow up to 15 s; a refusal for good (no rights, no
such kind) is raised as `RequestFailed`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import anyio

from zenflow_runtime.cli.connection import Connection
from zenflow_runtime.failures import EXPIRED, NO_ANSWER, RequestFailed, failed_with
from zenflow_runtime.kube import FLOW, Object

WATCH_SECONDS: Final = 290
SILENCE_SECONDS: Final = 80.0
"""A server that sends bookmarks sends one a minute. After this a watch is begun anew, which costs little."""
PAUSE_MAX: Final = 15.0


class Followed(Enum):
    """How following ended."""

    SEEN = auto()
    """`saw` has seen enough."""
    DELETED = auto()
    """The flow is no more (or another one has its name)."""


async def follow(
    connection: Connection, flow: Object, saw: Callable[[Object], bool], lost: Callable[[str], None]
) -> Followed:
    """Hand every state of the flow to `saw` until that answers True; `flow` as it is known comes first.

    `lost` is told why the connection is down, and "" once it is back.
    """
    if saw(flow):
        return Followed.SEEN
    reader = _Reader(connection, flow, saw, lost)
    failures = 0
    while True:
        try:
            found = await (reader.look() if reader.version is None else reader.watch())
        except RequestFailed as error:
            if error.code == EXPIRED:
                reader.version = None
                failures += 1
                if failures == 1:
                    continue
            elif not is_passing(error):
                raise
            lost(error.message or str(error))
            reader.is_lost = True
            await anyio.sleep(max(min(2.0**failures, PAUSE_MAX), float(error.retry_after or 0)))
            failures += 1
            continue
        failures = 0
        if found is not None:
            return found


def is_passing(error: RequestFailed) -> bool:
    """Whether the same request may well be answered later."""
    return error.code in (NO_ANSWER, 429) or error.code >= 500


class _Reader:
    """Where the watch stands."""

    def __init__(
        self, connection: Connection, flow: Object, saw: Callable[[Object], bool], lost: Callable[[str], None]
    ) -> None:
        self._kube = connection.kube
        self._namespace = flow["metadata"]["namespace"]
        self._uid = flow["metadata"]["uid"]
        self._fields = f"metadata.name={flow['metadata']['name']}"
        self._saw = saw
        self._lost = lost
        self.version: str | None = None
        self.is_lost = False

    async def look(self) -> Followed | None:
        """List it: that is what a watch can go on from."""
        async for page in self._kube.pages(FLOW, self._namespace, fields=self._fields):
            ours = [each for each in page.items if each["metadata"]["uid"] == self._uid]
            self._back()
            if not ours:
                return Followed.DELETED
            self.version = page.version
            return Followed.SEEN if self._saw(ours[0]) else None
        raise AssertionError("a list has a page")

    async def watch(self) -> Followed | None:
        """Everything that comes; None when the watch has ended."""
        assert self.version is not None, "a watch goes on from a list"
        began = anyio.current_time()
        with anyio.move_on_after(SILENCE_SECONDS) as quiet:
            watch = self._kube.watch(
                FLOW, self._namespace, version=self.version, seconds=WATCH_SECONDS, fields=self._fields
            )
            async with watch as batches:
                self._back()
                async for batch in batches:
                    quiet.deadline = anyio.current_time() + SILENCE_SECONDS
                    for event in batch:
                        if event.type == "ERROR":
                            raise failed_with(event.object)
                        self.version = event.version or self.version
                        if event.uid == self._uid and event.type == "DELETED":
                            return Followed.DELETED
                        if event.uid == self._uid and event.type in ("ADDED", "MODIFIED") and self._saw(event.object):
                            return Followed.SEEN
        if anyio.current_time() - began < 1.0:
            raise RequestFailed(NO_ANSWER, "", message="the watch ended at once")
        return None

    def _back(self) -> None:
        if self.is_lost:
            self.is_lost = False
            self._lost("")
