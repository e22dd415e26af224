"""A life held against its static bounds: no more Jobs, writes, bytes or seconds than were foretold.

    measure = Measure()
    simulation = simulate(flow, plan, outcomes, watcher=measure)
    exceeded(bounds_of(plan, flow=name), measure)   # () if the bounds hold

What is measured is what was decided, so it is meant for lives without faults:
a write that was refused or lost is decided about again, and bounds know nothing
of that.
"""

from __future__ import annotations

import json
from datetime import timedelta

from zenflow_core.actions import (
    CreateClaim,
    CreateConfigMap,
    CreateJob,
    DeleteFlow,
    DeleteJob,
    NudgeJob,
    RecordStatus,
)
from zenflow_core.bounds import Bounds, Unbounded
from zenflow_core.observation import Observed
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_runtime.flows import Flow


class Measure:
    """A watcher that counts what one flow costs."""

    def __init__(self) -> None:
        self.jobs = 0
        self.creates = 0
        self.status = 0
        self.nudges = 0
        self.deletes = 0
        self.status_bytes = 0
        self.seconds: int | None = None
        """From the flow's start to its end; None while it runs."""

    def __call__(self, _flow: Flow, _observed: Observed, _now: Instant, decision: Decision) -> None:
        for action in decision.actions:
            match action:
                case CreateJob():
                    self.jobs += 1
                    self.creates += 1
                case CreateClaim() | CreateConfigMap():
                    self.creates += 1
                case RecordStatus():
                    self.status += 1
                case NudgeJob():
                    self.nudges += 1
                case DeleteJob() | DeleteFlow():
                    self.deletes += 1
        text = json.dumps(decision.status, separators=(",", ":"), ensure_ascii=False)
        self.status_bytes = max(self.status_bytes, len(text.encode()))
        record = decision.state.record
        if record.completed_at is not None and record.started_at is not None:
            self.seconds = (record.completed_at - record.started_at) // timedelta(seconds=1)


def exceeded(bounds: Bounds, measured: Measure) -> tuple[str, ...]:
    """Which bounds do not hold, with both numbers."""
    writes = bounds.writes
    found = [
        ("Jobs", measured.jobs, bounds.jobs),
        ("creates", measured.creates, writes.creates),
        ("status writes", measured.status, writes.status),
        ("nudges", measured.nudges, writes.nudges),
        ("deletes", measured.deletes, writes.deletes),
        ("bytes of status", measured.status_bytes, bounds.status_bytes),
    ]
    wall = bounds.wall_seconds
    if measured.seconds is not None and not isinstance(wall, Unbounded):
        found.append(("seconds", measured.seconds, wall))
    return tuple(f"{what}: {number}, at most {most} were foretold" for what, number, most in found if number > most)
