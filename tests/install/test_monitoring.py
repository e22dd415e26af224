"""Every query of the alerts and of the dashboard, parsed, and held to the metrics and labels that the operator has.

Labels are those of the registry's own metrics; of the gauges, those of a scrape with one flow and one watch in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import promql_parser as promql
import pytest
import yaml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

from tests.install.objects import DEPLOY, ROOT
from zenflow_runtime.metrics import Metrics, State, Watching

RULES: Final = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))
DASHBOARD: Final = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
ALERTS: Final[list[dict[str, Any]]] = [rule for group in RULES["groups"] for rule in group["rules"]]

SCRAPED: Final = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""

GRAFANA: Final = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*"}

UNLABELLED_GAUGES: Final[Mapping[str, tuple[str, ...]]] = {
    "zen_flow_jobflows": ("phase", "namespace"),
    "zen_flow_steps": ("phase", "namespace"),
    "zen_flow_step_execution_queue_depth": ("namespace",),
    "zen_flow_approvals_pending": ("namespace",),
}
"""Gauges with no series while there is no flow; docs/operator.md says the same."""


def exposed() -> dict[str, frozenset[str]]:
    """The labels of each series of the operator, by its name."""
    metrics = Metrics()
    metrics.watch_state(State(flows=lambda: (), watches=lambda: (Watching("jobs", list_age=1.0, heard_age=1.0),)))
    found: dict[str, frozenset[str]] = {}
    for each in vars(metrics).values():
        if isinstance(each, MetricWrapperBase):
            labels = frozenset(each._labelnames)  # the registry has no other way to ask
            if each._type == "counter":
                found[f"{each._name}_total"] = labels
            else:
                assert each._type == "histogram"
                found |= {f"{each._name}_{part}": labels for part in ("sum", "count")}
                found[f"{each._name}_bucket"] = labels | {"le"}
    for family in metrics.registry.collect():
        if isinstance(family, GaugeMetricFamily):
            of_samples = frozenset(label for sample in family.samples for label in sample.labels)
            found[family.name] = of_samples or frozenset(UNLABELLED_GAUGES.get(family.name, ()))
    return found


EXPOSED: Final = exposed()


def nodes(expression: Any) -> Iterator[Any]:
    """An expression and all that is in it."""
    yield expression
    inner: tuple[Any, ...]
    match expression:
        case promql.BinaryExpr():
            inner = (expression.lhs, expression.rhs)
        case promql.Call():
            inner = tuple(expression.args)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            inner = (expression.expr,)
        case promql.MatrixSelector():
            inner = (expression.vector_selector,)
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            inner = ()
        case other:
            raise AssertionError(f"a kind of expression that is not read: {other}")
    for each in inner:
        yield from nodes(each)


def selected(expression: Any) -> frozenset[str]:
    """All labels that the series have which an expression reads."""
    names = [each.name for each in nodes(expression) if isinstance(each, promql.VectorSelector) and each.name]
    return frozenset(label for name in names for label in EXPOSED.get(name, ())) | SCRAPED


def mistakes(text: str) -> list[str]:
    """Metrics and labels of a query that the operator does not have."""
    found: list[str] = []
    expression = promql.parse(text)
    for node in nodes(expression):
        if isinstance(node, promql.VectorSelector):
            if node.name is None or node.name not in EXPOSED:
                found.append(f"no metric {node.name}")
                continue
            named = {matcher.name for matcher in node.matchers.matchers} - SCRAPED
            found += [f"{node.name} has no label {name}" for name in sorted(named - EXPOSED[node.name])]
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found += [f"no label {name} in {node}" for name in sorted(set(node.modifier.labels) - selected(node))]
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Every query that Grafana sends, by its panel."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"]
            for variable, value in GRAFANA.items():
                text = text.replace(variable, value)
            yield f"{panel['title']} {target['refId']}", text


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_there(rule: dict[str, Any]) -> None:
    assert mistakes(rule["expr"]) == []
    said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert said <= remaining(promql.parse(rule["expr"])), "a label that the answer does not have"


def remaining(expression: Any) -> frozenset[str]:
    """Labels that the answer of a query has, at most."""
    match expression:
        case promql.AggregateExpr():
            return frozenset(expression.modifier.labels if expression.modifier is not None else ())
        case promql.BinaryExpr() if not isinstance(expression.lhs, promql.NumberLiteral):
            return remaining(expression.lhs)
        case promql.ParenExpr():
            return remaining(expression.expr)
        case _:
            return selected(expression)


def told_by_each_replica(text: str) -> list[str]:
    """Gauges of stored flows that a query does not take once: each replica tells of all flows, so two tell it twice."""
    expression = promql.parse(text)
    once = {
        (inner.name, frozenset(each.modifier.labels))
        for each in nodes(expression)
        if isinstance(each, promql.AggregateExpr) and str(each.op) == "max" and each.modifier is not None
        for inner in (each.expr,)
        if isinstance(inner, promql.VectorSelector)
    }
    named = {each.name for each in nodes(expression) if isinstance(each, promql.VectorSelector) and each.name}
    return sorted(
        name for name in named & UNLABELLED_GAUGES.keys() if (name, frozenset(UNLABELLED_GAUGES[name])) not in once
    )


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, id=name) for name, text in queries()]
    + [pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS],
)
def test_what_every_replica_tells_is_taken_once(text: str) -> None:
    assert told_by_each_replica(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("sum by (phase) (zen_flow_jobflows)", ["zen_flow_jobflows"], id="a sum counts a flow per replica"),
        pytest.param("max by (phase) (zen_flow_steps)", ["zen_flow_steps"], id="the largest namespace is not all"),
        pytest.param("sum(max by (namespace, phase) (zen_flow_steps))", [], id="once, then the sum of namespaces"),
        pytest.param("sum(zen_flow_leader)", [], id="what a replica says of itself"),
    ],
)
def test_a_flow_that_counts_twice_is_found(text: str, said: list[str]) -> None:
    assert told_by_each_replica(text) == said


@pytest.mark.parametrize(("text"), [pytest.param(text, id=name) for name, text in queries()])
def test_a_panel_asks_for_what_is_there(text: str) -> None:
    assert "$" not in text
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sum(zen_flow_nothing_total)", ["no metric zen_flow_nothing_total"]),
        ("rate(zen_flow_step_retries[5m])", ["no metric zen_flow_step_retries"]),
        ('zen_flow_jobflows{flow="a"}', ["zen_flow_jobflows has no label flow"]),
        ("sum by (kind) (zen_flow_leader)", ["no label kind in sum by (kind)(zen_flow_leader{})"]),
    ],
)
def test_a_mistake_is_found(text: str, said: list[str]) -> None:
    assert mistakes(text) == said


def test_each_alert_has_a_severity_and_a_heading_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (Zenflow\w+)$", page, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"


def test_gauges_without_flows_have_the_labels_that_the_operators_page_says() -> None:
    page = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    for name, labels in UNLABELLED_GAUGES.items():
        (row,) = (line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line)
        assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == set(labels)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
