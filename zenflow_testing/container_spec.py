"""What the API server refuses in a container: names, image, ports, mounts, resources, security, probes and hooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zenflow_core.quantities import parse_quantity
from zenflow_testing.container_env import check_env, check_env_from
from zenflow_testing.errors import (
    Causes,
    duplicate,
    not_allowed,
    required,
    unknown_name,
    unsupported,
    wrong,
)
from zenflow_testing.object_meta import dns1123_label, qualified_name

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROC_MOUNTS = ("Default", "Unmasked")
_SECCOMP = ("Localhost", "RuntimeDefault", "Unconfined")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
MAX_INT32 = 2**31 - 1


def check_unique(name: str | None, names: set[str], *, field: str, causes: Causes) -> None:
    """Refuse a name that is among `names` already, else add it to them."""
    if name and name in names:
        causes.append(duplicate(field, name))
    elif name:
        names.add(name)


def check_container(container: Mapping[str, Any], field: str, *, volumes: set[str], causes: Causes) -> None:
    """Refuse what is wrong with a container of any sort; only `volumes` can be mounted."""
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
    check_env(container.get("env") or (), f"{field}.env", causes=causes)
    check_env_from(container.get("envFrom") or (), f"{field}.envFrom", causes=causes)
    _mounts(container.get("volumeMounts") or (), f"{field}.volumeMounts", volumes=volumes, causes=causes)
    pull = container.get("imagePullPolicy")
    if pull and pull not in _PULL_POLICIES:
        causes.append(unsupported(f"{field}.imagePullPolicy", pull, _PULL_POLICIES))
    if resources := container.get("resources"):
        _resources(resources, f"{field}.resources", causes=causes)
    if security := container.get("securityContext"):
        _security(security, f"{field}.securityContext", causes=causes)
    restart = container.get("restartPolicy")
    if restart and restart not in RESTART_POLICIES:
        causes.append(unsupported(f"{field}.restartPolicy", restart, RESTART_POLICIES))


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
                check_unique(name, names, field=f"{at}.name", causes=causes)
        if not port.get("containerPort"):
            causes.append(required(f"{at}.containerPort"))
        for member in ("containerPort", "hostPort"):
            number = port.get(member)
            if number and not 1 <= number <= 65535:
                causes.append(wrong(f"{at}.{member}", number, "must be between 1 and 65535, inclusive"))
        protocol = port.get("protocol")
        if protocol and protocol not in _PROTOCOLS:
            causes.append(unsupported(f"{at}.protocol", protocol, _PROTOCOLS))


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
        if number is not None and not 0 <= number <= MAX_INT32:
            causes.append(wrong(f"{field}.{member}", number, f"must be between 0 and {MAX_INT32}, inclusive"))
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


def check_probes(container: Mapping[str, Any], field: str, *, causes: Causes) -> None:
    """Probes and hooks, of a container that may have them."""
    for member in PROBES:
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
