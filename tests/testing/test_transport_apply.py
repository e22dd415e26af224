"""Server-side apply and strategic merge patches: who owns a field, what a list is, what goes when it is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from lightkube.core.exceptions import ApiError as ClientError
from lightkube.types import PatchType

from zenflow_testing import jsonpatch
from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.transport import client, resource_class
from zenflow_testing.transport_apply import Path, apply_lists, merge_patch, strategically_merged
from zenflow_testing.transport_time import run_virtually

NS = "default"
RESOURCES: dict[str, Any] = {info.kind: resource_class(info) for info in KNOWN_KINDS}


@frozen
class Apply:
    """One apply; `then` is what the object holds after it besides its identity, or (code, message) of a refusal."""

    manager: str
    body: dict[str, Any]
    then: Any
    force: bool = False
    status: bool = False
    dry_run: bool = False


@frozen
class Other:
    """Somebody writes without apply, on the direct face."""

    patch: dict[str, Any]


def holds(kind: str, obj: Any) -> dict[str, Any]:
    metadata = {
        name: value
        for name, value in obj["metadata"].items()
        if name in ("labels", "annotations", "finalizers", "ownerReferences")
    }
    members = {name: value for name, value in obj.items() if name not in ("kind", "apiVersion", "metadata")}
    if kind == "Job":
        members = {"spec": {"backoffLimit": obj["spec"]["backoffLimit"]}}
        metadata.pop("labels")  # those of its template
    return {**members, **({"metadata": metadata} if metadata else {})}


def conflict(*fields: str, manager: str = "unknown") -> tuple[int, str]:
    if len(fields) == 1:
        return 409, f'Apply failed with 1 conflict: conflict with "{manager}": {fields[0]}'
    listed = "\n".join(f"- {field}" for field in fields)
    return 409, f'Apply failed with {len(fields)} conflicts: conflicts with "{manager}":\n{listed}'


def data(**values: str) -> dict[str, Any]:
    return {"data": values}


def pod(**containers: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, **rest} for name, rest in containers.items()]}}


def job(limit: int | None) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.35"}]}}
    return {"spec": {"template": template, **({} if limit is None else {"backoffLimit": limit})}}


def meta(**fields: Any) -> dict[str, Any]:
    return {"metadata": fields}


def owner(uid: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, **rest}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        pytest.param(
            "ConfigMap",
            [Apply("me", data(a="1"), data(a="1")), Apply("me", data(a="1"), data(a="1"))],
            id="apply creates, and again changes nothing",
        ),
        pytest.param(
            "ConfigMap",
            [Apply("me", data(a="1", b="2"), data(a="1", b="2")), Apply("me", data(a="3"), data(a="3"))],
            id="what a manager leaves out goes",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1"), data(a="1")),
                Apply("you", data(b="2"), data(a="1", b="2")),
                Apply("me", {}, data(b="2")),
            ],
            id="what another manager has set stays",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1"), data(a="1")),
                Apply("you", data(a="1"), data(a="1")),
                Apply("me", {}, data(a="1")),
                Apply("you", {}, {}),
            ],
            id="a field of two goes with the second",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1"), data(a="1")),
                Apply("you", data(a="2"), conflict(".data.a", manager="me")),
                Apply("you", data(a="2"), data(a="2"), force=True),
                Apply("me", data(a="1"), conflict(".data.a", manager="you")),
                Apply("me", {}, data(a="2")),
            ],
            id="another manager's value is a conflict, and force takes it over",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1", b="1"), data(a="1", b="1")),
                Other(data(a="2", b="2")),
                Apply("me", data(a="3", b="3"), conflict(".data.a", ".data.b")),
                Apply("me", data(a="2"), data(a="2", b="2")),
            ],
            id="so is a value that somebody has written since; it is not removed either",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1"), data(a="1")),
                Other({"data": {"a": None}}),
                Apply("me", data(a="2"), data(a="2")),
            ],
            id="a value that somebody has removed may be set again",
        ),
        pytest.param(
            "ConfigMap",
            [
                Apply("me", data(a="1"), data(a="1")),
                Apply("me", data(a="2"), data(a="2"), dry_run=True),
                Apply("me", data(a="3"), data(a="3")),
            ],
            id="a dry run changes neither values nor owners",
        ),
        pytest.param(
            "Job",
            [
                Apply("me", job(None), {"spec": {"backoffLimit": 6}}),
                Apply("me", job(2), {"spec": {"backoffLimit": 2}}),
            ],
            id="what the server filled in is nobody's",
        ),
        pytest.param(
            "Pod",
            [
                Apply("me", pod(a={"image": "i"}), pod(a={"image": "i"})),
                Apply("you", pod(b={"image": "i"}), pod(a={"image": "i"}, b={"image": "i"})),
                Apply("you", pod(b={"image": "j"}), pod(a={"image": "i"}, b={"image": "j"})),
                Apply("me", {}, pod(b={"image": "j"})),
            ],
            id="containers are told apart by name",
        ),
        pytest.param(
            "Pod",
            [
                Apply("me", pod(a={"image": "i"}), pod(a={"image": "i"})),
                Apply("you", pod(a={"tty": True}), pod(a={"image": "i", "tty": True})),
                Apply("me", {}, pod(a={"tty": True})),
                Apply("you", pod(a={}), pod(a={})),
            ],
            id="an item keeps its name as long as somebody has a field in it",
        ),
        pytest.param(
            "Pod",
            [
                Apply("me", pod(a={"args": ["x"]}), pod(a={"args": ["x"]})),
                Apply("you", pod(a={"args": ["y"]}), conflict('.spec.containers[name="a"].args', manager="me")),
            ],
            id="arguments are one value",
        ),
        pytest.param(
            "Pod",
            [
                Apply("me", {"spec": {"nodeSelector": {"a": "1"}}}, {"spec": {"nodeSelector": {"a": "1"}}}),
                Apply("me", {"spec": {"nodeSelector": {"b": "1"}}}, {"spec": {"nodeSelector": {"b": "1"}}}),
            ],
            id="so is a node selector",
        ),
        pytest.param(
            "Pod",
            [Apply("me", {"spec": {"containers": [{"image": "i"}]}}, (400, None))],
            id="an item without its key is refused",
        ),
        pytest.param(
            "Pod",
            [
                Apply("me", pod(a={"ports": [{"containerPort": 1}]}), pod(a={"ports": [{"containerPort": 1}]})),
                Apply(
                    "me",
                    pod(a={"ports": [{"containerPort": 1, "protocol": "TCP", "name": "x"}]}),
                    pod(a={"ports": [{"containerPort": 1, "protocol": "TCP", "name": "x"}]}),
                ),
            ],
            id="a port without a protocol is a TCP port",
        ),
        pytest.param(
            "JobFlow",
            [
                Apply("me", {"spec": {"steps": [{"name": "a"}]}}, {"spec": {"steps": [{"name": "a"}]}}),
                Apply("me", {"spec": {"steps": [{"name": "b"}]}}, {"spec": {"steps": [{"name": "b"}]}}),
                Apply("you", {"spec": {"steps": [{"name": "c"}]}}, conflict(".spec.steps", manager="me")),
            ],
            id="a list of a custom resource is one value",
        ),
        pytest.param(
            "JobFlow",
            [
                Apply("me", meta(finalizers=["z.io/a"]), meta(finalizers=["z.io/a"])),
                Apply("you", meta(finalizers=["z.io/b"]), meta(finalizers=["z.io/a", "z.io/b"])),
                Apply("me", {}, meta(finalizers=["z.io/b"])),
            ],
            id="finalizers are a set",
        ),
        pytest.param(
            "JobFlow",
            [
                Apply("me", meta(ownerReferences=[owner("1")]), meta(ownerReferences=[owner("1")])),
                Apply(
                    "you",
                    meta(ownerReferences=[owner("2", controller=True)]),
                    meta(ownerReferences=[owner("1"), owner("2", controller=True)]),
                ),
                Apply("you", {}, meta(ownerReferences=[owner("1")])),
            ],
            id="owners are told apart by uid",
        ),
        pytest.param(
            "JobFlow",
            [
                Apply("me", {"spec": {"x": 1}}, {"spec": {"x": 1}}),
                Apply(
                    "me",
                    {"status": {"phase": "Running"}},
                    {"spec": {"x": 1}, "status": {"phase": "Running"}},
                    status=True,
                ),
                Apply("me", {"spec": {"x": 2}}, {"spec": {"x": 2}, "status": {"phase": "Running"}}),
            ],
            id="the status has owners of its own",
        ),
        pytest.param(
            "JobFlow",
            [Apply("me", {"status": {}}, (404, None), status=True)],
            id="the status of nothing cannot be applied",
        ),
        pytest.param(
            "JobFlow", [Apply("me", meta(labels={"x": "not a label"}), (422, None))], id="the rules of the kind hold"
        ),
        pytest.param(
            "ConfigMap",
            [Apply("me", {"metadata": {"managedFields": [{}]}}, (400, "metadata.managedFields must be nil"))],
            id="nobody brings owners along",
        ),
        pytest.param(
            "ConfigMap",
            [Apply("me", {"metadata": {"name": "other"}}, (400, None)), Apply("me", {"kind": "Pod"}, (400, None))],
            id="another name or kind than the path's is refused",
        ),
    ],
)
def test_apply(kind: str, steps: list[Apply | Other], backend: str) -> None:
    cluster = Cluster(VirtualClock())
    resource = RESOURCES[kind]
    identity = {"apiVersion": cluster.kind_info(kind).api_version, "kind": kind}

    async def applied(kube: Any, step: Apply) -> Any:
        target = resource.Status if step.status else resource
        body = {**identity, **step.body, "metadata": {"name": "a", **step.body.get("metadata", {})}}
        try:
            obj = await kube.patch(
                target,
                "a",
                body,
                patch_type=PatchType.APPLY,
                field_manager=step.manager,
                force=step.force,
                dry_run=step.dry_run,
            )
        except ClientError as refusal:
            message = refusal.status.message
            return refusal.status.code, message if isinstance(step.then, tuple) and step.then[1] else None
        return holds(kind, obj)

    async def main() -> None:
        async with client(cluster) as kube:
            for step in steps:
                if isinstance(step, Other):
                    cluster.patch_merge(kind, NS, "a", step.patch)
                else:
                    assert await applied(kube, step) == step.then

    run_virtually(main, backend=backend)


def test_a_conflict_names_its_fields_as_causes() -> None:
    cluster = Cluster(VirtualClock())
    cluster.create("ConfigMap", {"metadata": {"name": "a"}, "data": {"k": "1"}}, namespace=NS)

    async def main() -> None:
        async with client(cluster, field_manager="me") as kube:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "2"}}
            with pytest.raises(ClientError) as caught:
                await kube.apply(RESOURCES["ConfigMap"](body))
            assert caught.value.status.reason == "Conflict"
            assert caught.value.status.details is not None
            (cause,) = caught.value.status.details.causes or []
            assert (cause.reason, cause.field) == ("FieldManagerConflict", ".data.k")
            version = cluster.resource_version
            await kube.apply(RESOURCES["ConfigMap"]({**body, "data": {"k": "1"}}))
            assert cluster.resource_version == version  # the same again is no write

    run_virtually(main)


def test_owners_belong_to_the_object_and_not_to_its_name_or_the_connection() -> None:
    cluster = Cluster(VirtualClock())
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}

    async def apply(manager: str, value: str) -> None:
        async with client(cluster, field_manager=manager) as kube:
            await kube.apply(RESOURCES["ConfigMap"]({**body, "data": {"k": value}}))

    run_virtually(apply, "me", "1")
    run_virtually(apply, "me", "2")  # after a restart the same manager still owns it
    cluster.delete("ConfigMap", NS, "a")
    cluster.create("ConfigMap", body, namespace=NS)
    with pytest.raises(ClientError):
        run_virtually(apply, "me", "3")


@pytest.mark.parametrize(
    ("kind", "path", "keys"),
    [
        ("Pod", ("status", "conditions"), ("type",)),
        ("Job", ("status", "conditions"), None),
        ("JobFlow", ("status", "conditions"), None),
        ("Job", ("spec", "template", "spec", "volumes"), ("name",)),
        ("JobFlow", ("spec", "volumes"), None),
        ("JobFlow", ("metadata", "finalizers"), ()),
        ("JobFlow", ("metadata", "annotations", "finalizers"), None),
        ("Pod", ("spec", (("", "x"),)), None),
    ],
)
def test_which_lists_are_maps(kind: str, path: Path, keys: tuple[str, ...] | None) -> None:
    assert apply_lists(kind, custom=kind == "JobFlow")(path) == keys


# Strategic merge patches


@pytest.mark.parametrize(
    ("document", "patch", "merged"),
    [
        pytest.param(
            pod(a={"image": "1"}, b={"image": "1"}),
            pod(b={"image": "2"}, c={"image": "3"}),
            pod(a={"image": "1"}, b={"image": "2"}, c={"image": "3"}),
            id="containers by name",
        ),
        pytest.param(
            pod(a={"env": [{"name": "x", "value": "1"}]}),
            pod(a={"env": [{"name": "y", "value": "2"}]}),
            pod(a={"env": [{"name": "x", "value": "1"}, {"name": "y", "value": "2"}]}),
            id="and their variables",
        ),
        pytest.param(
            pod(a={}, b={}), pod(a={"$patch": "delete"}, z={"$patch": "delete"}), pod(b={}), id="items deleted"
        ),
        pytest.param(
            pod(a={}),
            {"spec": {"containers": [{"$patch": "replace"}, {"name": "b"}]}},
            pod(b={}),
            id="a list replaced",
        ),
        pytest.param({"data": {"a": "1"}}, {"data": {"$patch": "replace", "b": "2"}}, {"data": {"b": "2"}}, id="a map"),
        pytest.param({"data": {"a": "1", "b": "2"}}, {"data": {"a": None}}, {"data": {"b": "2"}}, id="null removes"),
        pytest.param(
            pod(a={"args": ["1", "2"]}), pod(a={"args": ["3"]}), pod(a={"args": ["3"]}), id="arguments are one value"
        ),
        pytest.param(
            meta(finalizers=["a"]),
            {"metadata": {"finalizers": ["b"], "$setElementOrder/finalizers": ["a", "b"]}},
            meta(finalizers=["a", "b"]),
            id="finalizers are a set, whatever their order is to be",
        ),
    ],
)
def test_strategic_merge(document: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]) -> None:
    assert strategically_merged(document, patch) == merged


def test_a_strategic_patch_through_lightkube() -> None:
    cluster = Cluster(VirtualClock())
    cluster.create("Pod", {"metadata": {"name": "a"}, **pod(a={"image": "1"})}, namespace=NS)

    async def patched(patch: Any, name: str = "a") -> Any:
        async with client(cluster) as kube:
            return await kube.patch(RESOURCES["Pod"], name, patch, patch_type=PatchType.STRATEGIC)

    assert run_virtually(patched, pod(b={"image": "2"}))["spec"] == pod(a={"image": "1"}, b={"image": "2"})["spec"]
    for patch, name, code in (
        ({"metadata": {"resourceVersion": "99"}}, "a", 409),
        ({"spec": {"$retainKeys": ["x"]}}, "a", 400),
        ({}, "missing", 404),
        ([], "a", 400),
    ):
        with pytest.raises(ClientError) as caught:
            run_virtually(patched, patch, name)
        assert caught.value.status.code == code


# Laws


JSON = st.recursive(
    st.integers(0, 2) | st.booleans() | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_made_of_two_objects_makes_the_second_of_the_first(old: Any, new: Any) -> None:
    merged = jsonpatch.merge(old, merge_patch(old, new)).document
    assert jsonpatch.same(merged, new)
    assert merge_patch(old, old) == {}


def _forced(values: list[tuple[str, dict[str, str], bool]], resource: Any) -> Callable[[Cluster], Any]:
    async def main(cluster: Cluster) -> None:
        async with client(cluster) as kube:
            for manager, wanted, force in values:
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": wanted}
                try:
                    obj = await kube.apply(resource(body), field_manager=manager, force=force)
                except ClientError as refusal:
                    if force or refusal.status.code != 409:
                        raise
                    continue
                assert {k: obj["data"][k] for k in wanted} == wanted if wanted else True

    return main


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["me", "you", "they"]),
            st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), max_size=2),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_what_is_applied_holds_and_what_all_managers_leave_out_is_gone(
    values: list[tuple[str, dict[str, str], bool]],
) -> None:
    """An apply that is not refused has its way; forced ones are never refused; fields without owners do not stay."""
    cluster = Cluster(VirtualClock())
    leave = [(manager, dict[str, str](), False) for manager in ("me", "you", "they")]
    run_virtually(_forced([*values, *leave], RESOURCES["ConfigMap"]), cluster, backend="asyncio")
    assert not cluster.get("ConfigMap", NS, "a").get("data")
