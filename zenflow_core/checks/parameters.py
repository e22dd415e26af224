"""Where values come from and where they go: flow parameters, inputs, outputs, `when`, placeholders.

Each reference is parsed here, once; what is parsed goes into the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import define, field

from zenflow_core.checks.report import Report
from zenflow_core.checks.steps import Graph
from zenflow_core.checks.syntax import dns_name_from, is_data_key, is_parameter_name, shown
from zenflow_core.checks.templates import where_used
from zenflow_core.expressions import Place, When, parse_when
from zenflow_core.jsonpath import PathProblem, parse_reference
from zenflow_core.limits import PARAMETER_VALUE_BYTES
from zenflow_core.names import is_subdomain
from zenflow_core.placeholder_values import convert
from zenflow_core.placeholders import Template
from zenflow_core.plan import (
    ConfigMapKey,
    FixedValue,
    InputSource,
    KeyRead,
    OutputRead,
    PlannedInput,
    PlannedOutput,
    SecretEnv,
)
from zenflow_core.spec import FlowParameter, InputParameter, KeySelector, StepName, ValueFrom

_WRONG_CONDITIONS = 100
"""Wrong conditions that are told. Finding what somebody meant by a wrong name takes milliseconds among 10,000."""

_NAME_FIX = "use letters, digits, '-' and '.', with a letter or digit at both ends"


def check_flow_parameters(parameters: tuple[FlowParameter, ...], report: Report) -> Mapping[str, str]:
    """The flow's parameters and their values by name."""
    values: dict[str, str] = {}
    seen: dict[str, int] = {}
    for index, parameter in enumerate(parameters):
        path = f"spec.parameters[{index}]"
        _check_name(parameter.name, f"{path}.name", "parameter", report)
        if parameter.name in seen:
            what = f"the parameter name {shown(parameter.name)} is taken by spec.parameters[{seen[parameter.name]}]"
            report.add("ZF202", f"{path}.name", what, "rename one of the two")
            continue
        seen[parameter.name] = index
        value = parameter.value
        if value is None:
            listed = f", one of {', '.join(parameter.enum[:5])}" if parameter.enum else ""
            what = f"parameter '{parameter.name}' has no value"
            report.add("ZF412", path, what, f"add value{listed}, or give it with --set {parameter.name}=...")
        else:
            _check_size(value, f"{path}.value", report)
            if parameter.enum and value not in parameter.enum:
                what = f"{shown(value)} is none of the values that enum lists"
                none = f"write one of: {', '.join(parameter.enum[:10])}"
                report.add("ZF411", f"{path}.value", what, report.instead(value, parameter.enum, none))
        values[parameter.name] = "" if value is None else value
    return values


@define
class References:
    """What the steps read of each other and of the flow, gathered while their inputs are checked."""

    graph: Graph
    parameters: Mapping[str, str]
    manual: Collection[int]
    """Rows of the Manual steps."""
    outputs: Mapping[str, Collection[str]]
    """Names of the output parameters that each step declares."""
    report: Report
    rank_of: Mapping[int, int]
    reads: dict[int, dict[str, None]] = field(factory=dict)
    """Paths that inputs read, by the row of the step that they read from; dicts serve as ordered sets."""
    wrong_conditions: int = 0

    def when(self, row: int) -> tuple[When, tuple[int, ...]] | None:
        """The condition of a step and the ranks that it names; None if it has none, or a wrong one."""
        text = self.graph.steps[row].when
        if text is None or self.report.full or self.wrong_conditions > _WRONG_CONDITIONS:
            return None
        path = f"{self.graph.path(row)}.when"
        place = Place.STEP if row < self.graph.main else Place.FINALLY
        rows, parameters = self.graph.rows, self.parameters
        found = parse_when(text, steps=rows, parameters=parameters, outputs=self.outputs, where=place)
        if isinstance(found, tuple):
            self.wrong_conditions += 1
            if self.wrong_conditions > _WRONG_CONDITIONS:
                what = f"{_WRONG_CONDITIONS} conditions before this one are wrong; from here on none is looked at"
                self.report.add("ZF301", path, what, "correct those first")
                return None
            for problem in found:
                at = f" (character {problem.column})" if problem.column else ""
                self.report.add("ZF301", path, problem.what + at, problem.fix)
            return None
        named = [rows[name] for name in found.steps]
        for before in named:
            if self.graph.sound and not self.graph.precedes(before, row):
                what, fix = self.graph.unsettled(before, row)
                name = self.graph.steps[before].name
                self.report.add("ZF302", path, f"names step '{name}', {what}", fix)
        return found, tuple(sorted(self.rank_of[before] for before in named))

    def inputs(self, row: int) -> tuple[PlannedInput, ...]:
        """The inputs of a step, each with its source."""
        inputs = self.graph.steps[row].inputs
        if inputs is None or not inputs.parameters:
            return ()
        base = f"{self.graph.path(row)}.inputs.parameters"
        if row in self.manual:
            what = "a Manual step has no template whose placeholders could use inputs"
            self.report.add("ZF609", base, what, "remove them")
        planned: list[PlannedInput] = []
        seen: dict[str, int] = {}
        for index, parameter in enumerate(inputs.parameters):
            path = f"{base}[{index}]"
            _check_name(parameter.name, f"{path}.name", "parameter", self.report)
            if parameter.name in seen:
                what = f"the parameter name {shown(parameter.name)} is taken by {base}[{seen[parameter.name]}]"
                self.report.add("ZF202", f"{path}.name", what, "rename one of the two")
                continue
            seen[parameter.name] = index
            source = self._source(parameter, row, path)
            if source is not None:
                planned.append(PlannedInput(parameter.name, source))
        return tuple(planned)

    def _source(self, parameter: InputParameter, row: int, path: str) -> InputSource | None:
        """The one source of an input; what else is given is a problem.

        A written `value: ""` is a value; beside a `valueFrom` it has always counted as not given.
        """
        given = parameter.value_from
        if given is None:
            if parameter.value is None:
                self.report.add("ZF402", path, f"parameter '{parameter.name}' has no source", "add value or valueFrom")
                return None
            _check_size(parameter.value, f"{path}.value", self.report)
            return FixedValue(parameter.value)
        if parameter.value:
            what = f"parameter '{parameter.name}' has value and valueFrom"
            self.report.add("ZF403", path, what, "keep one of the two; a fallback is valueFrom.default")
        names = _sources(given)
        if len(names) != 1:
            rule, what = ("ZF403", f"valueFrom has {len(names)} sources ({', '.join(names)})")
            fix = "keep one of them"
            if not names:
                rule, what = "ZF402", "valueFrom has no source"
                fix = "add jsonPath, configMapKeyRef, secretKeyRef or parameter"
                if given.default is not None:
                    fix = "write the default as value"
            self.report.add(rule, f"{path}.valueFrom", what, fix)
            return None
        return self._value_from(given, row, f"{path}.valueFrom")

    def _value_from(self, given: ValueFrom, row: int, path: str) -> InputSource | None:
        if given.default is not None:
            _check_size(given.default, f"{path}.default", self.report)
        if given.json_path is not None:
            return self._output(given.json_path, given.default, row, f"{path}.jsonPath")
        if given.config_map_key_ref is not None:
            ref = given.config_map_key_ref
            _check_key(ref, "ConfigMap", f"{path}.configMapKeyRef", self.report)
            default = "" if ref.optional and given.default is None else given.default
            return KeyRead(ConfigMapKey(ref.name, ref.key), default)
        if given.secret_key_ref is not None:
            ref = given.secret_key_ref
            _check_key(ref, "Secret", f"{path}.secretKeyRef", self.report)
            if given.default is not None:
                what = "zenflow never sees whether the Secret is there, and a default would be no secret"
                self.report.add("ZF419", f"{path}.default", what, "remove it")
            return SecretEnv(ref.name, ref.key, optional=bool(ref.optional))
        assert given.parameter is not None, "one source is given, and it is none of the others"
        if given.parameter not in self.parameters:
            what = f"the flow has no parameter {shown(given.parameter)}"
            fix = self.report.instead(given.parameter, self.parameters, "declare it in spec.parameters")
            self.report.add("ZF410", f"{path}.parameter", what, fix)
            return None
        if given.default is not None:
            what = f"parameter '{given.parameter}' of the flow has a value, so this default is never used"
            self.report.add("ZF418", f"{path}.default", what, "remove it")
        return FixedValue(self.parameters[given.parameter])

    def _output(self, text: str, default: str | None, row: int, path: str) -> InputSource | None:
        reference = parse_reference(text)
        if isinstance(reference, PathProblem):
            self.report.add("ZF404", path, reference.what, reference.fix)
            return None
        if reference.step is None:
            what = f"{shown(text)} does not say which step's output it reads"
            before = self.graph.upstream[row] if self.graph.upstream else ()
            name = self.graph.steps[before[0]].name if before else "step"
            self.report.add("ZF405", path, what, f"write the step before it, for instance {name}:{text.strip()}")
            return None
        before_row = self.graph.rows.get(reference.step)
        if before_row is None:
            what = f"reads from step {shown(reference.step)}, which this flow does not have"
            fix = self.report.instead(reference.step, self.graph.rows, "name a step of this flow")
            self.report.add("ZF406", path, what, fix)
            return None
        if self.graph.sound and not self.graph.precedes(before_row, row):
            what, fix = self.graph.unsettled(before_row, row)
            self.report.add("ZF407", path, f"reads from step '{reference.step}', {what}", fix)
        if before_row in self.manual:
            what = f"reads from '{reference.step}', a Manual step, which has no Job and so no output"
            self.report.add("ZF408", path, what, "read from a step of type Job")
        self.reads.setdefault(before_row, {})[reference.path.source] = None
        return OutputRead(StepName(reference.step), self.rank_of[before_row], reference.path.source, default)

    def declared(self, row: int) -> tuple[PlannedOutput, ...]:
        """The output parameters of a step."""
        step = self.graph.steps[row]
        if step.outputs is None or not step.outputs.parameters:
            return ()
        base = f"{self.graph.path(row)}.outputs.parameters"
        if row in self.manual:
            self.report.add("ZF408", base, "a Manual step has no Job, and so no outputs", "remove them")
        planned: list[PlannedOutput] = []
        seen: dict[str, int] = {}
        for index, output in enumerate(step.outputs.parameters):
            path = f"{base}[{index}]"
            _check_name(output.name, f"{path}.name", "parameter", self.report)
            if output.name in seen:
                what = f"the output name {shown(output.name)} is taken by {base}[{seen[output.name]}]"
                self.report.add("ZF202", f"{path}.name", what, "rename one of the two")
                continue
            seen[output.name] = index
            reference = parse_reference(output.value_from.json_path)
            where = f"{path}.valueFrom.jsonPath"
            if isinstance(reference, PathProblem):
                self.report.add("ZF404", where, reference.what, reference.fix)
                continue
            if reference.step not in (None, step.name):
                what = f"an output is read from its own step, not from {shown(str(reference.step))}"
                self.report.add("ZF404", where, what, f"write {reference.path.source}")
            planned.append(PlannedOutput(output.name, reference.path.source))
        return tuple(planned)


def check_placeholders(
    graph: Graph, row: int, template: Template, inputs: tuple[PlannedInput, ...], parameters: Mapping[str, Any],
    report: Report,
) -> None:  # fmt: skip
    """The placeholders of a step's template against its inputs, and values that can be seen not to fit."""
    if (not template.leaves and not inputs) or report.full:
        return
    step, path = graph.steps[row], graph.path(row)
    declared = {parameter.name for parameter in step.inputs.parameters} if step.inputs else set()
    for problem in template.unknown(declared):
        where, within = where_used(step, path, problem.path)
        fix = problem.fix
        undeclared = sorted(template.parameters - declared)
        missing = [name for name in undeclared if name in parameters and f"'{name}'" in problem.what]
        if missing:
            fix = f"add the input {missing[0]} with valueFrom: {{parameter: {missing[0]}}}"
        report.add("ZF413", where, within + problem.what, fix)
    secrets = {planned.name for planned in inputs if isinstance(planned.source, SecretEnv)}
    if secrets:
        for problem in template.misplaced_secrets(secrets):
            where, within = where_used(step, path, problem.path)
            report.add("ZF414", where, within + problem.what, problem.fix)
    _check_conversions(graph, row, template, inputs, report)
    for index, parameter in enumerate(step.inputs.parameters if step.inputs else ()):
        if parameter.name not in template.parameters:
            what = f"no placeholder of the template uses the input '{parameter.name}'"
            where = f"{path}.inputs.parameters[{index}]"
            report.add("ZF417", where, what, f"write {{{{.parameters.{parameter.name}}}}} in it, or remove the input")


def _check_conversions(
    graph: Graph, row: int, template: Template, inputs: tuple[PlannedInput, ...], report: Report
) -> None:
    fixed = {planned.name: planned.source.value for planned in inputs if isinstance(planned.source, FixedValue)}
    if not fixed:
        return
    for leaf in template.leaves:
        if leaf.type in ("string", "quantity", "int-or-string") or len(leaf.pieces) != 1:
            continue
        for hole in leaf.holes:
            if hole.is_parameter and hole.name in fixed and convert(fixed[hole.name], leaf.type) is None:
                where, within = where_used(graph.steps[row], graph.path(row), leaf.where)
                what = f"{within}{shown(fixed[hole.name])} of parameter '{hole.name}' is no value of type {leaf.type}"
                fix = {"boolean": "give it the value true or false", "integer": "give it a whole number"}
                report.add("ZF415", where, what, fix.get(leaf.type, "give it a number"))


def _sources(given: ValueFrom) -> list[str]:
    named = {
        "jsonPath": given.json_path,
        "configMapKeyRef": given.config_map_key_ref,
        "secretKeyRef": given.secret_key_ref,
        "parameter": given.parameter,
    }
    return [name for name, value in named.items() if value is not None]


def _check_name(name: str, path: str, noun: str, report: Report) -> None:
    if is_parameter_name(name):
        return
    legal = dns_name_from(name)
    what = f"{shown(name)} is not a legal {noun} name" if name else f"the {noun} has no name"
    report.add("ZF401", path, what, f"for instance '{legal}': {_NAME_FIX}" if legal else _NAME_FIX)


def _check_key(ref: KeySelector, noun: str, path: str, report: Report) -> None:
    if not is_subdomain(ref.name):
        what = f"{shown(ref.name)} is not the name of a {noun}" if ref.name else f"the {noun} has no name"
        report.add("ZF409", f"{path}.name", what, f"name a {noun} in the flow's namespace")
    if not is_data_key(ref.key):
        what = f"{shown(ref.key)} is not a key of a {noun}" if ref.key else "the key is empty"
        report.add("ZF409", f"{path}.key", what, "write a key: letters, digits, '-', '_' and '.'")


def _check_size(value: str, path: str, report: Report) -> None:
    if len(value) * 4 <= PARAMETER_VALUE_BYTES:
        return
    size = len(value.encode(errors="surrogatepass"))
    if size > PARAMETER_VALUE_BYTES:
        what = f"the value has {size} bytes, at most {PARAMETER_VALUE_BYTES} are allowed"
        report.add("ZF416", path, what, "put it into a ConfigMap or a file, and mount that")
