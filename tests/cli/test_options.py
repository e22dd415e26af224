"""What is called the same in every command: walked over the application, so that no new command is left out."""

from __future__ import annotations

import pytest
from cyclopts.argument import Argument

from zenflow_runtime.cli.app import BOTH, CLUSTER_COMMANDS, COMMANDS, make_app
from zenflow_runtime.cli.arguments import LATEST, flows, flows_or_files
from zenflow_runtime.cli.terminal import Terminal

ON_A_CLUSTER = sorted({*CLUSTER_COMMANDS, *BOTH})


def arguments(command: str) -> dict[str, Argument]:
    """The arguments of a command, by each of their names."""
    found = make_app(Terminal())[command].assemble_argument_collection(parse_docstring=True)
    return {name: argument for argument in found for name in argument.names}


def text(argument: Argument) -> str:
    return str(argument.parameter.help or "")


@pytest.mark.parametrize("command", ON_A_CLUSTER)
def test_every_command_on_a_cluster_can_be_told_which(command: str) -> None:
    found = arguments(command)
    variables = {name: found[f"--{name}"].parameter.env_var for name in ("kubeconfig", "context", "namespace")}
    assert variables == {name: (f"ZENFLOW_{name.upper()}",) for name in variables}
    assert found["-n"] is found["--namespace"]
    assert all(f"$ZENFLOW_{name.upper()}" in text(found[f"--{name}"]) for name in variables)


@pytest.mark.parametrize("command", COMMANDS)
def test_short_options_mean_the_same_everywhere(command: str) -> None:
    meanings = {"-n": "--namespace", "-A": "--all-namespaces", "-o": "--output", "-l": "--selector", "-f": "--follow"}
    found = arguments(command)
    assert [short for short, long in meanings.items() if short in found and found[short] is not found.get(long)] == []
    assert "--output" not in found or "-o" in found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_output_is_named_in_the_help_and_has_a_default(command: str) -> None:
    output = arguments(command).get("--output")
    choices = None if output is None else output.get_choices()
    if output is None or choices is None:  # none, or of `dump` a file
        assert command not in ("list", "get", "run")
        return
    assert [choice for choice in choices if choice not in text(output)] == []
    assert output.field_info.default == choices[0]


@pytest.mark.parametrize("command", ["list", "get"])
def test_what_shows_objects_shows_them_as_kubectl_does(command: str) -> None:
    assert {"wide", "name", "json", "yaml"} <= set(arguments(command)["--output"].get_choices() or ())


@pytest.mark.parametrize("command", ON_A_CLUSTER)
def test_where_a_flow_is_named_the_latest_may_be_meant_and_is_offered(command: str) -> None:
    operands = [each for name, each in arguments(command).items() if name in ("FLOW", "FLOWS", "FILE")]
    if command in ("list", "version", "run"):  # they name none, or a file
        assert all(each.parameter.completer not in (flows, flows_or_files) for each in operands)
        return
    (operand,) = operands
    assert operand.parameter.completer in (flows, flows_or_files)
    assert LATEST in text(operand) or command == "explain"
