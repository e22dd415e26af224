"""A plan as one HTML file: the drawing, and below it what each step waits for and what makes it special."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

from zenflow_core.drawing.svg import STYLE, drawing
from zenflow_core.pictures import label
from zenflow_core.plan import Plan
from zenflow_core.styled import visible

_STYLE: Final = """\
:root{color-scheme:light dark}body{margin:1rem 1.5rem;font:14px/1.45 ui-sans-serif,system-ui,"Segoe UI",sans-serif}
h1{font-size:1.4rem}.scroll{overflow:auto;max-height:75vh;border:1px solid #8a94a0;border-radius:.5rem}
.scroll svg{display:block}table{border-collapse:collapse;margin-top:1rem}
th,td{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}td:first-child{font-weight:600}
@media print{.scroll{overflow:visible;max-height:none;border:0}.scroll svg{max-width:100%;height:auto}}
"""


def sheet(plan: Plan, *, title: str) -> str:
    """The file. It needs no network and no script; the same plan gives the same bytes."""
    return "".join(_parts(plan, title))


def _parts(plan: Plan, title: str) -> Iterator[str]:
    name = html.escape(visible(title))
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
    yield f"<style>{STYLE}{_STYLE}</style></head><body><h1>{name}</h1>"
    yield '<div class="scroll" tabindex="0">'
    yield from drawing(plan, title=f"the steps of {title}")
    yield "</div><table><thead><tr><th>step</th><th>waits for</th><th></th></tr></thead><tbody>"
    for step in sorted(plan.steps, key=lambda step: step.row):
        _, *traits = label(step)
        upstream = ", ".join(plan.steps[rank].name for rank in step.upstream)
        if step.rank >= plan.main and not upstream:
            upstream = "the end of all other steps"
        cells = (step.name, upstream, ", ".join(traits))
        yield f"<tr>{''.join(f'<td>{html.escape(visible(cell))}</td>' for cell in cells)}</tr>"
    yield "</tbody></table></body></html>\n"
