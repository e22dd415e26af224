"""Requests that change objects: puts, merges and JSON Patches, and what is too large for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.cluster.conformance import (
    STRATEGIC_PATCH,
    Of,
    create,
    get,
    merge,
    patch,
    put,
)
from tests.cluster.scenarios import CONFIG, CONTAINER, JOB, NOW, SAMPLE, UID, VERSION, Scenario, a, a_job, sample


def op(kind: str, path: str, *value: Any) -> dict[str, Any]:
    """One operation of a JSON Patch."""
    return {"op": kind, "path": path, **({"value": value[0]} if value else {})}


def fence(version: Any) -> dict[str, Any]:
    """What a status write begins with: it fails if the object is not the one that was looked at."""
    return op("replace", "/metadata/resourceVersion", version)


WRITES: Final[Mapping[str, Scenario]] = {
    "a put raises the generation": (
        create("Sample", SAMPLE),
        put(
            "Sample",
            "a",
            {
                **a(spec={"size": 2}, metadata={"resourceVersion": NOW}),
                "kind": "Sample",
                "apiVersion": "testing.kube-zen.io/v1",
            },
        ),
        get("Sample", "a"),
    ),
    "a put of the same changes nothing": (
        create("ConfigMap", CONFIG),
        put("ConfigMap", "a", CONFIG),
        get("ConfigMap", "a"),
    ),
    "a put of a custom resource without a version": (create("Sample", SAMPLE), put("Sample", "a", SAMPLE)),
    "a put of a ConfigMap without a version": (
        create("ConfigMap", CONFIG),
        put("ConfigMap", "a", {**CONFIG, "data": {"b": "c"}}),
    ),
    "a put of a stale version": (
        create("ConfigMap", CONFIG),
        merge("ConfigMap", "a", {"data": {"b": "c"}}),
        put("ConfigMap", "a", {**CONFIG, "metadata": {"name": "a", "resourceVersion": NOW}}),
    ),
    "a put under another name": (create("Sample", SAMPLE), put("Sample", "a", {**SAMPLE, "metadata": {"name": "b"}})),
    "a put of another uid": (
        create("ConfigMap", CONFIG),
        put("ConfigMap", "a", {**CONFIG, "metadata": {"name": "a", "uid": "00000000-0000-0000-0000-000000000000"}}),
    ),
    "a put of what is not there": (put("ConfigMap", "a", CONFIG), put("Job", "a", JOB)),
    "a merge raises the generation once": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        merge("Sample", "a", {"spec": {"size": 2}}),
        merge("Sample", "a", {"metadata": {"labels": {"x": "y"}}}),
    ),
    "a merge removes what is null": (
        create("Sample", sample(spec={"b": 1, "c": {"d": 2}}, metadata={"labels": {"x": "y", "z": "w"}})),
        merge("Sample", "a", {"spec": {"c": {"d": None}}, "metadata": {"labels": {"x": None}}}),
    ),
    "a merge of a list replaces it": (create("Sample", SAMPLE), merge("Sample", "a", {"spec": {"rows": ["z"]}})),
    "a merge against a stale version": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        merge("Sample", "a", {"spec": {"size": 3}, "metadata": {"resourceVersion": NOW}}),
    ),
    "a merge that is no object": (create("Sample", SAMPLE), merge("Sample", "a", [])),
    "a merge that changes the kind": (create("Sample", SAMPLE), merge("Sample", "a", {"kind": "Other"})),
    "a merge that changes a Job's kind": (create("Job", JOB), merge("Job", "a", {"kind": "Other"})),
    "a merge that changes a Job's version": (create("Job", JOB), merge("Job", "a", {"apiVersion": "batch/v2"})),
    "a merge that takes the name away": (create("Sample", SAMPLE), merge("Sample", "a", {"metadata": {"name": None}})),
    "a merge into another namespace": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"namespace": "elsewhere"}}),
    ),
    "a merge that cannot be read any more": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"labels": {"x": 1}}}),
        create("Job", JOB),
        merge("Job", "a", {"spec": {"parallelism": "x"}}),
        merge("Job", "a", {"spec": {"backoffLimit": 3_000_000_000}}),
    ),
    "a merge of what a Job does not know": (create("Job", JOB), merge("Job", "a", {"spec": {"unknown": 1}})),
    "a merge that changes the name": (create("Sample", SAMPLE), merge("Sample", "a", {"metadata": {"name": "b"}})),
    "a merge that changes the uid": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}),
    ),
    "a merge that changes the generation": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"generation": 9}}),
    ),
    "a merge that changes the time of creation": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}),
    ),
    "a merge that marks it as deleted": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
        get("Sample", "a"),
    ),
    "a merge with a bad label": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"metadata": {"labels": {"x": "a b"}}}),
    ),
    "the main resource leaves the status": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"status": {"phase": "x"}}),
        merge("Sample", "a", {"status": {"phase": "x"}, "spec": {"size": 3}}),
    ),
    "the status leaves all else": (
        create("Sample", SAMPLE),
        merge(
            "Sample", "a", {"status": {"phase": "x"}, "spec": {"size": 9}, "metadata": {"labels": {"x": "y"}}}, "status"
        ),
        get("Sample", "a", "status"),
        merge("Sample", "a", {"status": None}, "status"),
    ),
    "a put of the status": (
        create("Sample", SAMPLE),
        put(
            "Sample",
            "a",
            {**SAMPLE, "status": {"phase": "x"}, "metadata": {"name": "a", "resourceVersion": NOW}},
            "status",
        ),
        put("Sample", "a", {**SAMPLE, "status": {"phase": "y"}}, "status"),
        put(
            "Sample",
            "a",
            {**SAMPLE, "status": {"phase": "y"}, "metadata": {"name": "a", "resourceVersion": NOW}},
            "status",
        ),
    ),
    "the status of a Job takes labels along": (
        create("Job", JOB),
        merge("Job", "a", {"status": {"active": 1}, "metadata": {"labels": {"x": "y"}}}, "status"),
        merge("Job", "a", {"status": {"active": 2}, "spec": {"suspend": True}}, "status"),
    ),
    "a fence": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [fence(NOW), op("add", "/status", {"rows": [1]})], "status"),
        patch("Sample", "a", [fence(NOW), op("replace", "/status/rows", [2])], "status"),
        patch("Sample", "a", [fence(Of(1, VERSION)), op("replace", "/status/rows/0", 3)], "status"),
        get("Sample", "a"),
    ),
    "a fence comes before a bad path": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        patch("Sample", "a", [fence(NOW), op("replace", "/status/rows/7", 3)], "status"),
    ),
    "a fence that is no version": (create("Sample", SAMPLE), patch("Sample", "a", [fence("none")], "status")),
    "a fence that is a number": (create("Sample", SAMPLE), patch("Sample", "a", [fence(1)], "status")),
    "an empty fence": (create("Sample", SAMPLE), patch("Sample", "a", [fence(""), op("add", "/spec/x", 1)])),
    "a test in place of a fence": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("test", "/metadata/resourceVersion", "1"), op("add", "/status", {})], "status"),
    ),
    "a fence on a Job": (
        create("Job", JOB),
        patch("Job", "a", [fence("1"), op("replace", "/spec/suspend", True)]),
        patch("Job", "a", [fence(NOW), op("replace", "/spec/suspend", True)]),
    ),
    "a uid in a JSON Patch": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("replace", "/metadata/uid", "00000000-0000-0000-0000-000000000000")], "status"),
        patch("Sample", "a", [op("replace", "/metadata/uid", "00000000-0000-0000-0000-000000000000")]),
        patch("Sample", "a", [op("test", "/metadata/uid", Of(0, UID)), op("add", "/status", {"x": 1})], "status"),
    ),
    "a JSON Patch of nothing": (create("Sample", SAMPLE), patch("Sample", "a", [])),
    "a JSON Patch that is no list": (create("Sample", SAMPLE), patch("Sample", "a", {"op": "add"})),
    "a JSON Patch of no objects": (create("Sample", SAMPLE), patch("Sample", "a", [1])),
    "a JSON Patch that is no JSON": (create("Sample", SAMPLE), patch("Sample", "a", b"[")),
    "an unknown operation": (create("Sample", SAMPLE), patch("Sample", "a", [op("put", "/spec", 1)])),
    "an operation without a path": (create("Sample", SAMPLE), patch("Sample", "a", [{"op": "remove"}])),
    "an operation without a value": (create("Sample", SAMPLE), patch("Sample", "a", [op("add", "/spec/x")])),
    "a path without a slash": (create("Sample", SAMPLE), patch("Sample", "a", [op("add", "spec", 1)])),
    "removing what is not there": (create("Sample", SAMPLE), patch("Sample", "a", [op("remove", "/spec/none")])),
    "replacing what is not there": (create("Sample", SAMPLE), patch("Sample", "a", [op("replace", "/spec/none", 1)])),
    "adding below what is not there": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("add", "/status/x", 1)], "status"),
    ),
    "adding at the end of a list": (create("Sample", SAMPLE), patch("Sample", "a", [op("add", "/spec/rows/-", "z")])),
    "adding at the length of a list": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("add", "/spec/rows/2", "z")]),
    ),
    "adding beyond the end of a list": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("add", "/spec/rows/3", "z")]),
    ),
    "adding in the middle of a list": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("add", "/spec/rows/1", "z")]),
    ),
    "an index that is none": (create("Sample", SAMPLE), patch("Sample", "a", [op("add", "/spec/rows/x", "z")])),
    "a negative index": (create("Sample", SAMPLE), patch("Sample", "a", [op("replace", "/spec/rows/-1", "z")])),
    "moving and copying": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [{"op": "move", "from": "/spec/size", "path": "/spec/extent"}]),
        patch("Sample", "a", [{"op": "copy", "from": "/spec/rows", "path": "/spec/lines"}]),
        patch("Sample", "a", [{"op": "copy", "from": "/spec/none", "path": "/spec/lines"}]),
    ),
    "a test of a number that is another type": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("test", "/spec/size", True)]),
        patch("Sample", "a", [op("test", "/spec/size", "1")]),
        patch("Sample", "a", [op("test", "/spec/size", 1), op("test", "/spec/rows", ["x", "y"])]),
    ),
    "all or nothing": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("add", "/spec/x", 1), op("test", "/spec/size", 9)]),
        get("Sample", "a"),
    ),
    "replacing the whole object": (create("Sample", SAMPLE), patch("Sample", "a", [op("replace", "", {"spec": {}})])),
    "a JSON Patch of too many operations": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [op("test", "/spec/size", 1)] * 10_000),
        patch("Sample", "a", [op("test", "/spec/size", 1)] * 10_001),
    ),
    "a strategic patch of a Job": (
        create("Job", JOB),
        patch("Job", "a", {"metadata": {"labels": {"x": "y"}}, "spec": {"suspend": True}}, media=STRATEGIC_PATCH),
    ),
}

TOO_LARGE: Final[Mapping[str, Scenario]] = {
    "a custom resource beyond the store's limit": (create("Sample", sample(spec={"text": "x" * 1_600_000})),),
    "a status beyond the store's limit": (
        create("Sample", SAMPLE),
        patch("Sample", "a", [fence(NOW), op("add", "/status", {"text": "x" * 1_600_000})], "status"),
        get("Sample", "a"),
    ),
    "a body beyond what a server reads": (create("Sample", sample(spec={"text": "x" * 3_200_000})),),
    "a patch beyond what a server reads": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"status": {"text": "x" * 3_200_000}}, "status"),
    ),
    "a ConfigMap of 1 MiB": (create("ConfigMap", a(data={"k": "x" * 1_048_576})),),
    "a ConfigMap of 1 MiB and a byte": (create("ConfigMap", a(data={"k": "x" * 1_048_577})),),
    "a Job of that size": (create("Job", a_job(pod={"containers": [{**CONTAINER, "args": ["x" * 1_600_000]}]})),),
}
