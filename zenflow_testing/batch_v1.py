"""What the API server does with a batch/v1 Job: decode it, fill in defaults, refuse what it does not take.

The model follows Kubernetes 1.35. Three stages, as there:

1. decode: a field of the wrong type is 400 BadRequest; a field that the API does not know is dropped
   without a word (`template_problems` reports it all the same, for tools that check manifests);
2. defaults: those of the Job itself, and the generated selector and labels. The Pod template's own
   defaults (pull policy, grace period ...) are left out: no decision depends on them;
3. validation: 422 Invalid, with one cause for each field at fault.

Not modelled: validation of the status a controller writes.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

from attrs import frozen

from zenflow_core._job_schema import JOB_TEMPLATE_SCHEMA
from zenflow_core.quantities import parse_quantity
from zenflow_testing.errors import (
    StatusCause,
    Target,
    bad_request,
    duplicate,
    required,
    too_long,
    too_many,
    unsupported,
    wrong,
    wrong_together,
)
from zenflow_testing.kinds import Object
from zenflow_testing.object_meta import (
    annotation_causes,
    dns1123_label,
    dns1123_subdomain,
    label_causes,
    qualified_name,
)
from zenflow_testing.pod_spec import pod_spec_causes

Causes: TypeAlias = list[StatusCause]

JOB_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
CONTROLLER_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
SELECTOR_LABEL = "batch.kubernetes.io/controller-uid"

_MAX_INT32 = 2**31 - 1
_INT32 = (
    "parallelism",
    "completions",
    "backoffLimit",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "ttlSecondsAfterFinished",
)
_MANY_INDEXES = 100_000
_PARALLEL_WITH_MANY_INDEXES = 10_000
_POLICY_RULES = 20
_EXIT_CODES = 255
_MANAGED_BY_BYTES = 63
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_CONDITION_STATUSES = ("False", "True", "Unknown")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")

_TEMPLATE_ANNOTATION_BYTES = 262_144


# Decoding


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
        if number is not None and not -_MAX_INT32 <= number <= _MAX_INT32:
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


# Defaults


def defaulted_job(job: Object) -> Object:
    """The Job with the server's defaults, its generated selector and the labels of its Pods.

    Its metadata has a name and a uid by then.
    """
    spec = dict(job["spec"])
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT32
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed")
    policy = spec.get("podFailurePolicy")
    if policy is not None and any("onPodConditions" in rule for rule in policy.get("rules") or ()):
        spec["podFailurePolicy"] = {**policy, "rules": [_with_condition_status(rule) for rule in policy["rules"]]}
    metadata = job["metadata"]
    template = dict(spec.get("template") or {})
    own_labels = (template.get("metadata") or {}).get("labels")
    if spec["manualSelector"] is not True:
        name, uid = metadata.get("name", ""), metadata.get("uid", "")
        labels = dict(own_labels or {})
        for label in JOB_NAME_LABELS:
            labels.setdefault(label, name)
        for label in CONTROLLER_UID_LABELS:
            labels.setdefault(label, uid)
        template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
        selector = spec.get("selector") or {}
        spec["selector"] = {**selector, "matchLabels": {SELECTOR_LABEL: uid, **(selector.get("matchLabels") or {})}}
        if own_labels and not metadata.get("labels"):
            metadata = {**metadata, "labels": labels}
    spec["template"] = template
    return {**job, "metadata": metadata, "spec": spec}


def job_as_read(job: Object) -> Object:
    """The Job with its template's labels if it has none of its own: the generated ones show only after validation."""
    labels = (job["spec"]["template"].get("metadata") or {}).get("labels")
    metadata = job["metadata"]
    return {**job, "metadata": {**metadata, "labels": labels}} if labels and not metadata.get("labels") else job


def _with_condition_status(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    patterns = rule.get("onPodConditions")
    if not patterns:
        return rule
    return {**rule, "onPodConditions": [{"status": "True", **pattern} for pattern in patterns]}


# Validation


def validate_job(body: Object) -> Causes:
    """What the API server finds wrong with a Job that is to be created; empty if it takes it.

    The body is decoded; defaults may be filled in or not. Names the fields as the server does. Cost: some
    20 us beside the Pod spec, which is checked once as long as the same object comes along.
    """
    metadata = body.get("metadata") or {}
    spec = body.get("spec") or {}
    name = metadata.get("name") or ""
    causes: Causes = []
    _generated_selector(spec, metadata, causes=causes)
    _spec(spec, causes=causes)
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed" and completions:
        host = f"{name}-{completions - 1}"
        if dns1123_label(host):
            detail = f"will not able to create pod with invalid DNS label: {host}"
            causes.append(wrong("metadata.name", name, detail))
    return causes


def _generated_selector(spec: Mapping[str, Any], metadata: Mapping[str, Any], *, causes: Causes) -> None:
    if spec.get("manualSelector") is True:
        _manual_selector(spec, causes=causes)
        return
    name, uid = metadata.get("name") or "", metadata.get("uid") or ""
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = [(label, uid) for label in CONTROLLER_UID_LABELS] + [(label, name) for label in JOB_NAME_LABELS]
    for label, value in expected:
        if label in labels and labels[label] != value:
            causes.append(wrong(f"spec.template.metadata.labels[{label}]", labels, f"must be '{value}'"))
    selector = spec.get("selector")
    if selector:
        wanted = dict(expected)
        extra = {k: v for k, v in (selector.get("matchLabels") or {}).items() if wanted.get(k) != v}
        if extra or selector.get("matchExpressions"):
            causes.append(wrong("spec.selector", selector, "`selector` not auto-generated"))
        if extra:
            _selects_its_pods(spec, causes=causes)


def _manual_selector(spec: Mapping[str, Any], *, causes: Causes) -> None:
    selector = spec.get("selector")
    if selector is None:
        causes.append(required("spec.selector"))
    else:
        causes.extend(label_causes(selector.get("matchLabels") or {}, "spec.selector.matchLabels"))
    _selects_its_pods(spec, causes=causes)


def _selects_its_pods(spec: Mapping[str, Any], *, causes: Causes) -> None:
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    wanted = (selector or {}).get("matchLabels") or {}
    # A missing selector selects nothing, an empty one everything.
    if selector is None or any((labels or {}).get(key) != value for key, value in wanted.items()):
        causes.append(wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))


_NONNEGATIVE = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def _spec(spec: Mapping[str, Any], *, causes: Causes) -> None:
    for member in _NONNEGATIVE:
        number = spec.get(member)
        if number is not None and number < 0:
            causes.append(wrong(f"spec.{member}", number, "must be greater than or equal to 0"))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        causes.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    _managed_by(spec.get("managedBy"), causes=causes)
    mode = spec.get("completionMode") or "NonIndexed"
    if mode not in ("NonIndexed", "Indexed"):
        causes.append(unsupported("spec.completionMode", mode, ("NonIndexed", "Indexed")))
    elif mode == "Indexed":
        _indexed(spec, causes=causes)
    else:
        causes.extend(
            wrong(f"spec.{member}", spec[member], "requires indexed completion mode")
            for member in ("backoffLimitPerIndex", "maxFailedIndexes")
            if spec.get(member) is not None
        )
    if (policy := spec.get("podFailurePolicy")) is not None:
        _pod_failure_policy(policy, spec, causes=causes)
    if (success := spec.get("successPolicy")) is not None:
        if mode != "Indexed":
            causes.append(wrong("spec.successPolicy", success, "requires indexed completion mode"))
        else:
            _success_policy(success, spec.get("completions") or 0, causes=causes)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        allowed = _REPLACEMENTS if policy is None else ("Failed",)
        if replacement not in allowed:
            causes.append(unsupported("spec.podReplacementPolicy", replacement, allowed))
    _template(spec, causes=causes)


def _managed_by(value: str | None, *, causes: Causes) -> None:
    if value is None:
        return
    host, slash, path = value.partition("/")
    if not value:
        causes.append(required("spec.managedBy"))
    elif not (slash and host and path):
        causes.append(wrong("spec.managedBy", value, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    else:
        causes.extend(wrong("spec.managedBy", host, problem) for problem in dns1123_subdomain(host))
        if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", path):
            causes.append(wrong("spec.managedBy", path, "Invalid path"))
    if len(value.encode()) > _MANAGED_BY_BYTES:
        causes.append(too_long("spec.managedBy", _MANAGED_BY_BYTES))


def _indexed(spec: Mapping[str, Any], *, causes: Causes) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed, per_index = spec.get("maxFailedIndexes"), spec.get("backoffLimitPerIndex")
    if completions is None:
        causes.append(required("spec.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MANY_INDEXES:
        detail = f"must be less than or equal to {_MANY_INDEXES} when completion mode is Indexed"
        causes.append(wrong("spec.parallelism", parallelism, detail))
    if failed is not None and completions is not None and failed > completions:
        causes.append(wrong("spec.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > _MANY_INDEXES:
        causes.append(wrong("spec.maxFailedIndexes", failed, f"must be less than or equal to {_MANY_INDEXES}"))
    if completions is None or completions <= _MANY_INDEXES or per_index is None:
        return
    detail = (
        f"must be less than or equal to {_PARALLEL_WITH_MANY_INDEXES} when completions are above {_MANY_INDEXES}"
        " and used with backoff limit per index"
    )
    if failed is None:
        causes.append(required("spec.maxFailedIndexes", f"must be specified when completions is above {_MANY_INDEXES}"))
    elif failed > _PARALLEL_WITH_MANY_INDEXES:
        causes.append(wrong("spec.maxFailedIndexes", failed, detail))
    if parallelism is not None and parallelism > _PARALLEL_WITH_MANY_INDEXES:
        causes.append(wrong("spec.parallelism", parallelism, detail))


def _template(spec: Mapping[str, Any], *, causes: Causes) -> None:
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    if labels := metadata.get("labels"):
        # The server names these paths without `metadata`.
        causes.extend(label_causes(labels, "spec.template.labels"))
    if annotations := metadata.get("annotations"):
        field = "spec.template.annotations"
        causes.extend(annotation_causes(annotations, field, limit_bytes=_TEMPLATE_ANNOTATION_BYTES))
    pod = template.get("spec") or {}
    causes.extend(_pod_causes(pod))
    restart = pod.get("restartPolicy")
    if restart in (None, "", "Always"):
        causes.append(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    elif restart not in ("OnFailure", "Never"):
        causes.append(unsupported("spec.template.spec.restartPolicy", restart, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and restart != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        causes.append(wrong("spec.template.spec.restartPolicy", restart, detail))


_checked: OrderedDict[int, tuple[Object, tuple[StatusCause, ...]]] = OrderedDict()
_CHECKED_SPECS = 4096


def _pod_causes(pod: Object) -> tuple[StatusCause, ...]:
    """The causes of a Pod spec, remembered for that very object: the Jobs of a step share their template's."""
    known = _checked.get(id(pod))
    if known is not None:
        # The entry keeps its object alive, so the id cannot have passed to another one.
        return known[1]
    causes = tuple(pod_spec_causes(pod, "spec.template.spec"))
    _checked[id(pod)] = (pod, causes)
    if len(_checked) > _CHECKED_SPECS:
        _checked.popitem(last=False)
    return causes


def _pod_failure_policy(policy: Mapping[str, Any], spec: Mapping[str, Any], *, causes: Causes) -> None:
    rules = policy.get("rules") or ()
    if len(rules) > _POLICY_RULES:
        causes.append(too_many("spec.podFailurePolicy.rules", len(rules), limit=_POLICY_RULES))
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for kind in ("containers", "initContainers") for c in pod.get(kind) or ()}
    for index, rule in enumerate(rules):
        at = f"spec.podFailurePolicy.rules[{index}]"
        action = rule.get("action")
        if not action:
            causes.append(required(f"{at}.action", f"valid values: {_quoted(_ACTIONS)}"))
        elif action not in _ACTIONS:
            causes.append(unsupported(f"{at}.action", action, _ACTIONS))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            causes.append(wrong(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _exit_codes(codes, f"{at}.onExitCodes", names=names, causes=causes)
        _pod_conditions(conditions or (), f"{at}.onPodConditions", causes=causes)
        if codes is not None and conditions:
            causes.append(wrong_together(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            causes.append(wrong_together(at, "specifying one of OnExitCodes and OnPodConditions is required"))


def _quoted(words: Sequence[str]) -> str:
    listed = " ".join(f'"{word}"' for word in words)
    return f"[{listed}]"


def _exit_codes(codes: Mapping[str, Any], field: str, *, names: set[str | None], causes: Causes) -> None:
    operator = codes.get("operator")
    if not operator:
        causes.append(required(f"{field}.operator", f"valid values: {_quoted(_OPERATORS)}"))
    elif operator not in _OPERATORS:
        causes.append(unsupported(f"{field}.operator", operator, _OPERATORS))
    container = codes.get("containerName")
    if container is not None and container not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        causes.append(wrong(f"{field}.containerName", container, detail))
    values = codes.get("values") or []
    if not values:
        causes.append(wrong(f"{field}.values", values, "at least one value is required"))
    elif len(values) > _EXIT_CODES:
        causes.append(too_many(f"{field}.values", len(values), limit=_EXIT_CODES))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if value == 0 and operator == "In":
            causes.append(wrong(f"{field}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            causes.append(duplicate(f"{field}.values[{index}]", value))
        seen.add(value)
    if any(later < earlier for earlier, later in pairwise(values)):
        causes.append(wrong(f"{field}.values", values, "must be ordered"))


def _pod_conditions(patterns: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    if len(patterns) > _POLICY_RULES:
        causes.append(too_many(field, len(patterns), limit=_POLICY_RULES))
    for index, pattern in enumerate(patterns):
        type_ = pattern.get("type") or ""
        causes.extend(wrong(f"{field}[{index}].type", type_, problem) for problem in qualified_name(type_))
        # An absent status is "True": the server fills that in before it looks.
        status = pattern.get("status", "True")
        if status not in _CONDITION_STATUSES:
            causes.append(unsupported(f"{field}[{index}].status", status, _CONDITION_STATUSES))


def _success_policy(policy: Mapping[str, Any], completions: int, *, causes: Causes) -> None:
    rules = policy.get("rules") or ()
    field = "spec.successPolicy.rules"
    if not rules:
        causes.append(required(field, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > _POLICY_RULES:
        causes.append(too_many(field, len(rules), limit=_POLICY_RULES))
    for index, rule in enumerate(rules):
        at = f"{field}[{index}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            causes.append(required(at, "at least one of succeededCount or succeededIndexes must be specified"))
        total = None
        if indexes is not None:
            total = _count_of(indexes, completions)
            if isinstance(total, str):
                causes.append(wrong(f"{at}.succeededIndexes", indexes, f"error parsing succeededIndexes: {total}"))
                total = 0
        if count is None:
            continue
        if count < 0:
            causes.append(wrong(f"{at}.succeededCount", count, "must be greater than or equal to 0"))
        if count > completions:
            detail = f"must be less than or equal to {completions} (the number of specified completions)"
            causes.append(wrong(f"{at}.succeededCount", count, detail))
        if total is not None and count > total:
            detail = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            causes.append(wrong(f"{at}.succeededCount", count, detail))


def _count_of(indexes: str, completions: int) -> int | str:
    """How many indexes a text like `0,2-4` names, or what is wrong with it."""
    total, last = 0, -1
    for interval in indexes.split(",") if indexes else ():
        ends = interval.split("-")
        if len(ends) > 2:
            return (
                f'the fragment "{interval}" violates the requirement that an index interval can have at most two parts'
                " separated by '-'"
            )
        numbers = []
        for end in ends:
            if not (end.isascii() and end.isdigit()):
                return f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return f'too large index: "{end}"'
            numbers.append(int(end))
        first, final = numbers[0], numbers[-1]
        if len(numbers) == 2 and first >= final:
            return f"non-increasing order, previous: {first}, current: {final}"
        if first <= last:
            return f"non-increasing order, previous: {last}, current: {first}"
        total += final - first + 1
        last = final
    return total


# Updates


_IMMUTABLE = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def validate_job_update(old: Object, new: Object) -> Causes:
    """What the API server finds wrong with changing a Job: an invalid outcome, or a field that may not change.

    Mutable: parallelism, backoffLimit, activeDeadlineSeconds, ttlSecondsAfterFinished, suspend; completions
    of an Indexed Job together with parallelism; while suspended and not started, the scheduling directives
    of the template (node selector, node affinity, tolerations, scheduling gates, labels, annotations).
    """
    causes = validate_job(new)
    before, after = old["spec"], new["spec"]
    if before.get("completions") != after.get("completions"):
        if after.get("completionMode") != "Indexed":
            causes.append(wrong("spec.completions", after.get("completions"), "field is immutable"))
        elif after.get("completions") != after.get("parallelism"):
            detail = "can only be modified in tandem with spec.parallelism"
            causes.append(wrong("spec.completions", after.get("completions"), detail))
    causes.extend(
        wrong(f"spec.{member}", after.get(member), "field is immutable")
        for member in _IMMUTABLE
        if before.get(member) != after.get(member)
    )
    template = before["template"]
    if before.get("suspend") is True and (old.get("status") or {}).get("startTime") is None:
        template = _with_directives_of(template, after.get("template") or {})
    if template != after.get("template"):
        causes.append(wrong("spec.template", after.get("template"), "field is immutable"))
    return causes


def _with_directives_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """The old template with the scheduling directives of the new one."""
    metadata = _with_members_of(old.get("metadata"), new.get("metadata"), ("labels", "annotations"))
    old_pod, new_pod = old.get("spec") or {}, new.get("spec") or {}
    pod = _with_members_of(old_pod, new_pod, ("nodeSelector", "tolerations", "schedulingGates"))
    affinity = _with_members_of(old_pod.get("affinity"), new_pod.get("affinity"), ("nodeAffinity",))
    if affinity or new_pod.get("affinity") is not None:
        pod["affinity"] = affinity
    else:
        pod.pop("affinity", None)
    merged = {**old, "spec": pod}
    if metadata or new.get("metadata") is not None:
        merged["metadata"] = metadata
    else:
        merged.pop("metadata", None)
    return merged


def _with_members_of(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, members: Sequence[str]
) -> dict[str, Any]:
    merged = {name: value for name, value in (old or {}).items() if name not in members}
    merged.update((name, value) for name, value in (new or {}).items() if name in members)
    return merged


class JobRules:
    """The rules of kind Job, as the cluster asks for them."""

    def decoded(self, body: Object, target: Target) -> Object:
        """See `decode_job`."""
        return decode_job(body, target)

    def defaulted(self, body: Object) -> Object:
        """See `defaulted_job`."""
        return defaulted_job(body)

    def as_read(self, body: Object) -> Object:
        """See `job_as_read`."""
        return job_as_read(body)

    def create_causes(self, body: Object) -> Causes:
        """See `validate_job`."""
        return validate_job(body)

    def update_causes(self, old: Object, new: Object) -> Causes:
        """See `validate_job_update`."""
        return validate_job_update(old, new)
