"""The most bytes of status: every row at its longest, each written by the code that writes it in earnest.

A row is longest when its step has failed and waits for a retry (the failure is
there as a cause, in words, and once more for a process that starts later), or
when it has succeeded with outputs. Names are those of the flow, times and uids
have their fixed length, texts of others are cut at `MESSAGE_CHARACTERS`, a value
out of a termination message ends at 4,096 bytes, one out of the Job's own status
or metadata at 32 KiB. Texts and values are counted as plain ASCII: letters of
other scripts, control characters and `<>&` take up to six bytes each in JSON.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from zenflow_core.artifact_store import settled
from zenflow_core.bounds.attempts import never_runs, retries
from zenflow_core.instants import instant
from zenflow_core.limits import (
    ARTIFACT_STORE_BYTES,
    ARTIFACT_STORE_KEY_CHARACTERS,
    HELD_STEPS_NAMED,
    INT32_MAX,
    INT64_MAX,
    LABEL_CHARACTERS,
    MESSAGE_CHARACTERS,
    PARAMETER_VALUE_BYTES,
)
from zenflow_core.plan import KeyRead, Plan, PlannedStep
from zenflow_core.reading import TERMINATION_MESSAGE_BYTES
from zenflow_core.reasons import (
    ActiveDeadlineExceeded,
    AttemptFailed,
    Cause,
    FlowHold,
    InputMissing,
    JobComplete,
    JobFailed,
    KeptUntil,
    NeedsInput,
    OutputValue,
    Rejected,
    ResourceRefusedUntil,
    ResourceRejected,
    RetriesExhausted,
    RetryAbandoned,
    StoredArtifact,
    UpstreamUnmet,
    WaitsFor,
)
from zenflow_core.rules.store import wants_store
from zenflow_core.say import say
from zenflow_core.spec import OutputArtifact, StepName
from zenflow_core.state import Condition, FlowPhase, FlowRecord, JobRef, StepPhase, StepRecord, Stopwatch, Tally
from zenflow_core.status import write_flow, write_progress, write_row

_AT = instant("2000-01-01T00:00:00Z")
_LATER = instant("2000-01-02T00:00:00Z")
_UID = "0" * 36
_REASON = "x" * LABEL_CHARACTERS
_TEXT = "x" * MESSAGE_CHARACTERS
_SUSPENDED = Stopwatch(timedelta(days=9_999), _AT)
_OF_THE_JOB = ("status", "metadata")


def status_bytes(plan: Plan, flow: str) -> int:
    """The most bytes of `.status` as compact JSON. Steps that differ in their names only are measured once."""
    longest = max((step.name for step in plan.steps), key=lambda name: len(name.encode()), default=StepName(""))
    sizes: dict[Any, int] = {}
    total = 0
    for step in plan.steps:
        shape = _shape(plan, step)
        size = sizes.get(shape) if shape is not None else None
        if size is None:
            size = max(_size(row) for row in _rows(plan, step, longest, StepName("")))
            if shape is not None:
                sizes[shape] = size
        total += size + len(step.name.encode()) + _job_name_bytes(flow, step) + 1
    body = write_flow(_flow(plan, flow, longest))
    body["progress"] = write_progress(Tally(*[len(plan.steps)] * 8), plan)
    stored = ARTIFACT_STORE_BYTES if wants_store(plan) else 0
    return total + _size(body | {"steps": []}) + stored


def _job_name_bytes(flow: str, step: PlannedStep) -> int:
    """The length of the name of its last attempt's Job (`names.job_name`)."""
    if step.manual:
        return 0
    suffix = f"-{_UID[:8]}-r{retries(step)}"
    return min(len(f"{flow}-{step.name}{suffix}".encode()), LABEL_CHARACTERS)


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _shape(plan: Plan, step: PlannedStep) -> Any:
    """What the size of a row depends on besides the step's name; None if it is a shape of its own."""
    if step.outputs or step.reads or step.output_artifacts or step.inputs:
        return None
    return step.manual, retries(step), step.when is None, len(step.upstream), never_runs(step)


def _rows(plan: Plan, step: PlannedStep, longest: StepName, name: StepName) -> list[dict[str, Any]]:
    """The rows that can be the longest one."""
    records = [
        _record(StepPhase.SKIPPED, UpstreamUnmet(_AT, longest)),
        StepRecord(
            condition_met=step.when is not None,
            holds=(WaitsFor((longest,) * min(HELD_STEPS_NAMED, len(step.upstream)), of=len(step.upstream)),),
        ),
    ]
    if never_runs(step):
        return [_written(step, record, name) for record in records]
    if step.manual:
        records.append(_record(StepPhase.FAILED, Rejected(_LATER, _TEXT, _TEXT), approver=_TEXT))
        return [_written(step, record, name) for record in records]
    attempts = retries(step) + 1
    failure = JobFailed(_LATER, _REASON, f"{_TEXT}; {_TEXT}" if step.carries_artifacts else _TEXT)
    job = JobRef("", _UID)
    common = {"attempt": attempts, "started_at": _AT, "job": job, "condition_met": step.when is not None}
    records.append(_record(StepPhase.FAILED, failure, **common))
    if step.retry is not None:
        waiting = AttemptFailed(attempts, failure, _LATER)
        hold = WaitsFor((longest,), of=1)  # longer than any hold of a step that waits for its retry
        records += [
            _record(StepPhase.PENDING, waiting, retry_at=_LATER, failure=failure, holds=(hold,), **common),
            _record(StepPhase.FAILED, RetriesExhausted(attempts, failure), **common),
            _record(StepPhase.FAILED, RetryAbandoned(_LATER, failure, "FinallyDeadlineExceeded"), **common),
        ]
    if step.inputs or step.artifact_reads:
        parameters = [each.name for each in step.inputs] + [each.name for each in step.artifact_reads]
        refs = tuple({each.source.ref: None for each in step.inputs if isinstance(each.source, KeyRead)})
        records.append(_record(StepPhase.FAILED, InputMissing(_LATER, max(parameters, key=len), _TEXT), **common))
        if refs:
            records.append(_record(StepPhase.PENDING, None, holds=(NeedsInput(refs),), **common))
    records.append(_succeeded(plan, step, common))
    return [_written(step, record, name) for record in records]


def _record(phase: StepPhase, cause: Cause | None, **fields: Any) -> StepRecord:
    finished = _LATER if phase in (StepPhase.FAILED, StepPhase.SKIPPED, StepPhase.SUCCEEDED) else None
    # A watch that somebody stopped is the longest, except where the step is over and has none.
    watch = None if finished is not None or phase is StepPhase.PENDING else _SUSPENDED
    return StepRecord(phase=phase, cause=cause, finished_at=finished, watch=watch, **fields)


def _succeeded(plan: Plan, step: PlannedStep, common: dict[str, Any]) -> StepRecord:
    moved = plan.settings.artifact_image is not None
    artifacts = {
        made.name: StoredArtifact("0" * 64, INT64_MAX, _location(plan, made, step.name))
        for made in (step.output_artifacts if moved else ())
    }
    return _record(
        StepPhase.SUCCEEDED,
        JobComplete(_LATER),
        outputs={each.name: _value(each.path) for each in step.outputs} or None,
        reads={path: _value(path) for path in step.reads} or None,
        artifacts=artifacts or None,
        **common,
    )


def _location(plan: Plan, made: OutputArtifact, step: StepName) -> str:
    """At least as long as wherever the artifact of any attempt is stored (`artifact_pod.location_of`)."""
    s3 = settled(made, plan.settings.artifact_store).s3
    base = f"s3://{s3.bucket}/{s3.key}" if s3 is not None else "claim:"
    if made.s3 is None and plan.settings.namespace_stores:
        base += "x" * (ARTIFACT_STORE_KEY_CHARACTERS + LABEL_CHARACTERS)
    return f"{base}{_UID}/{step}/{INT32_MAX}/{_UID[:8]}/{made.name}"


def _value(path: str) -> OutputValue:
    """The longest value that can be recorded of this path."""
    plain = path.removeprefix("$").lstrip(".[\"'")
    outside = not plain or plain.startswith((*_OF_THE_JOB, "*", "."))
    return OutputValue("x" * (PARAMETER_VALUE_BYTES if outside else TERMINATION_MESSAGE_BYTES), json=True)


def _written(step: PlannedStep, record: StepRecord, name: StepName) -> dict[str, Any]:
    return write_row(step, record) | {"name": name}


def _flow(plan: Plan, flow: str, longest: StepName) -> FlowRecord:
    """The flow's own part at its longest."""
    resources = tuple(plan.resources)
    named = max((f"{ref.kind.value} {flow}-{ref.name}" for ref in resources), key=len, default="")
    ended = ResourceRejected(_LATER, named, 422, _TEXT) if resources else ActiveDeadlineExceeded(_LATER)
    text = max(say(ended), f"step {longest} failed", "failed steps with continueOnFailure: 10000", key=len)
    holds: tuple[FlowHold, ...] = (KeptUntil(_LATER), *((ResourceRefusedUntil(_LATER, named),) if resources else ()))
    return FlowRecord(
        started_at=_AT,
        completed_at=_LATER,
        ended=ended,
        phase=FlowPhase.SUSPENDED,
        conditions=tuple(
            Condition(kind, status=False, reason=type(ended).__name__ + "x" * 16, since=_AT, message=message)
            for kind, message in (("Ready", text), ("Complete", text), ("Reconciling", ""), ("Stalled", ""))
        ),
        holds=holds,
        resources=resources,
        fingerprint="0" * 64,
        observed_generation=10**6,
    )
