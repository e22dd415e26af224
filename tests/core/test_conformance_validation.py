"""What the JobFlow API has always accepted and refused, one row a fact.

Facts that were mistakes are left out on purpose: a limit of zero is legal in
Kubernetes, a template without kind is a Job, a rule without onExitCodes is a
rule. Shape (types, enums, bounds of numbers) is judged by `codec`, meaning by
`validation`; which of the two refuses does not matter here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from zenflow_core.codec import read_flow
from zenflow_core.problems import Problem
from zenflow_core.validation import validate


def job(spec: Mapping[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "busybox:1.36", **container}
    pod = {"restartPolicy": "Never", "containers": [main]}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}, **(spec or {})}}


def step(name: str = "step1", *after: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "dependencies": list(after), "template": job(), **fields}


def policy(**fields: Any) -> dict[str, Any]:
    return {"steps": [step()], "executionPolicy": fields}


def pod_failure(*rules: Mapping[str, Any]) -> dict[str, Any]:
    return policy(podFailurePolicy={"rules": list(rules)})


def exit_codes(action: str, operator: str, *values: int) -> dict[str, Any]:
    return pod_failure({"action": action, "onExitCodes": {"operator": operator, "values": list(values)}})


def one(**fields: Any) -> dict[str, Any]:
    """A flow of one step with these fields."""
    return {"steps": [step(**fields)]}


def resources(**groups: Mapping[str, str]) -> dict[str, Any]:
    return one(template=job(resources=groups))


def retry(**fields: Any) -> dict[str, Any]:
    return one(retryPolicy=fields)


def backoff(duration: str) -> dict[str, Any]:
    return retry(limit=1, backoff={"type": "Fixed", "duration": duration})


def parameter(**fields: Any) -> dict[str, Any]:
    """Two steps, the second with this input, which its template uses."""
    name = fields.get("name", "")
    reader = step("step2", "step1", inputs={"parameters": [fields]}, template=job(args=[f"{{{{.parameters.{name}}}}}"]))
    return {"steps": [step("step1"), reader]}


def value_from(**fields: Any) -> dict[str, Any]:
    return parameter(name="param1", valueFrom=fields)


def output(name: str, path: str | None) -> dict[str, Any]:
    source = {} if path is None else {"jsonPath": path}
    return one(outputs={"parameters": [{"name": name, "valueFrom": source}]})


def artifact(path: str) -> dict[str, Any]:
    return one(outputs={"artifacts": [{"name": "data", "path": path}]})


def claim(**fields: Any) -> dict[str, Any]:
    return {"steps": [step()], "resourceTemplates": {"volumeClaimTemplates": [fields]}}


def config_map(**fields: Any) -> dict[str, Any]:
    return {"steps": [step()], "resourceTemplates": {"configMapTemplates": [fields]}}


NAMED = {"name": "data"}
CLAIM_SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
REF = {"name": "config", "key": "k"}

OK = [
    ("a forward reference", {"steps": [step("a", "b"), step("b")]}),
    ("step name step-1", one(name="step-1")),
    ("concurrencyPolicy Forbid", policy(concurrencyPolicy="Forbid")),
    ("ttl 0", policy(ttlSecondsAfterFinished=0)),
    ("backoffLimit 0", policy(backoffLimit=0)),
    ("activeDeadlineSeconds 3600", policy(activeDeadlineSeconds=3600)),
    ("Manual without template", {"steps": [{"name": "gate", "type": "Manual"}]}),
    ("a Job's backoffLimit 3 and deadline 300", one(template=job({"backoffLimit": 3, "activeDeadlineSeconds": 300}))),
    (
        "requests below limits",
        resources(requests={"cpu": "100m", "memory": "128Mi"}, limits={"cpu": "200m", "memory": "256Mi"}),
    ),
    ("a complete volume claim", claim(metadata=NAMED, spec=CLAIM_SPEC)),
    ("a ConfigMap with a name", config_map(metadata=NAMED)),
    ("timeoutSeconds 30", one(timeoutSeconds=30)),
    ("duration 30s", backoff("30s")),
    ("duration 5m", backoff("5m")),
    ("duration 2h", backoff("2h")),
    ("an empty duration", backoff("")),
    ("retry limit 3", retry(limit=3)),
    ("Exponential, 1s, factor 2", retry(limit=3, backoff={"type": "Exponential", "duration": "1s", "factor": 2.0})),
    ("an input with a value", parameter(name="param1", value="value1")),
    ("an input from a ConfigMap", value_from(configMapKeyRef=REF)),
    ("an input from a Secret", value_from(secretKeyRef=REF)),
    ("an input from a step's status", value_from(jsonPath="step1:$.status.succeeded")),
    ("an output from the status", output("param1", "$.status.succeeded")),
    ("artifact path /output/data.txt", artifact("/output/data.txt")),
    (
        "an input artifact without a path",
        one(inputs={"artifacts": [{"name": "a", "path": "", "http": {"url": "https://example.com/a"}}]}),
    ),
    (
        "from: step1/artifact1",
        {
            "steps": [
                step("step1", outputs={"artifacts": [{"name": "artifact1", "path": "/output/data.txt"}]}),
                step("step2", "step1", inputs={"artifacts": [{"name": "a", "path": "/in", "from": "step1/artifact1"}]}),
            ]
        },
    ),
    ("when always", one(when="always")),
    ("when never", one(when="never")),
    ("an empty when", one(when="")),
    ("FailJob In 1, 2, 3", exit_codes("FailJob", "In", 1, 2, 3)),
    ("Ignore NotIn 0", exit_codes("Ignore", "NotIn", 0)),
    ("Count In 137", exit_codes("Count", "In", 137)),
    ("exit codes 0 and 255", exit_codes("Count", "In", 0, 255)),
    # Corrected facts: what has been refused or has failed at run time by mistake.
    ("a rule without onExitCodes", pod_failure({"action": "Count"})),
    ("zero cpu and memory", resources(limits={"cpu": "0", "memory": "0"})),
    ("a template without kind", one(template={"spec": job()["spec"]})),
    ("a parameter in camelCase", parameter(name="imageTag", value="1")),
    ("two dots within a file name", artifact("/output/data..txt")),
    ("a colon within a path", value_from(jsonPath="step1:$.metadata.annotations['key:value']")),
    (
        "a condition on a parameter in braces",
        {
            "steps": [step(when="{{.parameters.value}} == 'test'")],
            "parameters": [{"name": "value", "value": "test"}],
        },
    ),
]

REFUSED = [
    ("no steps", {"steps": []}),
    ("duplicate step names", {"steps": [step("a"), step("a")]}),
    ("an empty step name", one(name="")),
    ("step name with a blank before it", one(name=" step1")),
    ("step name with a blank behind it", one(name="step1 ")),
    ("step name step_1", one(name="step_1")),
    ("an unknown dependency", {"steps": [step("a", "b")]}),
    ("an empty dependency", {"steps": [step("a", "")]}),
    ("a cycle of 1", {"steps": [step("a", "a")]}),
    ("a cycle of 2", {"steps": [step("a", "b"), step("b", "a")]}),
    ("a cycle of 3", {"steps": [step("a", "c"), step("b", "a"), step("c", "b")]}),
    ("concurrencyPolicy Invalid", policy(concurrencyPolicy="Invalid")),
    ("ttl -1", policy(ttlSecondsAfterFinished=-1)),
    ("backoffLimit -1", policy(backoffLimit=-1)),
    ("activeDeadlineSeconds -1", policy(activeDeadlineSeconds=-1)),
    ("activeDeadlineSeconds 0", policy(activeDeadlineSeconds=0)),
    ("Job without template", {"steps": [{"name": "a", "type": "Job"}]}),
    ("no containers", one(template={**job(), "spec": {"template": {"spec": {"containers": []}}}})),
    ("a container without a name", one(template=job(name=""))),
    ("a container without an image", one(template=job(image=""))),
    ("a Job's backoffLimit -1", one(template=job({"backoffLimit": -1}))),
    ("a Job's activeDeadlineSeconds 0", one(template=job({"activeDeadlineSeconds": 0}))),
    ("a Job's activeDeadlineSeconds -1", one(template=job({"activeDeadlineSeconds": -1}))),
    ("a limit below its request", resources(requests={"cpu": "200m"}, limits={"cpu": "100m"})),
    ("cpu -100m", resources(requests={"cpu": "-100m"})),
    ("memory -128Mi", resources(limits={"memory": "-128Mi"})),
    ("a volume claim without a name", claim(spec=CLAIM_SPEC)),
    ("a volume claim without access modes", claim(metadata=NAMED, spec={"resources": CLAIM_SPEC["resources"]})),
    ("a volume claim without storage", claim(metadata=NAMED, spec={"accessModes": ["ReadWriteOnce"]})),
    ("a ConfigMap without a name", config_map(data={})),
    ("timeoutSeconds of 31 days", one(timeoutSeconds=31 * 86_400)),
    ("timeoutSeconds 0", one(timeoutSeconds=0)),
    ("duration invalid", backoff("invalid")),
    ("duration 0s", backoff("0s")),
    ("duration -5s", backoff("-5s")),
    ("duration 31d", backoff("31d")),
    ("retry limit -1", retry(limit=-1)),
    ("factor 0.5", retry(limit=1, backoff={"type": "Exponential", "duration": "1s", "factor": 0.5})),
    ("an input without a name", parameter(name="", value="x")),
    ("an input called param_1", parameter(name="param_1", value="x")),
    ("an input without a source", parameter(name="param1")),
    ("an input with value and valueFrom", parameter(name="param1", value="x", valueFrom={"configMapKeyRef": REF})),
    ("an output without a name", output("", "$.status.succeeded")),
    ("an output without a jsonPath", output("param1", None)),
    ("an output with an invalid path", output("param1", "invalid-path")),
    ("an output name with blanks", output("param 1", "$.status.succeeded")),
    ("valueFrom without a source", value_from()),
    ("valueFrom with two sources", value_from(configMapKeyRef=REF, secretKeyRef=REF)),
    ("a reference without a name", value_from(configMapKeyRef={"name": "", "key": "k"})),
    ("a reference without a key", value_from(secretKeyRef={"name": "s", "key": ""})),
    ("an input with an invalid path", value_from(jsonPath="invalid-path")),
    ("an empty jsonPath", value_from(jsonPath="")),
    ("jsonPath status.succeeded", value_from(jsonPath="status.succeeded")),
    ("jsonPath step_1:$.status", value_from(jsonPath="step_1:$.status")),
    ("artifact path output/data.txt", artifact("output/data.txt")),
    ("artifact path /output/../data.txt", artifact("/output/../data.txt")),
    ("a when with half a brace", one(when="{{.parameters.value}")),
    ("a podFailurePolicy without rules", pod_failure()),
    ("an unknown action", exit_codes("Retry", "In", 1)),
    ("exit code -1", exit_codes("FailJob", "In", -1)),
    ("exit code 256", exit_codes("FailJob", "In", 256)),
    ("no exit codes", exit_codes("FailJob", "In")),
    ("operator Invalid", exit_codes("FailJob", "Invalid", 1)),
    # Corrected facts: what has been accepted and could never run.
    ("a Deployment as a template", one(template={**job(), "kind": "Deployment"})),
    (
        "a template without restartPolicy",
        one(template={"kind": "Job", "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
    ),
    ("from: step1 without an artifact", one(inputs={"artifacts": [{"name": "a", "path": "/in", "from": "step1"}]})),
    ("an input's path without a step", value_from(jsonPath="$.status.succeeded")),
]


def judged(spec: Mapping[str, Any]) -> tuple[Problem, ...]:
    read = read_flow(
        {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": "flow"},
            "spec": dict(spec),
        }
    )
    return read if isinstance(read, tuple) else validate(read)


@pytest.mark.parametrize("spec", [pytest.param(spec, id=fact) for fact, spec in OK])
def test_accepted(spec: Mapping[str, Any]) -> None:
    assert judged(spec) == ()


@pytest.mark.parametrize("spec", [pytest.param(spec, id=fact) for fact, spec in REFUSED])
def test_refused_for_one_reason(spec: Mapping[str, Any]) -> None:
    assert judged(spec)
    assert len({problem.path for problem in judged(spec)}) <= 2, "a row should show one mistake"
