"""`zenflow graph`: a flow as text that Mermaid or Graphviz draws."""

from __future__ import annotations

from zenflow_core.pictures import dot, mermaid
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.flows import read_runnable
from zenflow_runtime.cli.terminal import Terminal


def graph(terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], output: str) -> int:
    """Print the picture of one flow; 0, or 2 if it cannot be run."""
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    draw = dot if output == "dot" else mermaid
    terminal.text(draw(runnable.plan, title=runnable.name))
    return exits.OK
