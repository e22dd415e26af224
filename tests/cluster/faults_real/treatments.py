"""How a request is treated on its way: values, and what decides about them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from attrs import frozen


class Ending(StrEnum):
    """How a watch ends before its time."""

    CLEAN = "clean"
    """As a server ends one."""
    MIDWAY = "midway"
    """As a server ends one, but in the middle of an event."""
    ABRUPT = "abrupt"
    """The connection is gone, in the middle of an event."""


@frozen
class Pass:
    """As if there were no proxy, after so many seconds."""

    after: float = 0.0


@frozen
class Refuse:
    """Answered with a Status; `performed`: the server has done it all the same."""

    code: int
    reason: str
    retry_after: int | None = None
    performed: bool = False


@frozen
class Sever:
    """The connection goes away instead of an answer; `performed`: after the server has done it."""

    performed: bool


@frozen
class HoldBack:
    """Performed at once, answered after so many seconds."""

    seconds: float


@frozen
class Watch:
    """A watch whose events come so many seconds late, and which ends after so many seconds."""

    late: float
    lasts: float
    ending: Ending


@frozen
class Late:
    """The deed is done, then something waited for, and then the server is asked."""

    deed: Callable[[], None]
    until: threading.Event


@frozen
class Strike:
    """The deed is done before the server hears of the request, or after it has done it; nobody gets an answer."""

    deed: Callable[[], None]
    performed: bool


Treatment: TypeAlias = Pass | Refuse | Sever | HoldBack | Watch | Late | Strike
PASS: Final = Pass()


@frozen
class Asked:
    """A request, as RBAC sees it."""

    verb: str
    resource: str
    """With its subresource."""
    name: str

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.verb not in ("get", "list", "watch")


class Behaviour(Protocol):
    """Decides how a request is treated. It is called in the proxy's thread, one request at a time."""

    def treat(self, asked: Asked) -> Treatment: ...


def word_of(treatment: Treatment) -> str:
    """What a treatment is called in figures."""
    match treatment:
        case Refuse(code=code, performed=performed):
            return f"{code} after it was done" if performed else str(code)
        case Sever(performed=performed):
            return "severed after it was done" if performed else "severed"
        case Strike(performed=performed):
            return "struck after it was done" if performed else "struck before"
        case Watch(ending=ending):
            return f"watch late, ended {ending.value}"
        case HoldBack():
            return "answer held back"
        case Late():
            return "paused before"
        case Pass():
            return "delayed"
