"""Which flows compete: each flow as the others of its group see it, and who has to be told when that changes."""

from __future__ import annotations

from attrs import evolve

from zenflow_core.observation import Sibling

Key = tuple[str, str]
"""Namespace and group."""


class Groups:
    """The flows of each concurrency group. Creation, start, end, deletion and the last Job's going wake the others."""

    def __init__(self) -> None:
        self._members: dict[Key, dict[str, Sibling]] = {}
        self._key_of: dict[str, Key] = {}

    def publish(self, key: Key, sibling: Sibling) -> tuple[str, ...]:
        """Say how a flow is; returns the uids of those for whom that is news."""
        uid = sibling.uid
        before = self._key_of.get(uid)
        told = self.remove(uid) if before is not None and before != key else ()
        members = self._members.setdefault(key, {})
        self._key_of[uid] = key
        if members.get(uid) == sibling:
            return told
        # Whether Jobs are left only matters to others once the flow is over.
        known = members.get(uid)
        quiet = known is not None and not sibling.over and evolve(known, live_jobs=sibling.live_jobs) == sibling
        members[uid] = sibling
        return told if quiet else (*told, *(other for other in members if other != uid))

    def remove(self, uid: str) -> tuple[str, ...]:
        """A flow is no more; returns the uids of those for whom that is news."""
        key = self._key_of.pop(uid, None)
        if key is None:
            return ()
        members = self._members[key]
        del members[uid]
        if not members:
            del self._members[key]
        return tuple(members)

    def others(self, uid: str) -> tuple[Sibling, ...]:
        """The other flows of its group that still matter: unfinished, or with Jobs left; in a fixed order."""
        key = self._key_of.get(uid)
        members = self._members.get(key, {}) if key is not None else {}
        matter = (s for other, s in members.items() if other != uid and (s.unfinished or s.live_jobs))
        return tuple(sorted((_seen(s) for s in matter), key=lambda s: (s.created_at, s.uid)))


def _seen(sibling: Sibling) -> Sibling:
    """Jobs of an unfinished flow come and go; that is no news to the others."""
    return evolve(sibling, live_jobs=False) if sibling.unfinished else sibling
