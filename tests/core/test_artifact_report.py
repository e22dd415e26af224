"""What `zenflow-outputs` says once it has stored a step's artifacts, and what the Pods of an attempt have left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from tests.core.drawn import texts
from zenflow_core.artifact_container import ClaimFile
from zenflow_core.artifact_pod import Run, location_of, longest_location, place_of
from zenflow_core.artifact_report import StoredArtifact, largest_report, read_report, write_report
from zenflow_core.limits import INT64_MAX
from zenflow_core.observation import Absent, Lookup, Present
from zenflow_core.reading import TERMINATION_MESSAGE_BYTES
from zenflow_core.spec import KeySelector, OutputArtifact, S3Location
from zenflow_core.termination import Messages, read_messages

DIGEST = "ab" * 32
MODEL = StoredArtifact(DIGEST, 4096, "s3://models/nightly.bin")


def entry(**fields: Any) -> dict[str, Any]:
    return {"location": MODEL.location, "sha256": DIGEST, "sizeBytes": 4096} | fields


def report(**entries: Any) -> str:
    return json.dumps({"artifacts": entries})


def test_a_report_is_compact_json_by_name() -> None:
    text = write_report({"model": MODEL})
    assert text == (
        f'{{"artifacts":{{"model":{{"location":"s3://models/nightly.bin","sha256":"{DIGEST}","sizeBytes":4096}}}}}}'
    )
    assert read_report(text) == {"model": MODEL}


@pytest.mark.parametrize(
    ("text", "then"),
    [
        pytest.param(report(), {}, id="nothing was stored"),
        pytest.param(
            report(model=entry(sizeBytes=0)), {"model": StoredArtifact(DIGEST, 0, MODEL.location)}, id="empty"
        ),
        pytest.param(
            report(model=entry(sizeBytes=INT64_MAX)),
            {"model": StoredArtifact(DIGEST, INT64_MAX, MODEL.location)},
            id="as large as can be",
        ),
        pytest.param(report(model=entry(mediaType="x")), {"model": MODEL}, id="what a newer program says besides"),
        pytest.param("", "its report is not JSON", id="no text"),
        pytest.param("[" * 4000, "its report is not JSON", id="what nests without end"),
        pytest.param("[]", "its report has no artifacts", id="a list"),
        pytest.param("{}", "its report has no artifacts", id="an empty object"),
        pytest.param('{"artifacts":[]}', "its report has no artifacts", id="a list of artifacts"),
        pytest.param(report(model=7), "its report on 'model' is no object", id="a number for an artifact"),
        pytest.param(
            report(model=entry(sha256=DIGEST.upper())),
            "its report on 'model' has no sha256 of 64 hexadecimal digits",
            id="a digest in capitals",
        ),
        pytest.param(
            report(model=entry(sha256=DIGEST[1:])),
            "its report on 'model' has no sha256 of 64 hexadecimal digits",
            id="a digest that is a digit short",
        ),
        pytest.param(
            report(model=entry(sizeBytes=-1)), "its report on 'model' has no sizeBytes", id="less than nothing"
        ),
        pytest.param(
            report(model=entry(sizeBytes=True)), "its report on 'model' has no sizeBytes", id="a truth for a size"
        ),
        pytest.param(
            report(model=entry(sizeBytes=INT64_MAX + 1)), "its report on 'model' has no sizeBytes", id="beyond int64"
        ),
        pytest.param(report(model=entry(location="")), "its report on 'model' has no location", id="no place"),
    ],
)
def test_read_report(text: str, then: dict[str, StoredArtifact] | str) -> None:
    assert read_report(text) == then


@given(texts)
def test_no_text_makes_reading_raise(text: str) -> None:
    assert isinstance(read_report(text), str | dict)


def test_twenty_artifacts_fit_and_the_largest_report_is_an_upper_bound() -> None:
    locations = {f"coverage-report-{i}": f"s3://team-artifacts/nightly/run-2030/step-{i}.tar.gz" for i in range(20)}
    stored = {name: StoredArtifact(DIGEST, 10**12, location) for name, location in locations.items()}
    assert len(write_report(stored).encode()) <= largest_report(locations) <= TERMINATION_MESSAGE_BYTES


S3 = S3Location("models", "nightly/a b.bin", region="eu-1", access_key_id_secret_ref=KeySelector("s3", "id"))


@pytest.mark.parametrize(
    ("made", "location", "own", "place"),
    [
        pytest.param(OutputArtifact("model", "/out/m", s3=S3), "s3://models/nightly/a b.bin", "", S3, id="in S3"),
        pytest.param(
            OutputArtifact("model", "/out/m", s3=evolve(S3, key="runs/")),
            "s3://models/runs/uid/train/2/",
            "0a/model",
            evolve(S3, key="runs/uid/train/2/0a/model"),
            id="in a directory of S3",
        ),
        pytest.param(
            OutputArtifact("model", "/out/m"),
            "claim:train/2/",
            "0a/model",
            ClaimFile("train/2/0a/model"),
            id="on the flow's claim",
        ),
    ],
)
def test_a_location_stands_for_its_place(
    made: OutputArtifact, location: str, own: str, place: S3Location | ClaimFile
) -> None:
    assert location_of(made, Run("uid", "train", 2)) == location
    assert place_of(location + own, made) == place
    assert len(location + own) <= len(longest_location(made, step="train"))


@pytest.mark.parametrize(
    ("location", "then"),
    [
        pytest.param("s3://other/key/x", S3Location("other", "key/x", region="eu-1"), id="another key of the store"),
        pytest.param("oci://registry/x", None, id="a store that this version does not know"),
    ],
)
def test_what_was_reported_counts(location: str, then: S3Location | None) -> None:
    made = OutputArtifact("model", "/out/m", s3=S3Location("models", "m", region="eu-1"))
    assert place_of(location, made) == then


def test_an_s3_location_without_its_makers_credentials_is_none() -> None:
    assert place_of("s3://models/m", OutputArtifact("model", "/out/m")) is None


# --- what the Pods of an attempt have left ---------------------------------------------------------------------------


def ended(name: str, code: int = 0, message: str = "", at: str = "2030-01-01T10:00:40Z") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": at}}}


def pod(phase: str, *, init: list[dict[str, Any]], regular: list[dict[str, Any]], name: str = "p") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {"phase": phase, "initContainerStatuses": init, "containerStatuses": regular},
    }


STORED = pod("Succeeded", init=[ended("main", message="7")], regular=[ended("zenflow-outputs", message="{}")])
REFUSED = pod("Failed", init=[ended("main")], regular=[ended("zenflow-outputs", 1, "no such bucket")])
NONE = Absent("no container that moves artifacts failed")


@pytest.mark.parametrize(
    ("pods", "then"),
    [
        pytest.param([STORED], Present("{}"), id="the report of the Pod that Succeeded"),
        pytest.param([REFUSED, STORED], Present("{}"), id="a Pod that failed before it says nothing"),
        pytest.param([REFUSED], Present("zenflow-outputs exited with 1: no such bucket"), id="why it failed"),
        pytest.param(
            [pod("Failed", init=[ended("zenflow-inputs", 1, "404")], regular=[])],
            Present("zenflow-inputs exited with 1: 404"),
            id="the inputs, too",
        ),
        pytest.param(
            [pod("Failed", init=[ended("main")], regular=[ended("zenflow-outputs", 137)])],
            Present("zenflow-outputs exited with 137: it left no message"),
            id="one that was killed",
        ),
        pytest.param(
            [
                pod("Failed", init=[], regular=[ended("zenflow-outputs", 1, "late", "2030-01-01T10:00:50Z")], name="a"),
                pod("Failed", init=[], regular=[ended("zenflow-outputs", 1, "early")], name="b"),
            ],
            Present("zenflow-outputs exited with 1: late"),
            id="the last of them",
        ),
        pytest.param([pod("Failed", init=[ended("main", 2, "x")], regular=[])], NONE, id="it was main that failed"),
        pytest.param([], NONE, id="no Pod is left"),
    ],
)
def test_read_messages(pods: list[dict[str, Any]], then: Lookup) -> None:
    assert read_messages(pods, container="main").transfer == then


def test_both_messages_are_of_one_read() -> None:
    assert read_messages([STORED], container="main") == Messages(Present("7"), Present("{}"))
