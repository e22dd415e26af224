"""A default store as people write it, and as a status remembers it."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.core.drawn import stores
from zenflow_core.artifact_store import in_one_line, read_store, recall_store, settled, write_store
from zenflow_core.spec import ArtifactGC, ArtifactStore, KeySelector, OutputArtifact, S3Location

PLAIN = ArtifactStore(S3Location("builds", "flows/"))
WHOLE = """
s3:
  bucket: builds
  key: flows/
  endpoint: https://minio.storage:9000
  region: eu-central-1
  forcePathStyle: true
  accessKeyIDSecretRef: {name: s3, key: id}
  secretAccessKeySecretRef: {name: s3, key: secret}
artifactGC: OnFlowDeletion
"""


@pytest.mark.parametrize(
    ("text", "then"),
    [
        pytest.param("s3: {bucket: builds, key: flows/}", PLAIN, id="a bucket and a directory"),
        pytest.param('{"s3": {"bucket": "builds", "key": "flows/"}}', PLAIN, id="the same as JSON"),
        pytest.param(
            WHOLE,
            ArtifactStore(
                S3Location(
                    "builds",
                    "flows/",
                    endpoint="https://minio.storage:9000",
                    region="eu-central-1",
                    access_key_id_secret_ref=KeySelector("s3", "id"),
                    secret_access_key_secret_ref=KeySelector("s3", "secret"),
                    force_path_style=True,
                ),
                ArtifactGC.ON_FLOW_DELETION,
            ),
            id="all that an artifact could say",
        ),
        pytest.param(" \n", None, id="nothing: the claim, whatever the operator says"),
    ],
)
def test_a_store_is_read(text: str, then: ArtifactStore | None) -> None:
    assert read_store(text) == then


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        pytest.param("s3: {bucket: b, key: k}", "s3.key: 'k' is one object", "end in '/'", id="one object"),
        pytest.param("s3: {bucket: b}", "s3.key: missing", "add 'key'", id="a part is missing"),
        pytest.param("{}", "s3: missing", "add 's3'", id="a mapping without a store"),
        pytest.param(
            "s3: {bucket: b, key: k/, user: u}",
            "s3.user: unknown field",
            "the fields here are bucket",
            id="an unknown field",
        ),
        pytest.param(
            "s3: {bucket: b, key: k/, accessKeyIDSecretRef: {name: s3, key: id}}",
            "only one of accessKeyIDSecretRef and secretAccessKeySecretRef",
            "give both",
            id="half of the credentials",
        ),
        pytest.param("s3: {bucket: b, key: k/, endpoint: 'ftp://x'}", "s3.endpoint", "URL such as", id="no address"),
        pytest.param("- 1", "is a list", "begin it", id="no mapping"),
        pytest.param("s3: {", "never closed", "'}'", id="no YAML"),
        pytest.param("s3: {bucket: b, key: k/}\n---\ns3: {bucket: c, key: k/}", "more than one", "one", id="two"),
        pytest.param(f"s3: {{bucket: b, key: {'k' * 256}/}}", "257 characters", "at most 256", id="too long"),
        pytest.param(
            f"s3: {{bucket: b, key: k/, region: {'r' * 2048}}}",
            "room for 2048",
            "shorter names",
            id="too much for a status",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_helps(text: str, what: str, fix: str) -> None:
    problems = read_store(text)
    assert isinstance(problems, tuple), problems
    said = in_one_line(problems)
    assert what in said
    assert fix in said
    assert "\n" not in said


@given(stores)
def test_a_status_remembers_the_store(store: ArtifactStore) -> None:
    assert recall_store(write_store(store)) == store


def test_what_another_version_has_added_is_no_error() -> None:
    written = {"s3": {"bucket": "builds", "key": "flows/", "storageClass": "cold"}, "artifactGC": "Never", "kms": {}}
    assert recall_store(written) == PLAIN


@pytest.mark.parametrize(
    ("made", "then"),
    [
        pytest.param(OutputArtifact("a", "/a"), S3Location("builds", "flows/"), id="one without a store"),
        pytest.param(OutputArtifact("a", "/a", s3=S3Location("b", "k")), S3Location("b", "k"), id="its own counts"),
    ],
)
def test_an_artifact_goes_to_its_own_store_or_to_the_default_one(made: OutputArtifact, then: S3Location) -> None:
    assert settled(made, PLAIN).s3 == then
    assert settled(made, None) == made


def test_only_the_store_says_whether_its_directory_goes_with_the_flow() -> None:
    kept = ArtifactStore(S3Location("builds", "flows/"), ArtifactGC.ON_FLOW_DELETION)
    assert settled(OutputArtifact("a", "/a"), kept).artifact_gc is ArtifactGC.ON_FLOW_DELETION
    assert settled(OutputArtifact("a", "/a", s3=S3Location("b", "k")), kept).artifact_gc is None
