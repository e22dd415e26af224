"""/validate-jobflow and /mutate-jobflow over HTTP: bounds, status codes, and a thread for the work.

The loop goes on with the operator's own business meanwhile. A flow of 1,000
steps takes some tenths of a second; the API server waits for ten.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import anyio
import anyio.to_thread
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.webhook import review
from zenflow_runtime.webhook.review import NotAReviewError, mutate_review, read_request, validate_review

log = structlog.get_logger("zenflow.webhook")

VALIDATE: Final = "/validate-jobflow"
MUTATE: Final = "/mutate-jobflow"

BODY_BYTES: Final = 8 * 1024 * 1024
"""Largest review: an update carries two objects, of which the API server takes 3 MiB each and stores half of that."""

BODY_SECONDS: Final = 10.0
"""How long a request may take to arrive: as long as the API server would wait for the answer."""

AT_ONCE: Final = 2
"""Reviews that are worked on at the same time; more wait. Python runs one at a time anyway."""

Answerer: TypeAlias = Callable[[review.Request], dict[str, Any]]


class TooLargeError(ValueError):
    """The body is larger than any review that an API server sends."""


def application(settings: Settings = DEFAULTS, *, missing: Callable[[], list[str]] = list) -> Starlette:
    """The ASGI application. `settings` are the operator's for all flows; `missing` is what keeps it from serving."""
    limiter = anyio.CapacityLimiter(AT_ONCE)

    def answering(answer: Answerer) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                with anyio.fail_after(BODY_SECONDS):
                    body = await _body(request)
            except TooLargeError as error:
                return PlainTextResponse(f"{error}\n", status_code=413)
            except (TimeoutError, ClientDisconnect):
                return PlainTextResponse("the request did not arrive in time\n", status_code=408)
            try:
                given, answered = await anyio.to_thread.run_sync(_worked, body, answer, limiter=limiter)
            except NotAReviewError as error:
                return PlainTextResponse(f"{error}\n", status_code=400)
            if not answered["response"]["allowed"]:
                details = answered["response"]["status"]["details"]
                log.info("flow refused", flow=details["name"], problems=len(details["causes"]), uid=given.uid)
            # Not starlette's JSON: half of a surrogate pair in a flow would be no UTF-8, and so no answer at all.
            return Response(json.dumps(answered), media_type="application/json")

        return endpoint

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        lacks = missing()
        return PlainTextResponse("\n".join(lacks) + "\n" if lacks else "ok\n", status_code=503 if lacks else 200)

    return Starlette(
        routes=[
            Route(VALIDATE, answering(lambda given: validate_review(given, settings=settings)), methods=["POST"]),
            Route(MUTATE, answering(mutate_review), methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )


def _worked(body: bytes, answer: Answerer) -> tuple[review.Request, dict[str, Any]]:
    given = read_request(body)
    return given, answer(given)


async def _body(request: Request) -> bytes:
    """The body, no more of it read than is allowed, whatever its headers say."""
    too_large = TooLargeError(f"a review has no more than {BODY_BYTES} bytes")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > BODY_BYTES:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise too_large
    return bytes(body)
