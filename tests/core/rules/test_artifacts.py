"""Artifacts at both ends: what a step has left is recorded, and whoever takes it is told where it is, or why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from tests.core.builders import TEMPLATE, UID, Around, Before, at, ended, job, pending, retries, running
from zenflow_core.artifact_container import ClaimFile
from zenflow_core.artifact_pod import Located
from zenflow_core.artifact_report import write_report
from zenflow_core.observation import UNREAD, Absent, Complete, Lookup, Origin, Present, Takeover
from zenflow_core.placeholders import compile_template
from zenflow_core.plan import ArtifactRead, PlannedOutput
from zenflow_core.reasons import (
    AttemptFailed,
    Cause,
    Hold,
    InputMissing,
    JobComplete,
    JobFailed,
    NeedsOutput,
    OutputMissing,
    OutputUnavailable,
    OutputValue,
    RetriedFrom,
    StepTimedOut,
    StoredArtifact,
)
from zenflow_core.rules.expiry import expiry
from zenflow_core.rules.inputs import Values, inputs, job_of, resolve
from zenflow_core.rules.origin import retried
from zenflow_core.rules.outcome import outcome
from zenflow_core.rules.outputs import capture
from zenflow_core.rules.timeout import timeout
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import Archive, ArtifactStore, InputArtifact, OutputArtifact, RetryOf, S3Location, StepName
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView

SUCCEEDED, FAILED, SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED
IMAGE = Settings(artifact_image="zenflow:1")
DONE = Complete(at("10:00:40"))
S3 = S3Location("b", "k")
IN_S3 = StoredArtifact("ab" * 32, 7, "s3://b/k")
ON_CLAIM = StoredArtifact("cd" * 32, 9, "claim:test/data")


def carried(view: StepView, settings: Settings = IMAGE) -> StepView:
    """The same view where bytes are moved."""
    return evolve(view, flow=evolve(view.flow, plan=evolve(view.flow.plan, settings=settings)))


# --- what a step has left --------------------------------------------------------------------------------------------

MODEL = OutputArtifact("model", "/out/model", s3=S3)
LOG = OutputArtifact("log", "/out/log", optional=True)


def captured(
    *made: OutputArtifact, transfer: Lookup = UNREAD, settings: Settings = IMAGE, **planned: Any
) -> JobComplete | OutputMissing | NeedsOutput:
    seen = evolve(job(complete="10:00:40", result=planned.pop("result", UNREAD)), transfer=transfer)
    return capture(
        carried(running("10:00:00", now="10:00:41", seen=seen, output_artifacts=made, **planned), settings), seen, DONE
    )


def reports(**stored: StoredArtifact) -> Present:
    return Present(write_report(stored))


NOT_REPORTED = "the artifact was not stored: zenflow-outputs did not report it"


@pytest.mark.parametrize(
    ("made", "transfer", "then"),
    [
        pytest.param((MODEL,), UNREAD, NeedsOutput(1), id="the report has to be read first"),
        pytest.param(
            (MODEL,), reports(model=IN_S3), JobComplete(DONE.at, artifacts={"model": IN_S3}), id="what was stored"
        ),
        pytest.param(
            (MODEL, LOG),
            reports(model=IN_S3, log=ON_CLAIM),
            JobComplete(DONE.at, artifacts={"model": IN_S3, "log": ON_CLAIM}),
            id="an optional one, if it is there",
        ),
        pytest.param(
            (MODEL, LOG),
            reports(model=IN_S3),
            JobComplete(DONE.at, artifacts={"model": IN_S3}),
            id="else it is left out",
        ),
        pytest.param((LOG,), reports(), JobComplete(DONE.at), id="and then there is nothing"),
        pytest.param((LOG,), Absent("gone"), JobComplete(DONE.at), id="an optional one needs no report"),
        pytest.param(
            (LOG, MODEL), reports(log=ON_CLAIM), OutputMissing(DONE.at, "model", NOT_REPORTED), id="a missing one fails"
        ),
        pytest.param(
            (MODEL,),
            Absent("the Job has no Succeeded Pod any more"),
            OutputMissing(DONE.at, "model", "the artifact was not stored: the Job has no Succeeded Pod any more"),
            id="without a report it is missing, and why",
        ),
        pytest.param(
            (MODEL,),
            Absent(),
            OutputMissing(DONE.at, "model", "the artifact was not stored: no report was found"),
            id="and nobody knows why",
        ),
        pytest.param(
            (MODEL,),
            Present("oops"),
            OutputMissing(DONE.at, "model", "the artifact was not stored: its report is not JSON"),
            id="a report that is none",
        ),
        pytest.param(
            (MODEL,),
            reports(model=IN_S3, other=ON_CLAIM),
            JobComplete(DONE.at, artifacts={"model": IN_S3}),
            id="what is not declared is not recorded",
        ),
    ],
)
def test_what_was_stored_is_recorded(
    made: tuple[OutputArtifact, ...], transfer: Lookup, then: JobComplete | OutputMissing | NeedsOutput
) -> None:
    assert captured(*made, transfer=transfer) == then


def test_without_an_image_what_is_declared_counts_as_left() -> None:
    assert captured(MODEL, settings=DEFAULTS) == JobComplete(DONE.at)


def test_parameters_and_artifacts_are_recorded_together() -> None:
    found = captured(
        MODEL, transfer=reports(model=IN_S3), result=Present('{"v": "x"}'), outputs=(PlannedOutput("v", "$.v"),)
    )
    assert found == JobComplete(DONE.at, {"v": OutputValue("x")}, {}, {"model": IN_S3})


def test_a_parameter_that_is_missing_comes_first() -> None:
    found = captured(MODEL, transfer=reports(), result=Present("{}"), outputs=(PlannedOutput("v", "$.v"),))
    assert isinstance(found, OutputMissing)
    assert found.output == "v"


# --- how an attempt has failed ---------------------------------------------------------------------------------------


def failing(transfer: Lookup = UNREAD, settings: Settings = IMAGE, now: str = "10:00:10", **rest: Any) -> StepView:
    seen = evolve(job(failed="10:00:09"), transfer=transfer)
    return carried(running("10:00:00", now=now, seen=seen, output_artifacts=(MODEL,), **rest), settings)


WHY = "zenflow-outputs exited with 1: no such bucket"
TOLD = JobFailed(at("10:00:09"), "BackoffLimitExceeded", f"{WHY}; one Pod failed")
PLAIN = JobFailed(at("10:00:09"), "BackoffLimitExceeded", "one Pod failed")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(failing(), NeedsOutput(1), id="what the artifact containers say is read first"),
        pytest.param(failing(Present(WHY)), TOLD, id="a failed upload is named"),
        pytest.param(failing(Absent("none failed")), PLAIN, id="if it was none the Job says it all"),
        pytest.param(failing(settings=DEFAULTS), PLAIN, id="where nothing is moved nothing is read"),
        pytest.param(
            failing(Present(WHY), retry=retries(pause=10)),
            AttemptFailed(1, TOLD, at("10:00:19")),
            id="it is a failed attempt like any other",
        ),
        pytest.param(
            failing(Present("x" * 600)),
            JobFailed(at("10:00:09"), "BackoffLimitExceeded", "x" * 512 + "; one Pod failed"),
            id="a long story is cut",
        ),
        pytest.param(failing(timeout=9, now="10:05:00"), None, id="failed at its deadline is left to the timeout"),
        pytest.param(failing(timeout=10, now="10:05:00"), NeedsOutput(1), id="failed before it is read all the same"),
    ],
)
def test_a_failed_attempt(given: StepView, then: Cause | Hold | None) -> None:
    assert outcome(given) == then


def test_no_deadline_ends_an_attempt_that_failed_before_it_and_is_only_read() -> None:
    assert timeout(failing(timeout=10, now="10:05:00")) is None
    assert timeout(failing(timeout=9, now="10:05:00")) == StepTimedOut(at("10:00:09"))


def test_no_failure_of_another_step_ends_it_either() -> None:
    other = Around(fatal=("10:00:09", "other"), fail_fast=True)
    assert expiry(failing(around=other)) is None


# --- what a step takes -----------------------------------------------------------------------------------------------

DATA = OutputArtifact("data", "/out/data", s3=S3)
KEPT = OutputArtifact("data", "/out/data")


def takes(
    made: OutputArtifact = DATA,
    *,
    phase: StepPhase = SUCCEEDED,
    stored: StoredArtifact | None = None,
    optional: bool = False,
    settings: Settings = IMAGE,
) -> StepView:
    before = evolve(ended(phase, "09:58:00"), artifacts=None if stored is None else {"data": stored})
    view = pending(
        before=(Before("test", before, tolerated=True),),
        template=compile_template(TEMPLATE),
        input_artifacts=(InputArtifact("had", path="/in/had", from_="test/data", optional=optional),),
        artifact_reads=(ArtifactRead("had", StepName("test"), 0, made, optional),),
    )
    return carried(view, settings)


THEN = at("09:58:00")


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            takes(stored=IN_S3),
            Values({}, {"had": Located(S3, IN_S3.sha256, 7, Archive())}),
            id="from S3, with its digest",
        ),
        pytest.param(
            takes(KEPT, stored=ON_CLAIM),
            Values({}, {"had": Located(ClaimFile("test/data"), ON_CLAIM.sha256, 9, None)}),
            id="from the claim, unpacked",
        ),
        pytest.param(takes(settings=DEFAULTS), Values({}), id="where nothing is moved it is just there"),
        pytest.param(
            takes(),
            InputMissing(THEN, "had", "step test left no artifact data"),
            id="an optional output that was not left",
        ),
        pytest.param(takes(optional=True), Values({}, {"had": None}), id="an optional input does without"),
        pytest.param(
            takes(stored=evolve(IN_S3, location="oci://x")),
            InputMissing(THEN, "had", "step test left no artifact data"),
            id="a place that this version does not know",
        ),
        pytest.param(
            takes(phase=FAILED, stored=IN_S3),
            InputMissing(THEN, "had", "step test, which makes artifact data, is Failed"),
            id="a tolerated failure leaves nothing",
        ),
        pytest.param(
            takes(phase=FAILED, optional=True), Values({}, {"had": None}), id="which an optional input stands"
        ),
        pytest.param(takes(phase=SKIPPED), OutputUnavailable(THEN, "had", StepName("test")), id="a skipped step"),
        pytest.param(
            takes(phase=SKIPPED, settings=DEFAULTS),
            OutputUnavailable(THEN, "had", StepName("test")),
            id="a skipped step, wherever it is asked",
        ),
        pytest.param(takes(phase=SKIPPED, optional=True), Values({}, {"had": None}), id="and an optional input of it"),
    ],
)
def test_where_an_artifact_is(given: StepView, then: Values | Cause) -> None:
    assert resolve(given) == then
    assert inputs(given) == (None if isinstance(then, Values) else then)


STORE = ArtifactStore(S3Location("shared", "flows/", endpoint="https://minio:9000"))
IN_STORE = StoredArtifact("ab" * 32, 7, f"s3://shared/flows/{UID}/test/1/5f0c2a91/data")


def stored_by_default(view: StepView, store: ArtifactStore | None = STORE) -> StepView:
    """The same view in a flow that has chosen that default store."""
    return evolve(view, flow=evolve(view.flow, record=evolve(view.flow.record, artifact_store=store)))


def test_what_lies_in_the_default_store_is_found_as_the_flow_has_recorded_it() -> None:
    place = S3Location("shared", f"flows/{UID}/test/1/5f0c2a91/data", endpoint="https://minio:9000")
    then = Values({}, {"had": Located(place, IN_STORE.sha256, 7, Archive())})
    assert resolve(stored_by_default(takes(KEPT, stored=IN_STORE))) == then


def test_without_its_store_nobody_knows_where_it_is() -> None:
    assert isinstance(resolve(takes(KEPT, stored=IN_STORE)), InputMissing)


def test_what_a_flow_has_put_on_its_claim_is_found_there_whatever_is_recorded_besides() -> None:
    found = resolve(stored_by_default(takes(KEPT, stored=ON_CLAIM)))
    assert found == Values({}, {"had": Located(ClaimFile("test/data"), ON_CLAIM.sha256, 9, None)})


def test_an_output_without_a_store_is_ordered_into_the_default_one_and_no_claim_is_mounted() -> None:
    view = pending(template=compile_template(TEMPLATE), output_artifacts=(LOG, MODEL))
    body = job_of(stored_by_default(carried(view)), Values({}))
    assert isinstance(body, dict)
    pod = body["spec"]["template"]["spec"]
    log, model = json.loads(pod["containers"][0]["env"][0]["value"])
    assert log["location"] == f"s3://shared/flows/{UID}/build/1/"
    assert (log["s3"]["endpoint"], log["s3"]["key"]) == ("https://minio:9000", f"flows/{UID}/build/1/")
    assert model["location"] == "s3://b/k"
    assert not any("persistentVolumeClaim" in volume for volume in pod["volumes"])


@pytest.mark.parametrize(
    ("store", "taken"),
    [
        pytest.param(STORE, True, id="the store that both have: it is taken over"),
        pytest.param(None, False, id="no store: the step runs again"),
    ],
)
def test_a_retry_takes_over_what_lies_in_the_default_store(store: ArtifactStore | None, taken: bool) -> None:
    origin = Origin({StepName("build"): Takeover(artifacts={"data": IN_STORE})}, store)
    view = pending(around=Around(retry_of="older", origin=origin), output_artifacts=(KEPT,))
    assert isinstance(retried(stored_by_default(carried(view), store)), RetriedFrom) is taken


def test_the_job_is_told_where_it_is() -> None:
    view = takes(stored=IN_S3)
    values = resolve(view)
    assert isinstance(values, Values)
    body = job_of(view, values)
    assert isinstance(body, dict)
    (fetch,) = body["spec"]["template"]["spec"]["initContainers"]
    assert (fetch["name"], fetch["image"]) == ("zenflow-inputs", "zenflow:1")
    assert IN_S3.sha256 in fetch["env"][0]["value"]


def test_an_optional_artifact_that_is_not_there_is_an_empty_directory() -> None:
    view = takes(optional=True)
    body = job_of(view, Values({}, {"had": None}))
    assert isinstance(body, dict)
    pod = body["spec"]["template"]["spec"]
    assert "initContainers" not in pod
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "zenflow-inputs", "mountPath": "/in/had", "subPath": "had", "readOnly": True}
    ]


# --- what a retry of the flow takes over -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "stored", "settings", "taken"),
    [
        pytest.param(DATA, IN_S3, IMAGE, True, id="what is in S3 is still there"),
        pytest.param(KEPT, ON_CLAIM, IMAGE, False, id="a claim goes with its flow, so the step runs again"),
        pytest.param(DATA, None, IMAGE, False, id="as does one of whose artifact nothing is known"),
        pytest.param(LOG, None, IMAGE, True, id="unless it was optional"),
        pytest.param(KEPT, None, DEFAULTS, True, id="where nothing is moved nothing is lost"),
    ],
)
def test_a_retry_takes_over(
    made: OutputArtifact, stored: StoredArtifact | None, settings: Settings, taken: bool
) -> None:
    artifacts = None if stored is None else {made.name: stored}
    view = carried(pending(output_artifacts=(made,)), settings)
    plan = evolve(view.flow.plan, retry_of=RetryOf("nightly", "u"))
    origin = Origin({view.step.name: Takeover(artifacts=artifacts)})
    found = retried(evolve(view, flow=evolve(view.flow, plan=plan, origin=origin)))
    assert found == (RetriedFrom(at("10:00:00"), "nightly", artifacts=artifacts) if taken else None)
