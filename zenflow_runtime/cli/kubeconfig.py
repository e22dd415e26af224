"""The client configuration that a command means, found as kubectl finds it.

`--kubeconfig` (or ZENFLOW_KUBECONFIG), else the files of $KUBECONFIG, else
~/.kube/config, else the service account of the Pod that the command runs in.
Of several files the first that has a name counts. lightkube reads one file and
no exec plugin of `client.authentication.k8s.io/v1`; both are done here, and
what it gets is one context with credentials that it understands.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import yaml
from attrs import frozen
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ConfigError

from zenflow_core.nearest import instead
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.where import Where

DEFAULT_FILE: Final = "~/.kube/config"
IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"

_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""Fields that name a file, relative to the kubeconfig's folder."""

Named: TypeAlias = dict[str, dict[str, Any]]


@frozen
class Trouble:
    """Why a command cannot do its work: what is so, how to put it right, and the exit code."""

    what: str
    fix: str
    code: int = exits.INVALID


@frozen
class _Kubeconfig:
    """Some files as one."""

    files: str
    """Their paths, for messages."""
    current: str
    contexts: Named
    clusters: Named
    users: Named


def find_config(where: Where, environment: Mapping[str, str]) -> SingleConfig | Trouble:
    """The cluster, the credentials and the namespace that are meant; runs the exec plugin, if there is one."""
    files = _files(where, environment)
    present = [file for file in files if file.is_file()]
    if not present:
        if not where.kubeconfig and environment.get(IN_CLUSTER):
            return _in_cluster(where)
        named = ", ".join(map(str, files))
        return Trouble(f"there is no kubeconfig at {named}", "name one with --kubeconfig, or log in to a cluster first")
    merged = _merged(present)
    return merged if isinstance(merged, Trouble) else _chosen(merged, where, environment)


def contexts_of(where: Where, environment: Mapping[str, str]) -> tuple[str, ...] | Trouble:
    """The names of all contexts in the files that are meant; nothing is run."""
    merged = _merged([file for file in _files(where, environment) if file.is_file()])
    return merged if isinstance(merged, Trouble) else tuple(merged.contexts)


def find_namespace(where: Where, environment: Mapping[str, str]) -> str | Trouble:
    """The namespace alone, for commands that ask no cluster if one is named."""
    if where.namespace:
        return where.namespace
    config = find_config(where, environment)
    return config if isinstance(config, Trouble) else config.namespace


def _files(where: Where, environment: Mapping[str, str]) -> list[Path]:
    if where.kubeconfig:
        return [Path(where.kubeconfig).expanduser()]
    listed = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [Path(part).expanduser() for part in listed or [DEFAULT_FILE]]


def _in_cluster(where: Where) -> SingleConfig | Trouble:
    try:
        found = KubeConfig.from_service_account(SERVICE_ACCOUNT).get()
    except (ConfigError, OSError, KeyError) as error:
        return Trouble(
            f"there is no kubeconfig, and this Pod has no service account ({error})", "name one with --kubeconfig"
        )
    assert found is not None, "a service account is one context"
    return found._replace(context=msgspec.structs.replace(found.context, namespace=where.namespace or found.namespace))


def _merged(files: Sequence[Path]) -> _Kubeconfig | Trouble:
    current = ""
    found: dict[str, Named] = {"contexts": {}, "clusters": {}, "users": {}}
    for file in files:
        try:
            data = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            current = current or str(data.get("current-context") or "")
            for plural, named in found.items():
                for entry in data.get(plural) or ():
                    named.setdefault(str(entry["name"]), _absolute(entry[plural[:-1]] or {}, file.parent))
        except OSError as error:
            return Trouble(f"cannot read {file}: {(error.strerror or str(error)).lower()}", "check its permissions")
        except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            return Trouble(f"{file} is no kubeconfig ({said})", "`kubectl config view` should be able to show it")
    return _Kubeconfig(os.pathsep.join(map(str, files)), current, **found)


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entry with paths that mean the same everywhere; what is given as data as well needs no file."""
    return {
        key: str(folder / Path(value).expanduser()) if key in _FILES and isinstance(value, str) and value else value
        for key, value in entry.items()
    }


def _chosen(merged: _Kubeconfig, where: Where, environment: Mapping[str, str]) -> SingleConfig | Trouble:
    name = where.context or merged.current
    if not name:
        return Trouble(
            f"{merged.files} has no current context", "pick one with --context, or `kubectl config use-context`"
        )
    if name not in merged.contexts:
        fix = instead(name, merged.contexts, "it has no contexts")
        return Trouble(f"{merged.files} has no context {name!r}", fix)
    try:
        context = msgspec.convert(merged.contexts[name], Context)
        for kind, wanted, known in (
            ("cluster", context.cluster, merged.clusters),
            ("user", context.user or "", merged.users),
        ):
            if wanted and wanted not in known:
                fix = instead(wanted, known, f"it has no {kind}s")
                return Trouble(f"context {name!r} names a {kind} {wanted!r} that {merged.files} does not have", fix)
        cluster = msgspec.convert(merged.clusters[context.cluster], Cluster)
        user = msgspec.convert(merged.users[context.user] if context.user else {}, User)
    except (msgspec.ValidationError, KeyError) as error:
        return Trouble(f"context {name!r} in {merged.files} cannot be read ({error})", "`kubectl config view` shows it")
    if user.auth_provider is not None:
        what = f"user {context.user!r} has an auth-provider, which Kubernetes no longer has"
        return Trouble(what, "log in anew with your cluster's present tool")
    if user.exec is not None:
        lent = _lent(merged.users[context.user or ""]["exec"], environment)
        if isinstance(lent, Trouble):
            return lent
        user = lent
    context = msgspec.structs.replace(context, namespace=where.namespace or context.namespace)
    return SingleConfig(context_name=name, context=context, cluster=cluster, user=user, fname=None)


def _lent(plugin: Mapping[str, Any], environment: Mapping[str, str]) -> User | Trouble:
    """The credentials that an exec plugin gives (Kubernetes' ExecCredential, v1 and v1beta1).

    Nothing of what it prints is ever in a message: it is a secret.
    """
    command = str(plugin.get("command") or "")
    hint = str(plugin.get("installHint") or "").strip().splitlines()
    fix = hint[0] if hint else f"run `{command}` by itself to see what is wrong"
    info = {
        "apiVersion": plugin.get("apiVersion"),
        "kind": "ExecCredential",
        "spec": {"interactive": sys.stdin is not None and sys.stdin.isatty()},
    }
    extra = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
    try:
        done = subprocess.run(
            [command, *map(str, plugin.get("args") or ())],
            env={**environment, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        return Trouble(f"cannot run {command!r} to log in: {(error.strerror or str(error)).lower()}", fix)
    if done.returncode:
        return Trouble(f"{command!r}, which should log in, ended with {done.returncode}", fix, exits.REFUSED)
    try:
        status = json.loads(done.stdout)["status"]
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        return User(
            token=status.get("token"),
            client_cert_data=_encoded(certificate),
            client_key_data=_encoded(key),
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return Trouble(f"{command!r}, which should log in, gave no ExecCredential", fix)


def _encoded(pem: str | None) -> str | None:
    return None if pem is None else base64.b64encode(pem.encode()).decode()
