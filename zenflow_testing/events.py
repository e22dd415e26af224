"""What a cluster hands out beside objects: events, as a watch delivers them, and lists."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import cast

from attrs import frozen

from zenflow_testing.kinds import Object


class EventType(StrEnum):
    """What happened to an object, as a watch reports it."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@frozen(eq=False)
class Event:
    """One change as a watch delivers it; `object` is the new version, for DELETED the last one."""

    resource_version: int
    type: EventType
    kind: str
    object: Object
    at: datetime

    @property
    def namespace(self) -> str:
        """Namespace of the object, empty for a kind that has none."""
        return cast("str", self.object["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        """Name of the object."""
        return cast("str", self.object["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Uid of the object."""
        return cast("str", self.object["metadata"]["uid"])


@frozen(eq=False)
class ListResult:
    """Objects in the order of their names, and the version from which a watch has to go on."""

    items: tuple[Object, ...]
    resource_version: str
