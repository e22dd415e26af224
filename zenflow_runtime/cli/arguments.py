"""What commands are told in arguments, and what a shell may offer for each: files, and names from the cluster.

    def approve(flow: FlowName, step: ManualStepName = None, /) -> int: ...

Light to import: the help of every command needs it. Whoever asks a cluster is
`names`, and is loaded by the TAB key alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from zenflow_runtime.cli.where import Where

LATEST: Final = "@latest"
"""Stands for the flow that was created last in the namespace."""


def files(_: CompletionContext) -> Iterable[str]:
    """Nothing but the shell's own paths: `completing` says so to the shell."""
    return ()


def flows(context: CompletionContext) -> Iterable[str]:
    """The flows of the namespace that the command line means so far."""
    from zenflow_runtime.cli.names import flow_names

    return (LATEST, *flow_names(_where(context)))


def flows_or_files(context: CompletionContext) -> Iterable[str]:
    """Flows, and the shell's own paths."""
    return flows(context)


def steps(context: CompletionContext) -> Iterable[str]:
    """The steps of the flow that is named before."""
    from zenflow_runtime.cli.names import step_names

    flow = _flow(context)
    return step_names(_where(context), flow) if flow else ()


def manual_steps(context: CompletionContext) -> Iterable[str]:
    """Those that a person decides about."""
    from zenflow_runtime.cli.names import manual_step_names

    flow = _flow(context)
    return manual_step_names(_where(context), flow) if flow else ()


def namespaces(context: CompletionContext) -> Iterable[str]:
    """The cluster's namespaces."""
    from zenflow_runtime.cli.names import namespace_names

    return namespace_names(_where(context))


def contexts(context: CompletionContext) -> Iterable[str]:
    """The contexts of the kubeconfig that is meant; no cluster is asked."""
    from zenflow_runtime.cli.names import context_names

    return context_names(_where(context))


def rules(_: CompletionContext) -> Iterable[tuple[str, str]]:
    """The rules of `zenflow validate`, with their names."""
    from zenflow_core.checks.catalogue import READING_RULES, RULES

    return [(rule, info.title) for rule, info in {**READING_RULES, **RULES}.items()]


WITH_FILES: Final = (files, flows_or_files)
"""Those for which the shell adds its own paths."""

FileName: TypeAlias = Annotated[str, Parameter(completer=files)]
OptionalFile: TypeAlias = Annotated[str | None, Parameter(completer=files)]
FlowName: TypeAlias = Annotated[str, Parameter(completer=flows)]
StepName: TypeAlias = Annotated[str | None, Parameter(completer=steps)]
ManualStepName: TypeAlias = Annotated[str | None, Parameter(completer=manual_steps)]
Given: TypeAlias = Annotated[tuple[str, ...], Parameter(name="--set", negative=())]

SWITCH: Final = Parameter(negative=())
"""An option that can be given and has no counterpart `--no-...`."""

OUTPUT: Final = Parameter(name=["--output", "-o"])
"""The form of what is printed; each command has its own."""


def _where(context: CompletionContext) -> Where:
    """The options of this command line, or their variables."""
    from zenflow_runtime.cli.where import Where

    given = {name: context.get(f"--{name}") for name in ("kubeconfig", "context", "namespace")}
    return Where(**{name: each.value for name, each in given.items() if each is not None and each.provided})


def _flow(context: CompletionContext) -> str:
    """The flow before a step; "" if there is none, or if it is a file."""
    found = context.get("flow") or context.get("file")
    name = str(found.value) if found is not None and found.provided else ""
    return "" if os.path.lexists(name) else name
