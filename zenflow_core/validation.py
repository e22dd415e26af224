"""A flow examined: everything wrong with it, everything doubtful, and what compiling needs, parsed once.

`codec` has seen to the shape (types, required fields, enums); here is what the
values mean together. Each concern is a file in `checks/`, and
`checks/catalogue.py` lists the rules. All problems are found at once, in the
order of the spec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from attrs import field, frozen

from zenflow_core.checks.artifacts import check_artifacts, claims_artifacts
from zenflow_core.checks.parameters import References, check_flow_parameters, check_placeholders
from zenflow_core.checks.policies import Carrier, check_carriers, check_execution_policy, check_step
from zenflow_core.checks.report import Report
from zenflow_core.checks.resources import check_resources, check_size
from zenflow_core.checks.steps import Graph, check_graph, check_metadata
from zenflow_core.checks.templates import Templates, check_shared, is_manual, job_template
from zenflow_core.codec import write_spec
from zenflow_core.expressions import When
from zenflow_core.placeholders import Template
from zenflow_core.plan import PlannedInput, PlannedOutput, RetryRule
from zenflow_core.problems import Problem
from zenflow_core.spec import JobFlow

FINGERPRINTED = ("steps", "finally", "templates", "parameters", "resourceTemplates")
"""The parts of the spec that have meaning after the start (product rule "Edits")."""


@frozen
class Parts:
    """What was parsed of one step."""

    manual: bool
    template: Template | None
    when: When | None
    when_reads: tuple[int, ...]
    """Ranks, ascending."""
    inputs: tuple[PlannedInput, ...]
    outputs: tuple[PlannedOutput, ...]
    retry: RetryRule | None


@frozen
class Examination:
    """What there is to say about a flow. Only if `problems` is empty, the rest is complete."""

    flow: JobFlow
    problems: tuple[Problem, ...]
    """What keeps it from running, in the order of the spec."""
    warnings: tuple[Problem, ...]
    """What is probably not meant, in the order of the spec."""
    graph: Graph = field(repr=False)
    parts: tuple[Parts, ...] = field(repr=False)
    """By row."""
    reads: Mapping[int, tuple[str, ...]] = field(repr=False)
    """Paths that inputs of other steps read, by row."""
    parameters: Mapping[str, str] = field(repr=False)
    fingerprint: str = ""
    object_bytes: int = 0
    """What the object will have at its end, about."""


def validate(flow: JobFlow) -> tuple[Problem, ...]:
    """Everything that keeps `flow` from running, each with its place and a fix; empty if it is fine.

    Costs what `compile_plan` costs; `examine` gives the warnings, too.
    """
    return examine(flow).problems


def examine(flow: JobFlow) -> Examination:
    """Check all of `flow`, and keep what was parsed on the way.

    Total: any `JobFlow` that `codec.read_flow` gives is answered. About 35 µs a
    step, 50 µs more for a template of its own and 50 µs for a `when`.
    """
    report = Report()
    spec = flow.spec
    check_metadata(flow, report)
    graph = check_graph(flow, report)
    parameters = check_flow_parameters(spec.parameters, report)
    check_resources(spec.resource_templates, report, claims_artifacts=claims_artifacts(graph))
    check_execution_policy(spec.execution_policy, bool(spec.finally_), report)

    templates = Templates()
    shared = check_shared(spec, templates, report)
    manual = {row for row, step in enumerate(graph.steps) if is_manual(step)}
    rank_of = {row: rank for rank, row in enumerate(graph.order)}
    declared: dict[str, frozenset[str]] = {
        step.name: frozenset(output.name for output in step.outputs.parameters) if step.outputs else frozenset()
        for step in graph.steps
    }
    references = References(graph, parameters, manual, outputs=declared, report=report, rank_of=rank_of)
    carriers: list[Carrier] = []
    parts: list[Parts] = []
    for row, step in enumerate(graph.steps):
        checked = job_template(graph, row, shared, templates, report)
        template = checked.template if checked is not None else None
        job = checked.template.source if checked is not None and checked.shapely else None
        carrier = Carrier(row, step, manual=row in manual, job=job)
        carriers.append(carrier)
        inputs = references.inputs(row)
        if template is not None:
            check_placeholders(graph, row, template, inputs, parameters, report)
        check_artifacts(carrier, graph, report)
        condition = references.when(row)
        parts.append(
            Parts(
                carrier.manual,
                template,
                condition[0] if condition else None,
                when_reads=condition[1] if condition else (),
                inputs=inputs,
                outputs=references.declared(row),
                retry=check_step(carrier, graph.path(row), report),
            )
        )
    templates.report_to(report)
    if spec.execution_policy.pod_failure_policy is not None:
        check_carriers(spec.execution_policy.pod_failure_policy, carriers, graph, report)
    fixed, other = _written(write_spec(spec))
    tags = _json([dict(flow.metadata.labels), dict(flow.metadata.annotations)])
    size = check_size(
        len(fixed) + len(other) + len(tags),
        len(graph.steps),
        len(templates),
        report,
        artifacts=sum(len(step.outputs.artifacts) for step in graph.steps if step.outputs),
    )
    return Examination(
        flow,
        report.problems(),
        report.warnings(),
        graph=graph,
        parts=tuple(parts),
        reads={row: tuple(paths) for row, paths in references.reads.items()},
        parameters=parameters,
        fingerprint=sha256(fixed).hexdigest(),
        object_bytes=size,
    )


def fingerprint(flow: JobFlow) -> str:
    """Hash of the parts of a spec that never change once the flow exists (sha256, hexadecimal).

    Of canonical JSON without defaults, so that a newer zenflow with more
    optional fields gives the same.
    """
    return sha256(_written(write_spec(flow.spec))[0]).hexdigest()


def _written(spec: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Canonical JSON of the parts of a spec that never change, and of the others."""
    fixed = {name: spec[name] for name in FINGERPRINTED if name in spec}
    return _json(fixed), _json({name: value for name, value in spec.items() if name not in fixed})


def _json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="surrogatepass")
