"""What the API server answers when it refuses: codes, reasons and texts as clients meet them.

The reason is what programs should look at; the message is for people and, here as there, names the
object and every field that is wrong. The words are those that client libraries and users match on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from attrs import frozen


@frozen
class StatusCause:
    """One field that is wrong (metav1.StatusCause): the machine's reason, the path, the words."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


Causes: TypeAlias = list[StatusCause]
"""Everything that validation finds, in the order in which it looks."""


@frozen
class Target:
    """What a refusal is about: the resource in words and its parts for `details`."""

    group: str
    plural: str
    kind: str
    name: str = ""

    @property
    def resource(self) -> str:
        """`jobs.batch`, or `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """`Job.batch`, or `Pod` for the core group."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


NOTHING = Target("", "", "")
"""The target of a refusal that is about no object."""


class ApiError(Exception):
    """A request that the API server did not carry out, or at least did not say that it did.

    `code` is the HTTP status, `reason` the metav1.StatusReason ("" where the server gives none),
    `causes` the fields at fault, `retry_after` seconds after which the server asks to be tried again.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        message: str,
        causes: tuple[StatusCause, ...] = (),
        retry_after: int | None = None,
        target: Target = NOTHING,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        self.target = target

    def status(self) -> dict[str, Any]:
        """The metav1.Status body that an HTTP face sends with `code`."""
        details: dict[str, Any] = {}
        if self.target.name:
            details["name"] = self.target.name
        if self.target.group:
            details["group"] = self.target.group
        if self.target.kind:
            # The server names the kind of an invalid object but the resource in every other refusal.
            details["kind"] = self.target.kind if self.reason == "Invalid" else self.target.plural
        if self.causes:
            details["causes"] = [
                {k: v for k, v in (("reason", c.reason), ("message", c.message), ("field", c.field)) if v}
                for c in self.causes
            ]
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if details:
            body["details"] = details
        body["code"] = self.code
        return body

    def __repr__(self) -> str:
        return f"ApiError({self.code} {self.reason or 'without reason'}: {self.message})"


def bad_request(message: str, target: Target = NOTHING) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message=message, target=target)


def forbidden(target: Target, why: str, *, causes: tuple[StatusCause, ...] = ()) -> ApiError:
    """403: admission, quota or authorisation says no."""
    return ApiError(
        403, "Forbidden", message=f'{target.resource} "{target.name}" is forbidden: {why}', causes=causes, target=target
    )


def namespace_terminating(target: Target, namespace: str) -> ApiError:
    """403 with the cause NamespaceTerminating: nothing is created any more where all is being deleted."""
    return forbidden(
        target,
        f"unable to create new content in namespace {namespace} because it is being terminated",
        causes=(
            StatusCause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated"),
        ),
    )


def not_found(target: Target) -> ApiError:
    """404: there is no such object."""
    return ApiError(404, "NotFound", message=f'{target.resource} "{target.name}" not found', target=target)


def already_exists(target: Target, *, being_deleted: bool = False) -> ApiError:
    """409: an object of that kind and name is there already, or still."""
    going = "object is being deleted: " if being_deleted else ""
    message = f'{going}{target.resource} "{target.name}" already exists'
    return ApiError(409, "AlreadyExists", message=message, target=target)


def conflict(target: Target, why: str) -> ApiError:
    """409: the object is not, or no longer, the one the request means."""
    message = f'Operation cannot be fulfilled on {target.resource} "{target.name}": {why}'
    return ApiError(409, "Conflict", message=message, target=target)


def expired(message: str) -> ApiError:
    """410: that resource version has been compacted away; list again."""
    return ApiError(410, "Expired", message=message)


def too_large(why: str, target: Target = NOTHING) -> ApiError:
    """413: the object would not fit into the store."""
    return ApiError(413, "RequestEntityTooLarge", message=f"Request entity too large: {why}", target=target)


def store_refuses(why: str) -> ApiError:
    """500: etcd does not take an object that large.

    A real server keeps `why` to itself; it is given as a cause here because a simulation is for finding out.
    """
    return ApiError(
        500,
        "",
        message="etcdserver: request is too large",
        causes=(StatusCause("UnexpectedServerResponse", "", why),),
    )


def invalid(target: Target, causes: Sequence[StatusCause]) -> ApiError:
    """422: the object breaks the rules of its kind; one cause for each."""
    texts = list(dict.fromkeys(map(str, causes)))
    aggregated = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{target.qualified_kind} "{target.name}" is invalid: {aggregated}'
    return ApiError(422, "Invalid", message=message, causes=tuple(causes), target=target)


def patch_not_applicable(target: Target, why: str) -> ApiError:
    """422: a JSON Patch met a failed `test` or a path that is not there.

    A real server keeps `why` to itself; it is given as a cause here because a simulation is for finding out.
    """
    return ApiError(
        422,
        "Invalid",
        message="the server rejected our request due to an error in our request",
        causes=(StatusCause("UnexpectedServerResponse", "", why),),
        target=target,
    )


def internal(message: str) -> ApiError:
    """500 without a reason, as the server answers errors that it did not expect."""
    return ApiError(500, "", message=message)


# The words of field errors, as k8s.io/apimachinery's field package builds them.


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _body(word: str, value: object, detail: str) -> str:
    return f"{word}: {_shown(value)}: {detail}" if detail else f"{word}: {_shown(value)}"


def wrong(field: str, value: object, detail: str) -> StatusCause:
    """`Invalid value`: malformed, out of bounds, or not allowed together with something else."""
    return StatusCause("FieldValueInvalid", field, _body("Invalid value", value, detail))


def wrong_together(field: str, detail: str) -> StatusCause:
    """`Invalid value` of a combination, where no single value is to blame."""
    return StatusCause("FieldValueInvalid", field, f"Invalid value: {detail}")


def required(field: str, detail: str = "") -> StatusCause:
    """`Required value`: absent or empty."""
    return StatusCause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def unsupported(field: str, value: object, supported: Iterable[str]) -> StatusCause:
    """`Unsupported value` of a field that knows only certain words."""
    words = ", ".join(f'"{word}"' for word in supported)
    return StatusCause("FieldValueNotSupported", field, _body("Unsupported value", value, f"supported values: {words}"))


def not_allowed(field: str, detail: str) -> StatusCause:
    """`Forbidden`: a legal value that may not stand here or change now."""
    return StatusCause("FieldValueForbidden", field, f"Forbidden: {detail}")


def duplicate(field: str, value: object) -> StatusCause:
    """`Duplicate value` of something that must be unique."""
    return StatusCause("FieldValueDuplicate", field, _body("Duplicate value", value, ""))


def unknown_name(field: str, value: object) -> StatusCause:
    """`Not found`: it names something that this object does not have."""
    return StatusCause("FieldValueNotFound", field, _body("Not found", value, ""))


def too_long(field: str, limit_bytes: int) -> StatusCause:
    """`Too long`: more bytes than allowed."""
    return StatusCause("FieldValueTooLong", field, f"Too long: may not be more than {limit_bytes} bytes")


def too_many(field: str, count: int, *, limit: int) -> StatusCause:
    """`Too many`: more items than allowed."""
    return StatusCause("FieldValueTooMany", field, f"Too many: {count}: must have at most {limit} items")
