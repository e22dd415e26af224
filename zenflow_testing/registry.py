"""Writes as an API server takes them: what it fills in, what it refuses, and what it makes of an object.

The idea: a stored object is a plain JSON value that is never changed. A write makes a new one that shares
all it can with the old, and puts it into the watch log.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from zenflow_testing import errors, jsonpatch
from zenflow_testing.clock import Clock, timestamp
from zenflow_testing.cluster_limits import ClusterLimits, SizeLimit
from zenflow_testing.deletion import FOREGROUND, ORPHAN, Propagation, check_preconditions
from zenflow_testing.errors import ApiError, StatusCause, Target
from zenflow_testing.events import EventType
from zenflow_testing.kinds import Generation, KindInfo, Object, Scope, StatusMode
from zenflow_testing.object_meta import metadata_causes, metadata_update_causes
from zenflow_testing.store import Entry, Store
from zenflow_testing.uids import UidSource
from zenflow_testing.updates import (
    IDENTITY,
    OMITTED_WHEN_EMPTY,
    check_patched_names,
    metadata_of,
    resized,
    settled,
    stamped,
    unmet,
    writable,
)

Admission: TypeAlias = Callable[[str, Object | None, Object], ApiError | None]
"""(kind, old, new) of a valid write about to be stored; `old` is None in a create. An ApiError refuses it."""

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_GENERATED_BASE = 63 - _SUFFIX_LENGTH


class Registry(Store):
    """The rules of a write: decode, complete, validate, admit, and only then store and tell.

    Knows no caller: the requests that come to `Cluster` end here.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limits: ClusterLimits,
        uids: Callable[[], str] | int,
        history: int | None,
    ) -> None:
        super().__init__(clock, history=history)
        self.limits = limits
        self.admissions: list[Admission] = []
        self._uids = UidSource(uids) if isinstance(uids, int) else uids
        self._preset_uids: dict[str, list[str]] = {}
        self._random = random.Random(uids if isinstance(uids, int) else 0)
        self._terminating: set[str] = set()
        self._holds: dict[str, timedelta] = {}

    # Set-up

    def preset_uid(self, kind: str, uid: str) -> None:
        """Give the next object of that kind this uid; several wait in line."""
        self._preset_uids.setdefault(kind, []).append(uid)

    def hold_deletes(self, kind: str, seconds: float) -> None:
        """From now on a deleted object of that kind stays marked for so long before it goes; 0 ends that."""
        if seconds > 0:
            self._holds[kind] = timedelta(seconds=seconds)
        else:
            self._holds.pop(kind, None)

    def terminate_namespace(self, namespace: str) -> None:
        """Refuse creates in that namespace from now on, as while it is being deleted. Nothing is deleted by this."""
        self._terminating.add(namespace)

    # Creating

    def _create(self, kind: str, body: Object, namespace: str, *, dry_run: bool) -> Object:
        info = self.kind_info(kind)
        metadata = metadata_of(body, info)
        target = info.target(metadata.get("name") or "")
        if info.scope is Scope.CLUSTER:
            namespace = ""
        elif metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if namespace in self._terminating:
            raise errors.namespace_terminating(target, namespace)
        body = info.rules.decoded(body, target)
        metadata = {k: v for k, v in metadata.items() if v is not None and (v or k not in OMITTED_WHEN_EMPTY)}
        self._complete(info, metadata, namespace)
        created: dict[str, Any] = {"apiVersion": info.api_version, "kind": kind, "metadata": metadata}
        created.update((k, v) for k, v in body.items() if k not in created)
        if info.status is StatusMode.CUSTOM:
            created.pop("status", None)
        elif info.status is StatusMode.BUILT_IN:
            created["status"] = {}
        created = dict(info.rules.defaulted(created))
        metadata = created["metadata"]
        target = info.target(metadata.get("name", ""))
        causes = metadata_causes(metadata, annotation_bytes=self.limits.annotation_bytes)
        causes.extend(info.rules.create_causes(created))
        if causes:
            raise errors.invalid(target, causes)
        created = dict(info.rules.as_read(created))
        metadata = created["metadata"]
        self._admit(kind, None, created)
        if metadata.get("resourceVersion"):
            raise errors.internal("resourceVersion should not be set on objects to be created")
        bucket = self._objects[kind].get(namespace, {})
        if metadata["name"] in bucket:
            here = bucket[metadata["name"]].obj["metadata"]
            raise errors.already_exists(target, being_deleted="deletionTimestamp" in here)
        metadata["resourceVersion"] = str(self._version + 1)
        sizes = {name: jsonpatch.size_of(value) for name, value in created.items()}
        self._check_size(sizes, target)
        if dry_run:
            del metadata["resourceVersion"]
            return created
        self._objects[kind].setdefault(namespace, bucket)[metadata["name"]] = Entry(created, sizes)
        self._index_labels(kind, None, created)
        self._publish(EventType.ADDED, kind, created)
        return created

    def _complete(self, info: KindInfo, metadata: dict[str, Any], namespace: str) -> None:
        """Fill in the metadata that belongs to the server, whatever the client wrote there."""
        if namespace:
            metadata["namespace"] = namespace
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(self._random.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
            metadata["name"] = metadata["generateName"][:_GENERATED_BASE] + suffix
        preset = self._preset_uids.get(info.kind)
        metadata["uid"] = preset.pop(0) if preset else self._uids()
        metadata["creationTimestamp"] = timestamp(self.clock.now)
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            metadata.pop(field, None)
        if info.generation is Generation.COUNTED:
            metadata["generation"] = 1

    # Changing

    def _replace(self, kind: str, namespace: str, name: str, body: Object, *, subresource: str | None) -> Object:
        info = self.kind_info(kind)
        target = info.target(name)
        metadata = metadata_of(body, info)
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request("the namespace of the object does not match the namespace on the request")
        entry = self._entry(kind, namespace, name)
        here = entry.obj["metadata"]
        if metadata.get("uid", here["uid"]) != here["uid"]:
            raise unmet(target, "UID", wanted=metadata["uid"], found=here["uid"])
        return self._write(info, entry, jsonpatch.Patched(dict(body), None), subresource=subresource)

    def _patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Callable[[Object], jsonpatch.Patched],
        *,
        subresource: str | None,
    ) -> Object:
        info = self.kind_info(kind)
        entry = self._entry(kind, namespace, name)
        try:
            patched = patch(entry.obj)
        except jsonpatch.MalformedPatchError as problem:
            raise errors.bad_request(f"error decoding patch: {problem}") from problem
        except jsonpatch.PatchError as problem:
            raise errors.patch_not_applicable(info.target(name), str(problem)) from problem
        if not isinstance(patched.document, dict):
            raise errors.patch_not_applicable(info.target(name), "the patched object is not an object any more")
        if info.status is StatusMode.CUSTOM and not patched.document.get("kind"):
            raise errors.invalid(errors.NOTHING, [errors.wrong("patch", "...", "Object 'Kind' is missing")])
        check_patched_names(patched.document, entry.obj)
        try:
            return self._write(info, entry, patched, subresource=subresource)
        except ApiError as refusal:
            if refusal.code != 400:
                raise
            # The object that a patch made cannot be read: that is the patch's fault, and the server says so.
            raise errors.invalid(errors.NOTHING, [errors.wrong("patch", "...", refusal.message)]) from refusal

    def _write(self, info: KindInfo, entry: Entry, patched: jsonpatch.Patched, *, subresource: str | None) -> Object:
        """Check the outcome of an update against the present object, and store what the request may change."""
        old, new = entry.obj, patched.document
        before = old["metadata"]
        target = info.target(before["name"])
        if subresource is not None and (subresource != "status" or info.status is StatusMode.PLAIN):
            raise ApiError(404, "NotFound", message="the server could not find the requested resource")
        wanted = new.get("metadata")
        if wanted is not before or any(new.get(member) != old[member] for member in ("apiVersion", "kind")):
            wanted = metadata_of(new, info)
            version = wanted.get("resourceVersion")
            if not version and info.status is StatusMode.CUSTOM:
                # The server takes the resource for the kind here.
                plural = Target(info.group, info.plural, info.plural, before["name"])
                cause = errors.wrong("metadata.resourceVersion", 0, "must be specified for an update")
                raise errors.invalid(plural, [cause])
            if version and not version.isdigit():
                raise errors.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
            if version and version != before["resourceVersion"]:
                raise errors.conflict(
                    target,
                    "the object has been modified; please apply your changes to the latest version and try again",
                )
        stored = old.copy()
        sizes = entry.sizes.copy()
        spec_changed = False
        for name in (*new, *(name for name in old if name not in new)):
            if name in IDENTITY or not writable(name, info.status, subresource=subresource):
                continue
            if name in new and name in old and new[name] is old[name]:
                continue
            if name not in new:
                del stored[name], sizes[name]
            # `!=` finds a difference at the speed of C; only what Python takes for equal is looked at closely.
            elif name in old and not (old[name] != new[name] or not jsonpatch.same(old[name], new[name])):
                continue
            else:
                stored[name] = new[name]
                grown = patched.grown
                sizes[name] = jsonpatch.size_of(new[name]) if grown is None else sizes.get(name, 0) + grown[name]
            spec_changed = spec_changed or name != "status" or info.status is StatusMode.PLAIN
        metadata = before
        if wanted is not before and not (subresource and info.status is StatusMode.CUSTOM):
            metadata = settled(before, wanted)
        if metadata is before and len(stored) == len(old) and all(stored[k] is old[k] for k in stored):
            return old
        if spec_changed:
            decoded = info.rules.decoded(stored, target)
            if decoded is not stored:
                # Unknown fields were dropped, so what the patch said about sizes no longer holds.
                stored = dict(decoded)
                sizes = {name: jsonpatch.size_of(value) for name, value in stored.items()}
                spec_changed = any(stored.get(k) != old.get(k) for k in {*stored, *old} - IDENTITY - {"status"})
        causes: list[StatusCause] = []
        if metadata is not before:
            causes += metadata_update_causes(before, metadata, annotation_bytes=self.limits.annotation_bytes)
        if spec_changed:
            causes += info.rules.update_causes(old, stored)
        if causes:
            raise errors.invalid(target, causes)
        raised = spec_changed and info.generation is Generation.COUNTED
        stored["metadata"] = stamped(metadata, version=self._version + 1, raised=raised)
        sizes["metadata"] = resized(sizes["metadata"], before, metadata, stored=stored["metadata"])
        self._admit(info.kind, old, stored)
        self._check_size(sizes, target)
        entry.obj, entry.sizes = stored, sizes
        self._index_labels(info.kind, old, stored)
        marked = "deletionTimestamp" in stored["metadata"]
        if marked and not stored["metadata"].get("finalizers") and entry.held_until is None:
            self._drop(info, stored)
            self._publish(EventType.DELETED, info.kind, stored)
            # The watch tells of one more version; the answer does not.
            return {**stored, "metadata": {**stored["metadata"], "resourceVersion": before["resourceVersion"]}}
        self._publish(EventType.MODIFIED, info.kind, stored)
        return stored

    # Deleting

    def release_hold(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Let an object go that `hold_deletes` keeps, if its time has come and it is still that one."""
        entry = self._objects[kind].get(namespace, {}).get(name)
        if entry is None or entry.obj["metadata"]["uid"] != uid or entry.held_until is None:
            return
        if entry.held_until <= self.clock.now:
            entry.held_until = None
            if not entry.obj["metadata"].get("finalizers"):
                self._remove(self.kind_info(kind), entry)

    def held_until(self, kind: str, namespace: str, name: str) -> datetime | None:
        """Until when `hold_deletes` keeps this deleted object; None if it does not."""
        entry = self._objects[kind].get(namespace, {}).get(name)
        return None if entry is None else entry.held_until

    def _delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        propagation: Propagation | str | None,
        *,
        uid: str | None,
        resource_version: str | None,
    ) -> Object:
        info = self.kind_info(kind)
        entry = self._entry(kind, namespace, name)
        here = entry.obj["metadata"]
        target = info.target(name)
        check_preconditions(target, here, uid=uid, resource_version=resource_version)
        kept = list(here.get("finalizers") or ())
        if propagation is not None:
            try:
                policy = Propagation(propagation)
            except ValueError:
                supported = ("Foreground", "Background", "Orphan")
                cause = errors.unsupported("propagationPolicy", str(propagation), supported)
                raise errors.invalid(Target("meta.k8s.io", "", "DeleteOptions"), [cause]) from None
            kept = [finalizer for finalizer in kept if finalizer not in (FOREGROUND, ORPHAN)]
            if policy is Propagation.FOREGROUND:
                kept.append(FOREGROUND)
            elif policy is Propagation.ORPHAN:
                kept.append(ORPHAN)
        marked = here.get("deletionTimestamp") is not None
        hold = self._holds.get(kind)
        if hold is not None and not marked:
            entry.held_until = self.clock.now + hold
        if not kept and entry.held_until is None:
            return self._remove(info, entry)
        if marked and kept == (here.get("finalizers") or []):
            return entry.obj
        metadata = {k: v for k, v in here.items() if k != "finalizers"}
        if not marked:
            metadata["deletionTimestamp"] = timestamp(self.clock.now)
            metadata["deletionGracePeriodSeconds"] = 0 if hold is None else int(hold.total_seconds())
        if kept:
            metadata["finalizers"] = kept
        # The server counts the mark as a change of what is wanted, and so does metadata.generation.
        return self._store_metadata(info, entry, stamped(metadata, version=self._version + 1, raised=not marked))

    def _store_metadata(self, info: KindInfo, entry: Entry, metadata: dict[str, Any]) -> Object:
        entry.obj = {**entry.obj, "metadata": metadata}
        entry.sizes = {**entry.sizes, "metadata": jsonpatch.size_of(metadata)}
        self._publish(EventType.MODIFIED, info.kind, entry.obj)
        return entry.obj

    def _remove(self, info: KindInfo, entry: Entry) -> Object:
        metadata = stamped(entry.obj["metadata"], version=self._version + 1, raised=False)
        last = {**entry.obj, "metadata": metadata}
        self._drop(info, last)
        self._publish(EventType.DELETED, info.kind, last)
        return last

    # Before a write is stored

    def _admit(self, kind: str, old: Object | None, new: Object) -> None:
        for admission in self.admissions:
            refusal = admission(kind, old, new)
            if refusal is not None:
                raise refusal

    def _check_size(self, sizes: Mapping[str, int], target: Target) -> None:
        limit = self.limits.object_bytes
        if limit is None:
            return
        size = jsonpatch.size_of_members(sizes)
        if size > limit:
            refuse = errors.store_refuses if self.limits.refused_by is SizeLimit.STORE else errors.too_large
            raise refuse(f"limit is {limit} bytes, {target.resource} {target.name!r} has {size}")
