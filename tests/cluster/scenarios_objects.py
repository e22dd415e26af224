"""Requests that make objects: of each kind, and with each sort of name, label and owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
)
from tests.cluster.scenarios import (
    CLAIM,
    CONFIG,
    JOB,
    LEASE,
    LONG_LABEL,
    SAMPLE,
    SECRET,
    VERSION,
    Scenario,
    a,
    a_job,
    sample,
)

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
