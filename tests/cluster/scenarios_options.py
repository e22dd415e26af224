"""Requests with options: other forms of answers, applies, strictness, pages of lists, policies of deletes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from tests.cluster.conformance import JSON, Ask, Of, at, create, delete, get, listed, merge, patch, watched
from tests.cluster.scenarios import (
    CONFIG,
    JOB,
    NOW,
    POD_SPEC,
    SAMPLE,
    VERSION,
    Scenario,
    a,
    a_job,
    sample,
)
from tests.cluster.scenarios_writes import fence, op

APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA_ONLY: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE: Final = f"{JSON};as=Table;g=meta.k8s.io;v=v1"


def in_form(form: str, ask: Ask) -> Ask:
    """The same request for another form of answer."""
    return evolve(ask, accept=form)


def apply(kind: str, name: str, body: Any, sub: str = "", **query: str) -> Ask:
    """A server-side apply."""
    return Ask("PATCH", at(kind, name, sub), body, media=APPLY_PATCH, query=query)


def page(kind: str, *, limit: int, after: int) -> Ask:
    """The page of a list after the one that an earlier request was answered with."""
    return Ask("GET", at(kind), query={"limit": str(limit), "continue": Of(after, "metadata.continue")})


THREE: Final = tuple(create("Sample", {**SAMPLE, "metadata": {"name": name}}) for name in ("a", "b", "c"))
OTHER: Final = sample(spec={"size": 2, "color": "red"})
NOBODYS: Final = {"name": "none", "uid": "00000000-0000-0000-0000-000000000000"}

FORMS: Final[Mapping[str, Scenario]] = {
    "the metadata alone": (
        create("Sample", SAMPLE),
        in_form(METADATA_ONLY, get("Sample", "a")),
        create("Job", JOB),
        in_form(METADATA_ONLY, get("Job", "a")),
    ),
    "the metadata alone of a write": (
        create("Sample", SAMPLE),
        in_form(METADATA_ONLY, merge("Sample", "a", {"spec": {"size": 2}})),
        in_form(METADATA_ONLY, patch("Sample", "a", [fence(Of(1, VERSION)), op("add", "/status", {})], "status")),
    ),
    "the metadata alone or else all": (
        create("Sample", SAMPLE),
        in_form(f"{METADATA_ONLY},{JSON}", get("Sample", "a")),
    ),
    "the metadata alone of a list": (create("Sample", SAMPLE), in_form(METADATA_LIST, listed("Sample"))),
    "the metadata alone of nothing": (in_form(METADATA_ONLY, get("Sample", "a")),),
}

APPLIES: Final[Mapping[str, Scenario]] = {
    "an apply that creates": (apply("Sample", "a", SAMPLE, fieldManager="m"), get("Sample", "a")),
    "an apply twice": (
        apply("Sample", "a", SAMPLE, fieldManager="m"),
        apply("Sample", "a", SAMPLE, fieldManager="m"),
    ),
    "an apply that takes a field back": (
        apply("Sample", "a", OTHER, fieldManager="m"),
        apply("Sample", "a", sample(spec={"size": 2}), fieldManager="m"),
    ),
    "two who apply different fields": (
        apply("Sample", "a", sample(spec={"size": 2}), fieldManager="m"),
        apply("Sample", "a", sample(spec={"color": "red"}), fieldManager="n"),
    ),
    "two who apply one field": (
        apply("Sample", "a", sample(spec={"size": 2}), fieldManager="m"),
        apply("Sample", "a", sample(spec={"size": 3}), fieldManager="n"),
        apply("Sample", "a", sample(spec={"size": 3}), fieldManager="n", force="true"),
    ),
    "an apply without a manager": (apply("Sample", "a", SAMPLE),),
    "an apply of the status": (
        create("Sample", SAMPLE),
        apply("Sample", "a", sample(status={"phase": "x"}), "status", fieldManager="m"),
    ),
    "an apply of a status of nothing": (
        apply("Sample", "a", sample(status={"phase": "x"}), "status", fieldManager="m"),
    ),
    "a dry run of an apply": (
        apply("Sample", "a", SAMPLE, fieldManager="m", dryRun="All"),
        get("Sample", "a"),
    ),
}

STRICTNESS: Final[Mapping[str, Scenario]] = {
    "an unknown field of a Job, strictly": (create("Job", a_job(unknown=1), fieldValidation="Strict"),),
    "an unknown field of a Job, with a warning": (create("Job", a_job(unknown=1), fieldValidation="Warn"),),
    "an unknown field of a Job, ignored": (create("Job", a_job(unknown=1), fieldValidation="Ignore"),),
    "a strictness that there is not": (create("Job", JOB, fieldValidation="Somewhat"),),
    "nothing unknown, strictly": (create("Job", JOB, fieldValidation="Strict"),),
    "a dry run of a merge": (
        create("Sample", SAMPLE),
        Ask(
            "PATCH",
            at("Sample", "a"),
            {"spec": {"size": 9}},
            media="application/merge-patch+json",
            query={"dryRun": "All"},
        ),
        get("Sample", "a"),
    ),
    "a dry run of a fence": (
        create("Sample", SAMPLE),
        evolve(patch("Sample", "a", [fence("1"), op("add", "/spec/x", 1)]), query={"dryRun": "All"}),
    ),
}

LISTS: Final[Mapping[str, Scenario]] = {
    "pages of one": (
        *THREE,
        listed("Sample", limit="1"),
        page("Sample", limit=1, after=3),
        page("Sample", limit=1, after=4),
    ),
    "a page that nobody began": (listed("Sample", limit="1", **{"continue": "nonsense"}),),
    "a page and a version at once": (
        *THREE,
        listed("Sample", limit="1"),
        Ask(
            "GET",
            at("Sample"),
            query={"limit": "1", "continue": Of(3, "metadata.continue"), "resourceVersion": "1"},
        ),
    ),
    "a match without a version": (listed("Sample", resourceVersionMatch="NotOlderThan"),),
    "an exact version of nothing": (listed("Sample", resourceVersion="0", resourceVersionMatch="Exact"),),
    "a list from the past": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"spec": {"size": 2}}),
        Ask("GET", at("Sample"), query={"resourceVersion": NOW, "resourceVersionMatch": "Exact"}),
        Ask("GET", at("Sample"), query={"resourceVersion": NOW, "resourceVersionMatch": "NotOlderThan"}),
        listed("Sample", resourceVersion="0"),
    ),
    "a watch that begins with all": (
        create("Sample", SAMPLE),
        watched(
            "Sample", "", sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
        ),
    ),
    "a watch that begins with all without a match": (watched("Sample", "", sendInitialEvents="true"),),
    "a watch from a version that is none": (watched("Sample", "x"),),
}

POLICIES: Final[Mapping[str, Scenario]] = {
    "both preconditions, of which one fails": (
        create("Sample", SAMPLE),
        delete("Sample", "a", preconditions={"uid": Of(0, "metadata.uid"), "resourceVersion": "1"}),
        delete("Sample", "a", preconditions={"uid": NOBODYS["uid"], "resourceVersion": NOW}),
        get("Sample", "a"),
    ),
    "a grace period that is negative": (create("Sample", SAMPLE), delete("Sample", "a", gracePeriodSeconds=-5)),
    "a policy and orphans at once": (
        create("Sample", SAMPLE),
        delete("Sample", "a", propagationPolicy="Background", orphanDependents=True),
    ),
    "a generation that a status leaves": (
        create("Sample", SAMPLE),
        merge("Sample", "a", {"status": {"observedGeneration": 1}}, "status"),
        merge("Sample", "a", {"spec": {"size": 4}}),
        merge("Sample", "a", {"status": {"observedGeneration": 2}}, "status"),
    ),
    "a version that a Job's status is fenced by": (
        create("Job", JOB),
        patch("Job", "a", [fence("1"), op("add", "/status/active", 1)], "status"),
        patch("Job", "a", [op("test", "/spec/suspend", True), op("add", "/status/active", 1)], "status"),
        patch("Job", "a", [fence(NOW), op("add", "/status/active", 1)], "status"),
    ),
    "a ConfigMap that is too large by a merge": (
        create("ConfigMap", CONFIG),
        merge("ConfigMap", "a", {"data": {"k": "x" * 1_048_577}}),
    ),
    "several fields of a Job that may not change": (
        create("Job", a_job(completions=2)),
        merge("Job", "a", {"spec": {"completions": 3, "completionMode": "Indexed", "managedBy": "x.io/y"}}),
        merge("Job", "a", {"spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "OnFailure"}}}}),
    ),
    "an empty object": (create("ConfigMap", a()), merge("ConfigMap", "a", {"data": {}})),
}
