"""An API server in memory: verbs, conflicts, finalizers, refusals and a watch log as a real one has them.

The idea: a stored object is a plain JSON value that is never changed. A write makes a new one that shares
all it can with the old, and puts it into the watch log. So a read costs a lookup, the log costs pointers,
and every view of the past (a stale cache, a watch that lags) stays true for ever.

Everything that follows a delete later, such as garbage collection, is `zenflow_testing.garbage`.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar, cast

from attrs import frozen

from zenflow_testing import errors, jsonpatch
from zenflow_testing.batch_v1 import JobRules
from zenflow_testing.clock import Clock, timestamp
from zenflow_testing.core_v1 import ClaimRules, DataRules, EventRules, LeaseRules
from zenflow_testing.errors import ApiError, StatusCause, Target
from zenflow_testing.kinds import Generation, KindInfo, Object, Scope, StatusMode
from zenflow_testing.object_meta import metadata_causes, metadata_update_causes, mistyped
from zenflow_testing.selectors import (
    INDEXED_LABELS,
    SelectorError,
    field_of,
    indexed_label,
    wanted_fields,
    wanted_labels,
)

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Propagation(StrEnum):
    """What a delete does to the dependents of the object (DeleteOptions.propagationPolicy)."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class EventType(StrEnum):
    """What happened to an object, as a watch reports it."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class SizeLimit(StrEnum):
    """Who refuses an object that is too large, which decides about the answer."""

    STORE = "store"
    """etcd, as in a usual cluster: 500 "etcdserver: request is too large"."""
    FRONT = "front"
    """The server's own handlers, or a proxy before it, which read no more: 413 RequestEntityTooLarge."""


@frozen
class ClusterLimits:
    """Bounds on stored objects, in bytes of JSON; None lifts a bound.

    The defaults are etcd's request limit and the API server's limit on all annotations of an object.
    """

    object_bytes: int | None = 1_572_864
    annotation_bytes: int | None = 262_144
    refused_by: SizeLimit = SizeLimit.STORE


@frozen
class KubernetesVersion:
    """The version whose behaviour the model follows."""

    major: int = 1
    minor: int = 35


@frozen(eq=False)
class Event:
    """One change as a watch delivers it; `object` is the new version, for DELETED the last one."""

    resource_version: int
    type: EventType
    kind: str
    object: Object
    at: datetime

    @property
    def namespace(self) -> str:
        """Namespace of the object, empty for a kind that has none."""
        return cast("str", self.object["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        """Name of the object."""
        return cast("str", self.object["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Uid of the object."""
        return cast("str", self.object["metadata"]["uid"])


@frozen(eq=False)
class ListResult:
    """Objects in the order of their names, and the version from which a watch has to go on."""

    items: tuple[Object, ...]
    resource_version: str


BeforeRequest: TypeAlias = Callable[[str, str, str, str, Any], ApiError | None]
"""(verb, kind, namespace, name, body) before anything is done: an ApiError is the answer, and nothing happens.

Verbs as RBAC has them: create, get, list, update, patch, delete. The status subresource is kind `Job/status`.
The name is empty in a list and in a create with generateName.
"""

AfterRequest: TypeAlias = Callable[[str, str, str, str, Any], ApiError | None]
"""The same once the request has been carried out: an ApiError hides the true answer from the caller."""

Admission: TypeAlias = Callable[[str, Object | None, Object], ApiError | None]
"""(kind, old, new) of a valid write about to be stored; `old` is None in a create. An ApiError refuses it."""


class UidSource:
    """Uids that look random, are the same for the same seed, and all differ in their first 8 characters."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._offset = self._random.getrandbits(32)
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        # An odd factor makes this a permutation of the 32-bit numbers: no two uids begin alike.
        head = (self._count * 0x9E3779B1 + self._offset) & 0xFFFFFFFF
        tail = self._random.getrandbits(96)
        digits = f"{head:08x}{tail:024x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{8 + tail % 4:x}{digits[17:20]}-{digits[20:]}"


class _Entry:
    """An object in the store, with the size of each of its members."""

    __slots__ = ("held_until", "obj", "sizes")

    def __init__(self, obj: dict[str, Any], sizes: dict[str, int]) -> None:
        self.obj = obj
        self.sizes = sizes
        self.held_until: datetime | None = None


KNOWN_KINDS = (
    KindInfo(
        "JobFlow",
        "workflow.kube-zen.io",
        version="v1alpha1",
        plural="jobflows",
        status=StatusMode.CUSTOM,
        generation=Generation.COUNTED,
    ),
    KindInfo(
        "Job", "batch", plural="jobs", status=StatusMode.BUILT_IN, generation=Generation.COUNTED, rules=JobRules()
    ),
    KindInfo("Pod", "", plural="pods"),
    KindInfo(
        "ConfigMap",
        "",
        plural="configmaps",
        rules=DataRules("ConfigMap", text=("data",), encoded=("binaryData",)),
    ),
    KindInfo("Secret", "", plural="secrets", rules=DataRules("Secret", text=("stringData",), encoded=("data",))),
    KindInfo("PersistentVolumeClaim", "", plural="persistentvolumeclaims", rules=ClaimRules()),
    KindInfo("Event", "", plural="events", rules=EventRules()),
    KindInfo("Lease", "coordination.k8s.io", plural="leases", rules=LeaseRules()),
    KindInfo("Namespace", "", plural="namespaces", scope=Scope.CLUSTER),
)

_Answer = TypeVar("_Answer")

_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_GENERATED_BASE = 63 - _SUFFIX_LENGTH
_OMITTED_WHEN_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")


class Cluster:
    """The API server model: call it like a client, move its clock, and read its watch log.

    What it hands out, and what is handed to it, is shared from then on: treat both as frozen
    (`FrozenCheck` finds who does not). Every refusal is an ApiError with the server's code and reason.
    A namespace needs no object of its own. Not thread-safe: one simulation, one thread.

    `uids` is a seed or a source of uids. `history` is how many events the watch log keeps at least; None
    keeps all, which costs 8 bytes a row and write for a flow that is written again and again.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limits: ClusterLimits | None = None,
        version: KubernetesVersion | None = None,
        uids: Callable[[], str] | int = 0,
        history: int | None = None,
    ) -> None:
        self.clock = clock
        self._history = history
        self.limits = limits or ClusterLimits()
        self.version = version or KubernetesVersion()
        self.before_request: BeforeRequest | None = None
        self.after_request: AfterRequest | None = None
        self.admissions: list[Admission] = []
        self._uids = UidSource(uids) if isinstance(uids, int) else uids
        self._preset_uids: dict[str, list[str]] = {}
        self._random = random.Random(uids if isinstance(uids, int) else 0)
        self._kinds: dict[str, KindInfo] = {}
        self._objects: dict[str, dict[str, dict[str, _Entry]]] = {}
        # (kind, label, value) -> namespaces and names: a step's Pods must not be looked for among all Pods.
        self._labelled: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
        self._version = 0
        self._compacted = 0
        self._log: list[Event] = []
        self._log_versions: list[int] = []
        self._listeners: list[Callable[[Event], None]] = []
        self._terminating: set[str] = set()
        self._holds: dict[str, timedelta] = {}
        for kind in KNOWN_KINDS:
            self.register(kind)

    # Set-up

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

    @contextmanager
    def without_hooks(self) -> Iterator[Cluster]:
        """The same cluster for the control plane's own writes: faults are for other clients."""
        hooks = self.before_request, self.after_request
        self.before_request = self.after_request = None
        try:
            yield self
        finally:
            self.before_request, self.after_request = hooks

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

    # Verbs

    def create(self, kind: str, body: Object, *, namespace: str = "", dry_run: bool = False) -> Object:
        """Store a new object and return it as stored; `dry_run` does all but store it.

        Refused with 400 (types), 403 (terminating namespace, admission), 409 AlreadyExists, 413, 422 Invalid,
        or 500 if metadata.resourceVersion is set.
        """
        metadata = body.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        return self._request(
            "create", kind, namespace, name, body, lambda: self._create(kind, body, namespace, dry_run=dry_run)
        )

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object as it is now. Refused with 404 NotFound."""
        if self.before_request is None and self.after_request is None:
            try:
                return self._objects[kind][namespace][name].obj
            except KeyError:
                raise errors.not_found(self.kind_info(kind).target(name)) from None
        return self._request(
            "get", kind, namespace, name, None, lambda: cast("Object", self._entry(kind, namespace, name).obj)
        )

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | str | None = None,
        fields: Mapping[str, str] | str | None = None,
    ) -> ListResult:
        """The objects of a kind, of all namespaces unless one is named. O(objects of the kind)."""
        return self._request(
            "list", kind, namespace or "", "", None, lambda: self._list(kind, namespace, labels, fields=fields)
        )

    def replace(self, kind: str, namespace: str, name: str, body: Object, *, subresource: str | None = None) -> Object:
        """Put `body` in place of the object (HTTP PUT). Refused with 404, 409 Conflict, 413, 422 Invalid."""
        return self._request(
            "update",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            body,
            lambda: self._replace(kind, namespace, name, body, subresource=subresource),
        )

    def patch_json(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
    ) -> Object:
        """Apply a JSON Patch (RFC 6902), all of it or nothing.

        Refused with 400 (not a patch), 404, 409 Conflict (it sets a resourceVersion that is not the present one),
        413, or 422 Invalid (bad path, failed `test`, invalid result).
        """
        return self._request(
            "patch",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            operations,
            lambda: self._patch(
                kind, namespace, name, lambda doc: jsonpatch.apply(doc, operations), subresource=subresource
            ),
        )

    def patch_merge(
        self, kind: str, namespace: str, name: str, patch: Object, *, subresource: str | None = None
    ) -> Object:
        """Apply a merge patch (RFC 7396): null removes, lists are replaced whole. Refused like `patch_json`."""
        return self._request(
            "patch",
            f"{kind}/{subresource}" if subresource else kind,
            namespace,
            name,
            patch,
            lambda: self._patch(
                kind, namespace, name, lambda doc: jsonpatch.merge(doc, patch), subresource=subresource
            ),
        )

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        propagation: Propagation | str | None = Propagation.BACKGROUND,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Delete the object: at once if nothing keeps it, else mark it. Returns it as it last was.

        `propagation` None leaves the choice to finalizers already there, as a request without options does.
        `uid` and `resource_version` are preconditions. Refused with 404, or 409 Conflict if one is not met.
        """
        options = {"propagationPolicy": propagation, "uid": uid, "resourceVersion": resource_version}
        return self._request(
            "delete",
            kind,
            namespace,
            name,
            options,
            lambda: self._delete(kind, namespace, name, propagation, uid=uid, resource_version=resource_version),
        )

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

    def size_bytes(self, kind: str, namespace: str, name: str) -> int:
        """Size of the object as compact JSON, which is what its limit counts. O(1)."""
        return jsonpatch.size_of_members(self._entry(kind, namespace, name).sizes)

    # Behind the verbs

    def _request(
        self, verb: str, kind: str, namespace: str, name: str, body: Any, act: Callable[[], _Answer]
    ) -> _Answer:
        if self.before_request is not None:
            refusal = self.before_request(verb, kind, namespace, name, body)
            if refusal is not None:
                raise refusal
        answer = act()
        if self.after_request is not None:
            refusal = self.after_request(verb, kind, namespace, name, body)
            if refusal is not None:
                raise refusal
        return answer

    def _entry(self, kind: str, namespace: str, name: str) -> _Entry:
        try:
            return self._objects[kind][namespace][name]
        except KeyError:
            raise errors.not_found(self.kind_info(kind).target(name)) from None

    def _create(self, kind: str, body: Object, namespace: str, *, dry_run: bool) -> Object:
        info = self.kind_info(kind)
        metadata = _metadata_of(body, info)
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
        metadata = {k: v for k, v in metadata.items() if v is not None and (v or k not in _OMITTED_WHEN_EMPTY)}
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
        self._objects[kind].setdefault(namespace, bucket)[metadata["name"]] = _Entry(created, sizes)
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

    def _replace(self, kind: str, namespace: str, name: str, body: Object, *, subresource: str | None) -> Object:
        info = self.kind_info(kind)
        target = info.target(name)
        metadata = _metadata_of(body, info)
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if metadata.get("namespace", namespace) != namespace:
            raise errors.bad_request("the namespace of the object does not match the namespace on the request")
        entry = self._entry(kind, namespace, name)
        here = entry.obj["metadata"]
        if metadata.get("uid", here["uid"]) != here["uid"]:
            raise _unmet(target, "UID", wanted=metadata["uid"], found=here["uid"])
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
        _check_patched_names(patched.document, entry.obj)
        try:
            return self._write(info, entry, patched, subresource=subresource)
        except ApiError as refusal:
            if refusal.code != 400:
                raise
            # The object that a patch made cannot be read: that is the patch's fault, and the server says so.
            raise errors.invalid(errors.NOTHING, [errors.wrong("patch", "...", refusal.message)]) from refusal

    def _write(self, info: KindInfo, entry: _Entry, patched: jsonpatch.Patched, *, subresource: str | None) -> Object:
        """Check the outcome of an update against the present object, and store what the request may change."""
        old, new = entry.obj, patched.document
        before = old["metadata"]
        target = info.target(before["name"])
        if subresource is not None and (subresource != "status" or info.status is StatusMode.PLAIN):
            raise ApiError(404, "NotFound", message="the server could not find the requested resource")
        wanted = new.get("metadata")
        if wanted is not before or any(new.get(member) != old[member] for member in ("apiVersion", "kind")):
            wanted = _metadata_of(new, info)
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
            if name in _IDENTITY or not _writable(name, info.status, subresource=subresource):
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
            metadata = _settled(before, wanted)
        if metadata is before and len(stored) == len(old) and all(stored[k] is old[k] for k in stored):
            return old
        if spec_changed:
            decoded = info.rules.decoded(stored, target)
            if decoded is not stored:
                # Unknown fields were dropped, so what the patch said about sizes no longer holds.
                stored = dict(decoded)
                sizes = {name: jsonpatch.size_of(value) for name, value in stored.items()}
                spec_changed = any(stored.get(k) != old.get(k) for k in {*stored, *old} - _IDENTITY - {"status"})
        causes: list[StatusCause] = []
        if metadata is not before:
            causes += metadata_update_causes(before, metadata, annotation_bytes=self.limits.annotation_bytes)
        if spec_changed:
            causes += info.rules.update_causes(old, stored)
        if causes:
            raise errors.invalid(target, causes)
        raised = spec_changed and info.generation is Generation.COUNTED
        stored["metadata"] = _stamped(metadata, version=self._version + 1, raised=raised)
        sizes["metadata"] = _resized(sizes["metadata"], before, metadata, stored=stored["metadata"])
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
        return self._store_metadata(info, entry, _stamped(metadata, version=self._version + 1, raised=not marked))

    def _store_metadata(self, info: KindInfo, entry: _Entry, metadata: dict[str, Any]) -> Object:
        entry.obj = {**entry.obj, "metadata": metadata}
        entry.sizes = {**entry.sizes, "metadata": jsonpatch.size_of(metadata)}
        self._publish(EventType.MODIFIED, info.kind, entry.obj)
        return entry.obj

    def _remove(self, info: KindInfo, entry: _Entry) -> Object:
        metadata = _stamped(entry.obj["metadata"], version=self._version + 1, raised=False)
        last = {**entry.obj, "metadata": metadata}
        self._drop(info, last)
        self._publish(EventType.DELETED, info.kind, last)
        return last

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


def _metadata_of(body: Object, info: KindInfo) -> Mapping[str, Any]:
    """The metadata of a body that is to be stored as this kind; 400 if it is another kind's or cannot be read."""
    for field, expected in (("apiVersion", info.api_version), ("kind", info.kind)):
        if body.get(field, expected) != expected:
            if info.status is StatusMode.CUSTOM and field == "kind":
                name = (body.get("metadata") or {}).get("name", "")
                this = Target(info.group, info.plural, body[field], name)
                raise errors.invalid(this, [errors.wrong(field, body[field], f"must be {expected}")])
            raise errors.bad_request(
                f"{field} of the object ({body[field]}) does not match {info.api_version}, Kind={info.kind}"
            )
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise errors.bad_request(f"{info.kind} cannot be decoded: metadata is not an object")
    problem = mistyped(metadata)
    if problem is not None:
        raise errors.bad_request(
            f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: json: {problem}'
        )
    return metadata


def _writable(member: str, mode: StatusMode, *, subresource: str | None) -> bool:
    if mode is StatusMode.PLAIN:
        return True
    return (member == "status") is (subresource is not None)


def _settled(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata that an update asks for, the server's own fields put back; `before` itself if nothing changes."""
    settled = {k: v for k, v in wanted.items() if v is not None and (v or k not in _OMITTED_WHEN_EMPTY)}
    settled.pop("selfLink", None)
    for field in ("name", "namespace", "uid"):
        if field in before and not settled.get(field):
            settled[field] = before[field]
    for field in ("resourceVersion", "generation", "creationTimestamp"):
        if field in before:
            settled[field] = before[field]
        else:
            settled.pop(field, None)
    if "deletionTimestamp" in before:
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            settled[field] = before[field]
    return before if jsonpatch.same(settled, before) else settled


def _stamped(metadata: Mapping[str, Any], *, version: int, raised: bool) -> dict[str, Any]:
    stamped = {**metadata, "resourceVersion": str(version)}
    if raised and "generation" in stamped:
        stamped["generation"] += 1
    return stamped


def _resized(size: int, before: Mapping[str, Any], wanted: Mapping[str, Any], *, stored: Mapping[str, Any]) -> int:
    if wanted is not before:
        return jsonpatch.size_of(stored)
    # Nothing but the version and the generation changed: count their digits instead of reading all annotations again.
    size += len(stored["resourceVersion"]) - len(before["resourceVersion"])
    if "generation" in before:
        size += len(str(stored["generation"])) - len(str(before["generation"]))
    return size


def _unmet(target: Target, what: str, *, wanted: str, found: str) -> ApiError:
    return errors.conflict(
        target, f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    )


def check_preconditions(
    target: Target, metadata: Mapping[str, Any], *, uid: str | None, resource_version: str | None
) -> None:
    """Refuse the delete of an object that is not the one it means: 409 Conflict."""
    for what, wanted, found, happened in (
        ("UID", uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", resource_version, metadata["resourceVersion"], "modified"),
    ):
        if wanted is not None and wanted != found:
            # The server names the kind here, where all other conflicts name the resource.
            raise errors.conflict(
                Target(target.group, target.kind, target.kind, target.name),
                f"the {what} in the precondition ({wanted}) does not match the {what} in record ({found})."
                f" The object might have been {happened}",
            )


def _check_patched_names(document: Mapping[str, Any], old: Object) -> None:
    """Refuse a patch that would move the object to another name or namespace."""
    before, metadata = old["metadata"], document.get("metadata")
    if metadata is before or not (metadata is None or isinstance(metadata, Mapping)):
        return
    name = (metadata or {}).get("name")
    if not name:
        raise errors.bad_request(
            f"the name of the object ({before['name']} based on URL) was undeterminable: name must be provided"
        )
    if name != before["name"]:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({before['name']})"
        )
    if (metadata or {}).get("namespace") not in (None, "", before.get("namespace")):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
