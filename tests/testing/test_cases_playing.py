"""What each event does to the objects of the cluster, and to the processes of the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from zenflow_core.names import approval_key
from zenflow_testing.cases.format import CaseFile, read_case
from zenflow_testing.cases.runner import Run
from zenflow_testing.errors import ApiError

FLOW = """\
id: sample
flow:
  apiVersion: workflow.kube-zen.io/v1alpha1
  kind: JobFlow
  metadata: {name: sample}
  spec:
    steps:
    - name: a
      retryPolicy: {limit: 3, backoff: {type: Fixed, duration: 5s}}
      outputs: {parameters: [{name: v, valueFrom: {jsonPath: $.v}}]}
      template:
        spec:
          completions: 3
          parallelism: 2
          template:
            metadata: {labels: {team: data}}
            spec: {restartPolicy: Never, containers: [{name: main, image: x}, {name: side, image: z}]}
    - {name: gate, type: Manual}
"""


class Played:
    """A case whose history has happened."""

    def __init__(self, history: str, until: float = 30) -> None:
        loaded = read_case(f"{FLOW}until: {until}\nexpect: []\nhistory:\n{history}", file="sample.case.yaml")
        assert isinstance(loaded, CaseFile), "\n".join(map(str, loaded))
        self.run = Run(loaded.case)
        assert self.run.play() == []

    def all(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        return self.run.cluster.list(kind, "default").items

    def one(self, kind: str) -> Mapping[str, Any]:
        (found,) = self.all(kind)
        return found

    def conditions(self) -> dict[str, tuple[str, str]]:
        return {
            each["type"]: (each["status"], each.get("reason", "")) for each in self.one("Job")["status"]["conditions"]
        }

    def phases(self) -> dict[str, str]:
        return {row["name"]: row["phase"] for row in self.one("JobFlow")["status"]["steps"]}


def test_a_started_job_has_a_pod_that_says_whose_it_is() -> None:
    played = Played("- {at: 2, event: JobStarted, step: a}")
    job, pod = played.one("Job"), played.one("Pod")
    assert job["status"] == {"active": 1, "ready": 1, "startTime": "2026-01-01T00:00:02Z"}
    assert pod["status"]["phase"] == "Running"
    labels = pod["metadata"]["labels"]
    assert labels["team"] == "data"
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == job["metadata"]["name"]
    assert labels["batch.kubernetes.io/controller-uid"] == job["metadata"]["uid"]


def test_several_pods_of_a_started_job_are_left_to_the_history() -> None:
    played = Played("- {at: 2, event: JobStarted, step: a, active: 2}")
    assert played.one("Job")["status"]["active"] == 2
    assert played.all("Pod") == ()


def test_a_complete_job_has_all_its_completions_and_leaves_the_output() -> None:
    played = Played(
        "- {at: 2, event: JobStarted, step: a}\n"
        "- {at: 3, event: StepOutput, step: a, json: {v: 'x y'}}\n"
        "- {at: 4, event: JobComplete, step: a}"
    )
    status = played.one("Job")["status"]
    assert (status["succeeded"], status["active"], status["completionTime"]) == (3, 0, "2026-01-01T00:00:04Z")
    assert played.conditions() == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    main, side = played.one("Pod")["status"]["containerStatuses"]
    assert main["state"]["terminated"]["exitCode"] == 0
    assert json.loads(main["state"]["terminated"]["message"]) == {"v": "x y"}
    assert "message" not in side["state"]["terminated"]
    assert played.phases()["a"] == "Succeeded"


def test_output_of_a_size_has_that_size() -> None:
    played = Played("- {at: 3, event: StepOutput, step: a, bytes: 5000}\n- {at: 4, event: JobComplete, step: a}")
    (main, _) = played.one("Pod")["status"]["containerStatuses"]
    assert len(main["state"]["terminated"]["message"]) == 5000
    assert list(json.loads(main["state"]["terminated"]["message"])) == ["v"]


def test_a_failed_job_counts_and_so_do_its_pods() -> None:
    played = Played(
        "- {at: 2, event: JobStarted, step: a}\n"
        "- {at: 4, event: JobFailed, step: a, reason: DeadlineExceeded, exitCode: 9}",
        5,
    )
    assert played.one("Job")["status"]["failed"] == 1
    assert played.conditions() == {
        "FailureTarget": ("True", "DeadlineExceeded"),
        "Failed": ("True", "DeadlineExceeded"),
    }
    pod = played.one("Pod")["status"]
    assert pod["phase"] == "Failed"
    assert {each["state"]["terminated"]["exitCode"] for each in pod["containerStatuses"]} == {9}


def test_status_and_conditions_are_merged() -> None:
    played = Played(
        "- {at: 2, event: JobStatus, step: a, status: {active: 1, ready: 0}}\n"
        "- {at: 3, event: JobStatus, step: a, status: {ready: 1}}\n"
        "- {at: 4, event: JobCondition, step: a, type: Suspended, status: 'True', reason: JobSuspended}\n"
        "- {at: 5, event: JobCondition, step: a, type: FailureTarget}\n"
        "- {at: 6, event: JobCondition, step: a, type: Suspended, status: 'False', reason: JobResumed}"
    )
    status = played.one("Job")["status"]
    assert (status["active"], status["ready"]) == (1, 1)
    assert played.conditions() == {"FailureTarget": ("True", ""), "Suspended": ("False", "JobResumed")}


def test_a_pod_is_as_it_is_told() -> None:
    played = Played(
        "- {at: 2, event: PodPhase, step: a, phase: Running, containers: [{name: main}, {name: mesh, sidecar: true}]}\n"
        "- at: 3\n  event: PodPhase\n  step: a\n  phase: Failed\n  reason: Evicted\n"
        "  containers:\n  - {name: main, exitCode: 137, reason: OOMKilled, restarts: 2}\n"
        "  - {name: setup, init: true, exitCode: 0}\n"
        "  conditions: [{type: DisruptionTarget, reason: EvictionByEvictionAPI}]"
    )
    status = played.one("Pod")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["conditions"][0]["status"] == "True"
    (main,) = status["containerStatuses"]
    assert (main["restartCount"], main["state"]["terminated"]["reason"]) == (2, "OOMKilled")
    (setup,) = status["initContainerStatuses"]
    assert setup["state"]["terminated"]["exitCode"] == 0


def test_a_pod_that_is_told_to_end_stays_until_it_is_gone_or_its_job_is_deleted() -> None:
    ending = "- {at: 2, event: PodPhase, step: a, phase: Running, deleting: true, containers: [{name: main}]}\n"
    assert "deletionTimestamp" in Played(ending).one("Pod")["metadata"]
    assert Played(f"{ending}- {{at: 3, event: PodGone, step: a}}").all("Pod") == ()
    assert Played(f"{ending}- {{at: 3, event: JobDeleted, step: a}}", 5).all("Pod") == ()


def test_a_job_can_hang_in_its_deletion() -> None:
    hanging = Played("- {at: 2, event: JobDeleting, step: a}\n", 20)
    job = hanging.one("Job")["metadata"]
    assert job["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in job
    for finalizer in ("foregroundDeletion", "example.com/audit"):
        gone = Played(
            f"- {{at: 2, event: JobDeleting, step: a, finalizer: {finalizer}}}\n"
            f"- {{at: 9, event: FinalizerRemoved, object: Job, step: a, finalizer: {finalizer}}}",
            12,
        )
        assert gone.all("Job") == ()


def test_deletes_can_be_slow() -> None:
    history = "- {at: 1, event: HoldDeletes, kind: Job, seconds: 5.5}\n- {at: 2, event: JobDeleted, step: a}"
    assert "deletionTimestamp" in Played(history, 7).one("Job")["metadata"]
    assert Played(history, 8.5).all("Job") == ()


def test_approvals_and_annotations() -> None:
    approve = "- {at: 2, event: Approve, step: gate}\n"
    assert Played(approve).phases()["gate"] == "Succeeded"
    early = "- {at: 0, event: OperatorCrash}\n"
    withdrawn = Played(f"{early}{approve}- {{at: 3, event: Unapprove, step: gate}}\n- {{at: 4, event: OperatorStart}}")
    assert withdrawn.phases()["gate"] == "PendingApproval"
    assert approval_key("gate") not in (withdrawn.one("JobFlow")["metadata"].get("annotations") or {})
    noted = Played("- {at: 2, event: FlowAnnotated, set: {a/b: c, d: e}}\n- {at: 3, event: FlowAnnotated, remove: [d]}")
    assert noted.one("JobFlow")["metadata"]["annotations"] == {"a/b": "c"}


def test_an_edit_of_what_never_changes_is_as_if_it_had_not_been_sent() -> None:
    played = Played(
        "- {at: 2, event: FlowEdited, jsonPatch: [{op: replace, path: /spec/steps/1/name, value: other}]}\n"
        "- {at: 3, event: FlowEdited, jsonPatch: [{op: add, path: /spec/suspend, value: true}]}\n"
        "- {at: 4, event: FlowEdited, jsonPatch: [{op: add, path: /spec/suspend, value: maybe}]}"
    )
    flow = played.one("JobFlow")
    assert [step["name"] for step in flow["spec"]["steps"]] == ["a", "gate"]
    assert flow["spec"]["suspend"] is True
    assert flow["metadata"]["generation"] == 2


def test_the_flow_has_the_uid_of_the_format_and_another_has_not() -> None:
    manifest = "{apiVersion: workflow.kube-zen.io/v1alpha1, kind: JobFlow, metadata: {name: two}, spec: {steps: [%s]}}"
    gate = "{name: g, type: Manual}"
    played = Played(f"- {{at: 2, event: FlowCreated, sameFlowAs: sample, manifest: {manifest % gate}}}")
    one, two = played.all("JobFlow")
    assert one["metadata"]["uid"] == "0a0a0a0a-0000-4000-8000-000000000001"
    assert two["metadata"]["uid"] != one["metadata"]["uid"]
    assert two["spec"]["executionPolicy"] == {"concurrencyGroup": "sample"}
    assert two["status"]["phase"] == "Pending"


def test_what_validation_refuses_is_not_there() -> None:
    manifest = "{apiVersion: workflow.kube-zen.io/v1alpha1, kind: JobFlow, metadata: {name: two}, spec: {steps: []}}"
    played = Played(f"- {{at: 2, event: FlowCreated, manifest: {manifest}}}")
    assert len(played.all("JobFlow")) == 1
    assert "spec.steps" in played.run.stage.refused["two"].message


@pytest.mark.parametrize(
    ("error", "requests", "jobs"),
    [
        pytest.param("code: 503, times: 2", [503, 503, 0], 1, id="so many times"),
        pytest.param("code: 503, seconds: 5", [503, 503, 503, 0], 1, id="so many seconds"),
        pytest.param("code: 503", [503, 0], 1, id="once if nothing is said"),
        pytest.param("code: 504, applied: true", [504], 1, id="done and not said"),
        pytest.param("code: 422, reason: Invalid", [422], 0, id="for good"),
        pytest.param("code: 429, retryAfter: 17", [429, 0], 1, id="with Retry-After"),
        pytest.param("step: b, code: 503", [0], 1, id="about another step"),
        pytest.param("flow: two, code: 503", [0], 1, id="about another flow"),
        pytest.param("flow: two, step: a, code: 503", [0], 1, id="about that step of another flow"),
    ],
)
def test_an_api_error_answers_the_requests_that_it_is_about(error: str, requests: list[int], jobs: int) -> None:
    played = Played(f"- {{at: -1, event: ApiError, verb: create, kind: Job, {error}}}")
    assert [each.code for each in played.run.journal.requests if each.verb == "create"] == requests
    assert len(played.all("Job")) == jobs


@pytest.mark.parametrize(
    ("when", "requests"), [pytest.param("after", 1, id="after it"), pytest.param("before", 0, id="before it")]
)
def test_a_process_dies_on_the_right_side_of_its_request(when: str, requests: int) -> None:
    dies = f"- {{at: -1, event: OperatorCrashOn, verb: create, kind: Job, when: {when}}}"
    played = Played(dies)
    assert len(played.all("Job")) == requests
    assert not played.run.processes["a"].alive
    revived = Played(f"{dies}\n- {{at: 5, event: OperatorStart}}")
    assert len(revived.all("Job")) == 1
    assert revived.run.processes["a"].alive


def test_a_clock_jumps_for_one_process_alone() -> None:
    played = Played(
        "- {at: 1, event: OperatorStart, instance: b}\n- {at: 2, event: ClockJump, seconds: 90, instance: b}"
    )
    a, b = (played.run.processes[name].clock.now for name in "ab")
    assert (b - a).total_seconds() == 90


def test_a_namespace_that_goes_takes_nothing_new() -> None:
    played = Played("- {at: -1, event: NamespaceTerminating}\n")
    assert played.all("JobFlow") == ()
    with pytest.raises(ApiError, match="being terminated"):
        played.run.cluster.create("ConfigMap", {"metadata": {"name": "x"}}, namespace="default")
