"""Validation: each rule with what it finds, where, and how to put it right; and what it must not find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.checks.catalogue import READING_RULES, RULES, as_markdown
from zenflow_core.codec import read_flow
from zenflow_core.limits import PROBLEMS
from zenflow_core.problems import RULE_TITLES, Problem, Severity, segments
from zenflow_core.spec import JobFlow
from zenflow_core.validation import Examination, examine, validate

ABSENT: Any = object()


def without_absent(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not ABSENT}


def job(
    spec: Mapping[str, Any] | None = None, pod: Mapping[str, Any] | None = None, **container: Any
) -> dict[str, Any]:
    """A Job manifest with one container `main`."""
    main = without_absent({"name": "main", "image": "busybox:1.36", **container})
    pod_spec = without_absent({"restartPolicy": "Never", "containers": [main], **(pod or {})})
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod_spec}, **(spec or {})}}


def echo(*args: Any, **fields: Any) -> dict[str, Any]:
    """A Job manifest whose container echoes `args`."""
    return job(command=["echo"], args=list(args), **fields)


def step(name: str = "build", *after: str, **fields: Any) -> dict[str, Any]:
    """A step that waits for `after`; with `job()` as its template unless another one, or none, is given."""
    made: dict[str, Any] = {"name": name, **fields}
    if after:
        made["dependencies"] = list(after)
    if fields.get("type") != "Manual":
        made.setdefault("template", ABSENT if "templateRef" in fields else job())
    return without_absent(made)


def flow(*steps: dict[str, Any], **fields: Any) -> JobFlow:
    """A flow called `nightly`; `metadata` replaces its metadata, other fields are those of its spec."""
    metadata = fields.pop("metadata", {"name": "nightly"})
    kind = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow"}
    read = read_flow({**kind, "metadata": metadata, "spec": {"steps": list(steps), **fields}})
    assert not isinstance(read, tuple), "\n".join(map(str, read))
    return read


def policy(**fields: Any) -> dict[str, Any]:
    return {"executionPolicy": fields}


def takes(name: str, **source: Any) -> dict[str, Any]:
    """Inputs with one parameter."""
    return {"parameters": [{"name": name, **source}]}


def read_from(path: str, **more: Any) -> dict[str, Any]:
    """Inputs with one parameter `x` that reads `path`."""
    return takes("x", valueFrom={"jsonPath": path, **more})


def gives(name: str = "digest", path: str = "$.digest") -> dict[str, Any]:
    """Outputs with one parameter."""
    return {"parameters": [{"name": name, "valueFrom": {"jsonPath": path}}]}


def input_artifact(**fields: Any) -> dict[str, Any]:
    return {"artifacts": [{"name": "data", "path": "/data/in", **fields}]}


def header_artifact(*headers: Mapping[str, Any]) -> dict[str, Any]:
    """An input whose page is asked for with these headers out of Secrets."""
    page = {"url": "https://example.com", "headers": {"Accept": "text/csv"}, "headersFrom": list(headers)}
    return input_artifact(http=page)


def output_artifact(**fields: Any) -> dict[str, Any]:
    return {"artifacts": [without_absent({"name": "data", "path": "/out/data", **fields})]}


def rules_of(*rules: Mapping[str, Any]) -> dict[str, Any]:
    """An execution policy with a podFailurePolicy of these rules."""
    return policy(podFailurePolicy={"rules": list(rules)})


def claim(**spec: Any) -> dict[str, Any]:
    made = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {
        "resourceTemplates": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": without_absent(made)}]}
    }


def config_maps(*templates: Mapping[str, Any]) -> dict[str, Any]:
    return {"resourceTemplates": {"configMapTemplates": list(templates)}}


FAIL_JOB = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
ONE_VALUE = takes("x", value="1")


def finds(rule: str, path: str, what: str, fix: str, *given_steps: dict[str, Any], **fields: Any) -> Any:
    """A row of `test_finds` (pytest does not export its type); `called` is its name if `what` says too little."""
    called = fields.pop("called", what)
    return pytest.param(flow(*given_steps, **fields), rule, path, what, fix, id=f"{rule} {called}")


NAMES_AND_GRAPH = [
    finds("ZF201", "spec.steps", "has no steps", "add at least one"),
    finds("ZF202", "spec.steps[1].name", "taken by spec.steps[0]", "rename", step("a"), step("a")),
    finds(
        "ZF202", "spec.finally[0].name", "taken by spec.steps[0]", "share one set", step("a"),
        called="finally shares the names", **{"finally": [step("a")]},
    ),
    finds("ZF203", "spec.steps[0].name", "empty", "such as 'build'", step(""), called="a step without a name"),
    finds("ZF203", "spec.steps[0].name", "not a DNS-1123 name", "'step-1'", step("step_1"), called="an underscore"),
    finds("ZF203", "spec.steps[0].name", "ends with a blank", "'build'", step("build "), called="a blank at the end"),
    finds("ZF203", "spec.steps[0].name", "254 characters", "", step("a" * 254), called="254 characters"),
    finds("ZF204", "spec.steps[1].dependencies[0]", "'buidl', which this flow does not have", "did you mean 'build'",
          step("build"), step("test", "buidl")),
    finds("ZF204", "spec.steps[0].dependencies[0]", "is empty", "name a step", step("a", "")),
    finds("ZF205", "spec.steps[0].dependencies[0]", "'a' depends on itself", "remove", step("a", "a")),
    finds("ZF206", "spec.steps[1].dependencies[1]", "a second time (see spec.steps[1].dependencies[0])", "remove",
          step("a"), step("b", "a", "a")),
    finds("ZF207", "spec.steps[0].dependencies[0]", "a -> b -> c -> a", "'c' from those of 'a'",
          step("a", "c"), step("b", "a"), step("c", "b")),
    finds("ZF207", "spec.finally[0].dependencies[0]", "x -> y -> x", "remove", step("a"), called="a cycle in finally",
          **{"finally": [step("x", "y"), step("y", "x")]}),
    finds("ZF208", "spec.steps[0].dependencies[0]", "a step of finally", "move 'end' into steps", step("a", "end"),
          **{"finally": [step("end")]}),
    finds("ZF208", "spec.finally[0].dependencies[0]", "depends on 'a' of steps", "every step of steps is settled",
          step("a"), **{"finally": [step("end", "a")]}),
    finds("ZF210", "metadata.name", "has no name", "generateName", step(), metadata={}),
    finds("ZF210", "metadata.name", "'Nightly_Build' is not a DNS-1123 name", "'nightly-build'", step(),
          metadata={"name": "Nightly_Build"}),
    finds("ZF210", "metadata.generateName", "generateName 'Nightly-'", "'nightly-'", step(),
          metadata={"generateName": "Nightly-"}),
    finds("ZF211", 'metadata.labels["a b"]', "'a b' is not a legal label key", "letters", step(),
          metadata={"name": "x", "labels": {"a b": "c"}}),
    finds("ZF211", "metadata.labels.team", "is not a legal label value", "annotation", step(),
          metadata={"name": "x", "labels": {"team": "a" * 64}}),
    finds("ZF211", 'metadata.annotations["a/b/c"]', "annotation key", "letters", step(),
          metadata={"name": "x", "annotations": {"a/b/c": ""}}),
    finds("ZF211", "spec.steps[0].metadata.labels.tier", "'-a' is not a legal label value", "letters",
          step(metadata={"labels": {"tier": "-a"}})),
    finds("ZF212", "metadata.annotations", "bytes together", "ConfigMap", step(),
          metadata={"name": "x", "annotations": {"a": "x" * 262_144}}),
]  # fmt: skip

CONDITIONS = [
    finds("ZF301", "spec.steps[0].when", "", "", step(when="parameters.x =="), called="half an expression"),
    finds("ZF301", "spec.steps[0].when", "buidl", "build", step("build", when="steps.buidl.phase == 'Succeeded'"),
          called="a step that does not exist"),
    finds("ZF301", "spec.steps[1].when", "Suceeded", "Succeeded", step("a"),
          step("b", "a", when="steps.a.phase == 'Suceeded'"), called="a phase that does not exist"),
    finds("ZF301", "spec.steps[0].when", "tga", "'tag'", step(when="parameters.tga == 'x'"),
          parameters=[{"name": "tag", "value": "x"}], called="a parameter that does not exist"),
    finds("ZF301", "spec.steps[1].when", "size", "", step("a", outputs=gives("sizes")),
          step("b", "a", when="steps.a.outputs.parameters.size == 'x'"), called="an output that does not exist"),
    finds("ZF301", "spec.steps[0].when", "phase", "", step(when="flow.phase == 'Failed'"),
          called="flow.phase outside finally"),
    finds("ZF302", "spec.steps[1].when", "names step 'a', which this step does not wait for", "add 'a'",
          step("a"), step("b", when="steps.a.phase == 'Succeeded'")),
    finds("ZF302", "spec.steps[0].when", "which is this step itself", "another",
          step("a", when="steps.a.phase == 'Failed'")),
    finds("ZF302", "spec.steps[0].when", "which itself waits for this step", "runs after this step",
          step("a", when="steps.b.phase == 'Failed'"), step("b", "a")),
    finds("ZF302", "spec.finally[0].when", "'last', which this step does not wait for", "add 'last'",
          step("a"), called="a finally step that is not upstream",
          **{"finally": [step("end", when="steps.last.phase == 'Failed'"), step("last")]}),
    finds("ZF302", "spec.steps[0].when", "a step of finally and runs after this one", "spec.steps",
          step("a", when="steps.end.phase == 'Failed'"), **{"finally": [step("end")]}),
]  # fmt: skip

PARAMETERS = [
    finds("ZF401", "spec.steps[0].inputs.parameters[0].name", "'param_1' is not a legal parameter name", "'param-1'",
          step(inputs=takes("param_1", value="x"))),
    finds("ZF401", "spec.steps[0].inputs.parameters[0].name", "has no name", "letters",
          step(inputs=takes("", value="x"))),
    finds("ZF401", "spec.steps[0].outputs.parameters[0].name", "'a b' is not a legal", "'a-b'",
          step(outputs=gives("a b"))),
    finds("ZF401", "spec.parameters[0].name", "'a/b' is not a legal", "'a-b'", step(),
          parameters=[{"name": "a/b", "value": ""}]),
    finds("ZF402", "spec.steps[0].inputs.parameters[0]", "has no source", "add value", step(inputs=takes("x"))),
    finds("ZF402", "spec.steps[0].inputs.parameters[0].valueFrom", "no source", "add jsonPath",
          step(inputs=takes("x", valueFrom={})), called="an empty valueFrom"),
    finds("ZF402", "spec.steps[0].inputs.parameters[0].valueFrom", "no source", "write the default as value",
          step(inputs=takes("x", valueFrom={"default": "1"})), called="a default alone"),
    finds("ZF403", "spec.steps[0].inputs.parameters[0]", "has value and valueFrom", "keep one",
          step(inputs=takes("x", value="1", valueFrom={"configMapKeyRef": {"name": "c", "key": "k"}}))),
    finds("ZF403", "spec.steps[0].inputs.parameters[0].valueFrom", "2 sources (jsonPath, configMapKeyRef)", "keep one",
          step(inputs=takes("x", valueFrom={"jsonPath": "a:$.x", "configMapKeyRef": {"name": "c", "key": "k"}}))),
    finds("ZF404", "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", "begin with '$'", "$.name",
          step("a"), step("b", "a", inputs=read_from("result.digest"))),
    finds("ZF404", "spec.steps[0].outputs.parameters[0].valueFrom.jsonPath", "invalid-path", "$.name",
          step(outputs=gives("x", "invalid-path")), called="an output's path"),
    finds("ZF404", "spec.steps[1].outputs.parameters[0].valueFrom.jsonPath", "its own step, not from 'a'", "write $.x",
          step("a"), step("b", "a", outputs=gives("x", "a:$.x"))),
    finds("ZF405", "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", "does not say which step", "a:$.digest",
          step("a"), step("b", "a", inputs=read_from("$.digest"))),
    finds("ZF406", "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", "'buidl', which this flow", "'build'",
          step("build"), step("b", "build", inputs=read_from("buidl:$.x"))),
    finds("ZF407", "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", "does not wait for", "add 'a'",
          step("a"), step("b", inputs=read_from("a:$.x"))),
    finds("ZF407", "spec.steps[0].inputs.parameters[0].valueFrom.jsonPath", "this step itself", "another",
          step("a", inputs=read_from("a:$.x"))),
    finds("ZF408", "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", "a Manual step", "type Job",
          step("a", type="Manual"), step("b", "a", inputs=read_from("a:$.x"))),
    finds("ZF408", "spec.steps[0].outputs.parameters", "no outputs", "remove",
          step("a", type="Manual", outputs=gives()), called="outputs of a Manual step"),
    finds("ZF409", "spec.steps[0].inputs.parameters[0].valueFrom.configMapKeyRef.name", "has no name", "name a",
          step(inputs=takes("x", valueFrom={"configMapKeyRef": {"name": "", "key": "k"}}))),
    finds("ZF409", "spec.steps[0].inputs.parameters[0].valueFrom.secretKeyRef.key", "key is empty", "write a key",
          step(inputs=takes("x", valueFrom={"secretKeyRef": {"name": "s", "key": ""}}))),
    finds("ZF409", "spec.steps[0].inputs.parameters[0].valueFrom.configMapKeyRef.key", "'a b' is not a key", "letters",
          step(inputs=takes("x", valueFrom={"configMapKeyRef": {"name": "c", "key": "a b"}}))),
    finds("ZF410", "spec.steps[0].inputs.parameters[0].valueFrom.parameter", "no parameter 'tga'", "'tag'",
          step(inputs=takes("x", valueFrom={"parameter": "tga"})), parameters=[{"name": "tag", "value": "1"}]),
    finds("ZF411", "spec.parameters[0].value", "'prd' is none of", "'prod'", step(),
          parameters=[{"name": "env", "value": "prd", "enum": ["test", "prod"]}]),
    finds("ZF412", "spec.parameters[0]", "'env' has no value", "one of test, prod", step(),
          parameters=[{"name": "env", "enum": ["test", "prod"]}]),
    finds("ZF413", "spec.steps[0].template.spec.template.spec.containers[0].args[0]", "'tga'", "'tag'",
          step(inputs=takes("tag", value="1"), template=echo("{{.parameters.tga}}", "{{.parameters.tag}}"))),
    finds("ZF413", "spec.steps[0].template.spec.template.spec.containers[0].args[0]", "'tag'",
          "add the input tag with valueFrom: {parameter: tag}", step(template=echo("${parameters.tag}")),
          parameters=[{"name": "tag", "value": "1"}], called="a flow parameter that is no input of the step"),
    finds("ZF413", "spec.steps[0].templateRef", "template 'shared', spec.template.spec.containers[0].args[0]: ", "",
          step(templateRef="shared"), templates=[{"name": "shared", "template": echo("{{.parameters.tag}}")}],
          called="a placeholder in a shared template"),
    finds("ZF414", "spec.steps[0].template.spec.template.spec.containers[0].image", "from a Secret", "env",
          step(inputs=takes("x", valueFrom={"secretKeyRef": {"name": "s", "key": "k"}}),
               template=job(image="busybox:{{.parameters.x}}"))),
    finds("ZF415", "spec.steps[0].template.spec.parallelism", "'many' of parameter 'x' is no value of type integer",
          "a whole number", step(inputs=takes("x", value="many"), template=job({"parallelism": "{{.parameters.x}}"}))),
    finds("ZF415", "spec.steps[0].template.spec.suspend", "'yes' of parameter 'x'", "true or false",
          step(inputs=takes("x", value="yes"), template=job({"suspend": "{{.parameters.x}}"}))),
    finds("ZF416", "spec.steps[0].inputs.parameters[0].value", "32769 bytes", "ConfigMap",
          step(inputs=takes("x", value="x" * 32_769), template=echo("{{.parameters.x}}"))),
    finds("ZF417", "spec.steps[0].inputs.parameters[0]", "uses the input 'x'", "{{.parameters.x}}",
          step(inputs=ONE_VALUE)),
    finds("ZF418", "spec.steps[0].inputs.parameters[0].valueFrom.default", "never used", "remove",
          step(inputs=takes("x", valueFrom={"parameter": "tag", "default": "2"})),
          parameters=[{"name": "tag", "value": "1"}]),
    finds("ZF419", "spec.steps[0].inputs.parameters[0].valueFrom.default", "would be no secret", "remove",
          step(inputs=takes("x", valueFrom={"secretKeyRef": {"name": "s", "key": "k"}, "default": "hunter2"}))),
    finds("ZF202", "spec.steps[0].inputs.parameters[1].name", "taken by spec.steps[0].inputs.parameters[0]", "rename",
          step(inputs={"parameters": [{"name": "x", "value": "1"}, {"name": "x", "value": "2"}]})),
    finds("ZF202", "spec.steps[0].outputs.parameters[1].name", "taken by", "rename",
          step(outputs={"parameters": [*gives()["parameters"], *gives()["parameters"]]}), called="an output twice"),
    finds("ZF202", "spec.parameters[1].name", "taken by spec.parameters[0]", "rename", step(),
          parameters=[{"name": "a", "value": "1"}, {"name": "a", "value": "1"}]),
]  # fmt: skip

POD = "spec.steps[0].template.spec.template.spec"
MAIN = f"{POD}.containers[0]"
JOB_SPEC = "spec.steps[0].template.spec"

TEMPLATES = [
    finds("ZF501", "spec.steps[0]", "of type Job has no template", "templateRef", step(type="Job", template=ABSENT)),
    finds("ZF501", "spec.steps[0].template", "is empty", "batch/v1 Job", step(template={})),
    finds("ZF502", "spec.steps[0].templateRef", "a template and the templateRef 'a'", "keep one",
          step(template=job(), templateRef="a"), templates=[{"name": "a", "template": job()}]),
    finds("ZF503", "spec.steps[0].templateRef", "no shared template 'bild'", "'build'", step(templateRef="bild"),
          step("b", templateRef="build"), templates=[{"name": "build", "template": job()}]),
    finds("ZF504", "spec.steps[0].template", "has no effect", "type: Job", step(type="Manual", template=job())),
    finds("ZF505", "spec.steps[0]", "waits for an approval", "type: Manual", step(template=ABSENT)),
    finds("ZF506", "spec.steps[0].template.kind", "found kind 'Deployment'", "batch/v1 Job",
          step(template={**job(), "kind": "Deployment"})),
    finds("ZF506", "spec.steps[0].template.apiVersion", "found 'batch/v1beta1'", "apiVersion: batch/v1",
          step(template={**job(), "apiVersion": "batch/v1beta1"})),
    finds("ZF507", f"{JOB_SPEC}.backoffLimit", "expected a whole number, found the text '3'", "3 without quotes",
          step(template=job({"backoffLimit": "3"}))),
    finds("ZF507", f"{MAIN}.env[0].value", "expected text, found the number 5432", '"5432"',
          step(template=job(env=[{"name": "PORT", "value": 5432}]))),
    finds("ZF507", f"{MAIN}.env[0].value", "expected text, found true", '"true"',
          step(template=job(env=[{"name": "DEBUG", "value": True}]))),
    finds("ZF507", f"{MAIN}.command", "expected a list, found the text 'make'", '["make"]',
          step(template=job(command="make"))),
    finds("ZF507", f"{POD}.containers", "expected a list, found a mapping (name)", "a list",
          step(template=job(pod={"containers": {"name": "main"}}))),
    finds("ZF507", f"{MAIN}.ports[0].containerPort", "missing", "add containerPort",
          step(template=job(ports=[{"name": "http"}]))),
    finds("ZF507", f"{MAIN}.args[0]", "found null", "text", step(template=job(args=[None])), called="null in a list"),
    finds("ZF507", f"{POD}.containers", "found the text '{{.parameters.x}}'", "a list",
          step(inputs=ONE_VALUE, template=job(pod={"containers": "{{.parameters.x}}"})),
          called="a placeholder cannot become structure"),
    finds("ZF508", f"{MAIN}.comand", "unknown field 'comand'", "'command'", step(template=job(comand=["make"]))),
    finds("ZF508", f"{JOB_SPEC}.backofLimit", "unknown field 'backofLimit'", "'backoffLimit'",
          step(template=job({"backofLimit": 3}))),
    finds("ZF509", f"{POD}.restartPolicy", "is missing, which means Always", "restartPolicy: Never",
          step(template=job(pod={"restartPolicy": ABSENT}))),
    finds("ZF509", f"{POD}.restartPolicy", "is 'Always'", "restartPolicy: Never",
          step(template=job(pod={"restartPolicy": "Always"}))),
    finds("ZF510", f"{POD}.containers", "has no containers", "add a container",
          step(template=job(pod={"containers": []}))),
    finds("ZF510", "spec.steps[0].template.spec", "has no spec", "containers", step(template={"kind": "Job"})),
    finds("ZF511", f"{MAIN}.name", "has no name", "main", step(template=job(name=""))),
    finds("ZF511", f"{MAIN}.name", "has no name", "main", step(template=job(name=ABSENT)), called="an absent name"),
    finds("ZF511", f"{MAIN}.name", "'Main' is not a legal container name", "small", step(template=job(name="Main"))),
    finds("ZF511", f"{MAIN}.image", "has no image", "busybox", step(template=job(image=""))),
    finds("ZF511", f"{MAIN}.image", "blank", "remove", step(template=job(image="busybox "))),
    finds("ZF511", f"{MAIN}.name", "taken by spec.template.spec.initContainers[0]", "rename",
          step(template=job(pod={"initContainers": [{"name": "main", "image": "a"}]}))),
    finds("ZF512", f"{JOB_SPEC}.backoffLimit", "is -1", "from 0", step(template=job({"backoffLimit": -1}))),
    finds("ZF512", f"{JOB_SPEC}.backoffLimit", "does not fit", "from 0", step(template=job({"backoffLimit": 2**31}))),
    finds("ZF512", f"{JOB_SPEC}.activeDeadlineSeconds", "is 0", "from 1",
          step(template=job({"activeDeadlineSeconds": 0}))),
    finds("ZF512", f"{POD}.activeDeadlineSeconds", "of the Pod is 0", "from 1",
          step(template=job(pod={"activeDeadlineSeconds": 0}))),
    finds("ZF513", f"{MAIN}.resources.limits.cpu", "the limit 100m is below the request 200m", "200m or more",
          step(template=job(resources={"requests": {"cpu": "200m"}, "limits": {"cpu": "100m"}}))),
    finds("ZF513", f"{MAIN}.resources.requests.memory", "-128Mi is below zero", "zero or more",
          step(template=job(resources={"requests": {"memory": "-128Mi"}}))),
    finds("ZF513", f"{MAIN}.resources.limits.memory", "'128MB' is not a quantity", "128Mi",
          step(template=job(resources={"limits": {"memory": "128MB"}}))),
    finds("ZF514", f"{JOB_SPEC}.completionMode", "no completions", "number of indexes",
          step(template=job({"completionMode": "Indexed"}))),
    finds("ZF514", f"{JOB_SPEC}.completionMode", "'Indexd'", "one of the two",
          step(template=job({"completionMode": "Indexd"}))),
    finds("ZF514", f"{JOB_SPEC}.backoffLimitPerIndex", "needs an Indexed Job", "completionMode: Indexed",
          step(template=job({"backoffLimitPerIndex": 1}))),
    finds("ZF514", f"{JOB_SPEC}.maxFailedIndexes", "needs backoffLimitPerIndex", "add backoffLimitPerIndex",
          step(template=job({"maxFailedIndexes": 1}))),
    finds("ZF514", f"{JOB_SPEC}.podReplacementPolicy", "'Never'", "one of the two",
          step(template=job({"podReplacementPolicy": "Never"}))),
    finds("ZF515", f"{MAIN}.volumeMounts[0].name", "'data' that the Pod does not have (it has none)", "volumes",
          step(template=job(volumeMounts=[{"name": "data", "mountPath": "/d"}]))),
    finds("ZF515", f"{MAIN}.volumeMounts[0].mountPath", "no mountPath", "absolute",
          step(template=job(pod={"volumes": [{"name": "d", "emptyDir": {}}]}, volumeMounts=[{"name": "d"}]))),
    finds("ZF515", f"{MAIN}.volumeMounts[1].mountPath", "'/d' is also the place of", "different",
          step(template=job(pod={"volumes": [{"name": "d", "emptyDir": {}}]},
                            volumeMounts=[{"name": "d", "mountPath": "/d"}, {"name": "d", "mountPath": "/d"}]))),
    finds("ZF515", f"{POD}.volumes[1].name", "taken by", "rename",
          step(template=job(pod={"volumes": [{"name": "d", "emptyDir": {}}, {"name": "d", "emptyDir": {}}]}))),
    finds("ZF515", f"{POD}.volumes[0]", "2 sources (emptyDir, configMap)", "volume of each",
          step(template=job(pod={"volumes": [{"name": "d", "emptyDir": {}, "configMap": {"name": "c"}}]}))),
    finds("ZF516", "spec.steps[0].template", "uid, metadata.resourceVersion, status, spec.selector", "left out",
          step(template={**job({"selector": {"matchLabels": {"a": "b"}}}), "status": {"succeeded": 1},
                         "metadata": {"name": "x", "uid": "1", "resourceVersion": "2"}})),
    finds("ZF517", f"{JOB_SPEC}.manualSelector", "without a selector", "add the selector",
          step(template=job({"manualSelector": True}))),
    finds("ZF517", f"{JOB_SPEC}.selector.matchLabels.a", "a=b, which the Pod template does not have", "add the label",
          step(template=job({"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}))),
    finds("ZF211", "spec.steps[0].template.metadata.labels.a", "label value", "annotation",
          step(template={**job(), "metadata": {"labels": {"a": "b c"}}}), called="a label of a template"),
    finds("ZF519", "spec.templates[0]", "no step uses the template 'old'", "remove", step(),
          templates=[{"name": "old", "template": job()}]),
    finds("ZF202", "spec.templates[1].name", "is taken", "rename", step(templateRef="a"),
          templates=[{"name": "a", "template": job()}, {"name": "a", "template": job()}]),
]  # fmt: skip


def own_policy(rule: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return step(template=job({"podFailurePolicy": {"rules": [rule]}, **spec}))


RULE = f"{JOB_SPEC}.podFailurePolicy.rules[0]"

OWN_POLICIES = [
    finds("ZF518", f"{JOB_SPEC}.podFailurePolicy", "found OnFailure", "Never",
          step(template=job({"podFailurePolicy": {"rules": [FAIL_JOB]}}, {"restartPolicy": "OnFailure"}))),
    finds("ZF518", f"{JOB_SPEC}.podFailurePolicy", "found TerminatingOrFailed", "remove",
          own_policy(FAIL_JOB, podReplacementPolicy="TerminatingOrFailed")),
    finds("ZF518", f"{JOB_SPEC}.podFailurePolicy.rules", "21 rules", "join",
          step(template=job({"podFailurePolicy": {"rules": [FAIL_JOB] * 21}}))),
    finds("ZF518", f"{RULE}.action", "'Fail' is not an action", "FailJob", own_policy({**FAIL_JOB, "action": "Fail"})),
    finds("ZF518", f"{RULE}.action", "needs backoffLimitPerIndex", "FailJob",
          own_policy({**FAIL_JOB, "action": "FailIndex"})),
    finds("ZF518", RULE, "has no condition", "exactly one", own_policy({"action": "Count"})),
    finds("ZF518", f"{RULE}.onExitCodes.values", "ascending order", "[1, 2]",
          own_policy({"action": "Count", "onExitCodes": {"operator": "In", "values": [2, 1, 2]}})),
    finds("ZF518", f"{RULE}.onExitCodes.values", "cannot stand under In", "remove",
          own_policy({"action": "Count", "onExitCodes": {"operator": "In", "values": [0, 1]}})),
    finds("ZF518", f"{RULE}.onExitCodes.values", "0 exit codes", "list",
          own_policy({"action": "Count", "onExitCodes": {"operator": "In", "values": []}})),
    finds("ZF518", f"{RULE}.onExitCodes.operator", "'Is' is not an operator", "In or NotIn",
          own_policy({"action": "Count", "onExitCodes": {"operator": "Is", "values": [1]}})),
    finds("ZF518", f"{RULE}.onExitCodes.containerName", "'app', which the Pod does not have (main)", "remove",
          own_policy({"action": "Count", "onExitCodes": {"operator": "In", "values": [1], "containerName": "app"}})),
]  # fmt: skip

BACKOFF = "spec.steps[0].retryPolicy.backoff"


def retry(limit: int = 1, **backoff: Any) -> dict[str, Any]:
    return {"limit": limit, "backoff": {"type": "Fixed", **backoff}}


POLICIES = [
    finds("ZF601", "spec.executionPolicy.podFailurePolicy.rules", "no rules", "add a rule", step(), **rules_of()),
    finds("ZF602", "spec.executionPolicy.podFailurePolicy.rules[0].onExitCodes.values", "no exit codes", "at least one",
          step(), **rules_of({"action": "Count", "onExitCodes": {"operator": "In", "values": []}})),
    finds("ZF602", "spec.executionPolicy.podFailurePolicy.rules[0].onExitCodes.values[1]", "256 is no exit code",
          "correct it", step(), **rules_of({"action": "Count", "onExitCodes": {"operator": "In", "values": [0, 256]}})),
    finds("ZF602", "spec.executionPolicy.podFailurePolicy.rules[0].onExitCodes.values[0]", "-9 is no exit code",
          "exits with 137", step(), **rules_of({"action": "Count", "onExitCodes": {"operator": "In", "values": [-9]}})),
    finds("ZF603", "spec.executionPolicy.podFailurePolicy", "no step can carry", "restartPolicy: Never",
          step(template=job(pod={"restartPolicy": "OnFailure"})), **rules_of(FAIL_JOB)),
    finds("ZF603", "spec.executionPolicy.podFailurePolicy", "1 of 2 steps run without the policy: 'b'", "Never",
          step("a"), step("b", template=job(pod={"restartPolicy": "OnFailure"})), **rules_of(FAIL_JOB)),
    finds("ZF604", f"{BACKOFF}.duration", "'invalid' is not a duration", "30s",
          step(retryPolicy=retry(duration="invalid"))),
    finds("ZF604", f"{BACKOFF}.duration", "'0s' is not above zero", "1s", step(retryPolicy=retry(duration="0s"))),
    finds("ZF604", f"{BACKOFF}.duration", "'-5s' is not above zero", "1s", step(retryPolicy=retry(duration="-5s"))),
    finds("ZF604", f"{BACKOFF}.duration", "'d' is not a unit", "48h", step(retryPolicy=retry(duration="31d"))),
    finds("ZF604", f"{BACKOFF}.duration", "longer than 720h0m0s", "720h", step(retryPolicy=retry(duration="720h1ns"))),
    finds("ZF604", f"{BACKOFF}.maxDuration", "longer than 720h0m0s", "720h",
          step(retryPolicy=retry(maxDuration="721h"))),
    finds("ZF605", f"{BACKOFF}.factor", "0.5", "1.0 or more", step(retryPolicy=retry(factor=0.5))),
    finds("ZF606", "spec.steps[0].timeoutSeconds", "2592001 s are more than 30 days", "2592000",
          step(timeoutSeconds=2_592_001)),
    finds("ZF607", "spec.steps[0].retryPolicy", "3 attempts with 4 tries each are 12 Pods", "0",
          step(retryPolicy=retry(2), template=job({"backoffLimit": 3}))),
    finds("ZF608", "spec.steps[0].retryPolicy", "no attempts", "remove", step(type="Manual", retryPolicy=retry())),
    finds("ZF609", "spec.executionPolicy.finallyDeadlineSeconds", "no finally steps", "spec.finally", step(),
          **policy(finallyDeadlineSeconds=60)),
    finds("ZF609", "spec.steps[0].inputs.parameters", "no template", "remove", step(type="Manual", inputs=ONE_VALUE)),
    finds("ZF610", "spec.executionPolicy.concurrencyGroup", "is empty", "name a group", step(),
          **policy(concurrencyGroup=" ")),
    finds("ZF611", "spec.steps[0].timeoutSeconds", "(60) ends the Job before", "raise",
          step(timeoutSeconds=60, template=job({"activeDeadlineSeconds": 61}))),
]  # fmt: skip

INPUT_ARTIFACT = "spec.steps[0].inputs.artifacts[0]"
OUTPUT_ARTIFACT = "spec.steps[0].outputs.artifacts[0]"
S3 = {"bucket": "b", "key": "k"}
KEY = {"name": "s", "key": "k"}

ARTIFACTS = [
    finds("ZF701", f"{OUTPUT_ARTIFACT}.path", "'out/data' is not an absolute path", "'/'",
          step(outputs=output_artifact(path="out/data"))),
    finds("ZF701", f"{OUTPUT_ARTIFACT}.path", "goes up by '..'", "without",
          step(outputs=output_artifact(path="/o/../d"))),
    finds("ZF701", f"{OUTPUT_ARTIFACT}.path", "whole file system", "name a", step(outputs=output_artifact(path="/"))),
    finds("ZF702", INPUT_ARTIFACT, "has no source", "exactly one", step(inputs=input_artifact())),
    finds("ZF702", INPUT_ARTIFACT, "2 sources (http, s3)", "exactly one",
          step(inputs=input_artifact(s3=S3, http={"url": "https://example.com/x"}))),
    finds("ZF702", f"{INPUT_ARTIFACT.replace('[0].i', '[1].i')}.sha256", "of another step", "remove",
          step("a", outputs=output_artifact()),
          step("b", "a", inputs=input_artifact(**{"from": "a/data", "sha256": "0" * 64}))),
    finds("ZF707", f"{INPUT_ARTIFACT}.s3.key", "is a directory", "at its end",
          step(inputs=input_artifact(s3={"bucket": "b", "key": "k/"}))),
    finds("ZF707", f"{OUTPUT_ARTIFACT}.s3.key", "has an empty part", "one '/'",
          step(outputs=output_artifact(s3={"bucket": "b", "key": "a//b"}))),
    finds("ZF707", f"{OUTPUT_ARTIFACT}.s3.key", "'..'", "one '/'",
          step(outputs=output_artifact(s3={"bucket": "b", "key": "a/../b"}))),
    finds("ZF707", f"{OUTPUT_ARTIFACT}.s3.endpoint", "no address", "https://",
          step(outputs=output_artifact(s3={**S3, "endpoint": "ftp://minio"}))),
    finds("ZF409", f"{OUTPUT_ARTIFACT}.s3.caConfigMapRef", "lacks its name or key", "both",
          step(outputs=output_artifact(s3={**S3, "caConfigMapRef": {"name": "", "key": "ca"}}))),
    finds("ZF713", f"{INPUT_ARTIFACT}.sha256", "no SHA-256", "64 hex",
          step(inputs=input_artifact(s3=S3, sha256="AB" * 32))),
    finds("ZF713", f"{INPUT_ARTIFACT}.sizeLimit", "no number of bytes", "10Gi",
          step(inputs=input_artifact(s3=S3, sizeLimit="0"))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headers", "'A B' is no header", "one line",
          step(inputs=input_artifact(http={"url": "https://example.com", "headers": {"A B": "1"}}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headers", "more than one line", "one line",
          step(inputs=input_artifact(http={"url": "https://example.com", "headers": {"A": "1\r\nB: 2"}}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headersFrom[0]", "'A B' is no header", "one line",
          step(inputs=header_artifact({"name": "A B", "secretKeyRef": KEY}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headersFrom[0]", "more than one line", "one line",
          step(inputs=header_artifact({"name": "A", "secretKeyRef": KEY, "prefix": "x\n"}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headersFrom[0]", "'ACCEPT' is given by", "keep one",
          step(inputs=header_artifact({"name": "ACCEPT", "secretKeyRef": KEY}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.headersFrom[1]", "'a' is given by", "keep one",
          step(inputs=header_artifact({"name": "A", "secretKeyRef": KEY}, {"name": "a", "secretKeyRef": KEY}))),
    finds("ZF409", f"{INPUT_ARTIFACT}.http.headersFrom[0].secretKeyRef", "lacks its name or key", "both",
          step(inputs=header_artifact({"name": "A", "secretKeyRef": {"name": "s", "key": ""}}))),
    finds("ZF714", f"{OUTPUT_ARTIFACT}.artifactGC", "only a directory of S3", "end in '/'",
          step(outputs=output_artifact(s3=S3, artifactGC="OnFlowDeletion"))),
    finds("ZF714", f"{OUTPUT_ARTIFACT}.artifactGC", "only a directory of S3", "remove artifactGC",
          step(outputs=output_artifact(artifactGC="OnFlowDeletion"))),
    finds("ZF703", "spec.steps[1].inputs.artifacts[0].from", "'a' names no artifact", "'a/data'",
          step("a", outputs=output_artifact()), step("b", "a", inputs=input_artifact(**{"from": "a"}))),
    finds("ZF704", "spec.steps[1].inputs.artifacts[0].from", "no output artifact 'dta'", "'data'",
          step("a", outputs=output_artifact()), step("b", "a", inputs=input_artifact(**{"from": "a/dta"}))),
    finds("ZF704", "spec.steps[0].inputs.artifacts[0].from", "'x', which this flow does not have", "build",
          step(inputs=input_artifact(**{"from": "x/data"}))),
    finds("ZF705", "spec.steps[1].inputs.artifacts[0].from", "does not wait for", "add 'a'",
          step("a", outputs=output_artifact()), step("b", inputs=input_artifact(**{"from": "a/data"}))),
    finds("ZF706", f"{INPUT_ARTIFACT}.http.url", "'ftp://example.com/x' is no http", "https://",
          step(inputs=input_artifact(http={"url": "ftp://example.com/x"}))),
    finds("ZF707", f"{OUTPUT_ARTIFACT}.s3.bucket", "has no bucket", "bucket",
          step(outputs=output_artifact(s3={"bucket": "", "key": "k"}))),
    finds("ZF707", f"{OUTPUT_ARTIFACT}.s3", "only one of", "both",
          step(outputs=output_artifact(s3={**S3, "accessKeyIDSecretRef": KEY}))),
    finds("ZF409", f"{OUTPUT_ARTIFACT}.s3.accessKeyIDSecretRef", "lacks its name or key", "both",
          step(outputs=output_artifact(s3={**S3, "accessKeyIDSecretRef": {"name": "s", "key": ""},
                                           "secretAccessKeySecretRef": KEY}))),
    finds("ZF708", f"{POD}.containers", "2 containers", "sidecars",
          step(outputs=output_artifact(), template=job(pod={"containers": [
              {"name": "main", "image": "a"}, {"name": "helper", "image": "a"}]}))),
    finds("ZF708", f"{MAIN}.livenessProbe", "output artifacts", "remove",
          step(outputs=output_artifact(), template=job(livenessProbe={"exec": {"command": ["true"]}}))),
    finds("ZF709", "spec.steps[0].outputs.artifacts", "no container", "Job step",
          step(type="Manual", outputs=output_artifact())),
    finds("ZF710", "spec.steps[0].inputs.artifacts[1].path", "is also the path of", "own path",
          step(inputs={"artifacts": [{"name": "a", "path": "/d", "s3": S3}, {"name": "b", "path": "/d/", "s3": S3}]})),
    finds("ZF711", "spec.steps[0].outputs.artifacts", "the report on 30 artifacts may have", "one directory",
          step(outputs={"artifacts": [{"name": f"part-{i:02}", "path": f"/o/{i}"} for i in range(30)]})),
    finds("ZF711", "spec.steps[0].outputs.artifacts", "a termination message of this Pod has 1755", "one directory",
          step(outputs={"artifacts": [{"name": f"part-{i:02}", "path": f"/o/{i}"} for i in range(15)]},
               template=job(pod={"initContainers": [{"name": f"i{i}", "image": "a"} for i in range(5)]}))),
    finds("ZF401", f"{OUTPUT_ARTIFACT}.name", "'a_b' is not a legal artifact name", "'a-b'",
          step(outputs=output_artifact(name="a_b"))),
    finds("ZF202", "spec.steps[0].outputs.artifacts[1].name", "taken by", "rename",
          step(outputs={"artifacts": [{"name": "a", "path": "/o/a"}, {"name": "a", "path": "/o/b"}]})),
]  # fmt: skip

CLAIM = "spec.resourceTemplates.volumeClaimTemplates[0]"
CONFIG_MAP = "spec.resourceTemplates.configMapTemplates[0]"

RESOURCES = [
    finds("ZF801", f"{CLAIM}.spec.accessModes", "no access modes", "ReadWriteOnce", step(),
          **claim(accessModes=ABSENT)),
    finds("ZF801", f"{CLAIM}.spec.accessModes[0]", "'ReadWriteOne'", "ReadWriteOnce", step(),
          **claim(accessModes=["ReadWriteOne"])),
    finds("ZF801", f"{CLAIM}.spec.resources.requests.storage", "no storage", "1Gi", step(), **claim(resources=ABSENT)),
    finds("ZF801", f"{CLAIM}.spec.resources.requests.storage", "'0' is not a size", "1Gi", step(),
          **claim(resources={"requests": {"storage": "0"}})),
    finds("ZF801", f"{CLAIM}.metadata.name", "no name", "<flow>-<name>", step(),
          resourceTemplates={"volumeClaimTemplates": [claim()["resourceTemplates"]["volumeClaimTemplates"][0]
                                                      | {"metadata": {}}]}),
    finds("ZF801", f"{CLAIM}.metadata.name", "is the claim that the flow's artifacts", "rename",
          step(outputs=output_artifact()),
          resourceTemplates={"volumeClaimTemplates": [claim()["resourceTemplates"]["volumeClaimTemplates"][0]
                                                      | {"metadata": {"name": "zenflow-artifacts"}}]}),
    finds("ZF801", f"{CLAIM}.kind", "found 'Volume'", "PersistentVolumeClaim", step(),
          resourceTemplates={"volumeClaimTemplates": [claim()["resourceTemplates"]["volumeClaimTemplates"][0]
                                                      | {"kind": "Volume"}]}),
    finds("ZF802", f"{CONFIG_MAP}.metadata.name", "no name", "metadata.name", step(), **config_maps({"data": {}})),
    finds("ZF802", f"{CONFIG_MAP}.data", "no text", "quotes", step(),
          **config_maps({"metadata": {"name": "c"}, "data": {"port": 5432}})),
    finds("ZF802", f"{CONFIG_MAP}.data", "'a b' is not a legal key", "letters", step(),
          **config_maps({"metadata": {"name": "c"}, "data": {"a b": ""}})),
    finds("ZF802", f"{CONFIG_MAP}.binaryData", "also a key of data", "keep one", step(),
          **config_maps({"metadata": {"name": "c"}, "data": {"a": ""}, "binaryData": {"a": ""}})),
    finds("ZF802", CONFIG_MAP, "1048577 bytes", "split", step(),
          **config_maps({"metadata": {"name": "c"}, "data": {"a": "x" * 1_048_576}})),
    finds("ZF202", "spec.resourceTemplates.configMapTemplates[1].metadata.name", "taken by", "rename", step(),
          **config_maps({"metadata": {"name": "c"}}, {"metadata": {"name": "c"}})),
    finds("ZF803", "spec.steps", "an object of the API server may have 1572864", "templateRef",
          *(step(f"s{i}", template=echo("x" * 1000)) for i in range(1_200)), called="too large by its templates"),
    finds("ZF803", "spec.steps", "an object of the API server may have 1572864", "split it",
          *(step(f"s{i}", templateRef="t") for i in range(5_200)), called="too large because of its steps",
          templates=[{"name": "t", "template": job()}]),
]  # fmt: skip

TOO_MANY = [
    finds("ZF209", "spec.steps", "3147 steps, at most 3146", "several flows",
          *({"name": f"s{i}", "type": "Manual"} for i in range(3_147))),
]  # fmt: skip

ROWS = [
    *NAMES_AND_GRAPH, *CONDITIONS, *PARAMETERS, *TEMPLATES, *OWN_POLICIES, *POLICIES, *ARTIFACTS, *RESOURCES, *TOO_MANY,
]  # fmt: skip


@pytest.mark.parametrize(("given_flow", "rule", "path", "what", "fix"), ROWS)
def test_finds(given_flow: JobFlow, rule: str, path: str, what: str, fix: str) -> None:
    examination = examine(given_flow)
    found = [problem for problem in (*examination.problems, *examination.warnings) if problem.rule == rule]
    assert [problem.path for problem in found] == [path]
    assert what in found[0].what
    assert fix in found[0].fix
    assert found[0].severity is RULES[rule].severity


def test_every_rule_has_a_row() -> None:
    of_the_operator = {"ZF712"}  # depends on its settings, so that compile_plan finds it (tests/core/test_compile.py)
    assert {row.values[1] for row in ROWS} == set(RULES) - of_the_operator


def fine(called: str, *given_steps: dict[str, Any], **fields: Any) -> Any:
    """A row of `test_finds_nothing` (pytest does not export its type)."""
    return pytest.param(flow(*given_steps, **fields), id=called)


FINALLY = {"finally": [step("end", when="flow.phase == 'Failed' && steps.a.phase == 'Failed'"), step("last", "end")]}


@pytest.mark.parametrize(
    "given_flow",
    [
        fine("a step's name of 253 characters", step("a" * 253)),
        fine("a dotted step name", step("v1.ready")),
        fine("a forward reference", step("a", "b"), step("b")),
        fine("a generateName alone", step(), metadata={"generateName": "nightly-"}),
        fine("an approval key of the Go project in a file", step("gate", type="Manual"),
             metadata={"name": "x", "annotations": {"workflow.kube-zen.io/approved/gate": "true"}}),
        fine("finally steps may ask about every main step and the flow", step("a"), **FINALLY),
        fine("a step far upstream", step("a", outputs=gives()), step("b", "a"), step("c", "b",
             inputs=read_from("a:$.x"), when="steps.a.phase == 'Succeeded'", template=echo("{{.parameters.x}}"))),
        fine("a written empty value is a value",
             step(inputs=takes("x", value=""), template=echo("{{.parameters.x}}"))),
        fine("an empty value beside valueFrom counts as not given", step(template=echo("{{.parameters.x}}"),
             inputs=takes("x", value="", valueFrom={"configMapKeyRef": {"name": "c", "key": "k"}}))),
        fine("a value of exactly 32 KiB", step(inputs=takes("x", value="é" * 16_384),
             template=echo("{{.parameters.x}}"))),
        fine("a parameter in camel case", step(inputs=takes("imageTag", value="1"),
             template=echo("{{.parameters.imageTag}}"))),
        fine("a default for an output", step("a"), step("b", "a", inputs=read_from("a:$.x", default="1"),
             template=echo("{{.parameters.x}}"))),
        fine("a Secret in command, args and env", step(inputs=takes("x", valueFrom={"secretKeyRef": KEY}),
             template=echo("{{.parameters.x}}", env=[{"name": "X", "value": "{{.parameters.x}}"}]))),
        fine("a whole placeholder in a number and in a boolean", step(
             inputs={"parameters": [{"name": "n", "value": "3"}, {"name": "b", "value": "true"}]},
             template=job({"parallelism": "{{.parameters.n}}", "suspend": "{{.parameters.b}}"}))),
        fine("a placeholder where a name has to stand", step(inputs=takes("x", value="a"), template=job(
             pod={"volumes": [{"name": "d", "configMap": {"name": "{{.parameters.x}}"}}]},
             volumeMounts=[{"name": "d", "mountPath": "/{{.parameters.x}}"}],
             resources={"limits": {"memory": "{{.parameters.x}}"}}))),
        fine("braces that are no placeholder", step(template=echo("{{ .Values.image }}", "${HOME}"))),
        fine("the flow's own names", step(template=echo("{{.JobFlow.Name}} {{.JobFlow.Namespace}} {{.StepName}}"))),
        fine("a template without kind and apiVersion", step(template={"spec": job()["spec"]})),
        fine("null is the same as absent", step(template={**job({"backoffLimit": None}), "metadata":
             {"creationTimestamp": None}})),
        fine("a quantity of zero", step(template=job(resources={"limits": {"cpu": "0"}, "requests": {"cpu": 0}}))),
        fine("a limit equal to its request, in other words", step(template=job(
             resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "1024Mi"}}))),
        fine("an unnamed container of a sidecar", step(template=job(pod={"initContainers": [
             {"name": "side", "image": "a", "restartPolicy": "Always"}]}))),
        fine("a manual selector that fits", step(template=job({"manualSelector": True, "selector":
             {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
             **job()["spec"]["template"]}}))),
        fine("a template's own policy that fits", own_policy({"action": "Ignore", "onPodConditions":
             [{"type": "DisruptionTarget"}]})),
        fine("a policy rule without a condition", step(), **rules_of({"action": "Count"})),
        fine("exit codes 0 and 255", step(), **rules_of({"action": "Count", "onExitCodes":
             {"operator": "NotIn", "values": [0, 255]}})),
        fine("a duration of exactly 720h, and an empty one", step("a", retryPolicy=retry(duration="720h")),
             step("b", retryPolicy=retry(duration=""))),
        fine("a factor of 1.0 and one that overflows", step("a", retryPolicy=retry(factor=1.0)),
             step("b", retryPolicy=retry(factor=1e308))),
        fine("a timeout of exactly 30 days", step(timeoutSeconds=2_592_000)),
        fine("two deadlines of one length", step(timeoutSeconds=60, template=job({"activeDeadlineSeconds": 60}))),
        fine("few retries on both levels", step(retryPolicy=retry(1), template=job({"backoffLimit": 3}))),
        fine("two dots within a name of a path", step(outputs=output_artifact(path="/out/a..b"))),
        fine("an artifact of a step upstream", step("a", outputs=output_artifact()),
             step("b", "a", inputs=input_artifact(**{"from": "a/data"}))),
        fine("an output artifact in a directory of S3",
             step(outputs=output_artifact(s3={"bucket": "b", "key": "k/"}, artifactGC="OnFlowDeletion"))),
        fine("an endpoint without a scheme",
             step(outputs=output_artifact(s3={"bucket": "b", "key": "k", "endpoint": "minio:9000"}))),
        fine("an input artifact without a path", step(inputs={"artifacts": [{"name": "d", "s3": S3}]})),
        fine("a volume claim and a ConfigMap of one name", step(), resourceTemplates={
             "configMapTemplates": [{"metadata": {"name": "data"}, "data": {"a.txt": ""}}],
             **claim()["resourceTemplates"]}),
        fine("a flow parameter with an enum", step(inputs=takes("x", valueFrom={"parameter": "env"}),
             template=echo("{{.parameters.x}}"), when="parameters.env == 'prod'"),
             parameters=[{"name": "env", "value": "prod", "enum": ["test", "prod"]}]),
        fine("an approval with a message and no type", step("gate", template=ABSENT, message="Ship it?")),
    ],
)  # fmt: skip
def test_finds_nothing(given_flow: JobFlow) -> None:
    examination = examine(given_flow)
    assert (examination.problems, examination.warnings) == ((), ())


def many_mistakes() -> JobFlow:
    return flow(
        step("b", "x", inputs=takes("p_1", value="1"), timeoutSeconds=2_592_001),
        step("a", template=job(image="", pod={"restartPolicy": "Always"})),
        metadata={"name": "A"},
        parameters=[{"name": "n"}],
        executionPolicy={"concurrencyGroup": ""},
    )


def test_all_problems_at_once_in_the_order_of_the_spec() -> None:
    assert [problem.path for problem in validate(many_mistakes())] == [
        "metadata.name",
        "spec.steps[0].dependencies[0]",
        "spec.steps[0].timeoutSeconds",
        "spec.steps[0].inputs.parameters[0].name",
        f"spec.steps[1].{POD.removeprefix('spec.steps[0].')}.restartPolicy",
        f"spec.steps[1].{MAIN.removeprefix('spec.steps[0].')}.image",
        "spec.parameters[0]",
        "spec.executionPolicy.concurrencyGroup",
    ]


def test_every_problem_has_a_path_that_can_be_followed_and_ends_without_a_dot() -> None:
    for row in ROWS:
        examination = examine(row.values[0])
        for problem in (*examination.problems[:20], *examination.warnings[:20]):
            assert segments(problem.path)
            assert problem.what
            assert problem.fix
            assert not problem.what.endswith(".")
            assert not problem.fix.endswith(".") or problem.fix.endswith("...")


def test_equal_templates_are_checked_once_and_the_others_counted() -> None:
    wrong = job(image="")
    found = validate(flow(*(step(f"s{number}", template=wrong) for number in range(1_000))))
    assert [problem.path for problem in found] == [f"{MAIN}.image"]
    assert "the same in 999 more templates" in found[0].what


def test_a_wrong_shared_template_is_told_where_it_stands() -> None:
    found = validate(flow(step("a", templateRef="t"), templates=[{"name": "t", "template": job(image="")}]))
    assert [problem.path for problem in found] == ["spec.templates[0].template.spec.template.spec.containers[0].image"]


def test_problems_are_bounded() -> None:
    assert len(validate(flow(*(step(f"s{number}", "x", type="Manual") for number in range(3_000))))) == PROBLEMS


def test_wrong_conditions_are_bounded_as_each_is_dear_to_explain() -> None:
    wrong = [step(f"s{number}", type="Manual", when="steps.t.phase == 'Failed'") for number in range(110)]
    found = validate(flow(*wrong))
    assert [problem.path for problem in found] == [f"spec.steps[{number}].when" for number in range(101)]
    assert "none is looked at" in found[100].what


def test_a_broken_graph_does_not_add_reports_of_what_is_not_upstream() -> None:
    found = validate(
        flow(
            step("a", "b"), step("b", "a"), step("c", "b", inputs=read_from("a:$.x"), template=echo("${parameters.x}"))
        )
    )
    assert [problem.rule for problem in found] == ["ZF207"]


def test_a_secret_default_is_not_repeated_in_the_message() -> None:
    source = {"secretKeyRef": KEY, "default": "hunter2"}
    found = validate(flow(step(inputs=takes("x", valueFrom=source), template=echo("{{.parameters.x}}"))))
    assert found
    assert "hunter2" not in str(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6) | st.just("{{.parameters.x}}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("metadata", "labels", "annotations", "spec", "template", "containers", "initContainers", "volumes", "name"),
    *("resources", "limits", "requests", "volumeMounts", "podFailurePolicy", "rules", "selector", "manualSelector"),
    *("completionMode", "restartPolicy", "onExitCodes", "values", "matchLabels", "backoffLimit", "image"),
)


@st.composite
def broken_templates(draw: st.DrawFn) -> dict[str, Any]:
    """A Job manifest in which some values are replaced by anything."""
    template = job(
        {"selector": {"matchLabels": {"a": "b"}}, "podFailurePolicy": {"rules": [deepcopy(FAIL_JOB)]}},
        {"volumes": [{"name": "d", "emptyDir": {}}], "initContainers": [{"name": "i", "image": "a"}]},
        volumeMounts=[{"name": "d", "mountPath": "/d"}],
        resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
    )
    for _ in range(draw(st.integers(1, 4))):
        node: Any = template
        for _ in range(draw(st.integers(0, 6))):
            below = [value for value in (node.values() if isinstance(node, dict) else node) if value and
                     isinstance(value, dict | list)]  # fmt: skip
            if not below:
                break
            node = draw(st.sampled_from(below))
        key = draw(st.sampled_from(FIELDS)) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
        node[key] = draw(json_values)
    return template


@given(broken_templates(), st.booleans())
def test_total_on_any_template(template: dict[str, Any], shared: bool) -> None:
    own = {"templateRef": "t"} if shared else {"template": template}
    templates = [{"name": "t", "template": template}]
    made = flow(
        step(**own, outputs=output_artifact(), retryPolicy=retry(), timeoutSeconds=60),
        templates=templates if shared else [],
        **rules_of(FAIL_JOB),
    )
    examination = examine(made)
    assert isinstance(examination, Examination)
    assert all(isinstance(problem, Problem) for problem in (*examination.problems, *examination.warnings))


@given(
    st.lists(st.tuples(st.text("ab-_.A", max_size=3), st.lists(st.text("ab-_.A", max_size=3), max_size=3)), max_size=5)
)
def test_total_on_any_names(named: list[tuple[str, list[str]]]) -> None:
    made = flow(*(step(name, *after, type="Manual") for name, after in named))
    assert all(problem.severity is Severity.ERROR for problem in validate(made))


DOCS = Path(__file__).parents[2] / "docs" / "validation-rules.md"


def test_the_page_of_rules_is_the_catalogue() -> None:
    """Rewrite it with `python tools/make_validation_rules.py`."""
    assert DOCS.read_text(encoding="utf-8") == as_markdown()


def test_the_catalogue_has_the_rules_of_reading_under_their_titles() -> None:
    assert {rule: info.title for rule, info in READING_RULES.items()} == {
        rule: title for rule, title in RULE_TITLES.items() if re.match("ZF[01]", rule)
    }


def test_ids_are_of_one_form_and_titles_are_used_once() -> None:
    everything = {**READING_RULES, **RULES}
    assert all(re.fullmatch(r"ZF\d{3}", rule) for rule in everything)
    titles = [info.title for info in everything.values()]
    assert len(set(titles)) == len(titles)
