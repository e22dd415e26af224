"""Which fields of a Job may change, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zenflow_testing.errors import (
    Causes,
    wrong,
)
from zenflow_testing.job_validation import validate_job
from zenflow_testing.kinds import Object

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
