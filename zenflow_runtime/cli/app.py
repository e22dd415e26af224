"""The commands and their help. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import sys
from typing import Any, Final

from cyclopts import App, CycloptsError, Group, UnusedCliTokensError

from zenflow_core.version import VERSION
from zenflow_runtime.cli import (
    completion,
    dump,
    exits,
    explain_rule,
    explore,
    incidents,
    running,
    verbs_acting,
    verbs_files,
    verbs_installing,
    verbs_seeing,
)
from zenflow_runtime.cli.helping import TwoColumns
from zenflow_runtime.cli.terminal import Terminal

_STDIN: Final = "<stdin>"

# Texts of the help are broken by hand, to stay whole in a terminal of 80 columns.
_ROOT_HELP: Final = """Flows of Kubernetes Jobs: check, play in virtual time, run, watch, ask why.

FILE is a manifest with a JobFlow in it; `-` reads stdin. FLOW is a flow on a
cluster; `@latest` is the youngest. `zenflow COMMAND --help` has examples."""

_ROOT_MORE: Final = """Examples:
  zenflow validate flow.yaml            every problem, its place and its fix
  zenflow simulate flow.yaml --seed 7   a whole life of the flow, in a moment
  zenflow run flow.yaml                 create it on a cluster, and follow it

Every command takes --no-color (as does the variable NO_COLOR).
Exit codes: 0 as asked, 1 the answer is no, 2 invalid input or usage,
            3 did not end, 4 not found, 5 refused by the cluster,
            130 interrupted"""


def make_app(terminal: Terminal) -> App:
    """The application, with its commands bound to `terminal`."""
    app = App(
        name="zenflow",
        version=f"zenflow {VERSION}",
        help=_ROOT_HELP,
        help_format="plaintext",
        help_formatter=TwoColumns(),
        help_epilogue=_ROOT_MORE,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )

    for part in _PARTS:
        part.register(app, terminal)
    for command in COMMANDS:
        groups = [_WITHOUT_A_CLUSTER] if command not in CLUSTER_COMMANDS else []
        groups += [_ON_A_CLUSTER] if command in (*CLUSTER_COMMANDS, *BOTH) else []
        app[command].group = tuple(groups)
    assert set(COMMANDS) == {name for name in app if not name.startswith("-")}, "each part names what it registers"
    return app


_PARTS: Final = (
    verbs_files,
    verbs_installing,
    dump,
    incidents,
    explore,
    running,
    explain_rule,
    verbs_seeing,
    verbs_acting,
    completion,
)
"""In the order of the help."""
COMMANDS: Final[tuple[str, ...]] = tuple(command for part in _PARTS for command in part.COMMANDS)
CLUSTER_COMMANDS: Final = frozenset({*verbs_seeing.COMMANDS, *verbs_acting.COMMANDS, *dump.COMMANDS})
BOTH: Final = ("run", "explain")
"""With a manifest or a dump they need no cluster."""
_WITHOUT_A_CLUSTER: Final = Group("Without a cluster", sort_key=1)
_ON_A_CLUSTER: Final = Group("On a cluster", sort_key=2)


def run(argv: list[str]) -> int:
    """Parse and run one command line; its exit code."""
    end = argv.index("--") if "--" in argv else len(argv)
    colour = "--no-color" not in argv[:end]
    # `-` is stdin everywhere, but looks like an option to the parser.
    tokens = [_STDIN if each == "-" else each for each in argv[:end] if each != "--no-color"] + argv[end:]
    terminal = Terminal(colour=colour)
    app = make_app(terminal)
    try:
        code: Any = app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = next((each for each in tokens if not each.startswith("-")), "")
        known = f"{command} " if command in COMMANDS else ""
        said = str(error)
        if isinstance(error, UnusedCliTokensError):
            said = f"nothing is known to do with {', '.join(repr(token) for token in error.unused_tokens or ())}"
        terminal.fail(said, f"see `zenflow {known}--help`")
        return exits.INVALID
    except BrokenPipeError:  # of the help, which does not go through `terminal`
        terminal.give_up(sys.stdout)
        return exits.OK
    return code if isinstance(code, int) else exits.OK
