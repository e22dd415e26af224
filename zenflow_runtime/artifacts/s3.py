"""S3 stores, by obstore: read in ranges of one version of the object, written in one piece or not at all.

obstore tries a request again that got no answer, 429 or a 5xx; what it gives up
on is tried again here. Bytes are asked for in ranges with `If-Match`, so that a
connection that breaks costs one range, and an object that is replaced meanwhile
is noticed. A write is one PUT, or a multipart upload that obstore aborts when it
fails: nobody ever sees half of an object.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError, shortened, without_secrets
from zenflow_runtime.artifacts.orders import S3Place
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.streams import CHUNK_BYTES, Reading

_RANGES: Final = 2
"""Ranges that are on their way while one is written."""

_AT_ONCE: Final = 3
"""Parts that are sent at the same time."""

_PARTS: Final = 9_000
"""S3 takes 10,000 parts; a larger object gets larger ones."""

_REMOVED_AT_ONCE: Final = 1_000
"""What S3 takes in one request."""

_WRITES: Final = 3
"""Tries for a whole write, each of whose requests has been tried before."""

_ANSWER: Final = re.compile(r"status code: (\d{3}[^:\n]*)")
_ERROR: Final = re.compile(r"<Code>([^<]*)</Code>(?:\s*<Message>([^<]*)</Message>)?")
_CAUSE: Final = re.compile(r'(?:error|message): "([^"]+)"')
_UNTRUSTED: Final = re.compile(r"InvalidCertificate\((?:\s*Other\(\s*OtherError\()?\s*(\w+)")
"""What obstore tells of the reason only in the part for programmers: the last cause, and what is wrong with TLS."""
_REFUSALS: Final = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_AMBIENT: Final = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
"""Env vars by which a cluster hands credentials to every container of a Pod (IAM roles for service accounts)."""


def read(place: S3Place, patience: Patience) -> Reading:
    """The object, as it is now. Raises TransferError if it is not there or may not be read."""
    store = open_store(place, patience)
    meta = patience.trying(lambda: _asking(place, lambda: obstore.head(store, place.key)))
    return Reading(meta["size"], _ranges(store, place, size=meta["size"], e_tag=meta["e_tag"], patience=patience))


def write(
    place: S3Place, make: Callable[[], Iterator[bytes]], *, about_bytes: int, create: bool, patience: Patience
) -> None:
    """Store what `make` yields, which is called anew for each try. With `create` a short object replaces none.

    Memory: about seven parts, of 5 MiB up to 44 GiB and of a nine-thousandth of `about_bytes` above.
    """
    store = open_store(place, patience)
    part = max(CHUNK_BYTES, about_bytes // _PARTS)

    def once() -> None:
        chunks = iter(_gathered(make(), part))
        first = next(chunks, b"")
        second = next(chunks, None)
        if second is None:
            mode: Any = "create" if create else "overwrite"
            _asking(place, lambda: obstore.put(store, place.key, first, mode=mode, use_multipart=False))
            return
        whole = chain((first, second), chunks)
        _asking(
            place,
            lambda: obstore.put(store, place.key, whole, use_multipart=True, chunk_size=part, max_concurrency=_AT_ONCE),
        )

    patience.trying(once, tries=_WRITES)


def remove(place: S3Place, patience: Patience) -> int:
    """Remove all objects below the place's key, which ends in `/`; how many there were. None of them is no trouble."""
    assert place.key.endswith("/"), "only what one flow had for itself is removed"
    store = open_store(place, patience)
    removed = 0

    def some() -> int:
        listed: Any = obstore.list(store, place.key, chunk_size=_REMOVED_AT_ONCE)
        batch = next(iter(listed), ())
        if batch:
            obstore.delete(store, [each["path"] for each in batch])
        return len(batch)

    while found := patience.trying(lambda: _asking(place, some)):
        patience.check()
        removed += found
    return removed


def open_store(place: S3Place, patience: Patience) -> S3Store:
    """obstore's view of the place's bucket; asks nothing yet."""
    client: Any = {
        "connect_timeout": timedelta(seconds=patience.connect_seconds),
        "read_timeout": timedelta(seconds=patience.silence_seconds),
        "timeout": timedelta(minutes=30),
        "user_agent": "zenflow-artifacts",
    }
    config: dict[str, Any] = {"region": place.region or "us-east-1"}
    virtual = not place.path_style if place.path_style is not None else place.endpoint is None
    config["virtual_hosted_style_request"] = virtual
    if place.endpoint is not None:
        endpoint = place.endpoint if "://" in place.endpoint else f"https://{place.endpoint}"
        parts = urlsplit(endpoint)
        client["allow_http"] = parts.scheme == "http"
        # obstore wants the bucket in an endpoint of the virtual-host style.
        config["endpoint"] = f"{parts.scheme}://{place.bucket}.{parts.netloc}" if virtual else endpoint.rstrip("/")
    if place.certificates is not None:
        client["root_certificate"] = place.certificates
    if place.access_key_id is not None:
        config |= {"access_key_id": place.access_key_id, "secret_access_key": place.secret_access_key}
        if place.session_token is not None:
            config["session_token"] = place.session_token
    elif not any(name in os.environ for name in _AMBIENT):
        config["skip_signature"] = True
    retry: Any = {
        "max_retries": patience.tries - 1,
        "backoff": {
            "init_backoff": timedelta(seconds=patience.pause_seconds),
            "max_backoff": timedelta(seconds=patience.longest_pause_seconds),
        },
    }
    try:
        return S3Store(place.bucket, client_options=client, retry_config=retry, **config)
    except (BaseError, ValueError) as error:
        what = f"{place.url}: {_said(str(error), place)}"
        raise TransferError(ExitCode.BAD_ORDER, what, "correct the artifact's s3 fields") from None


def _ranges(
    store: S3Store, place: S3Place, *, size: int, e_tag: str | None, patience: Patience
) -> Iterator[memoryview]:
    def fetch(start: int) -> memoryview:
        end = min(size, start + CHUNK_BYTES)
        options: Any = {"range": (start, end)} if size > CHUNK_BYTES else {}
        options |= {"if_match": e_tag} if e_tag else {}
        found: memoryview = patience.trying(
            lambda: _asking(place, lambda: memoryview(obstore.get(store, place.key, options=options).bytes()))
        )
        if found.nbytes != end - start:
            what = f"{place.url}: {end - start} bytes were asked for and {found.nbytes} came"
            raise TransferError(ExitCode.UNAVAILABLE, what, "see whether the store is a complete S3")
        return found

    pool = ThreadPoolExecutor(_RANGES, thread_name_prefix="s3")
    pending: deque[Future[memoryview]] = deque()
    try:
        for start in range(0, size, CHUNK_BYTES):
            pending.append(pool.submit(fetch, start))
            if len(pending) > _RANGES:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _gathered(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last."""
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += len(chunk)
        if length >= size:
            yield b"".join(held) if len(held) > 1 else chunk
            held, length = [], 0
    if held:
        yield b"".join(held)


def _asking(place: S3Place, request: Callable[[], Any]) -> Any:
    """The request's answer; what obstore raises, as TransferError."""
    try:
        return request()
    except AlreadyExistsError:
        what = f"{place.url} exists already"
        raise TransferError(ExitCode.NOT_THE_SAME, what, "let nobody else write there") from None
    except PreconditionError:
        what = f"{place.url} was replaced while it was fetched"
        raise TransferError(
            ExitCode.NOT_THE_SAME, what, "let each flow write to a key of its own (one that ends in '/')"
        ) from None
    except (BaseError, OSError, ValueError) as error:
        raise _trouble(str(error), place, missing=isinstance(error, FileNotFoundError)) from None


def _trouble(text: str, place: S3Place, *, missing: bool) -> TransferError:
    answer = _ANSWER.search(text)
    status = int(answer[1][:3]) if answer else 0
    error = _ERROR.search(text)
    code = error[1] if error else ""
    what = f"{place.url}: {_said(text, place)}"
    if code == "NoSuchBucket":
        return TransferError(
            ExitCode.NOT_FOUND, what, f"create the bucket {place.bucket}, or correct the artifact's s3.bucket"
        )
    if missing or status == 404:
        return TransferError(
            ExitCode.NOT_FOUND, what, "correct the artifact's s3.bucket and s3.key, or make it optional"
        )
    if code in _REFUSALS or status in (401, 403):
        fix = "renew the credentials in the Secrets that the artifact's s3 names, or give them the right to this key"
        return TransferError(ExitCode.REFUSED, what, fix)
    if status and status < 500 and status not in (408, 429):
        return TransferError(ExitCode.REFUSED, what, "see what the store wants, and correct the artifact's s3 fields")
    if not status and _UNTRUSTED.search(text):
        return TransferError(
            ExitCode.REFUSED, what, "name the authority's certificate in the artifact's s3.caConfigMapRef"
        )
    fix = "see whether the store is up and can be reached from the Pod; the step's retryPolicy tries again"
    return TransferError(ExitCode.UNAVAILABLE, what, fix, lasting=False)


def _said(text: str, place: S3Place) -> str:
    """What the store said: status, code and message of its answer, else obstore's own first words."""
    answer, error = _ANSWER.search(text), _ERROR.search(text)
    if answer is None:
        said = text.partition("\n\nDebug source")[0]
        causes = _CAUSE.findall(text)
        if _UNTRUSTED.search(text):
            said = f"the store's certificate is not trusted ({_UNTRUSTED.findall(text)[-1]})"
        elif causes:
            said += f" ({causes[-1]})"
    else:
        said = f"the store answered {answer[1].strip()}"
        if error is not None:
            said += f" {error[1]}" + (f" ({error[2]})" if error[2] else "")
    return shortened(without_secrets(said, place.secrets()))
