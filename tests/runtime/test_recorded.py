"""After a status write of ours the flow is what the server has stored, whatever of it the answer carried."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.actions import Operation, RecordStatus
from zenflow_runtime.recorded import recorded
from zenflow_testing.jsonpatch import apply

ROWS = [{"name": "a", "phase": "Running"}, {"name": "b", "phase": "Pending"}, {"name": "c", "phase": "Pending"}]
METADATA = {"name": "flow", "uid": "u", "resourceVersion": "8", "labels": {"by": "somebody"}}


def a_flow(status: Any) -> dict[str, Any]:
    bare = {"kind": "JobFlow", "metadata": {"name": "flow", "uid": "u", "resourceVersion": "7"}, "spec": {"steps": []}}
    return bare if status is None else {**bare, "status": status}


def after(before: dict[str, Any], operations: tuple[Operation, ...]) -> Any:
    sent = json.dumps(RecordStatus(operations).patch("7")).encode()
    answer = {"kind": "PartialObjectMetadata", "metadata": {**METADATA, "managedFields": [{"manager": "zenflow"}]}}
    return recorded(before, sent, answer)


VALUES = st.sampled_from(["Running", {"completedSteps": 1}, [{"type": "Ready"}], None, 3])
OPERATIONS = st.lists(
    st.one_of(
        st.builds(Operation, st.just("add"), st.sampled_from(["/status/phase", "/status/progress"]), VALUES),
        st.builds(Operation, st.just("remove"), st.just("/status/decidedBy")),
        st.builds(
            Operation,
            st.just("replace"),
            st.integers(0, 2).map(lambda row: f"/status/steps/{row}"),
            st.sampled_from([{"name": "x", "phase": "Succeeded"}, {"name": "x", "phase": "Failed"}]),
        ),
    ),
    max_size=6,
).filter(lambda operations: [o.op for o in operations].count("remove") <= 1)


@given(OPERATIONS)
def test_it_is_what_a_json_patch_makes_of_it(operations: list[Operation]) -> None:
    before = a_flow({"phase": "Pending", "decidedBy": "1", "steps": ROWS})
    kept = json.dumps(before)
    sent = [operation.to_json() for operation in operations]
    assert after(before, tuple(operations)) == {**apply(before, sent).document, "metadata": METADATA}
    assert json.dumps(before) == kept, "what others may still read was changed"


@pytest.mark.parametrize("status", [None, {"phase": "Pending", "steps": ROWS}])
def test_a_whole_status_takes_the_place_of_the_old_one(status: Any) -> None:
    operations = (Operation("add", "/status", {"phase": "Running", "steps": ROWS}),)
    assert after(a_flow(status), operations)["status"] == {"phase": "Running", "steps": ROWS}


def test_an_answer_that_is_the_whole_flow_is_taken_as_it_is() -> None:
    answer = {"kind": "JobFlow", "metadata": {**METADATA, "managedFields": []}, "spec": {}, "status": {"phase": "Odd"}}
    assert recorded(a_flow(None), b"[]", answer) == {**answer, "metadata": METADATA}
