"""What the API server fills into a Job: its defaults, the generated selector and the labels of its Pods.

The Pod template's own defaults (pull policy, grace period ...) are left out: no decision depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenflow_testing.job_decoding import MAX_INT32
from zenflow_testing.kinds import Object

JOB_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
CONTROLLER_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
SELECTOR_LABEL = "batch.kubernetes.io/controller-uid"


def defaulted_job(job: Object) -> Object:
    """The Job with the server's defaults, its generated selector and the labels of its Pods.

    Its metadata has a name and a uid by then.
    """
    spec = dict(job["spec"])
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else MAX_INT32
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
