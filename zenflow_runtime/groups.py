"""Which flows compete: each flow as the others of its group see it, and who has to be told when that changes.

A flow matters to the others while it is unfinished, and after that as long as
a Job of it may still have Pods; also when its object is gone before its Jobs
are (a TTL of 0, a deletion in the background). Of such a flow only the process
that saw it knows: to one that starts later its Jobs are anybody's.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve

from zenflow_core.observation import Sibling

Key = tuple[str, str]
"""Namespace and group."""


class Groups:
    """The flows of each concurrency group. Creation, start, end, deletion and the last Job's going wake the others.

    Cost of each call: the unfinished flows of one group; finished ones without Jobs are forgotten.
    """

    def __init__(self) -> None:
        self._members: dict[Key, dict[str, Sibling]] = {}
        """Those that matter, as the others see them."""
        self._key_of: dict[str, Key] = {}
        self._in_order: dict[Key, tuple[Sibling, ...]] = {}
        """The same by creation, until one of them changes: all of a group ask for it after each change."""
        self._left: dict[str, set[str]] = {}
        """Of flows whose object is gone: the Jobs that may still have Pods."""
        self._left_by: dict[str, str] = {}
        """Whose those Jobs are."""

    def publish(self, key: Key, sibling: Sibling) -> tuple[str, ...]:
        """Say how a flow is; returns the uids of the unfinished ones for whom that is news."""
        uid = sibling.uid
        if sibling.over and not sibling.live_jobs:
            return self._drop(uid)
        # Jobs of an unfinished flow come and go; that is no news to the others.
        seen = evolve(sibling, live_jobs=False) if sibling.unfinished else sibling
        told = self._drop(uid) if self._key_of.get(uid, key) != key else ()
        members = self._members.setdefault(key, {})
        if members.get(uid) == seen:
            return told
        self._key_of[uid] = key
        members[uid] = seen
        self._in_order.pop(key, None)
        return told + _unfinished(members, besides=uid)

    def remove(self, uid: str, jobs: Collection[str] = ()) -> tuple[str, ...]:
        """A flow is no more; returns the uids of those for whom that is news.

        `jobs` are the uids of its Jobs that may still have Pods: until they are gone it counts as one that is over.
        """
        key = self._key_of.get(uid)
        if key is None:
            return ()
        if not jobs:
            return self._drop(uid)
        self._left[uid] = set(jobs)
        self._left_by.update(dict.fromkeys(jobs, uid))
        return self.publish(key, evolve(self._members[key][uid], over=True, live_jobs=True))

    def job_gone(self, job: str) -> tuple[str, ...]:
        """A Job is gone, over or nobody's; returns the uids of those who waited for the last one of its gone flow."""
        flow = self._left_by.pop(job, None)
        if flow is None:
            return ()
        left = self._left[flow]
        left.discard(job)
        return () if left else self._drop(flow)

    def others(self, uid: str) -> tuple[Sibling, ...]:
        """The other flows of an unfinished flow's group that matter to it, in the order of creation."""
        key = self._key_of.get(uid)
        if key is None:
            return ()
        line = self._in_order.get(key)
        if line is None:
            line = tuple(sorted(self._members[key].values(), key=lambda s: (s.created_at, s.uid)))
            self._in_order[key] = line
        return tuple(sibling for sibling in line if sibling.uid != uid)

    def _drop(self, uid: str) -> tuple[str, ...]:
        for job in self._left.pop(uid, ()):
            del self._left_by[job]
        key = self._key_of.pop(uid, None)
        if key is None:
            return ()
        members = self._members[key]
        del members[uid]
        self._in_order.pop(key, None)
        if not members:
            del self._members[key]
        return _unfinished(members, besides=uid)


def _unfinished(members: dict[str, Sibling], *, besides: str) -> tuple[str, ...]:
    return tuple(uid for uid, sibling in members.items() if uid != besides and sibling.unfinished)
