"""The same requests, to the cluster itself and through an unmodified lightkube client, have the same answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httpx2
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from lightkube.core.exceptions import ApiError as ClientError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster, ClusterLimits, Propagation
from zenflow_testing.errors import ApiError, forbidden
from zenflow_testing.frozen import FrozenCheck
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.transport import SERVER, ClusterTransport, client, resource_class
from zenflow_testing.transport_time import run_virtually

NS = "default"
BACKENDS = ("asyncio", "trio")

RESOURCES: Mapping[str, Any] = {
    **{info.kind: resource_class(info) for info in KNOWN_KINDS},
    "JobFlow": create_namespaced_resource("workflow.kube-zen.io", "v1alpha1", "JobFlow", "jobflows"),
}

Outcome: TypeAlias = Any
"""The object, or (code, reason, message) of a refusal, or the objects and the version of a list."""


@frozen
class Create:
    kind: str
    body: Any
    namespace: str = NS
    dry_run: bool = False


@frozen
class Get:
    kind: str
    name: str


@frozen
class Replace:
    kind: str
    name: str
    change: Callable[[dict[str, Any]], dict[str, Any]]
    """Of the object as it is now, or of an empty one."""
    status: bool = False


@frozen
class Merge:
    kind: str
    name: str
    patch: Any
    status: bool = False


@frozen
class JsonPatch:
    kind: str
    name: str
    operations: Any
    status: bool = False


@frozen
class Delete:
    kind: str
    name: str
    propagation: Propagation = Propagation.BACKGROUND
    uid: str | None = None


@frozen
class List:
    kind: str
    labels: str | None = None
    fields: str | None = None


Request: TypeAlias = Create | Get | Replace | Merge | JsonPatch | Delete | List


def a_cluster() -> Cluster:
    return Cluster(VirtualClock(), limits=ClusterLimits(object_bytes=4000), uids=7)


def present(cluster: Cluster, kind: str, name: str) -> dict[str, Any]:
    """The stored object, for the body of a PUT; a body without a version for one that is not there."""
    namespace = "" if kind == "Namespace" else NS
    try:
        return dict(cluster.get(kind, namespace, name))
    except ApiError:
        return {"metadata": {"name": name}}


def directly(cluster: Cluster, request: Request) -> Outcome:
    namespace = "" if request.kind == "Namespace" else NS
    sub = "status" if getattr(request, "status", False) else None
    try:
        match request:
            case Create(kind, body, space, dry_run):
                return cluster.create(kind, body, namespace=space, dry_run=dry_run)
            case Get(kind, name):
                return cluster.get(kind, namespace, name)
            case Replace(kind, name, change):
                body = change(present(cluster, kind, name))
                return cluster.replace(kind, namespace, name, body, subresource=sub)
            case Merge(kind, name, patch):
                return cluster.patch_merge(kind, namespace, name, patch, subresource=sub)
            case JsonPatch(kind, name, operations):
                return cluster.patch_json(kind, namespace, name, operations, subresource=sub)
            case Delete(kind, name, propagation, uid):
                cluster.delete(kind, namespace, name, propagation=propagation, uid=uid)
                return "deleted"
            case List(kind, labels, fields):
                found = cluster.list(kind, NS, labels=labels, fields=fields)
                return [dict(item) for item in found.items], found.resource_version
    except ApiError as refusal:
        return refusal.code, refusal.reason, refusal.message


async def through(kube: Any, raw: httpx2.AsyncClient, cluster: Cluster, request: Request) -> Outcome:
    resource = RESOURCES[request.kind]
    space = {} if request.kind == "Namespace" else {"namespace": NS}
    target = resource.Status if getattr(request, "status", False) else resource
    try:
        match request:
            case Create(_, body, namespace, dry_run):
                where = {} if request.kind == "Namespace" else {"namespace": namespace}
                return dict(await kube.create(resource(body), dry_run=dry_run, **where))
            case Get(_, name):
                return dict(await kube.get(resource, name, **space))
            case Replace(kind, name, change):
                body = target(change(present(cluster, kind, name)))
                return dict(await kube.replace(body, **({} if kind == "Namespace" else {"namespace": NS})))
            case Merge(_, name, patch):
                return dict(await kube.patch(target, name, patch, patch_type=PatchType.MERGE, **space))
            case JsonPatch(_, name, operations):
                return dict(await kube.patch(target, name, operations, patch_type=PatchType.JSON, **space))
            case Delete(kind, name, propagation, None):
                await kube.delete(resource, name, cascade=CascadeType(propagation), **space)
                return "deleted"
            case Delete(kind, name, propagation, uid):
                info = cluster.kind_info(kind)
                group = f"apis/{info.group}" if info.group else "api"
                options = {"preconditions": {"uid": uid}, "propagationPolicy": propagation}
                answer = await raw.request(
                    "DELETE", f"/{group}/{info.version}/namespaces/{NS}/{info.plural}/{name}", json=options
                )
                if answer.is_error:
                    raise ClientError(request=answer.request, response=answer)
                return "deleted"
            case List(_, labels, fields):
                query = {"labelSelector": labels, "fieldSelector": fields}
                info = cluster.kind_info(request.kind)
                group = f"apis/{info.group}" if info.group else "api"
                answer = await raw.get(
                    f"/{group}/{info.version}/namespaces/{NS}/{info.plural}",
                    params={name: value for name, value in query.items() if value is not None},
                )
                if answer.is_error:
                    raise ClientError(request=answer.request, response=answer)
                listing = answer.json()
                same = {"kind": request.kind, "apiVersion": info.api_version}
                return [{**same, **item} for item in listing["items"]], listing["metadata"]["resourceVersion"]
    except ClientError as refusal:
        return refusal.status.code, refusal.status.reason or "", refusal.status.message


def both(requests: tuple[Request, ...], *, backend: str) -> tuple[list[Outcome], list[Outcome], Cluster, Cluster]:
    here, there = a_cluster(), a_cluster()
    transport = ClusterTransport(there)
    check = FrozenCheck(there)

    async def main() -> list[Outcome]:
        async with (
            client(there, transport=transport) as kube,
            httpx2.AsyncClient(transport=transport, base_url=SERVER, trust_env=False) as raw,
        ):
            return [await through(kube, raw, there, request) for request in requests]

    outcomes = run_virtually(main, backend=backend)
    assert check.mutated() == ()
    return [directly(here, request) for request in requests], outcomes, here, there


def everything(cluster: Cluster) -> list[Any]:
    return [(event.type, event.resource_version, event.object) for event in cluster.events_since(0)]


POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.35"}]}
FLOW = {"metadata": {"name": "a", "labels": {"team": "x"}}, "spec": {"steps": [{"name": "build"}]}}
JOB = {"metadata": {"name": "a"}, "spec": {"template": {"spec": POD}}}
NOTES = {"metadata": {"name": "a"}, "data": {"text": "é"}}
CLAIM = {
    "metadata": {"name": "a"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
LEASE = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.000000Z"}}


def with_metadata(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda obj: {**obj, "metadata": {**obj["metadata"], **fields}}


def with_(**members: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda obj: {**obj, **members}


TABLE = [
    pytest.param((Create("JobFlow", FLOW), Get("JobFlow", "a"), List("JobFlow")), id="a custom resource"),
    pytest.param((Create("Job", JOB), Get("Job", "a"), List("Job")), id="a Job gets its defaults"),
    pytest.param((Create("Pod", {"metadata": {"name": "a"}, "spec": POD}), Get("Pod", "a")), id="a Pod"),
    pytest.param((Create("ConfigMap", NOTES), Get("ConfigMap", "a"), List("ConfigMap")), id="a ConfigMap"),
    pytest.param(
        (Create("Secret", {"metadata": {"name": "a"}, "data": {"k": "dg=="}}), Get("Secret", "a")), id="Secret"
    ),
    pytest.param((Create("PersistentVolumeClaim", CLAIM), Get("PersistentVolumeClaim", "a")), id="a claim"),
    pytest.param((Create("Event", {"metadata": {"name": "a"}, "message": "m"}), Get("Event", "a")), id="a core Event"),
    pytest.param((Create("Lease", LEASE), Merge("Lease", "a", {"spec": {"holderIdentity": "you"}})), id="a Lease"),
    pytest.param(
        (Create("Lease", {"metadata": {"name": "a"}, "spec": {"renewTime": "2026-01-01T00:00:00Z"}}),),
        id="a Lease whose time has no six digits is refused",
    ),
    pytest.param(
        (Create("Namespace", {"metadata": {"name": "a"}}), Get("Namespace", "a"), Delete("Namespace", "a")),
        id="a kind without namespaces",
    ),
    pytest.param((Create("JobFlow", FLOW), Create("JobFlow", FLOW)), id="two of one name"),
    pytest.param((Create("ConfigMap", {"metadata": {"generateName": "x-"}, "data": {}}),) * 2, id="a generated name"),
    pytest.param((Create("JobFlow", FLOW, dry_run=True), Get("JobFlow", "a")), id="a dry run stores nothing"),
    pytest.param((Create("Job", JOB, dry_run=True), Create("Job", JOB)), id="a dry run shows the defaults"),
    pytest.param((Create("JobFlow", {**FLOW, "kind": "Other"}),), id="a body of another kind"),
    pytest.param((Create("JobFlow", {"metadata": {"name": "A_b"}}),), id="a name that is none"),
    pytest.param((Create("JobFlow", {"metadata": {"name": "a", "labels": {"x": 1}}}),), id="a label that is a number"),
    pytest.param((Create("JobFlow", {"metadata": {"name": "a", "resourceVersion": "1"}}),), id="a version at creation"),
    pytest.param((Create("Job", {"metadata": {"name": "a"}, "spec": {}}),), id="a Job without a template"),
    pytest.param((Create("ConfigMap", {"metadata": {"name": "a"}, "data": {"k": "x" * 5000}}),), id="too large"),
    pytest.param((Get("JobFlow", "gone"), Get("Job", "gone"), Get("ConfigMap", "gone")), id="nothing there"),
    pytest.param((Merge("JobFlow", "gone", {}), Delete("JobFlow", "gone")), id="writing to nothing"),
    pytest.param(
        (Create("JobFlow", FLOW), Replace("JobFlow", "a", with_(spec={"steps": []})), Get("JobFlow", "a")),
        id="put raises the generation",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Replace("JobFlow", "a", with_metadata(resourceVersion="99"))), id="put of a stale one"
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Replace("JobFlow", "a", with_metadata(resourceVersion=None))),
        id="put of a custom resource without a version",
    ),
    pytest.param(
        (Create("ConfigMap", NOTES), Replace("ConfigMap", "a", with_metadata(resourceVersion=None))),
        id="put of a ConfigMap needs no version",
    ),
    pytest.param((Replace("JobFlow", "gone", with_(spec={})),), id="put of what is not there"),
    pytest.param(
        (Create("JobFlow", FLOW), Replace("JobFlow", "a", with_(status={"phase": "x"}, spec={}), status=True)),
        id="put of the status leaves the spec",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Merge("JobFlow", "a", {"status": {"phase": "x"}}), Get("JobFlow", "a")),
        id="the main resource leaves the status",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Merge("JobFlow", "a", {"status": {"phase": "x"}}, status=True)),
        id="merge of the status",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Merge("JobFlow", "a", {"metadata": {"labels": {"team": None, "b": "c"}}})),
        id="merge removes what is null",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), Merge("JobFlow", "a", {"metadata": {"resourceVersion": "9"}})),
        id="merge against a stale version",
    ),
    pytest.param((Create("JobFlow", FLOW), Merge("JobFlow", "a", {})), id="a merge of nothing changes nothing"),
    pytest.param(
        (
            Create("JobFlow", FLOW),
            JsonPatch("JobFlow", "a", [{"op": "add", "path": "/status", "value": {"n": 1}}], status=True),
            JsonPatch("JobFlow", "a", [{"op": "replace", "path": "/status/n", "value": 2}], status=True),
        ),
        id="json patch of the status",
    ),
    pytest.param(
        (Create("JobFlow", FLOW), JsonPatch("JobFlow", "a", [{"op": "test", "path": "/spec", "value": 1}])),
        id="json patch whose test fails",
    ),
    pytest.param(
        (
            Create("JobFlow", FLOW),
            JsonPatch("JobFlow", "a", [{"op": "replace", "path": "/metadata/resourceVersion", "value": "9"}]),
        ),
        id="json patch against a stale version",
    ),
    pytest.param((Create("JobFlow", FLOW), JsonPatch("JobFlow", "a", {"op": "add"})), id="a json patch that is none"),
    pytest.param((Create("JobFlow", FLOW), Merge("JobFlow", "a", {"kind": "Job"})), id="a merge that changes the kind"),
    pytest.param((Create("Job", JOB), Delete("Job", "a"), Get("Job", "a")), id="delete in the background"),
    pytest.param((Create("Job", JOB), Delete("Job", "a", Propagation.FOREGROUND), Get("Job", "a")), id="foreground"),
    pytest.param((Create("Job", JOB), Delete("Job", "a", Propagation.ORPHAN), Get("Job", "a")), id="orphan"),
    pytest.param(
        (Create("Job", JOB), Delete("Job", "a", uid="another"), Get("Job", "a")), id="delete of another object's uid"
    ),
    pytest.param(
        (
            Create("JobFlow", {"metadata": {"name": "a", "finalizers": ["zen.io/x"]}}),
            Delete("JobFlow", "a"),
            Merge("JobFlow", "a", {"metadata": {"finalizers": None}}),
            Get("JobFlow", "a"),
        ),
        id="a finalizer keeps it",
    ),
    pytest.param(
        (
            Create("JobFlow", FLOW),
            Create("JobFlow", {"metadata": {"name": "b", "labels": {"team": "y"}}}),
            List("JobFlow", labels="team=x"),
            List("JobFlow", labels="team in (x,y),!z"),
            List("JobFlow", fields="metadata.name=b"),
            List("JobFlow", fields="metadata.name!=b"),
        ),
        id="selectors",
    ),
    pytest.param((List("JobFlow", labels="a=(b"), List("JobFlow", fields="???")), id="selectors that are none"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("requests", TABLE)
def test_both_faces_give_the_same_answers(requests: tuple[Request, ...], backend: str) -> None:
    expected, got, here, there = both(requests, backend=backend)
    assert got == expected
    assert everything(there) == everything(here)


NAMES = st.sampled_from(["a", "b"])
KINDS = st.sampled_from(["JobFlow", "Job", "ConfigMap"])
BODIES: Mapping[str, dict[str, Any]] = {"JobFlow": FLOW, "Job": JOB, "ConfigMap": NOTES}
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), st.none() | st.sampled_from(["1", "2"]), max_size=2)


@st.composite
def requests_(draw: st.DrawFn) -> Request:
    kind, name = draw(KINDS), draw(NAMES)
    subresource = kind != "ConfigMap" and draw(st.booleans())
    metadata: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {"labels": LABELS},
            optional={
                "finalizers": st.none() | st.just(["zen.io/x"]),
                "resourceVersion": st.integers(1, 6).map(str),
                "uid": st.just("another"),
            },
        )
    )
    patch: dict[str, Any] = {"metadata": metadata}
    if draw(st.booleans()):
        patch["status" if subresource else "spec" if kind == "JobFlow" else "data"] = draw(
            st.fixed_dictionaries({"text": st.sampled_from(["1", "2"])})
        )
    match draw(st.sampled_from(["create", "get", "put", "merge", "json", "delete", "list"])):
        case "create":
            body = BODIES[kind]
            labels = {key: value for key, value in metadata["labels"].items() if value is not None}
            made = {"name": name, "labels": labels, "finalizers": metadata.get("finalizers")}
            return Create(kind, {**body, "metadata": made}, dry_run=draw(st.booleans()))
        case "get":
            return Get(kind, name)
        case "put":
            return Replace(kind, name, with_metadata(**metadata), status=subresource)
        case "merge":
            return Merge(kind, name, patch, status=subresource)
        case "json":
            path = draw(st.sampled_from(["/metadata/labels", "/metadata/labels/x", "/status", "/spec/x", "/data/text"]))
            value = draw(st.sampled_from(["1", {"x": "1"}, {}]))
            op = draw(st.sampled_from(["add", "replace", "remove", "test"]))
            return JsonPatch(kind, name, [{"op": op, "path": path, "value": value}], status=subresource)
        case "delete":
            return Delete(kind, name, draw(st.sampled_from(Propagation)), uid=draw(st.none() | st.just("another")))
        case _:
            return List(kind, labels=draw(st.none() | st.sampled_from(["x", "x=1", "!y", "x!=1"])))


@settings(max_examples=60)
@given(st.lists(requests_(), max_size=12), st.sampled_from(BACKENDS))
def test_any_sequence_of_requests_has_the_same_answers(requests: list[Request], backend: str) -> None:
    expected, got, here, there = both(tuple(requests), backend=backend)
    assert got == expected
    assert everything(there) == everything(here)


def test_hooks_of_the_cluster_see_what_lightkube_asks() -> None:
    """Faults that are written for the direct face work for HTTP clients: same verbs, kinds, names."""
    cluster = a_cluster()
    asked: list[tuple[str, str, str, str]] = []

    def before(verb: str, kind: str, namespace: str, name: str, _body: Any) -> ApiError | None:
        asked.append((verb, kind, namespace, name))
        if verb == "patch":
            return ApiError(429, "TooManyRequests", message="slow down", retry_after=3)
        return None

    def after(verb: str, kind: str, _namespace: str, name: str, _body: Any) -> ApiError | None:
        return forbidden(cluster.kind_info(kind).target(name), "hidden") if verb == "delete" else None

    async def main() -> None:
        async with client(cluster) as kube:
            flow = RESOURCES["JobFlow"]
            await kube.create(flow(FLOW))
            await kube.get(flow, "a")
            assert [each async for each in kube.list(flow)]
            with pytest.raises(ClientError) as slow:
                await kube.patch(flow.Status, "a", {"status": {}}, patch_type=PatchType.MERGE)
            assert (slow.value.status.code, slow.value.response.headers["retry-after"]) == (429, "3")
            with pytest.raises(ClientError) as hidden:
                await kube.delete(flow, "a")
            assert hidden.value.status.code == 403

    cluster.before_request, cluster.after_request = before, after
    run_virtually(main)
    assert asked == [
        ("create", "JobFlow", NS, "a"),
        ("get", "JobFlow", NS, "a"),
        ("list", "JobFlow", NS, ""),
        ("patch", "JobFlow/status", NS, "a"),
        ("delete", "JobFlow", NS, "a"),
    ]
    with cluster.without_hooks(), pytest.raises(ApiError):
        cluster.get("JobFlow", NS, "a")


def test_the_harness_without_http_needs_no_http_library() -> None:
    """Only the transport modules import lightkube, httpx2 and anyio."""
    code = (
        "import pkgutil, importlib, sys, zenflow_testing\n"
        "for each in pkgutil.iter_modules(zenflow_testing.__path__):\n"
        "    if not each.name.startswith('transport'): importlib.import_module('zenflow_testing.' + each.name)\n"
        "print(sorted({'lightkube', 'httpx2', 'anyio', 'msgspec'} & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
