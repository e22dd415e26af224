"""What a decision asks to be read: a ConfigMap's key, a Job's result, the flow that `retryOf` names. Never a Secret."""

from __future__ import annotations

from typing import assert_never

from zenflow_core.observation import Absent, Lookup, Present, Seen
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reconcile import Read, ReadInput, ReadOrigin, ReadResult
from zenflow_core.status import read_origin
from zenflow_core.termination import Messages, read_messages
from zenflow_runtime.flows import Flow
from zenflow_runtime.kube import CONFIG_MAP, FLOW, POD, Kube
from zenflow_runtime.ledger import Ledger

LABEL_CONTROLLER: str = "batch.kubernetes.io/controller-uid"
"""On every Pod of a Job since Kubernetes 1.27."""


async def fetch(read: Read, flow: Flow, *, kube: Kube, ledger: Ledger) -> None:
    """One read, noted in the ledger. Raises `RequestFailed` if the server does not say."""
    match read:
        case ReadInput(ref):
            ledger.read_input(flow, ref, await config_map_key(kube, flow.seen.namespace, ref))
        case ReadResult(step, attempt):
            seen = ledger.unread_result(flow, step, attempt)
            if seen is not None:
                messages = await _messages(kube, flow.seen.namespace, seen, container=ledger.container_of(seen))
                ledger.read_result(flow, step, seen, found=messages)
        case ReadOrigin(name, uid):
            found = await kube.find(FLOW, flow.seen.namespace, name)
            same = found is not None and found["metadata"]["uid"] == uid
            ledger.read_origin(
                flow, read_origin(found) if found is not None and same else Absent(f"flow {name} is gone")
            )
        case never:
            assert_never(never)


async def config_map_key(kube: Kube, namespace: str, ref: ConfigMapKey) -> Lookup:
    """A key of a ConfigMap as the server has it now."""
    found = await kube.find(CONFIG_MAP, namespace, ref.name)
    if found is None:
        return Absent(f"ConfigMap {ref.name} does not exist")
    value = (found.get("data") or {}).get(ref.key)
    return Absent(f"ConfigMap {ref.name} has no key {ref.key}") if value is None else Present(value)


async def _messages(kube: Kube, namespace: str, seen: Seen, *, container: str) -> Messages:
    """A fresh read of the Job's Pods: the watch may be behind, and keeps no more than their phases."""
    pods = await kube.list_all(POD, namespace, labels=f"{LABEL_CONTROLLER}={seen.uid}")
    return read_messages(pods, container=container)
