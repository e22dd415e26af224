"""What the API server refuses in the Pod spec of a Job's template (Kubernetes 1.35), before any Pod exists.

Covered: containers, init containers and sidecars, names, images, ports, env, mounts, resources, probes'
numbers, volumes' names and kinds, restart and pull policies, tolerations, node selector, host names. Not
covered: the insides of volume sources, affinity, security contexts, Windows.
Fields that the server fills with defaults may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from zenflow_core.quantities import parse_quantity
from zenflow_testing.errors import (
    StatusCause,
    duplicate,
    not_allowed,
    required,
    unknown_name,
    unsupported,
    wrong,
)
from zenflow_testing.object_meta import dns1123_label, dns1123_subdomain, label_causes, label_value, qualified_name

Causes: TypeAlias = list[StatusCause]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_POD_FIELDS = frozenset(
    {
        *_ENV_FIELDS,
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.hostNetwork",
        "status.phase",
        "status.nominatedNodeName",
    }
)
"""What a fieldPath may name at all; an environment variable can take only some of it."""
_PROC_MOUNTS = ("Default", "Unmasked")
_SECCOMP = ("Localhost", "RuntimeDefault", "Unconfined")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_MAX_INT32 = 2**31 - 1

_printable = re.compile(r"[ -<>-~]+").fullmatch
_subscripted = re.compile(r"(metadata\.(?:labels|annotations))\['([^']*)'\]").fullmatch
_config_key = re.compile(r"[-._a-zA-Z0-9]+").fullmatch


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
        _container(container, at, volumes=volumes, causes=causes)
        _unique(container.get("name"), names, field=f"{at}.name", causes=causes)
        _watched(container, at, causes=causes)
    for index, container in enumerate(inits):
        at = f"{field}.initContainers[{index}]"
        _container(container, at, volumes=volumes, causes=causes)
        _unique(container.get("name"), names, field=f"{at}.name", causes=causes)
        if container.get("restartPolicy") == "Always":
            _watched(container, at, causes=causes)
        else:
            causes.extend(
                not_allowed(f"{at}.{member}", "may not be set for init containers without restartPolicy=Always")
                for member in ("lifecycle", *_PROBES)
                if container.get(member) is not None
            )
    if spec.get("ephemeralContainers"):
        causes.append(not_allowed(f"{field}.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    _scalars(spec, field, causes=causes)
    causes.extend(label_causes(spec.get("nodeSelector") or {}, f"{field}.nodeSelector"))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        _toleration(toleration, f"{field}.tolerations[{index}]", causes=causes)
    return causes


def _unique(name: str | None, names: set[str], *, field: str, causes: Causes) -> None:
    if name and name in names:
        causes.append(duplicate(field, name))
    elif name:
        names.add(name)


def _scalars(spec: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    restart = spec.get("restartPolicy")
    if restart and restart not in _RESTART_POLICIES:
        causes.append(unsupported(f"{field}.restartPolicy", restart, ("Always", "OnFailure", "Never")))
    dns = spec.get("dnsPolicy")
    if dns and dns not in _DNS_POLICIES:
        causes.append(unsupported(f"{field}.dnsPolicy", dns, _DNS_POLICIES))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        causes.append(
            wrong(f"{field}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_INT32}, inclusive")
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


def _container(container: Mapping[str, Any], field: str, *, volumes: set[str], causes: Causes) -> None:
    name = container.get("name")
    if not name:
        causes.append(required(f"{field}.name"))
    else:
        causes.extend(wrong(f"{field}.name", name, problem) for problem in dns1123_label(name))
    if not container.get("image"):
        causes.append(required(f"{field}.image"))
    messages = container.get("terminationMessagePolicy")
    if messages and messages not in _MESSAGE_POLICIES:
        causes.append(unsupported(f"{field}.terminationMessagePolicy", messages, _MESSAGE_POLICIES))
    _ports(container.get("ports") or (), f"{field}.ports", causes=causes)
    _env(container.get("env") or (), f"{field}.env", causes=causes)
    _env_from(container.get("envFrom") or (), f"{field}.envFrom", causes=causes)
    _mounts(container.get("volumeMounts") or (), f"{field}.volumeMounts", volumes=volumes, causes=causes)
    pull = container.get("imagePullPolicy")
    if pull and pull not in _PULL_POLICIES:
        causes.append(unsupported(f"{field}.imagePullPolicy", pull, _PULL_POLICIES))
    if resources := container.get("resources"):
        _resources(resources, f"{field}.resources", causes=causes)
    if security := container.get("securityContext"):
        _security(security, f"{field}.securityContext", causes=causes)
    restart = container.get("restartPolicy")
    if restart and restart not in _RESTART_POLICIES:
        causes.append(unsupported(f"{field}.restartPolicy", restart, _RESTART_POLICIES))


def _port_name(name: str) -> list[str]:
    problems = []
    if len(name) > 15:
        problems.append("must be no more than 15 bytes")
    if not re.fullmatch("[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def _ports(ports: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{field}[{index}]"
        if name := port.get("name"):
            problems = _port_name(name)
            causes.extend(wrong(f"{at}.name", name, problem) for problem in problems)
            if not problems:
                _unique(name, names, field=f"{at}.name", causes=causes)
        if not port.get("containerPort"):
            causes.append(required(f"{at}.containerPort"))
        for member in ("containerPort", "hostPort"):
            number = port.get(member)
            if number and not 1 <= number <= 65535:
                causes.append(wrong(f"{at}.{member}", number, "must be between 1 and 65535, inclusive"))
        protocol = port.get("protocol")
        if protocol and protocol not in _PROTOCOLS:
            causes.append(unsupported(f"{at}.protocol", protocol, _PROTOCOLS))


_ENV_NAME = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def _env(variables: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            causes.append(required(f"{field}[{index}].name"))
        elif not _printable(name):
            causes.append(wrong(f"{field}[{index}].name", name, _ENV_NAME))
        source = variable.get("valueFrom")
        if source is not None:
            _env_source(variable, source, field=f"{field}[{index}].valueFrom", causes=causes)


def _env_source(variable: Mapping[str, Any], source: Mapping[str, Any], *, field: str, causes: Causes) -> None:
    given = [member for member, value in source.items() if value is not None]
    if (chosen := source.get("fieldRef")) is not None:
        _field_reference(chosen, f"{field}.fieldRef", causes=causes)
    for member in ("configMapKeyRef", "secretKeyRef"):
        if (chosen := source.get(member)) is not None:
            if not chosen.get("name"):
                causes.append(required(f"{field}.{member}.name"))
            key = chosen.get("key")
            if not key:
                causes.append(required(f"{field}.{member}.key"))
            elif not _config_key(key):
                causes.append(
                    wrong(
                        f"{field}.{member}.key",
                        key,
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
                        "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                    )
                )
    if (chosen := source.get("resourceFieldRef")) is not None:
        resource = chosen.get("resource")
        if not resource:
            causes.append(required(f"{field}.resourceFieldRef.resource"))
    if not given:
        causes.append(
            wrong(
                field,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or"
                " `fileKeyRef`",
            )
        )
    elif variable.get("value"):
        causes.append(wrong(field, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        causes.append(wrong(field, "", "may not have more than one field specified at a time"))


def _field_reference(reference: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    path = reference.get("fieldPath")
    if not path:
        causes.append(required(f"{field}.fieldPath"))
        return
    subscripted = _subscripted(path)
    if subscripted is not None:
        key = subscripted[2].lower() if subscripted[1].endswith("annotations") else subscripted[2]
        causes.extend(wrong(field, key, problem) for problem in qualified_name(key))
    elif path not in _POD_FIELDS:
        detail = f"error converting fieldPath: field label not supported: {path}"
        causes.append(wrong(f"{field}.fieldPath", path, detail))
    elif path not in _ENV_FIELDS:
        causes.append(unsupported(f"{field}.fieldPath", path, _ENV_FIELDS))


def _env_from(sources: Sequence[Mapping[str, Any]], field: str, *, causes: Causes) -> None:
    for index, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix and not _printable(prefix):
            causes.append(wrong(f"{field}[{index}].prefix", prefix, _ENV_NAME))
        given = [member for member in ("configMapRef", "secretRef") if source.get(member) is not None]
        causes.extend(required(f"{field}[{index}].{member}.name") for member in given if not source[member].get("name"))
        if not given:
            causes.append(wrong(field, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            causes.append(wrong(field, "", "may not have more than one field specified at a time"))


def _mounts(mounts: Sequence[Mapping[str, Any]], field: str, *, volumes: set[str], causes: Causes) -> None:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{field}[{index}]"
        name, path = mount.get("name"), mount.get("mountPath")
        if not name:
            causes.append(required(f"{at}.name"))
        if name not in volumes:
            causes.append(unknown_name(f"{at}.name", name or ""))
        if not path:
            causes.append(required(f"{at}.mountPath"))
        if path in paths:
            causes.append(wrong(f"{at}.mountPath", path, "must be unique"))
        elif path:
            paths.add(path)
        for member in ("subPath", "subPathExpr"):
            inner = mount.get(member) or ""
            if inner.startswith("/"):
                causes.append(wrong(f"{field}.{member}", inner, "must be a relative path"))
            if ".." in inner.split("/"):
                causes.append(wrong(f"{field}.{member}", inner, "must not contain '..'"))
        if mount.get("subPath") and mount.get("subPathExpr"):
            causes.append(
                wrong(f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
            )


def _resources(resources: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            at = f"{field}.{member}[{name}]"
            causes.extend(wrong(at, name, problem) for problem in qualified_name(name))
            if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
                causes.append(wrong(at, name, "must be a standard resource type or fully qualified"))
                causes.append(wrong(at, name, "must be a standard resource for containers"))
            value = parse_quantity(amount)
            if value is not None and value < 0:
                causes.append(wrong(at, str(amount), "must be greater than or equal to 0"))
    for name, amount in requests.items():
        wanted = parse_quantity(amount)
        limit = parse_quantity(limits[name]) if name in limits else None
        overcommits = "/" not in name and not name.startswith("hugepages-")
        if limit is None:
            if not overcommits:
                causes.append(required(f"{field}.limits", "Limit must be set for non overcommitable resources"))
        elif wanted is not None and not overcommits and wanted != limit:
            detail = f"must be equal to {name} limit of {limits[name]}"
            causes.append(wrong(f"{field}.requests", str(amount), detail))
        elif wanted is not None and wanted > limit:
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.append(wrong(f"{field}.requests", str(amount), detail))


def _security(context: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    for member in ("runAsUser", "runAsGroup"):
        number = context.get(member)
        if number is not None and not 0 <= number <= _MAX_INT32:
            causes.append(wrong(f"{field}.{member}", number, f"must be between 0 and {_MAX_INT32}, inclusive"))
    mount = context.get("procMount")
    if mount and mount not in _PROC_MOUNTS:
        causes.append(unsupported(f"{field}.procMount", mount, _PROC_MOUNTS))
    if (seccomp := context.get("seccompProfile")) is not None:
        _seccomp(seccomp, f"{field}.seccompProfile", causes=causes)
    if context.get("allowPrivilegeEscalation") is False:
        cannot = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            causes.append(wrong(field, context, f"{cannot} `privileged` to true"))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            causes.append(wrong(field, context, f"{cannot} `capabilities.Add` CAP_SYS_ADMIN"))


def _seccomp(profile: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    kind = profile.get("type") or ""
    if kind not in _SECCOMP:
        causes.append(unsupported(f"{field}.type", kind, _SECCOMP))
    elif kind == "Localhost" and not profile.get("localhostProfile"):
        detail = "must be set when seccomp type is Localhost"
        causes.append(required(f"{field}.localhostProfile", detail))


def _watched(container: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    """Probes and hooks, of a container that may have them."""
    for member in _PROBES:
        probe = container.get(member)
        if probe is None:
            continue
        at = f"{field}.{member}"
        _handler(probe, at, causes=causes)
        for number in _PROBE_NUMBERS:
            if (probe.get(number) or 0) < 0:
                causes.append(wrong(f"{at}.{number}", probe[number], "must be greater than or equal to 0"))
        if member != "readinessProbe" and (probe.get("successThreshold") or 1) != 1:
            causes.append(wrong(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))
    for hook in ("postStart", "preStop"):
        action = (container.get("lifecycle") or {}).get(hook)
        if action is not None:
            _handler(action, f"{field}.lifecycle.{hook}", causes=causes)


def _handler(handler: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    given = [member for member in _HANDLERS if handler.get(member) is not None]
    if not given:
        causes.append(required(field, "must specify a handler type"))
    causes.extend(not_allowed(f"{field}.{extra}", "may not specify more than 1 handler type") for extra in given[1:])
    for member in ("httpGet", "tcpSocket", "grpc"):
        if member in given:
            port = handler[member].get("port")
            if isinstance(port, str):
                causes.extend(wrong(f"{field}.{member}.port", port, problem) for problem in _port_name(port))
            elif port is None or not 1 <= port <= 65535:
                causes.append(wrong(f"{field}.{member}.port", port or 0, "must be between 1 and 65535, inclusive"))
    if "exec" in given and not handler["exec"].get("command"):
        causes.append(required(f"{field}.exec.command"))


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
