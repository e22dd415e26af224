"""The containers of ours in a step's Pod: as the restricted Pod Security Standard asks for, with their orders.

What they have to do stands in the env var `ZENFLOW_ARTIFACTS` as JSON;
credentials are references to Secrets in env vars of their own, of which an
order has the names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, assert_never

from attrs import frozen

from zenflow_core.artifact_report import ORDERS_ENV
from zenflow_core.spec import HttpSource, KeySelector, S3Location

OURS: Final = "zenflow-"
"""What the names of our containers begin with; the program that each runs is the rest of its name."""

TOKEN_VOLUME: Final = "zenflow-no-token"
_TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
UNPRIVILEGED_USER: Final = 65532
_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
"""Stated, since a quota of the namespace may demand it. Files are streamed, so memory does not grow with them."""


@frozen
class ClaimFile:
    """A file or directory on the flow's own volume claim."""

    sub_path: str


Place: TypeAlias = S3Location | HttpSource | ClaimFile


@frozen
class OurContainers:
    """What our containers take over from the Pod that they join."""

    spec: Mapping[str, Any]
    main: Mapping[str, Any]

    @property
    def hides_token(self) -> bool:
        """Whether the API server would mount a service account token into our containers.

        It leaves out a container that mounts something at that path already
        (ServiceAccount admission), so an empty directory keeps it away.
        """
        return self.spec.get("automountServiceAccountToken") is not False

    def container(
        self,
        name: str,
        image: str,
        *,
        orders: Sequence[Mapping[str, Any]],
        env: Sequence[Mapping[str, Any]],
        mounts: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """A container of ours, as the restricted Pod Security Standard asks for."""
        # Kubernetes reads `$(` in an env value as a reference and `$$` as `$`; a URL is to arrive as it is.
        text = json.dumps(orders, ensure_ascii=False, separators=(",", ":"), sort_keys=True).replace("$", "$$")
        hidden = [{"name": TOKEN_VOLUME, "mountPath": _TOKEN_PATH, "readOnly": True}] if self.hides_token else []
        return {
            "name": name,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-m", "zenflow_runtime.artifacts"],
            "args": [name.removeprefix(OURS)],
            "env": [{"name": ORDERS_ENV, "value": text}, *env],
            "resources": _RESOURCES,
            "securityContext": self._security(),
            # A message is always left; without one the program could not even start, and its log says why.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [*mounts, *hidden],
        }

    def _security(self) -> dict[str, Any]:
        """Restricted, and the user of the main container, whose files we read; root excepted."""
        context: dict[str, Any] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        own = self.main.get("securityContext") or {}
        of_pod = self.spec.get("securityContext") or {}
        user = own.get("runAsUser", of_pod.get("runAsUser"))
        if user is not None:
            context["runAsUser"] = user or UNPRIVILEGED_USER
        if own.get("runAsGroup") is not None:
            context["runAsGroup"] = own["runAsGroup"]
        return context


def written_place(place: Place, *, number: int, env: list[dict[str, Any]]) -> dict[str, Any]:
    """The place as an order has it; credentials become env vars, of which it only has the names."""
    match place:
        case HttpSource():
            page: dict[str, Any] = {"url": place.url, "headers": dict(place.headers)}
            secret: list[dict[str, str]] = []
            for index, header in enumerate(place.headers_from):
                variable = f"ZENFLOW_HTTP_{number}_HEADER_{index}"
                secret.append({"name": header.name, "prefix": header.prefix, "env": variable})
                env.append({"name": variable, "valueFrom": {"secretKeyRef": _selector(header.secret_key_ref)}})
            page |= {"headersFrom": secret} if secret else {}
            _certificates(page, place.ca_config_map_ref, variable=f"ZENFLOW_HTTP_{number}_CA", env=env)
            return {"http": page}
        case S3Location():
            where: dict[str, Any] = {"bucket": place.bucket, "key": place.key}
            where |= {"endpoint": place.endpoint} if place.endpoint else {}
            where |= {"region": place.region} if place.region else {}
            where |= {"forcePathStyle": place.force_path_style} if place.force_path_style is not None else {}
            for key, variable, selector in (
                ("accessKeyIdEnv", "ACCESS_KEY_ID", place.access_key_id_secret_ref),
                ("secretAccessKeyEnv", "SECRET_ACCESS_KEY", place.secret_access_key_secret_ref),
                ("sessionTokenEnv", "SESSION_TOKEN", place.session_token_secret_ref),
            ):
                if selector is not None:
                    where[key] = f"ZENFLOW_S3_{number}_{variable}"
                    env.append({"name": where[key], "valueFrom": {"secretKeyRef": _selector(selector)}})
            _certificates(where, place.ca_config_map_ref, variable=f"ZENFLOW_S3_{number}_CA", env=env)
            return {"s3": where}
        case ClaimFile():
            raise AssertionError("what is on the claim is mounted, not fetched")
        case never:
            assert_never(never)


def _certificates(
    where: dict[str, Any], selector: KeySelector | None, *, variable: str, env: list[dict[str, Any]]
) -> None:
    if selector is not None:
        where["caEnv"] = variable
        env.append({"name": variable, "valueFrom": {"configMapKeyRef": _selector(selector)}})


def _selector(selector: KeySelector) -> dict[str, Any]:
    optional = {} if selector.optional is None else {"optional": selector.optional}
    return {"name": selector.name, "key": selector.key, **optional}
