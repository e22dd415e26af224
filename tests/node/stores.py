"""Where the artifacts of real Pods come from and go: an S3 server on this machine, and what stands in front of it."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from tests.artifacts.servers import plain_request
from tests.node.flows import Home

EVERYWHERE: Final = "0.0.0.0"
"""What a server for Pods listens on: the tests themselves ask it by another address than they do."""

CREDENTIALS: Final = "s3-login"
ACCESS_KEY: Final = "AKIDEXAMPLE"


@frozen
class Store:
    """An S3 server, as Pods reach it and as tests look at it, past all of our code."""

    address: str
    port: int

    def url(self, port: int | None = None) -> str:
        """Where Pods find it, or what listens on another port."""
        return f"http://{self.address}:{port or self.port}"

    def s3(self, bucket: str, key: str, *, port: int | None = None) -> dict[str, Any]:
        """The `s3` of an artifact."""
        return {
            "endpoint": self.url(port),
            "bucket": bucket,
            "key": key,
            "accessKeyIDSecretRef": {"name": CREDENTIALS, "key": "id"},
            "secretAccessKeySecretRef": {"name": CREDENTIALS, "key": "secret"},
        }

    def make(self, bucket: str) -> None:
        """A bucket."""
        plain_request(self.port, "PUT", f"/{bucket}")

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Write an object."""
        plain_request(self.port, "PUT", f"/{bucket}/{key}", data)

    def get(self, bucket: str, key: str) -> bytes:
        """Read an object."""
        return plain_request(self.port, "GET", f"/{bucket}/{key}")

    def keys(self, bucket: str) -> list[str]:
        """All objects."""
        text = plain_request(self.port, "GET", f"/{bucket}?list-type=2").decode()
        return [each.split("</Key>")[0] for each in text.split("<Key>")[1:]]


def give_secret(home: Home, name: str, **values: str) -> None:
    """A Secret of the namespace."""
    home.client.create(Secret(metadata=ObjectMeta(name=name), stringData=values))


def give_credentials(home: Home, *, secret: str = "wJalrXUtnFEMI") -> None:
    """The credentials that `Store.s3` names; the server takes any."""
    give_secret(home, CREDENTIALS, id=ACCESS_KEY, secret=secret)
