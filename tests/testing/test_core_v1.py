from __future__ import annotations

from typing import Any

import pytest

from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError

NS = "default"
MIB = 1_048_576


def a_cluster() -> Cluster:
    return Cluster(VirtualClock())


def body(**members: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, **members}


def claim(**spec: Any) -> dict[str, Any]:
    return body(spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec})


@pytest.mark.parametrize(
    ("kind", "made", "then"),
    [
        pytest.param("ConfigMap", body(data={"a": 1}), (400, "BadRequest"), id="a number in a ConfigMap"),
        pytest.param("ConfigMap", body(data=["a"]), (400, "BadRequest"), id="a list in a ConfigMap"),
        pytest.param("ConfigMap", body(data={"a/b": ""}), (422, "Invalid"), id="a key with a slash"),
        pytest.param("ConfigMap", body(data={"": ""}), (422, "Invalid"), id="an empty key"),
        pytest.param("ConfigMap", body(data={"a": "x" * (MIB + 1)}), (422, "Invalid"), id="a ConfigMap above 1 MiB"),
        pytest.param("ConfigMap", body(binaryData={"a": "not base64!"}), (400, "BadRequest"), id="no base64"),
        pytest.param("Secret", body(data={"a": "plain text"}), (400, "BadRequest"), id="a Secret in plain text"),
        pytest.param("PersistentVolumeClaim", body(), (422, "Invalid"), id="a claim of nothing"),
        pytest.param("PersistentVolumeClaim", claim(accessModes=["All"]), (422, "Invalid"), id="an access mode"),
        pytest.param(
            "PersistentVolumeClaim", claim(resources={"requests": {"storage": "0"}}), (422, "Invalid"), id="no storage"
        ),
        pytest.param(
            "Lease", body(spec={"renewTime": "2026-01-01T00:00:00Z"}), (400, "BadRequest"), id="a Lease in seconds"
        ),
        pytest.param("Lease", body(spec={"leaseDurationSeconds": 0}), (422, "Invalid"), id="a Lease of no time"),
        pytest.param("Lease", body(spec={"leaseTransitions": -1}), (422, "Invalid"), id="transitions below 0"),
    ],
)
def test_an_object_is_refused(kind: str, made: dict[str, Any], then: tuple[int, str]) -> None:
    with pytest.raises(ApiError) as caught:
        a_cluster().create(kind, made, namespace=NS)
    assert (caught.value.code, caught.value.reason) == then


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        pytest.param("ConfigMap", body(data={"a": "x" * MIB}), id="a ConfigMap of 1 MiB"),
        pytest.param("ConfigMap", body(data={"a.b-c_D": ""}, binaryData={"e": "AAAA"}), id="keys of all kinds"),
        pytest.param("Secret", body(data={"a": "c2VjcmV0"}, stringData={"b": "plain"}), id="a Secret both ways"),
        pytest.param("PersistentVolumeClaim", claim(), id="a claim"),
        pytest.param("Lease", body(spec={"renewTime": "2026-01-01T00:00:00.000000Z"}), id="a Lease with six digits"),
    ],
)
def test_an_object_is_accepted(kind: str, made: dict[str, Any]) -> None:
    a_cluster().create(kind, made, namespace=NS)


@pytest.mark.parametrize(
    ("kind", "made", "patch", "code"),
    [
        pytest.param("ConfigMap", body(immutable=True), {"data": {"a": "b"}}, 422, id="data of an immutable ConfigMap"),
        pytest.param("ConfigMap", body(immutable=True), {"immutable": None}, 422, id="the immutability itself"),
        pytest.param("ConfigMap", body(), {"data": {"a": "b"}}, 200, id="data of another ConfigMap"),
        pytest.param("ConfigMap", body(), {"data": {"a": 1}}, 422, id="a number"),
        pytest.param("PersistentVolumeClaim", claim(), {"spec": {"accessModes": ["ReadWriteMany"]}}, 422, id="modes"),
        pytest.param("PersistentVolumeClaim", claim(), {"spec": {"volumeName": "v"}}, 200, id="the volume it gets"),
        pytest.param("Lease", body(spec={}), {"spec": {"renewTime": "2026-01-01"}}, 422, id="a renewal in days"),
    ],
)
def test_an_update_is_checked_too(kind: str, made: dict[str, Any], patch: dict[str, Any], code: int) -> None:
    cluster = a_cluster()
    cluster.create(kind, made, namespace=NS)
    if code == 200:
        cluster.patch_merge(kind, NS, "x", patch)
        return
    with pytest.raises(ApiError) as caught:
        cluster.patch_merge(kind, NS, "x", patch)
    assert caught.value.code == code


def test_what_a_secret_is_told_in_text_is_data() -> None:
    cluster = a_cluster()
    made = cluster.create("Secret", body(data={"k": "eA==", "l": "eQ=="}, stringData={"k": "v"}), namespace=NS)
    assert (made["data"], made["type"]) == ({"k": "dg==", "l": "eQ=="}, "Opaque")
    merged = cluster.patch_merge("Secret", NS, "x", {"stringData": {"m": "w"}})
    assert merged["data"] == {"k": "dg==", "l": "eQ==", "m": "dw=="}
    assert "stringData" not in merged


@pytest.mark.parametrize(
    ("about", "code"),
    [
        pytest.param({"namespace": NS}, 200, id="about something beside it"),
        pytest.param({"namespace": "elsewhere"}, 422, id="about something elsewhere"),
        pytest.param({}, 200, id="about something without a namespace"),
    ],
)
def test_an_event_is_where_its_object_is(about: dict[str, str], code: int) -> None:
    event = body(involvedObject={"kind": "Job", "name": "j", **about})
    if code == 200:
        a_cluster().create("Event", event, namespace=NS)
        return
    with pytest.raises(ApiError) as caught:
        a_cluster().create("Event", event, namespace=NS)
    assert [cause.field for cause in caught.value.causes] == ["involvedObject.namespace"]


def test_a_bound_claim_may_grow() -> None:
    cluster = a_cluster()
    cluster.create("PersistentVolumeClaim", claim(), namespace=NS)
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(ApiError):
        cluster.patch_merge("PersistentVolumeClaim", NS, "x", larger)
    cluster.patch_merge("PersistentVolumeClaim", NS, "x", {"status": {"phase": "Bound"}})
    cluster.patch_merge("PersistentVolumeClaim", NS, "x", larger)
