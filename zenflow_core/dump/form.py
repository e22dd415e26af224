"""What writing and reading a dump share: the format's name, and how observations are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import cattrs
from cattrs.strategies import configure_tagged_union

from zenflow_core.instants import instant, rfc3339
from zenflow_core.observation import (
    UNREAD,
    FlowSeen,
    JobOutcome,
    Lookup,
    Observed,
    OriginLookup,
    ResourceSighting,
    Sibling,
    Sighting,
    Unread,
)
from zenflow_core.plan import ConfigMapKey, ResourceKind, ResourceRef
from zenflow_core.spec import StepName

FORMAT: Final = "zenflow-dump/1"
_TAG: Final = "is"


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(omit_if_default=True, forbid_extra_keys=True)
    converter.register_unstructure_hook(datetime, rfc3339)
    converter.register_structure_hook(datetime, lambda text, _: instant(text))
    for union in (JobOutcome, Lookup, ResourceSighting, OriginLookup, Sighting):
        configure_tagged_union(union, converter, tag_name=_TAG)
    return converter


CONVERTER: Final = _converter()
"""Values of the core as JSON and back; a member of a union says in `is` which it is."""


def write_observed(observed: Observed) -> dict[str, Any]:
    """An observation as JSON; what it does not tell is left out."""
    out: dict[str, Any] = {}
    if observed.jobs:
        out["jobs"] = {
            step: [CONVERTER.unstructure(s, unstructure_as=Sighting) for s in sightings]
            for step, sightings in observed.jobs.items()
        }
    if observed.inputs:
        out["inputs"] = [
            {"name": ref.name, "key": ref.key, "value": CONVERTER.unstructure(value, unstructure_as=Lookup)}
            for ref, value in observed.inputs.items()
        ]
    if observed.resources:
        out["resources"] = [
            {
                "kind": ref.kind.value,
                "name": ref.name,
                "seen": CONVERTER.unstructure(s, unstructure_as=ResourceSighting),
            }
            for ref, s in observed.resources.items()
        ]
    if observed.siblings is not None:
        out["siblings"] = [CONVERTER.unstructure(sibling) for sibling in observed.siblings]
    if not isinstance(observed.origin, Unread):
        out["origin"] = CONVERTER.unstructure(observed.origin, unstructure_as=OriginLookup)
    if observed.status_refused_at is not None:
        out["statusRefusedAt"] = rfc3339(observed.status_refused_at)
    if observed.flow is not None:
        out["flow"] = CONVERTER.unstructure(observed.flow)
    return out


def read_observed(data: Mapping[str, Any]) -> Observed:
    """The observation that `write_observed` wrote; raises what cattrs and wrong types raise on anything else."""
    sighting: Any = Sighting
    lookup: Any = Lookup
    resource: Any = ResourceSighting
    origin: Any = OriginLookup
    return Observed(
        jobs={
            StepName(step): tuple(CONVERTER.structure(s, sighting) for s in sightings)
            for step, sightings in data.get("jobs", {}).items()
        },
        inputs={
            ConfigMapKey(item["name"], item["key"]): CONVERTER.structure(item["value"], lookup)
            for item in data.get("inputs", ())
        },
        resources={
            ResourceRef(ResourceKind(item["kind"]), item["name"]): CONVERTER.structure(item["seen"], resource)
            for item in data.get("resources", ())
        },
        siblings=(
            tuple(CONVERTER.structure(item, Sibling) for item in data["siblings"]) if "siblings" in data else None
        ),
        origin=CONVERTER.structure(data["origin"], origin) if "origin" in data else UNREAD,
        status_refused_at=instant(data["statusRefusedAt"]) if "statusRefusedAt" in data else None,
        flow=CONVERTER.structure(data["flow"], FlowSeen) if "flow" in data else None,
    )
