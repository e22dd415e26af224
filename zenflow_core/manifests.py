"""The Job that is created for an attempt: the step's template, made fit to be created and to be known again.

A template is anything from three hand-written lines to a copy of a Job in some
cluster. What belongs to another Job is left out, what names this attempt is
put in, and everything else stays as it was written. Templates are shared by
attempts, steps and flows: only the maps on the way to a change are copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from zenflow_core.artifact_pod import Located, Run, carry_artifacts
from zenflow_core.artifact_store import settled
from zenflow_core.names import (
    ANNOTATION_FLOW,
    ANNOTATION_STEP,
    ANNOTATION_TTL,
    ARTIFACTS_CLAIM,
    LABEL_ATTEMPT,
    LABEL_FLOW,
    LABEL_FLOW_UID,
    LABEL_MANAGED_BY,
    LABEL_STEP,
    MANAGED_BY,
    ORPHANING,
    job_name,
    label_value,
    resource_name,
)
from zenflow_core.observation import FlowSeen
from zenflow_core.placeholders import FlowNames, PlaceholderProblem, SecretReference, SecretUse, Value
from zenflow_core.plan import PlannedStep, SecretEnv
from zenflow_core.pod_failure_policy import adapt
from zenflow_core.spec import API_VERSION, KIND, ArtifactStore, PodFailurePolicy

_JOB_LABELS: Final = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)
"""What the API server puts on the Pods of a Job, and refuses if it is another Job's."""

_DELETION_FINALIZERS: Final = frozenset({"foregroundDeletion", ORPHANING})
"""How a live Job was being deleted. Any other finalizer in a template is meant for the new Job."""

_PROTECTION_FINALIZERS: Final = _DELETION_FINALIZERS | {"kubernetes.io/pvc-protection"}

_COPIED_ANNOTATIONS: Final = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "batch.kubernetes.io/job-tracking"}
)
_SERVER_METADATA: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generateName",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
ResourceKind: TypeAlias = Literal["PersistentVolumeClaim", "ConfigMap"]
"""What `spec.resourceTemplates` can ask for."""

_NOT_ENV: Final = re.compile(r"[^A-Z0-9_]")
_NOTHING: Final[Mapping[str, Any]] = {}


@frozen
class Unbuildable:
    """Why no Job can be made: the field of the template, and what stands against it, with what helps."""

    path: str
    message: str


def build_job(
    step: PlannedStep,
    flow: FlowSeen,
    attempt: int,
    *,
    values: Mapping[str, Value],
    policy: PodFailurePolicy | None = None,
    artifact_image: str | None = None,
    located: Mapping[str, Located | None] | None = None,
    store: ArtifactStore | None = None,
) -> dict[str, Any] | Unbuildable:
    """The complete `batch/v1` Job for attempt number `attempt` (from 1) of a Job step.

    `values` are the step's inputs by name; those from Secrets need not be among
    them: their env vars are named here (see `secret_references`). `policy` is
    the flow's podFailurePolicy, adapted to this template. The same arguments
    give the same manifest, key for key; it shares with the template what it did
    not change, so it must not be changed in place.

    `artifact_image` carries the step's artifacts. Without one (a simulation has
    no bytes to move) the Job is made as if the step had none: its own containers
    run, nothing is fetched or stored, and nothing in the manifest claims so.
    Whoever creates Jobs in a cluster must give an image or refuse such flows.
    `located` says by name where input artifacts with `from` were stored (None: an optional one that was not).
    `store` takes the outputs that name none; without it they go to the flow's claim.

    Cost: 9 µs for a template without placeholders, 16 with a podFailurePolicy, 60 with artifacts.
    """
    assert step.template is not None, "a Manual step has no Job"
    references = secret_references(step)
    rendered = step.template.render(
        {**values, **references} if references else values, FlowNames(flow.name, flow.namespace, step.name)
    )
    if isinstance(rendered, tuple):
        return _unbuildable(rendered)
    template = rendered.document
    spec: dict[str, Any] = dict(template.get("spec") or _NOTHING)
    pod: dict[str, Any] = dict(spec.get("template") or _NOTHING)
    pod_spec: Mapping[str, Any] = pod.get("spec") or _NOTHING
    if rendered.secrets:
        pod_spec = _with_secrets(pod_spec, rendered.secrets, step=step, references=references)
    pod_metadata = _cleaned(pod.get("metadata") or _NOTHING)
    if artifact_image is not None and (step.input_artifacts or step.output_artifacts):
        carried = carry_artifacts(
            pod_spec,
            run=Run(flow.uid, step.name, attempt),
            inputs=step.input_artifacts,
            outputs=[settled(made, store) for made in step.output_artifacts],
            image=artifact_image,
            claim=resource_name(flow.name, ARTIFACTS_CLAIM),
            located=located or {},
        )
        pod_spec = carried.pod_spec
        pod_metadata["annotations"] = {**carried.annotations, **(pod_metadata.get("annotations") or _NOTHING)}

    labels = _own_labels(step, flow, attempt)
    manual_selector = spec.get("manualSelector") is True
    pod_metadata["labels"] = {
        **_labels(pod_metadata, but=frozenset() if manual_selector else _JOB_LABELS),
        **_without(step.labels, _JOB_LABELS),
        **labels,
    }
    pod["metadata"] = pod_metadata
    pod["spec"] = pod_spec
    spec["template"] = pod

    if not manual_selector:
        spec.pop("selector", None)
    if step.retry is not None and spec.get("backoffLimit") is None and spec.get("backoffLimitPerIndex") is None:
        # The step's retries are the retries: with the Job's own default of 6 they would multiply.
        spec["backoffLimit"] = 0
    ttl = spec.pop("ttlSecondsAfterFinished", None)
    if policy is not None and (adapted := adapt(policy, pod_spec, spec)) is not None:
        spec["podFailurePolicy"] = adapted

    metadata = template.get("metadata") or _NOTHING
    annotations = {
        **_without(metadata.get("annotations") or _NOTHING, _COPIED_ANNOTATIONS),
        **step.annotations,
        ANNOTATION_FLOW: flow.name,
        ANNOTATION_STEP: step.name,
    }
    annotations.pop(ANNOTATION_TTL, None)
    if ttl is not None:
        annotations[ANNOTATION_TTL] = str(ttl)
    job_metadata: dict[str, Any] = {
        "name": job_name(flow, step.name, attempt, indexed_highest=_indexed_highest(spec)),
        "namespace": flow.namespace,
        "labels": {**_labels(metadata, but=_JOB_LABELS), **_without(step.labels, _JOB_LABELS), **labels},
        "annotations": annotations,
        "ownerReferences": [owner_reference(flow)],
    }
    if finalizers := [each for each in metadata.get("finalizers") or () if each not in _DELETION_FINALIZERS]:
        job_metadata["finalizers"] = finalizers
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": job_metadata, "spec": spec}


def build_resource(template: Mapping[str, Any], flow: FlowSeen, *, kind: ResourceKind) -> dict[str, Any]:
    """The object that a template of `spec.resourceTemplates` asks for, named `<flow>-<name>` and owned by the flow.

    As written but for what belongs to a stored object; it shares with the template what it did not change.
    An object of that name whose controller is not this flow is never taken over.
    """
    metadata = template.get("metadata") or _NOTHING
    kept = {key: value for key, value in metadata.items() if key not in _SERVER_METADATA}
    if finalizers := [each for each in metadata.get("finalizers") or () if each not in _PROTECTION_FINALIZERS]:
        kept["finalizers"] = finalizers
    else:
        kept.pop("finalizers", None)
    ours = {LABEL_FLOW: label_value(flow.name), LABEL_MANAGED_BY: MANAGED_BY, LABEL_FLOW_UID: label_value(flow.uid)}
    body = {key: value for key, value in template.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            **kept,
            "name": resource_name(flow.name, metadata["name"]),
            "namespace": flow.namespace,
            "labels": {**(metadata.get("labels") or _NOTHING), **ours},
            "annotations": {
                **_without(metadata.get("annotations") or _NOTHING, _COPIED_ANNOTATIONS),
                ANNOTATION_FLOW: flow.name,
            },
            "ownerReferences": [owner_reference(flow)],
        },
        **body,
    }


def owner_reference(flow: FlowSeen) -> dict[str, Any]:
    """The controller reference of everything that is created for a flow: it goes when the flow goes."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": flow.name,
        "uid": flow.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def secret_references(step: PlannedStep) -> dict[str, SecretReference]:
    """For each input from a Secret, by name, the env var that its containers get: `ZENFLOW_<NAME>`.

    Made different from each other and from every env var of the template.
    """
    references: dict[str, SecretReference] = {}
    taken: set[str] | None = None
    for each in step.inputs:
        if not isinstance(each.source, SecretEnv):
            continue
        if taken is None:
            taken = _env_names(step)
        base = name = f"ZENFLOW_{_NOT_ENV.sub('_', each.name.upper())}"
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        references[each.name] = SecretReference(name)
    return references


def _own_labels(step: PlannedStep, flow: FlowSeen, attempt: int) -> dict[str, str]:
    return {
        LABEL_FLOW: label_value(flow.name),
        LABEL_STEP: label_value(step.name),
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_ATTEMPT: str(attempt),
        LABEL_FLOW_UID: label_value(flow.uid),
    }


def _env_names(step: PlannedStep) -> set[str]:
    assert step.template is not None, "a Manual step has no Job"
    pod_spec = ((step.template.source.get("spec") or _NOTHING).get("template") or _NOTHING).get("spec") or _NOTHING
    return {
        variable["name"]
        for field in ("containers", "initContainers")
        for container in pod_spec.get(field) or ()
        for variable in container.get("env") or ()
        if isinstance(variable.get("name"), str)
    }


def _with_secrets(
    pod_spec: Mapping[str, Any],
    uses: tuple[SecretUse, ...],
    *,
    step: PlannedStep,
    references: Mapping[str, SecretReference],
) -> dict[str, Any]:
    """The Pod spec whose containers have the env vars of the Secrets that they use.

    They stand before the container's own: those may refer to them, and Kubernetes expands from earlier ones only.
    """
    sources = {references[each.name].env_name: each.source for each in step.inputs if each.name in references}
    changed = dict(pod_spec)
    copied: set[str] = set()
    wanted: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for use in uses:
        source = sources[use.env_name]
        assert isinstance(source, SecretEnv), "only inputs from Secrets have references"
        selector: dict[str, Any] = {"name": source.name, "key": source.key}
        reference = {"secretKeyRef": selector | {"optional": True} if source.optional else selector}
        wanted.setdefault((use.containers, use.index), []).append({"name": use.env_name, "valueFrom": reference})
    for (field, index), variables in wanted.items():
        if field not in copied:
            changed[field] = list(changed[field])
            copied.add(field)
        container = changed[field][index]
        changed[field][index] = {**container, "env": [*variables, *(container.get("env") or ())]}
    return changed


def _cleaned(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A Pod template's metadata without what a server has put there."""
    return {key: value for key, value in metadata.items() if key not in _SERVER_METADATA}


def _labels(metadata: Mapping[str, Any], *, but: frozenset[str]) -> Mapping[str, Any]:
    return _without(metadata.get("labels") or _NOTHING, but)


def _without(mapping: Mapping[str, Any], keys: frozenset[str]) -> Mapping[str, Any]:
    if keys.isdisjoint(mapping):
        return mapping
    return {key: value for key, value in mapping.items() if key not in keys}


def _indexed_highest(spec: Mapping[str, Any]) -> int | None:
    """The highest completion index of an Indexed Job."""
    completions = spec.get("completions")
    if spec.get("completionMode") != "Indexed" or not isinstance(completions, int):
        return None
    return max(completions - 1, 0)


def _unbuildable(problems: tuple[PlaceholderProblem, ...]) -> Unbuildable:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Unbuildable(first.path, f"{first.what}; {first.fix}{more}")
