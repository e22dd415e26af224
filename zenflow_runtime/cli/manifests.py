"""`zenflow manifests`: everything that `kubectl apply` has to make on a cluster, as YAML."""

from __future__ import annotations

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.installing import Installation, as_yaml, manifests


def print_manifests(terminal: Terminal, installation: Installation) -> int:
    """Print the objects of an installation; 0, or 2 if it cannot be meant."""
    wrong = installation.wrong()
    if wrong:
        terminal.fail(wrong, "see `zenflow manifests --help`")
        return exits.INVALID
    terminal.text(as_yaml(manifests(installation)))
    return exits.OK
