"""An incident as a file: what was observed, when, and what was decided; one JSON object a line.

The dump is written at one seam, around `advance`: the first line says which flow
and which zenflow, each further line is one decision with everything that it was
made from. So a dump can be replayed: the same inputs give the same decisions,
byte for byte, or the file names the first difference. Values of Secrets are
never observed, so they cannot be in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import cattrs
from attrs import frozen
from cattrs.strategies import configure_tagged_union

from zenflow_core.actions import Action, RecordStatus
from zenflow_core.codec import read_flow, write_flow
from zenflow_core.compile import compile_plan
from zenflow_core.facts import write_fact
from zenflow_core.instants import instant, rfc3339
from zenflow_core.observation import (
    UNREAD,
    FlowSeen,
    JobOutcome,
    Lookup,
    Observed,
    OriginLookup,
    ResourceSighting,
    Sibling,
    Sighting,
    Unread,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceKind, ResourceRef
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision, advance, reconcile
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState
from zenflow_core.version import DECIDED_BY
from zenflow_core.wave import Move

FORMAT = "zenflow-dump/1"
_TAG = "is"


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(omit_if_default=True, forbid_extra_keys=True)
    converter.register_unstructure_hook(datetime, rfc3339)
    converter.register_structure_hook(datetime, lambda text, _: instant(text))
    for union in (JobOutcome, Lookup, ResourceSighting, OriginLookup, Sighting):
        configure_tagged_union(union, converter, tag_name=_TAG)
    return converter


_CONVERTER = _converter()


@frozen
class Step:
    """One decision of a dump: when, from what, and what came of it."""

    line: int
    at: Instant
    everything: bool
    """Whether it was decided from the stored status (a fresh process) rather than from memory."""
    status: Mapping[str, Any] | None
    """The stored status it was decided from, for a fresh process."""
    observed: Observed
    decided: Mapping[str, Any]


@frozen
class Dump:
    """A dump that was read: the flow and its decisions in order."""

    flow: JobFlow
    plan: Plan
    decided_by: str
    steps: tuple[Step, ...]
    cut: bool = False
    """Whether the file ends in the middle of a line."""

    def replay(self) -> Iterator[tuple[Step, Decision]]:
        """Decide everything again, step by step. Cost: as the first time."""
        state: FlowState | None = None
        for step in self.steps:
            if step.everything or state is None:
                decision = reconcile(self.plan, step.status, step.observed, now=step.at)
            else:
                decision = advance(state, step.observed, step.at)
            state = decision.state
            yield step, decision


def write_header(flow: JobFlow, seen: FlowSeen, *, settings: Settings = DEFAULTS) -> str:
    """The first line."""
    header = {
        "format": FORMAT,
        "decidedBy": DECIDED_BY,
        "flow": write_flow(flow),
        "seen": _CONVERTER.unstructure(seen),
    }
    return _line(header if settings == DEFAULTS else header | {"settings": _CONVERTER.unstructure(settings)})


def write_step(
    observed: Observed, now: Instant, decision: Decision, *, everything: bool, status: Mapping[str, Any] | None
) -> str:
    """The line of one decision. Cost: what changed, and the status of a fresh process."""
    line: dict[str, Any] = {"at": rfc3339(now), "observed": _write_observed(observed), "decided": told(decision)}
    if everything:
        line["everything"] = True
        line["status"] = status
    return _line(line)


def told(decision: Decision) -> dict[str, Any]:
    """A decision as JSON: moves, actions and the next wake-up."""
    out: dict[str, Any] = {
        "moves": [_write_move(move) for move in decision.moves],
        "actions": [_write_action(action) for action in decision.actions],
    }
    return out if decision.wake_at is None else out | {"wakeAt": rfc3339(decision.wake_at)}


def _write_move(move: Move) -> dict[str, Any]:
    return {"step": move.step, "from": move.origin.value, "to": move.phase.value, "cause": write_fact(move.cause)}


def _write_action(action: Action) -> dict[str, Any]:
    out: dict[str, Any] = {"action": type(action).__name__}
    if isinstance(action, RecordStatus):
        return out | {"operations": [operation.to_json() for operation in action.operations]}
    fields = ("step", "attempt", "name", "uid", "body")
    return out | {name: getattr(action, name) for name in fields if hasattr(action, name)}


def _write_observed(observed: Observed) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if observed.jobs:
        out["jobs"] = {
            step: [_CONVERTER.unstructure(s, unstructure_as=Sighting) for s in sightings]
            for step, sightings in observed.jobs.items()
        }
    if observed.inputs:
        out["inputs"] = [
            {"name": ref.name, "key": ref.key, "value": _CONVERTER.unstructure(value, unstructure_as=Lookup)}
            for ref, value in observed.inputs.items()
        ]
    if observed.resources:
        out["resources"] = [
            {
                "kind": ref.kind.value,
                "name": ref.name,
                "seen": _CONVERTER.unstructure(s, unstructure_as=ResourceSighting),
            }
            for ref, s in observed.resources.items()
        ]
    if observed.siblings is not None:
        out["siblings"] = [_CONVERTER.unstructure(sibling) for sibling in observed.siblings]
    if not isinstance(observed.origin, Unread):
        out["origin"] = _CONVERTER.unstructure(observed.origin, unstructure_as=OriginLookup)
    if observed.status_refused_at is not None:
        out["statusRefusedAt"] = rfc3339(observed.status_refused_at)
    if observed.flow is not None:
        out["flow"] = _CONVERTER.unstructure(observed.flow)
    return out


def _read_observed(data: Mapping[str, Any]) -> Observed:
    sighting: Any = Sighting
    lookup: Any = Lookup
    resource: Any = ResourceSighting
    origin: Any = OriginLookup
    return Observed(
        jobs={
            StepName(step): tuple(_CONVERTER.structure(s, sighting) for s in sightings)
            for step, sightings in data.get("jobs", {}).items()
        },
        inputs={
            ConfigMapKey(item["name"], item["key"]): _CONVERTER.structure(item["value"], lookup)
            for item in data.get("inputs", ())
        },
        resources={
            ResourceRef(ResourceKind(item["kind"]), item["name"]): _CONVERTER.structure(item["seen"], resource)
            for item in data.get("resources", ())
        },
        siblings=(
            tuple(_CONVERTER.structure(item, Sibling) for item in data["siblings"]) if "siblings" in data else None
        ),
        origin=_CONVERTER.structure(data["origin"], origin) if "origin" in data else UNREAD,
        status_refused_at=instant(data["statusRefusedAt"]) if "statusRefusedAt" in data else None,
        flow=_CONVERTER.structure(data["flow"], FlowSeen) if "flow" in data else None,
    )


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def read_dump(lines: Iterable[str], *, file: str) -> Dump | tuple[Problem, ...]:
    """A dump, or what is wrong with it. A last line that was cut off is left out and said (`Dump.cut`)."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        return (Problem(file, "is empty", "write a dump with `zenflow simulate FLOW --dump FILE`"),)
    header = _parse(numbered[0][1])
    if not isinstance(header, dict) or "format" not in header:
        fix = "give a file that `zenflow simulate --dump` wrote"
        return (Problem(f"{file}:1", "is not the first line of a dump", fix),)
    if header["format"] != FORMAT:
        fix = f"install {header.get('decidedBy', 'the zenflow that wrote it')} to read it"
        return (Problem(f"{file}:1", f"found format {header['format']!r}, expected {FORMAT!r}", fix),)
    flow = read_flow(header.get("flow"))
    if not isinstance(flow, JobFlow):
        return flow
    try:
        settings = _CONVERTER.structure(header.get("settings", {}), Settings)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        what = f"has settings that cannot be read ({type(error).__name__}: {error})"
        return (Problem(f"{file}:1", what, "dumps are written by zenflow and not meant to be edited"),)
    plan = compile_plan(flow, settings=settings)
    if not isinstance(plan, Plan):
        return plan
    steps: list[Step] = []
    cut = False
    for number, text in numbered[1:]:
        data = _parse(text)
        if data is None and number == numbered[-1][0] and not text.endswith("\n"):
            cut = True
            break
        try:
            steps.append(_step(number, data))
        except (cattrs.BaseValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
            # AttributeError: a list or a text where an object belongs
            what = f"is not a decision ({type(error).__name__}: {error})"
            return (Problem(f"{file}:{number}", what, "dumps are written by zenflow and not meant to be edited"),)
    return Dump(flow, plan, decided_by=str(header.get("decidedBy", "")), steps=tuple(steps), cut=cut)


def _step(number: int, data: Any) -> Step:
    return Step(
        line=number,
        at=instant(data["at"]),
        everything=bool(data.get("everything", False)),
        status=data.get("status"),
        observed=_read_observed(data["observed"]),
        decided=data["decided"],
    )


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
