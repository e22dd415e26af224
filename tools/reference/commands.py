"""docs/reference/commands.md: every command of `zenflow` with its options, from the application that parses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import Parameter, cleandoc
from typing import Any, Final

from cyclopts import App
from cyclopts.argument import Argument

from tools.reference.tables import table
from zenflow_runtime.cli.app import make_app
from zenflow_runtime.cli.terminal import Terminal

_PAGE: Final = """\
# Every command

What `zenflow COMMAND --help` says of each command of `zenflow`, on one page; it is made from the commands themselves by
`python -m tools.make_reference`. [The command line](../cli.md) explains them with examples,
[what the exit codes mean](../cli.md#exit-codes) and [which cluster is meant](../cli.md#which-cluster). The options of
the operator, `zenflow-runtime`, are [with the operator](../operator.md#settings).

Every command takes `--help`, and `--no-color`; `zenflow --version` prints the version. Variables that count for all:

| variable | does |
| --- | --- |
| `NO_COLOR` (any value), `TERM=dumb` | as `--no-color` |
| `ZENFLOW_DEBUG=1` | shows the traceback where zenflow has a bug (exit code 70) |
| `KUBECONFIG` | kubeconfig files, where neither `--kubeconfig` nor `ZENFLOW_KUBECONFIG` names one |
"""


def page() -> str:
    """The page."""
    app = application()
    by_group: dict[str, list[str]] = {}
    for name in names(app):
        for group in _groups(app[name]):
            by_group.setdefault(group, []).append(name)
    lists = [
        f"{group}: {', '.join(f'[`{name}`](#zenflow-{name})' for name in sorted(members))}\n"
        for group, members in by_group.items()
    ]
    return "\n".join((_PAGE, *lists, *(_section(app[name], name) for name in names(app))))


def _groups(command: App) -> Iterator[str]:
    groups = command.group if isinstance(command.group, tuple) else (command.group,)
    return (group if isinstance(group, str) else group.name for group in groups)


def application() -> App:
    """The application, bound to a terminal that nobody writes to."""
    return make_app(Terminal(colour=False))


def names(app: App) -> Iterator[str]:
    """The commands, without the options that stand in their place; in the order of the application."""
    return (name for name in app if not name.startswith("-"))


def arguments(command: App) -> list[Argument]:
    """What a command takes, as its help shows it: operands first."""
    shown = [each for each in command.assemble_argument_collection(parse_docstring=True) if each.show]
    return sorted(shown, key=lambda argument: not argument.field_info.is_positional)


def _section(command: App, name: str) -> str:
    # The text up to the names of the parameters, which are in the table.
    words, _, _ = cleandoc(command.help).partition("\n\nParameters\n---")
    takes = arguments(command)
    parts = [f"## zenflow {name}\n", f"```text\n{_usage(command, name, takes)}\n```\n", f"{words}\n"]
    if takes:
        rows = [(_label(each), _value(each), _default(each), _meaning(each)) for each in takes]
        parts.append(table(("", "takes", "default", "meaning"), rows) + "\n")
    if command.help_epilogue:
        parts.append(f"```text\n{str(command.help_epilogue).strip()}\n```\n")
    return "\n".join(parts)


def _usage(command: App, name: str, takes: list[Argument]) -> str:
    if command.usage:
        return str(command.usage).removeprefix("Usage: ")
    operands = [each for each in takes if each.field_info.is_positional]
    shown = " ".join(each.name if each.required else f"[{each.name}]" for each in operands)
    return " ".join(f"zenflow {name} {'[OPTIONS]' if len(operands) < len(takes) else ''} {shown}".split())


def _label(argument: Argument) -> str:
    return ", ".join(f"`{name}`" for name in argument.names)


def _value(argument: Argument) -> str:
    choices = argument.get_choices()
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices if choice)
    hint = argument.hint if isinstance(argument.hint, type) else None
    if hint is bool or argument.field_info.is_positional:
        return ""
    kinds = {int: "number", float: "number"}
    several = " ..." if "tuple" in str(argument.hint) else ""
    number = hint in kinds or re.search(r"\b(int|float)\b", str(argument.hint))
    return ("number" if number else "text") + several


def _default(argument: Argument) -> str:
    if argument.required:
        return "required"
    default: Any = argument.field_info.default
    match default:
        case True:
            return f"`{argument.name}`"
        case False | None | "" | () | Parameter.empty:
            return ""
        case _ if isinstance(default, (str, int, float)):
            return f"`{default}`"
        case _:
            raise TypeError(f"{argument.name}: a default of {default!r} has no words yet")


def _meaning(argument: Argument) -> str:
    words = argument.parameter.help or ""
    assert words, f"{argument.name} has no text in its command's docstring"
    variables = argument.parameter.env_var or ()
    missing = [name for name in variables if name not in words]
    return " ".join([words, *(f"Variable `{name}`." for name in missing)])
