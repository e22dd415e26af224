"""How Jobs, Pods and people behave in a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.observation import Absent, Present
from zenflow_core.reading import termination_result
from zenflow_core.spec import API_VERSION, StepName
from zenflow_testing.clock import EPOCH, VirtualClock
from zenflow_testing.cluster import Cluster, Event, EventType, KubernetesVersion, Propagation
from zenflow_testing.demands import Demand
from zenflow_testing.errors import forbidden
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import (
    ApprovalGiven,
    ApprovalRefused,
    CalmOutcomes,
    Decision,
    JobEnding,
    NeverDecided,
    Outcomes,
    Script,
    ScriptedApproval,
    ScriptedEnding,
    ScriptedOutcomes,
    SeededOutcomes,
)
from zenflow_testing.world import IGNORED_PODS, PodDetail, World

OLD = KubernetesVersion(1, 30)
ASKED = {StepName("build"): Demand({"digest": "build.digest"})}


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@frozen
class Told:
    """Outcomes word for word: the endings of all runs in order, whatever the step; the last one again and again."""

    endings: tuple[JobEnding, ...] = (JobEnding(after(10)),)
    decision: Decision = ApprovalGiven(after(60))
    resumed: timedelta | None = timedelta(0)
    keys: Mapping[str, str] = field(factory=dict)

    def job(self, step: str, attempt: int) -> JobEnding:
        return self.endings[min(attempt, len(self.endings)) - 1]

    def approval(self, step: str) -> Decision:
        return self.decision

    def config_map(self, name: str, key: str) -> str | None:
        return self.keys.get(f"{name}.{key}")

    def suspended(self, step: str) -> timedelta | None:
        return self.resumed


def fails(exit_code: int, seconds: float = 30, **more: Any) -> Told:
    return Told((JobEnding(after(seconds), exit_code, **more),))


class Play:
    """A cluster with a flow, a world and a garbage collector, and all that a watch has seen."""

    def __init__(self, outcomes: Outcomes | None = None, *, version: KubernetesVersion | None = None, **more: Any):
        self.clock = VirtualClock()
        self.cluster = Cluster(self.clock, version=version)
        self.world = World(self.cluster, outcomes, **more)
        self.garbage = GarbageCollector(self.cluster)
        self.events: list[Event] = []
        self.cluster.subscribe(self.events.append)
        self.flow = self.cluster.create("JobFlow", {"metadata": {"name": "nightly"}, "spec": {}}, namespace="ci")

    def job(self, step: str = "build", attempt: int = 1, **spec: Any) -> str:
        """Create a Job as zenflow does; `spec` is laid over the simplest one."""
        name = f"nightly-{step}-{attempt}"
        owner = {
            "apiVersion": API_VERSION,
            "kind": "JobFlow",
            "name": "nightly",
            "uid": self.flow["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        labels = {"workflow.kube-zen.io/step": step, "workflow.kube-zen.io/attempt": str(attempt)}
        container = {"name": "main", "image": "busybox"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        self.cluster.create(
            "Job",
            {
                "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
                "spec": {"backoffLimit": 0, "template": template, **spec},
            },
            namespace="ci",
        )
        return name

    def settle(self) -> None:
        """Let happen what is due now."""
        while self.world.run_due() + self.garbage.run_due():
            pass

    def until(self, seconds: float | None = None) -> Play:
        """Play on until so many seconds from the start, or until nothing is due any more."""
        end = None if seconds is None else EPOCH + after(seconds)
        self.settle()
        while True:
            dues = [at for at in (self.world.next_due(), self.garbage.next_due()) if at is not None]
            if not dues or (end is not None and min(dues) > end):
                break
            self.clock.advance_to(max(min(dues), self.clock.now))
            self.settle()
        if end is not None:
            self.clock.advance_to(end)
        return self

    def status(self, name: str = "nightly-build-1") -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.cluster.get("Job", "ci", name)["status"]
        return status

    def pods(self) -> list[str]:
        return [f"{pod['metadata']['name']} {pod['status']['phase']}" for pod in self.cluster.list("Pod", "ci").items]

    def story(self) -> list[str]:
        """One line an event of Jobs and Pods: the second, what it is about, and what there is to see."""
        return [self._line(event) for event in self.events if event.kind in ("Job", "Pod")]

    def _line(self, event: Event) -> str:
        head = f"{int((event.at - EPOCH).total_seconds())} {event.kind}"
        marks = " deleting" if "deletionTimestamp" in event.object["metadata"] else ""
        if event.type is EventType.DELETED:
            return f"{head} gone"
        if event.kind == "Pod":
            return f"{head} {event.object['status']['phase']}{marks}"
        status = event.object["status"]
        counts = [
            f"{word}={status[word]}"
            for word in ("active", "ready", "terminating", "succeeded", "failed")
            if status.get(word) or (word == "ready" and "active" in status)
        ]
        if event.object["spec"].get("suspend"):
            counts.append("suspend")
        conditions = [
            each["type"] if each["status"] == "True" else f"not {each['type']}" for each in status.get("conditions", ())
        ]
        return " ".join([head, *counts, *conditions]) + marks


# Conditions and counts, in the order in which a watch sees them


@pytest.mark.parametrize(
    ("version", "outcomes", "spec", "story"),
    [
        pytest.param(
            None,
            Told(),
            {},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "10 Job succeeded=1 SuccessCriteriaMet",
                "10 Job succeeded=1 SuccessCriteriaMet Complete",
            ],
            id="a Job succeeds",
        ),
        pytest.param(
            OLD,
            Told(),
            {},
            ["0 Job", "0 Job active=1 ready=1", "10 Job succeeded=1 Complete"],
            id="before 1.31 success was not announced",
        ),
        pytest.param(
            None,
            fails(1),
            {},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "30 Job failed=1 FailureTarget",
                "30 Job failed=1 FailureTarget Failed",
            ],
            id="a Job fails",
        ),
        pytest.param(
            OLD,
            fails(1),
            {},
            ["0 Job", "0 Job active=1 ready=1", "30 Job failed=1 Failed"],
            id="before 1.31 failure was not announced",
        ),
        pytest.param(
            None,
            Told(),
            {"activeDeadlineSeconds": 5},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "5 Job terminating=1 FailureTarget",
                "6 Job failed=1 FailureTarget Failed",
            ],
            id="past its deadline a Job fails when its Pods have ended",
        ),
        pytest.param(
            OLD,
            Told(),
            {"activeDeadlineSeconds": 5},
            ["0 Job", "0 Job active=1 ready=1", "5 Job terminating=1 failed=1 Failed"],
            id="before 1.31 a Job past its deadline did not wait for its Pods",
        ),
        pytest.param(
            None,
            Told(),
            {"activeDeadlineSeconds": 10},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "10 Job succeeded=1 SuccessCriteriaMet",
                "10 Job succeeded=1 SuccessCriteriaMet Complete",
            ],
            id="an end at the deadline itself is in time",
        ),
        pytest.param(
            None,
            Told((JobEnding(after(0)),)),
            {},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "0 Job succeeded=1 SuccessCriteriaMet",
                "0 Job succeeded=1 SuccessCriteriaMet Complete",
            ],
            id="a run may take no time at all",
        ),
        pytest.param(
            None,
            Told((JobEnding(after(0.2)),)),
            {},
            [
                "0 Job",
                "0 Job active=1 ready=1",
                "1 Job succeeded=1 SuccessCriteriaMet",
                "1 Job succeeded=1 SuccessCriteriaMet Complete",
            ],
            id="a part of a second is a whole one",
        ),
        pytest.param(
            None,
            Told(),
            {"completions": 6, "parallelism": 4},
            [
                "0 Job",
                "0 Job active=4 ready=4",
                "10 Job succeeded=6 SuccessCriteriaMet",
                "10 Job succeeded=6 SuccessCriteriaMet Complete",
            ],
            id="all completions are counted at the end",
        ),
        pytest.param(
            None,
            Told(),
            {"completions": 2, "parallelism": 4},
            [
                "0 Job",
                "0 Job active=2 ready=2",
                "10 Job succeeded=2 SuccessCriteriaMet",
                "10 Job succeeded=2 SuccessCriteriaMet Complete",
            ],
            id="no more Pods than completions",
        ),
        pytest.param(
            None,
            Told(),
            {"completions": 0},
            ["0 Job", "0 Job", "0 Job SuccessCriteriaMet", "0 Job SuccessCriteriaMet Complete"],
            id="no completions are reached at once",
        ),
        pytest.param(None, Told(), {"parallelism": 0}, ["0 Job", "0 Job"], id="without parallelism nothing ever runs"),
        pytest.param(
            None,
            Told(),
            {"suspend": True},
            [
                "0 Job suspend",
                "0 Job suspend Suspended",
                "0 Job Suspended",
                "0 Job active=1 ready=1 not Suspended",
                "10 Job succeeded=1 not Suspended SuccessCriteriaMet",
                "10 Job succeeded=1 not Suspended SuccessCriteriaMet Complete",
            ],
            id="a suspended Job is resumed at once",
        ),
        pytest.param(
            None,
            Told(resumed=after(90)),
            {"suspend": True, "activeDeadlineSeconds": 20},
            [
                "0 Job suspend",
                "0 Job suspend Suspended",
                "90 Job Suspended",
                "90 Job active=1 ready=1 not Suspended",
                "100 Job succeeded=1 not Suspended SuccessCriteriaMet",
                "100 Job succeeded=1 not Suspended SuccessCriteriaMet Complete",
            ],
            id="the Job's deadline does not count while it is suspended",
        ),
        pytest.param(
            None,
            Told(resumed=None),
            {"suspend": True},
            ["0 Job suspend", "0 Job suspend Suspended"],
            id="nobody resumes it",
        ),
    ],
)
def test_what_a_watch_sees_of_a_job(
    version: KubernetesVersion | None, outcomes: Outcomes, spec: Mapping[str, Any], story: list[str]
) -> None:
    play = Play(outcomes, version=version)
    play.job(**spec)
    assert play.until().story() == story


def test_what_a_watch_sees_of_a_job_with_a_pod() -> None:
    play = Play(Told(), demands=ASKED)
    play.job()
    assert play.until().story() == [
        "0 Job",
        "0 Job active=1 ready=0",
        "0 Pod Pending",
        "0 Pod Running",
        "0 Job active=1 ready=1",
        "10 Pod Succeeded",
        "10 Job succeeded=1 SuccessCriteriaMet",
        "10 Job succeeded=1 SuccessCriteriaMet Complete",
    ]


def test_the_status_of_a_complete_job_word_for_word() -> None:
    play = Play()
    play.job()
    said = {"reason": "CompletionsReached", "message": "Reached expected number of succeeded pods"}
    when = {"lastProbeTime": "2026-01-01T00:00:10Z", "lastTransitionTime": "2026-01-01T00:00:10Z"}
    assert play.until().status() == {
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:10Z",
        "ready": 0,
        "terminating": 0,
        "succeeded": 1,
        "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", **said, **when},
            {"type": "Complete", "status": "True", **said, **when},
        ],
    }


@pytest.mark.parametrize(
    ("outcomes", "spec", "version", "reason", "message"),
    [
        pytest.param(
            fails(1), {}, None, "BackoffLimitExceeded", "Job has reached the specified backoff limit", id="exit code"
        ),
        pytest.param(
            Told(),
            {"activeDeadlineSeconds": 1},
            None,
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
            id="deadline",
        ),
        pytest.param(
            fails(1),
            {"completions": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "backoffLimit": 9},
            None,
            "FailedIndexes",
            "Job has failed indexes",
            id="index",
        ),
        pytest.param(Told(), {}, OLD, "", "", id="before 1.31 success had no reason"),
        pytest.param(
            Told(),
            {
                "completions": 2,
                "parallelism": 2,
                "completionMode": "Indexed",
                "successPolicy": {"rules": [{"succeededCount": 1}]},
            },
            None,
            "SuccessPolicy",
            "Matched rules at index 0",
            id="success policy",
        ),
    ],
)
def test_why_a_job_ended(
    outcomes: Outcomes, spec: Mapping[str, Any], version: KubernetesVersion | None, reason: str, message: str
) -> None:
    play = Play(outcomes, version=version)
    play.job(**spec)
    conditions = play.until().status()["conditions"]
    assert {(each.get("reason", ""), each.get("message", "")) for each in conditions} == {(reason, message)}


def test_an_indexed_job_names_the_indexes_that_are_done() -> None:
    play = Play()
    play.job(completions=3, completionMode="Indexed")
    play.job("other", completions=1, completionMode="Indexed")
    play.until()
    assert [play.status(name)["completedIndexes"] for name in ("nightly-build-1", "nightly-other-1")] == ["0-2", "0"]


# podFailurePolicy


def on_exit_codes(action: str, operator: str, *values: int, container: str | None = None) -> dict[str, Any]:
    named = {} if container is None else {"containerName": container}
    return {"action": action, "onExitCodes": {**named, "operator": operator, "values": list(values)}}


def on_disruption(action: str) -> dict[str, Any]:
    return {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


WON = "Complete at 40"
COUNTED = "Failed at 30: BackoffLimitExceeded, Job has reached the specified backoff limit"


@pytest.mark.parametrize(
    ("rules", "first", "then"),
    [
        pytest.param(
            [on_exit_codes("FailJob", "In", 3, 42)],
            JobEnding(after(30), 42),
            "Failed at 30: PodFailurePolicy, Container main for pod ci/nightly-build-1-p0 failed with exit code 42 "
            "matching FailJob rule at index 0",
            id="FailJob on a code",
        ),
        pytest.param([on_exit_codes("FailJob", "In", 3)], JobEnding(after(30), 42), COUNTED, id="another code"),
        pytest.param([on_exit_codes("Ignore", "In", 42)], JobEnding(after(30), 42), WON, id="Ignore on a code"),
        pytest.param([on_exit_codes("Ignore", "NotIn", 42)], JobEnding(after(30), 42), COUNTED, id="NotIn, listed"),
        pytest.param([on_exit_codes("Ignore", "NotIn", 42)], JobEnding(after(30), 41), WON, id="NotIn, not listed"),
        pytest.param(
            [on_exit_codes("Count", "In", 42), on_exit_codes("Ignore", "In", 42)],
            JobEnding(after(30), 42),
            COUNTED,
            id="the first rule that matches decides",
        ),
        pytest.param(
            [on_exit_codes("Count", "In", 1), on_exit_codes("Ignore", "In", 42)],
            JobEnding(after(30), 42),
            WON,
            id="a rule that does not match is passed over",
        ),
        pytest.param(
            [on_exit_codes("Ignore", "In", 42, container="main")], JobEnding(after(30), 42), WON, id="its container"
        ),
        pytest.param(
            [on_exit_codes("Ignore", "In", 42, container="helper")],
            JobEnding(after(30), 42),
            COUNTED,
            id="another container",
        ),
        pytest.param(
            [on_disruption("Ignore")],
            JobEnding(after(30), 143, disruption="PreemptionByScheduler"),
            WON,
            id="a disruption",
        ),
        pytest.param([on_disruption("Ignore")], JobEnding(after(30), 143), COUNTED, id="no disruption"),
        pytest.param(
            [on_exit_codes("Count", "In", 1), on_disruption("FailJob")],
            JobEnding(after(30), 143, disruption="TerminationByKubelet"),
            "Failed at 30: PodFailurePolicy, Pod ci/nightly-build-1-p0 has condition DisruptionTarget "
            "matching FailJob rule at index 1",
            id="FailJob on a disruption",
        ),
    ],
)
@pytest.mark.parametrize("pods", list(PodDetail))
def test_a_pod_failure_policy_decides(
    rules: list[dict[str, Any]], first: JobEnding, then: str, *, pods: PodDetail
) -> None:
    helper = {"name": "helper", "image": "busybox"}
    main = {"name": "main", "image": "busybox"}
    template = {"spec": {"restartPolicy": "Never", "containers": [helper, main]}}
    play = Play(Told((first, JobEnding(after(10)))), pods=pods)
    play.job(podFailurePolicy={"rules": rules}, template=template)
    last = play.until().status()["conditions"][-1]
    at = int(last["lastTransitionTime"][-3:-1])
    said = "" if last["type"] == "Complete" else f": {last['reason']}, {last['message']}"
    assert f"{last['type']} at {at}{said}" == then
    assert play.status().get("failed", 0) == (last["type"] == "Failed")


def test_an_ignored_pod_is_replaced() -> None:
    play = Play(Told((JobEnding(after(30), 42), JobEnding(after(10)))), pods=PodDetail.ALWAYS)
    play.job(podFailurePolicy={"rules": [on_exit_codes("Ignore", "In", 42)]})
    assert play.until().story()[5:] == [
        "30 Pod Failed",
        "30 Job active=1 ready=0",
        "30 Pod Pending",
        "30 Pod Running",
        "30 Job active=1 ready=1",
        "40 Pod Succeeded",
        "40 Job succeeded=1 SuccessCriteriaMet",
        "40 Job succeeded=1 SuccessCriteriaMet Complete",
    ]
    assert play.pods() == ["nightly-build-1-p0 Failed", "nightly-build-1-p1 Succeeded"]


def test_a_pod_in_place_of_an_ignored_one_is_the_next_run_of_the_step() -> None:
    """Run 1 ignored, 2 counts, so attempt 2 is run 3."""
    endings = (JobEnding(after(5), 42), JobEnding(after(5), 1), JobEnding(after(7)))
    play = Play(Told(endings))
    policy = {"rules": [on_exit_codes("Ignore", "In", 42)]}
    play.job(podFailurePolicy=policy)
    play.until()
    play.job(attempt=2, podFailurePolicy=policy)
    play.until()
    assert play.status()["conditions"][-1]["lastTransitionTime"] == "2026-01-01T00:00:10Z"
    assert play.status("nightly-build-2")["completionTime"] == "2026-01-01T00:00:17Z"


@pytest.mark.parametrize("pods", list(PodDetail))
def test_not_every_failure_is_ignored_for_ever(pods: PodDetail) -> None:
    play = Play(fails(42, seconds=0), pods=pods)
    play.job(podFailurePolicy={"rules": [on_exit_codes("Ignore", "In", 42)]})
    assert play.until().status()["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    if pods is PodDetail.ALWAYS:
        assert len(play.pods()) == IGNORED_PODS + 1


def test_the_deadline_counts_from_the_start_of_the_job_and_not_of_its_latest_pod() -> None:
    play = Play(fails(42, seconds=30))
    play.job(podFailurePolicy={"rules": [on_exit_codes("Ignore", "In", 42)]}, activeDeadlineSeconds=70)
    assert play.until().story()[-2:] == ["70 Job terminating=1 FailureTarget", "71 Job failed=1 FailureTarget Failed"]


def test_at_its_deadline_a_job_tells_its_pod_to_end() -> None:
    play = Play(demands=ASKED)
    play.job(activeDeadlineSeconds=5)
    assert play.until().story()[5:] == [
        "5 Job terminating=1 FailureTarget",
        "5 Pod Running deleting",
        "6 Pod gone",
        "6 Job failed=1 FailureTarget Failed",
    ]


def test_a_deadline_beyond_all_dates_is_none() -> None:
    play = Play()
    play.job(activeDeadlineSeconds=2**62)
    assert play.until().status()["conditions"][-1]["type"] == "Complete"


# Pods


@pytest.mark.parametrize(
    ("detail", "demands", "pods"),
    [
        pytest.param(PodDetail.WHEN_READ, {}, [], id="nobody reads"),
        pytest.param(PodDetail.WHEN_READ, ASKED, ["nightly-build-1-p0 Succeeded"], id="its result is read"),
        pytest.param(PodDetail.ALWAYS, {}, ["nightly-build-1-p0 Succeeded", "nightly-test-1-p0 Succeeded"], id="all"),
    ],
)
def test_which_jobs_have_pods(detail: PodDetail, demands: Mapping[StepName, Demand], pods: list[str]) -> None:
    play = Play(pods=detail, demands=demands)
    play.job()
    play.job("test")
    assert play.until().pods() == pods


def test_a_pod_belongs_to_its_job() -> None:
    play = Play(pods=PodDetail.ALWAYS)
    name = play.job(completions=2, completionMode="Indexed")
    play.settle()
    uid = play.cluster.get("Job", "ci", name)["metadata"]["uid"]
    (pod,) = play.cluster.list("Pod", "ci").items
    assert pod["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": name,
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    labels = pod["metadata"]["labels"]
    assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == name
    assert labels["batch.kubernetes.io/controller-uid"] == uid
    assert labels["batch.kubernetes.io/job-completion-index"] == "0"
    assert pod["status"]["containerStatuses"] == [
        {"name": "main", "ready": True, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    ]


@pytest.mark.parametrize(
    ("ending", "terminated"),
    [
        pytest.param(JobEnding(after(3)), {"exitCode": 0, "reason": "Completed"}, id="success"),
        pytest.param(JobEnding(after(3), 137), {"exitCode": 137, "reason": "Error"}, id="failure"),
        pytest.param(
            JobEnding(after(3), 137, reason="OOMKilled"), {"exitCode": 137, "reason": "OOMKilled"}, id="a reason given"
        ),
        pytest.param(
            JobEnding(after(3), 2, message="no space left"),
            {"exitCode": 2, "reason": "Error", "message": "no space left"},
            id="words of a failure",
        ),
    ],
)
def test_how_a_container_ended(ending: JobEnding, terminated: Mapping[str, Any]) -> None:
    play = Play(Told((ending,)), pods=PodDetail.ALWAYS)
    play.job()
    play.until()
    (pod,) = play.cluster.list("Pod", "ci").items
    (container,) = pod["status"]["containerStatuses"]
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:03Z"}
    assert container["state"] == {"terminated": {**terminated, **times}}


def test_a_disrupted_pod_says_so() -> None:
    play = Play(fails(143, disruption="EvictionByEvictionAPI"), pods=PodDetail.ALWAYS)
    play.job()
    play.until()
    (pod,) = play.cluster.list("Pod", "ci").items
    (condition,) = pod["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")


@pytest.mark.parametrize(
    ("ending", "result"),
    [
        pytest.param(JobEnding(), Present('{"digest":"build.digest"}'), id="what is asked"),
        pytest.param(
            JobEnding(outputs={"size": 3}), Present('{"digest":"build.digest","size":3}'), id="scripted outputs over it"
        ),
        pytest.param(JobEnding(message="plain text"), Present("plain text"), id="a message word for word"),
        pytest.param(
            JobEnding(message=""),
            Absent("container main of Pod nightly-build-1-p0 left no termination message"),
            id="no message",
        ),
        pytest.param(
            JobEnding(message="ä" * 2049),
            Absent(
                "the termination message of container main of Pod nightly-build-1-p0 reaches the 4096 bytes at which "
                "it is cut off"
            ),
            id="a message that a kubelet cuts off",
        ),
    ],
)
@pytest.mark.parametrize("main_is_an_init_container", [False, True])
def test_the_result_is_where_the_project_reads_it(
    ending: JobEnding, result: Present | Absent, *, main_is_an_init_container: bool
) -> None:
    play = Play(Told((ending,)), demands=ASKED)
    main = {"name": "main", "image": "busybox"}
    outputs = {"name": "zenflow-outputs", "image": "busybox"}
    containers = {"initContainers": [main], "containers": [outputs]} if main_is_an_init_container else None
    template = {"spec": {"restartPolicy": "Never", **(containers or {"containers": [main]})}}
    play.job(template=template)
    play.until()
    assert termination_result(play.cluster.list("Pod", "ci").items, "main") == result


def test_beside_a_failed_init_container_nothing_has_started() -> None:
    play = Play(fails(1), pods=PodDetail.ALWAYS)
    main = {"name": "main", "image": "busybox"}
    outputs = {"name": "zenflow-outputs", "image": "busybox"}
    play.job(template={"spec": {"restartPolicy": "Never", "initContainers": [main], "containers": [outputs]}})
    play.until()
    (pod,) = play.cluster.list("Pod", "ci").items
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


# A controller that takes its time


def test_a_job_may_say_late_that_its_pods_have_ended() -> None:
    play = Play(demands=ASKED, sync_delay=after(1))
    play.job()
    assert play.until().story()[-3:] == [
        "10 Pod Succeeded",
        "11 Job succeeded=1 SuccessCriteriaMet",
        "11 Job succeeded=1 SuccessCriteriaMet Complete",
    ]


def test_a_change_of_its_spec_makes_a_job_look_at_once() -> None:
    play = Play(demands=ASKED, sync_delay=after(5))
    name = play.job()
    play.until(10)
    assert "conditions" not in play.status()
    play.cluster.patch_merge("Job", "ci", name, {"spec": {"ttlSecondsAfterFinished": 2**31 - 1}})
    play.settle()
    assert play.status()["completionTime"] == "2026-01-01T00:00:10Z"


# Deleted and changed by others


@pytest.mark.parametrize("pods", list(PodDetail))
def test_a_job_deleted_in_the_foreground_stays_until_its_pod_has_ended(pods: PodDetail) -> None:
    play = Play(pods=pods)
    name = play.job()
    play.until(4)
    play.cluster.delete("Job", "ci", name, propagation=Propagation.FOREGROUND)
    play.until()
    assert play.story()[-3:] == ["4 Pod Running deleting", "5 Pod gone", "5 Job gone"]
    assert not play.cluster.list("Job", "ci").items
    assert not play.pods()


def test_a_job_deleted_in_the_background_is_gone_before_its_pod() -> None:
    play = Play(pods=PodDetail.ALWAYS)
    name = play.job()
    play.until(4)
    play.cluster.delete("Job", "ci", name)
    play.until()
    assert play.story()[-3:] == ["4 Job gone", "5 Pod Running deleting", "6 Pod gone"]


def test_a_finished_job_is_deleted_without_waiting() -> None:
    play = Play(pods=PodDetail.ALWAYS)
    name = play.job()
    play.until(20)
    play.cluster.delete("Job", "ci", name, propagation=Propagation.FOREGROUND)
    play.settle()
    assert play.story()[-2:] == ["20 Pod gone", "20 Job gone"]


@pytest.mark.parametrize("propagation", [Propagation.FOREGROUND, Propagation.BACKGROUND])
def test_what_a_deleted_job_would_have_done_is_not_due_any_more(propagation: Propagation) -> None:
    play = Play()
    name = play.job()
    play.until(4)
    play.cluster.delete("Job", "ci", name, propagation=propagation)
    play.settle()
    play.until(5)
    assert play.world.next_due() is None


def test_a_job_that_a_finalizer_keeps_goes_on_to_its_end() -> None:
    play = Play()
    name = play.job()
    play.settle()
    play.cluster.patch_merge("Job", "ci", name, {"metadata": {"finalizers": ["example.com/keep"]}})
    play.cluster.delete("Job", "ci", name)
    assert play.until().status()["conditions"][-1]["type"] == "Complete"


def test_a_new_job_of_the_same_name_has_a_life_of_its_own() -> None:
    play = Play()
    name = play.job()
    play.until(4)
    play.cluster.delete("Job", "ci", name)
    play.job()
    assert play.until().status()["completionTime"] == "2026-01-01T00:00:14Z"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        pytest.param(None, "BackoffLimitExceeded", id="it counts as failed"),
        pytest.param({"rules": [on_exit_codes("FailJob", "In", 143)]}, "PodFailurePolicy", id="a policy is asked"),
    ],
)
def test_a_job_whose_pod_is_deleted_has_failed(policy: Mapping[str, Any] | None, reason: str) -> None:
    play = Play(pods=PodDetail.ALWAYS)
    name = play.job() if policy is None else play.job(podFailurePolicy=policy)
    play.until(4)
    play.cluster.delete("Pod", "ci", f"{name}-p0")
    last = play.until().status()["conditions"][-1]
    assert (last["type"], last["reason"], last["lastTransitionTime"]) == ("Failed", reason, "2026-01-01T00:00:05Z")


def test_a_job_suspended_while_it_runs_begins_anew() -> None:
    play = Play(Told(resumed=after(20)), demands=ASKED)
    name = play.job()
    play.until(4)
    play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": True}})
    assert play.until().story()[5:] == [
        "4 Job active=1 ready=1 suspend",
        "4 Job suspend Suspended",
        "4 Pod Running deleting",
        "5 Pod gone",
        "24 Job Suspended",
        "24 Job active=1 ready=0 not Suspended",
        "24 Pod Pending",
        "24 Pod Running",
        "24 Job active=1 ready=1 not Suspended",
        "34 Pod Succeeded",
        "34 Job succeeded=1 not Suspended SuccessCriteriaMet",
        "34 Job succeeded=1 not Suspended SuccessCriteriaMet Complete",
    ]
    assert play.status()["startTime"] == "2026-01-01T00:00:24Z"


@pytest.mark.parametrize(("parallelism", "completed"), [(1, "2026-01-01T00:00:10Z"), (0, None)])
def test_a_job_suspended_and_resumed_before_anybody_looks_runs_on(parallelism: int, completed: str | None) -> None:
    play = Play()
    name = play.job(parallelism=parallelism)
    play.until(4)
    for suspend in (True, False):
        play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": suspend}})
    assert play.until().status().get("completionTime") == completed


def test_a_suspended_job_gets_no_pod_in_place_of_an_ignored_one() -> None:
    play = Play(Told((JobEnding(after(10), 42), JobEnding(after(10))), resumed=after(50)), sync_delay=after(1))
    name = play.job(podFailurePolicy={"rules": [on_exit_codes("Ignore", "In", 42)]})
    play.until(10)
    play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": True}})
    assert play.until().story()[3:6] == [
        "10 Job suspend Suspended",
        "60 Job Suspended",
        "60 Job active=1 ready=1 not Suspended",
    ]
    assert play.status()["completionTime"] == "2026-01-01T00:01:11Z"


def test_a_job_that_never_had_pods_has_none_to_wait_for() -> None:
    play = Play()
    name = play.job(parallelism=0)
    play.until(4)
    play.cluster.delete("Job", "ci", name, propagation=Propagation.FOREGROUND)
    play.settle()
    assert play.story()[-1] == "4 Job gone"


def test_what_has_become_pointless_does_not_happen_beside_something_else() -> None:
    play = Play(Told(resumed=after(20)))
    play.job("test")
    name = play.job()
    play.until(4)
    play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": True}})
    play.until()
    assert play.status()["completionTime"] == "2026-01-01T00:00:34Z"
    assert play.status("nightly-test-1")["completionTime"] == "2026-01-01T00:00:10Z"


def test_somebody_else_may_resume_a_job() -> None:
    play = Play(Told(resumed=None))
    name = play.job(suspend=True)
    play.until(7)
    play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": False}})
    assert play.until().status()["completionTime"] == "2026-01-01T00:00:17Z"


def test_an_end_that_somebody_else_has_written_stands() -> None:
    play = Play(fails(1))
    name = play.job()
    play.until(4)
    over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:04Z"}]}
    play.cluster.patch_merge("Job", "ci", name, {"status": over}, subresource="status")
    assert [each["type"] for each in play.until().status()["conditions"]] == ["Complete"]


def test_jobs_of_others_are_left_alone() -> None:
    play = Play()
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}
    play.cluster.create("Job", {"metadata": {"name": "theirs"}, "spec": {"template": template}}, namespace="ci")
    assert play.world.next_due() is None
    assert play.until().status("theirs") == {}


def test_faults_meant_for_other_clients_do_not_hit_the_world() -> None:
    play = Play(demands=ASKED)
    play.job()
    play.cluster.before_request = lambda _verb, kind, _namespace, name, _body: forbidden(
        play.cluster.kind_info(kind.partition("/")[0]).target(name), "no"
    )
    play.world.run_due()
    play.clock.advance(10)
    play.world.run_due()
    play.cluster.before_request = None
    assert play.status()["conditions"][-1]["type"] == "Complete"


def test_a_pod_that_the_server_refuses_never_runs() -> None:
    play = Play(pods=PodDetail.ALWAYS)
    play.job()
    play.cluster.terminate_namespace("ci")
    assert play.until().story() == ["0 Job", "0 Job active=1 ready=0"]


# Approvals and ConfigMaps


def answers(play: Play) -> Mapping[str, str]:
    found: Mapping[str, str] = play.cluster.get("JobFlow", "ci", "nightly")["metadata"].get("annotations", {})
    return found


APPROVED, REJECTED, APPROVER = (f"{word}.workflow.kube-zen.io/deploy" for word in ("approved", "rejected", "approver"))


@pytest.mark.parametrize(
    ("decision", "at", "set_"),
    [
        pytest.param(ApprovalGiven(), 60, {APPROVED: "true"}, id="given"),
        pytest.param(ApprovalGiven(after(9), "ann"), 9, {APPROVED: "true", APPROVER: "ann"}, id="given by somebody"),
        pytest.param(ApprovalRefused(after(9), "no"), 9, {REJECTED: "no"}, id="rejected"),
        pytest.param(
            ApprovalRefused(after(9), "no", "bob"), 9, {REJECTED: "no", APPROVER: "bob"}, id="rejected by somebody"
        ),
    ],
)
def test_a_request_is_answered_in_its_time(decision: Decision, at: int, set_: Mapping[str, str]) -> None:
    play = Play(Told(decision=decision))
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    play.world.approval_asked(play.flow, "deploy", at=EPOCH + after(5))
    assert play.world.next_due() == EPOCH + after(at)
    assert answers(play.until(at - 1)) == {}
    assert answers(play.until()) == set_
    assert len([event for event in play.events if event.kind == "JobFlow"]) == 2


def test_a_request_may_never_be_answered() -> None:
    play = Play(Told(decision=NeverDecided()))
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    assert play.world.next_due() is None


@pytest.mark.parametrize("key", [APPROVED, REJECTED])
def test_an_answer_that_is_there_already_stands(key: str) -> None:
    play = Play(Told(decision=ApprovalRefused(after(9), "no")))
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    play.cluster.patch_merge("JobFlow", "ci", "nightly", {"metadata": {"annotations": {key: "true"}}})
    assert answers(play.until()) == {key: "true"}


def test_nobody_answers_for_a_flow_that_is_gone() -> None:
    play = Play()
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    play.cluster.delete("JobFlow", "ci", "nightly")
    play.cluster.create("JobFlow", {"metadata": {"name": "nightly"}, "spec": {}}, namespace="ci")
    assert play.world.next_due() is None
    assert answers(play.until()) == {}


def test_an_answer_that_admission_refuses_is_not_given() -> None:
    play = Play()
    play.cluster.admissions.append(
        lambda _kind, _old, _new: forbidden(play.cluster.kind_info("JobFlow").target("x"), "no")
    )
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    assert answers(play.until()) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("here", "from the cluster", id="the object has it"),
        pytest.param("told", "from the script", id="the object lacks it"),
        pytest.param("both", "from the cluster", id="the object comes first"),
        pytest.param("neither", None, id="nobody has it"),
    ],
)
def test_where_the_value_of_a_key_comes_from(key: str, value: str | None) -> None:
    play = Play(Told(keys={"notes.told": "from the script", "notes.both": "from the script"}))
    data = {"here": "from the cluster", "both": "from the cluster"}
    play.cluster.create("ConfigMap", {"metadata": {"name": "notes"}, "data": data}, namespace="ci")
    assert play.world.config_map_value("notes", key, namespace="ci") == value


def test_a_config_map_in_another_namespace_is_another() -> None:
    play = Play(Told())
    play.cluster.create("ConfigMap", {"metadata": {"name": "notes"}, "data": {"a": "b"}}, namespace="other")
    assert play.world.config_map_value("notes", "a", namespace="ci") is None


# Laws

_endings = st.builds(
    ScriptedEnding,
    st.none() | st.integers(0, 3000).map(timedelta),
    st.sampled_from([0, 1, 42, 137]),
    outputs=st.none() | st.dictionaries(st.sampled_from(["digest", "size"]), st.integers(), max_size=2),
    disruption=st.sampled_from(["", "PreemptionByScheduler"]),
)
_scripts = st.builds(
    Script,
    st.dictionaries(st.sampled_from(["build", "test"]), st.lists(_endings, max_size=5).map(tuple)),
    st.dictionaries(st.sampled_from(["deploy"]), st.none() | st.builds(ScriptedApproval)),
    suspended=st.dictionaries(st.sampled_from(["build"]), st.none() | st.integers(0, 100).map(after)),
)
_policies = st.none() | st.lists(
    st.sampled_from([on_exit_codes("Ignore", "In", 42), on_disruption("Ignore"), on_exit_codes("FailJob", "NotIn", 1)]),
    min_size=1,
    max_size=3,
).map(lambda rules: {"rules": rules})
_specs = st.fixed_dictionaries(
    {},
    optional={
        "activeDeadlineSeconds": st.integers(1, 1000),
        "suspend": st.booleans(),
        "parallelism": st.integers(0, 3),
        "completions": st.integers(0, 3),
        "podFailurePolicy": _policies.filter(lambda policy: policy is not None),
    },
)
_touches = st.lists(
    st.tuples(
        st.integers(0, 50), st.sampled_from(["suspend", "resume", "delete", "foreground", "delete pod", "nudge"])
    ),
    max_size=4,
)


def _played(
    outcomes: Outcomes, specs: list[dict[str, Any]], touches: list[tuple[int, str]], pods: PodDetail
) -> list[tuple[int, str, Object]]:
    play = Play(outcomes, pods=pods, sync_delay=after(1))
    names = [play.job(step, **spec) for step, spec in zip(("build", "test"), specs, strict=False)]
    play.world.approval_asked(play.flow, "deploy", at=EPOCH)
    for wait, touch in touches:
        play.until((play.clock.now - EPOCH).total_seconds() + wait)
        present = {job["metadata"]["name"] for job in play.cluster.list("Job", "ci").items}
        for name in (name for name in names if name in present):
            match touch:
                case "suspend" | "resume":
                    play.cluster.patch_merge("Job", "ci", name, {"spec": {"suspend": touch == "suspend"}})
                case "nudge":
                    play.cluster.patch_merge("Job", "ci", name, {"spec": {"ttlSecondsAfterFinished": 2**31 - 1}})
                case "delete pod":
                    for pod in play.cluster.list("Pod", "ci").items:
                        play.cluster.delete("Pod", "ci", pod["metadata"]["name"])
                case _:
                    background = touch == "delete"
                    policy = Propagation.BACKGROUND if background else Propagation.FOREGROUND
                    play.cluster.delete("Job", "ci", name, propagation=policy)
    # 68 years are no time for a heap, but a nudged Job is still deleted by then.
    play.until()
    return [(event.resource_version, event.type.value, event.object) for event in play.events]


@given(
    _scripts, st.integers(0, 5), st.lists(_specs, min_size=1, max_size=2), _touches, st.sampled_from(list(PodDetail))
)
def test_every_script_ends_and_the_same_script_does_the_same(
    script: Script, seed: int, specs: list[dict[str, Any]], touches: list[tuple[int, str]], pods: PodDetail
) -> None:
    """Whatever is scripted and whoever meddles: the heap runs dry, twice with the same events, byte for byte."""
    outcomes = ScriptedOutcomes(script, SeededOutcomes(seed))
    events = _played(outcomes, specs, touches, pods)
    assert events == _played(outcomes, specs, touches, pods)
    for _, _, obj in events:
        if obj["kind"] == "Job":
            types = [each["type"] for each in obj["status"].get("conditions", ()) if each["status"] == "True"]
            assert len(types) == len(set(types))
            assert not {"Complete", "Failed"} <= set(types)
            announced = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}
            assert all(announced[type_] in types for type_ in types if type_ in announced)


def _ends(outcomes: Outcomes, pods: PodDetail, specs: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    play = Play(outcomes, pods=pods)
    names = [play.job(step, **spec) for step, spec in zip(("build", "test"), specs, strict=False)]
    play.until()
    return [play.status(name) for name in names]


@given(_scripts, st.integers(0, 5), st.lists(_specs, min_size=1, max_size=2))
def test_a_job_ends_the_same_with_and_without_a_pod(script: Script, seed: int, specs: list[dict[str, Any]]) -> None:
    outcomes = ScriptedOutcomes(script, SeededOutcomes(seed))
    with_pods, without = (_ends(outcomes, pods, specs) for pods in (PodDetail.ALWAYS, PodDetail.WHEN_READ))
    assert with_pods == without


def test_a_world_that_has_been_closed_sees_no_more_jobs() -> None:
    play = Play()
    play.world.close()
    play.job()
    assert play.world.next_due() is None


def test_calm_is_the_default() -> None:
    plain, calm = Play(), Play(CalmOutcomes())
    for play in (plain, calm):
        play.job()
        play.until()
    assert plain.story() == calm.story()
