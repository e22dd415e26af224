"""The rules for names, labels, annotations and owners that every Kubernetes object has to keep.

Source: k8s.io/apimachinery, validation of ObjectMeta. The functions on single words answer with the
server's own sentences, none if the word is fine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from zenflow_testing.errors import StatusCause, not_allowed, required, too_long, wrong

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_name_part = re.compile(_NAME_PART).fullmatch
_is_label_value = re.compile(f"({_NAME_PART})?").fullmatch

LABEL_BYTES = 63
SUBDOMAIN_BYTES = 253


def _at_most(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@lru_cache(maxsize=65_536)
def dns1123_label(value: str) -> tuple[str, ...]:
    """What keeps `value` from being a DNS-1123 label, the form of container names and host names."""
    problems = []
    if _bytes(value) > LABEL_BYTES:
        problems.append(_at_most(LABEL_BYTES))
    if not _is_label(value):
        if _is_subdomain(value):
            problems.append("must not contain dots")
        else:
            problems.append(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start"
                " and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
                f" '{_LABEL}')"
            )
    return tuple(problems)


@lru_cache(maxsize=65_536)
def dns1123_subdomain(value: str) -> tuple[str, ...]:
    """What keeps `value` from being a DNS-1123 subdomain, the form of most object names."""
    problems = []
    if _bytes(value) > SUBDOMAIN_BYTES:
        problems.append(f"must be no more than {SUBDOMAIN_BYTES} characters")
    if not _is_subdomain(value):
        problems.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
            " start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
            rf" '{_LABEL}(\.{_LABEL})*')"
        )
    return tuple(problems)


@lru_cache(maxsize=65_536)
def qualified_name(value: str) -> tuple[str, ...]:
    """What keeps `value` from being a qualified name, the form of label and annotation keys and finalizers."""
    shape = (
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
        " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
        " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )
    parts = value.split("/")
    if len(parts) > 2:
        return (f"a valid label key {shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    problems = []
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        else:
            problems.extend(f"prefix part {problem}" for problem in dns1123_subdomain(parts[0]))
    if not name:
        problems.append("name part must be non-empty")
    elif _bytes(name) > LABEL_BYTES:
        problems.append(f"name part {_at_most(LABEL_BYTES)}")
    if not _is_name_part(name):
        problems.append(f"name part {shape}")
    return tuple(problems)


@lru_cache(maxsize=65_536)
def label_value(value: str) -> tuple[str, ...]:
    """What keeps `value` from being a label value."""
    problems = []
    if _bytes(value) > LABEL_BYTES:
        problems.append(_at_most(LABEL_BYTES))
    if not _is_label_value(value):
        problems.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
            " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for"
            " validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    return tuple(problems)


def label_causes(labels: Mapping[str, str], field: str) -> list[StatusCause]:
    """What is wrong with a map of labels."""
    causes: list[StatusCause] = []
    for key, value in labels.items():
        causes.extend(wrong(field, key, problem) for problem in qualified_name(key))
        causes.extend(wrong(field, value, problem) for problem in label_value(value))
    return causes


def annotation_causes(annotations: Mapping[str, str], field: str, *, limit_bytes: int | None) -> list[StatusCause]:
    """What is wrong with a map of annotations; the limit is on all keys and values together."""
    causes: list[StatusCause] = []
    for key in annotations:
        causes.extend(wrong(field, key, problem) for problem in qualified_name(key.lower()))
    if limit_bytes is not None and sum(_bytes(k) + _bytes(v) for k, v in annotations.items()) > limit_bytes:
        causes.append(too_long(field, limit_bytes))
    return causes


def _owner_causes(owners: list[dict[str, Any]]) -> list[StatusCause]:
    field = "metadata.ownerReferences"
    causes: list[StatusCause] = []
    controller = ""
    for owner in owners:
        if not owner.get("apiVersion"):
            causes.append(wrong(f"{field}.apiVersion", "", "version must not be empty"))
        causes.extend(
            wrong(f"{field}.{part}", "", "must not be empty") for part in ("kind", "name", "uid") if not owner.get(part)
        )
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            causes.append(wrong(field, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller") is True:
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                causes.append(
                    wrong(
                        field,
                        owners,
                        'Only one reference can have Controller set to true. Found "true" in references for'
                        f" {controller} and {this}",
                    )
                )
            else:
                controller = this
    return causes


def metadata_causes(metadata: Mapping[str, Any], *, annotation_bytes: int | None) -> list[StatusCause]:
    """What is wrong with the metadata of an object that is to be created; its name has been generated by then."""
    causes: list[StatusCause] = []
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if prefix:
        # As the beginning of a name: it may end in a dash, which no name does.
        begun = f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
        causes.extend(wrong("metadata.generateName", prefix, problem) for problem in dns1123_subdomain(begun))
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes.extend(wrong("metadata.name", name, problem) for problem in dns1123_subdomain(name))
    causes.extend(_free_causes(metadata, annotation_bytes=annotation_bytes))
    return causes


def _free_causes(metadata: Mapping[str, Any], *, annotation_bytes: int | None) -> list[StatusCause]:
    causes: list[StatusCause] = []
    if labels := metadata.get("labels"):
        causes.extend(label_causes(labels, "metadata.labels"))
    if annotations := metadata.get("annotations"):
        causes.extend(annotation_causes(annotations, "metadata.annotations", limit_bytes=annotation_bytes))
    if owners := metadata.get("ownerReferences"):
        causes.extend(_owner_causes(owners))
    for finalizer in metadata.get("finalizers") or ():
        causes.extend(wrong("metadata.finalizers", finalizer, problem) for problem in qualified_name(finalizer))
    return causes


_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def metadata_update_causes(
    old: Mapping[str, Any], new: Mapping[str, Any], *, annotation_bytes: int | None
) -> list[StatusCause]:
    """What is wrong with a change of metadata: fields that belong to the server, and finalizers that come too late."""
    causes: list[StatusCause] = []
    if old.get("deletionTimestamp") is not None:
        before = old.get("finalizers") or ()
        late = sorted({f for f in new.get("finalizers") or () if f not in before})
        if late:
            listed = ", ".join(f'"{finalizer}"' for finalizer in late)
            causes.append(
                not_allowed(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers"
                    f" []string{{{listed}}}",
                )
            )
    causes.extend(
        wrong(f"metadata.{field}", new.get(field), "field is immutable")
        for field in _IMMUTABLE
        if new.get(field) != old.get(field)
    )
    causes.extend(_free_causes(new, annotation_bytes=annotation_bytes))
    return causes


def mistyped(metadata: Mapping[str, Any]) -> str | None:
    """The first field of metadata that does not hold what its type asks for, in words; None if all do.

    A server cannot even decode such a body, so this is 400 and comes before every other rule.
    """
    for field in ("name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp"):
        value = metadata.get(field)
        if value is not None and not isinstance(value, str):
            return f"metadata.{field} is {_json_type(value)}, not a string"
    for field in ("labels", "annotations"):
        mapping = metadata.get(field)
        if mapping is None:
            continue
        if not isinstance(mapping, Mapping):
            return f"metadata.{field} is {_json_type(mapping)}, not a map of strings"
        for key, value in mapping.items():
            if not isinstance(value, str):
                return f"metadata.{field}.{key} is {_json_type(value)}, not a string"
    for field in ("finalizers", "ownerReferences"):
        items = metadata.get(field)
        if items is None:
            continue
        if not isinstance(items, list):
            return f"metadata.{field} is {_json_type(items)}, not a list"
        wanted = str if field == "finalizers" else Mapping
        for index, item in enumerate(items):
            if not isinstance(item, wanted):
                return f"metadata.{field}[{index}] is {_json_type(item)}"
    return None


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case _:
            return "an object"
