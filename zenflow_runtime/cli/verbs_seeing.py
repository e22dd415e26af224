"""The commands `list`, `get`, `watch`, `logs` and `wait`: their options and their help."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli.arguments import OUTPUT, SWITCH, FlowName, StepName
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, AllNamespaces, Where

COMMANDS: Final = ("list", "get", "watch", "logs", "wait")


_LIST: Final = """Examples:
  zenflow list -n ci
  zenflow list -A --running
  zenflow list -l team=data --since 7d --failed -o name"""
_GET: Final = """Examples:
  zenflow get nightly -n ci
  zenflow get @latest -o wide
  zenflow get nightly -o html > nightly.html"""
_WATCH: Final = """Examples:
  zenflow watch @latest
  zenflow watch nightly -n ci | tee nightly.log"""
_LOGS: Final = """Examples:
  zenflow logs nightly                         all steps, named in each line
  zenflow logs nightly build -f                one step, to its end
  zenflow logs nightly build --attempt 1       the attempt that failed
  zenflow logs nightly load -c zenflow-inputs  how its artifacts were fetched"""
_WAIT: Final = """Examples:
  zenflow wait nightly --timeout 2h
  zenflow wait nightly --for approval && zenflow approve nightly"""


def register(app: App, terminal: Terminal) -> None:
    """Add the commands."""

    def list_(
        *,
        everywhere: AllNamespaces = False,
        running: Annotated[bool, SWITCH] = False,
        completed: Annotated[bool, SWITCH] = False,
        failed: Annotated[bool, SWITCH] = False,
        since: str = "",
        labels: Annotated[str, Parameter(name=["--selector", "-l"])] = "",
        output: Annotated[Literal["text", "wide", "name", "json", "yaml"], OUTPUT] = "text",
        where: Where = HERE,
    ) -> int:
        """List the flows of a namespace, the youngest first.

        Of several of --running, --completed and --failed, one has to hold.
        Exit code 0, also if there are none.

        Parameters
        ----------
        running
            Only flows that have not ended.
        completed
            Only flows that have ended, well or not.
        failed
            Only flows that have failed.
        since
            Only flows created within this time: 90m, 12h, 7d.
        labels
            Only flows with these labels, as kubectl has it: team=data,tier!=test.
        output
            text (the default), wide (also what failed, what runs, retries and reason), name, json or yaml.
        """
        from zenflow_runtime.cli.list_flows import Wanted, list_flows

        wanted = Wanted(running=running, completed=completed, failed=failed, labels=labels, since=since)
        return list_flows(terminal, where, wanted, everywhere=everywhere, output=output)

    def get(
        flow: FlowName,
        /,
        *,
        output: Annotated[Literal["text", "wide", "name", "json", "yaml", "html"], OUTPUT] = "text",
        where: Where = HERE,
    ) -> int:
        """Show a flow as a tree: each step with state, time, attempts, and why it is there.

        Steps that differ in a number only, and stand alike, are one line.
        Exit code 0, or 4 if there is no such flow.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        output
            text (the default), wide (every step, with its Job), name, json, yaml,
            or html: a page with graph, bars and a slider for time.
        """
        from zenflow_runtime.cli.get import get_flow

        return get_flow(terminal, where, flow, output=output)

    def watch(flow: FlowName, /, *, where: Where = HERE) -> int:
        """Follow a flow to its end.

        On a terminal the tree is drawn as it changes; in a pipe there is a line for
        each move. A connection that is lost is made anew. Ctrl-C ends the watching,
        not the flow. Exit code 0 Succeeded, 1 Failed, 4 not there or deleted.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        """
        from zenflow_runtime.cli.watching import watch_flow

        return watch_flow(terminal, where, flow)

    def logs(
        flow: FlowName,
        step: StepName = None,
        /,
        *,
        attempt: int | None = None,
        all_attempts: Annotated[bool, SWITCH] = False,
        container: Annotated[str | None, Parameter(name=["--container", "-c"])] = None,
        follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative=())] = False,
        since: str | None = None,
        tail: int | None = None,
        timestamps: Annotated[bool, SWITCH] = False,
        where: Where = HERE,
    ) -> int:
        """Print what the steps of a flow have written.

        Of each step its latest attempt, and the container that does its work. Where
        there are several logs, each line begins with its step. The Pods have to be
        there still. Exit code 0, or 4 if there is no such flow, step or Pod.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        step
            One step; without it, all of them.
        attempt
            This attempt instead of the latest; the first is 1.
        all_attempts
            Every attempt.
        container
            Another container, such as zenflow-inputs, zenflow-outputs or a sidecar.
        follow
            Go on until the step, or the flow, is over.
        since
            Only what was written within this time: 10m.
        tail
            Only so many lines at the end of each log.
        timestamps
            Begin each line with when it was written.
        """
        from zenflow_runtime.cli.logs import Wanted, show_logs

        wanted = Wanted(
            step,
            attempt,
            all_attempts=all_attempts,
            container=container,
            follow=follow,
            since=since,
            tail=tail,
            timestamps=timestamps,
        )
        return show_logs(terminal, where, flow, wanted)

    def wait(
        flow: FlowName,
        /,
        *,
        wanted: Annotated[
            Literal["end", "succeeded", "failed", "running", "approval", "deleted"], Parameter(name="--for")
        ] = "end",
        timeout: str | None = None,
        where: Where = HERE,
    ) -> int:
        """Wait until a flow has ended, or until something else is so.

        Exit code 0 once it is so, 1 if it cannot be any more (of `end`: the flow
        failed), 3 after --timeout, 4 if there is no such flow.

        Parameters
        ----------
        flow
            A flow's name, or @latest.
        wanted
            end (the default), succeeded, failed, running (it has started), approval (a person is needed), deleted.
        timeout
            Wait no longer than this: 90s, 2h30m. Without it there is no limit.
        """
        from zenflow_runtime.cli.waiting import wait_for

        return wait_for(terminal, where, flow, wanted=wanted, timeout=timeout)

    app.command(list_, name="list", help_epilogue=_LIST)
    app.command(get, help_epilogue=_GET)
    app.command(watch, help_epilogue=_WATCH)
    app.command(logs, help_epilogue=_LOGS)
    app.command(wait, help_epilogue=_WAIT)
