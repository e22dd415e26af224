"""A flow's life as one HTML file that needs nothing else: graph, bars, steps with their reasons, a slider for time.

It opens from a file without a network, in light and dark, is read by keyboard and by screen readers, and prints.
Without JavaScript it shows the end; with it, any moment. The same simulation gives the same bytes. Cost: 1,000 steps
are some 50 ms and 650 kB.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from zenflow_core.drawing.groups import groups
from zenflow_core.drawing.svg import SIGNS, STYLE, drawing
from zenflow_core.explain import explain, write_explanation
from zenflow_core.say import say
from zenflow_core.state import FlowPhase, StepPhase
from zenflow_core.styled import brief
from zenflow_core.version import VERSION
from zenflow_testing.gantt import horizon
from zenflow_testing.report import bars
from zenflow_testing.report.bars import text
from zenflow_testing.simulation import Simulation
from zenflow_testing.timeline import critical_path, time_of_steps, wording_of

_PHASES: Final = tuple(StepPhase)


def page(simulation: Simulation, *, world: str) -> str:
    """The file. `world` says where the story is from: "seed 7", "cluster kind", "dump of 12 May"."""
    return "".join(_parts(simulation, world))


def _parts(simulation: Simulation, world: str) -> Iterator[str]:
    state = simulation.state
    title = f"{simulation.namespace}/{simulation.flow}"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f'<meta name="generator" content="zenflow {VERSION}"><meta name="color-scheme" content="light dark">'
    yield f"<style>{STYLE}{_asset('page.css')}</style></head><body>{bars.PATTERNS}"
    yield from _head(simulation, world)
    yield from _controls(simulation)
    path = critical_path(simulation)
    critical = frozenset(rank for rank, _ in path)
    phases = {rank: record.phase for rank, record in enumerate(state.records)}
    yield '<main><section aria-labelledby="graph"><h2 id="graph">Graph</h2><div class="scroll">'
    yield from drawing(state.plan, title=f"the steps of {title}", phases=phases, critical=critical)
    yield f"</div>{_signs()}</section>"
    yield from _time(simulation, path)
    yield from _steps(simulation)
    yield f'</main><script type="application/json" id="data">{_data(simulation)}</script>'
    yield f"<script>{_asset('page.js')}</script></body></html>\n"


def _asset(name: str) -> str:
    return resources.files("zenflow_testing.report").joinpath(name).read_text(encoding="utf-8")


def _head(simulation: Simulation, world: str) -> Iterator[str]:
    state = simulation.state
    spent = brief(horizon(simulation) - simulation.started_at)
    phase = "Waits for ever" if simulation.stuck else state.record.phase.value
    kind = "Failed" if simulation.stuck or state.record.phase is FlowPhase.FAILED else state.record.phase.value
    yield f'<header><h1>{text(simulation.flow)}</h1><p><span class="phase {kind}">{phase}</span> '
    yield f"in {spent} · namespace {text(simulation.namespace)} · {len(state.records):,} steps · {text(world)}</p>"
    yield '<nav><a href="#graph">Graph</a> <a href="#time">Time</a> <a href="#steps">Steps</a></nav>'
    message = next((each.message for each in state.record.conditions if each.message), "")
    if message:
        yield f'<p class="message">{text(message, 2_000)}</p>'
    if simulation.stuck:
        yield f'<pre class="message">{html.escape(write_explanation(explain(state)))}</pre>'
    yield "</header>"


def _controls(simulation: Simulation) -> Iterator[str]:
    total = _seconds(simulation)
    yield '<div id="controls" hidden><label for="at">Time</label>'
    yield '<button id="first" title="to the beginning (Home)">|◀</button>'
    yield '<button id="before" title="to the move before (p)">◀</button>'
    yield f'<input type="range" id="at" min="0" max="{total}" value="{total}" step="1">'
    yield '<button id="after" title="to the next move (n)">▶</button>'
    yield '<button id="last" title="to the end (End)">▶|</button>'
    yield '<button id="fit" aria-pressed="false" title="the whole graph at once">fit</button>'
    yield '<output id="now" for="at"></output><span id="moved" aria-live="polite"></span></div>'


def _signs() -> str:
    said = " ".join(
        f'<span><b class="sign {phase.value}">{sign}</b> {phase.value}</span>' for phase, sign in SIGNS.items()
    )
    return (
        f'<p class="legend">{said}<span><b class="strong"></b> critical path</span>'
        "<span>dashed: has a condition, dotted: may fail, hexagon: needs an approval</span></p>"
    )


def _time(simulation: Simulation, path: list[tuple[int, Any]]) -> Iterator[str]:
    steps, records = simulation.state.plan.steps, simulation.state.records
    yield '<section aria-labelledby="time"><h2 id="time">Time</h2>'
    if len(path) > 1:
        chain = [f"{text(steps[rank].name)} {brief(spent)}" for rank, spent in path]
        shown = chain if len(chain) <= 12 else [*chain[:5], f"… {len(chain) - 10} more …", *chain[-5:]]
        yield f"<p>The end waited for: {' → '.join(shown)}</p>"
    yield f'{bars.legend()}<div class="scroll"><div class="bars"><div class="axis">'
    yield f"{''.join(bars.axis(simulation))}</div>"
    yield '<div id="cursor"></div>'
    for rank, drawn in bars.rows(simulation):
        phase = records[rank].phase
        name = text(steps[rank].name)
        yield f'<div class="row r{rank} {phase.value}"><span class="name" title="{name}">{name}</span>'
        yield f"{bars.svg_row(drawn)}</div>"
    yield "</div></div></section>"


def _steps(simulation: Simulation) -> Iterator[str]:
    state = simulation.state
    spent = time_of_steps(simulation)
    word = wording_of(state.plan, simulation.started_at)
    moves: dict[str, list[str]] = {}
    last: dict[str, str] = {}
    for entry in simulation.timeline:
        at = brief(entry.at - simulation.started_at)
        last[entry.step] = said = word(entry)
        moves.setdefault(entry.step, []).append(
            f"<li><span>+{at}</span> {entry.phase.value}{f': {text(said, 600)}' if said else ''}</li>"
        )
    yield '<section aria-labelledby="steps"><h2 id="steps">Steps</h2>'
    yield '<p id="search" hidden><label>Show '
    yield '<input type="search" id="filter" placeholder="name, state or reason"></label></p>'
    yield "<table><thead><tr><th>step</th><th>state</th><th>attempts</th><th>took</th><th>why</th></tr></thead><tbody>"
    for step in sorted(state.plan.steps, key=lambda step: step.row):
        record = state.records[step.rank]
        attempts = len(simulation.attempts.get(step.name, ()))
        took = brief(spent[step.rank]) if attempts else ""
        yield f'<tr class="r{step.rank} {record.phase.value}" id="step-{step.rank}"><td>{text(step.name)}</td>'
        yield f'<td class="state"><b class="sign">{SIGNS[record.phase]}</b> <span>{record.phase.value}</span></td>'
        yield f"<td>{attempts or ''}</td><td>{took}</td><td>"
        listed = moves.get(step.name, ())
        why = text("; ".join(say(hold) for hold in record.holds), 2_000)
        listed = moves.get(step.name, ())
        if listed:
            brought = text(last[step.name], 200) or f"{len(listed)} moves"
            yield f"<details><summary>{brought}</summary><ul>{''.join(listed)}</ul></details>"
        if why:
            yield f"<p>{why}</p>"
        yield "</td></tr>"
    yield "</tbody></table></section>"


def _data(simulation: Simulation) -> str:
    """What the script needs: where each step was when. Whole seconds, and phases by number, to be small."""
    index = {phase: number for number, phase in enumerate(_PHASES)}
    by_name = simulation.state.plan.by_name
    moves = [
        [int((entry.at - simulation.started_at).total_seconds()), by_name[entry.step], index[entry.phase]]
        for entry in simulation.timeline
    ]
    data = {
        "end": _seconds(simulation),
        "phases": [phase.value for phase in _PHASES],
        "signs": [SIGNS[phase] for phase in _PHASES],
        "steps": [step.name for step in simulation.state.plan.steps],
        "groups": [list(group.ranks) for group in groups(simulation.state.plan)],
        "moves": moves,
    }
    # "<" could end the element early.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _seconds(simulation: Simulation) -> int:
    return max(-int(-(horizon(simulation) - simulation.started_at).total_seconds() // 1), 1)
