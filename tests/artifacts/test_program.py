"""The programs as a Pod runs them: orders in the environment, a message, an exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts.conftest import Bucket
from tests.artifacts.pods import SECRET, environment, mounted, ran, started
from tests.artifacts.servers import Answer, Asked, serving
from zenflow_core.artifact_gc import removal_job
from zenflow_core.artifact_pod import Located, Run, carry_artifacts, place_of
from zenflow_core.artifact_report import ORDERS_ENV, ExitCode, StoredArtifact, read_report
from zenflow_core.spec import Archive, HttpSource, InputArtifact, KeySelector, OutputArtifact, S3Location, SecretHeader
from zenflow_runtime.artifacts import program
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.patience import Patience

POD = {"containers": [{"name": "main", "image": "busybox"}]}


def carried(
    inputs: tuple[InputArtifact, ...], outputs: tuple[OutputArtifact, ...], attempt: int = 1, **located: Located
) -> dict[str, Any]:
    return carry_artifacts(
        POD, run=Run("0a-uid", "train", attempt), inputs=inputs, outputs=outputs, image="i", claim="c", located=located
    ).pod_spec


def s3_of(bucket: Bucket, key: str, port: int | None = None) -> S3Location:
    return S3Location(
        bucket.name,
        key,
        endpoint=f"http://127.0.0.1:{port or bucket.port}",
        access_key_id_secret_ref=KeySelector("s3", "id"),
        secret_access_key_secret_ref=KeySelector("s3", "key"),
    )


@pytest.mark.parametrize("key", ["nightly/", "nightly/model.tar"])
def test_what_one_pod_stores_the_next_one_finds(key: str, bucket: Bucket, tmp_path: Path) -> None:
    """The core's orders, carried out by the programs; the core's reading of the report; its orders for the consumer."""
    made = OutputArtifact("model", "/out/model.bin", s3=s3_of(bucket, key))
    rows = OutputArtifact("rows", "/out/rows")
    nothing = OutputArtifact("nothing", "/out/nothing", optional=True)
    (outputs,) = carried((), (made, rows, nothing))["containers"]
    mounted(outputs, tmp_path)
    for number in range(3):
        (tmp_path / f"zenflow/outputs/{number}/model.bin").write_bytes(b"weights")
        (tmp_path / f"zenflow/outputs/{number}/rows").mkdir()
        (tmp_path / f"zenflow/outputs/{number}/rows/1.csv").write_bytes(b"1")
    ended = ran("outputs", environment(outputs, tmp_path), tmp_path)
    assert ended.code == 0, ended
    report = read_report(ended.message)
    assert not isinstance(report, str), report
    assert sorted(report) == ["model", "rows"]
    on_claim = report["rows"].location.removeprefix("claim:")
    assert (tmp_path / "zenflow/claim" / on_claim / "1.csv").read_bytes() == b"1"
    assert "artifact nothing: it is optional" in ended.log

    place = place_of(report["model"].location, made)
    assert place is not None
    located = Located(place, report["model"].sha256, report["model"].size_bytes, Archive())
    pod = carried((InputArtifact("m", "/in/model", from_="train/model"),), (), m=located)
    inputs = pod["initContainers"][0]
    mounted(inputs, tmp_path)
    ended = ran("inputs", environment(inputs, tmp_path), tmp_path)
    assert (ended.code, ended.message) == (0, ""), ended
    assert (tmp_path / "zenflow/inputs/m").read_bytes() == b"weights"
    assert SECRET not in ended.log


def page_with(url: str, *headers: SecretHeader) -> dict[str, Any]:
    """The fetching container of a step that reads a page with these headers."""
    page = HttpSource(url, {"Accept": "text/csv"}, headers_from=headers)
    container: dict[str, Any] = carried((InputArtifact("rows", "/in/rows", http=page),), ())["initContainers"][0]
    return container


TOKEN = SecretHeader("Authorization", KeySelector("data", "key"), prefix="Bearer ")


def test_a_page_is_asked_for_with_what_the_secret_holds_and_nobody_else_is_told(tmp_path: Path) -> None:
    def guarded(asked: Asked) -> Answer:
        allowed = asked.headers.get("Authorization") == f"Bearer {SECRET}" and asked.headers["Accept"] == "text/csv"
        return Answer(200, b"1,2") if allowed else Answer(401)

    with serving(guarded) as server:
        inputs = page_with(server.url, TOKEN)
        assert SECRET not in str(inputs), "a reference, not the value"
        mounted(inputs, tmp_path)
        # A file that became a Secret ends in a line end, which is none of the header's.
        ended = ran("inputs", environment(inputs, tmp_path) | {"ZENFLOW_HTTP_0_HEADER_0": f"{SECRET}\n"}, tmp_path)
        assert ended.code == 0, ended
        assert (tmp_path / "zenflow/inputs/rows").read_bytes() == b"1,2"
        refused = ran("inputs", environment(inputs, tmp_path) | {"ZENFLOW_HTTP_0_HEADER_0": "wr0ng-one"}, tmp_path)
    assert refused.code == ExitCode.REFUSED
    assert "answered 401 Unauthorized; fix: give the artifact's http the headers or headersFrom" in refused.message
    for text in (ended.log, refused.log, refused.message):
        assert SECRET not in text
        assert "wr0ng-one" not in text


@pytest.mark.parametrize(
    ("value", "then"),
    [
        pytest.param(None, None, id="an optional Secret that is not there is left out"),
        pytest.param("", None, id="so is an empty one"),
        pytest.param("a\nb: c", ExitCode.BAD_ORDER, id="two lines are no header"),
        pytest.param("\u20ac", ExitCode.BAD_ORDER, id="what no header can hold"),
    ],
)
def test_what_a_secret_may_hold(value: str | None, then: ExitCode | None, tmp_path: Path) -> None:
    with serving(lambda asked: Answer(200, b"1")) as server:
        inputs = page_with(server.url, TOKEN)
        mounted(inputs, tmp_path)
        env = environment(inputs, tmp_path)
        del env["ZENFLOW_HTTP_0_HEADER_0"]
        ended = ran("inputs", env | ({} if value is None else {"ZENFLOW_HTTP_0_HEADER_0": value}), tmp_path)
    if then is None:
        assert ended.code == 0, ended
        assert "Authorization" not in server.asked[0].headers
    else:
        assert ended.code == then
        assert "; fix: " in ended.message
        assert "Traceback" not in ended.log
        assert server.asked == []


def test_a_started_again_container_does_its_work_again(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("data", b"1")
    inputs = carried((InputArtifact("data", "/in", s3=s3_of(bucket, "data")),), ())["initContainers"][0]
    mounted(inputs, tmp_path)
    for data in (b"1", b"2"):
        bucket.put("data", data)
        assert ran("inputs", environment(inputs, tmp_path), tmp_path).code == 0
        assert (tmp_path / "zenflow/inputs/data").read_bytes() == data


def test_what_a_deleted_flow_has_stored_is_removed_and_nothing_else(bucket: Bucket, tmp_path: Path) -> None:
    """By the core's own Job, for a flow of that uid."""
    others = ["nightly/0a-uid-of-another/train/1/0/m", "nightly/m", "other/0a-uid/m"]
    for key in (*others, "nightly/0a-uid/train/1/0/m", "nightly/0a-uid/train/2/0/m"):
        bucket.put(key, b"1")
    place: dict[str, Any] = {"bucket": bucket.name, "key": "nightly/", "endpoint": f"http://127.0.0.1:{bucket.port}"}
    place |= {"accessKeyIDSecretRef": {"name": "s3", "key": "id"}}
    place |= {"secretAccessKeySecretRef": {"name": "s3", "key": "key"}}
    made = {"name": "m", "path": "/o/m", "s3": place, "artifactGC": "OnFlowDeletion"}
    job = removal_job(
        {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": "f", "namespace": "n", "uid": "0a-uid", "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": {"steps": [{"name": "train", "outputs": {"artifacts": [made]}, "template": {"spec": {}}}]},
            "status": {"startTime": "2030-01-01T00:00:00Z"},
        },
        image="i",
    )
    assert job is not None
    (container,) = job["spec"]["template"]["spec"]["containers"]
    for removed in (2, 0):
        ended = ran("removal", environment(container, tmp_path), tmp_path)
        assert ended.code == 0, ended
        assert f"artifact train/m: removed {removed} objects" in ended.log
        assert sorted(bucket.listed()) == sorted(others)


@pytest.mark.parametrize(
    ("name", "env", "code", "says"),
    [
        pytest.param("inputs", {}, ExitCode.BAD_ORDER, "ZENFLOW_ARTIFACTS is not set; fix:", id="no orders"),
        pytest.param("inputs", {ORDERS_ENV: "{"}, ExitCode.BAD_ORDER, "is not JSON", id="no JSON"),
        pytest.param("inputs", {ORDERS_ENV: "[{}]"}, ExitCode.BAD_ORDER, "cannot be read", id="no name"),
        pytest.param("outputs", {ORDERS_ENV: "[7]"}, ExitCode.BAD_ORDER, "cannot be read", id="an order that is none"),
        pytest.param(
            "inputs",
            {
                ORDERS_ENV: '[{"name":"a","to":"/x","optional":false,"s3":{"bucket":"b","key":"k",'
                '"accessKeyIdEnv":"I","secretAccessKeyEnv":"S"}}]',
                "I": "id",
            },
            ExitCode.BAD_ORDER,
            "the Secret that secretAccessKeySecretRef names has no value at its key",
            id="half of the credentials",
        ),
        pytest.param("other", {}, ExitCode.BAD_ORDER, "", id="no such program"),
    ],
)
def test_orders_that_make_no_sense(name: str, env: dict[str, str], code: ExitCode, says: str, tmp_path: Path) -> None:
    ended = ran(name, env, tmp_path)
    assert ended.code == code
    assert says in ended.message
    assert "Traceback" not in ended.log


def test_a_failure_names_the_artifact_the_answer_and_what_helps(bucket: Bucket, tmp_path: Path) -> None:
    secret = f"<Error><Code>AccessDenied</Code><Message>not with {SECRET}</Message></Error>".encode()
    with serving(lambda asked: Answer(403, secret)) as server:
        (outputs,) = carried((), (OutputArtifact("model", "/out/m", s3=s3_of(bucket, "k", server.port)),))["containers"]
        mounted(outputs, tmp_path)
        (tmp_path / "zenflow/outputs/0/m").write_bytes(b"1")
        ended = ran("outputs", environment(outputs, tmp_path), tmp_path)
    assert ended.code == ExitCode.REFUSED
    assert ended.message == (
        f"artifact model: s3://{bucket.name}/k: the store answered 403 Forbidden AccessDenied (not with [hidden]); "
        "fix: renew the credentials in the Secrets that the artifact's s3 names, or give them the right to this key"
    )
    assert SECRET not in ended.log


def test_whatever_is_said_of_an_artifact_its_secrets_are_left_out(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def telling(order: object, patience: object) -> None:
        raise TransferError(ExitCode.REFUSED, f"asked with {SECRET}", f"another than {SECRET}")

    monkeypatch.setattr(program, "store", telling)
    (outputs,) = carried((), (OutputArtifact("model", "/out/m", s3=s3_of(bucket, "k")),))["containers"]
    ending = program.outputs(environment(outputs, tmp_path), Patience())
    assert ending == program.Ending(ExitCode.REFUSED, "artifact model: asked with [hidden]; fix: another than [hidden]")


def test_a_full_disk_is_named(bucket: Bucket, tmp_path: Path) -> None:
    """Of a size that only a mount can make; `ulimit -f` stands for it, which says EFBIG as a full disk says ENOSPC."""
    bucket.put("data", b"x" * 3_000_000)
    inputs = carried((InputArtifact("data", "/in", s3=s3_of(bucket, "data")),), ())["initContainers"][0]
    mounted(inputs, tmp_path)
    env = {"PATH": os.environ["PATH"], "ZENFLOW_TERMINATION_MESSAGE_PATH": str(tmp_path / "message")}
    done = subprocess.run(
        ["sh", "-c", f"trap '' XFSZ; ulimit -f 1000; exec {sys.executable} -m zenflow_runtime.artifacts inputs"],
        env=env | environment(inputs, tmp_path),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == ExitCode.LOCAL_VOLUME
    assert "artifact data: writing" in (tmp_path / "message").read_text()
    assert "the volume is full; fix: give it more room" in (tmp_path / "message").read_text()
    assert list((tmp_path / "zenflow/inputs").iterdir()) == []


def test_being_told_to_end_ends_it_and_its_upload(bucket: Bucket, tmp_path: Path) -> None:
    began: list[Asked] = []

    def reply(asked: Asked) -> None:
        if "partNumber" in asked.path:
            began.append(asked)
            time.sleep(0.5)

    with serving(reply, behind=bucket.port) as server:
        (outputs,) = carried((), (OutputArtifact("m", "/out/m", s3=s3_of(bucket, "k", server.port)),))["containers"]
        mounted(outputs, tmp_path)
        (tmp_path / "zenflow/outputs/0/m").write_bytes(os.urandom(1_000_000) * 80)
        with started("outputs", environment(outputs, tmp_path), tmp_path / "message") as process:
            while not began:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=25)
    assert process.returncode == ExitCode.STOPPED
    assert (tmp_path / "message").read_text() == "it was told to end before it was done"
    assert (bucket.listed(), bucket.uploads()) == ([], 0)


def test_a_report_of_many_artifacts_is_whole(tmp_path: Path) -> None:
    made = tuple(OutputArtifact(f"part-{number}", f"/out/{number}") for number in range(15))
    (outputs,) = carried((), made)["containers"]
    mounted(outputs, tmp_path)
    for number in range(15):
        (tmp_path / f"zenflow/outputs/{number}/{number}").write_bytes(b"1")
    ended = ran("outputs", environment(outputs, tmp_path), tmp_path)
    report = read_report(ended.message)
    assert ended.code == 0
    assert not isinstance(report, str)
    assert len(report) == 15
    assert len(ended.message) <= 4096
    assert isinstance(report["part-7"], StoredArtifact)


def test_what_the_programs_need_is_little() -> None:
    """No cluster client, no event loop, none of the core that decides: a container's start is waited for."""
    code = "import zenflow_runtime.artifacts.program, zenflow_runtime.artifacts.s3, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "lightkube",
        "anyio",
        "asyncio",
        "cattrs",
        "httpx2",
        "networkx",
        "yaml",
        "zenflow_core.plan",
        "zenflow_core.spec",
    }
    assert heavy.isdisjoint(loaded)


def test_the_exit_codes_are_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "artifacts.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == [*ExitCode]
