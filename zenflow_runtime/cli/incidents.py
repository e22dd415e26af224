"""The commands about incidents: a dump decided again, with one thing changed, and by another version."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli.arguments import OUTPUT, FileName
from zenflow_runtime.cli.terminal import Terminal

COMMANDS: Final = ("replay", "whatif", "diff")


def register(app: App, terminal: Terminal) -> None:
    """Add `replay`, `whatif` and `diff`."""

    def replay(
        dump: FileName,
        /,
        *,
        at: str | None = None,
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
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

    def whatif(
        dump: FileName,
        /,
        *,
        change: Annotated[tuple[str, ...], Parameter(name="--change", negative=())] = (),
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
    ) -> int:
        """Play a recorded life with something changed, beside the life as it was.

        What is recorded is followed up to the first difference; from there on each
        Job ends as it did in the record. What the record lacks is assumed, and said.
        Exit code 0 if the flow then succeeds, 1 if it fails, 2 invalid, 3 if it
        waits for ever.

        Parameters
        ----------
        dump
            A dump; `-` reads stdin.
        change
            TARGET=VALUE, several times for several: spec.FIELD, settings.FIELD, steps.NAME[.ATTEMPT],
            approvals.NAME, configMaps.NAME.KEY, clock, news.N.
        output
            text (the default) or json.
        """
        from zenflow_runtime.cli.whatif import run_whatif

        return run_whatif(terminal, dump, change, output=output)

    def diff(
        *dumps: FileName,
        other: Annotated[str, Parameter(name="--with")],
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
    ) -> int:
        """Compare two versions of zenflow over dumps, as the gate of an upgrade.

        This version and the one that --with names decide each dump again.
        Exit code 0 if all decisions are equal, 1 if one is not, 2 for what is no dump.

        Parameters
        ----------
        dumps
            Dumps, or folders of them.
        other
            A version (installed once, into the user's cache), or an environment's folder or python.
        output
            text (the default) or json.
        """
        from zenflow_runtime.cli.diff import run_diff

        return run_diff(terminal, dumps, other=other, output=output)

    app.command(replay, help_epilogue=_REPLAY)
    app.command(whatif, help_epilogue=_WHATIF)
    app.command(diff, usage="Usage: zenflow diff [OPTIONS] DUMP... --with VERSION", help_epilogue=_DIFF)


_REPLAY: Final = """Examples:
  zenflow replay incident.jsonl
  zenflow replay incident.jsonl --at 12
  zenflow replay incident.jsonl --at +5m -o json | jq .status.steps"""
_WHATIF: Final = """Examples:
  zenflow whatif incident.jsonl --change spec.executionPolicy.parallelism=4
  zenflow whatif incident.jsonl --change 'steps.test.2=Complete after 5m'
  zenflow whatif incident.jsonl --change approvals.deploy=never"""

_DIFF: Final = """Examples:
  zenflow diff incidents/ --with 0.2.0
  zenflow diff incident.jsonl --with ~/venvs/next -o json"""
