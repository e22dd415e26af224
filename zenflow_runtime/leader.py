"""One replica leads at a time: a Lease in the operator's namespace, as client-go's elections use it.

Nobody's clock is trusted: how long the holder has been silent is measured here,
from when this process saw the Lease change. The leader counts its own time from
before it sent the renewal, and stops writing at the renew deadline, long before
anybody else may take over; `holds` is asked before each write.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import structlog
from attrs import frozen

from zenflow_runtime.clock import Clock
from zenflow_runtime.failures import CONFLICT, RequestFailed
from zenflow_runtime.kube import LEASE, Kube, Object

log = structlog.get_logger("zenflow.leader")

LEASE_NAME: Final = "zen-flow-controller-leader-election"


@frozen
class Tenure:
    """The times of an election, in seconds: `duration` > `renew_deadline` > `retry`."""

    duration: int = 15
    """After so long without a renewal others may take the lease."""
    renew_deadline: float = 10.0
    """After so long without a renewal that succeeded the leader stops."""
    retry: float = 2.0


def micro_time(at: datetime) -> str:
    """An instant as metav1.MicroTime wants it: always six digits."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Election:
    """Campaign for a Lease, hold it, and give it back. `identity` has to be unique among the replicas."""

    def __init__(
        self, kube: Kube, *, namespace: str, name: str, identity: str, clock: Clock, tenure: Tenure | None = None
    ) -> None:
        self.identity = identity
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._tenure = tenure or Tenure()
        self._lease: Object | None = None
        """As it was last read or written here."""
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0
        """When the holder or its renewal last changed, by this process' own time."""
        self._until = float("-inf")

    def holds(self) -> bool:
        """Whether this process may write now."""
        return anyio.current_time() < self._until

    async def campaign(self) -> None:
        """Return once this process leads."""
        while True:
            try:
                if await self._try():
                    log.info("leading", lease=self._name, identity=self.identity)
                    return
            except RequestFailed as error:
                log.warning("lease cannot be read or written", lease=self._name, error=str(error))
            await anyio.sleep(self._tenure.retry)

    async def keep(self, lost: Callable[[], None]) -> None:
        """Renew until that fails for too long or somebody else holds the lease, then call `lost` and return."""
        while True:
            with anyio.move_on_at(min(anyio.current_time() + self._tenure.retry, self._until)):
                await anyio.sleep_forever()
            why = "the renew deadline passed"
            with anyio.move_on_at(self._until):
                try:
                    if await self._try():
                        continue
                    why = "somebody else holds it"
                except RequestFailed as error:
                    log.warning("lease cannot be renewed", lease=self._name, error=str(error))
                    if self.holds():
                        continue
            self._until = float("-inf")
            log.error("lost the lease", lease=self._name, identity=self.identity, why=why)
            lost()
            return

    async def release(self) -> None:
        """Give the lease back, so that another replica need not wait for it to run out. Best effort."""
        held, self._until = self.holds(), float("-inf")
        if not held or self._lease is None:
            return
        try:
            with anyio.move_on_after(self._tenure.retry):
                await self._put(self._spec(holder="", duration=1))
                log.info("gave the lease back", lease=self._name)
        except RequestFailed as error:
            log.warning("lease cannot be given back", lease=self._name, error=str(error))

    async def _try(self) -> bool:
        """Take or renew the lease if that may be done; whether this process holds it then."""
        begun = anyio.current_time()
        if not self.holds() or self._lease is None:
            await self._look()
        if self._lease is None:
            spec = self._spec(holder=self.identity, duration=self._tenure.duration)
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
            body["metadata"] = {"name": self._name, "namespace": self._namespace}
            self._lease = await self._kube.create(LEASE, self._namespace, body)
        elif self._is_free():
            try:
                await self._put(self._spec(holder=self.identity, duration=self._tenure.duration))
            except RequestFailed as error:
                if error.code != CONFLICT:
                    raise
                self._lease = None  # somebody wrote it: read it before anything else
                await self._look()
                return False if not self._is_mine() else await self._again(begun)
        else:
            return False
        self._until = begun + self._tenure.renew_deadline
        return True

    async def _again(self, begun: float) -> bool:
        """Our lease was touched by somebody (a label, say): renew what is there now."""
        await self._put(self._spec(holder=self.identity, duration=self._tenure.duration))
        self._until = begun + self._tenure.renew_deadline
        return True

    async def _look(self) -> None:
        self._lease = await self._kube.find(LEASE, self._namespace, self._name)
        spec = self._held()
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, anyio.current_time()

    def _is_free(self) -> bool:
        spec = self._held()
        holder = spec.get("holderIdentity")
        silent = anyio.current_time() - self._seen_at
        return not holder or self._is_mine() or silent >= (spec.get("leaseDurationSeconds") or self._tenure.duration)

    def _is_mine(self) -> bool:
        return self._held().get("holderIdentity") == self.identity

    def _held(self) -> dict[str, Any]:
        return (self._lease or {}).get("spec") or {}

    def _spec(self, *, holder: str, duration: int) -> dict[str, Any]:
        now, old = micro_time(self._clock.exact), self._held()
        changes = old.get("holderIdentity") != holder
        return {
            **old,
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "acquireTime": now if changes else old.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": (old.get("leaseTransitions") or 0) + (1 if changes and holder else 0),
        }

    async def _put(self, spec: dict[str, Any]) -> None:
        assert self._lease is not None, "a lease that is there is replaced"
        self._lease = await self._kube.replace(LEASE, self._namespace, {**self._lease, "spec": spec})
