"""The JobFlow API as values, field for field as the CRD has it.

Nothing is interpreted here: `None` is "not given", defaults are filled in by
`plan.compile_plan`, what is wrong is found by `codec` (shape) and `validation`
(meaning). Wire names are the camelCase of the field, or `wire` in its metadata.
`minimum`, `maximum` are bounds that the reader enforces.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NewType, TypeAlias

from attrs import Factory, field, frozen

from zenflow_core.limits import INT32_MAX, INT64_MAX

GROUP = "workflow.kube-zen.io"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "JobFlow"

StepName = NewType("StepName", str)
Json: TypeAlias = Any
"""A parsed JSON value: dict, list, str, int, float, bool or None, not ours to interpret."""
JobTemplate: TypeAlias = Mapping[str, Any]
"""A `batch/v1` Job manifest as written, of which `spec` and `metadata` are used."""

_COUNT: Mapping[str, Any] = {"minimum": 0, "maximum": INT32_MAX}
_SECONDS: Mapping[str, Any] = {"minimum": 1, "maximum": INT64_MAX}


class ConcurrencyPolicy(StrEnum):
    """What happens when another run of the same group is unfinished."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


class StepType(StrEnum):
    """What a step is: a `batch/v1` Job, or a person's decision."""

    JOB = "Job"
    MANUAL = "Manual"


class BackoffType(StrEnum):
    """How the pause before retry n grows: d, d*n, d*factor^(n-1)."""

    FIXED = "Fixed"
    LINEAR = "Linear"
    EXPONENTIAL = "Exponential"


class FailureAction(StrEnum):
    """What a matching rule of a podFailurePolicy does (KEP-3329)."""

    FAIL_JOB = "FailJob"
    IGNORE = "Ignore"
    COUNT = "Count"


class ExitCodeOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"


class Shutdown(StrEnum):
    """End the flow from outside: Stop still runs `finally`, Terminate does not."""

    STOP = "Stop"
    TERMINATE = "Terminate"


class ArchiveFormat(StrEnum):
    TAR = "tar"
    ZIP = "zip"


class Compression(StrEnum):
    NONE = "none"
    GZIP = "gzip"


class ArtifactGC(StrEnum):
    """When what an output artifact has left in S3 is removed; without one, never."""

    ON_FLOW_DELETION = "OnFlowDeletion"


@frozen
class KeySelector:
    """A key of a ConfigMap or Secret in the flow's namespace."""

    name: str
    key: str
    optional: bool | None = None


@frozen
class ValueFrom:
    """Where a parameter's value comes from: exactly one source, and perhaps a default."""

    json_path: str | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    parameter: str | None = None
    default: str | None = None


@frozen
class InputParameter:
    """A value for the placeholders of the step's template."""

    name: str
    value: str | None = None
    value_from: ValueFrom | None = None


@frozen
class OutputValueFrom:
    json_path: str


@frozen
class OutputParameter:
    """A value read from the step's document when its Job is Complete."""

    name: str
    value_from: OutputValueFrom


@frozen
class SecretHeader:
    """A header whose value is in a Secret; it reaches the container as an env reference and never the operator."""

    name: str
    secret_key_ref: KeySelector
    prefix: str = ""
    """What stands before it, such as `Bearer ` with its blank."""


@frozen
class HttpSource:
    """A page of a web server, and the ConfigMap with its authority's certificate if that is no public one."""

    url: str
    headers: Mapping[str, str] = field(factory=dict)
    ca_config_map_ref: KeySelector | None = None
    headers_from: tuple[SecretHeader, ...] = ()


@frozen
class S3Location:
    """An object in an S3 store; credentials are named, never given."""

    bucket: str
    key: str
    endpoint: str | None = None
    region: str | None = None
    access_key_id_secret_ref: KeySelector | None = field(default=None, metadata={"wire": "accessKeyIDSecretRef"})
    secret_access_key_secret_ref: KeySelector | None = None
    session_token_secret_ref: KeySelector | None = None
    force_path_style: bool | None = None
    ca_config_map_ref: KeySelector | None = None


@frozen
class Archive:
    format: ArchiveFormat = ArchiveFormat.TAR
    compression: Compression = Compression.NONE


@frozen
class InputArtifact:
    """A file or directory that the step finds at `path`."""

    name: str
    path: str | None = None
    from_: str | None = field(default=None, metadata={"wire": "from"})
    http: HttpSource | None = None
    s3: S3Location | None = None
    optional: bool = False
    sha256: str | None = None
    archive: Archive | None = None
    size_limit: str | None = None


@frozen
class OutputArtifact:
    """A file or directory that the step leaves at `path`."""

    name: str
    path: str
    optional: bool = False
    archive: Archive | None = None
    s3: S3Location | None = None
    artifact_gc: ArtifactGC | None = field(default=None, metadata={"wire": "artifactGC"})


@frozen
class ArtifactStore:
    """Where output artifacts go that name no store of their own; `s3.key` is a directory, so it ends in `/`."""

    s3: S3Location
    artifact_gc: ArtifactGC | None = field(default=None, metadata={"wire": "artifactGC"})


@frozen
class Inputs:
    parameters: tuple[InputParameter, ...] = ()
    artifacts: tuple[InputArtifact, ...] = ()


@frozen
class Outputs:
    parameters: tuple[OutputParameter, ...] = ()
    artifacts: tuple[OutputArtifact, ...] = ()


@frozen
class Backoff:
    """The pause before retry n; durations as Go writes them ("1m30s")."""

    type: BackoffType = BackoffType.EXPONENTIAL
    duration: str | None = None
    factor: float | None = None
    max_duration: str | None = None


@frozen
class RetryPolicy:
    """New attempts after a failed one; `limit` absent is 3, 0 is none."""

    limit: int | None = field(default=None, metadata=_COUNT)
    backoff: Backoff | None = None


@frozen
class StepMetadata:
    """Labels and annotations for the step's Jobs; our own labels win."""

    labels: Mapping[str, str] = field(factory=dict)
    annotations: Mapping[str, str] = field(factory=dict)


@frozen
class Step:
    """One node of the graph."""

    name: StepName
    type: StepType | None = None
    message: str | None = None
    metadata: StepMetadata | None = None
    dependencies: tuple[StepName, ...] = ()
    when: str | None = None
    continue_on_failure: bool = False
    retry_policy: RetryPolicy | None = None
    timeout_seconds: int | None = field(default=None, metadata=_SECONDS)
    inputs: Inputs | None = None
    outputs: Outputs | None = None
    template: JobTemplate | None = None
    template_ref: str | None = None


@frozen
class OnExitCodes:
    operator: ExitCodeOperator
    values: tuple[int, ...]
    container_name: str | None = None


@frozen
class OnPodCondition:
    type: str
    status: str | None = None


@frozen
class FailureRule:
    action: FailureAction
    on_exit_codes: OnExitCodes | None = None
    on_pod_conditions: tuple[OnPodCondition, ...] = ()


@frozen
class PodFailurePolicy:
    rules: tuple[FailureRule, ...]


@frozen
class ExecutionPolicy:
    """How the flow as a whole is run and bounded."""

    concurrency_policy: ConcurrencyPolicy | None = None
    concurrency_group: str | None = None
    ttl_seconds_after_finished: int | None = field(default=None, metadata=_COUNT)
    backoff_limit: int | None = field(default=None, metadata=_COUNT)
    active_deadline_seconds: int | None = field(default=None, metadata=_SECONDS)
    finally_deadline_seconds: int | None = field(default=None, metadata=_SECONDS)
    pod_failure_policy: PodFailurePolicy | None = None
    parallelism: int | None = field(default=None, metadata={"minimum": 1, "maximum": INT32_MAX})
    fail_fast: bool = False


@frozen
class FlowParameter:
    """A value that the whole flow can use, and that `--set` can replace."""

    name: str
    value: str | None = None
    description: str | None = None
    enum: tuple[str, ...] = ()


@frozen
class SharedTemplate:
    """A Job template that several steps use by `templateRef`."""

    name: str
    template: JobTemplate


@frozen
class ResourceTemplates:
    """Objects created for the flow before its first step, named `<flow>-<name>`."""

    volume_claim_templates: tuple[Mapping[str, Any], ...] = ()
    config_map_templates: tuple[Mapping[str, Any], ...] = ()


@frozen
class RetryOf:
    """The earlier flow whose Succeeded steps this one starts with."""

    name: str
    uid: str


@frozen
class JobFlowSpec:
    """What is to be run. `steps`, `finally`, `templates`, `parameters` and `resourceTemplates` never change."""

    steps: tuple[Step, ...]
    finally_: tuple[Step, ...] = field(default=(), metadata={"wire": "finally"})
    parameters: tuple[FlowParameter, ...] = ()
    templates: tuple[SharedTemplate, ...] = ()
    resource_templates: ResourceTemplates | None = None
    execution_policy: ExecutionPolicy = field(default=Factory(ExecutionPolicy))
    suspend: bool = False
    shutdown: Shutdown | None = None
    retry_of: RetryOf | None = None


@frozen
class OwnerReference:
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


@frozen
class ObjectMeta:
    """The part of a flow's metadata that zenflow reads; the rest is the server's."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = field(factory=dict)
    annotations: Mapping[str, str] = field(factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()


@frozen
class JobFlow:
    """A JobFlow object: what a manifest says and, on a cluster, what became of it."""

    metadata: ObjectMeta
    spec: JobFlowSpec
    status: Mapping[str, Any] | None = None
    api_version: str = API_VERSION
    kind: str = KIND
