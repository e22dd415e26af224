"""The commands about incidents: a dump decided again, with one thing changed, and by another version."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli.terminal import Terminal

COMMANDS: Final = ("replay",)
_Output = Parameter(name=["--output", "-o"])


def register(app: App, terminal: Terminal) -> None:
    """Add `replay`, `whatif` and `diff`."""

    def replay(
        dump: str,
        /,
        *,
        at: str | None = None,
        output: Annotated[Literal["text", "json"], _Output] = "text",
    ) -> int:
        """Decide again what a dump recorded: the same decisions, or the first difference.

        With --at one decision is shown: what was observed, what was decided from it,
        where each step was then, and what kept it there.
        Exit code 0 if all is equal to the byte, 1 if not, 2 if it is no dump.

        Parameters
        ----------
        dump
            A dump, of `zenflow dump` or `zenflow simulate --dump`; `-` reads stdin.
        at
            A decision: by its number, or the last one until +5m (from the first one) or an instant.
        output
            text (the default) or json.
        """
        from zenflow_runtime.cli.replay import run_replay

        return run_replay(terminal, dump, at=at, output=output)

    app.command(replay, help_epilogue=_REPLAY)


_REPLAY: Final = """Examples:
  zenflow replay incident.jsonl
  zenflow replay incident.jsonl --at 12
  zenflow replay incident.jsonl --at +5m -o json | jq .status.steps"""
