"""Names for the TAB key: of flows, steps and namespaces on the cluster, and of contexts.

Whoever presses TAB waits, and wants no message: an answer comes within
`SECONDS`, and whatever goes wrong is no names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any, Final

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.core.exceptions import ConfigError

from zenflow_runtime.cli.arguments import LATEST
from zenflow_runtime.cli.kubeconfig import Trouble, contexts_of, find_config
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import REQUEST_ERRORS
from zenflow_runtime.kube import FLOW, Object

SECONDS: Final = 2.0
"""How long TAB may take, with a login that the kubeconfig asks for."""

AT_MOST: Final = 500
"""Names that are asked for: more than that nobody reads."""

_ONLY_NAMES: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""A list whose objects come without spec and status, from a server that can."""

_NAMESPACES: Final = "/api/v1/namespaces"

Ask = Callable[..., Object]
"""GET of a path, with a query."""


def flow_names(where: Where) -> tuple[str, ...]:
    """The flows of the namespace; of each the server sends its metadata only."""

    def names(ask: Ask, namespace: str) -> tuple[str, ...]:
        return _named(ask(FLOW.path(namespace), accept=_ONLY_NAMES, limit=AT_MOST))

    return _within_reason(where, names)


def step_names(where: Where, flow: str) -> tuple[str, ...]:
    """All steps of a flow, `finally` included."""
    return _steps(where, flow, lambda _: True)


def manual_step_names(where: Where, flow: str) -> tuple[str, ...]:
    """The steps of a flow that wait for a person."""
    return _steps(where, flow, lambda step: step.get("type") == "Manual")


def namespace_names(where: Where) -> tuple[str, ...]:
    """The cluster's namespaces; none for whoever may not list them."""
    return _within_reason(where, lambda ask, _: _named(ask(_NAMESPACES, accept=_ONLY_NAMES, limit=AT_MOST)))


def context_names(where: Where) -> tuple[str, ...]:
    """The contexts of the kubeconfig files."""
    found = contexts_of(where, os.environ)
    return () if isinstance(found, Trouble) else found


def _steps(where: Where, flow: str, wanted: Callable[[Mapping[str, Any]], bool]) -> tuple[str, ...]:
    def names(ask: Ask, namespace: str) -> tuple[str, ...]:
        name = flow
        if flow == LATEST:
            listed = ask(FLOW.path(namespace), accept=_ONLY_NAMES, limit=AT_MOST)["items"]
            _, name = max((each["metadata"]["creationTimestamp"], each["metadata"]["name"]) for each in listed)
        spec = ask(FLOW.path(namespace, name)).get("spec") or {}
        steps = [each for part in ("steps", "finally") for each in spec.get(part) or ()]
        return tuple(str(each["name"]) for each in steps if wanted(each))

    return _within_reason(where, names)


def _named(listed: Object) -> tuple[str, ...]:
    return tuple(str(each["metadata"]["name"]) for each in listed["items"])


def _within_reason(where: Where, names: Callable[[Ask, str], tuple[str, ...]]) -> tuple[str, ...]:
    """What `names` answers within `SECONDS`, else nothing."""
    answer: list[tuple[str, ...]] = []

    def work() -> None:
        try:
            answer.append(_asked(where, names))
        except (*REQUEST_ERRORS, OSError, ConfigError, LookupError, TypeError, ValueError, AttributeError):
            pass  # there is no cluster, or it does not say, or what it says is nothing that we know

    # A login may hang in a program of its own: the thread is left behind, and dies with the process.
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answer[0] if answer else ()


def _asked(where: Where, names: Callable[[Ask, str], tuple[str, ...]]) -> tuple[str, ...]:
    config = find_config(where, os.environ)
    if isinstance(config, Trouble):
        return ()

    with Client(config, ConnectionParams(timeout=httpx2.Timeout(SECONDS), trust_env=False)) as http:

        def ask(path: str, *, accept: str = "application/json", **query: int) -> Object:
            response = http.get(path, params=query, headers={"accept": accept})
            response.raise_for_status()
            found: Object = response.json()
            return found

        return names(ask, config.namespace)
