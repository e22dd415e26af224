"""Artifacts: names, paths, sources and stores, and whether a template can carry them (see `artifact_pod`)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from zenflow_core.artifact_pod import DEFAULT_INPUT_DIRECTORY, artifact_obstacles, longest_location
from zenflow_core.artifact_report import largest_report
from zenflow_core.checks.finding import mapping
from zenflow_core.checks.policies import Carrier
from zenflow_core.checks.report import Report
from zenflow_core.checks.steps import Graph
from zenflow_core.checks.syntax import dns_name_from, is_parameter_name, shown
from zenflow_core.checks.templates import where_used
from zenflow_core.limits import ARTIFACT_STORE_KEY_CHARACTERS, INT64_MAX
from zenflow_core.quantities import parse_quantity
from zenflow_core.reading import message_bytes
from zenflow_core.spec import ArtifactStore, HttpSource, InputArtifact, KeySelector, OutputArtifact, S3Location

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A field name (RFC 9110, token)."""


def check_artifacts(carrier: Carrier, graph: Graph, report: Report) -> None:
    """The artifacts of one step."""
    step, path = carrier.step, graph.path(carrier.row)
    inputs = step.inputs.artifacts if step.inputs else ()
    outputs = step.outputs.artifacts if step.outputs else ()
    if not inputs and not outputs:
        return
    if carrier.manual:
        where = "inputs" if inputs else "outputs"
        what = "a Manual step runs no container that could use artifacts"
        report.add("ZF709", f"{path}.{where}.artifacts", what, "move them to a Job step")
    places: dict[str, str] = {}
    _check_names([artifact.name for artifact in inputs], f"{path}.inputs.artifacts", report)
    for index, artifact in enumerate(inputs):
        where = f"{path}.inputs.artifacts[{index}]"
        _check_path(artifact.path or f"{DEFAULT_INPUT_DIRECTORY}/{artifact.name}", where, places, report)
        _check_source(artifact, where, report)
        if artifact.from_ is not None:
            _check_from(artifact.from_, carrier.row, graph, f"{where}.from", report)
    _check_names([artifact.name for artifact in outputs], f"{path}.outputs.artifacts", report)
    places = {}
    for index, output in enumerate(outputs):
        where = f"{path}.outputs.artifacts[{index}]"
        _check_path(output.path, where, places, report)
        if output.s3 is not None:
            _check_s3(output.s3, f"{where}.s3", report)
        if output.artifact_gc is not None and not (output.s3 is not None and output.s3.key.endswith("/")):
            what = "only a directory of S3 holds nothing but this flow's artifacts, so that it can be removed"
            report.add("ZF714", f"{where}.artifactGC", what, "let s3.key end in '/', or remove artifactGC")
    pod = mapping(mapping(mapping(carrier.job, "spec"), "template"), "spec") if carrier.job is not None else {}
    if outputs:
        # Whether `zenflow-inputs` is there can depend on where an upstream step has stored what is wanted.
        room = message_bytes(pod, added=2 if inputs else 1)
        _check_report(outputs, step.name, f"{path}.outputs.artifacts", report, room=room)
    if carrier.job is not None:
        for obstacle in artifact_obstacles(pod, inputs=inputs, outputs=outputs):
            place, within = where_used(step, path, f"spec.{obstacle.path}")
            report.add("ZF708", place, within + obstacle.what, obstacle.fix)


def check_store(store: ArtifactStore, report: Report) -> None:
    """A default store, in which each flow and step has a directory of its own."""
    _check_s3(store.s3, "s3", report)
    if not store.s3.key.endswith("/"):
        what = f"{shown(store.s3.key)} is one object, and a default store is a directory"
        report.add("ZF707", "s3.key", what, "let the key end in '/'")
    if len(store.s3.key) > ARTIFACT_STORE_KEY_CHARACTERS:
        what = f"the key has {len(store.s3.key)} characters"
        report.add("ZF707", "s3.key", what, f"leave room for what follows: at most {ARTIFACT_STORE_KEY_CHARACTERS}")


def _check_report(outputs: tuple[OutputArtifact, ...], step: str, path: str, report: Report, *, room: int) -> None:
    """What the Pod will say about its artifacts has to fit into one termination message."""
    size = largest_report({made.name: longest_location(made, step=step) for made in outputs})
    if size > room:
        what = (
            f"the report on {len(outputs)} artifacts may have {size} bytes with their names and locations, "
            f"a termination message of this Pod has {room}"
        )
        report.add("ZF711", path, what, "put several files into one directory and make that the artifact")


def claims_artifacts(graph: Graph) -> bool:
    """Whether some output artifact goes to no other store than the flow's own claim."""
    return any(made.s3 is None for row in range(len(graph.steps)) for made in _declared(row, graph))


def _check_names(names: list[str], path: str, report: Report) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not is_parameter_name(name):
            what = f"{shown(name)} is not a legal artifact name" if name else "the artifact has no name"
            fix = f"for instance {dns_name_from(name)!r}" if dns_name_from(name) else "use letters, digits, '-' and '.'"
            report.add("ZF401", f"{path}[{index}].name", what, fix)
        elif name in seen:
            what = f"the artifact name {shown(name)} is taken by {path}[{seen[name]}]"
            report.add("ZF202", f"{path}[{index}].name", what, "rename one of the two")
        else:
            seen[name] = index


def _check_path(place: str, where: str, places: dict[str, str], report: Report) -> None:
    parts = [part for part in place.split("/") if part not in ("", ".")]
    if not place.startswith("/"):
        what = f"{shown(place)} is not an absolute path" if place else "the artifact has no path"
        report.add("ZF701", f"{where}.path", what, "write a path in the container that begins with '/'")
    elif ".." in parts:
        report.add("ZF701", f"{where}.path", f"{shown(place)} goes up by '..'", "write the path without '..'")
    elif not parts:
        report.add("ZF701", f"{where}.path", "the whole file system is no artifact", "name a file or directory")
    else:
        plain = "/" + "/".join(parts)
        if plain in places:
            what = f"{shown(place)} is also the path of {places[plain]}"
            report.add("ZF710", f"{where}.path", what, "give each its own path")
        places.setdefault(plain, where)


def _check_source(artifact: InputArtifact, where: str, report: Report) -> None:
    given = [
        name
        for name, source in (("from", artifact.from_), ("http", artifact.http), ("s3", artifact.s3))
        if source is not None
    ]
    if len(given) != 1:
        what = f"the artifact has {len(given)} sources ({', '.join(given)})" if given else "the artifact has no source"
        report.add("ZF702", where, what, "give it exactly one of from, http and s3")
    if artifact.http is not None:
        url = artifact.http.url
        if "{{" not in url and "${" not in url and not _is_http(url):
            what = f"{shown(url)} is no http or https URL"
            report.add("ZF706", f"{where}.http.url", what, "write a URL that begins with https://")
        _check_headers(artifact.http, f"{where}.http", report)
        _check_ca(artifact.http.ca_config_map_ref, f"{where}.http", report)
    if artifact.s3 is not None:
        _check_s3(artifact.s3, f"{where}.s3", report)
        if artifact.s3.key.endswith("/"):
            what = f"{shown(artifact.s3.key)} is a directory, and an input is one object"
            report.add("ZF707", f"{where}.s3.key", what, "write the key of the object, without '/' at its end")
    if artifact.from_ is not None:
        for name, extra in (("archive", artifact.archive), ("sha256", artifact.sha256)):
            if extra is not None:
                what = f"{name} is given for an artifact of another step, which is known by what that step has stored"
                report.add("ZF702", f"{where}.{name}", what, "remove it")
    if artifact.sha256 is not None and not _is_digest(artifact.sha256):
        what = f"{shown(artifact.sha256)} is no SHA-256 digest"
        report.add("ZF713", f"{where}.sha256", what, "write its 64 hexadecimal digits, in small letters")
    if artifact.size_limit is not None and not 0 < (parse_quantity(artifact.size_limit) or 0) <= INT64_MAX:
        what = f"{shown(artifact.size_limit)} is no number of bytes"
        report.add("ZF713", f"{where}.sizeLimit", what, "write a quantity above 0, such as 10Gi")


def _check_headers(http: HttpSource, where: str, report: Report) -> None:
    """Headers as they can be sent: each once, whichever way it is said (names have no case, RFC 9110)."""
    said: dict[str, str] = {}
    for place, name, value in (
        *((f"{where}.headers", name, value) for name, value in http.headers.items()),
        *((f"{where}.headersFrom[{index}]", each.name, each.prefix) for index, each in enumerate(http.headers_from)),
    ):
        if _HEADER.fullmatch(name) is None or not set(value).isdisjoint("\r\n\0"):
            what = f"{shown(name)} is no header that can be sent, or its value has more than one line"
            report.add("ZF706", place, what, "write one line a header, and its name in letters")
        elif name.lower() in said:
            what = f"the header {shown(name)} is given by {said[name.lower()]}, too"
            report.add("ZF706", place, what, "keep one of the two")
        said.setdefault(name.lower(), place)
    for index, each in enumerate(http.headers_from):
        if not (each.secret_key_ref.name and each.secret_key_ref.key):
            place = f"{where}.headersFrom[{index}].secretKeyRef"
            report.add("ZF409", place, "the Secret reference lacks its name or key", "give both")


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc) and not any(map(str.isspace, url))


def _check_s3(s3: S3Location, where: str, report: Report) -> None:
    for name, value in (("bucket", s3.bucket), ("key", s3.key)):
        if not value.strip():
            report.add("ZF707", f"{where}.{name}", f"the S3 location has no {name}", f"add its {name}")
    parts = s3.key.strip("/").split("/")
    if s3.key.strip() and (s3.key.startswith("/") or not set(parts).isdisjoint(("", ".", ".."))):
        what = f"{shown(s3.key)} has an empty part, '.' or '..', which not every store takes"
        report.add("ZF707", f"{where}.key", what, "write names with one '/' between them")
    if s3.endpoint is not None and not _is_endpoint(s3.endpoint):
        what = f"{shown(s3.endpoint)} is no address of a store"
        report.add("ZF707", f"{where}.endpoint", what, "write a URL such as https://minio.storage:9000")
    _check_ca(s3.ca_config_map_ref, where, report)
    if (s3.access_key_id_secret_ref is None) is not (s3.secret_access_key_secret_ref is None):
        what = "only one of accessKeyIDSecretRef and secretAccessKeySecretRef is given"
        report.add("ZF707", where, what, "give both, or none for anonymous access")
    for name, ref in (
        ("accessKeyIDSecretRef", s3.access_key_id_secret_ref),
        ("secretAccessKeySecretRef", s3.secret_access_key_secret_ref),
        ("sessionTokenSecretRef", s3.session_token_secret_ref),
    ):
        if ref is not None and not (ref.name and ref.key):
            report.add("ZF409", f"{where}.{name}", "the Secret reference lacks its name or key", "give both")


def _is_endpoint(text: str) -> bool:
    """A URL without a path, or a host and perhaps a port, which means https."""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and port_is_fine and " " not in text


def _check_ca(ref: KeySelector | None, where: str, report: Report) -> None:
    if ref is not None and not (ref.name and ref.key):
        report.add("ZF409", f"{where}.caConfigMapRef", "the ConfigMap reference lacks its name or key", "give both")


def _check_from(source: str, row: int, graph: Graph, where: str, report: Report) -> None:
    name, slash, artifact = source.partition("/")
    before = graph.rows.get(name)
    if not slash or not artifact or not name:
        what = f"{shown(source)} names no artifact" if name else f"{shown(source)} names no step"
        report.add("ZF703", where, what, _from_fix(source.strip("/"), before, graph))
        return
    if before is None:
        what = f"reads from step {shown(name)}, which this flow does not have"
        report.add("ZF704", where, what, report.instead(name, graph.rows, "name a step of this flow"))
        return
    declared = _declared(before, graph)
    if artifact not in {output.name for output in declared}:
        what = f"step '{name}' has no output artifact {shown(artifact)}"
        none = f"declare it in {graph.path(before)}.outputs.artifacts"
        report.add("ZF704", where, what, report.instead(artifact, [output.name for output in declared], none))
    if graph.sound and not graph.precedes(before, row):
        what, fix = graph.unsettled(before, row)
        report.add("ZF705", where, f"reads from step '{name}', {what}", fix)


def _declared(row: int, graph: Graph) -> tuple[OutputArtifact, ...]:
    outputs = graph.steps[row].outputs
    return outputs.artifacts if outputs else ()


def _from_fix(name: str, before: int | None, graph: Graph) -> str:
    declared = _declared(before, graph) if before is not None else ()
    if declared:
        return f"write the artifact, too, for instance '{name}/{declared[0].name}'"
    return "write step/artifact, and declare the artifact in that step's outputs"
