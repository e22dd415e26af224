"""The Job of an attempt: what is ours is put in, what is another Job's is left out, all else stays as written."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.artifact_container import ClaimFile
from zenflow_core.artifact_pod import Located
from zenflow_core.manifests import Unbuildable, build_job, build_resource, owner_reference, secret_references
from zenflow_core.names import (
    ANNOTATION_FLOW,
    ANNOTATION_STEP,
    ANNOTATION_TTL,
    LABEL_ATTEMPT,
    LABEL_FLOW,
    LABEL_FLOW_UID,
    LABEL_MANAGED_BY,
    LABEL_STEP,
    is_label_value,
    is_qualified_name,
)
from zenflow_core.observation import FlowSeen
from zenflow_core.placeholders import Value, compile_template
from zenflow_core.plan import FixedValue, PlannedInput, PlannedStep, RetryRule, SecretEnv
from zenflow_core.reading import JobIdentity, parse_attempt
from zenflow_core.spec import (
    BackoffType,
    ExitCodeOperator,
    FailureAction,
    FailureRule,
    InputArtifact,
    OnExitCodes,
    OutputArtifact,
    PodFailurePolicy,
    StepName,
)
from zenflow_testing.errors import Target
from zenflow_testing.job_decoding import decode_job
from zenflow_testing.job_defaults import defaulted_job
from zenflow_testing.job_validation import validate_job

UID = "0a0a0a0a-0000-4000-8000-000000000001"
FLOW = FlowSeen("nightly", "ci", UID, datetime(2030, 1, 1, tzinfo=UTC))
RETRY = RetryRule(3, BackoffType.FIXED, timedelta(seconds=1), 2.0, ceiling=timedelta(hours=720))
OURS = {
    LABEL_FLOW: "nightly",
    LABEL_STEP: "build",
    LABEL_MANAGED_BY: "zen-flow",
    LABEL_ATTEMPT: "1",
    LABEL_FLOW_UID: UID,
}
FULL_NAMES = {ANNOTATION_FLOW: "nightly", ANNOTATION_STEP: "build"}


def template(
    spec: dict[str, Any] | None = None, *, pod: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """A Job template whose Pod has one container."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        **({"metadata": metadata} if metadata else {}),
        "spec": {
            **(spec or {}),
            "template": {
                **(pod or {}),
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "exit 0"]}],
                },
            },
        },
    }


def step(given_template: dict[str, Any] | None = None, **fields: Any) -> PlannedStep:
    return PlannedStep(StepName("build"), 0, row=0, template=compile_template(given_template or template()), **fields)


def built(
    given_step: PlannedStep,
    attempt: int = 1,
    *,
    flow: FlowSeen = FLOW,
    policy: PodFailurePolicy | None = None,
    **values: Value,
) -> dict[str, Any]:
    job = build_job(given_step, flow, attempt, values=values, policy=policy)
    assert isinstance(job, dict), job
    return job


def test_the_smallest_job() -> None:
    assert built(step()) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "nightly-build-0a0a0a0a",
            "namespace": "ci",
            "labels": OURS,
            "annotations": FULL_NAMES,
            "ownerReferences": [
                {
                    "apiVersion": "workflow.kube-zen.io/v1alpha1",
                    "kind": "JobFlow",
                    "name": "nightly",
                    "uid": UID,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {"template": {**template()["spec"]["template"], "metadata": {"labels": OURS}}},
    }


COPIED_LABELS = {
    "batch.kubernetes.io/controller-uid": "11111111-2222-4333-8444-555555555555",
    "batch.kubernetes.io/job-name": "import",
    "controller-uid": "11111111-2222-4333-8444-555555555555",
    "job-name": "import",
}


def test_a_template_copied_from_a_live_job_leaves_behind_what_was_its_own() -> None:
    live = template(
        {"selector": {"matchLabels": {"controller-uid": "x"}}, "parallelism": 1},
        pod={
            "metadata": {
                "creationTimestamp": None,
                "labels": {**COPIED_LABELS, "team": "data"},
                "annotations": {"a": "b"},
            }
        },
        name="import",
        generateName="import-",
        namespace="elsewhere",
        uid="11111111-2222-4333-8444-555555555555",
        resourceVersion="12345",
        generation=2,
        selfLink="/apis/batch/v1",
        creationTimestamp="2025-01-01T00:00:00Z",
        deletionTimestamp="2025-01-02T00:00:00Z",
        managedFields=[{"manager": "kubectl"}],
        ownerReferences=[{"kind": "CronJob", "name": "import", "controller": True}],
        labels={**COPIED_LABELS, "team": "data"},
        annotations={
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "batch.kubernetes.io/job-tracking": "",
            "owner": "me",
        },
        finalizers=["foregroundDeletion", "example.com/audit", "orphan"],
    )
    live["status"] = {"succeeded": 1, "startTime": "2025-01-01T00:00:00Z"}
    job = built(step(live))
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    assert job["metadata"] == {
        **built(step())["metadata"],
        "labels": {"team": "data", **OURS},
        "annotations": {"owner": "me", **FULL_NAMES},
        "finalizers": ["example.com/audit"],
    }
    assert job["spec"]["template"]["metadata"] == {"labels": {"team": "data", **OURS}, "annotations": {"a": "b"}}
    assert set(job["spec"]) == {"parallelism", "template"}


def test_a_selector_of_its_own_stays_with_its_labels() -> None:
    selector = {"matchLabels": {"job-name": "import"}}
    job = built(
        step(template({"manualSelector": True, "selector": selector}, pod={"metadata": {"labels": COPIED_LABELS}}))
    )
    assert job["spec"]["selector"] == selector
    assert job["spec"]["template"]["metadata"]["labels"] == {**COPIED_LABELS, **OURS}


def test_our_labels_win_over_the_steps_and_those_over_the_templates() -> None:
    job = built(
        step(
            template(
                pod={"metadata": {"labels": {"tier": "pod", "zone": "p"}}}, labels={"tier": "job", LABEL_FLOW: "x"}
            ),
            labels={"tier": "step", LABEL_STEP: "x", "job-name": "y"},
            annotations={"note": "step", ANNOTATION_STEP: "x"},
        )
    )
    assert job["metadata"]["labels"] == {"tier": "step", **OURS}
    assert job["spec"]["template"]["metadata"]["labels"] == {"tier": "step", "zone": "p", **OURS}
    assert job["metadata"]["annotations"] == {"note": "step", **FULL_NAMES}


@pytest.mark.parametrize(
    ("spec", "annotation"),
    [
        pytest.param({"ttlSecondsAfterFinished": 0}, "0", id="at once"),
        pytest.param({"ttlSecondsAfterFinished": 600}, "600", id="after ten minutes"),
        pytest.param({"ttlSecondsAfterFinished": None}, None, id="null is none"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_templates_ttl_is_ours_to_carry_out(spec: dict[str, Any], annotation: str | None) -> None:
    job = built(step(template(spec, annotations={ANNOTATION_TTL: "7"})))
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert job["metadata"]["annotations"].get(ANNOTATION_TTL) == annotation


@pytest.mark.parametrize(
    ("spec", "retry", "limit"),
    [
        pytest.param({}, RETRY, 0, id="the step's retries are the retries"),
        pytest.param({}, None, None, id="no retryPolicy"),
        pytest.param({"backoffLimit": 3}, RETRY, 3, id="the template says how many"),
        pytest.param({"backoffLimit": None}, RETRY, 0, id="null says nothing"),
        pytest.param({"backoffLimitPerIndex": 1}, RETRY, None, id="the template says how many an index"),
    ],
)
def test_retries_do_not_multiply(spec: dict[str, Any], retry: RetryRule | None, limit: int | None) -> None:
    assert built(step(template(spec), retry=retry))["spec"].get("backoffLimit") == limit


def test_a_suspended_template_is_created_suspended() -> None:
    assert built(step(template({"suspend": True})))["spec"]["suspend"] is True


def test_the_flows_policy_is_adapted_to_the_template() -> None:
    policy = PodFailurePolicy(
        (FailureRule(FailureAction.FAIL_JOB, OnExitCodes(ExitCodeOperator.IN, (42, 3, 42), "main")),)
    )
    rules = [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [3, 42]}}]
    assert built(step(), policy=policy)["spec"]["podFailurePolicy"] == {"rules": rules}
    own = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    assert built(step(template({"podFailurePolicy": own})), policy=policy)["spec"]["podFailurePolicy"] == own
    on_failure = template()
    on_failure["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert "podFailurePolicy" not in built(step(on_failure), policy=policy)["spec"]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        pytest.param({"completionMode": "Indexed", "completions": 3}, "n-v1-x-594df8a7dad7", id="Indexed has no dots"),
        pytest.param({"completionMode": "NonIndexed", "completions": 3}, "n-v1.x-0a0a0a0a", id="NonIndexed may have"),
        pytest.param(
            {"completionMode": "Indexed"}, "n-v1.x-0a0a0a0a", id="Indexed without completions is refused anyway"
        ),
    ],
)
def test_an_indexed_job_is_named_like_a_host(spec: dict[str, Any], name: str) -> None:
    indexed = evolve(step(template(spec)), name=StepName("v1.x"))
    assert built(indexed, flow=evolve(FLOW, name="n"))["metadata"]["name"] == name


def test_an_indexed_job_leaves_room_for_its_highest_index() -> None:
    for completions, length in ((10, 61), (11, 60)):
        indexed = evolve(
            step(template({"completionMode": "Indexed", "completions": completions})), name=StepName("s" * 60)
        )
        assert len(built(indexed)["metadata"]["name"]) == length


def test_names_that_are_too_long_are_whole_in_annotations() -> None:
    flow, name = "f" * 100, StepName("s" * 100)
    job = built(evolve(step(), name=name), 2, flow=evolve(FLOW, name=flow))
    assert job["metadata"]["annotations"] == {ANNOTATION_FLOW: flow, ANNOTATION_STEP: name}
    assert all(map(is_label_value, job["metadata"]["labels"].values()))
    assert all(map(is_qualified_name, job["metadata"]["labels"]))
    assert job["metadata"]["ownerReferences"][0]["name"] == flow
    assert parse_attempt(job) == JobIdentity(UID, flow, name, 2)


def with_command(*command: str, env: list[dict[str, str]] | None = None, init: str | None = None) -> dict[str, Any]:
    made = template()
    pod = made["spec"]["template"]["spec"]
    pod["containers"][0] |= {"command": list(command), **({"env": env} if env else {})}
    pod["containers"].append({"name": "log", "image": "busybox:1.36"})
    if init:
        pod["initContainers"] = [{"name": "setup", "image": "busybox:1.36", "command": [init]}]
    return made


def test_placeholders_are_filled_in() -> None:
    given_step = step(
        with_command("echo", "{{.parameters.text}}", "{{.JobFlow.Name}}", "{{.StepName}}"),
        inputs=(PlannedInput("text", FixedValue("x")),),
    )
    job = built(given_step, text='"}],\n$(HOME)')
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["echo", '"}],\n$$(HOME)', "nightly", "build"]


TOKEN = (PlannedInput("api-token", SecretEnv("vault", "token")),)


def reference(name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "vault", "key": "token"}}}


def test_a_secret_becomes_an_env_var_of_the_containers_that_use_it() -> None:
    given_step = step(
        with_command(
            "curl", "-H", "{{.parameters.api-token}}", env=[{"name": "A", "value": "b"}], init="${parameters.api-token}"
        ),
        inputs=TOKEN,
    )
    pod = built(given_step)["spec"]["template"]["spec"]
    assert pod["containers"] == [
        {
            "name": "main",
            "image": "busybox:1.36",
            "command": ["curl", "-H", "$(ZENFLOW_API_TOKEN)"],
            "env": [reference("ZENFLOW_API_TOKEN"), {"name": "A", "value": "b"}],
        },
        {"name": "log", "image": "busybox:1.36"},
    ]
    assert pod["initContainers"] == [
        {
            "name": "setup",
            "image": "busybox:1.36",
            "command": ["$(ZENFLOW_API_TOKEN)"],
            "env": [reference("ZENFLOW_API_TOKEN")],
        }
    ]


def test_a_secrets_env_var_takes_no_name_that_is_there() -> None:
    taken = [{"name": "ZENFLOW_A_B", "value": "1"}, {"name": "ZENFLOW_A_B_2", "value": "2"}]
    given_step = step(
        with_command("x", env=taken),
        inputs=(
            PlannedInput("a-b", SecretEnv("vault", "one")),
            PlannedInput("a.b", SecretEnv("vault", "two")),
            PlannedInput("c", FixedValue("x")),
        ),
    )
    assert {name: each.env_name for name, each in secret_references(given_step).items()} == {
        "a-b": "ZENFLOW_A_B_3",
        "a.b": "ZENFLOW_A_B_4",
    }


def test_a_secret_that_no_container_uses_is_not_asked_for() -> None:
    assert "env" not in built(step(inputs=TOKEN))["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("given_template", "values", "path", "message"),
    [
        pytest.param(
            with_command("{{.parameters.x}}"),
            {},
            "spec.template.spec.containers[0].command[0]",
            "parameter 'x', which this step does not have; ",
            id="a parameter that is not there",
        ),
        pytest.param(
            with_command("{{.parameters.x}}", "{{.parameters.y}}"),
            {},
            "spec.template.spec.containers[0].command[0]",
            "(and 1 more)",
            id="two of them",
        ),
        pytest.param(
            template(labels={"token": "{{.parameters.api-token}}"}),
            {},
            "metadata.labels.token",
            "comes from a Secret; ",
            id="a secret where no container reads",
        ),
    ],
)
def test_a_job_that_cannot_be_made_says_why(
    given_template: dict[str, Any], values: dict[str, Value], path: str, message: str
) -> None:
    found = build_job(step(given_template, inputs=TOKEN), FLOW, 1, values=values)
    assert isinstance(found, Unbuildable)
    assert found.path == path
    assert message in found.message


def test_without_an_image_artifacts_leave_no_trace() -> None:
    given_step = step(input_artifacts=(InputArtifact("data", "/in", from_="fetch/data"),))
    assert build_job(given_step, FLOW, 1, values={}) == built(step())


def test_with_an_image_artifacts_are_carried() -> None:
    given_step = step(input_artifacts=(InputArtifact("data", "/in", from_="fetch/data"),))
    located = {"data": Located(ClaimFile("fetch/1/0a/data"))}
    job = build_job(given_step, FLOW, 1, values={}, artifact_image="zenflow:1", located=located)
    assert isinstance(job, dict)
    assert job["spec"]["template"]["spec"]["volumes"] == [
        {"name": "zenflow-artifacts", "persistentVolumeClaim": {"claimName": "nightly-zenflow-artifacts"}}
    ]


def test_a_resource_of_the_flow_is_named_and_owned_by_it() -> None:
    written = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data",
            "namespace": "elsewhere",
            "uid": "11111111-2222-4333-8444-555555555555",
            "resourceVersion": "7",
            "labels": {"team": "data", LABEL_FLOW: "x"},
            "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Bound"},
    }
    before = copy.deepcopy(written)
    assert build_resource(written, FLOW, kind="PersistentVolumeClaim") == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "nightly-data",
            "namespace": "ci",
            "labels": {"team": "data", LABEL_FLOW: "nightly", LABEL_MANAGED_BY: "zen-flow", LABEL_FLOW_UID: UID},
            "annotations": {"a": "b", ANNOTATION_FLOW: "nightly"},
            "ownerReferences": [owner_reference(FLOW)],
        },
        "spec": written["spec"],
    }
    assert written == before


def test_a_config_map_of_the_flow_keeps_its_data_and_finalizers() -> None:
    made = build_resource(
        {"metadata": {"name": "cm", "finalizers": ["example.com/audit"]}, "data": {"k": "v"}, "immutable": True},
        FLOW,
        kind="ConfigMap",
    )
    assert made["kind"] == "ConfigMap"
    assert made["metadata"]["finalizers"] == ["example.com/audit"]
    assert (made["data"], made["immutable"]) == ({"k": "v"}, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
known_fields = st.fixed_dictionaries(
    {},
    optional={
        "backoffLimit": st.none() | st.integers(0, 9),
        "ttlSecondsAfterFinished": st.none() | st.integers(0, 9),
        "selector": st.just({"matchLabels": {"a": "b"}}),
        "manualSelector": st.booleans(),
        "suspend": st.booleans(),
        "completions": st.none() | st.integers(0, 2**31 - 1),
        "completionMode": st.sampled_from(["Indexed", "NonIndexed"]),
        "podReplacementPolicy": st.sampled_from(["Failed", "TerminatingOrFailed"]),
        "unknownField": json_values,
    },
)
labels = st.dictionaries(
    st.sampled_from([*COPIED_LABELS, LABEL_STEP, "team", "tier"]), st.sampled_from("ab"), max_size=4
)
steps = st.builds(
    lambda spec, pod_labels, job_labels, own, retry: step(
        template(spec, pod={"metadata": {"labels": pod_labels}}, labels=job_labels, resourceVersion="1"),
        labels=own,
        retry=retry,
    ),
    known_fields,
    labels,
    labels,
    labels,
    st.sampled_from([None, RETRY]),
)
POLICY = PodFailurePolicy((FailureRule(FailureAction.IGNORE),))


@given(steps, st.integers(1, 5))
def test_building_changes_no_template_and_says_the_same_twice(given_step: PlannedStep, attempt: int) -> None:
    assert given_step.template is not None
    before = copy.deepcopy(given_step.template.source)
    first = built(given_step, attempt, policy=POLICY)
    again = built(given_step, attempt, policy=POLICY)
    assert json.dumps(first) == json.dumps(again)
    assert given_step.template.source == before


@given(steps, st.integers(1, 5))
def test_a_job_is_known_again_by_what_it_was_built_for(given_step: PlannedStep, attempt: int) -> None:
    job = built(given_step, attempt)
    assert parse_attempt(job) == JobIdentity(UID, "nightly", StepName("build"), attempt)
    assert sum(bool(owner.get("controller")) for owner in job["metadata"]["ownerReferences"]) == 1


@given(steps, st.integers(1, 5))
def test_only_what_the_product_names_differs_from_the_template(given_step: PlannedStep, attempt: int) -> None:
    """Field by field of the Job's spec: as written, or one of the few that are ours."""
    assert given_step.template is not None
    written = given_step.template.source["spec"]
    spec = built(given_step, attempt)["spec"]
    for key in written.keys() | spec.keys():
        if key in {"template", "ttlSecondsAfterFinished", "selector", "backoffLimit"}:
            continue
        assert spec[key] is written[key]
    assert spec["template"]["spec"] is written["template"]["spec"]


@given(steps, st.integers(1, 3), st.text("ab.-", min_size=60, max_size=80).map(lambda text: f"a{text}a"))
def test_an_indexed_jobs_host_names_fit(given_step: PlannedStep, attempt: int, name: str) -> None:
    job = built(evolve(given_step, name=StepName(name)), attempt)
    if job["spec"].get("completionMode") == "Indexed" and isinstance(job["spec"].get("completions"), int):
        assert len(f"{job['metadata']['name']}-{max(job['spec']['completions'] - 1, 0)}") <= 63
    assert len(job["metadata"]["name"]) <= 63


def server_complains(job: dict[str, Any]) -> list[Any]:
    """What the API server finds wrong with a Job that is to be created: decoded, defaulted, validated, as there."""
    body = decode_job(job, Target("batch", "jobs", "Job", job["metadata"]["name"]))
    stored = defaulted_job({**body, "metadata": {**body["metadata"], "uid": "22222222-2222-4333-8444-555555555555"}})
    return [*validate_job(body), *validate_job(stored)]


accepted_fields = st.fixed_dictionaries(
    {},
    optional={
        "backoffLimit": st.none() | st.integers(0, 9),
        "ttlSecondsAfterFinished": st.none() | st.integers(0, 9),
        "selector": st.just({"matchLabels": {"batch.kubernetes.io/controller-uid": "another's"}}),
        "manualSelector": st.just(False),
        "suspend": st.booleans(),
        "podReplacementPolicy": st.sampled_from(["Failed", "TerminatingOrFailed"]),
        "activeDeadlineSeconds": st.integers(1, 9),
    },
)
modes = st.sampled_from(
    [{}, {"completions": 3}, {"completions": 12, "completionMode": "Indexed", "backoffLimitPerIndex": 1}]
)
rules = st.builds(
    FailureRule,
    st.sampled_from(FailureAction),
    st.none()
    | st.builds(
        OnExitCodes,
        st.sampled_from(ExitCodeOperator),
        st.lists(st.integers(0, 255), min_size=1, max_size=5).map(tuple),
        st.sampled_from([None, "main", "log"]),
    ),
)


@given(
    accepted_fields,
    modes,
    labels,
    st.sampled_from(["Never", "OnFailure"]),
    st.lists(rules, max_size=4).map(tuple),
    st.sampled_from(["n", "v1.x", "f" * 63, "a.b" * 60]),
    st.sampled_from([(), (OutputArtifact("rows", "/out/rows"),)]),
)
def test_the_api_server_accepts_what_is_built(
    fields: dict[str, Any],
    mode: dict[str, Any],
    pod_labels: dict[str, str],
    restart_policy: str,
    flow_rules: tuple[FailureRule, ...],
    name: str,
    outputs: tuple[OutputArtifact, ...],
) -> None:
    given_template = template({**fields, **mode}, pod={"metadata": {"labels": pod_labels}}, labels=pod_labels)
    # With backoffLimitPerIndex the API server wants Never.
    given_template["spec"]["template"]["spec"]["restartPolicy"] = "Never" if mode else restart_policy
    given_step = evolve(step(given_template, retry=RETRY, output_artifacts=outputs), name=StepName(name))
    policy = PodFailurePolicy(flow_rules) if flow_rules else None
    job = build_job(given_step, evolve(FLOW, name=name), 2, values={}, policy=policy, artifact_image="zenflow:1")
    assert isinstance(job, dict)
    assert server_complains(job) == []
