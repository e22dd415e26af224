"""`zenflow graph`: a flow as text that Mermaid or Graphviz draws, or drawn as SVG or HTML."""

from __future__ import annotations

from typing import Protocol

from zenflow_core.pictures import dot, mermaid
from zenflow_core.plan import Plan
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.flows import read_runnable
from zenflow_runtime.cli.terminal import Terminal


class Drawer(Protocol):
    """Makes a picture of a plan."""

    def __call__(self, plan: Plan, *, title: str) -> str: ...


def graph(terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], output: str) -> int:
    """Print the picture of one flow; 0, or 2 if it cannot be run."""
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    terminal.text(_drawer(output)(runnable.plan, title=runnable.name))
    return exits.OK


def _drawer(output: str) -> Drawer:
    match output:
        case "dot":
            return dot
        case "svg":
            from zenflow_core.drawing.svg import svg

            return svg
        case "html":
            from zenflow_core.drawing.sheet import sheet

            return sheet
        case _:
            return mermaid
