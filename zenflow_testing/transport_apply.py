"""Server-side apply and strategic merge patches, as far as operators use them.

Both merge a partial object into a stored one; both know which lists are maps in disguise (containers by
name, owner references by uid) and which are one value. Apply also knows who set what: a *manager* owns the
fields of its last applied object. It may change and drop those; a field that somebody else has set to
another value since is a conflict, and `force` takes it over.

What others own is not recorded write by write: a value that no manager has applied belongs to "unknown".
Objects do not show metadata.managedFields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError, StatusCause, bad_request
from zenflow_testing.jsonpatch import same
from zenflow_testing.kinds import Object

Json: TypeAlias = Any
Item: TypeAlias = tuple[tuple[str, Json], ...]
Path: TypeAlias = "tuple[str | Item, ...]"
Leaves: TypeAlias = dict[Path, Json]
Keys: TypeAlias = tuple[str, ...]
ListKeys: TypeAlias = "Callable[[Path], Keys | None]"
"""The fields by which the items of the list at a path are told apart; empty for a set of words; None: one value."""

_METADATA_LISTS: Final[Mapping[str, Keys]] = {"ownerReferences": ("uid",), "finalizers": ()}
_LISTS: Final[Mapping[str, Keys]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "conditions": ("type",),
}
_KEY_DEFAULTS: Final = {"protocol": "TCP"}
# Maps that are one value: whoever sets a part sets the whole.
_ATOMIC_MAPS: Final = frozenset(
    {
        "selector",
        "nodeSelector",
        "configMapKeyRef",
        "secretKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "involvedObject",
        "related",
        "dataSource",
    }
)
_ABSENT: Final = object()
_UNKNOWN: Final = "unknown"


def apply_lists(kind: str, *, custom: bool) -> ListKeys:
    """The lists of a kind that server-side apply merges. Custom resources have none but those of their metadata."""

    def keys(path: Path) -> Keys | None:
        name = path[-1]
        if not isinstance(name, str):
            return None
        if path[0] == "metadata":
            return _METADATA_LISTS.get(name) if len(path) == 2 else None
        if custom or (kind == "Job" and name == "conditions"):
            return None
        return _LISTS.get(name)

    return keys


def strategic_lists(path: Path) -> Keys | None:
    """The lists that a strategic merge patch merges."""
    name = path[-1]
    if not isinstance(name, str):
        return None
    if path[0] == "metadata":
        return _METADATA_LISTS.get(name) if len(path) == 2 else None
    return ("containerPort",) if name == "ports" else _LISTS.get(name)


# Merging


def strategically_merged(document: Object, patch: Object) -> dict[str, Any]:
    """The document after a strategic merge patch: null removes, known lists merge item by item.

    `$patch: delete` and `$patch: replace` are obeyed; other directives raise 400.
    """
    merged = _merge(document, patch, path=(), keys=strategic_lists, atomic=frozenset())
    assert isinstance(merged, dict)
    return merged


def _merge(old: Json, new: Json, *, path: Path, keys: ListKeys, atomic: frozenset[str]) -> Json:
    if isinstance(new, dict):
        if new.get("$patch") == "replace" or (path and path[-1] in atomic):
            return _without_nulls({name: value for name, value in new.items() if name != "$patch"})
        merged = dict(old) if isinstance(old, Mapping) else {}
        for name, value in new.items():
            if name.startswith("$"):
                if name.startswith("$setElementOrder/"):
                    continue
                raise bad_request(f"this server does not know the directive {name} of a strategic merge patch")
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = _merge(merged.get(name), value, path=(*path, name), keys=keys, atomic=atomic)
        return merged
    if isinstance(new, list) and path:
        by = keys(path)
        if by is not None:
            return _merge_items(old if isinstance(old, list) else [], new, path=path, by=by, keys=keys, atomic=atomic)
    return _without_nulls(new)


def _merge_items(
    old: list[Json], new: list[Json], *, path: Path, by: Keys, keys: ListKeys, atomic: frozenset[str]
) -> list[Json]:
    if not by:
        return [*old, *(word for word in dict.fromkeys(new) if word not in old)]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in new):
        return [item for item in new if not (isinstance(item, dict) and item.get("$patch") == "replace")]
    merged = list(old)
    for item in new:
        key = _key_of(item, by, path=path)
        at = next((i for i, other in enumerate(merged) if _key_of(other, by, path=path) == key), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(_merge({}, item, path=(*path, key), keys=keys, atomic=atomic))
        else:
            merged[at] = _merge(merged[at], item, path=(*path, key), keys=keys, atomic=atomic)
    return merged


def _key_of(item: Json, by: Keys, *, path: Path) -> Item:
    if not isinstance(item, Mapping):
        raise bad_request(f"{_shown(path)}: every item has to be an object")
    key = tuple((name, item.get(name, _KEY_DEFAULTS.get(name))) for name in by)
    for name, value in key:
        if value is None:
            raise bad_request(f"{_shown(path)}: an item has no {name!r}, by which the items are told apart")
    return key


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value


def merge_patch(old: Object, new: Object) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes `new` of `old`; empty if they are the same."""
    patch: dict[str, Any] = {}
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if before is _ABSENT:
            patch[name] = value
        elif isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[name] = inner
        elif not same(before, value):
            patch[name] = value
    patch.update((name, None) for name in old if name not in new)
    return patch


# Ownership


def leaves_of(value: Json, *, keys: ListKeys, path: Path = ()) -> Leaves:
    """Every field that an applied object sets, by its path; lists and maps that are one value count as one."""
    found: Leaves = {}
    if isinstance(value, dict) and value and not (path and path[-1] in _ATOMIC_MAPS):
        for name, inner in value.items():
            found.update(leaves_of(inner, keys=keys, path=(*path, name)))
        return found
    by = keys(path) if isinstance(value, list) and path else None
    if by is None:
        found[path] = value
    elif not by:
        found.update({(*path, (("", word),)): word for word in value})
    else:
        for item in value:
            found.update(leaves_of(item, keys=keys, path=(*path, _key_of(item, by, path=path))))
    return found


def _value_at(document: Json, path: Path) -> Json:
    here = document
    for step in path:
        if isinstance(step, str):
            if not isinstance(here, Mapping) or step not in here:
                return _ABSENT
            here = here[step]
            continue
        if not isinstance(here, list):
            return _ABSENT
        if step[0][0] == "":
            here = step[0][1] if step[0][1] in here else _ABSENT
        else:
            here = next((item for item in here if _is_item(item, step)), _ABSENT)
    return here


def _is_item(item: Json, key: Item) -> bool:
    return isinstance(item, Mapping) and all(item.get(name, _KEY_DEFAULTS.get(name)) == value for name, value in key)


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        if isinstance(step, str):
            text += f".{step}"
        elif step[0][0] == "":
            text += f'[="{step[0][1]}"]'
        else:
            text += "[" + ",".join(f'{name}="{value}"' for name, value in step) + "]"
    return text


def _removed(document: Json, gone: set[Path], *, path: Path, keys: ListKeys, wanted: Leaves) -> Json:
    """The document without the leaves that are gone, and without what becomes empty by that and is not wanted so."""
    if isinstance(document, dict):
        left: dict[str, Any] = {}
        for name, value in document.items():
            here = (*path, name)
            if here in gone:
                continue
            if any(each[: len(here)] == here for each in gone):
                value = _removed(value, gone, path=here, keys=keys, wanted=wanted)
                if value in ({}, []) and here not in wanted:
                    continue
            left[name] = value
        return left
    by = keys(path)
    # Only lists that are told apart by keys have leaves below them.
    assert by is not None
    assert isinstance(document, list)
    if not by:
        return [word for word in document if (*path, (("", word),)) not in gone]
    items = []
    for item in document:
        key = _key_of(item, by, path=path)
        below = {each for each in gone if each[: len(path) + 1] == (*path, key)}
        # The key goes last: as long as somebody else's field is there, the item needs its name.
        keyed = {(*path, key, name) for name in by}
        rest = _removed(item, below - keyed, path=(*path, key), keys=keys, wanted=wanted)
        if not (below & keyed and set(rest) <= set(by)):
            items.append(rest)
    return items


class Managers:
    """What each field manager has last applied to the objects of a cluster."""

    def __init__(self) -> None:
        self._applied: dict[tuple[str, str, str, str], tuple[str, dict[str, Leaves]]] = {}

    def of(self, kind: str, obj: Object, *, subresource: str | None) -> dict[str, Leaves]:
        """Leaves by manager of one object; forgotten as soon as another object has its name."""
        metadata = obj["metadata"]
        place = (kind, metadata.get("namespace", ""), metadata["name"], subresource or "")
        uid, managers = self._applied.get(place, ("", {}))
        if uid != metadata["uid"]:
            managers = {}
            self._applied[place] = metadata["uid"], managers
        return managers


_MANAGERS: WeakKeyDictionary[Cluster, Managers] = WeakKeyDictionary()


def managers_of(cluster: Cluster) -> Managers:
    """The managers of a cluster: they belong to it, not to the connection that they came by."""
    found = _MANAGERS.get(cluster)
    if found is None:
        found = _MANAGERS[cluster] = Managers()
    return found


DEFAULTED: Final = ""
"""The manager of what the server itself filled in when an apply created an object: anybody may take it."""


def applied(
    live: Object, wanted: Object, *, managers: dict[str, Leaves], manager: str, keys: ListKeys, force: bool
) -> tuple[dict[str, Any], dict[str, Leaves]]:
    """The object after an apply, and what every manager owns then. Raises 409 with every conflict."""
    new = leaves_of(wanted, keys=keys)
    old = managers.get(manager, {})
    conflicts: list[tuple[str, Path]] = []
    for path, value in new.items():
        here = _value_at(live, path)
        if here is _ABSENT or same(here, value):
            continue
        if value == {} and isinstance(here, Mapping) and path[-1] not in _ATOMIC_MAPS:
            # An empty map asks for nothing inside.
            continue
        owner = _owner(path, here, managers=managers, manager=manager)
        if owner is not None:
            conflicts.append((owner, path))
    if conflicts and not force:
        raise _conflict(conflicts)
    after = {name: dict(leaves) for name, leaves in managers.items()}
    for _, path in conflicts:
        for leaves in after.values():
            leaves.pop(path, None)
    after[manager] = new
    shared = {path for name, leaves in after.items() if name != manager for path in leaves}
    gone = {
        path
        for path, value in old.items()
        if _value_at(wanted, path) is _ABSENT and path not in shared and same(_value_at(live, path), value)
    }
    document = _merge(live, wanted, path=(), keys=keys, atomic=_ATOMIC_MAPS)
    if gone:
        document = _removed(document, gone, path=(), keys=keys, wanted=new)
    return document, after


def _owner(path: Path, here: Json, *, managers: Mapping[str, Leaves], manager: str) -> str | None:
    """Who would lose the field at `path` if `manager` changed it; None if nobody would mind."""
    for name, leaves in managers.items():
        if name not in (manager, DEFAULTED) and same(leaves.get(path, _ABSENT), here):
            return name
    for name in (manager, DEFAULTED):
        if same(managers.get(name, {}).get(path, _ABSENT), here):
            return None
    return _UNKNOWN


def _conflict(conflicts: list[tuple[str, Path]]) -> ApiError:
    causes = tuple(
        StatusCause("FieldManagerConflict", _shown(path), f'conflict with "{name}"') for name, path in conflicts
    )
    if len(conflicts) == 1:
        name, path = conflicts[0]
        message = f'Apply failed with 1 conflict: conflict with "{name}": {_shown(path)}'
    else:
        parts = []
        for name in sorted({name for name, _ in conflicts}):
            parts.append(f'conflicts with "{name}":')
            parts.extend(f"- {_shown(path)}" for other, path in conflicts if other == name)
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(parts)
    return ApiError(409, "Conflict", message=message, causes=causes)
