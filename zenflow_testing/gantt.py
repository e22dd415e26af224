"""A simulation as bars, one row a step: what ran, and what the rest of the time was spent waiting for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Final

from attrs import frozen

from zenflow_core.families import families, pattern
from zenflow_core.plan import PlannedStep
from zenflow_core.reasons import Instant, JobResumed, JobSuspended
from zenflow_core.state import StepPhase
from zenflow_core.styled import Line, Span, Style, brief, cells, cut, line, padded
from zenflow_testing.simulation import Simulation

ROWS: Final = 40
"""Rows of a chart; where there are more, the longest stay."""
_LABEL: Final = 24
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"


class Kind(IntEnum):
    """What time is spent on; where several share a cell, the highest is drawn."""

    NOTHING = 0
    QUEUE = 1
    BACKOFF = 2
    SUSPENDED = 3
    APPROVAL = 4
    RUN = 5


_DRAWN: Final = {
    Kind.NOTHING: (" ", Style.PLAIN, ""),
    Kind.RUN: ("█", Style.BUSY, "runs"),
    Kind.QUEUE: ("░", Style.DIM, "waits for its turn"),
    Kind.BACKOFF: ("▒", Style.WAIT, "pauses before a retry"),
    Kind.SUSPENDED: ("╌", Style.DIM, "its Job is suspended"),
    Kind.APPROVAL: ("◌", Style.WAIT, "waits for an approval"),
}


@frozen
class Stretch:
    """A part of a step's life."""

    kind: Kind
    begin: Instant
    end: Instant


@frozen
class _Row:
    label: str
    steps: tuple[PlannedStep, ...]
    stretches: tuple[Stretch, ...]

    @property
    def spent(self) -> timedelta:
        if not self.stretches:
            return timedelta(0)
        return max(each.end for each in self.stretches) - min(each.begin for each in self.stretches)


def chart(simulation: Simulation, *, columns: int) -> Iterator[Line]:
    """The chart with its axis and legend; nothing for a flow in which no time passes."""
    begin, end = simulation.started_at, horizon(simulation)
    if end <= begin:
        return
    rows = _rows(simulation, end)
    left_out = len(rows) - ROWS
    if left_out > 0:
        longest = sorted(rows, key=lambda row: row.spent, reverse=True)[: ROWS - 1]
        kept = {row.label for row in longest}
        left_out = len(rows) - len(longest)
        rows = [row for row in rows if row.label in kept]
    label = min(max(cells(row.label) for row in rows), _LABEL, columns // 3)
    notes = [_note(simulation, row) for row in rows]
    width = max(columns - label - 3 - max(cells(glyph + text) for glyph, _, text in notes) - 1, 10)
    yield line(Span(" " * label + "  " + _axis(end - begin, width), Style.DIM))
    used: set[Kind] = set()
    for row, (glyph, style, text) in zip(rows, notes, strict=True):
        kinds, heights = _cells(row, begin, end, width=width)
        used.update(kinds)
        yield line(
            f"{padded(cut(row.label, label), label)}  ",
            *_bar(kinds, heights),
            " ",
            Span(glyph, style),
            Span(f" {text}" if text else "", Style.DIM),
        )
    if left_out > 0:
        yield line(Span(f"… and {left_out} shorter ones", Style.DIM))
    legend = [f"{_DRAWN[kind][0]} {_DRAWN[kind][2]}" for kind in sorted(used, reverse=True) if kind]
    if any(len(row.steps) > 1 for row in rows):
        legend.append("▁▄█ how many run")
    # Joined by a character that is no blank to textwrap, so that no entry is broken.
    joined = "  ".join(entry.replace(" ", "\u00a0") for entry in legend)
    for part in textwrap.wrap(joined, max(columns - label - 2, 20)):
        yield line(Span(" " * label + "  " + part.replace("\u00a0", " "), Style.DIM))


def horizon(simulation: Simulation) -> Instant:
    """Where the chart ends: the flow's end; for one that waits for ever somewhat after its last move."""
    last = max(
        [simulation.started_at, *(each.at for each in simulation.timeline)],
    )
    if simulation.ended_at is not None:
        return max(simulation.ended_at, last)
    return last + max((last - simulation.started_at) / 4, timedelta(seconds=1))


def stretches_of(simulation: Simulation, step: PlannedStep, end: Instant) -> tuple[Stretch, ...]:
    """A step's life in parts; what it spent waiting for other steps is in none."""
    runs = simulation.attempts.get(step.name, ())
    if not runs:
        return ()
    found: list[Stretch] = []
    before: Instant | None = _ready_at(simulation, step)
    waits = Kind.QUEUE
    for run in runs:
        if before is not None and run.started_at > before:
            found.append(Stretch(waits, before, run.started_at))
        kind = Kind.APPROVAL if step.manual else Kind.RUN
        found.append(Stretch(kind, run.started_at, run.finished_at or end))
        before, waits = run.finished_at, Kind.BACKOFF
    over = simulation.state.records[step.rank].finished_at or end
    if before is not None and over > before:
        found.append(Stretch(waits, before, over))
    return tuple(found)


def _ready_at(simulation: Simulation, step: PlannedStep) -> Instant:
    """When nothing of the flow's other steps was missing any more, for a step that has begun."""
    state = simulation.state
    upstream: Sequence[int] = step.upstream
    if step.rank >= state.plan.main and not upstream:
        upstream = range(state.plan.main)
    ends = [end for rank in upstream if (end := state.records[rank].finished_at) is not None]
    return max(ends, default=state.record.started_at or simulation.started_at)


def _suspensions(simulation: Simulation, end: Instant) -> dict[str, list[Stretch]]:
    """Times in which somebody else kept a step's Job suspended."""
    since: dict[str, Instant] = {}
    found: dict[str, list[Stretch]] = {}
    for entry in simulation.timeline:
        match entry.cause:
            case JobSuspended(at):
                since[entry.step] = at
            case JobResumed(at) if entry.step in since:
                found.setdefault(entry.step, []).append(Stretch(Kind.SUSPENDED, since.pop(entry.step), at))
            case _ if entry.step in since:
                found.setdefault(entry.step, []).append(Stretch(Kind.SUSPENDED, since.pop(entry.step), entry.at))
            case _:
                pass
    for step, at in since.items():
        found.setdefault(step, []).append(Stretch(Kind.SUSPENDED, at, end))
    return found


def lives(simulation: Simulation, end: Instant) -> dict[int, tuple[Stretch, ...]]:
    """Each step's life in parts, by rank, with the times in which somebody kept its Job suspended."""
    suspended = _suspensions(simulation, end)
    return {
        step.rank: _without(stretches_of(simulation, step, end), suspended.get(step.name, []))
        for step in simulation.state.plan.steps
    }


def _rows(simulation: Simulation, end: Instant) -> list[_Row]:
    life = lives(simulation, end)
    steps = simulation.state.plan.steps
    if len(steps) <= ROWS:
        return [_Row(step.name, (step,), life[step.rank]) for step in steps]
    level = _levels(steps)
    grouped = families((level[step.rank], step.name, step) for step in steps)
    if len(grouped) > ROWS:
        grouped = families((step.manual, step.name, step) for step in steps)
    return [
        _Row(
            _label_of(members),
            tuple(members),
            tuple(stretch for step in members for stretch in life[step.rank]),
        )
        for members in grouped
    ]


def _levels(steps: Sequence[PlannedStep]) -> list[int]:
    """How many steps stand before each one, along its longest chain."""
    level: list[int] = []
    for step in steps:
        level.append(max((level[before] + 1 for before in step.upstream), default=0))
    return level


def _label_of(members: Sequence[PlannedStep]) -> str:
    if len(members) == 1:
        return members[0].name
    return f"{pattern(members[0].name)} ({len(members)})"


def _without(life: tuple[Stretch, ...], holes: list[Stretch]) -> tuple[Stretch, ...]:
    """A life with the times of suspension cut out of its runs and put in as what they are."""
    if not holes:
        return life
    found: list[Stretch] = []
    for stretch in life:
        at = stretch.begin
        for hole in holes:
            if stretch.kind is Kind.RUN and stretch.begin <= hole.begin < stretch.end:
                found += [Stretch(Kind.RUN, at, hole.begin), hole]
                at = hole.end
        found.append(Stretch(stretch.kind, at, max(at, stretch.end)))
    return tuple(each for each in found if each.end > each.begin)


def _cells(row: _Row, begin: Instant, end: Instant, *, width: int) -> tuple[list[Kind], list[str]]:
    """The kind of each cell; for a family also how high its runs stand there."""
    total = (end - begin).total_seconds()
    kinds = [Kind.NOTHING] * width
    running = [0] * width
    for stretch in row.stretches:
        first = int((stretch.begin - begin).total_seconds() * width / total)
        last = -int(-(stretch.end - begin).total_seconds() * width // total)
        first = min(first, width - 1)
        for cell in range(first, max(min(last, width), first + 1)):
            kinds[cell] = max(kinds[cell], stretch.kind)
            running[cell] += stretch.kind is Kind.RUN
    if len(row.steps) == 1:
        return kinds, []
    peak = max(running) or 1
    return kinds, [_HEIGHTS[max(-(-count * len(_HEIGHTS) // peak) - 1, 0)] if count else "" for count in running]


def _bar(kinds: list[Kind], heights: list[str]) -> Iterator[Span]:
    """Equal cells side by side are one span."""
    at = 0
    while at < len(kinds):
        stop = at
        while stop < len(kinds) and kinds[stop] is kinds[at]:
            stop += 1
        char, style, _ = _DRAWN[kinds[at]]
        risen = "".join(heights[at:stop]) if heights and kinds[at] is Kind.RUN else ""
        yield Span(risen or char * (stop - at), style)
        at = stop


def _note(simulation: Simulation, row: _Row) -> tuple[str, Style, str]:
    """What stands behind a bar: how it ended and how long it took, or how many of a family ended how."""
    phases = [simulation.state.records[step.rank].phase for step in row.steps]
    if len(phases) > 1:
        counts = [(glyph, phases.count(phase)) for phase, (glyph, _) in ENDS.items() if phases.count(phase)]
        return "", Style.PLAIN, " ".join(f"{count}{glyph}" for glyph, count in counts)
    glyph, style = ENDS[phases[0]]
    runs = len(simulation.attempts.get(row.steps[0].name, ()))
    spent = [each for each in row.stretches if each.kind is not Kind.QUEUE]
    took = brief(max(each.end for each in spent) - min(each.begin for each in spent)) if spent else ""
    return glyph, style, f"{took}{f' ×{runs}' if runs > 1 else ''}"


ENDS: Final = {
    StepPhase.SUCCEEDED: ("✔", Style.GOOD),
    StepPhase.FAILED: ("✘", Style.BAD),
    StepPhase.SKIPPED: ("⊘", Style.DIM),
    StepPhase.RUNNING: ("●", Style.BUSY),
    StepPhase.PENDING_APPROVAL: ("◌", Style.WAIT),
    StepPhase.PENDING: ("…", Style.WAIT),
}


def tick(seconds: int, most: float) -> int:
    """A round number of seconds that divides so many into at most `most` parts."""
    return next((each for each in _TICKS if seconds / each <= most), seconds)


def _axis(total: timedelta, width: int) -> str:
    """Round times along the top, as many as fit, and the end at its end."""
    seconds = max(int(total.total_seconds()), 1)
    end = brief(total)
    shown = list(end.rjust(width))
    each = tick(seconds, width / _TICK_CELLS)
    for at in range(0, seconds, each):
        text, cell = brief(timedelta(seconds=at)), at * width // seconds
        if cell + len(text) + 2 <= width - len(end):
            shown[cell : cell + len(text)] = text
    return "".join(shown)


_TICK_CELLS: Final = 10
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_TICKS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000)),
)
"""Seconds between the times of an axis."""
