"""`zenflow validate`: every problem of every flow of every file, in the form that people or machines want."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from zenflow_core.bounds import Bounds, bounds_of
from zenflow_core.codec import read_flow
from zenflow_core.compile import plan_of
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem, Severity
from zenflow_core.spec import JobFlow
from zenflow_core.styled import Line, Span, Style
from zenflow_core.validation import examine
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.bounds import bounds_text
from zenflow_runtime.cli.files import Found, Skipped, Unread, find_flows, name_of, read_file
from zenflow_runtime.cli.findings import finding_lines, source_lines
from zenflow_runtime.cli.flows import NoParameter, find_unknown, parse_given, with_values
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines


@frozen
class CheckedFlow:
    """One JobFlow of a file, and how many steps it has (0 if its shape is wrong)."""

    name: str
    namespace: str
    steps: int
    valid: bool
    parameters: tuple[str, ...] = ()
    bounds: Bounds | None = None
    """What it can cost at most; None if it is not valid."""


@frozen
class CheckedFile:
    """One file: its flows, all findings in the order of the file, and what was passed over."""

    file: str
    findings: tuple[Problem, ...] = ()
    flows: tuple[CheckedFlow, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    text: bytes = b""
    unread: str = ""
    """Why the file could not be read."""

    @property
    def valid(self) -> bool:
        return not self.unread and all(each.severity is not Severity.ERROR for each in self.findings)


def validate(terminal: Terminal, files: tuple[str, ...], *, given: tuple[str, ...], output: str) -> int:
    """Check `files` and print the findings; 0 if every flow is valid and there is at least one, else 2."""
    if not files:
        terminal.fail("name at least one file", "zenflow validate FILE... (`-` reads stdin)")
        return exits.INVALID
    values = parse_given(given)
    if isinstance(values, NoParameter):
        terminal.fail(values.what, values.fix)
        return exits.INVALID
    checked = tuple(check_file(file, values) for file in dict.fromkeys(files))
    unknown = find_unknown(values, {name for each in checked for flow in each.flows for name in flow.parameters})
    if unknown is not None:
        terminal.fail(unknown.what, unknown.fix)
    for each in checked:
        if each.unread:
            terminal.fail(f"cannot read {each.file}: {each.unread}")
    match output:
        case "json":
            from zenflow_runtime.cli.reports import json_report

            terminal.text(json_report(checked))
        case "sarif":
            from zenflow_runtime.cli.reports import sarif_report

            terminal.text(sarif_report(checked))
        case "github":
            from zenflow_runtime.cli.reports import github_report

            terminal.text(github_report(checked))
        case _:
            terminal.print(_text_report(checked, terminal))
    if all(each.valid for each in checked) and not any(each.flows for each in checked):
        where = checked[0].file if len(checked) == 1 else f"these {len(checked)} files"
        terminal.fail(
            f"{where} has no JobFlow in it, so nothing was checked"
            if len(checked) == 1
            else f"{where} have no JobFlow in them, so nothing was checked"
        )
        return exits.INVALID
    return exits.OK if all(each.valid for each in checked) and unknown is None else exits.INVALID


def check_file(file: str, values: Mapping[str, str]) -> CheckedFile:
    """Everything there is to say about one file."""
    text = read_file(file)
    if isinstance(text, Unread):
        return CheckedFile(file, unread=text.why)
    entries = find_flows(text, file)
    problems = tuple(each for each in entries if isinstance(each, Problem))
    if problems:
        return CheckedFile(file, findings=problems, text=text)
    findings: list[Problem] = []
    flows: list[CheckedFlow] = []
    for found in entries:
        if isinstance(found, Found):
            flow, placed = _check_flow(found, values)
            flows.append(flow)
            findings += placed
    return CheckedFile(
        file,
        findings=tuple(findings),
        flows=tuple(flows),
        skipped=tuple(each for each in entries if isinstance(each, Skipped)),
        text=text,
    )


def _check_flow(found: Found, values: Mapping[str, str]) -> tuple[CheckedFlow, tuple[Problem, ...]]:
    flow = read_flow(found.data)
    if not isinstance(flow, JobFlow):
        return CheckedFlow(name_of(found.data), "", steps=0, valid=False), found.placed(flow)
    examination = examine(with_values(flow, values))
    findings = (*examination.problems, *examination.warnings)
    plan = plan_of(examination)
    checked = CheckedFlow(
        found.name,
        flow.metadata.namespace or "",
        steps=len(flow.spec.steps) + len(flow.spec.finally_),
        valid=not examination.problems,
        parameters=tuple(each.name for each in flow.spec.parameters),
        bounds=bounds_of(plan, flow=found.name) if isinstance(plan, Plan) else None,
    )
    return checked, found.placed(findings) if findings else ()


def _text_report(checked: tuple[CheckedFile, ...], terminal: Terminal) -> Iterator[Line]:
    for each in checked:
        source = source_lines(each.text) if terminal.is_terminal and each.findings else None
        yield from finding_lines(each.findings, file=each.file, source=source, width=terminal.wrap)
        for flow in each.flows:
            if flow.valid:
                ok = f" JobFlow {flow.name}, {_count(flow.steps, 'step')}"
                most = "" if flow.bounds is None else f"; at most {bounds_text(flow.bounds)}"
                line = (Span(f"{each.file}: "), Span("ok", Style.GOOD), Span(ok), Span(most, Style.DIM))
                yield from wrapped_lines((line,), terminal.wrap)
        for other in each.skipped:
            yield (Span(f"{each.file}: skipped {other.kind} {other.name}".rstrip(), Style.DIM),)
    errors = sum(each.severity is Severity.ERROR for file in checked for each in file.findings)
    warnings = sum(each.severity is Severity.WARNING for file in checked for each in file.findings)
    flows = sum(len(each.flows) for each in checked)
    if len(checked) + flows > 2 or errors or warnings:
        looked = f"{_count(flows, 'flow')} in {_count(len(checked), 'file')}: "
        yield (
            Span(looked),
            Span(_count(errors, "problem"), Style.BAD if errors else Style.GOOD),
            Span(", "),
            Span(_count(warnings, "warning"), Style.WAIT if warnings else Style.PLAIN),
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
