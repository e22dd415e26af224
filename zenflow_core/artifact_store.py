"""The default store of a flow's artifacts: who says it, how it is read, and what an artifact becomes by it.

An output artifact without `s3` goes to the namespace's store, which its
ConfigMap names; without one to the operator's; without that to the flow's own
claim. Which it is is asked once, when the flow starts, and recorded in its
status: whatever is said later, all that the flow stores lies together, and who
reads it knows where. It has the form in which an artifact would say it:

    s3: {bucket: artifacts, key: zenflow/, endpoint: 'https://minio.storage:9000', ...}
    artifactGC: OnFlowDeletion
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import evolve, fields

from zenflow_core.checks.artifacts import check_store
from zenflow_core.checks.report import Report
from zenflow_core.codec import read_artifact_store, write_artifact_store
from zenflow_core.codec_problems import wire_name
from zenflow_core.limits import ARTIFACT_STORE_BYTES
from zenflow_core.plan import ConfigMapKey
from zenflow_core.problems import Problem
from zenflow_core.source import load_documents
from zenflow_core.spec import ArtifactGC, ArtifactStore, OutputArtifact, S3Location

STORE: Final = ConfigMapKey("zenflow-artifact-store", "store")
"""Where a namespace says its store. A ConfigMap without the key is as none."""

_KNOWN: Final = frozenset(wire_name(attribute) for attribute in fields(S3Location))


def settled(made: OutputArtifact, store: ArtifactStore | None) -> OutputArtifact:
    """The artifact with its store: its own, else the flow's; still without one it goes to the flow's claim.

    Whether the flow's directory in its store goes with the flow is for the store alone to say.
    """
    if store is None or made.s3 is not None:
        return made
    return evolve(made, s3=store.s3, artifact_gc=store.artifact_gc)


@lru_cache(maxsize=16)
def read_store(text: str) -> ArtifactStore | tuple[Problem, ...] | None:
    """The store that a YAML or JSON text describes, or everything wrong with it.

    None for an empty text: the flow's own claim, whatever the operator says. Cost: 0.3 ms, none for a text that was
    read before: all flows of a namespace read the same.
    """
    if not text.strip():
        return None
    documents = load_documents(text, file="store")
    problems: list[Problem] = [each for each in documents if isinstance(each, Problem)]
    if problems:
        return tuple(problems)
    if len(documents) > 1:
        return (Problem("", "more than one YAML document", "write one"),)
    document = documents[0]
    assert not isinstance(document, Problem), "there are no problems"
    store = read_artifact_store(document.data)
    if not isinstance(store, ArtifactStore):
        return store
    report = Report()
    check_store(store, report)
    if report.problems():
        return report.problems()
    size = len(json.dumps(write_artifact_store(store), separators=(",", ":"), ensure_ascii=False).encode())
    if size > ARTIFACT_STORE_BYTES:
        what = f"has {size} bytes, and each flow's status has room for {ARTIFACT_STORE_BYTES}"
        return (Problem("", what, "use shorter names"),)
    return store


@lru_cache(maxsize=64)
def write_store(store: ArtifactStore) -> Mapping[str, Any]:
    """As a status has it: the same form. Not to be changed in place."""
    return write_artifact_store(store)


def recall_store(data: Mapping[str, Any]) -> ArtifactStore:
    """The store that a status has recorded; what another version has added to it is left out."""
    known: dict[str, Any] = {"s3": {name: value for name, value in data["s3"].items() if name in _KNOWN}}
    if data.get("artifactGC") in set(ArtifactGC):
        known["artifactGC"] = data["artifactGC"]
    store = read_artifact_store(known)
    if not isinstance(store, ArtifactStore):
        raise ValueError(in_one_line(store))
    return store


def in_one_line(problems: Iterable[Problem]) -> str:
    """All of them, for a message."""
    return "; ".join(each.line for each in problems)
