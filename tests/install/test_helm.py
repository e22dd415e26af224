"""The chart held to `zenflow manifests`: the same choices give the same objects. What cannot be meant is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.install.objects import DEPLOY, Key, Object, printed, ran, read
from tools.make_deploy import KEEP
from zenflow_core.version import VERSION

CHART = DEPLOY / "helm" / "zenflow"
KUBERNETES = "--kube-version=1.30.0"
BUNDLE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def template(helm: Path, values: dict[str, Any], namespace: str = "zenflow-system") -> dict[Key, Object]:
    """What the chart makes of these values."""
    command: list[str | Path] = [helm, "template", "zenflow", CHART, "-n", namespace, KUBERNETES, "-f", "-"]
    return read(ran(*command, given=json.dumps(values)))


def without_keep(objects: dict[Key, Object]) -> dict[Key, Object]:
    """Without the one thing that is helm's alone: the API stays when the release goes."""
    for (kind, _, _), each in objects.items():
        if kind == "CustomResourceDefinition":
            annotations = each["metadata"].pop("annotations")
            assert {name: annotations.pop(name) for name in KEEP} == KEEP
            if annotations:
                each["metadata"]["annotations"] = annotations
    return objects


def without_namespace(objects: dict[Key, Object]) -> dict[Key, Object]:
    """A release cannot make the namespace that it is in."""
    return {key: each for key, each in objects.items() if key[0] != "Namespace"}


CHOICES = [
    pytest.param({}, (), "zenflow-system", id="all as it is"),
    pytest.param({"image": {"repository": "r/z", "tag": "2"}}, ("--image=r/z:2",), "zenflow-system", id="an image"),
    pytest.param(
        {"image": {"repository": "r/z", "digest": "sha256:" + "a" * 64}},
        ("--image=r/z@sha256:" + "a" * 64,),
        "zenflow-system",
        id="an image by digest",
    ),
    pytest.param({"replicas": 3}, ("--replicas=3",), "zenflow-system", id="three replicas"),
    pytest.param({}, ("--namespace=ops",), "ops", id="elsewhere"),
    pytest.param({"namespaced": True}, ("--namespaced=ci",), "ci", id="one namespace"),
    pytest.param(
        {"eagerCompletion": False}, ("--no-eager-completion",), "zenflow-system", id="without eager completion"
    ),
    pytest.param(
        {"crd": {"install": False}, "approvalPolicy": False, "userRoles": False},
        ("--no-crd", "--no-policies", "--no-user-roles"),
        "zenflow-system",
        id="the operator alone",
    ),
    pytest.param({"authorPolicy": True}, ("--author-policy",), "zenflow-system", id="the policy on authors"),
    pytest.param({"artifacts": {"enabled": False}}, ("--no-artifacts",), "zenflow-system", id="no artifacts"),
    pytest.param(
        {"artifacts": {"image": "r/a:1", "claimSize": "9Gi", "storageClass": "fast", "accessMode": "ReadWriteMany"}},
        (
            *("--artifact-image=r/a:1", "--artifact-claim-size=9Gi", "--artifact-storage-class=fast"),
            "--artifact-access-mode=ReadWriteMany",
        ),
        "zenflow-system",
        id="artifacts in one's own way",
    ),
    pytest.param(
        {"artifacts": {"namespaceStores": False}},
        ("--no-namespace-artifact-stores",),
        "zenflow-system",
        id="namespaces have no say in where artifacts go",
    ),
    pytest.param({"webhook": {"enabled": True}}, ("--webhook",), "zenflow-system", id="a webhook"),
    pytest.param(
        {"webhook": {"enabled": True, "failurePolicy": "Fail"}, "namespaced": True, "eagerCompletion": False},
        ("--webhook", "--webhook-failure-policy=Fail", "--namespaced=ci", "--no-eager-completion"),
        "ci",
        id="a strict webhook of one namespace",
    ),
    pytest.param({"networkPolicy": {"enabled": True}}, ("--network-policy",), "zenflow-system", id="a network policy"),
    pytest.param(
        {
            "networkPolicy": {
                "enabled": True,
                "apiServers": [{"cidr": "10.0.0.1/32", "port": 6443}, {"cidr": "2001:db8::/64", "port": 443}],
            },
            "webhook": {"enabled": True},
        },
        ("--network-policy", "--api-server=10.0.0.1/32:6443", "--api-server=2001:db8::/64:443", "--webhook"),
        "zenflow-system",
        id="a network policy with the servers' addresses",
    ),
    pytest.param(
        {"priorityClassName": "system-cluster-critical"},
        ("--priority-class=system-cluster-critical",),
        "zenflow-system",
        id="a priority",
    ),
]


@pytest.mark.parametrize(("values", "options", "namespace"), CHOICES)
def test_the_chart_makes_what_zenflow_manifests_prints(
    helm: Path, values: dict[str, Any], options: tuple[str, ...], namespace: str
) -> None:
    assert without_keep(template(helm, values, namespace)) == without_namespace(printed(*options))


STORE: Object = {
    "s3": {
        "bucket": "builds",
        "key": "flows/$(HOME)/<&>/",
        "endpoint": "https://minio:9000",
        "accessKeyIDSecretRef": {"name": "s3", "key": "id"},
        "secretAccessKeySecretRef": {"name": "s3", "key": "key"},
    },
    "artifactGC": "OnFlowDeletion",
}


def test_the_chart_with_a_store_for_artifacts(helm: Path, tmp_path: Path) -> None:
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(STORE), encoding="utf-8")
    made = template(helm, {"artifacts": {"store": STORE}})
    assert without_keep(made) == without_namespace(printed(f"--artifact-store={tmp_path / 'store.yaml'}"))


def test_the_chart_with_a_ca_of_ones_own(helm: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(BUNDLE, encoding="utf-8")
    made = template(helm, {"webhook": {"enabled": True, "caBundle": BUNDLE}})
    options = ("--webhook", f"--webhook-ca-bundle={tmp_path / 'ca.pem'}")
    assert without_keep(made) == without_namespace(printed(*options))


def test_lint_has_nothing_to_say(helm: Path) -> None:
    said = ran(helm, "lint", "--strict", CHART)
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@pytest.mark.parametrize(
    ("values", "where"),
    [
        pytest.param({"replica": 2}, "replica", id="a word that is nearly one"),
        pytest.param({"replicas": 0}, "/replicas", id="no replica"),
        pytest.param({"replicas": "2"}, "/replicas", id="a number in quotes"),
        pytest.param({"image": {"repository": "a b"}}, "/image/repository", id="an image with a blank"),
        pytest.param({"webhook": {"failurePolicy": "Maybe"}}, "/webhook/failurePolicy", id="an unknown choice"),
        pytest.param({"artifacts": {"store": {"bucket": "b"}}}, "/artifacts/store", id="a store that is none"),
        pytest.param({"artifacts": {"claimSize": "0"}}, "/artifacts/claimSize", id="a claim of nothing"),
        pytest.param({"extraArgs": ["debug"]}, "/extraArgs/0", id="an argument that is no flag"),
        pytest.param(
            {"networkPolicy": {"apiServers": [{"cidr": "10.0.0.1", "port": 1}]}},
            "/networkPolicy/apiServers/0/cidr",
            id="an address that is no block",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_its_place(helm: Path, values: dict[str, Any], where: str) -> None:
    command: list[str | Path] = [helm, "template", "zenflow", CHART, KUBERNETES, "-f", "-"]
    answer = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert where in answer.stderr


def test_what_is_only_the_charts(helm: Path) -> None:
    values = {
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
        "extraArgs": ["--log-level=debug"],
        "resources": {"requests": {"cpu": "1"}},
        "monitoring": {"serviceMonitor": True, "rules": True, "dashboard": True},
    }
    made = template(helm, values)
    deployment = made["Deployment", "zenflow-system", "zenflow-controller"]["spec"]["template"]
    pod, (container,) = deployment["spec"], deployment["spec"]["containers"]
    assert deployment["metadata"]["annotations"] == values["podAnnotations"]
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity"):
        assert pod[name] == values[name]
    assert container["args"][-1] == "--log-level=debug"
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    monitor = made["ServiceMonitor", "zenflow-system", "zenflow-controller"]["spec"]
    service = made["Service", "zenflow-system", "zenflow-controller-metrics"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in service["spec"]["ports"]]
    rule = made["PrometheusRule", "zenflow-system", "zenflow-controller"]
    alerts = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))
    assert rule["spec"] == alerts, "helm has changed nothing about {{ $labels }}"
    shown = made["ConfigMap", "zenflow-system", "zenflow-dashboard"]["data"]["zenflow.json"]
    assert json.loads(shown) == json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))


def test_every_value_has_a_schema_and_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def names(value: Any, schema: dict[str, Any]) -> None:
        assert value.keys() == schema["properties"].keys() - {"global"}, "a value without a schema, or the reverse"
        for name, each in value.items():
            if "properties" in schema["properties"][name]:
                names(each, schema["properties"][name])

    names(values, schema)


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
