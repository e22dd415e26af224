"""What a flow can cost at most, known before it runs: Jobs, API writes, bytes of status, time.

Each number is an upper bound over every way that the flow's own Jobs, people
and clocks can go: any attempt may fail or hang, any approval come late or never.
Taken as given is the world around it: the API server accepts what is sent (a
create refused for now is sent again for as long as it is refused), and nobody
edits or deletes the flow, deletes or suspends its Jobs, or replaces it by a
newer run. The time begins when the flow starts (`status.startTime`), after it
has waited for other runs of its group.

The laws hold every simulated life against these numbers
(`zenflow_testing.laws`), so a formula that is too low shows.
"""

from __future__ import annotations

from attrs import frozen

from zenflow_core.bounds.duration import Unbounded, wall_time
from zenflow_core.bounds.status import status_bytes
from zenflow_core.bounds.steps import FlowCounts, Writes, count_all
from zenflow_core.plan import Plan


@frozen
class Bounds:
    """The most that a flow can cost."""

    jobs: int
    """Jobs created, retries included."""
    writes: Writes
    """Requests of the operator that change something, Events included."""
    status_bytes: int
    """Bytes of `.status` as compact JSON, at any time of the flow's life."""
    main_seconds: int | Unbounded
    """From the start to the end of the last step that is not of `finally`."""
    finally_seconds: int | Unbounded
    """From then to the end of the last step of `finally`; 0 without one."""

    @property
    def wall_seconds(self) -> int | Unbounded:
        """From `status.startTime` to `status.completionTime`."""
        if isinstance(self.main_seconds, Unbounded):
            return self.main_seconds
        if isinstance(self.finally_seconds, Unbounded):
            return self.finally_seconds
        return self.main_seconds + self.finally_seconds


def bounds_of(plan: Plan, *, flow: str) -> Bounds:
    """The bounds of a flow that is called `flow`. Cost: about 15 µs a step."""
    counts: FlowCounts = count_all(plan)
    main, last = wall_time(plan)
    return Bounds(
        jobs=counts.jobs,
        writes=counts.writes,
        status_bytes=status_bytes(plan, flow),
        main_seconds=main,
        finally_seconds=last,
    )


__all__ = ["Bounds", "Unbounded", "Writes", "bounds_of"]
