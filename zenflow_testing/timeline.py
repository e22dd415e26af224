"""A simulation for readers: what moved when, a bar for each step, how it ended; and the same for machines.

Times are virtual and counted from the flow's creation. A wide fan-out is one
line where many equal moves stand together, and one row of bars.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import evolve, frozen

from zenflow_core.explain import explain, write_explanation
from zenflow_core.facts import reason_of
from zenflow_core.families import FAMILY, pattern, told
from zenflow_core.instants import instant, rfc3339
from zenflow_core.plan import Plan
from zenflow_core.reasons import (
    Admitted,
    Adopted,
    ApprovalRequested,
    AttemptFailed,
    Cause,
    Instant,
    JobComplete,
    JobFailed,
    JobSuspended,
    RetriesExhausted,
    RetryAbandoned,
)
from zenflow_core.say import say
from zenflow_core.state import FlowPhase, StepPhase
from zenflow_core.styled import Line, Span, Style, brief, cells, line, padded
from zenflow_core.version import VERSION
from zenflow_testing.gantt import chart
from zenflow_testing.simulation import Entry, Simulation

LINES: Final = 60
"""More lines of moves than this are gathered: nobody reads them."""
GATHERED: Final = 36
"""Lines that remain of them at most."""

_WINDOWS: Final = tuple(
    timedelta(seconds=seconds) for seconds in (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800, 31_536_000_000)
)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

GLYPHS: Final[Mapping[StepPhase, tuple[str, Style]]] = {
    StepPhase.PENDING: ("↻", Style.WAIT),
    StepPhase.PENDING_APPROVAL: ("◌", Style.WAIT),
    StepPhase.RUNNING: ("●", Style.BUSY),
    StepPhase.SUCCEEDED: ("✔", Style.GOOD),
    StepPhase.FAILED: ("✘", Style.BAD),
    StepPhase.SKIPPED: ("⊘", Style.DIM),
}
"""A shape and a colour for each phase: either alone is enough."""

_STOCK: Final = frozenset(
    {"Job has reached the specified backoff limit", "Job was active longer than specified deadline"}
)
"""Messages of the Job controller that say what their reasons (BackoffLimitExceeded, DeadlineExceeded) say."""

_SAID: Final = {StepPhase.PENDING_APPROVAL: "waiting for an approval"}


def timeline_lines(
    simulation: Simulation, *, world: str, columns: int = 80, wrap: int | None = None, full: bool = False
) -> Iterator[Line]:
    """All of it for people. `world` says what it was played with ("seed 7"); `full` gathers nothing.

    `columns` is the width of the chart; moves are broken before column `wrap`, or not at all.
    """
    steps = len(simulation.state.plan.steps)
    head = f" in namespace {simulation.namespace}: {_count(steps, 'step')}, {world}; times are virtual"
    yield line(Span(simulation.flow, Style.HEAD), head)
    yield ()
    yield from moves_lines(simulation, wrap=wrap, full=full)
    bars = list(chart(simulation, columns=columns))
    if bars:
        yield ()
        yield from bars
    yield ()
    yield from result_lines(simulation)


# --- moves -----------------------------------------------------------------------------------------------------------


@frozen
class _Moved:
    """Equal moves of some steps, at one instant or close together."""

    first: Entry
    name: str
    text: str
    until: Entry


def moves_lines(simulation: Simulation, *, wrap: int | None = None, full: bool = False) -> Iterator[Line]:
    """One line a move; equal moves of one instant, and of a crowd of steps, share one.

    What is said of a move and has no room before column `wrap` stands in lines of its own below it.
    """
    start = simulation.started_at
    groups = _gathered(simulation, full=full)
    times = [f"+{brief(group.first.at - start)}" for group in groups]
    wide = max((len(time) for time in times), default=0)
    phases = max((len(group.first.phase.value) for group in groups), default=0)
    names = [group.name for group in groups]
    column = min(max((cells(name) for name in names if cells(name) <= 28), default=0), 28)
    for group, time, name in zip(groups, times, names, strict=True):
        glyph, style = glyph_of(group.first)
        text = group.text
        if group.until.at != group.first.at:
            text = f"until +{brief(group.until.at - start)}{f': {text}' if text else ''}"
        head = (
            Span(f"{time:>{wide}}  ", Style.DIM),
            Span(f"{glyph} {group.first.phase.value:<{phases}}", style),
        )
        told_style = Style.BAD if group.first.phase is StepPhase.FAILED else Style.DIM
        used = wide + phases + 6 + max(cells(name), column)
        if not text:
            yield line(*head, f"  {name}")
        elif wrap is None or used + 2 + cells(text) <= wrap:
            yield line(*head, f"  {padded(name, column)}", Span(f"  {text}", told_style))
        else:
            yield line(*head, f"  {name}")
            for part in textwrap.wrap(text, max(wrap - wide - 4, 20), break_on_hyphens=False):
                yield line(" " * (wide + 4), Span(part, told_style))


def glyph_of(entry: Entry) -> tuple[str, Style]:
    """The shape and the colour of a move."""
    if isinstance(entry.cause, JobSuspended):
        return "‖", Style.WAIT
    if entry.phase is StepPhase.PENDING and entry.origin is StepPhase.PENDING:
        return "·", Style.DIM
    return GLYPHS[entry.phase]


def _gathered(simulation: Simulation, *, full: bool) -> list[_Moved]:
    wording = wording_of(simulation.state.plan, simulation.started_at)
    texts = [wording(entry) for entry in simulation.timeline]
    exact = _gather(simulation.timeline, texts, window=timedelta(0), exactly=True)
    if full or len(exact) <= LINES:
        return exact
    for window in _WINDOWS:
        found = _gather(simulation.timeline, texts, window=window, exactly=False)
        if len(found) <= GATHERED:
            return found
    return exact  # no crowd: these are all different steps


def _gather(entries: Sequence[Entry], texts: Sequence[str], *, window: timedelta, exactly: bool) -> list[_Moved]:
    """Moves in groups; a group begins with its first move and takes what is like it for as long as `window`."""
    groups: list[tuple[list[Entry], list[str]]] = []
    open_groups: dict[tuple[Any, ...], int] = {}
    for entry, text in zip(entries, texts, strict=True):
        like: tuple[Any, ...] = (entry.origin, entry.phase, type(entry.cause))
        key = (*like, text) if exactly else (*like, pattern(entry.step))
        at = open_groups.get(key)
        if at is None or entry.at - groups[at][0][0].at > window:
            open_groups[key] = len(groups)
            groups.append(([entry], [text]))
        else:
            groups[at][0].append(entry)
            groups[at][1].append(text)
    return [_Moved(moved[0], _names(moved), _common(moved, said), moved[-1]) for moved, said in groups]


def _names(moved: Sequence[Entry]) -> str:
    """The steps of a group: of one instant by first and last, of a longer time by what their names share."""
    names = [each.step for each in moved]
    if moved[0].at != moved[-1].at and len(names) >= FAMILY:
        return f"{pattern(names[0])} ({len(names)} steps)"
    return told(names, width=36)


def _common(moved: Sequence[Entry], said: Sequence[str]) -> str:
    if len(set(said)) == 1:
        return said[0]
    return "" if isinstance(moved[0].cause, Admitted | JobComplete) else reason_of(moved[0].cause)


def wording_of(plan: Plan, started_at: Instant) -> Callable[[Entry], str]:
    """What to say of a move beyond its phase: instants become times since the start, a good end its duration."""
    began: dict[str, Entry] = {}

    def word(entry: Entry) -> str:
        match entry.cause:
            case Admitted(attempt, _):
                began[entry.step] = entry
                return f"attempt {attempt}" if attempt > 1 else ""
            case Adopted():
                began[entry.step] = entry
            case JobComplete(at) if entry.step in began:
                return f"in {brief(at - began[entry.step].cause.at)}"
            case ApprovalRequested():
                return plan.steps[plan.by_name[entry.step]].message
            case _:
                pass
        return _relative(say(_shorter(entry.cause)), started_at)

    return word


def _shorter(cause: Cause) -> Cause:
    """A cause without the message that the Job controller always writes beside its reason."""
    match cause:
        case JobFailed(message=message) if message in _STOCK:
            return evolve(cause, message="")
        case AttemptFailed() | RetriesExhausted() | RetryAbandoned() if isinstance(cause.failure, JobFailed):
            if cause.failure.message in _STOCK:
                return evolve(cause, failure=evolve(cause.failure, message=""))
            return cause
        case _:
            return cause


def _relative(text: str, started_at: Instant) -> str:
    """`text` with instants as times since the start, which is how all of this counts."""
    return _INSTANT.sub(lambda found: f"+{brief(instant(found[0]) - started_at)}", text)


# --- the end ---------------------------------------------------------------------------------------------------------


def result_lines(simulation: Simulation, *, time: str = " of virtual time") -> Iterator[Line]:
    """How it ended, what it took, and on what the end depended; for a flow that waits for ever, on what it waits."""
    state = simulation.state
    last = simulation.timeline[-1].at if simulation.timeline else simulation.started_at
    spent = brief((simulation.ended_at or last) - simulation.started_at)
    if simulation.stuck:
        yield line(Span("Waits for ever", Style.BAD), f" from +{spent} on: nothing can move it any more")
        yield from _tallied(simulation)
        yield ()
        for text in write_explanation(explain(state)).splitlines():
            yield line(_relative(text, simulation.started_at))
        return
    good = state.record.phase is FlowPhase.SUCCEEDED
    yield line(Span(state.record.phase.value, Style.GOOD if good else Style.BAD), f" in {spent}{time}")
    message = next((each.message for each in state.record.conditions if each.message), "")
    if message:
        label = "  note     " if good else "  because  "
        yield line(Span(label, Style.DIM), _relative(message, simulation.started_at))
    yield from _tallied(simulation)
    chain = slowest_chain(simulation)
    if len(chain) > 1:
        shown = chain if len(chain) <= 10 else [*chain[:4], f"… {len(chain) - 8} more …", *chain[-4:]]
        yield line(Span("  longest  ", Style.DIM), " → ".join(shown))


def _tallied(simulation: Simulation) -> Iterator[Line]:
    records = simulation.state.records
    counts = {phase: sum(record.phase is phase for record in records) for phase in StepPhase}
    good = counts.pop(StepPhase.SUCCEEDED)
    parts = [f"{good:,} of {len(records):,} succeeded" if good < len(records) else f"all {len(records):,} succeeded"]
    parts += [f"{number:,} {_SAID.get(phase, phase.value.lower())}" for phase, number in counts.items() if number]
    yield line(Span("  steps    ", Style.DIM), ", ".join(parts))
    manual = {step.name for step in simulation.state.plan.steps if step.manual}
    jobs = sum(len(runs) for step, runs in simulation.attempts.items() if step not in manual)
    retries = sum(record.retries_started for record in records)
    of = f", {retries:,} of them {'a retry' if retries == 1 else 'retries'}" if retries else ""
    yield line(Span("  Jobs     ", Style.DIM), f"{jobs:,}{of}")


def slowest_chain(simulation: Simulation) -> list[str]:
    """The steps that the end waited for, from the first to the last, each with the time it took from being ready."""
    steps = simulation.state.plan.steps
    return [f"{steps[rank].name} {brief(spent)}" for rank, spent in critical_path(simulation)]


def critical_path(simulation: Simulation) -> list[tuple[int, timedelta]]:
    """The same by rank: the last to end, what it waited for last, and so on back to the start."""
    state = simulation.state
    ended = [(record.finished_at, -rank) for rank, record in enumerate(state.records) if record.finished_at is not None]
    if not ended:
        return []
    rank = -max(ended)[1]
    chain: list[tuple[int, timedelta]] = []
    while True:
        step, record = state.plan.steps[rank], state.records[rank]
        assert record.finished_at is not None, "a chain is made of steps that ended"
        upstream = step.upstream
        if step.rank >= state.plan.main and not upstream:
            upstream = tuple(range(state.plan.main))
        before = [(at, -each) for each in upstream if (at := state.records[each].finished_at) is not None]
        since = max(before)[0] if before else simulation.started_at
        chain.append((rank, max(record.finished_at - since, timedelta(0))))
        if not before:
            return chain[::-1]
        rank = -max(before)[1]


def time_of_steps(simulation: Simulation) -> tuple[timedelta, ...]:
    """How long each step took from its first start to its end, by rank; pauses before retries included."""
    found = []
    for step, record in zip(simulation.state.plan.steps, simulation.state.records, strict=True):
        runs = simulation.attempts.get(step.name, ())
        over = record.finished_at or (runs[-1].finished_at if runs else None)
        found.append(over - runs[0].started_at if runs and over is not None else timedelta(0))
    return tuple(found)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# --- for machines ----------------------------------------------------------------------------------------------------


def simulation_json(simulation: Simulation) -> dict[str, Any]:
    """The document of `zenflow simulate -o json`; no wall clock is in it."""
    state = simulation.state
    ready = next((each for each in state.record.conditions if each.type == "Ready"), None)
    return {
        "flow": simulation.flow,
        "phase": state.record.phase.value,
        "reason": ready.reason if ready is not None else "",
        "endedAt": None if simulation.ended_at is None else rfc3339(simulation.ended_at),
        "steps": [
            {
                "name": step.name,
                "phase": state.records[step.rank].phase.value,
                "reason": _reason(simulation, step.rank),
                "attempts": [
                    {
                        "number": each.number,
                        "startedAt": rfc3339(each.started_at),
                        "finishedAt": None if each.finished_at is None else rfc3339(each.finished_at),
                        "reason": each.ending,
                    }
                    for each in simulation.attempts.get(step.name, ())
                ],
            }
            for step in sorted(state.plan.steps, key=lambda step: step.row)
        ],
        "timeline": [
            {
                "at": rfc3339(each.at),
                "step": each.step,
                "from": each.origin.value,
                "to": each.phase.value,
                "reason": reason_of(each.cause),
            }
            for each in simulation.timeline
        ],
        "version": VERSION,
    }


def _reason(simulation: Simulation, rank: int) -> str:
    """What brought a step where it is, or what keeps it where nothing has moved it yet."""
    record = simulation.state.records[rank]
    if record.settled or not record.holds:
        return reason_of(record.cause) if record.cause is not None else ""
    return reason_of(record.holds[0])
