"""Compiling: ranks, defaults, sources, what is shared and what is hashed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan, plan_of
from zenflow_core.expressions import Constant
from zenflow_core.plan import (
    ConfigMapKey,
    FixedValue,
    KeyRead,
    OutputRead,
    Plan,
    PlannedStep,
    ResourceKind,
    ResourceRef,
    RetryRule,
    SecretEnv,
    Segment,
)
from zenflow_core.settings import Settings, Unmoved
from zenflow_core.spec import BackoffType, ConcurrencyPolicy, JobFlow, Shutdown
from zenflow_core.validation import examine, fingerprint

JOB = {
    "spec": {
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36", "args": ["a"]}]}
        }
    }
}


def echo(*args: str) -> dict[str, Any]:
    main = {"name": "main", "image": "busybox:1.36", "args": list(args)}
    return {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [main]}}}}


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    made = {"name": name, "dependencies": list(after), "template": JOB, **fields}
    if fields.get("type") == "Manual" or "templateRef" in fields:
        del made["template"]
    return made


def flow(*steps: dict[str, Any], **spec: Any) -> JobFlow:
    read = read_flow(
        {
            "apiVersion": "workflow.kube-zen.io/v1alpha1",
            "kind": "JobFlow",
            "metadata": {"name": "nightly"},
            "spec": {"steps": list(steps), **spec},
        }
    )
    assert not isinstance(read, tuple), read
    return read


def plan(*steps: dict[str, Any], **spec: Any) -> Plan:
    made = compile_plan(flow(*steps, **spec))
    assert isinstance(made, Plan), made
    return made


def only(**fields: Any) -> PlannedStep:
    """The one step of a flow, with these fields."""
    return plan(step("a", **fields)).steps[0]


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        pytest.param([step("a"), step("b", "a"), step("c", "b")], "a b c", id="a chain as it is written"),
        pytest.param([step("c", "b"), step("b", "a"), step("a")], "a b c", id="a chain written backwards"),
        pytest.param([step("a"), step("b"), step("c", "a", "b")], "a b c", id="two roots, then the join"),
        pytest.param([step("x", "z"), step("y"), step("z")], "y z x", id="ties in the order of the spec"),
        pytest.param(
            [step("ea"), step("eb"), step("ta", "ea"), step("tb", "eb"), step("m", "ta", "tb"), step("l", "m")],
            "ea eb ta tb m l",
            id="extract, transform, merge, load",
        ),
    ],
)
def test_ranks(steps: list[dict[str, Any]], names: str) -> None:
    made = plan(*steps)
    assert [each.name for each in made.steps] == names.split()
    assert [each.rank for each in made.steps] == list(range(len(steps)))
    assert dict(made.by_name) == {each.name: each.rank for each in made.steps}


def test_rows_are_places_in_the_spec_and_edges_are_ranks() -> None:
    made = plan(step("c", "a", "b", "a"), step("b", "a"), step("a"))
    assert [(each.name, each.row, each.upstream, each.downstream) for each in made.steps] == [
        ("a", 2, (), (1, 2)),
        ("b", 1, (0,), (2,)),
        ("c", 0, (0, 1), ()),
    ]


def test_finally_steps_stand_behind_all_main_steps() -> None:
    made = plan(
        step("b", "a"),
        step("a"),
        **{"finally": [step("last", "first", when="steps.a.phase == 'Failed'"), step("first")]},
    )
    assert [(each.name, each.segment, each.row, each.upstream) for each in made.steps] == [
        ("a", Segment.MAIN, 1, ()),
        ("b", Segment.MAIN, 0, (0,)),
        ("first", Segment.FINALLY, 3, ()),
        ("last", Segment.FINALLY, 2, (2,)),
    ]
    assert made.main == 2
    assert made.steps[3].when_reads == (0,)


def test_a_flow_without_an_execution_policy_has_the_defaults() -> None:
    made = plan(step("a"))
    assert made.concurrency_policy is ConcurrencyPolicy.FORBID
    assert made.backoff_limit == 6
    assert made.ttl == timedelta(days=1)
    assert (made.parallelism, made.deadline, made.finally_deadline, made.concurrency_group) == (None, None, None, None)
    assert (made.fail_fast, made.suspend, made.shutdown, made.pod_failure_policy) == (False, False, None, None)
    assert made.refused == ""


def test_what_the_execution_policy_says() -> None:
    made = plan(
        step("a"),
        executionPolicy={
            "concurrencyPolicy": "Replace",
            "concurrencyGroup": "g",
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": 0,
            "activeDeadlineSeconds": 60,
            "finallyDeadlineSeconds": 30,
            "parallelism": 2,
            "failFast": True,
        },
        suspend=True,
        shutdown="Stop",
    )
    assert made.concurrency_policy is ConcurrencyPolicy.REPLACE
    assert (made.concurrency_group, made.parallelism, made.backoff_limit) == ("g", 2, 0)
    assert (made.ttl, made.deadline, made.finally_deadline) == (
        timedelta(0),
        timedelta(seconds=60),
        timedelta(seconds=30),
    )
    assert (made.fail_fast, made.suspend, made.shutdown) == (True, True, Shutdown.STOP)


SECOND, CEILING = timedelta(seconds=1), timedelta(hours=720)
EXPONENTIAL, FIXED = BackoffType.EXPONENTIAL, BackoffType.FIXED


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        pytest.param(None, None, id="absent: no retries by us"),
        pytest.param({}, RetryRule(3, EXPONENTIAL, duration=SECOND, factor=2.0, ceiling=CEILING), id="empty: 3"),
        pytest.param({"limit": 0}, RetryRule(0, EXPONENTIAL, duration=SECOND, factor=2.0, ceiling=CEILING), id="none"),
        pytest.param(
            {"limit": 5, "backoff": {"type": "Fixed", "duration": "1m30s"}},
            RetryRule(5, FIXED, duration=timedelta(seconds=90), factor=2.0, ceiling=CEILING),
            id="a fixed pause",
        ),
        pytest.param(
            {"backoff": {"type": "Exponential", "duration": "", "factor": 3, "maxDuration": "1h"}},
            RetryRule(3, EXPONENTIAL, duration=SECOND, factor=3.0, ceiling=timedelta(hours=1)),
            id="an empty duration is not given",
        ),
    ],
)
def test_retry(policy: dict[str, Any] | None, rule: RetryRule | None) -> None:
    fields = {} if policy is None else {"retryPolicy": policy}
    assert only(**fields).retry == rule


@pytest.mark.parametrize(
    ("fields", "manual", "message"),
    [
        pytest.param({}, False, "", id="a template means a Job"),
        pytest.param({"type": "Manual"}, True, "Waiting for manual approval of step a", id="Manual with the old words"),
        pytest.param({"type": "Manual", "message": "Ship it?"}, True, "Ship it?", id="Manual with words"),
        pytest.param({"type": None, "template": None}, True, "Waiting for manual approval of step a", id="neither"),
    ],
)
def test_type(fields: dict[str, Any], manual: bool, message: str) -> None:
    made = only(**fields)
    assert (made.manual, made.message, made.template is None) == (manual, message, manual)


def parameters(*each: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [{"name": f"p{index}", **source} for index, source in enumerate(each)]}


def test_sources_of_inputs_and_what_they_read() -> None:
    made = plan(
        step("b", "a", inputs=parameters(
            {"value": ""},
            {"valueFrom": {"jsonPath": "a:$.digest"}},
            {"valueFrom": {"jsonPath": " a : $.size ", "default": "0"}},
            {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}, "default": "d"}},
            {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
            {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"valueFrom": {"parameter": "env"}},
        ), template=echo(*(f"{{{{.parameters.p{index}}}}}" for index in range(7)))),
        step("a", outputs={"parameters": [{"name": "digest", "valueFrom": {"jsonPath": "$.digest"}}]}),
        parameters=[{"name": "env", "value": "prod"}],
    )  # fmt: skip
    a, b = made.steps
    assert [each.source for each in b.inputs] == [
        FixedValue(""),
        OutputRead(a.name, 0, "$.digest"),
        OutputRead(a.name, 0, "$.size", "0"),
        KeyRead(ConfigMapKey("c", "k"), "d"),
        KeyRead(ConfigMapKey("c", "k"), ""),
        SecretEnv("s", "k"),
        FixedValue("prod"),
    ]
    assert a.reads == ("$.digest", "$.size")
    assert [(each.name, each.path) for each in a.outputs] == [("digest", "$.digest")]
    assert a.documented
    assert not b.documented
    assert dict(made.parameters) == {"env": "prod"}


def test_when_reads_are_ranks() -> None:
    made = plan(
        step("c", "b", when="steps.b.phase == 'Succeeded' || steps.a.phase == 'Succeeded'"),
        step("b", "a"),
        step("a", when="always"),
    )
    assert [each.when_reads for each in made.steps] == [(), (), (0, 1)]
    assert made.steps[0].when == Constant("always", True)


def test_other_fields_of_a_step() -> None:
    made = only(timeoutSeconds=60, continueOnFailure=True, metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}})
    assert made.timeout == timedelta(seconds=60)
    assert made.continue_on_failure
    assert (made.labels, made.annotations) == ({"a": "b"}, {"c": "d"})


def test_a_timeout_that_no_clock_can_reach_is_none() -> None:
    assert plan(step("a"), executionPolicy={"activeDeadlineSeconds": 2**63 - 1}).deadline is None


def test_a_template_gets_its_kind_and_loses_what_belongs_to_a_live_job() -> None:
    metadata = {"name": "x", "uid": "1", "resourceVersion": "2", "labels": {"team": "data"}, "creationTimestamp": None}
    template = only(template={**JOB, "metadata": metadata, "status": {"succeeded": 1}}).template
    assert template is not None
    assert template.source == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {"team": "data"}},
        "spec": JOB["spec"],
    }


def test_null_fields_of_a_template_are_left_out() -> None:
    template = only(template={"spec": {**JOB["spec"], "backoffLimit": None}}).template
    assert template is not None
    assert template.source["spec"] == JOB["spec"]


def test_a_shared_template_is_compiled_once_and_equal_ones_are_one() -> None:
    made = plan(
        step("a", templateRef="t"),
        step("b", templateRef="t"),
        step("c", template=echo("x")),
        step("d", template=echo("x")),
        step("e", template=echo("y")),
        templates=[{"name": "t", "template": JOB}],
    )
    a, b, c, d, e = (each.template for each in made.steps)
    assert a is b
    assert c is d
    assert e is not d


def test_types_of_fields_are_known_to_placeholders() -> None:
    template = only(
        inputs=parameters({"value": "3"}), template={"spec": {**JOB["spec"], "parallelism": "{{.parameters.p0}}"}}
    ).template
    assert template is not None
    assert [leaf.type for leaf in template.leaves] == ["integer"]


def test_resources_are_kept_as_they_are_written() -> None:
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {
        "requests": {"storage": "1Gi"}}}}  # fmt: skip
    config_map = {"metadata": {"name": "c"}, "data": {"a": "b"}}
    made = plan(step("a"), resourceTemplates={"volumeClaimTemplates": [claim], "configMapTemplates": [config_map]})
    assert made.resources == {
        ResourceRef(ResourceKind.CLAIM, "d"): claim,
        ResourceRef(ResourceKind.CONFIG_MAP, "c"): config_map,
    }


def test_problems_instead_of_a_plan_all_at_once() -> None:
    found = compile_plan(flow(step("a", "b"), step("c", "d")))
    assert isinstance(found, tuple)
    assert [problem.path for problem in found] == ["spec.steps[0].dependencies[0]", "spec.steps[1].dependencies[0]"]


def test_warnings_do_not_keep_a_flow_from_running() -> None:
    examination = examine(flow(step("a"), step("b", "a", "a")))
    assert [warning.rule for warning in examination.warnings] == ["ZF206"]
    assert isinstance(plan_of(examination), Plan)


BASE = flow(step("a"), parameters=[{"name": "p", "value": "1"}])


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param(flow(step("a"), parameters=[{"name": "p", "value": "1"}]), True, id="read again"),
        pytest.param(evolve(BASE, metadata=evolve(BASE.metadata, name="other")), True, id="another name"),
        pytest.param(evolve(BASE, spec=evolve(BASE.spec, suspend=True)), True, id="suspended"),
        pytest.param(
            evolve(BASE, spec=evolve(BASE.spec, execution_policy=evolve(BASE.spec.execution_policy, parallelism=1))),
            True,
            id="another policy",
        ),
        pytest.param(
            flow(step("a", continueOnFailure=False), parameters=[{"name": "p", "value": "1"}]), True,
            id="a default that is written",
        ),
        pytest.param(flow(step("a"), parameters=[{"name": "p", "value": "2"}]), False, id="another parameter value"),
        pytest.param(flow(step("a"), step("b"), parameters=[{"name": "p", "value": "1"}]), False, id="one more step"),
        pytest.param(
            flow(step("a", template=echo("b")), parameters=[{"name": "p", "value": "1"}]), False, id="another template"
        ),
    ],
)  # fmt: skip
def test_the_fingerprint_covers_what_never_changes_and_nothing_else(changed: JobFlow, same: bool) -> None:
    assert (fingerprint(changed) == fingerprint(BASE)) is same


def test_the_fingerprint_is_the_same_in_every_version() -> None:
    """Stored in status: a flow that runs while zenflow is upgraded must not look edited."""
    made = plan(step("a"), parameters=[{"name": "p", "value": "1"}])
    assert made.fingerprint == fingerprint(BASE) == FINGERPRINT


FINGERPRINT = "4168a0b8840f64528b7baea962b60b34a53d65c0cf3a1489bead397d82288f6d"


@given(st.permutations(range(6)), st.data())
def test_any_graph_compiles_to_ranks_that_follow_it(order: list[int], data: st.DataObject) -> None:
    steps = []
    for place, number in enumerate(order):
        after = data.draw(st.sets(st.sampled_from(order[:place]))) if place else set()
        steps.append(step(f"s{number}", *(f"s{each}" for each in sorted(after))))
    written = data.draw(st.permutations(steps))
    made = plan(*written)
    for each in made.steps:
        assert all(before < each.rank for before in each.upstream)
        assert all(each.rank in made.steps[before].downstream for before in each.upstream)
        assert {made.steps[before].name for before in each.upstream} == set(written[each.row]["dependencies"])
        assert written[each.row]["name"] == each.name


def test_a_flow_without_conditions_and_templates_loads_neither_cel_nor_the_schema_nor_networkx() -> None:
    """Start-up counts: `zenflow validate` of a small flow should feel like nothing."""
    code = """
import sys
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
compile_plan(read_flow({"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow", "metadata": {"name": "x"},
                        "spec": {"steps": [{"name": "gate", "type": "Manual"}]}}))
loaded = {"networkx", "cel_expr_python", "jsonschema_rs", "jsonpath"} & sys.modules.keys()
sys.exit(", ".join(sorted(loaded)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in EXAMPLES])
def test_the_examples_compile(path: Path) -> None:
    read = read_flow(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert isinstance(read, JobFlow), read
    assert isinstance(compile_plan(read), Plan), compile_plan(read)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        pytest.param(Settings(), False, id="in a simulation it runs"),
        pytest.param(Settings(unmoved=Unmoved.REFUSED), True, id="where nobody moves artifacts it is refused"),
        pytest.param(Settings("artifacts:1", unmoved=Unmoved.REFUSED), False, id="with an image it runs"),
    ],
)
def test_a_flow_with_artifacts(settings: Settings, *, refused: bool) -> None:
    making = step("a", outputs={"artifacts": [{"name": "report", "path": "/out/report"}]})
    found = compile_plan(flow(making), settings=settings)
    assert isinstance(found, tuple) is refused
    if isinstance(found, tuple):
        assert [(p.path, p.rule) for p in found] == [("spec.steps[0].outputs.artifacts", "ZF712")]


def test_a_flow_without_artifacts_needs_nobody_to_move_them() -> None:
    assert isinstance(compile_plan(flow(step("a")), settings=Settings(unmoved=Unmoved.REFUSED)), Plan)
