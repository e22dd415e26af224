"""What the operator tells the programs: the env var with the orders, read into values.

Its form is the core's (`zenflow_core.artifact_pod`). Credentials are env vars of
their own, which an order only names; their values stay out of every repr.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.artifact_report import ORDERS_ENV, ExitCode
from zenflow_runtime.artifacts.errors import TransferError

LIMIT_BYTES: Final = 10 * 1024**3
"""What an input may have, packed and unpacked, if its order says nothing."""


@frozen
class S3Place:
    """An object in an S3 store."""

    bucket: str
    key: str
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    certificates: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def secrets(self) -> Iterator[str]:
        yield from filter(None, (self.access_key_id, self.secret_access_key, self.session_token))


@frozen
class HttpPlace:
    """A page of a web server."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    certificates: str | None = field(default=None, repr=False)

    def secrets(self) -> Iterator[str]:
        for value in self.headers.values():
            yield value
            yield from value.split()


@frozen
class Packing:
    """How the files are packed into one object. `whole`: by us, so that its one top entry is the artifact."""

    zip: bool = False
    gzip: bool = False
    whole: bool = True


@frozen
class Fetch:
    """An input artifact: from where, and to where."""

    name: str
    place: S3Place | HttpPlace
    to: str
    optional: bool = False
    sha256: str | None = None
    size_bytes: int | None = None
    limit_bytes: int = LIMIT_BYTES
    packing: Packing | None = None

    def secrets(self) -> Iterator[str]:
        yield from self.place.secrets()


@frozen
class Store:
    """An output artifact: `path` below the mount `root`; a location that ends in `/` wants a place of its own in it."""

    name: str
    root: str
    path: str
    place: S3Place | str
    """Where to; text is a path on the flow's claim."""
    location: str
    optional: bool = False
    packing: Packing = Packing()
    entry: str = ""
    """What it is called in its archive; the artifact's name if nothing is said."""

    def secrets(self) -> Iterator[str]:
        if isinstance(self.place, S3Place):
            yield from self.place.secrets()


@frozen
class Remove:
    """All objects below a key, which is a directory that one flow had for itself."""

    name: str
    place: S3Place

    def secrets(self) -> Iterator[str]:
        yield from self.place.secrets()


Order: TypeAlias = Fetch | Store | Remove


def read_fetches(env: Mapping[str, str]) -> tuple[Fetch, ...]:
    """The orders of `zenflow-inputs`; raises TransferError if they make no sense."""
    return tuple(_each(env, _fetch))


def read_stores(env: Mapping[str, str]) -> tuple[Store, ...]:
    """The orders of `zenflow-outputs`; raises TransferError if they make no sense."""
    return tuple(_each(env, _store))


def read_removals(env: Mapping[str, str]) -> tuple[Remove, ...]:
    """The orders of `zenflow-removal`; raises TransferError if they make no sense."""
    return tuple(_each(env, _remove))


def _each(env: Mapping[str, str], read: Any) -> Iterator[Any]:
    fix = "use the image that belongs to the operator's version"
    try:
        orders = json.loads(env[ORDERS_ENV])
    except KeyError:
        raise TransferError(
            ExitCode.BAD_ORDER, f"the env var {ORDERS_ENV} is not set", "only an operator starts this"
        ) from None
    except ValueError:
        raise TransferError(ExitCode.BAD_ORDER, f"the env var {ORDERS_ENV} is not JSON", fix) from None
    for order in orders if isinstance(orders, list) else (None,):
        try:
            yield read(order, env)
        except (KeyError, TypeError, AttributeError) as error:
            what = f"the orders in {ORDERS_ENV} cannot be read ({type(error).__name__}: {error})"
            raise TransferError(ExitCode.BAD_ORDER, what, fix) from None


def _fetch(order: Mapping[str, Any], env: Mapping[str, str]) -> Fetch:
    return Fetch(
        order["name"],
        _s3(order["s3"], env) if "s3" in order else _http(order["http"], env),
        to=order["to"],
        optional=order["optional"],
        sha256=order.get("sha256"),
        size_bytes=order.get("size"),
        limit_bytes=order.get("limit", LIMIT_BYTES),
        packing=_packing(order["archive"]) if "archive" in order else None,
    )


def _store(order: Mapping[str, Any], env: Mapping[str, str]) -> Store:
    return Store(
        order["name"],
        order["root"],
        path=order["from"],
        place=_s3(order["s3"], env) if "s3" in order else order["claim"],
        location=order["location"],
        optional=order["optional"],
        packing=_packing(order["archive"]) if "archive" in order else Packing(),
        entry=order.get("entry", ""),
    )


def _remove(order: Mapping[str, Any], env: Mapping[str, str]) -> Remove:
    return Remove(order["name"], _s3(order["s3"], env))


def _s3(place: Mapping[str, Any], env: Mapping[str, str]) -> S3Place:
    def value(key: str) -> str | None:
        return (env.get(place[key]) or None) if key in place else None

    found = S3Place(
        place["bucket"],
        place["key"],
        endpoint=place.get("endpoint"),
        region=place.get("region"),
        path_style=place.get("forcePathStyle"),
        access_key_id=value("accessKeyIdEnv"),
        secret_access_key=value("secretAccessKeyEnv"),
        session_token=value("sessionTokenEnv"),
        certificates=value("caEnv"),
    )
    if (found.access_key_id is None) is not (found.secret_access_key is None):
        lacks = "secretAccessKeySecretRef" if found.secret_access_key is None else "accessKeyIDSecretRef"
        what = f"{found.url}: the Secret that {lacks} names has no value at its key"
        raise TransferError(ExitCode.BAD_ORDER, what, "give the Secret that key, or take both references out")
    return found


def _http(place: Mapping[str, Any], env: Mapping[str, str]) -> HttpPlace:
    certificates = (env.get(place["caEnv"]) or None) if "caEnv" in place else None
    headers = dict(place["headers"])
    for header in place.get("headersFrom", ()):
        # One that is optional and not there is left out. A file that became a Secret ends in a line end.
        value = env.get(header["env"], "").rstrip("\r\n")
        if not set(value).isdisjoint("\r\n"):
            what = f"the Secret that http.headersFrom names for {header['name']} has more than one line"
            raise TransferError(ExitCode.BAD_ORDER, what, "put the header's value there, in one line")
        if value:
            headers[header["name"]] = header["prefix"] + value
    return HttpPlace(place["url"], headers, certificates)


def _packing(archive: Mapping[str, Any]) -> Packing:
    return Packing(
        zip=archive["format"] == "zip", gzip=archive["compression"] == "gzip", whole=archive.get("whole", True)
    )
