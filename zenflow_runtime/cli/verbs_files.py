"""The commands about files: `validate`, `plan`, `graph`, `simulate`, `explain` and `test`; their options and help."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli.arguments import OUTPUT, FileName, Given, OptionalFile, StepName, flows_or_files
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where

COMMANDS: Final = ("validate", "plan", "graph", "simulate", "explain", "test")

Name = Annotated[str | None, Parameter(name="--name")]

_VALIDATE: Final = """Examples:
  zenflow validate flows/*.yaml
  kubectl get jobflows -A -o yaml | zenflow validate -"""
_PLAN: Final = """Examples:
  zenflow plan flow.yaml
  zenflow plan flow.yaml -o json | jq .criticalPath"""
_GRAPH: Final = """Examples:
  zenflow graph flow.yaml > flow.mmd
  zenflow graph flow.yaml -o svg > flow.svg"""
_SIMULATE: Final = """Examples:
  zenflow simulate flow.yaml --seed 7
  zenflow simulate flow.yaml --outcomes bad-day.yaml --set region=eu -o json
  zenflow simulate flow.yaml --seed 7 -o html > life.html"""
_EXPLAIN: Final = """Examples:
  zenflow explain nightly deploy -n ci        (a flow on a cluster)
  zenflow explain flow.yaml deploy
  zenflow explain life.jsonl deploy --at +5m   (of `zenflow simulate --dump`)"""
_TEST: Final = """Examples:
  zenflow test tests/cases
  zenflow test tests/cases -k retry --junit report.xml"""


def register(app: App, terminal: Terminal) -> None:
    """Add the commands."""

    def validate(
        *files: FileName,
        given: Given = (),
        output: Annotated[Literal["text", "json", "github", "sarif"], OUTPUT] = "text",
    ) -> int:
        """Find all that is wrong with flows, each with its place and its fix.

        All problems and warnings of all documents at once; documents of other kinds
        are skipped. Exit code 0 if every flow is valid, else 2.

        Parameters
        ----------
        files
            Manifests (YAML or JSON); `-` reads stdin.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        output
            text (the default), json, github (annotations of a pull request) or sarif (code scanning).
        """
        from zenflow_runtime.cli.validate import validate

        return validate(terminal, files, given=given, output=output)

    def plan(
        file: FileName,
        /,
        *,
        name: Name = None,
        given: Given = (),
        outcomes: OptionalFile = None,
        seed: int | None = None,
        output: Annotated[Literal["text", "json"], OUTPUT] = "text",
    ) -> int:
        """Show what would run after what: waves, tree and longest chain.

        With --seed or --outcomes the longest chain is the one of a simulated life.
        Exit code 0, or 2 if the flow is not valid.

        Parameters
        ----------
        file
            A manifest; `-` reads stdin.
        name
            Which flow, if the file has several.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        outcomes
            As of simulate: how steps end and how long they take.
        seed
            As of simulate: a number that draws durations and failures.
        output
            text (the default) or json.
        """
        from zenflow_runtime.cli.plan import plan

        return plan(terminal, file, name=name, given=given, outcomes=outcomes, seed=seed, output=output)

    def graph(
        file: FileName,
        /,
        *,
        name: Name = None,
        given: Given = (),
        output: Annotated[Literal["mermaid", "dot", "svg", "html"], OUTPUT] = "mermaid",
    ) -> int:
        """Draw a flow, or write it as text for Mermaid or Graphviz.

        The same flow gives the same bytes. Exit code 0, or 2 if it is not valid.

        Parameters
        ----------
        file
            A manifest; `-` reads stdin.
        name
            Which flow, if the file has several.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        output
            mermaid (the default; for Markdown pages and pull requests), dot (for Graphviz),
            svg (a picture) or html (a page with the picture).
        """
        from zenflow_runtime.cli.graph import graph

        return graph(terminal, file, name=name, given=given, output=output)

    def simulate(
        file: FileName,
        /,
        *,
        name: Name = None,
        outcomes: OptionalFile = None,
        seed: int | None = None,
        given: Given = (),
        output: Annotated[Literal["text", "json", "html"], OUTPUT] = "text",
        dump: OptionalFile = None,
        full: Annotated[bool, Parameter(negative=())] = False,
    ) -> int:
        """Play a whole life of the flow in virtual time.

        Without --outcomes and --seed everything goes well: Jobs take 10 s, approvals
        60 s. The same arguments give the same life, to the byte.
        Exit code 0 Succeeded, 1 Failed, 2 invalid, 3 waits for ever.

        Parameters
        ----------
        file
            A manifest; `-` reads stdin.
        name
            Which flow, if the file has several.
        outcomes
            YAML that says how steps end; what it does not name follows the seed, or succeeds.
        seed
            A number that draws durations, failures, rejections and missing keys.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        output
            text (the default), json, or html: a page with graph, bars and a slider for time.
        dump
            Record every decision in this file, for `zenflow explain`.
        full
            Every move on a line of its own, however many there are.
        """
        from zenflow_runtime.cli.simulate import run_simulation

        return run_simulation(
            terminal,
            file,
            name=name,
            outcomes=outcomes,
            seed=seed,
            given=given,
            output=output,
            dump=dump,
            full=full,
        )

    def explain(
        file: Annotated[str, Parameter(completer=flows_or_files)],
        step: StepName = None,
        /,
        *,
        name: Name = None,
        given: Given = (),
        at: str | None = None,
        where: Where = HERE,
    ) -> int:
        """Say why a step is where it is, down to what really blocks it.

        FILE is a dump (of `zenflow simulate --dump`), or a manifest: then the flow as
        it is right after its creation. What is no file is a flow on a cluster, by its
        name or @latest. Without STEP, the flow as a whole.
        Exit code 0, 2 for an invalid file, 4 if there is no such flow or step.

        Parameters
        ----------
        file
            A dump, a manifest (`-` reads stdin), or a flow on a cluster.
        step
            The step in question.
        name
            Which flow, if a manifest has several.
        given
            NAME=VALUE for a flow parameter; may be given several times.
        at
            The moment in question: +5m (from the dump's first decision) or an instant; its end without it.
        """
        from zenflow_runtime.cli.explain_live import explain_on_cluster, is_on_cluster

        if is_on_cluster(file) and name is None and not given and at is None:
            return explain_on_cluster(terminal, where, file, step)
        from zenflow_runtime.cli.explain import run_explanation

        return run_explanation(terminal, file, step, name=name, given=given, at=at)

    def test(
        *paths: FileName,
        k: Annotated[str | None, Parameter(name="-k")] = None,
        junit: OptionalFile = None,
        verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    ) -> int:
        """Play case files: a flow, what happened in the cluster, what must be true.

        One line a case; one that failed tells what was expected, what was found and
        what happened before. The last line counts: `N passed, N failed`.
        Exit code 0 if all passed, 1 if one failed, 2 if a file is no case.

        Parameters
        ----------
        paths
            Case files, or directories to look for them in.
        k
            Only cases with this in their id; `*` stands for anything.
        junit
            Write the results to this file, as JUnit XML.
        verbose
            Also say how much happened in each case.
        """
        from zenflow_runtime.cli.test import run_cases

        return run_cases(terminal, paths, only=k, junit=junit, verbose=verbose)

    app.command(validate, usage="Usage: zenflow validate [OPTIONS] FILE...", help_epilogue=_VALIDATE)
    app.command(plan, help_epilogue=_PLAN)
    app.command(graph, help_epilogue=_GRAPH)
    app.command(simulate, help_epilogue=_SIMULATE)
    app.command(explain, help_epilogue=_EXPLAIN)
    app.command(test, usage="Usage: zenflow test [OPTIONS] PATH...", help_epilogue=_TEST)
