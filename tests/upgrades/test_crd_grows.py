"""The CRD only grows within v1alpha1: what a released one admits and keeps, this one admits and keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.upgrades.write import CRD, CRDS
from zenflow_core.version import VERSION

Schema = Mapping[str, Any]

LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
SAME: Final = (
    *("type", "format", "pattern", "nullable", "multipleOf", "uniqueItems", "not", "default"),
    *("x-kubernetes-int-or-string", "x-kubernetes-embedded-resource"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
)


def losses(old: Schema, new: Schema, path: str = "") -> Iterator[str]:
    """What the new schema drops or refuses, and the old one did not. Cost: O(schema)."""
    if old.get("x-kubernetes-preserve-unknown-fields") and not new.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}: prunes"
    yield from (f"{path}: {key} differs" for key in SAME if old.get(key) != new.get(key))
    yield from (f"{path}: {key} is higher" for key in LOWER if new.get(key, 0) > old.get(key, 0))
    for key in UPPER:
        if key in new and new[key] < old.get(key, float("inf")):
            yield f"{path}: {key} is lower"
    yield from (
        f"{path}: {name} is required" for name in new.get("required", ()) if name not in old.get("required", ())
    )
    if "enum" in new:
        gone = set(map(str, old.get("enum", ["anything"]))) - set(map(str, new["enum"]))
        yield from (f"{path}: {value} is no value any more" for value in sorted(gone))
    asked = {rule["rule"] for rule in old.get("x-kubernetes-validations", ())}
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in asked:
            yield f"{path}: asks {rule['rule']}"
    for key in ("allOf", "anyOf", "oneOf"):
        if key in new and new[key] != old.get(key):
            yield f"{path}: {key} differs"
    for name, schema in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}.{name} is gone"
        else:
            yield from losses(schema, new["properties"][name], f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(old.get(key), dict):
            yield from losses(old[key], new.get(key) or {"type": "nothing"}, path + mark)


def spec_of(file: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
    return spec


def schema_of(spec: Mapping[str, Any]) -> Any:
    (version,) = (each for each in spec["versions"] if each["name"] == "v1alpha1")
    return version["schema"]["openAPIV3Schema"]


RELEASED: Final = sorted(CRDS.glob("*.yaml"))


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.stem)
def test_nothing_is_taken_away(file: Path) -> None:
    old, new = spec_of(file), spec_of(CRD)
    assert list(losses(schema_of(old), schema_of(new))) == []
    (before,), (now,) = old["versions"], new["versions"]
    assert (old["group"], old["scope"]) == (new["group"], new["scope"])
    assert {**old["names"], "shortNames": [], "categories": []} == {**new["names"], "shortNames": [], "categories": []}
    for key in ("shortNames", "categories"):
        assert set(old["names"][key]) <= set(new["names"][key])
    assert set(before["subresources"]) <= set(now["subresources"])
    assert now["served"]
    assert now["storage"]
    columns = {(each["name"], each["jsonPath"]) for each in now["additionalPrinterColumns"]}
    assert {(each["name"], each["jsonPath"]) for each in before["additionalPrinterColumns"]} <= columns


def test_this_version_has_kept_its_own() -> None:
    assert VERSION in [file.stem for file in RELEASED]


# --- that the test above can fail ------------------------------------------------------------------------------------


def steps(schema: Any) -> Any:
    return schema["properties"]["spec"]["properties"]["steps"]


def of_status(schema: Any) -> Any:
    return schema["properties"]["status"]["properties"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: of_status(s).pop("phase"), ".status.phase is gone"),
        (lambda s: of_status(s)["phase"]["enum"].remove("Paused"), ".status.phase: Paused is no value any more"),
        (lambda s: of_status(s)["phase"].update(type="integer"), ".status.phase: type differs"),
        (lambda s: steps(s).update(maxItems=10), ".spec.steps: maxItems is lower"),
        (lambda s: steps(s).update(minItems=2), ".spec.steps: minItems is higher"),
        (lambda s: steps(s)["items"]["required"].append("when"), ".spec.steps[]: when is required"),
        (
            lambda s: steps(s).update({"x-kubernetes-validations": [{"rule": "self.size() > 1"}]}),
            ".spec.steps: asks self.size() > 1",
        ),
    ],
)
def test_what_is_taken_away_is_named(change: Any, says: str) -> None:
    old = schema_of(spec_of(CRD))
    new = yaml.safe_load(yaml.safe_dump(old))  # no part of which is in two places
    change(new)
    assert says in list(losses(old, new))
