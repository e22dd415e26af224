"""`zenflow explore`: every single fault at every point of a flow's life, and what must always hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import OUTPUT, FileName, Given, OptionalFile
from zenflow_runtime.cli.terminal import Terminal

if TYPE_CHECKING:
    from zenflow_core.plan import Plan
    from zenflow_runtime.cli.flows import Runnable
    from zenflow_testing.explore.search import Progress
    from zenflow_testing.faults.life import Subject
    from zenflow_testing.properties import Property

COMMANDS: Final = ("explore",)

_EVERY_SECONDS: Final = 10.0
"""How often progress is told where it cannot be overwritten."""

_EPILOGUE: Final = """Examples:
  zenflow explore flow.yaml
  zenflow explore flow.yaml --always "steps.deploy.attempts <= 1"
  zenflow explore flow.yaml --pairs 500 --write tests/"""


def register(app: App, terminal: Terminal) -> None:
    """Add `explore`."""

    def explore(
        file: FileName,
        /,
        *,
        name: str | None = None,
        given: Given = (),
        always: Annotated[tuple[str, ...], Parameter(name="--always", negative=())] = (),
        pairs: int = 0,
        budget: int = 5_000,
        write: OptionalFile = None,
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
    ) -> int:
        """Try each crash, lost event, stale read and refusal at each point.

        The flow is played without faults first, calmly and with each step failing;
        then again with one fault at each point of each of these lives. Every law of
        the engine is checked at each decision, and that the flow ends as it should.
        Exit code 0 if all held, 1 if something was broken (the smallest life that
        breaks it is told), 2 if the flow or a property is invalid, 130 after Ctrl-C.

        Parameters
        ----------
        file
            A manifest; `-` reads stdin.
        name
            Which flow, if the file has several.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        always
            What has to hold in every state, in CEL as in `when`; may be given several times.
        pairs
            Try so many pairs of faults, too.
        budget
            Most lives in all; what is left out is said.
        write
            Directory for case files, one for each thing that was broken.
        output
            text (the default) or json.
        """
        return run_exploration(
            terminal,
            file,
            name=name,
            given=given,
            always=always,
            pairs=pairs,
            budget=budget,
            write=write,
            output=output,
        )

    app.command(explore, help_epilogue=_EPILOGUE)


def run_exploration(
    terminal: Terminal,
    file: str,
    *,
    name: str | None,
    given: tuple[str, ...],
    always: tuple[str, ...],
    pairs: int,
    budget: int,
    write: str | None,
    output: str,
) -> int:
    """Explore the flow of a file; the exit code."""
    from zenflow_runtime.cli.flows import read_runnable
    from zenflow_testing.explore.report import case_name, case_of, exploration_json, exploration_lines
    from zenflow_testing.explore.search import Budget, explore

    if pairs < 0 or budget < 1:
        wrong = f"--pairs {pairs}: is below 0" if pairs < 0 else f"--budget {budget}: leaves no life to try"
        terminal.fail(wrong, "give a number of pairs from 0, of lives from 1")
        return exits.INVALID
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    properties = _properties(terminal, always, runnable.plan)
    if isinstance(properties, int):
        return properties
    if write is not None and not Path(write).is_dir():
        terminal.fail(f"--write {write}: there is no such directory", f"make it first: mkdir -p {write}")
        return exits.INVALID
    subject = _subject(runnable)
    with _progress() as show:
        done = explore(subject, properties=properties, budget=Budget(budget, pairs), progress=show)
    written: dict[str, str] = {}
    for law, found in done.found.items() if write is not None else ():
        path = Path(write or "") / f"{case_name(found)}.case.yaml"
        try:
            path.write_text(case_of(found), encoding="utf-8")
        except OSError as error:
            terminal.fail(f"cannot write {path}: {(error.strerror or str(error)).lower()}")
            return exits.INVALID
        written[law] = str(path)
    if output == "json":
        from zenflow_runtime.cli.reports import to_json

        terminal.text(to_json(exploration_json(done, subject, properties)))
    else:
        from zenflow_runtime.cli.terminal import wrapped_lines

        terminal.print(wrapped_lines(exploration_lines(done, subject, properties, written=written), terminal.wrap))
    if done.found:
        return exits.NO
    return exits.INTERRUPTED if done.stopped else exits.OK


def _properties(terminal: Terminal, always: tuple[str, ...], plan: Plan) -> tuple[Property, ...] | int:
    from zenflow_testing.properties import Property, parse_property

    found: list[Property] = []
    bad = False
    for number, text in enumerate(always):
        path = "--always" if len(always) == 1 else f"--always #{number + 1}"
        parsed = parse_property(text, plan, path=path)
        if isinstance(parsed, Property):
            found.append(parsed)
            continue
        bad = True
        for problem in parsed:
            terminal.fail(f"{problem.path}: {problem.what}", problem.fix)
    return exits.INVALID if bad else tuple(found)


def _subject(runnable: Runnable) -> Subject:
    """The flow as it is put into the simulated cluster, in its one namespace."""
    from zenflow_core.codec import write_flow
    from zenflow_testing.cases.playing import NAMESPACE
    from zenflow_testing.faults.life import Subject

    manifest = write_flow(runnable.flow)
    metadata = {**manifest["metadata"], "namespace": NAMESPACE, "name": runnable.name.rstrip("-.")}
    metadata.pop("generateName", None)
    return Subject({**manifest, "metadata": metadata}, runnable.plan, metadata["name"])


@contextmanager
def _progress() -> Iterator[Progress]:
    """Tells how far it is, on stderr: a line that is overwritten on a terminal, else one every ten seconds."""
    live = sys.stderr.isatty()
    every = 0.1 if live else _EVERY_SECONDS
    began = last = monotonic()
    shown = False

    def show(lives: int, what: str) -> None:
        nonlocal last, shown
        at = monotonic()
        if at - began > 1 and at - last > every:
            last, shown = at, True
            text = f"{lives:,} lives; {what}"
            sys.stderr.write(f"\r\x1b[K{text[:100]}" if live else f"{text}\n")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if shown and live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
