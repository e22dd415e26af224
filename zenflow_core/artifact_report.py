"""What `zenflow-outputs` says once it has stored a step's artifacts: its termination message.

    {"artifacts":{"model":{"location":"s3://models/nightly.bin","sha256":"<64 hex digits>","sizeBytes":4096}}}

Compact JSON, by the name of the output artifact. `sha256` (small letters) and
`sizeBytes` are of the bytes as they are stored: of the archive, where one was
made. `location` is the text that the container's order has (`artifact_pod`).
An optional artifact that the step did not leave is not named. Other members are
passed over, so that newer programs can say more.

A kubelet cuts the message at 4,096 bytes. Validation therefore refuses a step
whose report could be longer (`largest_report`); about 20 artifacts fit.

A container of ours that cannot do its work exits with another code than 0 and
leaves one plain sentence that says why, without any secret in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from attrs import frozen

from zenflow_core.limits import INT64_MAX

ORDERS_ENV: Final = "ZENFLOW_ARTIFACTS"
"""The env var with what a container of ours has to do: a JSON list, one entry an artifact (see `artifact_pod`)."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ExitCode(IntEnum):
    """How a container of ours ends. The numbers are API: podFailurePolicy rules and alerts may name them."""

    DONE = 0
    UNEXPECTED = 1
    """Something that nobody foresaw: our own bug, or a broken image."""
    BAD_ORDER = 2
    """It was told something that it cannot do."""
    NOTHING_THERE = 10
    """The step has not left an output artifact that is not optional."""
    BAD_ARTIFACT = 11
    """The artifact itself is the trouble: a broken or unsafe archive, a file that cannot be stored, too many bytes."""
    NOT_THE_SAME = 12
    """What the store has is not what was recorded or asked for, or it changed while it was fetched."""
    NOT_FOUND = 13
    """The store answers, and has no such bucket, object or page."""
    REFUSED = 14
    """The store answers, and refuses: credentials that are wrong, expired or not enough."""
    UNAVAILABLE = 15
    """The store did not answer well, however often it was asked."""
    LOCAL_VOLUME = 16
    """A volume of the Pod is full, or may not be read or written."""
    STOPPED = 143
    """It was told to end (SIGTERM) before it was done."""


@frozen
class StoredArtifact:
    """An artifact as it was stored at the end of the step that made it."""

    sha256: str
    """64 hexadecimal digits, of the bytes as they are stored."""
    size_bytes: int
    location: str
    """`s3://<bucket>/<key>`, or `claim:<path>` on the flow's own volume claim."""


def write_report(stored: Mapping[str, StoredArtifact]) -> str:
    """The report on these artifacts, by name."""
    artifacts = {
        name: {"location": each.location, "sha256": each.sha256, "sizeBytes": each.size_bytes}
        for name, each in stored.items()
    }
    return json.dumps({"artifacts": artifacts}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def read_report(text: str) -> Mapping[str, StoredArtifact] | str:
    """The artifacts that a report names, or what is wrong with it. Cost: 10 µs for three artifacts."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "its report is not JSON"
    artifacts = data.get("artifacts") if isinstance(data, dict) else None
    if not isinstance(artifacts, dict):
        return "its report has no artifacts"
    stored: dict[str, StoredArtifact] = {}
    for name, entry in artifacts.items():
        found = _entry(entry)
        if isinstance(found, str):
            return f"its report on {name!r} {found}"
        stored[name] = found
    return stored


def largest_report(locations: Mapping[str, str]) -> int:
    """Bytes of the longest report there can be on artifacts with these locations, by name."""
    worst = {name: StoredArtifact("0" * 64, INT64_MAX, location) for name, location in locations.items()}
    return len(write_report(worst).encode("utf-8", "surrogatepass"))


def _entry(entry: Any) -> StoredArtifact | str:
    if not isinstance(entry, dict):
        return "is no object"
    sha256, size, location = entry.get("sha256"), entry.get("sizeBytes"), entry.get("location")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        return "has no sha256 of 64 hexadecimal digits"
    if type(size) is not int or not 0 <= size <= INT64_MAX:
        return "has no sizeBytes"
    if not isinstance(location, str) or not location:
        return "has no location"
    return StoredArtifact(sha256, size, location)
