"""Input artifacts from web servers, which break off, move, lie and ask for passwords."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.artifacts.conftest import Authority
from tests.artifacts.servers import Answer, Asked, serving
from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.fetching import fetch
from zenflow_runtime.artifacts.orders import Fetch, HttpPlace, Packing
from zenflow_runtime.artifacts.patience import Patience

PAGE = random.Random(2).randbytes(3_000_000)
DIGEST = hashlib.sha256(PAGE).hexdigest()


def fetches(url: str, to: Path, headers: dict[str, str] | None = None, **fields: object) -> Fetch:
    return Fetch("data", HttpPlace(url, headers or {}), to=str(to), **fields)  # type: ignore[arg-type] # fields of a Fetch, as the tests name them


def ranged(asked: Asked, *, e_tag: str = '"1"', page: bytes = PAGE, sent: int | None = None) -> Answer:
    """The page, or the part of it that was asked for."""
    wanted = {name.lower(): value for name, value in asked.headers.items()}.get("range", "")
    if not wanted:
        return Answer(200, page, {"ETag": e_tag}, sent=sent, abrupt=False)
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    headers = {"ETag": e_tag, "Content-Range": f"bytes {start}-{len(page) - 1}/{len(page)}"}
    return Answer(206, page[start:], headers, sent=sent, abrupt=False)


class Breaking:
    """Answers that break off after `each` bytes, and the server's way to go on."""

    def __init__(self, *, each: int, times: int, answer: Callable[..., Answer] = ranged) -> None:
        self.each, self.left, self.answer = each, times, answer

    def __call__(self, asked: Asked) -> Answer:
        self.left -= 1
        return self.answer(asked, sent=self.each if self.left >= 0 else None)


def from_the_start(asked: Asked, *, sent: int | None = None) -> Answer:
    return Answer(200, PAGE, {"ETag": '"1"'}, sent=sent, abrupt=False)


@pytest.mark.parametrize("answer", [ranged, from_the_start], ids=["goes on", "begins again"])
def test_what_breaks_off_is_taken_up(answer: Callable[..., Answer], tmp_path: Path, patience: Patience) -> None:
    with serving(Breaking(each=1_000_000, times=2, answer=answer)) as server:
        fetch(fetches(server.url, tmp_path / "in"), patience)
    assert (tmp_path / "in").read_bytes() == PAGE
    assert len(server.asked) == 3
    assert [asked.headers.get("Range") for asked in server.asked[:2]] == [None, "bytes=1000000-"]


def changing(page: bytes, e_tag: str) -> Callable[[Asked], Answer]:
    """A page that breaks off, and is another one afterwards."""
    answers = iter([ranged(Asked("GET", "/", {}), sent=1_000_000), Answer(200, page, {"ETag": e_tag})])
    return lambda asked: next(answers)


@pytest.mark.parametrize(
    ("page", "e_tag"),
    [
        pytest.param(b"x" * len(PAGE), '"1"', id="by its bytes"),
        pytest.param(b"short", '"1"', id="by its length"),
        pytest.param(PAGE + b"more", '"1"', id="by what was added"),
        pytest.param(PAGE, '"2"', id="by its ETag"),
    ],
)
def test_two_versions_are_never_mixed(page: bytes, e_tag: str, tmp_path: Path, patience: Patience) -> None:
    with (
        serving(changing(page, e_tag)) as server,
        pytest.raises(TransferError, match="changed while it was fetched") as failed,
    ):
        fetch(fetches(server.url, tmp_path / "in"), patience)
    assert failed.value.code is ExitCode.NOT_THE_SAME
    assert list(tmp_path.iterdir()) == []


def always(answer: Answer) -> Callable[[Asked], Answer]:
    return lambda asked: answer


def tarred(size: int) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = size
        archive.addfile(info, io.BytesIO(bytes(size)))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("answer", "fields", "code", "says"),
    [
        pytest.param(Answer(404), {}, ExitCode.NOT_FOUND, "the server answered 404 Not Found; fix: correct", id="404"),
        pytest.param(
            Answer(401), {}, ExitCode.REFUSED, "401 Unauthorized; fix: give the artifact's http the headers", id="401"
        ),
        pytest.param(Answer(403), {}, ExitCode.REFUSED, "403 Forbidden", id="403"),
        pytest.param(Answer(418), {}, ExitCode.REFUSED, "418", id="418"),
        pytest.param(Answer(500), {}, ExitCode.UNAVAILABLE, "500 Internal Server Error; fix: see whether", id="500"),
        pytest.param(Answer(429), {}, ExitCode.UNAVAILABLE, "429", id="429"),
        pytest.param(Answer(200, PAGE, sent=10), {}, ExitCode.UNAVAILABLE, "ended after", id="always breaks off"),
        pytest.param(
            Answer(200, b"x", wait_seconds=1.3), {}, ExitCode.UNAVAILABLE, "said nothing for too long", id="silence"
        ),
        pytest.param(
            Answer(200, PAGE, length=False), {}, ExitCode.BAD_ARTIFACT, "does not say how long", id="no length"
        ),
        pytest.param(
            Answer(200, PAGE), {"sha256": "0" * 64}, ExitCode.NOT_THE_SAME, f"has sha256 {DIGEST}", id="another page"
        ),
        pytest.param(
            Answer(200, PAGE, length=False),
            {"sha256": "0" * 64},
            ExitCode.NOT_THE_SAME,
            "has sha256",
            id="and no length",
        ),
        pytest.param(
            Answer(200, PAGE),
            {"limit_bytes": 1000},
            ExitCode.BAD_ARTIFACT,
            "and 1000 are allowed; fix: raise the artifact's sizeLimit",
            id="too large",
        ),
        pytest.param(
            Answer(200, PAGE, length=False),
            {"limit_bytes": 1000, "sha256": DIGEST},
            ExitCode.BAD_ARTIFACT,
            "1000 are allowed",
            id="too large without saying so",
        ),
        pytest.param(
            Answer(200, tarred(5_000_000)),
            {"limit_bytes": 1_000_000, "packing": Packing(gzip=True, whole=False)},
            ExitCode.BAD_ARTIFACT,
            "1000000 are allowed",
            id="too large once unpacked",
        ),
        pytest.param(
            Answer(200, PAGE),
            {"packing": Packing(whole=False)},
            ExitCode.BAD_ARTIFACT,
            "archive cannot be read",
            id="no archive",
        ),
    ],
)
def test_a_page_that_cannot_be_had(
    answer: Answer, fields: dict[str, Any], code: ExitCode, says: str, tmp_path: Path, patience: Patience
) -> None:
    with serving(always(answer)) as server, pytest.raises(TransferError) as failed:
        fetch(fetches(f"{server.url}/d?signature=abc", tmp_path / "in", **fields), evolve(patience, tries=2))
    assert says in str(failed.value)
    assert failed.value.code is code
    assert "abc" not in str(failed.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_answers_that_pass(status: int, tmp_path: Path, patience: Patience) -> None:
    answers = iter([Answer(status), Answer(status), Answer(200, PAGE)])
    with serving(lambda asked: next(answers)) as server:
        fetch(fetches(server.url, tmp_path / "in"), patience)
    assert (tmp_path / "in").read_bytes() == PAGE


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, PAGE, length=False), id="its end is where the connection ends"),
        pytest.param(
            Answer(200, b"2dc6c0\r\n" + PAGE + b"\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, length=False),
            id="chunked",
        ),
    ],
)
def test_a_page_of_unknown_length_is_known_by_its_digest(answer: Answer, tmp_path: Path, patience: Patience) -> None:
    with serving(always(answer)) as server:
        fetch(fetches(server.url, tmp_path / "in", sha256=DIGEST), patience)
    assert (tmp_path / "in").read_bytes() == PAGE


def test_an_archive_is_unpacked_beside_nothing_else(tmp_path: Path, patience: Patience) -> None:
    with serving(always(Answer(200, tarred(10)))) as server:
        fetch(fetches(server.url, tmp_path / "in", packing=Packing(gzip=True, whole=False)), patience)
    assert [each.name for each in tmp_path.rglob("*")] == ["in", "zeros"]


def test_headers_are_sent_and_stay_with_their_host(tmp_path: Path, patience: Patience) -> None:
    secret = {"Authorization": "Bearer s3cr3t-token", "X-Api-Key": "k3y-value"}
    with serving(always(Answer(200, b"x"))) as other:
        moved = Answer(302, b"", {"Location": f"{other.url}/elsewhere?sig=1"})
        with serving(lambda asked: Answer(302, b"", {"Location": "/here"}) if asked.path == "/" else moved) as server:
            fetch(fetches(f"{server.url}/", tmp_path / "in", secret), patience)
    for asked in server.asked:
        assert asked.headers["Authorization"] == "Bearer s3cr3t-token"
    (last,) = other.asked
    assert "s3cr3t" not in str(last.headers)
    assert "k3y" not in str(last.headers)


def test_secrets_stay_out_of_messages(tmp_path: Path, patience: Patience) -> None:
    with serving(always(Answer(404))) as server:
        host = server.url.removeprefix("http://")
        place = f"http://user:passw0rd@{host}/s3cr3t-token/x?X-Amz-Signature=1234"
        with pytest.raises(TransferError) as failed:
            fetch(fetches(place, tmp_path / "in", {"Authorization": "Bearer s3cr3t-token"}), patience)
    for secret in ("passw0rd", "s3cr3t", "1234", "user"):
        assert secret not in str(failed.value)
    assert host in str(failed.value)


def test_a_private_authority_is_trusted_when_it_is_named(
    authority: Authority, tmp_path: Path, patience: Patience
) -> None:
    certificate = authority.certificate
    with serving(always(Answer(200, b"x")), context=authority.context) as server:
        url = server.url.replace("http:", "https:")
        order = fetches(url, tmp_path / "in")
        with pytest.raises(TransferError, match=r"is not trusted .*fix: name .*http\.caConfigMapRef"):
            fetch(order, evolve(patience, tries=1))
        fetch(evolve(order, place=HttpPlace(url, {}, certificate)), patience)
        with pytest.raises(TransferError, match="no certificate in PEM form"):
            fetch(evolve(order, place=HttpPlace(url, {}, "hello")), patience)
    assert (tmp_path / "in").read_bytes() == b"x"
