"""What can go wrong with a request, as one exception with the facts that decide what to do about it."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx2
import msgspec
from lightkube import ApiError
from lightkube.core.exceptions import ConfigError

from zenflow_runtime.access import ACCESS

FORBIDDEN: Final = 403
GONE: Final = 404
CONFLICT: Final = 409
EXPIRED: Final = 410
NO_ANSWER: Final = 0

REQUEST_ERRORS: Final = (httpx2.HTTPError, httpx2.StreamError, msgspec.DecodeError, ConfigError)
"""What the client raises for a request that did not go well: no answer, one cut short, a token that cannot be read."""


_LACKS: Final = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"')
"""How an API server says that RBAC allows something to nobody who asks."""


class RequestFailed(Exception):  # noqa: N818 - said like a cause: it is what has happened
    """A request that was not carried out, or of which that is not known.

    `code` is the HTTP status, `NO_ANSWER` if none came: then it may have been carried out all the same. `reason`
    is the metav1.StatusReason, `retry_after` the seconds after which the server asks to be tried again.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        message: str,
        causes: tuple[str, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{code or 'no answer'} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after


def advice(error: RequestFailed) -> str:
    """What an administrator can do about it; "" where there is nothing to be said but the message."""
    lacks = _LACKS.search(error.message) if error.code == FORBIDDEN else None
    if lacks is None:
        return ""
    verb, resource, group = lacks["verb"], lacks["resource"], lacks["group"]
    why = next((each.why for each in ACCESS if (each.group, each.resource, each.verb) == (group, resource, verb)), "")
    rule = f'apiGroups ["{group}"], resources ["{resource}"], verbs ["{verb}"]'
    return f"the operator's role lacks the rule {rule} ({why}): apply what `zenflow manifests` prints"


class NotLeading(Exception):  # noqa: N818 - not an error of ours: another replica leads
    """This process does not lead (any more), so it sends no write."""

    def __init__(self) -> None:
        super().__init__("this process does not lead any more")


def failed(error: Exception) -> RequestFailed:
    """What the client raised (one of `REQUEST_ERRORS`), as the facts."""
    if isinstance(error, ApiError):
        status = error.status
        details = status.details
        causes = tuple(cause.reason or "" for cause in (details.causes if details is not None else None) or ())
        after = None if details is None else details.retryAfterSeconds
        return RequestFailed(
            status.code or NO_ANSWER,
            status.reason or "",
            message=status.message or "",
            causes=causes,
            retry_after=_retry_after(error) or after,
        )
    if isinstance(error, httpx2.HTTPStatusError):
        response = error.response
        return RequestFailed(response.status_code, "", message=response.reason_phrase, retry_after=_retry_after(error))
    return RequestFailed(NO_ANSWER, type(error).__name__, message=str(error) or type(error).__name__)


def failed_with(status: Any, *, code: int = NO_ANSWER, retry_after: int | None = None) -> RequestFailed:
    """A metav1.Status, as a watch's ERROR line or a failed answer carries it."""
    body = status if isinstance(status, dict) else {}
    details = body.get("details") or {}
    return RequestFailed(
        body.get("code") or code,
        body.get("reason") or "",
        message=str(body.get("message") or ""),
        causes=tuple(cause.get("reason") or "" for cause in details.get("causes") or ()),
        retry_after=retry_after or details.get("retryAfterSeconds"),
    )


def seconds_of(text: str | None) -> int | None:
    """A Retry-After header; dates, which API servers do not send, are passed over."""
    return int(text) if text is not None and text.isdecimal() and len(text) <= 9 else None


def _retry_after(error: httpx2.HTTPStatusError) -> int | None:
    return seconds_of(error.response.headers.get("retry-after"))
