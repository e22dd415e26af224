"""Which cluster and which namespace a command means: the options that every command on a cluster takes.

    def watch(flow: str, /, *, where: Where = HERE) -> int: ...

cyclopts makes `--kubeconfig`, `--context` and `--namespace`/`-n` of it, each
with its variable. Light to import: the help of every command needs it.
"""

from __future__ import annotations

from typing import Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from zenflow_runtime.cli.arguments import contexts, files, namespaces


@Parameter(name="*")
@frozen
class Where:
    """A cluster and a namespace, as the command line says; an empty text is the same as nothing."""

    kubeconfig: Annotated[
        str | None,
        Parameter(
            env_var="ZENFLOW_KUBECONFIG",
            completer=files,
            help="Path of a kubeconfig ($ZENFLOW_KUBECONFIG, $KUBECONFIG, ~/.kube/config).",
        ),
    ] = None
    context: Annotated[
        str | None,
        Parameter(
            env_var="ZENFLOW_CONTEXT",
            completer=contexts,
            help="Which of its contexts ($ZENFLOW_CONTEXT, the current one).",
        ),
    ] = None
    namespace: Annotated[
        str | None,
        Parameter(
            name=["--namespace", "-n"],
            env_var="ZENFLOW_NAMESPACE",
            completer=namespaces,
            help="Which namespace ($ZENFLOW_NAMESPACE, the context's).",
        ),
    ] = None


HERE: Final = Where()
"""Whatever the variables and the current context say."""

AllNamespaces = Annotated[
    bool, Parameter(name=["--all-namespaces", "-A"], negative=(), help="Look into all namespaces.")
]
"""For commands that list; it wins over `--namespace`."""
