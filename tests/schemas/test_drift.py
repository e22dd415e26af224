"""The CRD and the code say the same: fields, types, bounds, names in policies; and what is made is up to date."""

from __future__ import annotations

import json
import re
import runpy
import types
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NewType, get_args, get_origin

import attrs
import jsonschema_rs
import pytest
import yaml

from tests.schemas.crd import KEPT, SCHEMAS, definition, schema
from zenflow_core import limits, names
from zenflow_core.codec_problems import wire_name
from zenflow_core.limits import INT32_MAX, INT64_MAX
from zenflow_core.spec import API_VERSION, GROUP, KIND, JobFlowSpec

SPEC = schema()["properties"]["spec"]

# --- spec.py -> CRD --------------------------------------------------------------------------------------------------

NARROWER: Mapping[str, Mapping[str, Any]] = {
    # What validation adds to the types and bounds of spec.py, by the last part of the path.
    "timeoutSeconds": {"maximum": limits.STEP_TIMEOUT_SECONDS},
    "factor": {"minimum": 1},
    "values[]": {"minimum": 0, "maximum": 255, "format": "int32"},
    "when": {"maxLength": limits.EXPRESSION_CHARACTERS},
    "jsonPath": {"minLength": 1, "maxLength": limits.JSON_PATH_CHARACTERS},
    "value": {"maxLength": limits.PARAMETER_VALUE_BYTES},
    "default": {"maxLength": limits.PARAMETER_VALUE_BYTES},
    "enum[]": {"maxLength": limits.PARAMETER_VALUE_BYTES},
    "name": {"maxLength": limits.NAME_CHARACTERS},
    "key": {},
    "dependencies[]": {"minLength": 1, "maxLength": limits.NAME_CHARACTERS},
    "templateRef": {"minLength": 1, "maxLength": limits.NAME_CHARACTERS},
    "parameter": {"maxLength": limits.NAME_CHARACTERS},
    "uid": {"minLength": 1, "maxLength": limits.NAME_CHARACTERS},
    "url": {"minLength": 1},
    "sizeLimit": {"minLength": 1, "maxLength": 64},
}
NOT_COMPARED = {"description", "pattern", "default", "x-kubernetes-validations", "x-kubernetes-list-type"}
"""Words, and what tests/schemas/test_crd.py plays."""


def expected(kind: Any, path: str, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a type of spec.py, without what is not compared."""
    last = path.rpartition(".")[2]
    if isinstance(kind, NewType):
        return expected(kind.__supertype__, path, bounds)
    if get_origin(kind) is types.UnionType:
        return expected(next(each for each in get_args(kind) if each is not type(None)), path, bounds)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": expected(get_args(kind)[0], path + "[]", {})}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"type": "string", "enum": [*kind]}
    if attrs.has(kind):
        return expected_object(kind, path)
    if get_origin(kind) is not None:  # a mapping
        return {"type": "object", KEPT: True} if get_args(kind)[1] is Any else TEXTS
    simple = {str: {"type": "string"}, bool: {"type": "boolean"}, float: {"type": "number"}, int: {"type": "integer"}}
    return {**simple[kind], **number_bounds(bounds), **NARROWER.get(last, {})}


TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def number_bounds(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if "minimum" not in metadata:
        return {}
    if metadata["maximum"] == INT64_MAX:
        return {"format": "int64", "minimum": metadata["minimum"]}
    assert metadata["maximum"] == INT32_MAX
    return {"format": "int32", "minimum": metadata["minimum"], "maximum": INT32_MAX}


def expected_object(kind: Any, path: str) -> dict[str, Any]:
    attrs.resolve_types(kind)
    required = [wire_name(field) for field in attrs.fields(kind) if field.default is attrs.NOTHING]
    properties = {
        wire_name(field): expected(field.type, f"{path}.{wire_name(field)}", field.metadata)
        for field in attrs.fields(kind)
    }
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def compared(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node of the CRD without what is not compared."""
    out = {key: value for key, value in node.items() if key not in NOT_COMPARED}
    if "properties" in out:
        out["properties"] = {name: compared(inner) for name, inner in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = compared(out[key])
    return out


def leaves(node: Any, path: str = "spec") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}")
    else:
        yield path, node


LIST_BOUNDS = {"minItems", "maxItems"}


def test_every_field_of_the_spec_is_in_the_crd_with_its_type_and_bounds_and_nothing_else_is() -> None:
    code = dict(leaves(expected_object(JobFlowSpec, "spec")))
    crd = {path: value for path, value in leaves(compared(SPEC)) if path.rpartition(".")[2] not in LIST_BOUNDS}
    odd = {path for path in crd.keys() | code.keys() if crd.get(path) != code.get(path)}
    # Names of objects elsewhere: not empty, but not judged.
    odd -= {path for path in odd if path.rpartition(".")[2] == "minLength" and crd.get(path) == 1}
    odd -= {path for path in odd if re.search(r"\.\w+Ref\.properties\.key\.", path)}
    assert {path: (crd.get(path), code.get(path)) for path in odd} == {}


def test_it_is_the_api_that_the_code_reads() -> None:
    spec = definition()["spec"]
    (version,) = spec["versions"]
    assert f"{spec['group']}/{version['name']}" == API_VERSION
    assert spec["names"]["kind"] == KIND
    assert spec["names"]["shortNames"] == ["jf", "flow"]
    assert spec["names"]["categories"] == ["all"]


# --- bounds of lists, which bound what CEL costs ---------------------------------------------------------------------

RULE_COST = 9_900_000
"""The API server refuses a CRD with a rule that could cost 10 million; a little is left."""


def test_rules_over_all_steps_stay_within_the_budget_of_the_api_server() -> None:
    for segment in ("steps", "finally"):
        found = SPEC["properties"][segment]
        step = found["items"]["properties"]
        steps, dependencies = found["maxItems"], step["dependencies"]["maxItems"]
        assert steps * dependencies <= RULE_COST
        assert dependencies == steps - 1, "a step may wait for all others"
        assert steps <= limits.STEPS
        for group in ("inputs", "outputs"):
            for each in step[group]["properties"].values():
                assert steps * each["maxItems"] * 12 <= RULE_COST


def test_lists_that_grow_with_the_flow_are_atomic() -> None:
    """A list that is a map costs the API server twice the bytes and three times the time."""

    def lists(node: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, Mapping):
            if node.get("type") == "array":
                yield path, node.get("x-kubernetes-list-type")
            for key, value in node.items():
                yield from lists(value, f"{path}.{key}" if key not in ("properties", "items") else path)

    kinds = dict(lists(schema(), ""))
    assert {path for path, kind in kinds.items() if kind != "atomic"} == {".status.conditions"}


# --- policies --------------------------------------------------------------------------------------------------------


def test_the_approval_policy_guards_the_keys_that_the_core_reads() -> None:
    text = (SCHEMAS / "approval-policy.yaml").read_text(encoding="utf-8")
    guarded = set(re.findall(r"startsWith\('([^']+)'\)", text))
    assert guarded == {names.APPROVED_PREFIX, names.REJECTED_PREFIX, names.APPROVER_PREFIX}
    for prefix in guarded:
        assert "approver" + prefix[8:] == names.APPROVER_PREFIX, "how the policy finds the approver of a key"


@pytest.mark.parametrize("name", ["approval", "author"])
def test_a_policy_is_bound_and_closed(name: str) -> None:
    policy, binding = yaml.safe_load_all((SCHEMAS / f"{name}-policy.yaml").read_text(encoding="utf-8"))
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["resources"]) == ([GROUP], ["jobflows"])


# --- what is made ----------------------------------------------------------------------------------------------------

TOOL = runpy.run_path(str(SCHEMAS.parent / "tools" / "make_schemas.py"))


@pytest.mark.parametrize(("path", "text"), [pytest.param(*each, id=each[0].name) for each in TOOL["made"]().items()])
def test_what_is_made_is_what_the_tool_makes(path: Any, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: python tools/make_schemas.py"


def test_the_schema_for_editors_takes_the_examples_and_shows_a_misspelt_field() -> None:
    stored = json.loads((SCHEMAS / "jobflow.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema_rs.Draft202012Validator(stored)
    for path in sorted(SCHEMAS.parent.glob("examples/*.yaml")):
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert validator.is_valid(written), path.name
        written["spec"]["steps"][0]["depends"] = ["a"]
        (found,) = validator.iter_errors(written)
        assert "depends" in found.message
