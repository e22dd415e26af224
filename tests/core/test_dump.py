"""An incident as a file: it is read as it was written, replayed it decides the same, and no text makes it raise."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import at, manifest, manual, retry, step
from tests.core.drawn import counts, instants, texts, values
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.dump import FORMAT, Dump, Unreplayable, read_dump, told, write_change, write_header, write_step
from zenflow_core.observation import (
    ACTIVE,
    UNREAD,
    Absent,
    Complete,
    Failed,
    FlowSeen,
    Gone,
    Made,
    Observed,
    Origin,
    Present,
    Refused,
    Seen,
    Sibling,
    Takeover,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceKind, ResourceRef
from zenflow_core.problems import Problem
from zenflow_core.reconcile import reconcile
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowPhase
from zenflow_core.version import DECIDED_BY
from zenflow_testing.outcomes import Script, ScriptedEnding, ScriptedOutcomes, SeededOutcomes
from zenflow_testing.simulation import simulate

FLOW_SEEN = FlowSeen("nightly", "ci", "uid", at("00:00"))


def flow_of(data: dict[str, Any]) -> tuple[JobFlow, Plan]:
    flow = read_flow(data)
    assert isinstance(flow, JobFlow)
    plan = compile_plan(flow)
    assert isinstance(plan, Plan)
    return flow, plan


RICH = manifest(
    step("build", retryPolicy=retry(2, 10), outputs={"parameters": [{"name": "v", "valueFrom": {"jsonPath": "$.v"}}]}),
    manual("gate", "build"),
    step("test", "build", timeoutSeconds=60),
    step("deploy", "gate", "test", when="steps.build.outputs.parameters.v == 'x'"),
    last=[step("report")],
    policy={"parallelism": 1, "activeDeadlineSeconds": 3600},
)


def recorded(data: dict[str, Any], outcomes: Any) -> list[str]:
    lines: list[str] = []
    simulate(*flow_of(data), outcomes, dump=lines.append)
    return lines


def read(lines: list[str]) -> Dump:
    dump = read_dump(lines, file="d")
    assert isinstance(dump, Dump), dump
    return dump


# --- replay ----------------------------------------------------------------------------------------------------------

FAILS = ScriptedOutcomes(
    Script(
        steps={
            "build": (ScriptedEnding(timedelta(seconds=5), 1), ScriptedEnding(outputs={"v": "x"})),
            "test": (ScriptedEnding(timedelta(seconds=90)),),
        }
    )
)


@pytest.mark.parametrize("outcomes", [FAILS, *map(SeededOutcomes, range(8))], ids=str)
def test_a_replay_decides_the_same(outcomes: Any) -> None:
    dump = read(recorded(RICH, outcomes))
    assert dump.decided_by == DECIDED_BY
    assert not dump.cut
    assert len(dump.steps) > 5
    for line, decision in dump.replay():
        assert json.loads(json.dumps(told(decision))) == line.decided


def test_a_fresh_process_in_between_is_replayed_from_its_status() -> None:
    flow, plan = flow_of(manifest(step("build")))
    first = reconcile(plan, None, Observed(flow=FLOW_SEEN), now=at("10:00"))
    again = Observed(flow=FLOW_SEEN, jobs={StepName("build"): (Seen(1, "n", "u", at("10:00")),)})
    second = reconcile(plan, first.status, again, now=at("10:01"))
    lines = [
        write_header(flow, FLOW_SEEN),
        write_step(Observed(flow=FLOW_SEEN), at("10:00"), first, everything=True, status=None),
        write_step(again, at("10:01"), second, everything=True, status=first.status),
    ]
    steps = read(lines).steps
    assert [each.everything for each in steps] == [True, True]
    assert steps[1].status == first.status
    assert [each.line for each in steps] == [2, 3]
    assert [told(decision) for _, decision in read(lines).replay()] == [told(first), told(second)]


def test_a_flow_that_was_changed_midway_is_replayed_as_it_was_then() -> None:
    before, plan = flow_of(manifest(step("build"), step("test"), policy={"parallelism": 1}))
    after, other = flow_of(manifest(step("build"), step("test"), policy={"parallelism": 2}))
    first = reconcile(plan, None, Observed(flow=FLOW_SEEN), now=at("10:00"))
    again = Observed(flow=FLOW_SEEN, jobs={StepName("build"): (Seen(1, "n", "u", at("10:00")),)})
    second = reconcile(other, first.status, again, now=at("10:01"))
    dump = read(
        [
            write_header(before, FLOW_SEEN),
            write_step(Observed(flow=FLOW_SEEN), at("10:00"), first, everything=True, status=None),
            write_change(after, at("10:01")),
            write_step(again, at("10:01"), second, everything=True, status=first.status),
        ]
    )
    assert [each.plan.parallelism for each in dump.steps] == [1, 2]
    assert [told(decision) for _, decision in dump.replay()] == [told(first), told(second)]
    assert [move.step for move in second.moves] == ["test"], "the change is what let it start"


def test_a_decision_is_told_with_its_moves_actions_and_wake() -> None:
    _, plan = flow_of(manifest(step("build", timeoutSeconds=60)))
    decision = reconcile(plan, None, Observed(flow=FLOW_SEEN), now=at("10:00"))
    data = told(decision)
    assert data["moves"] == [
        {
            "step": "build",
            "from": "Pending",
            "to": "Running",
            "cause": {"reason": "Admitted", "attempt": 1, "at": "2030-01-01T10:00:00Z"},
        }
    ]
    assert [each["action"] for each in data["actions"]] == ["RecordStatus", "CreateJob"]
    assert data["actions"][1]["step"] == "build"
    assert data["wakeAt"] == "2030-01-01T10:01:00Z"


# --- what was observed -----------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda v: st.lists(v, max_size=2) | st.dictionaries(texts, v),
    max_leaves=4,
)
documents = st.dictionaries(texts, json_values, max_size=3)
lookups = st.sampled_from((UNREAD,)) | st.builds(Absent, texts) | st.builds(Present, texts)
job_outcomes = st.just(ACTIVE) | st.builds(Complete, instants) | st.builds(Failed, instants, texts, texts)
seen = st.builds(
    Seen,
    counts,
    texts,
    texts,
    instants,
    outcome=job_outcomes,
    suspended_since=st.none() | instants,
    resumed_at=st.none() | instants,
    deleting=st.booleans(),
    nudge=st.booleans(),
    kept_until=st.none() | instants,
    document=documents,
    result=lookups,
)
refusals = st.builds(
    Refused,
    counts,
    instants,
    counts,
    reason=texts,
    message=texts,
    causes=st.lists(texts, max_size=2).map(tuple),
    retry_after=st.none() | counts,
    taken_by=texts,
)
sightings = seen | st.builds(Gone, counts, instants, last=st.none() | seen) | refusals
takeovers = st.builds(
    Takeover,
    outputs=st.none() | st.dictionaries(texts, values, max_size=2),
    reads=st.none() | st.dictionaries(texts, values, max_size=2),
)
siblings = st.builds(
    Sibling,
    texts,
    texts,
    instants,
    started_at=st.none() | instants,
    over=st.booleans(),
    live_jobs=st.booleans(),
    replaces=st.booleans(),
)
observations = st.builds(
    Observed,
    jobs=st.dictionaries(texts.map(StepName), st.lists(sightings, max_size=2).map(tuple), max_size=2),
    inputs=st.dictionaries(st.builds(ConfigMapKey, texts, texts), lookups, max_size=2),
    resources=st.dictionaries(
        st.builds(ResourceRef, st.sampled_from(ResourceKind), texts), st.builds(Made, texts) | refusals, max_size=2
    ),
    siblings=st.none() | st.lists(siblings, max_size=2).map(tuple),
    origin=st.just(UNREAD)
    | st.builds(Absent, texts)
    | st.builds(Origin, st.dictionaries(texts.map(StepName), takeovers, max_size=2)),
    status_refused_at=st.none() | instants,
    flow=st.none()
    | st.builds(
        FlowSeen,
        texts,
        texts,
        texts,
        instants,
        labels=st.dictionaries(texts, texts, max_size=2),
        annotations=st.dictionaries(texts, texts, max_size=2),
        deleting_since=st.none() | instants,
        generation=counts,
        group=texts,
        orphans_jobs=st.booleans(),
    ),
)


PLAIN, PLAIN_PLAN = flow_of(manifest(step("build")))
HEADER = write_header(PLAIN, FLOW_SEEN)
SEEN = {"flow": json.loads(HEADER)["seen"]}
DECISION = reconcile(PLAIN_PLAN, None, Observed(flow=FLOW_SEEN), now=at("10:00"))


@settings(max_examples=200)
@given(observations)
def test_what_was_observed_is_read_as_it_was_written(observed: Observed) -> None:
    line = write_step(observed, at("10:00"), DECISION, everything=False, status=None)
    assert "\n" not in line[:-1]
    dump = read([HEADER, line])
    assert dump.steps[0].observed == observed
    assert dump.steps[0].at == at("10:00")


# --- files that are not dumps ----------------------------------------------------------------------------------------

LINE = recorded(manifest(step("build")), FAILS)[1]


def problem(lines: list[str]) -> Problem:
    found = read_dump(lines, file="d")
    assert isinstance(found, tuple), found
    return found[0]


@pytest.mark.parametrize(
    ("lines", "path", "what"),
    [
        pytest.param([], "d", "is empty", id="an empty file"),
        pytest.param(["\n", "  \n"], "d", "is empty", id="blank lines"),
        pytest.param(["hello\n"], "d:1", "is not the first line of a dump", id="another file"),
        pytest.param(["[1]\n"], "d:1", "is not the first line of a dump", id="other JSON"),
        pytest.param(["{}\n"], "d:1", "is not the first line of a dump", id="an object without a format"),
        pytest.param(
            ['{"format":"zenflow-dump/9","decidedBy":"zenflow/9"}\n'],
            "d:1",
            f"found format 'zenflow-dump/9', expected {FORMAT!r}",
            id="a format to come",
        ),
        pytest.param([HEADER, "x\n"], "d:2", "is not a decision", id="a line that is no JSON"),
        pytest.param([HEADER, "{}\n"], "d:2", "is not a decision", id="a line without anything"),
        pytest.param([HEADER, "[]\n", LINE], "d:2", "is not a decision", id="a list"),
        pytest.param([HEADER, LINE, "x\n", LINE], "d:3", "is not a decision", id="in the middle"),
        pytest.param(
            [HEADER, LINE.replace('"at":"2026', '"at":"soon', 1)],
            "d:2",
            "is not a decision",
            id="an instant that is none",
        ),
        pytest.param([HEADER, "[" * 100_000 + "\n"], "d:2", "is not a decision", id="nested without end"),
        pytest.param(
            [HEADER, '{"at":"2030-01-01T10:00:00Z","decided":{},"observed":[]}\n'],
            "d:2",
            "is not a decision",
            id="an observation that is a list",
        ),
        pytest.param(
            [HEADER, '{"at":"2030-01-01T10:00:00Z","decided":{},"observed":{"jobs":[]}}\n'],
            "d:2",
            "is not a decision",
            id="Jobs that are a list",
        ),
        pytest.param(
            [HEADER, '{"at":"2030-01-01T10:00:00Z","decided":{},"observed":{"jobs":{"build":[{"is":"Lost"}]}}}\n'],
            "d:2",
            "is not a decision",
            id="a sighting that is none",
        ),
        pytest.param(
            [HEADER, '{"at":5,"decided":{},"observed":{}}\n'],
            "d:2",
            "is not a decision",
            id="an instant that is a number",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines: list[str], path: str, what: str) -> None:
    found = problem(lines)
    assert found.path == path
    assert found.what.startswith(what)
    assert found.fix


def test_a_flow_that_is_not_valid_was_decided_about_too() -> None:
    header = json.loads(HEADER)
    header["flow"]["spec"]["steps"][0]["dependencies"] = ["nobody"]
    line = json.dumps({"at": "2030-01-01T10:00:00Z", "everything": True, "decided": {}, "observed": {}})
    dump = read([json.dumps(header) + "\n", line.replace('"observed": {}', f'"observed": {json.dumps(SEEN)}') + "\n"])
    assert "spec.steps[0].dependencies[0]" in dump.plan.refused
    ((_, decision),) = dump.replay()
    assert decision.state.record.phase is FlowPhase.FAILED


@pytest.mark.parametrize("flow", [None, [], {"kind": "Job"}, {"spec": 1}], ids=str)
def test_a_header_without_a_flow_is_said(flow: Any) -> None:
    assert problem([json.dumps(json.loads(HEADER) | {"flow": flow}) + "\n"]).path == "d:1"


@pytest.mark.parametrize(
    ("decided_by", "fix"),
    [
        pytest.param("zenflow/9.1.0", "pip install 'zenflow>=9.1.0'", id="a later version"),
        pytest.param("zenflow/9.1.0rc2", "pip install 'zenflow>=9.1.0rc2'", id="a later version to be"),
        pytest.param("zenflow/0.0.1", "not meant to be edited", id="an earlier version"),
        pytest.param(DECIDED_BY, "not meant to be edited", id="this version"),
        pytest.param("somebody", "not meant to be edited", id="no version"),
        pytest.param(None, "not meant to be edited", id="nobody"),
    ],
)
def test_what_cannot_be_read_says_which_version_can(decided_by: Any, fix: str) -> None:
    header = json.dumps(json.loads(HEADER) | {"decidedBy": decided_by}) + "\n"
    assert fix in problem([header, '{"news":1}\n']).fix


def test_a_file_that_ends_within_its_first_line_is_said() -> None:
    assert problem([HEADER[:50]]).what == "ends within its first line"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({}, id="nothing is known of the flow"),
        pytest.param({"everything": True, "status": 5}, id="a status that is a number"),
        pytest.param({"observed": {"jobs": {"nobody": []}} | SEEN, "everything": True}, id="a step that is not there"),
    ],
)
def test_a_line_that_cannot_be_decided_about_is_said(line: dict[str, Any]) -> None:
    text = json.dumps({"at": "2030-01-01T10:00:00Z", "decided": {}, "observed": {} if not line else SEEN} | line)
    with pytest.raises(Unreplayable) as caught:
        list(read([HEADER, text + "\n"]).replay())
    assert caught.value.problem.path == "line 2"


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    dump = read([HEADER, LINE, LINE[:40]])
    assert dump.cut
    assert len(dump.steps) == 1


def test_a_last_line_that_is_wrong_but_whole_is_no_cut() -> None:
    assert problem([HEADER, LINE, "x\n"]).path == "d:3"


@given(
    st.lists(json_values | st.dictionaries(st.sampled_from(("at", "observed", "decided", "jobs", "flow")), json_values))
)
def test_no_text_makes_it_raise(lines: list[Any]) -> None:
    read_dump([HEADER, *(json.dumps(line) + "\n" for line in lines)], file="d")


@given(st.dictionaries(st.sampled_from(("jobs", "inputs", "resources", "siblings", "origin", "flow")), json_values))
def test_no_observation_makes_it_raise(observed: dict[str, Any]) -> None:
    line = json.dumps({"at": "2030-01-01T10:00:00Z", "decided": {}, "observed": observed})
    read_dump([HEADER, line + "\n"], file="d")
