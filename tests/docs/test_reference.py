"""The pages of docs/reference are those that `python -m tools.make_reference` makes, and leave nothing out."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from tools.make_reference import FOLDER, PICTURE, pages
from tools.reference import commands, limits, states_picture, tables
from zenflow_core.checks.catalogue import READING_RULES, RULES
from zenflow_core.reasons import FlowCause, FlowHold, Hold
from zenflow_core.transitions import TRANSITIONS

PAGES = pages()


def rows(name: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """The tables of a page: cells by the first cell, by the heading above them."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    heading = ""
    for line in PAGES[name].splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| `"):
            first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
            found.setdefault(heading, {})[first.strip("`")] = tuple(cells)
    return found


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_the_one_that_is_made(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], "run: python -m tools.make_reference"


def test_nothing_else_is_in_the_folder() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_field_has_its_meaning() -> None:
    silent = [
        f"{path}.{name}" for path, fields in rows("fields.md").items() for name, row in fields.items() if not row[3]
    ]
    assert not silent, f"without a description in schemas/jobflow.crd.yaml: {', '.join(silent)}"


STEPS = "list of [object](#specsteps)"


@pytest.mark.parametrize(
    ("field", "kind", "default", "allowed"),
    [
        pytest.param("spec.steps", STEPS, "required", "not empty, at most 3146 items", id="a list of objects"),
        pytest.param("spec.finally", STEPS, "", "at most 3146 items", id="objects that have been described"),
        pytest.param("spec.steps[].timeoutSeconds", "integer", "", "1 to 2592000", id="bounds"),
        pytest.param("spec.steps[].retryPolicy.limit", "integer", "`3`", "0 to 2147483647", id="a default of the plan"),
        pytest.param("spec.steps[].retryPolicy.backoff.duration", "string", "`1s`", "a duration of Go", id="seconds"),
        pytest.param("spec.executionPolicy.backoffLimit", "integer", "`6`", "0 to 2147483647", id="one of the CRD"),
        pytest.param("spec.executionPolicy.failFast", "boolean", "`false`", "", id="one of spec.py"),
        pytest.param("status.startTime", "time", "", "", id="a time"),
        pytest.param("status.steps[].cause", "any object", "", "", id="an object that is kept as it is"),
    ],
)
def test_a_field_is_described(field: str, kind: str, default: str, allowed: str) -> None:
    path, _, name = field.rpartition(".")
    assert rows("fields.md")[path][name][:3] == (kind, default, allowed)


@pytest.mark.parametrize("field", ["steps", "finally", "parameters", "templates", "resourceTemplates", "retryOf"])
def test_what_cannot_change_is_said_to_be_fixed(field: str) -> None:
    assert rows("fields.md")["spec"][field][3].startswith("*Fixed.* ")


@pytest.mark.parametrize("field", ["suspend", "shutdown", "executionPolicy"])
def test_what_can_change_is_not(field: str) -> None:
    assert "Fixed" not in rows("fields.md")["spec"][field][3]


def section(name: str, heading: str) -> str:
    """What stands below a heading."""
    return PAGES[name].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("command", list(commands.names(commands.application())))
def test_every_command_says_how_it_ends(command: str) -> None:
    assert re.search(r"\bexit code\b", section("commands.md", f"zenflow {command}"), re.IGNORECASE)


@pytest.mark.parametrize(
    ("command", "name", "row"),
    [
        pytest.param("plan", "FILE", ("", "required"), id="an operand"),
        pytest.param("explain", "STEP", ("", ""), id="an operand that may be left out"),
        pytest.param("graph", "--output`, `-o", ("`mermaid`, `dot`, `svg`, `html`", "`mermaid`"), id="a choice"),
        pytest.param("simulate", "--seed", ("number", ""), id="a number"),
        pytest.param("simulate", "--full", ("", ""), id="a switch"),
        pytest.param("simulate", "--set", ("text ...", ""), id="an option that may be repeated"),
        pytest.param("manifests", "--crd`, `--no-crd", ("", "`--crd`"), id="a switch that is on"),
        pytest.param("manifests", "--api-server", ("text ...", ""), id="a list has no option that empties it"),
        pytest.param("get", "--namespace`, `-n", ("text", ""), id="an option of each command on a cluster"),
    ],
)
def test_an_option_is_described(command: str, name: str, row: tuple[str, ...]) -> None:
    assert rows("commands.md")[f"zenflow {command}"][name][:2] == row


def test_a_cell_is_one_line_and_does_not_end_its_row() -> None:
    assert tables.table(("a", "b"), [("x | y", "two\n  lines")]).splitlines()[2] == r"| x \| y | two lines |"


def test_every_bound_of_the_core_is_on_the_page_or_known_not_to_concern_users() -> None:
    told = {each.name for group in limits.GROUPS.values() for each in group if each.module == limits.CORE}
    assert set(limits.docstrings(limits.CORE)) == told | limits.NOT_MET
    assert not told & limits.NOT_MET


def test_what_happens_beyond_a_bound_is_something_that_there_is() -> None:
    rules = {*READING_RULES, *RULES}
    reasons = {cause.__name__ for _, cause in TRANSITIONS} | {kind.__name__ for kind in get_args(FlowCause)}
    for each in (limit for group in limits.GROUPS.values() for limit in group):
        assert set(re.findall(r"ZF\d+", each.beyond)) <= rules
        assert set(re.findall(r"`(\w+)`", each.beyond)) <= reasons


@pytest.mark.parametrize(
    ("name", "module", "text"),
    [
        pytest.param("STEPS", limits.CORE, "3,146", id="a count"),
        pytest.param("OBJECT_BYTES", limits.CORE, "1.5 MiB", id="bytes"),
        pytest.param("STATUS_BYTES_PER_STEP", limits.CORE, "300 bytes", id="a few bytes"),
        pytest.param("STEP_TIMEOUT_SECONDS", limits.CORE, "30 days", id="days"),
        pytest.param("RETRY_AFTER_MAX", limits.CORE, "1 h", id="an hour"),
        pytest.param("BODY_SECONDS", "zenflow_runtime.webhook.app", "10 s", id="seconds"),
        pytest.param("JSON_PATH_CHARACTERS", limits.CORE, "1,024 characters", id="characters"),
    ],
)
def test_a_number_has_its_unit(name: str, module: str, text: str) -> None:
    assert limits.value(limits.Limit(name, "", "", module)) == text


def test_every_hold_and_every_end_of_a_flow_is_on_the_page() -> None:
    told = [name for reasons in rows("reasons.md").values() for name in reasons]
    known = {kind.__name__ for union in (Hold, FlowHold, FlowCause) for kind in get_args(union)}
    assert set(told) == known - {"UnknownHold", "UnknownCause"}


@pytest.mark.parametrize(
    ("heading", "name", "row"),
    [
        pytest.param("What keeps a step", "BacksOff", ("`until`", "The pause before a retry."), id="one with data"),
        pytest.param(
            "What keeps a step", "Suspended", ("", "`spec.suspend` is true: nothing new starts."), id="one without"
        ),
    ],
)
def test_a_reason_is_described(heading: str, name: str, row: tuple[str, ...]) -> None:
    assert rows("reasons.md")[heading][name] == row


def test_the_picture_of_states_is_the_one_that_is_made() -> None:
    assert PICTURE.read_text(encoding="utf-8") == states_picture.picture(), "run: python -m tools.make_reference"


def test_the_picture_has_an_arrow_for_every_move_and_no_other() -> None:
    assert set(states_picture.WAYS) == set(states_picture.reasons())
    assert {(origin, phase) for (origin, _), phase in TRANSITIONS.items()} == set(states_picture.WAYS)


def test_an_arrow_names_its_reasons_or_counts_them() -> None:
    words = set(re.findall(r"<tspan[^>]*>([^<]+)</tspan>", states_picture.picture()))
    few = {name for names in states_picture.reasons().values() if len(names) <= states_picture.NAMED for name in names}
    many = {f"{len(names)} reasons" for names in states_picture.reasons().values() if len(names) > states_picture.NAMED}
    assert words == few | many
