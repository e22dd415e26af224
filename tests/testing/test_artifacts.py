"""A flow with artifacts on the cluster in memory, where Pods carry our containers: what comes to be in its status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import manifest, retry, step
from tests.laws.runs import Run
from zenflow_core.dump import Dump, read_dump, told
from zenflow_core.plan import ResourceKind, ResourceRef
from zenflow_core.reasons import StoredArtifact
from zenflow_core.settings import DEFAULTS, ArtifactClaim, Settings
from zenflow_testing.laws import LawCheck, LawViolated, artifacts
from zenflow_testing.outcomes import CalmOutcomes, Outcomes, Script, ScriptedEnding, ScriptedOutcomes
from zenflow_testing.simulation import simulate

IMAGE = Settings(artifact_image="zenflow:1")
S3 = {"bucket": "builds", "key": "nightly/app.tar", "endpoint": "https://s3.example.com"}
APP = StoredArtifact("ab" * 32, 4096, "s3://builds/nightly/app.tar")


def builds(*more: dict[str, Any], **made: Any) -> dict[str, Any]:
    """A step that makes the artifact `app`, and others; in the namespace of the laws' runs."""
    app = {"name": "app", "path": "/out/app", **made}
    body = manifest(step("build", outputs={"artifacts": [app]}, retryPolicy=retry(1, 10)), *more)
    body["metadata"]["namespace"] = "default"
    return body


def uses(**how: Any) -> dict[str, Any]:
    return step("use", "build", inputs={"artifacts": [{"name": "app", "from": "build/app", **how}]})


def scripted(**endings: tuple[ScriptedEnding, ...]) -> Outcomes:
    return ScriptedOutcomes(Script(steps=endings))


def played(flow: dict[str, Any], outcomes: Outcomes | None = None, settings: Settings = IMAGE) -> Run:
    run = Run(flow, outcomes or CalmOutcomes(), watcher=LawCheck(), settings=settings)
    run.play()
    return run


def rows(run: Run) -> dict[str, Any]:
    return {row["name"]: row for row in run.decisions[-1].status["steps"]}


def job(run: Run, name: str) -> dict[str, Any]:
    (found,) = (each for each in run.cluster.list("Job", "default").items if f"-{name}-" in each["metadata"]["name"])
    return dict(found["spec"]["template"]["spec"])


def test_what_was_stored_comes_into_status_and_to_the_consumer() -> None:
    said = ScriptedEnding(timedelta(seconds=5), artifacts={"app": APP})
    run = played(builds(uses(), s3=S3), scripted(build=(said,)))
    assert rows(run)["build"]["outputs"] == {
        "artifacts": [
            {"name": "app", "sha256": "ab" * 32, "sizeBytes": 4096, "location": "s3://builds/nightly/app.tar"}
        ]
    }
    (fetch,) = job(run, "use")["initContainers"]
    assert "ab" * 32 in fetch["env"][0]["value"]


def test_the_claim_is_made_first_and_mounted() -> None:
    run = played(builds(uses()))
    (claim,) = run.cluster.list("PersistentVolumeClaim", "default").items
    assert claim["metadata"]["name"] == "nightly-zenflow-artifacts"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert "storageClassName" not in claim["spec"]
    pod = job(run, "use")
    assert {"name": "zenflow-artifacts", "persistentVolumeClaim": {"claimName": "nightly-zenflow-artifacts"}} in pod[
        "volumes"
    ]
    assert rows(run)["build"]["outputs"]["artifacts"][0]["location"].startswith("claim:build/1/")


@pytest.mark.parametrize(
    ("flow", "settings", "claims"),
    [
        pytest.param(builds(), IMAGE, 1, id="an artifact without a store needs it"),
        pytest.param(builds(s3=S3), IMAGE, 0, id="one in S3 does not"),
        pytest.param(builds(), DEFAULTS, 0, id="nor one of which no bytes are moved"),
    ],
)
def test_the_claim_is_only_there_if_needed(flow: dict[str, Any], settings: Settings, claims: int) -> None:
    run = Run(flow, CalmOutcomes(), settings=settings)
    assert len(run.plan.resources) == claims


def test_the_claim_is_as_the_settings_say() -> None:
    asked = ArtifactClaim("20Gi", storage_class="nfs", access_mode="ReadWriteMany")
    run = Run(builds(), CalmOutcomes(), settings=Settings("zenflow:1", asked))
    template = run.plan.resources[ResourceRef(ResourceKind.CLAIM, "zenflow-artifacts")]
    assert template["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "nfs",
    }


def test_settings_do_not_change_the_hash_of_the_spec() -> None:
    assert (
        Run(builds(), CalmOutcomes()).plan.fingerprint == Run(builds(), CalmOutcomes(), settings=IMAGE).plan.fingerprint
    )


def test_a_failed_upload_is_named() -> None:
    full = ScriptedEnding(timedelta(seconds=5), upload_failure="the bucket does not exist")
    run = played(builds(uses(), s3=S3), scripted(build=(full, full)))
    assert rows(run)["build"]["reason"] == "RetriesExhausted"
    assert "zenflow-outputs exited with 15: the bucket does not exist; Job has reached" in rows(run)["build"]["message"]
    assert "outputs" not in rows(run)["build"]


def test_an_artifact_that_was_not_left_fails_the_upload() -> None:
    nothing = ScriptedEnding(timedelta(seconds=5), artifacts={"app": None})
    run = played(builds(s3=S3), scripted(build=(nothing, nothing)))
    assert "artifact app: there is nothing at its path" in rows(run)["build"]["message"]


def test_the_consumer_gets_what_the_last_attempt_has_stored() -> None:
    full = ScriptedEnding(timedelta(seconds=5), upload_failure="try again")
    once, twice = played(builds(s3=S3)), played(builds(s3=S3), scripted(build=(full,)))
    first, second = (rows(run)["build"]["outputs"]["artifacts"][0] for run in (once, twice))
    assert (rows(once)["build"]["attempt"], rows(twice)["build"]["attempt"]) == (1, 2)
    assert first["sha256"] != second["sha256"]


def test_without_an_image_nothing_is_carried_and_nothing_recorded() -> None:
    run = played(builds(uses()), settings=DEFAULTS)
    assert rows(run)["use"]["phase"] == "Succeeded"
    assert "outputs" not in rows(run)["build"]
    assert "initContainers" not in job(run, "use")


def test_a_dump_carries_the_settings_so_that_a_replay_decides_the_same() -> None:
    run = Run(builds(uses(), s3=S3), CalmOutcomes(), settings=IMAGE)
    lines: list[str] = []
    simulate(run.flow, run.plan, CalmOutcomes(), dump=lines.append)
    dump = read_dump(lines, file="d.dump")
    assert isinstance(dump, Dump), dump
    assert dump.plan.settings == IMAGE
    assert [told(decision) for _, decision in dump.replay()] == [step.decided for step in dump.steps]


def test_the_law_sees_a_record_that_nobody_reported() -> None:
    run = played(builds(s3=S3))
    state = run.decisions[-1].state
    seen = [decision for decision in run.decisions if decision.state.records[0].artifacts]
    assert seen
    from attrs import evolve

    forged = evolve(state.records[0], artifacts={"app": APP})
    records = state.records.edit()
    records[0] = forged
    with pytest.raises(LawViolated, match="artifacts"):
        artifacts(evolve(seen[-1], state=evolve(seen[-1].state, records=records.freeze())))
