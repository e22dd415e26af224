"""The command `manifests`: its options, what each of them chooses, and its help."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.arguments import OptionalFile
from zenflow_runtime.cli.terminal import Terminal

COMMANDS: Final = ("manifests",)

_MANIFESTS: Final = """Examples:
  zenflow manifests --image registry.example.com/zenflow:1 | kubectl apply -f -
  zenflow manifests --namespaced ci --no-crd --no-policies"""


def register(app: App, terminal: Terminal) -> None:
    """Add the command."""

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
        webhook_ca_bundle: OptionalFile = None,
        webhook_failure_policy: Literal["Ignore", "Fail"] | None = None,
        artifacts: bool = True,
        artifact_image: str = "",
        artifact_claim_size: str = "",
        artifact_storage_class: str = "",
        artifact_access_mode: Literal["", "ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] = "",
        artifact_store: str | None = None,
        namespace_artifact_stores: bool = True,
        network_policy: Annotated[bool, Parameter(negative=())] = False,
        api_server: Annotated[tuple[str, ...], Parameter(negative=())] = (),
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
        artifact_store
            YAML file of a store for artifacts that name none, instead of that claim.
        namespace_artifact_stores
            A namespace may say a store of its own, by a ConfigMap.
        network_policy
            Also a NetworkPolicy: the operator speaks to the API server and DNS only.
        api_server
            ADDRESS/BITS:PORT of an API server, for that policy; may be repeated (any address, 443 and 6443).
        priority_class
            PriorityClass of the operator's Pods.
        """
        from zenflow_runtime import installing
        from zenflow_runtime.cli.manifests import (
            chosen_artifacts,
            chosen_hook,
            chosen_network,
            chosen_store,
            print_manifests,
        )

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
        store = chosen_store(terminal, artifact_store)
        if isinstance(store, int):
            return store
        moving = installing.Artifacts(
            artifact_image,
            artifact_claim_size,
            storage_class=artifact_storage_class,
            access_mode=artifact_access_mode,
            store=store,
            namespace_stores=namespace_artifact_stores,
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

    app.command(manifests, help_epilogue=_MANIFESTS)
