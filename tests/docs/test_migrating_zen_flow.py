"""docs/migrating-from-zen-flow.md: each field, flag, variable and metric of the Go project has its true row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from tests.docs import vocabulary as code
from tests.docs.pages import DOCS, ROOT, blocks_and_prose
from tests.docs.test_migrating import commands
from tests.install.test_monitoring import EXPOSED
from zenflow_runtime.settings import _IGNORED, FIXED  # what is refused or passed over is not public

PAGE: Final = DOCS / "migrating-from-zen-flow.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")

GO_FIELDS: Final = frozenset(
    {
        *("steps[].name", "steps[].type", "steps[].message", "steps[].metadata", "steps[].dependencies"),
        *("steps[].retryPolicy", "steps[].timeoutSeconds", "steps[].when", "steps[].continueOnFailure"),
        *("steps[].template", "steps[].inputs.parameters", "steps[].inputs.artifacts"),
        *("steps[].outputs.parameters", "steps[].outputs.artifacts"),
        *("executionPolicy.concurrencyPolicy", "executionPolicy.ttlSecondsAfterFinished"),
        *("executionPolicy.backoffLimit", "executionPolicy.activeDeadlineSeconds", "executionPolicy.podFailurePolicy"),
        *("resourceTemplates.volumeClaimTemplates", "resourceTemplates.configMapTemplates"),
    }
)
"""Every field of a spec that the Go project has."""

GO_METRICS: Final = frozenset(
    f"zen_flow_{name}"
    for name in (
        *("jobflows", "jobflow_phase_transitions_total", "steps", "step_phase_transitions_total"),
        *("step_duration_seconds", "step_errors_total", "step_retries_total", "step_retry_backoff_duration_seconds"),
        *("approvals_pending", "approval_latency_seconds", "timeouts_total", "step_execution_queue_depth"),
        *("reconciliation_duration_seconds", "reconciliation_errors_total", "status_update_duration_seconds"),
        *("api_server_calls_total", "dag_computation_duration_seconds"),
    )
)
GO_FLAGS: Final = frozenset(
    f"--{name}"
    for name in (
        *("kubeconfig", "master", "metrics-addr", "webhook-addr", "webhook-cert-file", "webhook-key-file"),
        *("leader-election-mode", "leader-election-id", "leader-election-lease-name", "enable-webhook"),
        *("insecure-webhook", "max-concurrent-reconciles"),
        *("enable-leader-election", "leader-election-namespace"),
    )
)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    body = re.split(rf"^## {re.escape(heading)}$", TEXT, flags=re.MULTILINE)[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def defined() -> set[str]:
    """The paths of the spec that the installed definition has, three levels deep."""
    (version,) = yaml.safe_load((ROOT / "schemas/jobflow.crd.yaml").read_text(encoding="utf-8"))["spec"]["versions"]
    return set(paths(version["schema"]["openAPIV3Schema"]["properties"]["spec"], ""))


def paths(schema: dict[str, Any], above: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        path = f"{above}.{name}".lstrip(".") + ("[]" if field.get("type") == "array" else "")
        yield path.removesuffix("[]")
        if path.count(".") < 2:
            yield from paths(field.get("items", field), path)


def test_every_field_of_the_go_project_has_its_row_and_is_there() -> None:
    named = [code.spans(row[0])[0] for row in table("Field by field")]
    assert sorted(named) == sorted(GO_FIELDS)
    assert set(named) - defined() == set()


def test_every_field_that_is_called_new_is_there() -> None:
    fields = defined()
    said = " ".join(re.findall(r"New beside them.*?\n\n", TEXT, re.DOTALL)[0].split())
    words = [word for word in code.spans(said.split(": [")[0]) if word != "executionPolicy"]
    assert {word for word in words if word not in fields and f"executionPolicy.{word}" not in fields} == set()


def test_every_flag_and_variable_has_its_row_and_means_what_it_says() -> None:
    rows = [(code.spans(row[0]), row[1]) for row in table("Flags and variables")]
    named = {name: said for names, said in rows for name in names}
    flags = {name for name in named if name.startswith("--")}
    assert flags == GO_FLAGS
    assert flags <= code.operator_flags()
    variables = named.keys() - flags
    assert variables == {"POD_NAMESPACE", "REPLICA_COUNT", "LOG_LEVEL"} | FIXED.keys() | _IGNORED
    assert all(named[name].startswith("refused") for name in FIXED)
    assert all(named[name].startswith("mean nothing") for name in _IGNORED)


@pytest.mark.parametrize("row", table("Metrics"), ids=lambda row: row[0].strip("`"))
def test_a_metric_has_the_labels_that_the_page_says(row: list[str]) -> None:
    name, there, here = row[0].strip("`"), row[1], row[2]
    assert name in GO_METRICS
    if here.startswith("gone"):
        assert name not in EXPOSED
        return
    labels = EXPOSED.get(name) or EXPOSED.get(f"{name}_count") or frozenset()
    said = there if here.startswith("the same") else re.sub(r"\([^)]*\)", "", here.split(";")[0])
    assert labels == {label.strip() for label in said.split(",") if label.strip()}


def test_every_metric_of_the_go_project_has_its_row() -> None:
    assert sorted(row[0].strip("`") for row in table("Metrics")) == sorted(GO_METRICS)


@pytest.mark.parametrize(
    "line",
    commands(PAGE)
    + sorted(
        code.commands_in(
            block.text.replace("$ ", "") for block in blocks_and_prose(TEXT)[0] if block.language == "text"
        )
    ),
)
def test_every_command_is_one(line: str) -> None:
    assert code.not_a_command(line) is None
