"""`resourceTemplates`, and whether the whole flow fits into one object of the API server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zenflow_core.checks.finding import mapping
from zenflow_core.checks.report import Report
from zenflow_core.checks.syntax import is_data_key, shown
from zenflow_core.limits import OBJECT_BYTES, STATUS_BYTES_PER_ARTIFACT, STATUS_BYTES_PER_STEP
from zenflow_core.names import ARTIFACTS_CLAIM, is_subdomain
from zenflow_core.quantities import parse_quantity
from zenflow_core.spec import ResourceTemplates

CONFIG_MAP_BYTES = 1024 * 1024
"""Kubernetes' limit on the data of one ConfigMap."""

_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_METADATA_BYTES = 1024
"""What the API server adds to the object: uid, times, managedFields of two writers (measured, rounded up)."""


def check_resources(resources: ResourceTemplates | None, report: Report, *, claims_artifacts: bool) -> None:
    """Volume claims and ConfigMaps that are created for the flow.

    `claims_artifacts` says whether artifacts go to a claim of the flow that it makes itself.
    """
    if resources is None:
        return
    base = "spec.resourceTemplates"
    _check_named(resources.volume_claim_templates, f"{base}.volumeClaimTemplates", "ZF801", report)
    for index, claim in enumerate(resources.volume_claim_templates):
        path = f"{base}.volumeClaimTemplates[{index}]"
        _check_kind(claim, "v1", "PersistentVolumeClaim", path, "ZF801", report)
        if claims_artifacts and mapping(claim, "metadata").get("name") == ARTIFACTS_CLAIM:
            what = f"{shown(ARTIFACTS_CLAIM)} is the claim that the flow's artifacts without s3 are put on"
            report.add("ZF801", f"{path}.metadata.name", what, "rename the template")
        _check_claim(mapping(claim, "spec"), f"{path}.spec", report)
    _check_named(resources.config_map_templates, f"{base}.configMapTemplates", "ZF802", report)
    for index, config_map in enumerate(resources.config_map_templates):
        path = f"{base}.configMapTemplates[{index}]"
        _check_kind(config_map, "v1", "ConfigMap", path, "ZF802", report)
        _check_data(config_map, path, report)


def _check_named(templates: Sequence[Mapping[str, Any]], path: str, rule: str, report: Report) -> None:
    seen: dict[str, int] = {}
    for index, template in enumerate(templates):
        name = mapping(template, "metadata").get("name")
        where = f"{path}[{index}].metadata.name"
        if not isinstance(name, str) or not name:
            report.add(rule, where, "the template has no name", "add metadata.name; the object is called <flow>-<name>")
        elif not is_subdomain(name):
            what = f"{shown(name)} is not a legal name"
            report.add(rule, where, what, "use small letters, digits, '-' and '.'")
        elif name in seen:
            what = f"the name {shown(name)} is taken by {path}[{seen[name]}]"
            report.add("ZF202", where, what, "rename one of the two")
        else:
            seen[name] = index


def _check_kind(template: Mapping[str, Any], version: str, kind: str, path: str, rule: str, report: Report) -> None:
    for name, expected in (("apiVersion", version), ("kind", kind)):
        found = template.get(name, expected)
        if found != expected:
            what = f"found {shown(str(found))}, expected {expected}"
            report.add(rule, f"{path}.{name}", what, f"write {name}: {expected}, or remove the field")


def _check_claim(spec: Mapping[str, Any], path: str, report: Report) -> None:
    modes = spec.get("accessModes")
    if not isinstance(modes, list) or not modes:
        report.add("ZF801", f"{path}.accessModes", "the claim has no access modes", "add accessModes: [ReadWriteOnce]")
    else:
        for index, mode in enumerate(modes):
            if mode not in _ACCESS_MODES:
                what = f"{shown(str(mode))} is not an access mode"
                fix = report.instead(str(mode), _ACCESS_MODES, f"write one of: {', '.join(_ACCESS_MODES)}")
                report.add("ZF801", f"{path}.accessModes[{index}]", what, fix)
    storage = mapping(mapping(spec, "resources"), "requests").get("storage")
    where = f"{path}.resources.requests.storage"
    if storage is None or storage == "":
        report.add("ZF801", where, "the claim asks for no storage", "add a size, for instance 1Gi")
        return
    amount = parse_quantity(storage)
    if amount is None or amount <= 0:
        report.add("ZF801", where, f"{shown(str(storage))} is not a size", "write a size above zero, for instance 1Gi")


def _check_data(config_map: Mapping[str, Any], path: str, report: Report) -> None:
    size = 0
    data, binary = mapping(config_map, "data"), mapping(config_map, "binaryData")
    for group, entries in (("data", data), ("binaryData", binary)):
        for key, value in entries.items():
            where = f"{path}.{group}"
            if not is_data_key(key):
                what = f"{shown(key)} is not a legal key"
                report.add("ZF802", where, what, "use letters, digits, '-', '_' and '.'")
            if not isinstance(value, str):
                what = f"the value of {shown(key)} is no text"
                report.add("ZF802", where, what, "put it in quotes")
            else:
                size += len(key) + len(value.encode(errors="surrogatepass"))
    for key in data.keys() & binary.keys():
        report.add("ZF802", f"{path}.binaryData", f"{shown(key)} is also a key of data", "keep one of the two")
    if size > CONFIG_MAP_BYTES:
        what = f"the data has {size} bytes, a ConfigMap may have {CONFIG_MAP_BYTES}"
        report.add("ZF802", path, what, "split it, or put the data on a volume")


def check_size(written_bytes: int, steps: int, distinct_templates: int, report: Report, *, artifacts: int = 0) -> int:
    """Whether the flow with its status fits into one object; the estimated bytes at its end."""
    status = steps * STATUS_BYTES_PER_STEP + artifacts * STATUS_BYTES_PER_ARTIFACT
    total = written_bytes + _METADATA_BYTES + status
    if total > OBJECT_BYTES:
        what = (
            f"the flow will have about {total} bytes at its end ({written_bytes} as written and {status} of status for "
            f"{steps} steps), an object of the API server may have {OBJECT_BYTES}"
        )
        fix = "split it into several flows"
        if written_bytes > status:
            fix = "share Job templates: put them into spec.templates and name them by templateRef"
            if distinct_templates < steps:
                fix += f" ({distinct_templates} distinct ones are written {steps} times or fewer)"
            else:
                fix += ", with what differs as an input parameter"
        report.add("ZF803", "spec.steps", what, fix)
    return total
