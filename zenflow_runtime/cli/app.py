"""The commands and their help. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final, Literal

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from zenflow_core.version import VERSION
from zenflow_runtime.cli import dump, exits, explain_rule, explore, incidents, running, verbs_acting, verbs_seeing
from zenflow_runtime.cli.helping import TwoColumns
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import HERE, Where

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

Output = Parameter(name=["--output", "-o"])
Name = Annotated[str | None, Parameter(name="--name")]
Given = Annotated[tuple[str, ...], Parameter(name="--set", negative=())]


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

    def validate(
        *files: str,
        given: Given = (),
        output: Annotated[Literal["text", "json", "github", "sarif"], Output] = "text",
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
        file: str,
        /,
        *,
        name: Name = None,
        given: Given = (),
        outcomes: str | None = None,
        seed: int | None = None,
        output: Annotated[Literal["text", "json"], Output] = "text",
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
        file: str,
        /,
        *,
        name: Name = None,
        given: Given = (),
        output: Annotated[Literal["mermaid", "dot", "svg", "html"], Output] = "mermaid",
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
        file: str,
        /,
        *,
        name: Name = None,
        outcomes: str | None = None,
        seed: int | None = None,
        given: Given = (),
        output: Annotated[Literal["text", "json", "html"], Output] = "text",
        dump: str | None = None,
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
        file: str,
        step: str | None = None,
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
        *paths: str,
        k: Annotated[str | None, Parameter(name="-k")] = None,
        junit: str | None = None,
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

    def manifests(
        *,
        namespace: str | None = None,
        namespaced: str = "",
        image: str | None = None,
        replicas: int = 1,
        eager_completion: bool = True,
        crd: bool = True,
        policies: bool = True,
        user_roles: bool = True,
        operator: bool = True,
        author_policy: Annotated[bool, Parameter(negative=())] = False,
        webhook: Annotated[bool, Parameter(negative=())] = False,
        webhook_ca_bundle: str | None = None,
        webhook_failure_policy: Literal["Ignore", "Fail"] | None = None,
        artifacts: bool = True,
        artifact_image: str = "",
        artifact_claim_size: str = "",
        artifact_storage_class: str = "",
        artifact_access_mode: Literal["", "ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] = "",
        network_policy: Annotated[bool, Parameter(negative=())] = False,
        api_server: tuple[str, ...] = (),
        priority_class: str = "",
    ) -> int:
        """Print what a cluster needs to run flows, for `kubectl apply -f -`.

        The API, the operator with its rights, roles for people, and the policy that
        guards approvals. The same options print the same text. Exit code 0.

        Parameters
        ----------
        namespace
            Where the operator is (zenflow-system).
        namespaced
            Run the flows of this namespace only, with rights in that one alone; the operator is there, too.
        image
            The operator's image, where the cluster can pull it.
        replicas
            How many operators; one leads, the others wait.
        eager_completion
            If not, the operator cannot patch Jobs, and each step takes up to a second longer.
        crd
            The API, which only an administrator of the cluster can make.
        policies
            The policy on approvals; without it, whoever may edit a flow may approve its steps.
        user_roles
            Roles for people: to see flows, to edit them, to approve.
        operator
            The operator and its rights.
        author_policy
            Also a policy: who creates a flow must be allowed to create Jobs.
        webhook
            Also refuse invalid flows at the very apply; cert-manager makes the certificate.
        webhook_ca_bundle
            PEM file of your own CA, instead of cert-manager.
        webhook_failure_policy
            While no operator answers, flows get in unexamined (Ignore, the default) or are refused (Fail).
        artifacts
            If not, flows with artifacts are refused.
        artifact_image
            What moves artifacts (the operator's image).
        artifact_claim_size
            Size of a flow's claim for artifacts without a store (1Gi).
        artifact_storage_class
            The StorageClass of that claim (the cluster's default).
        artifact_access_mode
            Its access mode (ReadWriteOnce).
        network_policy
            Also a NetworkPolicy: the operator speaks to the API server and DNS only.
        api_server
            ADDRESS/BITS:PORT of an API server, for that policy; may be repeated (any address, 443 and 6443).
        priority_class
            PriorityClass of the operator's Pods.
        """
        from zenflow_runtime import installing
        from zenflow_runtime.cli.manifests import chosen_artifacts, chosen_hook, chosen_network, print_manifests

        part = installing.Part
        chosen = {
            part.CRD: crd,
            part.APPROVAL_POLICY: policies,
            part.USER_ROLES: user_roles,
            part.OPERATOR: operator,
            part.AUTHOR_POLICY: author_policy,
        }
        if namespaced and namespace is not None:
            terminal.fail("--namespace and --namespaced exclude each other", "with --namespaced the operator is there")
            return exits.INVALID
        hook = chosen_hook(terminal, wanted=webhook, ca_bundle=webhook_ca_bundle, failure_policy=webhook_failure_policy)
        if isinstance(hook, int):
            return hook
        moving = installing.Artifacts(
            artifact_image,
            artifact_claim_size,
            storage_class=artifact_storage_class,
            access_mode=artifact_access_mode,
        )
        moved = chosen_artifacts(terminal, moving, wanted=artifacts)
        network = chosen_network(terminal, api_server, wanted=network_policy)
        if isinstance(moved, int) or isinstance(network, int):
            return exits.INVALID
        installation = installing.Installation(
            parts=frozenset(each for each, wanted in chosen.items() if wanted),
            namespace=installing.NAMESPACE if namespace is None else namespace,
            only=namespaced,
            image=installing.IMAGE if image is None else image,
            replicas=replicas,
            without=frozenset() if eager_completion else frozenset({installing.EAGER}),
            webhook=hook,
            artifacts=moved,
            network=network,
            priority_class=priority_class,
        )
        return print_manifests(terminal, installation)

    app.command(validate, usage="Usage: zenflow validate [OPTIONS] FILE...", help_epilogue=_VALIDATE)
    app.command(plan, help_epilogue=_PLAN)
    app.command(graph, help_epilogue=_GRAPH)
    app.command(simulate, help_epilogue=_SIMULATE)
    app.command(explain, help_epilogue=_EXPLAIN)
    app.command(test, usage="Usage: zenflow test [OPTIONS] PATH...", help_epilogue=_TEST)
    app.command(manifests, help_epilogue=_MANIFESTS)
    dump.register(app, terminal)
    incidents.register(app, terminal)
    explore.register(app, terminal)
    running.register(app, terminal)
    explain_rule.register(app, terminal)
    verbs_seeing.register(app, terminal)
    verbs_acting.register(app, terminal)
    for command in _COMMANDS:
        groups = [_WITHOUT_A_CLUSTER] if command not in _CLUSTER_COMMANDS else []
        groups += [_ON_A_CLUSTER] if command in (*_CLUSTER_COMMANDS, *_BOTH) else []
        app[command].group = tuple(groups)
    assert set(_COMMANDS) <= set(app), "every command is registered"
    return app


_COMMANDS: Final = (
    "validate",
    "plan",
    "graph",
    "simulate",
    "explain",
    "test",
    "manifests",
    *dump.COMMANDS,
    *incidents.COMMANDS,
    *explore.COMMANDS,
    *running.COMMANDS,
    *explain_rule.COMMANDS,
    *verbs_seeing.COMMANDS,
    *verbs_acting.COMMANDS,
)
_CLUSTER_COMMANDS: Final = frozenset({*verbs_seeing.COMMANDS, *verbs_acting.COMMANDS, *dump.COMMANDS})
_BOTH: Final = ("run", "explain")
"""With a manifest or a dump they need no cluster."""
_WITHOUT_A_CLUSTER: Final = Group("Without a cluster", sort_key=1)
_ON_A_CLUSTER: Final = Group("On a cluster", sort_key=2)


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

_MANIFESTS: Final = """Examples:
  zenflow manifests --image registry.example.com/zenflow:1 | kubectl apply -f -
  zenflow manifests --namespaced ci --no-crd --no-policies"""


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
        known = f"{command} " if command in _COMMANDS else ""
        said = str(error)
        if isinstance(error, UnusedCliTokensError):
            said = f"nothing is known to do with {', '.join(repr(token) for token in error.unused_tokens or ())}"
        terminal.fail(said, f"see `zenflow {known}--help`")
        return exits.INVALID
    except BrokenPipeError:  # of the help, which does not go through `terminal`
        terminal.give_up(sys.stdout)
        return exits.OK
    return code if isinstance(code, int) else exits.OK
