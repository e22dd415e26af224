"""Where a container's paths are on disk, and what its variables are."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from zenflow_testing.local.environment import VariableError, resolved, variables
from zenflow_testing.local.mounts import Mount, Mounts, VolumeError, mounts_of, volumes_of

MOUNTS = Mounts((Mount("/data/in", Path("/disk/a")), Mount("/data", Path("/disk/b")), Mount("/out", Path("/disk/c"))))


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        pytest.param("cat /data/x", "cat /disk/b/x", id="below a mount"),
        pytest.param("/data/in", "/disk/a", id="the longest mount counts"),
        pytest.param("/data/inner", "/disk/b/inner", id="a name that goes on is another name"),
        pytest.param("/database", "/database", id="a path that only begins alike"),
        pytest.param("/srv/data", "/srv/data", id="a path inside another path"),
        pytest.param("/data.old", "/data.old", id="a name with an ending"),
        pytest.param("ends with /data.", "ends with /disk/b.", id="a full stop ends a sentence, not a name"),
        pytest.param("a:/data:/out", "a:/disk/b:/disk/c", id="a list of paths"),
        pytest.param("f=/out/y>/out/z", "f=/disk/c/y>/disk/c/z", id="several in one word"),
        pytest.param('{"to":"/out"}', '{"to":"/disk/c"}', id="inside JSON"),
    ],
)
def test_paths_of_mounts_become_paths_on_disk(text: str, moved: str) -> None:
    assert MOUNTS.moved(text) == moved


def _objects(kind: str, name: str) -> Any:
    known = {
        ("ConfigMap", "conf"): {
            "data": {"a": "1", "b": "zwei"},
            "binaryData": {"c": base64.b64encode(b"\xff").decode()},
        },
        ("Secret", "key"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
    }
    return known.get((kind, name))


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        pytest.param({"configMap": {"name": "conf"}}, {"a": b"1", "b": b"zwei", "c": b"\xff"}, id="a ConfigMap"),
        pytest.param(
            {"configMap": {"name": "conf", "items": [{"key": "a", "path": "x/y"}]}}, {"x/y": b"1"}, id="one of its keys"
        ),
        pytest.param({"secret": {"secretName": "key"}}, {"token": b"s3cret"}, id="a Secret"),
        pytest.param({"emptyDir": {}}, {}, id="an empty folder"),
        pytest.param({"configMap": {"name": "gone", "optional": True}}, {}, id="an optional one that is not there"),
    ],
)
def test_a_volume_is_a_folder(volume: Any, files: dict[str, bytes], tmp_path: Path) -> None:
    pod = {"spec": {"volumes": [{"name": "v", **volume}]}}

    folder = volumes_of(pod, tmp_path / "pod", tmp_path / "claims", _objects)["v"]

    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"configMap": {"name": "gone"}}, "ConfigMap gone does not exist here: bring it with --with FILE"),
        ({"nfs": {"server": "x", "path": "/"}}, "volume v is of kind nfs, which only a cluster has"),
        (
            {"hostPath": {"path": "/no/such/path"}},
            "volume v is hostPath /no/such/path, which this machine does not have",
        ),
    ],
)
def test_a_volume_that_cannot_be_had_says_why(volume: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=why):
        volumes_of({"spec": {"volumes": [{"name": "v", **volume}]}}, tmp_path, tmp_path, _objects)


def test_a_sub_path_is_a_folder_of_its_own_in_the_volume(tmp_path: Path) -> None:
    container = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/job", "subPath": "deep/er"}]}

    mounts = mounts_of(container, {"v": tmp_path}, termination_log=tmp_path / "message")

    assert mounts.moved("/job/x > /dev/termination-log") == f"{tmp_path}/deep/er/x > {tmp_path}/message"
    assert (tmp_path / "deep/er").is_dir()


@pytest.mark.parametrize(
    ("text", "known", "value"),
    [
        ("$(A)-$(B)", {"A": "1"}, "1-$(B)"),
        ("$$(A)", {"A": "1"}, "$(A)"),
        ("$A ${A}", {"A": "1"}, "$A ${A}"),
        ("a$$b$$$(A)", {"A": "1"}, "a$b$1"),
    ],
)
def test_references_are_resolved_as_kubernetes_does(text: str, known: dict[str, str], value: str) -> None:
    assert resolved(text, known) == value


POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}, "annotations": {}},
    "spec": {"serviceAccountName": "sa"},
}


@pytest.mark.parametrize(
    ("container", "found"),
    [
        pytest.param(
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(A)"}]},
            {"A": "1", "B": "11"},
            id="values",
        ),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "b"}}}]},
            {"A": "zwei"},
            id="a key of a ConfigMap",
        ),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}}]},
            {"A": "s3cret"},
            id="a key of a Secret",
        ),
        pytest.param(
            {"envFrom": [{"prefix": "P_", "configMapRef": {"name": "conf"}}], "env": [{"name": "P_a", "value": "own"}]},
            {"P_a": "own", "P_b": "zwei", "P_c": "\udcff"},
            id="all keys, and its own last",
        ),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]},
            {"A": "x"},
            id="a label",
        ),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "b", "optional": True}}}]},
            {},
            id="an optional key that is not there",
        ),
    ],
)
def test_the_variables_of_a_container(container: Any, found: dict[str, str]) -> None:
    assert variables(container, POD, _objects) == found


def test_a_variable_that_cannot_be_had_says_which() -> None:
    container = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "z"}}}]}
    with pytest.raises(VariableError, match="env A: ConfigMap conf has no key z"):
        variables(container, POD, _objects)
