"""The command `run`: its options and its help."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import OUTPUT, SWITCH, FileName, Given, files
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where

COMMANDS: Final = ("run",)

_RUN: Final = """Examples:
  zenflow run flow.yaml -n ci --set day=2026-01-31
  zenflow run flow.yaml --no-follow -o name
  zenflow run --local flow.yaml --set day=2026-01-31
  zenflow run --local flow.yaml --with config.yaml --keep --logs
  zenflow run --local flow.yaml --resume        after a Ctrl-C"""


def register(app: App, terminal: Terminal) -> None:
    """Add the command."""

    def run(
        file: FileName,
        /,
        *,
        local: Annotated[bool, SWITCH] = False,
        name: str | None = None,
        given: Given = (),
        engine: Literal["process", "podman", "docker"] = "process",
        given_with: Annotated[tuple[str, ...], Parameter(name="--with", negative=(), completer=files)] = (),
        folder: Annotated[str | None, Parameter(name="--dir", completer=files)] = None,
        resume: Annotated[bool, SWITCH] = False,
        fresh: Annotated[bool, SWITCH] = False,
        keep: Annotated[bool, SWITCH] = False,
        approve: Annotated[tuple[str, ...], Parameter(negative=())] = (),
        yes: Annotated[bool, SWITCH] = False,
        logs: Annotated[bool, SWITCH] = False,
        follow: bool = True,
        output: Annotated[Literal["text", "json", "html", "name", "yaml"], OUTPUT] = "text",
        where: Where = HERE,
    ) -> int:
        """Run a flow on a cluster and follow it; or with --local for real on this machine.

        On a cluster the flow is checked, created and followed to its end; Ctrl-C ends
        the following, not the flow. With --local the commands of its steps run as
        processes, or in containers of podman or docker, decided about by the code that
        decides on a cluster; Ctrl-C stops it, --resume goes on.
        Exit code 0 Succeeded, 1 Failed, 2 invalid, 3 waits for what cannot come,
        5 refused by the cluster, 130 interrupted.

        Parameters
        ----------
        file
            A manifest; `-` reads stdin.
        local
            On this machine; the options from --engine to --logs are for that.
        name
            Which flow, if the file has several.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        engine
            What runs containers: process (the default; images are not used), podman or docker.
        given_with
            A file with ConfigMaps, Secrets or claims that the flow needs; may be given several times.
        folder
            The work directory: logs, volumes, artifacts (.zenflow/NAME).
        resume
            Go on with the run that was interrupted: what had succeeded stays, what was running starts again.
        fresh
            Begin anew, whatever an earlier run has left.
        keep
            Keep the work directory of a flow that succeeded, too.
        approve
            Approve this manual step when it asks; may be given several times. In a terminal you are asked.
        yes
            Approve every manual step.
        logs
            Show what the steps write, while they write it.
        output
            text (the default), json, or with --local html: a page with graph, bars and a slider for time.
            On a cluster name, json or yaml print the new flow, and it is not followed.
        follow
            On a cluster: follow it to its end.
        """
        if not local:
            only = {
                "--with": given_with,
                "--dir": folder,
                "--resume": resume,
                "--fresh": fresh,
                "--keep": keep,
                "--approve": approve,
                "--yes": yes,
                "--logs": logs,
                "-o html": output == "html",
                f"--engine {engine}": engine != "process",
            }
            wrong = next((option for option, given_too in only.items() if given_too), None)
            if wrong is not None or output == "html":
                terminal.fail(f"{wrong} is for runs on this machine", "add --local, or leave it out")
                return exits.INVALID
            from zenflow_runtime.cli.submit import run_on_cluster

            return run_on_cluster(terminal, where, file, name=name, given=given, follow=follow, output=output)
        if output in ("name", "yaml"):
            terminal.fail(f"-o {output} is for runs on a cluster", "leave out --local, or use -o json")
            return exits.INVALID
        from zenflow_runtime.cli.local import Choices, run_local
        from zenflow_testing.local.engine import EngineName

        choices = Choices(
            engine=EngineName(engine),
            given_with=given_with,
            folder=folder,
            resume=resume,
            fresh=fresh,
            keep=keep,
            approve=approve,
            yes=yes,
            logs=logs,
            output=output,
        )
        return run_local(terminal, file, name=name, given=given, choices=choices)

    app.command(run, help_epilogue=_RUN)
