"""The one way out: every request to the API server passes this transport.

It keeps to the rate, lets no write out once somebody else may lead, counts,
notes which verb was asked of which resource, and turns every failed answer into
a metav1.Status that lightkube can read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
import httpx2
import msgspec
from attrs import field, frozen

from zenflow_runtime.failures import NO_ANSWER, NotLeading

JSON: Final = "application/json"
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TEXT_KEPT: Final = 500
"""Characters of a failed answer that is no Status."""

_UNLIMITED: Final = frozenset({"leases"})
"""A leader that waits for its turn would lose the lease."""

_ANYBODYS: Final = frozenset({("coordination.k8s.io", "leases"), ("", "events")})
"""Who does not lead wants to, and may tell what it has done."""

_ASKS_ONLY: Final = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
"""Groups of which nothing is ever stored."""

_WRITES: Final = frozenset(_VERBS.values())
_LAST_MOMENT: Final = ".send_request_headers.started"
"""What a transport traces when it has a connection and has sent nothing."""

DELETES_SHARE: Final = 0.1
"""Part of the burst that only deletes may use: what runs needlessly must stop even while much is being started."""


@frozen
class Ask:
    """A request as RBAC sees it."""

    verb: str
    group: str
    resource: str
    """With its subresource, if any: `jobflows/status`."""


@frozen
class Answered:
    """A request that is over."""

    ask: Ask
    code: int
    """HTTP status; `NO_ANSWER` without one."""
    waited: float = 0.0
    """Seconds spent waiting for its turn."""
    seconds: float = field(default=0.0, kw_only=True)
    """Seconds until the answer's head was there."""
    date: str = field(default="", kw_only=True)
    """The server's clock, as its answer says it."""


def ask_of(method: str, path: str, *, watch: bool = False) -> Ask:
    """The verb, API group and resource of a request. Cost: 2 µs."""
    parts = path.strip("/").split("/")
    while parts and parts[0] not in ("api", "apis"):
        parts.pop(0)  # the server may live below a path of its own
    core = parts[:1] == ["api"]
    group, rest = ("", parts[2:]) if core else (parts[1] if len(parts) > 1 else "", parts[3:])
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    resource = "/".join(rest[:1] + rest[2:3])
    verb = ("watch" if watch else "get" if len(rest) > 1 else "list") if method == "GET" else _VERBS[method]
    return Ask(verb, group, resource)


class TokenBucket:
    """So many requests a second, so many at once, first come first served; part of it is kept for deletes."""

    def __init__(self, rate: float, burst: float, *, reserve: float) -> None:
        self._rate = rate
        self._burst = burst
        self._reserve = min(reserve, burst - 1)
        """What other requests leave alone. One that waits needs a whole token besides."""
        self._tokens = burst
        self._at: float | None = None
        # Only the first of each kind watches the tokens; the others wait behind it.
        self._first = {False: anyio.Lock(), True: anyio.Lock()}

    async def take(self, *, urgent: bool) -> float:
        """Wait for a turn; how long that took, in seconds. Urgent requests need not leave the reserve alone."""
        begun = anyio.current_time()
        async with self._first[urgent]:
            while True:
                pause = self._pause(0.0 if urgent else self._reserve)
                if pause <= 0:
                    self._tokens -= 1
                    return anyio.current_time() - begun
                await anyio.sleep(pause)

    def _pause(self, floor: float) -> float:
        """How long it takes until there is a token above the floor; 0 or less: there is one."""
        now = anyio.current_time()
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(now - self._at, 0.0) * self._rate)
        self._at = now
        missing = floor + 1 - self._tokens
        # Tokens are sums of fractions: what is all but there is there.
        return missing / self._rate if missing > 1e-9 else 0.0


class Door(httpx2.AsyncBaseTransport):
    """Wraps the transport that really sends. `told` learns of every request that is over.

    `may_write` is asked before a write, at the last moment: a request waits for its turn and for a connection, and a
    process may be stopped meanwhile. Nothing else fences a create that comes late.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        *,
        bucket: TokenBucket | None = None,
        told: Callable[[Answered], None] | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._inner = inner
        self._bucket = bucket
        self._told = told
        self._may_write = may_write

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Wait for a turn, send, and make the answer readable. Raises NotLeading for a write that came too late."""
        ask = ask_of(request.method, request.url.path, watch=b"watch=true" in request.url.query)
        waited = 0.0
        if self._bucket is not None and ask.verb != "watch" and ask.resource not in _UNLIMITED:
            waited = await self._bucket.take(urgent=ask.verb == "delete")
        if _is_fenced(ask, dry_run=b"dryRun=" in request.url.query):
            if not self._may_write():
                raise NotLeading
            request.extensions = {**request.extensions, "trace": self._fence}
        # What is saved on the way costs both ends more to pack: an answer to a status write can be half a megabyte.
        request.headers["accept-encoding"] = "identity"
        code, date, begun = NO_ANSWER, "", anyio.current_time()
        try:
            response = await self._inner.handle_async_request(request)
            code, date = response.status_code, response.headers.get("date", "")
            return await _readable(response)
        finally:
            if self._told is not None:
                self._told(Answered(ask, code, waited, seconds=anyio.current_time() - begun, date=date))

    async def _fence(self, event: str, _: Mapping[str, Any]) -> None:
        if event.endswith(_LAST_MOMENT) and not self._may_write():
            raise NotLeading

    async def aclose(self) -> None:
        """Close the transport behind it."""
        await self._inner.aclose()


def _is_fenced(ask: Ask, *, dry_run: bool) -> bool:
    """Whether only a leader may send it."""
    stores = ask.verb in _WRITES and ask.group not in _ASKS_ONLY and not dry_run
    return stores and (ask.group, ask.resource) not in _ANYBODYS


async def _readable(response: httpx2.Response) -> httpx2.Response:
    """The answer as lightkube expects it: JSON by its type, and a Status if it is a failure."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if not response.is_error:
        if kind == JSON:
            response.headers["content-type"] = JSON
        return response
    body = await response.aread()
    await response.aclose()
    status = _status(body) if kind == JSON else None
    if status is None:
        text = body.decode("utf-8", "replace")[:_TEXT_KEPT].strip() or response.reason_phrase
        status = {"kind": "Status", "code": response.status_code, "reason": "", "message": text}
    elif not status.get("code"):
        status = {**status, "code": response.status_code}
    kept = {name: value for name, value in response.headers.items() if name.lower() == "retry-after"}
    return httpx2.Response(response.status_code, json=status, headers=kept)


def _status(body: bytes) -> dict[str, object] | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) and found.get("kind") == "Status" else None
