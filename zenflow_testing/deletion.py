"""Deletes: what they do to dependents, and which object they mean."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from zenflow_testing import errors
from zenflow_testing.errors import Target

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Propagation(StrEnum):
    """What a delete does to the dependents of the object (DeleteOptions.propagationPolicy)."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


def check_preconditions(
    target: Target, metadata: Mapping[str, Any], *, uid: str | None, resource_version: str | None
) -> None:
    """Refuse the delete of an object that is not the one it means: 409 Conflict."""
    for what, wanted, found, happened in (
        ("UID", uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", resource_version, metadata["resourceVersion"], "modified"),
    ):
        if wanted is not None and wanted != found:
            # The server names the kind here, where all other conflicts name the resource.
            raise errors.conflict(
                Target(target.group, target.kind, target.kind, target.name),
                f"the {what} in the precondition ({wanted}) does not match the {what} in record ({found})."
                f" The object might have been {happened}",
            )
