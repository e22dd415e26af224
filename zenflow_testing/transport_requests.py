"""HTTP requests to an API server as values, and the options that they carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from attrs import field, frozen

from zenflow_testing import errors
from zenflow_testing.cluster import Propagation
from zenflow_testing.errors import ApiError, StatusCause
from zenflow_testing.transport_lists import Query, invalid_options

BODY_BYTES: Final = 3 * 1024 * 1024
"""A larger request body is refused with 413, as a server's handlers do."""

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

FIELD_MANAGER_BYTES: Final = 128


@frozen
class Call:
    """A request as it came: the query's last value of each name, the media types without their parameters."""

    method: str
    path: str
    query: Query = field(factory=dict)
    content_type: str = ""
    accept: str = ""
    body: bytes = b""


@frozen(eq=False)
class Reply:
    """An answer: a JSON value, or plain text."""

    code: int
    body: Any

    @property
    def content_type(self) -> str:
        """`application/json`, but for plain text."""
        return "text/plain; charset=utf-8" if isinstance(self.body, str) else "application/json"

    def encoded(self) -> bytes:
        """The bytes of the body."""
        return self.body.encode() if isinstance(self.body, str) else msgspec.json.encode(self.body)


@frozen
class DeleteOptions:
    """What a DELETE asks for, in its body or else in its query."""

    propagation: Propagation | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


def delete_options(call: Call) -> DeleteOptions:
    """The options of a DELETE. Raises 400, 415 or 422 for options that are none."""
    options: Mapping[str, Any] = call.query
    if call.body:
        if call.content_type not in ("", JSON):
            raise unsupported_media((JSON,))
        body = decoded(call.body)
        if not isinstance(body, dict) or body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise errors.bad_request("decoded object cannot be converted to DeleteOptions")
        options = body
    policy, asked = options.get("propagationPolicy"), options.get("dryRun") or []
    dry_run: list[str] = [asked] if isinstance(asked, str) else list(asked)
    causes: list[StatusCause] = []
    if policy is not None and policy not in tuple(Propagation):
        causes.append(errors.unsupported("propagationPolicy", policy, ("Foreground", "Background", "Orphan", "nil")))
    causes += _dry_run_causes(dry_run)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    preconditions = options.get("preconditions") or {}
    if not isinstance(preconditions, Mapping):
        raise errors.bad_request("preconditions of DeleteOptions is not an object")
    return DeleteOptions(
        None if policy is None else Propagation(policy),
        preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=bool(dry_run),
    )


def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises 400 for one that is none, 413 for one that is too long."""
    if len(body) > BODY_BYTES:
        raise errors.too_large(f"limit is {BODY_BYTES}")
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as problem:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {problem}") from problem


def takes_json(accept: str) -> bool:
    """Whether a client can read the answers of this server."""
    if not accept:
        return True
    wanted = {part.partition(";")[0].strip() for part in accept.split(",")}
    return not wanted.isdisjoint(("*/*", "application/*", "application/json"))


def takes_only_metadata(accept: str) -> bool:
    """Whether a client asks first of all for the metadata of an object, and for nothing else of it."""
    return "as=PartialObjectMetadata" in accept.partition(",")[0].replace(" ", "").split(";")


def is_dry_run(query: Query) -> bool:
    """Whether everything is to be done but the writing."""
    return bool(query.get("dryRun"))


def _dry_run_causes(values: list[str]) -> list[StatusCause]:
    return [errors.unsupported("dryRun", values, ("All",))] if any(value != "All" for value in values) else []


def check_options(kind: str, query: Query, *, apply: bool) -> None:
    """Refuse options that a server refuses; `kind` is CreateOptions, UpdateOptions or PatchOptions."""
    causes: list[StatusCause] = []
    manager = query.get("fieldManager", "")
    if kind == "PatchOptions":
        if not apply and "force" in query:
            causes.append(errors.not_allowed("force", "may not be specified for non-apply patch"))
        if apply and not manager:
            causes.append(errors.required("fieldManager", "is required for apply patch"))
    if len(manager.encode()) > FIELD_MANAGER_BYTES:
        causes.append(errors.too_long("fieldManager", FIELD_MANAGER_BYTES))
    if query.get("dryRun"):
        causes += _dry_run_causes([query["dryRun"]])
    if causes:
        raise invalid_options(kind, causes)


def unsupported_media(accepted: tuple[str, ...]) -> ApiError:
    """The 415 of a body whose media type is none of these."""
    return ApiError(
        415,
        "UnsupportedMediaType",
        message="the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted),
    )
