"""What happens in a simulated world, and the file that says so."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents
from zenflow_testing import outcomes_file
from zenflow_testing.outcomes import (
    ApprovalGiven,
    ApprovalRefused,
    CalmOutcomes,
    JobEnding,
    NeverDecided,
    Outcomes,
    Script,
    ScriptedApproval,
    ScriptedEnding,
    ScriptedOutcomes,
    SeededOutcomes,
)
from zenflow_testing.outcomes_file import read_outcomes

STEPS = ("build", "test", "train", "report", "deploy", "audit")
MANUAL = ("deploy", "audit")


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def read(data: Any) -> Script | tuple[Problem, ...]:
    return read_outcomes(data, steps=STEPS, manual=MANUAL)


def says(what: str, fix: str) -> str:
    """A problem as it is printed."""
    return f"{what}\n  fix: {fix}"


# Calm


def test_nothing_goes_wrong_unless_it_is_asked_for() -> None:
    calm = CalmOutcomes()
    assert calm.job("build", 7) == JobEnding(seconds(10), 0)
    assert calm.approval("deploy") == ApprovalGiven(seconds(60))
    assert calm.config_map("notes", "text") == "notes.text"
    assert calm.suspended("build") == seconds(0)


# Seeded


def test_a_seed_means_the_same_on_every_machine_and_day() -> None:
    """These figures may change with no release: runs are told of by their seed."""
    seeded = SeededOutcomes(42)
    drawn = [seeded.job(step, attempt) for step, attempt in (("build", 1), ("build", 37), ("test", 1))]
    assert [(ending.after.total_seconds(), ending.exit_code) for ending in drawn] == [
        (311.0, 0),
        (188.0, 137),
        (468.0, 0),
    ]


def test_a_seed_draws_what_the_manual_says() -> None:
    """4,000 draws: bounds hold always, frequencies within four standard deviations."""
    seeded = SeededOutcomes(1)
    endings = [seeded.job(f"step-{number}", attempt) for number in range(1000) for attempt in range(1, 5)]
    durations = {ending.after for ending in endings}
    assert min(durations) == seconds(1)
    assert max(durations) == seconds(600)
    codes = Counter(ending.exit_code for ending in endings)
    assert set(codes) == {0, 1, 137, 143}
    assert 4000 - codes[0] == pytest.approx(400, abs=76)
    assert all(codes[code] == pytest.approx(133, abs=46) for code in (1, 137, 143))
    rejected = sum(isinstance(seeded.approval(f"step-{number}"), ApprovalRefused) for number in range(4000))
    assert rejected == pytest.approx(400, abs=76)
    missing = sum(seeded.config_map("notes", f"key-{number}") is None for number in range(4000))
    assert missing == pytest.approx(200, abs=56)


def test_a_seeded_key_that_exists_has_the_calm_value() -> None:
    values = {SeededOutcomes(seed).config_map("notes", "text") for seed in range(200)}
    assert values == {None, "notes.text"}


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda outcomes, name: outcomes.job(name, 1), id="jobs"),
        pytest.param(lambda outcomes, name: outcomes.config_map(name, "key"), id="keys"),
    ],
)
def test_another_seed_and_another_name_are_another_draw(ask: Any) -> None:
    by_seed = {repr(ask(SeededOutcomes(seed), "build")) for seed in range(200)}
    by_name = {repr(ask(SeededOutcomes(1), f"step-{number}")) for number in range(200)}
    assert len(by_seed) > 1
    assert len(by_name) > 1


@given(st.integers(), st.lists(st.tuples(st.text(), st.integers(1, 9))))
def test_a_draw_depends_on_the_question_alone(seed: int, others: list[tuple[str, int]]) -> None:
    """However many other steps a flow has, and whatever was asked before."""
    asked_after_others = SeededOutcomes(seed)
    for step, attempt in others:
        asked_after_others.job(step, attempt)
        asked_after_others.approval(step)
    fresh = SeededOutcomes(seed)
    assert fresh.job("build", 1) == asked_after_others.job("build", 1)
    assert fresh.approval("deploy") == asked_after_others.approval("deploy")


def test_names_that_join_to_the_same_text_are_drawn_apart() -> None:
    apart = [
        SeededOutcomes(seed).config_map("a", "b-c") != SeededOutcomes(seed).config_map("a-b", "c")
        for seed in range(200)
    ]
    assert any(apart)


# Scripted

SCRIPT = Script(
    {"build": (ScriptedEnding(seconds(30), 1), ScriptedEnding(outputs={"digest": "x"}))},
    {"deploy": ScriptedApproval(seconds(3600), "no", "alice"), "audit": None, "other": ScriptedApproval()},
    {"notes": {"text": "fixed it", "old": None}},
    {"train": seconds(600), "test": None},
)


@pytest.mark.parametrize("fallback", [CalmOutcomes(), SeededOutcomes(42)], ids=["calm", "seeded"])
def test_a_script_comes_first_and_its_fallback_has_the_rest(fallback: Outcomes) -> None:
    scripted = ScriptedOutcomes(SCRIPT, fallback)
    assert scripted.job("build", 1) == JobEnding(seconds(30), 1)
    assert scripted.job("build", 2) == JobEnding(fallback.job("build", 2).after, 0, outputs={"digest": "x"})
    assert scripted.job("build", 3) == fallback.job("build", 3)
    assert scripted.job("test", 1) == fallback.job("test", 1)
    assert scripted.approval("deploy") == ApprovalRefused(seconds(3600), "no", "alice")
    assert scripted.approval("audit") == NeverDecided()
    assert scripted.approval("other") == ApprovalGiven(seconds(60))
    assert scripted.approval("third") == fallback.approval("third")
    assert scripted.config_map("notes", "text") == "fixed it"
    assert scripted.config_map("notes", "old") is None
    assert scripted.config_map("notes", "new") == fallback.config_map("notes", "new")
    assert scripted.config_map("other", "text") == fallback.config_map("other", "text")
    assert scripted.suspended("train") == seconds(600)
    assert scripted.suspended("test") is None
    assert scripted.suspended("build") == seconds(0)


# The file

FILE = """\
steps:
  build: [{exitCode: 1, after: 30s}, {exitCode: 0, outputs: {digest: x, size: 3}}]
  train: [{exitCode: 143, disruption: PreemptionByScheduler}, {exitCode: 137, reason: OOMKilled}]
  report: [{message: not JSON}]
  test: []
approvals:
  deploy: {after: 1h, reject: "no", by: alice}
  audit: never
configMaps:
  notes: {text: fixed it, old: null}
suspended: {train: 10m, build: never}
"""


def document(text: str) -> Document:
    (found,) = load_documents(text, file="outcomes.yaml")
    assert isinstance(found, Document)
    return found


def test_a_file_that_says_all_there_is_to_say() -> None:
    assert read(document(FILE).data) == Script(
        {
            "build": (ScriptedEnding(seconds(30), 1), ScriptedEnding(outputs={"digest": "x", "size": 3})),
            "train": (
                ScriptedEnding(exit_code=143, disruption="PreemptionByScheduler"),
                ScriptedEnding(exit_code=137, reason="OOMKilled"),
            ),
            "report": (ScriptedEnding(message="not JSON"),),
            "test": (),
        },
        {"deploy": ScriptedApproval(seconds(3600), "no", "alice"), "audit": None},
        {"notes": {"text": "fixed it", "old": None}},
        {"train": seconds(600), "build": None},
    )


def test_the_example_in_the_documentation_can_be_read() -> None:
    text = outcomes_file.__doc__ or ""
    example = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    assert isinstance(read(document(example).data), Script)


@pytest.mark.parametrize("data", [{}, {"steps": None}, {"steps": {}, "approvals": None}], ids=str)
def test_everything_may_be_left_out(data: Any) -> None:
    assert read(data) == Script()


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        pytest.param(
            [],
            [says("found a list, expected a mapping", "write 'key: value' lines, indented below it")],
            id="no mapping at all",
        ),
        pytest.param({"step": {}}, [says("step: unknown key", "did you mean 'steps'?")], id="a misspelt section"),
        pytest.param(
            {"seed": 3},
            [says("seed: unknown key", "remove it; the keys here are steps, approvals, configMaps, suspended")],
            id="an unknown section",
        ),
        pytest.param(
            {"steps": {"buidl": []}},
            [says("steps.buidl: the flow has no step 'buidl'", "did you mean 'build'?")],
            id="a misspelt step",
        ),
        pytest.param(
            {"steps": {"xyz": []}},
            [says("steps.xyz: the flow has no step 'xyz'", "name one of: build, report, test, train")],
            id="an unknown step",
        ),
        pytest.param(
            {"steps": {"deploy": []}},
            [says("steps.deploy: step 'deploy' is Manual: it runs no Job", "say under approvals what becomes of it")],
            id="a Manual step has no Jobs",
        ),
        pytest.param(
            {"approvals": {"build": {}}},
            [says("approvals.build: step 'build' runs a Job: nobody is asked", "say under steps how its Jobs end")],
            id="a Job asks nobody",
        ),
        pytest.param(
            {"approvals": {"deplyo": {}}},
            [says("approvals.deplyo: the flow has no step 'deplyo'", "did you mean 'deploy'?")],
            id="a misspelt approval",
        ),
        pytest.param(
            {"suspended": {"deploy": "1s"}},
            [
                says(
                    "suspended.deploy: step 'deploy' is Manual: it runs no Job",
                    "say under approvals what becomes of it",
                )
            ],
            id="a Manual step is never suspended",
        ),
        pytest.param(
            {"steps": {"build": {"exitCode": 1}}},
            [
                says(
                    "steps.build: found a mapping, expected a list",
                    "write a list: each item on its own line after '- ', or all in [ ]",
                )
            ],
            id="an entry in place of a list",
        ),
        pytest.param(
            {"steps": {"build": [{"exitcode": 1}]}},
            [says("steps.build[0].exitcode: unknown key", "did you mean 'exitCode'?")],
            id="a misspelt key",
        ),
        pytest.param(
            {"steps": {"build": [{"after": 30}]}},
            [says("steps.build[0].after: found the number 30, expected a duration", "write it with its unit: 30s")],
            id="a number without a unit",
        ),
        pytest.param(
            {"steps": {"build": [{"after": True}]}},
            [
                says(
                    "steps.build[0].after: found the boolean true, expected a duration",
                    "write a duration such as 30s or 1h30m",
                )
            ],
            id="no duration at all",
        ),
        pytest.param(
            {"steps": {"build": [{"after": "2d"}]}},
            [
                says(
                    "steps.build[0].after: '2d' is not a duration: 'd' is not a unit of time",
                    'write hours, for instance "48h" for two days',
                )
            ],
            id="days are no unit",
        ),
        pytest.param(
            {"steps": {"build": [{"after": "-1s"}]}},
            [
                says(
                    "steps.build[0].after: found the text '-1s', expected a duration from 0s to 87600h",
                    "write one within these bounds",
                )
            ],
            id="before the start",
        ),
        pytest.param(
            {"steps": {"build": [{"after": "87600h1s"}]}},
            [
                says(
                    "steps.build[0].after: found the text '87600h1s', expected a duration from 0s to 87600h",
                    "write one within these bounds",
                )
            ],
            id="longer than anybody waits",
        ),
        pytest.param(
            {"steps": {"build": [{"exitCode": 256}]}},
            [
                says(
                    "steps.build[0].exitCode: found the number 256, expected an exit code from 0 to 255",
                    "write 0 for success, or the code of a failure, such as 1 or 137",
                )
            ],
            id="no exit code",
        ),
        pytest.param(
            {"steps": {"build": [{"exitCode": "1"}]}},
            [says("steps.build[0].exitCode: found the text '1', expected a whole number", "write 1, without quotes")],
            id="an exit code as text",
        ),
        pytest.param(
            {"steps": {"build": [{"outputs": {}, "message": ""}]}},
            [
                says(
                    "steps.build[0].message: found outputs and message: the message of a Pod is one or the other",
                    "remove one of them",
                )
            ],
            id="two results",
        ),
        pytest.param(
            {"approvals": {"deploy": {"reject": False}}},
            [
                says(
                    "approvals.deploy.reject: found the boolean false, expected text",
                    "put it in quotes; YAML reads yes, no, y, n, on, off, true and false without them as booleans",
                )
            ],
            id="no without quotes",
        ),
        pytest.param(
            {"approvals": {"deploy": {"reject": ""}}},
            [says("approvals.deploy.reject: found no words", "say why it is rejected")],
            id="rejected without a reason",
        ),
        pytest.param(
            {"configMaps": {"notes": {"retries": 3}}},
            [
                says(
                    "configMaps.notes.retries: found the number 3, expected text",
                    "put it in quotes; YAML reads it as a number without them, and 0123 as 83",
                )
            ],
            id="values of a ConfigMap are texts",
        ),
        pytest.param(
            {"suspended": {"build": None}},
            [says("suspended.build: found null, expected a duration or never", "write a duration or never")],
            id="suspended for how long",
        ),
        pytest.param(
            {"configMaps": {1: {}}},
            [says("configMaps: the key the number 1 is not text", "put the key in quotes")],
            id="a key that is no text",
        ),
        pytest.param(
            {"configMaps": {"a b": {"c": 1}}, "steps": {"tset": [{"exitCode": -1, "foo": 1}]}, "x": 0},
            [
                says("x: unknown key", "remove it; the keys here are steps, approvals, configMaps, suspended"),
                says("steps.tset: the flow has no step 'tset'", "did you mean 'test'?"),
                says(
                    "steps.tset[0].foo: unknown key",
                    "remove it; the keys here are exitCode, after, outputs, message, reason, disruption",
                ),
                says(
                    "steps.tset[0].exitCode: found the number -1, expected an exit code from 0 to 255",
                    "write 0 for success, or the code of a failure, such as 1 or 137",
                ),
                says(
                    'configMaps["a b"].c: found the number 1, expected text',
                    "put it in quotes; YAML reads it as a number without them, and 0123 as 83",
                ),
            ],
            id="all problems at once",
        ),
    ],
)
def test_what_is_wrong_with_a_file(data: Any, problems: list[str]) -> None:
    found = read(data)
    assert not isinstance(found, Script)
    assert [str(problem) for problem in found] == problems


@pytest.mark.parametrize("after", ["0s", "87600h"])
def test_the_bounds_of_a_duration_are_within_it(after: str) -> None:
    assert isinstance(read({"steps": {"build": [{"after": after}]}}), Script)


def test_problems_know_their_place_in_the_file() -> None:
    source = document("steps:\n  build:\n  - exitCode: 0\n    after: 5\n")
    found = read(source.data)
    assert not isinstance(found, Script)
    (problem,) = source.placed(found)
    assert str(problem.position) == "outcomes.yaml:4:5"


def test_a_file_that_is_all_wrong_has_a_bounded_number_of_problems() -> None:
    found = read({"steps": {f"step-{number}": [] for number in range(5000)}})
    assert not isinstance(found, Script)
    assert len(found) == 1000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*STEPS, "steps", "approvals", "configMaps", "suspended", "after", "exitCode", "outputs", "by"]
            )
            | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_json)
def test_reading_is_total_and_what_is_read_can_be_played(data: Any) -> None:
    found = read(data)
    if isinstance(found, Script):
        for step in STEPS:
            assert ScriptedOutcomes(found).job(step, 1).after >= seconds(0)
    else:
        assert found
        assert all(problem.what and problem.fix and problem.rule for problem in found)
