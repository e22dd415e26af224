"""A Job manifest as the API server would judge it, before there is one to ask.

The schema of batch/v1 finds wrong types; the rest here are the rules that the
API server adds in code and that people run into: restartPolicy, containers,
numbers, completion modes, resources, volumes. A manifest is checked once,
however many steps use it; paths are relative to it. Fields that hold a
placeholder are left to the moment when its value is known.
Source: kubernetes pkg/apis/batch/validation and pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from zenflow_core.checks.finding import Finding, is_open, items, mapping, mappings
from zenflow_core.checks.job_policy import check_own_policy
from zenflow_core.checks.syntax import is_dns_label, shown, some_of
from zenflow_core.limits import INT32_MAX, INT64_MAX
from zenflow_core.names import is_label_value, is_qualified_name
from zenflow_core.problems import below
from zenflow_core.quantities import parse_quantity

LEFT_OUT: Final = frozenset({
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "ownerReferences",
})  # fmt: skip
"""What metadata of a template never reaches a Job: it is the server's to set, or ours (name, owner, namespace)."""

FOREIGN_LABELS: Final = frozenset({
    "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name",
})  # fmt: skip
"""Labels that the Job controller gives to a Job's Pods: those of another Job are refused."""

_SILENT: Final = frozenset({"name", "namespace"})
"""Dropped without a word: hand-written templates often have them, and they mean no harm."""


def check_job(job: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything the API server would refuse in a manifest of the right shape, and what will be left out of it.

    Values of a wrong type are passed over: `schema.check_schema` reports them.
    """
    yield from _kind(job)
    yield from _copied(job)
    yield from _labels(mapping(job, "metadata"), "metadata")
    if "spec" not in job or job["spec"] is None:
        yield Finding("ZF510", "spec", "the template has no spec", "add spec.template.spec.containers")
        return
    spec = mapping(job, "spec")
    pod = mapping(mapping(spec, "template"), "spec")
    yield from _labels(mapping(mapping(spec, "template"), "metadata"), "spec.template.metadata")
    yield from _restart_policy(pod)
    yield from _numbers(spec, pod)
    yield from _mode(spec)
    yield from _selector(spec)
    yield from check_own_policy(spec, pod)
    yield from _containers(pod)
    yield from _volumes(pod)


def kind_problem(template: Mapping[str, Any]) -> Finding | None:
    """What is wrong with `apiVersion` and `kind`; both may be absent and mean a batch/v1 Job."""
    kind, version = template.get("kind", "Job"), template.get("apiVersion", "batch/v1")
    if kind != "Job":
        what = f"a template has to be a Job, found kind {shown(str(kind))}"
        return Finding("ZF506", "kind", what, "write a batch/v1 Job; what other kinds run, a Job's Pod can run, too")
    if version != "batch/v1":
        what = f"a template has to be of apiVersion batch/v1, found {shown(str(version))}"
        return Finding("ZF506", "apiVersion", what, "write apiVersion: batch/v1")
    return None


def _kind(job: Mapping[str, Any]) -> Iterator[Finding]:
    finding = kind_problem(job)
    if finding is not None:
        yield finding


def _copied(job: Mapping[str, Any]) -> Iterator[Finding]:
    metadata = mapping(job, "metadata")
    spec = mapping(job, "spec")
    pod_metadata = mapping(mapping(spec, "template"), "metadata")
    told = LEFT_OUT - _SILENT
    left_out = [f"metadata.{name}" for name, value in metadata.items() if name in told and value is not None]
    if job.get("status"):
        left_out.append("status")
    if not spec.get("manualSelector"):
        if spec.get("selector"):
            left_out.append("spec.selector")
        for path, labels in (("metadata", metadata), ("spec.template.metadata", pod_metadata)):
            left_out += [f"{path}.labels[{label!r}]" for label in mapping(labels, "labels") if label in FOREIGN_LABELS]
    if left_out:
        what = f"belongs to the Job that this template was copied from: {some_of(left_out)}"
        yield Finding("ZF516", "", what, "remove it; it is left out of the Jobs of this step")


def _labels(metadata: Mapping[str, Any], path: str) -> Iterator[Finding]:
    for key, value in mapping(metadata, "labels").items():
        if not is_qualified_name(key) and not is_open(key):
            what = f"{shown(key)} is not a legal label key"
            yield Finding("ZF211", below(f"{path}.labels", key), what, "use letters, digits, '-', '_' and '.'")
        if isinstance(value, str) and not is_open(value) and not is_label_value(value):
            what = f"{shown(value)} is not a legal label value"
            fix = "use at most 63 letters, digits, '-', '_' and '.', or make it an annotation"
            yield Finding("ZF211", below(f"{path}.labels", key), what, fix)
    for key in mapping(metadata, "annotations"):
        if not is_qualified_name(key.lower()) and not is_open(key):
            what = f"{shown(key)} is not a legal annotation key"
            yield Finding("ZF211", below(f"{path}.annotations", key), what, "use letters, digits, '-', '_' and '.'")


def _restart_policy(pod: Mapping[str, Any]) -> Iterator[Finding]:
    policy = pod.get("restartPolicy")
    if policy in ("Never", "OnFailure") or is_open(policy) or not (policy is None or isinstance(policy, str)):
        return
    found = "is missing, which means Always" if policy is None else f"is {shown(str(policy))}"
    what = f"restartPolicy {found}; a Job's Pods need Never or OnFailure"
    yield Finding("ZF509", "spec.template.spec.restartPolicy", what, "add restartPolicy: Never, or OnFailure")


# (field of the Job spec, lowest, highest) where the schema only knows integers
_RANGES: Final = (
    ("parallelism", 0, INT32_MAX),
    ("completions", 0, INT32_MAX),
    ("backoffLimit", 0, INT32_MAX),
    ("backoffLimitPerIndex", 0, INT32_MAX),
    ("maxFailedIndexes", 0, INT32_MAX),
    ("ttlSecondsAfterFinished", 0, INT32_MAX),
    ("activeDeadlineSeconds", 1, INT64_MAX),
)


def _numbers(spec: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[Finding]:
    for name, lowest, highest in _RANGES:
        value = spec.get(name)
        if isinstance(value, int) and not lowest <= value <= highest:
            what = f"{name} is {value}, which has to be at least {lowest}"
            if value > highest:
                what = f"{name} is {value}, which does not fit into the field (at most {highest})"
            yield Finding("ZF512", f"spec.{name}", what, f"write a number from {lowest}, or remove the field")
    for name, highest in (("activeDeadlineSeconds", INT32_MAX), ("terminationGracePeriodSeconds", INT64_MAX)):
        value, lowest = pod.get(name), 1 if name == "activeDeadlineSeconds" else 0
        if isinstance(value, int) and not lowest <= value <= highest:
            what = f"{name} of the Pod is {value}, which has to be from {lowest} to {highest}"
            yield Finding("ZF512", f"spec.template.spec.{name}", what, f"write a number from {lowest}, or remove it")


def _mode(spec: Mapping[str, Any]) -> Iterator[Finding]:
    mode = spec.get("completionMode")
    if mode is not None and mode not in ("NonIndexed", "Indexed") and not is_open(mode):
        what = f"completionMode is {shown(str(mode))}, expected NonIndexed or Indexed"
        yield Finding("ZF514", "spec.completionMode", what, "write one of the two, or remove the field")
        return
    if is_open(mode):
        return
    indexed = mode == "Indexed"
    if indexed and spec.get("completions") is None:
        fix = "add completions: the number of indexes"
        yield Finding("ZF514", "spec.completionMode", "an Indexed Job has no completions", fix)
    for name in ("backoffLimitPerIndex", "successPolicy"):
        if spec.get(name) is not None and not indexed:
            yield Finding("ZF514", f"spec.{name}", f"{name} needs an Indexed Job", "add completionMode: Indexed")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        what = "maxFailedIndexes needs backoffLimitPerIndex"
        yield Finding("ZF514", "spec.maxFailedIndexes", what, "add backoffLimitPerIndex, or remove it")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None and replacement not in ("TerminatingOrFailed", "Failed") and not is_open(replacement):
        what = f"podReplacementPolicy is {shown(str(replacement))}, expected TerminatingOrFailed or Failed"
        yield Finding("ZF514", "spec.podReplacementPolicy", what, "write one of the two, or remove the field")


def _selector(spec: Mapping[str, Any]) -> Iterator[Finding]:
    if not spec.get("manualSelector"):
        return  # a selector is left out then: see `_copied`
    labels = mapping(mapping(mapping(spec, "template"), "metadata"), "labels")
    wanted = mapping(mapping(spec, "selector"), "matchLabels")
    if not spec.get("selector"):
        fix = "add the selector, or remove manualSelector: Kubernetes then finds the Pods by itself"
        yield Finding("ZF517", "spec.manualSelector", "manualSelector without a selector", fix)
    for key, value in wanted.items():
        if labels.get(key) != value and not is_open(value) and not is_open(labels.get(key)):
            what = f"the selector asks for label {key}={value}, which the Pod template does not have"
            fix = "add the label to spec.template.metadata.labels, or remove manualSelector and selector"
            yield Finding("ZF517", below("spec.selector.matchLabels", key), what, fix)


def _containers(pod: Mapping[str, Any]) -> Iterator[Finding]:
    if not items(pod, "containers"):
        what = "the template has no containers"
        yield Finding("ZF510", "spec.template.spec.containers", what, "add a container with a name and an image")
    volumes = {str(volume.get("name")) for _, volume in mappings(pod, "volumes")}
    names: dict[str, str] = {}
    for group in ("initContainers", "containers"):
        for index, container in mappings(pod, group):
            path = f"spec.template.spec.{group}[{index}]"
            yield from _container_name(container.get("name"), path, names)
            yield from _image(container.get("image"), path)
            if container.get("resources"):
                yield from _resources(mapping(container, "resources"), f"{path}.resources")
            if container.get("volumeMounts"):
                yield from _mounts(container, volumes, f"{path}.volumeMounts")


def _container_name(name: object, path: str, names: dict[str, str]) -> Iterator[Finding]:
    if is_open(name):
        return
    if name is None or name == "":
        yield Finding("ZF511", f"{path}.name", "the container has no name", "add a name, for instance main")
    elif not isinstance(name, str):
        return
    elif not is_dns_label(name):
        what = f"{shown(name)} is not a legal container name"
        yield Finding("ZF511", f"{path}.name", what, "use at most 63 small letters, digits and '-'")
    elif name in names:
        what = f"the container name {shown(name)} is taken by {names[name]}"
        yield Finding("ZF511", f"{path}.name", what, "rename one of the two")
    else:
        names[name] = path


def _image(image: object, path: str) -> Iterator[Finding]:
    if image is None or image == "":
        yield Finding("ZF511", f"{path}.image", "the container has no image", "add an image, for instance busybox:1.36")
    elif isinstance(image, str) and image != image.strip():
        what = f"the image {shown(image)} begins or ends with a blank"
        yield Finding("ZF511", f"{path}.image", what, "remove the blank")


def _resources(resources: Mapping[str, Any], path: str) -> Iterator[Finding]:
    requests, limits = mapping(resources, "requests"), mapping(resources, "limits")
    for group, amounts in (("requests", requests), ("limits", limits)):
        for name, text in amounts.items():
            amount = parse_quantity(text)
            if amount is None and not is_open(text):
                what = f"{shown(str(text))} is not a quantity"
                fix = "write a number with a unit, for instance 500m or 128Mi"
                yield Finding("ZF513", below(f"{path}.{group}", name), what, fix)
            elif amount is not None and amount.numerator < 0:
                what = f"{text} is below zero"
                yield Finding("ZF513", below(f"{path}.{group}", name), what, "write a quantity of zero or more")
    for name, asked in requests.items():
        allowed = limits.get(name, asked)
        if allowed == asked:
            continue
        request, limit = parse_quantity(asked), parse_quantity(allowed)
        if request is not None and limit is not None and 0 <= limit < request:
            what = f"the limit {allowed} is below the request {asked}"
            yield Finding("ZF513", below(f"{path}.limits", name), what, f"write {asked} or more, or lower the request")


def _mounts(container: Mapping[str, Any], volumes: set[str], path: str) -> Iterator[Finding]:
    places: dict[str, int] = {}
    for index, mount in mappings(container, "volumeMounts"):
        name, place = str(mount.get("name") or ""), str(mount.get("mountPath") or "")
        if name not in volumes and not is_open(name) and not any(map(is_open, volumes)):
            known = f"its volumes are {some_of(sorted(volumes))}" if volumes else "it has none"
            what = f"mounts a volume {shown(name)} that the Pod does not have ({known})"
            yield Finding("ZF515", f"{path}[{index}].name", what, "add it to spec.template.spec.volumes, or rename it")
        if not place:
            yield Finding("ZF515", f"{path}[{index}].mountPath", "the mount has no mountPath", "add an absolute path")
        elif place in places:
            what = f"{shown(place)} is also the place of {path}[{places[place]}]"
            yield Finding("ZF515", f"{path}[{index}].mountPath", what, "mount the two at different paths")
        else:
            places[place] = index


def _volumes(pod: Mapping[str, Any]) -> Iterator[Finding]:
    names: dict[str, int] = {}
    for index, volume in mappings(pod, "volumes"):
        path = f"spec.template.spec.volumes[{index}]"
        name = volume.get("name")
        if is_open(name):
            continue
        if name is not None and not isinstance(name, str):
            continue
        if not name or not is_dns_label(name):
            what = f"{shown(name)} is not a legal volume name" if name else "the volume has no name"
            yield Finding("ZF515", f"{path}.name", what, "use at most 63 small letters, digits and '-'")
        elif name in names:
            what = f"the volume name {shown(name)} is taken by spec.template.spec.volumes[{names[name]}]"
            yield Finding("ZF515", f"{path}.name", what, "rename one of the two")
        else:
            names[name] = index
        sources = [source for source in volume if source != "name" and volume[source] is not None]
        if len(sources) > 1:
            what = f"the volume has {len(sources)} sources ({some_of(sources)}), one is allowed"
            yield Finding("ZF515", path, what, "make a volume of each")
