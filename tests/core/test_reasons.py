"""Causes and holds are API: their names stand in status, in Events and in metrics, and never change."""

from __future__ import annotations

from typing import get_args

import attrs
import pytest

from zenflow_core import reasons
from zenflow_core.reasons import AttemptFailure, Cause, FlowCause, FlowHold, Hold, UnknownCause, UnknownHold

CAUSES = """
    Admitted Adopted ApprovalRequested Approved AttemptFailed ConditionFalse ConditionInvalid ConditionMet FlowEnded
    FlowFailing InputInvalid InputMissing JobComplete JobFailed JobLost JobNameTaken JobRefused JobRejected JobResumed
    JobSuspended NamespaceTerminating OutputMissing OutputUnavailable Rejected RetriedFrom RetriesExhausted
    RetryAbandoned StepTimedOut UpstreamUnmet
"""
HOLDS = """
    AwaitsApproval BacksOff FlowNotStarted JobIsSuspended JobKeptUntil NamespaceGoing NeedsInput NeedsOutput
    NeedsResource NeedsSlot PreviousAttemptEnds RefusedUntil RunsUntil Suspended WaitsFor WaitsForMain
"""
FLOW_CAUSES = """
    ActiveDeadlineExceeded ArtifactStoreInvalid BackoffLimitExceeded Deleted Replaced ResourceNameTaken ResourceRejected
    RetrySourceMissing StatusTooLarge Stopped Terminated ValidationFailed
"""
FLOW_HOLDS = "FlowRunsUntil KeptUntil NeedsArtifactStore NeedsOrigin ResourceRefusedUntil SiblingActive Suspended"
FAILURES = "JobFailed JobLost StepTimedOut"
UNIONS = {"Cause": Cause, "Hold": Hold, "FlowCause": FlowCause, "FlowHold": FlowHold, "AttemptFailure": AttemptFailure}


@pytest.mark.parametrize(
    ("union", "names"),
    [
        pytest.param("Cause", CAUSES, id="what moves a step"),
        pytest.param("Hold", HOLDS, id="what keeps a step"),
        pytest.param("FlowCause", FLOW_CAUSES, id="what ends a flow"),
        pytest.param("FlowHold", FLOW_HOLDS, id="what keeps a flow"),
        pytest.param("AttemptFailure", FAILURES, id="how an attempt fails"),
    ],
)
def test_the_names_are_api(union: str, names: str) -> None:
    """A name that is missing here is new: add it. One that is missing there was taken away: users have alerts on it."""
    found = {cls.__name__ for cls in get_args(UNIONS[union])} - {"UnknownCause", "UnknownHold"}
    assert sorted(found) == names.split()


def test_no_name_means_two_things() -> None:
    """A reason alone tells whether something moved or is held; only Suspended holds both a step and a flow."""
    names = [cls.__name__ for union in (Cause, Hold, FlowCause, FlowHold) for cls in get_args(union)]
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"Suspended", "UnknownCause", "UnknownHold"}


def test_every_cause_says_when() -> None:
    for cls in (*get_args(Cause), *get_args(FlowCause)):
        assert "at" in {field.name for field in attrs.fields(cls)} or isinstance(cls.at, property), cls


def test_every_hold_says_until_when_or_that_nobody_knows() -> None:
    for cls in (*get_args(Hold), *get_args(FlowHold)):
        fields = {field.name for field in attrs.fields(cls)}
        assert "until" in fields or cls.until is None, cls


def test_every_fact_is_frozen() -> None:
    for union in UNIONS.values():
        for cls in get_args(union):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                object.__new__(cls).whatever = 1


def test_every_fact_has_a_line_for_the_page_of_states() -> None:
    for union in UNIONS.values():
        for cls in get_args(union):
            assert (cls.__doc__ or "").strip().partition("\n")[0].endswith("."), f"{cls.__name__} needs a docstring"


def test_unknown_facts_are_of_another_version() -> None:
    assert UnknownCause in get_args(Cause)
    assert UnknownCause in get_args(FlowCause)
    assert UnknownHold in get_args(Hold)
    assert UnknownHold in get_args(FlowHold)
    assert reasons.Instant.__name__ == "datetime"
