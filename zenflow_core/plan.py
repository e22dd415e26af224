"""The spec compiled: names become ranks, defaults are filled in, the graph is known to have no cycle.

A step's *rank* is its place in one fixed topological order, ties in the order
of the spec, and its index in `Plan.steps`. Ranks can be appended later (a plan
may grow); nothing may assume that they cannot. `finally` steps are the second
segment: they stand behind every main step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from attrs import field, frozen

from zenflow_core.expressions import When
from zenflow_core.placeholders import Template
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import (
    BackoffType,
    ConcurrencyPolicy,
    InputArtifact,
    OutputArtifact,
    PodFailurePolicy,
    RetryOf,
    Shutdown,
    StepName,
)


class Segment(StrEnum):
    """Which part of the flow a step belongs to."""

    MAIN = "main"
    FINALLY = "finally"


@frozen
class RetryRule:
    """`retryPolicy` with its defaults filled in."""

    limit: int
    type: BackoffType
    duration: timedelta
    factor: float
    ceiling: timedelta


@frozen
class ConfigMapKey:
    """An input that the runtime has to read: a key of a ConfigMap in the flow's namespace."""

    name: str
    key: str


@frozen
class FixedValue:
    """A value known from the spec (`value`, or a flow parameter)."""

    value: str


@frozen
class OutputRead:
    """A value out of the document of an upstream step, recorded when that step ended."""

    step: StepName
    rank: int
    path: str
    default: str | None = None


@frozen
class KeyRead:
    """A value out of a ConfigMap; `default` stands in for a missing object or key."""

    ref: ConfigMapKey
    default: str | None = None


@frozen
class SecretEnv:
    """A Secret's key, which reaches the container as an env reference and never the operator."""

    name: str
    key: str
    optional: bool = False
    """Whether the Pod may start without it; its env var is then absent."""


InputSource: TypeAlias = FixedValue | OutputRead | KeyRead | SecretEnv


@frozen
class PlannedInput:
    name: str
    source: InputSource


@frozen
class PlannedOutput:
    name: str
    path: str


@frozen
class ArtifactRead:
    """An input artifact `from` an output artifact of an upstream step."""

    name: str
    """The input's."""
    step: StepName
    rank: int
    source: OutputArtifact
    """What that step declares."""
    optional: bool = False


@frozen
class PlannedStep:
    """One step, ready to be asked about. Tuples of ranks are in ascending order."""

    name: StepName
    rank: int
    row: int
    """Index in `status.steps`: the order of the spec, `finally` steps behind."""
    segment: Segment = Segment.MAIN
    manual: bool = False
    message: str = ""
    upstream: tuple[int, ...] = ()
    downstream: tuple[int, ...] = ()
    when: When | None = None
    when_reads: tuple[int, ...] = ()
    """Ranks of the steps that `when` names, all upstream of this one."""
    retry: RetryRule | None = None
    timeout: timedelta | None = None
    continue_on_failure: bool = False
    inputs: tuple[PlannedInput, ...] = ()
    outputs: tuple[PlannedOutput, ...] = ()
    reads: tuple[str, ...] = ()
    """Paths that inputs of other steps read from this step's document, besides its own outputs."""
    input_artifacts: tuple[InputArtifact, ...] = ()
    output_artifacts: tuple[OutputArtifact, ...] = ()
    artifact_reads: tuple[ArtifactRead, ...] = ()
    """Those of the input artifacts that come from other steps."""
    template: Template | None = None
    """The Job manifest (apiVersion, kind, metadata, spec) with its placeholders found; None for manual steps."""
    labels: Mapping[str, str] = field(factory=dict)
    annotations: Mapping[str, str] = field(factory=dict)

    @property
    def documented(self) -> bool:
        """Whether anything is read from the step's document when it ends."""
        return bool(self.outputs or self.reads)

    @property
    def carries_artifacts(self) -> bool:
        """Whether the step has artifacts, so that its Pods have containers of ours where bytes are moved."""
        return bool(self.input_artifacts or self.output_artifacts)


class ResourceKind(StrEnum):
    """What resourceTemplates can make."""

    CLAIM = "PersistentVolumeClaim"
    CONFIG_MAP = "ConfigMap"


@frozen
class ResourceRef:
    """An object of resourceTemplates: its kind and the template's `metadata.name`."""

    kind: ResourceKind
    name: str


@frozen
class Plan:
    """A flow that can be run."""

    steps: tuple[PlannedStep, ...]
    by_name: Mapping[StepName, int]
    main: int
    """How many steps belong to the main segment; they have the lowest ranks."""
    parallelism: int | None = None
    backoff_limit: int = 6
    deadline: timedelta | None = None
    finally_deadline: timedelta | None = None
    ttl: timedelta = timedelta(days=1)
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.FORBID
    concurrency_group: str | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    fail_fast: bool = False
    suspend: bool = False
    shutdown: Shutdown | None = None
    parameters: Mapping[str, str] = field(factory=dict)
    resources: Mapping[ResourceRef, Mapping[str, Any]] = field(factory=dict)
    """Templates of the objects that are made before the first step, in the order of the spec, claims first."""
    retry_of: RetryOf | None = None
    refused: str = ""
    """Why the spec cannot be run: every problem in it. Such a plan has no steps, and its flow ends at once."""
    settings: Settings = DEFAULTS
    fingerprint: str = ""
    """Hash of the parts of the spec that have meaning after the start (product rule "Edits")."""


def refused_plan(problems: Iterable[object]) -> Plan:
    """The plan of a spec that cannot be run: no steps, and every problem as text."""
    return Plan(steps=(), by_name={}, main=0, refused="\n".join(str(problem) for problem in problems) or "no steps")
