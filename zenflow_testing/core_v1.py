"""What the API server refuses in the small kinds that an operator writes: ConfigMap, Secret, claims and Leases.

Source: Kubernetes 1.35. Only what a client can get wrong: keys, sizes, types, access modes, immutability.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from zenflow_core.quantities import parse_quantity
from zenflow_testing.errors import (
    Causes,
    Target,
    bad_request,
    not_allowed,
    required,
    too_long,
    unsupported,
    wrong,
)
from zenflow_testing.kinds import AnythingGoes, Object

DATA_BYTES = 1_048_576
"""All values of a ConfigMap or Secret together."""

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
    "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_config_key = re.compile(r"[-._a-zA-Z0-9]{1,253}").fullmatch
_micro_time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)").fullmatch


def _undecodable(kind: str, version: str, what: str, *, target: Target) -> Exception:
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {what}', target)


class DataRules(AnythingGoes):
    """The rules of a kind that holds `data`: `text` members as they are, `encoded` ones in base64."""

    def __init__(self, kind: str, *, text: tuple[str, ...], encoded: tuple[str, ...]) -> None:
        self._kind = kind
        self._text = text
        self._encoded = encoded

    def decoded(self, body: Object, target: Target) -> Object:
        """Refuse values that are not text, or not base64 where that is asked for."""
        for member in (*self._text, *self._encoded):
            values = body.get(member)
            if values is None:
                continue
            if not isinstance(values, Mapping):
                raise _undecodable(self._kind, "v1", f"json: cannot unmarshal {member}: not an object", target=target)
            for key, value in values.items():
                problem = None
                if not isinstance(value, str):
                    problem = f"json: cannot unmarshal {member}.{key}: not a string"
                elif member in self._encoded and not _is_base64(value):
                    problem = f"illegal base64 data in {member}.{key}"
                if problem is not None:
                    raise _undecodable(self._kind, "v1", problem, target=target)
        if self._kind == "Secret" and body.get("stringData"):
            # Write-only: from here on it is data like any other.
            text = {key: base64.b64encode(value.encode()).decode() for key, value in body["stringData"].items()}
            kept = {name: value for name, value in body.items() if name != "stringData"}
            return {**kept, "data": {**(body.get("data") or {}), **text}}
        return body

    def defaulted(self, body: Object) -> Object:
        """A Secret has a type."""
        return {**body, "type": body.get("type") or "Opaque"} if self._kind == "Secret" else body

    def create_causes(self, body: Object) -> Causes:
        """Keys, and the size of all values together."""
        causes: Causes = []
        total = 0
        for key in body.get("data") or {}:
            if key in (body.get("binaryData") or {}):
                causes.append(wrong(f"data[{key}]", key, "duplicate of key present in binaryData"))
        for member in (*self._text, *self._encoded):
            for key, value in (body.get(member) or {}).items():
                if not _config_key(key):
                    causes.append(wrong(f"{member}[{key}]", key, _CONFIG_KEY))
                total += len(value.encode()) if member in self._text else len(value) * 3 // 4 - value.count("=")
        if total > DATA_BYTES:
            causes.append(too_long("[]", DATA_BYTES))
        return causes

    def update_causes(self, old: Object, new: Object) -> Causes:
        """The same, and that an immutable object stays what it is."""
        causes = self.create_causes(new)
        if old.get("immutable") is True:
            causes.extend(
                not_allowed(member, "field is immutable when `immutable` is set")
                for member in ("immutable", *self._text, *self._encoded)
                if (old.get(member) or {}) != (new.get(member) or {})
            )
        return causes


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


class ClaimRules(AnythingGoes):
    """The rules of PersistentVolumeClaims."""

    def create_causes(self, body: Object) -> Causes:
        """Access modes and the storage that is asked for."""
        causes: Causes = []
        spec = body.get("spec") or {}
        modes = spec.get("accessModes") or ()
        if not modes:
            causes.append(required("spec.accessModes", "at least 1 access mode is required"))
        causes.extend(
            unsupported("spec.accessModes", mode, _ACCESS_MODES) for mode in modes if mode not in _ACCESS_MODES
        )
        storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        if storage is None:
            causes.append(required("spec.resources[storage]"))
        else:
            amount = parse_quantity(storage)
            if amount is None or amount <= 0:
                causes.append(wrong("spec.resources[storage]", str(storage), "must be greater than zero"))
        return causes

    def update_causes(self, old: Object, new: Object) -> Causes:
        """A claim's spec is fixed, but for the volume that it gets and a larger size once it is bound."""
        causes = self.create_causes(new)
        movable = {"volumeName"}
        if (new.get("status") or {}).get("phase") == "Bound":
            movable |= {"resources", "volumeAttributesClassName"}
        if _without(movable, old.get("spec")) != _without(movable, new.get("spec")):
            causes.append(
                not_allowed(
                    "spec",
                    "spec is immutable after creation except resources.requests and volumeAttributesClassName for"
                    " bound claims",
                )
            )
        return causes


def _without(names: set[str], spec: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (spec or {}).items() if name not in names}


class EventRules(AnythingGoes):
    """The rule of Events that clients break: an Event is where the object is that it is about."""

    def create_causes(self, body: Object) -> Causes:
        """The namespaces; an Event about an object without one belongs into "default"."""
        about = (body.get("involvedObject") or {}).get("namespace") or ""
        here = body["metadata"].get("namespace") or ""
        if about == here or (not about and here in ("", "default")):
            return []
        return [wrong("involvedObject.namespace", about, "does not match event.namespace")]


class LeaseRules(AnythingGoes):
    """The rules of Leases; what trips clients is the time format."""

    def decoded(self, body: Object, target: Target) -> Object:
        """Refuse instants without six digits of a second (metav1.MicroTime)."""
        spec = body.get("spec") or {}
        for member in ("acquireTime", "renewTime"):
            value = spec.get(member)
            if value is not None and not (isinstance(value, str) and _micro_time(value)):
                problem = f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse spec.{member}'
                raise _undecodable("Lease", "v1", problem, target=target)
        return body

    def create_causes(self, body: Object) -> Causes:
        """Numbers that must be positive."""
        spec = body.get("spec") or {}
        causes: Causes = []
        duration = spec.get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            causes.append(wrong("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        transitions = spec.get("leaseTransitions")
        if transitions is not None and transitions < 0:
            causes.append(wrong("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        return causes

    def update_causes(self, old: Object, new: Object) -> Causes:
        """The same as at creation."""
        return self.create_causes(new)
