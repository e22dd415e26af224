"""Which Job a step runs: its own template or a shared one, checked and compiled once however many steps use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field, frozen

from zenflow_core.checks.finding import Finding
from zenflow_core.checks.job import check_job, kind_problem
from zenflow_core.checks.report import Report
from zenflow_core.checks.schema import check_schema, field_type
from zenflow_core.checks.steps import Graph
from zenflow_core.checks.syntax import is_parameter_name, shown
from zenflow_core.placeholders import Template, compile_template
from zenflow_core.spec import API_VERSION, JobFlowSpec, JobTemplate, Step, StepType

_JOB = {"apiVersion": "batch/v1", "kind": "Job"}


@frozen
class CheckedJob:
    """A template as the Jobs of its steps get it, and what is wrong with it."""

    template: Template
    findings: tuple[Finding, ...]

    @property
    def shapely(self) -> bool:
        """Whether every value has the type that batch/v1 asks for, so that others may look into it."""
        return not any(finding.rule in ("ZF506", "ZF507") for finding in self.findings)


@define
class _User:
    """The first place of a template, and how many more steps have the same."""

    path: str
    job: CheckedJob
    more: int = 0


@define
class Templates:
    """The templates of a flow. Equal ones, shared or not, are one: a flow of 1,000 alike steps compiles one."""

    _users: dict[str, _User] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._users)

    def take(self, template: JobTemplate, path: str) -> CheckedJob:
        """The checked template at `path`; its findings are kept for `report_to`."""
        text = json.dumps(template)
        user = self._users.get(text)
        if user is None:
            plain = _without_nulls(template) if ": null" in text else template
            self._users[text] = user = _User(path, _checked(plain, _compiler(text)))
        else:
            user.more += 1
        return user.job

    def report_to(self, report: Report) -> None:
        """Tell the findings of each distinct template once, at its first place."""
        for user in self._users.values():
            also = f" (and the same in {user.more} more templates)" if user.more else ""
            for finding in user.job.findings:
                path = f"{user.path}.{finding.path}" if finding.path else user.path
                report.add(finding.rule, path, finding.what + also, finding.fix)


_Compiler: TypeAlias = Callable[[Mapping[str, Any]], Template]


def _compiler(text: str) -> _Compiler:
    """How to compile a template that is written like this: without braces there is nothing to be looked for."""
    if "{{" in text or "${" in text:
        return lambda job: compile_template(job, field_type=field_type)
    return lambda job: evolve(_PLAIN, source=job)


_PLAIN: Final = compile_template({})


def _checked(template: JobTemplate, compiled: _Compiler) -> CheckedJob:
    wrong_kind = kind_problem(template)
    if wrong_kind is not None:
        # Another kind has other fields: what the Job schema says about them would only confuse.
        return CheckedJob(compiled(_JOB), (wrong_kind,))
    job = job_of(template)
    findings = tuple(check_schema(template))
    return CheckedJob(compiled(job), (*findings, *check_job(template)))


def job_of(template: JobTemplate) -> dict[str, Any]:
    """The manifest that Jobs are made of: kind filled in, metadata of a live Job left out (see `manifests`).

    Parts that need no change are shared with `template`, not copied.
    """
    job: dict[str, Any] = dict(_JOB)
    metadata = template.get("metadata")
    if isinstance(metadata, dict):
        kept = {name: metadata[name] for name in ("labels", "annotations", "finalizers") if name in metadata}
        if kept:
            job["metadata"] = kept
    if isinstance(template.get("spec"), dict):
        job["spec"] = template["spec"]
    return job


def _without_nulls(value: Any) -> Any:
    """`value` without entries that are null: to the API server they are the same as absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def check_shared(spec: JobFlowSpec, templates: Templates, report: Report) -> Mapping[str, CheckedJob]:
    """The shared templates by name."""
    shared: dict[str, CheckedJob] = {}
    for index, entry in enumerate(spec.templates):
        path = f"spec.templates[{index}]"
        if not is_parameter_name(entry.name):
            what = f"{shown(entry.name)} is not a legal template name" if entry.name else "the template has no name"
            report.add("ZF401", f"{path}.name", what, "use letters, digits, '-' and '.'")
        if entry.name in shared:
            what = f"the template name {shown(entry.name)} is taken"
            report.add("ZF202", f"{path}.name", what, "rename one of the two")
            continue
        shared[entry.name] = templates.take(entry.template, f"{path}.template")
    used = {step.template_ref for step in (*spec.steps, *spec.finally_)}
    for index, entry in enumerate(spec.templates):
        if entry.name not in used:
            path = f"spec.templates[{index}]"
            report.add("ZF519", path, f"no step uses the template '{entry.name}'", "use it, or remove it")
    return shared


def is_manual(step: Step) -> bool:
    """Whether a step waits for a person: type Manual, or no type and no template."""
    if step.type is None:
        return step.template is None and step.template_ref is None
    return step.type is StepType.MANUAL


def job_template(
    graph: Graph, row: int, shared: Mapping[str, CheckedJob], templates: Templates, report: Report
) -> CheckedJob | None:
    """The checked template of a step; None for a Manual step, or if it has none that could be used."""
    step, path = graph.steps[row], graph.path(row)
    if is_manual(step):
        _check_manual(step, path, report)
        return None
    if step.template is not None and step.template_ref is not None:
        what = f"the step has a template and the templateRef '{step.template_ref}'"
        report.add("ZF502", f"{path}.templateRef", what, "keep one of the two")
    if step.template is not None:
        if not step.template:
            report.add("ZF501", f"{path}.template", "the template is empty", "write a batch/v1 Job, or use templateRef")
            return None
        return templates.take(step.template, f"{path}.template")
    if step.template_ref is None:
        what = f"step '{step.name}' of type Job has no template"
        report.add("ZF501", path, what, "add template with a batch/v1 Job, templateRef, or type: Manual")
        return None
    if step.template_ref not in shared:
        what = f"the flow has no shared template {shown(step.template_ref)}"
        none = "add it to spec.templates"
        report.add("ZF503", f"{path}.templateRef", what, report.instead(step.template_ref, shared, none))
        return None
    return shared[step.template_ref]


def _check_manual(step: Step, path: str, report: Report) -> None:
    if step.type is None and not step.message:
        what = f"step '{step.name}' has neither type nor template, so it waits for an approval"
        report.add("ZF505", path, what, "write type: Manual if that is meant, else add its template")
    for name, value in (("template", step.template), ("templateRef", step.template_ref)):
        if value is not None:
            what = f"a Manual step runs no Job, so its {name} has no effect"
            report.add("ZF504", f"{path}.{name}", what, f"remove it, or write type: Job ({API_VERSION})")


def where_used(step: Step, path: str, inside: str) -> tuple[str, str]:
    """Where a finding of one step's use of a template is reported, and words for the place inside a shared one."""
    if step.template is not None:
        return f"{path}.template.{inside}", ""
    return f"{path}.templateRef", f"template '{step.template_ref}', {inside}: "
