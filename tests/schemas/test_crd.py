"""The CRD refuses nothing that runs and drops nothing that is written; what it can express, it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from tests.core import test_conformance_validation as conformance
from tests.core import test_validation as validation
from tests.core.builders import at
from tests.core.drawn import flow_records, records
from tests.schemas.crd import definition, dropped, edit_refusals, refusals, schema
from zenflow_core import reasons as r
from zenflow_core.codec import read_flow, write_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan, PlannedStep, ResourceKind, ResourceRef
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.recording import full_status
from zenflow_core.spec import ArtifactStore, JobFlow, S3Location, StepName
from zenflow_core.state import Condition, FlowPhase, FlowRecord, JobRef, StepPhase, StepRecord, Stopwatch, Tally
from zenflow_core.status import write_flow as write_status
from zenflow_core.status import write_progress, write_row
from zenflow_core.validation import validate
from zenflow_testing.cases.format import SUFFIX, read_case
from zenflow_testing.operator import Flow
from zenflow_testing.outcomes import CalmOutcomes, SeededOutcomes
from zenflow_testing.simulation import simulate
from zenflow_testing.strategies import manifests

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*.yaml"))
CASES = sorted((ROOT / "tests" / "cases").glob(f"*{SUFFIX}"))


def manifest(*steps: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    kind = {"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow"}
    return {**kind, "metadata": {"name": "nightly"}, "spec": {"steps": list(steps) or [step()], **fields}}


def step(name: str = "a", **fields: Any) -> dict[str, Any]:
    made = {"name": name, **fields}
    return made if {"template", "templateRef", "type"} & made.keys() else {**made, "template": validation.job()}


def flow_in(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


# --- what runs is accepted, and stored as it is -----------------------------------------------------------------------


def flows_of_cases() -> Iterator[Any]:
    for path in CASES:
        loaded = read_case(path.read_bytes(), file=str(path))
        assert not isinstance(loaded, tuple), loaded
        written = loaded.case.flow
        read = read_flow(dict(written)) if written is not None else ()
        if isinstance(read, JobFlow) and not validate(read):
            yield pytest.param(written, id=path.name.removesuffix(SUFFIX))


@pytest.mark.parametrize(
    "written", [*(pytest.param(flow_in(path), id=path.stem) for path in EXAMPLES), *flows_of_cases()]
)
def test_a_flow_is_accepted_and_nothing_of_it_dropped(written: Mapping[str, Any]) -> None:
    assert refusals(written) == []
    assert [*dropped(written)] == []


@settings(max_examples=60)
@given(manifests())
def test_a_drawn_flow_is_accepted_and_nothing_of_it_dropped(written: dict[str, Any]) -> None:
    assert refusals(written) == []
    assert [*dropped(written)] == []


def rows_of(test: Any) -> list[Any]:
    """The rows of a parametrized test."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return list(mark.args[1])


JUDGED: list[Any] = [
    *(pytest.param(write_flow(row.values[0]), id=f"{row.id}") for row in rows_of(validation.test_finds)),
    *(pytest.param(write_flow(row.values[0]), id=f"{row.id}") for row in rows_of(validation.test_finds_nothing)),
    *(pytest.param(manifest() | {"spec": spec}, id=f"accepted: {fact}") for fact, spec in conformance.OK),
    *(pytest.param(manifest() | {"spec": spec}, id=f"refused: {fact}") for fact, spec in conformance.REFUSED),
]


@pytest.mark.parametrize("written", JUDGED)
def test_nothing_is_refused_that_validation_lets_through(written: dict[str, Any]) -> None:
    read = read_flow(deepcopy(written))
    wrong = read if isinstance(read, tuple) else validate(read)
    assert wrong or refusals(written) == []


# --- what the CRD can express ----------------------------------------------------------------------------------------

EXPRESSED = {
    "ZF201", "ZF203", "ZF205", "ZF401", "ZF402", "ZF403", "ZF411", "ZF412", "ZF419", "ZF501", "ZF502", "ZF601", "ZF602",
    "ZF605", "ZF606", "ZF610", "ZF702",
}  # fmt: skip
"""Rules that hold on a single step or parameter; what needs two steps or a Job's schema is left to validation."""


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(write_flow(row.values[0]), id=str(row.id))
        for row in rows_of(validation.test_finds)
        if row.values[1] in EXPRESSED and row.id != "ZF501 is empty"  # the CRD does not look into templates
    ],
)
def test_what_can_be_expressed_is_refused(written: dict[str, Any]) -> None:
    assert refusals(written)


KEY = {"name": "settings", "key": "level"}


def takes(**source: Any) -> dict[str, Any]:
    return step(inputs={"parameters": [{"name": "x", **source}]})


def fetches(**source: Any) -> dict[str, Any]:
    return step(inputs={"artifacts": [{"name": "x", **source}]})


def policy(**fields: Any) -> dict[str, Any]:
    return manifest(executionPolicy=fields)


@pytest.mark.parametrize(
    ("written", "where"),
    [
        pytest.param(manifest() | {"spec": {"steps": []}}, "spec.steps: ", id="no steps"),
        pytest.param({k: v for k, v in manifest().items() if k != "spec"}, ": ", id="no spec"),
        pytest.param(manifest(step("A")), "spec.steps[0].name: ", id="a step's name with a capital"),
        pytest.param(manifest(step("a.")), "spec.steps[0].name: ", id="a step's name that ends with a dot"),
        pytest.param(manifest(step("a\n")), "spec.steps[0].name: ", id="a step's name with a line feed"),
        pytest.param(manifest(step(dependencies=["a"])), "spec.steps[0]: a step cannot", id="a step after itself"),
        pytest.param(manifest(step(type="Job", template=None)), "spec.steps[0]: a step of", id="no template"),
        pytest.param(manifest(step(type="manual", template={})), "spec.steps[0].type: ", id="a type in small letters"),
        pytest.param(manifest(step(timeoutSeconds=0)), "spec.steps[0].timeoutSeconds: ", id="a timeout of 0 s"),
        pytest.param(manifest(step(timeoutSeconds=2_592_001)), "spec.steps[0].timeoutSeconds: ", id="30 days and 1 s"),
        pytest.param(
            manifest(step(retryPolicy={"limit": -1})), "spec.steps[0].retryPolicy.limit: ", id="-1 retries"
        ),
        pytest.param(
            manifest(step(retryPolicy={"backoff": {"duration": "1 minute"}})),
            "spec.steps[0].retryPolicy.backoff.duration: ", id="a duration in words",
        ),
        pytest.param(manifest(takes(value="x", valueFrom={"parameter": "p"})), "spec.steps[0].inputs", id="two values"),
        pytest.param(manifest(takes()), "spec.steps[0].inputs.parameters[0]: ", id="no value"),
        pytest.param(manifest(takes(valueFrom={"default": "x"})), "spec.steps[0].inputs", id="no source"),
        pytest.param(
            manifest(takes(valueFrom={"configMapKeyRef": KEY, "secretKeyRef": KEY})),
            "spec.steps[0].inputs.parameters[0].valueFrom: ", id="two sources",
        ),
        pytest.param(manifest(fetches()), "spec.steps[0].inputs.artifacts[0]: ", id="an artifact without source"),
        pytest.param(
            manifest(fetches(http={"url": "https://x"}, s3={"bucket": "b", "key": "k"})),
            "spec.steps[0].inputs.artifacts[0]: ", id="an artifact of two stores",
        ),
        pytest.param(
            manifest(fetches(**{"from": "a/x"}, http={"url": "https://x"})),
            "spec.steps[0].inputs.artifacts[0]: ", id="an artifact of a step and a store",
        ),
        pytest.param(manifest(**{"finally": [step(dependencies=["a"])]}), "spec.finally[0]: ", id="finally as steps"),
        pytest.param(policy(concurrencyPolicy="Queue"), "spec.executionPolicy.concurrencyPolicy: ", id="a policy"),
        pytest.param(policy(ttlSecondsAfterFinished=2**31), "spec.executionPolicy.ttl", id="beyond an int32"),
        pytest.param(policy(activeDeadlineSeconds=0), "spec.executionPolicy.activeDeadline", id="a deadline of 0 s"),
        pytest.param(policy(parallelism=0), "spec.executionPolicy.parallelism: ", id="no Job at once"),
        pytest.param(policy(podFailurePolicy={"rules": []}), "spec.executionPolicy.podFailurePolicy", id="no rules"),
        pytest.param(manifest(parameters=[{"name": "p"}]), "spec.parameters[0]: a parameter", id="without a value"),
        pytest.param(
            manifest(parameters=[{"name": "p", "value": "c", "enum": ["a", "b"]}]), "spec.parameters[0]: the value",
            id="a value that enum does not list",
        ),
        pytest.param(manifest(shutdown="Now"), "spec.shutdown: ", id="a shutdown of its own"),
        pytest.param(manifest(retryOf={"name": "x"}), "spec.retryOf: ", id="retryOf without a uid"),
        pytest.param(manifest(suspend="false"), "spec.suspend: ", id="a boolean in quotes"),
    ],
)  # fmt: skip
def test_is_refused(written: dict[str, Any], where: str) -> None:
    (said,) = refusals(written)
    assert said.startswith(where), said


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(manifest(step(template=None)), id="an approval that does not say so"),
        pytest.param(manifest(step(type="Manual", template=validation.job())), id="an approval with a template"),
        pytest.param(manifest(takes(value="", valueFrom={"parameter": "p"})), id="an empty value beside another"),
        pytest.param(manifest(takes(value="")), id="an empty value"),
        pytest.param(manifest(parameters=[{"name": "p", "value": "", "enum": []}]), id="an enum that lists nothing"),
        pytest.param(policy(ttlSecondsAfterFinished=2**31 - 1, backoffLimit=0), id="the bounds of numbers"),
        pytest.param(manifest(step("a" * 253, timeoutSeconds=2_592_000)), id="the longest name and timeout"),
        pytest.param(manifest(step(retryPolicy={"backoff": {"duration": ""}})), id="an empty duration"),
        pytest.param(manifest(step(retryPolicy={"backoff": {"duration": "1h30m0.5s"}})), id="a long duration"),
        pytest.param(manifest(step(when=None, metadata=None)), id="nulls"),
        pytest.param(manifest(fetches(path="", **{"from": "b/x"})), id="an empty path of an input"),
    ],
)
def test_is_accepted(written: dict[str, Any]) -> None:
    assert refusals(written) == []


# --- edits -----------------------------------------------------------------------------------------------------------

STARTED = manifest(
    step("a"), step("b", templateRef="t", dependencies=["a"]),
    templates=[{"name": "t", "template": validation.job()}], parameters=[{"name": "p", "value": "1"}],
    resourceTemplates={"configMapTemplates": [{"metadata": {"name": "c"}, "data": {"k": "v"}}]},
    retryOf={"name": "nightly-1", "uid": "u"}, executionPolicy={"parallelism": 2}, **{"finally": [step("f")]},
)  # fmt: skip


def edited(path: str, value: Any) -> dict[str, Any]:
    """STARTED with one value replaced; None removes it."""
    changed = deepcopy(STARTED)
    *places, last = (int(place) if place.isdigit() else place for place in path.split("."))
    node: Any = changed["spec"]
    for place in places:
        node = node[place]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("steps.0.name", "c", id="a step's name"),
        pytest.param("steps.0.template.spec.template.spec.containers.0.image", "x:2", id="an image deep in a template"),
        pytest.param("steps.1", None, id="a step less"),
        pytest.param("finally", None, id="finally gone"),
        pytest.param("finally.0.when", "always", id="a condition in finally"),
        pytest.param("templates.0.template.spec.backoffLimit", 3, id="a shared template"),
        pytest.param("templates", None, id="templates gone"),
        pytest.param("parameters.0.value", "2", id="a parameter's value"),
        pytest.param("parameters", None, id="parameters gone"),
        pytest.param("resourceTemplates.configMapTemplates.0.data.k", "w", id="data of a ConfigMap"),
        pytest.param("resourceTemplates", None, id="resourceTemplates gone"),
        pytest.param("retryOf.uid", "v", id="another origin"),
        pytest.param("retryOf", None, id="no origin any more"),
    ],
)
def test_what_a_flow_is_cannot_be_edited(path: str, value: Any) -> None:
    changed = edited(path, value)
    part = path.partition(".")[0]
    (said,) = edit_refusals(STARTED, changed)
    assert said == f"spec.{part}: {part} cannot be changed once the flow exists; create another flow"
    if value is None and path == part:
        (said,) = edit_refusals(changed, STARTED)
        assert part in said, "nor can it be added"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("suspend", True, id="suspend"),
        pytest.param("shutdown", "Stop", id="stop"),
        pytest.param("executionPolicy", None, id="no policy any more"),
        pytest.param("executionPolicy.parallelism", 5, id="parallelism"),
        pytest.param("executionPolicy.ttlSecondsAfterFinished", 0, id="ttl"),
    ],
)
def test_how_a_flow_runs_can_be_edited(path: str, value: Any) -> None:
    assert edit_refusals(STARTED, edited(path, value)) == []


# --- status ----------------------------------------------------------------------------------------------------------

NOON = at("12:00:00")
EVERYTHING = StepRecord(
    phase=StepPhase.FAILED, attempt=2, started_at=NOON, finished_at=NOON, retry_at=NOON, refusals=1, condition_met=True,
    watch=Stopwatch(timedelta(seconds=5), NOON), job=JobRef("nightly-a-0a0a0a0a", "u"), failure=r.JobLost(NOON),
    outputs={"o": r.OutputValue("1", json=True)}, reads={"$.o": r.OutputValue("1", json=True)},
    artifacts={"f": r.StoredArtifact("00" * 32, 1, "claim:f")}, approver="alice", holds=(r.BacksOff(NOON),),
    cause=r.InputMissing(NOON, "p", "not there"),
)  # fmt: skip
"""A record with every field, which no life has."""
FLOW = FlowRecord(
    started_at=NOON, completed_at=NOON, ended=r.Terminated(NOON), phase=FlowPhase.FAILED,
    conditions=(Condition("Failed", status=True, reason="Terminated", since=NOON, message="x"),),
    holds=(r.KeptUntil(NOON),), resources=(ResourceRef(ResourceKind.CONFIG_MAP, "nightly-c"),), fingerprint="f",
    observed_generation=1, artifact_store=ArtifactStore(S3Location("b", "k/")),
)  # fmt: skip


def check_status(status: Any) -> None:
    written = manifest() | {"status": json.loads(json.dumps(status))}
    assert refusals(written) == []
    assert [*dropped(written)] == []


@pytest.mark.parametrize("seed", [None, 1, 2, 7])
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem != "fan-out-300"], ids=lambda path: path.stem)
def test_every_status_of_a_life_is_accepted_and_nothing_of_it_dropped(path: Path, seed: int | None) -> None:
    read = read_flow(flow_in(path))
    assert isinstance(read, JobFlow)
    plan = compile_plan(read)
    assert isinstance(plan, Plan)
    seen: set[str] = set()

    def watch(_: Flow, __: Observed, now: Instant, decision: Decision) -> None:
        status = full_status(decision.state)
        seen.add(status["phase"])
        check_status(status)

    outcomes = CalmOutcomes() if seed is None else SeededOutcomes(seed)
    simulate(read, plan, outcomes, watcher=watch)
    assert seen & {"Succeeded", "Failed"}


@given(records, flow_records)
def test_whatever_is_remembered_is_accepted_and_nothing_of_it_dropped(record: StepRecord, flow: FlowRecord) -> None:
    check_status(write_status(flow) | {"steps": [write_row(PlannedStep(StepName("a"), 0, 0), record)]})


def test_the_columns_show_what_is_stored() -> None:
    (version,) = definition()["spec"]["versions"]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    status = schema()["properties"]["status"]["properties"]
    assert list(columns) == ["Phase", "Progress", "Steps", "Age", "Failed", "Reason", "Message"]
    for path in columns.values():
        *places, last = path.split("]")[0].replace("[?(@", "").split("=")[0].strip(".").split(".")
        if places[0] == "status":
            node = status[places[1]] if len(places) > 1 else status[last]
            inner = node.get("items", node).get("properties", {})
            assert len(places) == 1 or last in inner, path


def test_every_field_that_is_declared_can_be_written() -> None:
    """A field of the status that nothing writes would be a promise that nobody keeps."""
    written = fields_written()
    declared = set(declared_paths(schema()["properties"]["status"], ""))
    assert declared - written == set()
    assert written - declared == set()


def declared_paths(node: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, inner in node.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from declared_paths(inner.get("items", inner), f"{path}.{name}")


def fields_written() -> set[str]:
    compiled = compile_plan(read_flow(manifest(step("a"))))  # type: ignore[arg-type] # the manifest is a right one
    assert isinstance(compiled, Plan)
    row = write_row(PlannedStep(StepName("a"), 0, 0), EVERYTHING)
    status = {**write_status(FLOW), "progress": write_progress(Tally(), compiled), "steps": [row]}
    found: set[str] = set()

    def walk(value: Any, node: Mapping[str, Any], path: str) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item, node["items"], path)
        elif isinstance(value, Mapping) and "properties" in node:
            for name, item in value.items():
                found.add(f"{path}.{name}")
                walk(item, node["properties"].get(name, {}), f"{path}.{name}")

    walk(status, schema()["properties"]["status"], "")
    return found
