"""Requests that delete, read and watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.cluster.conformance import (
    Ask,
    Of,
    at,
    create,
    delete,
    get,
    listed,
    merge,
    watched,
)
from tests.cluster.scenarios import CONFIG, FINALIZER, JOB, LET_GO, NOW, SAMPLE, UID, VERSION, Scenario, sample

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
