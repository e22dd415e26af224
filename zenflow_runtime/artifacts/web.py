"""Pages of web servers: read once from the start to the end, over as many connections as that takes.

A connection that breaks is taken up where it broke. A server that then begins
again from the start is read past what is there already, and has to send the
same bytes: otherwise two versions would be mixed. A body that nobody has said
the length of is refused unless its digest is known, since where it ends could
not be told from where it broke.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from functools import partial
from typing import IO, Any, Final
from urllib.parse import urlsplit

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError, shortened, without_secrets
from zenflow_runtime.artifacts.orders import HttpPlace
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.streams import Reading

_CHUNK_BYTES: Final = 256 * 1024
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def read(place: HttpPlace, patience: Patience, *, sha256: str | None) -> Reading:
    """The page. Raises TransferError if it is not there or may not be read."""
    opener = _opener(place)
    response = patience.trying(lambda: _open(opener, place, patience, start=0))
    size = _length(response)
    if size is None and sha256 is None and response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        response.close()
        what = (
            f"{_shown(place)}: the server does not say how long it is, so that a broken transfer would not be noticed"
        )
        raise TransferError(ExitCode.BAD_ARTIFACT, what, "give the artifact's sha256")
    return Reading(size, _body(opener, place, response, patience=patience), release=response.close)


def _body(
    opener: urllib.request.OpenerDirector, place: HttpPlace, response: Any, *, patience: Patience
) -> Iterator[bytes]:
    size, version = _length(response), response.headers.get("ETag")
    seen, hashed, failures = 0, hashlib.sha256(), 0
    while True:
        try:
            with response:
                while chunk := response.read(_CHUNK_BYTES):
                    seen += len(chunk)
                    hashed.update(chunk)
                    failures = 0
                    yield chunk
            if size is None or seen >= size:
                return
            why = f"the connection ended after {seen} of {size} bytes"
        except (OSError, http.client.HTTPException) as error:
            why = f"the connection broke after {seen} bytes ({_reason(error)})"
        failures += 1
        if failures >= patience.tries:
            raise _unavailable(f"{_shown(place)}: {why}")
        patience.pause(failures)
        response = patience.trying(partial(_open, opener, place, patience, start=seen))
        same = response.headers.get("ETag") == version
        same = same and (response.status == http.client.PARTIAL_CONTENT or _length(response) == size)
        if not same or not _resumes(response, place, seen=seen, digest=hashed.digest()):
            response.close()
            what = f"{_shown(place)} changed while it was fetched"
            raise TransferError(ExitCode.NOT_THE_SAME, what, "fetch a page that stays as it is")


def _resumes(response: Any, place: HttpPlace, *, seen: int, digest: bytes) -> bool:
    """Whether the response goes on after `seen` bytes; one that begins anew is read so far, and compared."""
    if response.status == http.client.PARTIAL_CONTENT:
        return bool(response.headers.get("Content-Range", "").startswith(f"bytes {seen}-"))
    again = hashlib.sha256()
    while seen > 0:
        try:
            chunk = response.read(min(seen, _CHUNK_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable(f"{_shown(place)}: the connection broke again ({_reason(error)})") from None
        if not chunk:
            return False
        seen -= len(chunk)
        again.update(chunk)
    return again.digest() == digest


def _open(opener: urllib.request.OpenerDirector, place: HttpPlace, patience: Patience, *, start: int) -> Any:
    headers = {"Accept-Encoding": "identity", "User-Agent": "zenflow-artifacts", **place.headers}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        request = urllib.request.Request(place.url, headers=headers)
        return opener.open(request, timeout=patience.silence_seconds)
    except urllib.error.HTTPError as error:
        with error:
            raise _answered(error, place) from None
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, place) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _untrusted(error.reason, place) from None
        raise _unavailable(f"{_shown(place)}: {_hidden(_reason(error.reason), place)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(f"{_shown(place)}: {_hidden(_reason(error), place)}") from None
    except ValueError as error:
        what = f"{_shown(place)}: the request cannot be made ({_hidden(str(error), place)})"
        raise TransferError(ExitCode.BAD_ORDER, what, "correct the artifact's http.url and its headers") from None


def _answered(error: urllib.error.HTTPError, place: HttpPlace) -> TransferError:
    what = f"{_shown(place)}: the server answered {error.code} {_hidden(str(error.reason), place)}"
    if error.code in (404, 410):
        return TransferError(ExitCode.NOT_FOUND, what, "correct the artifact's http.url, or make it optional")
    if error.code in (401, 403, 407):
        return TransferError(
            ExitCode.REFUSED, what, "give the artifact's http the headers or headersFrom that are asked for"
        )
    if error.code in _PASSING:
        return _unavailable(what)
    return TransferError(ExitCode.REFUSED, what, "see what the server wants, and correct the artifact's http fields")


def _unavailable(what: str) -> TransferError:
    fix = "see whether the server is up and can be reached from the Pod; the step's retryPolicy tries again"
    return TransferError(ExitCode.UNAVAILABLE, what, fix, lasting=False)


def _untrusted(error: ssl.SSLCertVerificationError, place: HttpPlace) -> TransferError:
    what = f"{_shown(place)}: the server's certificate is not trusted ({error.verify_message})"
    return TransferError(
        ExitCode.REFUSED, what, "name the certificate of its authority in the artifact's http.caConfigMapRef"
    )


def _opener(place: HttpPlace) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if place.certificates is not None:
        try:
            context.load_verify_locations(cadata=place.certificates)
        except (ssl.SSLError, ValueError):
            what = f"{_shown(place)}: what http.caConfigMapRef names is no certificate in PEM form"
            raise TransferError(
                ExitCode.BAD_ORDER, what, "put the authority's certificate (BEGIN CERTIFICATE) there"
            ) from None
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Redirect())


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and takes the flow's own headers to the same host only: they may hold credentials."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type] # typeshed wants HTTPMessage, which urllib itself gives
        if request is not None and _origin(newurl) != _origin(req.full_url):
            kept = {name: value for name, value in request.headers.items() if name.lower() in _OWN_HEADERS}
            request.headers = kept
        return request


_OWN_HEADERS: Final = frozenset({"accept-encoding", "range", "user-agent"})


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _length(response: Any) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _shown(place: HttpPlace) -> str:
    return without_secrets(place.url, place.secrets())


def _hidden(text: str, place: HttpPlace) -> str:
    return shortened(without_secrets(text, place.secrets()), 300)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "it said nothing for too long"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
