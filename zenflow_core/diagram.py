"""The state machine of a step as a picture and a table, drawn from `TRANSITIONS` and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from zenflow_core.state import StepPhase
from zenflow_core.transitions import TERMINAL, TRANSITIONS

_BEGIN = StepPhase.PENDING

PAGE = """\
# The states of a step

A step moves only because of a *cause*, and this is every move there is. The name of the cause is the `reason` in
`status.steps[]`. Succeeded, Failed and Skipped are final: nothing leads out of them.

This page is drawn from the table that the engine uses (`zenflow_core.transitions.TRANSITIONS`).

```mermaid
{diagram}
```

## Every move

{table}
"""


def page() -> str:
    """The page `docs/states.md`: the diagram, and what each cause means."""
    return PAGE.format(diagram=diagram(), table=table())


def diagram() -> str:
    """The table as a Mermaid state diagram; causes that lead the same way share an arrow."""
    lines = ["stateDiagram-v2", f"    [*] --> {_BEGIN.value}"]
    for (origin, phase), causes in _arrows().items():
        lines.append(f"    {origin.value} --> {phase.value}: {'<br/>'.join(causes)}")
    lines += [f"    {phase.value} --> [*]" for phase in StepPhase if phase in TERMINAL]
    return "\n".join(lines)


def table() -> str:
    """The same as a Markdown table, with the first line of each cause's docstring."""
    lines = ["| from | reason | to | what has happened |", "| --- | --- | --- | --- |"]
    for (origin, cause), phase in TRANSITIONS.items():
        meaning = (cause.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"| {origin.value} | {cause.__name__} | {phase.value} | {meaning} |")
    return "\n".join(lines)


def _arrows() -> Mapping[tuple[StepPhase, StepPhase], tuple[str, ...]]:
    """Names of causes by where they lead from and to, in the order of the table."""
    arrows: dict[tuple[StepPhase, StepPhase], tuple[str, ...]] = {}
    for (origin, cause), phase in TRANSITIONS.items():
        arrows[origin, phase] = (*arrows.get((origin, phase), ()), cause.__name__)
    return arrows
