"""Golden lives: each tells one story, on the in-memory cluster, with the real operator and every law looking on.

A golden file is rewritten by `pytest tests/lifecycles --update-golden`, and its diff is what is reviewed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.core.builders import TEMPLATE, manifest, manual, retry, step
from zenflow_core.artifact_store import STORE
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError, Target, forbidden, invalid, required
from zenflow_testing.laws import LawCheck
from zenflow_testing.lifecycle import Deed, Happening, play
from zenflow_testing.outcomes import Script, ScriptedApproval, ScriptedEnding, ScriptedOutcomes

HERE = Path(__file__).parent


@frozen
class Story:
    """A flow, what happens to it, and what the story is about."""

    name: str
    about: str
    flow: Mapping[str, Any]
    script: Script = Script()
    happenings: Sequence[Happening] = ()
    prepare: Deed | None = None
    settings: Settings = DEFAULTS


def runs(seconds: int, code: int = 0, **outputs: Any) -> ScriptedEnding:
    return ScriptedEnding(timedelta(seconds=seconds), code, outputs=outputs or None)


def steps(**endings: tuple[ScriptedEnding, ...]) -> Script:
    return Script(steps=endings)


def refusing(*answers: ApiError) -> Deed:
    """The next creates of Jobs are answered so."""

    def prepare(cluster: Cluster) -> None:
        waiting = list(answers)

        def before(verb: str, kind: str, namespace: str, name: str, body: Any) -> ApiError | None:
            return waiting.pop(0) if (verb, kind) == ("create", "Job") and waiting else None

        cluster.before_request = before

    return prepare


def job_named(name: str) -> str:
    return f"nightly-{name}-0a0a0a0a"


def deletes(name: str) -> Callable[[Cluster], object]:
    return lambda cluster: cluster.delete("Job", "ci", job_named(name))


def suspends(name: str, suspend: bool) -> Callable[[Cluster], object]:
    return lambda cluster: cluster.patch_merge("Job", "ci", job_named(name), {"spec": {"suspend": suspend}})


def says_store(bucket: str, key: str) -> Deed:
    """The namespace says where its artifacts go."""

    def say(cluster: Cluster) -> None:
        body = {"metadata": {"name": STORE.name}, "data": {STORE.key: f"s3: {{bucket: {bucket}, key: {key}}}"}}
        with suppress(ApiError):
            cluster.delete("ConfigMap", "ci", STORE.name)
        cluster.create("ConfigMap", body, namespace="ci")

    return say


def edits(**spec: Any) -> Callable[[Cluster], object]:
    return lambda cluster: cluster.patch_merge("JobFlow", "ci", "nightly", {"spec": spec})


JOBS = Target("batch", "jobs", "Job", "x")
QUOTA = forbidden(JOBS, "exceeded quota: compute")
BUSY = ApiError(429, "TooManyRequests", message="slow down", retry_after=30)
INVALID = invalid(JOBS, [required("spec.template.spec.restartPolicy")])
OUT: dict[str, Any] = {"outputs": {"parameters": [{"name": "tag", "valueFrom": {"jsonPath": "$.tag"}}]}}
TAGGED: dict[str, Any] = {
    "inputs": {"parameters": [{"name": "tag", "valueFrom": {"jsonPath": "build:$.tag"}}]},
    "template": {
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox", "args": ["{{.parameters.tag}}"]}],
                }
            }
        }
    },
}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}

S3 = {"bucket": "builds", "key": "nightly/log.tar"}

STORIES = (
    Story(
        "happy-chain",
        "One step after the other; each starts at the instant at which the one before it is complete.",
        manifest(step("build"), step("test", "build"), step("deploy", "test")),
        steps(build=(runs(40),), test=(runs(90),)),
    ),
    Story(
        "diamond-with-skip",
        "A branch whose condition is false is skipped, and what joins the branches runs all the same.",
        manifest(
            step("build", **OUT),
            step("unit", "build"),
            step("slow", "build", when="steps.build.outputs.parameters.tag == 'release'"),
            step("deploy", "unit", "slow"),
        ),
        steps(build=(runs(40, tag="snapshot"),), unit=(runs(20),)),
    ),
    Story(
        "retry-then-success",
        "Two attempts fail, the pauses grow, the third attempt succeeds.",
        manifest(step("build", retryPolicy=retry(3, 10, "Exponential"))),
        steps(build=(runs(40, 1), runs(40, 1), runs(40))),
    ),
    Story(
        "retries-exhausted-and-drain",
        "The last attempt fails: what runs may finish, what has not begun is skipped, and then the flow has failed.",
        manifest(step("build", retryPolicy=retry(1, 10)), step("lint"), step("docs", "lint"), step("deploy", "build")),
        steps(build=(runs(20, 1), runs(20, 137)), lint=(runs(120),)),
    ),
    Story(
        "fail-fast",
        "With failFast the first failure stops what runs.",
        manifest(step("build"), step("lint"), step("deploy", "build", "lint"), policy={"failFast": True}),
        steps(build=(runs(20, 1),), lint=(runs(120),)),
    ),
    Story(
        "timeout-and-retry",
        "An attempt that runs too long is deleted; the next waits until the Job is gone, and has the whole time again.",
        manifest(step("build", timeoutSeconds=60, retryPolicy=retry(1, 1))),
        steps(build=(runs(300), runs(50))),
    ),
    Story(
        "deadline-during-backoff",
        "The flow's time is over while a step waits for its retry: its failure stays a failure.",
        manifest(
            step("build", retryPolicy=retry(3, 600)), step("deploy", "build"), policy={"activeDeadlineSeconds": 300}
        ),
        steps(build=(runs(40, 1),)),
    ),
    Story(
        "retry-budget",
        "Two retries are within the flow's budget of two, the third ends it.",
        manifest(
            step("build", retryPolicy=retry(5, 10)),
            step("test", retryPolicy=retry(5, 10)),
            step("lint"),
            policy={"backoffLimit": 2},
        ),
        steps(build=(runs(20, 1), runs(60, 1)), test=(runs(30, 1), runs(400)), lint=(runs(500),)),
    ),
    Story(
        "approval-given",
        "The flow is Paused until somebody approves; the other branch goes on meanwhile.",
        manifest(step("build"), manual("gate", "build"), step("docs", "build"), step("deploy", "gate")),
        Script(steps={"docs": (runs(30),)}, approvals={"gate": ScriptedApproval(timedelta(minutes=5), by="ann")}),
    ),
    Story(
        "approval-rejected",
        "A rejection is a failure, with its reason.",
        manifest(step("build"), manual("gate", "build"), step("deploy", "gate")),
        Script(approvals={"gate": ScriptedApproval(timedelta(minutes=5), reject="not on a Friday", by="bob")}),
    ),
    Story(
        "approval-timeout",
        "Nobody answers in time.",
        manifest(manual("gate", timeoutSeconds=3600, continueOnFailure=True), step("deploy", "gate")),
        Script(approvals={"gate": None}),
    ),
    Story(
        "parallelism",
        "Two slots for four steps: a slot is free when its Job is over.",
        manifest(*(step(name) for name in ("a", "b", "c", "d")), policy={"parallelism": 2}),
        steps(a=(runs(30),), b=(runs(10),), c=(runs(40),)),
    ),
    Story(
        "refused-creates",
        "Creates that are refused for now are sent again, later if the server says so; no attempt is used up.",
        manifest(step("build", retryPolicy=retry(1, 10))),
        steps(build=(runs(40),)),
        prepare=refusing(QUOTA, QUOTA, BUSY),
    ),
    Story(
        "rejected-create",
        "A Job that the server will never take fails its step at once, without a retry.",
        manifest(step("build", retryPolicy=retry(3, 10)), step("deploy", "build")),
        prepare=refusing(INVALID),
    ),
    Story(
        "job-lost",
        "Somebody deletes a running Job: a failed attempt like any other.",
        manifest(step("build", retryPolicy=retry(1, 10))),
        steps(build=(runs(120), runs(40))),
        happenings=(Happening(30, f"somebody deletes Job {job_named('build')}", deletes("build")),),
    ),
    Story(
        "outputs-into-inputs",
        "What one step leaves is what the next one gets.",
        manifest(step("build", **OUT), step("deploy", "build", **TAGGED)),
        steps(build=(runs(40, tag="v1.2.3"),)),
    ),
    Story(
        "input-missing",
        "A key that no ConfigMap has: the step fails, and says which.",
        manifest(
            step(
                "build",
                inputs={
                    "parameters": [
                        {"name": "level", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}
                    ]
                },
                template=TEMPLATE,
            )
        ),
        Script(config_maps={"settings": {"level": None}}),
    ),
    Story(
        "finally-after-a-failure",
        "`finally` runs when everything else is over, however that was.",
        manifest(
            step("build"),
            step("lint"),
            step("deploy", "build"),
            last=[
                step("report"),
                step("alarm", when="flow.phase == 'Failed'"),
                step("praise", when="flow.phase == 'Succeeded'"),
            ],
        ),
        steps(build=(runs(20, 1),), lint=(runs(60),)),
    ),
    Story(
        "stopped",
        "`spec.shutdown: Stop` deletes what runs, and `finally` cleans up.",
        manifest(step("build"), step("deploy", "build"), last=[step("clean")]),
        steps(build=(runs(600),)),
        happenings=(Happening(60, "somebody sets spec.shutdown: Stop", edits(shutdown="Stop")),),
    ),
    Story(
        "suspended-by-a-queue",
        "While a queue keeps the Job suspended its clock stands still.",
        manifest(step("build", timeoutSeconds=60)),
        Script(steps={"build": (runs(100),)}, suspended={"build": None}),
        happenings=(
            Happening(20, f"a queue suspends Job {job_named('build')}", suspends("build", True)),
            Happening(3620, f"a queue releases Job {job_named('build')}", suspends("build", False)),
        ),
    ),
    Story(
        "suspended-flow",
        "`spec.suspend` lets running Jobs go on and starts nothing new.",
        manifest(step("build"), step("deploy", "build")),
        steps(build=(runs(60),)),
        happenings=(
            Happening(30, "somebody suspends the flow", edits(suspend=True)),
            Happening(300, "somebody resumes the flow", edits(suspend=False)),
        ),
    ),
    Story(
        "volumes-first",
        "Objects of resourceTemplates are there before the first step.",
        manifest(step("build"), resourceTemplates={"volumeClaimTemplates": [CLAIM]}),
    ),
    Story(
        "artifacts",
        "The claim comes first; an upload that fails is a failed attempt; what the next one stores the next steps get.",
        manifest(
            step(
                "build",
                outputs={
                    "artifacts": [{"name": "app", "path": "/out/app"}, {"name": "log", "path": "/out/log", "s3": S3}]
                },
                retryPolicy=retry(1, 10),
            ),
            step("test", "build", inputs={"artifacts": [{"name": "app", "from": "build/app"}]}),
            step("file", "build", inputs={"artifacts": [{"name": "log", "from": "build/log"}]}),
        ),
        steps(build=(ScriptedEnding(timedelta(seconds=40), upload_failure="the disk is full"), runs(40))),
        settings=Settings(artifact_image="zenflow:1"),
    ),
    Story(
        "artifacts-in-a-default-store",
        "The namespace names a store: no claim is made, what a step stores goes there and is found there.",
        manifest(
            step("build", outputs={"artifacts": [{"name": "app", "path": "/out/app"}]}),
            step("test", "build", inputs={"artifacts": [{"name": "app", "from": "build/app"}]}),
        ),
        steps(build=(runs(40),), test=(runs(20),)),
        prepare=says_store("builds", "flows/"),
        # Said anew while the flow runs, and something else: it counts for the next flow.
        happenings=(Happening(30, "the namespace says another store", says_store("elsewhere", "flows/")),),
        settings=Settings(artifact_image="zenflow:1", namespace_stores=True),
    ),
    Story(
        "artifact-store-invalid",
        "A store that cannot be meant ends the flow before anything runs, and it says what to mend.",
        manifest(step("build", outputs={"artifacts": [{"name": "app", "path": "/out/app"}]})),
        prepare=says_store("builds", "flows"),
        settings=Settings(artifact_image="zenflow:1", namespace_stores=True),
    ),
    Story(
        "pod-failure-policy",
        "The flow's policy in each Job: a lost Pod is ignored and made again, exit code 42 ends the attempt at once.",
        manifest(
            step("fetch"),
            step("check", "fetch", retryPolicy=retry(1, 10)),
            policy={
                "podFailurePolicy": {
                    "rules": [
                        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [137]}},
                        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
                    ]
                }
            },
        ),
        steps(fetch=(runs(20, 137), runs(20)), check=(runs(5, 42), runs(5))),
    ),
    Story(
        "artifacts-not-left",
        "An optional artifact that was not left: who can do without it runs, who cannot fails, and says why.",
        manifest(
            step("build", outputs={"artifacts": [{"name": "log", "path": "/out/log", "s3": S3, "optional": True}]}),
            step("mail", "build", inputs={"artifacts": [{"name": "log", "from": "build/log", "optional": True}]}),
            step(
                "file",
                "build",
                inputs={"artifacts": [{"name": "log", "from": "build/log"}]},
                continueOnFailure=True,
            ),
        ),
        steps(build=(ScriptedEnding(timedelta(seconds=40), artifacts={"log": None}),)),
        settings=Settings(artifact_image="zenflow:1"),
    ),
)


def text_of(story: Story) -> str:
    life = play(
        story.flow,
        ScriptedOutcomes(story.script),
        happenings=story.happenings,
        prepare=story.prepare,
        watcher=LawCheck(),
        settings=story.settings,
    )
    return f"# {story.about}\n\n{life}"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_life_goes_as_it_is_told(story: Story, request: pytest.FixtureRequest) -> None:
    golden = HERE / f"{story.name}.golden"
    found = text_of(story)
    if request.config.getoption("--update-golden", default=False):
        golden.write_text(found, encoding="utf-8")
    assert golden.exists(), "there is no golden file yet; write it with: pytest tests/lifecycles --update-golden"
    assert found == golden.read_text(encoding="utf-8"), (
        "the life goes another way; if that is right: pytest tests/lifecycles --update-golden"
    )


def test_every_golden_file_has_its_story() -> None:
    assert {path.stem for path in HERE.glob("*.golden")} == {story.name for story in STORIES}
