"""What the API server refuses in the environment of a container: `env` and `envFrom`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zenflow_testing.errors import (
    Causes,
    required,
    unsupported,
    wrong,
)
from zenflow_testing.object_meta import qualified_name

_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_POD_FIELDS = frozenset(
    {
        *_ENV_FIELDS,
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.hostNetwork",
        "status.phase",
        "status.nominatedNodeName",
    }
)
"""What a fieldPath may name at all; an environment variable can take only some of it."""

_printable = re.compile(r"[ -<>-~]+").fullmatch
_subscripted = re.compile(r"(metadata\.(?:labels|annotations))\['([^']*)'\]").fullmatch
_config_key = re.compile(r"[-._a-zA-Z0-9]+").fullmatch


_ENV_NAME = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def check_env(variables: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    """Refuse variables without a name, and sources that name nothing or too much."""
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            causes.append(required(f"{field}[{index}].name"))
        elif not _printable(name):
            causes.append(wrong(f"{field}[{index}].name", name, _ENV_NAME))
        source = variable.get("valueFrom")
        if source is not None:
            _env_source(variable, source, field=f"{field}[{index}].valueFrom", causes=causes)


def _env_source(variable: Mapping[str, Any], source: Mapping[str, Any], *, field: str, causes: Causes) -> None:
    given = [member for member, value in source.items() if value is not None]
    if (chosen := source.get("fieldRef")) is not None:
        _field_reference(chosen, f"{field}.fieldRef", causes=causes)
    for member in ("configMapKeyRef", "secretKeyRef"):
        if (chosen := source.get(member)) is not None:
            if not chosen.get("name"):
                causes.append(required(f"{field}.{member}.name"))
            key = chosen.get("key")
            if not key:
                causes.append(required(f"{field}.{member}.key"))
            elif not _config_key(key):
                causes.append(
                    wrong(
                        f"{field}.{member}.key",
                        key,
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
                        "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                    )
                )
    if (chosen := source.get("resourceFieldRef")) is not None:
        resource = chosen.get("resource")
        if not resource:
            causes.append(required(f"{field}.resourceFieldRef.resource"))
    if not given:
        causes.append(
            wrong(
                field,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or"
                " `fileKeyRef`",
            )
        )
    elif variable.get("value"):
        causes.append(wrong(field, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        causes.append(wrong(field, "", "may not have more than one field specified at a time"))


def _field_reference(reference: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    path = reference.get("fieldPath")
    if not path:
        causes.append(required(f"{field}.fieldPath"))
        return
    subscripted = _subscripted(path)
    if subscripted is not None:
        key = subscripted[2].lower() if subscripted[1].endswith("annotations") else subscripted[2]
        causes.extend(wrong(field, key, problem) for problem in qualified_name(key))
    elif path not in _POD_FIELDS:
        detail = f"error converting fieldPath: field label not supported: {path}"
        causes.append(wrong(f"{field}.fieldPath", path, detail))
    elif path not in _ENV_FIELDS:
        causes.append(unsupported(f"{field}.fieldPath", path, _ENV_FIELDS))


def check_env_from(sources: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    """Refuse sources that name no object, or two."""
    for index, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix and not _printable(prefix):
            causes.append(wrong(f"{field}[{index}].prefix", prefix, _ENV_NAME))
        given = [member for member in ("configMapRef", "secretRef") if source.get(member) is not None]
        causes.extend(required(f"{field}[{index}].{member}.name") for member in given if not source[member].get("name"))
        if not given:
            causes.append(wrong(field, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            causes.append(wrong(field, "", "may not have more than one field specified at a time"))
