"""What an image is made of, as a CycloneDX 1.6 document: each Debian package and Python distribution, by its purl."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from importlib.metadata import Distribution
from typing import Any
from urllib.parse import quote

from tools.image.debian import Package

SPECIFICATION = "1.6"
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's for URLs


def bill(version: str, packages: Iterable[Package], distributions: Iterable[Distribution]) -> bytes:
    """The document; the same materials give the same bytes, its serial number included."""
    components = [_package(package) for package in packages] + [_distribution(found) for found in distributions]
    components.sort(key=lambda component: str(component["purl"]))
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "zenflow", "version": version, "bom-ref": "zenflow"}},
        "components": components,
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=1, sort_keys=True).encode() + b"\n"


def _package(package: Package) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{package.name}@{quote(package.version, safe='')}?arch={package.architecture}"
    return {"type": "library", "name": package.name, "version": package.version, "purl": purl, "bom-ref": purl}


def _distribution(found: Distribution) -> dict[str, Any]:
    name, version = found.metadata["Name"], found.version
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    declared = "License-Expression" in found.metadata
    named = {"licenses": [{"expression": found.metadata["License-Expression"]}]} if declared else {}
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, **named}
