"""Whether the API that is installed keeps what this operator writes; asked at the start, before anything is written.

An API server drops fields of a status that its CustomResourceDefinition does not
know, without a word. An operator that is newer than the definition would lose
what it wrote, and with it what it knows of flows that run. So it waits and says
what to apply. It reads the OpenAPI document of the group, which every account
may read, also one with rights in a single namespace: no right on
CustomResourceDefinitions is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import anyio
import structlog

from zenflow_core.spec import GROUP, KIND
from zenflow_runtime.failures import GONE, RequestFailed
from zenflow_runtime.installing import stored
from zenflow_runtime.kube import FLOW, Kube

log = structlog.get_logger("zenflow.installed")

DOCUMENT: Final = f"/openapi/v3/apis/{FLOW.group}/{FLOW.version}"
SCHEMA: Final = f"{'.'.join(reversed(GROUP.split('.')))}.{FLOW.version}.{KIND}"
PAUSE_SECONDS: Final = 5.0
"""Between two looks at a definition that does not do. API servers publish a new one within seconds."""
SHOWN: Final = 5
"""Fields that are named of those that are missing."""

APPLY: Final = "zenflow manifests --no-operator | kubectl apply --server-side --force-conflicts -f -"
"""Whoever has applied the older one, be it `kubectl apply` or Helm, owns its fields: without force, a conflict."""
MISSING: Final = f"the API server knows no {FLOW.plural}.{GROUP}\n  fix: an administrator runs: {APPLY}"


def losses(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "status") -> Iterator[str]:
    """What a schema `theirs` drops or refuses of what `ours` lets through: the paths of fields, and enum values."""
    if theirs.get("x-kubernetes-preserve-unknown-fields"):
        return
    known = theirs.get("enum") or ours.get("enum") or ()
    yield from (f"{path}: {value}" for value in ours.get("enum") or () if value not in known)
    fields = theirs.get("properties") or {}
    for name, schema in (ours.get("properties") or {}).items():
        if name in fields:
            yield from losses(schema, fields[name], f"{path}.{name}")
        elif not theirs.get("additionalProperties"):
            yield f"{path}.{name}"
    for part, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(ours.get(part), dict):
            yield from losses(ours[part], theirs.get(part) or {}, f"{path}{mark}")


def written() -> Mapping[str, Any]:
    """The schema of the status that this version writes. Cost: 40 ms."""
    (definition,) = stored("jobflow.crd.yaml")
    (version,) = definition["spec"]["versions"]
    schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    return schema


class Installed:
    """Asks until the API does. `lacking` is for /readyz."""

    def __init__(self, kube: Kube, namespace: str | None) -> None:
        self._kube = kube
        self._namespace = namespace
        self._lack: str | None = "the API has not been looked at"

    def lacking(self) -> list[str]:
        """What has to be applied first, or nothing."""
        return [] if self._lack is None else [self._lack]

    async def wait(self) -> None:
        """Return once the installed API keeps what is written, or does not say whether it does."""
        while True:
            try:
                lack = await self.look()
            except RequestFailed as error:
                lack = f"the API cannot be looked at: {error}"
            if lack is not None and lack != self._lack:
                log.error("the API that is installed does not do: nothing is begun", lack=lack)
            self._lack = lack
            if lack is None:
                return
            await anyio.sleep(PAUSE_SECONDS)

    async def look(self) -> str | None:
        """What is wrong with the API, and how to put it right; None if nothing is. Raises `RequestFailed`."""
        try:
            document = await self._kube.document(DOCUMENT)
        except RequestFailed as error:
            if error.code != GONE:
                raise
            return await self._look_without()
        theirs = (document.get("components") or {}).get("schemas", {}).get(SCHEMA) or {}
        lost = list(losses(written(), (theirs.get("properties") or {}).get("status") or {}))
        if not lost:
            return None
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        return (
            f"the {FLOW.plural}.{GROUP} that are installed are of an older version, which does not keep "
            f"{', '.join(lost[:SHOWN])}{more}\n  fix: an administrator runs: {APPLY}"
        )

    async def _look_without(self) -> str | None:
        """No document: either there is no such API, or the server has no documents (yet)."""
        try:
            await self._kube.document(FLOW.path(self._namespace), limit="1")
        except RequestFailed as error:
            if error.code != GONE:
                raise
            return MISSING
        log.warning("the API server does not say what its API keeps: taken to be that of this version")
        return None
