from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError
from zenflow_testing.job_decoding import template_problems
from zenflow_testing.job_validation import validate_job
from zenflow_testing.kinds import Object

NS = "default"


def a_cluster() -> Cluster:
    return Cluster(VirtualClock())


def pod(**more: Any) -> dict[str, Any]:
    return {"restartPolicy": "Never", "containers": [container()], **more}


def container(name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.35", **more}


def job(name: str = "build", *, spec: Mapping[str, Any] | None = None, **template: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod(), **template}, **(spec or {})}}


def with_container(**more: Any) -> dict[str, Any]:
    return job(spec={"template": {"spec": pod(containers=[container(**more)])}})


def with_pod(**more: Any) -> dict[str, Any]:
    return job(spec={"template": {"spec": pod(**more)}})


def policy(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return job(spec={"podFailurePolicy": {"rules": list(rules)}, **more})


def on_codes(action: str = "FailJob", **codes: Any) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": "In", "values": [1], **codes}}


def indexed(**more: Any) -> dict[str, Any]:
    return job(spec={"completionMode": "Indexed", "completions": 3, **more})


def refused(act: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


def create(body: Mapping[str, Any]) -> Object:
    return a_cluster().create("Job", body, namespace=NS)


INVALID, REQUIRED, UNSUPPORTED = "FieldValueInvalid", "FieldValueRequired", "FieldValueNotSupported"
DUPLICATE, FORBIDDEN, NOT_FOUND = "FieldValueDuplicate", "FieldValueForbidden", "FieldValueNotFound"
TOO_MANY, TOO_LONG = "FieldValueTooMany", "FieldValueTooLong"
POD = "spec.template.spec"
RULE = "spec.podFailurePolicy.rules[0]"


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        # The Job itself
        pytest.param(job("x" * 64), "spec.template.labels", INVALID, id="a name too long for the job-name label"),
        pytest.param(job(spec={"backoffLimit": -1}), "spec.backoffLimit", INVALID, id="backoffLimit below 0"),
        pytest.param(job(spec={"parallelism": -1}), "spec.parallelism", INVALID, id="parallelism below 0"),
        pytest.param(job(spec={"completions": -1}), "spec.completions", INVALID, id="completions below 0"),
        pytest.param(
            job(spec={"activeDeadlineSeconds": -1}), "spec.activeDeadlineSeconds", INVALID, id="deadline below 0"
        ),
        pytest.param(
            job(spec={"ttlSecondsAfterFinished": -1}), "spec.ttlSecondsAfterFinished", INVALID, id="ttl below 0"
        ),
        pytest.param(job(spec={"completionMode": "Odd"}), "spec.completionMode", UNSUPPORTED, id="completion mode"),
        pytest.param(
            job(spec={"completionMode": "Indexed"} | {"parallelism": 2}),
            "spec.completions",
            REQUIRED,
            id="indexed without completions",
        ),
        pytest.param(indexed(parallelism=100_001), "spec.parallelism", INVALID, id="indexed and too parallel"),
        pytest.param(
            job("x" * 62, spec={"completionMode": "Indexed", "completions": 1}),
            "metadata.name",
            INVALID,
            id="an indexed name of 64 bytes with its index",
        ),
        pytest.param(
            job("a.b", spec={"completionMode": "Indexed", "completions": 1}),
            "metadata.name",
            INVALID,
            id="an indexed name with a dot",
        ),
        pytest.param(
            job(spec={"backoffLimitPerIndex": 1}), "spec.backoffLimitPerIndex", INVALID, id="per index, not indexed"
        ),
        pytest.param(
            indexed(maxFailedIndexes=1), "spec.backoffLimitPerIndex", REQUIRED, id="failed indexes without a limit"
        ),
        pytest.param(
            indexed(maxFailedIndexes=4, backoffLimitPerIndex=1),
            "spec.maxFailedIndexes",
            INVALID,
            id="more failed indexes than indexes",
        ),
        pytest.param(job(spec={"managedBy": "me"}), "spec.managedBy", INVALID, id="managedBy without a domain"),
        pytest.param(job(spec={"managedBy": "Me.io/x"}), "spec.managedBy", INVALID, id="managedBy with a bad domain"),
        pytest.param(
            job(spec={"managedBy": "a.io/" + "x" * 59}), "spec.managedBy", TOO_LONG, id="managedBy of 64 bytes"
        ),
        pytest.param(
            job(spec={"selector": {"matchLabels": {"a": "b"}}}), "spec.selector", INVALID, id="a selector of one's own"
        ),
        pytest.param(job(spec={"manualSelector": True}), "spec.selector", REQUIRED, id="manual without a selector"),
        pytest.param(
            job(spec={"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}),
            "spec.template.metadata.labels",
            INVALID,
            id="a manual selector that misses the template",
        ),
        pytest.param(
            job(metadata={"labels": {"controller-uid": "x"}}),
            "spec.template.metadata.labels[controller-uid]",
            INVALID,
            id="a foreign controller uid",
        ),
        pytest.param(
            job(metadata={"labels": {"batch.kubernetes.io/job-name": "x"}}),
            "spec.template.metadata.labels[batch.kubernetes.io/job-name]",
            INVALID,
            id="a foreign job name",
        ),
        pytest.param(
            job(metadata={"labels": {"a": "x" * 64}}), "spec.template.labels", INVALID, id="a template label too long"
        ),
        pytest.param(
            job(metadata={"annotations": {"a b": ""}}), "spec.template.annotations", INVALID, id="a template annotation"
        ),
        pytest.param(
            job(spec={"podReplacementPolicy": "Never"}), "spec.podReplacementPolicy", UNSUPPORTED, id="replacement"
        ),
        pytest.param(
            policy(on_codes(), podReplacementPolicy="TerminatingOrFailed"),
            "spec.podReplacementPolicy",
            UNSUPPORTED,
            id="replacement of Pods that end, with a failure policy",
        ),
        pytest.param(
            job(spec={"successPolicy": {"rules": []}}), "spec.successPolicy", INVALID, id="success, not indexed"
        ),
        pytest.param(
            indexed(successPolicy={"rules": []}), "spec.successPolicy.rules", REQUIRED, id="success, no rules"
        ),
        pytest.param(
            indexed(successPolicy={"rules": [{"succeededIndexes": "0-3"}]}),
            "spec.successPolicy.rules[0].succeededIndexes",
            INVALID,
            id="success of an index that is not there",
        ),
        pytest.param(
            indexed(successPolicy={"rules": [{"succeededIndexes": "1,0"}]}),
            "spec.successPolicy.rules[0].succeededIndexes",
            INVALID,
            id="success indexes out of order",
        ),
        pytest.param(
            indexed(successPolicy={"rules": [{"succeededCount": 3, "succeededIndexes": "0-1"}]}),
            "spec.successPolicy.rules[0].succeededCount",
            INVALID,
            id="success of more indexes than named",
        ),
        # Pod failure policy
        pytest.param(
            policy(on_codes(), template={"spec": pod(restartPolicy="OnFailure")}),
            f"{POD}.restartPolicy",
            INVALID,
            id="a failure policy with OnFailure",
        ),
        pytest.param(policy(*[on_codes()] * 21), "spec.podFailurePolicy.rules", TOO_MANY, id="21 rules"),
        pytest.param(policy({"action": "Count"}), RULE, INVALID, id="a rule without a condition"),
        pytest.param(
            policy({**on_codes(), "onPodConditions": [{"type": "DisruptionTarget"}]}),
            RULE,
            INVALID,
            id="a rule with both",
        ),
        pytest.param(policy(on_codes("Explode")), f"{RULE}.action", UNSUPPORTED, id="an unknown action"),
        pytest.param(
            policy({"onExitCodes": {"operator": "In", "values": [1]}}), f"{RULE}.action", REQUIRED, id="no action"
        ),
        pytest.param(policy(on_codes("FailIndex")), f"{RULE}.action", INVALID, id="FailIndex without a limit"),
        pytest.param(policy(on_codes(operator="Is")), f"{RULE}.onExitCodes.operator", UNSUPPORTED, id="an operator"),
        pytest.param(policy(on_codes(values=[])), f"{RULE}.onExitCodes.values", INVALID, id="no exit codes"),
        pytest.param(
            policy(on_codes(values=list(range(1, 257)))), f"{RULE}.onExitCodes.values", TOO_MANY, id="256 exit codes"
        ),
        pytest.param(policy(on_codes(values=[0, 1])), f"{RULE}.onExitCodes.values[0]", INVALID, id="0 under In"),
        pytest.param(policy(on_codes(values=[1, 1])), f"{RULE}.onExitCodes.values[1]", DUPLICATE, id="a code twice"),
        pytest.param(policy(on_codes(values=[2, 1])), f"{RULE}.onExitCodes.values", INVALID, id="codes out of order"),
        pytest.param(
            policy(on_codes(containerName="side")), f"{RULE}.onExitCodes.containerName", INVALID, id="no such container"
        ),
        pytest.param(
            policy({"action": "Ignore", "onPodConditions": [{"type": "Disruption Target"}]}),
            f"{RULE}.onPodConditions[0].type",
            INVALID,
            id="a condition type with a space",
        ),
        pytest.param(
            policy({"action": "Ignore", "onPodConditions": [{"type": "X", "status": "Yes"}]}),
            f"{RULE}.onPodConditions[0].status",
            UNSUPPORTED,
            id="a condition status",
        ),
        # The Pod
        pytest.param(with_pod(restartPolicy="Always"), f"{POD}.restartPolicy", REQUIRED, id="restart Always"),
        pytest.param(with_pod(restartPolicy=None), f"{POD}.restartPolicy", REQUIRED, id="no restart policy"),
        pytest.param(with_pod(restartPolicy="Often"), f"{POD}.restartPolicy", UNSUPPORTED, id="restart Often"),
        pytest.param(with_pod(containers=[]), f"{POD}.containers", REQUIRED, id="no containers"),
        pytest.param({"metadata": {"name": "build"}}, f"{POD}.containers", REQUIRED, id="no spec at all"),
        pytest.param(with_container(name=""), f"{POD}.containers[0].name", REQUIRED, id="a container without a name"),
        pytest.param(
            with_container(name="a.b"), f"{POD}.containers[0].name", INVALID, id="a container name with a dot"
        ),
        pytest.param(with_container(name="x" * 64), f"{POD}.containers[0].name", INVALID, id="a container name of 64"),
        pytest.param(with_container(image=""), f"{POD}.containers[0].image", REQUIRED, id="a container without image"),
        pytest.param(
            with_pod(containers=[container(), container()]), f"{POD}.containers[1].name", DUPLICATE, id="a name twice"
        ),
        pytest.param(
            with_pod(initContainers=[container()]),
            f"{POD}.initContainers[0].name",
            DUPLICATE,
            id="a name twice, one init",
        ),
        pytest.param(
            with_pod(initContainers=[container("i", livenessProbe={"exec": {"command": ["x"]}})]),
            f"{POD}.initContainers[0].livenessProbe",
            FORBIDDEN,
            id="a probe on an init container",
        ),
        pytest.param(
            with_container(imagePullPolicy="Sometimes"), f"{POD}.containers[0].imagePullPolicy", UNSUPPORTED, id="pull"
        ),
        pytest.param(
            with_container(terminationMessagePolicy="Log"),
            f"{POD}.containers[0].terminationMessagePolicy",
            UNSUPPORTED,
            id="message policy",
        ),
        pytest.param(with_container(env=[{"value": "x"}]), f"{POD}.containers[0].env[0].name", REQUIRED, id="env name"),
        pytest.param(
            with_container(env=[{"name": "A=B"}]), f"{POD}.containers[0].env[0].name", INVALID, id="env with ="
        ),
        pytest.param(
            with_container(env=[{"name": "Ä"}]), f"{POD}.containers[0].env[0].name", INVALID, id="env not ASCII"
        ),
        pytest.param(
            with_container(env=[{"name": "A", "valueFrom": {}}]),
            f"{POD}.containers[0].env[0].valueFrom",
            INVALID,
            id="env from nothing",
        ),
        pytest.param(
            with_container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
            f"{POD}.containers[0].env[0].valueFrom.secretKeyRef.key",
            REQUIRED,
            id="env from a secret without key",
        ),
        pytest.param(
            with_container(
                env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
            ),
            f"{POD}.containers[0].env[0].valueFrom",
            INVALID,
            id="env with value and source",
        ),
        pytest.param(
            with_container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.image"}}}]),
            f"{POD}.containers[0].env[0].valueFrom.fieldRef.fieldPath",
            INVALID,
            id="env from an unknown field",
        ),
        pytest.param(with_container(envFrom=[{}]), f"{POD}.containers[0].envFrom", INVALID, id="envFrom nothing"),
        pytest.param(with_container(ports=[{}]), f"{POD}.containers[0].ports[0].containerPort", REQUIRED, id="no port"),
        pytest.param(
            with_container(ports=[{"containerPort": 65536}]),
            f"{POD}.containers[0].ports[0].containerPort",
            INVALID,
            id="port 65536",
        ),
        pytest.param(
            with_container(ports=[{"containerPort": 80, "name": "x" * 16}]),
            f"{POD}.containers[0].ports[0].name",
            INVALID,
            id="a port name of 16 bytes",
        ),
        pytest.param(
            with_container(volumeMounts=[{"name": "data", "mountPath": "/d"}]),
            f"{POD}.containers[0].volumeMounts[0].name",
            NOT_FOUND,
            id="a mount of no volume",
        ),
        pytest.param(
            with_pod(volumes=[{"name": "d", "emptyDir": {}}, {"name": "d", "emptyDir": {}}]),
            f"{POD}.volumes[1].name",
            DUPLICATE,
            id="a volume twice",
        ),
        pytest.param(
            with_pod(volumes=[{"name": "d", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
            f"{POD}.volumes[0].hostPath",
            FORBIDDEN,
            id="a volume of two kinds",
        ),
        pytest.param(
            with_container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1001m"}}),
            f"{POD}.containers[0].resources.requests",
            INVALID,
            id="a request above its limit",
        ),
        pytest.param(
            with_container(resources={"limits": {"memory": "-1"}}),
            f"{POD}.containers[0].resources.limits[memory]",
            INVALID,
            id="a negative limit",
        ),
        pytest.param(
            with_container(resources={"limits": {"gpu": 1}}),
            f"{POD}.containers[0].resources.limits[gpu]",
            INVALID,
            id="an unknown resource",
        ),
        pytest.param(
            with_container(resources={"requests": {"example.com/gpu": 1}}),
            f"{POD}.containers[0].resources.limits",
            REQUIRED,
            id="an extended resource without a limit",
        ),
        pytest.param(
            with_pod(activeDeadlineSeconds=0), f"{POD}.activeDeadlineSeconds", INVALID, id="a Pod deadline of 0"
        ),
        pytest.param(with_pod(nodeSelector={"a": "-"}), f"{POD}.nodeSelector", INVALID, id="a node selector"),
        pytest.param(
            with_pod(tolerations=[{"operator": "Equal"}]), f"{POD}.tolerations[0].operator", INVALID, id="a toleration"
        ),
        pytest.param(
            with_container(livenessProbe={}), f"{POD}.containers[0].livenessProbe", REQUIRED, id="a probe of nothing"
        ),
    ],
)
def test_a_job_is_invalid(body: dict[str, Any], field: str, reason: str) -> None:
    error = refused(lambda: create(body))
    assert (error.code, error.reason) == (422, "Invalid")
    assert (field, reason) in [(cause.field, cause.reason) for cause in error.causes]
    assert error.message.startswith('Job.batch "')


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(job("x" * 63), id="a name of 63 bytes"),
        pytest.param(job("a.b"), id="a name with a dot, not indexed"),
        pytest.param(job("x" * 61, spec={"completionMode": "Indexed", "completions": 1}), id="63 bytes with its index"),
        pytest.param(job(spec={"activeDeadlineSeconds": 0}), id="a deadline of 0"),
        pytest.param(job(spec={"ttlSecondsAfterFinished": 0}), id="a ttl of 0"),
        pytest.param(job(spec={"completions": 0, "parallelism": 0}), id="nothing to do"),
        pytest.param(job(spec={"managedBy": "kueue.x-k8s.io/multikueue"}), id="managed by another"),
        pytest.param(job(metadata={"labels": {"job-name": "build"}}), id="the job name that it has"),
        pytest.param(job(spec={"selector": {}}), id="an empty selector"),
        pytest.param(
            job(
                spec={"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}},
                metadata={"labels": {"a": "b", "controller-uid": "anything"}},
            ),
            id="a manual selector",
        ),
        pytest.param(policy(*[on_codes()] * 20), id="20 rules"),
        pytest.param(policy(on_codes(values=list(range(1, 256)))), id="255 exit codes"),
        pytest.param(policy(on_codes(operator="NotIn", values=[0])), id="0 under NotIn"),
        pytest.param(policy(on_codes(containerName="main")), id="a rule for a container"),
        pytest.param(
            policy(
                on_codes(containerName="i"),
                template={"spec": pod(initContainers=[container("i", restartPolicy="Always")])},
            ),
            id="a rule for a sidecar",
        ),
        pytest.param(
            policy({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}), id="a condition, no status"
        ),
        pytest.param(
            indexed(podFailurePolicy={"rules": [on_codes("FailIndex")]}, backoffLimitPerIndex=0), id="FailIndex"
        ),
        pytest.param(
            indexed(successPolicy={"rules": [{"succeededIndexes": "0,2", "succeededCount": 2}]}), id="success"
        ),
        pytest.param(
            with_container(
                resources={"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": 1e9}}
            ),
            id="quantities of all kinds",
        ),
        pytest.param(
            with_container(
                env=[
                    {"name": "my.var-1", "value": "$(A)"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a.io/b']"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
                ]
            ),
            id="env from everywhere",
        ),
        pytest.param(
            with_pod(
                containers=[container(volumeMounts=[{"name": "d", "mountPath": "/d", "subPath": "x/y"}])],
                volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}],
            ),
            id="a mounted claim",
        ),
        pytest.param(with_container(ports=[{"containerPort": 65535, "name": "http"}]), id="the last port"),
        pytest.param(
            with_pod(
                initContainers=[container("i", restartPolicy="Always", readinessProbe={"tcpSocket": {"port": "x"}})]
            ),
            id="a sidecar with a probe",
        ),
    ],
)
def test_a_job_is_accepted(body: dict[str, Any]) -> None:
    create(body)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param(job(spec={"backoffLimit": "3"}), "spec.backoffLimit", id="text where a number stands"),
        pytest.param(job(spec={"suspend": "true"}), "spec.suspend", id="text where a boolean stands"),
        pytest.param(job(spec={"parallelism": 1.5}), "spec.parallelism", id="a fraction where an integer stands"),
        pytest.param(with_container(image=5), "spec.template.spec.containers.0.image", id="a number where text stands"),
        pytest.param(with_container(env=[{"name": "A", "value": 1}]), "env.0.value", id="env with a number"),
        pytest.param(with_container(env=[{"name": "A", "value": True}]), "env.0.value", id="env with a boolean"),
        pytest.param(with_container(command="sh"), "containers.0.command", id="text where a list stands"),
        pytest.param(with_container(command=["sleep", 5]), "containers.0.command.1", id="a number among arguments"),
        pytest.param(job(metadata={"labels": {"a": 1}}), "spec.template.metadata.labels.a", id="a template label"),
        pytest.param(job(spec={"template": []}), "spec.template", id="a list where an object stands"),
        pytest.param({"metadata": {"name": "x"}, "spec": 5}, "spec", id="no spec but a number"),
        pytest.param(
            with_container(resources={"limits": {"cpu": "lots"}}), "resources.limits[cpu]", id="a quantity that is none"
        ),
    ],
)
def test_a_job_of_wrong_types_is_a_bad_request(body: dict[str, Any], place: str) -> None:
    error = refused(lambda: create(body))
    assert (error.code, error.reason) == (400, "BadRequest")
    assert error.message.startswith('Job in version "v1" cannot be handled as a Job:')
    assert place in error.message


def test_unknown_fields_and_nulls_are_dropped_as_the_server_drops_them() -> None:
    body = with_container(imagePullPolicey="Always", workingDir=None)
    body["spec"]["tempate"] = {"x": 1}
    before = copy.deepcopy(body)
    made = create(body)
    assert made["spec"]["template"]["spec"]["containers"] == [container()]
    assert "tempate" not in made["spec"]
    assert body == before


def test_a_fitting_pod_spec_is_stored_as_it_is() -> None:
    body = job()
    assert create(body)["spec"]["template"]["spec"] is body["spec"]["template"]["spec"]


def test_the_strict_reading_reports_every_problem_with_its_path() -> None:
    template = {
        "spec": {
            "backoffLimit": "3",
            "tempate": {},
            "template": {
                "spec": {"containers": [{"name": "c", "imagePullPolicey": "x", "ports": [{"containerPort": "h"}]}]}
            },
        }
    }
    problems = template_problems(template)
    assert {problem.path for problem in problems} == {
        ("spec",),
        ("spec", "backoffLimit"),
        ("spec", "template", "spec", "containers", 0),
        ("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"),
    }
    assert 'spec.backoffLimit: "3" is not of type "integer"' in map(str, problems)
    assert template_problems({"spec": job()["spec"]}) == ()


def test_defaults_are_those_of_the_server() -> None:
    made = create(job())
    uid = made["metadata"]["uid"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "build",
        "controller-uid": uid,
        "job-name": "build",
    }
    assert made["spec"] == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "template": {"metadata": {"labels": labels}, "spec": pod()},
    }
    assert made["status"] == {}
    assert made["metadata"]["labels"] == labels


@pytest.mark.parametrize(
    ("spec", "then"),
    [
        pytest.param({"parallelism": 3}, {"parallelism": 3, "completions": None}, id="a work queue has no completions"),
        pytest.param({"completions": 3}, {"parallelism": 1, "completions": 3}, id="one after the other"),
        pytest.param(
            {"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 0},
            {"backoffLimit": 2_147_483_647},
            id="a limit for each index lifts the common one",
        ),
        pytest.param(
            {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]}},
            {
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "X", "status": "True"}]}]
                },
            },
            id="a failure policy waits for failed Pods",
        ),
        pytest.param(
            {"suspend": True, "backoffLimit": 0}, {"suspend": True, "backoffLimit": 0}, id="what is said stays"
        ),
    ],
)
def test_defaults_depend_on_what_is_given(spec: dict[str, Any], then: dict[str, Any]) -> None:
    made = create(job(spec=spec))["spec"]
    assert {name: made.get(name) for name in then} == then


def test_a_job_without_labels_takes_those_of_its_template() -> None:
    made = create(job(metadata={"labels": {"a": "b"}}))
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["metadata"]["labels"]["a"] == "b"
    labelled = job(metadata={"labels": {"a": "b"}})
    labelled["metadata"]["labels"] = {"c": "d"}
    assert create(labelled)["metadata"]["labels"] == {"c": "d"}


@pytest.mark.parametrize(
    ("given_spec", "patch", "field"),
    [
        pytest.param({}, {"completions": 2}, "spec.completions", id="completions"),
        pytest.param({}, {"template": {"spec": {"nodeSelector": {"a": "b"}}}}, "spec.template", id="the template"),
        pytest.param({}, {"selector": {"matchLabels": {"a": "b"}}}, "spec.selector", id="the selector"),
        pytest.param({}, {"podFailurePolicy": {"rules": [on_codes()]}}, "spec.podFailurePolicy", id="failure policy"),
        pytest.param({}, {"managedBy": "a.io/b"}, "spec.managedBy", id="managedBy"),
        pytest.param({"completions": 1}, {"completionMode": "Indexed"}, "spec.completionMode", id="the mode"),
        pytest.param(
            {"completionMode": "Indexed", "completions": 2}, {"completions": 3}, "spec.completions", id="not in tandem"
        ),
        pytest.param(
            {"suspend": True}, {"template": {"spec": {"hostname": "x"}}}, "spec.template", id="suspended, no directive"
        ),
    ],
)
def test_a_field_is_immutable(given_spec: dict[str, Any], patch: dict[str, Any], field: str) -> None:
    cluster = a_cluster()
    cluster.create("Job", job(spec=given_spec), namespace=NS)
    error = refused(lambda: cluster.patch_merge("Job", NS, "build", {"spec": patch}))
    assert (error.code, error.reason) == (422, "Invalid")
    assert field in [cause.field for cause in error.causes]


@pytest.mark.parametrize(
    ("given_spec", "patch"),
    [
        pytest.param({}, {"ttlSecondsAfterFinished": 2_147_483_647}, id="a ttl that never fires"),
        pytest.param({}, {"suspend": True}, id="suspend"),
        pytest.param({}, {"backoffLimit": 0, "parallelism": 0, "activeDeadlineSeconds": 1}, id="limits"),
        pytest.param(
            {"completionMode": "Indexed", "completions": 2}, {"completions": 3, "parallelism": 3}, id="in tandem"
        ),
        pytest.param(
            {"suspend": True},
            {
                "suspend": False,
                "template": {
                    "metadata": {"annotations": {"kueue.io/x": "y"}},
                    "spec": {
                        "nodeSelector": {"a": "b"},
                        "tolerations": [{"operator": "Exists"}],
                        "affinity": {"nodeAffinity": {}},
                        "schedulingGates": [{"name": "g"}],
                    },
                },
            },
            id="a queue starts a suspended Job somewhere",
        ),
    ],
)
def test_a_field_may_change(given_spec: dict[str, Any], patch: dict[str, Any]) -> None:
    cluster = a_cluster()
    cluster.create("Job", job(spec=given_spec), namespace=NS)
    changed = cluster.patch_merge("Job", NS, "build", {"spec": patch})
    assert changed["metadata"]["generation"] == 2


def test_scheduling_directives_are_fixed_once_a_job_has_started() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(spec={"suspend": True}), namespace=NS)
    started = {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    cluster.patch_merge("Job", NS, "build", started, subresource="status")
    move = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}}
    assert refused(lambda: cluster.patch_merge("Job", NS, "build", move)).code == 422


def test_validation_works_without_a_cluster_and_without_defaults() -> None:
    assert validate_job(job()) == []
    assert [cause.field for cause in validate_job({"metadata": {"name": "x"}})] == [
        f"{POD}.containers",
        f"{POD}.restartPolicy",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "Never", "1Gi"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
places = st.sampled_from(
    [
        ("spec",),
        ("spec", "template"),
        ("spec", "template", "metadata"),
        ("spec", "template", "spec"),
        ("spec", "podFailurePolicy"),
        ("spec", "successPolicy"),
        ("spec", "selector"),
        ("spec", "completions"),
        ("spec", "template", "spec", "containers"),
        ("spec", "template", "spec", "volumes"),
        ("spec", "template", "spec", "tolerations"),
        ("metadata",),
        ("metadata", "labels"),
        ("metadata", "ownerReferences"),
    ]
)


@given(places, json_values)
def test_whatever_stands_anywhere_is_accepted_or_refused_but_never_a_crash(place: tuple[str, ...], value: Any) -> None:
    body: dict[str, Any] = job()
    here = body
    for name in place[:-1]:
        here = here[name]
    here[place[-1]] = value
    try:
        create(body)
    except ApiError as error:
        assert error.code in (400, 422)  # noqa: PT017 both outcomes are fine, so `raises` cannot say it
