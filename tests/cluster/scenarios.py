"""What is asked of both servers. Nothing here is specific to either: no answer stands in this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from tests.cluster.conformance import (
    STRATEGIC_PATCH,
    Ask,
    Of,
    at,
    create,
    delete,
    get,
    listed,
    merge,
    patch,
    put,
    watched,
)

Scenario: TypeAlias = tuple[Ask, ...]

VERSION: Final = "metadata.resourceVersion"
UID: Final = "metadata.uid"
LONG_LABEL: Final = "x" * 64
FINALIZER: Final = "testing.kube-zen.io/hold"
LET_GO: Final = {"metadata": {"finalizers": None}}


def a(**members: Any) -> dict[str, Any]:
    """An object called `a`; `metadata` is added to its name."""
    metadata = members.pop("metadata", {})
    return {"metadata": {"name": "a", **metadata}, **members}


def sample(**members: Any) -> dict[str, Any]:
    """A custom resource called `a`."""
    return a(apiVersion="testing.kube-zen.io/v1", kind="Sample", **members)


SAMPLE: Final = sample(spec={"size": 1, "rows": ["x", "y"]})
CONFIG: Final = a(apiVersion="v1", kind="ConfigMap", data={"text": "é"})
SECRET: Final = a(apiVersion="v1", kind="Secret", data={"key": "dmFsdWU="})
CONTAINER: Final = {"name": "main", "image": "none:1"}
POD_SPEC: Final = {"restartPolicy": "Never", "containers": [CONTAINER]}
CLAIM_SPEC: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CLAIM: Final = a(apiVersion="v1", kind="PersistentVolumeClaim", spec=CLAIM_SPEC)
LEASE: Final = a(
    apiVersion="coordination.k8s.io/v1",
    kind="Lease",
    spec={"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2030-01-01T00:00:00.000000Z"},
)


def a_job(pod: Mapping[str, Any] | None = None, template: Mapping[str, Any] | None = None, **spec: Any) -> Any:
    """A Job called `a` that no controller touches, so that both servers are alone with it."""
    metadata = spec.pop("metadata", {})
    inner = {"spec": {**POD_SPEC, **(pod or {})}, **(template or {})}
    whole = {"managedBy": "testing.kube-zen.io/nobody", "template": inner, **spec}
    return a(apiVersion="batch/v1", kind="Job", metadata=metadata, spec=whole)


JOB: Final = a_job()


def op(kind: str, path: str, *value: Any) -> dict[str, Any]:
    """One operation of a JSON Patch."""
    return {"op": kind, "path": path, **({"value": value[0]} if value else {})}


def fence(version: Any) -> dict[str, Any]:
    """What a status write begins with: it fails if the object is not the one that was looked at."""
    return op("replace", "/metadata/resourceVersion", version)


NOW: Final = Of(0, VERSION)

OBJECTS: Final[Mapping[str, Scenario]] = {
    "a custom resource": (create("Sample", SAMPLE), get("Sample", "a"), listed("Sample")),
    "a status in a create is dropped": (create("Sample", {**SAMPLE, "status": {"phase": "x"}}), get("Sample", "a")),
    "a ConfigMap": (create("ConfigMap", CONFIG), get("ConfigMap", "a")),
    "a Secret": (create("Secret", SECRET), get("Secret", "a")),
    "a Secret in text": (create("Secret", a(stringData={"key": "value"})), get("Secret", "a")),
    "a claim that is stored": (
        create("PersistentVolumeClaim", CLAIM),
        merge("PersistentVolumeClaim", "a", {"metadata": {"labels": {"x": "y"}}}),
    ),
    "an Event": (
        create(
            "Event",
            a(
                apiVersion="v1",
                kind="Event",
                involvedObject={"kind": "Job", "namespace": "{ns}", "name": "j"},
                reason="Tried",
                message="so it goes",
                type="Normal",
            ),
        ),
    ),
    "an Event about something elsewhere": (
        create("Event", a(involvedObject={"kind": "Job", "name": "j"}, reason="x", message="y", type="Normal")),
        create("Event", a(involvedObject={"kind": "Job", "namespace": "elsewhere"}, reason="x", type="Normal")),
    ),
    "a Lease": (create("Lease", LEASE), get("Lease", "a")),
    "a Job": (create("Job", JOB), get("Job", "a")),
    "a Job with all that decides": (
        create(
            "Job",
            a_job(
                backoffLimit=2,
                activeDeadlineSeconds=60,
                completions=3,
                parallelism=2,
                completionMode="Indexed",
                backoffLimitPerIndex=1,
                maxFailedIndexes=1,
                ttlSecondsAfterFinished=10,
                suspend=True,
                podFailurePolicy={
                    "rules": [
                        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}},
                    ]
                },
            ),
        ),
    ),
    "no apiVersion and kind in a body": (
        create("ConfigMap", a()),
        create("Sample", {"metadata": {"name": "b"}, "spec": {}}),
        create("Sample", SAMPLE),
        put("Sample", "a", a(spec={}, metadata={"resourceVersion": Of(2, VERSION)})),
    ),
    "two of one name": (create("Sample", SAMPLE), create("Sample", SAMPLE)),
    "two Jobs of one name": (create("Job", JOB), create("Job", JOB)),
    "nothing there": (get("Sample", "no"), get("Job", "no"), get("ConfigMap", "no"), get("Pod", "no")),
    "writing to nothing": (
        merge("Sample", "no", {}),
        patch("Sample", "no", []),
        put("Sample", "a", SAMPLE),
        delete("Sample", "no"),
        merge("Job", "no", {}, "status"),
        delete("Job", "no"),
    ),
    "a version at creation": (create("Sample", sample(spec={}, metadata={"resourceVersion": "1"})),),
    "a version at creation of a Job": (create("Job", a_job(metadata={"resourceVersion": "1"})),),
    "what a client writes of the server's fields": (
        create(
            "Sample",
            sample(
                spec={},
                metadata={
                    "uid": "00000000-0000-0000-0000-000000000000",
                    "generation": 7,
                    "creationTimestamp": "2001-01-01T00:00:00Z",
                    "deletionTimestamp": "2001-01-01T00:00:00Z",
                },
            ),
        ),
    ),
    "a dry run stores nothing": (create("Sample", SAMPLE, dryRun="All"), get("Sample", "a")),
    "a dry run of a Job": (create("Job", JOB, dryRun="All"), get("Job", "a")),
    "a dry run of something else": (create("Sample", SAMPLE, dryRun="Some"),),
    "a dry run is told what is wrong": (create("Job", a_job(parallelism=-1), dryRun="All"),),
    "a dry run of what exists": (create("Sample", SAMPLE), create("Sample", SAMPLE, dryRun="All")),
    "a dry run of a put": (
        create("ConfigMap", CONFIG),
        put("ConfigMap", "a", {**CONFIG, "data": {"b": "c"}}, dryRun="All"),
        get("ConfigMap", "a"),
    ),
    "another namespace in the body": (create("Sample", sample(spec={}, metadata={"namespace": "elsewhere"})),),
    "another kind in the body": (create("Sample", {**SAMPLE, "kind": "Other"}),),
    "another version in the body": (create("Job", {**JOB, "apiVersion": "batch/v2"}),),
    "a body that is no JSON": (create("Sample", b"{"), create("Job", b"{"), create("ConfigMap", b"nothing")),
    "a body that is no object": (create("Sample", []), create("ConfigMap", [])),
    "metadata of the wrong type": (
        create("Sample", {**SAMPLE, "metadata": "a"}),
        create("Sample", sample(metadata={"labels": {"x": 1}})),
        create("ConfigMap", a(metadata={"labels": ["x"]})),
        create("ConfigMap", a(metadata={"finalizers": "x"})),
        create("Job", {**JOB, "metadata": {"name": 3}}),
    ),
    "no name at all": (create("Sample", {**SAMPLE, "metadata": {}}), create("Job", {**JOB, "metadata": {}})),
    "a kind that is not there": (Ask("GET", "/apis/batch/v1/namespaces/{ns}/cronjabs"),),
    "a media type that nobody reads": (
        patch("Sample", "a", {}, media="application/json"),
        patch("Sample", "a", {}, media=STRATEGIC_PATCH),
        Ask("POST", at("Sample"), SAMPLE, media="text/plain"),
    ),
    "a verb that a path does not take": (Ask("POST", at("Job", "a"), JOB), Ask("PUT", at("Job"), JOB)),
    "a subresource that a kind does not have": (get("ConfigMap", "a", "status"),),
}

NAMES: Final[Mapping[str, Scenario]] = {
    "a name with capitals": (
        create("Sample", sample(metadata={"name": "A"})),
        create("Job", a_job(metadata={"name": "A"})),
    ),
    "a name that ends in a dash": (create("Sample", sample(metadata={"name": "a-"})),),
    "a name that begins with a dot": (create("ConfigMap", a(metadata={"name": ".a"})),),
    "a name of 253": (create("Sample", sample(metadata={"name": "n" * 253})),),
    "a name of 254": (create("Sample", sample(metadata={"name": "n" * 254})),),
    "a Job's name of 63": (create("Job", a_job(metadata={"name": "n" * 63})),),
    "a Job's name of 64 does not fit into its labels": (create("Job", a_job(metadata={"name": "n" * 64})),),
    "a name with dots": (create("Job", a_job(metadata={"name": "a.b"})),),
    "an Indexed Job's name is a host name": (
        create("Job", a_job(metadata={"name": "a.b"}, completionMode="Indexed", completions=1)),
        create("Job", a_job(metadata={"name": "n" * 61}, completionMode="Indexed", completions=10)),
        create("Job", a_job(metadata={"name": "n" * 61}, completionMode="Indexed", completions=11)),
    ),
    "a label of 63": (create("Sample", sample(metadata={"labels": {"x": "v" * 63}})),),
    "a label of 64": (create("Sample", sample(metadata={"labels": {"x": LONG_LABEL}})),),
    "a label with a blank": (create("ConfigMap", a(metadata={"labels": {"x": "a b"}})),),
    "a label that ends in a dot": (create("Sample", sample(metadata={"labels": {"x": "a."}})),),
    "a label's key of 63": (create("Sample", sample(metadata={"labels": {"k" * 63: ""}})),),
    "a label's key of 64": (create("Sample", sample(metadata={"labels": {"k" * 64: ""}})),),
    "a label's key with two slashes": (create("Sample", sample(metadata={"labels": {"a/b/c": ""}})),),
    "a label's key with an empty prefix": (create("Sample", sample(metadata={"labels": {"/c": ""}})),),
    "a label's key with a prefix in capitals": (create("Sample", sample(metadata={"labels": {"Zen.io/c": ""}})),),
    "an annotation's key with two slashes": (
        create("Sample", sample(metadata={"annotations": {"workflow.kube-zen.io/approved/build": "true"}})),
    ),
    "annotations of any text": (create("Sample", sample(metadata={"annotations": {"x": "a b\n" * 100}})),),
    "annotations of 256 KiB": (create("Sample", sample(metadata={"annotations": {"x": "v" * (262144 - 1)}})),),
    "annotations of 256 KiB and a byte": (create("Sample", sample(metadata={"annotations": {"x": "v" * 262144}})),),
    "a finalizer without a domain": (create("Sample", sample(metadata={"finalizers": ["hold"]})),),
    "a finalizer that is none": (create("Sample", sample(metadata={"finalizers": ["a b/c"]})),),
    "a generated name": (create("Sample", {**SAMPLE, "metadata": {"generateName": "run-"}}),),
    "a name beside generateName": (create("Sample", sample(metadata={"generateName": "run-"}, spec={})),),
    "a generated name that is cut": (create("Sample", {**SAMPLE, "metadata": {"generateName": "g" * 80}}),),
    "generateName that no name begins with": (create("Sample", {**SAMPLE, "metadata": {"generateName": "-run-"}}),),
    "an owner without a uid": (
        create("Sample", sample(metadata={"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]})),
    ),
    "an owner of nothing": (create("Sample", sample(metadata={"ownerReferences": [{}]})),),
    "two controllers": (
        create(
            "Sample",
            sample(
                metadata={
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True}
                        for name in ("p", "q")
                    ]
                }
            ),
        ),
    ),
}

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

DELETES: Final[Mapping[str, Scenario]] = {
    "a delete": (create("Sample", SAMPLE), delete("Sample", "a"), get("Sample", "a"), delete("Sample", "a")),
    "a delete of a Job in the background": (
        create("Job", JOB),
        delete("Job", "a", propagationPolicy="Background"),
        get("Job", "a"),
    ),
    "a delete of a ConfigMap": (create("ConfigMap", CONFIG), delete("ConfigMap", "a")),
    "a delete of that uid": (create("Sample", SAMPLE), delete("Sample", "a", preconditions={"uid": Of(0, UID)})),
    "a delete of another uid": (
        create("Sample", SAMPLE),
        delete("Sample", "a", preconditions={"uid": "00000000-0000-0000-0000-000000000000"}),
        create("Job", JOB),
        delete("Job", "a", preconditions={"uid": "00000000-0000-0000-0000-000000000000"}),
    ),
    "a delete of that version": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        delete("Sample", "a", preconditions={"resourceVersion": NOW}),
        delete("Sample", "a", preconditions={"resourceVersion": Of(1, VERSION)}),
    ),
    "a delete that a finalizer holds up": (
        create("Sample", sample(spec={}, metadata={"finalizers": [FINALIZER]})),
        delete("Sample", "a"),
        get("Sample", "a"),
        delete("Sample", "a"),
        merge("Sample", "a", {"spec": {"size": 5}}),
        merge("Sample", "a", {"status": {"phase": "x"}}, "status"),
        merge("Sample", "a", {"metadata": {"finalizers": [FINALIZER, "testing.kube-zen.io/late"]}}),
        merge("Sample", "a", LET_GO),
        get("Sample", "a"),
    ),
    "a Foreground delete that a finalizer holds up, too": (
        create("Sample", sample(spec={}, metadata={"finalizers": [FINALIZER]})),
        delete("Sample", "a", propagationPolicy="Foreground"),
    ),
    "a create where something is being deleted": (
        create("Sample", sample(spec={}, metadata={"finalizers": [FINALIZER]})),
        delete("Sample", "a"),
        create("Sample", SAMPLE),
        merge("Sample", "a", LET_GO),
    ),
    "a policy that there is not": (create("Sample", SAMPLE), delete("Sample", "a", propagationPolicy="Sideways")),
    "a dry run of a delete": (
        create("Sample", SAMPLE),
        delete("Sample", "a", dryRun=["All"]),
        get("Sample", "a"),
        create("Job", JOB),
        delete("Job", "a", dryRun=["All"], propagationPolicy="Foreground"),
    ),
    "options of another kind": (
        create("Sample", SAMPLE),
        Ask("DELETE", at("Sample", "a"), {"kind": "Sample", "apiVersion": "testing.kube-zen.io/v1"}),
    ),
    "a policy in the query": (
        create("Sample", sample(spec={}, metadata={"finalizers": [FINALIZER]})),
        Ask("DELETE", at("Sample", "a"), query={"propagationPolicy": "Background"}),
        merge("Sample", "a", LET_GO),
    ),
    "all of a kind": (
        create("Sample", SAMPLE),
        create("Sample", {**SAMPLE, "metadata": {"name": "b", "labels": {"x": "y"}}}),
        Ask("DELETE", at("Sample"), query={"labelSelector": "x=y"}),
        listed("Sample"),
    ),
}

READS: Final[Mapping[str, Scenario]] = {
    "selectors": (
        create("Sample", sample(metadata={"labels": {"team": "x", "tier": "1"}})),
        create("Sample", {**SAMPLE, "metadata": {"name": "b", "labels": {"team": "y"}}}),
        create("Sample", {**SAMPLE, "metadata": {"name": "c"}}),
        listed("Sample", labelSelector="team=x"),
        listed("Sample", labelSelector="team!=x"),
        listed("Sample", labelSelector="team in (x,y),tier"),
        listed("Sample", labelSelector="!team"),
        listed("Sample", labelSelector="team notin (x)"),
        listed("Sample", labelSelector="="),
        listed("Sample", labelSelector="team=a b"),
        listed("Sample", fieldSelector="metadata.name=b"),
        listed("Sample", fieldSelector="metadata.name!=b"),
        listed("Sample", fieldSelector="spec.size=1"),
        listed("Job", fieldSelector="spec.suspend=true"),
    ),
    "pages": (
        *(create("ConfigMap", {"metadata": {"name": name, "labels": {"page": "y"}}}) for name in ("a", "b", "c")),
        listed("ConfigMap", limit="10", labelSelector="page=y"),
        listed("ConfigMap", limit="x"),
    ),
    "versions of a list": (
        create("Sample", SAMPLE),
        listed("Sample", resourceVersion="x"),
        listed("Sample", resourceVersionMatch="Exact"),
        listed("Sample", resourceVersion="1", resourceVersionMatch="Sometimes"),
    ),
    "a watch tells all changes from a version on": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        merge("Sample", "a", {"spec": {"size": 2}}),
        merge("Sample", "a", {"status": {"phase": "x"}}, "status"),
        delete("Sample", "a"),
        watched("Sample", NOW),
    ),
    "a watch tells what leaves its selector": (
        create("Sample", sample(spec={}, metadata={"labels": {"team": "x"}})),
        merge("Sample", "a", {"metadata": {"labels": {"team": "y"}}}),
        merge("Sample", "a", {"metadata": {"labels": {"team": "x"}}}),
        delete("Sample", "a"),
        watched("Sample", NOW, labelSelector="team=x"),
    ),
    "a watch from before memory": (create("Sample", SAMPLE), watched("Sample", "1")),
}


def with_pod(**spec: Any) -> Any:
    """A Job with these fields in its Pod."""
    return a_job(pod=spec)


def with_container(**fields: Any) -> Any:
    """A Job with these fields in its container."""
    return a_job(pod={"containers": [{**CONTAINER, **fields}]})


def with_rules(*rules: Any, **spec: Any) -> Any:
    """A Job with that podFailurePolicy."""
    return a_job(podFailurePolicy={"rules": list(rules)}, **spec)


def on_exit(action: str = "FailJob", **requirement: Any) -> dict[str, Any]:
    """A rule on exit codes."""
    return {"action": action, "onExitCodes": {"operator": "In", "values": [1], **requirement}}


INVALID_JOBS: Final[Mapping[str, Any]] = {
    "no spec": {"metadata": {"name": "a"}},
    "no template": a(spec={"managedBy": "testing.kube-zen.io/nobody"}),
    "no containers": with_pod(containers=[]),
    "no restart policy": with_pod(restartPolicy=None),
    "restart Always": with_pod(restartPolicy="Always"),
    "a restart policy that there is not": with_pod(restartPolicy="Sometimes"),
    "negative parallelism": a_job(parallelism=-1),
    "negative completions": a_job(completions=-1),
    "negative backoffLimit": a_job(backoffLimit=-1),
    "negative deadline": a_job(activeDeadlineSeconds=-1),
    "negative time to live": a_job(ttlSecondsAfterFinished=-1),
    "numbers that are text": a_job(parallelism="2"),
    "a number that is too large": a_job(backoffLimit=3_000_000_000),
    "a number with a fraction": a_job(backoffLimit=1.5),
    "a boolean that is text": a_job(suspend="yes"),
    "a mode that there is not": a_job(completionMode="Random"),
    "Indexed without completions": a_job(completionMode="Indexed"),
    "a limit per index without indexes": a_job(backoffLimitPerIndex=1),
    "failed indexes without a limit per index": a_job(completionMode="Indexed", completions=2, maxFailedIndexes=1),
    "more failed indexes than indexes": a_job(
        completionMode="Indexed", completions=2, backoffLimitPerIndex=1, maxFailedIndexes=3
    ),
    "a selector of one's own": a_job(selector={"matchLabels": {"x": "y"}}),
    "a manual selector that is missing": a_job(manualSelector=True),
    "a manual selector that selects another": a_job(manualSelector=True, selector={"matchLabels": {"x": "y"}}),
    "a label of the controller's": a_job(template={"metadata": {"labels": {"job-name": "other"}}}),
    "managed by nobody": a_job(managedBy=""),
    "managed by a name without a domain": a_job(managedBy="nobody"),
    "a replacement policy that there is not": a_job(podReplacementPolicy="Never"),
    "a replacement policy that no failure policy bears": with_rules(
        on_exit(), podReplacementPolicy="TerminatingOrFailed"
    ),
    "a failure policy and restarts in place": a_job(
        pod={"restartPolicy": "OnFailure"}, podFailurePolicy={"rules": [on_exit()]}
    ),
    "a failure policy with an action that there is not": with_rules(on_exit("Retry")),
    "a failure policy with an operator that there is not": with_rules(on_exit(operator="Over")),
    "a failure policy without exit codes": with_rules(on_exit(values=[])),
    "a failure policy for success": with_rules(on_exit(values=[0])),
    "a failure policy with unsorted exit codes": with_rules(on_exit(values=[3, 1])),
    "a failure policy with an exit code twice": with_rules(on_exit(values=[1, 1])),
    "a failure policy for a container that is not there": with_rules(on_exit(containerName="other")),
    "a failure policy without a requirement": with_rules({"action": "FailJob"}),
    "a failure policy with two requirements": with_rules(
        {**on_exit(), "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ),
    "a failure policy that fails an index without indexes": with_rules(on_exit("FailIndex")),
    "a failure policy for a condition without a type": with_rules({"action": "Ignore", "onPodConditions": [{}]}),
    "a failure policy of 21 rules": with_rules(*[on_exit()] * 21),
    "a success policy without indexes": a_job(successPolicy={"rules": [{"succeededCount": 1}]}),
    "a success policy without rules": a_job(completionMode="Indexed", completions=2, successPolicy={"rules": []}),
    "a success policy beyond the indexes": a_job(
        completionMode="Indexed", completions=2, successPolicy={"rules": [{"succeededIndexes": "5"}]}
    ),
    "a container without a name": with_pod(containers=[{"image": "none:1"}]),
    "a container without an image": with_pod(containers=[{"name": "main"}]),
    "a container's name in capitals": with_pod(containers=[{"name": "Main", "image": "none:1"}]),
    "two containers of one name": with_pod(containers=[CONTAINER, CONTAINER]),
    "an init container of a container's name": with_pod(initContainers=[CONTAINER]),
    "an image with blanks": with_container(image=" none:1"),
    "a pull policy that there is not": with_container(imagePullPolicy="Maybe"),
    "a variable without a name": with_container(env=[{"value": "x"}]),
    "a variable with an equals sign": with_container(env=[{"name": "a=b", "value": "x"}]),
    "a variable with a value and a source": with_container(
        env=[{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    ),
    "a variable with two sources": with_container(
        env=[
            {
                "name": "A",
                "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}, "fieldRef": {"fieldPath": "metadata.name"}},
            }
        ]
    ),
    "a variable from an empty source": with_container(env=[{"name": "A", "valueFrom": {}}]),
    "a variable from a key without a name": with_container(
        env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]
    ),
    "a variable from a field that there is not": with_container(
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.none"}}}]
    ),
    "a variable that is a number": with_container(env=[{"name": "A", "value": 1}]),
    "a mount of a volume that is not there": with_container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
    "a mount without a path": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v"}]}],
        }
    ),
    "two mounts at one path": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}] * 2}],
        }
    ),
    "a sub path that leaves its volume": a_job(
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../x"}]}],
        }
    ),
    "two volumes of one name": with_pod(volumes=[{"name": "v", "emptyDir": {}}] * 2),
    "a volume of two sources": with_pod(volumes=[{"name": "v", "emptyDir": {}, "configMap": {"name": "c"}}]),
    "a volume without a source": with_pod(volumes=[{"name": "v"}]),
    "a volume's name with a dot": with_pod(volumes=[{"name": "v.w", "emptyDir": {}}]),
    "a quantity that is none": with_container(resources={"requests": {"cpu": "much"}}),
    "a request beyond its limit": with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
    "a negative quantity": with_container(resources={"requests": {"cpu": "-1"}}),
    "a resource that there is not": with_container(resources={"requests": {"disk": "1"}}),
    "a port of 0": with_container(ports=[{"containerPort": 0}]),
    "a port of 65536": with_container(ports=[{"containerPort": 65536}]),
    "a probe without a handler": with_container(readinessProbe={}),
    "a negative grace period": with_pod(terminationGracePeriodSeconds=-1),
    "a deadline of 0 for a Pod": with_pod(activeDeadlineSeconds=0),
    "a DNS policy that there is not": with_pod(dnsPolicy="None of them"),
    "a toleration without a key": with_pod(tolerations=[{"operator": "Equal", "value": "x"}]),
    "a toleration of an effect that there is not": with_pod(
        tolerations=[{"key": "x", "operator": "Exists", "effect": "No"}]
    ),
    "a host name that is none": with_pod(hostname="A_b"),
    "a node selector with a bad key": with_pod(nodeSelector={"a/b/c": "d"}),
    "a label in the template that is too long": a_job(template={"metadata": {"labels": {"x": LONG_LABEL}}}),
    "an annotation in the template with two slashes": a_job(template={"metadata": {"annotations": {"a/b/c": ""}}}),
    "a sidecar that restarts sometimes": with_pod(
        initContainers=[{"name": "i", "image": "x", "restartPolicy": "Sometimes"}]
    ),
    "a security context that contradicts itself": with_container(
        securityContext={"privileged": True, "allowPrivilegeEscalation": False}
    ),
    "a command that is no list": with_container(command="true"),
    "a user that is none": with_container(securityContext={"runAsUser": -1}),
    "a seccomp profile without its file": with_container(securityContext={"seccompProfile": {"type": "Localhost"}}),
    "a variable from a field that variables cannot take": with_container(
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]
    ),
    "many things at once": a_job(
        parallelism=-1, completionMode="Random", pod={"restartPolicy": "Always", "containers": []}
    ),
}

FIXED: Final[Mapping[str, Scenario]] = {
    "a Job's template": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"template": {"spec": {"priority": 1}}}}),
        patch("Job", "a", [op("replace", "/spec/template/spec/containers/0/image", "none:2")]),
    ),
    "a suspended Job's node selector": (
        create("Job", a_job(suspend=True)),
        merge("Job", "a", {"spec": {"template": {"spec": {"nodeSelector": {"x": "y"}}}}}),
        merge("Job", "a", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "none:2"}]}}}}),
    ),
    "a Job's selector": (create("Job", JOB), merge("Job", "a", {"spec": {"selector": {"matchLabels": {"x": "y"}}}})),
    "a Job's completions": (create("Job", JOB), merge("Job", "a", {"spec": {"completions": 2}})),
    "an Indexed Job's completions": (
        create("Job", a_job(completionMode="Indexed", completions=2, parallelism=2)),
        merge("Job", "a", {"spec": {"completions": 3}}),
        merge("Job", "a", {"spec": {"completions": 3, "parallelism": 3}}),
    ),
    "a Job's completion mode": (
        create("Job", a_job(completions=2)),
        merge("Job", "a", {"spec": {"completionMode": "Indexed"}}),
    ),
    "a Job's failure policy": (
        create("Job", with_rules(on_exit())),
        patch("Job", "a", [op("replace", "/spec/podFailurePolicy/rules/0/action", "Ignore")]),
    ),
    "a Job's manager": (create("Job", JOB), merge("Job", "a", {"spec": {"managedBy": "testing.kube-zen.io/other"}})),
    "what a Job lets change": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"parallelism": 2}}),
        merge("Job", "a", {"spec": {"backoffLimit": 1}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": 2147483647}}),
        merge("Job", "a", {"spec": {"activeDeadlineSeconds": 5}}),
        merge("Job", "a", {"spec": {"suspend": True}}),
        merge("Job", "a", {"metadata": {"labels": {"x": "y"}}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": None}}),
    ),
    "a Job's numbers that turn negative": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"parallelism": -1}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": -1}}),
    ),
    "an immutable ConfigMap": (
        create("ConfigMap", {**CONFIG, "immutable": True}),
        merge("ConfigMap", "a", {"data": {"text": "x"}}),
        merge("ConfigMap", "a", {"immutable": False}),
        merge("ConfigMap", "a", {"metadata": {"labels": {"x": "y"}}}),
    ),
    "a key of both kinds of data": (create("ConfigMap", a(data={"k": "x"}, binaryData={"k": "eA=="})),),
    "a Secret in text that covers data": (
        create("Secret", a(stringData={"k": "v"}, data={"k": "eA==", "l": "eQ=="})),
        merge("Secret", "a", {"stringData": {"m": "w"}}),
    ),
    "a key of a ConfigMap that is none": (
        create("ConfigMap", a(data={"a b": "c"})),
        create("ConfigMap", a(data={"k": 1})),
        create("ConfigMap", a(binaryData={"k": "%"})),
    ),
    "a Secret that is no base64": (create("Secret", a(data={"k": "%"})),),
    "a claim": (
        create("PersistentVolumeClaim", a(spec={})),
        create("PersistentVolumeClaim", a(spec={**CLAIM_SPEC, "accessModes": ["Sometimes"]})),
        create("PersistentVolumeClaim", a(spec={**CLAIM_SPEC, "resources": {"requests": {"storage": "0"}}})),
    ),
    "a Lease whose time has no six digits": (create("Lease", a(spec={"renewTime": "2030-01-01T00:00:00Z"})),),
    "a Lease without a holder": (create("Lease", a(spec={"leaseDurationSeconds": 0})),),
}
