"""`zenflow graph`: a flow as text that Mermaid or Graphviz draws."""

from __future__ import annotations

from zenflow_core.compile import compile_plan
from zenflow_core.pictures import dot, mermaid
from zenflow_core.plan import Plan
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import pick_flow, say_unrunnable
from zenflow_runtime.cli.terminal import Terminal


def graph(terminal: Terminal, file: str, *, name: str | None, output: str) -> int:
    """Print the picture of one flow; 0, or 2 if it cannot be run."""
    picked = pick_flow(terminal, file, name)
    if isinstance(picked, int):
        return picked
    plan = compile_plan(picked.flow)
    if not isinstance(plan, Plan):
        return say_unrunnable(terminal, picked, plan)
    draw = dot if output == "dot" else mermaid
    terminal.text(draw(plan, title=picked.found.name))
    return exits.OK
