"""docs/operating.md says what to look for in the code's own words, and leaves out nothing that can be seen."""

from __future__ import annotations

import re
from typing import Final, get_args

import pytest
from attrs import frozen

from tests.docs import vocabulary as code
from tests.docs.pages import DOCS, blocks_and_prose
from tests.install.test_monitoring import ALERTS, EXPOSED
from zenflow_core import reasons
from zenflow_core.checks.catalogue import RULES
from zenflow_core.names import LABEL_FLOW
from zenflow_core.transitions import FAILING
from zenflow_runtime.installing import NAME
from zenflow_runtime.leader import LEASE_NAME

TEXT: Final = (DOCS / "operating.md").read_text(encoding="utf-8")
BLOCKS, PROSE = blocks_and_prose(TEXT)
SPANS: Final = code.spans(PROSE.replace("\n", " "))
COMMANDS: Final = sorted(
    {
        *code.commands_in(SPANS),
        *code.commands_in(block.text.replace("$ ", "") for block in BLOCKS if block.language == "text"),
    }
)

KUBERNETES: Final = frozenset({"foregroundDeletion", "orphan"})
"""Finalizers that are Kubernetes' own."""


@frozen
class Sign:
    """A row of a table: what kind of sign it is, what it says to the letter, what it means, what to do."""

    kind: str
    text: str
    means: str
    do: str


def signs() -> list[Sign]:
    """All rows of all tables."""
    found: list[Sign] = []
    for line in PROSE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if cells and cells[0] != "shows as":
            kind, text, means, do = (*cells, "", "")[:4]
            found.append(Sign(kind, text.strip("`"), means, do.strip(" |")))
    return found


SIGNS: Final = signs()


def is_there(sign: Sign) -> bool:
    """Whether the code has it."""
    match sign.kind:
        case "reason":
            return sign.text in code.REASONS
        case "condition":
            return sign.text in code.conditions()
        case "Event":
            return sign.text in code.EVENTS
        case "metric":
            return sign.text in EXPOSED or f"{sign.text}_bucket" in EXPOSED
        case "log":
            return sign.text in code.log_lines()
        case "rule":
            return sign.text in RULES
        case "message":
            return code.says(sign.text, "zenflow_core")
        case "probe":
            return code.says(
                sign.text, "zenflow_runtime/web.py", "zenflow_runtime/installed.py", "zenflow_runtime/webhook"
            )
        case "CLI":
            return code.says(sign.text, "zenflow_runtime/cli")
        case "finalizer":
            return sign.text in KUBERNETES or sign.text == "any other"
        case other:
            raise AssertionError(f"no kind of sign: {other}")


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.kind} {sign.text}")
def test_what_is_to_be_seen_is_what_the_code_says(sign: Sign) -> None:
    assert is_there(sign)
    assert sign.means


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_one(line: str) -> None:
    assert code.not_a_command(line) is None


def test_every_reason_metric_alert_and_flag_in_the_text_exists() -> None:
    words = code.REASONS | code.conditions() | code.EVENTS | {rule["alert"] for rule in ALERTS}
    camel = {span for span in SPANS if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+", span)}
    assert camel - words - {"ReadWriteOnce"} == set()
    series = {re.match(r"\w+", name)[0] for name in re.findall(r"zen_flow_\w+", TEXT)}  # type: ignore[index]  # matched
    assert {name for name in series if name not in EXPOSED and f"{name}_bucket" not in EXPOSED} == set()
    flags = {span.partition("=")[0] for span in SPANS if span.startswith("--")}
    assert flags - code.operator_flags() - {"--no-eager-completion"} == set()


def test_what_kubectl_is_asked_for_has_the_names_of_the_manifests() -> None:
    assert set(re.findall(r"deployment/([\w-]+)", TEXT)) == {NAME}
    assert set(re.findall(r"-l ([\w./-]+)=NAME", TEXT.replace("\n", " "))) == {LABEL_FLOW}
    assert LEASE_NAME in TEXT


def test_nothing_that_keeps_or_ends_something_is_left_out() -> None:
    """Every hold, whatever ends a flow, whatever fails a step."""
    unknown = {"UnknownHold", "UnknownCause"}
    holds = {kind.__name__ for union in (reasons.Hold, reasons.FlowHold, reasons.FlowCause) for kind in get_args(union)}
    fails = {kind.__name__ for kind in FAILING}
    assert (holds | fails) - unknown - set(SPANS) == set()


def test_no_warning_of_the_log_is_left_out() -> None:
    assert code.log_lines(frozenset({"warning", "error", "exception"})) - set(SPANS) == set()


@pytest.mark.parametrize(
    "sign",
    [
        Sign("reason", "WaitsForever", "", do=""),
        Sign("Event", "StepStarted", "", do=""),
        Sign("metric", "zen_flow_flows", "", do=""),
        Sign("log", "decision was not carried out", "", do=""),
        Sign("probe", "the watch of … is stuck", "", do=""),
        Sign("rule", "ZF999", "", do=""),
    ],
    ids=lambda sign: sign.kind,
)
def test_a_sign_that_nothing_gives_is_found(sign: Sign) -> None:
    assert not is_there(sign)
