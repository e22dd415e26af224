"""`zenflow retry`: a new flow that begins where an earlier one has failed. `zenflow delete`: flows, with their Jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from zenflow_core.limits import NAME_CHARACTERS
from zenflow_core.names import APPROVED_PREFIX, APPROVER_PREFIX, REJECTED_PREFIX
from zenflow_core.reading import group_of
from zenflow_core.spec import GROUP
from zenflow_core.state import FlowPhase
from zenflow_core.styled import line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.following import follow
from zenflow_runtime.cli.objects import named
from zenflow_runtime.cli.standing import is_over, phase_of
from zenflow_runtime.cli.submit import created
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.watching import follow_to_end, say_goes_on
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import CONFLICT, RequestFailed
from zenflow_runtime.kube import FLOW, Object

_NUMBERED: Final = re.compile(r"(?P<base>.+)-retry-(?P<number>[1-9]\d{0,5})")
_LEFT_BEHIND: Final = (APPROVED_PREFIX, REJECTED_PREFIX, APPROVER_PREFIX, "kubectl.kubernetes.io/")
"""Annotations that belong to the earlier flow: what people answered there, and what kubectl noted."""
_TRIES: Final = 5
"""Names to try where others retry the same flow at the same moment."""


def retry(terminal: Terminal, where: Where, flow: str, *, watch: bool, output: str) -> int:
    """Create it; 0 (with `watch`, its result), 1 if there is nothing to retry, 5 if it cannot be retried."""
    made: list[str] = []

    async def act(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        trouble = why_not(obj)
        if trouble is not None:
            return tell(terminal, trouble)
        others = await connection.kube.list_all(FLOW, connection.namespace)
        name = next_name(obj, (each["metadata"]["name"] for each in others))
        for _ in range(_TRIES):
            try:
                new = await created(connection, retried(obj, name))
            except RequestFailed as error:
                if error.code != CONFLICT:
                    raise
                name = next_name(obj, [name])
                continue
            if isinstance(new, Trouble):
                return tell(terminal, new)
            made.append(name)
            break
        else:
            what = f"others retry flow {obj['metadata']['name']} at this moment"
            return tell(terminal, Trouble(what, "try again", exits.REFUSED))
        if output == "name":
            terminal.text(f"{named(new)}\n")
        else:
            good = sum(row.get("phase") == "Succeeded" for row in (obj.get("status") or {}).get("steps") or ())
            kept = f"{good} {'step that has' if good == 1 else 'steps that have'} succeeded"
            terminal.print([line(f"flow {name} begins with the {kept} in {obj['metadata']['name']}")])
        return await follow_to_end(terminal, connection, new) if watch else exits.OK

    try:
        return on_cluster(terminal, where, act)
    except KeyboardInterrupt:
        if made:
            say_goes_on(terminal, f"zenflow watch {made[0]}")
        return exits.INTERRUPTED


def why_not(flow: Object) -> Trouble | None:
    """Why a flow cannot be retried, if so."""
    name, phase = flow["metadata"]["name"], phase_of(flow)
    if not is_over(flow):
        return Trouble(f"flow {name} is {phase}: it has not ended", f"zenflow stop {name} ends it", exits.NO)
    if phase != FlowPhase.FAILED.value:
        return Trouble(f"flow {name} has {phase}: there is nothing to retry", "create it anew", exits.NO)
    claims = ((flow["spec"].get("resourceTemplates") or {}).get("volumeClaimTemplates")) or ()
    if claims:
        what = f"flow {name} has volumes of its own (resourceTemplates.volumeClaimTemplates), which go with it"
        return Trouble(
            f"{what}: a retry would begin without what its steps have written", "create it anew", exits.REFUSED
        )
    return None


def next_name(flow: Object, taken: Iterable[str]) -> str:
    """`<flow>-retry-<n>` with the next number; a retry of a retry counts on."""
    name = str(flow["metadata"]["name"])
    numbered = _NUMBERED.fullmatch(name) if flow["spec"].get("retryOf") else None
    base = numbered["base"] if numbered is not None else name
    numbers = [0, int(numbered["number"]) if numbered is not None else 0]
    for each in taken:
        found = _NUMBERED.fullmatch(each)
        if found is not None and found["base"] == base:
            numbers.append(int(found["number"]))
    suffix = f"-retry-{max(numbers) + 1}"
    return base[: NAME_CHARACTERS - len(suffix)].rstrip("-.") + suffix


def retried(flow: Object, name: str) -> Object:
    """The new flow: the same spec, in the same group, and whose Succeeded steps it takes over."""
    metadata, spec = flow["metadata"], flow["spec"]
    policy = dict(spec.get("executionPolicy") or {})
    # It competes with the flows that the earlier one competed with.
    policy.setdefault("concurrencyGroup", group_of(flow))
    kept: dict[str, Any] = {key: value for key, value in spec.items() if key not in ("suspend", "shutdown", "retryOf")}
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if not key.startswith(_LEFT_BEHIND)
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "JobFlow",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            **({"labels": metadata["labels"]} if metadata.get("labels") else {}),
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": {
            **kept,
            "executionPolicy": policy,
            "retryOf": {"name": metadata["name"], "uid": metadata["uid"]},
        },
    }


def delete(terminal: Terminal, where: Where, flows: tuple[str, ...], *, propagation: str, wait: bool) -> int:
    """Delete flows; 0, 4 if one of them is not there (the others go all the same)."""

    async def act(connection: Connection) -> int:
        code, going = exits.OK, []
        for name in flows:
            obj = await find_flow(connection, name)
            if isinstance(obj, Trouble):
                code = tell(terminal, obj)
                continue
            metadata = obj["metadata"]
            await connection.kube.delete(
                FLOW, connection.namespace, metadata["name"], uid=metadata["uid"], propagation=propagation.capitalize()
            )
            going.append(obj)
        for obj in going:
            name = obj["metadata"]["name"]
            if wait:
                terminal.status(f"waits until flow {name} is gone")
                await follow(connection, obj, lambda _: False, lambda why: terminal.status(why and f"lost: {why}"))
            terminal.print([line(f"flow {name} {'is deleted' if wait else 'is being deleted'}")])
        return code

    return on_cluster(terminal, where, act)
