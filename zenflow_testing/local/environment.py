"""The variables of a container: its own, those from ConfigMaps and Secrets, and references to others resolved."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenflow_testing.local.mounts import Object, Read, data_of

INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "TMPDIR", "SYSTEMROOT")
"""What a process takes over from whoever started the flow; nothing else, as a container would not see it either."""

_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_FIELD_KEY: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class VariableError(Exception):
    """A variable cannot be had, in words."""


def inherited() -> dict[str, str]:
    """The variables of this process that containers see, too, when they are processes."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def variables(container: Object, pod: Object, read: Read) -> dict[str, str]:
    """The variables of a container, in the order of its manifest. Raises VariableError for what does not exist."""
    found: dict[str, str] = dict(_from_sources(container, read))
    for entry in container.get("env") or ():
        value = entry.get("value", "") if "valueFrom" not in entry else _looked_up(entry, pod, read)
        if value is not None:
            found[entry["name"]] = resolved(value, found) if "valueFrom" not in entry else value
    return found


def resolved(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a dollar; an unknown name stays as it stands, as in Kubernetes."""

    def of(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        return known.get(found.group(1), found.group())

    return _REFERENCE.sub(of, text)


def _from_sources(container: Object, read: Read) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source:
                for name, value in _values(read, kind, source[key]).items():
                    yield prefix + name, value


def _looked_up(entry: Mapping[str, Any], pod: Object, read: Read) -> str | None:
    source = entry["valueFrom"]
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if key not in source:
            continue
        ref = source[key]
        values = _values(read, kind, ref)
        if ref["key"] in values:
            return values[ref["key"]]
        if ref.get("optional"):
            return None
        raise VariableError(f"env {entry['name']}: {kind} {ref['name']} has no key {ref['key']}")
    if "fieldRef" in source:
        return _field(source["fieldRef"]["fieldPath"], pod)
    return "0"  # resourceFieldRef: there are no limits here


def _values(read: Read, kind: str, ref: Mapping[str, Any]) -> dict[str, str]:
    obj = read(kind, ref["name"])
    if obj is None:
        if ref.get("optional"):
            return {}
        raise VariableError(f"{kind} {ref['name']} does not exist here: bring it with --with FILE")
    return {key: value.decode("utf-8", "surrogateescape") for key, value in data_of(kind, obj).items()}


def _field(path: str, pod: Object) -> str:
    metadata = pod["metadata"]
    keyed = _FIELD_KEY.fullmatch(path)
    if keyed is not None:
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata.get("namespace", ""),
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": "localhost",
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
    }
    return str(known.get(path, "127.0.0.1"))  # what is left are addresses of host and Pod
