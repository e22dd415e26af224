"""Status is the only memory: what is written can be read back, record for record, and rows stay lean."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import at, pod_failed
from tests.core.drawn import flow_records, records
from zenflow_core import reasons as r
from zenflow_core.limits import STATUS_BYTES_PER_STEP
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.spec import StepName
from zenflow_core.state import Condition, FlowPhase, FlowRecord, JobRef, StepPhase, StepRecord, Stopwatch, Tally
from zenflow_core.status import StoredStatus, read_row, read_status, running_jobs, write_flow, write_progress, write_row
from zenflow_core.version import DECIDED_BY

BUILD = PlannedStep(StepName("build"), 0, 0)
UID = "0a0a0a0a-0000-4000-8000-000000000001"
JOB = JobRef("nightly-build-0a0a0a0a", UID)


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


# --- reading is the inverse of writing -------------------------------------------------------------------------------


@given(records)
def test_a_record_is_read_as_it_was_written(record: StepRecord) -> None:
    assert read_row(through_json(write_row(BUILD, record))) == record


@given(flow_records, st.dictionaries(st.sampled_from(("build", "test")), records))
def test_a_status_is_read_as_it_was_written(flow: FlowRecord, rows: dict[str, StepRecord]) -> None:
    status = write_flow(flow) | {
        "steps": [write_row(PlannedStep(StepName(name), 0, 0), record) for name, record in rows.items()]
    }
    assert read_status(through_json(status)) == StoredStatus(flow, rows)


@pytest.mark.parametrize(
    ("row", "known"),
    [
        pytest.param({"phase": "Running", "attempt": 2, "jobRef": {"name": "j", "uid": UID}}, 2, id="a running one"),
        pytest.param({"phase": "Running", "jobRef": {"name": "j", "uid": UID}}, 1, id="of the Go project"),
        pytest.param({"phase": "Running", "attempt": 1}, None, id="one that was not seen yet"),
        pytest.param({"phase": "Running", "attempt": 1, "jobRef": {}}, None, id="one that is named by nothing"),
        pytest.param(
            {"phase": "Failed", "attempt": 1, "jobRef": {"name": "j", "uid": UID}}, None, id="one that is over"
        ),
    ],
)
def test_jobs_that_a_status_takes_to_be_running(row: dict[str, Any], known: int | None) -> None:
    found = [] if known is None else [("build", known, JobRef("j", UID))]
    assert list(running_jobs({"phase": "Running", "steps": [{"name": "build", **row}]})) == found


@pytest.mark.parametrize("status", [None, {}, {"phase": "Pending"}, {"steps": None}])
def test_a_status_without_rows_takes_no_job_to_be_running(status: dict[str, Any] | None) -> None:
    assert list(running_jobs(status)) == []


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="no status"),
        pytest.param({}, id="an empty one"),
        pytest.param({"steps": []}, id="one without a phase"),
    ],
)
def test_a_flow_that_was_never_decided_about(status: dict[str, Any] | None) -> None:
    assert read_status(status) == StoredStatus()


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"name": "build"}, id="a row without a phase"),
        pytest.param({"name": "build", "phase": "Queued"}, id="a phase that is none"),
        pytest.param({"name": "build", "phase": "Running", "startTime": "soon"}, id="an instant that is none"),
    ],
)
def test_what_no_zenflow_has_written_is_an_error(row: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_row(row)


def test_a_condition_without_a_reason_is_read_as_the_go_project_writes_it() -> None:
    status = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
    (condition,) = read_status(status).flow.conditions
    assert (condition.type, condition.status, condition.reason) == ("Ready", False, "")


def test_a_reference_to_a_job_without_anything_in_it_is_none() -> None:
    """What the Go project's own definition leaves of it."""
    row = {"name": "build", "phase": "Running", "startTime": "2030-01-01T10:00:00Z", "jobRef": {}}
    assert read_row(row).job is None


# --- other versions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            {"name": "build", "phase": "Failed", "completionTime": "2030-01-01T10:00:00Z", "reason": "Quarantined"},
            id="a cause that is not known",
        ),
        pytest.param(
            {
                "name": "build",
                "phase": "Running",
                "attempt": 2,
                "retryCount": 1,
                "startTime": "2030-01-01T10:00:00Z",
                "reason": "Moved",
                "cause": {"attempt": 2, "node": "n1", "at": "2030-01-01T10:00:05Z"},
            },
            id="one with data that another cause would leave out",
        ),
        pytest.param(
            {
                "name": "build",
                "phase": "Pending",
                "reason": "JobRefused",
                "cause": {"at": "2030-01-01T10:00:00Z", "quota": "q"},
                "holds": [{"reason": "NeedsLicence", "seats": 3}, {"reason": "Suspended"}],
            },
            id="a known one with a field that is not, and a hold that is not",
        ),
    ],
)
def test_facts_of_another_version_are_carried_along(row: dict[str, Any]) -> None:
    """Whatever this version does not know it writes again as it was."""
    again = write_row(BUILD, read_row(row))
    again.pop("message")
    assert again == row
    assert read_row(again) == read_row(row)


def test_an_end_of_another_version_is_carried_along() -> None:
    ended = {"reason": "Quarantined", "at": "2030-01-01T10:00:00Z", "by": "x"}
    status = write_flow(FlowRecord(phase=FlowPhase.RUNNING)) | {"ended": ended}
    flow = read_status(status).flow
    assert isinstance(flow.ended, r.UnknownCause)
    assert write_flow(flow)["ended"] == ended


def test_a_failure_of_another_version_does_not_make_the_status_unreadable() -> None:
    row = {"name": "build", "phase": "Pending", "attempt": 1, "lastFailure": {"reason": "Evicted", "message": "n1"}}
    assert read_row(row).failure == r.JobFailed(at("+0d 10:00:00").replace(year=1970, hour=0), "Evicted", "n1")


def test_columns_of_another_version_are_passed_over() -> None:
    row = write_row(BUILD, StepRecord()) | {"zone": "z1"}
    assert read_row(row) == StepRecord()


# --- what is written -------------------------------------------------------------------------------------------------

SUCCEEDED = StepRecord(
    phase=StepPhase.SUCCEEDED,
    attempt=1,
    started_at=at("10:00:00"),
    finished_at=at("10:00:40"),
    job=JOB,
    cause=r.JobComplete(at("10:00:40")),
)
RUNNING = StepRecord(
    phase=StepPhase.RUNNING,
    attempt=1,
    started_at=at("10:00:00"),
    watch=Stopwatch(since=at("10:00:00")),
    job=JOB,
    cause=r.Admitted(1, at("10:00:00")),
)


def test_a_row_that_is_over_is_as_short_as_can_be() -> None:
    assert write_row(BUILD, SUCCEEDED) == {
        "name": "build",
        "phase": "Succeeded",
        "attempt": 1,
        "startTime": "2030-01-01T10:00:00Z",
        "completionTime": "2030-01-01T10:00:40Z",
        "reason": "JobComplete",
        "jobRef": {"name": JOB.name, "uid": UID},
    }


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        pytest.param(StepRecord(), {}, id="a step that was never looked at has no columns"),
        pytest.param(RUNNING, {"reason": "Admitted"}, id="what the times say is not said twice"),
        pytest.param(
            evolve(RUNNING, started_at=at("10:00:01"), watch=Stopwatch(since=at("10:00:01"))),
            {"reason": "Admitted", "cause": {"at": "2030-01-01T10:00:00Z"}},
            id="an instant that no column has is kept",
        ),
        pytest.param(
            evolve(RUNNING, watch=Stopwatch(timedelta(seconds=20))),
            {"reason": "Admitted", "stopwatch": {"ranSeconds": 20}},
            id="a clock that stands",
        ),
        pytest.param(
            evolve(RUNNING, watch=Stopwatch(timedelta(seconds=20), at("10:05:00"))),
            {"reason": "Admitted", "stopwatch": {"ranSeconds": 20, "since": "2030-01-01T10:05:00Z"}},
            id="a clock that goes on",
        ),
        pytest.param(
            StepRecord(attempt=1, retry_at=at("10:00:50"), failure=r.JobLost(at("10:00:40"))),
            {
                "retryAt": "2030-01-01T10:00:50Z",
                "lastFailure": {"reason": "JobLost", "at": "2030-01-01T10:00:40Z"},
            },
            id="a step that waits for its retry",
        ),
        pytest.param(
            evolve(SUCCEEDED, attempt=3),
            {"retryCount": 2, "reason": "JobComplete"},
            id="retries are counted from the second",
        ),
        pytest.param(
            evolve(SUCCEEDED, outputs={"v": r.OutputValue("x"), "n": r.OutputValue("1", json=True)}),
            {
                "reason": "JobComplete",
                "outputs": {"parameters": [{"name": "v", "value": "x"}, {"name": "n", "value": "1", "json": True}]},
            },
            id="outputs",
        ),
        pytest.param(
            evolve(SUCCEEDED, reads={"$.v": r.OutputValue("x")}),
            {"reason": "JobComplete", "reads": [{"jsonPath": "$.v", "value": "x"}]},
            id="what other steps read",
        ),
        pytest.param(
            StepRecord(refusals=2, condition_met=True, approver="ann"),
            {"refusals": 2, "conditionMet": True, "approvedBy": "ann"},
            id="the rest",
        ),
        pytest.param(
            StepRecord(holds=(r.Suspended(), r.WaitsFor((StepName("a"),), of=1))),
            {"holds": [{"reason": "Suspended"}, {"reason": "WaitsFor", "steps": ["a"], "of": 1}]},
            id="holds in their order",
        ),
    ],
)
def test_columns(record: StepRecord, columns: dict[str, Any]) -> None:
    row = write_row(BUILD, record)
    plain = ("message", "name", "phase", "attempt", "startTime", "completionTime", "jobRef")
    assert {key: value for key, value in row.items() if key not in plain} == columns


@pytest.mark.parametrize(
    ("record", "message"),
    [
        pytest.param(SUCCEEDED, None, id="success says nothing"),
        pytest.param(RUNNING, None, id="nor does a start"),
        pytest.param(
            evolve(
                SUCCEEDED, phase=StepPhase.FAILED, cause=r.JobFailed(at("10:00:40"), "DeadlineExceeded", "too slow")
            ),
            "its Job failed (DeadlineExceeded): too slow",
            id="a failure does",
        ),
    ],
)
def test_a_message_is_written_where_it_tells_something(record: StepRecord, message: str | None) -> None:
    assert write_row(BUILD, record).get("message") == message


# --- lean rows -------------------------------------------------------------------------------------------------------


def size(record: StepRecord, name: str = "transform-shard-0042") -> int:
    row = write_row(PlannedStep(StepName(name), 0, 0), record)
    return len(json.dumps(row, separators=(",", ":")))


LONG = JobRef("nightly-import-transform-shard-0042-0a0a0a0a", UID)
FAILED = evolve(
    SUCCEEDED,
    phase=StepPhase.FAILED,
    job=LONG,
    cause=r.RetriesExhausted(4, pod_failed("10:00:40")),
    attempt=4,
)


@pytest.mark.parametrize(
    ("record", "size_bytes"),
    [
        pytest.param(StepRecord(holds=(r.WaitsFor((StepName("a"),), of=1),)), 102, id="waits for a dependency"),
        pytest.param(evolve(RUNNING, job=LONG), 226, id="runs"),
        pytest.param(evolve(RUNNING, job=LONG, holds=(r.RunsUntil(at("11:00:00")),)), 290, id="runs with a timeout"),
        pytest.param(evolve(SUCCEEDED, job=LONG), 271, id="succeeded"),
        pytest.param(
            StepRecord(phase=StepPhase.SKIPPED, finished_at=at("10:00:40"), cause=r.ConditionFalse(at("10:00:40"))),
            160,
            id="skipped",
        ),
    ],
)
def test_typical_rows_are_small(record: StepRecord, size_bytes: int) -> None:
    """Pinned to the byte: whoever adds a column sees what it costs a flow of thousands of steps."""
    assert size(record) == size_bytes
    assert size_bytes <= STATUS_BYTES_PER_STEP


def test_the_largest_usual_row_is_a_step_that_failed_after_retries() -> None:
    assert size(FAILED) <= 2 * STATUS_BYTES_PER_STEP


# --- the flow --------------------------------------------------------------------------------------------------------


def test_the_status_of_a_flow() -> None:
    record = FlowRecord(
        started_at=at("10:00:00"),
        completed_at=at("10:05:00"),
        ended=r.Stopped(at("10:05:00")),
        phase=FlowPhase.FAILED,
        conditions=(Condition("Ready", False, reason="Stopped", since=at("10:05:00"), message="m"),),
        holds=(r.KeptUntil(at("11:05:00")),),
        fingerprint="f",
        observed_generation=3,
    )
    assert write_flow(record) == {
        "phase": "Failed",
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Stopped",
                "message": "m",
                "lastTransitionTime": "2030-01-01T10:05:00Z",
            }
        ],
        "observedGeneration": 3,
        "decidedBy": DECIDED_BY,
        "specHash": "f",
        "startTime": "2030-01-01T10:00:00Z",
        "completionTime": "2030-01-01T10:05:00Z",
        "ended": {"reason": "Stopped", "at": "2030-01-01T10:05:00Z"},
        "holds": [{"reason": "KeptUntil", "until": "2030-01-01T11:05:00Z"}],
    }


def test_progress() -> None:
    plan = Plan(steps=(BUILD, BUILD, BUILD), by_name={}, main=3)
    tally = Tally(settled=2, succeeded=1, failed=1, skipped=0)
    assert write_progress(tally, plan) == {
        "completedSteps": 2,
        "totalSteps": 3,
        "successfulSteps": 1,
        "failedSteps": 1,
    }
