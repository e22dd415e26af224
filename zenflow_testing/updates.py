"""What an update makes of the metadata that it brings: checked, and the server's own fields put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenflow_testing import errors, jsonpatch
from zenflow_testing.errors import ApiError, Target
from zenflow_testing.kinds import KindInfo, Object, StatusMode
from zenflow_testing.object_meta import mistyped

IDENTITY = frozenset({"apiVersion", "kind", "metadata"})
OMITTED_WHEN_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")


def metadata_of(body: Object, info: KindInfo) -> Mapping[str, Any]:
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


def writable(member: str, mode: StatusMode, *, subresource: str | None) -> bool:
    """Whether a request may change this member: the status through its subresource, all else without one."""
    if mode is StatusMode.PLAIN:
        return True
    return (member == "status") is (subresource is not None)


def settled(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata that an update asks for, the server's own fields put back; `before` itself if nothing changes."""
    metadata = {k: v for k, v in wanted.items() if v is not None and (v or k not in OMITTED_WHEN_EMPTY)}
    metadata.pop("selfLink", None)
    for field in ("name", "namespace", "uid"):
        if field in before and not metadata.get(field):
            metadata[field] = before[field]
    for field in ("resourceVersion", "generation", "creationTimestamp"):
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    if "deletionTimestamp" in before:
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata[field] = before[field]
    return before if jsonpatch.same(metadata, before) else metadata


def stamped(metadata: Mapping[str, Any], *, version: int, raised: bool) -> dict[str, Any]:
    """The metadata at that version, its generation one higher if what is wanted has changed."""
    new = {**metadata, "resourceVersion": str(version)}
    if raised and "generation" in new:
        new["generation"] += 1
    return new


def resized(size: int, before: Mapping[str, Any], wanted: Mapping[str, Any], *, stored: Mapping[str, Any]) -> int:
    """The bytes of the metadata as stored, from its `size` before the write. O(1) if only the stamp changed."""
    if wanted is not before:
        return jsonpatch.size_of(stored)
    # Nothing but the version and the generation changed: count their digits instead of reading all annotations again.
    size += len(stored["resourceVersion"]) - len(before["resourceVersion"])
    if "generation" in before:
        size += len(str(stored["generation"])) - len(str(before["generation"]))
    return size


def unmet(target: Target, what: str, *, wanted: str, found: str) -> ApiError:
    """409: the update means an object that is not the one here."""
    return errors.conflict(
        target, f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    )


def check_patched_names(document: Mapping[str, Any], old: Object) -> None:
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
