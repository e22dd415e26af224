"""What the API server refuses in a Job that is to be created: 422 Invalid, with one cause for each field at fault.

Not modelled: validation of the status a controller writes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from zenflow_testing.errors import (
    Causes,
    StatusCause,
    required,
    too_long,
    unsupported,
    wrong,
)
from zenflow_testing.job_defaults import CONTROLLER_UID_LABELS, JOB_NAME_LABELS
from zenflow_testing.job_policies import check_pod_failure_policy, check_success_policy
from zenflow_testing.kinds import Object
from zenflow_testing.object_meta import (
    annotation_causes,
    dns1123_label,
    dns1123_subdomain,
    label_causes,
)
from zenflow_testing.pod_spec import pod_spec_causes

_MANY_INDEXES = 100_000
_PARALLEL_WITH_MANY_INDEXES = 10_000
_MANAGED_BY_BYTES = 63
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")

_TEMPLATE_ANNOTATION_BYTES = 262_144


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
        check_pod_failure_policy(policy, spec, causes=causes)
    if (success := spec.get("successPolicy")) is not None:
        if mode != "Indexed":
            causes.append(wrong("spec.successPolicy", success, "requires indexed completion mode"))
        else:
            check_success_policy(success, spec.get("completions") or 0, causes=causes)
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
