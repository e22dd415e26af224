"""Writes what is in `deploy/` and comes from elsewhere: `python -m tools.make_deploy`. A test holds it up to date.

The Kustomize base and components, and the files of the Helm chart, come from `zenflow_runtime.installing`; the Argo CD
ConfigMap from `deploy/argocd/health.lua`; the dashboard from `tools.make_deploy_dashboard`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tools.make_deploy_dashboard import dashboard_text
from zenflow_runtime.access import ACCESS
from zenflow_runtime.installing import (
    EAGER,
    NAME,
    Installation,
    Manifest,
    Network,
    as_yaml,
    granted,
    manifests,
    rules,
    stored,
)

DEPLOY: Final = Path(__file__).parents[1] / "deploy"
HEALTH: Final = "argocd/health.lua"
ALERTS: Final = "monitoring/rules.yaml"
CHART: Final = "helm/zenflow/files"

KEEP: Final = {"helm.sh/resource-policy": "keep"}
"""`helm uninstall` leaves the API: all flows and their Jobs would go with it."""

MADE: Final = "# Made by `python -m tools.make_deploy`.\n"
_KUSTOMIZE: Final = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_COMPONENT: Final = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}


def files() -> dict[str, str]:
    """Each file that is made, by its path in `deploy/`."""
    return dict(_files())


def _files() -> Iterator[tuple[str, str]]:
    yield "kustomize/base/zenflow.yaml", MADE + as_yaml(manifests(Installation()))
    yield "kustomize/base/kustomization.yaml", _one(_KUSTOMIZE | {"resources": ["zenflow.yaml"]})
    yield from _high_availability()
    yield from _network_policy()
    yield f"{CHART}/jobflow.crd.yaml", MADE + as_yaml(map(_kept, stored("jobflow.crd.yaml")))
    for name in ("approval-policy.yaml", "author-policy.yaml"):
        yield f"{CHART}/{name}", MADE + as_yaml(stored(name))
    everything = Installation()
    lean = Installation(without=frozenset({EAGER}))
    for name, installation in (("rules", everything), ("rules-without-eager-completion", lean)):
        chosen = [access for access in granted(installation) if access.resource != "leases"]
        yield f"{CHART}/{name}.yaml", _one(rules(chosen))
    yield f"{CHART}/election-rules.yaml", _one(rules([access for access in ACCESS if access.resource == "leases"]))
    alerts = (DEPLOY / ALERTS).read_text(encoding="utf-8")
    yield f"{CHART}/rules.prometheus.yaml", alerts
    yield f"{CHART}/dashboard.json", dashboard_text()
    yield "monitoring/dashboard.json", dashboard_text()
    yield "monitoring/prometheusrule.yaml", _one(_rule(yaml.safe_load(alerts)))
    yield "argocd/argocd-cm.yaml", _one(_argocd())


def _kept(crd: Manifest) -> Manifest:
    metadata = crd["metadata"]
    return {**crd, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **KEEP}}}


def _high_availability() -> Iterator[tuple[str, str]]:
    """What two replicas have and one has not."""
    made = {each["kind"]: each for each in manifests(Installation(replicas=2))}
    budget, deployment = made["PodDisruptionBudget"], made["Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    env = pod["containers"][0]["env"]
    (place,) = (index for index, each in enumerate(env) if each["name"] == "REPLICA_COUNT")
    spread, inner = "topologySpreadConstraints", "/spec/template/spec"
    # A merge would change the order of the variables.
    patch = [
        {"op": "replace", "path": "/spec/replicas", "value": deployment["spec"]["replicas"]},
        {"op": "replace", "path": f"{inner}/containers/0/env/{place}", "value": env[place]},
        {"op": "add", "path": f"{inner}/{spread}", "value": pod[spread]},
    ]
    folder = "kustomize/components/ha"
    where = {"path": "deployment.yaml", "target": {"kind": deployment["kind"], "name": NAME}}
    component = _COMPONENT | {"resources": ["budget.yaml"], "patches": [where]}
    yield f"{folder}/kustomization.yaml", _one(component)
    yield f"{folder}/budget.yaml", _one(budget)
    yield f"{folder}/deployment.yaml", _one(patch)


def _network_policy() -> Iterator[tuple[str, str]]:
    folder = "kustomize/components/network-policy"
    (policy,) = (each for each in manifests(Installation(network=Network())) if each["kind"] == "NetworkPolicy")
    yield f"{folder}/kustomization.yaml", _one(_COMPONENT | {"resources": ["policy.yaml"]})
    yield f"{folder}/policy.yaml", _one(policy)


def _rule(spec: Any) -> Manifest:
    """The alerts for the Prometheus operator."""
    metadata = {"name": NAME, "labels": {"app.kubernetes.io/name": "zenflow"}}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata, "spec": spec}


def _argocd() -> Manifest:
    """What to merge into Argo CD's own ConfigMap."""
    lua = (DEPLOY / HEALTH).read_text(encoding="utf-8")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {"resource.customizations.health.workflow.kube-zen.io_JobFlow": lua},
    }


class _Readable(yaml.SafeDumper):
    """Long texts as blocks, and nothing shared."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Readable.add_representer(str, _text)


def _one(value: Any) -> str:
    return MADE + yaml.dump(value, Dumper=_Readable, sort_keys=False, width=120)


if __name__ == "__main__":
    for path, text in files().items():
        file = DEPLOY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
