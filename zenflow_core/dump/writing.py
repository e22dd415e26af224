"""The lines of a dump. Keys are sorted, so that equal decisions are equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from zenflow_core.actions import Action, RecordStatus
from zenflow_core.codec import write_flow
from zenflow_core.decision import Decision
from zenflow_core.dump.form import CONVERTER, FORMAT, write_observed
from zenflow_core.facts import write_fact
from zenflow_core.instants import rfc3339
from zenflow_core.observation import FlowSeen, Observed
from zenflow_core.reasons import Instant
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import JobFlow
from zenflow_core.version import DECIDED_BY
from zenflow_core.wave import Move

_OBJECT: Final = ("apiVersion", "kind", "metadata", "spec")
_NOT_KEPT: Final = ("managedFields",)


def write_header(
    flow: JobFlow | Mapping[str, Any], seen: FlowSeen, *, settings: Settings = DEFAULTS, skipped: int = 0
) -> str:
    """The first line: the format, who decided, the flow (parsed, or the object as the API server has it).

    `skipped` decisions were made before the first that follows and are not in the dump.
    """
    header: dict[str, Any] = {
        "format": FORMAT,
        "decidedBy": DECIDED_BY,
        "flow": _manifest(flow),
        "seen": CONVERTER.unstructure(seen),
    }
    if settings != DEFAULTS:
        header["settings"] = CONVERTER.unstructure(settings)
    if skipped:
        header["skipped"] = skipped
    return line_of(header)


def write_change(flow: JobFlow | Mapping[str, Any], now: Instant) -> str:
    """The line of a flow whose spec was changed: what follows it was decided about this one."""
    return line_of({"at": rfc3339(now), "changed": _manifest(flow)})


def write_step(
    observed: Observed,
    now: Instant,
    decision: Decision,
    *,
    everything: bool,
    status: Mapping[str, Any] | None,
    noted: bool = False,
) -> str:
    """The line of one decision. Cost: what changed, and the status of a fresh process.

    `everything`: it was made from the stored `status`, not from memory. `noted`: since the decision before, what was
    learnt by the way (`FlowState.unwritten`) has been written by a record of its own.
    """
    line: dict[str, Any] = {"at": rfc3339(now), "observed": write_observed(observed), "decided": told(decision)}
    if everything:
        line["everything"] = True
        line["status"] = status
    elif noted:
        line["noted"] = True
    return line_of(line)


def write_failure(observed: Observed, now: Instant, error: str, *, status: Mapping[str, Any] | None) -> str:
    """The line of a decision that could not be made, which is our own bug: what it was to be made from, and the error.

    Replayed, it fails alike. `observed` is everything that is known.
    """
    return line_of(
        {
            "at": rfc3339(now),
            "observed": write_observed(observed),
            "everything": True,
            "status": status,
            "decided": {"failed": error},
        }
    )


def told(decision: Decision) -> dict[str, Any]:
    """A decision as JSON: moves, actions and the next wake-up."""
    out: dict[str, Any] = {
        "moves": [_write_move(move) for move in decision.moves],
        "actions": [_write_action(action) for action in decision.actions],
    }
    return out if decision.wake_at is None else out | {"wakeAt": rfc3339(decision.wake_at)}


def line_of(data: Any) -> str:
    """Its one JSON line."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _manifest(flow: JobFlow | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(flow, JobFlow):
        return write_flow(flow)
    out = {key: flow[key] for key in _OBJECT if key in flow}
    metadata = out.get("metadata")
    if isinstance(metadata, Mapping):
        out["metadata"] = {key: value for key, value in metadata.items() if key not in _NOT_KEPT}
    return out


def _write_move(move: Move) -> dict[str, Any]:
    return {"step": move.step, "from": move.origin.value, "to": move.phase.value, "cause": write_fact(move.cause)}


def _write_action(action: Action) -> dict[str, Any]:
    out: dict[str, Any] = {"action": type(action).__name__}
    if isinstance(action, RecordStatus):
        return out | {"operations": [operation.to_json() for operation in action.operations]}
    fields = ("step", "attempt", "name", "uid", "body")
    return out | {name: getattr(action, name) for name in fields if hasattr(action, name)}
