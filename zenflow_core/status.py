"""The status of a JobFlow object: what is remembered, as the API stores it, and back.

Status *is* the state: `read_status(write_status(...))` gives the same records.
A row is lean (about 200 bytes at its end), since its size times the number of
steps is what bounds a flow: what can be derived from the row itself (an instant
that equals `completionTime`, the attempt's number) is not written twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from zenflow_core.artifact_store import recall_store, write_store
from zenflow_core.facts import (
    CAUSES,
    FLOW_CAUSES,
    FLOW_HOLDS,
    HOLDS,
    fields_of,
    read_cause,
    read_hold,
    reason_of,
    recall_failure,
    write_fact,
)
from zenflow_core.instants import instant, rfc3339
from zenflow_core.observation import Origin, Takeover
from zenflow_core.plan import Plan, PlannedStep, ResourceKind, ResourceRef
from zenflow_core.reasons import Instant, OutputValue, StoredArtifact
from zenflow_core.say import tells
from zenflow_core.spec import StepName
from zenflow_core.state import Condition, FlowPhase, FlowRecord, JobRef, StepPhase, StepRecord, Stopwatch, Tally
from zenflow_core.version import DECIDED_BY

_WATCHED = frozenset({StepPhase.RUNNING, StepPhase.PENDING_APPROVAL})
_EPOCH = instant("1970-01-01T00:00:00Z")


# --- one row ---------------------------------------------------------------------------------------------------------


def write_row(step: PlannedStep, record: StepRecord) -> dict[str, Any]:
    """The entry of `status.steps[]`. Cost: about 10 µs."""
    row: dict[str, Any] = {"name": step.name, "phase": record.phase.value}
    if record.attempt:
        row["attempt"] = record.attempt
    if record.retries_started:
        row["retryCount"] = record.retries_started
    if record.started_at is not None:
        row["startTime"] = rfc3339(record.started_at)
    if record.finished_at is not None:
        row["completionTime"] = rfc3339(record.finished_at)
    if record.retry_at is not None:
        row["retryAt"] = rfc3339(record.retry_at)
    if record.cause is not None:
        row["reason"] = reason_of(record.cause)
        data = fields_of(record.cause)
        if "at" in data and data["at"] == _usual_instant(row):
            del data["at"]
        if data.get("attempt") == record.attempt and row["reason"] in _COUNTED:
            del data["attempt"]
        if data:
            row["cause"] = data
        message = tells(record.cause)
        if message:
            row["message"] = message
    if record.holds:
        row["holds"] = [write_fact(hold) for hold in record.holds]
    if record.job is not None:
        row["jobRef"] = {"name": record.job.name, "uid": record.job.uid}
    if record.watch != _usual_watch(record.phase, record.started_at):
        row["stopwatch"] = _write_watch(record.watch)
    if record.refusals:
        row["refusals"] = record.refusals
    if record.condition_met:
        row["conditionMet"] = True
    if record.failure is not None:
        row["lastFailure"] = {"reason": type(record.failure).__name__} | fields_of(record.failure)
    if record.outputs:
        row["outputs"] = {"parameters": [{"name": name} | _write_value(v) for name, v in record.outputs.items()]}
    if record.artifacts:
        row.setdefault("outputs", {})["artifacts"] = [_write_stored(*each) for each in record.artifacts.items()]
    if record.reads:
        row["reads"] = [{"jsonPath": path} | _write_value(v) for path, v in record.reads.items()]
    if record.approver:
        row["approvedBy"] = record.approver
    return row


def read_row(row: Mapping[str, Any]) -> StepRecord:
    """The record that a row stands for. A row that this version did not write is read as far as it goes."""
    started, finished = _instant(row, "startTime"), _instant(row, "completionTime")
    phase = StepPhase(row["phase"])
    attempt = int(row.get("attempt", 0))
    reason = row.get("reason")
    cause = None
    if isinstance(reason, str):
        data = dict(row.get("cause", {}))
        usual = _usual_instant(row)
        if "at" not in data and usual is not None and reason not in _WITHOUT_INSTANT:
            data["at"] = usual
        if "attempt" not in data and reason in _COUNTED:
            data["attempt"] = attempt
        cause = read_cause(reason, data, CAUSES, at=finished or started or _EPOCH)
    outputs = {o["name"]: _read_value(o) for o in row.get("outputs", {}).get("parameters", ())}
    artifacts = {a["name"]: _read_stored(a) for a in row.get("outputs", {}).get("artifacts", ())}
    reads = {r["jsonPath"]: _read_value(r) for r in row.get("reads", ())}
    return StepRecord(
        phase=phase,
        attempt=attempt,
        started_at=started,
        finished_at=finished,
        watch=_read_watch(row["stopwatch"]) if "stopwatch" in row else _usual_watch(phase, started),
        retry_at=_instant(row, "retryAt"),
        refusals=int(row.get("refusals", 0)),
        condition_met=bool(row.get("conditionMet", False)),
        job=_read_job_ref(row),
        failure=recall_failure(row["lastFailure"], at=started or _EPOCH) if "lastFailure" in row else None,
        outputs=outputs or None,
        reads=reads or None,
        artifacts=artifacts or None,
        approver=str(row.get("approvedBy", "")),
        cause=cause,
        holds=tuple(read_hold(hold, HOLDS) for hold in row.get("holds", ())),
    )


def running_jobs(status: Mapping[str, Any] | None) -> Iterator[tuple[StepName, int, JobRef]]:
    """Step, attempt and Job of each row of a stored status that says it is running, and which Job that is."""
    for row in (status or {}).get("steps") or ():
        reference = _read_job_ref(row)
        if reference is not None and row["phase"] == StepPhase.RUNNING:
            yield row["name"], row.get("attempt", 1), reference  # the Go project counts no attempts


def _read_job_ref(row: Mapping[str, Any]) -> JobRef | None:
    """The Job that a row names; None without a uid, as the Go project's own definition leaves it."""
    reference = row.get("jobRef") or {}
    return JobRef(reference["name"], reference["uid"]) if "uid" in reference else None


_COUNTED = frozenset({"Admitted", "Adopted", "AttemptFailed"})
_WITHOUT_INSTANT = frozenset({"AttemptFailed", "RetriesExhausted"})
"""Their instant is that of the failure that they carry."""


def _usual_instant(row: Mapping[str, Any]) -> Any:
    return row.get("completionTime", row.get("startTime"))


def _usual_watch(phase: StepPhase, started: Instant | None) -> Stopwatch | None:
    return Stopwatch(since=started) if phase in _WATCHED and started is not None else None


def _write_watch(watch: Stopwatch | None) -> dict[str, Any]:
    if watch is None:
        return {}
    out: dict[str, Any] = {"ranSeconds": watch.ran // timedelta(seconds=1)}
    return out if watch.since is None else out | {"since": rfc3339(watch.since)}


def _read_watch(data: Mapping[str, Any]) -> Stopwatch | None:
    if not data:
        return None
    return Stopwatch(timedelta(seconds=int(data["ranSeconds"])), _instant(data, "since"))


def _write_value(value: OutputValue) -> dict[str, Any]:
    return {"value": value.text, "json": True} if value.json else {"value": value.text}


def _read_value(data: Mapping[str, Any]) -> OutputValue:
    return OutputValue(data["value"], json=bool(data.get("json", False)))


def _write_stored(name: str, stored: StoredArtifact) -> dict[str, Any]:
    return {"name": name, "sha256": stored.sha256, "sizeBytes": stored.size_bytes, "location": stored.location}


def _read_stored(data: Mapping[str, Any]) -> StoredArtifact:
    return StoredArtifact(str(data["sha256"]), int(data["sizeBytes"]), str(data["location"]))


def _instant(row: Mapping[str, Any], key: str) -> Instant | None:
    return instant(row[key]) if key in row else None


# --- the flow --------------------------------------------------------------------------------------------------------


def write_progress(tally: Tally, plan: Plan) -> dict[str, Any]:
    """`status.progress`."""
    return {
        "completedSteps": tally.settled,
        "totalSteps": len(plan.steps),
        "successfulSteps": tally.succeeded,
        "failedSteps": tally.failed,
    }


def write_flow(record: FlowRecord) -> dict[str, Any]:
    """The status without its rows and progress, key by key as the patch compares them."""
    out: dict[str, Any] = {
        "phase": record.phase.value,
        "conditions": [_write_condition(condition) for condition in record.conditions],
        "observedGeneration": record.observed_generation,
        "decidedBy": DECIDED_BY,
        "specHash": record.fingerprint,
    }
    if record.started_at is not None:
        out["startTime"] = rfc3339(record.started_at)
    if record.completed_at is not None:
        out["completionTime"] = rfc3339(record.completed_at)
    if record.ended is not None:
        out["ended"] = write_fact(record.ended)
    if record.holds:
        out["holds"] = [write_fact(hold) for hold in record.holds]
    if record.resources:
        out["resourceRefs"] = [{"kind": ref.kind.value, "name": ref.name} for ref in record.resources]
    if record.artifact_store is not None:
        out["artifactStore"] = write_store(record.artifact_store)
    return out


def _write_condition(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": "True" if condition.status else "False",
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": rfc3339(condition.since),
    }


def _read_condition(data: Mapping[str, Any]) -> Condition:
    return Condition(
        type=data["type"],
        status=data["status"] == "True",
        reason=data.get("reason", ""),  # which the Go project leaves out while a flow waits
        since=_instant(data, "lastTransitionTime") or _EPOCH,
        message=data.get("message", ""),
    )


@frozen
class StoredStatus:
    """What a stored status says; empty for a flow that was never decided about."""

    flow: FlowRecord = FlowRecord()
    rows: Mapping[str, StepRecord] = {}


def read_status(status: Mapping[str, Any] | None) -> StoredStatus:
    """The records that a stored status stands for, rows by step name.

    Facts of other versions are carried along as unknown. Raises KeyError,
    TypeError or ValueError for what no zenflow has written.
    """
    if not status or "phase" not in status:
        return StoredStatus()
    ended = status.get("ended")
    started = _instant(status, "startTime")
    completed = _instant(status, "completionTime")
    flow = FlowRecord(
        started_at=started,
        completed_at=completed,
        ended=_read_end(ended, completed or started or _EPOCH) if ended else None,
        phase=FlowPhase(status["phase"]),
        conditions=tuple(_read_condition(c) for c in status.get("conditions", ())),
        holds=tuple(read_hold(hold, FLOW_HOLDS) for hold in status.get("holds", ())),
        resources=tuple(ResourceRef(ResourceKind(r["kind"]), r["name"]) for r in status.get("resourceRefs", ())),
        artifact_store=recall_store(status["artifactStore"]) if "artifactStore" in status else None,
        fingerprint=str(status.get("specHash", "")),
        observed_generation=int(status.get("observedGeneration", 0)),
    )
    rows: Sequence[Mapping[str, Any]] = status.get("steps", ())
    return StoredStatus(flow, {row["name"]: read_row(row) for row in rows})


def _read_end(data: Mapping[str, Any], at: Instant) -> Any:
    rest = {key: value for key, value in data.items() if key != "reason"}
    return read_cause(str(data["reason"]), rest, FLOW_CAUSES, at=at)


def read_origin(flow: Mapping[str, Any]) -> Origin:
    """The Succeeded rows of an earlier flow, for one whose `retryOf` names it."""
    stored = read_status(flow.get("status"))
    return Origin(
        {
            StepName(name): Takeover(row.outputs, row.reads, row.artifacts)
            for name, row in stored.rows.items()
            if row.phase is StepPhase.SUCCEEDED
        },
        stored.flow.artifact_store,
    )
