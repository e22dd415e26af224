"""What the API server refuses in the Pod spec of a Job's template (Kubernetes 1.35), before any Pod exists.

Covered: containers, init containers and sidecars, names, images, ports, env, mounts, resources, probes'
numbers, volumes' names and kinds, restart and pull policies, tolerations, node selector, host names. Not
covered: the insides of volume sources, affinity, security contexts, Windows.
Fields that the server fills with defaults may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zenflow_testing.container_spec import (
    MAX_INT32,
    PROBES,
    RESTART_POLICIES,
    check_container,
    check_probes,
    check_unique,
)
from zenflow_testing.errors import (
    Causes,
    duplicate,
    not_allowed,
    required,
    unsupported,
    wrong,
)
from zenflow_testing.object_meta import dns1123_label, dns1123_subdomain, label_causes, label_value, qualified_name

_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def pod_spec_causes(spec: Mapping[str, Any], field: str) -> Causes:
    """What is wrong with a Pod spec that stands at `field`."""
    causes: Causes = []
    volumes = _volumes(spec.get("volumes") or (), f"{field}.volumes", causes=causes)
    containers = spec.get("containers") or ()
    inits = spec.get("initContainers") or ()
    if not containers:
        causes.append(required(f"{field}.containers"))
    names: set[str] = set()
    for index, container in enumerate(containers):
        at = f"{field}.containers[{index}]"
        check_container(container, at, volumes=volumes, causes=causes)
        check_unique(container.get("name"), names, field=f"{at}.name", causes=causes)
        check_probes(container, at, causes=causes)
    for index, container in enumerate(inits):
        at = f"{field}.initContainers[{index}]"
        check_container(container, at, volumes=volumes, causes=causes)
        check_unique(container.get("name"), names, field=f"{at}.name", causes=causes)
        if container.get("restartPolicy") == "Always":
            check_probes(container, at, causes=causes)
        else:
            causes.extend(
                not_allowed(f"{at}.{member}", "may not be set for init containers without restartPolicy=Always")
                for member in ("lifecycle", *PROBES)
                if container.get(member) is not None
            )
    if spec.get("ephemeralContainers"):
        causes.append(not_allowed(f"{field}.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    _scalars(spec, field, causes=causes)
    causes.extend(label_causes(spec.get("nodeSelector") or {}, f"{field}.nodeSelector"))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        _toleration(toleration, f"{field}.tolerations[{index}]", causes=causes)
    return causes


def _scalars(spec: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    restart = spec.get("restartPolicy")
    if restart and restart not in RESTART_POLICIES:
        causes.append(unsupported(f"{field}.restartPolicy", restart, ("Always", "OnFailure", "Never")))
    dns = spec.get("dnsPolicy")
    if dns and dns not in _DNS_POLICIES:
        causes.append(unsupported(f"{field}.dnsPolicy", dns, _DNS_POLICIES))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        causes.append(
            wrong(f"{field}.activeDeadlineSeconds", deadline, f"must be between 1 and {MAX_INT32}, inclusive")
        )
    for member in ("hostname", "subdomain"):
        if value := spec.get(member):
            causes.extend(wrong(f"{field}.{member}", value, problem) for problem in dns1123_label(value))
    for member in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        if value := spec.get(member):
            causes.extend(wrong(f"{field}.{member}", value, problem) for problem in dns1123_subdomain(value))
    preemption = spec.get("preemptionPolicy")
    if preemption and preemption not in ("PreemptLowerPriority", "Never"):
        causes.append(unsupported(f"{field}.preemptionPolicy", preemption, ("PreemptLowerPriority", "Never")))


def _volumes(volumes: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> set[str]:
    """The names of the sound volumes; only those can be mounted."""
    sound: set[str] = set()
    for index, volume in enumerate(volumes):
        at = f"{field}[{index}]"
        found: Causes = []
        sources = [member for member, value in volume.items() if member != "name" and value is not None]
        # A volume without a source is an emptyDir.
        found.extend(not_allowed(f"{at}.{extra}", "may not specify more than 1 volume type") for extra in sources[1:])
        name = volume.get("name")
        if not name:
            found.append(required(f"{at}.name"))
        else:
            found.extend(wrong(f"{at}.name", name, problem) for problem in dns1123_label(name))
            if name in sound:
                found.append(duplicate(f"{at}.name", name))
        for source, member in (("persistentVolumeClaim", "claimName"), ("hostPath", "path"), ("secret", "secretName")):
            if source in sources and not volume[source].get(member):
                found.append(required(f"{at}.{source}.{member}"))
        if "configMap" in sources and not volume["configMap"].get("name"):
            found.append(required(f"{at}.configMap.name"))
        if found:
            causes.extend(found)
        elif name:
            sound.add(name)
    return sound


def _toleration(toleration: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    key, operator, value = (toleration.get(member) or "" for member in ("key", "operator", "value"))
    effect = toleration.get("effect") or ""
    if key:
        causes.extend(wrong(f"{field}.key", key, problem) for problem in qualified_name(key))
    elif operator != "Exists":
        causes.append(
            wrong(
                f"{field}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        )
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        causes.append(wrong(f"{field}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("", "Equal"):
        causes.extend(wrong(f"{field}.operator", value, problem) for problem in label_value(value))
    elif operator == "Exists":
        if value:
            causes.append(wrong(f"{field}.operator", value, "value must be empty when `operator` is 'Exists'"))
    else:
        causes.append(unsupported(f"{field}.operator", operator, ("Equal", "Exists")))
    if effect and effect not in _TAINT_EFFECTS:
        causes.append(unsupported(f"{field}.effect", effect, _TAINT_EFFECTS))
