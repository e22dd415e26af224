"""The kinds of objects that the in-memory cluster stores, and what the server does differently for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from attrs import frozen

from zenflow_testing.errors import StatusCause, Target

Object: TypeAlias = Mapping[str, Any]
"""A stored object. It is shared by everyone who has ever read it: treat it as frozen, and change it by a verb."""


class KindRules(Protocol):
    """What a kind demands of its objects beyond good metadata."""

    def decoded(self, body: Object, target: Target) -> Object:
        """The body as the server reads it; raises a 400 ApiError where a field holds the wrong type."""

    def defaulted(self, body: Object) -> Object:
        """The body with the defaults that the server fills in; its metadata is complete by then."""

    def as_read(self, body: Object) -> Object:
        """A valid new object as everybody will read it: with defaults that the server fills in when it reads."""

    def create_causes(self, body: Object) -> list[StatusCause]:
        """What is wrong with an object to be created."""

    def update_causes(self, old: Object, new: Object) -> list[StatusCause]:
        """What is wrong with changing `old` into `new`."""


class AnythingGoes:
    """The rules of a kind whose content the model does not look into."""

    def decoded(self, body: Object, target: Target) -> Object:
        """The body as it is."""
        return body

    def defaulted(self, body: Object) -> Object:
        """The body as it is."""
        return body

    def as_read(self, body: Object) -> Object:
        """The body as it is."""
        return body

    def create_causes(self, body: Object) -> list[StatusCause]:
        """None."""
        return []

    def update_causes(self, old: Object, new: Object) -> list[StatusCause]:
        """None."""
        return []


class Scope(StrEnum):
    """Where names of a kind are unique."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


class StatusMode(StrEnum):
    """How a kind treats `.status`.

    PLAIN: like any other field. CUSTOM: a status subresource as custom resources have it, which takes
    nothing but the status. BUILT_IN: as batch/v1 Job has it, which takes metadata along with the status.
    """

    PLAIN = "Plain"
    CUSTOM = "Custom"
    BUILT_IN = "BuiltIn"


class Generation(StrEnum):
    """Whether metadata.generation counts changes of the kind's spec."""

    COUNTED = "Counted"
    ABSENT = "Absent"


@frozen(eq=False)
class KindInfo:
    """A kind: its names in the API, and how the server treats its objects."""

    kind: str
    group: str
    version: str = "v1"
    plural: str = ""
    scope: Scope = Scope.NAMESPACED
    status: StatusMode = StatusMode.PLAIN
    generation: Generation = Generation.ABSENT
    rules: KindRules = AnythingGoes()

    @property
    def api_version(self) -> str:
        """`batch/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def target(self, name: str) -> Target:
        """An object of this kind as refusals name it."""
        return Target(self.group, self.plural, self.kind, name)
