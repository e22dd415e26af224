"""The CRD as the API server reads it, in Python: what it accepts, refuses, drops, and how it compares two versions.

Types, bounds and required fields by jsonschema-rs, CEL rules by cel-expr-python (the same language; tests/cluster asks
a real server the same questions). A null is "not given", as it is to the API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml
from cel_expr_python import cel  # type: ignore[import-untyped]  # it has no py.typed
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped]  # it has no py.typed

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
RULES: Final = "x-kubernetes-validations"
KEPT: Final = "x-kubernetes-preserve-unknown-fields"


@cache
def definition() -> dict[str, Any]:
    """The CustomResourceDefinition."""
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / "jobflow.crd.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def schema() -> dict[str, Any]:
    """Its OpenAPI schema."""
    (version,) = definition()["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def refusals(manifest: Mapping[str, Any]) -> list[str]:
    """Everything that a create is refused for, as `path: words`."""
    given = without_nulls(manifest, schema())
    return [*_shape(given), *(said for said in _rules(given, None, schema(), "") if said)]


def edit_refusals(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What an update from `old` to `new` is refused for."""
    before, after = without_nulls(old, schema()), without_nulls(new, schema())
    return [*_shape(after), *_rules(after, before, schema(), "")]


def dropped(manifest: Any, node: Mapping[str, Any] | None = None, path: str = "") -> Iterator[str]:
    """Paths of a manifest that no field of the schema declares: the API server would prune them."""
    node = schema() if node is None else node
    if isinstance(manifest, list):
        for index, item in enumerate(manifest):
            yield from dropped(item, node["items"], f"{path}[{index}]")
    elif isinstance(manifest, Mapping) and not node.get(KEPT) and path != ".metadata":
        for key, value in manifest.items():
            inner = node.get("properties", {}).get(key) or node.get("additionalProperties")
            if inner is None:
                yield f"{path}.{key}"
            else:
                yield from dropped(value, inner, f"{path}.{key}")


def without_nulls(value: Any, node: Mapping[str, Any]) -> Any:
    """The value as the API server sees it: nulls of declared fields are gone."""
    if isinstance(value, list):
        return [without_nulls(item, node.get("items", {})) for item in value]
    if not isinstance(value, Mapping) or node.get(KEPT):
        return value
    declared = node.get("properties", {})
    return {
        key: without_nulls(item, declared.get(key, {}))
        for key, item in value.items()
        if item is not None or key not in declared
    }


@cache
def _validator() -> Any:
    return jsonschema_rs.Draft7Validator(schema())


def _shape(manifest: Any) -> list[str]:
    return [
        "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in error.instance_path).lstrip(".")
        + f": {error.message}"
        for error in _validator().iter_errors(manifest)
    ]


@cache
def _environment() -> Any:
    variables = dict.fromkeys(("self", "oldSelf", "variables", "object", "oldObject", "request"), cel.Type.DYN)
    return cel.NewEnv(variables={**variables, "allowed": cel.Type.BOOL}, extensions=[ext_strings.ExtStrings()])


@cache
def _compiled(expression: str) -> Any:
    return _environment().compile(expression)


def answer(expression: str, **data: Any) -> Any:
    """What a CEL expression says; an error of it is one of the test."""
    result = _compiled(expression).eval(data=data)
    assert result.type() != cel.Type.ERROR, f"{expression}: {result.value()}"
    return result.plain_value()


def _rules(value: Any, old: Any, node: Mapping[str, Any], path: str) -> Iterator[str]:
    for rule in node.get(RULES, ()):
        expression, where = rule["rule"], f"{path}{rule.get('fieldPath', '')}".lstrip(".")
        if "oldSelf" in expression:
            if old is not None and not answer(expression, self=value, oldSelf=old):
                yield f"{where}: {rule['message']}"
        elif not answer(expression, self=value):
            yield f"{where}: {rule['message']}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            # A list that is not a map has no identity of items: what is below it has no old value.
            yield from _rules(item, None, node.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = node.get("properties", {}).get(key)
            if inner is not None:
                before = old.get(key) if isinstance(old, Mapping) else None
                yield from _rules(item, before, inner, f"{path}.{key}")
