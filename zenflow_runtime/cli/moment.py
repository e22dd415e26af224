"""One moment of a dump: what was observed then, what was decided from it, and where each step was after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from zenflow_core.decision import Decision
from zenflow_core.dump import told
from zenflow_core.dump.form import write_observed
from zenflow_core.facts import reason_of
from zenflow_core.instants import rfc3339
from zenflow_core.reasons import Hold
from zenflow_core.say import say
from zenflow_core.state import FlowState, StepPhase
from zenflow_core.styled import Line, Span, Style, cells, line, padded
from zenflow_core.version import VERSION
from zenflow_runtime.cli.replay import Again, Replay, again_json, compared_lines, head_lines, place_of
from zenflow_testing.timeline import GLYPHS


def moment_lines(replay: Replay, again: Again, *, columns: int | None) -> Iterator[Line]:
    """What one decision was made from, what was decided, and where each step was then."""
    step, decision = again.step, again.decision
    yield from head_lines(replay)
    yield ()
    basis = "the stored status and everything observed" if step.everything else "memory and what was new"
    yield line(
        Span(f"decision {again.number} of {len(replay.decisions)}", Style.HEAD),
        f" ({place_of(replay, again)}), from {basis}",
    )
    yield ()
    yield line(Span("observed", Style.HEAD))
    yield from observed_lines(write_observed(step.observed))
    yield ()
    yield line(Span("decided", Style.HEAD))
    yield from _decided_lines(decision)
    if not again.equal:
        yield line(Span("  which is not what was recorded:", Style.BAD))
        yield from compared_lines(again, columns=columns, recorded_by=replay.dump.decided_by)
    yield ()
    yield line(Span("then", Style.HEAD), f" the flow is {decision.state.record.phase.value}")
    yield from _phase_lines(decision.state)


def observed_lines(observed: Mapping[str, Any]) -> Iterator[Line]:
    """What was told, a line each; Jobs by step and attempt."""
    if not observed:
        yield line(Span("  nothing: the time had come that was asked for", Style.DIM))
    for name, sightings in observed.get("jobs", {}).items():
        if not sightings:
            yield line(f"  Job of {name}: none")
        for each in sightings:
            yield line(f"  Job of {name}, attempt {each['attempt']}: ", Span(_sighted(each)))
    for each in observed.get("inputs", ()):
        yield line(f"  ConfigMap {each['name']}, key {each['key']}: {_looked_up(each['value'])}")
    for each in observed.get("resources", ()):
        yield line(f"  {each['kind']} {each['name']}: {each['seen']['is']}")
    for each in observed.get("siblings", ()):
        state = "over" if each.get("over") else "unfinished"
        yield line(f"  flow {each['name']} of the same group: {state}")
    if "origin" in observed:
        yield line(f"  the flow it retries: {observed['origin']['is']}")
    if "statusRefusedAt" in observed:
        yield line(f"  the status was refused as too large at {observed['statusRefusedAt']}")
    flow = observed.get("flow")
    if flow is not None:
        notes = [f"{key}: {value}" for key, value in sorted(flow.get("annotations", {}).items()) if len(value) <= 100]
        deleting = f", deleted at {flow['deleting_since']}" if "deleting_since" in flow else ""
        yield line(f"  the flow: generation {flow.get('generation', 1)}{deleting}")
        for note in notes:
            yield line(f"    annotation {note}")


def _sighted(each: Mapping[str, Any]) -> str:
    kind = each["is"]
    if kind == "Gone":
        return f"gone since {each['at']}"
    if kind == "Refused":
        reason = f" {each['reason']}" if each.get("reason") else ""
        message = f": {each['message']}" if each.get("message") else ""
        return f"its create was refused at {each['at']}, {each['code']}{reason}{message}"
    outcome = each.get("outcome", {"is": "Active"})
    parts = [f"{each['name']}, created {each['created_at']}, {outcome['is']}"]
    if outcome.get("at"):
        parts.append(f"since {outcome['at']}")
    if outcome.get("reason"):
        parts.append(f"({outcome['reason']})")
    if "suspended_since" in each:
        parts.append(f"suspended since {each['suspended_since']}")
    if each.get("deleting"):
        parts.append("being deleted")
    if "result" in each:
        parts.append(f"result {_looked_up(each['result'])}")
    return " ".join(parts)


def _looked_up(value: Mapping[str, Any]) -> str:
    return json.dumps(value["value"], ensure_ascii=False) if value["is"] == "Present" else f"{value['is'].lower()}"


def _decided_lines(decision: Decision) -> Iterator[Line]:
    for move in decision.moves:
        glyph, style = GLYPHS[move.phase]
        yield line(
            Span(f"  {glyph} {move.step} {move.origin.value}→{move.phase.value}", style),
            Span(f"  {reason_of(move.cause)}: {say(move.cause)}", Style.DIM),
        )
    data = told(decision)
    for action in data["actions"]:
        what = f" {action['name']}" if action.get("name") else ""
        which = f" (step {action['step']}, attempt {action['attempt']})" if action.get("step") else ""
        if action["action"] == "RecordStatus":
            what = f": {len(action['operations'])} changes of status"
        yield line(f"  {action['action']}{what}{which}")
    for read in decision.reads:
        yield line(f"  {read}")
    if not decision.moves and not decision.actions and not decision.reads:
        yield line(Span("  nothing", Style.DIM))
    wake = "only news can move it" if decision.wake_at is None else f"looks again at {rfc3339(decision.wake_at)}"
    yield line(Span(f"  {wake}", Style.DIM))


def _phase_lines(state: FlowState) -> Iterator[Line]:
    steps = sorted(state.plan.steps, key=lambda step: step.row)
    name = min(max((cells(step.name) for step in steps), default=0), 40)
    phase = max((len(record.phase.value) for record in state.records), default=0)
    for hold in state.record.holds:
        yield line("    ", Span(f"{reason_of(hold)}: {say(hold)}", Style.WAIT))
    for step in steps:
        record = state.records[step.rank]
        waits = record.phase is StepPhase.PENDING and not record.attempt
        glyph, style = ("·", Style.DIM) if waits else GLYPHS[record.phase]
        attempt = f"  attempt {record.attempt}" if record.attempt > 1 else ""
        why = _why(record.holds) if record.holds else "" if record.cause is None else reason_of(record.cause)
        yield line(
            Span(f"  {glyph} {record.phase.value:<{phase}}", style),
            f"  {padded(step.name, name)}",
            Span(f"{attempt}{f'  {why}' if why else ''}", Style.DIM),
        )


def _why(holds: tuple[Hold, ...]) -> str:
    return "; ".join(f"{reason_of(hold)}: {say(hold)}" for hold in holds)


def moment_json(replay: Replay, again: Again) -> dict[str, Any]:
    """The document of `zenflow replay --at ... -o json`: one decision, and the status after it."""
    basis = "status" if again.step.everything else "memory"
    return {
        "flow": replay.story.flow,
        "namespace": replay.story.namespace,
        "decidedBy": replay.dump.decided_by,
        "version": VERSION,
        **again_json(again),
        "from": basis,
        "observed": write_observed(again.step.observed),
        "recorded": again.step.decided,
        "status": again.decision.status,
    }
