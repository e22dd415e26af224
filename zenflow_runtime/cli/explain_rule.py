"""`zenflow explain-rule`: what a rule of validation finds, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from zenflow_core.styled import Line, Span, Style, line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import OUTPUT, rules
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines

COMMANDS: Final = ("explain-rule",)

_EXAMPLES: Final = """Examples:
  zenflow explain-rule ZF207
  zenflow explain-rule retries-multiply
  zenflow explain-rule              every rule in a line"""


def register(app: App, terminal: Terminal) -> None:
    """Add the command."""

    def explain_rule(
        rule: Annotated[str | None, Parameter(completer=rules)] = None,
        /,
        *,
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
    ) -> int:
        """Say what a rule of `zenflow validate` finds, and what to do about it.

        Exit code 0, or 4 if there is no such rule.

        Parameters
        ----------
        rule
            Its id (ZF207) or its name (dependency-cycle); every rule if it is left out.
        output
            text (the default) or json.
        """
        from zenflow_core.checks.catalogue import READING_RULES, RULES

        return _tell(terminal, {**READING_RULES, **RULES}, asked=rule, output=output)

    app.command(explain_rule, name="explain-rule", help_epilogue=_EXAMPLES)


def _tell(terminal: Terminal, rules: Mapping[str, Any], *, asked: str | None, output: str) -> int:
    from zenflow_core.nearest import instead
    from zenflow_runtime.cli.reports import to_json

    wanted = None if asked is None else asked.lower()
    found = {
        rule: info for rule, info in rules.items() if wanted is None or wanted in (rule.lower(), info.title.lower())
    }
    if not found:
        names = [*rules, *(info.title for info in rules.values())]
        terminal.fail(f"there is no rule {asked!r}", instead(str(asked), names, ""))
        return exits.NOT_FOUND
    if output == "json":
        listed = [
            {"id": rule, "name": info.title, "severity": info.severity.value, "finds": info.what, "fix": info.fix}
            for rule, info in found.items()
        ]
        terminal.text(to_json({"rules": listed}))
    elif asked is None:
        terminal.print(line(f"{rule}  {info.title:<28}  ", Span(info.what, Style.DIM)) for rule, info in found.items())
    else:
        terminal.print(wrapped_lines(_one(*next(iter(found.items()))), terminal.wrap))
    return exits.OK


def _one(rule: str, info: Any) -> Iterator[Line]:
    style = Style.BAD if info.severity == "error" else Style.WAIT
    yield line(Span(rule, Style.HEAD), f" {info.title}, ", Span(str(info.severity), style))
    yield line(Span("  finds  ", Style.DIM), info.what)
    yield line(Span("  fix    ", Style.DIM), info.fix)
    kept = "keeps the flow from running" if info.severity == "error" else "does not keep the flow from running"
    yield line(Span("  it     ", Style.DIM), kept)
