"""`zenflow manifests`: everything that `kubectl apply` has to make on a cluster, as YAML."""

from __future__ import annotations

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import Unread, read_file
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.installing import Artifacts, Installation, Network, as_yaml, manifests
from zenflow_runtime.webhook.objects import Hook


def print_manifests(terminal: Terminal, installation: Installation) -> int:
    """Print the objects of an installation; 0, or 2 if it cannot be meant."""
    wrong = installation.wrong()
    if wrong:
        terminal.fail(wrong, "see `zenflow manifests --help`")
        return exits.INVALID
    terminal.text(as_yaml(manifests(installation)))
    return exits.OK


def chosen_hook(
    terminal: Terminal, *, wanted: bool, ca_bundle: str | None, failure_policy: str | None
) -> Hook | int | None:
    """The webhook that the options ask for, None for none, or the exit code once the trouble has been said."""
    if not wanted:
        if ca_bundle is None and failure_policy is None:
            return None
        terminal.fail("--webhook-... options are about a webhook that is not asked for", "add --webhook")
        return exits.INVALID
    bundle = None if ca_bundle is None else read_file(ca_bundle)
    if isinstance(bundle, Unread):
        terminal.fail(f"cannot read {bundle.file}: {bundle.why}", "name the PEM file of your CA")
        return exits.INVALID
    return Hook(fail=failure_policy == "Fail", ca_bundle=bundle)


def chosen_artifacts(terminal: Terminal, asked: Artifacts, *, wanted: bool) -> Artifacts | int | None:
    """How artifacts are moved, None for not at all, or the exit code once the trouble has been said."""
    if wanted:
        return asked
    if asked != Artifacts():
        terminal.fail("--artifact-... options are about artifacts that are not wanted", "leave out --no-artifacts")
        return exits.INVALID
    return None


def chosen_store(terminal: Terminal, file: str | None) -> str | int:
    """What the file says of a store for artifacts, "" without one, or the exit code once the trouble has been said."""
    text = "" if file is None else read_file(file)
    if isinstance(text, Unread):
        terminal.fail(f"cannot read {text.file}: {text.why}", "name a YAML file with s3 (docs/artifacts.md)")
        return exits.INVALID
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def chosen_network(terminal: Terminal, api_servers: tuple[str, ...], *, wanted: bool) -> Network | int | None:
    """The NetworkPolicy that the options ask for, None for none, or the exit code once the trouble has been said."""
    if wanted:
        return Network(api_servers)
    if api_servers:
        terminal.fail("--api-server is about a NetworkPolicy that is not asked for", "add --network-policy")
        return exits.INVALID
    return None
