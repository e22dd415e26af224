"""A flow on a cluster as a tree: each step with its state, how long it took, its retries and why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from zenflow_core.families import families
from zenflow_core.plan import PlannedStep
from zenflow_core.reasons import AwaitsApproval, JobIsSuspended, RunsUntil
from zenflow_core.say import say, tells
from zenflow_core.state import FlowPhase, StepPhase, StepRecord
from zenflow_core.styled import Line, Span, Style, brief, cells, cut, line
from zenflow_runtime.cli.plan import waves_of
from zenflow_runtime.cli.standing import Standing, life_of
from zenflow_runtime.cli.terminal import wrapped_lines
from zenflow_runtime.cli.trees import Place, Unit, placed
from zenflow_testing.timeline import GLYPHS, slowest_chain

FLOW_STYLES: Final = {
    FlowPhase.PENDING: Style.WAIT,
    FlowPhase.RUNNING: Style.BUSY,
    FlowPhase.PAUSED: Style.WAIT,
    FlowPhase.SUSPENDED: Style.WAIT,
    FlowPhase.SUCCEEDED: Style.GOOD,
    FlowPhase.FAILED: Style.BAD,
}
NOT_STARTED: Final = ("·", Style.DIM)
_SHOWN: Final = 5
"""Steps of a chain at each end, where it is too long to be read."""


@frozen
class _Row:
    lead: str
    glyph: str
    style: Style
    name: str
    took: str
    note: str
    job: str
    place: int
    """From the top."""

    @property
    def order(self) -> int:
        """What is shown first where there is no room for all."""
        return _ORDER.index(self.style)


_ORDER: Final = (Style.BAD, Style.BUSY, Style.WAIT, Style.GOOD, Style.DIM)


@frozen
class Look:
    """How a tree is drawn."""

    columns: int
    wrap: int | None = None
    """Column at which what is said of a step is broken; None: one line a step."""
    every_step: bool = False
    """No families of steps, and the name of each step's Job."""
    most: int | None = None
    """Rows to show of those there are: what goes on, fails or waits for a person comes first."""
    turn: str = ""
    """Drawn for what runs instead of its glyph, to show that somebody looks."""


def tree_lines(found: Standing, look: Look) -> Iterator[Line]:
    """All of it: the flow, its steps, and the chain of steps that takes longest."""
    columns, wrap = look.columns, look.wrap
    yield from head_lines(found, wrap=wrap)
    rows = list(_rows(found, every_step=look.every_step))
    left_out = len(rows) - look.most if look.most is not None else 0
    if left_out > 0:
        rows = sorted(sorted(rows, key=lambda row: row.order)[: look.most], key=lambda row: row.place)
    if rows:
        yield ()
    name = min(max((cells(row.lead + row.name) for row in rows), default=0), max(columns // 2, 24))
    took = max((len(row.took) for row in rows), default=0)
    for row in rows:
        shown = cut(row.name, max(name - cells(row.lead), 12))
        filling = " " * max(name - cells(row.lead + shown), 0)
        said = "  ".join(part for part in (row.note, row.job) if part)
        glyph = look.turn if look.turn and row.style is Style.BUSY else row.glyph
        head = (Span(row.lead, Style.DIM), Span(f"{glyph} ", row.style), Span(shown + filling))
        duration = Span(f"  {row.took:>{took}}" if took else "", Style.DIM)
        note = Span(f"  {said}" if said else "", Style.BAD if row.style is Style.BAD else Style.DIM)
        yield from wrapped_lines([(*head, duration, note)], wrap)
    if left_out > 0:
        yield line(Span(f"… and {left_out:,} more lines: {_counts(found)}", Style.DIM))
    yield from _chain(found, wrap)


def head_lines(found: Standing, *, wrap: int | None) -> Iterator[Line]:
    """The flow as a whole: phase, steps that are over, time; and what keeps or ended it."""
    state = found.state
    phase, total = state.record.phase, len(state.records)
    retries = state.tally.retries
    parts = [f"{state.tally.settled}/{total} steps over"] if total else []
    parts += [brief(found.spent)] if state.record.started_at is not None else []
    parts += [f"{retries} {'retry' if retries == 1 else 'retries'}"] if retries else []
    parts += ["being deleted"] if state.flow.deleting_since is not None else []
    yield line(
        Span(state.flow.name, Style.HEAD), "  ", Span(phase.value, FLOW_STYLES[phase]), *(f"  {part}" for part in parts)
    )
    for text in dict.fromkeys(_why(found)):
        yield from wrapped_lines([line(Span("  ", Style.DIM), text)], wrap)


def _why(found: Standing) -> Iterator[str]:
    state = found.state
    if state.flow.generation > state.record.observed_generation and not found.is_over:
        first = not state.record.observed_generation
        yield "no operator has looked at it yet" if first else "no operator has looked at its last change yet"
    if found.is_over:
        yield from [each.message for each in state.record.conditions if each.message][:1]
        return
    for hold in state.record.holds:
        yield say(hold)


def _rows(found: Standing, *, every_step: bool) -> Iterator[_Row]:
    state = found.state

    def key(step: PlannedStep) -> object:
        return (step.rank,) if every_step else (step.manual, state.records[step.rank].phase, step.upstream)

    units = [
        Unit(tuple(members), wave)
        for wave, steps in enumerate(waves_of(state.plan))
        for members in families((key(step), step.name, step) for step in steps)
    ]
    for number, place in enumerate(placed(units)):
        yield _row(found, place, number, every_step=every_step)


def _row(found: Standing, place: Place, number: int, *, every_step: bool) -> _Row:
    unit = place.unit
    records = [found.state.records[step.rank] for step in unit.steps]
    glyph, style = glyph_of(records[0])
    took = max((took_of(record, found) for record in records), default=timedelta(0))
    began = any(record.started_at is not None for record in records)
    notes = [note_of(step, record) for step, record in zip(unit.steps, records, strict=True)]
    same = len(set(notes)) == 1
    note = notes[0] if same else f"{notes[0]}, and others" if notes[0] else ""
    job = records[0].job.name if every_step and records[0].job is not None else ""
    return _Row(place.lead, glyph, style, unit.label, brief(took) if began else "", note=note, job=job, place=number)


def glyph_of(record: StepRecord) -> tuple[str, Style]:
    """The shape and the colour of a step as it stands."""
    if record.phase is StepPhase.PENDING and not record.attempt:
        return NOT_STARTED
    if any(isinstance(hold, JobIsSuspended) for hold in record.holds):
        return "‖", Style.WAIT
    return GLYPHS[record.phase]


def took_of(record: StepRecord, found: Standing) -> timedelta:
    """How long its latest attempt took, or has taken so far."""
    if record.started_at is None:
        return timedelta(0)
    return max((record.finished_at or found.at) - record.started_at, timedelta(0))


def note_of(step: PlannedStep, record: StepRecord) -> str:
    """What there is to say of a step beyond its glyph."""
    parts: list[str] = []
    limit = 1 + (step.retry.limit if step.retry is not None else 0)
    counted = record.attempt > 1 or (record.phase is StepPhase.PENDING and record.attempt == 1)
    if counted or (record.phase is StepPhase.RUNNING and limit > 1):
        parts.append(f"attempt {record.attempt} of {limit}" if limit > 1 else f"attempt {record.attempt}")
    if record.settled:
        parts += [tells(record.cause)] if record.cause is not None else []
    else:
        # That a running Job has a deadline keeps nobody waiting.
        holds = [hold for hold in record.holds if not isinstance(hold, RunsUntil)]
        parts += [say(hold) for hold in holds]
        if any(isinstance(hold, AwaitsApproval) for hold in holds) and step.message:
            parts.append(step.message)
    return "; ".join(part for part in parts if part)


def _counts(found: Standing) -> str:
    phases = [record.phase for record in found.state.records]
    return ", ".join(f"{phases.count(phase):,} {phase.value}" for phase in StepPhase if phase in phases) + " in all"


def _chain(found: Standing, wrap: int | None) -> Iterator[Line]:
    chain = slowest_chain(life_of(found))
    if len(chain) < 2:
        return
    shown = _shortened(chain)
    yield ()
    label = "longest chain  " if found.is_over else "longest so far  "
    yield from wrapped_lines([(Span(label, Style.DIM), Span(" → ".join(shown)))], wrap)


def _shortened(chain: Sequence[str]) -> list[str]:
    if len(chain) <= 2 * _SHOWN + 2:
        return list(chain)
    return [*chain[:_SHOWN], f"… {len(chain) - 2 * _SHOWN} more …", *chain[-_SHOWN:]]


__all__ = ["FLOW_STYLES", "Look", "glyph_of", "head_lines", "note_of", "tree_lines"]
