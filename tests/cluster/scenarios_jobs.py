"""Jobs that a server refuses, one fault each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.cluster.scenarios import CONTAINER, LONG_LABEL, a, a_job


def with_pod(**spec: Any) -> Any:
    """A Job with these fields in its Pod."""
    return a_job(pod=spec)


def with_container(**fields: Any) -> Any:
    """A Job with these fields in its container."""
    return a_job(pod={"containers": [{**CONTAINER, **fields}]})


def with_rules(*rules: Any, **spec: Any) -> Any:
    """A Job with that podFailurePolicy."""
    return a_job(podFailurePolicy={"rules": list(rules)}, **spec)


def on_exit(action: str = "FailJob", **requirement: Any) -> dict[str, Any]:
    """A rule on exit codes."""
    return {"action": action, "onExitCodes": {"operator": "In", "values": [1], **requirement}}


INVALID_JOBS: Final[Mapping[str, Any]] = {
    "no spec": {"metadata": {"name": "a"}},
    "no template": a(spec={"managedBy": "testing.kube-zen.io/nobody"}),
    "no containers": with_pod(containers=[]),
    "no restart policy": with_pod(restartPolicy=None),
    "restart Always": with_pod(restartPolicy="Always"),
    "a restart policy that there is not": with_pod(restartPolicy="Sometimes"),
    "negative parallelism": a_job(parallelism=-1),
    "negative completions": a_job(completions=-1),
    "negative backoffLimit": a_job(backoffLimit=-1),
    "negative deadline": a_job(activeDeadlineSeconds=-1),
    "negative time to live": a_job(ttlSecondsAfterFinished=-1),
    "numbers that are text": a_job(parallelism="2"),
    "a number that is too large": a_job(backoffLimit=3_000_000_000),
    "a number with a fraction": a_job(backoffLimit=1.5),
    "a boolean that is text": a_job(suspend="yes"),
    "a mode that there is not": a_job(completionMode="Random"),
    "Indexed without completions": a_job(completionMode="Indexed"),
    "a limit per index without indexes": a_job(backoffLimitPerIndex=1),
    "failed indexes without a limit per index": a_job(completionMode="Indexed", completions=2, maxFailedIndexes=1),
    "more failed indexes than indexes": a_job(
        completionMode="Indexed", completions=2, backoffLimitPerIndex=1, maxFailedIndexes=3
    ),
    "a selector of one's own": a_job(selector={"matchLabels": {"x": "y"}}),
    "a manual selector that is missing": a_job(manualSelector=True),
    "a manual selector that selects another": a_job(manualSelector=True, selector={"matchLabels": {"x": "y"}}),
    "a label of the controller's": a_job(template={"metadata": {"labels": {"job-name": "other"}}}),
    "managed by nobody": a_job(managedBy=""),
    "managed by a name without a domain": a_job(managedBy="nobody"),
    "a replacement policy that there is not": a_job(podReplacementPolicy="Never"),
    "a replacement policy that no failure policy bears": with_rules(
        on_exit(), podReplacementPolicy="TerminatingOrFailed"
    ),
    "a failure policy and restarts in place": a_job(
        pod={"restartPolicy": "OnFailure"}, podFailurePolicy={"rules": [on_exit()]}
    ),
    "a failure policy with an action that there is not": with_rules(on_exit("Retry")),
    "a failure policy with an operator that there is not": with_rules(on_exit(operator="Over")),
    "a failure policy without exit codes": with_rules(on_exit(values=[])),
    "a failure policy for success": with_rules(on_exit(values=[0])),
    "a failure policy with unsorted exit codes": with_rules(on_exit(values=[3, 1])),
    "a failure policy with an exit code twice": with_rules(on_exit(values=[1, 1])),
    "a failure policy for a container that is not there": with_rules(on_exit(containerName="other")),
    "a failure policy without a requirement": with_rules({"action": "FailJob"}),
    "a failure policy with two requirements": with_rules(
        {**on_exit(), "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ),
    "a failure policy that fails an index without indexes": with_rules(on_exit("FailIndex")),
    "a failure policy for a condition without a type": with_rules({"action": "Ignore", "onPodConditions": [{}]}),
    "a failure policy of 21 rules": with_rules(*[on_exit()] * 21),
    "a success policy without indexes": a_job(successPolicy={"rules": [{"succeededCount": 1}]}),
    "a success policy without rules": a_job(completionMode="Indexed", completions=2, successPolicy={"rules": []}),
    "a success policy beyond the indexes": a_job(
        completionMode="Indexed", completions=2, successPolicy={"rules": [{"succeededIndexes": "5"}]}
    ),
    "a container without a name": with_pod(containers=[{"image": "none:1"}]),
    "a container without an image": with_pod(containers=[{"name": "main"}]),
    "a container's name in capitals": with_pod(containers=[{"name": "Main", "image": "none:1"}]),
    "two containers of one name": with_pod(containers=[CONTAINER, CONTAINER]),
    "an init container of a container's name": with_pod(initContainers=[CONTAINER]),
    "an image with blanks": with_container(image=" none:1"),
    "a pull policy that there is not": with_container(imagePullPolicy="Maybe"),
    "a variable without a name": with_container(env=[{"value": "x"}]),
    "a variable with an equals sign": with_container(env=[{"name": "a=b", "value": "x"}]),
    "a variable with a value and a source": with_container(
        env=[{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    ),
    "a variable with two sources": with_container(
        env=[
            {
                "name": "A",
                "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}, "fieldRef": {"fieldPath": "metadata.name"}},
            }
        ]
    ),
    "a variable from an empty source": with_container(env=[{"name": "A", "valueFrom": {}}]),
    "a variable from a key without a name": with_container(
        env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]
    ),
    "a variable from a field that there is not": with_container(
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.none"}}}]
    ),
    "a variable that is a number": with_container(env=[{"name": "A", "value": 1}]),
    "a mount of a volume that is not there": with_container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
    "a mount without a path": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v"}]}],
        }
    ),
    "two mounts at one path": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}] * 2}],
        }
    ),
    "a sub path that leaves its volume": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../x"}]}],
        }
    ),
    "two volumes of one name": with_pod(volumes=[{"name": "v", "emptyDir": {}}] * 2),
    "a volume of two sources": with_pod(volumes=[{"name": "v", "emptyDir": {}, "configMap": {"name": "c"}}]),
    "a volume without a source": with_pod(volumes=[{"name": "v"}]),
    "a volume's name with a dot": with_pod(volumes=[{"name": "v.w", "emptyDir": {}}]),
    "a quantity that is none": with_container(resources={"requests": {"cpu": "much"}}),
    "a request beyond its limit": with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
    "a negative quantity": with_container(resources={"requests": {"cpu": "-1"}}),
    "a resource that there is not": with_container(resources={"requests": {"disk": "1"}}),
    "a port of 0": with_container(ports=[{"containerPort": 0}]),
    "a port of 65536": with_container(ports=[{"containerPort": 65536}]),
    "a probe without a handler": with_container(readinessProbe={}),
    "a negative grace period": with_pod(terminationGracePeriodSeconds=-1),
    "a deadline of 0 for a Pod": with_pod(activeDeadlineSeconds=0),
    "a DNS policy that there is not": with_pod(dnsPolicy="None of them"),
    "a toleration without a key": with_pod(tolerations=[{"operator": "Equal", "value": "x"}]),
    "a toleration of an effect that there is not": with_pod(
        tolerations=[{"key": "x", "operator": "Exists", "effect": "No"}]
    ),
    "a host name that is none": with_pod(hostname="A_b"),
    "a node selector with a bad key": with_pod(nodeSelector={"a/b/c": "d"}),
    "a label in the template that is too long": a_job(template={"metadata": {"labels": {"x": LONG_LABEL}}}),
    "an annotation in the template with two slashes": a_job(template={"metadata": {"annotations": {"a/b/c": ""}}}),
    "a sidecar that restarts sometimes": with_pod(
        initContainers=[{"name": "i", "image": "x", "restartPolicy": "Sometimes"}]
    ),
    "a security context that contradicts itself": with_container(
        securityContext={"privileged": True, "allowPrivilegeEscalation": False}
    ),
    "a command that is no list": with_container(command="true"),
    "a user that is none": with_container(securityContext={"runAsUser": -1}),
    "a seccomp profile without its file": with_container(securityContext={"seccompProfile": {"type": "Localhost"}}),
    "a variable from a field that variables cannot take": with_container(
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]
    ),
    "many things at once": a_job(
        parallelism=-1, completionMode="Random", pod={"restartPolicy": "Always", "containers": []}
    ),
}
