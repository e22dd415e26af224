"""The flow's podFailurePolicy in one template: what it means stays, and the API server takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.pod_failure_policy import Obstacle, adapt, left_out, obstacle
from zenflow_core.spec import (
    ExitCodeOperator,
    FailureAction,
    FailureRule,
    OnExitCodes,
    OnPodCondition,
    PodFailurePolicy,
)

COUNT, FAIL_JOB, IGNORE = FailureAction.COUNT, FailureAction.FAIL_JOB, FailureAction.IGNORE
IN, NOT_IN = ExitCodeOperator.IN, ExitCodeOperator.NOT_IN


def exits(action: FailureAction, operator: ExitCodeOperator, *values: int, container: str | None = None) -> FailureRule:
    return FailureRule(action, OnExitCodes(operator, values, container))


def conditions(action: FailureAction, *patterns: OnPodCondition) -> FailureRule:
    return FailureRule(action, None, patterns)


def pod(*containers: str, init: tuple[str, ...] = (), restart_policy: str | None = "Never") -> dict[str, Any]:
    """A Pod spec with just these containers."""
    spec: dict[str, Any] = {"containers": [{"name": name} for name in containers or ("main",)]}
    if init:
        spec["initContainers"] = [{"name": name} for name in init]
    if restart_policy is not None:
        spec["restartPolicy"] = restart_policy
    return spec


def rule(action: str, operator: str, values: list[int], container: str | None = None) -> dict[str, Any]:
    named = {"containerName": container} if container else {}
    return {"action": action, "onExitCodes": {**named, "operator": operator, "values": values}}


def disruption(action: str) -> dict[str, Any]:
    return {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize(
    ("rules", "pod_spec", "adapted"),
    [
        pytest.param(
            [exits(FAIL_JOB, IN, 42, 3, 42)], pod(), [rule("FailJob", "In", [3, 42])], id="values sorted and unique"
        ),
        pytest.param([exits(COUNT, IN, 0, 1)], pod(), [rule("Count", "In", [1])], id="0 never matches under In"),
        pytest.param([exits(FAIL_JOB, IN, 0)], pod(), None, id="only 0 under In never matches at all"),
        pytest.param([exits(FAIL_JOB, NOT_IN, 0)], pod(), [rule("FailJob", "NotIn", [0])], id="0 under NotIn stays"),
        pytest.param(
            [exits(FAIL_JOB, NOT_IN, *range(255))],
            pod(),
            [rule("FailJob", "NotIn", list(range(255)))],
            id="255 values fit",
        ),
        pytest.param(
            [exits(FAIL_JOB, NOT_IN, *range(256))],
            pod(),
            [rule("FailJob", "NotIn", list(range(1, 256)))],
            id="256 values are one too many and 0 is the one that says nothing",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="main")],
            pod("main", "log"),
            [rule("FailJob", "In", [1], "main")],
            id="main is there",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="main")],
            pod("trainer"),
            [rule("FailJob", "In", [1])],
            id="main is not there and means any",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="main")],
            pod("zenflow-outputs", init=("main",)),
            [rule("FailJob", "In", [1], "main")],
            id="main is an init container",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="log"), exits(IGNORE, IN, 2)],
            pod(),
            [rule("Ignore", "In", [2])],
            id="another container is not there and its rule is left out",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="setup")],
            pod(init=("setup",)),
            [rule("FailJob", "In", [1], "setup")],
            id="another container is an init container",
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 1, container="")], pod(), [rule("FailJob", "In", [1])], id="an empty name is any"
        ),
        pytest.param(
            [exits(FAIL_JOB, IN, 3), FailureRule(COUNT), exits(IGNORE, IN, 4)],
            pod(),
            [rule("FailJob", "In", [3])],
            id="Count without a condition drops itself and all behind it",
        ),
        pytest.param(
            [exits(IGNORE, IN, 3), FailureRule(FAIL_JOB), exits(COUNT, IN, 4)],
            pod(),
            [rule("Ignore", "In", [3]), rule("FailJob", "NotIn", [0]), disruption("FailJob")],
            id="FailJob without a condition is two rules and the end",
        ),
        pytest.param(
            [FailureRule(IGNORE)],
            pod(),
            [rule("Ignore", "NotIn", [0]), disruption("Ignore")],
            id="Ignore without a condition is two rules",
        ),
        pytest.param([FailureRule(COUNT)], pod(), None, id="Count alone is no policy"),
        pytest.param(
            [conditions(IGNORE, OnPodCondition("DisruptionTarget"), OnPodCondition("Drained", "False"))],
            pod(),
            [
                {
                    "action": "Ignore",
                    "onPodConditions": [
                        {"type": "DisruptionTarget", "status": "True"},
                        {"type": "Drained", "status": "False"},
                    ],
                }
            ],
            id="pod conditions pass through",
        ),
        pytest.param(
            [conditions(IGNORE, *[OnPodCondition("Drained")] * 21)],
            pod(),
            [
                {"action": "Ignore", "onPodConditions": [{"type": "Drained", "status": "True"}] * 20},
                {"action": "Ignore", "onPodConditions": [{"type": "Drained", "status": "True"}]},
            ],
            id="21 pod conditions are one too many for a rule",
        ),
        pytest.param(
            [FailureRule(FAIL_JOB, OnExitCodes(IN, (1,)), (OnPodCondition("DisruptionTarget"),))],
            pod(),
            None,
            id="two conditions in one rule cannot be said",
        ),
        pytest.param([exits(FAIL_JOB, IN, 1)], pod(restart_policy="OnFailure"), None, id="restartPolicy OnFailure"),
        pytest.param([exits(FAIL_JOB, IN, 1)], pod(restart_policy=None), None, id="no restartPolicy"),
        pytest.param(
            [exits(FAIL_JOB, IN, n) for n in range(1, 21)],
            pod(),
            [rule("FailJob", "In", [n]) for n in range(1, 21)],
            id="20 rules fit",
        ),
        pytest.param([exits(FAIL_JOB, IN, n) for n in range(1, 22)], pod(), None, id="21 do not"),
    ],
)
def test_the_policy_in_a_template(
    rules: list[FailureRule], pod_spec: dict[str, Any], adapted: list[dict[str, Any]] | None
) -> None:
    found = adapt(PodFailurePolicy(tuple(rules)), pod_spec, {})
    assert found == (None if adapted is None else {"rules": adapted})


def test_what_is_no_container_has_no_name() -> None:
    odd = {"restartPolicy": "Never", "containers": [{"name": "main"}, {"image": "i"}, "x"]}
    policy = PodFailurePolicy((exits(FAIL_JOB, IN, 1, container="main"),))
    assert adapt(policy, odd, {}) == {"rules": [rule("FailJob", "In", [1], "main")]}


POLICY = PodFailurePolicy((exits(FAIL_JOB, IN, 1),))


@pytest.mark.parametrize(
    ("job_spec", "carried"),
    [
        pytest.param({"podReplacementPolicy": "TerminatingOrFailed"}, False, id="replacing Pods that still terminate"),
        pytest.param({"podReplacementPolicy": "Failed"}, True, id="replacing failed Pods"),
        pytest.param({"podFailurePolicy": {"rules": []}}, False, id="its own policy"),
        pytest.param({"podFailurePolicy": None}, True, id="null is no policy"),
    ],
)
def test_a_job_spec_carries_the_policy(job_spec: dict[str, Any], carried: bool) -> None:
    assert (adapt(POLICY, pod(), job_spec) is not None) is carried


NOT_NEVER = Obstacle(
    "template.spec.restartPolicy",
    "is 'OnFailure', so the flow's podFailurePolicy cannot apply to this step",
    "set restartPolicy: Never, or leave it: the step then runs without the policy",
)
REPLACES = Obstacle(
    "podReplacementPolicy",
    "is TerminatingOrFailed, so the flow's podFailurePolicy cannot apply to this step",
    "set podReplacementPolicy: Failed, or leave it: the step then runs without the policy",
)


@pytest.mark.parametrize(
    ("pod_spec", "job_spec", "then"),
    [
        pytest.param(pod(), {}, None, id="nothing in the way"),
        pytest.param(pod(restart_policy="OnFailure"), {}, NOT_NEVER, id="restartPolicy"),
        pytest.param(pod(), {"podReplacementPolicy": "TerminatingOrFailed"}, REPLACES, id="podReplacementPolicy"),
        pytest.param(
            pod(restart_policy="OnFailure"), {"podFailurePolicy": {"rules": []}}, None, id="its own is no obstacle"
        ),
    ],
)
def test_an_obstacle_says_where_it_is_and_what_to_do(
    pod_spec: dict[str, Any], job_spec: dict[str, Any], then: Obstacle | None
) -> None:
    assert obstacle(POLICY, pod_spec, job_spec) == then


def test_too_many_rules_are_an_obstacle() -> None:
    counts = tuple(exits(COUNT, IN, n) for n in range(1, 20))
    assert obstacle(PodFailurePolicy((*counts, exits(COUNT, IN, 20))), pod(), {}) is None
    assert obstacle(PodFailurePolicy((*counts, FailureRule(FAIL_JOB))), pod(), {}) == Obstacle(
        "podFailurePolicy",
        "would get 21 rules from the flow, and a Job takes 20: it runs without the policy",
        "join rules that have the same action, or give this template a podFailurePolicy of its own",
    )


def test_rules_left_out_are_told_by_index() -> None:
    rules = (
        exits(COUNT, IN, 1, container="log"),
        exits(COUNT, IN, 1, container="main"),
        exits(COUNT, IN, 1),
        exits(COUNT, IN, 1, container=""),
        exits(COUNT, IN, 1, container="setup"),
    )
    assert left_out(PodFailurePolicy(rules), pod("trainer", init=("setup",))) == (0,)


rules = st.one_of(
    st.builds(
        FailureRule,
        st.sampled_from(FailureAction),
        st.builds(
            OnExitCodes,
            st.sampled_from(ExitCodeOperator),
            st.lists(st.integers(0, 255), max_size=300).map(tuple),
            st.sampled_from([None, "", "main", "log", "setup"]),
        ),
        st.just(()) | st.just((OnPodCondition("DisruptionTarget"),)),
    ),
    st.builds(
        FailureRule,
        st.sampled_from(FailureAction),
        st.none(),
        st.lists(
            st.builds(OnPodCondition, st.just("DisruptionTarget"), st.sampled_from([None, "True"])), max_size=25
        ).map(tuple),
    ),
)
pods = st.builds(
    lambda names, init, restart: pod(*names, init=tuple(init), restart_policy=restart),
    st.lists(st.sampled_from(["main", "log", "work"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["setup"]), max_size=1),
    st.sampled_from(["Never", "Never", "OnFailure", None]),
)


def assert_api_server_takes(policy: Mapping[str, Any], pod_spec: Mapping[str, Any]) -> None:
    """Job validation of `spec.podFailurePolicy`, as the API server does it."""
    names = {each["name"] for key in ("containers", "initContainers") for each in pod_spec.get(key, ())}
    assert pod_spec["restartPolicy"] == "Never"
    assert 1 <= len(policy["rules"]) <= 20
    for each in policy["rules"]:
        assert ("onExitCodes" in each) != ("onPodConditions" in each)
        assert each["action"] in {"FailJob", "Ignore", "Count"}
        if "onExitCodes" in each:
            values = each["onExitCodes"]["values"]
            assert values == sorted(set(values))
            assert 1 <= len(values) <= 255
            assert each["onExitCodes"]["operator"] == "NotIn" or 0 not in values
            assert each["onExitCodes"].get("containerName", min(names)) in names
        else:
            assert 1 <= len(each["onPodConditions"]) <= 20
            assert all(pattern["status"] in {"True", "False", "Unknown"} for pattern in each["onPodConditions"])


@given(st.lists(rules, max_size=22).map(tuple), pods)
def test_an_adapted_policy_is_accepted(given_rules: tuple[FailureRule, ...], pod_spec: dict[str, Any]) -> None:
    adapted = adapt(PodFailurePolicy(given_rules), pod_spec, {})
    if adapted is not None:
        assert_api_server_takes(adapted, pod_spec)


def first_action(rules_of_job: list[Mapping[str, Any]], exit_code: int, container: str) -> str | None:
    """What the Job controller does about a Pod whose `container` ended with `exit_code`, undisrupted."""
    for each in rules_of_job:
        condition = each.get("onExitCodes")
        if condition is None or condition.get("containerName", container) != container:
            continue
        if (exit_code in condition["values"]) == (condition["operator"] == "In"):
            return str(each["action"])
    return None


def first_meant(policy: PodFailurePolicy, exit_code: int, container: str, pod_spec: Mapping[str, Any]) -> str | None:
    """The same, read off the flow's own rules."""
    names = {each["name"] for key in ("containers", "initContainers") for each in pod_spec.get(key, ())}
    for each in policy.rules:
        if each.on_exit_codes is None:
            if not each.on_pod_conditions:
                return str(each.action)
            continue
        name = each.on_exit_codes.container_name or container
        if name == "main" and "main" not in names:
            name = container
        if name == container and (exit_code in each.on_exit_codes.values) == (each.on_exit_codes.operator is IN):
            return str(each.action)
    return None


@given(
    st.lists(rules.filter(lambda each: not (each.on_exit_codes and each.on_pod_conditions)), max_size=18).map(tuple),
    pods,
    st.integers(1, 255),
    st.data(),
)
def test_adapting_changes_no_decision(
    given_rules: tuple[FailureRule, ...], pod_spec: dict[str, Any], exit_code: int, data: st.DataObject
) -> None:
    """For each exit code of each container: the first matching rule acts as before (none is as good as Count)."""
    pod_spec = {**pod_spec, "restartPolicy": "Never"}
    container = data.draw(st.sampled_from([each["name"] for each in pod_spec["containers"]]))
    policy = PodFailurePolicy(given_rules)
    adapted = adapt(policy, pod_spec, {}) or {"rules": []}
    before = first_meant(policy, exit_code, container, pod_spec)
    assert (first_action(adapted["rules"], exit_code, container) or "Count") == (before or "Count")
