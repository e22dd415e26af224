"""Writes what follows from `schemas/*.yaml`: schemas/jobflow.schema.json for editors, and the package's copies.

Run it after each change there (`python tools/make_schemas.py`); tests/schemas/test_made.py fails until then.
The JSON Schema (draft 2020-12) is the CRD's, with these differences: an unknown field is an error, since an editor is
where it can still be seen; `status` is left out of what is described, as nobody writes it by hand; CEL rules have no
counterpart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from zenflow_core.spec import API_VERSION, KIND

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "schemas"
COPIES = ROOT / "zenflow_runtime" / "data"
JSON_SCHEMA = SCHEMAS / "jobflow.schema.json"

KEPT = "x-kubernetes-preserve-unknown-fields"


def crd_schema() -> dict[str, Any]:
    """The OpenAPI schema of the CRD."""
    crd = yaml.safe_load((SCHEMAS / "jobflow.crd.yaml").read_text(encoding="utf-8"))
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def for_editors(node: Any) -> Any:
    """A node of the CRD's schema as JSON Schema."""
    if isinstance(node, list):
        return [for_editors(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: for_editors(value) for key, value in node.items() if not key.startswith("x-kubernetes-")}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object" and KEPT not in node:
        out["additionalProperties"] = False
    return out


def json_schema() -> dict[str, Any]:
    """The schema of a manifest."""
    schema = crd_schema()
    spec = for_editors(schema["properties"]["spec"])
    # One description of a step for both lists: half the size, and editors show it by its name.
    step = spec["properties"]["steps"]["items"]
    assert spec["properties"]["finally"]["items"] == step
    for segment in ("steps", "finally"):
        spec["properties"][segment]["items"] = {"$ref": "#/$defs/step"}
    names = {"name": {"type": "string", "maxLength": 253}, "generateName": {"type": "string", "maxLength": 253}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": KIND,
        "description": schema["description"],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": {
                "type": "object",
                "properties": names,
                "anyOf": [{"required": [name]} for name in names],
            },
            "spec": spec,
            "status": {"type": "object"},
        },
        "additionalProperties": False,
        "$defs": {"step": step},
    }


def made() -> dict[Path, str]:
    """What is written where."""
    files = {COPIES / path.name: path.read_text(encoding="utf-8") for path in sorted(SCHEMAS.glob("*.yaml"))}
    return {**files, JSON_SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"}


if __name__ == "__main__":
    COPIES.mkdir(exist_ok=True)
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
