"""A plan as one SVG file: no script, no font, no address in it; light or dark as the reader has it.

What a state is, its sign says as well as its colour. A step that needs an approval is a hexagon, one with a condition
has a dashed border, one that may fail a dotted one. A page that shows the drawing finds a step by its class `s<rank>`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Final

from zenflow_core.drawing.layout import HEIGHT, Arrow, Box, Layout, label_of, layout
from zenflow_core.expressions import Constant
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.state import StepPhase
from zenflow_core.styled import cut, visible

SIGNS: Final[Mapping[StepPhase, str]] = {
    StepPhase.PENDING: "…",
    StepPhase.PENDING_APPROVAL: "◌",
    StepPhase.RUNNING: "●",
    StepPhase.SUCCEEDED: "✔",
    StepPhase.FAILED: "✘",
    StepPhase.SKIPPED: "⊘",
}
"""A shape for each phase, the same as in the terminal."""

STYLE: Final = """\
svg.dag{--ink:#1b1f24;--paper:#fff;--line:#8a94a0;--box:#f3f5f7;
--Pending:#eef0f3;--PendingApproval:#fdf0c8;--Running:#cfe3fb;--Succeeded:#cdeedb;--Failed:#f9cfc6;--Skipped:#e4e0ef;
font:12px ui-sans-serif,system-ui,"Segoe UI",sans-serif;color:var(--ink);background:var(--paper)}
@media (prefers-color-scheme:dark){svg.dag{--ink:#e8ebef;--paper:#14171b;--line:#78828e;--box:#23282f;
--Pending:#2a3038;--PendingApproval:#5a4a12;--Running:#173f6c;--Succeeded:#14502f;--Failed:#6c2317;--Skipped:#3d3556}}
.dag .arrow{fill:none;stroke:var(--line);stroke-width:1.3}.dag .tip{fill:var(--line)}
.dag .box .shape{fill:var(--box);stroke:var(--line);stroke-width:1.2}.dag text{fill:var(--ink)}
.dag .when .shape{stroke-dasharray:6 4}.dag .mayfail .shape{stroke-dasharray:2 3}
.dag .sign{text-anchor:middle}.dag .badge{text-anchor:end;font-size:10px;opacity:.75}
.dag .final{fill:none;stroke:var(--line);stroke-dasharray:4 4}.dag .finalword{font-size:11px;opacity:.75}
.dag .Pending .shape{fill:var(--Pending)}.dag .PendingApproval .shape{fill:var(--PendingApproval)}
.dag .Running .shape{fill:var(--Running)}.dag .Succeeded .shape{fill:var(--Succeeded)}
.dag .Failed .shape{fill:var(--Failed);stroke-width:2}.dag .Skipped .shape{fill:var(--Skipped)}
.dag .critical .shape{stroke:var(--ink);stroke-width:2.2}.dag .far{opacity:.35}
.dag .arrow.critical{stroke:var(--ink);stroke-width:2.2}
"""


def svg(plan: Plan, *, title: str) -> str:
    """The plan as a file of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{"".join(drawing(plan, title=title, style=STYLE))}\n'


def drawing(
    plan: Plan,
    *,
    title: str,
    phases: Mapping[int, StepPhase] | None = None,
    critical: frozenset[int] = frozenset(),
    style: str = "",
) -> Iterator[str]:
    """The `<svg>` element in parts. `phases` by rank colour the boxes; `critical` ranks get a strong border."""
    drawn = layout(plan)
    width, height = _number(drawn.width), _number(drawn.height)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" role="img" viewBox="0 0 {width} {height}" '
    yield f'width="{width}" height="{height}"><title>{_text(title)}</title>'
    if style:
        yield f"<style>{style}</style>"
    if drawn.final is not None:
        x, y, w, h = map(_number, drawn.final)
        yield f'<rect class="final" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>'
        at = f'x="{_number(drawn.final[0] + 8)}" y="{_number(drawn.final[1] + 15)}"'
        yield f'<text class="finalword" {at}>finally</text>'
    for arrow in drawn.arrows:
        yield _arrow(drawn, arrow, critical)
    for box in drawn.boxes:
        yield from _box(plan, box, phases or {}, critical)
    yield "</svg>"


def _arrow(drawn: Layout, arrow: Arrow, critical: frozenset[int]) -> str:
    before, after = drawn.boxes[arrow.before], drawn.boxes[arrow.after]
    strong = any(rank in critical for rank in before.group.ranks) and any(r in critical for r in after.group.ranks)
    (x, y), *rest = arrow.points
    path = [f"M{_number(x)} {_number(y)}"]
    # From box to box a curve; along a column that it passes, straight.
    for index, (to_x, to_y) in enumerate(rest):
        if index % 2 == 0:
            middle = _number((x + to_x) / 2)
            path.append(f"C{middle} {_number(y)} {middle} {_number(to_y)} {_number(to_x)} {_number(to_y)}")
        else:
            path.append(f"L{_number(to_x)} {_number(to_y)}")
        x, y = to_x, to_y
    tip = f"M{_number(x)} {_number(y)}l-7 -3.5v7z"
    kind = "arrow critical" if strong else "arrow far" if arrow.is_far else "arrow"
    return f'<path class="{kind}" d="{"".join(path)}"/><path class="tip" d="{tip}"/>'


def _box(plan: Plan, box: Box, phases: Mapping[int, StepPhase], critical: frozenset[int]) -> Iterator[str]:
    step = plan.steps[box.group.ranks[0]]
    found = {phases[rank] for rank in box.group.ranks if rank in phases}
    phase = found.pop() if len(found) == 1 else None
    classes = ["box", *(f"s{rank}" for rank in box.group.ranks[:1]), *_traits(step)]
    if phase is not None:
        classes.append(phase.value)
    if critical.intersection(box.group.ranks):
        classes.append("critical")
    x, y, width = box.x, box.y, box.width
    yield f'<g class="{" ".join(classes)}"><title>{_text(_told(plan, box, phases))}</title>'
    yield _shape(step, x, y, width)
    # Above the name of a group is room for how many of it are how far.
    middle = _number(y + HEIGHT / 2 + (4 if box.group.count == 1 else 9))
    yield f'<text class="sign" x="{_number(x + 17)}" y="{middle}">{SIGNS[phase] if phase else ""}</text>'
    yield f'<text x="{_number(x + 30)}" y="{middle}">{_text(cut(label_of(box.group), 26))}</text>'
    yield f'<text class="badge" x="{_number(x + width - 6)}" y="{_number(y + 11)}"></text></g>'


def _shape(step: PlannedStep, x: float, y: float, width: float) -> str:
    if not step.manual:
        return (
            f'<rect class="shape" x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{HEIGHT}" rx="7"/>'
        )
    middle, bottom, right = y + HEIGHT / 2, y + HEIGHT, x + width
    corners = ((x, middle), (x + 12, y), (right - 12, y), (right, middle), (right - 12, bottom), (x + 12, bottom))
    points = " ".join(f"{_number(px)},{_number(py)}" for px, py in corners)
    return f'<polygon class="shape" points="{points}"/>'


def _traits(step: PlannedStep) -> list[str]:
    if step.when is not None and not (isinstance(step.when, Constant) and step.when.holds):
        return ["when"]
    return ["mayfail"] if step.continue_on_failure else []


def _told(plan: Plan, box: Box, phases: Mapping[int, StepPhase]) -> str:
    names = [plan.steps[rank].name for rank in box.group.ranks]
    if len(names) > 1:
        counts = {phase: sum(phases.get(rank) is phase for rank in box.group.ranks) for phase in StepPhase}
        said = ", ".join(f"{count} {phase.value}" for phase, count in counts.items() if count)
        return f"{names[0]} … {names[-1]}{f': {said}' if said else ''}"
    phase = phases.get(box.group.ranks[0])
    return f"{names[0]}{f': {phase.value}' if phase else ''}"


def _number(value: float) -> str:
    """At most one decimal, and none where it is zero: the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return html.escape(visible(text))
