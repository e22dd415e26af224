"""What the cluster lacks or should lose, read off levels: a record and what is seen of its Jobs.

Never off the move just made, so a crash loses nothing: the next look owes the
same. A slot is freed by what is seen, not by what is decided.
"""

from __future__ import annotations

from zenflow_core.actions import Action, CreateClaim, CreateConfigMap, CreateJob, DeleteJob, NudgeJob
from zenflow_core.manifests import Unbuildable, build_resource
from zenflow_core.observation import Refused, Seen, Sightings
from zenflow_core.plan import ResourceKind
from zenflow_core.reasons import Instant
from zenflow_core.rules.inputs import Values, job_of, resolve
from zenflow_core.rules.resources import missing, sent_again_at
from zenflow_core.state import StepPhase, StepRecord
from zenflow_core.views import FlowView, StepView


def holds_slot(record: StepRecord, sightings: Sightings) -> bool:
    """Whether the step counts against `parallelism`: it runs, or a Job of it may still have Pods."""
    if record.phase is StepPhase.RUNNING:
        return True
    return any(sighting.live for sighting in sightings)


def owes_nothing(record: StepRecord, sightings: Sightings) -> bool:
    """The usual case at a glance: no Job and none wanted, or the one Job that is wanted, or one that is over."""
    running = record.phase is StepPhase.RUNNING
    if not sightings:
        return not running
    seen = sightings[0]
    if len(sightings) > 1 or not isinstance(seen, Seen):
        return False
    return (seen.attempt == record.attempt and not seen.nudge) if running else not seen.live and seen.kept_until is None


def ensured(view: StepView) -> tuple[Action, ...]:
    """What has to be there and is not: the Job of the running attempt, or a nudge of its controller."""
    record = view.record
    if record.phase is not StepPhase.RUNNING or view.flow.seen.deleting_since is not None:
        return ()
    seen = view.attempt(record.attempt)
    if isinstance(seen, Seen):
        owes = seen.nudge and seen.live and not seen.deleting
        return (NudgeJob(view.step.name, seen.attempt, seen.name, seen.uid),) if owes else ()
    if seen is not None and not (isinstance(seen, Refused) and record.started_at and seen.at < record.started_at):
        return ()
    values = resolve(view)
    if not isinstance(values, Values):
        return ()  # the hold of the same name says so; the runtime reads and calls again
    body = job_of(view, values)
    assert not isinstance(body, Unbuildable), "the rule `inputs` has tried the same values"
    return (CreateJob(view.step.name, record.attempt, body["metadata"]["name"], body),)


def ensured_resources(flow: FlowView) -> tuple[CreateClaim | CreateConfigMap, ...]:
    """Objects of resourceTemplates that are missing and may be sent now."""
    record = flow.record
    over = record.ended is not None or record.completed_at is not None or flow.seen.deleting_since is not None
    if over or record.started_at is None:
        return ()
    out: list[CreateClaim | CreateConfigMap] = []
    for ref in missing(flow):
        answer = flow.resources.get(ref)
        if isinstance(answer, Refused):
            again = sent_again_at(answer)
            if again is None or flow.now < again:
                continue
        body = build_resource(flow.plan.resources[ref], flow.seen, kind=ref.kind.value)
        name = body["metadata"]["name"]
        made = CreateClaim if ref.kind is ResourceKind.CLAIM else CreateConfigMap
        out.append(made(ref, name, body))
    return tuple(out)


def released(view: StepView) -> tuple[DeleteJob, ...]:
    """Jobs to delete: live ones that the record does not call for, and finished ones whose own TTL is over."""
    if view.flow.seen.orphans_jobs:
        return ()
    record = view.record
    wanted = record.attempt if record.phase is StepPhase.RUNNING else None
    return tuple(
        DeleteJob(view.step.name, seen.attempt, seen.name, seen.uid)
        for seen in view.sightings
        if isinstance(seen, Seen)
        and not seen.deleting
        and (seen.attempt != wanted if seen.live else record.settled and _expired(seen, view.now))
    )


def _expired(seen: Seen, now: Instant) -> bool:
    return seen.kept_until is not None and now >= seen.kept_until
