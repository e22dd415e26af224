"""Watchers that write dumps: of a whole life into a file, or of the latest decisions within a bound of bytes.

A watcher is told of each decision right after it was made (`Worker`, and the
operator of the test harness). What it writes is the core's format
(`zenflow_core.dump`), so both are replayed alike.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from zenflow_core.decision import Decision
from zenflow_core.dump import write_change, write_header, write_step
from zenflow_core.limits import DUMP_BYTES
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan
from zenflow_core.reasons import Instant
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.flows import Basis, Flow


class Dumper:
    """Writes every decision about one flow, as it is made: hand it over as `watcher`."""

    def __init__(self, write: Callable[[str], object], *, settings: Settings = DEFAULTS) -> None:
        self._write = write
        self._settings = settings
        self._plan: Plan | None = None

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        if self._plan is None:
            self._write(write_header(flow.obj, flow.seen, settings=self._settings))
        elif decision.state.plan is not self._plan:
            self._write(write_change(flow.obj, now))
        self._plan = decision.state.plan
        self._write(_step(flow, observed, now, decision=decision))


@define
class _Part:
    """Decisions in a row, the first of them written as a fresh process would have made it."""

    header: str
    lines: list[str] = field(factory=list)
    size: int = 0
    """Bytes of all lines."""
    further: int = 0
    """Bytes of the decisions after the first, which alone tells everything and can be as large as the flow."""
    decisions: int = 0

    def add(self, line: str) -> None:
        size = len(line.encode())
        self.size += size
        if self.decisions:
            self.further += size
        self.lines.append(line)


class DumpTail:
    """Keeps the latest decisions about one flow, in about `limit` bytes, ready to be handed out as a dump.

    Kept are two parts. Once the newer one has half of the bytes a third begins, and the oldest is dropped: its first
    decision is written with everything that is known and the stored status, which decides the same ("twins"). What
    that takes, some kilobytes a step, is not counted against the limit: it is written once in a while however large
    the flow is, and never for each decision.
    """

    def __init__(self, *, limit: int = DUMP_BYTES, settings: Settings = DEFAULTS) -> None:
        self._half = limit // 2
        self._settings = settings
        self._parts: list[_Part] = []
        self._plan: Plan | None = None
        self._dropped = 0

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        plan = decision.state.plan
        if not self._parts or self._parts[-1].further >= self._half:
            self._begin(flow)
            line = write_step(
                flow.observed(everything=True), now, decision, everything=True, status=flow.obj.get("status")
            )
            changed = len(self._parts) > 1 and plan is not self._plan
        else:
            line = _step(flow, observed, now, decision=decision)
            changed = plan is not self._plan
        if changed:
            self._parts[-1].add(write_change(flow.obj, now))
        self._plan = plan
        self._parts[-1].add(line)
        self._parts[-1].decisions += 1

    def _begin(self, flow: Flow) -> None:
        if len(self._parts) > 1:
            self._dropped += self._parts.pop(0).decisions
        skipped = self._dropped + sum(part.decisions for part in self._parts)
        header = write_header(flow.obj, flow.seen, settings=self._settings, skipped=skipped)
        self._parts.append(_Part(header, size=len(header.encode())))

    @property
    def size(self) -> int:
        """Bytes that are kept, headers included."""
        return sum(part.size for part in self._parts)

    def text(self) -> str:
        """The dump as it stands; empty before the first decision."""
        if not self._parts:
            return ""
        return self._parts[0].header + "".join(line for part in self._parts for line in part.lines)


def _step(flow: Flow, observed: Observed, now: Instant, *, decision: Decision) -> str:
    return write_step(
        observed,
        now,
        decision,
        everything=flow.basis is Basis.STATUS,
        status=flow.obj.get("status"),
        noted=flow.basis is Basis.NOTED,
    )
