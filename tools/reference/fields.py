"""docs/reference/fields.md: every field of a JobFlow, from the CRD, with the defaults that the code fills in.

One section an object, one row a field. Objects that the CRD describes once and uses in several places (a step, a store)
are one section, too; the other places link to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_origin

import attrs
import yaml
from attrs import field, frozen

from tools.reference.tables import table
from zenflow_core import limits
from zenflow_core.codec_problems import wire_name
from zenflow_core.spec import API_VERSION, GROUP, JobFlowSpec

CRD: Final = Path(__file__).parents[2] / "schemas" / "jobflow.crd.yaml"

Schema = Mapping[str, Any]

_KEPT: Final = "x-kubernetes-preserve-unknown-fields"
_RULES: Final = "x-kubernetes-validations"
_FIXED: Final = re.compile(r"(?P<field>\w+) cannot be changed once the flow exists")

_PATTERNS: Final = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": "a DNS-1123 subdomain",
    r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$": (
        "letters, digits, `-` and `.`, with a letter or digit at both ends and around each `.`"
    ),
    r"^(\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$": "a duration of Go",
    r"^(/|$)": "absolute",
    r"^/": "absolute",
    r"^[^/]+/.": "STEP/ARTIFACT",
    r"\S": "not empty",
    r"^[0-9a-f]{64}$": "64 digits of `0`-`9`, `a`-`f`",
}
"""In words, what the CRD's regular expressions ask for."""

_FILLED_IN: Final = {
    "spec.steps[].retryPolicy.limit": limits.RETRY_LIMIT_DEFAULT,
    "spec.steps[].retryPolicy.backoff.duration": limits.BACKOFF_DURATION_DEFAULT,
    "spec.steps[].retryPolicy.backoff.factor": limits.BACKOFF_FACTOR_DEFAULT,
    "spec.steps[].retryPolicy.backoff.maxDuration": limits.BACKOFF_DURATION_MAX,
}
"""Defaults that neither the CRD nor `spec.py` has, since "not given" has to be seen there."""

_PAGE: Final = f"""\
# Every field of a JobFlow

`apiVersion: {API_VERSION}`, `kind: JobFlow`; the full name of the resource is `jobflows.{GROUP}`, since
others have a kind of that name, too. `metadata` is that of every object; a flow has a `name` or a `generateName`.

This page is made from the CustomResourceDefinition by `python -m tools.make_reference`; `kubectl explain jobflow.spec`
shows the same. [Validation rules](../validation-rules.md) has what else a flow has to satisfy, and the page of each
concern, from [the index](../index.md), what the fields are good for.

A field that is *fixed* cannot be changed once the flow exists; all others can, and count from the next decision on. A
list is replaced as a whole by `kubectl apply`.
"""


@frozen
class Section:
    """One object of the schema: where it is first met, and the class of `spec.py` that has its defaults."""

    path: str
    schema: Schema
    kind: Any = None
    fixed: frozenset[str] = field(default=frozenset())


def page() -> str:
    """The page."""
    (version,) = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    fixed = frozenset(
        found["field"] for rule in (*schema[_RULES], *spec[_RULES]) if (found := _FIXED.match(rule["message"]))
    )
    sections = [
        *_sections(Section("spec", spec, kind=JobFlowSpec, fixed=fixed), set()),
        *_sections(Section("status", status), set()),
    ]
    homes = {id(section.schema): section.path for section in sections}
    return "\n".join((_PAGE, *(_section(section, homes) for section in sections)))


def field_paths(section: Section) -> Iterator[str]:
    """The full path of each field of an object."""
    return (f"{section.path}.{name}" for name in section.schema["properties"])


def _sections(section: Section, met: set[int]) -> Iterator[Section]:
    """An object, and the objects below it that have not been met; depth first, as the fields stand."""
    met.add(id(section.schema))
    yield section
    for name, schema in section.schema["properties"].items():
        inner, suffix = (schema["items"], "[]") if schema.get("type") == "array" else (schema, "")
        if "properties" in inner and id(inner) not in met:
            attribute = _attribute(section.kind, name)
            path = f"{section.path}.{name}{suffix}"
            yield from _sections(Section(path, inner, kind=attribute and _bare(attribute.type)), met)


def _section(section: Section, homes: Mapping[int, str]) -> str:
    required = section.schema.get("required", ())
    rows = []
    for name, schema in section.schema["properties"].items():
        default = "required" if name in required else _default(section, name, schema)
        words = _prose(schema.get("description", ""))
        if name in section.fixed:
            words = f"*Fixed.* {words}"
        rows.append((f"`{name}`", _type(schema, homes), default, _bounds(schema), words))
    parts = [f"## {section.path}\n"]
    if about := section.schema.get("description"):
        parts.append(f"{_prose(about)}\n")
    parts.append(table(("field", "type", "default", "allowed", "meaning"), rows) + "\n")
    rules = [rule["message"] for rule in section.schema.get(_RULES, ()) if not _FIXED.match(rule["message"])]
    parts += [f"- {_prose(message)}" for message in rules]
    return "\n".join(parts) + ("\n" if rules else "")


def _prose(text: str) -> str:
    """A text of the CRD, which is no Markdown but for its backticks."""
    return re.sub(r"([*<\[])", r"\\\1", text)


def _type(schema: Schema, homes: Mapping[int, str]) -> str:
    if id(schema) in homes:
        path = homes[id(schema)]
        return f"[object](#{_anchor(path)})"
    match schema:
        case {"type": "array", "items": items}:
            return f"list of {_type(items, homes)}"
        case {"additionalProperties": {"type": inner}}:
            return f"map of {inner}"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": "object"}:
            assert schema.get(_KEPT), "an object without fields keeps what it is given"
            return "any object"
        case _:
            return str(schema["type"])


def _anchor(path: str) -> str:
    return re.sub(r"[^\w-]", "", path.lower())


def _bounds(schema: Schema) -> str:
    """What a value has to be, in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    said = []
    if "enum" in schema:
        said.append(", ".join(f"`{value}`" for value in schema["enum"]))
    if low is not None and high is not None:
        said.append(f"{low} to {high}")
    elif low is not None:
        said.append(f"from {low}")
    if "maxLength" in schema:
        said.append(f"at most {schema['maxLength']} characters")
    if schema.get("minLength") or schema.get("minItems"):
        said.append("not empty")
    if "maxItems" in schema:
        said.append(f"at most {schema['maxItems']} items")
    if "pattern" in schema:
        said.append(_PATTERNS[schema["pattern"]])
    return ", ".join(said)


def _default(section: Section, name: str, schema: Schema) -> str:
    """What holds where the field is not given; the CRD's own default first."""
    if schema.get("default"):
        return _value(schema["default"])
    if f"{section.path}.{name}" in _FILLED_IN:
        return _value(_FILLED_IN[f"{section.path}.{name}"])
    attribute = _attribute(section.kind, name)
    if attribute is None or not isinstance(attribute.default, (bool, Enum)):
        return ""
    return _value(attribute.default)


def _value(value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`{value.value}`"
        case timedelta() if value >= timedelta(hours=1):
            return f"`{value // timedelta(hours=1)}h`"
        case timedelta():
            return f"`{value // timedelta(seconds=1)}s`"
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def _attribute(kind: Any, name: str) -> Any:
    """The attribute of a class of `spec.py` by its name in JSON."""
    if kind is None or not attrs.has(kind):
        return None
    attrs.resolve_types(kind)
    return next(attribute for attribute in attrs.fields(kind) if wire_name(attribute) == name)


def _bare(kind: Any) -> Any:
    """The class in `X | None` and in `tuple[X, ...]`."""
    if get_origin(kind) is UnionType:
        return next(each for each in get_args(kind) if each is not type(None))
    return get_args(kind)[0] if get_origin(kind) is tuple else kind
