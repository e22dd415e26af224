"""An AdmissionReview answered: the whole of what the webhook says, without a socket.

Refused is what `zenflow validate` refuses, and on an update only what the old
object did not have already. An update that leaves the spec alone is never asked
about, nor a deletion: whatever got in can be labelled, freed of its finalizers
and cleaned up. The answer depends on the request alone, so a dry run is like
any other request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from attrs import frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import plan_of
from zenflow_core.limits import FLOW_BACKOFF_LIMIT_DEFAULT, PROBLEMS, TTL_SECONDS_DEFAULT
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import GROUP, KIND, ConcurrencyPolicy, JobFlow
from zenflow_core.validation import examine

API_VERSION: Final = "admission.k8s.io/v1"
REVIEW: Final = "AdmissionReview"

INVALID: Final = 422
"""`status.code` of a refusal, as the API server's own for an object that its schema refuses."""

TOLD: Final = 50
"""Problems in a refusal's message; `details.causes` has all of them (1,000 at most)."""

WARNINGS: Final = 10
WARNING_CHARACTERS: Final = 250
"""The API server cuts a warning at 256 characters and passes no more than 4,096 of all together."""

DEFAULT_POLICY: Final[Mapping[str, Any]] = {
    "concurrencyPolicy": ConcurrencyPolicy.FORBID.value,
    "ttlSecondsAfterFinished": TTL_SECONDS_DEFAULT,
    "backoffLimit": FLOW_BACKOFF_LIMIT_DEFAULT,
}
"""What an executionPolicy that does not say otherwise means; the CRD's defaults say the same."""


class Operation(StrEnum):
    """What somebody is about to do."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@frozen
class Request:
    """The part of an AdmissionRequest that counts."""

    uid: str
    operation: Operation
    ours: bool
    """Whether it is about a JobFlow itself, and not about its status or something else."""
    object: Any
    old: Any


class NotAReviewError(ValueError):
    """What came is no AdmissionReview; says what it is."""


def read_request(body: bytes) -> Request:
    """The request of a review; raises `NotAReviewError`."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAReviewError(f"the body is no JSON ({error})") from error
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (API_VERSION, REVIEW):
        raise NotAReviewError(f"expected {API_VERSION}, kind {REVIEW}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str) or not request["uid"]:
        raise NotAReviewError("the review has no request with a uid")
    try:
        operation = Operation(str(request.get("operation")))
    except ValueError as error:
        raise NotAReviewError(f"operation: {error}") from error
    kind = request.get("kind")
    ours = isinstance(kind, dict) and (kind.get("group"), kind.get("kind")) == (GROUP, KIND)
    return Request(
        request["uid"],
        operation,
        ours=ours and not request.get("subResource"),
        object=request.get("object"),
        old=request.get("oldObject"),
    )


def validate_review(request: Request, *, settings: Settings = DEFAULTS) -> dict[str, Any]:
    """Whether the flow may come in, with everything that is wrong or doubtful. Cost: that of `compile_plan`."""
    if not _judged(request):
        return _review(request, allowed=True)
    problems, warnings = _examined(request.object, settings)
    if problems and request.operation is Operation.UPDATE:
        before = {(each.path, each.what) for each in _examined(request.old, settings)[0]}
        problems = tuple(each for each in problems if (each.path, each.what) not in before)
    said = list(_warnings(warnings))
    if not problems:
        return _review(request, allowed=True, warnings=said)
    return _review(request, allowed=False, status=_refusal(request.object, problems), warnings=said)


def mutate_review(request: Request) -> dict[str, Any]:
    """On creation, the defaults of `executionPolicy` written out where the flow leaves them open; nothing else.

    The flow means the same with them and without. Where our CRD is installed it has put them there already.
    """
    spec = request.object.get("spec") if isinstance(request.object, dict) else None
    if not request.ours or request.operation is not Operation.CREATE or not isinstance(spec, dict):
        return _review(request, allowed=True)
    policy = spec.get("executionPolicy")
    if policy is None or policy == {}:
        operations = [_add("/spec/executionPolicy", dict(DEFAULT_POLICY))]
    elif isinstance(policy, dict):
        operations = [
            _add(f"/spec/executionPolicy/{name}", value)
            for name, value in DEFAULT_POLICY.items()
            if policy.get(name) is None
        ]
    else:
        operations = []  # no policy at all: for validation to say
    if not operations:
        return _review(request, allowed=True)
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return _review(request, allowed=True, patchType="JSONPatch", patch=patch)


def _judged(request: Request) -> bool:
    if not request.ours or request.operation not in (Operation.CREATE, Operation.UPDATE):
        return False
    if request.operation is Operation.CREATE:
        return True
    new = request.object if isinstance(request.object, dict) else {}
    old = request.old if isinstance(request.old, dict) else {}
    going = isinstance(new.get("metadata"), dict) and new["metadata"].get("deletionTimestamp") is not None
    return not going and new.get("spec") != old.get("spec")


def _examined(data: Any, settings: Settings) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Problems and warnings of an object."""
    flow = read_flow(data)
    if not isinstance(flow, JobFlow):
        return flow, ()
    examination = examine(flow)
    plan = plan_of(examination, settings=settings)
    return () if isinstance(plan, Plan) else plan, examination.warnings


def _refusal(data: Any, problems: tuple[Problem, ...]) -> dict[str, Any]:
    """A metav1.Status that says all."""
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name") or metadata.get("generateName") if isinstance(metadata, dict) else ""
    lines = [str(each) for each in problems[:TOLD]]
    if len(problems) > TOLD:
        lines.append(f"and {len(problems) - TOLD} more; `zenflow validate FILE` shows all")
    many = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    causes = [
        {"reason": "FieldValueInvalid", "field": each.path, "message": f"{each.what}; fix: {each.fix}"}
        for each in islice(problems, PROBLEMS)
    ]
    return {
        "status": "Failure",
        "reason": "Invalid",
        "code": INVALID,
        "message": f"JobFlow {str(name or '')!r} has {many}\n" + "\n".join(lines),
        "details": {"group": GROUP, "kind": KIND, "name": str(name or ""), "causes": causes},
    }


def _warnings(warnings: tuple[Problem, ...]) -> Iterator[str]:
    """One line each, of what fits into a header."""
    for each in warnings[:WARNINGS]:
        line = " ".join(f"{each.path}: {each.what} (fix: {each.fix})".split())
        yield line if len(line) <= WARNING_CHARACTERS else f"{line[: WARNING_CHARACTERS - 1]}…"
    if len(warnings) > WARNINGS:
        yield f"and {len(warnings) - WARNINGS} more warnings; `zenflow validate FILE` shows all"


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _review(request: Request, *, allowed: bool, **more: Any) -> dict[str, Any]:
    given = {name: value for name, value in more.items() if value}
    return {
        "apiVersion": API_VERSION,
        "kind": REVIEW,
        "response": {"uid": request.uid, "allowed": allowed, **given},
    }
