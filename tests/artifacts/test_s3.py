"""Artifacts in S3: a real server, and one that fails in every way."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from tests.artifacts.conftest import Authority, Bucket
from tests.artifacts.servers import Answer, Asked, Reply, serving
from zenflow_core.artifact_report import ExitCode, StoredArtifact
from zenflow_runtime.artifacts.errors import Stopped, TransferError
from zenflow_runtime.artifacts.fetching import fetch
from zenflow_runtime.artifacts.orders import Fetch, Packing, S3Place, Store
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.storing import store

LARGE = random.Random(1).randbytes(20_000_000)
"""More than two parts of an upload, and three ranges."""


def stores(bucket: Bucket, left: Path, *, key: str = "model", port: int | None = None, **fields: object) -> Store:
    place = bucket.place(key, port=port)
    return Store("model", str(left), path=str(left / "model.bin"), place=place, location=place.url, **fields)  # type: ignore[arg-type] # fields of a Store, as the tests name them


def fetches(place: S3Place, to: Path, **fields: object) -> Fetch:
    return Fetch("model", place, to=str(to), **fields)  # type: ignore[arg-type] # fields of a Fetch, as the tests name them


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The mount in which the step has left what it made."""
    made = tmp_path / "left"
    made.mkdir()
    return made


def only(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


@pytest.mark.parametrize(
    "packing",
    [Packing(), Packing(gzip=True), Packing(zip=True), Packing(zip=True, gzip=True)],
    ids=["tar", "tar.gz", "zip stored", "zip deflated"],
)
@pytest.mark.parametrize("data", [b"", b"weights", LARGE], ids=["empty", "small", "large"])
def test_what_is_stored_is_fetched(
    data: bytes, packing: Packing, bucket: Bucket, left: Path, tmp_path: Path, patience: Patience
) -> None:
    (left / "model.bin").write_bytes(data)
    stored = store(stores(bucket, left, packing=packing), patience)
    assert stored is not None
    raw = bucket.get("model")
    assert stored == StoredArtifact(hashlib.sha256(raw).hexdigest(), len(raw), f"s3://{bucket.name}/model")
    assert bucket.uploads() == 0
    order = fetches(
        bucket.place("model"), tmp_path / "in", packing=packing, sha256=stored.sha256, size_bytes=stored.size_bytes
    )
    fetch(order, patience)
    assert (tmp_path / "in").read_bytes() == data
    assert only(tmp_path) == ["in", "left"]


def test_a_directory_is_fetched_as_one(bucket: Bucket, left: Path, tmp_path: Path, patience: Patience) -> None:
    (left / "model.bin" / "deep").mkdir(parents=True)
    (left / "model.bin" / "deep" / "a").write_bytes(b"1")
    store(stores(bucket, left), patience)
    fetch(fetches(bucket.place("model"), tmp_path / "in", packing=Packing()), patience)
    assert (tmp_path / "in" / "deep" / "a").read_bytes() == b"1"


def test_what_is_not_packed_is_a_file(bucket: Bucket, tmp_path: Path, patience: Patience) -> None:
    bucket.put("a/b.csv", LARGE)
    fetch(fetches(bucket.place("a/b.csv"), tmp_path / "in"), patience)
    assert (tmp_path / "in").read_bytes() == LARGE


def test_each_run_has_a_place_of_its_own(bucket: Bucket, left: Path, patience: Patience) -> None:
    """Two Pods of one attempt, or a container that was started again: neither takes the other's object."""
    places = set()
    for data in (b"1", b"2", LARGE):
        (left / "model.bin").write_bytes(data)
        stored = store(stores(bucket, left, key="runs/uid/train/1/"), patience)
        assert stored is not None
        places.add(stored.location)
        assert stored.location.startswith(f"s3://{bucket.name}/runs/uid/train/1/")
        assert stored.location.endswith("/model")
    assert {f"s3://{bucket.name}/{key}" for key in bucket.listed()} == places
    assert len(places) == 3


def test_another_object_than_was_stored_is_not_taken(bucket: Bucket, tmp_path: Path, patience: Patience) -> None:
    bucket.put("model", b"of another attempt")
    for fields in ({"sha256": "0" * 64}, {"size_bytes": 3}, {"sha256": "0" * 64, "packing": Packing()}):
        with pytest.raises(TransferError, match="what is there now is another one") as refused:
            fetch(fetches(bucket.place("model"), tmp_path / "in", **fields), patience)
        assert refused.value.code is ExitCode.NOT_THE_SAME
        assert only(tmp_path) == []


def test_an_object_replaced_while_it_is_fetched_is_not_mixed(
    bucket: Bucket, tmp_path: Path, patience: Patience
) -> None:
    bucket.put("model", LARGE)

    def reply(asked: Asked) -> Answer | None:
        if "bytes=15" in asked.headers.get("range", ""):
            bucket.put("model", LARGE[::-1])
        return None

    with (
        serving(reply, behind=bucket.port) as proxy,
        pytest.raises(TransferError, match="replaced while it was fetched"),
    ):
        fetch(fetches(bucket.place("model", port=proxy.port), tmp_path / "in"), patience)
    assert only(tmp_path) == []


def error(status: int, code: str, said: str = "no") -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{said}</Message></Error>".encode()
    return Answer(status, body, {"Content-Type": "application/xml"})


class Failing:
    """The first `times` requests that `when` picks are answered so; the rest is passed on."""

    def __init__(self, answer: Answer, *, times: int, when: Callable[[Asked], bool] = lambda asked: True) -> None:
        self.answer, self.left, self.when = answer, times, when

    def __call__(self, asked: Asked) -> Answer | None:
        if self.left > 0 and self.when(asked):
            self.left -= 1
            return self.answer
        return None


def is_part(asked: Asked) -> bool:
    return "partNumber=2" in asked.path


HANGS_UP = Answer(200, LARGE[:1000], {"Content-Length": "8388608", "ETag": '"x"'}, sent=1000)
PASSING = [
    pytest.param(error(500, "InternalError"), id="500"),
    pytest.param(error(503, "SlowDown"), id="503 SlowDown"),
    pytest.param(error(429, "TooManyRequests"), id="429"),
    pytest.param(Answer(200, b"", {"Content-Length": "10"}, sent=0), id="hangs up"),
    pytest.param(Answer(200, b"", wait_seconds=1.5), id="says nothing for too long"),
]


@pytest.mark.parametrize("answer", PASSING)
@pytest.mark.parametrize("when", [lambda asked: True, is_part], ids=["the first requests", "a part"])
def test_storing_tries_again(
    answer: Answer, when: Callable[[Asked], bool], bucket: Bucket, left: Path, patience: Patience
) -> None:
    (left / "model.bin").write_bytes(LARGE)
    with serving(Failing(answer, times=2, when=when), behind=bucket.port) as proxy:
        stored = store(stores(bucket, left, port=proxy.port), patience)
    assert stored is not None
    assert hashlib.sha256(bucket.get("model")).hexdigest() == stored.sha256
    assert bucket.uploads() == 0


@pytest.mark.parametrize("answer", [*PASSING, pytest.param(HANGS_UP, id="hangs up in the middle")])
def test_fetching_tries_again(answer: Answer, bucket: Bucket, tmp_path: Path, patience: Patience) -> None:
    bucket.put("model", LARGE)
    with serving(Failing(answer, times=2, when=lambda asked: asked.method == "GET"), behind=bucket.port) as proxy:
        fetch(fetches(bucket.place("model", port=proxy.port), tmp_path / "in"), patience)
    assert (tmp_path / "in").read_bytes() == LARGE


FOR_EVER = 1_000_000


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        pytest.param(
            Failing(error(500, "InternalError", "oops"), times=FOR_EVER),
            ExitCode.UNAVAILABLE,
            "the store answered 500 Internal Server Error InternalError (oops); fix: see whether the store is up",
            id="500",
        ),
        pytest.param(
            Failing(error(503, "SlowDown"), times=FOR_EVER),
            ExitCode.UNAVAILABLE,
            "503 Service Unavailable SlowDown",
            id="503",
        ),
        pytest.param(
            Failing(error(403, "AccessDenied"), times=FOR_EVER),
            ExitCode.REFUSED,
            "403 Forbidden AccessDenied (no); fix: renew the credentials in the Secrets",
            id="403",
        ),
        pytest.param(
            Failing(error(400, "ExpiredToken", "The provided token has expired."), times=FOR_EVER),
            ExitCode.REFUSED,
            "ExpiredToken (The provided token has expired.); fix: renew the credentials",
            id="expired credentials",
        ),
        pytest.param(
            Failing(error(403, "SignatureDoesNotMatch", "you sent wJalrXUtnFEMI"), times=FOR_EVER),
            ExitCode.REFUSED,
            "SignatureDoesNotMatch (you sent [hidden])",
            id="a store that tells secrets",
        ),
        pytest.param(
            Failing(error(404, "NoSuchBucket"), times=FOR_EVER), ExitCode.NOT_FOUND, "fix: create the bucket", id="404"
        ),
        pytest.param(
            Failing(error(501, "NotImplemented"), times=FOR_EVER), ExitCode.UNAVAILABLE, "501 Not Implemented", id="501"
        ),
        pytest.param(
            Failing(Answer(200, b"", {"Content-Length": "10"}, sent=0), times=FOR_EVER),
            ExitCode.UNAVAILABLE,
            "fix: see whether the store is up",
            id="hangs up",
        ),
    ],
)
def test_storing_says_why_it_failed(
    reply: Reply, code: ExitCode, says: str, bucket: Bucket, left: Path, patience: Patience
) -> None:
    for size in (10, len(LARGE)):
        (left / "model.bin").write_bytes(LARGE[:size])
        with serving(reply, behind=bucket.port) as proxy, pytest.raises(TransferError) as failed:
            store(stores(bucket, left, port=proxy.port), evolve(patience, tries=2))
        assert says in str(failed.value)
        assert f"s3://{bucket.name}/model" in str(failed.value)
        assert failed.value.code is code
        assert len(str(failed.value)) < 1000
    assert bucket.listed() == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(error(403, "AccessDenied"), ExitCode.REFUSED, id="is refused"),
        pytest.param(error(500, "InternalError"), ExitCode.UNAVAILABLE, id="fails for ever"),
    ],
)
def test_an_upload_that_fails_in_the_middle_is_aborted(
    answer: Answer, code: ExitCode, bucket: Bucket, left: Path, patience: Patience
) -> None:
    (left / "model.bin").write_bytes(LARGE)
    failing = Failing(answer, times=FOR_EVER, when=is_part)
    with serving(failing, behind=bucket.port) as proxy, pytest.raises(TransferError) as failed:
        store(stores(bucket, left, port=proxy.port), evolve(patience, tries=2))
    assert failed.value.code is code
    assert (bucket.listed(), bucket.uploads()) == ([], 0)


def test_an_upload_that_is_stopped_is_aborted(bucket: Bucket, left: Path, patience: Patience) -> None:
    (left / "model.bin").write_bytes(LARGE * 4)

    def reply(asked: Asked) -> None:
        if "partNumber=1" in asked.path:
            patience.stopping.set()

    with serving(reply, behind=bucket.port) as proxy, pytest.raises(Stopped):
        store(stores(bucket, left, port=proxy.port), patience)
    assert (bucket.listed(), bucket.uploads()) == ([], 0)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        pytest.param(error(404, "NoSuchKey"), ExitCode.NOT_FOUND, "make it optional", id="no such object"),
        pytest.param(error(403, "AccessDenied"), ExitCode.REFUSED, "renew the credentials", id="refused"),
        pytest.param(error(500, "InternalError"), ExitCode.UNAVAILABLE, "whether the store is up", id="500"),
        pytest.param(HANGS_UP, ExitCode.UNAVAILABLE, "whether the store is up", id="always hangs up"),
    ],
)
def test_fetching_says_why_it_failed(
    answer: Answer, code: ExitCode, says: str, bucket: Bucket, tmp_path: Path, patience: Patience
) -> None:
    bucket.put("model", LARGE)
    failing = Failing(answer, times=FOR_EVER, when=lambda asked: asked.method == "GET")
    with serving(failing, behind=bucket.port) as proxy, pytest.raises(TransferError, match=says) as failed:
        fetch(fetches(bucket.place("model", port=proxy.port), tmp_path / "in"), evolve(patience, tries=2))
    assert failed.value.code is code
    assert only(tmp_path) == []


def test_a_port_where_nobody_listens(bucket: Bucket, tmp_path: Path, patience: Patience) -> None:
    with pytest.raises(TransferError, match=r"\(Connection refused\); fix: see whether the store is up") as failed:
        fetch(fetches(bucket.place("model", port=1), tmp_path / "in"), evolve(patience, tries=2))
    assert failed.value.code is ExitCode.UNAVAILABLE


def test_an_optional_object_that_is_not_there_is_an_empty_directory(
    bucket: Bucket, tmp_path: Path, patience: Patience
) -> None:
    said = fetch(fetches(bucket.place("model"), tmp_path / "in", optional=True), patience)
    assert "it is optional" in said
    assert only(tmp_path / "in") == []


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        pytest.param({}, {"host": "127.0.0.1", "path": "/B/k"}, id="path style where there is an endpoint"),
        pytest.param({"path_style": False}, {"host": "B.127.0.0.1", "path": "/k"}, id="virtual-host style"),
        pytest.param({"region": "eu-7"}, {"authorization": "/eu-7/s3/"}, id="region"),
        pytest.param({"session_token": "session"}, {"x-amz-security-token": "session"}, id="session token"),
        pytest.param(
            {"access_key_id": None, "secret_access_key": None}, {"authorization": ""}, id="no credentials at all"
        ),
    ],
)
def test_how_the_store_is_asked(
    fields: dict[str, object],
    has: dict[str, str],
    tmp_path: Path,
    patience: Patience,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By way of a proxy, so that every name leads here."""
    with serving(
        lambda asked: Answer(200, b"x", {"ETag": '"1"', "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"})
    ) as it:
        monkeypatch.setenv("HTTP_PROXY", it.url)
        place = S3Place(
            "bucket",
            "k",
            endpoint=f"http://s3.example.com:{it.port}",
            **({"access_key_id": "id", "secret_access_key": "key"} | fields),  # type: ignore[arg-type] # fields of an S3Place
        )
        fetch(fetches(place, tmp_path / "in"), patience)
    asked = it.asked[0]
    headers = {name.lower(): value for name, value in asked.headers.items()}
    found = {"path": asked.path, **headers}
    for name, value in has.items():
        wanted = value.replace("127.0.0.1", f"s3.example.com:{it.port}").replace("B", "bucket")
        assert wanted in found.get(name, ""), found
        if not value:
            assert name not in found


def test_a_store_of_a_private_authority_is_trusted_when_it_is_named(
    authority: Authority, bucket: Bucket, tmp_path: Path, patience: Patience
) -> None:
    bucket.put("model", b"weights")
    with serving(lambda asked: None, behind=bucket.port, context=authority.context) as proxy:
        place = evolve(bucket.place("model"), endpoint=f"https://127.0.0.1:{proxy.port}")
        with pytest.raises(TransferError, match=r"is not trusted \(UnknownIssuer\); fix: .*caConfigMapRef") as failed:
            fetch(fetches(place, tmp_path / "in"), evolve(patience, tries=1))
        assert failed.value.code is ExitCode.REFUSED
        fetch(fetches(evolve(place, certificates=authority.certificate), tmp_path / "in"), patience)
    assert (tmp_path / "in").read_bytes() == b"weights"
