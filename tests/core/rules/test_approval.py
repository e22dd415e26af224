"""Manual steps: a person's decision, as annotations of the flow."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, asked, at
from zenflow_core.reasons import Approved, AwaitsApproval, Cause, Hold, Rejected
from zenflow_core.rules.approval import approval
from zenflow_core.views import StepView

APPROVED = "approved.workflow.kube-zen.io/build"
REJECTED = "rejected.workflow.kube-zen.io/build"
APPROVER = "approver.workflow.kube-zen.io/build"
OLD = "workflow.kube-zen.io/approved/build"
NOW = at("10:05:00")


def with_notes(notes: dict[str, str]) -> StepView:
    return asked("10:00:00", now="10:05:00", around=Around(notes=notes))


@pytest.mark.parametrize(
    ("notes", "then"),
    [
        pytest.param({}, AwaitsApproval(at("10:00:00")), id="nobody has decided"),
        pytest.param({APPROVED: "true"}, Approved(NOW), id="approved counts when it is seen"),
        pytest.param({APPROVED: "false"}, AwaitsApproval(at("10:00:00")), id="only true approves"),
        pytest.param({APPROVED: "True"}, AwaitsApproval(at("10:00:00")), id="as it is written"),
        pytest.param({APPROVED: ""}, AwaitsApproval(at("10:00:00")), id="an empty approval is none"),
        pytest.param({OLD: "true"}, Approved(NOW), id="the old key works where it can be"),
        pytest.param({APPROVED: "no", OLD: "true"}, Approved(NOW), id="either key will do"),
        pytest.param({APPROVED: "true", APPROVER: "ann"}, Approved(NOW, by="ann"), id="by whom"),
        pytest.param({APPROVER: "ann"}, AwaitsApproval(at("10:00:00")), id="a name alone decides nothing"),
        pytest.param({REJECTED: "too late"}, Rejected(NOW, why="too late"), id="rejected says why"),
        pytest.param({REJECTED: ""}, Rejected(NOW), id="an empty rejection is one"),
        pytest.param({REJECTED: "no", APPROVER: "bob"}, Rejected(NOW, why="no", by="bob"), id="rejected by whom"),
        pytest.param({REJECTED: "no", APPROVED: "true"}, Rejected(NOW, why="no"), id="the careful one is heard"),
        pytest.param({APPROVED + "er": "true"}, AwaitsApproval(at("10:00:00")), id="another step's does not count"),
    ],
)
def test_approval(notes: dict[str, str], then: Cause | Hold) -> None:
    assert approval(with_notes(notes)) == then
