"""What the control plane deletes by itself: dependents without owners, and finished Jobs past their time.

The collector listens to the cluster's events and keeps a heap of instants at which something is due. It
acts only when asked to (`run_due`), so a simulation decides when time has passed; it never looks at all
objects, and each step costs O(log n).

As in a cluster, an owner is known by its uid. A dependent goes a second after its last owner; one whose
owners are partly there only loses the dead references.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import frozen

from zenflow_testing.clock import instant_of
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND, ORPHAN, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.events import Event, EventType
from zenflow_testing.kinds import Object

NEVER_SECONDS = 2**31 - 1
"""The largest `ttlSecondsAfterFinished`, 68 years: what clients write for "never", and what it means here."""

ORPHAN_DELAY = timedelta(seconds=1)
"""How long after its last owner a dependent goes."""

ORPHANING_DELAY = timedelta(0)
"""How long an owner that is deleted with the policy Orphan is still there, and its dependents its own."""


@frozen
class _Key:
    kind: str
    namespace: str
    name: str


class GarbageCollector:
    """Deletes what the control plane would: orphans, dependents in a foreground deletion, expired Jobs, held deletes.

    Attach it before anything is created. `next_due` says when it wants to act, `run_due` lets it.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        orphan_delay: timedelta = ORPHAN_DELAY,
        orphaning_delay: timedelta = ORPHANING_DELAY,
    ) -> None:
        self._cluster = cluster
        self._orphan_delay = orphan_delay
        self._orphaning_delay = orphaning_delay
        self._keys: dict[str, _Key] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        # Dicts as ordered sets: what is deleted first must not depend on the hash seed.
        self._dependents: dict[str, dict[str, None]] = {}
        self._due: list[tuple[datetime, int, Callable[[str], None], str]] = []
        self._count = 0
        self._pinned: set[str] = set()
        self._detach = cluster.subscribe(self._saw)

    def close(self) -> None:
        """Stop listening; what is due already stays due."""
        self._detach()

    def pin(self, uid: str) -> None:
        """Let an object with that uid stay: it is neither collected nor released from a foreground deletion.

        For whatever else would keep it, such as Pods that nobody simulates. Its dependents go as they would.
        """
        self._pinned.add(uid)

    def next_due(self) -> datetime | None:
        """When the collector next wants to look at something; None if nothing is in sight. May be in the past."""
        while self._due and self._due[0][3] not in self._keys:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def run_due(self) -> int:
        """Do all that is due now, and what becomes due at once by that; returns how many looks were taken."""
        looks = 0
        while self._due and self._due[0][0] <= self._cluster.clock.now:
            _, _, look, uid = heapq.heappop(self._due)
            looks += 1
            if uid in self._keys:
                with self._cluster.without_hooks():
                    look(uid)
        return looks

    # What events make due

    def _schedule(self, at: datetime, look: Callable[[str], None], uid: str) -> None:
        self._count += 1
        # The count keeps the order of events at one instant, and keeps the heap from comparing functions.
        heapq.heappush(self._due, (at, self._count, look, uid))

    def _saw(self, event: Event) -> None:
        metadata = event.object["metadata"]
        uid = metadata["uid"]
        if event.type is EventType.DELETED:
            self._gone(uid, at=event.at)
            return
        if event.type is EventType.ADDED:
            self._keys[uid] = _Key(event.kind, event.namespace, event.name)
        owners = tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ())
        if owners != self._owners.get(uid, ()):
            self._owned_by(uid, owners, at=event.at)
        if "deletionTimestamp" in metadata:
            self._marked(uid, event)
        if event.kind == "Job":
            self._expires(uid, event.object)

    def _owned_by(self, uid: str, owners: tuple[str, ...], *, at: datetime) -> None:
        for owner in self._owners.get(uid, ()):
            self._dependents.get(owner, {}).pop(uid, None)
            self._recheck_foreground(owner, at=at)
        self._owners[uid] = owners
        for owner in owners:
            self._dependents.setdefault(owner, {})[uid] = None
        if not all(self._is_there(owner, self._keys[uid].namespace) for owner in owners):
            self._schedule(at + self._orphan_delay, self._collect, uid)

    def _gone(self, uid: str, *, at: datetime) -> None:
        self._keys.pop(uid, None)
        for owner in self._owners.pop(uid, ()):
            self._dependents.get(owner, {}).pop(uid, None)
            self._recheck_foreground(owner, at=at)
        for dependent in self._dependents.pop(uid, {}):
            self._schedule(at + self._orphan_delay, self._collect, dependent)

    def _marked(self, uid: str, event: Event) -> None:
        finalizers = event.object["metadata"].get("finalizers") or ()
        if FOREGROUND in finalizers:
            self._schedule(event.at, self._delete_dependents, uid)
        if ORPHAN in finalizers:
            self._schedule(event.at + self._orphaning_delay, self._orphan_dependents, uid)
        held = self._cluster.held_until(event.kind, event.namespace, event.name)
        if held is not None:
            self._schedule(held, self._release, uid)
        for owner in self._owners.get(uid, ()):
            self._recheck_foreground(owner, at=event.at)

    def _recheck_foreground(self, owner: str, *, at: datetime) -> None:
        obj = self._object(owner)
        if obj is not None and FOREGROUND in (obj["metadata"].get("finalizers") or ()):
            self._schedule(at, self._delete_dependents, owner)

    def _expires(self, uid: str, job: Object) -> None:
        at = expiry_of(job)
        if at is not None and "deletionTimestamp" not in job["metadata"]:
            self._schedule(at, self._expire, uid)

    # Looks: each reads what is there now, for much may have happened since it was scheduled

    def _object(self, uid: str) -> Object | None:
        key = self._keys.get(uid)
        if key is None:
            return None
        with self._cluster.without_hooks():
            try:
                return self._cluster.get(key.kind, key.namespace, key.name)
            except ApiError:
                return None

    def _collect(self, uid: str) -> None:
        """Delete an object if all its owners are gone; take dead references off it if only some are."""
        key, obj = self._keys[uid], self._object(uid)
        if obj is None or "deletionTimestamp" in obj["metadata"] or uid in self._pinned:
            return
        owners = obj["metadata"].get("ownerReferences") or []
        alive = [owner for owner in owners if self._is_there(owner["uid"], key.namespace)]
        if not owners or len(alive) == len(owners):
            return
        if not alive:
            self._delete(uid, None)
            return
        self._cluster.patch_merge(
            key.kind, key.namespace, key.name, {"metadata": {"uid": uid, "ownerReferences": alive}}
        )

    def _is_there(self, owner: str, namespace: str) -> bool:
        """Whether an object of that uid can own objects in the namespace: it lives there, or in none."""
        key = self._keys.get(owner)
        return key is not None and key.namespace in ("", namespace)

    def _delete(self, uid: str, propagation: Propagation | None) -> None:
        key = self._keys[uid]
        self._cluster.delete(key.kind, key.namespace, key.name, propagation=propagation, uid=uid)

    def _delete_dependents(self, uid: str) -> None:
        """One step of a foreground deletion: dependents first, the owner when none blocks it any more."""
        obj = self._object(uid)
        if obj is None or FOREGROUND not in (obj["metadata"].get("finalizers") or ()):
            return
        blocked = False
        for dependent in tuple(self._dependents.get(uid, ())):
            other = self._object(dependent)
            if other is None:
                continue
            if "deletionTimestamp" not in other["metadata"]:
                if self._has_other_owner(other, uid):
                    self._strip_owner(dependent, uid)
                else:
                    # Its own dependents come first, too; without any, nothing has to wait.
                    self._delete(dependent, Propagation.FOREGROUND if self._dependents.get(dependent) else None)
                other = self._object(dependent)
            blocked = blocked or (other is not None and _blocks(other, uid))
        if not blocked and uid not in self._pinned:
            self._take_finalizer(uid, FOREGROUND)

    def _has_other_owner(self, obj: Object, uid: str) -> bool:
        """Whether somebody besides `uid`, and not on its way out in the foreground, too, still owns the object."""
        namespace = obj["metadata"].get("namespace", "")
        for owner in obj["metadata"].get("ownerReferences") or ():
            if owner["uid"] == uid or not self._is_there(owner["uid"], namespace):
                continue
            other = self._object(owner["uid"])
            if other is not None and FOREGROUND not in (other["metadata"].get("finalizers") or ()):
                return True
        return False

    def _orphan_dependents(self, uid: str) -> None:
        """Take the references to an owner off its dependents, then let it go."""
        for dependent in tuple(self._dependents.get(uid, ())):
            self._strip_owner(dependent, uid)
        self._take_finalizer(uid, ORPHAN)

    def _strip_owner(self, uid: str, owner: str) -> None:
        key, obj = self._keys[uid], self._object(uid)
        if obj is None:
            return
        left = [reference for reference in obj["metadata"].get("ownerReferences") or () if reference["uid"] != owner]
        self._cluster.patch_merge(key.kind, key.namespace, key.name, {"metadata": {"ownerReferences": left or None}})

    def _take_finalizer(self, uid: str, finalizer: str) -> None:
        key, obj = self._keys[uid], self._object(uid)
        finalizers = list((obj or {}).get("metadata", {}).get("finalizers") or ())
        if finalizer in finalizers:
            finalizers.remove(finalizer)
            self._cluster.patch_merge(
                key.kind, key.namespace, key.name, {"metadata": {"finalizers": finalizers or None}}
            )

    def _release(self, uid: str) -> None:
        key = self._keys[uid]
        self._cluster.release_hold(key.kind, key.namespace, key.name, uid)

    def _expire(self, uid: str) -> None:
        """Delete a finished Job whose time is up. It may have been given more time since this was scheduled."""
        obj = self._object(uid)
        if obj is None or "deletionTimestamp" in obj["metadata"]:
            return
        at = expiry_of(obj)
        if at is not None and at <= self._cluster.clock.now:
            self._delete(uid, Propagation.FOREGROUND)


def _blocks(dependent: Object, owner: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(ref["uid"] == owner and ref.get("blockOwnerDeletion") is True for ref in references)


def expiry_of(job: Object) -> datetime | None:
    """When a Job's `ttlSecondsAfterFinished` runs out; None for one that has none or is not finished.

    It counts from the lastTransitionTime of the condition Complete or Failed. The largest value never runs out.
    """
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or ttl >= NEVER_SECONDS:
        return None
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            finished = condition.get("lastTransitionTime")
            if finished is not None:
                return instant_of(finished) + timedelta(seconds=ttl)
    return None
