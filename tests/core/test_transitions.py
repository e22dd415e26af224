"""The table is the state machine: whatever a rule can answer is in it, and nothing else moves a step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import Around, Before, at, ended, gone, job, pod_failed, refused, retries, view
from zenflow_core import reasons as r
from zenflow_core.observation import Sightings
from zenflow_core.plan import OutputRead, PlannedInput, PlannedOutput, Segment
from zenflow_core.reasons import Cause
from zenflow_core.rules import RULES
from zenflow_core.spec import StepName
from zenflow_core.state import JobRef, StepPhase, StepRecord, Stopwatch
from zenflow_core.transitions import TERMINAL, TRANSITIONS, enter
from zenflow_core.views import Rule, StepView

PENDING, ASKED, RUNNING = StepPhase.PENDING, StepPhase.PENDING_APPROVAL, StepPhase.RUNNING
SUCCEEDED, FAILED, SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED
CAUSES: tuple[type[Cause], ...] = get_args(Cause)
NOW = at("10:05:00")


def answers(rule: Rule) -> frozenset[type[Cause]]:
    """The causes that a rule can answer, by its return annotation."""
    annotation = get_type_hints(rule)["return"]
    return frozenset(get_args(annotation) or (annotation,)) & frozenset(CAUSES)


# Causes that a rule can answer, but not in this phase: the function is shared, and looks at the phase.
# `test_a_shared_rule_never_answers_beyond_the_table` tries to make it.
NARROWED: frozenset[tuple[StepPhase, type[Cause]]] = frozenset(
    {
        (ASKED, r.RetryAbandoned),  # nothing was tried, so nothing waits for a retry
        (ASKED, r.AttemptFailed),  # `timeout`: nobody tries again to ask
        (ASKED, r.RetriesExhausted),
        (ASKED, r.JobFailed),
        (ASKED, r.JobLost),
    }
)

# Causes that no rule answers: the wave itself opens a step that nothing holds.
BY_THE_WAVE: frozenset[tuple[StepPhase, type[Cause]]] = frozenset(
    {(PENDING, r.Admitted), (PENDING, r.ApprovalRequested)}
)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
@pytest.mark.parametrize("phase", StepPhase)
def test_a_pair_is_in_the_table_exactly_if_something_can_answer_it(phase: StepPhase, cause: type[Cause]) -> None:
    pair = (phase, cause)
    answered = any(cause in answers(rule) for rule in RULES[phase])
    elsewhere = pair in BY_THE_WAVE
    assert (pair in TRANSITIONS) == ((answered and pair not in NARROWED) or elsewhere)


def test_no_exception_is_stale() -> None:
    for phase, cause in NARROWED:
        assert any(cause in answers(rule) for rule in RULES[phase])
    for phase, cause in BY_THE_WAVE:
        assert not any(cause in answers(rule) for rule in RULES[phase])


def test_every_rule_says_what_it_can_answer() -> None:
    """A rule annotated with all of `Cause` could not be checked against the table."""
    for rules in RULES.values():
        for rule in rules:
            assert len(answers(rule)) < len(CAUSES) - 1, rule


def test_terminal_phases_have_no_row() -> None:
    assert {phase for phase, _ in TRANSITIONS} == set(StepPhase) - TERMINAL
    assert {SUCCEEDED, FAILED, SKIPPED} == TERMINAL


def test_every_phase_has_its_rules() -> None:
    assert set(RULES) == set(StepPhase)


def test_a_pair_that_is_missing_is_our_bug() -> None:
    with pytest.raises(KeyError):
        enter(ended(SUCCEEDED), r.JobLost(NOW))


def test_a_cause_of_another_version_is_never_entered() -> None:
    assert not any(cause is r.UnknownCause for _, cause in TRANSITIONS)


# --- what `enter` makes of each row ----------------------------------------------------------------------------------

FAILURE = pod_failed("10:04:00")
DATA: dict[type[Cause], Cause] = {
    r.ConditionMet: r.ConditionMet(NOW),
    r.Admitted: r.Admitted(2, NOW),
    r.Adopted: r.Adopted(2, NOW),
    r.ApprovalRequested: r.ApprovalRequested(NOW),
    r.Approved: r.Approved(NOW, by="ann"),
    r.Rejected: r.Rejected(NOW, why="no", by="bob"),
    r.JobComplete: r.JobComplete(NOW, {"v": r.OutputValue("1")}, {"$.v": r.OutputValue("1")}),
    r.AttemptFailed: r.AttemptFailed(1, FAILURE, at("10:06:00")),
    r.RetriesExhausted: r.RetriesExhausted(1, FAILURE),
    r.JobFailed: FAILURE,
    r.JobLost: r.JobLost(NOW),
    r.StepTimedOut: r.StepTimedOut(NOW),
    r.JobRefused: r.JobRefused(NOW, at("10:05:01"), 429),
    r.NamespaceTerminating: r.NamespaceTerminating(NOW),
    r.JobRejected: r.JobRejected(NOW, 422, "bad"),
    r.JobNameTaken: r.JobNameTaken(NOW, "x"),
    r.JobSuspended: r.JobSuspended(NOW),
    r.JobResumed: r.JobResumed(NOW),
    r.ConditionFalse: r.ConditionFalse(NOW),
    r.ConditionInvalid: r.ConditionInvalid(NOW, "bad"),
    r.InputMissing: r.InputMissing(NOW, "p", "gone"),
    r.InputInvalid: r.InputInvalid(NOW, "bad"),
    r.OutputUnavailable: r.OutputUnavailable(NOW, "p", StepName("x")),
    r.OutputMissing: r.OutputMissing(NOW, "o", "gone"),
    r.UpstreamUnmet: r.UpstreamUnmet(NOW, StepName("x")),
    r.RetryAbandoned: r.RetryAbandoned(NOW, FAILURE, "FlowFailing"),
    r.FlowFailing: r.FlowFailing(NOW, StepName("x")),
    r.FlowEnded: r.FlowEnded(NOW, "Stopped"),
    r.RetriedFrom: r.RetriedFrom(NOW, "nightly", {"v": r.OutputValue("1")}, {"$.v": r.OutputValue("1")}),
}
HELD = (r.Suspended(),)
STARTED = at("10:00:00")
FROM: dict[StepPhase, StepRecord] = {
    PENDING: StepRecord(
        attempt=1,
        started_at=at("09:00:00"),
        retry_at=at("10:04:30"),
        refusals=2,
        condition_met=True,
        job=JobRef("nightly-build", "uid-1"),
        failure=FAILURE,
        holds=HELD,
    ),
    ASKED: StepRecord(phase=ASKED, started_at=STARTED, watch=Stopwatch(since=STARTED), condition_met=True, holds=HELD),
    RUNNING: StepRecord(
        phase=RUNNING,
        attempt=1,
        started_at=STARTED,
        watch=Stopwatch(since=STARTED),
        refusals=2,
        condition_met=True,
        job=JobRef("nightly-build", "uid-1"),
        failure=FAILURE,
        holds=HELD,
    ),
}
ROWS = [pytest.param(*row, id=f"{row[0].value}-{row[1].__name__}") for row in TRANSITIONS]


@pytest.mark.parametrize(("phase", "cause"), ROWS)
def test_every_row_is_entered(phase: StepPhase, cause: type[Cause]) -> None:
    """What holds for each move: its phase, its cause, no hold, and an end exactly in a terminal phase."""
    before, why = FROM[phase], DATA[cause]
    after = enter(before, why)
    assert after.phase is TRANSITIONS[phase, cause]
    assert after.holds == ()
    assert type(after.cause) is cause
    assert after.settled == (after.phase in TERMINAL)
    assert after.condition_met
    if after.settled:
        assert after.finished_at == why.at
        assert (after.watch, after.retry_at, after.failure, after.refusals) == (None, None, None, 0)
        assert after.started_at == before.started_at
        assert after.job == before.job
        assert after.attempt == before.attempt
    assert (after.watch is not None) == (after.phase in (RUNNING, ASKED))


@pytest.mark.parametrize(
    ("phase", "cause", "changed"),
    [
        pytest.param(PENDING, r.ConditionMet, {"condition_met": True}, id="a condition that was met is only noted"),
        pytest.param(
            PENDING,
            r.Admitted,
            {"attempt": 2, "started_at": NOW, "watch": Stopwatch(since=NOW), "retry_at": None, "job": None},
            id="an admitted attempt starts its clock and has no Job yet",
        ),
        pytest.param(
            PENDING,
            r.Adopted,
            {"attempt": 2, "started_at": NOW, "watch": Stopwatch(since=NOW), "retry_at": None, "job": None},
            id="so does an adopted one",
        ),
        pytest.param(
            PENDING,
            r.ApprovalRequested,
            {"started_at": NOW, "watch": Stopwatch(since=NOW)},
            id="a request starts its clock",
        ),
        pytest.param(ASKED, r.Approved, {"approver": "ann"}, id="who approved is kept"),
        pytest.param(ASKED, r.Rejected, {"approver": "bob"}, id="who rejected is kept"),
        pytest.param(
            RUNNING,
            r.JobComplete,
            {
                "cause": r.JobComplete(NOW),
                "outputs": {"v": r.OutputValue("1")},
                "reads": {"$.v": r.OutputValue("1")},
            },
            id="what was read moves into the record",
        ),
        pytest.param(
            PENDING,
            r.RetriedFrom,
            {
                "cause": r.RetriedFrom(NOW, "nightly"),
                "outputs": {"v": r.OutputValue("1")},
                "reads": {"$.v": r.OutputValue("1")},
            },
            id="so does what is taken over",
        ),
        pytest.param(
            RUNNING,
            r.AttemptFailed,
            {"watch": None, "retry_at": at("10:06:00"), "refusals": 0, "failure": FAILURE},
            id="a failed attempt waits, with its number and its failure",
        ),
        pytest.param(
            RUNNING,
            r.JobRefused,
            {"attempt": 0, "started_at": None, "watch": None, "refusals": 3},
            id="a refused create used up no attempt",
        ),
        pytest.param(
            RUNNING,
            r.NamespaceTerminating,
            {"attempt": 0, "started_at": None, "watch": None, "refusals": 3},
            id="nor did one in a namespace that goes",
        ),
        pytest.param(
            RUNNING, r.JobSuspended, {"watch": Stopwatch(timedelta(minutes=5))}, id="a suspension stops the clock"
        ),
        pytest.param(RUNNING, r.JobResumed, {}, id="a clock that runs is not started again"),
    ],
)
def test_what_a_move_changes(phase: StepPhase, cause: type[Cause], changed: dict[str, Any]) -> None:
    before = FROM[phase]
    ends = TRANSITIONS[phase, cause] in TERMINAL
    end = {"finished_at": NOW, "watch": None, "retry_at": None, "failure": None, "refusals": 0} if ends else {}
    expected: dict[str, Any] = {"phase": TRANSITIONS[phase, cause], "cause": DATA[cause], "holds": (), **end, **changed}
    assert enter(before, DATA[cause]) == evolve(before, **expected)


def test_a_resumed_job_goes_on_where_its_clock_stood() -> None:
    stopped = enter(FROM[RUNNING], r.JobSuspended(at("10:00:40")))
    resumed = enter(stopped, r.JobResumed(at("11:00:00")))
    assert resumed.watch == Stopwatch(timedelta(seconds=40), at("11:00:00"))
    assert resumed.watch.expires_at(timedelta(seconds=60)) == at("11:00:20")


VALUES = {"v": r.OutputValue("1")}


@pytest.mark.parametrize(
    ("outputs", "reads"),
    [
        pytest.param({}, {}, id="neither"),
        pytest.param(VALUES, {}, id="only its own outputs"),
        pytest.param({}, VALUES, id="only what others read"),
    ],
)
def test_what_a_complete_job_does_not_leave_is_none(
    outputs: dict[str, r.OutputValue], reads: dict[str, r.OutputValue]
) -> None:
    after = enter(FROM[RUNNING], r.JobComplete(NOW, outputs, reads))
    assert (after.outputs, after.reads) == (outputs or None, reads or None)


@pytest.mark.parametrize(
    ("happened", "finished"),
    [
        pytest.param("09:59:59", "10:00:00", id="a second before its start counts as its start"),
        pytest.param("10:00:00", "10:00:00", id="at its start"),
        pytest.param("10:00:01", "10:00:01", id="a second after it"),
    ],
)
def test_no_step_ends_before_it_began(happened: str, finished: str) -> None:
    """A failure seen late ends steps that have begun since; their cause keeps its own instant."""
    cause = r.FlowFailing(at(happened), StepName("x"))
    after = enter(FROM[RUNNING], cause)
    assert (after.finished_at, after.cause) == (at(finished), cause)


# --- a shared rule in a phase ----------------------------------------------------------------------------------------

instants = st.integers(0, 600).map(lambda s: at("10:00:00") + timedelta(seconds=s))
clocks = st.integers(0, 9).map(lambda m: f"10:0{m}:00")
ends: st.SearchStrategy[r.FlowCause | None] = st.none() | st.builds(
    lambda kind, when: kind(when), st.sampled_from((r.Stopped, r.Terminated, r.ActiveDeadlineExceeded)), instants
)
sightings: st.SearchStrategy[Sightings] = st.one_of(
    st.just(()),
    clocks.map(lambda c: (job(1, c),)),
    clocks.map(lambda c: (job(1, complete=c),)),
    clocks.map(lambda c: (job(1, failed=c),)),
    clocks.map(lambda c: (job(1, suspended=c),)),
    clocks.map(lambda c: (gone(1, c),)),
    clocks.map(lambda c: (refused(1, c),)),
)
NEEDS = (PlannedInput("p", OutputRead(StepName("test"), 0, "$.v")),)


@st.composite
def views(draw: st.DrawFn, phase: StepPhase) -> StepView:
    """Any view of a step in that phase, as far as rules look at it."""
    since = draw(instants)
    watched = phase in (RUNNING, ASKED)
    record = StepRecord(
        phase=phase,
        attempt=draw(st.integers(0, 2)) if phase is PENDING else 1 if phase is RUNNING else 0,
        started_at=since if watched else None,
        watch=draw(st.sampled_from((Stopwatch(since=since), Stopwatch(timedelta(5))))) if watched else None,
        failure=draw(st.sampled_from((None, FAILURE))),
        retry_at=draw(st.none() | instants),
    )
    around = Around(
        deadline=draw(st.sampled_from((None, 60))),
        finally_deadline=draw(st.sampled_from((None, 60))),
        ended=draw(ends),
        fatal=draw(st.sampled_from((None, ("10:01:00", "x")))),
        fail_fast=draw(st.booleans()),
        main_over=draw(st.sampled_from((None, "10:00:30"))),
        others=1,
    )
    over = draw(st.sampled_from((SUCCEEDED, FAILED, SKIPPED)))
    return view(
        record,
        now=draw(clocks),
        seen=draw(sightings),
        before=(Before("test", ended(over), tolerated=draw(st.booleans())),),
        around=around,
        segment=draw(st.sampled_from(Segment)),
        timeout=draw(st.sampled_from((None, timedelta(seconds=60)))),
        retry=draw(st.sampled_from((None, retries(1), retries(0)))),
        inputs=draw(st.sampled_from(((), NEEDS))),
        outputs=draw(st.sampled_from(((), (PlannedOutput("o", "$.v"),)))),
        manual=phase is ASKED or draw(st.booleans()),
    )


def each(phase: StepPhase) -> Iterator[Rule]:
    yield from RULES[phase]


@pytest.mark.parametrize("phase", [PENDING, ASKED, RUNNING])
@given(data=st.data())
def test_a_shared_rule_never_answers_beyond_the_table(phase: StepPhase, data: st.DataObject) -> None:
    """Each rule alone, whatever stands before it: its causes are rows of this phase."""
    shown = data.draw(views(phase))
    for rule in RULES[phase]:
        answer = rule(shown)
        assert answer is None or type(answer) not in CAUSES or (phase, type(answer)) in TRANSITIONS
