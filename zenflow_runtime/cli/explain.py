"""`zenflow explain`: why each step is where it is, from a manifest or from a dump."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from zenflow_core.dump import Unreplayable
from zenflow_core.explain import explain, write_explanation
from zenflow_core.instants import rfc3339
from zenflow_core.nearest import instead
from zenflow_core.observation import FlowSeen, Observed
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import reconcile
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState
from zenflow_core.styled import Line, Span, Style
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.dumps import is_dump, load_dump, moment_asked, read_file, say_problem
from zenflow_runtime.cli.files import Unread
from zenflow_runtime.cli.flows import read_runnable
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.clock import EPOCH


@frozen
class Moment:
    """A state and when it was."""

    state: FlowState
    at: Instant


def run_explanation(
    terminal: Terminal, file: str, step: str | None, *, name: str | None, given: tuple[str, ...], at: str | None
) -> int:
    """Print why a step (None: the flow) is where it is; 0, 2 for an invalid file, 4 for an unknown step."""
    text = read_file(file)
    if isinstance(text, Unread):
        terminal.fail(f"cannot read {text.file}: {text.why}")
        return exits.INVALID
    if is_dump(text):
        if given:
            terminal.fail("--set needs a manifest: what a dump recorded has happened")
            return exits.INVALID
        moment = _of_dump(terminal, text, file=file, at=at)
    elif at is not None:
        terminal.fail("--at needs a dump: a manifest has no history", f"zenflow simulate {file} --dump FILE writes one")
        return exits.INVALID
    else:
        moment = _of_manifest(terminal, file, name=name, given=given, text=text)
    if isinstance(moment, int):
        return moment
    steps = moment.state.plan.by_name
    if step is not None and step not in steps:
        terminal.fail(f"flow {moment.state.flow.name} has no step {step!r}", instead(step, steps, "it has no steps"))
        return exits.NOT_FOUND
    say_explanation(terminal, moment.state, step)
    return exits.OK


def say_explanation(terminal: Terminal, state: FlowState, step: str | None) -> None:
    """Print why a step that the flow has (None: the flow) is where it is."""
    told = write_explanation(explain(state, StepName(step) if step is not None else None))
    terminal.print(
        each
        for painted in _coloured(told)
        # A command stays on one line, for whoever copies it.
        for each in wrapped_lines([painted], None if "`kubectl" in painted[0].text else terminal.wrap)
    )


def _of_manifest(
    terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], text: bytes
) -> Moment | int:
    runnable = read_runnable(terminal, file, name=name, given=given, text=text)
    if isinstance(runnable, int):
        return runnable
    metadata = runnable.flow.metadata
    seen = FlowSeen(
        runnable.name,
        metadata.namespace or "default",
        uid=metadata.uid or "00000000-0000-0000-0000-000000000000",
        created_at=EPOCH,
        labels=metadata.labels,
        annotations=metadata.annotations,
    )
    decision = reconcile(runnable.plan, None, Observed(flow=seen), now=EPOCH)
    return Moment(decision.state, EPOCH)


def _of_dump(terminal: Terminal, text: bytes, *, file: str, at: str | None) -> Moment | int:
    dump = load_dump(terminal, file, doing="explained", text=text)
    if isinstance(dump, int):
        return dump
    until = moment_asked(at, dump)
    if isinstance(until, str):
        terminal.fail(f"--at: {until}")
        return exits.INVALID
    moment = None
    try:
        for step, decision in dump.replay():
            if until is not None and step.at > until:
                break
            moment = Moment(decision.state, step.at)
    except Unreplayable as error:
        say_problem(terminal, error.problem)
        return exits.INVALID
    if moment is None:
        first = f"; the first decision was at {rfc3339(dump.steps[0].at)}" if dump.steps else ""
        terminal.fail(f"{file} has no decision{' until then' if dump.steps else ''}{first}")
        return exits.NOT_FOUND
    return moment


def _coloured(text: str) -> Iterator[Line]:
    for number, each in enumerate(text.splitlines()):
        if not number:
            yield (Span(each, Style.HEAD),)
            continue
        if not each.startswith(" ") or each.startswith("  - "):
            yield (Span(each, Style.GOOD),)
            continue
        indent = len(each) - len(each.lstrip())
        reason, _, said = each.lstrip().partition(" ")
        style = {"Failed": Style.BAD, "Running": Style.BUSY}.get(reason, Style.WAIT)
        yield (Span(" " * indent + reason, style), Span(f" {said}" if said else ""))
