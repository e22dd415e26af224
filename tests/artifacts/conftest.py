"""One S3 server for all tests of the artifacts, and a bucket for each."""

from __future__ import annotations

import itertools
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.artifacts.servers import plain_request, s3_server
from zenflow_runtime.artifacts.orders import S3Place
from zenflow_runtime.artifacts.patience import Patience

_numbers = itertools.count(1)


@frozen
class Bucket:
    """A bucket of its own on the S3 server, looked at past all of our code."""

    port: int
    name: str

    def place(self, key: str, *, port: int | None = None, **fields: object) -> S3Place:
        given = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI", "path_style": True} | fields
        return S3Place(self.name, key, endpoint=f"http://127.0.0.1:{port or self.port}", **given)  # type: ignore[arg-type] # fields of an S3Place, as the tests name them

    def put(self, key: str, data: bytes) -> None:
        plain_request(self.port, "PUT", f"/{self.name}/{key}", data)

    def get(self, key: str) -> bytes:
        return plain_request(self.port, "GET", f"/{self.name}/{key}")

    def listed(self) -> list[str]:
        text = plain_request(self.port, "GET", f"/{self.name}?list-type=2").decode()
        return [each.split("</Key>")[0] for each in text.split("<Key>")[1:]]

    def uploads(self) -> int:
        """Multipart uploads that were begun and neither completed nor aborted."""
        return plain_request(self.port, "GET", f"/{self.name}?uploads").count(b"<UploadId>")


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(s3_port: int) -> Bucket:
    made = Bucket(s3_port, f"bucket-{next(_numbers)}")
    plain_request(s3_port, "PUT", f"/{made.name}")
    return made


@pytest.fixture
def patience() -> Patience:
    """Pauses that a test can wait for."""
    return Patience(tries=4, pause_seconds=0.01, longest_pause_seconds=0.02, connect_seconds=1, silence_seconds=1)


@frozen
class Authority:
    """A server's TLS with a certificate that only its own authority vouches for, and that certificate."""

    context: ssl.SSLContext
    certificate: str


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    directory = tmp_path_factory.mktemp("tls")

    def certificate(name: str, *more: str) -> tuple[Path, Path]:
        made, key = directory / f"{name}.pem", directory / f"{name}.key"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]
        command += ["-subj", f"/CN={name}", "-out", str(made), "-keyout", str(key)]
        subprocess.run([*command, *more], check=True, capture_output=True)
        return made, key

    root, root_key = certificate("authority")
    signed = ("-CA", str(root), "-CAkey", str(root_key), "-addext", "basicConstraints=critical,CA:FALSE")
    own, key = certificate("server", *signed, "-addext", "subjectAltName=IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    return Authority(context, root.read_text())
