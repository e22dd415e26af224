from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster, ClusterLimits, Event, EventType, Propagation, SizeLimit
from zenflow_testing.errors import ApiError, StatusCause, forbidden
from zenflow_testing.frozen import FrozenCheck
from zenflow_testing.kinds import KindInfo, Object
from zenflow_testing.uids import UidSource

NS = "default"


def a_cluster(**settings_: Any) -> Cluster:
    return Cluster(VirtualClock(), **settings_)


def flow(name: str = "nightly", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": name, **metadata},
        "spec": {"steps": [{"name": "build"}]},
    }


def job(name: str = "build", **metadata: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.35"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, **metadata},
        "spec": {"template": {"spec": pod}},
    }


def config_map(name: str = "notes", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": {"text": "x"}}


def refused(act: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


def answer(act: Callable[[], object]) -> tuple[int, str]:
    error = refused(act)
    return error.code, error.reason


def stored_size(cluster: Cluster, kind: str, name: str) -> int:
    text = json.dumps(cluster.get(kind, NS, name), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


# Create


def test_create_fills_in_what_belongs_to_the_server() -> None:
    cluster = a_cluster()
    cluster.clock.advance(90)  # type: ignore[attr-defined]  # the test's clock is a VirtualClock
    made = cluster.create(
        "JobFlow", flow(uid="mine", generation=7, creationTimestamp="1999-01-01T00:00:00Z"), namespace=NS
    )
    metadata = made["metadata"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", metadata["uid"])
    assert metadata["creationTimestamp"] == "2026-01-01T00:01:30Z"
    assert metadata["generation"] == 1
    assert metadata["resourceVersion"] == "1"
    assert metadata["namespace"] == NS
    assert cluster.get("JobFlow", NS, "nightly") is made


def test_create_drops_the_status_of_a_kind_with_a_status_subresource() -> None:
    cluster = a_cluster()
    assert "status" not in cluster.create("JobFlow", {**flow(), "status": {"phase": "Succeeded"}}, namespace=NS)
    assert cluster.create("Job", {**job(), "status": {"succeeded": 1}}, namespace=NS)["status"] == {}
    pod = {"metadata": {"name": "p0"}, "status": {"phase": "Running"}}
    assert cluster.create("Pod", pod, namespace=NS)["status"] == {"phase": "Running"}


def test_create_does_not_write_into_the_body_it_is_given() -> None:
    cluster = a_cluster()
    body = job(labels={"a": "b"})
    before = copy.deepcopy(body)
    cluster.create("Job", body, namespace=NS)
    assert body == before


def test_dry_run_answers_like_create_and_stores_nothing() -> None:
    cluster = a_cluster()
    made = cluster.create("Job", job(), namespace=NS, dry_run=True)
    assert made["spec"]["backoffLimit"] == 6
    assert "resourceVersion" not in made["metadata"]
    assert cluster.resource_version == 0
    assert answer(lambda: cluster.get("Job", NS, "build")) == (404, "NotFound")
    cluster.create("Job", job(), namespace=NS)
    assert answer(lambda: cluster.create("Job", job(), namespace=NS, dry_run=True)) == (409, "AlreadyExists")


def test_generate_name_adds_five_letters_and_keeps_the_name_within_63() -> None:
    cluster = a_cluster()
    body = {"metadata": {"generateName": "x" * 62 + "-"}}
    first = cluster.create("ConfigMap", body, namespace=NS)["metadata"]["name"]
    second = cluster.create("ConfigMap", body, namespace=NS)["metadata"]["name"]
    assert re.fullmatch(r"x{58}[bcdfghjklmnpqrstvwxz2456789]{5}", first)
    assert first != second


def test_uids_differ_at_their_first_8_characters_and_repeat_with_the_seed() -> None:
    one, again, other = UidSource(1), UidSource(1), UidSource(2)
    uids = [one() for _ in range(5000)]
    assert len({uid[:8] for uid in uids}) == 5000
    assert uids == [again() for _ in range(5000)]
    assert other() != uids[0]


def test_a_preset_uid_goes_to_the_next_object_of_its_kind() -> None:
    cluster = a_cluster()
    cluster.preset_uid("JobFlow", "0a0a0a0a-0000-4000-8000-000000000001")
    assert cluster.create("Job", job(), namespace=NS)["metadata"]["uid"][:8] != "0a0a0a0a"
    assert cluster.create("JobFlow", flow(), namespace=NS)["metadata"]["uid"] == "0a0a0a0a-0000-4000-8000-000000000001"
    assert cluster.create("JobFlow", flow("b"), namespace=NS)["metadata"]["uid"][:8] != "0a0a0a0a"


@pytest.mark.parametrize(
    ("kind", "body", "then"),
    [
        pytest.param("Job", job("Upper"), (422, "Invalid"), id="a name with a capital"),
        pytest.param("ConfigMap", config_map("a" * 254), (422, "Invalid"), id="a name of 254 bytes"),
        pytest.param("ConfigMap", config_map("a_b"), (422, "Invalid"), id="a name with an underscore"),
        pytest.param("ConfigMap", {"data": {}}, (422, "Invalid"), id="no name"),
        pytest.param("ConfigMap", config_map(labels={"a": "x" * 64}), (422, "Invalid"), id="a label value of 64 bytes"),
        pytest.param(
            "ConfigMap", config_map(labels={"a/b/c": "x"}), (422, "Invalid"), id="a label key with two slashes"
        ),
        pytest.param("ConfigMap", config_map(labels={"a": 1}), (400, "BadRequest"), id="a label that is a number"),
        pytest.param("ConfigMap", config_map(labels=["a"]), (400, "BadRequest"), id="labels that are a list"),
        pytest.param("ConfigMap", config_map(annotations={"a/b/c": ""}), (422, "Invalid"), id="an annotation key"),
        pytest.param("ConfigMap", config_map(annotations={"a": True}), (400, "BadRequest"), id="a boolean annotation"),
        pytest.param(
            "ConfigMap", config_map(annotations={"a": "x" * 262_144}), (422, "Invalid"), id="annotations too big"
        ),
        pytest.param("ConfigMap", config_map(finalizers=["a b"]), (422, "Invalid"), id="a finalizer with a space"),
        pytest.param("ConfigMap", config_map(ownerReferences=[{"kind": "Job"}]), (422, "Invalid"), id="half an owner"),
        pytest.param("ConfigMap", config_map(namespace="other"), (400, "BadRequest"), id="another namespace"),
        pytest.param("ConfigMap", {**config_map(), "kind": "Secret"}, (400, "BadRequest"), id="another kind"),
        pytest.param("Job", {**job(), "apiVersion": "batch/v2"}, (400, "BadRequest"), id="another version"),
        pytest.param("ConfigMap", config_map(resourceVersion="5"), (500, ""), id="a resourceVersion"),
        pytest.param("Pod", {**config_map(), "data": {"a": "x" * 1_572_864}}, (500, ""), id="too big"),
        pytest.param(
            "JobFlow", {"metadata": {"name": "f"}, "kind": "Job"}, (422, "Invalid"), id="a custom resource's other kind"
        ),
        pytest.param(
            "Job",
            {**job(), "spec": {**job()["spec"], "backoffLimit": 2**31}},
            (400, "BadRequest"),
            id="more than an int32",
        ),
        pytest.param(
            "ConfigMap",
            {"metadata": {"generateName": "Run-"}},
            (422, "Invalid"),
            id="a prefix of no name",
        ),
        pytest.param("Unheard", config_map(), (404, "NotFound"), id="a kind that is not served"),
    ],
)
def test_create_refuses(kind: str, body: dict[str, Any], then: tuple[int, str]) -> None:
    cluster = a_cluster()
    assert answer(lambda: cluster.create(kind, body, namespace=NS)) == then
    assert cluster.resource_version == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(config_map("a" * 253), id="a name of 253 bytes"),
        pytest.param(config_map("a.b-c.9"), id="a name with dots"),
        pytest.param(config_map(labels={"a" * 63: "x" * 63, "e.io/" + "n" * 63: ""}), id="labels at their limits"),
        pytest.param(config_map(annotations={"a": "x" * 262_143}), id="annotations at their limit"),
        pytest.param(config_map(annotations={"Upper.IO/Case": ""}), id="an annotation key in capitals"),
        pytest.param(config_map(labels=None, finalizers=[]), id="nothing in many ways"),
    ],
)
def test_create_takes_what_is_just_allowed(body: dict[str, Any]) -> None:
    a_cluster().create("ConfigMap", body, namespace=NS)


def test_the_answer_to_a_resource_version_on_create_is_the_servers_own() -> None:
    error = refused(lambda: a_cluster().create("Job", job(resourceVersion="5"), namespace=NS))
    assert error.message == "resourceVersion should not be set on objects to be created"
    assert error.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "resourceVersion should not be set on objects to be created",
        "code": 500,
    }


def test_a_taken_name_is_already_exists() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    error = refused(lambda: cluster.create("Job", job(), namespace=NS))
    assert error.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'jobs.batch "build" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "build", "group": "batch", "kind": "jobs"},
        "code": 409,
    }
    cluster.create("Job", job(), namespace="other")
    cluster.create("ConfigMap", config_map("build"), namespace=NS)


def test_an_invalid_object_is_invalid_even_if_its_name_is_taken() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    bad = job()
    bad["spec"]["backoffLimit"] = -1
    assert answer(lambda: cluster.create("Job", bad, namespace=NS)) == (422, "Invalid")


def test_an_invalid_object_names_its_causes() -> None:
    error = refused(lambda: a_cluster().create("ConfigMap", config_map("A", labels={"a": "-"}), namespace=NS))
    assert [cause.field for cause in error.causes] == ["metadata.name", "metadata.labels"]
    assert error.message.startswith(
        'ConfigMap "A" is invalid: [metadata.name: Invalid value: "A": a lowercase RFC 1123'
    )
    assert error.status()["details"]["causes"][0]["reason"] == "FieldValueInvalid"


def test_nothing_is_created_in_a_terminating_namespace() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    cluster.terminate_namespace(NS)
    error = refused(lambda: cluster.create("Job", job("b"), namespace=NS))
    assert (error.code, error.reason) == (403, "Forbidden")
    assert error.causes == (
        StatusCause("NamespaceTerminating", "metadata.namespace", "namespace default is being terminated"),
    )
    cluster.patch_merge("Job", NS, "build", {"metadata": {"labels": {"still": "writable"}}})
    cluster.create("Job", job("b"), namespace="other")


# Updates


def test_generation_moves_with_the_spec_and_with_no_other_write() -> None:
    cluster = a_cluster()
    cluster.create("JobFlow", flow(), namespace=NS)

    def generation() -> int:
        number: int = cluster.get("JobFlow", NS, "nightly")["metadata"]["generation"]
        return number

    cluster.patch_merge("JobFlow", NS, "nightly", {"metadata": {"annotations": {"a": "b"}}})
    assert generation() == 1
    cluster.patch_merge("JobFlow", NS, "nightly", {"status": {"phase": "Running"}}, subresource="status")
    assert generation() == 1
    cluster.patch_merge("JobFlow", NS, "nightly", {"spec": {"suspend": True}})
    assert generation() == 2
    cluster.patch_merge("JobFlow", NS, "nightly", {"spec": {"suspend": True}})
    assert generation() == 2
    cluster.patch_json("JobFlow", NS, "nightly", [{"op": "replace", "path": "/metadata/generation", "value": 9}])
    assert generation() == 2


def test_the_main_resource_ignores_status_and_the_subresource_all_else() -> None:
    cluster = a_cluster()
    cluster.create("JobFlow", flow(), namespace=NS)
    changed = {"spec": {"x": 1}, "status": {"phase": "Running"}, "metadata": {"labels": {"a": "b"}}}
    main = cluster.patch_merge("JobFlow", NS, "nightly", changed)
    assert "status" not in main
    assert main["spec"]["x"] == 1
    changed = {"spec": {"x": 2}, "status": {"phase": "Running"}, "metadata": {"labels": {"a": "c"}}}
    status = cluster.patch_merge("JobFlow", NS, "nightly", changed, subresource="status")
    assert status["status"] == {"phase": "Running"}
    assert status["spec"]["x"] == 1
    assert status["metadata"]["labels"] == {"a": "b"}


def test_the_status_of_a_built_in_kind_takes_metadata_along() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    changed = {"spec": {"backoffLimit": 0}, "status": {"active": 1}, "metadata": {"labels": {"a": "b"}}}
    written = cluster.patch_merge("Job", NS, "build", changed, subresource="status")
    assert written["status"] == {"active": 1}
    assert written["metadata"]["labels"]["a"] == "b"
    assert written["spec"]["backoffLimit"] == 6


def test_a_kind_without_status_subresource_has_none() -> None:
    cluster = a_cluster()
    cluster.create("ConfigMap", config_map(), namespace=NS)
    act = lambda: cluster.patch_merge("ConfigMap", NS, "notes", {}, subresource="status")  # noqa: E731 used at once
    assert answer(act) == (404, "NotFound")


def test_a_write_that_changes_nothing_keeps_the_version_and_makes_no_event() -> None:
    cluster = a_cluster()
    made = cluster.create("Job", job(labels={"a": "b"}), namespace=NS)
    version = made["metadata"]["resourceVersion"]
    fence: dict[str, Any] = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    assert cluster.patch_json("Job", NS, "build", [fence]) is made
    assert cluster.patch_merge("Job", NS, "build", {"metadata": {"labels": {"a": "b"}, "annotations": {}}}) is made
    assert cluster.replace("Job", NS, "build", copy.deepcopy(dict(made))) is made
    there_and_back: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/backoffLimit", "value": 1},
        {"op": "replace", "path": "/spec/backoffLimit", "value": 6},
    ]
    assert cluster.patch_json("Job", NS, "build", there_and_back) is made
    assert cluster.resource_version == 1


def test_one_is_not_true() -> None:
    cluster = a_cluster()
    cluster.create("JobFlow", {**flow(), "spec": {"suspend": 1}}, namespace=NS)
    changed = cluster.patch_merge("JobFlow", NS, "nightly", {"spec": {"suspend": True}})
    assert changed["spec"]["suspend"] is True
    assert changed["metadata"]["resourceVersion"] == "2"


def test_the_fence_of_a_status_write_is_the_resource_version() -> None:
    cluster = a_cluster()
    cluster.create("JobFlow", flow(), namespace=NS)
    cluster.patch_merge("JobFlow", NS, "nightly", {"metadata": {"labels": {"a": "b"}}})

    def write(version: str) -> Object:
        operations: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": {"phase": "Running"}},
        ]
        return cluster.patch_json("JobFlow", NS, "nightly", operations, subresource="status")

    error = refused(lambda: write("1"))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == (
        'Operation cannot be fulfilled on jobflows.workflow.kube-zen.io "nightly": the object has been modified;'
        " please apply your changes to the latest version and try again"
    )
    assert write("2")["status"] == {"phase": "Running"}


@pytest.mark.parametrize(
    ("operations", "then"),
    [
        pytest.param([{"op": "test", "path": "/spec/backoffLimit", "value": 1}], (422, "Invalid"), id="a failed test"),
        pytest.param([{"op": "replace", "path": "/spec/nope", "value": 1}], (422, "Invalid"), id="a path not there"),
        pytest.param([{"op": "jump", "path": "/spec"}], (422, "Invalid"), id="an unknown op"),
        pytest.param({"op": "add"}, (400, "BadRequest"), id="not a list"),
        pytest.param(["add"], (400, "BadRequest"), id="a list of texts"),
        pytest.param([{"op": "replace", "path": "", "value": []}], (422, "Invalid"), id="a list in the object's place"),
        pytest.param([{"op": "add", "path": "/metadata/uid", "value": "x"}], (422, "Invalid"), id="another uid"),
        pytest.param([{"op": "add", "path": "/metadata/name", "value": "x"}], (400, "BadRequest"), id="another name"),
        pytest.param(
            [{"op": "replace", "path": "/metadata/namespace", "value": "x"}], (400, "BadRequest"), id="elsewhere"
        ),
        pytest.param([{"op": "replace", "path": "/kind", "value": "Pod"}], (422, "Invalid"), id="another kind"),
        pytest.param(
            [{"op": "add", "path": "/metadata/deletionTimestamp", "value": "2026-01-01T00:00:00Z"}],
            (422, "Invalid"),
            id="a deletion by hand",
        ),
        pytest.param([{"op": "add", "path": "/spec/backoffLimit", "value": "3"}], (422, "Invalid"), id="a wrong type"),
        pytest.param([{"op": "add", "path": "/spec/backoffLimit", "value": -1}], (422, "Invalid"), id="a wrong value"),
        pytest.param(
            [{"op": "add", "path": "/spec/completions", "value": 2}], (422, "Invalid"), id="an immutable field"
        ),
        pytest.param(
            [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 300_000}}],
            (422, "Invalid"),
            id="annotations too big",
        ),
        pytest.param([{"op": "add", "path": "/metadata/labels", "value": {"a": 5}}], (422, "Invalid"), id="a number"),
        pytest.param([{"op": "remove", "path": "/metadata"}], (400, "BadRequest"), id="metadata cannot be lost"),
    ],
)
def test_a_patch_is_refused(operations: Any, then: tuple[int, str]) -> None:
    cluster = a_cluster()
    made = cluster.create("Job", job(), namespace=NS)
    assert answer(lambda: cluster.patch_json("Job", NS, "build", operations)) == then
    assert cluster.get("Job", NS, "build") is made


def test_an_object_may_grow_to_its_limit_and_no_further() -> None:
    cluster = a_cluster(limits=ClusterLimits(object_bytes=1000))
    cluster.create("ConfigMap", config_map(), namespace=NS)
    room = 1000 - cluster.size_bytes("ConfigMap", NS, "notes")
    cluster.patch_merge("ConfigMap", NS, "notes", {"data": {"text": "x" * (room + 1)}})
    assert cluster.size_bytes("ConfigMap", NS, "notes") == 1000
    full = lambda: cluster.patch_merge("ConfigMap", NS, "notes", {"data": {"text": "x" * (room + 2)}})  # noqa: E731 once
    error = refused(full)
    assert (error.code, error.reason) == (500, "")
    assert error.message == "etcdserver: request is too large"
    assert [cause.message for cause in error.causes] == ["limit is 1000 bytes, configmaps 'notes' has 1001"]


def test_an_object_may_be_refused_before_the_store_sees_it() -> None:
    cluster = a_cluster(limits=ClusterLimits(object_bytes=1000, refused_by=SizeLimit.FRONT))
    error = refused(lambda: cluster.create("ConfigMap", config_map() | {"data": {"text": "x" * 1000}}, namespace=NS))
    assert (error.code, error.reason) == (413, "RequestEntityTooLarge")


def test_limits_can_be_lifted() -> None:
    cluster = a_cluster(limits=ClusterLimits(object_bytes=None, annotation_bytes=None))
    cluster.create("ConfigMap", config_map(annotations={"a": "x" * 2_000_000}), namespace=NS)


@pytest.mark.parametrize(
    ("kind", "body", "then"),
    [
        pytest.param("Job", job(resourceVersion="1"), (409, "Conflict"), id="an old version"),
        pytest.param("Job", job(uid="other"), (409, "Conflict"), id="another uid"),
        pytest.param("Job", job("other"), (400, "BadRequest"), id="another name"),
        pytest.param("Job", job(namespace="other"), (400, "BadRequest"), id="another namespace"),
        pytest.param("JobFlow", flow("build"), (422, "Invalid"), id="a custom resource without version"),
    ],
)
def test_replace_refuses(kind: str, body: dict[str, Any], then: tuple[int, str]) -> None:
    cluster = a_cluster()
    cluster.create("JobFlow", flow("build"), namespace=NS)
    cluster.create("Job", job(), namespace=NS)
    cluster.patch_merge("Job", NS, "build", {"metadata": {"labels": {"a": "b"}}})
    assert answer(lambda: cluster.replace(kind, NS, "build", body)) == then


def test_replace_without_a_version_is_unconditional_for_built_in_kinds() -> None:
    cluster = a_cluster()
    made = cluster.create("ConfigMap", config_map(labels={"a": "b"}), namespace=NS)
    replaced = cluster.replace("ConfigMap", NS, "notes", {"metadata": {"name": "notes"}, "data": {"new": "y"}})
    assert replaced["data"] == {"new": "y"}
    assert "labels" not in replaced["metadata"]
    assert replaced["metadata"]["uid"] == made["metadata"]["uid"]
    assert replaced["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]


@pytest.mark.parametrize("verb", ["get", "replace", "patch_json", "patch_merge", "delete"])
def test_what_is_not_there_is_not_found(verb: str) -> None:
    cluster = a_cluster()
    acts: dict[str, Callable[[], object]] = {
        "get": lambda: cluster.get("Job", NS, "build"),
        "replace": lambda: cluster.replace("Job", NS, "build", job()),
        "patch_json": lambda: cluster.patch_json("Job", NS, "build", []),
        "patch_merge": lambda: cluster.patch_merge("Job", NS, "build", {}),
        "delete": lambda: cluster.delete("Job", NS, "build"),
    }
    error = refused(acts[verb])
    assert (error.code, error.reason, error.message) == (404, "NotFound", 'jobs.batch "build" not found')


# Deletion


def test_an_object_without_finalizers_goes_at_once() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    last = cluster.delete("Job", NS, "build")
    assert answer(lambda: cluster.get("Job", NS, "build")) == (404, "NotFound")
    event = cluster.events_since(1)[0]
    assert (event.type, event.object) == (EventType.DELETED, last)
    assert last["metadata"]["resourceVersion"] == "2"
    assert "deletionTimestamp" not in last["metadata"]


def test_finalizers_keep_a_deleted_object_until_the_last_is_off() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(finalizers=["a.io/x", "a.io/y"]), namespace=NS)
    marked = cluster.delete("Job", NS, "build")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert marked["metadata"]["generation"] == 2, "the server counts the mark as a change of what is wanted"
    assert cluster.delete("Job", NS, "build") is marked
    one_left = cluster.patch_merge("Job", NS, "build", {"metadata": {"finalizers": ["a.io/y"]}})
    assert cluster.get("Job", NS, "build") is one_left
    cluster.patch_json("Job", NS, "build", [{"op": "remove", "path": "/metadata/finalizers/0"}])
    assert answer(lambda: cluster.get("Job", NS, "build")) == (404, "NotFound")
    assert [event.type for event in cluster.events_since(0)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_mark_is_for_ever_and_takes_no_new_finalizers() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(finalizers=["a.io/x"]), namespace=NS)
    cluster.delete("Job", NS, "build")
    unmark = [{"op": "remove", "path": "/metadata/deletionTimestamp"}]
    assert "deletionTimestamp" in cluster.patch_json("Job", NS, "build", unmark)["metadata"]
    later = {"metadata": {"finalizers": ["a.io/x", "a.io/z"]}}
    error = refused(lambda: cluster.patch_merge("Job", NS, "build", later))
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.causes[0].reason == "FieldValueForbidden"


@pytest.mark.parametrize(
    ("propagation", "finalizers"),
    [
        (Propagation.FOREGROUND, ["a.io/x", "foregroundDeletion"]),
        (Propagation.ORPHAN, ["a.io/x", "orphan"]),
        (Propagation.BACKGROUND, ["a.io/x"]),
        (None, ["a.io/x"]),
    ],
)
def test_propagation_is_a_finalizer(propagation: Propagation | None, finalizers: list[str]) -> None:
    cluster = a_cluster()
    cluster.create("Job", job(finalizers=["a.io/x"]), namespace=NS)
    assert cluster.delete("Job", NS, "build", propagation=propagation)["metadata"]["finalizers"] == finalizers


def test_a_later_delete_may_change_the_propagation() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    cluster.delete("Job", NS, "build", propagation="Foreground")
    cluster.delete("Job", NS, "build", propagation="Background")
    assert answer(lambda: cluster.get("Job", NS, "build")) == (404, "NotFound")


def test_an_unknown_propagation_is_invalid() -> None:
    cluster = a_cluster()
    cluster.create("Job", job(), namespace=NS)
    assert answer(lambda: cluster.delete("Job", NS, "build", propagation="Sideways")) == (422, "Invalid")


@pytest.mark.parametrize("precondition", [{"uid": "other"}, {"resource_version": "7"}], ids=["uid", "version"])
def test_an_unmet_precondition_is_a_conflict(precondition: Any) -> None:
    cluster = a_cluster()
    made = cluster.create("Job", job(), namespace=NS)["metadata"]
    error = refused(lambda: cluster.delete("Job", NS, "build", **precondition))
    assert (error.code, error.reason) == (409, "Conflict")
    assert "in the precondition" in error.message
    cluster.delete("Job", NS, "build", uid=made["uid"], resource_version=made["resourceVersion"])


def test_a_name_is_free_again_after_its_object_has_gone() -> None:
    cluster = a_cluster()
    first = cluster.create("Job", job(), namespace=NS)["metadata"]["uid"]
    cluster.delete("Job", NS, "build")
    assert cluster.create("Job", job(), namespace=NS)["metadata"]["uid"] != first


# Lists and watches


def names(cluster: Cluster, **selection: Any) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.list("ConfigMap", **selection).items]


@pytest.mark.parametrize(
    ("labels", "then"),
    [
        pytest.param(None, ["a", "b", "c"], id="no selector"),
        pytest.param({"tier": "web"}, ["a", "b"], id="a map"),
        pytest.param({"tier": "web", "env": "prod"}, ["a"], id="all of a map"),
        pytest.param("tier=web", ["a", "b"], id="equal"),
        pytest.param("tier == web , env = prod", ["a"], id="spaces and double signs"),
        pytest.param("tier!=web", ["c"], id="unequal holds for the absent"),
        pytest.param("env", ["a", "b"], id="exists"),
        pytest.param("!env", ["c"], id="does not exist"),
        pytest.param("env in (prod, test)", ["a", "b"], id="in"),
        pytest.param("env notin (prod)", ["b", "c"], id="notin holds for the absent"),
        pytest.param("tier=web,env in (test)", ["b"], id="both must hold"),
        pytest.param("env=", [], id="equal to nothing"),
    ],
)
def test_lists_select_by_label(labels: Any, then: list[str]) -> None:
    cluster = a_cluster()
    cluster.create("ConfigMap", config_map("b", labels={"tier": "web", "env": "test"}), namespace=NS)
    cluster.create("ConfigMap", config_map("a", labels={"tier": "web", "env": "prod"}), namespace=NS)
    cluster.create("ConfigMap", config_map("c"), namespace=NS)
    assert names(cluster, labels=labels) == then


@pytest.mark.parametrize("selector", ["a b", "in (", "a in b", "!a=b", "=", "a=(b"], ids=str)
def test_an_unreadable_selector_is_a_bad_request(selector: str) -> None:
    cluster = a_cluster()
    assert answer(lambda: cluster.list("ConfigMap", labels=selector)) == (400, "BadRequest")


def test_lists_select_by_field_and_namespace() -> None:
    cluster = a_cluster()
    for name, namespace in (("a", "one"), ("b", "one"), ("a", "two")):
        cluster.create("ConfigMap", config_map(name), namespace=namespace)
    assert names(cluster, namespace="one") == ["a", "b"]
    assert names(cluster, fields="metadata.name=a") == ["a", "a"]
    assert names(cluster, fields="metadata.name!=a") == ["b"]
    assert names(cluster, fields={"metadata.namespace": "two"}) == ["a"]
    assert names(cluster, namespace="none") == []
    assert answer(lambda: cluster.list("ConfigMap", fields="metadata.name")) == (400, "BadRequest")


def test_an_index_of_labels_follows_every_change() -> None:
    cluster = a_cluster()
    by_job = {"batch.kubernetes.io/job-name": "build"}
    cluster.create("Pod", {"metadata": {"name": "p", "labels": by_job}}, namespace=NS)
    cluster.create("Pod", {"metadata": {"name": "o", "labels": by_job}}, namespace="other")

    def found(**more: Any) -> list[str]:
        return [o["metadata"]["name"] for o in cluster.list("Pod", labels=by_job, **more).items]

    assert found() == ["p", "o"]
    assert found(namespace=NS) == ["p"]
    cluster.patch_merge("Pod", NS, "p", {"metadata": {"labels": {"batch.kubernetes.io/job-name": "test"}}})
    assert found(namespace=NS) == []
    cluster.patch_merge("Pod", NS, "p", {"metadata": {"labels": by_job}})
    assert found(namespace=NS) == ["p"]
    cluster.delete("Pod", NS, "p")
    assert found() == ["o"]


def test_events_follow_the_version_of_a_list_without_a_gap() -> None:
    cluster = a_cluster()
    cluster.create("ConfigMap", config_map("a"), namespace=NS)
    since = cluster.list("ConfigMap").resource_version
    cluster.create("ConfigMap", config_map("b"), namespace=NS)
    cluster.delete("ConfigMap", NS, "a")
    events = cluster.events_since(since)
    assert [(event.type, event.name, event.resource_version) for event in events] == [
        (EventType.ADDED, "b", 2),
        (EventType.DELETED, "a", 3),
    ]
    assert cluster.events_since(3) == []


def test_a_compacted_version_is_expired() -> None:
    cluster = a_cluster()
    for index in range(4):
        cluster.create("ConfigMap", config_map(f"c{index}"), namespace=NS)
    cluster.compact(2)
    assert answer(lambda: cluster.events_since(1)) == (410, "Expired")
    assert [event.resource_version for event in cluster.events_since(2)] == [3, 4]


def test_a_version_from_the_future_times_out() -> None:
    error = refused(lambda: a_cluster().events_since(5))
    assert (error.code, error.reason, error.retry_after) == (504, "Timeout", 1)


def test_a_bounded_history_forgets_the_oldest_events() -> None:
    cluster = a_cluster(history=10)
    for index in range(100):
        cluster.create("ConfigMap", config_map(f"c{index}"), namespace=NS)
    assert len(cluster.events_since(90)) == 10
    assert answer(lambda: cluster.events_since(60)) == (410, "Expired")


def test_subscribers_hear_of_a_write_until_they_leave() -> None:
    cluster = a_cluster()
    heard: list[Event] = []
    leave = cluster.subscribe(heard.append)
    cluster.create("ConfigMap", config_map("a"), namespace=NS)
    leave()
    cluster.create("ConfigMap", config_map("b"), namespace=NS)
    assert [(event.name, event.namespace) for event in heard] == [("a", NS)]


def test_an_object_seen_once_never_changes() -> None:
    cluster = a_cluster()
    check = FrozenCheck(cluster)
    made = cluster.create("JobFlow", flow(), namespace=NS)
    before = copy.deepcopy(made)
    cluster.patch_json("JobFlow", NS, "nightly", [{"op": "add", "path": "/spec/steps/0/x", "value": 1}])
    assert made == before
    assert check.mutated() == ()


def test_a_caller_who_writes_into_a_shared_object_is_found() -> None:
    cluster = a_cluster()
    check = FrozenCheck(cluster)
    made = cluster.create("JobFlow", flow(), namespace=NS)
    made["spec"]["steps"].append({"name": "sneaked in"})
    assert check.mutated() == ("JobFlow default/nightly at version 1",)


# Hooks and more kinds


def test_a_hook_before_a_request_answers_in_its_place() -> None:
    cluster = a_cluster()
    asked: list[tuple[str, str, str, str]] = []

    def quota(verb: str, kind: str, namespace: str, name: str, body: Any) -> ApiError | None:
        asked.append((verb, kind, namespace, name))
        if verb == "create":
            return forbidden(cluster.kind_info(kind).target(name), "exceeded quota: q")
        return None

    cluster.create("JobFlow", flow(), namespace=NS)
    cluster.before_request = quota
    error = refused(lambda: cluster.create("Job", job(), namespace=NS))
    assert (error.code, error.message) == (403, 'jobs.batch "build" is forbidden: exceeded quota: q')
    cluster.get("JobFlow", NS, "nightly")
    cluster.list("Job", NS)
    cluster.patch_merge("JobFlow", NS, "nightly", {"status": {"a": 1}}, subresource="status")
    cluster.replace("JobFlow", NS, "nightly", cluster.get("JobFlow", NS, "nightly"))
    cluster.delete("JobFlow", NS, "nightly")
    assert asked == [
        ("create", "Job", NS, "build"),
        ("get", "JobFlow", NS, "nightly"),
        ("list", "Job", NS, ""),
        ("patch", "JobFlow/status", NS, "nightly"),
        ("get", "JobFlow", NS, "nightly"),
        ("update", "JobFlow", NS, "nightly"),
        ("delete", "JobFlow", NS, "nightly"),
    ]
    with cluster.without_hooks():
        cluster.create("Job", job(), namespace=NS)


def test_a_hook_after_a_request_hides_what_was_done() -> None:
    cluster = a_cluster()
    cluster.after_request = lambda *_: ApiError(504, "Timeout", message="lost")
    assert answer(lambda: cluster.create("Job", job(), namespace=NS)) == (504, "Timeout")
    cluster.after_request = None
    assert cluster.get("Job", NS, "build")["metadata"]["name"] == "build"


def test_admission_sees_the_old_and_the_new_object() -> None:
    cluster = a_cluster()

    def frozen_steps(kind: str, old: Object | None, new: Object) -> ApiError | None:
        if kind == "JobFlow" and old is not None and old["spec"]["steps"] != new["spec"]["steps"]:
            return forbidden(cluster.kind_info(kind).target("nightly"), "steps cannot change")
        return None

    cluster.admissions.append(frozen_steps)
    cluster.create("JobFlow", flow(), namespace=NS)
    cluster.patch_merge("JobFlow", NS, "nightly", {"spec": {"suspend": True}})
    assert answer(lambda: cluster.patch_merge("JobFlow", NS, "nightly", {"spec": {"steps": []}})) == (403, "Forbidden")
    assert cluster.get("JobFlow", NS, "nightly")["spec"]["steps"] == [{"name": "build"}]


def test_a_registered_kind_is_served() -> None:
    cluster = a_cluster()
    cluster.register(KindInfo("CronJob", "batch", plural="cronjobs"))
    made = cluster.create("CronJob", {"metadata": {"name": "c"}}, namespace=NS)
    assert made["apiVersion"] == "batch/v1"
    error = refused(lambda: cluster.get("CronJob", NS, "d"))
    assert error.message == 'cronjobs.batch "d" not found'


def test_a_cluster_scoped_kind_has_no_namespace() -> None:
    cluster = a_cluster()
    made = cluster.create("Namespace", {"metadata": {"name": "ci"}}, namespace="ignored")
    assert "namespace" not in made["metadata"]
    assert cluster.get("Namespace", "", "ci") is made


# Laws

patches = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "replace", "remove"]),
                "path": st.sampled_from(
                    [
                        "/spec/steps/0",
                        "/spec/steps/-",
                        "/spec/x",
                        "/status",
                        "/status/steps",
                        "/status/steps/0",
                        "/status/phase",
                        "/metadata/labels",
                        "/metadata/labels/a",
                        "/metadata/annotations",
                        "/extra",
                    ]
                ),
                "value": st.sampled_from([{}, {"a": "b"}, "text", "", [], [{"n": "ü"}], 12]),
            }
        ),
        st.just({"op": "test", "path": "/metadata/name", "value": "nightly"}),
    ),
    max_size=4,
)
writes = st.lists(st.tuples(patches, st.sampled_from([None, "status"])), max_size=12)


@settings(max_examples=150)
@given(writes, st.sampled_from(["JobFlow", "ConfigMap"]))
def test_versions_rise_sizes_are_true_generation_is_the_specs_and_the_past_stays(
    history: list[tuple[list[dict[str, Any]], str | None]], kind: str
) -> None:
    cluster = a_cluster()
    check = FrozenCheck(cluster)
    body = flow() if kind == "JobFlow" else {**config_map("nightly"), "spec": {"steps": []}}
    cluster.create(kind, body, namespace=NS)
    for operations, subresource in history:
        before = cluster.get(kind, NS, "nightly")
        try:
            after = cluster.patch_json(kind, NS, "nightly", operations, subresource=subresource)
        except ApiError:
            assert cluster.get(kind, NS, "nightly") is before
            continue
        old, new = before["metadata"], after["metadata"]
        unchanged = without_version(before) == without_version(after)
        assert unchanged is (after is before)
        assert unchanged or int(new["resourceVersion"]) == int(old["resourceVersion"]) + 1 == cluster.resource_version
        spec_moved = rest(before) != rest(after)
        assert new.get("generation", 0) == old.get("generation", 0) + (spec_moved and kind == "JobFlow")
        assert cluster.size_bytes(kind, NS, "nightly") == stored_size(cluster, kind, "nightly")
    versions = [event.resource_version for event in cluster.events_since(0)]
    assert versions == sorted(set(versions))
    assert check.mutated() == ()


def without_version(obj: Mapping[str, Any]) -> dict[str, Any]:
    hidden = ("resourceVersion", "generation")
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in hidden}}


def rest(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in obj.items() if k not in ("metadata", "status")}


def test_the_size_of_a_large_flow_is_kept_while_rows_change() -> None:
    cluster = a_cluster(limits=ClusterLimits(object_bytes=None))
    cluster.create("JobFlow", flow(), namespace=NS)
    rows = [{"name": f"step-{i}", "phase": "Pending"} for i in range(10_000)]
    cluster.patch_merge("JobFlow", NS, "nightly", {"status": {"steps": rows}}, subresource="status")
    for index in (0, 77, 9_999):
        fence = cluster.get("JobFlow", NS, "nightly")["metadata"]["resourceVersion"]
        operations = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": fence},
            {
                "op": "replace",
                "path": f"/status/steps/{index}",
                "value": {"name": f"step-{index}", "phase": "Succeeded"},
            },
        ]
        cluster.patch_json("JobFlow", NS, "nightly", operations, subresource="status")
    assert cluster.size_bytes("JobFlow", NS, "nightly") == stored_size(cluster, "JobFlow", "nightly")
    assert cluster.get("JobFlow", NS, "nightly")["status"]["steps"][5] is rows[5]
