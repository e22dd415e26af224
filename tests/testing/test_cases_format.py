"""Reading case files: what is wrong is told with its place; repeated steps are written out."""

from __future__ import annotations

import pytest

from zenflow_core.problems import Problem
from zenflow_testing.cases.format import CaseFile, read_case
from zenflow_testing.cases.history import EVENTS, JobComplete, NameTaken

HEAD = """\
id: sample
flow:
  apiVersion: workflow.kube-zen.io/v1alpha1
  kind: JobFlow
  metadata: {name: sample}
  spec:
    steps:
    - {name: a, template: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: x}]}}}}}
"""


def read(rest: str, head: str = HEAD) -> CaseFile | tuple[Problem, ...]:
    return read_case(head + rest, file="sample.case.yaml")


def test_a_case_is_read_with_its_defaults() -> None:
    loaded = read("history: [{at: 5, event: JobComplete, step: a}]\nuntil: 9\nexpect: [{end: true, flow: Succeeded}]\n")
    assert isinstance(loaded, CaseFile)
    case = loaded.case
    assert case.history == (JobComplete(at=5.0, step="a"),)
    assert case.until == 9.0
    assert (case.limits.object_bytes, case.limits.annotation_bytes) == (1_572_864, 262_144)
    assert case.expect[0].flow == ("Succeeded",)
    assert str(loaded.position("expect[0].flow")) == "sample.case.yaml:11:22"


WRONG = [
    pytest.param("history: []\nexpect: []\n", "until: missing", id="no end"),
    pytest.param("history: []\nuntil: 9\n", "expect: missing", id="no assertions"),
    pytest.param("until: soon\nexpect: []\n", "until: found the text 'soon', expected a finite number", id="a word"),
    pytest.param("untill: 9\nuntil: 9\nexpect: []\n", "did you mean 'until'?", id="a key misspelt"),
    pytest.param("history: {}\nuntil: 9\nexpect: []\n", "history: found a mapping, expected a list", id="no list"),
    pytest.param(
        "history: [{at: 1, event: JobCompleted, step: a}]\nuntil: 9\nexpect: []\n",
        "did you mean 'JobComplete'?",
        id="an event misspelt",
    ),
    pytest.param("history: [{at: 1}]\nuntil: 9\nexpect: []\n", "history[0].event: missing", id="no event"),
    pytest.param(
        "history: [{event: Poke}]\nuntil: 9\nexpect: []\n", "history[0].at: missing", id="an event without an instant"
    ),
    pytest.param(
        "history: [{at: 1, event: Poke, stepp: a}]\nuntil: 9\nexpect: []\n",
        "history[0].stepp: unknown field",
        id="field",
    ),
    pytest.param(
        "history: [{at: 1, event: JobComplete}]\nuntil: 9\nexpect: []\n", "history[0]: names no step", id="no step"
    ),
    pytest.param(
        "history: [{at: 1, event: JobComplete, step: a, steps: '*'}]\nuntil: 9\nexpect: []\n",
        "history[0].steps: found step and steps",
        id="step and steps",
    ),
    pytest.param(
        "history: [{at: 5, event: Poke}, {at: 4, event: Poke}]\nuntil: 9\nexpect: []\n",
        "history[1].at: at 4 s, after an event at 5 s",
        id="back in time",
    ),
    pytest.param(
        "history: [{at: 5, event: FlowDeleted, propagation: foreground}]\nuntil: 9\nexpect: []\n",
        "did you mean 'Foreground'?",
        id="a word of an enum misspelt",
    ),
    pytest.param(
        "history: [{at: 5, event: FlowCreated}]\nuntil: 9\nexpect: []\n", "history[0]: has no flow", id="no manifest"
    ),
    pytest.param(
        "history: [{at: 5, event: StepOutput, step: a}]\nuntil: 9\nexpect: []\n", "has no output", id="no output"
    ),
    pytest.param("until: 9\nexpect: [{flow: Running}]\n", "expect[0]: says not when, or twice", id="never asked"),
    pytest.param("until: 9\nexpect: [{at: 1, end: true}]\n", "expect[0]: says not when, or twice", id="asked twice"),
    pytest.param("until: 9\nexpect: [{at: 1, step: {a: Running}}]\n", "did you mean 'steps'?", id="key of an entry"),
    pytest.param(
        "until: 9\nexpect: [{at: 1, policy: {skip: never}}]\n", "expected propagate or satisfy", id="policy value"
    ),
    pytest.param("until: 9\nexpect: [{at: 1, policy: {skp: satisfy}}]\n", "no such policy", id="policy name"),
    pytest.param(
        "until: 9\nexpect: [{at: 1, creates: {a: many}}]\n", "expect[0].creates.a: found the text 'many'", id="count"
    ),
    pytest.param("until: 9\nexpect: [{at: 1, creates: {a: {mx: 1}}}]\n", "did you mean 'max'?", id="bounds"),
    pytest.param(
        "until: 9\nexpect: [{at: 1, never: {createDuring: [[1]]}}]\n",
        "createDuring[0]: found 1 numbers",
        id="half a span",
    ),
    pytest.param(
        "until: 9\nexpect: [{at: 1, anyOf: [{flw: x}]}]\n", "expect[0].anyOf[0].flw: unknown", id="in a block"
    ),
    pytest.param("flowText: ''\nuntil: 9\nexpect: []\n", "has no flow, or two", id="two flows"),
    pytest.param("until: 9\nexpect: []\n---\nid: b\n", "the file has 2 documents", id="two cases in one file"),
    pytest.param("until: [9\n", "is never closed", id="no YAML"),
]


@pytest.mark.parametrize(("rest", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_place(rest: str, told: str) -> None:
    problems = read(rest)
    assert isinstance(problems, tuple)
    text = "\n".join(map(str, problems))
    assert told in text
    assert all(each.position is not None for each in problems)


def test_all_problems_are_found_at_once() -> None:
    problems = read("histori: []\nuntil: x\nexpect: [{at: 1, floww: Running}]\n")
    assert isinstance(problems, tuple)
    assert [each.path for each in problems] == ["histori", "until", "expect[0].floww"]


def test_a_quoted_no_is_a_word_and_a_bare_one_is_not() -> None:
    assert isinstance(read("kind: ['N']\nuntil: 9\nexpect: []\n"), CaseFile)
    problems = read("kind: [N]\nuntil: 9\nexpect: []\n")
    assert isinstance(problems, tuple)
    assert "put it in quotes" in problems[0].fix


def test_owner_none_is_nobody() -> None:
    loaded = read(
        "history: [{at: -1, event: NameTaken, step: a, owner: none}, "
        "{at: -1, event: NameTaken, step: a, attempt: 2, owner: {kind: Job, name: x, uid: u}}]\nuntil: 9\nexpect: []\n"
    )
    assert isinstance(loaded, CaseFile)
    first, second = loaded.case.history
    assert isinstance(first, NameTaken)
    assert isinstance(second, NameTaken)
    assert first.owner is None
    assert second.owner is not None
    assert second.owner.uid == "u"


REPEATED = """\
id: sample
flow:
  kind: JobFlow
  metadata: {name: sample}
  spec:
    steps:
    - x-repeat: 3
      step: {name: 's-{i:02}', dependencies: [{x-all: 'pre-{i}', count: 2}], args: ['{i}', '{{.p}}', '{j}', 7]}
    - {name: last, dependencies: [{x-all: 's-{i:02}', count: 3}, other]}
"""


def test_repeated_steps_are_written_out() -> None:
    loaded = read("until: 9\nexpect: []\n", REPEATED)
    assert isinstance(loaded, CaseFile)
    assert loaded.case.flow is not None
    steps = loaded.case.flow["spec"]["steps"]
    assert [step["name"] for step in steps] == ["s-00", "s-01", "s-02", "last"]
    assert steps[1] == {
        "name": "s-01",
        "dependencies": ["pre-0", "pre-1"],
        "args": ["1", "{{.p}}", "{j}", 7],
    }
    assert steps[3]["dependencies"] == ["s-00", "s-01", "s-02", "other"]


@pytest.mark.parametrize(
    ("step", "path"),
    [
        pytest.param("{x-repeat: -1, step: {name: a}}", "flow.spec.steps[0].x-repeat", id="a negative number of steps"),
        pytest.param("{x-repeat: 2}", "flow.spec.steps[0]", id="no step to repeat"),
        pytest.param(
            "{name: a, dependencies: [{x-all: b}]}", "flow.spec.steps[0].dependencies[0].count", id="no count"
        ),
    ],
)
def test_a_repetition_that_makes_no_sense_is_told(step: str, path: str) -> None:
    head = f"id: sample\nflow: {{metadata: {{name: a}}, spec: {{steps: [{step}]}}}}\n"
    problems = read("until: 9\nexpect: []\n", head)
    assert isinstance(problems, tuple)
    assert problems[0].path == path


def test_every_event_of_the_format_is_known() -> None:
    assert len(EVENTS) == 31
