"""Time for programs that run on an event loop while the cluster's clock is simulated.

`LoopClock` lets the cluster's clock follow the loop: on trio with `MockClock(autojump_threshold=0)`, and on
asyncio with `JumpingLoop`, time jumps to the next deadline whenever every task waits. So a day of watching
costs the work that is done in it. `run_virtually` starts either. `ManualClock` is for tests that move the
clock by hand; waiters of the cluster model wake when it passes their deadline, on any backend.

Waiting in a thread is invisible to both loops: time would jump while the thread works.
"""

from __future__ import annotations

import asyncio
import selectors
import warnings
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack, runtime_checkable

import anyio
import anyio.lowlevel

from zenflow_testing.clock import EPOCH, Clock, VirtualClock, timestamp
from zenflow_testing.cluster import Cluster, Event

_Arguments = TypeVarTuple("_Arguments")
_Answer = TypeVar("_Answer")


@runtime_checkable
class Pace(Protocol):
    """Something that time can be waited for with."""

    def seconds(self) -> float:
        """Seconds since some fixed instant, fractions included."""

    async def wait(self, changed: anyio.Event, *, until: float | None) -> None:
        """Return when `changed` is set or `seconds()` has reached `until`, whichever comes first."""


class LoopPace:
    """Time as the running event loop counts it."""

    def seconds(self) -> float:
        """The loop's own time."""
        return anyio.current_time()

    async def wait(self, changed: anyio.Event, *, until: float | None) -> None:
        """Wait on the loop."""
        if until is None:
            await changed.wait()
            return
        with anyio.move_on_after(until - anyio.current_time()):
            await changed.wait()


class LoopClock(LoopPace):
    """A cluster clock that follows the event loop: `Cluster(LoopClock())`.

    It shows `start` when it is first read inside a loop, which a transport does when it is made. Outside of a
    loop it shows what it last showed inside (closing a transport reads it), and in a later run goes on from there.
    """

    def __init__(self, start: datetime = EPOCH) -> None:
        self._base = start
        self._last = start
        self._origin: float | None = None
        self._seen = 0.0

    @property
    def exact(self) -> datetime:
        """The present instant with its fraction of a second."""
        try:
            seconds = anyio.current_time()
        except RuntimeError:  # no loop runs: whoever looks now sees when the loop last was looked at
            return self._last
        if self._origin is None or seconds < self._seen:
            # A new loop counts from anew; the cluster's time goes on.
            self._base, self._origin = self._last, seconds
        self._seen = seconds
        self._last = self._base + timedelta(seconds=seconds - self._origin)
        return self._last

    @property
    def now(self) -> datetime:
        """The present instant: aware, UTC, cut to the second."""
        return self.exact.replace(microsecond=0)

    def __repr__(self) -> str:
        return f"LoopClock({timestamp(self._last)})"


class ManualClock(VirtualClock):
    """A clock that a test moves by hand, and that wakes who waits in the cluster model.

    After `advance` let the woken tasks run (`anyio.wait_all_tasks_blocked()`) before you look at what they did.
    """

    __slots__ = ("_alarms",)

    def __init__(self, start: datetime = EPOCH) -> None:
        super().__init__(start)
        self._alarms: dict[anyio.Event, float] = {}

    def seconds(self) -> float:
        """Seconds since the epoch of simulations."""
        return (self.exact - EPOCH).total_seconds()

    async def wait(self, changed: anyio.Event, *, until: float | None) -> None:
        """Wait for the event, or for somebody to move the clock so far."""
        if until is not None:
            if until <= self.seconds():
                await anyio.lowlevel.checkpoint()
                return
            self._alarms[changed] = until
        try:
            await changed.wait()
        finally:
            self._alarms.pop(changed, None)

    def advance_to(self, instant: datetime) -> None:
        """Move to `instant` and wake everybody whose deadline that passes."""
        super().advance_to(instant)
        now = self.seconds()
        for changed, until in self._alarms.items():
            if until <= now:
                changed.set()


def pace_of(clock: Clock) -> Pace:
    """How to wait for this clock; the event loop's own time for one that cannot be waited for."""
    return clock if isinstance(clock, Pace) else LoopPace()


# Background work of the control plane


class Due(Protocol):
    """A part of the control plane that has something to do now and then: `World`, `GarbageCollector`."""

    def next_due(self) -> datetime | None:
        """When it next wants to act; None for not in sight."""

    def run_due(self) -> int:
        """Do what is due; how much that was."""


async def drive(cluster: Cluster, *parties: Due) -> None:
    """Let each of the parties act when its time comes. Runs until it is cancelled: start it in a task group.

    At one instant the parties act in the order given, again and again until none has anything to do. Give
    the World before the garbage collector.
    """
    pace = pace_of(cluster.clock)
    changed = anyio.Event()

    def saw(_: Event) -> None:
        changed.set()

    detach = cluster.subscribe(saw)
    try:
        while True:
            changed = anyio.Event()
            # A list, not a generator for any(): every party gets its turn.
            while sum([party.run_due() for party in parties]):
                changed = anyio.Event()
            dues = [due for party in parties if (due := party.next_due()) is not None]
            until = None
            if dues:
                until = pace.seconds() + _seconds_to(min(dues), cluster.clock)
            await pace.wait(changed, until=until)
    finally:
        detach()
        # A clock that follows the loop stands where it was last looked at: let that be now.
        _ = cluster.clock.now


def _seconds_to(due: datetime, clock: Clock) -> float:
    here: datetime = getattr(clock, "exact", clock.now)
    # Whoever names an instant that is over and does nothing at it is asked again in a second, not at once.
    seconds = (due - here).total_seconds()
    return seconds if seconds > 0 else 1.0


# Loops whose time jumps


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for time to pass it lets it pass."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            # No timer at all: only a thread or a signal can bring news, and for these one has to wait.
            return super().select(None)
        self.jumped += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time jumps to the next timer whenever nothing is left to do at the present instant."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds that have been jumped over since the loop was made."""
        return self._jumping.jumped


def virtual_options(backend: str) -> dict[str, Any]:
    """`backend_options` for `anyio.run` under which time jumps; `backend` is "trio" or "asyncio"."""
    if backend == "trio":
        from trio.testing import MockClock  # a program that never simulates needs no trio

        return {"clock": MockClock(autojump_threshold=0)}
    if backend == "asyncio":
        return {"loop_factory": JumpingLoop}
    raise ValueError(f'there is no backend {backend!r}; use "trio" or "asyncio"')


def run_virtually(
    main: Callable[[Unpack[_Arguments]], Awaitable[_Answer]], *args: *_Arguments, backend: str = "trio"
) -> _Answer:
    """Run an async function in virtual time and return its answer. Trio has to be installed for its backend.

    Trio shuffles tasks that are ready at one instant; under Hypothesis with `st.random_module()` the seed
    belongs to the example. Asyncio always takes them in the same order.
    """
    with warnings.catch_warnings():
        # Whoever leaves a lightkube watch leaves an iterator of httpx2 behind, which lightkube does not close.
        # It holds nothing open; trio reports it all the same, and where warnings are errors no watch could be left.
        warnings.filterwarnings("ignore", message="Async generator 'httpx2", category=ResourceWarning)
        return anyio.run(main, *args, backend=backend, backend_options=virtual_options(backend))
