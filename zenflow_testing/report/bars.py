"""A flow's life as bars in SVG: one row a step, work in full colour, each kind of waiting with a pattern of its own."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from zenflow_core.styled import brief, cut, visible
from zenflow_testing.gantt import Kind, Stretch, horizon, lives, tick
from zenflow_testing.simulation import Simulation

ROW: Final = 20
"""Height of a row, in CSS pixels."""
WIDTH: Final = 1_000
"""The time axis, in units of the drawing; the page stretches it."""
_TICKS: Final = 10
_THINNEST: Final = 2.0
"""A run that takes no time is still seen."""

SAID: Final[Mapping[Kind, str]] = {
    Kind.RUN: "runs",
    Kind.QUEUE: "waits for its turn",
    Kind.BACKOFF: "pauses before a retry",
    Kind.APPROVAL: "waits for an approval",
    Kind.SUSPENDED: "its Job is suspended",
}

PATTERNS: Final = """\
<svg width="0" height="0" class="patterns" aria-hidden="true"><defs>
<pattern id="p-queue" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="2" cy="2" r="1.1" class="ink"/>\
</pattern>
<pattern id="p-backoff" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="2.2" height="6" class="ink"/></pattern>
<pattern id="p-approval" width="7" height="7" patternUnits="userSpaceOnUse"><path d="M0 0L7 7M7 0L0 7" class="stroke"/>\
</pattern>
<pattern id="p-suspended" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="2" class="ink"/>\
</pattern></defs></svg>
"""


def axis(simulation: Simulation) -> Iterator[str]:
    """The times along the top, as percentages of the width."""
    total = _seconds(horizon(simulation) - simulation.started_at)
    each = tick(max(int(total), 1), _TICKS)
    for at in range(0, int(total) + 1, each):
        yield f'<span style="left:{_number(at * 100 / total)}%">{brief(timedelta(seconds=at))}</span>'


def rows(simulation: Simulation) -> Iterator[tuple[int, str]]:
    """Rank and bar of each step, in the order in which the flow names them."""
    begin, end = simulation.started_at, horizon(simulation)
    total = _seconds(end - begin)
    life = lives(simulation, end)
    for step in sorted(simulation.state.plan.steps, key=lambda step: step.row):
        yield step.rank, "".join(_bar(stretch, _seconds(stretch.begin - begin), total) for stretch in life[step.rank])


def svg_row(bars: str) -> str:
    """The bars of one row as an element."""
    return f'<svg class="bar" viewBox="0 0 {WIDTH} {ROW}" preserveAspectRatio="none">{bars}</svg>'


def legend() -> str:
    """What each colour and pattern means."""
    entries = (
        f'<span><svg class="bar key" viewBox="0 0 30 {ROW}"><rect class="{kind.name.lower()}" y="3" width="30" '
        f'height="14"/></svg>{said}</span>'
        for kind, said in SAID.items()
    )
    return f'<p class="legend">{"".join(entries)}</p>'


def _bar(stretch: Stretch, since: float, total: float) -> str:
    took = stretch.end - stretch.begin
    x = since * WIDTH / total
    width = (
        max(_seconds(took) * WIDTH / total, _THINNEST) if stretch.kind is Kind.RUN else _seconds(took) * WIDTH / total
    )
    said = f"{SAID[stretch.kind]} {brief(took)}, from +{brief(timedelta(seconds=since))}"
    return (
        f'<rect class="{stretch.kind.name.lower()}" x="{_number(x)}" y="3" width="{_number(width)}" height="14">'
        f"<title>{said}</title></rect>"
    )


def _seconds(duration: timedelta) -> float:
    return max(duration.total_seconds(), 0.0) or 1.0


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(value: str, width: int = 400) -> str:
    """Text for HTML, cut to that many columns; control characters become visible."""
    return html.escape(cut(visible(value), width))
