"""How long the programs keep trying, and how they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import field, frozen

from zenflow_runtime.artifacts.errors import Stopped, TransferError

_T = TypeVar("_T")

_PAUSE_FACTOR: Final = 2.0


@frozen
class Patience:
    """Tries, and pauses that double between them. With these defaults a store may be away for about two minutes."""

    tries: int = 8
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0
    """How long a connection may say nothing. A slow body is no silence: it is the step's timeout that ends it."""
    stopping: threading.Event = field(factory=threading.Event)

    def check(self) -> None:
        """Raise Stopped if the container has been told to end."""
        if self.stopping.is_set():
            raise Stopped

    def pause(self, number: int) -> None:
        """Wait before try `number + 1`; raises Stopped at once when told to end."""
        if self.stopping.wait(min(self.longest_pause_seconds, self.pause_seconds * _PAUSE_FACTOR ** (number - 1))):
            raise Stopped

    def trying(self, action: Callable[[], _T], *, tries: int | None = None) -> _T:
        """The action's answer, tried again as long as its TransferError does not last."""
        number, most = 1, tries or self.tries
        while True:
            self.check()
            try:
                return action()
            except TransferError as trouble:
                if trouble.lasting or number >= most:
                    raise
            self.pause(number)
            number += 1
