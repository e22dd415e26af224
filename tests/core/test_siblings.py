"""Stored flows as the others see them: the group they compete in, and whether they are in the way; `retryOf`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.core.builders import UID, at
from zenflow_core.observation import Origin, Sibling, Takeover
from zenflow_core.reading import group_of, read_flow_seen, read_sibling
from zenflow_core.reasons import OutputValue
from zenflow_core.spec import StepName
from zenflow_core.status import read_origin


def stored(
    policy: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """A flow as the API server has it."""
    base = {"name": "nightly-x7k2p", "namespace": "ci", "uid": UID, "creationTimestamp": "2030-01-01T10:00:00Z"}
    spec = {"steps": []} if policy is None else {"steps": [], "executionPolicy": dict(policy)}
    return {"metadata": base | metadata, "spec": spec} | ({} if status is None else {"status": dict(status)})


CRON = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "every-night", "uid": "u", "controller": True}


@pytest.mark.parametrize(
    ("flow", "group"),
    [
        pytest.param(stored(), "nightly-x7k2p", id="its own name"),
        pytest.param(stored(ownerReferences=[CRON]), "every-night", id="before that its controlling owner"),
        pytest.param(
            stored(ownerReferences=[CRON | {"controller": False}]), "nightly-x7k2p", id="an owner that does not control"
        ),
        pytest.param(
            stored(ownerReferences=[CRON], generateName="nightly-"), "nightly", id="before that generateName, no dash"
        ),
        pytest.param(stored(generateName="nightly"), "nightly", id="a generateName without a dash"),
        pytest.param(stored(generateName="nightly--"), "nightly-", id="one dash is taken off"),
        pytest.param(stored(generateName="-"), "nightly-x7k2p", id="nothing but a dash is no name"),
        pytest.param(
            stored({"concurrencyGroup": "deploys"}, generateName="nightly-", ownerReferences=[CRON]),
            "deploys",
            id="before all what the spec says",
        ),
        pytest.param(stored({"concurrencyGroup": None}), "nightly-x7k2p", id="null is nothing said"),
        pytest.param(stored({}), "nightly-x7k2p", id="an empty policy"),
    ],
)
def test_group_of(flow: dict[str, Any], group: str) -> None:
    assert group_of(flow) == group
    assert read_flow_seen(flow).group == group


REPLACE = {"concurrencyPolicy": "Replace"}
WAITS = {"phase": "Pending", "holds": [{"reason": "SiblingActive", "flow": "older"}]}
READS = {"phase": "Pending", "holds": [{"reason": "NeedsOrigin", "flow": "source"}]}


def sibling(**facts: Any) -> Sibling:
    return Sibling("nightly-x7k2p", UID, at("10:00:00"), **facts)


@pytest.mark.parametrize(
    ("flow", "then"),
    [
        pytest.param(stored(), sibling(), id="one that nobody has looked at"),
        pytest.param(stored(status={}), sibling(), id="an empty status"),
        pytest.param(
            stored(status={"phase": "Running", "startTime": "2030-01-01T10:00:05Z"}),
            sibling(started_at=at("10:00:05")),
            id="one that runs",
        ),
        pytest.param(stored(status={"phase": "Paused"}), sibling(), id="one that waits for a person is not over"),
        pytest.param(stored(status={"phase": "Succeeded"}), sibling(over=True), id="one that has Succeeded"),
        pytest.param(stored(status={"phase": "Failed"}), sibling(over=True), id="one that has Failed"),
        pytest.param(stored(REPLACE, WAITS), sibling(replaces=True), id="one that waits in order to replace"),
        pytest.param(stored({"concurrencyPolicy": "Allow"}, WAITS), sibling(), id="one that allows others"),
        pytest.param(stored({"concurrencyPolicy": "Forbid"}, WAITS), sibling(), id="one that forbids them"),
        pytest.param(stored(REPLACE), sibling(), id="Replace, not looked at: its spec may be invalid"),
        pytest.param(stored(REPLACE, READS), sibling(), id="Replace, but the flow that it retries may be gone"),
        pytest.param(
            stored(REPLACE, WAITS, deletionTimestamp="2030-01-01T10:01:00Z"), sibling(), id="Replace, but being deleted"
        ),
        pytest.param(
            stored(REPLACE, {"phase": "Failed"}), sibling(over=True, replaces=True), id="Replace, but over anyway"
        ),
    ],
)
def test_read_sibling(flow: dict[str, Any], then: Sibling) -> None:
    assert read_sibling(flow, live_jobs=False) == then


@pytest.mark.parametrize("live", [True, False])
def test_whether_jobs_are_left_is_for_the_caller_to_say(live: bool) -> None:
    assert read_sibling(stored(status={"phase": "Failed"}), live_jobs=live).live_jobs is live


def test_read_origin_takes_what_had_succeeded_with_its_values() -> None:
    ended = {"startTime": "2030-01-01T10:00:00Z", "completionTime": "2030-01-01T10:01:00Z", "attempt": 1}
    outputs = {
        "parameters": [{"name": "image", "value": "a:1"}, {"name": "size", "value": "9007199254740993", "json": True}]
    }
    rows = [
        {
            "name": "build",
            "phase": "Succeeded",
            "outputs": outputs,
            "reads": [{"jsonPath": "$.v", "value": "x"}],
            **ended,
        },
        {"name": "plain", "phase": "Succeeded", **ended},
        {"name": "test", "phase": "Failed", **ended},
        {"name": "skipped", "phase": "Skipped", **ended},
        {"name": "deploy", "phase": "Pending"},
    ]
    found = read_origin(stored(status={"phase": "Failed", "steps": rows}))
    values = {"image": OutputValue("a:1"), "size": OutputValue("9007199254740993", json=True)}
    assert found == Origin(
        {StepName("build"): Takeover(values, {"$.v": OutputValue("x")}), StepName("plain"): Takeover()}
    )


@pytest.mark.parametrize("status", [None, {}, {"phase": "Failed"}], ids=["none", "empty", "without rows"])
def test_read_origin_of_a_status_without_rows(status: dict[str, Any] | None) -> None:
    assert read_origin(stored(status=status)) == Origin({})
