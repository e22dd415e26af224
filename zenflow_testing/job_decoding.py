"""How the API server reads a batch/v1 Job: types checked, nulls and unknown fields dropped.

A field of the wrong type is 400 BadRequest; a field that the API does not know is dropped without a word
(`template_problems` reports it all the same, for tools that check manifests).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import frozen

from zenflow_core._job_schema import JOB_TEMPLATE_SCHEMA
from zenflow_core.quantities import parse_quantity
from zenflow_testing.errors import (
    Target,
    bad_request,
)
from zenflow_testing.kinds import Object

MAX_INT32 = 2**31 - 1
_INT32 = (
    "parallelism",
    "completions",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)


@frozen
class TemplateProblem:
    """One place where a Job template does not fit the API: the path in it, and what is wrong there."""

    path: tuple[str | int, ...]
    what: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or '(the template itself)'}: {self.what}"


@cache
def _validator() -> Any:
    # Imported here: the schema takes 20 ms to compile, and most users of this package never create a Job.
    import jsonschema_rs

    return jsonschema_rs.validator_for(json.loads(JOB_TEMPLATE_SCHEMA))


def template_problems(template: Mapping[str, Any]) -> tuple[TemplateProblem, ...]:
    """Every place where a Job template (`metadata`, `spec`) does not fit the API, unknown fields included.

    This is the strict reading, for tools that check manifests: an API server drops unknown fields instead.
    Values (names, ranges, combinations) are `validate_job`'s matter.
    """
    return tuple(TemplateProblem(tuple(e.instance_path), e.message) for e in _validator().iter_errors(template))


def decode_job(body: Object, target: Target) -> Object:
    """The Job as the API server reads it: nulls and unknown fields dropped; the same object if there are none.

    Raises a 400 ApiError naming the first field that holds the wrong type.
    """
    if not isinstance(body.get("spec"), Mapping):
        if body.get("spec") is not None:
            raise _undecodable(body, ("spec",), "is not an object", target=target)
        body = {**body, "spec": {}}
    template = {"spec": body["spec"]}
    if not _validator().is_valid(template):
        template = _readable(template, target=target)
        body = {**body, **template}
    for member in _INT32:
        number = template["spec"].get(member)
        if number is not None and not -MAX_INT32 <= number <= MAX_INT32:
            raise _undecodable(body, ("spec", member), f"number {number} is none of type int32", target=target)
    for path, amount in _quantities(template["spec"]):
        if parse_quantity(amount) is None:
            raise bad_request(
                'Job in version "v1" cannot be handled as a Job: quantities must match the regular expression'
                f" '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' ({path} is {amount!r})",
                target,
            )
    return body


def _readable(template: dict[str, Any], *, target: Target) -> dict[str, Any]:
    """A template without what the server does not read; the slow path, for templates that do not fit as they are."""
    template = _without_nulls(template)
    doomed: list[tuple[tuple[str | int, ...], str]] = []
    for problem in _validator().iter_errors(template):
        path = tuple(problem.instance_path)
        match problem.kind.name:
            case "additionalProperties":
                doomed.extend((path, name) for name in problem.kind.unexpected)
            case "required":
                pass  # The server decodes it and answers 422 Invalid in its validation.
            case _:
                raise _undecodable(template, path, problem.message, target=target)
    for path, name in doomed:
        here: Any = template
        for token in path:
            here = here[token]
        del here[name]
    return template


def _without_nulls(value: Any) -> Any:
    """A copy without null members: to the server a null field is an absent one."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _undecodable(body: Object, path: Sequence[str | int], what: str, *, target: Target) -> Exception:
    place = ".".join(map(str, path))
    return bad_request(
        f'Job in version "v1" cannot be handled as a Job: json: cannot unmarshal {place}: {what}', target
    )


def _quantities(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    pod = (spec.get("template") or {}).get("spec") or {}
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(pod.get(kind) or ()):
            resources = container.get("resources")
            if resources:
                for member in ("limits", "requests"):
                    for name, amount in (resources.get(member) or {}).items():
                        yield f"spec.template.spec.{kind}[{index}].resources.{member}[{name}]", amount
