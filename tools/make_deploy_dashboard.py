"""The Grafana dashboard as data: rows of panels, each with its queries. `tools.make_deploy` writes it.

A panel says what it shows and why one would look; where it stands follows from its place in the list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

WIDE: Final = 24
HIGH: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_HERE: Final = 'namespace=~"$namespace"'


@frozen
class Query:
    """One or more series of a panel."""

    expression: str
    legend: str = ""


@frozen
class Panel:
    """A picture, with what one sees in it."""

    title: str
    text: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


def quantiles(metric: str) -> tuple[Query, ...]:
    """The middle and the tail of a histogram."""
    return tuple(
        Query(f"histogram_quantile({part}, sum by (le) (rate(zen_flow_{metric}_bucket[$__rate_interval])))", name)
        for part, name in ((0.5, "p50"), (0.99, "p99"))
    )


def stored(metric: str, *labels: str) -> str:
    """What a gauge of stored flows says, a series for each value of `labels`: every replica counts the same flows."""
    return f"max by ({', '.join(labels)}) (zen_flow_{metric}{{{_HERE}}})"


def rates(metric: str, by: str, where: str = "") -> tuple[Query, ...]:
    """How often something happens, by a label."""
    return (Query(f"sum by ({by}) (rate(zen_flow_{metric}_total{{{where}}}[$__rate_interval]))", f"{{{{{by}}}}}"),)


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Flows",
        (
            Panel(
                "Flows by phase",
                "All that are stored, until their TTL or somebody removes them.",
                (Query(f"sum by (phase) ({stored('jobflows', 'phase', 'namespace')})", "{{phase}}"),),
            ),
            Panel("Phases come to", "Flows a second.", rates("jobflow_phase_transitions", "phase", _HERE), unit="ops"),
            Panel(
                "Waiting for people",
                "Steps that wait for an approval; a flow with one is Paused.",
                (Query(stored("approvals_pending", "namespace"), "{{namespace}}"),),
            ),
            Panel(
                "Steps by phase",
                "Of all flows that are stored.",
                (Query(f"sum by (phase) ({stored('steps', 'phase', 'namespace')})", "{{phase}}"),),
            ),
            Panel(
                "Waiting for a slot",
                "Steps that could start but for a limit of their flow.",
                (Query(stored("step_execution_queue_depth", "namespace"), "{{namespace}}"),),
            ),
            Panel(
                "Ended early",
                "Deadlines, cancellations, and a status that grew too large.",
                rates("jobflows_ended_early", "reason", _HERE),
                unit="ops",
            ),
        ),
    ),
    (
        "Steps",
        (
            Panel("Failures", "By the reason that status has.", rates("step_errors", "error_type", _HERE), unit="ops"),
            Panel(
                "Retries and timeouts",
                "A retry follows a pause; a timeout may have no retry left.",
                (
                    Query(f"sum(rate(zen_flow_step_retries_total{{{_HERE}}}[$__rate_interval]))", "retries"),
                    Query(
                        f"sum by (timeout_type) (rate(zen_flow_timeouts_total{{{_HERE}}}[$__rate_interval]))",
                        "{{timeout_type}}",
                    ),
                ),
                unit="ops",
            ),
            Panel(
                "Duration (p90)",
                "Of the last attempt of steps that ended.",
                (
                    Query(
                        "histogram_quantile(0.9, sum by (le, result) "
                        f"(rate(zen_flow_step_duration_seconds_bucket{{{_HERE}}}[$__rate_interval])))",
                        "{{result}}",
                    ),
                ),
                unit="s",
            ),
        ),
    ),
    (
        "Operator",
        (
            Panel(
                "Leading",
                "Exactly one of all replicas.",
                (Query("sum(zen_flow_leader)"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Own bugs",
                "Must be 0; the operator's stderr has what to report.",
                (Query("sum(increase(zen_flow_invariant_violations_total[$__range]))"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Step gap", "From the news that lets a step start to its Job.", quantiles("step_gap_seconds"), unit="s"
            ),
            Panel(
                "Wait for a worker", "Of flows that were to be looked at.", quantiles("queue_latency_seconds"), unit="s"
            ),
            Panel(
                "Work",
                "Workers that are busy, and flows that wait for one.",
                (Query("sum(zen_flow_workers_busy)", "busy"), Query("sum(zen_flow_queue_depth)", "waiting")),
            ),
            Panel(
                "Decisions",
                "With all their requests; the core's own share is a thousandth of that.",
                quantiles("reconciliation_duration_seconds"),
                unit="s",
            ),
            Panel(
                "Decisions not carried out",
                "They are tried again.",
                (
                    *rates("reconciliation_errors", "error_type"),
                    Query("sum(rate(zen_flow_stale_views_refused_total[$__rate_interval]))", "from an old view"),
                ),
                unit="ops",
            ),
        ),
    ),
    (
        "API server",
        (
            Panel(
                "Requests",
                "By what is asked for.",
                (
                    Query(
                        "sum by (operation, resource) (rate(zen_flow_api_server_calls_total[$__rate_interval]))",
                        "{{operation}} {{resource}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Refused",
                "By code; 409 is ordinary, 0 is no answer.",
                (
                    Query(
                        "sum by (code, resource) "
                        '(rate(zen_flow_api_server_calls_total{code!~"2.."}[$__rate_interval]))',
                        "{{code}} {{resource}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Status writes",
                "How long one takes, and how long requests wait for the operator's own rate limit.",
                (
                    *quantiles("status_update_duration_seconds"),
                    Query(
                        "histogram_quantile(0.99, sum by (le) "
                        "(rate(zen_flow_api_server_wait_seconds_bucket[$__rate_interval])))",
                        "own limit p99",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Silence of watches",
                "Since the API server said anything about a kind.",
                (Query("max by (kind) (zen_flow_watch_silence_seconds)", "{{kind}}"),),
                unit="s",
            ),
            Panel("Watches begun again", "And why.", rates("watch_restarts", "why"), unit="ops"),
            Panel(
                "Clock",
                "How far the operator's clock is ahead of the API server's.",
                (Query("max(zen_flow_clock_skew_seconds)", "ahead"),),
                unit="s",
            ),
        ),
    ),
)


def dashboard_text() -> str:
    """The file that Grafana imports."""
    return json.dumps(_dashboard(), indent=1) + "\n"


def _dashboard() -> dict[str, Any]:
    return {
        "title": "zenflow",
        "uid": "zenflow",
        "tags": ["zenflow", "kubernetes"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _namespace()]},
        "panels": [{"id": number, **each} for number, each in enumerate(_panels(), start=1)],
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _namespace() -> dict[str, Any]:
    query = "label_values(zen_flow_jobflows, namespace)"
    every = {"selected": True, "text": "All", "value": "$__all"}
    choice = {"includeAll": True, "multi": True, "allValue": ".*", "current": every, "refresh": 2}
    return {"name": "namespace", "type": "query", "datasource": _SOURCE, "query": query, **choice}


def _panels() -> Iterator[dict[str, Any]]:
    y = 0
    for title, panels in ROWS:
        yield {"type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": WIDE, "h": 1}}
        y, x = y + 1, 0
        for panel in panels:
            if x + panel.width > WIDE:
                x, y = 0, y + HIGH
            yield _panel(panel, x, y)
            x += panel.width
        y += HIGH


def _panel(panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HIGH},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
