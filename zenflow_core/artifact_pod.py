"""The Pod of a step with artifacts: two containers of ours around the step's own.

`zenflow-inputs`, an init container, fetches what has to be fetched before the
step's container starts. For outputs the step's container becomes the last
ordinary init container, and `zenflow-outputs` the only regular one: so it runs
exactly when the step's own has succeeded, and the Pod succeeds only when the
upload has. The bytes never pass through the operator. What our containers have
to do stands in their env var `ZENFLOW_ARTIFACTS` as JSON; credentials are
references to Secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field, frozen

from zenflow_core.artifact_container import (
    OURS,
    TOKEN_VOLUME,
    UNPRIVILEGED_USER,
    ClaimFile,
    OurContainers,
    Place,
    written_place,
)
from zenflow_core.names import ANNOTATION_DEFAULT_CONTAINER, INPUTS_CONTAINER, OUTPUTS_CONTAINER
from zenflow_core.pod_failure_policy import Obstacle
from zenflow_core.quantities import parse_quantity
from zenflow_core.reading import main_container
from zenflow_core.spec import Archive, InputArtifact, OutputArtifact, S3Location

INPUTS_DIRECTORY: Final = "/zenflow/inputs"
OUTPUTS_DIRECTORY: Final = "/zenflow/outputs"
CLAIM_DIRECTORY: Final = "/zenflow/claim"
DEFAULT_INPUT_DIRECTORY: Final = "/tmp/artifacts"
"""Where an input artifact without a `path` is found, below its name."""

_CLAIM_VOLUME: Final = "zenflow-artifacts"
_NOT_ON_INIT_CONTAINERS: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_SYSTEM_DIRECTORIES: Final = frozenset(
    {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var"}
)
_UID_CHARACTERS: Final = 36
_LONGEST_ATTEMPT: Final = 999_999
"""An attempt's number stands in the place of what it stores; no step comes to a million."""
_OWN_CHARACTERS: Final = 8
"""The name of a place that one run of `zenflow-outputs` makes for itself."""
_S3: Final = "s3://"
_CLAIM: Final = "claim:"


@frozen
class Run:
    """The attempt that a Pod is made for. What it stores is told from what any other stores."""

    flow_uid: str
    step: str
    attempt: int


def location_of(made: OutputArtifact, run: Run) -> str:
    """Where an output artifact is to be stored, as its order says it.

    One that ends in `/` is a directory of the attempt, in which each Pod makes
    a place of its own: on the claim always, in S3 if the key ends so. What has
    been stored is reported with its full location.
    """
    if made.s3 is None:
        return f"{_CLAIM}{run.step}/{run.attempt}/"
    return f"{_S3}{made.s3.bucket}/{_key(made.s3, run)}"


def longest_location(made: OutputArtifact, *, step: str) -> str:
    """The longest location that an output artifact can be reported with."""
    location = location_of(made, Run("0" * _UID_CHARACTERS, step, _LONGEST_ATTEMPT))
    return f"{location}{'0' * _OWN_CHARACTERS}/{made.name}" if location.endswith("/") else location


def flow_directory(s3: S3Location, flow_uid: str) -> str:
    """The key below which all is that a flow stores by this location, which has to be a directory."""
    return f"{s3.key}{flow_uid}/"


def _key(s3: S3Location, run: Run) -> str:
    return f"{flow_directory(s3, run.flow_uid)}{run.step}/{run.attempt}/" if s3.key.endswith("/") else s3.key


def place_of(location: str, made: OutputArtifact) -> S3Location | ClaimFile | None:
    """The place that a recorded location stands for, with its maker's credentials; None if it is of another kind."""
    if location.startswith(_CLAIM):
        return ClaimFile(location.removeprefix(_CLAIM))
    if not location.startswith(_S3) or made.s3 is None:
        return None
    bucket, _, key = location.removeprefix(_S3).partition("/")
    return evolve(made.s3, bucket=bucket, key=key)


@frozen
class Located:
    """Where the artifact of an upstream step was stored, as its status has it."""

    place: Place
    sha256: str | None = None
    size_bytes: int | None = None
    archive: Archive | None = None
    """How it is packed. We have packed it, so that the one thing at its top is the artifact."""


@frozen
class Carried:
    """A Pod template's spec with artifacts, and the annotations that go with it."""

    pod_spec: dict[str, Any]
    annotations: Mapping[str, str] = field(factory=dict)


def carry_artifacts(
    pod_spec: Mapping[str, Any],
    *,
    run: Run,
    inputs: Sequence[InputArtifact],
    outputs: Sequence[OutputArtifact],
    image: str,
    claim: str,
    located: Mapping[str, Located | None],
) -> Carried:
    """The Pod spec whose main container finds its input artifacts and whose output artifacts are stored.

    `located` says by name where inputs with `from` are, None if one is optional
    and was never made. An output without `s3` goes to the flow's claim, never
    packed: what is there is mounted, not copied. An input that is optional and
    not there is an empty directory.

    `pod_spec` has to be free of `artifact_obstacles`. It is shared, not changed.
    """
    name = main_container(pod_spec)
    containers = list(pod_spec["containers"])
    index = next(index for index, each in enumerate(containers) if each["name"] == name)
    main: dict[str, Any] = dict(containers[index])
    pod = OurContainers(pod_spec, main)

    mounts = list(main.get("volumeMounts") or ())
    fetches: list[dict[str, Any]] = []
    input_env: list[dict[str, Any]] = []
    for number, wanted in enumerate(inputs):
        path = wanted.path or f"{DEFAULT_INPUT_DIRECTORY}/{wanted.name}"
        found = _source(wanted, located)
        if found is None:
            mounts.append({"name": INPUTS_CONTAINER, "mountPath": path, "subPath": wanted.name, "readOnly": True})
            continue
        if isinstance(found.place, ClaimFile):
            mounts.append({"name": _CLAIM_VOLUME, "mountPath": path, "subPath": found.place.sub_path, "readOnly": True})
            continue
        mounts.append({"name": INPUTS_CONTAINER, "mountPath": path, "subPath": wanted.name})
        order = {"name": wanted.name, "to": f"{INPUTS_DIRECTORY}/{wanted.name}", "optional": wanted.optional}
        order |= written_place(found.place, number=number, env=input_env)
        order |= {"sha256": found.sha256} if found.sha256 is not None else {}
        order |= {"size": found.size_bytes} if found.size_bytes is not None else {}
        if wanted.size_limit is not None:
            order |= {"limit": int(parse_quantity(wanted.size_limit) or 0)}
        if found.archive is not None:
            order |= {"archive": _archive(found.archive) | {"whole": wanted.from_ is not None}}
        fetches.append(order)
    stores: list[dict[str, Any]] = []
    output_env: list[dict[str, Any]] = []
    output_mounts: list[dict[str, Any]] = []
    for number, made in enumerate(outputs):
        mount = _covering(made.path, mounts)
        if mount is None:
            parent = _parent(made.path)
            mount = {"name": OUTPUTS_CONTAINER, "mountPath": parent, "subPath": f"d{number}"}
            mounts.append(mount)
        read_at = f"{OUTPUTS_DIRECTORY}/{number}"
        output_mounts.append({**mount, "mountPath": read_at, "readOnly": True})
        below = made.path.rstrip("/")[len(str(mount["mountPath"]).rstrip("/")) :]
        order = {"name": made.name, "root": read_at, "from": read_at + below, "optional": made.optional}
        order |= {"location": location_of(made, run), "entry": made.path.rstrip("/").rpartition("/")[2]}
        if made.s3 is not None:
            order |= written_place(evolve(made.s3, key=_key(made.s3, run)), number=number, env=output_env)
            order |= {"archive": _archive(made.archive or Archive())}
        else:
            order |= {"claim": f"{CLAIM_DIRECTORY}/{run.step}/{run.attempt}/"}
        stores.append(order)
    if any("claim" in order for order in stores):
        output_mounts.append({"name": _CLAIM_VOLUME, "mountPath": CLAIM_DIRECTORY})

    main["volumeMounts"] = mounts
    init = list(pod_spec.get("initContainers") or ())
    if fetches:
        keep = [{"name": INPUTS_CONTAINER, "mountPath": INPUTS_DIRECTORY}]
        init.append(pod.container(INPUTS_CONTAINER, image, orders=fetches, env=input_env, mounts=keep))
    if stores:
        init.append(main)
        containers = [pod.container(OUTPUTS_CONTAINER, image, orders=stores, env=output_env, mounts=output_mounts)]
    else:
        containers[index] = main
    used = [mount["name"] for mount in (*mounts, *output_mounts)]
    volumes = list(pod_spec.get("volumes") or ())
    volumes += [{"name": each, "emptyDir": {}} for each in (INPUTS_CONTAINER, OUTPUTS_CONTAINER) if each in used]
    if _CLAIM_VOLUME in used:
        volumes.append({"name": _CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": claim}})
    if pod.hides_token and (fetches or stores):
        volumes.append({"name": TOKEN_VOLUME, "emptyDir": {}})
    changed = {**pod_spec, "containers": containers}
    if init:
        changed["initContainers"] = init
    if volumes:
        changed["volumes"] = volumes
    if any("claim" in order for order in stores):
        changed["securityContext"] = _sharing(pod_spec.get("securityContext") or {})
    return Carried(changed, {ANNOTATION_DEFAULT_CONTAINER: name} if stores else {})


def artifact_obstacles(
    pod_spec: Mapping[str, Any], *, inputs: Sequence[InputArtifact], outputs: Sequence[OutputArtifact]
) -> tuple[Obstacle, ...]:
    """All that keeps a template from carrying these artifacts, for validation; paths are relative to the Job's spec."""
    return tuple(_obstacles(pod_spec, inputs=inputs, outputs=outputs)) if inputs or outputs else ()


def _obstacles(
    pod_spec: Mapping[str, Any], *, inputs: Sequence[InputArtifact], outputs: Sequence[OutputArtifact]
) -> Iterator[Obstacle]:
    at = "template.spec"
    containers = pod_spec.get("containers") or ()
    name = main_container(pod_spec)
    index = next((index for index, each in enumerate(containers) if each.get("name") == name), None)
    for kind in ("containers", "initContainers", "volumes"):
        for number, each in enumerate(pod_spec.get(kind) or ()):
            if str(each.get("name")).startswith(OURS):
                yield Obstacle(
                    f"{at}.{kind}[{number}].name", f"is {each['name']!r}, but names in zenflow- are ours", "rename it"
                )
    if index is None:
        yield Obstacle(f"{at}.containers", "has no container that artifacts could be for", "add a container")
        return
    main = containers[index]
    where = f"{at}.containers[{index}]"
    if outputs and len(containers) > 1:
        yield Obstacle(
            f"{at}.containers",
            f"has {len(containers)} containers, but a step with output artifacts runs one",
            "make the helpers sidecars: put them under initContainers with restartPolicy: Always",
        )
    for key in _NOT_ON_INIT_CONTAINERS if outputs else ():
        if main.get(key) is not None:
            yield Obstacle(
                f"{where}.{key}",
                "cannot be kept in a step with output artifacts, whose container runs to its end",
                "remove it",
            )
    mounts = list(main.get("volumeMounts") or ())
    taken = {str(each.get("mountPath")).rstrip("/") for each in mounts}
    for wanted in inputs:
        path = (wanted.path or f"{DEFAULT_INPUT_DIRECTORY}/{wanted.name}").rstrip("/")
        if path in taken:
            yield Obstacle(
                f"{where}.volumeMounts",
                f"mounts something at {path}, where input artifact {wanted.name!r} is to be",
                "give the artifact another path",
            )
        taken.add(path)
    for made in outputs:
        mount = _covering(made.path, mounts)
        if mount is None and _parent(made.path) in _SYSTEM_DIRECTORIES:
            yield Obstacle(
                f"{where}.volumeMounts",
                f"would need an empty volume over {_parent(made.path)} for output artifact {made.name!r}",
                "write the artifact to a directory of its own, such as /output",
            )
        elif mount is not None and mount.get("subPathExpr"):
            yield Obstacle(
                f"{where}.volumeMounts",
                f"mounts {mount['mountPath']} by subPathExpr, which output artifact {made.name!r} cannot be read from",
                "use subPath, or write the artifact elsewhere",
            )


def _archive(archive: Archive) -> dict[str, str]:
    return {"format": str(archive.format), "compression": str(archive.compression)}


def _source(wanted: InputArtifact, located: Mapping[str, Located | None]) -> Located | None:
    place = wanted.s3 or wanted.http
    if place is None:
        return located[wanted.name]
    return Located(place, wanted.sha256, archive=wanted.archive)


def _sharing(context: Mapping[str, Any]) -> dict[str, Any]:
    """The Pod's security context by which our container may write to the claim.

    A file system of a new volume belongs to root, and we are not root. The group
    is the same in all steps that do not choose their own.
    """
    if context.get("fsGroup") is not None:
        return dict(context)
    return {"fsGroupChangePolicy": "OnRootMismatch", **context, "fsGroup": UNPRIVILEGED_USER}


def _covering(path: str, mounts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The mount that holds what is written at `path`: the innermost one at or above it."""
    path = path.rstrip("/")
    covering: Mapping[str, Any] | None = None
    depth = -1
    for mount in mounts:
        at = str(mount.get("mountPath") or "").rstrip("/")
        if (path == at or path.startswith(f"{at}/")) and len(at) > depth:
            covering, depth = mount, len(at)
    return covering


def _parent(path: str) -> str:
    """Where a volume has to be mounted so that `path` is on it: above it, or at it if it stands at the top."""
    path = path.rstrip("/")
    return path.rpartition("/")[0] or path
