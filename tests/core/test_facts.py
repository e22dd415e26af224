"""Facts as JSON and back: reading is the inverse of writing, and what is not known is carried along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import at, pod_failed
from tests.core.drawn import causes, flow_causes, flow_holds, holds
from zenflow_core import reasons as r
from zenflow_core.facts import (
    CAUSES,
    FLOW_CAUSES,
    FLOW_HOLDS,
    HOLDS,
    camel,
    fields_of,
    is_instant,
    read_cause,
    read_failure,
    read_hold,
    reason_of,
    recall_failure,
    write_fact,
)
from zenflow_core.plan import ConfigMapKey
from zenflow_core.spec import StepName

NOW = at("10:00:00")


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


def as_cause(data: Mapping[str, Any], known: Mapping[str, type[Any]]) -> Any:
    rest = {key: value for key, value in data.items() if key != "reason"}
    return read_cause(data["reason"], rest, known, at=NOW)


@given(causes)
def test_a_cause_is_read_as_it_was_written(cause: r.Cause) -> None:
    assert as_cause(through_json(write_fact(cause)), CAUSES) == cause


@given(flow_causes)
def test_an_end_of_a_flow_is_read_as_it_was_written(cause: r.FlowCause) -> None:
    assert as_cause(through_json(write_fact(cause)), FLOW_CAUSES) == cause


@given(holds)
def test_a_hold_is_read_as_it_was_written(hold: r.Hold) -> None:
    assert read_hold(through_json(write_fact(hold)), HOLDS) == hold


@given(flow_holds)
def test_a_hold_of_a_flow_is_read_as_it_was_written(hold: r.FlowHold) -> None:
    assert read_hold(through_json(write_fact(hold)), FLOW_HOLDS) == hold


@pytest.mark.parametrize(
    ("fact", "written"),
    [
        pytest.param(r.Suspended(), {"reason": "Suspended"}, id="a fact without data"),
        pytest.param(r.JobLost(NOW), {"reason": "JobLost", "at": "2030-01-01T10:00:00Z"}, id="an instant"),
        pytest.param(r.Approved(NOW), {"reason": "Approved", "at": "2030-01-01T10:00:00Z"}, id="no default is written"),
        pytest.param(
            r.AttemptFailed(2, pod_failed("10:00:00"), at("10:00:10")),
            {
                "reason": "AttemptFailed",
                "attempt": 2,
                "failure": {
                    "reason": "JobFailed",
                    "at": "2030-01-01T10:00:00Z",
                    # the condition's reason, beside the fact's own
                    "because": "BackoffLimitExceeded",
                    "message": "one Pod failed",
                },
                "retryAt": "2030-01-01T10:00:10Z",
            },
            id="a failure within",
        ),
        pytest.param(
            r.WaitsFor((StepName("a"),), of=2), {"reason": "WaitsFor", "steps": ["a"], "of": 2}, id="names of steps"
        ),
        pytest.param(
            r.NeedsInput((ConfigMapKey("c", "k"),)),
            {"reason": "NeedsInput", "refs": [{"name": "c", "key": "k"}]},
            id="keys of ConfigMaps",
        ),
        pytest.param(
            r.JobComplete(NOW, {"a": r.OutputValue("1")}),
            {"reason": "JobComplete", "at": "2030-01-01T10:00:00Z"},
            id="outputs are stored elsewhere",
        ),
    ],
)
def test_how_facts_are_written(fact: r.Cause | r.Hold, written: dict[str, Any]) -> None:
    assert write_fact(fact) == written


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        pytest.param("Quarantined", {"by": "x"}, id="a name that is not known"),
        pytest.param("JobLost", {"at": "2030-01-01T10:00:00Z", "node": "n"}, id="a field that is not known"),
        pytest.param("JobLost", {}, id="a field that is missing"),
        pytest.param("JobLost", {"at": "soon"}, id="an instant that is none"),
        pytest.param("JobLost", {"at": 5}, id="a number where text was"),
        pytest.param("Admitted", {"attempt": "1", "at": "2030-01-01T10:00:00Z"}, id="a text where a number was"),
        pytest.param("Admitted", {"attempt": True, "at": "2030-01-01T10:00:00Z"}, id="a boolean where a number was"),
        pytest.param(
            "RetriesExhausted",
            {"attempts": 2, "failure": {"reason": "Evicted"}},
            id="a failure within that is not known",
        ),
        pytest.param("RetriesExhausted", {"attempts": 2, "failure": "x"}, id="a failure within that is none"),
        pytest.param("ActiveDeadlineExceeded", {"at": "2030-01-01T10:00:00Z"}, id="an end of flows is none of steps"),
    ],
)
def test_a_cause_of_another_version_is_carried_along(reason: str, data: dict[str, Any]) -> None:
    found = read_cause(reason, data, CAUSES, at=NOW)
    assert found == r.UnknownCause(reason, NOW, data)
    assert write_fact(found) == {"reason": reason} | data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"reason": "NeedsLicence", "seats": 3}, id="a name that is not known"),
        pytest.param(
            {"reason": "BacksOff", "until": "2030-01-01T10:00:00Z", "why": "x"}, id="a field that is not known"
        ),
        pytest.param({"reason": "BacksOff"}, id="a field that is missing"),
        pytest.param({"reason": "WaitsFor", "steps": [1], "of": 1}, id="a step whose name is no text"),
        pytest.param({"reason": "NeedsInput", "refs": [{"name": "c"}]}, id="a key without a name"),
        pytest.param(
            {"reason": "FlowRunsUntil", "until": "2030-01-01T10:00:00Z"}, id="a hold of flows is none of steps"
        ),
    ],
)
def test_a_hold_of_another_version_is_carried_along(data: dict[str, Any]) -> None:
    found = read_hold(data, HOLDS)
    assert isinstance(found, r.UnknownHold)
    assert found.until is None
    assert write_fact(found) == data


def test_a_hold_without_a_reason_is_one_of_another_version() -> None:
    assert read_hold({"step": "build"}, HOLDS) == r.UnknownHold("", {"step": "build"})


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=4))
def test_reading_never_raises(data: dict[str, Any]) -> None:
    for name in CAUSES:
        read_cause(name, data, CAUSES, at=NOW)
    for name in HOLDS:
        read_hold({**data, "reason": name}, HOLDS)


def test_a_failure_that_is_not_known_is_an_error_for_whoever_asks_for_one() -> None:
    with pytest.raises(KeyError):
        read_failure({"reason": "Evicted"})


def test_a_row_with_a_failure_of_another_version_can_still_be_read() -> None:
    evicted = {"reason": "Evicted", "message": "node n1", "at": "2030-01-01T09:00:00Z"}
    assert recall_failure(evicted, at=NOW) == r.JobFailed(NOW, "Evicted", "node n1")
    assert recall_failure({}, at=NOW) == r.JobFailed(NOW, "", "")
    known = {"reason": "JobLost", "at": "2030-01-01T09:00:00Z"}
    assert recall_failure(known, at=NOW) == r.JobLost(at("09:00:00"))


def test_names() -> None:
    assert camel("retry_at") == "retryAt"
    assert camel("at") == "at"
    assert camel("reason") == "because", "the fact's own name stands there"
    assert camel("taken_over_from") == "takenOverFrom"
    assert reason_of(r.UnknownCause("X", NOW)) == "X"
    assert reason_of(r.UnknownHold("Y")) == "Y"
    assert reason_of(r.JobLost(NOW)) == "JobLost"
    assert fields_of(r.UnknownHold("Y", {"a": 1})) == {"a": 1}
    assert is_instant(NOW)
    assert not is_instant("2030-01-01T10:00:00Z")
