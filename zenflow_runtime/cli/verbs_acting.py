"""The commands that change a flow on a cluster: approvals, suspend, resume, stop, terminate, retry, delete."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import OUTPUT, SWITCH, FlowName, ManualStepName
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where

COMMANDS: Final = ("approve", "reject", "suspend", "resume", "stop", "terminate", "retry", "delete", "version")


_APPROVE: Final = """Examples:
  zenflow approve nightly            the only step that asks
  zenflow approve nightly deploy -n ci"""
_REJECT: Final = """Examples:
  zenflow reject nightly
  zenflow reject nightly deploy -m "the release is not signed off"
"""
_RETRY: Final = """Examples:
  zenflow retry nightly
  zenflow retry @latest --watch"""
_DELETE: Final = """Examples:
  zenflow delete nightly
  zenflow delete nightly-1 nightly-2 -n ci --no-wait"""
_STOP: Final = """Examples:
  zenflow stop nightly -n ci
  zenflow stop nightly && zenflow wait nightly"""
_TERMINATE: Final = """Examples:
  zenflow terminate nightly -n ci
  zenflow terminate @latest"""
_SUSPEND: Final = """Examples:
  zenflow suspend nightly -n ci
  zenflow suspend @latest"""
_RESUME: Final = """Examples:
  zenflow resume nightly -n ci
  zenflow resume nightly && zenflow watch nightly"""
_VERSION: Final = """Examples:
  zenflow version --context production
  zenflow version --client"""


def register(app: App, terminal: Terminal) -> None:
    """Add the commands."""

    def approve(flow: FlowName, step: ManualStepName = None, /, *, where: Where = HERE) -> int:
        """Approve a step that waits for a person, in your name.

        An approval that comes before the step is reached counts, too. Exit code 0,
        1 if it is decided already, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        step
            A Manual step; without it, the only one that asks.
        """
        from zenflow_runtime.cli.acting import decide_approval

        return decide_approval(terminal, where, flow, step=step, rejected=None)

    def reject(
        flow: FlowName,
        step: ManualStepName = None,
        /,
        *,
        message: Annotated[str, Parameter(name=["--message", "-m"])] = "",
        where: Where = HERE,
    ) -> int:
        """Reject a step that waits for a person, in your name: the step fails.

        Exit code 0, 1 if it is decided already, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        step
            A Manual step; without it, the only one that asks.
        message
            Why. It is kept in the flow's status.
        """
        from zenflow_runtime.cli.acting import decide_approval

        return decide_approval(terminal, where, flow, step=step, rejected=message)

    def suspend(flow: FlowName, /, *, where: Where = HERE) -> int:
        """Start no new step of a flow; what runs goes on.

        Exit code 0, 1 if the flow is over, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        """
        from zenflow_runtime.cli import acting

        return acting.suspend(terminal, where, flow)

    def resume(flow: FlowName, /, *, where: Where = HERE) -> int:
        """Let a suspended flow go on.

        Exit code 0, 1 if the flow is over, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        """
        from zenflow_runtime.cli import acting

        return acting.resume(terminal, where, flow)

    def stop(flow: FlowName, /, *, where: Where = HERE) -> int:
        """End a flow: its running Jobs are deleted, its `finally` steps still run.

        It cannot be taken back. Exit code 0, 1 if the flow is over, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        """
        from zenflow_runtime.cli.acting import shut_down

        return shut_down(terminal, where, flow, how="Stop")

    def terminate(flow: FlowName, /, *, where: Where = HERE) -> int:
        """End a flow at once: its running Jobs are deleted, and no `finally` step runs.

        It cannot be taken back. Exit code 0, 1 if the flow is over, 4 not found, 5 if you may not.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        """
        from zenflow_runtime.cli.acting import shut_down

        return shut_down(terminal, where, flow, how="Terminate")

    def retry(
        flow: FlowName,
        /,
        *,
        watch: Annotated[bool, Parameter(name=["--watch", "-w"], negative=())] = False,
        output: Annotated[Literal["text", "name"], OUTPUT] = "text",
        where: Where = HERE,
    ) -> int:
        """Run what is left of a flow that failed, as a new flow FLOW-retry-N.

        Steps that have succeeded are taken over with their outputs. The old flow stays
        as it is, and has to stay until the new one has started. Exit code 0, 1 if
        there is nothing to retry, 4 not found, 5 if it cannot be retried.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        watch
            Follow the new flow to its end; the exit code is its result.
        output
            text (the default) or name: the new flow's.
        """
        from zenflow_runtime.cli.retrying import retry

        return retry(terminal, where, flow, watch=watch, output=output)

    def delete(
        *flows: FlowName,
        propagation: Literal["background", "foreground", "orphan"] = "background",
        wait: bool = True,
        where: Where = HERE,
    ) -> int:
        """Delete flows with their Jobs and Pods, and wait until they are gone.

        Exit code 0, 4 if one of them is not there, 5 if you may not.

        Parameters
        ----------
        flows
            Names of flows, or @latest.
        propagation
            Jobs go after the flow (background, the default), before it (foreground), or stay (orphan).
        wait
            Wait until the flows are gone.
        """
        if not flows:
            terminal.fail("which flow?", "see `zenflow delete --help`")
            return exits.INVALID
        from zenflow_runtime.cli.retrying import delete

        return delete(terminal, where, flows, propagation=propagation, wait=wait)

    def version(*, client: Annotated[bool, SWITCH] = False, where: Where = HERE) -> int:
        """Print the versions of zenflow, of the cluster, and of what is installed there.

        Exit code 0, 1 if the cluster's JobFlow lacks fields that this version writes, 5 if it cannot be reached.

        Parameters
        ----------
        client
            Only zenflow's; asks no cluster. `zenflow --version` is the same.
        """
        from zenflow_runtime.cli.versions import print_versions

        return print_versions(terminal, None if client else where)

    app.command(approve, help_epilogue=_APPROVE)
    app.command(reject, help_epilogue=_REJECT)
    app.command(suspend, help_epilogue=_SUSPEND)
    app.command(resume, help_epilogue=_RESUME)
    app.command(stop, help_epilogue=_STOP)
    app.command(terminate, help_epilogue=_TERMINATE)
    app.command(retry, help_epilogue=_RETRY)
    app.command(delete, usage="Usage: zenflow delete [OPTIONS] FLOW...", help_epilogue=_DELETE)
    app.command(version, help_epilogue=_VERSION)
