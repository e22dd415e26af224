"""A Job manifest against the schema of batch/v1: every wrong type, missing and unknown field, with its path.

The schema says how Kubernetes reads a Job; where the API server is more lenient
than its published schema, so are we: what it fills in by itself is not missing
(and null, the same as absent, has been taken out before). jsonschema-rs is imported when the first
template is checked (about 10 ms, then under a microsecond a template).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from zenflow_core.checks.finding import Finding, is_open
from zenflow_core.checks.syntax import shown, some_of
from zenflow_core.nearest import instead
from zenflow_core.placeholder_values import FieldType, convert
from zenflow_core.placeholders import Path
from zenflow_core.problems import below

if TYPE_CHECKING:
    import jsonschema_rs

_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_CONVERTED: Final[tuple[FieldType, ...]] = ("integer", "number", "boolean")
"""What a placeholder that is the whole of a text can become."""

_REPORTED_ELSEWHERE: Final = frozenset({"containers", "template", "name", "mountPath", "image"})
"""Required fields of containers, mounts and volumes, for which `job.check_job` has better words."""

_FILLED_IN: Final = frozenset({"status"})
"""Required by the published schema, filled in by the API server (podFailurePolicy, onPodConditions: True)."""


def check_schema(job: Mapping[str, Any]) -> Iterator[Finding]:
    """What in `metadata` and `spec` of a Job manifest has not the shape that batch/v1 asks for."""
    part = {key: job[key] for key in ("metadata", "spec") if job.get(key) is not None}
    try:
        if _validator().is_valid(part):
            return
        errors = list(_validator().iter_errors(part))
    except (ValueError, RecursionError) as unreadable:
        what = f"the template cannot be read as JSON: {unreadable}"
        yield Finding("ZF507", "", what, "write plain JSON or YAML values")
        return
    for error in errors:
        yield from _finding(error, part)


def _finding(error: jsonschema_rs.ValidationError, part: Mapping[str, Any]) -> Iterator[Finding]:
    places = list(error.instance_path)
    path = ""
    for place in places:
        path = below(path, place)
    value: Any = part
    for place in places:
        value = value[place]
    kind: Any = error.kind
    match kind.name:
        case "type":
            yield from _wrong_type(value, kind.types, path)
        case "anyOf":
            yield from _wrong_type(value, ["integer", "string"], path)
        case "required":
            if kind.property not in _REPORTED_ELSEWHERE | _FILLED_IN:
                yield Finding("ZF507", below(path, kind.property), "the field is missing", f"add {kind.property}")
        case "additionalProperties":
            known = _known(error)
            for name in kind.unexpected:
                what = f"unknown field {shown(name)}, which Kubernetes drops"
                yield Finding("ZF508", below(path, name), what, instead(name, known, "remove it"))
        case _:
            yield Finding("ZF507", path, error.message, "write what the Job API asks for")


def _wrong_type(value: Any, types: list[str], path: str) -> Iterator[Finding]:
    if is_open(value) and any(kind in types for kind in _CONVERTED):
        return
    found = _said(value)
    expected = " or ".join(_KINDS[name] for name in types)
    fix = f"write {expected}"
    if types == ["string"] and isinstance(value, (bool, int, float)):
        fix = f"put it in quotes: {json.dumps(json.dumps(value))}"
    elif isinstance(value, str) and any(kind in types and convert(value, kind) is not None for kind in _CONVERTED):
        fix = f"write {value.strip()} without quotes"
    elif types == ["array"] and isinstance(value, str):
        fix = f"write a list: [{json.dumps(value)}]" if len(value) < 40 else "write a list"
    yield Finding("ZF507", path, f"expected {expected}, found {found}", fix)


def _said(value: Any) -> str:
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return f"the number {value!r}"
        case str():
            return f"the text {shown(value)}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"a mapping ({some_of(list(map(str, value)), 3)})"


def _known(error: jsonschema_rs.ValidationError) -> list[str]:
    """The fields that the schema knows at the place of an error."""
    node: Any = _schema()
    for key in list(error.schema_path)[:-1]:
        node = node[key]
    return list(node.get("properties", ()))


@lru_cache(maxsize=4096)
def field_type(path: Path) -> FieldType | None:
    """The type of the field at a path of a Job manifest, for the conversion of placeholders; None if unknown."""
    node: Any = _schema()
    for place in path:
        node = _resolved(node)
        if isinstance(place, int):
            node = node.get("items", {})
        else:
            properties = node.get("properties", {})
            node = properties[place] if place in properties else node.get("additionalProperties") or {}
        if not isinstance(node, dict):
            return None
    node = _resolved(node)
    if "anyOf" in node:
        return "int-or-string"
    match node.get("type"):
        case "string" | "integer" | "boolean" | "number" as kind:
            found: FieldType = kind
            return found
        case list():
            return "quantity"
        case _:
            return None


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = _schema()
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    from zenflow_core._job_schema import JOB_TEMPLATE_SCHEMA  # with the validator, when first needed

    schema: dict[str, Any] = json.loads(JOB_TEMPLATE_SCHEMA)
    return schema


@lru_cache(maxsize=1)
def _validator() -> jsonschema_rs.Validator:
    import jsonschema_rs  # a native library that flows of approvals never need

    from zenflow_core._job_schema import JOB_TEMPLATE_SCHEMA

    return jsonschema_rs.validator_for(JOB_TEMPLATE_SCHEMA)
