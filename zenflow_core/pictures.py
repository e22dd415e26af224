"""A plan as text that other programs draw: Mermaid for Markdown pages, DOT for Graphviz.

The same plan gives the same bytes. Nodes are called `s0`, `s1` ... by rank and
their names stand in labels, so that no name of a step can be taken for syntax.
Approvals are hexagons, steps with a condition have a dashed border, a step
whose failure is tolerated a dotted one; `finally` is a box of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from zenflow_core.expressions import Constant
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.styled import brief, cut, visible

_LABEL: Final = 48
"""Longest line of a label."""


def mermaid(plan: Plan, *, title: str) -> str:
    """The plan as a Mermaid flowchart."""
    return "".join(f"{line}\n" for line in _mermaid(plan, title))


def dot(plan: Plan, *, title: str) -> str:
    """The plan as a Graphviz digraph."""
    return "".join(f"{line}\n" for line in _dot(plan, title))


def _mermaid(plan: Plan, title: str) -> Iterator[str]:
    yield "---"
    yield f"title: {_yaml_text(title)}"
    yield "---"
    yield "flowchart LR"
    boxed = plan.main < len(plan.steps)
    inner = "    " if boxed else "  "
    if boxed:
        yield "  subgraph main [steps]"
    for step in plan.steps[: plan.main]:
        yield inner + _mermaid_node(step)
    if boxed:
        yield "  end"
        yield "  subgraph final [finally]"
        for step in plan.steps[plan.main :]:
            yield inner + _mermaid_node(step)
        yield "  end"
    for before, after in _edges(plan):
        yield f"  s{before} --> s{after}"
    if boxed:
        yield "  main -.-> final"
    for name, style, ranks in (
        ("conditional", "stroke-dasharray: 6 4", _conditional(plan)),
        ("tolerated", "stroke-dasharray: 2 2", _tolerated(plan)),
    ):
        if ranks:
            yield f"  classDef {name} {style}"
            yield f"  class {','.join(f's{rank}' for rank in ranks)} {name}"


def _mermaid_node(step: PlannedStep) -> str:
    said = "<br/>".join(_mermaid_text(part) for part in label(step))
    left, right = ("{{", "}}") if step.manual else ("[", "]")
    return f's{step.rank}{left}"{said}"{right}'


def _dot(plan: Plan, title: str) -> Iterator[str]:
    yield f"digraph {_dot_text(title)} {{"
    yield "  rankdir=LR; compound=true;"
    yield '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];'
    boxed = plan.main < len(plan.steps)
    for step in plan.steps[: plan.main]:
        yield "  " + _dot_node(step)
    if boxed:
        yield "  subgraph cluster_finally {"
        yield '    label="finally"; style="rounded,dashed"; fontname="Helvetica"; fontsize=11;'
        for step in plan.steps[plan.main :]:
            yield "    " + _dot_node(step)
        yield "  }"
    for before, after in _edges(plan):
        yield f"  s{before} -> s{after};"
    if boxed:
        for step in plan.steps[: plan.main]:
            if not step.downstream:
                yield f"  s{step.rank} -> s{plan.main} [style=dashed, lhead=cluster_finally];"
    yield "}"


def _dot_node(step: PlannedStep) -> str:
    given = [f"label={_dot_text(*label(step))}"]
    if step.manual:
        given.append("shape=hexagon")
    if _is_conditional(step):
        given.append('style="rounded,dashed"')
    elif step.continue_on_failure:
        given.append('style="rounded,dotted"')
    return f"s{step.rank} [{', '.join(given)}];"


def label(step: PlannedStep) -> list[str]:
    """Lines for a box: the name, and below it what makes the step special."""
    lines: list[str] = [step.name]
    if step.manual:
        lines.append("approval")
    if step.when is not None and _is_conditional(step):
        lines.append(f"when {' '.join(step.when.source.split())}")
    traits = []
    if step.retry is not None and step.retry.limit:
        traits.append(f"{step.retry.limit} {'retry' if step.retry.limit == 1 else 'retries'}")
    if step.timeout is not None:
        traits.append(f"at most {brief(step.timeout)}")
    if step.continue_on_failure:
        traits.append("may fail")
    if traits:
        lines.append(", ".join(traits))
    return [cut(line, _LABEL) for line in lines]


def _is_conditional(step: PlannedStep) -> bool:
    return step.when is not None and not (isinstance(step.when, Constant) and step.when.holds)


def _conditional(plan: Plan) -> list[int]:
    return [step.rank for step in plan.steps if _is_conditional(step)]


def _tolerated(plan: Plan) -> list[int]:
    return [step.rank for step in plan.steps if step.continue_on_failure and not _is_conditional(step)]


def _edges(plan: Plan) -> Iterator[tuple[int, int]]:
    return ((before, step.rank) for step in plan.steps for before in step.upstream)


def _mermaid_text(text: str) -> str:
    """Text inside the quotes of a Mermaid label: what could end it or be read as HTML or Markdown, by number."""
    return "".join(char if char.isalnum() or char in " .,:;/+-_=!?'()…" else f"#{ord(char)};" for char in visible(text))


def _yaml_text(text: str) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _dot_text(*lines: str) -> str:
    escaped = (visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
