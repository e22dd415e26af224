"""The one flow that a command is about: picked from its file, with the parameters of `--set`, compiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from attrs import evolve, frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.nearest import instead
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.spec import GROUP, KIND, JobFlow
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import Found, Unread, find_flows, read_file
from zenflow_runtime.cli.findings import say_findings
from zenflow_runtime.cli.terminal import Terminal

_NAMED: Final = 10


@frozen
class Runnable:
    """A flow that can be run."""

    name: str
    flow: JobFlow
    plan: Plan


@frozen
class NoParameter:
    """What is wrong with a `--set`, and how to put it right."""

    what: str
    fix: str


def read_runnable(
    terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], text: bytes | None = None
) -> Runnable | int:
    """The flow of `file` called `name` (None: the only one); an exit code once the trouble has been said.

    `given` are the values of `--set`; `text` is what the file holds, if it has been read already.
    """
    content = read_file(file) if text is None else text
    if isinstance(content, Unread):
        terminal.fail(f"cannot read {content.file}: {content.why}")
        return exits.INVALID
    entries = find_flows(content, file)
    problems = tuple(each for each in entries if isinstance(each, Problem))
    if problems:
        say_findings(terminal, problems, file=file, text=content)
        return exits.INVALID
    found = _chosen(terminal, [each for each in entries if isinstance(each, Found)], file=file, name=name)
    if isinstance(found, int):
        return found
    flow = read_flow(found.data)
    if not isinstance(flow, JobFlow):
        say_findings(terminal, found.placed(flow), file=file, text=content)
        return exits.INVALID
    values = parse_given(given)
    wrong = (
        values
        if isinstance(values, NoParameter)
        else find_unknown(values, [each.name for each in flow.spec.parameters])
    )
    if wrong is not None:
        terminal.fail(wrong.what, wrong.fix)
        return exits.INVALID
    assert not isinstance(values, NoParameter), "told above"
    flow = with_values(flow, values)
    plan = compile_plan(flow)
    if not isinstance(plan, Plan):
        say_findings(terminal, found.placed(plan), file=file, text=content)
        return exits.INVALID
    return Runnable(found.name, flow, plan)


def parse_given(given: tuple[str, ...]) -> dict[str, str] | NoParameter:
    """The values of `--set NAME=VALUE` by name; of several for one name the last counts."""
    values: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            return NoParameter(f"--set {each}: there is no '=' in it", "write --set NAME=VALUE")
        values[name] = value
    return values


def find_unknown(values: Mapping[str, str], known: Collection[str]) -> NoParameter | None:
    """The first of `values` that sets a parameter which is not there."""
    for name in values:
        if name not in known:
            fix = instead(name, known, "declare it in spec.parameters")
            return NoParameter(f"--set {name}: there is no such parameter", fix)
    return None


def with_values(flow: JobFlow, values: Mapping[str, str]) -> JobFlow:
    """The flow with other values for the parameters that it has."""
    if not any(each.name in values for each in flow.spec.parameters):
        return flow
    parameters = tuple(
        evolve(each, value=values[each.name]) if each.name in values else each for each in flow.spec.parameters
    )
    return evolve(flow, spec=evolve(flow.spec, parameters=parameters))


def _chosen(terminal: Terminal, flows: list[Found], *, file: str, name: str | None) -> Found | int:
    names = [each.name for each in flows]
    if name is not None:
        named = [each for each in flows if each.name == name]
        if len(named) == 1:
            return named[0]
        if named:
            terminal.fail(f"{file} has {len(named)} JobFlows called {name!r}", "put them into files of their own")
            return exits.INVALID
        terminal.fail(f"{file} has no JobFlow called {name!r}", instead(name, names, "it has none at all"))
        return exits.NOT_FOUND
    if not flows:
        terminal.fail(
            f"{file} has no JobFlow in it", f"begin one with 'apiVersion: {GROUP}/v1alpha1' and 'kind: {KIND}'"
        )
        return exits.INVALID
    if len(flows) > 1:
        listed = ", ".join(each or "(without a name)" for each in names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        terminal.fail(f"{file} has {len(flows)} JobFlows: {listed}{more}", "pick one with --name")
        return exits.INVALID
    return flows[0]
